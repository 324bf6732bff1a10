"""What demonstrations use of docs/figures.py, the module that draws: that is part of their keys, and shown with them.

Its functions are called as figures.NAME(…). A key has those that are called, and all that they use in turn, so that a
change of one figure leaves the results of others as they are.
"""

import ast
from functools import lru_cache
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "figures.py"


def called(tree):
    """Return the names that some code uses of the module that draws."""
    return {node.attr for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == FILE.stem}  # fmt: skip


def definitions():
    """Return {name: (syntax tree, source)} of all that the module defines; raise OSError if it is not Python."""
    return definitions_in(FILE.read_text(encoding="utf-8"))


@lru_cache(1)
def definitions_in(text):
    """Return the definitions in the text of the module."""
    found = {}
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise OSError(f"docs/{FILE.name}:{error.lineno}: {error.msg}") from None
    for node in tree.body:
        lines = text.split("\n")[node.lineno - 1 : node.end_lineno]
        bound = [node.name] if isinstance(node, ast.FunctionDef) else names_in(node)
        found |= dict.fromkeys(bound, (node, "\n".join(lines)))
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
            todo += sorted(names_in(node))
    return "\n".join(sorted(needed.values()))


def shown(code):
    """Return the source of the functions that a demonstration calls, as its page shows it."""
    known = definitions()
    names = [name for name in sorted(called(ast.parse(code))) if name in known]
    return "\n\n\n".join(known[name][1] for name in names)
