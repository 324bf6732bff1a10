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
    ``` python {#attention}          a definition; the same name again continues it
        <<scaled-dot-product>>       a reference, alone on its line: the chunk of that name is put here,
                                     and every line of it gets the indentation of the reference
    ```python name="loss"            a demonstration: run when the essay is woven, never tangled
    ```text                          an illustration: shown as it is, in any language but python

Names are lower-case letters, digits and hyphens. The blank after the backticks keeps the weaver from running a chunk.
Inside a fence of four or more backticks nothing counts. Other languages (``` c {file=fast.c}) work in the same way.

All errors are found in one go, first those of chunks, then Python that does not compile, and printed as ESSAY:LINE:
MESSAGE; then the exit status is 1 and nothing is written.

Programs are written only where they change, each in one move, and their sums go to build/SHA256SUMS. A program whose
sum is not recorded there was edited by hand: it is shown as a diff and kept, and so is one that has lost its root.
--stitch changes the essay only if exactly the edited programs come out of it; others that share their chunks follow.
Lines put in where two chunks meet go to the one they touch, text to text, blank to blank; in doubt they are refused.
"""

import argparse
import ast
import difflib
import hashlib
import io
import os
import re
import signal
import sys
import types
import warnings
from pathlib import Path
from typing import NamedTuple

NAME = r"[a-z][a-z0-9-]*"
HEADER = re.compile(rf"``` (?P<language>[\w+-]+) \{{(?:#(?P<name>{NAME})|file=(?P<file>[^\s{{}}\"']+))\}}\s*")
OPTION = r'\w+=(?:"[^"]*"|\w+)'
DEMONSTRATION = re.compile(rf'```python (?=.*\bname="(?P<name>{NAME})")(?P<options>{OPTION}(?:,\s*{OPTION})*)\s*')
REFERENCE = re.compile(rf"(\s*)<<({NAME})>>\s*")
SUMS = "SHA256SUMS"
STALE = "not what the essay says: run tangle.py"
EDITED = "edited by hand (--stitch carries this over to the essay, --force drops it)"
DIVERGED = "edited by hand, from other code than the essay has now: bring the two together, then use --force"


class Chunk(NamedTuple):
    """A fenced block of the essay. Its fence stands at line `line` (counted from 1), its code in the lines after."""
    kind: str  # "root", "definition", "demonstration" or "illustration"
    name: str  # of the chunk; for a root its target, a path below build/; nothing for an illustration
    language: str
    options: str  # of a demonstration, as written
    line: int
    code: list


class Line(NamedTuple):
    """A line of a program: where it comes from in the essay, and how far the references on the way indented it."""
    text: str
    origin: int  # number of the line in the essay, from 1
    indent: str


class TangleError(Exception):
    """What is wrong with an essay: `errors` is a list of (line, message), sorted."""
    errors = property(lambda self: sorted(set(self.args[0])))


def parse(text, errors):
    """Return the chunks of an essay in their order; append (line, message) to `errors` for what is malformed."""
    chunks, chunk, verbatim = [], None, None
    for number, line in enumerate(text.split("\n"), 1):
        if "\0" in line:
            errors.append((number, "a NUL byte: this is not a text file"))
        if verbatim:
            verbatim = None if re.fullmatch(rf"{verbatim}{verbatim[0]}*\s*", line) else verbatim
        elif chunk and line.rstrip() == "```":
            chunk = None
        elif re.match(r"```(?!`)", line):
            if chunk:
                errors.append((chunk.line, f"unclosed: this fence is still open where line {number} opens another"))
            chunk = open_chunk(line, number, errors)
            chunks.append(chunk)
        elif chunk:
            chunk.code.append(line)
            doubtful = re.search(rf"<<{NAME}>>|^\s*<<.*>>\s*$", line) and not REFERENCE.fullmatch(line)
            if doubtful and chunk.kind in ("root", "definition"):
                errors.append((number, "malformed: a reference <<name>> is alone on its line, in lower-case letters"))
        elif re.match(r"\s*(`{3,}|~{3,}).*\{ *(#|file=)", line):
            errors.append((number, "malformed: the fence of a chunk is three backticks at the start of the line"))
        elif match := re.match("`{4,}(?!.*`)|~{3,}", line):
            verbatim, opened = match[0], number
    if chunk or verbatim:
        errors.append((opened if verbatim else chunk.line, "unclosed: this fence is open until the end of the essay"))
    return chunks


def open_chunk(line, number, errors):
    """Return the chunk, still empty, that an opening fence begins; one that is malformed becomes an illustration."""
    if match := HEADER.fullmatch(line):
        kind, name = ("root", match["file"]) if match["file"] else ("definition", match["name"])
        return Chunk(kind, name, match["language"], "", number, [])
    if match := DEMONSTRATION.fullmatch(line):
        return Chunk("demonstration", match["name"], "python", match["options"], number, [])
    if re.match(r"```\s*[{.]*python|```.*\{.*(#|file=)", line):
        errors.append((number, "malformed: a chunk is ``` python {#name} or ``` python {file=path}, with that blank, a "
                               'demonstration ```python name="…", and an illustration ```text or ```pycon'))
    return Chunk("illustration", "", line[3:].strip(), "", number, [])


def numbered(chunks):
    """Yield (line in the essay, text, match of REFERENCE or None) for each line of code in some chunks."""
    for chunk in chunks:
        yield from ((n, text, REFERENCE.fullmatch(text)) for n, text in enumerate(chunk.code, chunk.line + 1))


def tangle(text):
    """Return {target: [Line, …]} for the roots of an essay; raise TangleError with everything that is wrong."""
    errors, definitions, roots, used = [], {}, {}, set()
    for chunk in parse(text, errors):
        if chunk.kind == "definition":
            definitions.setdefault(chunk.name, []).append(chunk)
        elif chunk.kind == "root":
            if problem := misplaced(chunk.name, roots):
                errors.append((chunk.line, f"{chunk.name} {problem}"))
            roots.setdefault(chunk.name, chunk)
    if not roots:
        errors.append((1, "no program: it begins with a fence like ``` python {file=name.py}"))
    list(expand(roots.values(), definitions, errors, used))
    for name in [name for name in definitions if name not in used]:
        errors.append((definitions[name][0].line, f"unused: no program has a reference to <<{name}>>"))
        list(expand(definitions[name], definitions, errors, used))  # it may be wrong in other ways as well
    programs = {} if errors else {target: list(expand([roots[target]], definitions)) for target in roots}
    for target, program in programs.items():
        if target.endswith(".py"):
            check_syntax(program, roots[target], errors)
    if errors:
        raise TangleError(errors)
    return programs


def expand(chunks, definitions, errors=(), seen=None):
    """Yield the Lines of some chunks: each reference is replaced by the chunk it names, with its indentation.

    Appends (line, message) to `errors` for a reference to nothing or in a circle. With a set `seen`, each chunk is
    expanded only once, and its name put into the set. There is no recursion, so the depth has no limit.
    """
    path = {None: ("", numbered(chunks))}  # {name: (indentation, lines to come)} of the chunks that we are inside of
    while path:
        indent, lines = path[next(reversed(path))]
        for number, text, reference in lines:
            name = reference and reference[2]
            if not name:
                yield Line(indent + text if text.strip() else text, number, indent)
            elif name not in definitions:
                names = definitions if len(errors) < 20 else ()
                hint = "".join(f"; did you mean <<{near}>>?" for near in difflib.get_close_matches(name, names, 1))
                errors.append((number, f"undefined: there is no chunk <<{name}>>{hint}"))
            elif name in path:
                errors.append((number, "cyclic: " + " -> ".join([*path, name][[*path].index(name) :])))
            elif seen is None or name not in seen:
                path[name] = (indent + reference[1], numbered(definitions[name]))
                seen is None or seen.add(name)
                break
        else:
            path.popitem()


def misplaced(target, others=()):
    """Return what is wrong with the path of a target, or None."""
    if {"", ".", ".."} & {*target.split("/")} or re.search(rf"[\\:\0]|^{SUMS}(/|$)", target):
        return "is not a path that can be written in build/: relative, with / between names, and without '..'"
    clash = [other for other in others if f"{other}/".startswith(f"{target}/") or f"{target}/".startswith(f"{other}/")]
    return f"clashes with {clash[0]} on line {others[clash[0]].line}: no file is two, or a folder" if clash else None


def render(program):
    """Return the text of a program: its lines, with exactly one line end after the last."""
    return "\n".join(line.text for line in program).rstrip("\n") + "\n"


def check_syntax(program, root, errors):
    """Append an error, with the offending line of the essay and a caret, where a program is not Python."""
    try:
        with warnings.catch_warnings():
            for kind in (SyntaxWarning, DeprecationWarning):  # a doubtful escape is an error with every version
                warnings.simplefilter("error", kind)
            compile(render(program), root.name, "exec", dont_inherit=True)
    except SyntaxError as error:
        line = program[min(error.lineno or 1, len(program)) - 1]
        source = line.text.removeprefix(line.indent)
        caret = re.sub(r"\S", " ", source[: max(0, (error.offset or 1) - 1 - len(line.indent))]) + "^"
        message = re.sub(r"\bline (\d+)", lambda match: f"line {program[int(match[1]) - 1].origin}", error.msg)
        errors.append((line.origin, f"{message}\n    {source}\n    {caret}"))
    except (ValueError, RecursionError, MemoryError) as error:
        errors.append((root.line, f"{root.name} does not compile: {str(error) or type(error).__name__}"))


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


def where(text, essay, programs):
    """Return a text with each FILE:LINE of a program as that of the essay, and of the essay as all of programs."""
    def other(match):
        file, sign, row, column = match[1], match[2], int(match[3]), match[4]
        if file == essay.name:
            found = [f"{build / t}:{n}" for t in programs for n, line in enumerate(programs[t], 1) if line[1] == row]
        else:
            lines = programs[file][max(0, row - 1) : row]
            column = f":{max(1, int(column) - len(lines[0].indent))}" if column and lines else ""
            found = [f"{essay}{sign}{line.origin}{column}" for line in lines]
        return "\n".join(found) or match[0]
    build = essay.parent / "build"
    paths = [form(path) for path in (build, essay.parent) for form in (os.path.abspath, os.path.relpath, str)]
    folders = "|".join(re.escape(f"{path}{os.sep}") for path in paths)
    files = "|".join(map(re.escape, sorted([*programs, essay.name], reverse=True)))
    return re.sub(rf'(?<![\w./-])(?:\./)?(?:{folders})?({files})(:|", line )(\d{{1,9}})(?::(\d{{1,9}}))?', other, text)


def edits(program, new, errors):
    """Yield (start, end, lines) of the essay, for a program to become `new`; append to `errors` what is not certain."""
    old = render(program).split("\n")[:-1]
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        if tag == "insert":  # it goes with the line above or below; where chunks meet, text with text, blank with blank
            inside = 0 < i < len(old) and program[i - 1].origin + 1 == program[i].origin
            above = inside or (i > 0 and (i == len(old) or bool(old[i - 1].strip()) == bool(new[k].strip())))
            below = not inside and i < len(old) and (i == 0 or bool(old[i].strip()) == bool(new[m - 1].strip()))
            i, j, k, m = i - above, j + below, k - above, m + below
        block = program[i:j] or program[max(0, i - 1) : i + 1] or [Line("", 1, "")]
        start, indent = block[0].origin, block[0].indent
        if tag != "equal" and [line.origin for line in program[i:j]] != [*range(start, start + len(block))]:
            errors.append((start, f"an edit from here to line {block[-1].origin}, where chunks meet: make it here"))
        elif tag != "equal":
            yield start, start + j - i, [line.removeprefix(indent) if line.strip() else line for line in new[k:m]]


def stitch(data, programs, edited):
    """Return the essay, as bytes, that makes the edited programs, {target: bytes}; raise TangleError if unsure."""
    essay, errors, changes = list(io.StringIO(data.decode(), newline="")), [], {}
    for target, new in edited.items():
        for start, end, lines in edits(programs[target], new.decode("utf-8", "replace").split("\n")[:-1], errors):
            changes[start, end] = lines
    ending = essay[0][len(essay[0].rstrip("\r\n")) :]
    for (start, end), lines in sorted(changes.items(), reverse=True):
        essay[start - 1 : end - 1] = [line + ending for line in lines]
    data = "".join(essay).encode()
    made = {} if errors else {target: render(program).encode() for target, program in tangle(decode(data)).items()}
    if not errors and not edited.items() <= made.items():
        wrong = ", ".join(path for path in edited if edited[path] != made.get(path))
        problem = "a chunk edited in one place of several, a line indented less, or an odd line end?"
        errors.append((min(changes, default=(1,))[0], f"{wrong} would come out otherwise than edited: {problem}"))
    if errors:
        raise TangleError(errors)
    return data


def decode(data):
    """Return the text of an essay, given as bytes, with line ends \\n; raise TangleError where it is not UTF-8."""
    try:
        return io.StringIO(data.decode("utf-8-sig"), newline=None).read()
    except UnicodeDecodeError as error:
        data, line = error.object, len((error.object[: error.start] + b"x").splitlines())
        raise TangleError([(line, f"byte {data[error.start]:#x} is not UTF-8: save the essay as UTF-8")]) from None


def plan(programs, build):
    """Return {path: (old bytes, new bytes, state)} of all that has to change in build/; None stands for no file."""
    recorded = (build / SUMS).read_text("utf-8", "replace") if (build / SUMS).exists() else ""
    known = {(line[66:], line[:64]) for line in recorded.splitlines() if not misplaced(line[66:])}
    wanted = {target: render(programs[target]).encode() for target in sorted(programs)}
    sums = {path: hashlib.sha256(data).hexdigest() for path, data in wanted.items()}
    wanted[SUMS] = "".join(f"{digest}  {path}\n" for path, digest in sums.items()).encode()
    changes = {}
    for path in {**dict(sorted(known)), **wanted}:
        file, new, state = build / path, wanted.get(path), STALE
        if not file.resolve().is_relative_to(build.resolve()):
            raise OSError(f"{file} is outside build/, through a link: remove the link")
        old = file.read_bytes() if file.exists() else None
        if path != SUMS and old is not None and (path, hashlib.sha256(old).hexdigest()) not in known:
            state = EDITED if (path, sums.get(path)) in known else DIVERGED
        if old != new:
            changes[path] = (old, new, state)
    return changes


def write(files):
    """Write files, a list of (path, bytes), all or none: under temporary names, then each is moved into its place."""
    staged = []
    try:
        for file, data in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            staged.append((file.with_name(f".tangle-{os.getpid()}-{len(staged)}"), file))
            staged[-1][0].write_bytes(data)
            if file.exists():
                staged[-1][0].chmod(file.stat().st_mode)
        for temporary, file in staged:
            temporary.replace(file)
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)


def update(essay, check=False, force=False, carry=False):
    """Bring build/ up to date with an essay, or with `carry` first the essay with build/; return the exit status."""
    build, data = essay.parent / "build", essay.read_bytes()
    changes = plan(programs := tangle(decode(data)), build)
    edited = {path: old for path, (old, _, state) in changes.items() if state != STALE and not force}
    for path in changes if check else edited:
        *versions, state = changes[path]
        lines = [(data or b"").decode("utf-8", "replace").split("\n") for data in versions]
        print(*difflib.unified_diff(*lines, f"{path} (in build/)", f"{path} (from the essay)", lineterm=""), sep="\n")
        print(f"{build / path}: {state}", file=sys.stderr)
    if carry and edited and DIVERGED not in {changes[path][2] for path in edited}:
        write([(essay.resolve(), stitch(data, programs, edited))])
        print(f"{essay}: takes over the edits of {', '.join(edited)}")
        return update(essay)
    if check or edited:
        return 1 if changes else 0
    for path in [path for path, (_, new, _) in changes.items() if new is None]:
        (build / path).unlink(missing_ok=True)
    news = [(build / path, new) for path, (_, new, _) in changes.items() if new is not None]
    write([(build / SUMS, (old or b"") + new) for path, (old, new, _) in changes.items() if path == SUMS] + news)
    for path, (_, new, _) in changes.items():
        if path != SUMS:
            print(f"{build / path}:", "removed" if new is None else "{} lines".format(new.count(b"\n")))
    return 0


def main():
    """The command line: return the exit status."""
    parser = argparse.ArgumentParser(prog="tangle.py", allow_abbrev=False)
    parser.format_help = lambda: __doc__.strip() + "\n"
    parser.error = lambda message: parser.exit(2, f"tangle.py: {message} (--help shows the manual)\n")
    parser.add_argument("essay", nargs="?", type=Path, default=os.path.relpath(Path(__file__).with_name("microgpt.md")))
    modes = parser.add_mutually_exclusive_group()
    for flag in ("--check", "--force", "--stitch"):
        modes.add_argument(flag, action="store_true")
    modes.add_argument("--where", nargs="+")
    modes.add_argument("--run", nargs=argparse.REMAINDER)
    essay = (options := parser.parse_args()).essay
    sys.stdout and sys.stdout.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and so the temporary files are removed
    try:
        if options.where is None and options.run is None:
            return update(essay, options.check, options.force, options.stitch)
        programs = tangle(decode(essay.read_bytes()))
        if options.where:
            text = open(0, errors="replace").read() if options.where == ["-"] else "\n".join(options.where)  # noqa: SIM115
            print((found := where(text, essay, programs)).removesuffix("\n"))
            return int(found == text and options.where != ["-"])
        if not options.run or options.run[0] not in programs:
            parser.error(f"--run takes a program of {essay}: {', '.join(programs)}")
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)
    except TangleError as error:
        print(*(f"{essay}:{line}: {message}" for line, message in error.errors), sep="\n", file=sys.stderr)
        return 1
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle; ValueError: no such name
        reason = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else error
        print(f"tangle.py: {reason}", file=sys.stderr)
        return 1
    file = essay.absolute().parent / "build" / options.run[0]
    arguments, sys.argv = sys.argv, [str(file), *options.run[1:]]
    sys.path.insert(0, str(file.parent))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        load(programs[options.run[0]], essay, file, "__main__")
    finally:
        sys.argv = arguments  # pdb may start us again
    return 0


if __name__ == "__main__":
    sys.exit(main())
