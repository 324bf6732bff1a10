"""Serve: show the site while the essay is being written, and follow what is saved.

After a save the programs are tangled and the pages woven with the results that are known, which takes some seconds, and
the browser loads them again where it was. What has to run then runs in a process of its own, which the next save ends;
when it is done, the pages are woven once more. Errors go to the terminal and to the foot of the page, and the last good
page stays. The server answers only to the browser of this machine, asking for this machine.
"""

import contextlib
import functools
import io
import json
import os
import signal
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
from weaver.follow import follow
from weaver.site import SiteError, build_site
from weaver.weave import Weave, complaints, say, shown

SCRIPT = Path(__file__).with_name("serve.js")
NO_PAGE = "<!DOCTYPE html><html lang='en'><title>No page</title><body><p>There is no such page yet.</p></body></html>"
IMPORTED = "import sys; sys.path[:0] = {!r}; import weaver.kernel, weaver.serve, weave"


class Server(ThreadingHTTPServer):
    """Serves many tabs at a time."""

    daemon_threads = True
    request_queue_size = 128  # what comes while a page is woven waits here

    def handle_error(self, request, client_address):
        """Say nothing of browsers that leave."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(SimpleHTTPRequestHandler):
    """Serves the site, with a script in each page that asks for news."""

    def __init__(self, *arguments, preview):
        self.preview = preview
        super().__init__(*arguments, directory=str(preview.site))

    def send_head(self):
        """Begin an answer, and return what follows it: news, a page, or a file."""
        host, own = self.headers.get("Host", ""), f"http://127.0.0.1:{self.server.server_port}/"
        if host.partition(":")[0] not in ("127.0.0.1", "localhost"):  # the port may be that of a tunnel
            problem = f"the preview answers to localhost and 127.0.0.1, not to {host!a}: ask for {own}"
            say(f"weave.py: {problem}")
            self.send_error(403, explain=problem)
            return None
        if self.path == "/.news":
            news = {"edition": self.preview.edition, "message": self.preview.message}
            return self.answer(json.dumps(news), "application/json")
        path, file = self.path.split("?")[0], Path(self.translate_path(self.path))
        if not path.endswith("/") and "\\" not in path and (file.exists() or file.suffix):
            return super().send_head()
        found = (file / "index.html").is_file()
        page = (file / "index.html").read_text(encoding="utf-8") if found else NO_PAGE
        script = SCRIPT.read_text(encoding="utf-8").replace("EDITION", json.dumps(self.preview.edition))
        text = page.replace("</body>", f"<script>{script}</script></body>")
        return self.answer(text, "text/html; charset=utf-8", 200 if found else 404)

    def answer(self, text, kind, status=200):
        """Begin an answer with a text of that media type, and return the text as a file."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return io.BytesIO(body)

    def end_headers(self):
        """Let nothing be stored: the next edition comes soon."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *arguments):
        """Say nothing."""


class Runner:
    """The process that runs demonstrations, and puts the results into the cache; there is at most one."""

    def __init__(self, command):
        self.command, self.process = command, None

    def start(self):
        """Begin, in a session of its own: Ctrl-C reaches only us, and we end it."""
        self.complaints = []
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        self.process = subprocess.Popen(self.command, env=environment, encoding="utf-8", start_new_session=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)  # fmt: skip
        self.reader = threading.Thread(target=self.read, args=(self.process.stderr,), daemon=True)
        self.reader.start()

    def read(self, stderr):
        """Pass on what the process says, and keep what it complains of."""
        for line in stderr:
            say(line.rstrip())
            if not line.startswith("running "):
                self.complaints.append(line)

    def stop(self):
        """End the process, if there is one."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def outcome(self):
        """Return None without a process or while it runs, else, only once, its complaints, or an empty text."""
        if not self.process or self.process.poll() is None:
            return None
        self.reader.join(5)
        status, self.process = self.process.returncode, None
        return "".join(self.complaints).strip() or "the weave failed" if status else ""


class Preview:
    """Weaves the site of a folder after each save, into one of two folders by turns.

    The browsers are shown the folder `site`, which edition of it that is, and a message.
    """

    def __init__(self, root, temporary):
        self.root, self.folders = root, [temporary / "a", temporary / "b"]
        self.site, self.edition, self.message = self.folders[0], "0", ""
        self.results, self.missing = {}, []
        self.built = {}  # {folder: the settings of the site that all of its pages were built with}

    def update(self, changed=()):
        """Tangle, weave and build after a save; `message` says how it went, `missing` what has to run."""
        start, message, self.missing = time.monotonic(), "", []
        if {*changed} - {self.root / "microgpt.md"}:
            self.built.clear()  # what is on every page may have changed
        try:
            with contextlib.redirect_stdout(sys.stderr):
                if tangle.write_programs(Path(shown(self.root / "microgpt.md"))):
                    raise SiteError("a program in build/ was edited by hand: see the terminal")
            weave = Weave(self.root)
            folder = next(folder for folder in self.folders if folder != self.site)
            with tangle.locked(self.root / "docs"):
                self.results = weave.write_pages(self.results)
                self.missing = weave.outcome.missing
                message = complaints(WeaveError(sorted(weave.complaints)))
                settings = (self.root / "build" / "mkdocs.yml").read_bytes()
                build_site(self.root / "build", folder, only_changed=self.built.pop(folder, None) == settings)
                self.built[folder] = settings
            self.site, self.edition = folder, str(time.time_ns())
            say(f"woven in {time.monotonic() - start:.1f} s")
        except (tangle.TangleError, SiteError, OSError) as error:
            message = complaints(error)
        except Exception as error:  # a fault of the weaver, which may be what is being edited
            message = f"the weaver failed: {error!r}\n{traceback.format_exc()}"
        if message:
            say(message)
        if self.missing:
            names = [item.fence.name for session in self.missing for item in session.items if item.fence]
            names = ", ".join([*names, "numbers in the prose"])
            message += f"\nrunning {names}: their results on the page are still those from before"
        self.message = message.strip()


def broken(root):
    """Return what is wrong with the weaver, if it cannot be imported any more."""
    command = [sys.executable, "-c", IMPORTED.format([str(root), str(root / "docs")])]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, encoding="utf-8", check=False)
    return done.stderr.strip() if done.returncode else ""


def serve(root, port):
    """Serve the site of a folder until Ctrl-C; return the exit status."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)  # as Ctrl-C
    with tempfile.TemporaryDirectory(prefix="microgpt-") as temporary:
        preview = Preview(root, Path(temporary))
        try:
            server = Server(("127.0.0.1", port), functools.partial(Handler, preview=preview))
        except (OSError, OverflowError) as error:
            say(f"weave.py: cannot serve on port {port} ({error}): try another one, as in --serve 8001")
            return 1
        os.environ["SITE_URL"] = f"http://127.0.0.1:{server.server_port}/"
        say(f"serving on {os.environ['SITE_URL']} and following what is saved; Ctrl-C ends it")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        runner = Runner([sys.executable, str(root / "docs" / "weave.py"), "--run"])
        try:
            follow_saves(preview, runner)
        except KeyboardInterrupt:
            return 130  # as Ctrl-C ends a program
        finally:
            runner.stop()
            server.shutdown()
            server.server_close()
    return os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 (the weaver itself was edited)


def follow_saves(preview, runner):
    """Keep the preview up to date; return when the weaver itself was saved, and can be imported."""
    root = preview.root
    first = True
    for changed in follow([root / name for name in ("microgpt.md", "tangle.py", "mkdocs.yml", "docs")]):
        if any(file.suffix == ".py" for file in changed):
            problem = broken(root)
            if not problem:
                return
            say(problem)
            preview.message = problem
            continue
        outcome = runner.outcome()
        if changed or first or outcome is not None:
            runner.stop()
            preview.update(changed)
            if preview.missing and outcome and not changed:
                preview.message = outcome  # what is missing has just failed
            elif preview.missing:
                runner.start()
        first = False
