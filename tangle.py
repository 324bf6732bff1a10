#!/usr/bin/env python3
"""Tangle: extract the programs that an essay contains, from microgpt.md into build/.

usage: python3 tangle.py [--check | --force] [ESSAY]

    ESSAY     the essay (microgpt.md beside this file when left out); programs go to build/ beside it
    --check   write nothing; show a diff and exit with 1 where build/ is not what the essay says
    --force   overwrite or remove programs that were edited by hand
    --help    this text

The essay is Markdown. Prose is prose; what counts are fences of three backticks at the start of a line:

    ``` python {file=microgpt.py}    a root: the program build/microgpt.py begins here
    ``` python {#attention}          a definition; the same name again continues it
        <<scaled-dot-product>>       a reference, alone on its line: the chunk of that name is put here,
                                     and every line of it gets the indentation of the reference
    ```python name="loss"            a demonstration: run when the essay is woven, never tangled
    ```text                          an illustration: shown as it is, in any language but python

Names are lower-case letters, digits and hyphens, and begin with a letter. In the first two forms a blank follows
the backticks; it keeps the weaver from running a definition. A fence of four or more backticks is verbatim: nothing
inside it counts. Other languages (``` c {file=fast.c}) make roots and definitions in the same way.

All errors are found in one go and printed as ESSAY:LINE: MESSAGE; the exit status is 1 and nothing is written. An
error is: a chunk that is undefined, unused, part of a cycle or never closed; a fence or reference that is malformed,
a reference with something else on its line; a target named twice or outside build/; Python that does not compile.

Programs are written only where they change, each in one move, and their sums go to build/SHA256SUMS. A program whose
sum is not the one recorded there was edited by hand: it is shown as a diff and kept, unless --force is given. A
program that no longer has a root is removed with the same care.
"""

import argparse
import difflib
import hashlib
import os
import re
import shutil
import signal
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

NAME = r"[a-z][a-z0-9-]*"
HEADER = re.compile(rf"``` (?P<language>[\w+-]+) \{{(?:#(?P<name>{NAME})|file=(?P<file>[^\s{{}}\"']+))\}}\s*")
OPTION = r'\w+=(?:"[^"]*"|\w+)'
DEMONSTRATION = re.compile(rf'```python (?=.*\bname="(?P<name>{NAME})")(?P<options>{OPTION}(?:,\s*{OPTION})*)\s*')
REFERENCE = re.compile(rf"(\s*)<<({NAME})>>\s*")
SUMS = "SHA256SUMS"


class Chunk(NamedTuple):
    """A fenced block of the essay. Its fence stands at line `line` (counted from 1), its code in the lines after."""

    kind: str  # "root", "definition", "demonstration" or "illustration"
    name: str  # of the chunk; for a root its target, a path below build/; nothing for an illustration
    language: str
    options: str  # of a demonstration, as written
    line: int
    code: list


class Line(NamedTuple):
    """A line of a program, and the number of the line of the essay that it comes from."""

    text: str
    origin: int


class TangleError(Exception):
    """What is wrong with an essay: `errors` is a list of (line, message), sorted."""

    def __init__(self, errors):
        self.errors = sorted(set(errors))
        super().__init__(self.errors)


def parse(text, errors):
    """Return the chunks of an essay in their order; append (line, message) to `errors` for what is malformed."""
    chunks = []
    chunk = verbatim = None
    for number, line in enumerate(text.split("\n"), 1):
        if "\0" in line:
            errors.append((number, "a NUL byte: this is not a text file"))
        if verbatim:
            if re.fullmatch(rf"{verbatim}{verbatim[0]}*\s*", line):
                verbatim = None
        elif chunk and line.rstrip() == "```":
            chunk = None
        elif re.match(r"```(?!`)", line):
            if chunk:
                errors.append((chunk.line, f"unclosed: this fence is still open where line {number} opens another"))
            chunk = open_chunk(line, number, errors)
            chunks.append(chunk)
        elif chunk:
            chunk.code.append(line)
            if chunk.kind in ("root", "definition"):
                check_reference(line, number, errors)
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
        kind = "root" if match["file"] else "definition"
        return Chunk(kind, match["file"] or match["name"], match["language"], "", number, [])
    if match := DEMONSTRATION.fullmatch(line):
        return Chunk("demonstration", match["name"], "python", match["options"], number, [])
    if re.match(r"```\w.*\{ *(#|file=)", line):
        errors.append((number, "malformed: put a blank between the backticks and the language"))
    elif re.match(r"```\s*[{.]*python|```.*\{.*(#|file=)", line):
        errors.append((number, "malformed: a chunk is ``` python {#name} or ``` python {file=path}, a demonstration "
                               '```python name="…", and an illustration ```text or ```pycon'))
    return Chunk("illustration", "", line[3:].strip(), "", number, [])


def check_reference(line, number, errors):
    """Append an error where a line of code has something like a reference that is not one."""
    match = re.search(rf"<<{NAME}>>|^\s*<<.*>>\s*$", line)
    if match and not REFERENCE.fullmatch(line):
        rule = "must stand alone on its line, and its name be lower-case letters, digits and hyphens"
        errors.append((number, f"malformed: the reference {match[0].strip()} {rule}"))


def references(chunks):
    """Yield (line in the essay, indentation, name) of each reference in some chunks."""
    for chunk in chunks:
        for number, text in enumerate(chunk.code, chunk.line + 1):
            if match := REFERENCE.fullmatch(text):
                yield number, match[1], match[2]


def tangle(text):
    """Return {target: [Line, …]} for the roots of an essay; raise TangleError with everything that is wrong."""
    errors, definitions, roots, used = [], {}, {}, set()
    for chunk in parse(text, errors):
        if chunk.kind == "definition":
            definitions.setdefault(chunk.name, []).append(chunk)
        elif chunk.kind == "root":
            if chunk.name in roots:
                errors.append((chunk.line, f"{chunk.name} is named twice: first on line {roots[chunk.name].line}"))
            elif problem := misplaced(chunk.name, roots):
                errors.append((chunk.line, f"{chunk.name} {problem}"))
            roots.setdefault(chunk.name, chunk)
    if not roots:
        errors.append((1, "no program: it begins with a fence like ``` python {file=name.py}"))
    programs = {}
    for target, root in roots.items():
        sound = walk([root], definitions, reached := set(), errors)
        used |= reached
        if sound:
            programs[target] = list(expand(root, definitions))
            if target.endswith(".py") and "\0" not in text:
                check_syntax(programs[target], text, root, errors)
    unused = [name for name in definitions if name not in used]
    for name in unused:
        errors.append((definitions[name][0].line, f"unused: no program has a reference to <<{name}>>"))
        walk(definitions[name], definitions, used, errors)  # it may be wrong in other ways as well
    if errors:
        raise TangleError(errors)
    return programs


def walk(chunks, definitions, seen, errors):
    """Follow all references from some chunks; return whether each leads somewhere, and none in a circle.

    Adds every name that is reached to the set `seen`, and (line, message) to `errors` for what is wrong. There is no
    recursion: `path` holds, for each chunk that we are inside of, the references in it that are still to come.
    """
    sound, path = True, {None: references(chunks)}
    while path:
        for number, _, name in path[next(reversed(path))]:
            if name not in definitions:
                near = difflib.get_close_matches(name, definitions, 1) if len(errors) < 20 else []
                hint = f"; did you mean <<{near[0]}>>?" if near else ""
                errors.append((number, f"undefined: there is no chunk <<{name}>>{hint}"))
                sound = False
            elif name in path:
                names = [*path]
                errors.append((number, "cyclic: " + " -> ".join([*names[names.index(name) :], name])))
                sound = False
            elif name not in seen:
                seen.add(name)
                path[name] = references(definitions[name])
                break
        else:
            path.popitem()
    return sound


def misplaced(target, others=()):
    """Return what is wrong with the path of a target, or None."""
    parts = re.split(r"[/\\]", target)
    if not parts[0] or ":" in target or ".." in parts:
        return "is outside build/: a target is a relative path without '..'"
    if {"", "."} & {*parts} or not re.fullmatch(r"[^\\\0]+", target) or parts[0] == SUMS:
        return "is not a path that can be written"
    for other in others:
        if f"{other}/".startswith(f"{target}/") or f"{target}/".startswith(f"{other}/"):
            return f"and {other} cannot both exist: one would be a file and a directory"
    return None


def expand(root, definitions):
    """Yield the Lines of a program: each reference is replaced by the chunk it names, with its indentation."""

    def numbered(chunks):
        return ((number, text) for chunk in chunks for number, text in enumerate(chunk.code, chunk.line + 1))

    stack = [("", numbered([root]))]  # of (indentation, lines to come), one for each chunk that we are inside of
    while stack:
        indent, lines = stack[-1]
        for number, text in lines:
            if match := REFERENCE.fullmatch(text):
                stack.append((indent + match[1], numbered(definitions[match[2]])))
                break
            yield Line(indent + text if text.strip() else text, number)
        else:
            stack.pop()


def render(program):
    """Return the text of a program: its lines, with exactly one line end after the last."""
    return "\n".join(line.text for line in program).rstrip("\n") + "\n"


def check_syntax(program, text, root, errors):
    """Append an error, with the offending line of the essay and a caret, where a program is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a doubtful escape is an error here, with every version of Python
            compile(render(program), root.name, "exec", dont_inherit=True)
    except SyntaxError as error:
        line = program[min(error.lineno or 1, len(program)) - 1]
        source = text.split("\n")[line.origin - 1]
        column = (error.offset or 1) - 1 - (len(line.text) - len(source))
        caret = re.sub(r"\S", " ", source[: max(column, 0)]) + "^"
        message = re.sub(r"\bline (\d+)", lambda match: f"line {program[int(match[1]) - 1].origin}", error.msg)
        if line.origin not in dict(errors):  # else the reason is known already
            errors.append((line.origin, f"{message}\n    {source}\n    {caret}"))
    except (ValueError, RecursionError, MemoryError) as error:
        errors.append((root.line, f"{root.name} does not compile: {str(error) or type(error).__name__}"))


def read(essay):
    """Return the text of an essay with line ends \\n; raise TangleError where it is not UTF-8."""
    data = essay.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TangleError([(line, f"byte {data[error.start]:#x} is not UTF-8: save the essay as UTF-8")]) from None


def plan(programs, build):
    """Return what has to change, {path: (old bytes, new bytes)}, None for no file, and which paths were hand-edited."""
    recorded = {}
    if (build / SUMS).exists():
        for line in (build / SUMS).read_text("utf-8", "replace").splitlines():
            if (match := re.fullmatch("([0-9a-f]{64})  (.+)", line)) and not misplaced(match[2]):
                recorded[match[2]] = match[1]
    wanted = {target: render(program).encode() for target, program in programs.items()}
    sums = {path: hashlib.sha256(data).hexdigest() for path, data in sorted(wanted.items())}
    wanted[SUMS] = "".join(f"{digest}  {path}\n" for path, digest in sums.items()).encode()
    changes, edited = {}, []
    leftover = {build / path for path in recorded if path not in wanted}
    for path in {**recorded, **wanted}:
        file, new = build / path, wanted.get(path)
        if not file.resolve().is_relative_to(build.resolve()):
            raise OSError(f"{file} is outside build/, through a link: remove the link")
        if file.is_dir() and not leftover.issuperset(inner for inner in file.rglob("*") if not inner.is_dir()):
            raise OSError(f"{file} is a directory where a file should be: move it away")
        for folder in list(file.parents)[: path.count("/")]:
            if folder.is_file() and folder not in leftover:
                raise OSError(f"{folder} is a file where a directory should be: move it away")
        old = file.read_bytes() if file.is_file() else None
        if old != new:
            changes[path] = (old, new)
            if path != SUMS and old is not None and hashlib.sha256(old).hexdigest() != recorded.get(path):
                edited.append(path)
    return changes, edited


def apply(changes, build):
    """Bring build/ up to date: write all new files under temporary names, then move them into place, the sums last."""
    staged = {}
    build.mkdir(exist_ok=True)
    try:
        for number, (path, (old, new)) in enumerate(changes.items()):
            if new is not None:
                staged[path] = build / f".tangle-{os.getpid()}-{number}"
                staged[path].write_bytes(new)
                if old is not None:
                    shutil.copymode(build / path, staged[path])
        for path in changes.keys() - staged.keys():
            (build / path).unlink(missing_ok=True)
            for folder in list((build / path).parents)[: path.count("/")]:
                if not any(folder.iterdir()):
                    folder.rmdir()
        for path, temporary in staged.items():
            (build / path).parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(build / path)
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def show(path, old, new):
    """Print how a file in build/ differs from what the essay says."""
    lines = [(data or b"").decode("utf-8", "replace").split("\n") for data in (old, new)]
    print(*difflib.unified_diff(*lines, f"{path} (as it is)", f"{path} (from the essay)", lineterm=""), sep="\n")


def run(essay, check, force):
    """Tangle the file `essay` into build/ beside it; return the exit status."""
    build = essay.parent / "build"
    changes, edited = plan(tangle(read(essay)), build)
    if check or (edited and not force):
        for path in changes if check else edited:
            show(build / path, *changes[path])
            advice = f"edited by hand: carry the edit over to {essay}, or lose it with --force"
            print(f"{build / path}: {advice if path in edited else 'stale: run tangle.py'}", file=sys.stderr)
        return 1 if changes else 0
    apply(changes, build)
    for path, (_, new) in changes.items():
        if path != SUMS:
            print(f"{build / path}:", "removed" if new is None else "{} lines".format(new.count(b"\n")))
    return 0


def main():
    """The command line: return the exit status."""
    sys.stdout.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and so the temporary files are removed
    essay = Path(os.path.relpath(Path(__file__).with_name("microgpt.md")))
    parser = argparse.ArgumentParser(prog="tangle.py", add_help=False, allow_abbrev=False)
    parser.error = lambda message: parser.exit(2, f"tangle.py: {message} (--help shows the manual)\n")
    for flag in ("--check", "--force", "--help"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("essay", nargs="?", type=Path, default=essay)
    options = parser.parse_args()
    if options.help:
        print(__doc__.strip())
        return 0
    try:
        return run(options.essay, options.check, options.force)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os._exit(1)
    except TangleError as error:
        for line, message in error.errors:
            print(f"{options.essay}:{line}: {message}", file=sys.stderr)
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        reason = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else error
        print(f"tangle.py: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
