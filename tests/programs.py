"""What the tests share: the repository's places, the tangled programs and their contracts, and ways to run them."""

import atexit
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import laboratory.programs
from laboratory.programs import BUILD, CONTRACTS, ESSAY, FENCES, PROGRAMS, ROOT, TEXT, lacking, missing

import tangle

__all__ = ["CONTRACTS", "TEXT", "lacking", "missing"]  # handed on
REFERENCE = ROOT.parent / "shared" / "reference"
if EXPERIMENT := os.environ.get("MICROGPT_BREAK"):  # for tests/mutation.py: these programs are broken on purpose
    PROGRAMS = PROGRAMS | tangle.changed_by(tangle.named(FENCES, "experiment")[EXPERIMENT][0], PROGRAMS)
    BUILD = Path(tempfile.mkdtemp(prefix="microgpt-"))
    atexit.register(shutil.rmtree, BUILD)
    for name, lines in PROGRAMS.items():
        tangle.put(BUILD / name, tangle.render(lines).encode())
MICROGPT = BUILD / "microgpt.py"
PYTHON = [target for target in PROGRAMS if target.endswith(".py")]
command = functools.partial(laboratory.programs.command, build=BUILD)


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


@functools.cache
def interpreters():
    """Return the supported Pythons on this machine, {"3.12": path}."""
    found = {}
    for minor in range(10, 15):
        if path := shutil.which(f"python3.{minor}"):
            found[f"3.{minor}"] = path
    if shutil.which("pyenv"):
        versions = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=False).stdout
        for version in versions.split():
            if match := re.match(r"3\.1[0-4]\b", version):
                prefix = subprocess.run(["pyenv", "prefix", version], capture_output=True, text=True, check=True).stdout
                found[match[0]] = f"{prefix.strip()}/bin/python"
    return found


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
    """Return all flags of the first program, small unless said otherwise."""
    small = {"n_head": 2, "block_size": 8, "num_steps": 10}
    return SimpleNamespace(**laboratory.programs.defaults() | small | changes)
