"""The site while the essay is being written, as an editor sees it in a browser."""

import re
import shutil
import signal
import subprocess
import sys
import time
from textwrap import dedent

import pytest
from programs import ROOT
from test_weave import SMALL

pytest.importorskip("mkdocs", reason="mkdocs is not installed")
pytest.importorskip("pweave", reason="Pweave is not installed")

WRITTEN = SMALL + dedent("""
    ```python name="greeting"
    print("hello")
    ```
    """) + "\nA paragraph.\n" * 60  # fmt: skip


class Serving:
    """A small essay that is being served."""

    def __init__(self, folder):
        self.essay, self.log = folder / "microgpt.md", folder / "log"
        with self.log.open("w") as output:
            command = [sys.executable, "docs/weave.py", "--serve", "0"]
            self.process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        self.address = self.wait_for(r"serving on (\S+)")[1]

    def wait_for(self, pattern, after=0):
        """Return the match of a pattern in what the server says, as soon as there is one."""
        for _ in range(300):
            if match := re.search(pattern, self.log.read_text()[after:]):
                return match
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def save(self, text):
        """Save the essay; return where what the server says of it begins."""
        after = len(self.log.read_text())
        self.essay.write_text(text, encoding="utf-8")
        return after


@pytest.fixture
def serving(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=ignored)
    shutil.copy(ROOT / "tangle.py", tmp_path)
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = "".join(f"  - {page}index.md\n" for page in ("", "two/", "the-program/", "indexes/", "everything/"))
    settings = re.sub(r"^nav:\n(  .*\n)+", "nav:\n" + re.sub("- (.*)", r"- \1: \1", nav), settings, flags=re.M)
    (tmp_path / "mkdocs.yml").write_text(settings, encoding="utf-8")
    (tmp_path / "microgpt.md").write_text(WRITTEN, encoding="utf-8")
    serving = Serving(tmp_path)
    yield serving
    serving.process.terminate()
    try:
        serving.process.wait(20)
    finally:
        serving.process.kill()


def processes():
    """Return {process: its parent} of all that run, where the system tells."""
    if not shutil.which("ps"):
        return {}
    listed = subprocess.run(["ps", "ax", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return dict(map(int, line.split()) for line in listed.splitlines())


def started_by(process):
    """Return all processes that a process has started, directly or through others."""
    found, parents = {process}, processes()
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent differently there")
def test_a_session_of_writing(serving, browser, tmp_path):
    serving.wait_for(r"woven in .*\n(?s:.*)running greeting(?s:.*)woven in")
    page = browser.new_page(viewport={"width": 900, "height": 600})
    note = page.locator("pre[role=status]")

    def shows(text):
        page.wait_for_function("text => document.body?.innerText.includes(text)", arg=text, timeout=20_000)

    page.goto(serving.address + "two/")
    assert "8" in page.inner_text("#demonstration-twice .output")

    # prose: the page follows, and stays where it was; nothing runs
    page.evaluate("window.scrollTo(0, 700)")
    after = serving.save(WRITTEN.replace("A paragraph.", "Another paragraph.", 1))
    shows("Another paragraph.")
    page.wait_for_load_state("load")
    page.wait_for_function("window.scrollY === 700")
    serving.wait_for("woven in", after)
    assert "running" not in serving.log.read_text()[after:]

    # code that is wrong: the last good page stays, with the line
    serving.save(WRITTEN.replace("return 2 * x", "return 2 *"))
    shows("microgpt.md:17: invalid syntax")
    assert "Another paragraph." in page.inner_text("article")
    serving.save(WRITTEN)
    page.wait_for_function("document.querySelector('pre[role=status]')?.hidden")

    # a chunk: what depends on it runs, and nothing else
    after = serving.save(WRITTEN.replace("2 * x", "3 * x").replace("four is 8", "four is 12"))
    page.wait_for_selector("#demonstration-twice .output:has-text('12')", timeout=30_000)
    said = serving.log.read_text()[after:]
    assert re.findall(r"^running (\S+)$", said, re.M) == ["prelude", "twice", "number-36-0"]

    # with a result that makes a number wrong, page and message follow as well
    serving.save(WRITTEN.replace("2 * x", "4 * x"))
    page.wait_for_selector("#demonstration-twice .output:has-text('16')", timeout=30_000)
    shows("microgpt.md:36: the number 8 should be 16")

    # a number that is wrong, a demonstration that fails: both with their lines
    serving.save(WRITTEN.replace("four is 8", "four is 9"))
    shows("microgpt.md:36: the number 9 should be 8")
    assert "Twice four is 9" in page.inner_text("article")  # the results are right, so they are shown
    serving.save(WRITTEN.replace('print("hello")', "one = 1\none / 0"))
    shows("ZeroDivisionError")
    told = r"microgpt\.md:40: this failed\s+File .*microgpt\.md:40\b.*\s+one / 0"
    assert re.search(told, note.inner_text())

    # settings that are wrong
    settings = (tmp_path / "mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text(settings + "no such setting: [", encoding="utf-8")
    shows("mkdocs.yml")
    (tmp_path / "mkdocs.yml").write_text(settings, encoding="utf-8")

    # a weaver that is wrong, and then another one
    weaver = tmp_path / "docs" / "weave.py"
    source = weaver.read_text(encoding="utf-8")
    weaver.write_text(source + "x = (", encoding="utf-8")
    shows("weave.py: '(' was never closed")
    after = len(serving.log.read_text())
    weaver.write_text(source + "# the same", encoding="utf-8")
    serving.wait_for("serving on(?s:.*)woven in", after)

    # Ctrl-C while something runs: all of it ends
    after = serving.save(WRITTEN.replace('print("hello")', "import time; time.sleep(100)"))
    serving.wait_for("running greeting", after)
    started = started_by(serving.process.pid)
    assert len(started) >= 2 or not shutil.which("ps")  # the weave, and its kernel
    serving.process.send_signal(signal.SIGINT)
    assert serving.process.wait(20) == 130
    shows("the server has stopped")
    page.close()
    for _ in range(50):
        if not started & processes().keys():
            break
        time.sleep(0.1)
    assert not started & processes().keys()


def test_a_port_that_is_taken(serving):
    port = serving.address.rstrip("/").rsplit(":", 1)[1]
    done = subprocess.run([sys.executable, ROOT / "docs" / "weave.py", "--serve", port], capture_output=True, text=True,
                          check=False, timeout=60)  # fmt: skip
    assert done.returncode == 1
    assert f"cannot serve on port {port}" in done.stderr
    assert "Traceback" not in done.stderr
