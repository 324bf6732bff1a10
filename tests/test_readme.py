"""README.md and docs/tools.md: each of their commands is run as it is written, in a copy of the project."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from programs import BUILD, ESSAY, ROOT, copy_of_the_project, run

import tangle

README = (ROOT / "README.md").read_text(encoding="utf-8")
TOOLS = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README + TOOLS, re.M | re.S)
FIRST, TEST, *OTHERS = (line for block in BLOCKS for line in block.splitlines())
# What each command has to say; those that would go on for ever, or for long, are ended then.
ENDLESS = {
    ".venv/bin/python docs/weave.py --serve": r"serving on http://127\.0\.0\.1:8000/(?s:.*)woven in",
    "sh tests/tools/watch.sh": r"\.\.\.\.",
    ".venv/bin/python docs/weave.py && .venv/bin/python -m http.server -d build/site 8000": "Serving HTTP on .* 8000",
    "python3 docs/laboratory/benchmark.py": "how many steps",
}
ENDING = {
    "python3 tangle.py --check": r"^$",
    ".venv/bin/python docs/weave.py --update": r"^$",  # numbers and build/essay are right: else run it, and commit
    "python3 tangle.py --run microgpt.py --num_steps 5": r"step    5 /    5 \| loss \d",
    "python3 -m cProfile -s tottime tangle.py --run microgpt.py --num_steps 20": r"microgpt\.md:\d+\(value\)",
    ".venv/bin/coverage run tangle.py --run microgpt.py --num_steps 5 && .venv/bin/coverage report -m": "microgpt.md ",
    "python3 tangle.py --where build/microgpt.py:57": r"^microgpt\.md:\d+\n$",
    "python3 tangle.py --where build/microgpt.py:57 | python3 tangle.py --where -": r"^build/microgpt\.py:57\n",
    ".venv/bin/ruff check --output-format concise build | python3 tangle.py --where -": "All checks passed!",
    ".venv/bin/ty check --output-format concise build/microgpt.py | python3 tangle.py --where -": "All checks passed!",
    "python3 tangle.py --stitch": r"^$",
}
BY_HAND = {".venv/bin/pip install --group torch"}  # .ci/run does it


@pytest.fixture(scope="module")
def copy(tmp_path_factory, results):
    """A copy of the project, with the results that are known, and this virtual environment as its own."""
    if sys.prefix == sys.base_prefix:
        pytest.skip("the tests do not run in a virtual environment")
    folder = copy_of_the_project(tmp_path_factory.mktemp("copy"))
    (folder / ".venv").symlink_to(sys.prefix)
    if (BUILD / "cache").is_dir():
        shutil.copytree(BUILD / "cache", folder / "build" / "cache")
    return folder


@pytest.fixture
def port():
    """Have port 8000 for a test alone: another may need it in another process of pytest-xdist."""
    with tangle.locked(ROOT / "tests"):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 8000)) == 0:
                pytest.skip("something else is served on port 8000")
        yield


def start(command, folder, stdout=subprocess.PIPE):
    """Start a command line as a shell would, in a session of its own."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, shell=True, cwd=folder, start_new_session=True, encoding="utf-8",  # noqa: S602
                            stdout=stdout, stderr=subprocess.STDOUT, env=environment)  # fmt: skip


def test_every_command_is_tested():
    assert {FIRST, TEST, *OTHERS} == {FIRST, TEST} | ENDLESS.keys() | ENDING.keys() | BY_HAND
    assert ".venv/bin/pytest" in TEST


@pytest.mark.slow
def test_the_first_command_trains_and_invents_names(tmp_path):
    """As it is written, in a fresh copy: the lines are those that README and essay show."""
    process = start(FIRST, copy_of_the_project(tmp_path))
    output, _ = process.communicate()
    assert process.returncode == 0, output
    essay = ESSAY.read_text(encoding="utf-8")
    for text in (README, essay[essay.index(f"$ {FIRST}") : essay.index("## How to read it")]):
        shown = re.findall(r"^(?:step|sample) .*", text, re.M)
        assert len(shown) >= 7
        assert [line for line in shown if line not in output.splitlines()] == []


@pytest.mark.parametrize("command", ENDING)
def test_a_command_does_what_it_is_there_for(copy, command):
    tool = re.search(r"\.venv/bin/(\S+)", command)
    if tool and not Path(sys.prefix, "bin", tool[1]).exists():
        pytest.skip(f"{tool[1]} is not installed")
    if "weave" in command:
        pytest.importorskip("pweave", reason="Pweave is not installed")
    process = start(command, copy)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert re.search(ENDING[command], output), f"{command} says:\n{output}"


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent differently there")
@pytest.mark.parametrize("command", ENDLESS)
def test_a_command_that_goes_on_until_ctrl_c(copy, command, request):
    if "weave" in command:
        pytest.importorskip("pweave", reason="Pweave is not installed")
        request.getfixturevalue("port")
    log, end = copy / "log", time.monotonic() + 240
    with log.open("wb") as output:
        process = start(command, copy, stdout=output)
    try:
        while not re.search(ENDLESS[command], log.read_text(encoding="utf-8")):
            assert time.monotonic() < end, log.read_text(encoding="utf-8")
            assert process.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


ELSEWHERE = ["tangle.py --check", "docs/laboratory/benchmark.py --list", "docs/weave.py --help"]


@pytest.mark.parametrize("command", ELSEWHERE)
def test_commands_work_from_another_folder(tmp_path, command):
    name, *arguments = command.split()
    done = run(*arguments, program=ROOT / name, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_flags_are_those_of_the_program():
    documented = dict(re.findall(r"^\| `--(\w+)` \| ([\d.]+) \| .* \|$", README, re.M))
    actual = dict(re.findall(r"--(\w+) \w+\s+[^()]*\(([\d.]+)\)", run("--help").stdout))
    assert documented == actual


def test_links_to_files_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []
