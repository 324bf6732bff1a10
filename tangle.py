#!/usr/bin/env python3
"""Tangle: extract the programs that an essay contains, from microgpt.md into build/.

usage: python3 tangle.py [ESSAY] [--check | --force | --stitch | --where PLACE …
                                  | --run PROGRAM [--break EXPERIMENT] [ARGUMENT …]]

    ESSAY     the essay (microgpt.md beside this file when left out); programs go to build/ beside it
    --check   write nothing; show a diff and exit with 1 where build/ is not what the essay says
    --force   overwrite or remove programs that were edited by hand
    --stitch  carry what was edited by hand in build/ over to the essay, then tangle
    --where   turn FILE:LINE of a program into that of the essay, or back; with - so in text that comes through a pipe
    --run     run a program as the essay has it now; tracebacks, warnings, pdb and cProfile show lines of the essay;
              with --break as it is after an experiment

The essay is Markdown. Prose is prose; what counts are fences of three backticks at the start of a line:

    ``` python {file=microgpt.py}    a root: the program build/microgpt.py begins here
    ``` python                       a definition: a chunk is all fences of one name, in their order. The name is the
    <<attention>>=                   first line, where GitHub shows it; or it is in the braces: ``` python {#attention}
        <<scaled-dot-product>>       a reference, alone on its line: the chunk of that name is put here, and each of
                                     its lines that is not blank gets the indentation of the reference
    ``` diff {#no-root}              an experiment: lines of a chunk that are taken out (-) and put in (+), and lines
                                     around them (after a blank) that show where. It changes no program that is written
    ```python name="loss"            a demonstration: run by the weaver, which makes pages of the essay; never tangled.
                                     It may have more options, as in name="loss", alt="A curve"
    ```text                          an illustration: shown as it is, in any language but python

Names begin with a lower-case letter, and go on with such letters, digits and hyphens. The blank after the backticks
keeps the weaver from running a chunk. Other languages (``` c {file=fast.c}) work in the same way, but <<name>> beside
something else on a line of a chunk is an error in all. After its file a root may have other attributes, which mean
nothing here: ``` python {file=fast.py needs=numpy}, and so may an experiment after its name. Longer or indented fences,
and those of tildes, are verbatim: nothing counts in them.

The lines that an experiment takes out, and those around, stand together at exactly one place of the first program or,
if it has none, of the others. A line @@ begins another place. What comes out of it has to be a program as well.

All errors of fences and chunks are found in one go; if there are none, in each program the first that keeps Python
from compiling it, or that Python warns of. They are printed as ESSAY:LINE: MESSAGE; then the exit status is 1, as
after every refusal, and nothing is written. It is 2 where the call itself is wrong. Chunks may be nested a hundred
deep, all programs together may have a million lines, and the path of a program 200 bytes.

Programs are written only where they change, all or none, and their sums go to build/SHA256SUMS. A program whose sum is
not recorded there was edited by hand: it is shown as a diff and kept, and as long as there is one nothing is written.
A program that has lost its root is removed, unless it was edited. Line ends \\r\\n, which git may write, are no edit. A
tangle that was killed is finished by the next one.
--stitch changes the essay only if exactly the edited programs come out of it; others that share their chunks follow.
Lines put in where two chunks meet go to the one they touch, text to text, blank to blank; in doubt they are refused.
If essay and program were both changed, make the change of the program in the essay as well, then use --force.
--run takes the one program from the essay; if it imports others, they come from build/.

For other programs this file is a module: parse(text) finds the fences of an essay, tangle(text) makes all programs,
tangle(text, NAME) those that an experiment changes, and expand(fences, chunks) the lines of some fences.
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
NAMELESS, NAMING = re.compile(r"``` (?P<language>[\w+-]+)\s*"), re.compile(rf"<<(?P<name>{NAME})>>=\s*")
EXPERIMENT = re.compile(rf"``` diff \{{#(?P<name>{NAME})(?P<attributes>(?: {ATTRIBUTE})*)\}}\s*")
OPTION = r'\w+="[^"]*"'
DEMONSTRATION = re.compile(rf"```python (?P<options>{OPTION}(?:,\s*{OPTION})*)\s*")
REFERENCE = re.compile(rf"(?P<indent>\s*)<<(?P<name>{NAME})>>\s*")
VERBATIM = re.compile(r" {0,3}(?P<mark>`{3,}(?!.*`)|~{3,})")
PLACE = "the fence of a chunk is three backticks at the start of the line"
LONGEST = 200  # bytes of a target; most systems take no more than 255 in a name
DEEPEST = 100  # levels of chunks in chunks
LARGEST = 1_000_000  # lines of all programs, with the references on the way to them


class Fence(NamedTuple):
    """A fenced block of the essay: its code stands on the lines after line `line` (counted from 1).

    That is the one on which it opens, or the one after it, where a name stands there.
    """

    kind: str  # "root", "definition", "experiment", "demonstration", "illustration" or "verbatim"
    name: str  # of the chunk, experiment or demonstration; of a root its target, a path below build/; else nothing
    language: str  # of a verbatim fence or an illustration, all that stands after the backticks
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
    fences, errors, fence, closing = [], [], None, None
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            errors.append((number, "a NUL byte: this is not a text file"))
        opens = re.match(r"```(?!`)", line)
        if fence and fence.names_itself and number == fence.line:
            continue  # its name
        if fence and closing.fullmatch(line):
            fence = None
        elif fence and (fence.kind == "verbatim" or not opens):
            fence.code.append(line)
            if fence.kind in ("root", "definition") and is_doubtful(line):
                errors.append((number, "malformed: a reference <<name>> is alone on its line, in lower-case letters"))
        elif opens:
            if fence:
                errors.append((fence.start, f"unclosed: this fence is still open where line {number} opens another"))
            fence, closing = open_fence(line, lines[number : number + 1], number, errors), re.compile(r"```\s*")
            fences.append(fence)
        elif match := VERBATIM.match(line):
            if re.search(r"\{ *(#|file=)", line):
                errors.append((number, f"malformed: {PLACE}"))
            fence = Fence("verbatim", "", line[match.end() :].strip(), {}, number, [])
            closing = re.compile(rf" {{0,3}}{match['mark']}{match['mark'][0]}*\s*")
            fences.append(fence)
        elif NAMING.fullmatch(line):
            errors.append((number, "malformed: this names a chunk, but no fence, such as ``` python, begins above it"))
        elif re.match(r"\s*(`{3,}|~{3,}).*\{ *(#|file=)", line):
            errors.append((number, f"malformed: {PLACE}"))
    if fence and fence.start not in {line for line, _ in errors}:  # one error a line is enough
        errors.append((fence.start, "unclosed: this fence is open until the end of the essay"))
    return fences, errors


def open_fence(line, after, number, errors):
    """Return the fence, still empty, that a line with three backticks opens; a malformed one is an illustration.

    `after` has the line after it, if there is one.
    """
    if match := EXPERIMENT.fullmatch(line):
        pairs = [pair.split("=", 1) for pair in match["attributes"].split()]
        return Fence("experiment", match["name"], "diff", options_of(pairs, number, errors), number, [])
    if match := HEADER.fullmatch(line):
        kind, name = ("root", match["file"]) if match["file"] else ("definition", match["name"])
        pairs = [pair.split("=", 1) for pair in (match["attributes"] or "").split()]
        return Fence(kind, name, match["language"], options_of(pairs, number, errors), number, [])
    if (match := NAMELESS.fullmatch(line)) and (naming := NAMING.fullmatch("".join(after))):
        return Fence("definition", naming["name"], match["language"], {}, number + 1, [], names_itself=True)
    match = DEMONSTRATION.fullmatch(line)
    pairs = re.findall(r'(\w+)="([^"]*)"', match["options"]) if match else []
    if re.fullmatch(NAME, dict(pairs).get("name", "")):
        options = options_of(pairs, number, errors)
        return Fence("demonstration", options["name"], "python", options, number, [])
    if re.match(r"```\s*[{.]*python", line) or re.search("#|file=", line.partition("{")[2]):
        forms = '``` python, with that blank, and then <<name>>= or {file=path}, a demonstration ```python name="…"'
        errors.append((number, f"malformed: a chunk is {forms}, and an illustration ```text or ```pycon"))
    return Fence("illustration", "", line[3:].strip(), {}, number, [])


def options_of(pairs, number, errors):
    """Return {name: text} of some pairs; append an error, with the number of the line, if a name stands there twice."""
    options = dict(pairs)
    if len(options) < len(pairs):
        errors.append((number, "malformed: an option or attribute is given twice"))
    return options


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


def tangle(text, experiment=None):
    """Return the programs of an essay, {target: [Line, …]}; raise TangleError with everything that is wrong.

    With the name of an experiment, only the programs that it changes, as they are then; KeyError if there is none.
    """
    fences, errors = parse(text)
    roots, chunks = roots_of(fences), chunks_of(fences)
    errors += check_targets(fences) + check_references(roots, chunks)
    programs = {} if errors else {target: list(expand([root], chunks)) for target, root in roots.items()}
    for target, program in programs.items():
        if target.endswith(".py"):
            errors += check_syntax(program, roots[target])
    if not errors:
        errors = check_experiments(fences)
    if errors:
        raise TangleError(errors)
    if experiment is None:
        return programs
    changed = experiment_on(fences, experiments_of(fences)[experiment], users_of(fences))
    broken = {target: expand_root(target, changed) for target in programs}
    return {target: program for target, program in broken.items() if program != programs[target]}


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
    """Return all that is wrong with references: undefined, cyclic, too deep, too long, and chunks in no program."""
    errors, sizes = [], {}  # {name: (levels, lines)} of the chunks that were measured

    def measure(fences, path):
        """Return (levels, lines) of some fences, and note what is wrong; `path` is the chunks that we are in."""
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
    if any(message.startswith("too deep") for _, message in errors):
        return errors  # what is below there was not looked at, so nobody knows what is unused
    for name in [name for name in chunks if name not in sizes]:
        errors.append((chunks[name][0].line, f"unused: no program has a reference to <<{name}>>"))
        if name not in sizes:  # another unused one may have a reference to it
            sizes[name] = measure(chunks[name], [name])  # it may be wrong in other ways as well
    return errors


def suggestion(name, names, errors):
    """Return a hint at a name that is nearly the same; none where there are many errors, since it takes long."""
    near = difflib.get_close_matches(name, names, 1) if len(errors) < 20 else []
    return f"; did you mean <<{near[0]}>>?" if near else ""


def check_targets(fences):
    """Return what is wrong with the targets of an essay: their paths, and that one may be in the way of another."""
    errors, owners = [], {}  # {a target, or a folder that it needs: (the target, its line)}
    for fence in fences:
        if fence.kind == "root" and not is_target(fence.name):
            shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in fence.name)
            errors.append((fence.line, f"{shown} is not a path that can be written in build/: relative, of printable "
                                       "characters, with / between names, without '..', and short"))  # fmt: skip
        elif fence.kind == "root":
            parts = fence.name.split("/")
            for path in ("/".join(parts[: i + 1]) for i in range(len(parts))):
                target, line = owners.setdefault(path, (fence.name, fence.line))
                if line != fence.line and path in (target, fence.name):  # one of the two needs it as a file
                    clash = f"{fence.name} clashes with {target} on line {line}"
                    errors.append((fence.line, f"{clash}: no two programs are one file, and none is a folder"))
                    break
    if not errors and not owners:
        errors.append((1, "no program: it begins with a fence like ``` python {file=name.py}"))
    return errors


def is_target(path):
    """Return whether a path may be a target below build/."""
    if not path.isprintable() or len(path.encode()) > LONGEST or re.search(r"[\\:]", path):
        return False
    parts = path.split("/")
    ours = parts[0] == SUMS or any(part.startswith(".tangle-") for part in parts)
    return not ours and not any(part in ("", ".", "..") for part in parts)


def check_syntax(program, root):
    """Return an error, with the offending line of the essay and a caret, where a program is not Python."""

    def line_at(number):
        return program[min(number or 1, len(program)) - 1]  # Python may point behind the last line

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
        return [(line.origin, f"{message}\n    {source}\n    {caret}")]
    except (ValueError, RecursionError, MemoryError) as error:
        return [(root.line, f"{root.name} does not compile: {str(error) or type(error).__name__}")]
    return []


def render(program):
    """Return the text of a program: its lines without blank ones at the end, and one line end after the last."""
    return "\n".join(line.text for line in program).rstrip("\n") + "\n"


# ---------------------------------------------------------------------------------------------------------------------
# Experiments: programs in which some lines are others


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


def experiment_on(fences, experiment, users):
    """Return the fences of an essay with an experiment made: what it changes is cut into fences that follow each other.

    `users` says which programs have which chunks: places in the first program go before others. A new line comes from
    the line of the experiment that says it. Raises TangleError if the place is not clear.
    """
    first = next(iter(users.values()))
    for place in places_of(experiment):
        line = place[0][2] if place else experiment.line
        if any(sign not in " -+" for sign, _, _ in place):
            raise TangleError([(line, "malformed: a line of an experiment begins with -, + or a blank")])
        old = [text for sign, text, _ in place if sign != "+"]
        if not old or all(sign == " " for sign, _, _ in place):
            raise TangleError([(line, "an experiment has lines with - or +, and at least one that stands in a chunk")])
        found = [(i, start) for i, fence in enumerate(fences) for start in matches(fence, old)]
        found = [(i, start) for i, start in found if users[fences[i].name] == first] or found
        if len(found) != 1:
            count = "at no place" if not found else f"at {len(found)} places"
            raise TangleError([(line, f"these lines stand together {count} in the chunks: there has to be one")])
        i, start = found[0]
        fences = [*fences[:i], *pieces(fences[i], start, place), *fences[i + 1 :]]
    return fences


def matches(fence, old):
    """Return where some lines stand together in the code of a fence, counted from 0."""
    if fence.kind not in ("root", "definition") or old[0] not in fence.code:
        return []
    return [start for start in range(len(fence.code)) if fence.code[start : start + len(old)] == old]


def pieces(fence, start, place):
    """Yield a fence in pieces: what is before one place of an experiment, each line of that, and what is after it."""
    yield fence._replace(code=fence.code[:start])
    for sign, text, number in place:
        if sign == "+":
            yield fence._replace(line=number - 1, code=[text])
        else:
            if sign == " ":
                yield fence._replace(line=fence.line + start, code=[text])
            start += 1
    yield fence._replace(line=fence.line + start, code=fence.code[start:])


def expand_root(target, fences):
    """Return the lines of a program; its root may be in pieces."""
    return list(expand([fence for fence in fences if (fence.kind, fence.name) == ("root", target)], chunks_of(fences)))


def check_experiments(fences):
    """Return what is wrong with the experiments of an essay that is right otherwise."""
    errors, taken = [], {fence.name: fence.line for fence in fences if fence.kind == "definition"}
    users = users_of(fences)
    for name, line in [(fence.name, fence.line) for fence in fences if fence.kind == "experiment"]:
        if taken.setdefault(name, line) != line:
            problem = f"the name {name} is taken by the chunk or experiment on line {taken[name]}"
            errors.append((line, problem))
    for experiment in experiments_of(fences).values():
        try:
            changed = experiment_on(fences, experiment, users)
            errors += check_change(experiment, [fence for fence in changed if fence not in fences], changed, users)
        except TangleError as error:
            errors += error.errors
    return errors


def users_of(fences):
    """Return {name of a chunk or target: the first program that it is a part of}."""
    users, chunks = {}, chunks_of(fences)

    def visit(name, parts, target):
        if users.setdefault(name, target) == target:
            for _, _, reference in numbered(parts):
                if reference and reference["name"] not in users:
                    visit(reference["name"], chunks[reference["name"]], target)

    for target, root in roots_of(fences).items():
        visit(target, [root], target)
    return users


def check_change(experiment, new, changed, users):
    """Return what is wrong with one experiment, with the fences that are new by it, and all as they are then."""
    errors = []
    for fence in new:
        errors += [(number, "malformed: a reference <<name>> is alone on its line")
                   for number, text in enumerate(fence.code, fence.line + 1) if is_doubtful(text)]  # fmt: skip
    for target in dict.fromkeys(users[fence.name] for fence in new):
        root = next(fence for fence in changed if fence.kind == "root" and fence.name == target)
        wrong = check_references({target: root}, chunks_of(changed))
        errors += [(line, message) for line, message in wrong if not message.startswith("unused")]
        if not errors and target.endswith(".py"):
            errors += check_syntax(expand_root(target, changed), experiment)
    return [(line, f"by the experiment on line {experiment.line}: {message}") for line, message in errors]


# ---------------------------------------------------------------------------------------------------------------------
# The files: reading, and writing without losing anything

SUMS = "SHA256SUMS"
COUNTER = itertools.count()  # of temporary files: no two of a process have the same name
JOURNAL = ".tangle-journal"  # the sums of what is being written: where it still exists, a tangle was interrupted
STALE = "not what the essay says: run tangle.py"
EDITED = "edited by hand (--stitch carries this over to the essay, --force drops it)"
DIVERGED = (
    "edited by hand, from other code than the essay has now, or from none that is known: unite them, then use --force"
)


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
        before, byte = error.object[: error.start], error.object[error.start]
        line = len((before + b"x").splitlines())  # the x stands for the byte: it may be the first of its line
        raise TangleError([(line, f"byte {byte:#x} is not UTF-8: save the essay as UTF-8")]) from None


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
    temporary = folder / f".tangle-{os.getpid()}-{next(COUNTER)}"
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
            folders = [folder for folder in path.parents if not folder.is_dir()]
            moved.append((change, folders))  # before it is moved: half of it may happen
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


def changes_in(build, programs):
    """Return the Changes that build/ needs to have these programs: what goes, what comes, and the sums as the last.

    Raises OSError where something is in the way.
    """
    recorded, journal = sums_in(build / SUMS), sums_in(build / JOURNAL)
    wanted = {target: render(programs[target]).encode() for target in sorted(programs)}
    sums = {target: digest(data) for target, data in wanted.items()}
    was_interrupted = not journal <= recorded
    gone = sorted({target for target, _ in recorded | journal} - wanted.keys())
    changes = []
    for target in [*gone, *wanted]:  # what goes comes first: it may make room for a folder
        path, new, state = build / target, wanted.get(target), STALE
        obstacle = obstacle_to(path, build)
        if obstacle and new is None:
            continue  # the sums are damaged: no program was ever there
        if obstacle:
            raise OSError(f"{path} cannot be written, through a link or in place of a folder: remove {obstacle}")
        old = read(path)
        if old is not None and (target, digest(old)) not in recorded | journal:
            # It is sure that the edit was made in what the essay says, if that is recorded and nothing interrupted.
            is_sure = (target, sums.get(target)) in recorded and not was_interrupted
            state = EDITED if is_sure else DIVERGED
        if unix(old) != new:
            changes.append(Change(path, old, new, state))
    if (build / SUMS).is_dir():
        raise OSError(f"{build / SUMS} is a folder: remove it")
    old = read(build / SUMS)
    new = "".join(f"{value}  {target}\n" for target, value in sums.items()).encode()
    return [*changes, Change(build / SUMS, old, new)] if unix(old) != new else changes


def unix(data):
    """Return the bytes of a file, or None, with line ends \\n: git may have written \\r\\n, and it is the same file."""
    return None if data is None else data.replace(b"\r\n", b"\n")


def digest(data):
    """Return the sum of a program, as it stands in SHA256SUMS."""
    return hashlib.sha256(unix(data)).hexdigest()


def obstacle_to(path, build):
    """Return what keeps a path in build/ from being a file: a link on the way, a folder or a device; or None."""
    steps = [step for step in (path, *path.parents) if step.is_relative_to(build)]
    for step in steps:
        if step.is_symlink():
            return step
    return path if path.exists() and not path.is_file() else None


def sums_in(file):
    """Return {(target, sum)} as a file in sha256sum's format has them; lines that are damaged do not count.

    A journal may have two sums of one target: that of an interrupted tangle, and that of the one after it.
    """
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
        changes = changes_in(build, tangle(decode(essay.read_bytes())))
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
    changes = changes_in(build, programs)
    remove_leftovers(essay, programs)
    edited = [change for change in changes if change.state != STALE and not force]
    for change in edited:
        show(change, build)
    if edited:
        return 1
    make(changes, build)
    for path, _, new, _ in changes:
        if path != build / SUMS:
            print(f"{path}:", "removed" if new is None else "{} lines".format(new.count(b"\n")))
    return 0


def remove_leftovers(essay, programs):
    """Remove the temporary files of killed processes, from all folders where an essay's tangles may have put some."""
    build = essay.parent / "build"
    targets = {*programs, *(target for target, _ in sums_in(build / SUMS) | sums_in(build / JOURNAL))}
    paths = {build / target for target in targets if not obstacle_to(build / target, build)}
    folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(build)}
    for folder in {essay.parent, essay.resolve().parent, *folders}:
        for left in folder.glob(".tangle-*-*"):
            match = re.fullmatch(r"\.tangle-(\d+)-\d+", left.name)
            if match and left.is_file() and not is_running(int(match[1])):
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


def make(changes, build):
    """Make the Changes of build/; until all are made, a journal has the sums that are on the way as well."""
    journal = build / JOURNAL
    before = read(journal)
    new_sums = b"".join(change.new for change in changes if change.path == build / SUMS)
    try:
        if changes:
            put(journal, (before or b"") + new_sums)
            write(changes)
    except BaseException:
        if before is None and all(read(change.path) == change.old for change in changes):  # all was taken back
            journal.unlink(missing_ok=True)
        raise
    journal.unlink(missing_ok=True)


# ---------------------------------------------------------------------------------------------------------------------
# Editing: programs that run with the essay's lines, places in both directions, edits carried back


COMPARED = 1_000_000  # pairs of lines that difflib may have to compare: a second or so


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


def where(text, essay, programs):
    """Return a text in which each place in a program is replaced by that in the essay, and the other way round.

    A place is FILE:LINE, FILE:LINE:COLUMN or, as in tracebacks, FILE", line LINE. What the essay has on one line may
    stand in several programs: then a line for each.
    """
    build, numbers = essay.parent / "build", {}  # {(target, line of the essay): [lines of the program]}
    for target, program in programs.items():
        for number, line in enumerate(program, 1):
            numbers.setdefault((target, line.origin), []).append(number)
    forms = [form(path) for path in (build, essay.parent) for form in (os.path.abspath, os.path.relpath, str)]
    folders = "|".join(re.escape(f"{form}{os.sep}") for form in forms)
    files = "|".join(
        map(re.escape, sorted([*programs, essay.name], reverse=True))
    )  # the longer of two before the other
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

    return re.sub(place, elsewhere, text)


def stitch_programs(essay):
    """Carry what was edited by hand in build/ over to an essay, then tangle; return the exit status."""
    build = essay.parent / "build"
    with locked(essay.parent):
        data = essay.read_bytes()
        programs = tangle(decode(data))
        edited = [change for change in changes_in(build, programs) if change.state != STALE]
        for change in edited:
            show(change, build)
        if DIVERGED in {change.state for change in edited}:
            return 1
        if edited:
            versions = {change.path.relative_to(build).as_posix(): unix(change.old) for change in edited}
            write([Change(essay.resolve(), data, stitch(data, programs, versions))])
            print(f"{essay}: takes over the edits of {', '.join(versions)}")
        return bring_up_to_date(essay)


def stitch(data, programs, edited):
    """Return the essay, as bytes, that makes the edited programs, {target: bytes}; raise TangleError if unsure."""
    errors, changes = [], {}
    for target, new in edited.items():
        for start, end, lines in edits(programs[target], new.decode("utf-8", "replace").split("\n")[:-1], errors):
            changes[start, end] = lines  # two programs may differ here: then one of them comes out wrong below
    if errors:
        raise TangleError(errors)
    first = min([start for start, _ in changes], default=1)
    stitched = replace_lines(data, changes)
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
    program = program[: len(old)]  # without blank lines at the end, which are not written
    for i, j, k, m in differences(old, new):
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
            around = [line.origin for line in replaced or program[max(0, i - 1) : i + 1]] or [1]
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


def differences(old, new, i=0, k=0, depth=300):
    """Yield (start, end, start in new, end in new) where two lists of lines differ; `i` and `k` are added to them.

    Lines that stand in both exactly once hold the two together (as in Bram Cohen's patience diff). Between them there
    may be others, unique only there, and so on, as deep as `depth`. What is left is compared by difflib, whose time
    grows with the square of it; where it is long it is one difference.
    """
    shorter = min(len(old), len(new))
    same = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    old, new, i, k, shorter = old[same:], new[same:], i + same, k + same, shorter - same
    same = next((n for n in range(shorter) if old[-1 - n] != new[-1 - n]), shorter)
    old, new = old[: len(old) - same], new[: len(new) - same]
    anchors = common_lines(old, new) if depth else []
    if anchors:
        for (a, b), (c, d) in itertools.pairwise([(-1, -1), *anchors, (len(old), len(new))]):
            yield from differences(old[a + 1 : c], new[b + 1 : d], i + a + 1, k + b + 1, depth - 1)
    elif old and new and len(old) * len(new) < COMPARED:
        for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
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
    ends, chains = [], []  # for each length the smallest place in new where a chain of it ends, and that chain
    for a, line in enumerate(old):
        if count[line] == 1 == other[line]:
            length = bisect.bisect_left(ends, place[line])  # of the longest chain that this line can go on with
            chain = ((a, place[line]), chains[length - 1] if length else None)
            ends[length : length + 1] = [place[line]]  # replaces one, or is put at the end
            chains[length : length + 1] = [chain]
    found, chain = [], chains[-1] if chains else None
    while chain:  # (the last pair, the chain before it)
        found.append(chain[0])
        chain = chain[1]
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
        text = decode(essay.read_bytes())
        programs = tangle(text)  # for --run
        target, experiment, arguments = what_to_run(options.run)
        if experiment:
            names = [*experiments_of(parse(text)[0])]
            if experiment not in names:
                raise ValueError(f"--break takes an experiment of {essay}: {', '.join(names) or 'it has none'}")
            changed = tangle(text, experiment)
            if target in programs and target not in changed:
                raise ValueError(f"{experiment} changes nothing in {target}, but {', '.join(changed)}")
            programs |= changed
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)  # at once: the usual end would try to print what nobody reads
    except TangleError as error:
        print(*(f"{essay}:{line}: {message}" for line, message in error.errors), sep="\n", file=sys.stderr)
        return 1
    except (OSError, RuntimeError, ValueError) as error:  # of links in a circle, and of names that no system takes
        reason = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else error
        print(f"tangle.py: {reason}", file=sys.stderr)
        return 1
    if target not in programs:
        print(f"tangle.py: --run takes a program of {essay}: {', '.join(programs)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    run(programs[target], essay, target, arguments)  # what it raises is its own affair
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


def what_to_run(words):
    """Return (program, experiment or None, arguments) of the words after --run."""
    target, *arguments = words
    if arguments[:1] == ["--break"]:
        return target, "".join(arguments[1:2]) or "nothing", arguments[2:]
    return target, None, arguments


def print_places(essay, places):
    """Print places with those that belong to them in the essay or the programs; return 1 where none was found."""
    text = open(0, errors="replace").read() if places == ["-"] else "\n".join(places)  # noqa: SIM115
    found = where(text, essay, tangle(decode(essay.read_bytes())))
    print(found.removesuffix("\n"))
    return int(found == text and places != ["-"])


if __name__ == "__main__":
    sys.exit(main())
