"""The commands of README.md and docs/tools.md that go on until Ctrl-C."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from commands import ENDLESS, start
from programs import ROOT

import tangle

pytestmark = pytest.mark.nightly


@pytest.fixture
def port():
    """Have port 8000 for a test alone: another may need it in another process of pytest-xdist."""
    with tangle.locked(ROOT / "tests"):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 8000)) == 0:
                pytest.skip("something else is served on port 8000")
        yield


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent differently there")
@pytest.mark.parametrize("command", ENDLESS)
def test_a_command_that_goes_on_until_ctrl_c(copy, command, request):
    if "weave" in command:
        pytest.importorskip("pweave", reason="Pweave is not installed")
        request.getfixturevalue("port")
    log, end = copy / "log", time.monotonic() + 240
    with log.open("wb") as output:
        process = start(command, copy, stdout=output)
    try:
        while not re.search(ENDLESS[command], log.read_text(encoding="utf-8")):
            assert time.monotonic() < end, log.read_text(encoding="utf-8")
            assert process.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
