"""Run the demonstrations of the essay with Pweave, and remember their results.

A demonstration is a fence ```python name="…"; a number in the prose, 4,192<!-- = len(parameters) -->, is one too.
They run in one kernel that has imported build/microgpt.py, the demonstrations in the order of the essay and then the
numbers. Each result is kept in build/cache under a key made from all that it depends on: its code, the definitions of
the program that this code uses (directly or through others), the keys of the earlier demonstrations whose names it
reads, and the versions of Python and the libraries. When one has to run again, those it needs run before it, and no
others; when none has to, Pweave is not even imported.
"""

import ast
import builtins
import contextlib
import hashlib
import io
import json
import platform
import re
from importlib.metadata import version
from typing import NamedTuple

PRELUDE = """
import gc, os, sys
gc.disable()
os.chdir({root!r})
sys.path.insert(0, {build!r})
from types import SimpleNamespace
import matplotlib, matplotlib.pyplot as plt
from matplotlib_inline.backend_inline import set_matplotlib_formats
import microgpt
from microgpt import *
matplotlib.rcParams.update({style!r})
set_matplotlib_formats("svg", metadata={{"Date": None}})
BLUE, ORANGE, GREY = "#3d85c6", "#d9731a", "#808080"  # at least 3 to 1 against the page, light and dark
"""
STYLE = {
    "svg.hashsalt": "microgpt",
    "svg.fonttype": "none",
    "figure.figsize": (7, 3.2),
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
}
LIBRARIES = ("matplotlib", "Pweave")


class Demonstration(NamedTuple):
    """A piece of code to be run: a fence, or the expression of a number in the prose."""

    name: str
    code: str
    line: int  # of the essay, where it begins


class Result(NamedTuple):
    """What a demonstration printed and drew: the text, and the figures as SVG."""

    text: str
    figures: list


class DemonstrationError(Exception):
    """A demonstration raised: its line in the essay, and the traceback."""

    def __init__(self, line, traceback):
        super().__init__(traceback)
        self.line, self.traceback = line, traceback


def names_in(code):
    """Return (names that some code reads, names that it binds)."""
    reads, binds = set(), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            (reads if isinstance(node.ctx, ast.Load) else binds).add(node.id)
            if not isinstance(node.ctx, ast.Load):
                continue
        elif isinstance(node, ast.Attribute):
            reads.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            binds.add(node.name)
        elif isinstance(node, ast.alias):
            binds.add((node.asname or node.name).split(".")[0])
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            reads.add(node.target.id)
    return reads, binds


def closures(program):
    """Return {global name of a program: the source of everything that it uses, directly or through others}."""
    source, reads = {}, {}
    for node in ast.parse(program).body:
        _, binds = names_in(ast.unparse(node)) if not isinstance(node, ast.FunctionDef | ast.ClassDef) else ((), ())
        for name in {getattr(node, "name", None), *binds} - {None}:
            source[name] = source.get(name, "") + ast.unparse(node)
            reads[name] = reads.get(name, set()) | names_in(ast.unparse(node))[0]
    whole = {}
    for start in source:
        seen, todo = set(), [start]
        while todo:
            if (name := todo.pop()) in source and name not in seen:
                seen.add(name)
                todo += reads[name]
        whole[start] = "\n".join(source[name] for name in sorted(seen))
    return whole


def dependencies(demonstrations, program):
    """Return {name: (key, [names of the earlier demonstrations that it needs])}."""
    definitions = closures(program)
    environment = " ".join(
        [platform.python_version(), *(version(library) for library in LIBRARIES), PRELUDE, str(STYLE)]
    )
    found, last = {}, {}
    for demonstration in demonstrations:
        reads, binds = names_in(demonstration.code)
        touched = reads | binds
        needs = sorted({earlier for name in touched if name in last for earlier in last[name]}, key=list(found).index)
        material = [
            environment,
            demonstration.code,
            *(definitions[name] for name in sorted(reads) if name in definitions),
            *(found[name][0] for name in needs),
        ]
        found[demonstration.name] = (hashlib.sha256("\0".join(material).encode()).hexdigest(), needs)
        for name in binds | {name for name in reads if name in last and not hasattr(builtins, name)}:
            last.setdefault(name, []).append(demonstration.name)  # reading may change a thing as well
    return found


def run_all(demonstrations, program, build, report):
    """Return {name: Result} for the demonstrations, running those whose results are not in the cache."""
    cache = build / "cache"
    keys = dependencies(demonstrations, program)
    results, missing = {}, []
    for demonstration in demonstrations:
        file = cache / f"{keys[demonstration.name][0]}.json"
        try:
            results[demonstration.name] = Result(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            missing.append(demonstration.name)
    if not missing:
        return results
    wanted, todo = set(), list(missing)
    while todo:
        if (name := todo.pop()) not in wanted:
            wanted.add(name)
            todo += keys[name][1]
    fresh = execute([d for d in demonstrations if d.name in wanted], build, report)
    cache.mkdir(parents=True, exist_ok=True)
    for name in missing:
        results[name] = fresh[name]
        temporary = cache / f".{keys[name][0]}"
        temporary.write_text(json.dumps(fresh[name]._asdict()), encoding="utf-8")
        temporary.replace(cache / f"{keys[name][0]}.json")
    return results


def execute(demonstrations, build, report):
    """Run demonstrations in one kernel, by Pweave; return {name: Result}; raise DemonstrationError at an error."""
    from nbformat.v4 import output_from_msg
    from pweave import Pweb
    from pweave.formatters.base import PwebFormatter
    from pweave.processors.jupyter import JupyterProcessor
    from pweave.readers import PwebReader

    class Reader(PwebReader):
        """Hand Pweave the demonstrations, which tangle.parse has found."""

        def __init__(self, file=None, string=None):
            self.source = file

        def parse(self):
            prelude = PRELUDE.format(root=str(build.parent), build=str(build), style=STYLE)
            every = [Demonstration("prelude", prelude, 0), *demonstrations]
            self.parsed = [
                {
                    "type": "code",
                    "content": d.code,
                    "number": i,
                    "start_line": d.line,
                    "options": {"name": d.name, "option_string": ""},
                }
                for i, d in enumerate(every)
            ]

    class Processor(JupyterProcessor):
        """Say what is running, and stop at the first error."""

        def run_cell(self, src):
            outputs = []  # Pweave's own loop needs an older jupyter_client

            def keep(message):
                if message["msg_type"] in ("stream", "display_data", "execute_result", "error"):
                    outputs.append(output_from_msg(message))

            self.kc.execute_interactive(src, store_history=False, allow_stdin=False, output_hook=keep)
            return outputs

        def pre_run_hook(self, chunk):
            report(f"running {chunk['name']}")

        def post_run_hook(self, chunk):
            for output in chunk["result"]:
                if output["output_type"] == "error":
                    self.close()
                    raise DemonstrationError(
                        chunk["start_line"], re.sub(r"\x1b\[[\d;]*m", "", "\n".join(output["traceback"]))
                    )

    class Formatter(PwebFormatter):
        """Collect what each demonstration printed and drew."""

        def initformat(self):
            self.formatdict, self.file_ext = {}, "json"

        def _fillformatdict(self):
            pass

        def format(self):
            self.formatted = {}
            for chunk in self.executed:
                texts, figures = [], []
                for output in chunk["result"]:
                    if output["output_type"] == "stream":
                        texts.append(output["text"])
                    elif "image/svg+xml" in output.get("data", {}):
                        figures.append(output["data"]["image/svg+xml"])
                    else:
                        texts.append(output["data"].get("text/plain", "") + "\n")
                self.formatted[chunk["name"]] = Result("".join(texts), figures)

    work = build / "cache"
    work.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()):
        document = Pweb("microgpt.md", informat=Reader, output=str(work / "woven.json"))
        document.setformat(Formatter=Formatter)
        document.run(Processor)
        document.format()
    return document.formatted
