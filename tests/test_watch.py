"""The command that runs the tests after each save."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from programs import ESSAY, copy_of_the_project

TESTS = """\
import pytest, time
def test_quick(): pass
@pytest.mark.slow
def test_slow(): time.sleep(99)
"""


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent differently there")
def test_the_command_follows_saves_and_ends_with_all_that_it_started(tmp_path):
    copy_of_the_project(tmp_path)
    for test in (tmp_path / "tests").glob("test_*.py"):
        test.unlink()
    test, essay, log = tmp_path / "tests" / "test_quick.py", tmp_path / "microgpt.md", tmp_path / "log"
    test.write_text(TESTS)
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "tests/tools/watch.py"], cwd=tmp_path, stdout=output, stderr=output)

    def wait_for(text):
        for _ in range(600):
            if text in log.read_text():
                return
            time.sleep(0.1)
        raise AssertionError(log.read_text())

    try:
        wait_for("Ctrl-C ends it")
        text = ESSAY.read_text(encoding="utf-8")
        essay.write_text(text.replace("    while tape:\n", "    while tape\n", 1), encoding="utf-8")
        wait_for("expected ':'")
        essay.write_text(text, encoding="utf-8")
        wait_for("1 passed, 1 deselected")  # the slow ones are left out
        test.write_text("import time\ndef test_long():\n    open('started', 'w').close()\n    time.sleep(99)\n")
        for _ in range(300):
            if (tmp_path / "started").exists():
                break
            time.sleep(0.1)
        running = processes_in(tmp_path)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert not running or not processes_in(tmp_path) & running
    finally:
        process.kill()


def processes_in(folder):
    """Return the numbers of the processes of pytest that run there, where the system tells."""
    if not shutil.which("pgrep"):
        return set()
    found = subprocess.run(
        ["pgrep", "-f", "pytest -q --ff"], capture_output=True, text=True, check=False
    ).stdout.split()
    return {number for number in found if str(folder) in (Path("/proc", number, "cwd").resolve().as_posix())}
