"""What the demonstrations of the essay printed and drew, and when that is still valid.

The demonstrations of a page run in order, in one process that starts afresh; then the numbers in its prose. That is a
session. A demonstration with the option keep="name, …" ends it: what these names hold is kept, and a later session that
reads one of them begins with a copy. (So does an earlier one that does not make the name itself, if nothing above it
keeps it: a page may tell in advance what is computed later.) There is no other way from one session to another: a
demonstration that reads a file of the project has to name it, as in data="docs/names.txt", and may neither write there
nor start other programs.

So the results of a session depend on its code, on what the programs that it imports define and it can reach, on the
files that it names, on the sessions whose names it reads, and on the versions of Python and the libraries. All of that
makes its key, and results are kept in build/cache under it. Nothing is observed or guessed: where one thing changes,
the session runs again, as a whole.
"""

import ast
import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import tangle
from weaver.essay import WeaveError

LIBRARIES = ("matplotlib", "Pweave", "ipython")
# Code that says one of these may find any name of a program, or the line on which something stands.
REFLECTION = {"globals", "locals", "vars", "dir", "getattr", "setattr", "delattr", "gc", "importlib", "pickle"}
POSITIONS = {"eval", "exec", "compile", "sys", "inspect", "traceback", "warnings", "logging", "tangle", "get_ipython",
             "lineno", "f_lineno", "tb_lineno", "co_firstlineno", "co_lines", "co_positions"}  # fmt: skip


class Item(NamedTuple):
    """A piece of code that is run: a demonstration, or the expression of a number in the prose."""

    fence: tangle.Fence = None
    number: tuple = None  # a prose.Number

    @property
    def name(self):
        """What it is called while it runs."""
        return self.fence.name if self.fence else f"the number on line {self.number.line}"

    @property
    def line(self):
        """The line of the essay on which its code begins."""
        return self.fence.line + 1 if self.fence else self.number.line

    @property
    def code(self):
        """Its code, as the kernel runs it."""
        return "\n".join(self.fence.code) if self.fence else f"tell({self.number.expression})"

    def names(self, option):
        """Return the list of words that an option has."""
        text = self.fence.options.get(option, "") if self.fence else ""
        return [word for word in text.replace(",", " ").split() if word]


class Result(NamedTuple):
    """What an item printed and drew: the text, and the figures as SVG."""

    text: str
    figures: list


class DemonstrationError(Exception):
    """A demonstration raised, or its kernel died: its line in the essay, and the traceback."""

    def __init__(self, line, traceback):
        super().__init__(line, traceback)
        self.line, self.traceback = line, traceback


class Session:
    """Items that run in one process. `sources` are the sessions that keep what it reads, {name: session}."""

    def __init__(self, items):
        self.items, self.sources, self.key = items, {}, ""
        self.trees = [parsed(item) for item in items]

    @property
    def line(self):
        """The line of the essay on which it begins."""
        return min(item.line for item in self.items)

    @property
    def keep(self):
        """The names that it keeps."""
        return [name for item in self.items for name in item.names("keep")]

    @property
    def data(self):
        """The files that it reads, as written."""
        return sorted({name for item in self.items for name in item.names("data")})

    @property
    def reads(self):
        """All names that its code reads, of variables and of attributes."""
        nodes = [node for tree in self.trees for node in ast.walk(tree)]
        names = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store)}
        changed = {node.target.id for node in nodes if isinstance(node, ast.AugAssign)
                   and isinstance(node.target, ast.Name)}  # fmt: skip
        return names | changed

    @property
    def mentions(self):
        """All that is, or might be, a name in its code."""
        return set().union(*map(names_mentioned, self.trees))

    @property
    def binds(self):
        """All names that its code binds."""
        return {name for tree in self.trees for node in tree.body for name in names_bound(node)}

    @property
    def imports(self):
        """The names of the modules that its code imports."""
        nodes = [node for tree in self.trees for node in ast.walk(tree)]
        found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        return found | {f"{node.module}{suffix}" for node in nodes if isinstance(node, ast.ImportFrom)
                        for suffix in ["", *(f".{alias.name}" for alias in node.names)]}  # fmt: skip


def parsed(item):
    """Return the syntax tree of an item; raise WeaveError, with the line of the essay, if it is not Python."""
    try:
        return ast.parse(item.code)
    except SyntaxError as error:
        raise WeaveError([(item.line + (error.lineno or 1) - 1, error.msg)]) from None
    except ValueError as error:
        raise WeaveError([(item.line, str(error))]) from None


def sessions_of(essay, numbers):
    """Return the sessions of an essay in their order; raise WeaveError for a name that is taken, or a circle."""
    fences = [fence for fence in essay.fences if fence.kind == "demonstration"]
    check_names(fences)
    sessions, errors = [], []
    for page in essay.pages:
        groups = [[]]  # the demonstrations of each session of this page
        for fence in [fence for fence in fences if page.start <= fence.line <= page.end]:
            if groups[-1] and groups[-1][-1].names("keep"):
                groups.append([])
            groups[-1].append(Item(fence=fence))
        here = [Item(number=number) for number in numbers if page.start <= number.line <= page.end]
        for group, following in zip(groups, [*groups[1:], None], strict=True):
            end = following[0].line if following else page.end + 1
            items = group + [item for item in here if item.line < end]
            here = [item for item in here if item.line >= end]
            try:
                sessions += [Session(items)] if items else []
            except WeaveError as error:
                errors += error.errors
    if errors:
        raise WeaveError(errors)
    for i, session in enumerate(sessions):
        for name in sorted(session.reads):
            later = sessions[i + 1 :] if name not in session.binds else []
            keepers = [*reversed(sessions[:i]), *later]
            keeper = next((other for other in keepers if name in other.keep), None)
            if keeper:
                session.sources[name] = keeper
    return in_order(sessions)


def check_names(fences):
    """Raise WeaveError where two demonstrations have one name."""
    errors, lines = [], {}
    for fence in fences:
        if fence.name in lines:
            taken = f"the name {fence.name} is taken by the demonstration on line {lines[fence.name]}"
            errors.append((fence.line, taken))
        lines.setdefault(fence.name, fence.line)
    if errors:
        raise WeaveError(errors)


def in_order(sessions):
    """Return the sessions so that each comes after those that it begins with; raise WeaveError for a circle."""
    ordered = []

    def visit(session, path):
        if session in path:
            names = " -> ".join(str(other.line) for other in [*path[path.index(session) :], session])
            raise WeaveError([(session.line, f"demonstrations that need each other's names, by their lines: {names}")])
        if session not in ordered:
            for source in session.sources.values():
                visit(source, [*path, session])
            ordered.append(session)

    for session in sessions:
        visit(session, [])
    return ordered


def module_of(program):
    """Return the name by which a demonstration imports a program."""
    return program.target.removesuffix(".py").replace("/", ".")


def imported(essay, session):
    """Return the programs that a session imports: the first of the essay, and those that its code names."""
    others = [program for program in essay.programs.values()
              if program.is_python and module_of(program) in session.imports]  # fmt: skip
    main = [essay.main] if essay.main.is_python else []
    return [*main, *(program for program in others if program is not essay.main)]


def closures(tree):
    """Return {global name of a program: the source of everything that it uses, directly or through others}.

    Under None stands what the program does besides: imports, and statements that define nothing.
    """
    source, mentioned = {}, {}
    for node in tree.body:
        for name in names_bound(node) or [None]:
            source[name] = source.get(name, "") + ast.unparse(node) + "\n"
            mentioned[name] = mentioned.get(name, set()) | names_mentioned(node)
    whole = {}
    for start in source:
        seen, todo = set(), [start]
        while todo:
            if (name := todo.pop()) in source and name not in seen:
                seen.add(name)
                todo += mentioned[name]
        whole[start] = "\n".join(source[name] for name in sorted(seen, key=str))
    return whole


def names_bound(node):
    """Return the names that a statement of a program binds: a definition its own, another all that it assigns to."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}


def names_mentioned(tree):
    """Return all that is, or might be, a name in some code: variables, attributes, words in strings."""
    nodes = [*ast.walk(tree)]
    words = {word for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
             for word in node.value.split()}  # fmt: skip
    return ({node.id for node in nodes if isinstance(node, ast.Name)} | words
            | {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            | {alias.name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
            )  # fmt: skip


def reached(program, session):
    """Return the part of a program that the code of a session can reach: what it mentions, and what that uses.

    It is all of it, if the code has a hold of the program itself or may look for names by reflection.
    """
    mentioned = session.mentions
    direct = module_of(program).split(".")[-1] in mentioned or any(name.startswith("__") for name in mentioned)
    if direct or mentioned & (REFLECTION | POSITIONS):
        return program.text + str([line.origin for line in program.lines] if mentioned & POSITIONS else "")
    parts = closures(program.tree)
    return "\n".join(parts[name] for name in sorted(parts, key=str) if name is None or name in mentioned)


def set_keys(essay, sessions, root, environment):
    """Give each session its key; raise WeaveError for data that cannot be read."""
    versions = [platform.python_version(), *(f"{library} {version(library)}" for library in LIBRARIES), environment]
    errors = []
    for session in sessions:
        places = bool(session.mentions & POSITIONS)  # where it stands may be seen in what it prints
        material = [*versions]
        material += [f"{item.code}\0{item.names('keep')}\0{item.line if places else ''}" for item in session.items]
        material += [f"{program.target}\0{reached(program, session)}" for program in imported(essay, session)]
        material += [f"{name}\0{source.key}" for name, source in sorted(session.sources.items())]
        for name in session.data:
            try:
                material.append(f"{name}\0{hashlib.sha256((root / name).read_bytes()).hexdigest()}")
            except OSError as error:
                line = next(item.fence.line for item in session.items if name in item.names("data"))
                errors.append((line, f"cannot read the data {name}: {error.strerror}"))
        session.key = hashlib.sha256("\0\0".join(material).encode()).hexdigest()
    if errors:
        raise WeaveError(errors)


class Cache:
    """Results of sessions, in a folder; a file that is missing or damaged means that a session has to run."""

    def __init__(self, folder):
        self.folder = folder

    def kept(self, session):
        """Return the path of the file with what a session keeps."""
        return self.folder / f"{session.key}.kept"

    def read(self, session):
        """Return the Results of a session, or None."""
        try:
            found = json.loads(self.file(session).read_text(encoding="utf-8"))
            results = [Result(str(text), [str(figure) for figure in figures]) for text, figures in found]
        except (OSError, ValueError, TypeError):
            return None
        complete = len(results) == len(session.items) and (not session.keep or self.kept(session).is_file())
        return results if complete else None

    def write(self, session, results):
        """Keep the Results of a session."""
        tangle.put(self.file(session), json.dumps(results).encode())

    def file(self, session):
        """Return the path of the file with the results of a session."""
        return self.folder / f"{session.key}.json"


class Outcome:
    """What is known of the demonstrations and numbers of an essay: {session: [Result of each item]}, from the cache."""

    def __init__(self, sessions, cache):
        self.sessions, self.cache = sessions, cache
        found = {session: cache.read(session) for session in sessions}
        self.results = {session: results for session, results in found.items() if results is not None}

    @property
    def missing(self):
        """The sessions without results, in an order in which they can run."""
        return [session for session in self.sessions if session not in self.results]

    def run(self, execute):
        """Run what is missing; execute(session) does it, and what it raises comes out. What was done before is kept."""
        for session in self.missing:
            for source in session.sources.values():
                if not self.cache.kept(source).is_file():  # somebody has emptied the cache
                    execute(source)
            self.results[session] = execute(session)
            self.cache.write(session, self.results[session])

    def pairs(self):
        """Return [(item, Result)] of all that is known."""
        return [pair for session, results in self.results.items() for pair in zip(session.items, results, strict=True)]

    def demonstrations(self):
        """Return {name: Result} of the demonstrations that have one."""
        return {item.fence.name: result for item, result in self.pairs() if item.fence}

    def values(self, numbers):
        """Return the values of some numbers, None for one that is not known."""
        known = {item.number: json.loads(result.text) for item, result in self.pairs() if item.number}
        return [known.get(number) for number in numbers]


def environment():
    """Return the source of all that decides how demonstrations are run: a change of it makes results invalid."""
    folder = Path(__file__).parent
    return "\0".join((folder / name).read_text(encoding="utf-8") for name in ("prelude.py", "kernel.py"))
