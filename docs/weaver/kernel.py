"""Demonstrations are run, by Pweave in a Jupyter kernel. No other module knows Pweave."""

import contextlib
import functools
import io
import json
import logging
import re
import sys
import tempfile
from pathlib import Path
from queue import Empty
from unittest import mock

from jupyter_client.kernelspec import NoSuchKernel
from nbformat.v4 import output_from_msg
from pweave import Pweb
from pweave.processors.jupyter import JupyterProcessor

import tangle
from weaver.essay import ODD
from weaver.results import DemonstrationError, Result, module_of

COLOUR = re.compile(r"\x1b\[[\d;]*m")  # what makes a terminal change colours
OUTPUTS = ("stream", "display_data", "execute_result", "error")
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # an interrupt may leave one of Jupyter's tasks undone
# The weaver and the tangler are found by sys.path: PYTHONPATH is the user's, and no folder with a colon could be in it.
BEGIN = """\
import sys; sys.path[:0] = {paths!r}
from weaver.prelude import begin
begin(globals(), {file!r})
get_ipython().run_line_magic("xmode", "Plain")"""


class Processor(JupyterProcessor):
    """Says what is running, stops at the first error, notices a dead kernel, and ends the kernel in any case."""

    def __init__(self, report, *arguments):
        super().__init__(*arguments)
        self.report = report

    def run(self):
        """Run all cells."""
        try:
            super().run()
        finally:
            self.kc.stop_channels()
            self.km.shutdown_kernel(now=True)

    def close(self):
        """Do nothing: run has ended the kernel."""

    def run_cell(self, src):
        """Run code and return its outputs; Pweave's own loop needs an older jupyter_client, and waits for ever."""
        request, outputs = self.kc.execute(src, store_history=False, allow_stdin=False), []
        while True:
            try:
                message = self.kc.get_iopub_msg(timeout=1)
            except Empty:
                if self.km.is_alive():
                    continue
                died = "the process that ran it has died: was it killed, or out of memory?"
                raise DemonstrationError(self.line, died) from None
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] in OUTPUTS:
                outputs.append(output_from_msg(message))
            elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return outputs

    def pre_run_hook(self, chunk):
        """Say what is going to run."""
        self.line = chunk["line"]
        if chunk["name"]:
            self.report(f"running {chunk['name']}")

    def post_run_hook(self, chunk):
        """Stop at an error."""
        for output in chunk["result"]:
            if output["output_type"] == "error":
                raise DemonstrationError(*in_the_essay("\n".join(output["traceback"]), self.line))


def result_of(outputs):
    """Return the Result of a cell's outputs; what went to stderr, whose time is not certain, comes last."""
    texts, warnings, figures, given = [], [], [], ""
    for output in outputs:
        if output["output_type"] == "stream":
            (warnings if output["name"] == "stderr" else texts).append(output["text"])
        elif "image/svg+xml" in output.get("data", {}):
            figures.append(output["data"]["image/svg+xml"])
        elif "application/json" in output.get("data", {}):
            given = json.dumps(output["data"]["application/json"])
        else:
            texts.append(output["data"].get("text/plain", "") + "\n")
    text = COLOUR.sub("", "".join([*texts, *warnings]))
    return Result(ODD.sub("\ufffd", text), figures, given)


def in_the_essay(traceback, line):
    """Return (line, message) of an error, from where its traceback reaches the essay; `line` if it does not."""
    traceback = COLOUR.sub("", traceback)
    frames = [*re.finditer(r"^  File .*?\.md:(\d+).*", traceback, re.M)]
    place, start = (int(frames[-1][1]), frames[0].start()) if frames else (line, 0)
    return place, f"this failed\n{traceback[start:]}"


def cell(code, line, name=""):
    """Return some code as Pweave reads it; it is of that line of the essay, and told by its name, if it has one."""
    return f"```python name={name!r}, line={line}\n{code}\n```\n"


def execute(essay, programs, session, cache, report):
    """Run a session, with some programs, and return the Results of its items; what it keeps goes into the cache.

    `essay` is the path of the essay, `report` is told what is running. Raises DemonstrationError at an error.
    """
    demonstrations = len([item for item in session.items if item.fence])
    with tempfile.TemporaryDirectory(prefix="microgpt-session-") as folder:
        file, document = Path(folder, "session.json"), Path(folder, "session.md")
        file.write_text(json.dumps({
            "essay": str(essay.resolve()),
            "programs": {module_of(program): (program.target, program.lines) for program in programs},
            "main": module_of(programs[0]) if programs else "",
            "kept": {str(cache.kept(source)): [name for name in session.sources if session.sources[name] is source]
                     for source in session.sources.values()},
            "data": session.data,
            "helpers": sorted({name.partition(".")[0] for name in session.calls}),
        }), encoding="utf-8")  # fmt: skip
        paths = [str(Path(tangle.__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
        cells = [cell(f"demonstrate({item.code!r}, {item.line})", item.line, item.fence.name if item.fence else "")
                 for item in session.items]  # fmt: skip
        line = session.items[demonstrations - 1].line
        keeping = [cell(f"keep({session.keep!r}, {str(cache.kept(session))!r})", line)] if session.keep else []
        cells[demonstrations:demonstrations] = keeping  # before numbers are computed
        text = "".join([cell(BEGIN.format(paths=paths, file=str(file)), session.line), *cells])
        document.write_text(text, encoding="utf-8")
        results = outputs(document, session.line, report)
    del results[demonstrations : demonstrations + len(keeping)]
    return results


def outputs(document, line, report):
    """Let Pweave run a document in a folder of its own; return the Results of its cells, but for the first one."""
    folder = str(document.parent)  # nothing of what the user has set up for Python, IPython and Jupyter counts
    environment = {"PYTHONHASHSEED": "0", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONDONTWRITEBYTECODE": "1",
                   "IPYTHONDIR": folder, "JUPYTER_DATA_DIR": folder}  # fmt: skip
    with mock.patch.dict("os.environ", environment), contextlib.redirect_stdout(io.StringIO()):
        try:
            pweb = Pweb(str(document))
            pweb.run(functools.partial(Processor, report))
        except (RuntimeError, NoSuchKernel) as error:
            way = "does `python -m ipykernel_launcher --version` say more?"
            problem = f"the process that was to run it did not start ({error}): {way}"
            raise DemonstrationError(line, problem) from None
    return [result_of(chunk["result"]) for chunk in pweb.executed if chunk["type"] == "code"][1:]


assert sys.version_info >= (3, 11), "the weaver needs Python 3.11 or later"  # noqa: S101
