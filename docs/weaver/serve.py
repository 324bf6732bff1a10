"""Serve: show the site while the essay is being written, and reload it after every save.

After a save the programs are tangled and the pages woven with all known results, and the browser reloads them where it
was. Stale demonstrations then run in a process of their own, which the next save ends; when it is done, the pages are
woven once more. Errors go to the terminal and to the foot of the page, and the last good page stays. The server answers
only to browsers on this machine.
"""

import contextlib
import functools
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import tangle
from weaver.essay import WeaveError
from weaver.pipeline import begin, complaints, say
from weaver.website import SiteError, build_site

FOLLOWED = ("microgpt.md", "tangle.py", "mkdocs.yml", "docs")
SCRIPT = Path(__file__).with_name("serve.js")
NO_PAGE = "<!DOCTYPE html><html lang='en'><title>Not found</title><body><p>There is no such page yet.</p></body></html>"


class Handler(SimpleHTTPRequestHandler):
    """Serves the site, with a script in each page that asks for news."""

    def __init__(self, *arguments, preview):
        self.preview = preview
        super().__init__(*arguments, directory=str(preview.site))

    def send_head(self):
        """Begin an answer, and return what follows it: news, a page, or a file."""
        host, path = self.headers.get("Host", ""), self.path.partition("?")[0]
        if host.partition(":")[0] not in ("127.0.0.1", "localhost"):  # the port may be that of a tunnel
            return self.send_error(403, explain=f"the preview answers to 127.0.0.1 and localhost, not to {host!a}")
        if path == "/.news":
            news = {"edition": self.preview.edition, "message": self.preview.message}
            return self.answer(json.dumps(news), "application/json")
        if not path.endswith("/"):
            return super().send_head()
        file = Path(self.translate_path(path), "index.html")
        with self.preview.building:
            page = file.read_text(encoding="utf-8") if file.is_file() else NO_PAGE
        script = SCRIPT.read_text(encoding="utf-8").replace("EDITION", json.dumps(self.preview.edition))
        text = page.replace("</body>", f"<script>{script}</script></body>")
        return self.answer(text, "text/html; charset=utf-8", 404 if page == NO_PAGE else 200)

    def answer(self, text, kind, status=200):
        """Begin an answer with a text of that media type, and return the text as a file."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        return io.BytesIO(text.encode())

    def end_headers(self):
        """Let nothing be stored: the next edition comes soon."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *arguments):
        """Say nothing."""


class Preview:
    """Weaves the site into a folder after each save. Browsers are told the edition of it, and a message."""

    def __init__(self, root, site):
        self.root, self.site, self.edition, self.message = root, site, "", ""
        self.results, self.settings = {}, b""  # what is shown, and the settings that all pages were built with
        self.building = threading.Lock()  # no page is shown while some are away

    def update(self, changed):
        """Tangle, weave and build after a save; `message` says how it went. Return whether something has to run."""
        start, message, missing = time.monotonic(), "", []
        if changed - {self.root / "microgpt.md"}:
            self.settings = b""  # what is on every page may have changed
        try:
            woven = begin(self.root)
            with tangle.locked(self.root / "docs"):
                self.results = woven.write_pages(self.results)
                missing = woven.outcome.missing
                message = complaints(WeaveError(woven.complaints()))
                settings = (woven.build / "mkdocs.yml").read_bytes()
                with self.building:
                    build_site(woven.build, self.site, only_changed=settings == self.settings)
            self.settings, self.edition = settings, str(time.time_ns())
            say(f"woven in {time.monotonic() - start:.1f} s")
        except (tangle.TangleError, SiteError, OSError) as error:
            message = complaints(error)
        except Exception as error:  # a fault of the weaver, which may be what is being edited
            message = f"the weaver failed: {error!r}\n{traceback.format_exc()}"
        if missing:
            names = [item.fence.name for session in missing for item in session.items if item.fence]
            names = ", ".join([*names, "numbers in the prose"])
            message += f"\nrunning {names}: the page still shows their previous results"
        self.tell(message)
        return bool(missing)

    def tell(self, message):
        """Show a message at the foot of the page and in the terminal, if there is one."""
        self.message = message.strip()
        if self.message:
            say(self.message)


def serve(root, port):
    """Serve the site of a folder until Ctrl-C; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="microgpt-") as temporary:
        preview = Preview(root, Path(temporary, "site"))
        try:
            server = ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, preview=preview))
        except (OSError, OverflowError) as error:
            say(f"weave.py: cannot serve on port {port} ({error}): try another one, as in --serve 8001")
            return 1
        os.environ["SITE_URL"] = f"http://127.0.0.1:{server.server_port}/"
        say(f"serving on {os.environ['SITE_URL']} and following every save; press Ctrl-C to stop")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            keep_up(preview, Path(temporary, "log"))
        except KeyboardInterrupt:
            return 130  # as Ctrl-C ends a program
        finally:
            server.shutdown()
    return os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 (the weaver itself was edited)


def keep_up(preview, log):
    """Keep the preview up to date; return when the weaver itself was saved."""
    run = None
    try:
        for number, changed in enumerate(follow([preview.root / name for name in FOLLOWED])):
            if any(file.suffix == ".py" for file in changed):
                return
            is_done = run and run.poll() is not None
            if changed or is_done or number == 0:
                end(run)
                has_failed = is_done and run.returncode and not changed
                is_missing, run = preview.update(changed), None
                if has_failed:
                    preview.tell(log.read_text())
                elif is_missing:
                    run = run_missing(preview.root, log)
    finally:
        end(run)


def run_missing(root, log):
    """Start a process that puts the results that are missing into the cache; what it says goes to a file."""
    with log.open("w") as file:
        return subprocess.Popen([sys.executable, str(root / "docs" / "weave.py"), "--run"], stdin=subprocess.DEVNULL,
                                stdout=file, stderr=file, start_new_session=True)  # Ctrl-C reaches only us  # fmt: skip


def end(run):
    """End a process, if there is one."""
    if run:
        run.terminate()
        run.wait()


def follow(paths):
    """Yield several times a second the set of files below some paths that were saved, added or removed."""
    before = None
    while True:
        now = {}
        for file in [file for path in paths for file in (path, *path.rglob("*"))]:
            with contextlib.suppress(OSError):  # it has just been removed
                if file.is_file() and "__pycache__" not in file.parts and file.name[0] != "." and file.name[-1] != "~":
                    now[file] = file.stat().st_mtime_ns
        before = now if before is None else before
        yield {file for file in before.keys() | now.keys() if before.get(file) != now.get(file)}
        before = now
        time.sleep(0.1)
