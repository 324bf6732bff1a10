"""Editing the essay: programs that run with its lines, places in both directions, edits in build/ carried back."""

import io
import os
import random
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
from programs import BUILD, ESSAY, FENCES, MICROGPT, PROGRAMS, ROOT, TEXT, load, run, snapshot
from test_tangle import calls

import tangle

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
def folder(tmp_path):
    """Return a folder with the small essay and the tangler, its name not made of letters alone."""
    folder = tmp_path / "ä b"
    folder.mkdir()
    (folder / "essay.md").write_text(SMALL, encoding="utf-8")
    shutil.copy(ROOT / "tangle.py", folder)
    return folder


def call(folder, *arguments, **options):
    """Run the tangler in a folder on its essay."""
    return run("essay.md", *arguments, program="tangle.py", cwd=folder, **options)


# --run


def test_tracebacks_and_warnings_show_the_essay(folder):
    done = call(folder, "--run", "small.py", "-x", "--check")
    essay, program = folder / "essay.md", folder / "build" / "small.py"
    assert done.stdout == f"__main__ {program} {[str(program), '-x', '--check']}\n"
    assert done.returncode == 1
    assert done.stderr.startswith(f'{essay}:30: UserWarning: careful\n  warnings.warn("careful")\nTraceback')
    shown = re.findall(rf'File "{re.escape(str(essay))}", line (\d+), in (\S+)\n    (.*)\n', done.stderr)
    assert shown == [("14", "<module>", "main()"), ("31", "main", "print(divide(7))"),
                     ("20", "divide", 'ä = "é"; x = (x /')]  # fmt: skip
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert not (folder / "build").exists()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 does not underline")
def test_what_is_underlined_is_in_the_essay_as_well(folder):
    lines = call(folder, "--run", "small.py").stderr.splitlines()
    code = next(i for i, line in enumerate(lines) if "print(divide(7))" in line)
    start = lines[code].index("divide(7)")
    assert lines[code + 1].rstrip() == " " * start + lines[code + 1].strip()
    assert len(lines[code + 1].strip()) == len("divide(7)")


def test_pdb_stops_in_the_essay(folder):
    done = run("pdb", "tangle.py", "essay.md", "--run", "small.py", program="-m", cwd=folder,
               input="b essay.md:31\nc\np i\nw\nq\n")  # fmt: skip
    assert f"Breakpoint 1 at {folder / 'essay.md'}:31" in done.stdout
    assert "essay.md(31)main()\n-> print(divide(7))" in done.stdout


def test_a_restart_of_pdb_does_not_hand_the_program_s_flags_to_the_tangler(folder):
    call(folder)
    program = folder / "build" / "small.py"
    program.write_text("precious\n")
    done = run("pdb", "tangle.py", "essay.md", "--run", "small.py", "--force", program="-m", cwd=folder,
               input="c\nc\nc\nq\n")  # fmt: skip
    assert done.stdout.count("ZeroDivisionError") + done.stderr.count("ZeroDivisionError") >= 2
    assert program.read_text() == "precious\n"


def test_a_chain_of_calls_over_several_lines(folder):
    lines = ["import os", "x = (", "  ''", "  .strip()", "  .nothing())"]
    (folder / "essay.md").write_text("\n".join(["``` python {file=a.py}", *lines, "```", ""]))
    assert re.search(r'essay\.md", line 6, in', call(folder, "--run", "a.py").stderr)


def test_a_profile_names_the_essay(folder):
    (folder / "essay.md").write_text(SMALL.replace("len(ä) - 1", "len(ä)"), encoding="utf-8")
    done = run("cProfile", "tangle.py", "essay.md", "--run", "small.py", program="-m", cwd=folder,
               env={"PYTHONWARNINGS": "ignore"})  # fmt: skip
    assert "essay.md:6(divide)" in done.stdout


def test_a_program_that_is_run_from_the_essay_prints_the_same():
    arguments = ("--num_steps", 2, "--samples", 2)
    assert run("--run", "microgpt.py", *arguments, program=ROOT / "tangle.py").stdout == run(*arguments).stdout


def test_a_program_that_does_not_exist(folder):
    done = call(folder, "--run", "other.py")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--run takes a program of essay.md: small.py" in done.stderr


def test_every_position_of_the_program_is_that_of_its_line_in_the_essay():
    """Whatever a code object of the program points at stands there in the essay, from first to last column."""
    if sys.version_info < (3, 11):
        pytest.skip("Python 3.10 knows no columns")
    source = ESSAY.read_text(encoding="utf-8").split("\n")
    module, plain = load("microgpt.py"), compile(MICROGPT.read_text(encoding="utf-8"), "plain", "exec")
    program = MICROGPT.read_text(encoding="utf-8").split("\n")
    functions = {code.co_name: code for code in plain.co_consts if hasattr(code, "co_positions")}
    for name in ("encode", "value", "backward", "gpt", "attention", "train", "main"):
        moved = getattr(module, name).__code__
        assert moved.co_code == functions[name].co_code
        positions = zip(moved.co_positions(), functions[name].co_positions())
        for (line, _, start, end), (old, last, old_start, old_end) in positions:
            if None not in (line, start, end, old) and old == last:
                assert source[line - 1].encode()[start:end] == program[old - 1].encode()[old_start:old_end]


def test_coverage_counts_lines_of_the_essay(tmp_path):
    pytest.importorskip("coverage", reason="coverage is not installed")
    python, data = [sys.executable, "-m", "coverage"], f"--data-file={tmp_path / 'data'}"
    subprocess.run([*python, "run", data, "tangle.py", "--run", "microgpt.py", "--num_steps", "1", "--samples", "1"],
                   cwd=ROOT, capture_output=True, check=True)  # fmt: skip
    done = subprocess.run([*python, "report", data, "-m", "--include=microgpt.md"], cwd=ROOT, text=True, check=True,
                          capture_output=True)  # fmt: skip
    statements, missing = map(int, re.search(r"microgpt\.md +(\d+) +(\d+)", done.stdout).groups())
    assert 130 < statements - missing < 180
    assert missing > 20  # the other programs, and what a run without errors does not reach


# --where


def test_every_line_of_a_program_is_found_in_the_essay_and_back():
    target, program = next(iter(PROGRAMS.items()))
    for number in range(1, len(tangle.render(program).split("\n"))):
        there = tangle.where(f"build/{target}:{number}", ESSAY.relative_to(ROOT), PROGRAMS)
        assert there == f"microgpt.md:{program[number - 1].origin}"
        back = tangle.where(there, ESSAY.relative_to(ROOT), PROGRAMS).split("\n")
        assert os.path.join("build", f"{target}:{number}") in back  # noqa: PTH118


def test_where_takes_what_linters_and_tracebacks_write(folder):
    output = "\n".join([
        f"{folder}/build/small.py:12:5: F401 unused", "build/small.py:5: error", "small.py:5:10",
        f'  File "{folder}/build/small.py", line 12, in main', "other/small.py:7", "lib/build/small.py:3",
        "small.py:99", "small.py:0", "All well.",
    ])  # fmt: skip
    done = call(folder, "--where", "-", input=output)
    assert done.stdout.splitlines() == [
        "essay.md:31:1: F401 unused", "essay.md:21: error", "essay.md:21:6",
        '  File "essay.md", line 31, in main', "other/small.py:7", "lib/build/small.py:3", "small.py:99", "small.py:0",
        "All well.",
    ]  # fmt: skip
    assert done.returncode == 0


def test_where_from_another_folder(folder, tmp_path):
    place = f"{folder / 'build' / 'small.py'}:12"
    for essay in (folder / "essay.md", "ä b/essay.md"):
        done = run(essay, "--where", place, "small.py:12", "./ä b/build/small.py:12", program=folder / "tangle.py",
                   cwd=tmp_path)  # fmt: skip
        assert done.stdout == f"{essay}:31\n" * 3
    (folder / "build").mkdir()
    done = run("../essay.md", "--where", place, program=folder / "tangle.py", cwd=folder / "build")
    assert done.stdout == "../essay.md:31\n"


def test_where_in_both_directions_on_the_command_line(folder):
    done = call(folder, "--where", "small.py:12", "essay.md:20")
    assert (done.returncode, done.stdout.replace(os.sep, "/")) == (0, "essay.md:31\nbuild/small.py:4\n")
    done = call(folder, "--where", "essay.md:1")
    assert done.returncode == 1
    assert "essay.md:1" in done.stdout


# --stitch


def edited(folder, *changes):
    """Tangle, replace texts in build/small.py, stitch; return (completed process, the essay afterwards)."""
    assert call(folder).returncode == 0
    program = folder / "build" / "small.py"
    text = program.read_bytes().decode()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    program.write_bytes(text.encode())
    done = call(folder, "--stitch")
    assert program.read_bytes().decode() == text
    return done, (folder / "essay.md").read_bytes().decode()


@pytest.mark.parametrize(
    ("changes", "essay"),
    {
        "a changed line": ([("print(divide(7))", "print(divide(8))")], ("print(divide(7))", "print(divide(8))")),
        "indentation is taken off": ([("        warnings.warn", "        pass\n        warnings.warn")],
                                     ("    warnings.warn", "    pass\n    warnings.warn")),
        "a line more at the end of a chunk": ([("(divide(7))\n", "(divide(7))\n    return\n")],
                                              ("(divide(7))\n", "(divide(7))\nreturn\n")),
        "a line more before the first": ([("    ä =", "    pass\n    ä =")], None),
        "blank lines beside blank lines": ([("\ndef main", "\n\ndef main")], ("\ndef main", "\n\ndef main")),
        "a line less": ([('        warnings.warn("careful")\n', "")], ('    warnings.warn("careful")\n', "")),
        "all lines of a chunk": ([("import sys, warnings\n", "")], None),
        "several at once": ([("divide(7)", "divide(0)"), ("sys", "os, sys"), ("\nmain()", "\nmain ()")], None),
    }.values(),
)  # fmt: skip
def test_an_edit_goes_to_where_the_line_was_written(folder, changes, essay):
    done, text = edited(folder, *changes)
    if essay:
        assert (done.returncode, done.stderr.count("\n")) == (0, 1)
        assert "essay.md: takes over the edits of small.py\n" in done.stdout
        assert text == SMALL.replace(*essay, 1)
    assert call(folder, "--check").returncode == done.returncode


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_the_rest_of_the_essay_keeps_every_byte(folder, ending):
    text = "\ufeff" + SMALL.replace("\n", ending) + "no line end"
    (folder / "essay.md").write_bytes(text.encode())
    done, new = edited(folder, ("divide(7))", "divide(8))\n        pass"))
    assert done.returncode == 0
    assert new == text.replace("divide(7))", f"divide(8)){ending}    pass")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([("import sys, warnings\n\n", "import sys\n")], r"essay\.md:25: .* line 5"),
        ([("- 1))\n    return", "- 1))\n    print()\n    return")], r"essay\.md:\d+: .*where chunks meet"),
        ([("print(divide(7))\n", "print(divide(7))\n        <<halve>>\n")], "essay.md:"),
        ([("print(divide(7))\n", "print(divide(7))\n```\n")], "essay.md:"),
        ([("main()\n", "main()")], "odd line end"),
        ([("x = (x /", "x = (x /) +")], "essay.md:"),
    ],
)
def test_an_edit_without_a_certain_place_is_refused_and_nothing_is_written(folder, changes, says):
    done, essay = edited(folder, *changes)
    assert done.returncode == 1
    assert re.search(says, done.stderr)
    assert re.search(r"^[-+]", done.stdout, re.M)
    assert essay == SMALL


def test_a_beginning_and_an_end_can_grow(folder):
    done, essay = edited(folder, ("import sys, warnings\n", '"""Divide."""\n\nimport sys, warnings\n'),
                         ("\nmain()\n", "\nmain()\n\n\ndef more():\n    pass\n"))  # fmt: skip
    assert done.returncode == 0
    assert "main()\n\n\ndef more():\n    pass\n```\n" in essay


def test_an_edit_that_would_make_its_program_disappear(folder):
    essay = ("``` python {#a}\nx = 1\n```\nProse.\n``` python {file=one.py}\n<<a>>\n```\n````text\nexample\n````\n"
             "``` python {file=two.py}\n<<a>>\ny = 1\n```\n")  # fmt: skip
    (folder / "essay.md").write_text(essay)
    call(folder)
    (folder / "build" / "one.py").write_text("x = 1\n```\n````text\n")
    assert call(folder, "--stitch").returncode == 1
    assert (folder / "essay.md").read_text() == essay


def test_an_edit_is_refused_where_the_essay_was_changed_as_well(folder):
    call(folder)
    program = folder / "build" / "small.py"
    program.write_text(program.read_text(encoding="utf-8").replace("7", "8"), encoding="utf-8")
    changed = SMALL.replace("range(2)", "range(3)")
    (folder / "essay.md").write_text(changed, encoding="utf-8")
    done = call(folder, "--stitch")
    assert done.returncode == 1
    assert "from other code than the essay has now" in done.stderr
    assert (folder / "essay.md").read_text(encoding="utf-8") == changed
    (folder / "essay.md").write_text(SMALL.replace("Prose.", "More prose."), encoding="utf-8")  # that is no conflict
    assert call(folder, "--stitch").returncode == 0


def test_a_line_that_is_indented_less_than_its_chunk(folder):
    (folder / "essay.md").write_text("``` c {file=a}\nx\n  <<y>>\n```\n``` c {#y}\n1\n2\n```\n")
    call(folder)
    (folder / "build" / "a").write_text("x\n  1\n3\n")
    assert "a line indented less" in call(folder, "--stitch").stderr


TWICE = "``` c {file=a}\n<<x>>\n\n  <<x>>\n```\n``` c {file=b}\n<<x>>\n```\n``` c {#x}\n1\n2\n```\n"


def test_a_chunk_used_twice_is_edited_everywhere_alike_or_not_at_all(folder):
    (folder / "essay.md").write_text(TWICE)
    call(folder)
    (folder / "build" / "a").write_text("1\n3\n\n  1\n  2\n")
    assert call(folder, "--stitch").returncode == 1
    assert (folder / "essay.md").read_text() == TWICE
    (folder / "build" / "a").write_text("1\n3\n\n  1\n  3\n")
    done = call(folder, "--stitch")
    assert done.returncode == 0
    assert (folder / "essay.md").read_text() == TWICE.replace("2", "3")
    assert (folder / "build" / "b").read_text() == "1\n3\n"  # another program follows, and the tangle says so
    assert "b: 2 lines" in done.stdout


@pytest.mark.parametrize("during", ["tangle", "changes_in", "stitch", "replace_lines", "show", "stage"])
def test_a_save_of_the_essay_while_it_is_stitched_is_not_overwritten(folder, during, monkeypatch):
    call(folder)
    essay, program = folder / "essay.md", folder / "build" / "small.py"
    program.write_text(program.read_text(encoding="utf-8").replace("7", "8"), encoding="utf-8")
    saved = SMALL.replace("Prose.", "More prose.").encode()
    before = snapshot(folder) | {essay.relative_to(folder): saved}
    plain = getattr(tangle, during)

    def save_first(*arguments):
        essay.write_bytes(saved)
        return plain(*arguments)

    monkeypatch.setattr(tangle, during, save_first)
    with pytest.raises(OSError, match=r"essay\.md was saved in the meantime, so nothing is written: try again"):
        quietly(tangle.stitch_programs, essay)
    assert snapshot(folder) == before
    monkeypatch.undo()
    assert quietly(tangle.stitch_programs, essay) == 0
    assert essay.read_bytes() == saved.replace(b"divide(7)", b"divide(8)")


def test_that_refusal_is_one_line(folder):
    """What --stitch prints on stderr: which program is edited, and why it is not carried over."""
    call(folder)
    program = folder / "build" / "small.py"
    program.write_text(program.read_text(encoding="utf-8").replace("7", "8"), encoding="utf-8")
    code = """if True:
        import tangle, pathlib
        stitch = tangle.stitch
        tangle.stitch = lambda *arguments: (pathlib.Path("essay.md").write_text("saved"), stitch(*arguments))[1]
        exit(tangle.main())
        """
    done = run(code, "essay.md", "--stitch", program="-c", cwd=folder)
    assert done.returncode == 1
    assert re.fullmatch(r".*edited by hand.*\ntangle\.py: .*essay\.md was saved in the meantime, .*\n", done.stderr)


def test_an_essay_behind_a_link(folder, tmp_path):
    """The programs go beside the link, an edit goes to the essay, and the link stays."""
    other = tmp_path / "other"
    other.mkdir()
    link = other / "link.md"
    link.symlink_to(folder / "essay.md")
    before = {path.name for path in folder.iterdir()}
    assert quietly(tangle.write_programs, link) == 0
    program = other / "build" / "small.py"
    program.write_text(program.read_text(encoding="utf-8").replace("7", "8"), encoding="utf-8")
    assert quietly(tangle.stitch_programs, link) == 0
    assert link.is_symlink()
    assert (folder / "essay.md").read_text(encoding="utf-8") == SMALL.replace("7", "8")
    assert {path.name for path in folder.iterdir()} == before


@pytest.mark.parametrize("essay", [b"", b"\n", b"one line", b"\xef\xbb\xbf", b"``` python {file=small.py}", b"```",
                                   b"``` python {file=small.py}\n```\n``` python {#x}\r"])  # fmt: skip
def test_a_stitch_with_an_essay_without_programs(folder, essay):
    quietly(tangle.write_programs, folder / "essay.md")
    (folder / "build" / "small.py").write_text("mine\n")
    (folder / "essay.md").write_bytes(essay)
    before = snapshot(folder)
    for mode in (tangle.stitch_programs, tangle.check_programs, tangle.write_programs):
        with pytest.raises(tangle.TangleError) as caught:
            mode(folder / "essay.md")
        assert caught.value.errors[0][0] in (1, 3)
        assert snapshot(folder) == before


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_an_essay_that_ends_with_its_last_fence_and_no_line_end(folder, ending):
    essay = SMALL.replace("\n", ending).rstrip()
    (folder / "essay.md").write_bytes(essay.encode())
    done, text = edited(folder, ("divide(7))", "divide(7))\n        return"))
    assert done.returncode == 0
    assert text == essay.replace("divide(7))", f"divide(7)){ending}    return")


def test_lines_are_replaced_and_all_else_keeps_every_byte():
    replace = tangle.replace_lines
    assert replace(b"a\r\nb\nc", {(2, 3): ["x", "y"]}) == b"a\r\nx\r\ny\r\nc"
    assert replace(b"a\nb", {(2, 3): ["x"]}) == b"a\nx"
    assert replace(b"a\nb", {(3, 3): ["x"]}) == b"a\nb\nx"
    assert replace(b"a\nb\n", {(3, 3): ["x"]}) == b"a\nb\nx\n"
    assert replace(b"a", {(1, 1): ["x"]}) == b"x\na"
    assert replace(b"a\rb\r", {(1, 2): [], (2, 3): ["x\x0cy\xe9"]}) == "x\x0cy\xe9\r".encode()
    assert replace(b"a\nb\n", {}) == b"a\nb\n"


def test_an_edit_with_the_line_ends_of_windows(folder):
    """An editor or git may have changed them all: what is carried over is the edit."""
    call(folder)
    program = folder / "build" / "small.py"
    program.write_bytes(program.read_bytes().replace(b"7", b"8").replace(b"\n", b"\r\n"))
    assert call(folder, "--stitch").returncode == 0
    assert (folder / "essay.md").read_text(encoding="utf-8") == SMALL.replace("7", "8")
    assert call(folder, "--check").returncode == 0


def test_an_edit_after_which_the_essay_would_not_tangle_is_refused_in_words(folder):
    done, essay = edited(folder, ("print(divide(7))", "print(divide(7)"))
    assert (done.returncode, essay) == (1, SMALL)
    says = "essay.md:31: with this edit the essay would not tangle any more; its line 31 would be wrong: '(' was never"
    assert says in done.stderr
    assert re.search(r"^-        print\(divide\(7\)$", done.stdout, re.M)


def test_a_full_disk_while_an_edit_is_carried_over(folder):
    """A limit on the size of files does what a full disk does."""
    resource = pytest.importorskip("resource", reason="this system has no limits on the size of files")
    essay = SMALL + "More prose.\n" * 1000
    (folder / "essay.md").write_text(essay, encoding="utf-8")
    call(folder)
    program = folder / "build" / "small.py"
    program.write_text(program.read_text(encoding="utf-8").replace("7", "8"), encoding="utf-8")
    before = snapshot(folder)
    done = call(folder, "--stitch", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    assert done.returncode == 1
    assert re.fullmatch(r".*edited by hand.*\ntangle\.py: .*large.*\n", done.stderr)
    assert snapshot(folder) == before


ALIKE = {
    "lines that are all different": lambda i: [f"line {i} {j}" for j in range(10)],
    "many blank lines": lambda i: [f"line {i}", "", "", "same", "", "", f"end {i}", "", "", ""],
    "lines of a few kinds between": lambda i: [f"line {i}", "", "a", "b", "", "a", "b", "", "a", ""],
}


def long_stitch(chunks, text):
    """Return a program of chunks with ten lines each, and its lines after an edit in the middle of every chunk."""
    names = "".join(f"<<c{i}>>\n\n" for i in range(chunks))
    fences = "".join(f"\n``` c {{#c{i}}}\n" + "".join(line + "\n" for line in text(i)) + "```\n" for i in range(chunks))
    program = tangle.tangle(f"``` c {{file=a}}\n{names}```\n{fences}")["a"]
    edited = [[line.text, line.text + "!"] if number % 11 == 3 else [line.text] for number, line in enumerate(program)]
    return program, [line for lines in edited for line in lines][:-1]


@pytest.mark.parametrize("text", ALIKE.values(), ids=ALIKE)
def test_the_work_of_a_stitch_grows_with_the_length_of_the_essay_and_not_faster(text):
    (small, small_edit), (large, large_edit) = long_stitch(60, text), long_stitch(480, text)
    errors = []
    assert len([*tangle.edits(large, large_edit, errors)]) + len(errors) > 0
    assert calls(lambda: [*tangle.edits(large, large_edit, [])]) < 12 * calls(
        lambda: [*tangle.edits(small, small_edit, [])])  # fmt: skip


@pytest.mark.parametrize("text", [
    *ALIKE.values(), lambda i: [f"{i // 2} {j}" for j in range(10)], lambda i: [f"{i - j % 2} {j}" for j in range(10)],
    lambda i: [f"{(10 * i + j + 3 * (j % 2)) // 2}" for j in range(10)], lambda i: ["a", "", "b", "c", ""] * 2,
])  # fmt: skip
def test_many_edits_of_a_long_program_find_their_places(text):
    """Also where each line is there twice; but where no line is but once, a long program is not compared."""
    program, edit = long_stitch(480, text)
    errors = []
    edits = [*tangle.edits(program, edit, errors)]
    assert (len(edits) >= 480) == (not errors) == (text(0)[:2] != ["a", ""])


def random_essay(r):
    """Return an essay with a few chunks, used once or several times, in one or two programs."""
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

    fences = [("{file=a}", [*code(names), *(f"<<{name}>>" for name in names)])]
    fences += [("{file=b/c}", code(names))] * r.randint(0, 1)
    for i, name in enumerate(names):
        fences += [("{#" + name + "}", code(names[i + 1 :])) for _ in range(r.choice([1, 1, 2]))]
    lines = [line for head, lines in fences for line in ["", "Prose.", f"``` c {head}", *lines, "```"]]
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


def quietly(mode, essay):
    """Check, write or stitch programs and return the status, or 1 if there is a TangleError."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            return mode(essay)
        except tangle.TangleError:
            return 1


@pytest.mark.parametrize("seed", range(4))
def test_a_stitch_is_exact_or_nothing_happens(tmp_path, seed):
    r, exact = random.Random(seed), 0
    essay, build = tmp_path / "essay.md", tmp_path / "build"
    for _ in range(250):
        shutil.rmtree(build, ignore_errors=True)
        essay.write_bytes(random_essay(r))
        assert quietly(tangle.write_programs, essay) == 0
        prose = essay.read_bytes().count(b"Prose.")
        wanted = {}
        for path in [build / "a", build / "b" / "c"]:
            if path.exists() and r.random() < 0.7:
                path.write_bytes(random_edit(r, path.read_bytes().decode()).encode())
                wanted[path] = path.read_bytes()
        before = snapshot(tmp_path)
        if quietly(tangle.stitch_programs, essay) == 0:
            exact += 1
            assert essay.read_bytes().count(b"Prose.") == prose
        else:
            assert snapshot(tmp_path) == before
        assert {path: path.read_bytes() for path in wanted} == wanted
        if snapshot(tmp_path) != before:
            assert quietly(tangle.check_programs, essay) == 0
    assert exact > 25


def test_what_a_formatter_does_can_be_carried_back(tmp_path):
    ruff = shutil.which("ruff", path=f"{sys.prefix}/bin") or shutil.which("ruff")
    if not ruff:
        pytest.skip("ruff is not installed")
    lines = TEXT.split("\n")  # without the experiments: they quote lines, and would have to be formatted with them
    for fence in reversed([fence for fence in FENCES if fence.kind == "experiment"]):
        del lines[fence.line - 1 : fence.end]
    (tmp_path / "microgpt.md").write_text("\n".join(lines), encoding="utf-8")
    shutil.copytree(BUILD, tmp_path / "build", ignore=shutil.ignore_patterns("pages", "site", "cache"))
    program = tmp_path / "build" / "microgpt.py"
    subprocess.run([ruff, "format", "-q", "--isolated", "--line-length=120", program], check=True)
    formatted = program.read_bytes()
    assert formatted != MICROGPT.read_bytes()
    assert quietly(tangle.stitch_programs, tmp_path / "microgpt.md") == 0
    assert program.read_bytes() == formatted
