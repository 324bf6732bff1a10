"""What several files of tests share and what takes long: the woven essay, its site, and the browser."""

import functools
import http.client
import http.server
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from urllib.parse import urljoin, urlsplit

import hypothesis
import pytest
from programs import BUILD, ROOT, copy_of_the_project

import tangle

hypothesis.settings.register_profile("suite", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("suite")

WEAVES = all(map(importlib.util.find_spec, ("mkdocs", "pweave")))


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    from weaver import film  # it takes a moment, and most tests need none

    if not film.chromium():
        pytest.skip("Chromium is not installed: apt-get install chromium, or another Chrome")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=film.chromium(), args=film.ARGUMENTS)
        yield browser
        browser.close()


class Weaving(http.server.ThreadingHTTPServer):
    """Serves the site of the essay; it is woven once for all processes that test, which takes most of a minute.

    It lives in the process that was started by hand: the others end one after the other. POST begins the weave, and GET
    waits until it is done.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), functools.partial(SiteHandler, directory=str(BUILD / "site")))
        self.lock, self.process, self.errors = threading.Lock(), None, None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        """The address of the site, for which it is built."""
        return f"http://127.0.0.1:{self.server_port}/"

    def begin(self):
        """Weave, if nobody has begun to."""
        with self.lock:
            self.process = self.process or subprocess.Popen(
                [sys.executable, ROOT / "docs" / "weave.py"], stderr=subprocess.PIPE, text=True,
                env={**os.environ, "SITE_URL": self.address},
            )  # fmt: skip

    def wait(self):
        """Wait for the weave, and return what is wrong; nothing, if it is well."""
        self.begin()
        with self.lock:
            if self.errors is None:
                errors = self.process.communicate()[1]
                self.errors = errors or "the weave has failed" if self.process.returncode else ""
        return self.errors

    def handle_error(self, *_):
        """Say nothing of a browser that leaves while it loads."""

    def end(self):
        """Leave no weave behind."""
        self.shutdown()
        self.server_close()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


class SiteHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def do_POST(self):
        self.server.begin()
        self.send_response(204)
        self.end_headers()

    def do_GET(self):
        if errors := self.server.wait():
            self.send_response(503)
            self.end_headers()
            self.wfile.write(errors.encode())
        else:
            super().do_GET()

    def log_message(self, *arguments):
        pass


def ask(method, address):
    """Send a request, without any proxy; return the status of the answer, and its text."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    connection.request(method, "/")
    response = connection.getresponse()
    return response.status, response.read().decode()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Use all cores if pytest-xdist is there and -n says nothing else; named files start sooner in one process.

    worksteal keeps neighbours, which share what takes long, in one process, and leaves no core idle at the end.
    """
    option = config.option
    is_one = hasattr(config, "workerinput") or option.usepdb or any(".py" in name for name in option.file_or_dir)
    if getattr(option, "numprocesses", 0) is None and not is_one:
        option.numprocesses, option.dist = os.cpu_count() or 1, "worksteal"


def pytest_configure(config):
    """Serve the site in the first process; xdist's others are told where."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would theirs
    config.weaving = None if hasattr(config, "workerinput") else Weaving()
    config.site = config.weaving.address if config.weaving else config.workerinput["site"]


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_configure_node(node):
    """Tell a process of xdist where the site is."""
    node.workerinput["site"] = node.config.site


def pytest_collection_finish(session):
    """Begin to weave where a test will need the site: until then others run."""
    wanted = any({"site", "results"} & {*getattr(item, "fixturenames", ())} for item in session.items)
    session.config.weaves = wanted and WEAVES and not session.config.option.collectonly
    if session.config.weaves:
        ask("POST", session.config.site)


def pytest_unconfigure(config):
    """End the server."""
    if weaving := getattr(config, "weaving", None):
        weaving.end()


@pytest.fixture(scope="session")
def site(pytestconfig):
    """Wait until the essay is woven and its site built; return the address where it is served."""
    if not WEAVES:
        pytest.skip("mkdocs or Pweave is not installed")
    status, text = ask("GET", pytestconfig.site)
    assert status == 200, text
    return pytestconfig.site


@pytest.fixture
def tab(browser, site):
    """Return a function that opens a page: tab(path, width, scheme, …) -> Playwright page, which must not complain."""
    contexts, complaints = [], []

    def open_page(path, width=1440, scheme="light", height=900, **options):
        options = {"bypass_csp": True} | options  # or Playwright could not wait for what it evaluates
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        own = (site, "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(own) or complaints.append(request.url))
        page.goto(urljoin(site, path))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def stranger():
    """Another server: its address, and what it is asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def axe():
    """Return a function that says what axe finds on an open page: axe(page, …) -> [(rule, element), …]."""
    checker = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()

    def violations(page, context=None, **options):
        answer = checker.run(page, context=context, options={"resultTypes": ["violations"], **options}).response
        return [(rule["id"], node["html"][:120]) for rule in answer["violations"] for node in rule["nodes"][:3]]

    return violations


@pytest.fixture(scope="session")
def results(request):
    """Wait for the weave, if there is one: then build/cache holds the results of all demonstrations."""
    if request.config.weaves:
        request.getfixturevalue("site")


@pytest.fixture(scope="session")
def copy(tmp_path_factory, results):
    """A copy of the project, with the results that are known, and this virtual environment as its own."""
    if sys.prefix == sys.base_prefix:
        pytest.skip("the tests do not run in a virtual environment")
    folder = copy_of_the_project(tmp_path_factory.mktemp("copy"))
    (folder / ".venv").symlink_to(sys.prefix)
    if (BUILD / "cache").is_dir():
        shutil.copytree(BUILD / "cache", folder / "build" / "cache")
    return folder


class Folder:
    """A folder with an essay, in which the tangler is called."""

    def __init__(self, path, capsys, monkeypatch):
        self.path, self.essay, self.build = path, path / "essay.md", path / "build"
        self.capsys, self.monkeypatch = capsys, monkeypatch
        monkeypatch.chdir(path)

    def write(self, text):
        """Write the essay."""
        self.essay.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        return self

    def call(self, *arguments, essay="essay.md"):
        """Call the tangler; return its exit status, what it prints, and what it says on stderr."""
        self.monkeypatch.setattr(sys, "argv", ["tangle.py", essay, *arguments])
        self.capsys.readouterr()
        try:
            status = tangle.main()
        except SystemExit as end:
            status = end.code
        return status, *self.capsys.readouterr()


@pytest.fixture
def folder(tmp_path, capsys, monkeypatch):
    """Return an empty folder in which the tangler can be called."""
    return Folder(tmp_path, capsys, monkeypatch)
