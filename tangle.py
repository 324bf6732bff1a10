#!/usr/bin/env python3
"""Tangle: extract the programs in an essay, microgpt.md, into build/.

usage: python3 tangle.py [ESSAY] [--check | --force | --stitch | --where PLACE …
                                  | --run PROGRAM [--break EXPERIMENT] [ARGUMENT …]]

    ESSAY     the essay (default: microgpt.md beside this file); its programs go to build/ beside it
    --check   write nothing; show a diff and exit with 1 if build/ does not match the essay, or an experiment is wrong
    --force   overwrite or remove programs that you have edited
    --stitch  carry your edits in build/ back into the essay, then tangle
    --where   turn FILE:LINE of a program into FILE:LINE of the essay, or back; with -, in all text from a pipe
    --run     run a Python program as it is in the essay now, or with --break as an experiment changes it; tracebacks,
              warnings, pdb and cProfile show lines of the essay; it imports other programs from build/

The essay is Markdown. Only fences of three backticks at the start of a line count:

    ``` python {file=microgpt.py}    a root: the program build/microgpt.py begins here
    ``` python                       a definition: a chunk is all fences of one name, in their order. The name is the
    <<attention>>=                   first line, where GitHub shows it, or it is in braces: ``` python {#attention}
        <<scaled-dot-product>>       a reference, alone on its line: it is replaced by the chunk of that name, and each
                                     of its lines that is not blank gets the indentation of the reference
    ``` diff {#no-root}              an experiment: lines of a program to remove (-) and to insert (+), with lines of
                                     context (after a space). It never changes the programs that are written
    ```python name="loss"            a demonstration: the weaver runs it for the essay's pages; it is never tangled.
                                     It may have more options, as in name="loss", alt="A curve"
    ```text                          an illustration: only shown, in any language but python

A name consists of lower-case letters, digits and hyphens, and a letter comes first. A path consists of letters, digits
and ._+- with / between them. Mind the space after the backticks: it keeps the weaver from running a chunk. A root or an
experiment may have attributes, which tangle.py ignores: ``` diff {#no-root title="No root"}. Use four backticks to
show a fence. A chunk in a list, a quotation or a comment is an error, and so is a merge conflict from git.

Errors are printed as ESSAY:LINE: MESSAGE. Then nothing is written, and the exit status is 1; it is 2 if the command
line is wrong. An experiment that does not fit is reported, but only --check fails because of it.

Only programs that change are written, and their checksums go to build/SHA256SUMS. A program with another checksum has
been edited: its diff is shown, and nothing is written. A program without a root is removed, unless it has been edited.
If you interrupt a tangle, the next one finishes it.

An experiment quotes lines with the indentation that their chunk gives them. They must match exactly one place in the
first program or, if it has none, in the others. A line @@ begins another hunk.

--stitch changes the essay only if it then produces exactly the edited programs. Other programs that share their chunks
follow, and so do experiments that quote a line you have replaced. Lines replaced by as many others are paired in their
order. An edit without a certain place is refused.

In Python, parse(text) finds the fences of an essay, tangle(text) makes its programs, and expand(fences, chunks) yields
the lines of some fences.
"""

import argparse
import ast
import contextlib
import difflib
import hashlib
import io
import os
import re
import shutil
import sys
import tokenize
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
# 1. The tangler. The language: what a fence is

NAME = r"[a-z][a-z0-9-]*"
TARGET = r"(?!SHA256SUMS)(?:[\w+-][\w.+-]*/)*[\w+-][\w.+-]*"  # a path below build/, without anything hidden
HEAD = r"``` (?P<language>[\w+-]+)"
ATTRIBUTES = r"""(?P<options>(?: (?!file=)[a-z]+=(?:"[^"\n]*"|[^\s{}"']+))*)"""
OPTIONS = r'(?P<options>\w+="[^"\n]*"(?:, *\w+="[^"\n]*")*)'
FORMS = [  # of the line that opens a fence, in the last form with the line below it
    ("root", re.compile(rf"{HEAD} \{{file=(?P<name>{TARGET}){ATTRIBUTES}\}}\s*")),
    ("experiment", re.compile(rf"``` (?P<language>diff) \{{#(?P<name>{NAME}){ATTRIBUTES}\}}\s*")),
    ("definition", re.compile(rf"{HEAD} \{{#(?P<name>{NAME})\}}\s*")),
    ("demonstration", re.compile(rf'```(?P<language>python) (?=.*name="(?P<name>{NAME})"){OPTIONS}\s*')),
    ("definition", re.compile(rf"{HEAD}\s*\n<<(?P<name>{NAME})>>=\s*")),
]
REFERENCE = re.compile(rf"(?P<indent>\s*)<<(?P<name>{NAME})>>\s*")
DOUBTFUL = re.compile(rf"<<{NAME}>>|^\s*<<.*>>\s*$")  # looks like a reference
MARK = re.compile(r"(?P<before>[\s>]*(?:(?:[-*+]|\d{1,9}[.)])\s+)*)(?P<mark>`{3,}|~{3,})(?P<rest>.*)")
BRACES, LOST_NAME = re.compile(r"\{ *(#|file=)"), re.compile(r"[\s>]*<<[^<>]*>>\s*=\s*")
LOST = "malformed: name a chunk in lower case, below three backticks at the start of a line, a space and a language"
ALONE = "a reference <<name>> must be alone on its line, in lower case; otherwise put a space after <<"
CONFLICT = re.compile(r"(<{7}|\|{7}|>{7}) ")


class Fence(NamedTuple):
    """A fenced block of the essay; lines are counted from 1."""

    kind: str  # "root", "definition", "experiment", "demonstration", "illustration" or "verbatim"
    name: str  # of the chunk, experiment or demonstration; of a root its target, a path below build/; else nothing
    language: str  # of a verbatim fence or an illustration, everything after the backticks
    options: dict  # {name: text} of a demonstration, {attribute: text} of a root or an experiment
    start: int  # the line on which it opens
    line: int  # the line before its code: the same one, or the next one, if that holds the name of the chunk
    code: list

    @property
    def end(self):
        """The line on which it closes."""
        return self.line + len(self.code) + 1


class Line(NamedTuple):
    """A line of a program: its origin in the essay, and how far the references on the way indent it."""

    code: str  # as its chunk has it
    origin: int  # number of the line in the essay, from 1
    indent: str

    @property
    def text(self):
        """The line as the program has it."""
        return self.indent + self.code if self.code.strip() else self.code


class TangleError(Exception):
    """The errors of an essay: `errors` is a list of (line, message), sorted."""

    def __init__(self, errors):
        super().__init__(errors)
        self.errors = sorted(set(errors))


def decode(data):
    """Return the text of an essay, given as bytes, with line endings \\n; raise TangleError if it is not UTF-8."""
    try:
        return io.StringIO(data.decode("utf-8-sig"), newline=None).read()
    except UnicodeDecodeError as error:
        before, byte = error.object[: error.start], error.object[error.start]
        line = len((before + b"x").splitlines())  # the x stands for the byte: it may be the first of its line
        raise TangleError([(line, f"byte {byte:#x} is not UTF-8: save the file as UTF-8")]) from None


def parse(text):
    """Return (fences, errors) of an essay: its fences in their order, and (line, message) for everything malformed."""
    lines, fences, errors = text.split("\n"), [], []
    fence = closing = is_example = None  # the open fence, the pattern that closes it, and whether it is an example
    comment = 0  # the line on which the open HTML comment begins
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            errors.append((number, "a NUL byte: this is not a text file"))
        if CONFLICT.match(line):
            errors.append((number, "a merge conflict from git: choose one of the two versions"))
        if comment and "-->" in line:
            comment = 0
        elif not fence and re.match(r" {0,3}<!--(?!.*-->)", line):
            comment = number
        mark = MARK.match(line)
        opens = mark and not mark["before"] and mark["mark"] == "```"
        if mark and not opens and mark["mark"][0] == "`" and "`" in mark["rest"]:
            mark = None  # code in a sentence
        if mark and not fence and not opens and BRACES.search(mark["rest"]):
            errors.append((number, "malformed: the fence of a chunk must be three backticks at the start of the line"))
        if fence and number == fence.line:
            pass  # its name
        elif fence and closing.fullmatch(line):
            fence = None
        elif fence and (fence.kind == "verbatim" or not opens):
            fence.code.append(line)
            if fence.kind in ("root", "definition"):
                if DOUBTFUL.search(line) and not REFERENCE.fullmatch(line):
                    errors.append((number, f"malformed: {ALONE}"))
            elif not is_example and LOST_NAME.fullmatch(line):
                errors.append((number, LOST))
        elif opens:
            if fence:
                errors.append((fence.start, f"unclosed: this fence is still open when line {number} opens another"))
            fence = open_fence(line, "".join(lines[number : number + 1]), number, errors)
            if comment and fence.kind != "illustration":
                errors.append((number, f"hidden: this {fence.kind} is in the comment that begins on line {comment}"))
            closing, is_example = re.compile(r"```\s*"), False
            fences.append(fence)
        elif mark and re.fullmatch(" {0,3}", mark["before"]):
            fence = Fence("verbatim", "", mark["rest"].strip(), {}, number, number, [])
            closing = re.compile(rf" {{0,3}}{mark['mark']}{mark['mark'][0]}*\s*")
            is_example = len(mark["mark"]) > 3
            fences.append(fence)
        elif LOST_NAME.fullmatch(line):
            errors.append((number, LOST))
    if fence and fence.start not in {line for line, _ in errors}:  # one error per line is enough
        errors.append((fence.start, "unclosed: this fence is still open at the end of the essay"))
    return fences, errors


def open_fence(line, below, number, errors):
    """Return the fence, still empty, that a line with three backticks opens; a malformed one is an illustration."""
    for kind, form in FORMS:
        match = form.fullmatch(line) or form.fullmatch(f"{line}\n{below}")
        if match:
            groups = match.groupdict()
            pairs = re.findall(r'(\w+)=("[^"]*"|\S+)', groups.get("options") or "")
            options = {option: value.strip('"') for option, value in pairs}
            if len(options) < len(pairs):
                errors.append((number, "malformed: an option or attribute is given twice"))
            named = number + 1 if "\n<<" in match[0] else number
            return Fence(kind, groups["name"], groups["language"], options, number, named, [])
    if re.match(r"```\s*[{.]*python", line, re.IGNORECASE) or BRACES.search(line):
        forms = "``` and its language, with that space, and then <<name>>= or {file=path}"
        others = 'a demonstration with ```python name="…", an illustration with ```text or ```pycon'
        errors.append((number, f"malformed: a chunk begins with {forms}; {others}"))
    return Fence("illustration", "", line[3:].strip(), {}, number, number, [])


def numbered(fences):
    """Yield (line in the essay, text, match of REFERENCE or None) for each line of code in some fences."""
    for fence in fences:
        for number, text in enumerate(fence.code, fence.line + 1):
            yield number, text, REFERENCE.fullmatch(text)


# The programs: from fences to lines


def tangle(text):
    """Return the programs of an essay, {target: [Line, …]}; raise TangleError with everything that is wrong."""
    return programs_of(*parse(text))


def programs_of(fences, errors=()):
    """Return the programs of an essay that parse() has read, {target: [Line, …]}; raise TangleError like tangle()."""
    roots, chunks, errors = named(fences, "root"), named(fences, "definition"), [*errors]
    if not roots and not errors:
        errors = [(1, "no program: start one with a fence like ``` python {file=name.py}")]
    errors += check_targets(roots) + check_references(roots, chunks)
    programs = {} if errors else {target: [*expand(root, chunks)] for target, root in roots.items()}
    for target, program in programs.items():
        if target.endswith(".py"):
            errors += check_syntax(program, *roots[target])
    if errors:
        raise TangleError(errors)
    return programs


def named(fences, kind):
    """Return {name: [fence, …]} for the fences of one kind, in order: "root", "definition" or "experiment"."""
    groups = {}
    for fence in fences:
        if fence.kind == kind:
            groups.setdefault(fence.name, []).append(fence)
    return groups


def expand(fences, chunks, indent=""):
    """Yield the Lines of some fences: each reference is replaced by the chunk it names, with its indentation.

    `chunks` is {name: fences}. References must be correct: tangle() checks them all before it expands any.
    """
    for number, text, reference in numbered(fences):
        if reference:
            yield from expand(chunks[reference["name"]], chunks, indent + reference["indent"])
        else:
            yield Line(text, number, indent)


def check_targets(roots):
    """Return the errors in targets: two roots share one, or one is a folder of another."""
    errors = []
    for target, (root, *others) in roots.items():
        errors += [(other.line, f"{target} already begins on line {root.line}: rename one") for other in others]
        for folder in {str(path) for path in Path(target).parents} & roots.keys():
            errors.append((root.line, f"{folder} on line {roots[folder][0].line} is a program, and cannot be a folder"))
    return errors


def check_references(roots, chunks):
    """Return the errors in references: undefined and cyclic ones, and chunks that no program uses."""
    errors, seen = [], set()

    def visit(fences, path):
        for number, _, reference in numbered(fences):
            name = reference and reference["name"]
            if name in path:
                errors.append((number, "cyclic: " + " -> ".join([*path[path.index(name) :], name])))
            elif name and name not in chunks:
                near = difflib.get_close_matches(name, chunks, 1)
                hint = f"; did you mean <<{near[0]}>>?" if near else ""
                errors.append((number, f"undefined: there is no chunk <<{name}>>{hint}"))
            elif name and name not in seen:
                seen.add(name)
                visit(chunks[name], [*path, name])

    for root in roots.values():
        visit(root, [])
    for name in chunks.keys() - seen:
        errors.append((chunks[name][0].line, f"unused: no program refers to <<{name}>>"))
        visit(chunks[name], [name])  # it may have other errors as well
    return errors


def check_syntax(program, root):
    """Return an error, with the offending line of the essay and a caret, if a program is not valid Python."""

    def line_at(number):
        return program[min(number or 1, len(program)) - 1]  # Python may point past the last line

    text = render(program)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(text.encode()).readline)
        if not encoding.startswith("utf-8"):
            return [(root.line, f"{root.name} is written as UTF-8, but declares itself to be {encoding}")]
        with warnings.catch_warnings():
            for kind in (SyntaxWarning, DeprecationWarning):  # a warning of one Python is an error of the next
                warnings.simplefilter("error", kind)
            compile(text, root.name, "exec", dont_inherit=True)
    except SyntaxError as error:
        line = line_at(error.lineno)
        column = max(0, (error.offset or 1) - 1 - len(line.indent))
        caret = re.sub(r"\S", " ", line.code[:column]) + "^"
        message = re.sub(r"\bline (\d+)", lambda match: f"line {line_at(int(match[1])).origin}", error.msg)
        return [(line.origin, f"{message}\n    {line.code}\n    {caret}")]
    except (RecursionError, MemoryError):
        return [(root.line, f"{root.name} is nested too deeply for Python")]
    return []


def render(program):
    """Return the text of a program: its lines, without trailing blank ones, and with a final newline."""
    return "\n".join(line.text for line in program).rstrip("\n") + "\n"


# The files


def put(path, data):
    """Write a file in one move: it is always either the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tangle-{os.getpid()}")
    try:
        temporary.write_bytes(data)
        if path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path):
    """Return the bytes of a file, or None if there is no file."""
    return path.read_bytes() if path.is_file() else None


def unix(data):
    """Return the bytes of a file, or None, with line endings \\n: git may have written \\r\\n, which is not an edit."""
    return None if data is None else data.replace(b"\r\n", b"\n")


# Here the tangler ends. Copied up to this line, and with a loop over tangle(decode(Path("essay.md").read_bytes())) that
# calls put(), it is complete, but overwrites edits.

# ---------------------------------------------------------------------------------------------------------------------
# 2. Experiments: programs with some lines replaced


def hunks_of(experiment):
    """Return the hunks of an experiment: each a list of (sign, text, line of the essay)."""
    hunks = [[]]
    for number, line in enumerate(experiment.code, experiment.line + 1):
        if line.rstrip() == "@@":
            hunks.append([])
        else:
            hunks[-1].append((line[:1] or " ", line[1:], number))
    return hunks


def locate(experiment, programs):
    """Return [(hunk, lines of the essay)]: where the lines are that an experiment removes or quotes.

    Raises TangleError if that is not clear.
    """
    located = []
    for hunk in hunks_of(experiment):
        old, new = [[text for sign, text, _ in hunk if sign != other] for other in "+-"]
        origins, line, problem = set(), hunk[0][2] if hunk else experiment.line, None
        if not old or any(sign not in " -+" for sign, _, _ in hunk):
            problem = "it needs lines that begin with - or + or a space, at least one of them from a program"
        elif any(sign == "+" and REFERENCE.fullmatch(text) for sign, text, _ in hunk):
            problem = "it may insert code, but no references"
        elif old == new:
            problem = "it changes nothing"
        else:
            first, *others = programs.values()
            origins = origins_of(old, first) or set().union(*(origins_of(old, program) for program in others))
        if len(origins) > 1:
            problem = f"its lines match {len(origins)} places: add a line of context"
        elif not problem and not origins:
            problem = "its lines no longer follow each other: write them as they are now"
            every = {line.code for program in programs.values() for line in program}
            lost = [part for part in hunk if part[0] != "+" and part[1] not in every]
            if lost:
                sign, text, line = lost[0]
                what = "removes" if sign == "-" else "quotes"
                problem = f"a line that it {what} has changed; it was: {text.strip()}; write it as its chunk has it"
        if problem:
            raise TangleError([(line, f"experiment {experiment.name}: {problem}, or remove the experiment")])
        located.append((hunk, origins.pop()))
    lines = [line for _, origins in located for line in origins]
    if len(set(lines)) < len(lines):
        raise TangleError([(experiment.line, f"experiment {experiment.name}: two of its hunks overlap: make them one")])
    return located


def origins_of(old, program):
    """Return where a program's run of lines comes from in the essay: a set of tuples, one for each place."""
    code = [line.code for line in program]
    starts = [i for i, text in enumerate(code) if text == old[0] and code[i : i + len(old)] == old]
    return {tuple(line.origin for line in program[i : i + len(old)]) for i in starts}


def changed_by(experiment, programs):
    """Return {target: lines} of the programs that an experiment changes; raise TangleError as locate() does."""
    changed = {}
    for hunk, origins in locate(experiment, programs):
        for target, program in programs.items():
            if any(line.origin == origins[0] for line in program):
                changed[target] = [*replaced(changed.get(target, program), hunk, origins)]
    return changed


def replaced(lines, hunk, origins):
    """Yield the lines of a program, with a hunk applied to those from some lines of the essay."""
    i = 0
    while i < len(lines):
        if lines[i].origin != origins[0] or tuple(line.origin for line in lines[i : i + len(origins)]) != origins:
            yield lines[i]
            i += 1
            continue
        line = lines[i]
        for sign, text, number in hunk:
            if sign == "+":
                yield Line(text, number, line.indent)
            else:
                line, i = lines[i], i + 1
                if sign == " ":
                    yield line


def check_experiments(fences, programs, compiles=False):
    """Return (line, message) for the experiments of an essay that do not fit its programs.

    With `compiles`, also for those that make a program invalid Python: that takes longer.
    """
    errors, chunks = [], named(fences, "definition")
    for name, group in named(fences, "experiment").items():
        first = [*chunks.get(name, []), *group][0]
        errors += [(fence.line, f"experiment {name}: line {first.line} already has a chunk or experiment of that name")
                   for fence in group if fence is not first]  # fmt: skip
        for fence in group:
            try:
                if not compiles:
                    locate(fence, programs)
                    continue
                python = [lines for target, lines in changed_by(fence, programs).items() if target.endswith(".py")]
                wrong = check_syntax(python[0], fence) if python else []  # one is enough: the lines are the same
                errors += [(line, f"experiment {name}: {message}") for line, message in wrong]
            except TangleError as error:
                errors += error.errors
    return sorted(set(errors))


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
    """Run a program of an essay as the main program, with these command-line arguments."""
    file, before = essay.absolute().parent / "build" / target, sys.argv
    sys.argv = [str(file), *arguments]
    sys.path.insert(0, str(file.parent))
    try:
        load(program, essay, file, "__main__")
    finally:  # pdb may start us again
        sys.argv = before
        sys.path.remove(str(file.parent))


def to_run(essay, fences, programs, words):
    """Return (program, target, arguments) for the words after --run; raise ValueError if they are invalid."""
    target, *arguments = words
    python = [name for name in programs if name.endswith(".py")]
    if target not in python:
        reason = f"{target} is not Python: run build/{target}; " if target in programs else ""
        raise ValueError(f"{reason}--run takes a program of {essay}: {', '.join(python)}")
    if arguments[:1] != ["--break"]:
        return programs[target], target, arguments
    name, experiments = "".join(arguments[1:2]), named(fences, "experiment")
    if name not in experiments:
        raise ValueError(f"--break takes an experiment of {essay}: {', '.join(experiments) or 'it has none'}")
    errors = check_experiments(experiments[name], programs, compiles=True)
    if errors:
        raise TangleError(errors)
    changed = changed_by(experiments[name][0], programs)
    if target not in changed:
        raise ValueError(f"{name} does not change {target}; it changes {', '.join(changed)}")
    return changed[target], target, arguments[2:]


# ---------------------------------------------------------------------------------------------------------------------
# 3. Editing. Edits in build/ are never lost: a program whose checksum is not the one written has been edited

SUMS = "SHA256SUMS"
STALE = "does not match the essay: run tangle.py"
EDITED = "edited by hand (--stitch carries the edit back into the essay, --force discards it)"
DIVERGED = "edited by hand, from code that the essay no longer has: merge the two in the essay, then use --force"


class Change(NamedTuple):
    """A program in build/ that must change. None instead of bytes means that there is no file."""

    path: Path
    target: str
    old: bytes
    new: bytes
    state: str  # STALE, EDITED or DIVERGED


def write_programs(essay, force=False):
    """Tangle an essay, and report experiments that do not fit; return the exit status: 1 if anything was edited."""
    with locked(essay.parent):
        _, fences, programs = read_essay(essay)
        status = write_build(essay, programs, force)
    if status == 0:
        report(essay, check_experiments(fences, programs))
    return status


def check_programs(essay):
    """Show where build/ differs from an essay, and report faulty experiments; return the exit status."""
    with locked(essay.parent):
        _, fences, programs = read_essay(essay)
        changes = changes_in(essay, programs)
    for change in changes:
        show(change)
    errors = check_experiments(fences, programs, compiles=True)
    report(essay, errors)
    return 1 if changes or errors else 0


def read_essay(essay):
    """Return (bytes, fences, programs) of an essay, a path."""
    data = essay.read_bytes()
    fences, errors = parse(decode(data))
    return data, fences, programs_of(fences, errors)


def report(essay, errors):
    """Print errors on stderr, with their lines."""
    for line, message in errors:
        print(f"{essay}:{line}: {message}", file=sys.stderr)


def write_build(essay, programs, force=False):
    """Bring build/ up to date with an essay, which has these programs; return the exit status.

    It is 1 if anything was edited by hand. Hold locked(essay.parent) from before you read the essay.
    """
    changes = changes_in(essay, programs)
    edited = [change for change in changes if change.state != STALE and not force]
    for change in edited:
        show(change)
    if changes and not edited:
        sums = essay.parent / "build" / SUMS
        put(sums, (read(sums) or b"") + b"\n" + sums_of(programs))  # until all is written, both are known
        for change in [change for change in changes if change.path != sums]:
            save(change.path, change.old, change.new)
            print(f"{change.path}:", "removed" if change.new is None else f"{len(programs[change.target])} lines")
        put(sums, sums_of(programs))
    return 1 if edited else 0


def changes_in(essay, programs):
    """Return the Changes that bring build/ to these programs: removals, then programs, then the checksums."""
    build = essay.parent / "build"
    known = sums_in(build / SUMS)
    files = {target: render(programs[target]).encode() for target in sorted(programs)}
    lost = sorted({target for target, _ in known} - files.keys())
    changes = []
    for target in [*lost, *files]:
        old, new, state = read(build / target), files.get(target), STALE
        if old is not None and (target, digest(old)) not in known:
            before = {value for name, value in known if name == target}  # after an interruption there are two
            state = EDITED if new and before == {digest(new)} else DIVERGED
        if unix(old) != new:
            changes.append(Change(build / target, target, old, new, state))
    old, new = read(build / SUMS), sums_of(programs)
    if unix(old) != new:
        changes.append(Change(build / SUMS, SUMS, old, new, STALE))
    return changes


def sums_of(programs):
    """Return the bytes of SHA256SUMS for some programs."""
    lines = [f"{digest(render(programs[target]).encode())}  {target}\n" for target in sorted(programs)]
    return "".join(lines).encode()


def sums_in(file):
    """Return {(target, checksum)} of the files in SHA256SUMS; after an interruption a target may have two."""
    text = (unix(read(file)) or b"").decode("utf-8", "replace")
    return {(target, value) for value, target in re.findall(rf"^([0-9a-f]{{64}})  ({TARGET})$", text, re.MULTILINE)}


def digest(data):
    """Return the checksum of a file, in the form used in SHA256SUMS."""
    return hashlib.sha256(unix(data)).hexdigest()


def show(change):
    """Print the diff of a Change, and its state on stderr."""
    versions = [(data or b"").decode("utf-8", "replace").split("\n") for data in (change.old, change.new)]
    names = f"{change.path} (as it is)", f"{change.path} (from the essay)"
    print(*difflib.unified_diff(*versions, *names, lineterm=""), sep="\n")
    print(f"{change.path}: {change.state}", file=sys.stderr)


@contextlib.contextmanager
def locked(folder):
    """Make other tangles of the same folder wait, if the system supports locks."""
    if not fcntl:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network folders have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def save(path, old, new):
    """Write a file that had the bytes `old` when it was read; raise OSError if it was saved in the meantime.

    None instead of bytes means that there is no file. Folders left empty are removed as well.
    """
    if read(path) != old:
        raise OSError(f"{path} was saved in the meantime; nothing was written, try again")
    if new is None:
        path.unlink()
        with contextlib.suppress(OSError):  # it is not empty
            for folder in path.parents:
                folder.rmdir()
    else:
        put(path, new)


# Edits in build/ are carried back


def stitch_programs(essay):
    """Carry edits in build/ back into an essay, then tangle; return the exit status."""
    with locked(essay.parent):
        data, _, programs = read_essay(essay)
        edited = [change for change in changes_in(essay, programs) if change.state != STALE]
        for change in edited:
            show(change)
        if any(change.state != EDITED for change in edited):
            return 1
        if edited and not essay.stat().st_mode & 0o200:
            raise OSError(f"{essay} is read-only: no edit was carried back")
        if edited:
            texts = {change.target: unix(change.old).decode() for change in edited}
            save(essay.resolve(), data, stitch(data, programs, texts))
            print(f"{essay}: merged the edits made to {', '.join(texts)}")
    return write_programs(essay)


def stitch(data, programs, edited):
    """Return the essay, as bytes, that makes the edited programs, {target: text}."""
    errors, changes = [], {}
    for target, new in edited.items():
        for start, end, lines in edits(programs[target], new.split("\n")[:-1], errors):
            changes[start, end] = lines  # two programs may differ here: then one of them comes out wrong below
    if errors:
        raise TangleError(errors)
    first = min([start for start, _ in changes], default=1)
    stitched = replace_lines(data, changes | quotations(parse(decode(data))[0], programs, changes))
    try:
        made = {target: render(program) for target, program in tangle(decode(stitched)).items()}
    except TangleError as error:
        line, message = error.errors[0]
        problem = f"with this edit the essay would no longer tangle; its line {line} would be wrong: {message}"
        raise TangleError([(first, problem)]) from None
    wrong = [target for target in edited if edited[target] != made.get(target)]
    if wrong:
        problem = "was a chunk edited at only one of its uses, a line dedented, or a line ending changed?"
        raise TangleError([(first, f"{', '.join(wrong)} would not come out as edited: {problem}")])
    return stitched


def quotations(fences, programs, changes):
    """Return {(line, line after it): [its new text]} of experiments that quote lines that change.

    That is clear if one line replaces one; an experiment that quotes other edits will no longer fit.
    """
    quoted = {}
    for fence in [fence for fence in fences if fence.kind == "experiment"]:
        with contextlib.suppress(TangleError):  # it did not fit before
            for hunk, origins in locate(fence, programs):
                lines = iter(origins)
                for sign, _, number in hunk:
                    line = next(lines) if sign != "+" else 0
                    new = changes.get((line, line + 1), [])
                    if len(new) == 1:
                        quoted[number, number + 1] = [sign + new[0]]
    return quoted


def replace_lines(data, changes):
    """Return an essay, as bytes, with {(first line, line after the last): new lines}; all other bytes are kept."""
    text = data.decode()
    ending = (re.search(r"\r\n|\r|\n", text) or ["\n"])[0]
    missing = "" if text.endswith(("\r", "\n")) else ending  # the last line may have no ending
    lines = list(io.StringIO(text + missing, newline=""))
    for (start, end), new in sorted(changes.items(), reverse=True):
        lines[start - 1 : end - 1] = [line + ending for line in new]
    return "".join(lines).removesuffix(missing).encode()


def edits(program, new, errors):
    """Yield (start, end, lines) of the essay, for a program to become `new`; append ambiguities to `errors`."""
    old = render(program).split("\n")[:-1]
    program = program[: len(old)]  # without blank lines at the end, which are not written
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        if j - i == m - k == len(program[i:j]):  # each line is replaced by one
            for line, text in zip(program[i:j], new[k:m], strict=True):
                yield line.origin, line.origin + 1, [text.removeprefix(line.indent) if text.strip() else text]
            continue
        if i == j:  # lines are inserted: the line they go with is replaced by itself and them
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
            message = f"an edit from here to line {around[-1]} crosses the border of two chunks: make it in the essay"
            errors.append((around[0], message))


def sides(program, i, added):
    """Return whether lines inserted before line `i` (from 0) go with the line above, and whether with the line below.

    Inside a chunk they go with the line above. Where chunks meet, text goes with text and blank lines with blank lines;
    if they fit both or neither, the case is ambiguous.
    """
    if i == 0 or i >= len(program):
        return i > 0, i < len(program)
    above, below = program[i - 1], program[i]
    if above.origin + 1 == below.origin:
        return True, False
    begins_alike = bool(above.text.strip()) == bool(added[0].strip())
    ends_alike = bool(below.text.strip()) == bool(added[-1].strip())
    return begins_alike, ends_alike


# Locations in both directions


PLACE = re.compile(r'(?P<path>[^\n":]+)(?P<sign>:|", line )(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?')


def where(text, essay, programs):
    """Return a text with each location in a program translated to the essay, and vice versa.

    A location is FILE:LINE, FILE:LINE:COLUMN or, as in tracebacks, FILE", line LINE. One line of the essay may be in
    several programs; the result then has a line for each. Terminal colours, which may divide a location, are removed.
    """
    build = essay.parent / "build"
    files = {Path(file): target for target in programs for file in (target, (build / target).absolute())}

    def elsewhere(match):
        """Return the same location in the other file, or in all other files."""
        sign, number, column = match["sign"], int(match["line"]), int(match["column"] or 0)
        for start in re.finditer(r"(?<![\w./-])[\w./-]", match["path"]):  # a path may have spaces, or words before it
            before, path = match["path"][: start.start()], Path(match["path"][start.start() :])
            if path.absolute() == essay.absolute():
                numbers = [(target, n) for target in programs for n, line in enumerate(programs[target], 1)
                           if line.origin == number]  # fmt: skip
                return "\n".join(f"{before}{build / target}{sign}{n}" for target, n in numbers) or match[0]
            target = files.get(path) or files.get(path.absolute())
            if target and 0 < number <= len(programs[target]):
                line = programs[target][number - 1]
                rest = f":{max(1, column - len(line.indent))}" if column else ""
                return f"{before}{essay}{sign}{line.origin}{rest}"
        return match[0]

    return PLACE.sub(elsewhere, re.sub(r"\x1b\[[0-9;]*m", "", text))


# ---------------------------------------------------------------------------------------------------------------------
# The command


def main():
    """Do what the command line asks, and return the exit status."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")
    options = command_line()
    essay = options.essay
    try:
        if options.check:
            return check_programs(essay)
        if options.stitch:
            return stitch_programs(essay)
        if not options.run and not options.where:
            return write_programs(essay, options.force)
        _, fences, programs = read_essay(essay)
        if options.where:
            places = "\n".join(options.where)
            text = open(0, errors="replace").read() if places == "-" else places  # noqa: SIM115
            answer = where(text, essay, programs)
            print(answer.removesuffix("\n"))
            return int(answer == text and places != "-")
        program, target, arguments = to_run(essay, fences, programs, options.run)
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)  # at once: a normal exit would try to print to a closed pipe
    except TangleError as error:
        report(essay, error.errors)
        return 1
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a cycle of links; ValueError: an odd name
        reason = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else error
        print(f"tangle.py: {reason}", file=sys.stderr)
        return 1
    run(program, essay, target, arguments)  # its exceptions are its own affair
    return 0


class Parser(argparse.ArgumentParser):
    """Shows the manual as its help, and reports a usage error in a single line."""

    def format_help(self):
        return (__doc__ or "Python removes the manual with -OO: run it without that option").strip() + "\n"

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
