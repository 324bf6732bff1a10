#!/usr/bin/env python3
"""Tangle: extract the programs that an essay contains, from microgpt.md into build/.

usage: python3 tangle.py [ESSAY] [--check | --force | --stitch | --where PLACE … | --run PROGRAM [ARGUMENT …]]

    ESSAY     the essay (microgpt.md beside this file when left out); programs go to build/ beside it
    --check   write nothing; show a diff and exit with 1 where build/ is not what the essay says
    --force   overwrite or remove programs that were edited by hand
    --stitch  carry what was edited by hand in build/ over to the essay, then tangle
    --where   turn FILE:LINE of a program into that of the essay, or back; with - so in text that comes through a pipe
    --run     run a program as the essay has it now; tracebacks, warnings, pdb and cProfile show lines of the essay

The essay is Markdown. Prose is prose; what counts are fences of three backticks at the start of a line:

    ``` python {file=microgpt.py}    a root: the program build/microgpt.py begins here
    ``` python {#attention}          a definition: a chunk is all fences of one name, in their order
        <<scaled-dot-product>>       a reference, alone on its line: the chunk of that name is put here,
                                     and every line of it gets the indentation of the reference
    ```python name="loss"            a demonstration: run when the essay is woven, never tangled (, option="…")
    ```text                          an illustration: shown as it is, in any language but python

Names are lower-case letters, digits and hyphens. The blank after the backticks keeps the weaver from running a chunk.
Other languages (``` c {file=fast.c}) work in the same way. After its file a root may have other attributes, which mean
nothing here: ``` python {file=fast.py needs=numpy}. Longer or indented fences, and those of tildes, are verbatim:
nothing counts in them.

All errors are found in one go, first those of chunks, then Python that does not compile, and printed as ESSAY:LINE:
MESSAGE; then the exit status is 1 and nothing is written. Chunks may be nested a hundred deep.

Programs are written only where they change, all or none, and their sums go to build/SHA256SUMS. A program whose sum is
not recorded there was edited by hand: it is shown as a diff and kept, and so is one that has lost its root. Line ends
\\r\\n, which git may write, are no edit. A tangle that was killed is finished by the next one.
--stitch changes the essay only if exactly the edited programs come out of it; others that share their chunks follow.
Lines put in where two chunks meet go to the one they touch, text to text, blank to blank; in doubt they are refused.

For other programs this file is a module: parse(text) finds the fences of an essay, tangle(text) makes all programs,
and expand(fences, chunks) the lines of some fences.
"""

import argparse
import ast
import bisect
import collections
import contextlib
import difflib
import hashlib
import io
import itertools
import os
import re
import signal
import sys
import types
import warnings
from pathlib import Path
from typing import NamedTuple

# ---------------------------------------------------------------------------------------------------------------------
# The language: what a fence is

NAME = r"[a-z][a-z0-9-]*"
ATTRIBUTE = r"(?!file=)[a-z]+=[^\s{}\"']+"
TARGET = rf"file=(?P<file>[^\s{{}}\"',]+)(?P<attributes>(?: {ATTRIBUTE})*)"
HEADER = re.compile(rf"``` (?P<language>[\w+-]+) \{{(?:#(?P<name>{NAME})|{TARGET})\}}\s*")
OPTION = r'\w+="[^"]*"'
DEMONSTRATION = re.compile(rf'```python (?=(?:.*\s)?name="(?P<name>{NAME})")(?P<options>{OPTION}(?:,\s*{OPTION})*)\s*')
REFERENCE = re.compile(rf"(?P<indent>\s*)<<(?P<name>{NAME})>>\s*")
VERBATIM = re.compile(r" {0,3}(?P<mark>`{3,}(?!.*`)|~{3,})")
LONGEST = 200  # bytes of a target: a name of 255 is too long for most systems
DEEPEST = 100  # levels of chunks in chunks
LARGEST = 1_000_000  # lines of all programs, with the references on the way to them


class Fence(NamedTuple):
    """A fenced block of the essay: it opens on line `line` (counted from 1), and its code stands on those after it."""

    kind: str  # "root", "definition", "demonstration", "illustration" or "verbatim"
    name: str  # of the chunk or demonstration; of a root its target, a path below build/; else nothing
    language: str
    options: dict  # {name: text} of a demonstration, {attribute: text} of a root
    line: int
    code: list

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
    fences, errors, fence, closing = [], [], None, None
    for number, line in enumerate(text.split("\n"), 1):
        if "\0" in line:
            errors.append((number, "a NUL byte: this is not a text file"))
        opens = re.match(r"```(?!`)", line)
        if fence and closing.fullmatch(line):
            fence = None
        elif fence and (fence.kind == "verbatim" or not opens):
            fence.code.append(line)
            if fence.kind in ("root", "definition") and is_doubtful(line):
                errors.append((number, "malformed: a reference <<name>> is alone on its line, in lower-case letters"))
        elif opens:
            if fence:
                errors.append((fence.line, f"unclosed: this fence is still open where line {number} opens another"))
            fence, closing = open_fence(line, number, errors), re.compile(r"```\s*")
            fences.append(fence)
        elif match := VERBATIM.match(line):
            if re.search(r"\{ *(#|file=)", line):
                errors.append((number, "malformed: the fence of a chunk is three backticks at the start of the line"))
            fence = Fence("verbatim", "", line[match.end() :].strip(), {}, number, [])
            closing = re.compile(rf" {{0,3}}{match['mark']}{match['mark'][0]}*\s*")
            fences.append(fence)
        elif re.match(r"\s*(`{3,}|~{3,}).*\{ *(#|file=)", line):
            errors.append((number, "malformed: the fence of a chunk is three backticks at the start of the line"))
    if fence and fence.line not in {line for line, _ in errors}:
        errors.append((fence.line, "unclosed: this fence is open until the end of the essay"))
    return fences, errors


def open_fence(line, number, errors):
    """Return the fence, still empty, that a line with three backticks opens; a malformed one is an illustration."""
    if match := HEADER.fullmatch(line):
        kind, name = ("root", match["file"]) if match["file"] else ("definition", match["name"])
        pairs = [pair.split("=", 1) for pair in (match["attributes"] or "").split()]
        return Fence(kind, name, match["language"], options_of(pairs, number, errors), number, [])
    if match := DEMONSTRATION.fullmatch(line):
        pairs = re.findall(r'(\w+)="([^"]*)"', match["options"])
        return Fence("demonstration", match["name"], "python", options_of(pairs, number, errors), number, [])
    if re.match(r"```\s*[{.]*python|```.*\{.*(#|file=)", line):
        forms = '``` python {#name} or ``` python {file=path}, with that blank, a demonstration ```python name="…"'
        errors.append((number, f"malformed: a chunk is {forms}, and an illustration ```text or ```pycon"))
    return Fence("illustration", "", line[3:].strip(), {}, number, [])


def options_of(pairs, number, errors):
    """Return {name: text} of some pairs; that a name is there twice is an error on the line with that number."""
    options = dict(pairs)
    if len(options) < len(pairs):
        errors.append((number, "malformed: an option or attribute is given twice"))
    return options


def is_doubtful(line):
    """Return whether a line of a chunk looks like a reference and is none."""
    return re.search(rf"<<{NAME}>>|^\s*<<.*>>\s*$", line) and not REFERENCE.fullmatch(line)


def numbered(fences):
    """Yield (line in the essay, text, match of REFERENCE or None) for each line of code in some fences."""
    for fence in fences:
        for number, text in enumerate(fence.code, fence.line + 1):
            yield number, text, REFERENCE.fullmatch(text)


# ---------------------------------------------------------------------------------------------------------------------
# The programs: from fences to lines


def tangle(text):
    """Return the programs of an essay, {target: [Line, …]}; raise TangleError with everything that is wrong."""
    fences, errors = parse(text)
    roots, chunks = roots_of(fences), chunks_of(fences)
    errors += check_targets(fences) + check_references(roots, chunks)
    programs = {} if errors else {target: list(expand([root], chunks)) for target, root in roots.items()}
    for target, program in programs.items():
        if target.endswith(".py"):
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
    """Return all that is wrong with references: undefined, cyclic, too deep, too long, and chunks without any."""
    errors, sizes = [], {}  # {name: (levels, lines)} of the chunks that were measured

    def measure(fences, path):
        """Return (levels, lines) of some fences; `path` is the list of the chunks that we are inside of."""
        levels = lines = 0
        for number, _, reference in numbered(fences):
            name = reference and reference["name"]
            if not name:
                lines += 1
            elif name not in chunks:
                errors.append((number, f"undefined: there is no chunk <<{name}>>{suggestion(name, chunks, errors)}"))
            elif name in path:
                errors.append((number, "cyclic: " + " -> ".join([*path[path.index(name) :], name])))
            elif len(path) + sizes.get(name, (1, 0))[0] > DEEPEST:
                errors.append((number, f"too deep: <<{name}>> is more than {DEEPEST} chunks inside of each other"))
            else:
                if name not in sizes:
                    sizes[name] = measure(chunks[name], [*path, name])
                levels, lines = max(levels, sizes[name][0]), lines + 1 + sizes[name][1]
        return levels + 1, lines

    total = 0
    for target, root in roots.items():
        lines = measure([root], [])[1]
        total += lines
        if lines > LARGEST:
            errors.append((root.line, f"{target} would have more than {LARGEST:,} lines"))
        elif total > LARGEST:
            errors.append((root.line, f"with {target} all programs would have more than {LARGEST:,} lines"))
    cut = any(message.startswith("too deep") for _, message in errors)  # what is below there was not looked at
    for name in [] if cut else [name for name in chunks if name not in sizes]:
        errors.append((chunks[name][0].line, f"unused: no program has a reference to <<{name}>>"))
        if name not in sizes:
            sizes[name] = measure(chunks[name], [name])  # it may be wrong in other ways as well
    return errors


def suggestion(name, names, errors):
    """Return a hint at a name that is nearly the same; none where there are many errors, since it takes long."""
    near = difflib.get_close_matches(name, names, 1) if len(errors) < 20 else []
    return f"; did you mean <<{near[0]}>>?" if near else ""


def check_targets(fences):
    """Return what is wrong with the targets of an essay: their paths, and that one may be in the way of another."""
    errors, lines = [], {}  # {target, or folder of one: (target, line)}
    for fence in fences:
        if fence.kind == "root" and not is_target(fence.name):
            shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in fence.name)
            errors.append((fence.line, f"{shown} is not a path that can be written in build/: relative, of printable "
                                       "characters, with / between names, without '..', and short"))  # fmt: skip
        elif fence.kind == "root":
            parts = fence.name.split("/")
            paths = ["/".join(parts[: i + 1]) for i in range(len(parts))]
            clashes = [lines[path] for path in paths if path in lines and path in (fence.name, lines[path][0])]
            if clashes:
                target, line = clashes[0]
                errors.append((fence.line, f"{fence.name} clashes with {target} on line {line}: no file is two, or a "
                                           "folder"))  # fmt: skip
            lines = dict.fromkeys(paths, (fence.name, fence.line)) | lines
    return errors if errors or lines else [(1, "no program: it begins with a fence like ``` python {file=name.py}")]


def is_target(path):
    """Return whether a path may be a target below build/."""
    odd = not path.isprintable() or re.search(rf"[\\:]|^{SUMS}(/|$)|(^|/)\.tangle-", path)
    return not odd and not {"", ".", ".."} & {*path.split("/")} and len(path.encode()) <= LONGEST


def check_syntax(program, root):
    """Return an error, with the offending line of the essay and a caret, where a program is not Python."""

    def line_at(number):
        return program[min(number or 1, len(program)) - 1]  # Python may count more: a \r ends a line for it

    try:
        with warnings.catch_warnings():
            for kind in (SyntaxWarning, DeprecationWarning):  # a doubtful escape is an error with every version
                warnings.simplefilter("error", kind)
            compile(render(program), root.name, "exec", dont_inherit=True)
    except SyntaxError as error:
        line = line_at(error.lineno)
        source = line.text.removeprefix(line.indent)
        caret = re.sub(r"\S", " ", source[: max(0, (error.offset or 1) - 1 - len(line.indent))]) + "^"
        message = re.sub(r"\bline (\d+)", lambda match: f"line {line_at(int(match[1])).origin}", error.msg)
        return [(line.origin, f"{message}\n    {source}\n    {caret}")]
    except (ValueError, RecursionError, MemoryError) as error:
        return [(root.line, f"{root.name} does not compile: {str(error) or type(error).__name__}")]
    return []


def render(program):
    """Return the text of a program: its lines, with exactly one line end after the last."""
    return "\n".join(line.text for line in program).rstrip("\n") + "\n"


# ---------------------------------------------------------------------------------------------------------------------
# The files: reading, and writing without losing anything

SUMS = "SHA256SUMS"
NUMBERS = itertools.count()  # of temporary files: no two of a process have the same name
JOURNAL = ".tangle-journal"  # the sums of what is being written: where it still exists, a tangle was interrupted
STALE = "not what the essay says: run tangle.py"
EDITED = "edited by hand (--stitch carries this over to the essay, --force drops it)"
DIVERGED = "edited by hand, from other code than the essay has now: bring the two together, then use --force"


class Change(NamedTuple):
    """A file that has to change. None in place of bytes stands for no file."""

    path: Path
    old: bytes
    new: bytes
    state: str = STALE  # or EDITED, DIVERGED


def decode(data):
    """Return the text of an essay, given as bytes, with line ends \\n; raise TangleError where it is not UTF-8."""
    try:
        return io.StringIO(data.decode("utf-8-sig"), newline=None).read()
    except UnicodeDecodeError as error:
        data, line = error.object, len((error.object[: error.start] + b"x").splitlines())
        raise TangleError([(line, f"byte {data[error.start]:#x} is not UTF-8: save the essay as UTF-8")]) from None


def read(path):
    """Return the bytes of a file, or None if there is no file."""
    return path.read_bytes() if path.is_file() else None


def put(path, data):
    """Write a file in one move: it is what it was, or what it is to be, and never half of it."""
    temporary = stage(path, data)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def stage(path, data):
    """Write what a file is to be under a temporary name, near to it and with its permissions; return that name."""
    folder = next(folder for folder in path.parents if folder.is_dir())
    temporary = folder / f".tangle-{os.getpid()}-{next(NUMBERS)}"
    try:
        temporary.write_bytes(data)
        if path.exists():
            temporary.chmod(path.stat().st_mode)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def write(changes):
    """Make some Changes, all or none: all that is new is written under temporary names, then moved in this order.

    Raises OSError, and changes nothing, where a file cannot be written or is no longer what it was in its Change.
    """
    staged, moved = {}, []
    try:
        for change in changes:
            if change.new is not None:
                staged[change.path] = stage(change.path, change.new)
        for change in changes:
            path = change.path
            if read(path) != change.old:
                raise OSError(f"{path} was saved in the meantime, so nothing is written: try again")
            moved.append((change, [folder for folder in path.parents if not folder.is_dir()]))
            if path in staged:
                path.parent.mkdir(parents=True, exist_ok=True)
                staged[path].replace(path)
            else:
                path.unlink()
    except BaseException:
        for change, folders in reversed(moved):
            take_back(change, folders)
        raise
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def take_back(change, folders):
    """Undo a Change, unless its file was saved since, and remove the folders that were made for it, innermost first."""
    with contextlib.suppress(OSError):
        if read(change.path) == change.new and change.old is not None:
            put(change.path, change.old)
        elif read(change.path) == change.new:
            change.path.unlink()
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def locked(folder):
    """Let other tangles of the same folder wait, where the system has locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some folders in a network have none
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def difference(programs, build):
    """Return the Changes of all that is different in build/: programs, and the sums as the last."""
    known, journal = sums_in(build / SUMS), sums_in(build / JOURNAL)
    wanted = {target: render(programs[target]).encode() for target in sorted(programs)}
    sums = {target: digest(data) for target, data in wanted.items()}
    changes = []
    for target in {**dict(sorted(known | journal)), **wanted}:  # what goes comes first: it may make room for a folder
        path, new, state = build / target, wanted.get(target), STALE
        obstacle = obstacle_to(path, build)
        if obstacle and new is None:
            continue  # the sums are damaged: no program was ever there
        if obstacle:
            raise OSError(f"{path} cannot be written, through a link or in place of a folder: remove {obstacle}")
        old = read(path)
        if old is not None and (target, digest(old)) not in known | journal:
            # Only where no tangle was interrupted is it sure that the edit was made in what the sums stand for.
            sure = journal <= known and (target, sums.get(target)) in known
            state = EDITED if sure else DIVERGED
        if unix(old) != new:
            changes.append(Change(path, old, new, state))
    new = "".join(f"{value}  {target}\n" for target, value in sums.items()).encode()
    if (build / SUMS).is_dir():
        raise OSError(f"{build / SUMS} is a folder: remove it")
    old = read(build / SUMS)
    return [*changes, Change(build / SUMS, old, new)] if unix(old) != new else changes


def unix(data):
    """Return the bytes of a file, or None, with line ends \\n: git may have written \\r\\n, and it is the same file."""
    return data and data.replace(b"\r\n", b"\n")


def digest(data):
    """Return the sum of a program, as it stands in SHA256SUMS."""
    return hashlib.sha256(unix(data)).hexdigest()


def obstacle_to(path, build):
    """Return what keeps a path in build/ from being a file: a link on the way, a folder or a device; or None."""
    steps = [step for step in (path, *path.parents) if step.is_relative_to(build)]
    links = [step for step in steps if step.is_symlink()]
    return links[0] if links else path if path.exists() and not path.is_file() else None


def sums_in(file):
    """Return {(target, sum)} as a file in sha256sum's format has them; lines that are damaged do not count."""
    lines = (read(file) or b"").decode("utf-8", "replace").splitlines()
    matches = [match for line in lines if (match := re.fullmatch(r"([0-9a-f]{64})  (.+)", line))]
    return {(match[2], match[1]) for match in matches if is_target(match[2])}


def show(change, build):
    """Print the diff of a Change, and say on stderr what it is."""
    versions = [(data or b"").decode("utf-8", "replace").split("\n") for data in (change.old, change.new)]
    name = change.path.relative_to(build).as_posix()
    names = f"{name} (in build/)", f"{name} (from the essay)"
    print(*difflib.unified_diff(*versions, *names, lineterm=""), sep="\n")
    print(f"{change.path}: {change.state}", file=sys.stderr)


def check_programs(essay):
    """Show where build/ is not what an essay says; return the exit status."""
    build = essay.parent / "build"
    with locked(essay.parent):
        changes = difference(tangle(decode(essay.read_bytes())), build)
    for change in changes:
        show(change, build)
    return 1 if changes else 0


def write_programs(essay, force=False):
    """Bring build/ up to date with an essay; return the exit status: 1 where something was edited by hand.

    Raises TangleError for what is wrong in the essay, OSError for files that cannot be written.
    """
    with locked(essay.parent):
        return bring_up_to_date(essay, force)


def bring_up_to_date(essay, force=False):
    """Do the work of write_programs, under a lock."""
    build = essay.parent / "build"
    programs = tangle(decode(essay.read_bytes()))
    changes = difference(programs, build)
    remove_leftovers(essay, programs)
    edited = [change for change in changes if change.state != STALE and not force]
    for change in edited:
        show(change, build)
    if edited:
        return 1
    move(changes, build)
    for path, _, new, _ in changes:
        if path != build / SUMS:
            print(f"{path}:", "removed" if new is None else "{} lines".format(new.count(b"\n")))
    return 0


def remove_leftovers(essay, programs):
    """Remove the temporary files of killed processes, from all folders where an essay's tangles may have put some."""
    build = essay.parent / "build"
    targets = {*programs, *dict(sums_in(build / SUMS)), *dict(sums_in(build / JOURNAL))}
    paths = {build / target for target in targets if not obstacle_to(build / target, build)}
    folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(build)}
    for folder in {essay.parent, essay.resolve().parent, *folders}:
        for left in folder.glob(".tangle-*-*"):
            process = left.name.split("-")[1]
            if process.isdecimal() and not is_running(int(process)):
                left.unlink(missing_ok=True)


def is_running(process):
    """Return whether there is a process with a number, or the system cannot tell."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)  # signal 0 does nothing
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


def move(changes, build):
    """Make the Changes of build/; until all are made, a journal has the sums that are on the way as well."""
    journal = build / JOURNAL
    before = read(journal)
    try:
        if changes:
            put(journal, (before or b"") + b"".join(new for path, _, new, _ in changes if path == build / SUMS))
            write(changes)
    except BaseException:
        if before is None and all(read(change.path) == change.old for change in changes):  # all was taken back
            journal.unlink(missing_ok=True)
        raise
    journal.unlink(missing_ok=True)


# ---------------------------------------------------------------------------------------------------------------------
# Editing: programs that run with the essay's lines, places in both directions, edits carried back


def load(program, essay, file, name):
    """Return a new module made from a program, all positions in its code moved to the essay: tracebacks show that."""
    tree = ast.parse(render(program))
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            first, last = program[node.lineno - 1], program[node.end_lineno - 1]
            if last.origin - first.origin != node.end_lineno - node.lineno:  # it goes on in another chunk
                last, node.end_col_offset = first, len(first.text.encode())
            node.lineno, node.end_lineno = first.origin, last.origin
            node.col_offset = max(0, node.col_offset - len(first.indent.encode()))
            node.end_col_offset = max(0, node.end_col_offset - len(last.indent.encode()))
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = str(file)
    exec(compile(tree, str(essay.absolute()), "exec", dont_inherit=True), vars(module))  # noqa: S102
    return module


def run(essay, target, arguments):
    """Run a program of an essay as the main program, with the command-line arguments that it is to see."""
    file, before = essay.absolute().parent / "build" / target, sys.argv
    program = tangle(decode(essay.read_bytes()))[target]
    sys.argv = [str(file), *arguments]
    sys.path.insert(0, str(file.parent))
    try:
        load(program, essay, file, "__main__")
    finally:
        sys.argv = before  # pdb may start us again


def where(text, essay, programs):
    """Return a text with each FILE:LINE of a program as that of the essay, and of the essay as all of programs."""

    def other(match):
        file, sign, row, column = match[1], match[2], int(match[3]), match[4]
        if file == essay.name:
            found = [f"{build / target}:{n}" for target in programs for n in lines_of.get((target, row), [])]
        else:
            lines = programs[file][max(0, row - 1) : row]
            column = f":{max(1, int(column) - len(lines[0].indent))}" if column and lines else ""
            found = [f"{essay}{sign}{line.origin}{column}" for line in lines]
        return "\n".join(found) or match[0]

    build, lines_of = essay.parent / "build", {}
    for target, program in programs.items():
        for number, line in enumerate(program, 1):
            lines_of.setdefault((target, line.origin), []).append(number)
    paths = [form(path) for path in (build, essay.parent) for form in (os.path.abspath, os.path.relpath, str)]
    folders = "|".join(re.escape(f"{path}{os.sep}") for path in paths)
    files = "|".join(map(re.escape, sorted([*programs, essay.name], reverse=True)))
    return re.sub(rf'(?<![\w./-])(?:\./)?(?:{folders})?({files})(:|", line )(\d{{1,9}})(?::(\d{{1,9}}))?', other, text)


def stitch_programs(essay):
    """Carry what was edited by hand in build/ over to an essay, then tangle; return the exit status."""
    build = essay.parent / "build"
    with locked(essay.parent):
        data = essay.read_bytes()
        programs = tangle(decode(data))
        edited = [change for change in difference(programs, build) if change.state != STALE]
        for change in edited:
            show(change, build)
        if DIVERGED in {change.state for change in edited}:
            return 1
        if edited:
            new = {change.path.relative_to(build).as_posix(): unix(change.old) for change in edited}
            write([Change(essay.resolve(), data, stitch(data, programs, new))])
            print(f"{essay}: takes over the edits of {', '.join(new)}")
        return bring_up_to_date(essay)


def stitch(data, programs, edited):
    """Return the essay, as bytes, that makes the edited programs, {target: bytes}; raise TangleError if unsure."""
    errors, changes = [], {}
    for target, new in edited.items():
        for start, end, lines in edits(programs[target], new.decode("utf-8", "replace").split("\n")[:-1], errors):
            changes[start, end] = lines
    if errors:
        raise TangleError(errors)
    stitched, first = replace_lines(data, changes), min(changes, default=(1,))[0]
    try:
        made = {target: render(program).encode() for target, program in tangle(decode(stitched)).items()}
    except TangleError as error:
        line, message = error.errors[0]
        problem = f"with this edit the essay would not tangle any more; its line {line} would be wrong: {message}"
        raise TangleError([(first, problem)]) from None
    if wrong := [target for target in edited if edited[target] != made.get(target)]:
        problem = "a chunk edited in one place of several, a line indented less, or an odd line end?"
        raise TangleError([(first, f"{', '.join(wrong)} would come out otherwise than edited: {problem}")])
    return stitched


def replace_lines(data, changes):
    """Return an essay, as bytes, with {(first line, line after the last): new lines}; all else keeps every byte."""
    text = data.decode()
    first_end = re.search(r"\r\n|\r|\n", text)
    ending = first_end[0] if first_end else "\n"
    missing = "" if text.endswith(("\r", "\n")) else ending  # the last line may have no end
    lines = list(io.StringIO(text + missing, newline=""))
    for (start, end), new in sorted(changes.items(), reverse=True):
        lines[start - 1 : end - 1] = [line + ending for line in new]
    return "".join(lines).removesuffix(missing).encode()


def edits(program, new, errors):
    """Yield (start, end, lines) of the essay, for a program to become `new`; append to `errors` what is not certain."""
    old = render(program).split("\n")[:-1]
    for i, j, k, m in differences(old, new):
        if i == j:  # lines are put in: what they go with is replaced by itself and them
            above, below = neighbours(program[: len(old)], i, new[k:m])
            i, k = (i - 1, k - 1) if above else (i, k)
            j, m = (j + 1, m + 1) if below else (j, m)
        block = program[i:j] or program[max(0, i - 1) : i + 1] or [Line("", 1, "")]
        start, indent = block[0].origin, block[0].indent
        if [line.origin for line in program[i:j]] != [*range(start, start + len(block))]:
            errors.append((start, f"an edit from here to line {block[-1].origin}, where chunks meet: make it here"))
        else:
            yield start, start + j - i, [line.removeprefix(indent) if line.strip() else line for line in new[k:m]]


def neighbours(program, i, added):
    """Return whether lines that are put in before line `i` of a program go with the line above, and with that below.

    Inside of a chunk it is the one above. Where chunks meet it is the one they touch that is text, or blank, as they
    are; both or none is in doubt.
    """
    if i == 0 or i >= len(program):
        return i > 0, i < len(program)
    if program[i - 1].origin + 1 == program[i].origin:
        return True, False
    blank = [not text.strip() for text in (program[i - 1].text, added[0], added[-1], program[i].text)]
    return blank[0] == blank[1], blank[2] == blank[3]


def differences(old, new, i=0, k=0, rounds=300):
    """Yield (start, end, start in new, end in new) where two lists of lines differ; `i` and `k` are added to them.

    Lines that stand in both exactly once hold the two together (as in Bram Cohen's patience diff). Between them there
    may be others, unique only there: they are looked for in so many rounds. What is left is compared by difflib, whose
    time grows with the square of it, and is replaced as a whole where it is long.
    """
    shorter = min(len(old), len(new))
    same = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    old, new, i, k, shorter = old[same:], new[same:], i + same, k + same, shorter - same
    same = next((n for n in range(shorter) if old[-1 - n] != new[-1 - n]), shorter)
    old, new = old[: len(old) - same], new[: len(new) - same]
    anchors = common_lines(old, new) if rounds else []
    if anchors:
        for (a, b), (c, d) in itertools.pairwise([(-1, -1), *anchors, (len(old), len(new))]):
            yield from differences(old[a + 1 : c], new[b + 1 : d], i + a + 1, k + b + 1, rounds - 1)
    elif old and new and len(old) * len(new) < 1_000_000:
        for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
            if tag != "equal":
                yield i + a, i + b, k + c, k + d
    elif old or new:
        yield i, i + len(old), k, k + len(new)


def common_lines(old, new):
    """Return the longest list of (place in old, place in new), both rising, of lines that are unique in both.

    It is the longest increasing subsequence of the places in new: found by patience sorting, with a binary search.
    """
    count, other = collections.Counter(old), collections.Counter(new)
    place = {line: number for number, line in enumerate(new)}
    ends, chains = [], []  # of each length the smallest place in new where a chain ends, and the chain itself
    for a, line in enumerate(old):
        if count[line] == 1 == other[line]:
            length = bisect.bisect_left(ends, place[line])
            chain = ((a, place[line]), chains[length - 1] if length else None)
            ends[length : length + 1], chains[length : length + 1] = [place[line]], [chain]
    found, chain = [], chains[-1] if chains else None
    while chain:
        pair, chain = chain
        found.append(pair)
    return found[::-1]


# ---------------------------------------------------------------------------------------------------------------------
# The command


def main():
    """The command line: return the exit status."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")
    options = command_line()
    essay = options.essay
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and so the temporary files are removed
    try:
        if options.check:
            return check_programs(essay)
        if options.stitch:
            return stitch_programs(essay)
        if options.where:
            return print_places(essay, options.where)
        if not options.run:
            return write_programs(essay, options.force)
        programs = tangle(decode(essay.read_bytes()))
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)
    except TangleError as error:
        print(*(f"{essay}:{line}: {message}" for line, message in error.errors), sep="\n", file=sys.stderr)
        return 1
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle; ValueError: no such name
        reason = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else error
        print(f"tangle.py: {reason}", file=sys.stderr)
        return 1
    if options.run[0] not in programs:
        print(f"tangle.py: --run takes a program of {essay}: {', '.join(programs)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    run(essay, options.run[0], options.run[1:])  # what it raises is its own affair
    return 0


class Parser(argparse.ArgumentParser):
    """Shows the manual as its help, and what is wrong with a call in a single line."""

    def format_help(self):
        return __doc__.strip() + "\n"

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


def print_places(essay, places):
    """Print places with those that belong to them in the essay or the programs; return 1 where none was found."""
    text = open(0, errors="replace").read() if places == ["-"] else "\n".join(places)  # noqa: SIM115
    found = where(text, essay, tangle(decode(essay.read_bytes())))
    print(found.removesuffix("\n"))
    return int(found == text and places != ["-"])


if __name__ == "__main__":
    sys.exit(main())
