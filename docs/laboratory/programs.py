"""The programs of the essay with their contracts, and how to run them: for all that measures or tests them.

The contract of a program is in the fence of its root: prints=OTHER (the same lines, with the same flags), losses=OTHER
and tolerance=NUMBER (the same losses, that near), needs=NAME,NAME (modules or commands), and for C
cflags=-O3,-march=native (what the compiler is told).
"""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import tangle

ROOT = Path(__file__).resolve().parents[2]
ESSAY = ROOT / "microgpt.md"
BUILD = ROOT / "build"
TEXT = tangle.decode(ESSAY.read_bytes())
FENCES, ERRORS = tangle.parse(TEXT)
PROGRAMS = tangle.programs_of(FENCES, ERRORS)
CONTRACTS = {target: root.options for target, (root,) in tangle.named(FENCES, "root").items()}
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


def command(target, folder, *more, build=BUILD):
    """Return the command that runs a program; a compiled one goes into a folder, `more` to the compiler."""
    path = build / target
    if path.suffix == ".c":
        compiled = Path(folder, f"{path.stem}.out")
        flags = CONTRACTS[target].get("cflags", "-O2").split(",")
        subprocess.run(["cc", *flags, "-Wall", "-Wextra", "-Werror", *more, "-o", compiled, path, "-lm"], check=True)
        return [compiled]
    return {".py": [sys.executable, path], ".js": ["node", path]}[path.suffix]


def defaults():
    """Return {name of a flag: default} of the first program."""
    return {name: default for name, default, _ in load("microgpt.py").FLAGS}


def load(target):
    """Return a fresh module made from a Python program, with the lines of the essay."""
    return tangle.load(PROGRAMS[target], ESSAY, BUILD / target, Path(target).stem)
