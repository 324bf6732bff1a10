"""Firefox as Debian has it, driven by its own protocol, Marionette; Playwright drives only one that it has patched."""

import contextlib
import json
import socket
import subprocess
import time
from pathlib import Path

PATIENCE = 90  # seconds for an answer


class Firefox:
    """A window without a screen. `profile` is an empty folder, where Firefox says at which port it listens."""

    def __init__(self, command, profile):
        (profile / "user.js").write_text('user_pref("marionette.port", 0);\n', encoding="utf-8")
        options = ["--headless", "--marionette", "--no-remote", "--profile", str(profile)]
        self.process = subprocess.Popen([command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.connection = socket.create_connection(("127.0.0.1", port_in(profile)), timeout=PATIENCE)
        self.stream = self.connection.makefile("rb")
        self.hear()  # it says first who it is
        self.count = 0
        self.tell("WebDriver:NewSession")
        self.tell("WebDriver:SetTimeouts", script=1000 * PATIENCE)

    def hear(self):
        """Return the next message: its length, a colon, and JSON."""
        length = b""
        while (byte := self.stream.read(1)) != b":":
            length += byte
            assert byte, "Firefox has ended"
        return json.loads(self.stream.read(int(length)))

    def tell(self, command, **parameters):
        """Give a command of WebDriver, and return its value; raise AssertionError with what Firefox complains of."""
        self.count += 1
        message = json.dumps([0, self.count, command, parameters]).encode()
        self.connection.sendall(str(len(message)).encode() + b":" + message)
        _, _, error, value = self.hear()
        assert not error, f"{command}: {error['message']}"
        return value.get("value") if isinstance(value, dict) and "value" in value else value

    def visit(self, address):
        """Open a page, and wait until it has loaded."""
        self.tell("WebDriver:Navigate", url=address)

    def script(self, code, *arguments):
        """Run the body of an async function of JavaScript in the page, and return what it returns."""
        wrapped = f"const done = arguments[arguments.length - 1]; (async (...given) => {{ {code} }})(...arguments)"
        wrapped += ".then((value) => done({ value }), (error) => done({ error: String(error) }))"
        answer = self.tell("WebDriver:ExecuteAsyncScript", script=wrapped, args=list(arguments))
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def find(self, selector):
        """Return the name by which Firefox knows an element."""
        return next(iter(self.tell("WebDriver:FindElement", using="css selector", value=selector).values()))

    def click(self, selector):
        """Click an element as a person does: it has to be in sight."""
        self.tell("WebDriver:ElementClick", id=self.find(selector))

    def type(self, selector, text):
        """Type into an element, at its end."""
        self.tell("WebDriver:ElementSendKeys", id=self.find(selector), text=text)

    def close(self):
        """End it."""
        with contextlib.suppress(OSError, AssertionError):
            self.tell("Marionette:Quit")
        self.connection.close()
        self.process.kill()
        self.process.wait()


def port_in(profile):
    """Return the port at which Firefox listens; it writes it into its profile."""
    for _ in range(10 * PATIENCE):
        with contextlib.suppress(OSError, ValueError):
            return int(Path(profile, "MarionetteActivePort").read_text(encoding="utf-8"))
        time.sleep(0.1)
    raise AssertionError("Firefox has not started")
