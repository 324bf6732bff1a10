"""What several files of tests share and what takes long: the woven essay, its site, and the browser."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading

import pytest
from programs import BUILD, ROOT

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


@pytest.fixture(scope="session")
def site():
    """Weave the essay, build the site and serve it at the address that it was built for; return that address."""
    for library in ("mkdocs", "pweave"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    handler = functools.partial(QuietHandler, directory=str(BUILD / "site"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    address = f"http://127.0.0.1:{server.server_port}/"
    done = subprocess.run([sys.executable, ROOT / "docs" / "weave.py"], capture_output=True, text=True, check=False,
                          env={**os.environ, "SITE_URL": address})  # fmt: skip
    assert done.returncode == 0, done.stderr
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield address
    server.shutdown()
