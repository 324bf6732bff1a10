"""What the demonstrations of the essay printed and drew, and when that is still valid.

The demonstrations of a page run in order, in one process that starts afresh; then the numbers in its prose. That is a
session. A demonstration with the option keep="name, …" ends it: what these names hold is kept, and a later session that
reads one of them begins with a copy. (So does an earlier one that does not make the name itself, if nothing above it
keeps it: a page may show a later result in advance.) There is no other way from one session to another: a
demonstration that reads a file of the project has to name it, as in data="docs/names.txt", and may not write there.

So the results of a session depend on its code, on the programs that it imports, the first one of the essay always among
them, on what it calls of docs/figures.py and docs/computed.py, on the files that it names, on the sessions whose names
it reads, and on the versions of Python and the libraries. All of that makes its key, and results are kept in
build/cache under it. Nothing is observed or guessed: if one thing changes, the session runs again, as a whole. Of a
program all counts but comments and layout: a change of the command line trains again, too, which takes a minute.

What no key knows is the outside: the clock, the network, the environment, other programs, files that are not in the
project, what a demonstration learns of a file without opening it (that it exists, its size), the lines of the essay on
which code is, and random numbers that were not seeded (those of random and of numpy are). A demonstration that shows it
shows it as it was when it ran.
"""

import ast
import contextlib
import hashlib
import inspect
import json
import platform
import re
import sys
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import tangle
from weaver import helpers
from weaver.essay import WeaveError, imports_in

LIBRARIES = ("Pweave", "ipykernel", "ipython", "matplotlib", "matplotlib-inline", "numpy")
OPTIONS = ("name", "alt", "caption", "place", "keep", "data", "widget")  # of the fence of a demonstration
ASSETS = Path(__file__).resolve().parent.parent / "assets"


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
        return "\n".join(self.fence.code) if self.fence else f"tell({self.number.expression}\n)"

    def names(self, option):
        """Return the words of an option of its fence, which are separated by spaces or commas."""
        return self.fence.options.get(option, "").replace(",", " ").split() if self.fence else []


class Result(NamedTuple):
    """What an item printed and drew: the text, and the figures as SVG; and what it gave its widget, as JSON."""

    text: str
    figures: list
    given: str = ""

    @property
    def value(self):
        """The value of a number, which the kernel has told last; raises ValueError where it has not."""
        numbers = re.findall(r"^-?\d[-+.e\d]*$", self.text, re.M)
        if not numbers:
            raise ValueError("no number was told")
        return json.loads(numbers[-1])


class DemonstrationError(Exception):
    """A demonstration raised, or its kernel died: its line in the essay, and what there is to say about it."""

    def __init__(self, line, message):
        super().__init__(message)
        self.line = line


class Session:
    """Items that run in one process. `sources` are the sessions that keep what it reads, {name: session}; set_keys
    gives it its key.
    """

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

    @cached_property
    def reads(self):
        """All variables that its code reads."""
        nodes = [node for tree in self.trees for node in ast.walk(tree)]
        names = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store)}
        changed = {node.target.id for node in nodes if isinstance(node, ast.AugAssign)
                   and isinstance(node.target, ast.Name)}  # fmt: skip
        return names | changed

    @cached_property
    def binds(self):
        """All names that its code binds."""
        return {name for tree in self.trees for node in tree.body for name in names_bound(node)}

    @cached_property
    def calls(self):
        """The names that its code uses of docs/figures.py and docs/computed.py."""
        return set().union(*map(helpers.called, self.trees))

    @cached_property
    def imports(self):
        """The names of the modules that its code imports, or the functions that it calls."""
        return set().union(*map(imports_in, [*self.trees, ast.parse(helpers.source(self.calls))]))


def module_of(program):
    """Return the name by which a demonstration imports a program."""
    return program.target.removesuffix(".py").replace("/", ".")


def names_bound(node):
    """Return the names that a statement binds: a definition its own, another all that it assigns to."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}


def parsed(item):
    """Return the syntax tree of an item; raise WeaveError, with the line of the essay, if it is not Python."""
    try:
        if item.number:
            ast.parse(item.number.expression.strip(), mode="eval")  # one expression, and not two statements
        return ast.parse(item.code)
    except SyntaxError as error:
        before = item.line - 1  # what Python calls line 1 is the first of the code
        message = re.sub(r"\bline (\d+)", lambda match: f"line {before + int(match[1])}", error.msg)
        raise WeaveError([(before + (error.lineno or 1), message)]) from None


def sessions_of(essay, numbers):
    """Return the sessions of an essay in their order; raise WeaveError for errors in them, or a cycle."""
    fences = [fence for fence in essay.fences if fence.kind == "demonstration"]
    check_options(fences)
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


def check_options(fences):
    """Raise WeaveError where two demonstrations have one name, or one has an option that means nothing."""
    errors, lines, widgets = [], {}, known_widgets()
    for fence in fences:
        if fence.name in lines:
            taken = f"the name {fence.name} is taken by the demonstration on line {lines[fence.name]}"
            errors.append((fence.line, taken))
        lines.setdefault(fence.name, fence.line)
        known = ", ".join(OPTIONS)
        errors += [(fence.line, f"a demonstration has no option {option}; its options are {known}")
                   for option in fence.options if option not in OPTIONS]  # fmt: skip
        if (widget := fence.options.get("widget")) not in (None, *widgets):
            errors.append((fence.line, f"there is no widget {widget}; the widgets are {', '.join(widgets)}"))
    if errors:
        raise WeaveError(errors)


def known_widgets():
    """Return the names of all widgets: each is a script, docs/assets/widget-NAME.js."""
    return sorted(path.stem.removeprefix("widget-") for path in ASSETS.glob("widget-*.js"))


def in_order(sessions):
    """Return the sessions so that each comes after those that it begins with; raise WeaveError for a cycle."""
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


def imported(essay, session):
    """Return the programs that a session may import: the first one that is Python, those that its code and that of its
    sources name, and those that these import.
    """
    modules = {module_of(program): program for program in essay.programs.values() if program.is_python}
    named = imports_of_all(session)
    programs, todo = [], [*modules][:1] + [name for name in modules if name in named]
    while todo:
        program = modules[todo.pop(0)]
        if program not in programs:
            programs.append(program)
            todo += [name for name in modules if name in program.imports]
    return programs


def imports_of_all(session):
    """Return the names of the modules that a session, or one that keeps something for it, imports."""
    return session.imports.union(*(imports_of_all(source) for source in session.sources.values()))


def versions_of(modules):
    """Return the versions of Python, the weaver's libraries, and those that have the names of some modules."""
    versions = [sys.version, platform.machine()]
    for name in sorted({*LIBRARIES, *modules}):
        with contextlib.suppress(PackageNotFoundError):
            versions.append(f"{name} {version(name)}")
    return versions


def set_keys(essay, sessions, root, environment):
    """Give each session its key; raise WeaveError for data that cannot be read."""
    sums = data_of(essay, sessions, root)
    for session in sessions:
        programs = imported(essay, session)
        modules = session.imports.union(*(program.imports for program in programs))
        material = [environment, *versions_of({name.partition(".")[0] for name in modules})]
        material += [f"{item.code}\0{item.names('keep')}" for item in session.items]
        material += [f"{program.target}\0{program.code}" for program in programs]
        material += [helpers.source(session.calls)]
        material += [f"{name}\0{source.key}" for name, source in sorted(session.sources.items())]
        material += [f"{name}\0{sums[name]}" for name in session.data]
        session.key = hashlib.sha256("\0\0".join(material).encode()).hexdigest()


def data_of(essay, sessions, root):
    """Return {name: sum} of the files that sessions read; raise WeaveError for what cannot be read, or offered."""
    sums, errors, offered = {}, [], {target: f"build/{target}" for target in essay.programs}
    items = [item for session in sessions for item in session.items]
    for fence, name in [(item.fence, name) for item in items for name in item.names("data")]:
        try:
            if not re.fullmatch(tangle.TARGET, name):
                raise OSError(0, "data must be files of the project, given by their paths in it")
            if offered.setdefault(name.rsplit("/", 1)[-1], name) != name:
                raise OSError(0, "the site already offers another file of that name")
            sums[name] = hashlib.sha256((root / name).read_bytes()).hexdigest()
        except OSError as error:
            errors.append((fence.line, f"cannot read the data {name}: {error.strerror}"))
    if errors:
        raise WeaveError(errors)
    return sums


class Cache:
    """Results of sessions, in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def kept(self, session):
        """Return the path of the file with what a session keeps."""
        return self.folder / f"{session.key}.kept"

    def file(self, session):
        """Return the path of the file with the results of a session."""
        return self.folder / f"{session.key}.json"

    def read(self, session):
        """Return the Results of a session, or None if it has to run."""
        if not self.file(session).is_file() or (session.keep and not self.kept(session).is_file()):
            return None
        return [Result(*result) for result in json.loads(self.file(session).read_text(encoding="utf-8"))]

    def write(self, session, results):
        """Keep the Results of a session."""
        tangle.put(self.file(session), json.dumps(results).encode())


class Outcome:
    """What is known of the demonstrations and numbers of an essay: {session: [Result of each item]}, from the cache."""

    def __init__(self, sessions, cache):
        self.sessions, self.cache = sessions, cache
        results = {session: cache.read(session) for session in sessions}
        self.results = {session: known for session, known in results.items() if known is not None}

    @property
    def missing(self):
        """The sessions without results, in an order in which they can run."""
        return [session for session in self.sessions if session not in self.results]

    def run(self, execute):
        """Run the missing sessions with execute(session), whose exceptions pass through; finished results are kept."""
        for session in self.missing:
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
        known = {item.number: result.value for item, result in self.pairs() if item.number}
        return [known.get(number) for number in numbers]


def environment():
    """Return the source of all that decides how demonstrations are run: a change of it makes results invalid."""
    folder = Path(__file__).parent
    sources = [(folder / name).read_text(encoding="utf-8") for name in ("prelude.py", "kernel.py")]
    return "\0".join([*sources, inspect.getsource(tangle.load)])
