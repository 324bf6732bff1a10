#!/usr/bin/env python3
"""Tangle: extract the programs that an essay contains, from microgpt.md into build/.

usage: python3 tangle.py [ESSAY] [--check | --force | --stitch | --where PLACE …
                                  | --run PROGRAM [--break EXPERIMENT] [ARGUMENT …]]

    ESSAY     the essay (microgpt.md beside this file when left out); programs go to build/ beside it
    --check   write nothing; show a diff and exit with 1 if build/ is not what the essay says, or an experiment is wrong
    --force   overwrite or remove programs that were edited by hand, or that another essay made
    --stitch  carry what was edited by hand in build/ over to the essay, then tangle
    --where   turn FILE:LINE of a program into that of the essay, or back; with - so in text that comes through a pipe
    --run     run a Python program as the essay has it now, with --break as it is after an experiment; tracebacks,
              warnings, pdb and cProfile show lines of the essay; other programs that it imports come from build/

The essay is Markdown. Prose is prose; what counts are fences of three backticks at the start of a line:

    ``` python {file=microgpt.py}    a root: the program build/microgpt.py begins here
    ``` python                       a definition: a chunk is all fences of one name, in their order. The name is the
    <<attention>>=                   first line, where GitHub shows it; or it is in the braces: ``` python {#attention}
        <<scaled-dot-product>>       a reference, alone on its line: the chunk of that name is put here, and each of
                                     its lines that is not blank gets the indentation of the reference
    ``` diff {#no-root}              an experiment: lines of a program to take out (-) and to put in (+), and lines
                                     around them (after a space) that show where. It changes nothing that is written
    ```python name="loss"            a demonstration: run by the weaver, which makes pages of the essay; never tangled.
                                     It may have more options, as in name="loss", alt="A curve"
    ```text                          an illustration: shown as it is, in any language but python

Begin a name with a lower-case letter, and go on with such letters, digits and hyphens. Mind the space after the
backticks: it keeps the weaver from running a chunk. Write other languages in the same way: ``` c {file=fast.c}. A root
may have other attributes after its file, and an experiment after its name: ``` python {file=fast.py needs=numpy}; they
mean nothing here. Nothing counts in longer fences: use four backticks to show a fence. What only looks like a chunk, in
a list, a quotation or a comment, is an error, and so is a conflict that git has left.

All errors are printed as ESSAY:LINE: MESSAGE; then the exit status is 1, as after every refusal, and nothing is
written. It is 2 if the command line is wrong.

Only programs that change are written, and their checksums go to build/SHA256SUMS. A program with another checksum was
edited by hand: it is shown as a diff and kept, and nothing is written. A program that has lost its root is removed,
unless it was edited. If you interrupt a tangle, the next one finishes it.

The lines of an experiment come together at exactly one place of the first program or, if it has none, of the others. A
line @@ begins another place. An experiment that does not fit is reported, and the programs are written all the same.

--stitch changes the essay only if exactly the edited programs come out of it; other programs that share their chunks
follow, and so do experiments that quote what was edited. Lines replaced by as many others go one by one to where each
was written. Lines put in where two chunks meet go to the one they touch, text to text, blank to blank; in doubt they
are refused. If both essay and program were changed, make the change of the program in the essay, then use --force.

In Python, parse(text) finds the fences of an essay, tangle(text) makes its programs, and expand(fences, chunks) the
lines of some fences.
"""

import argparse
import ast
import contextlib
import difflib
import hashlib
import io
import itertools
import os
import re
import sys
import types
import warnings
from pathlib import Path
from typing import NamedTuple

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

if sys.version_info < (3, 10):  # noqa: UP036 (this file has to compile there, so that it can say so)
    sys.exit("tangle.py needs Python 3.10 or later, and this is {}.{}".format(*sys.version_info))

# ---------------------------------------------------------------------------------------------------------------------
# The language: what a fence is

NAME = r"[a-z][a-z0-9-]*"
ATTRIBUTES = r"(?P<options>(?: (?!file=)[a-z]+=[^\s{}\"']+)*)"
OPTION = r'\w+="[^"]*"'
FORMS = {
    "root": re.compile(rf"``` (?P<language>[\w+-]+) \{{file=(?P<name>[^\s{{}}\"',]+){ATTRIBUTES}\}}\s*"),
    "experiment": re.compile(rf"``` (?P<language>diff) \{{#(?P<name>{NAME}){ATTRIBUTES}\}}\s*"),
    "definition": re.compile(rf"``` (?P<language>[\w+-]+) \{{#(?P<name>{NAME})\}}\s*"),
    "demonstration": re.compile(rf"```(?P<language>python) (?P<options>{OPTION}(?:,\s*{OPTION})*)\s*"),
}
NAMELESS, NAMING = re.compile(r"``` (?P<language>[\w+-]+)\s*"), re.compile(rf"<<(?P<name>{NAME})>>=\s*")
REFERENCE = re.compile(rf"(?P<indent>\s*)<<(?P<name>{NAME})>>\s*")
MARK = re.compile(r"(?P<before>[\s>]*(?:(?:[-*+]|\d{1,9}[.)])\s+)*)(?P<mark>`{3,}|~{3,})(?P<rest>.*)")
BRACES, LOST_NAME = re.compile(r"\{ *(#|file=)"), re.compile(r"[\s>]*<<[^<>]*>>\s*=\s*")
CONFLICT = re.compile(r"^(?:<{7}|\|{7}|>{7}) ", re.MULTILINE)
ENCODING = re.compile(r"(?:[ \t\f]*(?:#.*)?\n)?[ \t\f]*#.*?coding[:=][ \t]*(?!(?i:utf[-_]?8))[-\w.]+")  # see PEP 263
LOST = "malformed: a chunk is named in lower case, below three backticks at the start of a line, a space and a language"
ALONE = "a reference <<name>> is alone on its line, in lower case; if you mean something else, put a space after <<"
LARGEST = 100_000  # lines of a program


class Fence(NamedTuple):
    """A fenced block of the essay: its code is on the lines after line `line` (counted from 1).

    That is the one on which it opens, or the one after it if a name is there.
    """

    kind: str  # "root", "definition", "experiment", "demonstration", "illustration" or "verbatim"
    name: str  # of the chunk, experiment or demonstration; of a root its target, a path below build/; else nothing
    language: str  # of a verbatim fence or an illustration, all that follows the backticks
    options: dict  # {name: text} of a demonstration, {attribute: text} of a root or an experiment
    line: int
    code: list
    names_itself: bool = False  # whether its name is the first line in it

    @property
    def start(self):
        """The line on which it opens."""
        return self.line - self.names_itself

    @property
    def end(self):
        """The line on which it closes."""
        return self.line + len(self.code) + 1


class Line(NamedTuple):
    """A line of a program: where it comes from in the essay, and how far the references on the way indented it."""

    text: str
    origin: int  # number of the line in the essay, from 1
    indent: str


class TangleError(Exception):
    """What is wrong with an essay: `errors` is a list of (line, message), sorted."""

    def __init__(self, errors):
        super().__init__(errors)
        self.errors = sorted(set(errors))


def parse(text):
    """Return (fences, errors) of an essay: its fences in their order, and (line, message) for all that is malformed."""
    fences, errors, comment = [], [], 0  # the line on which an HTML comment begins
    fence = closing = anything_goes = None  # the fence that is open, what closes it, and whether nothing counts in it
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            errors.append((number, "a NUL byte: this is not a text file"))
        if CONFLICT.match(line):
            errors.append((number, "a conflict that git has left here: choose one of the two versions"))
        if comment and "-->" in line:
            comment = 0
        elif not fence and re.match(r" {0,3}<!--(?!.*-->)", line):
            comment = number
        mark = MARK.match(line)
        opens = mark and not mark["before"] and mark["mark"] == "```"
        if mark and not opens and mark["mark"][0] == "`" and "`" in mark["rest"]:
            mark = None  # code in a sentence
        if mark and not fence and not opens and BRACES.search(mark["rest"]):
            errors.append((number, "malformed: the fence of a chunk is three backticks at the start of the line"))
        if fence and number == fence.line:
            pass  # its name
        elif fence and closing.fullmatch(line):
            fence = None
        elif fence and (fence.kind == "verbatim" or not opens):
            fence.code.append(line)
            if fence.kind in ("root", "definition"):
                if is_doubtful(line):
                    errors.append((number, f"malformed: {ALONE}"))
            elif not anything_goes and LOST_NAME.fullmatch(line):
                errors.append((number, LOST))
        elif opens:
            if fence:
                errors.append((fence.start, f"unclosed: this fence is still open where line {number} opens another"))
            fence = open_fence(line, lines[number : number + 1], number, errors)
            if comment and fence.kind != "illustration":
                errors.append((number, f"hidden: nobody sees this {fence.kind} in the comment of line {comment}"))
            closing, anything_goes = re.compile(r"```\s*"), False
            fences.append(fence)
        elif mark and re.fullmatch(" {0,3}", mark["before"]):
            fence = Fence("verbatim", "", mark["rest"].strip(), {}, number, [])
            closing = re.compile(rf" {{0,3}}{mark['mark']}{mark['mark'][0]}*\s*")
            anything_goes = len(mark["mark"]) > 3
            fences.append(fence)
        elif LOST_NAME.fullmatch(line):
            errors.append((number, LOST))
    if fence and fence.start not in {line for line, _ in errors}:  # one error a line is enough
        errors.append((fence.start, "unclosed: this fence is open until the end of the essay"))
    return fences, errors


def open_fence(line, after, number, errors):
    """Return the fence, still empty, that a line with three backticks opens; a malformed one is an illustration.

    `after` has the line after it, if there is one.
    """
    for kind, form in FORMS.items():
        match = form.fullmatch(line)
        if match:
            found = match.groupdict()
            pairs = re.findall(r'(\w+)=("[^"]*"|\S+)', found.get("options") or "")
            options = {option: value.strip('"') for option, value in pairs}
            if len(options) < len(pairs):
                errors.append((number, "malformed: an option or attribute is given twice"))
            name = found.get("name") or options.get("name", "")
            if kind != "demonstration" or re.fullmatch(NAME, name):
                return Fence(kind, name, found["language"], options, number, [])
    head, naming = NAMELESS.fullmatch(line), NAMING.fullmatch("".join(after))
    if head and naming:
        return Fence("definition", naming["name"], head["language"], {}, number + 1, [], names_itself=True)
    if re.match(r"```\s*[{.]*python", line, re.IGNORECASE) or BRACES.search(line):
        forms = "``` and its language, with that space, and then <<name>>= or {file=path}"
        others = 'a demonstration ```python name="…", an illustration ```text or ```pycon'
        errors.append((number, f"malformed: a chunk is {forms}, {others}"))
    return Fence("illustration", "", line[3:].strip(), {}, number, [])


def is_doubtful(line):
    """Return whether a line of a chunk looks like a reference and is none."""
    return bool(re.search(rf"<<{NAME}>>|^\s*<<.*>>\s*$", line)) and not REFERENCE.fullmatch(line)


def numbered(fences):
    """Yield (line in the essay, text, match of REFERENCE or None) for each line of code in some fences."""
    for fence in fences:
        for number, text in enumerate(fence.code, fence.line + 1):
            yield number, text, REFERENCE.fullmatch(text)


# ---------------------------------------------------------------------------------------------------------------------
# The programs: from fences to lines


def tangle(text):
    """Return the programs of an essay, {target: [Line, …]}; raise TangleError with everything that is wrong."""
    return programs_of(*parse(text))


def programs_of(fences, errors=()):
    """Return the programs of an essay that parse() has read, {target: [Line, …]}; raise TangleError, as tangle() does."""
    roots, chunks, errors = roots_of(fences), chunks_of(fences), [*errors]
    try:
        errors += check_targets(fences) + check_references(roots, chunks)
        programs = {} if errors else expand_all(roots, chunks)
    except RecursionError:
        raise TangleError([*errors, (1, "there are chunks in chunks deeper than Python can go")]) from None
    for target, program in programs.items():
        if len(program) > LARGEST:
            errors.append((roots[target].line, f"{target} would have more than {LARGEST:,} lines"))
        elif target.endswith(".py"):
            errors += check_syntax(program, roots[target])
    if errors:
        raise TangleError(errors)
    return programs


def roots_of(fences):
    """Return {target: fence} for the roots of an essay, in their order; of two with one target the first."""
    roots = {}
    for fence in fences:
        if fence.kind == "root":
            roots.setdefault(fence.name, fence)
    return roots


def chunks_of(fences):
    """Return {name: [fence, …]} for the chunks of an essay."""
    chunks = {}
    for fence in fences:
        if fence.kind == "definition":
            chunks.setdefault(fence.name, []).append(fence)
    return chunks


def expand_all(roots, chunks):
    """Return {target: lines} of roots that are right; what has no end is cut."""
    return {target: [*itertools.islice(expand([root], chunks), LARGEST + 1)] for target, root in roots.items()}


def expand(fences, chunks, indent=""):
    """Yield the Lines of some fences: each reference is replaced by the chunk that it names, with its indentation.

    `chunks` is {name: fences}. References have to be right: tangle() checks them all before it expands any.
    """
    for number, text, reference in numbered(fences):
        if reference:
            yield from expand(chunks[reference["name"]], chunks, indent + reference["indent"])
        else:
            yield Line(indent + text if text.strip() else text, number, indent)


def check_references(roots, chunks):
    """Return all that is wrong with references: undefined, cyclic, and chunks in no program."""
    errors, seen = [], set()

    def visit(fences, path):
        for number, _, reference in numbered(fences):
            name = reference and reference["name"]
            if name in path:
                errors.append((number, "cyclic: " + " -> ".join([*path[path.index(name) :], name])))
            elif name and name not in chunks:
                near = difflib.get_close_matches(name, chunks, 1) if len(errors) < 20 else []  # it takes long
                hint = f"; did you mean <<{near[0]}>>?" if near else ""
                errors.append((number, f"undefined: there is no chunk <<{name}>>{hint}"))
            elif name and name not in seen:
                seen.add(name)
                visit(chunks[name], [*path, name])

    for root in roots.values():
        visit([root], [])
    for name in chunks.keys() - seen:
        errors.append((chunks[name][0].line, f"unused: no program has a reference to <<{name}>>"))
        visit(chunks[name], [name])  # it may be wrong in other ways as well
    return errors


def check_targets(fences):
    """Return what is wrong with the targets of an essay: their paths, and that one may be in the way of another."""
    errors, roots = [], [fence for fence in fences if fence.kind == "root"]
    for number, root in enumerate(roots):
        if not is_target(root.name):
            form = "relative, of printable characters, with / between names, without '..', and short"
            errors.append((root.line, f"{printable(root.name)} is not a path that can be written in build/: {form}"))
        for other in roots[:number]:
            one, two = root.name.casefold() + "/", other.name.casefold() + "/"  # some disks do not tell A from a
            if is_target(root.name) and (one.startswith(two) or two.startswith(one)):
                clash = f"{root.name} clashes with {other.name} on line {other.line}"
                errors.append((root.line, f"{clash}: no two programs are one file, and none is a folder"))
                break
    return errors if roots else [(1, "no program: it begins with a fence like ``` python {file=name.py}")]


def is_target(path):
    """Return whether a path may be a target below build/; most systems take no more than 255 bytes in a name."""
    parts = path.split("/")
    is_ours = parts[0] == SUMS or any(part.startswith(".tangle-") for part in parts)
    is_odd = not path.isprintable() or re.search(r"[\\:]", path) or any(part in ("", ".", "..") for part in parts)
    return not is_ours and not is_odd and len(path.encode()) <= 200


def check_syntax(program, root):
    """Return an error, with the offending line of the essay and a caret, if a program is not Python."""

    def line_at(number):
        return program[min(number or 1, len(program)) - 1]  # Python may point behind the last line

    cookie = ENCODING.match(render(program))
    if cookie:
        line = line_at(cookie[0].count("\n") + 1)
        return [(line.origin, "programs are written as UTF-8, and this line tells Python otherwise")]
    try:
        with warnings.catch_warnings():
            for kind in (SyntaxWarning, DeprecationWarning):  # what one Python warns of is an error to the next
                warnings.simplefilter("error", kind)
            compile(render(program), root.name, "exec", dont_inherit=True)
    except SyntaxError as error:
        line = line_at(error.lineno)
        source = line.text.removeprefix(line.indent)
        column = max(0, (error.offset or 1) - 1 - len(line.indent))
        caret = re.sub(r"\S", " ", source[:column]) + "^"
        message = re.sub(r"\bline (\d+)", lambda match: f"line {line_at(int(match[1])).origin}", error.msg)
        return [(line.origin, f"{message}\n    {printable(source)}\n    {caret}")]
    except (ValueError, RecursionError, MemoryError) as error:
        return [(root.line, f"{root.name} does not compile: {str(error) or type(error).__name__}")]
    return []


def render(program):
    """Return the text of a program: its lines without blank ones at the end, and one line end after the last."""
    return "\n".join(line.text for line in program).rstrip("\n") + "\n"


def printable(text):
    """Return a text in which nothing can mislead a terminal."""
    return "".join(c if c.isprintable() or c == "\t" else ascii(c)[1:-1] for c in text)


# ---------------------------------------------------------------------------------------------------------------------
# The files: reading, and writing without losing what was edited by hand

SUMS = "SHA256SUMS"
COUNTER = itertools.count()  # of temporary files: no two of a process have the same name
STALE = "not what the essay says: run tangle.py"
EDITED = "edited by hand (--stitch carries this over to the essay, --force drops it)"
DIVERGED = "edited by hand, from other code than the essay has now: unite the two in the essay, then use --force"
CONFLICTED = "git has left a conflict in it: resolve it in the essay, then use --force"


class Change(NamedTuple):
    """A file that has to change. None in place of bytes stands for no file."""

    path: Path
    old: bytes
    new: bytes
    state: str = STALE  # or EDITED, DIVERGED, CONFLICTED


def decode(data):
    """Return the text of an essay, given as bytes, with line ends \\n; raise TangleError if it is not UTF-8."""
    try:
        return io.StringIO(data.decode("utf-8-sig"), newline=None).read()
    except UnicodeDecodeError as error:
        before, byte = error.object[: error.start], error.object[error.start]
        line = len((before + b"x").splitlines())  # the x stands for the byte: it may be the first of its line
        raise TangleError([(line, f"byte {byte:#x} is not UTF-8: save the file as UTF-8")]) from None


def read(path):
    """Return the bytes of a file, or None if there is no file."""
    return path.read_bytes() if path.is_file() else None


def put(path, data):
    """Write a file in one move: it is what it was, or what it is to be, and never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tangle-{os.getpid()}-{next(COUNTER)}")
    try:
        temporary.write_bytes(data)
        if path.exists():
            with contextlib.suppress(OSError, AttributeError):  # only root may, and Windows has no owners
                os.chown(temporary, path.stat().st_uid, path.stat().st_gid)
            temporary.chmod(path.stat().st_mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write(changes):
    """Make some Changes, each in one move; raise OSError, and go no further, if a file is not what it was before."""
    for change in changes:
        if read(change.path) != change.old:
            raise OSError(f"{change.path} was saved in the meantime: try again")
        if change.new is None:
            change.path.unlink()
        else:
            put(change.path, change.new)


@contextlib.contextmanager
def locked(folder):
    """Let other tangles of the same folder wait, if the system has locks."""
    if not fcntl:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some folders in a network have none
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_programs(essay, force=False):
    """Tangle an essay; return the exit status: 1 if something was edited by hand."""
    with locked(essay.parent):
        return write_build(essay, tangle(decode(essay.read_bytes())), force)


def write_build(essay, programs, force=False):
    """Bring build/ up to date with an essay, which has these programs; return the exit status.

    It is 1 if something was edited by hand. Hold locked(essay.parent) since the essay was read.
    """
    changes = changes_in(essay, programs, force)
    edited = [change for change in changes if change.state != STALE and not force]
    for change in edited:
        show(change)
    if edited:
        return 1
    sums = essay.parent / "build" / SUMS
    if changes and changes[-1].path == sums:  # until all is written, both versions are known
        _, old, new, _ = changes.pop()
        both = (old or b"") + b"\n" + new
        changes = [Change(sums, old, both), *changes, Change(sums, both, new)]
    write(changes)
    for path, _, new, _ in changes:
        if path != sums:
            print(f"{path}:", "removed" if new is None else "{} lines".format(new.count(b"\n")))
    return 0


def check_programs(essay):
    """Show where build/ is not what an essay says; return the exit status."""
    with locked(essay.parent):
        changes = changes_in(essay, tangle(decode(essay.read_bytes())))
    for change in changes:
        show(change)
    return 1 if changes else 0


def changes_in(essay, programs, force=False):
    """Return the Changes that build/ needs to have these programs: what goes, what comes, the checksums as the last."""
    build, (owner, known) = essay.parent / "build", recorded(essay)
    if owner not in (None, essay.name) and (essay.parent / owner).is_file() and not force:
        raise OSError(f"{build} has the programs of {owner}: give {essay.name} a folder of its own")
    wanted = {target: render(programs[target]).encode() for target in sorted(programs)}
    gone = sorted({target for target, _ in known} - wanted.keys())
    sums = {target: digest(data) for target, data in wanted.items()}
    lines = [f"# The programs of {essay.name}", *(f"{value}  {target}" for target, value in sums.items())]
    wanted[SUMS] = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
    changes = []
    for target in [*gone, *wanted]:  # what goes comes first: it may make room for a folder
        path, new, state = build / target, wanted.get(target), STALE
        obstacle = obstacle_to(path, build)
        if obstacle and new is None:
            continue  # the checksums are damaged: no program was ever there
        if obstacle:
            raise OSError(f"{path} cannot be written, through a link or in place of a folder: remove {obstacle}")
        old = read(path)
        if target != SUMS and old is not None and (target, digest(old)) not in known:
            before = {value for name, value in known if name == target}
            state = EDITED if before == {sums.get(target)} else DIVERGED  # after an interruption nobody can be sure
            if CONFLICT.search(old.decode("utf-8", "replace")):
                state = CONFLICTED
        if unix(old) != new:
            changes.append(Change(path, old, new, state))
    return changes


def recorded(essay):
    """Return (the name of the essay that made the programs in build/, or None; {(target, checksum)} of all of them)."""
    file = essay.parent / "build" / SUMS
    owner = re.match(rb"# The programs of (.+)\n", unix(read(file)) or b"")
    return owner and owner[1].decode("utf-8", "replace"), sums_in(file)


def sums_in(file):
    """Return {(target, checksum)} of the files that SHA256SUMS names; lines that are damaged do not count.

    After an interruption, or a conflict of git, a target may have two.
    """
    lines = re.findall(rb"^([0-9a-f]{64})  (.+)$", unix(read(file)) or b"", re.MULTILINE)
    found = {(target.decode("utf-8", "replace"), value.decode()) for value, target in lines}
    return {(target, value) for target, value in found if is_target(target)}


def unix(data):
    """Return the bytes of a file, or None, with line ends \\n: git may have written \\r\\n, and it is the same file."""
    return None if data is None else data.replace(b"\r\n", b"\n")


def digest(data):
    """Return the checksum of a program, as it is in SHA256SUMS."""
    return hashlib.sha256(unix(data)).hexdigest()


def obstacle_to(path, build):
    """Return what keeps a path in build/ from being a file: a link on the way, a folder or a device; or None."""
    for step in [step for step in (path, *path.parents) if step.is_relative_to(build)]:
        if step.is_symlink():
            return step
    return path if path.exists() and not path.is_file() else None


def show(change):
    """Print the diff of a Change, and say on stderr what it is."""
    versions = [(data or b"").decode("utf-8", "replace").split("\n") for data in (change.old, change.new)]
    names = f"{change.path} (as it is)", f"{change.path} (from the essay)"
    print(*map(printable, difflib.unified_diff(*versions, *names, lineterm="")), sep="\n")
    print(f"{change.path}: {change.state}", file=sys.stderr)


# ---------------------------------------------------------------------------------------------------------------------
# Here the tangler ends. What follows is built on it: first experiments, programs in which some lines are others


def experiments_of(fences):
    """Return {name: fence} for the experiments of an essay, in their order."""
    return {fence.name: fence for fence in fences if fence.kind == "experiment"}


def places_of(experiment):
    """Return the places that an experiment changes: for each a list of (sign, text, line of the essay)."""
    places = [[]]
    for number, line in enumerate(experiment.code, experiment.line + 1):
        if line.rstrip() == "@@":
            places.append([])
        else:
            places[-1].append((line[:1] or " ", line[1:], number))
    return places


def code_of(programs):
    """Return {target: its lines as their chunks have them} of programs."""
    return {target: [line.text.removeprefix(line.indent) for line in lines] for target, lines in programs.items()}


def locate(experiment, programs, code=None):
    """Return [(place, lines of the essay)]: where an experiment finds what it takes out or shows.

    `code` is code_of(programs), if it is known. Raises TangleError if a place is not clear.
    """
    code, found = code or code_of(programs), []
    for place in places_of(experiment):
        old = [text for sign, text, _ in place if sign != "+"]
        line, problem, origins = place[0][2] if place else experiment.line, None, set()
        if not old or all(sign == " " for sign, _, _ in place) or any(sign not in " -+" for sign, _, _ in place):
            problem = "it has lines that begin with - or + or a space, and at least one of them is in a program"
        elif any(sign == "+" and REFERENCE.fullmatch(text) for sign, text, _ in place):
            problem = "it puts in code, and no references"
        else:
            first, *others = [origins_of(old, lines, programs[target]) for target, lines in code.items()]
            origins = first or set().union(*others)
        if len(origins) > 1:
            problem = f"its lines are at {len(origins)} places: show one more of those around them"
        elif not problem and not origins:
            problem = "its lines do not follow each other any more: write them as they are now"
            every = {text for lines in code.values() for text in lines}
            gone = [part for part in place if part[0] != "+" and part[1] not in every]
            if gone:
                sign, text, line = gone[0]
                what = "takes out" if sign == "-" else "shows"
                problem = f"the line that it {what} has changed; was: {printable(text.strip())}; write it as it is now"
        if problem:
            raise TangleError([(line, f"experiment {experiment.name}: {problem}, or take the experiment out")])
        found.append((place, *origins))
    return found


def origins_of(old, code, program):
    """Return where some lines of code that a program has are in the essay: a set of tuples, one for each place."""
    starts = [i for i, text in enumerate(code) if text == old[0] and code[i : i + len(old)] == old]
    return {tuple(line.origin for line in program[i : i + len(old)]) for i in starts}


def changed_by(experiment, programs, code=None):
    """Return {target: lines} of the programs that an experiment changes; raise TangleError if there are none."""
    code, changed = code or code_of(programs), {}
    for place, origins in locate(experiment, programs, code):
        first = next(text for sign, text, _ in place if sign != "+")
        for target in [target for target in programs if first in code[target]]:
            changed[target] = [*replaced(changed.get(target, programs[target]), place, origins)]
    changed = {target: lines for target, lines in changed.items() if render(lines) != render(programs[target])}
    if not changed:
        raise TangleError([(experiment.line, f"experiment {experiment.name}: it changes nothing: take it out")])
    return changed


def replaced(lines, place, origins):
    """Yield the lines of a program; those from some lines of the essay are as a place of an experiment has them."""
    i = 0
    while i < len(lines):
        if lines[i].origin != origins[0] or tuple(line.origin for line in lines[i : i + len(origins)]) != origins:
            yield lines[i]
            i += 1
            continue
        line = lines[i]
        for sign, text, number in place:
            if sign == "+":
                yield Line(line.indent + text if text.strip() else text, number, line.indent)
            else:
                line, i = lines[i], i + 1
                if sign == " ":
                    yield line


def check_experiments(fences, programs, compiles=False):
    """Return (line, message) for the experiments of an essay that do not fit its programs.

    With `compiles` also for those that change nothing, or make a program that is not Python: that takes longer.
    """
    errors, code = [], code_of(programs)
    taken = {fence.name: fence.line for fence in fences if fence.kind == "definition"}
    for fence in [fence for fence in fences if fence.kind == "experiment"]:
        line = taken.setdefault(fence.name, fence.line)
        if line != fence.line:
            errors.append((fence.line, f"experiment {fence.name}: line {line} has a chunk or experiment of that name"))
        try:
            locate(fence, programs, code)
            changed = changed_by(fence, programs, code) if compiles else {}
            python = [lines for target, lines in changed.items() if target.endswith(".py")]
            wrong = check_syntax(python[0], fence) if python else []  # what is wrong in one is wrong in all
            errors += [(line, f"experiment {fence.name}: {message}") for line, message in wrong]
        except TangleError as error:
            errors += error.errors
    return sorted(set(errors))


def tell_experiments(essay, compiles=False):
    """Print on stderr which experiments of an essay that tangles do not fit; return the exit status."""
    fences, _ = parse(decode(essay.read_bytes()))
    errors = check_experiments(fences, expand_all(roots_of(fences), chunks_of(fences)), compiles)
    for line, message in errors:
        print(f"{essay}:{line}: {message}", file=sys.stderr)
    return 1 if errors else 0


# ---------------------------------------------------------------------------------------------------------------------
# Running: programs whose lines are the essay's


def load(program, essay, file, name):
    """Run a program as a new module of that name, and return it; tracebacks show lines of the essay.

    For that, all positions in its code are moved to the essay: from its line there to its line here.
    """
    tree = ast.parse(render(program))
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            first, last = program[node.lineno - 1], program[node.end_lineno - 1]
            if last.origin - first.origin != node.end_lineno - node.lineno:  # it goes on in another chunk
                last = first
                node.end_col_offset = len(first.text.encode())
            node.lineno, node.end_lineno = first.origin, last.origin
            node.col_offset = max(0, node.col_offset - len(first.indent.encode()))
            node.end_col_offset = max(0, node.end_col_offset - len(last.indent.encode()))
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = str(file)
    exec(compile(tree, str(essay.absolute()), "exec", dont_inherit=True), vars(module))  # noqa: S102
    return module


def run(program, essay, target, arguments):
    """Run a program of an essay as the main program, with the command-line arguments that it is to see."""
    file, before = essay.absolute().parent / "build" / target, sys.argv
    sys.argv = [str(file), *arguments]
    sys.path.insert(0, str(file.parent))
    try:
        load(program, essay, file, "__main__")
    finally:  # pdb may start us again
        sys.argv = before
        sys.path.remove(str(file.parent))


def to_run(essay, words):
    """Return (program, target, arguments) for the words after --run; raise ValueError if they make no sense."""
    text = decode(essay.read_bytes())
    programs, (target, *arguments) = tangle(text), words
    python = [name for name in programs if name.endswith(".py")]
    if target not in python:
        reason = f"{target} is not Python: run build/{target}; " if target in programs else ""
        raise ValueError(f"{reason}--run takes a program of {essay}: {', '.join(python)}")
    cookie = ENCODING.match(text)
    if cookie:
        line = cookie[0].count("\n") + 1
        print(f"{essay}:{line}: Python takes this for an encoding, and will not show lines of it", file=sys.stderr)
    if arguments[:1] == ["--break"]:
        name, experiments = "".join(arguments[1:2]), experiments_of(parse(text)[0])
        if name not in experiments:
            raise ValueError(f"--break takes an experiment of {essay}: {', '.join(experiments) or 'it has none'}")
        errors = check_experiments([experiments[name]], programs, compiles=True)
        if errors:
            raise TangleError(errors)
        changed = changed_by(experiments[name], programs)
        if target not in changed:
            raise ValueError(f"{name} changes nothing in {target}, but {', '.join(changed)}")
        return changed[target], target, arguments[2:]
    return programs[target], target, arguments


# ---------------------------------------------------------------------------------------------------------------------
# Editing: places in both directions, and edits carried back


def where(text, essay, programs):
    """Return a text in which each place in a program is replaced by that in the essay, and the other way round.

    A place is FILE:LINE, FILE:LINE:COLUMN or, as in tracebacks, FILE", line LINE. What the essay has on one line may
    be in several programs: then a line for each. Colours of a terminal, which may divide a place, are left out.
    """
    build, numbers = essay.parent / "build", {}  # {(target, line of the essay): [lines of the program]}
    for target, program in programs.items():
        for number, line in enumerate(program, 1):
            numbers.setdefault((target, line.origin), []).append(number)
    forms = [form(path) for path in (build, essay.parent) for form in (os.path.abspath, os.path.relpath, str)]
    folders = "|".join(re.escape(f"{form}{os.sep}") for form in forms)
    files = "|".join(map(re.escape, sorted([*programs, essay.name], reverse=True)))  # the longer of two comes first
    path = rf"(?<![\w./-])(?:\./)?(?:{folders})?(?P<file>{files})"
    place = path + r'(?P<sign>:|", line )(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?'

    def elsewhere(match):
        """Return the same place in the other file, or in all other files."""
        file, sign, number, column = match["file"], match["sign"], int(match["line"]), match["column"]
        if file == essay.name:
            found = [f"{build / target}{sign}{n}" for target in programs for n in numbers.get((target, number), [])]
            return "\n".join(found) or match[0]
        if not 0 < number <= len(programs[file]):
            return match[0]
        line = programs[file][number - 1]
        return f"{essay}{sign}{line.origin}" + (f":{max(1, int(column) - len(line.indent))}" if column else "")

    return re.sub(place, elsewhere, re.sub(r"\x1b\[[0-9;]*m", "", text))


def stitch_programs(essay):
    """Carry what was edited by hand in build/ over to an essay, then tangle; return the exit status."""
    with locked(essay.parent):
        data = essay.read_bytes()
        programs = tangle(decode(data))
        edited = [change for change in changes_in(essay, programs) if change.state != STALE]
        for change in edited:
            show(change)
        if any(change.state != EDITED for change in edited):
            return 1
        if edited:
            if not essay.stat().st_mode & 0o200:
                raise OSError(f"{essay} is read-only: nothing is carried over")
            texts = {change.path.relative_to(essay.parent / "build").as_posix(): text_of(change) for change in edited}
            stitched, too = stitch(data, programs, texts)
            write([Change(essay.resolve(), data, stitched)])
            print(f"{essay}: takes over the edits of {', '.join(texts)}{too}")
    return write_programs(essay)


def text_of(change):
    """Return the text of an edited program; raise ValueError if a tangle can make no such program."""
    try:
        text = unix(change.old).decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{change.path}:{line}: this is not UTF-8: save the file as UTF-8") from None
    if not text.endswith("\n"):
        line = text.count("\n") + 1
        raise ValueError(f"{change.path}:{line}: the last line has no line end: give it one")
    return text


def stitch(data, programs, edited):
    """Return (the essay, as bytes, that makes the edited programs, {target: text}; what to say of its experiments)."""
    errors, changes = [], {}
    for target, new in edited.items():
        for start, end, lines in edits(programs[target], new.split("\n")[:-1], errors):
            changes[start, end] = lines  # two programs may differ here: then one of them comes out wrong below
    if errors:
        raise TangleError(errors)
    first = min([start for start, _ in changes], default=1)
    quotations, names = requote(parse(decode(data))[0], programs, changes)
    stitched = replace_lines(data, changes | quotations)
    try:
        made = {target: render(program) for target, program in tangle(decode(stitched)).items()}
    except TangleError as error:
        line, message = error.errors[0]
        problem = f"with this edit the essay would not tangle any more; its line {line} would be wrong: {message}"
        raise TangleError([(first, problem)]) from None
    wrong = [target for target in edited if edited[target] != made.get(target)]
    if wrong:
        problem = "a chunk edited in one place of several, a line indented less, or an odd line end?"
        raise TangleError([(first, f"{', '.join(wrong)} would come out otherwise than edited: {problem}")])
    experiments = experiments_of(parse(decode(stitched))[0])
    return stitched, "".join(f", and experiment {name}, line {experiments[name].line}, with it" for name in names)


def requote(fences, programs, changes):
    """Return ({(line, line after it): [its new text]} of experiments that quote lines that change, their names).

    That is clear if one line takes the place of one; an experiment that quotes other edits will not fit any more.
    """
    quotations, names, code = {}, {}, code_of(programs)
    for fence in experiments_of(fences).values():
        with contextlib.suppress(TangleError):  # it did not fit before
            for place, origins in locate(fence, programs, code):
                lines = iter(origins)
                for sign, _, number in place:
                    line = next(lines) if sign != "+" else 0
                    new = changes.get((line, line + 1), [])
                    if len(new) == 1:
                        quotations[number, number + 1], names[fence.name] = [sign + new[0]], None
    return quotations, list(names)


def replace_lines(data, changes):
    """Return an essay, as bytes, with {(first line, line after the last): new lines}; all else keeps every byte."""
    text = data.decode()
    ending = (re.search(r"\r\n|\r|\n", text) or ["\n"])[0]
    missing = "" if text.endswith(("\r", "\n")) else ending  # the last line may have no end
    lines = list(io.StringIO(text + missing, newline=""))
    for (start, end), new in sorted(changes.items(), reverse=True):
        lines[start - 1 : end - 1] = [line + ending for line in new]
    return "".join(lines).removesuffix(missing).encode()


def edits(program, new, errors):
    """Yield (start, end, lines) of the essay, for a program to become `new`; append to `errors` what is not certain."""
    old = render(program).split("\n")[:-1]
    program = program[: len(old)]  # without blank lines at the end, which are not written
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        if j - i == m - k == len(program[i:j]):  # each line is replaced by one
            for line, text in zip(program[i:j], new[k:m], strict=True):
                yield line.origin, line.origin + 1, [text.removeprefix(line.indent) if text.strip() else text]
            continue
        if i == j:  # lines are put in: what they go with is replaced by itself and them
            with_above, with_below = sides(program, i, new[k:m])
            i, k = (i - 1, k - 1) if with_above else (i, k)
            j, m = (j + 1, m + 1) if with_below else (j, m)
        replaced = program[i:j]
        start = replaced[0].origin if replaced else 0
        if replaced and [line.origin for line in replaced] == [*range(start, start + len(replaced))]:
            indent = replaced[0].indent
            yield start, start + j - i, [line.removeprefix(indent) if line.strip() else line for line in new[k:m]]
        else:  # it belongs to nothing, or to several chunks
            around = sorted(line.origin for line in replaced or program[max(0, i - 1) : i + 1]) or [1]
            message = f"an edit from here to line {around[-1]}, where chunks meet: make it here"
            errors.append((around[0], message))


def sides(program, i, added):
    """Return whether lines that are put in before line `i` (from 0) go with the line above them, and with that below.

    Inside of a chunk they go with the one above. Where chunks meet, text goes with text and blank lines with blank
    ones; with both or none is a case of doubt.
    """
    if i == 0 or i >= len(program):
        return i > 0, i < len(program)
    above, below = program[i - 1], program[i]
    if above.origin + 1 == below.origin:
        return True, False
    begins_alike = bool(above.text.strip()) == bool(added[0].strip())
    ends_alike = bool(below.text.strip()) == bool(added[-1].strip())
    return begins_alike, ends_alike


# ---------------------------------------------------------------------------------------------------------------------
# The command


def main():
    """The command line: return the exit status."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")
    options = command_line()
    essay = options.essay
    try:
        if options.run:
            program, target, arguments = to_run(essay, options.run)
        elif options.where:
            places = "\n".join(options.where)
            text = open(0, errors="replace").read() if places == "-" else places  # noqa: SIM115
            found = where(text, essay, tangle(decode(essay.read_bytes())))
            print(found.removesuffix("\n"))
            return int(found == text and places != "-")
        elif options.check:
            return check_programs(essay) | tell_experiments(essay, compiles=True)
        else:
            status = stitch_programs(essay) if options.stitch else write_programs(essay, options.force)
            if status == 0:
                tell_experiments(essay)
            return status
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)  # at once: the usual end would try to print what nobody reads
    except TangleError as error:
        print(*(f"{essay}:{line}: {message}" for line, message in error.errors), sep="\n", file=sys.stderr)
        return 1
    except (OSError, RuntimeError, ValueError) as error:  # of links in a circle, and of names that no system takes
        reason = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else error
        print(f"tangle.py: {reason}", file=sys.stderr)
        return 1
    run(program, essay, target, arguments)  # what it raises is its own affair
    return 0


class Parser(argparse.ArgumentParser):
    """Shows the manual as its help, and what is wrong with a call in a single line."""

    def format_help(self):
        return (__doc__ or "Python leaves out the manual with -OO: call it without that").strip() + "\n"

    def error(self, message):
        self.exit(2, f"tangle.py: {message} (--help shows the manual)\n")


def command_line():
    """Return the options: `essay`, a path, and one of `check`, `force`, `stitch`, `where` and `run`, or none."""
    parser = Parser(prog="tangle.py", allow_abbrev=False)
    parser.add_argument("essay", nargs="?", type=Path, default=os.path.relpath(Path(__file__).with_name("microgpt.md")))
    modes = parser.add_mutually_exclusive_group()
    for flag in ("--check", "--force", "--stitch"):
        modes.add_argument(flag, action="store_true")
    modes.add_argument("--where", nargs="+")
    modes.add_argument("--run", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.run == []:
        parser.error("--run needs the name of a program")
    return options


if __name__ == "__main__":
    sys.exit(main())
