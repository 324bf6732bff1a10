"""Serve: show the site while the essay is being written, and follow what is saved.

    python docs/weave.py --serve [PORT]

After a save the programs are tangled and the pages woven with the results that are known, which takes a second or two,
and the browser loads them again where it was. What has to run then runs in a process of its own, which the next save
ends; when it is done, the pages are woven once more. Errors go to the terminal and to the foot of the page, and the
last good page stays.
"""

import contextlib
import functools
import io
import json
import logging
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

import weave
from follow import follow

import tangle

FOLLOWED = (weave.ESSAY, weave.ROOT / "tangle.py", weave.ROOT / "mkdocs.yml", weave.ROOT / "docs")
SCRIPT = Path(__file__).with_name("serve.js")
NO_PAGE = "<!DOCTYPE html><html lang='en'><title>No page</title><body><p>There is no such page yet.</p></body></html>"


class State:
    """What the browsers are to show: the folder of the site, the edition that it is, and a message."""

    def __init__(self, site):
        self.site, self.edition, self.message = site, 0, ""
        self.changed = threading.Condition()

    def set(self, **values):
        """Change some of it, and tell the browsers."""
        with self.changed:
            vars(self).update(values)
            self.changed.notify_all()

    def news(self, edition, message):
        """Return edition and message as a dict, as soon as they are not those given, or after 20 seconds."""
        with self.changed:
            self.changed.wait_for(lambda: (self.edition, self.message) != (edition, message), 20)
            return {"edition": self.edition, "message": self.message}


class Handler(SimpleHTTPRequestHandler):
    """Serve the site, with a script in each page that asks for news by a POST; the answer comes when there are some."""

    def __init__(self, *arguments, state):
        self.state = state
        super().__init__(*arguments, directory=str(state.site))

    def do_POST(self):
        known = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(json.dumps(self.state.news(**known)), "application/json")

    def do_GET(self):
        edition = str(self.state.edition)
        file = Path(self.translate_path(self.path))
        if not self.path.split("?")[0].endswith("/") and (file.exists() or file.suffix):
            return super().do_GET()
        page = (file / "index.html").read_text(encoding="utf-8") if (file / "index.html").is_file() else NO_PAGE
        script = SCRIPT.read_text(encoding="utf-8").replace("EDITION", f'"{edition}"')
        return self.answer(page.replace("</body>", f"<script>{script}</script></body>"), "text/html; charset=utf-8",
                           404 if page is NO_PAGE else 200)  # fmt: skip

    def answer(self, text, kind, status=200):
        """Send a text of that media type."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the browser has left the page
            self.wfile.write(body)

    def end_headers(self):
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *arguments):
        pass


class Runner:
    """The process that runs demonstrations, and puts the results into the cache; there is at most one."""

    def __init__(self):
        self.process = None

    def start(self):
        """Begin, in a session of its own: Ctrl-C reaches only us, and we end it."""
        self.complaints = []
        self.process = subprocess.Popen(
            [sys.executable, weave.__file__, "--pages"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        self.reader = threading.Thread(target=self.read, args=(self.process.stderr,), daemon=True)
        self.reader.start()

    def read(self, stderr):
        """Pass on what the process says, and keep what it complains of."""
        for line in stderr:
            weave.say(line.rstrip())
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


def build(folder):
    """Let mkdocs build the site from build/pages into a folder; raise RuntimeError with its complaints."""
    from mkdocs.commands.build import build as build_site
    from mkdocs.config import load_config

    logger, log = logging.getLogger("mkdocs"), io.StringIO()
    logger.handlers, logger.propagate = [logging.StreamHandler(log)], False
    try:
        build_site(load_config(str(weave.ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    except (Exception, SystemExit) as error:  # mkdocs raises SystemExit after a warning
        raise RuntimeError(f"mkdocs: {log.getvalue().strip() or error}") from None


def update(state, folders, results):
    """Tangle, weave and build after a save; return (results, names of what has to run). `state` says how it went."""
    start, message, missing = time.monotonic(), "", []
    try:
        with contextlib.redirect_stdout(sys.stderr):
            if tangle.update(weave.ESSAY):
                raise RuntimeError("a program in build/ was edited by hand: see the terminal")
        results, missing, wrong = weave.preview(results)
        message = weave.complaints(weave.WeaveError(wrong)) if wrong else ""
        folder = next(folder for folder in folders if folder != state.site)
        build(folder)
        state.set(site=folder, edition=str(time.time_ns()))
        weave.say(f"woven in {time.monotonic() - start:.1f} s")
    except tangle.TangleError as error:
        message = weave.complaints(error)
    except (RuntimeError, OSError) as error:
        message = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else str(error)
    except Exception as error:  # a fault of the weaver, which may be what is being edited
        message = f"the weaver failed: {error!r}\n{traceback.format_exc()}"
    if message:
        weave.say(message)
    if missing:
        names = [name for name in missing if not name.startswith("number-")] + ["numbers in the prose"]
        message += f"\nrunning {', '.join(names)}: their results on the page are still those from before"
    state.set(message=message.strip())
    return results, missing


def broken(files):
    """Return what is wrong with the syntax of some Python files, or nothing."""
    for file in files:
        try:
            compile(file.read_text(encoding="utf-8"), file.name, "exec")
        except (SyntaxError, ValueError) as error:
            return f"{file.name}: {error}"
    return ""


def serve(port):
    """Serve the site until Ctrl-C; return the exit status."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)  # as Ctrl-C
    with tempfile.TemporaryDirectory(prefix="microgpt-") as temporary:
        folders = [Path(temporary) / name for name in ("a", "b")]
        state, runner, results, restart = State(folders[0]), Runner(), None, False
        try:
            server = ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, state=state))
        except (OSError, OverflowError) as error:
            weave.say(f"weave.py: cannot serve on port {port} ({error}): try another one, as in --serve 8001")
            return 1
        os.environ["SITE_URL"] = f"http://127.0.0.1:{server.server_port}/"
        weave.say(f"serving on {os.environ['SITE_URL']} and following what is saved; Ctrl-C ends it")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            for changed in follow(FOLLOWED):
                if program := [file for file in changed if file.suffix == ".py" and file.exists()]:
                    if problem := broken(program):
                        weave.say(problem)
                        state.set(message=problem)
                        continue
                    restart = True
                    break
                outcome = runner.outcome()
                if changed or results is None or outcome is not None:
                    runner.stop()
                    results, missing = update(state, folders, results or {})
                    if missing and (changed or outcome is None):
                        runner.start()
                    elif missing:
                        state.set(message=outcome)  # what is missing has just failed
        except KeyboardInterrupt:
            return 130
        finally:
            runner.stop()
            server.shutdown()
            server.server_close()
    if restart:  # the weaver itself was edited
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606
    return 0
