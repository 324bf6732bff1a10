"""Which part of a program some code can reach, as far as names tell: what makes its results invalid, and what does not.

It is found by reading, and where reading is not certain the answer is more, not less: all of the program.
"""

import ast
import re
from collections import Counter
from functools import lru_cache

# Code that says one of these may find any name of a program,
REFLECTION = {"globals", "locals", "vars", "dir", "getattr", "setattr", "delattr", "hasattr", "attrgetter", "modules",
              "methodcaller", "*", "get_objects", "get_referrers", "importlib", "pickle", "eval", "exec", "__dict__",
              "__globals__", "__builtins__", "__import__", "__subclasses__", "__spec__", "__loader__"}  # fmt: skip
# or the line on which something stands.
POSITIONS = {"inspect", "traceback", "warnings", "logging", "threading", "tangle", "get_ipython", "_getframe", "lineno",
             "f_lineno", "tb_lineno", "co_firstlineno", "co_lines", "co_positions", "dis", "tracemalloc", "profile",
             "cProfile", "unraisablehook", "__del__"}  # fmt: skip


class Reach:
    """What code that mentions some names can reach of a program: its `text`, and all names that both `mentions`."""

    def __init__(self, program, mentioned, programs):
        self.program = program
        parts = parts_of(program)
        names = parts.reached(mentioned)
        self.text = "\n".join(parts.source[name] for name in sorted(names, key=str))
        self.mentions = mentioned.union(*(parts.mentioned[name] for name in names))
        module = module_of(program)
        has_it = {module.split(".")[-1], "sys"} & mentioned or any(name.startswith("__") for name in mentioned)
        is_inner = any(module in program_imports(other) for other in programs)
        if has_it or is_inner or self.mentions & (REFLECTION | POSITIONS):
            self.text, self.mentions = program.text, mentioned | names_mentioned(program.tree)


class Parts:
    """A program in parts: `source` is {global name: what defines it}, `mentioned` {global name: what that mentions}.

    Under None stands all that may do something when the program is imported, whatever the names that it binds.
    """

    def __init__(self, tree):
        self.source, self.mentioned = {None: ""}, {None: set()}
        nodes = [node for node in tree.body if not is_main(node)]
        counts = Counter(name for node in nodes for name in names_bound(node))
        for node in nodes:
            names = names_bound(node)
            certain = names and is_quiet(node) and all(counts[name] == 1 for name in names)
            for name in names if certain else [None]:
                self.source[name] = self.source.get(name, "") + ast.unparse(node) + "\n"
                self.mentioned[name] = self.mentioned.get(name, set()) | names_mentioned(node)

    def reached(self, mentioned):
        """Return the names of all parts that code can reach which mentions some names."""
        seen, todo = set(), [None, *mentioned]
        while todo:
            if (name := todo.pop()) in self.source and name not in seen:
                seen.add(name)
                todo += self.mentioned[name]
        return seen


@lru_cache(100)
def parts_of(program):
    """Return the Parts of a program."""
    return Parts(program.tree)


def is_main(node):
    """Return whether a statement does nothing when its program is imported."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" and not node.orelse


def is_quiet(node):
    """Return whether a statement of a program certainly does nothing but bind its names."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        names = [inner for inner in ast.walk(node.args) if isinstance(inner, ast.arg)]
        at_once = [*node.args.defaults, *node.args.kw_defaults, node.returns, *(name.annotation for name in names)]
        return not node.decorator_list and all(is_literal(value) for value in at_once if value)
    if isinstance(node, ast.ClassDef):
        return not node.decorator_list + node.bases + node.keywords and all(map(is_quiet, node.body))
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Name) for target in node.targets) and is_literal(node.value)
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def is_literal(node):
    """Return whether an expression runs no code of anybody: constants and names, and what is built of them."""
    if isinstance(node, ast.Lambda):
        return all(map(is_literal, node.args.defaults))
    parts = ast.Constant | ast.Name | ast.Tuple | ast.List | ast.Set | ast.Dict | ast.expr_context
    return isinstance(node, parts) and all(map(is_literal, ast.iter_child_nodes(node)))


def names_bound(node):
    """Return the names that a statement of a program binds: a definition its own, another all that it assigns to."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}


def names_mentioned(tree):
    """Return all that is, or might be, a name in some code: variables, attributes, words in strings."""
    nodes = [*ast.walk(tree)]
    remarks = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}  # docstrings
    words = {word for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
             and id(node) not in remarks for word in re.findall(r"\w+", node.value)}  # fmt: skip
    modules = [alias.name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]
    modules += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return ({node.id for node in nodes if isinstance(node, ast.Name)} | words
            | {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            | {word for name in modules for word in name.split(".")})  # fmt: skip


def module_of(program):
    """Return the name by which a demonstration imports a program."""
    return program.target.removesuffix(".py").replace("/", ".")


@lru_cache(100)
def program_imports(program):
    """Return the names of the modules that a program imports."""
    return imports_in(program.tree, module_of(program).rpartition(".")[0])


def imports_in(tree, package=""):
    """Return the names of the modules that some code in a package imports."""
    nodes = [*ast.walk(tree)]
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join([*parts, *filter(None, [node.module])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found
