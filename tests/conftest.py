"""What several files of tests share and what takes long: the woven essay, its site, and the browser."""

import functools
import http.server
import importlib.util
import os
import shutil
import subprocess
import sys
import threading

import hypothesis
import pytest
from programs import BUILD, ROOT

hypothesis.settings.register_profile("suite", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("suite")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *arguments):
        pass


class Weaving:
    """The weave of the essay, for the address at which its site will be served: it takes most of a minute."""

    def __init__(self):
        handler = functools.partial(QuietHandler, directory=str(BUILD / "site"))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/"
        self.process = subprocess.Popen([sys.executable, ROOT / "docs" / "weave.py"], stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, "SITE_URL": self.address})  # fmt: skip


def pytest_collection_finish(session):
    """Begin to weave where a test will need the site: until then others run on the other core."""
    wanted = any("site" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and all(map(importlib.util.find_spec, ("mkdocs", "pweave"))) and not session.config.option.collectonly:
        session.config.weaving = Weaving()


def pytest_sessionfinish(session):
    """Leave no weave behind."""
    weaving = getattr(session.config, "weaving", None)
    if weaving and weaving.process.poll() is None:
        weaving.process.terminate()
        weaving.process.wait()


@pytest.fixture(scope="session")
def site(pytestconfig):
    """Weave the essay, build the site and serve it at the address that it was built for; return that address."""
    weaving = getattr(pytestconfig, "weaving", None)
    if weaving is None:
        pytest.skip("mkdocs or Pweave is not installed")
    _, errors = weaving.process.communicate()
    assert weaving.process.returncode == 0, errors
    threading.Thread(target=weaving.server.serve_forever, daemon=True).start()
    yield weaving.address
    weaving.server.shutdown()
