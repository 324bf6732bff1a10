"""The site while the essay is being written, as an editor sees it in a browser, and as a stranger sees its server."""

import contextlib
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from essays import SMALL, demonstration, project
from programs import ROOT
from weaver.follow import follow

pytest.importorskip("mkdocs", reason="mkdocs is not installed")
pytest.importorskip("pweave", reason="Pweave is not installed")

WRITTEN = SMALL.replace("print(quadruple(1) < 5)", "def small(): return quadruple(1) < 5") + "\nA paragraph.\n" * 60
WRITTEN += "\n# Three\n\n" + demonstration("greeting", 'print("hello")')


class Serving:
    """A small essay that is being served."""

    def __init__(self, folder, files=None):
        self.root, self.essay, self.log = folder, folder / "microgpt.md", folder / "log"
        command = [sys.executable, "docs/weave.py", "--serve", "0"]
        if files:
            command = ["bash", "-c", f"ulimit -n {files}; exec {' '.join(command)}"]
        with self.log.open("w") as output:
            self.process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        self.address = self.wait_for(r"serving on (\S+)")[1]
        self.port = int(self.address.rstrip("/").rsplit(":", 1)[1])

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

    def ask(self, path, method="GET", body=None, **headers):
        """Send a request; return (status, body) of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host="Host" in headers)
            for name, value in headers.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def message(self):
        """Return the message that is shown at the foot of each page."""
        return json.loads(self.ask("/.news")[1])["message"]

    def wait_for_message(self, pattern):
        """Wait until the message is as a pattern says; without one until there is none."""
        for _ in range(300):
            message = self.message()
            if re.search(pattern, message) if pattern else not message:
                return
            time.sleep(0.1)
        raise AssertionError(message)

    def end(self):
        """End the server."""
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()


@pytest.fixture
def serving(tmp_path):
    serving = Serving(project(tmp_path, WRITTEN))
    yield serving
    serving.end()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A server that has woven its site, with as many files as some systems allow."""
    serving = Serving(project(tmp_path_factory.mktemp("quiet"), WRITTEN), files=256)
    serving.wait_for(r"running greeting(?s:.*)woven in")
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
def test_a_session_of_writing(serving, browser, tmp_path):
    serving.wait_for(r"woven in .*\n(?s:.*)running greeting(?s:.*)woven in")
    page = browser.new_page(viewport={"width": 900, "height": 600}, bypass_csp=True)
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
    assert re.findall(r"^running (\S+)$", said, re.M) == ["twice"]

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
    told = r"microgpt\.md:162: this failed\s+File .*microgpt\.md:162\b.*\s+one / 0"
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
    shows("'(' was never closed")
    after = len(serving.log.read_text())
    weaver.write_text(source + "# the same", encoding="utf-8")
    page.goto(serving.wait_for(r"serving on (\S+)(?s:.*)woven in", after)[1])

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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "old", "new", "shown"),
    [
        ("weaver/render.py", "STYLES = {", "STYLES = nobody or {", "name 'nobody' is not defined"),
        ("weaver/serve.py", "class State:", "class State(nobody):", "name 'nobody' is not defined"),
        ("weave.py", "import argparse", "import argparse, no_such_module", "No module named 'no_such_module'"),
    ],
)
def test_a_weaver_that_cannot_be_imported_leaves_the_preview_as_it_is(serving, module, old, new, shown):
    serving.wait_for("woven in")
    file = serving.root / "docs" / module
    source = file.read_text(encoding="utf-8")
    file.write_text(source.replace(old, new), encoding="utf-8")
    serving.wait_for_message(shown)
    assert serving.ask("/two/")[0] == 200
    after = len(serving.log.read_text())
    file.write_text(source, encoding="utf-8")
    serving.wait_for(r"serving on (?s:.*)woven in", after)
    assert serving.process.poll() is None


@pytest.mark.slow
def test_a_weaver_that_fails_when_it_renders_leaves_the_last_good_page(serving):
    serving.wait_for("running greeting(?s:.*)woven in")
    file = serving.root / "docs" / "templates" / "chunk.html"
    source = file.read_text(encoding="utf-8")
    for wrong in ("{{ nobody }}", "{% if %}", "{{ place.nothing }}"):
        file.write_text(source + wrong, encoding="utf-8")
        serving.wait_for_message("the weaver failed: .*(Undefined|TemplateSyntax)Error")
        assert "quadruple" in serving.ask("/two/")[1]
        file.write_text(source, encoding="utf-8")
        serving.wait_for_message(None)
    after = len(serving.log.read_text())
    file = serving.root / "docs" / "weaver" / "render.py"
    source = file.read_text(encoding="utf-8")
    file.write_text(
        source.replace('shown = Markup(\'<span class="line"', 'shown = nobody(\'<span class="line"'), "utf-8"
    )
    serving.port = int(serving.wait_for(r"serving on http://127.0.0.1:(\d+)/", after)[1])
    serving.wait_for_message("the weaver failed: NameError")
    after = len(serving.log.read_text())
    file.write_text(source, encoding="utf-8")
    serving.wait_for("serving on(?s:.*)woven in", after)


def test_a_port_that_is_taken(quiet):
    for port in (quiet.port, 99999):
        done = subprocess.run([sys.executable, ROOT / "docs" / "weave.py", "--serve", str(port)], capture_output=True,
                              text=True, check=False, timeout=60)  # fmt: skip
        assert done.returncode == 1
        assert f"cannot serve on port {port}" in done.stderr
        assert "Traceback" not in done.stderr


# Strangers


def test_pages_files_and_news(quiet):
    status, page = quiet.ask("/two/")
    assert (status, page.count("<script>(() =>") + page.count("// Asks the server")) == (200, 1)
    assert quiet.ask("/two")[0] == 301
    assert quiet.ask("/assets/weave.css")[0] == quiet.ask("/?a=b")[0] == 200
    assert quiet.ask("/nothing/")[0] == quiet.ask("/nothing.css")[0] == 404
    assert quiet.ask("/two/", "HEAD") == (200, "")
    assert json.loads(quiet.ask("/.news")[1])["message"] == ""


@pytest.mark.parametrize("path", ["/", "/two/", "/.news", "/assets/weave.css"])
def test_only_this_machine_is_answered(quiet, path):
    port = quiet.port
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        f"127.0.0.1:{port + 1}",
        f"localhost:{port}.x",
        "",
        None,
    ):
        for method in ("GET", "HEAD"):
            status, body = quiet.ask(path, method, Host=host)
            assert status == 403
            assert "quadruple" not in body and "edition" not in body
    assert quiet.ask(path, Host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "NONSENSE", "TRACE"])
def test_nothing_can_be_sent(quiet, method):
    for path in ("/", "/.news", "/microgpt.md"):
        assert 400 <= quiet.ask(path, method, b"x" * 9, **{"Content-Length": "9"})[0] <= 501


ODD_PATHS = [
    "/%00",
    "/two/%00/",
    "/" + "x" * 3000 + "/",
    "/" + "x" * 300,
    "/" + "x/" * 2000,
    "/../microgpt.md",
    "/..%2fmicrogpt.md",
    "/%2e%2e/microgpt.md",
    "//etc/passwd",
    "/two/../../../etc/passwd",
    "/\\..\\..",
    "/%ff%fe/",
    "/?" + "y" * 3000,
    "/%",
    "/~root/",
    "/.news/",
    "/two/index.html/",
    "*",
]


@pytest.mark.parametrize("path", ODD_PATHS)
def test_odd_paths_get_an_answer_and_nothing_else(quiet, path):
    status, body = quiet.ask(path)
    assert status in (200, 301, 400, 404, 414)
    assert "root:" not in body and "<<a-part>>" not in body and "Traceback" not in body
    assert quiet.ask("/")[0] == 200


NONSENSE = [b"\r\n\r\n", b"\x16\x03\x01" + bytes(99), b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70000,
            b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000 + b"\r\n"]  # fmt: skip


@pytest.mark.parametrize("sent", NONSENSE)
def test_nonsense_is_answered_or_closed(quiet, sent):
    connection = socket.create_connection(("127.0.0.1", quiet.port), timeout=20)
    with connection, contextlib.suppress(OSError):  # the server may have closed it already
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert b"quadruple" not in connection.recv(65536)
    assert quiet.ask("/")[0] == 200


@pytest.mark.slow
def test_idle_connections_are_closed_and_end_nothing(quiet):
    after = quiet.save(WRITTEN)
    idle = [socket.create_connection(("127.0.0.1", quiet.port), timeout=30) for _ in range(250)]
    try:
        quiet.save(WRITTEN.replace("A paragraph.", "Another paragraph.", 1))
        quiet.wait_for("woven in", after)
        for connection in idle:
            with contextlib.suppress(ConnectionError):
                assert connection.recv(9) == b""  # closed, at once or after ten seconds
        assert "Another paragraph." in quiet.ask("/two/")[1]
    finally:
        for connection in idle:
            connection.close()
    assert quiet.process.poll() is None
    assert "Traceback" not in quiet.log.read_text()


def test_many_tabs_wait_for_nobody(quiet):
    """Twenty tabs, each asking three times in a row, as their script does."""
    statuses, start = [], time.monotonic()

    def tab():
        statuses.extend(quiet.ask(path)[0] for path in ["/two/", *["/.news"] * 3])

    tabs = [threading.Thread(target=tab) for _ in range(20)]
    for thread in tabs:
        thread.start()
    for thread in tabs:
        thread.join()
    assert statuses == [200] * 80
    assert time.monotonic() - start < 5


# Following


def test_what_is_saved_is_noticed(tmp_path):
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "a.md").write_text("1")
    (tmp_path / "docs" / "deep" / "b").write_text("1")
    news = follow([tmp_path / "a.md", tmp_path / "docs"], interval=0)
    assert next(news) == set()
    (tmp_path / "a.md").write_text("22")
    assert next(news) == {tmp_path / "a.md"}
    (tmp_path / "docs" / "deep" / "b").replace(tmp_path / "docs" / "c")
    assert next(news) == {tmp_path / "docs" / "deep" / "b", tmp_path / "docs" / "c"}
    for name in (".c.swp", "c~", ".#c"):
        (tmp_path / "docs" / name).write_text("1")
    (tmp_path / "docs" / "__pycache__").mkdir()
    (tmp_path / "docs" / "__pycache__" / "c.pyc").write_text("1")
    assert next(news) == set()
    (tmp_path / "a.md").unlink()
    shutil.rmtree(tmp_path / "docs")
    assert next(news) == {tmp_path / "a.md", tmp_path / "docs" / "c"}
    assert next(news) == set()
    (tmp_path / "a.md").write_text("22")
    assert next(news) == {tmp_path / "a.md"}
