"""What the tests share: the repository's places, the tangled programs as modules, and a way to run them."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import tangle

ROOT = Path(__file__).resolve().parent.parent
ESSAY = ROOT / "microgpt.md"
BUILD = ROOT / "build"
MICROGPT = BUILD / "microgpt.py"
GRAPH_SEARCH = BUILD / "efficiency" / "graph_search.py"
REFERENCE = ROOT.parent / "shared" / "reference"


PROGRAMS = tangle.tangle(tangle.decode(ESSAY.read_bytes()))


def load(path):
    """Return a fresh module made from the program at `path`, with the lines of the essay: failures show those."""
    program = PROGRAMS[path.relative_to(BUILD).as_posix()]
    assert path.read_text(encoding="utf-8") == tangle.render(program), f"{path} is stale: run python3 tangle.py"
    return tangle.load(program, ESSAY, path, path.stem)


def run(*arguments, program=MICROGPT, python=sys.executable, cwd=ROOT, **options):
    """Run a program with a Python and return the completed process, its output as text."""
    environment = {**os.environ, "PYTHONUTF8": "1", **options.pop("env", {})}
    return subprocess.run(
        [python, program, *map(str, arguments)],
        cwd=cwd, env=environment, capture_output=True, encoding="utf-8", timeout=600, check=False, **options,
    )  # fmt: skip


def snapshot(folder):
    """Return {path: bytes} of all files in a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flags(**changes):
    """Return the flags that `train` and `sample` read, small unless said otherwise."""
    return SimpleNamespace(**{"n_head": 2, "block_size": 8, "num_steps": 10, "learning_rate": 0.01, "temperature": 0.5}
                           | changes)  # fmt: skip
