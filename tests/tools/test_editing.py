"""Editing the essay: programs that run with its lines, places in both directions, edits in build/ carried back."""

import contextlib
import io
import os
import random
import re
import shutil
import subprocess
import sys

import pytest
from programs import BUILD, ESSAY, MICROGPT, PROGRAMS, ROOT, load, run, snapshot

import tangle
from tangle import TangleError

SMALL = """\
# Title

``` python {file=small.py}
<<imports>>

def divide(x):
    <<halve>>
    return x

def main():
    print(__name__, __file__, sys.argv)
    <<work>>

main()
```

Prose.

``` python {#halve}
ä = "é"; x = (x /
     (len(ä) - 1))
```

``` python {#imports}
import sys, warnings
```

``` python {#work}
for i in range(2):
    warnings.warn("careful")
    print(divide(7))
```
"""


@pytest.fixture
def small(folder):
    """Return a folder with the small essay and the tangler, its name not made of letters alone."""
    inner = folder.path / "ä b"
    inner.mkdir()
    folder.monkeypatch.chdir(inner)
    folder.path, folder.essay, folder.build = inner, inner / "essay.md", inner / "build"
    shutil.copy(ROOT / "tangle.py", inner)
    return folder.write(SMALL)


def start(folder, *arguments, **options):
    """Start the tangler in a process of its own."""
    return run("essay.md", *arguments, program="tangle.py", cwd=folder.path, **options)


# --run


def test_tracebacks_and_warnings_show_the_essay(small):
    done = start(small, "--run", "small.py", "-x", "--check")
    essay, program = small.essay, small.build / "small.py"
    assert done.stdout == f"__main__ {program} {[str(program), '-x', '--check']}\n"
    assert done.returncode == 1
    assert done.stderr.startswith(f'{essay}:30: UserWarning: careful\n  warnings.warn("careful")\nTraceback')
    shown = re.findall(rf'File "{re.escape(str(essay))}", line (\d+), in (\S+)\n    (.*)\n', done.stderr)
    assert shown == [("14", "<module>", "main()"), ("31", "main", "print(divide(7))"),
                     ("20", "divide", 'ä = "é"; x = (x /')]  # fmt: skip
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert not small.build.exists()
    lines = done.stderr.splitlines()
    code = next(i for i, line in enumerate(lines) if "print(divide(7))" in line)
    if sys.version_info >= (3, 11):  # what is underlined is the call
        assert lines[code + 1].rstrip() == " " * lines[code].index("divide(7)") + lines[code + 1].strip()
        assert len(lines[code + 1].strip()) == len("divide(7)")


def test_pdb_stops_in_the_essay_and_a_restart_does_not_hand_the_flags_to_the_tangler(small):
    small.call()
    (small.build / "small.py").write_text("precious\n")
    done = run("pdb", "tangle.py", "essay.md", "--run", "small.py", "--force", program="-m", cwd=small.path,
               input="b essay.md:31\nc\nw\nc\nc\nc\nq\n")  # fmt: skip
    assert f"Breakpoint 1 at {small.essay}:31" in done.stdout
    assert done.stdout.count("essay.md(31)main()\n-> print(divide(7))") >= 3  # where it stops, w, and once more
    assert (small.build / "small.py").read_text() == "precious\n"


def test_an_expression_that_goes_on_in_another_chunk(small):
    small.write("``` python {#end}\n  1 / 0)\n```\n``` python {file=a.py}\nx = (\n<<end>>\n```\n")
    assert re.search(r'essay\.md", line [25], in', start(small, "--run", "a.py").stderr)


def test_a_program_that_is_run_from_the_essay_prints_the_same():
    arguments = ("--num_steps", 2, "--samples", 2)
    assert run("--run", "microgpt.py", *arguments, program=ROOT / "tangle.py").stdout == run(*arguments).stdout


def test_what_cannot_be_run_is_said_in_a_line(small):
    small.write(SMALL + "``` c {file=x.c}\nint x;\n```\n")
    assert small.call("--run", "other.py") == (1, "", "tangle.py: --run takes a program of essay.md: small.py\n")
    said = "tangle.py: x.c is not Python: run build/x.c; --run takes a program of essay.md: small.py\n"
    assert small.call("--run", "x.c") == (1, "", said)


def test_every_position_of_the_program_is_that_of_its_line_in_the_essay():
    """Whatever a code object of the program points at is there in the essay, from first to last column."""
    if sys.version_info < (3, 11):
        pytest.skip("Python 3.10 knows no columns: use a later one")
    source = ESSAY.read_text(encoding="utf-8").split("\n")
    module, plain = load("microgpt.py"), compile(MICROGPT.read_text(encoding="utf-8"), "plain", "exec")
    program = MICROGPT.read_text(encoding="utf-8").split("\n")
    functions = {code.co_name: code for code in plain.co_consts if hasattr(code, "co_positions")}
    for name in ("encode", "value", "backward", "gpt", "attention", "train", "main"):
        moved = getattr(module, name).__code__
        assert moved.co_code == functions[name].co_code
        positions = zip(moved.co_positions(), functions[name].co_positions())
        for (line, _, first, last), (old, old_end, old_first, old_last) in positions:
            if None not in (line, first, last, old) and old == old_end:
                assert source[line - 1].encode()[first:last] == program[old - 1].encode()[old_first:old_last]


# --where


def test_every_line_of_a_program_is_found_in_the_essay_and_back():
    target, program = next(iter(PROGRAMS.items()))
    count = len(tangle.render(program).split("\n")) - 1
    places = "\n".join(f"build/{target}:{number}" for number in range(1, count + 1))
    there = tangle.where(places, ESSAY.relative_to(ROOT), PROGRAMS)
    assert there.split("\n") == [f"microgpt.md:{line.origin}" for line in program[:count]]
    back = tangle.where(there, ESSAY.relative_to(ROOT), PROGRAMS).replace(os.sep, "/").split("\n")
    assert {*places.split("\n")} <= {*back}


def test_where_takes_what_linters_and_tracebacks_write(small):
    output = "\n".join([
        f"{small.path}/build/small.py:12:5: F401 unused", "build/small.py:5: error", "small.py:5:10",
        f'  File "{small.path}/build/small.py", line 12, in main', "other/small.py:7", "lib/build/small.py:3",
        "small.py:99", "small.py:0", "\x1b[1mbuild/small.py\x1b[0m\x1b[36m:\x1b[0m12\x1b[36m:\x1b[0m5: \x1b[1;31mF401",
        "All well.",
    ])  # fmt: skip
    done = start(small, "--where", "-", input=output)
    assert done.stdout.splitlines() == [
        "essay.md:31:1: F401 unused", "essay.md:21: error", "essay.md:21:6",
        '  File "essay.md", line 31, in main', "other/small.py:7", "lib/build/small.py:3", "small.py:99", "small.py:0",
        "essay.md:31:1: F401", "All well.",
    ]  # fmt: skip
    assert done.returncode == 0


def test_where_from_another_folder_and_in_both_directions(small):
    place = f"{small.build / 'small.py'}:12"
    status, out, _ = small.call("--where", "small.py:12", "essay.md:20")
    assert (status, out.replace(os.sep, "/")) == (0, "essay.md:31\nbuild/small.py:4\n")
    assert small.call("--where", "essay.md:1") == (1, "essay.md:1\n", "")
    small.monkeypatch.chdir(small.path.parent)
    for essay in (str(small.essay), "ä b/essay.md"):
        where = small.call("--where", place, "small.py:12", "./ä b/build/small.py:12", essay=essay)
        assert where == (0, f"{essay}:31\n" * 3, "")


# --stitch


def edited(folder, *changes):
    """Tangle, replace texts in build/small.py, stitch; return (status, what is printed, said, the essay afterwards)."""
    assert folder.call()[0] == 0
    program = folder.build / "small.py"
    text = program.read_bytes().decode()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    program.write_bytes(text.encode())
    done = folder.call("--stitch")
    assert program.read_bytes().decode() == text
    return *done, folder.essay.read_bytes().decode()


BLANK = [("\ndef main", "\n\ndef main")]
MOVED = [("import sys, warnings\n", ""), ("print(__name", "import sys, warnings; print(__name")]
SEVERAL = [("divide(7)", "divide(0)"), ("sys, w", "os, sys, w"), ("\nmain()", "\nmain ()")]
GROWN = [("import sys", '"""Divide."""\n\nimport sys'), ("\nmain()\n", "\nmain()\n\n\ny = 1\n")]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("changes", "expected"), {
    "a changed line": ([("print(divide(7))", "print(divide(8))")], [("print(divide(7))", "print(divide(8))")]),
    "indentation is taken off": ([("        warnings.warn", "        pass\n        warnings.warn")],
                                 [("    warnings.warn", "    pass\n    warnings.warn")]),
    "a line more at the end of a chunk": ([("(divide(7))\n", "(divide(7))\n    return\n")],
                                          [("(divide(7))\n", "(divide(7))\nreturn\n")]),
    "a line less": ([('        warnings.warn("careful")\n', "")], [('    warnings.warn("careful")\n', "")]),
    "over a border, line for line": ([("- 1))\n    return x", "- 2))\n    return x + 1")],
                                     [("- 1))", "- 2))"), ("return x", "return x + 1")]),
    "blank lines beside blank lines": (BLANK, BLANK), "all lines of a chunk": (MOVED, MOVED),
    "several at once": (SEVERAL, SEVERAL), "a beginning and an end": (GROWN, GROWN),
}.values())  # fmt: skip
def test_an_edit_goes_to_where_the_line_was_written(small, changes, expected, ending):
    """And all else keeps every byte: line ends, a byte-order mark, and that there is no line end."""
    small.write(("\ufeff" + SMALL.rstrip()).replace("\n", ending).encode())
    status, out, said, text = edited(small, *changes)
    wanted = SMALL.rstrip()
    for old, new in expected:
        assert old in wanted
        wanted = wanted.replace(old, new, 1)
    assert text == ("\ufeff" + wanted).replace("\n", ending)
    assert (status, said.count("\n")) == (0, 1)
    assert out.endswith("essay.md: merged the edits made to small.py\n")
    assert small.call("--check") == (0, "", "")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([("import sys, warnings\n\n", "import sys\n")], r"essay\.md:5: .* to line 25 crosses the border"),
        ([("- 1))\n    return", "- 1))\n    print()\n    return")], r"essay\.md:\d+: .*crosses the border"),
        ([("print(divide(7))\n", "print(divide(7))\n        <<halve>>\n")], "essay.md:"),
        ([("print(divide(7))\n", "print(divide(7))\n```\n")], ":31: with this edit the essay would no longer tangle"),
        ([("print(divide(7))", "print(divide(7)")], r"its line 31 would be wrong: '\(' was never closed"),
        ([("main()\n", "main()\n\n")], "essay.md:14: small.py would not come out as edited: .* line ending changed"),
        ([("        warnings.warn", "  warnings.warn")], "a line dedented|would no longer tangle"),
        ([("\nmain()\n", "\nmain()")], "small.py would not come out as edited: .* line ending changed"),
    ],
)
def test_an_edit_without_a_certain_place_is_refused_and_nothing_is_written(small, changes, says):
    status, out, said, essay = edited(small, *changes)
    assert status == 1
    assert re.search(says, said)
    assert re.search(r"^[-+]", out, re.M)
    assert essay == SMALL


def test_a_file_that_is_no_text(small):
    small.call()
    (small.build / "small.py").write_bytes(b"print('\xe9')\n")
    status, _, said = small.call("--stitch")
    assert (status, said.count("\n"), "'utf-8' codec" in said) == (1, 2, True)


def test_an_edit_is_refused_where_the_essay_was_changed_as_well(small):
    small.call()
    program = small.build / "small.py"
    program.write_text(program.read_text(encoding="utf-8").replace("7", "8"), encoding="utf-8")
    changed = SMALL.replace("range(2)", "range(3)")
    status, _, said = small.write(changed).call("--stitch")
    assert (status, "from code that the essay no longer has" in said) == (1, True)
    assert small.essay.read_text(encoding="utf-8") == changed
    assert small.write(SMALL.replace("Prose.", "More prose.")).call("--stitch")[0] == 0  # that is no conflict


def test_an_edit_of_a_program_without_a_line(small):
    small.write("``` c {file=small.py}\n```\n").call()
    (small.build / "small.py").write_text("x\n")
    assert small.call("--stitch")[2].splitlines()[1:] == [
        "essay.md:1: an edit from here to line 1 crosses the border of two chunks: make it in the essay"]  # fmt: skip


def test_a_read_only_essay_is_not_stitched(small):
    small.call()
    (small.build / "small.py").write_text("x = 1\n")
    small.essay.chmod(0o444)
    status, _, said = small.call("--stitch")
    assert (status, said.splitlines()[1:]) == (1, ["tangle.py: essay.md is read-only: no edit was carried back"])


TWICE = "``` c {file=a}\n<<x>>\n\n  <<x>>\n```\n``` c {file=b}\n<<x>>\n```\n``` c {#x}\n1\n2\n```\n"


def test_a_chunk_used_twice_is_edited_everywhere_alike_or_not_at_all(small):
    small.write(TWICE).call()
    (small.build / "a").write_text("1\n3\n\n  1\n  2\n")
    assert small.call("--stitch")[0] == 1
    assert small.essay.read_text() == TWICE
    (small.build / "a").write_text("1\n3\n\n  1\n  3\n")
    status, out, _ = small.call("--stitch")
    assert status == 0
    assert small.essay.read_text() == TWICE.replace("2", "3")
    assert (small.build / "b").read_text() == "1\n3\n"  # another program follows, and the tangle says so
    assert "b: 2 lines" in out


def test_an_edit_that_would_make_its_program_disappear(small):
    essay = ("``` python {#a}\nx = 1\n```\nProse.\n``` python {file=one.py}\n<<a>>\n```\n````text\nexample\n````\n"
             "``` python {file=two.py}\n<<a>>\ny = 1\n```\n")  # fmt: skip
    small.write(essay).call()
    (small.build / "one.py").write_text("x = 1\n```\n````text\n")
    assert small.call("--stitch")[0] == 1
    assert small.essay.read_text() == essay


@pytest.mark.parametrize("during", ["changes_in", "stitch", "replace_lines"])
def test_a_save_of_the_essay_while_it_is_stitched_is_not_overwritten(small, during, monkeypatch):
    small.call()
    program = small.build / "small.py"
    program.write_text(program.read_text(encoding="utf-8").replace("7", "8"), encoding="utf-8")
    saved = SMALL.replace("Prose.", "More prose.").encode()
    before = snapshot(small.path) | {small.essay.relative_to(small.path): saved}
    plain = getattr(tangle, during)

    def save_first(*arguments):
        small.essay.write_bytes(saved)
        return plain(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(tangle, during, save_first)
        assert small.call("--stitch")[2].endswith("was saved in the meantime; nothing was written, try again\n")
    assert snapshot(small.path) == before
    assert small.call("--stitch")[0] == 0
    assert small.essay.read_bytes() == saved.replace(b"divide(7)", b"divide(8)")


def test_an_essay_behind_a_link(small, tmp_path):
    """The programs go beside the link, an edit goes to the essay, and the link stays."""
    other = tmp_path / "other"
    other.mkdir()
    link = other / "link.md"
    link.symlink_to(small.essay)
    before = {path.name for path in small.path.iterdir()}
    assert tangle.write_programs(link) == 0
    program = other / "build" / "small.py"
    program.write_text(program.read_text(encoding="utf-8").replace("7", "8"), encoding="utf-8")
    assert tangle.stitch_programs(link) == 0
    assert link.is_symlink()
    assert small.essay.read_text(encoding="utf-8") == SMALL.replace("7", "8")
    assert {path.name for path in small.path.iterdir()} == before


def random_essay(r):
    """Return an essay with a few chunks, used once or several times, in one or two programs, and an experiment."""
    names = [f"chunk-{i}" for i in range(r.randint(1, 5))]
    texts = ["x = 1", "if x:", "    z = 2", "", "  ", "# <<", "é", "\x0c", "a\u2028b", "````", "return"]
    use = {name: r.choice([1, 1, 1, 2]) for name in names}

    def code(later):
        lines = [r.choice(texts) for _ in range(r.randint(0, 5))]
        for name in later:
            if r.random() < 0.5 and use[name]:
                use[name] -= 1
                lines.insert(r.randint(0, len(lines)), r.choice(["", "    ", "\t"]) + f"<<{name}>>")
        return lines

    fences = [("c {file=a}", [*code(names), *(f"<<{name}>>" for name in names)])]
    fences += [("c {file=b/c}", code(names))] * r.randint(0, 1)
    for i, name in enumerate(names):
        fences += [("c {#" + name + "}", code(names[i + 1 :])) for _ in range(r.choice([1, 1, 2]))]
    fences.append(("diff {#try-it}", ["-" + r.choice(texts), "+new", " " + r.choice(texts)]))
    lines = [line for head, lines in fences for line in ["", "Prose.", f"``` {head}", *lines, "```"]]
    return (r.choice(["", "\ufeff"]) + r.choice(["\n", "\r\n"]).join(lines) + r.choice(["", "\n"])).encode()


def random_edit(r, text):
    """Return a program with one or a few edits, most of them such as people make."""
    lines = text.split("\n")
    for _ in range(r.choice([1, 1, 2, 4])):
        i = r.randrange(len(lines))
        indent = re.match(r"\s*", lines[i])[0]
        kind = r.random()
        if kind < 0.3:
            lines[i] += "!"
        elif kind < 0.5:
            lines[i : i + r.randint(1, 3)] = [""]
        elif kind < 0.9:
            lines[i:i] = r.choice([[indent + "new"], [""], [indent + "new", indent + "  newer"], [indent + "new", ""]])
        else:
            lines[i:i] = [r.choice(["<<chunk-0>>", "<<nothing>>", "```", "``` c {#x}", "\r", "~~~", "a\0b", "new"])]
    return "\n".join(lines) + r.choice(["\n"] * 9 + [""])


@pytest.mark.parametrize("seed", range(4))
def test_a_stitch_is_exact_or_nothing_happens(small, seed):
    def quietly(mode):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                return mode(small.essay)
            except (TangleError, ValueError):
                return 1

    r, exact = random.Random(seed), 0
    for _ in range(250):
        shutil.rmtree(small.build, ignore_errors=True)
        small.essay.write_bytes(random_essay(r))
        assert quietly(tangle.write_programs) == 0
        prose = small.essay.read_bytes().count(b"Prose.")
        wanted = {}
        for path in [small.build / "a", small.build / "b" / "c"]:
            if path.exists() and r.random() < 0.7:
                path.write_bytes(random_edit(r, path.read_bytes().decode()).encode())
                wanted[path] = path.read_bytes()
        before = snapshot(small.path)
        if quietly(tangle.stitch_programs) == 0:
            exact += 1
            assert small.essay.read_bytes().count(b"Prose.") == prose
        else:
            assert snapshot(small.path) == before
        assert {path: path.read_bytes() for path in wanted} == wanted
        if snapshot(small.path) != before:
            assert tangle.changes_in(small.essay, tangle.read_essay(small.essay)[2]) == []
    assert exact > 25


def test_what_a_formatter_does_can_be_carried_back(tmp_path):
    ruff = shutil.which("ruff", path=f"{sys.prefix}/bin") or shutil.which("ruff")
    if not ruff:
        pytest.skip("ruff is not installed: pip install --group test")
    shutil.copy(ESSAY, tmp_path)
    shutil.copytree(BUILD, tmp_path / "build", ignore=shutil.ignore_patterns("pages", "site", "cache", "essay"))
    program = tmp_path / "build" / "microgpt.py"
    subprocess.run([ruff, "format", "-q", "--isolated", "--line-length=120", program], check=True)
    formatted = program.read_bytes()
    assert formatted != MICROGPT.read_bytes()
    assert tangle.stitch_programs(tmp_path / "microgpt.md") == 0
    assert program.read_bytes() == formatted
