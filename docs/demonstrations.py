"""Run the demonstrations of the essay with Pweave, and remember their results.

A demonstration is a fence ```python name="…"; a number in the prose, 4,192<!-- = len(parameters) -->, is one too.
They run in one kernel that has imported the program, the demonstrations in the order of the essay and then the
numbers. Each result is kept in build/cache under a key made from all that it depends on: its code, the definitions of
the program that this code uses (directly or through others), the keys of the earlier demonstrations whose names it
reads, the data set, and the versions of Python and the libraries. When one has to run again, those it needs run before
it, and no others; when none has to, Pweave is not even imported. What a slow one and those it needs have left behind is
kept as well, so that the ones after it can go on from there.
"""

import ast
import builtins
import contextlib
import hashlib
import io
import json
import platform
import re
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import tangle

PRELUDE = """
import gc, os, pickle, random, sys
from pathlib import Path
from types import SimpleNamespace
gc.disable()
os.chdir({root!r})
sys.path.insert(0, {tangler!r})
import matplotlib, matplotlib.pyplot as plt
from matplotlib_inline.backend_inline import set_matplotlib_formats
import tangle
program = [tangle.Line(*line) for line in {program!r}]
microgpt = tangle.load(program, Path("microgpt.md"), Path("build/microgpt.py"), "microgpt")
from microgpt import *
matplotlib.rcParams.update({style!r})
get_ipython().run_line_magic("xmode", "Plain")

def keep(file, names):  # for a later kernel, if nothing stands in the way
    values = dict((name, globals()[name]) for name in names if name in globals())
    local = [name for name in values if getattr(values[name], "__module__", "") == "__main__"]
    if not local and not getattr(microgpt, "tape", None):
        try:
            state = pickle.dumps((random.getstate(), values))
        except Exception:
            return
        Path(file + ".new").write_bytes(state)
        Path(file + ".new").replace(file)

def recall(file):
    state, values = pickle.loads(Path(file).read_bytes())
    random.setstate(state)
    globals().update(values)

def demonstrate(source, line):  # so that tracebacks show the lines of the essay, of which `line` is the first
    import ast
    tree = ast.increment_lineno(ast.parse(source), line - 1)
    exec(compile(tree, os.path.abspath("microgpt.md"), "exec"), globals())

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
SLOW = 2  # seconds, from which on it is worth to keep what a demonstration leaves behind


class Demonstration(NamedTuple):
    """A piece of code to be run: a fence, or the expression of a number in the prose."""

    name: str
    code: str
    line: int  # of the essay, where its code begins


class Result(NamedTuple):
    """What a demonstration printed and drew: the text, and the figures as SVG."""

    text: str
    figures: list


class DemonstrationError(Exception):
    """A demonstration raised: its line in the essay, and the traceback."""

    def __init__(self, line, traceback):
        super().__init__(line, traceback)
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


def made_anew(code):
    """Return the names that some code assigns before it mentions them in any other way: it needs no earlier value."""
    fresh, mentioned = set(), set()
    for node in ast.parse(code).body:
        names = [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)]
        if isinstance(node, ast.Assign):
            targets = [inner for target in node.targets for inner in getattr(target, "elts", [target])]
            fresh |= {t.id for t in targets if isinstance(t, ast.Name) and names.count(t.id) == 1} - mentioned
        mentioned |= {*names}
    return fresh


def closures(program):
    """Return {global name of a program: the source of everything that it uses, directly or through others}."""
    source, reads = {}, {}
    for node in ast.parse(program).body:
        _, binds = names_in(ast.unparse(node)) if not isinstance(node, ast.FunctionDef | ast.ClassDef) else ((), ())
        for name in {getattr(node, "name", None), *binds} - {None}:
            source[name] = source.get(name, "") + ast.unparse(node) + "\n"
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


def dependencies(demonstrations, program, data=b""):
    """Return {name: (key, [names of the earlier demonstrations that it needs])}; all depend on the bytes `data`."""
    definitions = closures(tangle.render(program))
    versions = [platform.python_version(), *(version(library) for library in LIBRARIES)]
    environment = " ".join([*versions, PRELUDE, str(STYLE), hashlib.sha256(data).hexdigest()])
    found, last = {}, {}
    for demonstration in demonstrations:
        reads, binds = names_in(demonstration.code)
        fresh = made_anew(demonstration.code)
        touched = (reads | binds) - fresh
        needs = sorted({earlier for name in touched if name in last for earlier in last[name]}, key=list(found).index)
        material = [
            environment,
            demonstration.code,
            *(definitions[name] for name in sorted(reads) if name in definitions),
            *(found[name][0] for name in needs),
        ]
        found[demonstration.name] = (hashlib.sha256("\0".join(material).encode()).hexdigest(), needs)
        if demonstration.name.startswith("number-"):
            continue  # an expression in the prose changes nothing
        for name in fresh:
            last[name] = [demonstration.name]
        for name in touched & (binds | {name for name in last if not hasattr(builtins, name)}):
            last.setdefault(name, []).append(demonstration.name)  # reading may change a thing as well
    return found


def look_up(demonstrations, program, build):
    """Return ({name: Result} from the cache, {name: file} of those that are missing there, the Work to be done)."""
    data = build.parent / "docs" / "names.txt"
    keys = dependencies(demonstrations, program, data.read_bytes() if data.exists() else b"")
    results, missing = {}, {}
    for demonstration in demonstrations:
        file = build / "cache" / f"{keys[demonstration.name][0]}.json"
        try:
            results[demonstration.name] = Result(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            missing[demonstration.name] = file
    return results, missing, plan(demonstrations, keys, missing, build / "cache")


class Work(NamedTuple):
    """What a kernel has to do."""

    demonstrations: list
    begin: Path  # a file with what earlier ones left behind, or None
    leave: dict  # {name of a demonstration: (file to keep what it leaves behind, the names that this comprises)}


def plan(demonstrations, keys, missing, cache):
    """Return the Work for the demonstrations `missing`: they and all that they need, from what is kept if possible."""

    def all_needed(names):
        found, todo = set(), list(names)
        while todo:
            if (name := todo.pop()) not in found:
                found.add(name)
                todo += keys[name][1]
        return found

    code = {demonstration.name: demonstration.code for demonstration in demonstrations}
    files = {name: cache / f"{key}.state" for name, (key, _) in keys.items()}
    needed = all_needed(missing)
    wanted, begin = [name for name in code if name in needed], None
    for i, name in reversed([*enumerate(wanted)]):
        before = {*wanted[: i + 1]}
        if files[name].exists() and before <= all_needed([name]) and not before & missing.keys():
            wanted, begin = wanted[i + 1 :], files[name]
            break
    leave = {name: (files[name], sorted(set().union(*(names_in(code[n])[1] for n in all_needed([name])))))
             for name in wanted}  # fmt: skip
    return Work([d for d in demonstrations if d.name in wanted], begin, leave)


def run_all(demonstrations, program, build, report):
    """Return {name: Result} for the demonstrations, running those whose results are not in the cache.

    `program` is the list of the Lines of build/microgpt.py; `report` is told what is running.
    """
    results, missing, work = look_up(demonstrations, program, build)
    if not missing:
        return results
    try:
        fresh = execute(work, program, build, report)
    except DemonstrationError as error:
        if error.line or not work.begin:
            raise
        work.begin.unlink()  # what was kept cannot be read
        return run_all(demonstrations, program, build, report)
    tangle.write([(file, json.dumps(fresh[name]._asdict()).encode()) for name, file in missing.items()])
    return results | {name: fresh[name] for name in missing}


def in_the_essay(traceback, line):
    """Return (line, traceback) of an error, from where the traceback reaches the essay; `line` if it does not."""
    traceback = re.sub(r"\x1b\[[\d;]*m", "", traceback)
    frames = [*re.finditer(r"^  File .*?microgpt\.md:(\d+).*", traceback, re.M)]
    return (int(frames[-1][1]), traceback[frames[0].start() :]) if frames else (line, traceback)


def execute(work, program, build, report):
    """Do the Work in one kernel, by Pweave; return {name: Result}; raise DemonstrationError at an error."""
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
            prelude = PRELUDE.format(
                root=str(build.parent), tangler=str(Path(tangle.__file__).parent), style=STYLE,
                program=[*map(tuple, program)],
            )
            prelude += f"recall({str(work.begin)!r})\n" if work.begin else ""
            every = [Demonstration("prelude", prelude, 0), *work.demonstrations]
            self.parsed = [
                {
                    "type": "code",
                    "content": f"demonstrate({d.code!r}, {d.line})" if i else d.code,
                    "number": i,
                    "start_line": d.line,
                    "options": {"name": d.name, "option_string": ""},
                }
                for i, d in enumerate(every)
            ]

    class Processor(JupyterProcessor):
        """Say what is running, stop at the first error, and end the kernel in any case."""

        def run(self):
            try:
                super().run()
            finally:
                self.kc.stop_channels()
                self.km.shutdown_kernel(now=True)

        def close(self):
            pass

        def run_cell(self, src):
            outputs = []  # Pweave's own loop needs an older jupyter_client

            def keep(message):
                if message["msg_type"] in ("stream", "display_data", "execute_result", "error"):
                    outputs.append(output_from_msg(message))

            self.kc.execute_interactive(src, store_history=False, allow_stdin=False, output_hook=keep)
            return outputs

        def pre_run_hook(self, chunk):
            report(f"running {chunk['name']}")
            self.start = time.monotonic()

        def post_run_hook(self, chunk):
            for output in chunk["result"]:
                if output["output_type"] == "error":
                    raise DemonstrationError(*in_the_essay("\n".join(output["traceback"]), chunk["start_line"]))
            if chunk["name"] in work.leave and time.monotonic() - self.start > SLOW:
                file, names = work.leave[chunk["name"]]
                self.run_cell(f"keep({str(file)!r}, {names!r})")

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

    (build / "cache").mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()):
        document = Pweb("microgpt.md", informat=Reader, output=str(build / "cache" / "woven.json"))
        document.setformat(Formatter=Formatter)
        document.run(Processor)
        document.format()
    return document.formatted
