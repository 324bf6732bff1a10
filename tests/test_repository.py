"""The repository as a whole: its promises in README and CI, and what must never get into it."""

import re
import shutil
import subprocess
import sys

import pytest
from programs import ESSAY, PROGRAMS, ROOT, run

import tangle

README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands():
    """Return the README's commands."""
    return [line for block in re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S) for line in block.splitlines()]


def tracked_files():
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("this is no git checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_ci_runs_the_test_command_of_the_readme():
    assert len(commands()) == 2
    assert commands()[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_first_command_of_the_readme_in_a_fresh_copy(tmp_path):
    for path in tracked_files():
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    command = f"{commands()[0]} --num_steps 2 --samples 1".replace("python3", sys.executable)
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S602
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("num docs: 32257\nvocab size: 27\nnum params: 4192\nstep    1 / ")


def test_readme_lists_the_flags_as_the_program_has_them():
    documented = dict(re.findall(r"^\| `--(\w+)` \| ([\d.]+) \|", README, re.M))
    actual = dict(re.findall(r"--(\w+) \w+\s+[^()]*\(([\d.]+)\)", run("--help").stdout))
    assert documented == actual


def test_layout():
    """At the top level stand the essay, its tangler, and what the ecosystem demands."""
    top = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    assert top <= {".ci", ".github", ".gitignore", "LICENSE", "README.md", "build", "docs", "microgpt.md", "mkdocs.yml",
                   "pyproject.toml", "tangle.py", "tests"}  # fmt: skip


def test_no_path_of_a_machine():
    private = re.compile(r"/(?:work|farm|root|home)/\w")
    for path in tracked_files():
        assert not private.search(path.read_text(encoding="utf-8", errors="replace")), path


def test_names():
    names = (ROOT / "docs" / "names.txt").read_text(encoding="ascii").splitlines()
    assert len(names) == 32257
    assert names[:3] == ["emma", "olivia", "ava"]
    assert names[18148:18151] == ["liam", "noah", "william"]
    assert all(re.fullmatch("[a-z]{2,15}", name) for name in names)


@pytest.mark.parametrize("linter", ["ruff check", "ty check build/microgpt.py build/efficiency/graph_search.py"])
def test_linters_are_content(linter):
    name, *arguments = linter.split()
    command = shutil.which(name, path=f"{sys.prefix}/bin") or shutil.which(name)
    if not command:
        pytest.skip(f"{name} is not installed")
    command = [command, *arguments, "--output-format", "concise"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, tangle.where(done.stdout, ESSAY.relative_to(ROOT), PROGRAMS)
