"""The site while the essay is being written, as an editor sees it in a browser, and as a stranger sees its server."""

import contextlib
import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from essays import SMALL, demonstration, project
from programs import ROOT
from weaver.serve import follow

pytest.importorskip("mkdocs", reason="mkdocs is not installed")
pytest.importorskip("pweave", reason="Pweave is not installed")

WRITTEN = SMALL.replace("print(quadruple(1) < 5)", "def small(): return quadruple(1) < 5") + "\nA paragraph.\n" * 60
WRITTEN += "\n# Three\n\n" + demonstration("greeting", 'print("hello")')


class Serving:
    """A small essay that is being served."""

    def __init__(self, folder):
        self.root, self.essay, self.log = folder, folder / "microgpt.md", folder / "log"
        command = [sys.executable, "docs/weave.py", "--serve", "0"]
        with self.log.open("w") as output:
            self.process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        self.address = self.wait_for(r"serving on (\S+)")[1]
        self.port = int(self.address.rstrip("/").rsplit(":", 1)[1])

    def wait_for(self, pattern, after=0):
        """Return the match of a pattern in what the server says, as soon as there is one."""
        for _ in range(1200):
            if match := re.search(pattern, self.log.read_text()[after:]):
                return match
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def save(self, text):
        """Save the essay; return where what the server says of it begins."""
        after = len(self.log.read_text())
        self.essay.write_text(text, encoding="utf-8")
        return after

    def ask(self, path, host=None):
        """Send a request, for this server or another host; return (status, body, headers) of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.putrequest("GET", path, skip_host=True)
            connection.putheader("Host", f"127.0.0.1:{self.port}" if host is None else host)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers

    def end(self):
        """End the server."""
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A server that has woven its site."""
    serving = Serving(project(tmp_path_factory.mktemp("quiet"), WRITTEN))
    serving.wait_for(r"running twice(?s:.*)woven in")
    yield serving
    serving.end()


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


# The editor


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent differently there")
def test_a_session_of_writing(browser, tmp_path):
    serving = Serving(project(tmp_path, WRITTEN))
    try:
        write(serving, browser, tmp_path)
    finally:
        serving.end()


def write(serving, browser, tmp_path):
    """Save this and that, and look at what is shown."""
    serving.wait_for(r"woven in .*\nrunning twice, greeting, (?s:.*)woven in")
    page = browser.new_page(viewport={"width": 900, "height": 600}, bypass_csp=True)
    page.set_default_timeout(120_000)  # a busy machine is no failure
    note = page.locator("pre[role=status]")

    def shows(text):
        page.wait_for_function("text => document.body?.innerText.includes(text)", arg=text)

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
    assert "quadruple" in serving.ask("/search/search_index.json")[1]  # of a page that was not built again

    # a new page: all others lead to it
    after = serving.save(WRITTEN.replace("A paragraph.", "Another paragraph.", 1) + "\n# Four\n")
    serving.wait_for("woven in", after)
    assert "Four" in serving.ask("/two/")[1]

    # code that is wrong: the last good page stays, with the line
    serving.save(WRITTEN.replace("return 2 * x", "return 2 *"))
    shows("microgpt.md:17: invalid syntax")
    assert "Another paragraph." in page.inner_text("article")
    serving.save(WRITTEN)
    page.wait_for_function("document.querySelector('pre[role=status]')?.hidden")

    # a chunk: what depends on its program runs
    after = serving.save(WRITTEN.replace("2 * x", "3 * x").replace("four is 8", "four is 12"))
    page.wait_for_selector("#demonstration-twice .output:has-text('12')")
    assert "\nrunning twice, greeting, numbers in the prose: the page" in serving.log.read_text()[after:]

    # with a result that makes a number wrong, page and message follow as well
    serving.save(WRITTEN.replace("2 * x", "4 * x"))
    page.wait_for_selector("#demonstration-twice .output:has-text('16')")
    shows("microgpt.md:36: the number 8 should be 16")

    # a number that is wrong, a demonstration that fails: both with their lines
    serving.save(WRITTEN.replace("four is 8", "four is 9"))
    shows("microgpt.md:36: the number 9 should be 8")
    assert "Twice four is 9" in page.inner_text("article")  # the results are right, so they are shown
    serving.save(WRITTEN.replace('print("hello")', "one = 1\none / 0"))
    shows("ZeroDivisionError")
    told = r"microgpt\.md:162: this failed\s+File .*microgpt\.md:162\b.*\s+one / 0"
    assert re.search(told, note.inner_text())

    # settings that are wrong
    settings = (tmp_path / "mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text(settings + "no such setting: [", encoding="utf-8")
    shows("mkdocs.yml")
    (tmp_path / "mkdocs.yml").write_text(settings, encoding="utf-8")

    # a template that is wrong, and another weaver
    template = tmp_path / "docs" / "templates" / "chunk.html"
    source = template.read_text(encoding="utf-8")
    template.write_text(source + "{{ nobody }}", encoding="utf-8")
    shows("the weaver failed: UndefinedError")
    assert "quadruple" in serving.ask("/two/")[1]
    template.write_text(source, encoding="utf-8")
    weaver = tmp_path / "docs" / "weave.py"
    after = len(serving.log.read_text())
    weaver.write_text(weaver.read_text(encoding="utf-8") + "# the same", encoding="utf-8")
    page.goto(serving.wait_for(r"serving on (\S+)(?s:.*)woven in", after)[1])

    # Ctrl-C while something runs: all of it ends
    after = serving.save(WRITTEN.replace('print("hello")', "import time; time.sleep(100)"))
    serving.wait_for("running greeting", after)
    for _ in range(200):
        started = started_by(serving.process.pid)
        if len(started) >= 2:  # the weave, and its kernel
            break
        time.sleep(0.1)
    serving.process.send_signal(signal.SIGINT)
    assert serving.process.wait(60) == 130
    shows("the server has stopped")
    page.close()
    for _ in range(50):
        if not started & processes().keys():
            break
        time.sleep(0.1)
    assert not started & processes().keys()


def test_a_port_that_is_taken(quiet):
    for port in (quiet.port, 99999):
        done = subprocess.run([sys.executable, ROOT / "docs" / "weave.py", "--serve", str(port)], capture_output=True,
                              text=True, check=False, timeout=60)  # fmt: skip
        assert done.returncode == 1
        assert f"cannot serve on port {port}" in done.stderr
        assert "Traceback" not in done.stderr


# Strangers


def test_pages_files_and_news(quiet):
    status, page, _ = quiet.ask("/two/")
    assert (status, page.count("// Asks the server")) == (200, 1)
    assert quiet.ask("/two")[0] == 301
    assert quiet.ask("/assets/page.css")[0] == quiet.ask("/?a=b")[0] == 200
    assert quiet.ask("/nothing/")[0] == quiet.ask("/nothing.css")[0] == 404
    assert json.loads(quiet.ask("/.news")[1])["message"] == ""
    assert "<<a-part>>" not in quiet.ask("/%2e%2e/microgpt.md")[1]


def test_only_this_machine_is_answered(quiet):
    for path in ("/", "/.news", "/assets/page.css"):
        assert quiet.ask(path, host="localhost:9")[0] == 200  # another port may be that of a tunnel
        for host in ("evil.example", f"localhost.x:{quiet.port}", ""):
            status, body, _ = quiet.ask(path, host=host)
            assert (status, "edition" in body) == (403, False)
            assert "answers to 127.0.0.1 and localhost" in body


# Following


def test_what_is_saved_is_noticed(tmp_path):
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "docs" / "deep" / "b").write_text("1")
    news = follow([tmp_path / "a.md", tmp_path / "docs"])
    assert next(news) == set()
    (tmp_path / "a.md").write_text("1")
    (tmp_path / "docs" / "deep" / "b").rename(tmp_path / "docs" / "c")
    assert next(news) == {tmp_path / "a.md", tmp_path / "docs" / "deep" / "b", tmp_path / "docs" / "c"}
    for name in (".c.swp", "c~"):
        (tmp_path / "docs" / name).write_text("1")
    shutil.rmtree(tmp_path / "docs" / "deep")
    assert next(news) == set()
    (tmp_path / "a.md").unlink()
    assert next(news) == {tmp_path / "a.md"}
