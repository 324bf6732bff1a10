"""Demonstrations are run, by Pweave in a Jupyter kernel. No other module knows Pweave."""

import contextlib
import io
import json
import logging
import os
import re
import sys
import tempfile
from pathlib import Path
from queue import Empty

from jupyter_client.kernelspec import NoSuchKernel
from nbformat.v4 import output_from_msg
from pweave import Pweb
from pweave.formatters.base import PwebFormatter
from pweave.processors.jupyter import JupyterProcessor
from pweave.readers import PwebReader

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


class Reader(PwebReader):
    """Hands Pweave the cells of a session, from a JSON file: {"cells": [{name, code, line}, …]}."""

    def __init__(self, file=None, string=None):
        self.source = file

    def parse(self):
        """Make Pweave's form of the cells."""
        cells = json.loads(Path(self.source).read_text(encoding="utf-8"))["cells"]
        self.parsed = [
            {
                "type": "code",
                "content": cell["code"],
                "number": number,
                "start_line": cell["line"],
                "options": {"name": cell["name"], "option_string": ""},
            }
            for number, cell in enumerate(cells)
        ]


class Processor(JupyterProcessor):
    """Says what is running, stops at the first error, notices a dead kernel, and ends the kernel in any case."""

    report = staticmethod(print)

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
        self.line = chunk["start_line"]
        if chunk["name"]:
            self.report(f"running {chunk['name']}")

    def post_run_hook(self, chunk):
        """Stop at an error."""
        for output in chunk["result"]:
            if output["output_type"] == "error":
                raise DemonstrationError(*in_the_essay("\n".join(output["traceback"]), chunk["start_line"]))


class Formatter(PwebFormatter):
    """Collects what each cell printed and drew."""

    def initformat(self):
        """Set what Pweave asks for."""
        self.formatdict, self.file_ext = {}, "json"

    def _fillformatdict(self):
        pass

    def format(self):
        """Make a list of Results."""
        self.formatted = [result_of(chunk["result"]) for chunk in self.executed]


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


def execute(essay, programs, session, cache, report):
    """Run a session, with some programs, and return the Results of its items; what it keeps goes into the cache.

    `essay` is the path of the essay, `report` is told what is running. Raises DemonstrationError at an error.
    """
    demonstrations = len([item for item in session.items if item.fence])
    with tempfile.TemporaryDirectory(prefix="microgpt-session-") as folder:
        file = Path(folder, "session.json")
        paths = [str(Path(tangle.__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
        cells = [{"name": "", "code": BEGIN.format(paths=paths, file=str(file)), "line": session.line}]
        cells += [{"name": item.fence.name if item.fence else "", "line": item.line,
                   "code": f"demonstrate({item.code!r}, {item.line})"} for item in session.items]  # fmt: skip
        if session.keep:
            code = f"keep({session.keep!r}, {str(cache.kept(session))!r})"
            line = next(item.line for item in session.items if item.names("keep"))
            cells.insert(1 + demonstrations, {"name": "", "code": code, "line": line})  # before numbers are computed
        file.write_text(json.dumps({
            "essay": str(essay.resolve()),
            "programs": {module_of(program): (program.target, program.lines) for program in programs},
            "main": module_of(programs[0]) if programs else "",
            "kept": {str(cache.kept(source)): [name for name in session.sources if session.sources[name] is source]
                     for source in session.sources.values()},
            "data": session.data,
            "cells": cells,
        }), encoding="utf-8")  # fmt: skip
        with environment_of_the_kernel(folder), contextlib.redirect_stdout(io.StringIO()):
            document = Pweb(str(file), informat=Reader, output=str(Path(folder, "woven.json")))
            document.setformat(Formatter=Formatter)
            try:
                document.run(type("Reporting", (Processor,), {"report": staticmethod(report)}))
            except (RuntimeError, NoSuchKernel) as error:
                way = "does `python -m ipykernel_launcher --version` say more?"
                problem = f"the process that was to run it did not start ({error}): {way}"
                raise DemonstrationError(session.line, problem) from None
            document.format()
    results = document.formatted[1:]
    if session.keep:
        del results[demonstrations]
    return results


@contextlib.contextmanager
def environment_of_the_kernel(folder):
    """Let nothing of what the user has set up for Python, IPython and Jupyter change results."""
    wanted = {"PYTHONHASHSEED": "0", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONDONTWRITEBYTECODE": "1",
              "IPYTHONDIR": folder, "JUPYTER_DATA_DIR": folder}  # fmt: skip
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


assert sys.version_info >= (3, 11), "the weaver needs Python 3.11 or later"  # noqa: S101
