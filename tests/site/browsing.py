"""What several files of tests in a browser need: keys and widths, and changes for the page of a program."""

import base64
import json
import zlib

import pytest
from programs import TEXT
from weaver import pages, playground
from weaver.essay import Essay
from weaver.prose import Reading

WOVEN = Essay(TEXT, pages.RESERVED)
ANCHORS = Reading(WOVEN).anchors
needs_pyodide = pytest.mark.skipif(
    not playground.is_possible(), reason="Pyodide is not installed: .venv/bin/pip install --group browser"
)
LISTING = "programs/microgpt-py/"
SMALL = {"num_steps": "12", "n_embd": "8", "n_head": "2", "samples": "3"}
FLAGS = [word for name, value in SMALL.items() for word in (f"--{name}", value)]
ESCAPES = """
import ctypes, gc, importlib, socket, sys, urllib.request
from pyodide.ffi import JsProxy, to_js
host, port = {address!r}.split("/")[2].split(":")
proxies = [thing for one in gc.get_objects() for thing in gc.get_referents(one) if isinstance(thing, JsProxy)]
for number, way in enumerate([
    lambda: importlib.import_module("js").fetch({address!r}),
    lambda: importlib.import_module("pyodide_js")._api.config.jsglobals.fetch({address!r}),
    lambda: urllib.request.urlopen({address!r}, timeout=2),
    lambda: socket.create_connection((host, int(port)), 2).send(b"GET / HTTP/1.0\\r\\n\\r\\n"),
    lambda: importlib.import_module("pyodide.http").open_url({address!r}),
    lambda: importlib.import_module("pyodide.code").run_js("fetch('{address}')"),
    lambda: to_js([]).constructor.constructor("return fetch('{address}')")(),
    lambda: to_js([]).constructor.constructor("return import('{address}')")(),
    *(lambda proxy=proxy: proxy.fetch({address!r}) for proxy in proxies),
    lambda: ctypes.CDLL(None).emscripten_run_script(b"fetch('{address}')"),
]):
    print("way", number)
    try:
        way()
        print("it went through")
    except BaseException as error:
        print(type(error).__name__)
"""
FIRST = "def total(values): return functools.reduce(Value.__add__, values)"  # which runs on its own
WALL = """address => new Promise((done) => {
    const code = `fetch("${address}").then(() => postMessage("reached"), () => postMessage("refused"))`;
    new Worker(URL.createObjectURL(new Blob([code]))).onmessage = ({ data }) => done(data);
})"""


def chapter(anchor):
    """Return the path of the page that has a chunk, an experiment, a term or a heading: a chapter may be renamed."""
    return ANCHORS[anchor].path


def turn(page, width, scheme):
    """Give a page another width and colour scheme."""
    page.set_viewport_size({"width": width, "height": 900})
    name = "slate" if scheme == "dark" else "default"  # as the theme calls them
    page.evaluate("name => { document.body.dataset.mdColorScheme = name; }", name)


def press(control, *keys):
    """Press keys on a control, as somebody without a mouse does."""
    control.focus()
    for key in keys:
        control.page.keyboard.press(key)


def edit_of(key, line, *more):
    """A change as the page has it: some lines after a line that the code of a fence has once."""
    name, _, number = key.partition("#")
    fences = [fence for fence in WOVEN.fences if fence.name == name and fence.kind in ("root", "definition")]
    code = fences[int(number or 1) - 1].code
    assert code.count(line) == 1
    at = code.index(line) + 1
    return {"chunk": key, "was": "\n".join(code), "now": "\n".join([*code[:at], *more, *code[at:]])}


def linked(*edits):
    """What a link has after the # for changes."""
    packed = zlib.compress(json.dumps(edits).encode())
    return "#edits=" + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def escapes(address):
    """A change that tries all ways out."""
    return edit_of("tape#2", FIRST, *ESCAPES.format(address=address).split("\n"))
