"""What demonstrations use of docs/figures.py, which draws, and docs/computed.py, which computes the numbers for it, and
of docs/recorder.py and docs/stage.py, which record a run of the program and show it.

Their functions are called as figures.NAME(…) and so on, and shown below the demonstrations that call them.
The key of a result has those that are called, and all that they use in turn, so that a change of one figure leaves the
results of others as they are.
"""

import ast
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent
MODULES = ("figures", "computed", "recorder", "stage")


def called(tree):
    """Return the names, MODULE.NAME, that some code uses of the modules."""
    return {ast.unparse(node) for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in MODULES}  # fmt: skip


def definitions():
    """Return {MODULE.NAME: (syntax tree, source)} of all that the modules define; raise OSError for an error."""
    texts = {name: (FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in MODULES}
    return {name: found for module in MODULES for name, found in definitions_in(module, texts[module]).items()}


@lru_cache(len(MODULES))
def definitions_in(module, text):
    """Return the definitions in the text of a module."""
    found = {}
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise OSError(f"docs/{module}.py:{error.lineno}: {error.msg}") from None
    for node in tree.body:
        lines = text.split("\n")[node.lineno - 1 : node.end_lineno]
        bound = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else names_in(node)
        found |= dict.fromkeys([f"{module}.{name}" for name in bound], (node, "\n".join(lines)))
    return found


def names_in(node):
    """Return all names in some code."""
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)} | {
        inner.asname or inner.name for inner in ast.walk(node) if isinstance(inner, ast.alias)}  # fmt: skip


def source(names):
    """Return the source of some functions and of all that they use."""
    known, needed, todo = definitions() if names else {}, {}, sorted(names)
    while todo:
        name = todo.pop(0)
        if name in known and name not in needed:
            node, needed[name] = known[name]
            todo += [f"{name.partition('.')[0]}.{used}" for used in sorted(names_in(node))]
    return "\n".join(sorted(needed.values()))


def shown(code):
    """Return the source of the functions that a demonstration calls, as its page shows it."""
    known = definitions()
    names = [name for name in sorted(called(ast.parse(code))) if name in known]
    return "\n\n\n".join(known[name][1] for name in names)
