"""What the tests share: the repository's places, the tangled programs and their contracts, and ways to run them."""

import atexit
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import tangle

ROOT = Path(__file__).resolve().parent.parent
ESSAY = ROOT / "microgpt.md"
BUILD = ROOT / "build"
MICROGPT = BUILD / "microgpt.py"
REFERENCE = ROOT.parent / "shared" / "reference"
TEXT = tangle.decode(ESSAY.read_bytes())
FENCES = tangle.parse(TEXT)[0]
PROGRAMS = tangle.tangle(TEXT)
if EXPERIMENT := os.environ.get("MICROGPT_BREAK"):  # for tests/tools/mutation.py: these programs are broken on purpose
    PROGRAMS |= tangle.changed_by(tangle.named(FENCES, "experiment")[EXPERIMENT][0], PROGRAMS)
    BUILD = Path(tempfile.mkdtemp(prefix="microgpt-"))
    atexit.register(shutil.rmtree, BUILD)
    MICROGPT = BUILD / "microgpt.py"
    for name, lines in PROGRAMS.items():
        tangle.put(BUILD / name, tangle.render(lines).encode())
# The contract of a program stands in the fence of its root: prints=OTHER (the same lines, with the same flags),
# losses=OTHER and tolerance=NUMBER (the same losses, that near), needs=NAME,NAME (modules or commands), and for C
# cflags=-O3,-march=native (what the compiler is told).
CONTRACTS = {target: root.options for target, (root,) in tangle.named(FENCES, "root").items()}
PYTHON = [target for target in PROGRAMS if target.endswith(".py")]


INSTALL = {  # what is optional, and how to get it
    "torch": ".venv/bin/pip install --group torch", "cc": "apt-get install gcc libc6-dev",
    "node": "apt-get install nodejs", "tsc": "apt-get install node-typescript", "pandoc": "apt-get install pandoc",
}  # fmt: skip


def missing(*names):
    """Return which of some modules and commands this machine lacks, with the way to install them, or nothing."""
    gone = [name for name in names if not importlib.util.find_spec(name) and not shutil.which(name)]
    return ", ".join(f"{name} ({INSTALL[name]})" if name in INSTALL else name for name in gone)


def lacking(target):
    """Return what a program needs and this machine lacks, or nothing."""
    return missing(*filter(None, CONTRACTS[target].get("needs", "").split(",")))


def command(target, folder, *more):
    """Return the command that runs a program; what has to be compiled goes into a folder, `more` to the compiler."""
    path = BUILD / target
    if path.suffix == ".c":
        compiled = Path(folder, f"{path.stem}.out")
        flags = CONTRACTS[target].get("cflags", "-O2").split(",")
        subprocess.run(["cc", *flags, "-Wall", "-Wextra", "-Werror", *more, "-o", compiled, path, "-lm"], check=True)
        return [compiled]
    return {".py": [sys.executable, path], ".js": ["node", path]}[path.suffix]


def load(target):
    """Return a fresh module made from a Python program, with the lines of the essay: failures show those."""
    path = BUILD / target
    assert path.read_text(encoding="utf-8") == tangle.render(PROGRAMS[target]), f"{path} is stale: run tangle.py"
    return tangle.load(PROGRAMS[target], ESSAY, path, path.stem)


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


def tracked_files():
    """Return the paths of the files of the project, as git sees them, or None where there is no git checkout."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return None
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def copy_of_the_project(folder):
    """Copy all files of the project into a folder, as a fresh clone would have them, and return the folder."""
    ignored = shutil.ignore_patterns(
        ".git", ".venv", "pages", "site", "cache", "__pycache__", ".*_cache", ".hypothesis"
    )
    files = tracked_files()
    if files is None:
        shutil.copytree(ROOT, folder, ignore=ignored, dirs_exist_ok=True)
    for path in files or []:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return folder


def flags(**changes):
    """Return the flags that `train` and `sample` read, small unless said otherwise."""
    small = {"n_head": 2, "block_size": 8, "num_steps": 10, "learning_rate": 0.01, "temperature": 0.5}
    return SimpleNamespace(**small | changes)
