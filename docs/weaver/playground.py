"""Running and editing a program on its page: what the page needs to know, and the files that it fetches.

Python for the browser is Pyodide, CPython compiled to WebAssembly; code is edited in prism-code-editor. Both come from
packages of the registry that carry them (`pip install --group browser`); without these, pages only show the programs.
"""

import ast
import contextlib
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import NamedTuple

import tangle
from weaver import trials

FORMER = "run/"  # where earlier editions had all of this
SHARED = ("elements.js", "engine.js", "losses.js", "machine-list.js", "widgets.js")  # an edition has its own
LOCK = {  # the fifth file: which packages there are (none are needed), and for what they are made
    "info": {"abi_version": "2026_0", "arch": "wasm32", "platform": "emscripten_5_0_3", "python": "3.14.2"},
    "packages": {},
}


class Carrier(NamedTuple):
    """A package of the registry that carries files for the browser: its name, their folder in it, and their SHA-256."""

    package: str
    folder: str
    sums: dict[str, str]


PYODIDE = Carrier("flet_web", "web/pyodide", {  # 314.0.7
    "pyodide.mjs": "6f1d60f7bf529beb300f0f47983c921d3982363640ba20af0e38efdddbc66109",
    "pyodide.asm.mjs": "f7cdc8ece80678ceb712f8e65ebe6d3a83203a180c399865f49612a051693635",
    "pyodide.asm.wasm": "cc36e3cab04fdfc9a63ff13eb52eae2b911bf46c025cc7b281f394bd3de1d5e6",
    "python_stdlib.zip": "fa1957e5777068fc4f7437f96d860ae2fbe9c19732ba06c84e004ec16dd7dd7a",
})  # fmt: skip
EDITOR = Carrier("shiny", "www/shared/prism-code-editor", {  # what its core needs for Markdown and Python
    "extensions/commands.js": "d64fe6479c1e54be38fa20967592977e17d25079ebbd55dba94cb937b48fefff",
    "index-BZh6eCR8.js": "b08b091c4b247d2da957f9374b8f641cd8a95aaaf41535a09e7bd3b9e6db32cd",
    "index-C1_GGQ8y.js": "163f55fd176f20c2a701632eaedd5f65a3920e010622a365cfdf867d5b9012ca",
    "index-CKRNGLIi.js": "e185deb3638fd38735b77a7215f7e05b90bcde830da2c8eeb62658f7d3d18ee4",
    "index-DYIRSLx1.js": "dc496438fe8e45fbbfed8870a76a1ce6465addf821a8dae5f3bc63b7312232fa",
    "index.js": "931496e9fb13f64fed94be03ec0a3334b200b035f06e8646c4f2cea67fd32627",
    "jsx-shared-Dd7t2otl.js": "d399c4805ed465658827749e5e0b34d00b2db8370e94dddc5e409d146a18feeb",
    "language-gdIi4UL0.js": "d523599ad931f435f410aae2ffcbcbce5fbc612b732e9d2a65f9994e360549fc",
    "languages/python.js": "d8e05998e9257adfb8ab6e73294ce00816bbbe46cb18bb001a91448017966813",
    "layout.css": "47dafdd6a5881dfec14c86c4228409260b11d9c43febe08fb4fd39004e89cece",
    "patterns-Cp3h1ylA.js": "0b11a49f3ef25b27ef8c397b4a60907caf0090d9efee70fbfc504b49d135bc32",
    "prism/languages/markdown.js": "702ecd62c342100656c871f8ee8a58e88d4558c403f6027f25c70bce6faaeb81",
    "prism/languages/markup.js": "a44a018d4257743e943d5d445997fda7e90534a5485c0b8151879178174820f2",
    "prism/languages/python.js": "5685d2d7d64aaeba27336ab59e5ecf4c46f7464e432e1f19ddc43e8e66f93f27",
    "prism/languages/xml.js": "4ae7ed2c3ddc66647fab059ea7829069943f56ca4f378dec8c74eeebe64f208a",
    "shared-Sq5P6lf6.js": "dc14de0412f318b841962f3f528a329596ada63bf335f55215a7f9cc9141d7e4",
    "xml-shared-D4vCmq1i.js": "cec0736401b540809106f4ec476ac26013c596fb65acf65a2272939afb9c7844",
})  # fmt: skip
CARRIED = {"pyodide": PYODIDE, "prism-code-editor": EDITOR}  # by their folders on the site


class OtherFilesError(OSError):
    """A package that is installed carries other files than this site is tested with."""


def is_possible():
    """Return whether all that the page needs is installed."""
    return all(importlib.util.find_spec(carrier.package) for carrier in CARRIED.values())


def carried():
    """Return {path below assets/: bytes} of what packages carry, {} where one is missing; raise OtherFilesError."""
    if not is_possible():
        return {}
    found = {"pyodide/pyodide-lock.json": json.dumps(LOCK).encode()}
    for name, (package, inside, sums) in CARRIED.items():
        folder = Path(importlib.util.find_spec(package).submodule_search_locations[0], inside)
        for file, expected in sums.items():
            data = (folder / file).read_bytes() if (folder / file).is_file() else b""
            if hashlib.sha256(data).hexdigest() != expected:
                raise OtherFilesError(f"{file} of package {package} is another version: pip install --group browser")
            found[f"{name}/{file}"] = data
    return found


def files(essay, data, docs):
    """Return the folder of what a page fetches, and {path: bytes}; `data` are files of demonstrations.

    The folder is named after its content: what a browser has kept of another edition is never mixed with this one.
    """
    found = carried()
    if not found:
        return "", {}
    texts = [name for name in data if name == trials.NAMES]  # which programs read if they are given no other
    known = {"fences": fences(essay), "experiments": experiments(essay), "data": texts}
    assets = [docs / "assets" / name for name in SHARED] + [
        path for path in sorted((docs / "assets" / "bench").iterdir()) if path.suffix in (".js", ".py", ".txt")
    ]
    edition = {path.relative_to(docs / "assets").as_posix(): path.read_bytes() for path in assets}
    edition["known.json"] = json.dumps(known, ensure_ascii=False).encode()
    edition |= {"essay.txt": essay.text.encode(), "tangle.txt": (docs.parent / "tangle.py").read_bytes()}
    edition |= {path: content for path, content in found.items() if not path.startswith("pyodide/")}
    digest = hashlib.sha256()
    for path, content in edition.items():
        digest.update(f"{path} {len(content)} ".encode() + content)
    folder = f"bench-{digest.hexdigest()[:10]}/"
    python = {f"assets/{path}": content for path, content in found.items() if path.startswith("pyodide/")}
    return folder, python | {folder + path: content for path, content in edition.items()}


def fences(essay):
    """Return {key: what is known of a fence that can be edited}: its title and its lines, those of its code counted
    from 0.
    """
    found = {}
    for block in essay.blocks.values():
        title = block.title + f" ({block.number})" * (block.number > 1)
        found[key_of(block)] = {"title": title, "first": block.fence.line, "end": block.fence.end - 1}
    return found


def ways(fences, chunks, way=()):
    """Yield, for each line of the program that some fences make, the lines of the references on the way to it."""
    for number, _, reference in tangle.numbered(fences):
        if reference:
            yield from ways(chunks[reference["name"]], chunks, (*way, number))
        else:
            yield way


def key_of(block):
    """Return the key of a fence: its name, then # and its number if it goes on with a chunk."""
    return block.fence.name + (f"#{block.number}" if block.number > 1 else "")


def runs_in(essay, fence):
    """Return the first program with lines of a fence that the browser runs, or None."""
    return next((program for program in essay.programs_with(fence) if program in programs(essay)), None)


def experiments(essay):
    """Return {name: what is known of an experiment}: its title and place, and what it does as edits of fences: the key
    of a fence, its code, and its new code.
    """
    found = {}
    for name, block in essay.experiments.items():
        with contextlib.suppress(tangle.TangleError):
            known = {"title": block.title, "page": f"{block.page.path}#{block.id}"}
            found[name] = known | {"edits": edits(essay, tangle.locate(block.fence, essay.tangled))}
    return found


def edits(essay, located):
    """Return the edits that do what an experiment does, whose lines were located in the essay."""
    lines = {number: [line] for number, line in enumerate(essay.text.split("\n"), 1)}  # and what comes in its place
    for hunk, origins in located:
        left, first = [*origins], []
        here = first
        for sign, text, _ in hunk:
            if sign == "+":
                here.append(text)
            else:
                here = lines[left.pop(0)]
                if sign == "-":
                    here.clear()
        lines[origins[0]][:0] = first
    found = []
    for block in essay.blocks.values():
        fence = block.fence
        code = [line for number in range(fence.line + 1, fence.end) for line in lines[number]]
        if code != fence.code:
            found.append({"chunk": key_of(block), "was": "\n".join(fence.code), "now": "\n".join(code)})
    return found


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


def redirect(to):
    """Return the page, as bytes, where links of earlier editions lead on to another one, with all that they say."""
    policy = "default-src 'none'; script-src 'unsafe-inline'"
    return f"""<!doctype html>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="robots" content="noindex">
<title>The program has moved</title>
<script>location.replace("../{to}" + location.hash)</script>
<meta http-equiv="refresh" content="1; url=../{to}">
<p><a href="../{to}">The program is now edited and run on its own page.</a></p>
""".encode()
