"""Experiments: fences that read as diffs, the programs that they change, and that they lock nothing."""

from textwrap import dedent

import pytest
from programs import FENCES, PROGRAMS, ROOT, TEXT, run

import tangle as tangler
from tangle import check_experiments, parse, render, tangle

ESSAY = """
    ``` python {file=a.py}
    <<greet>>

    if True:
        <<greet-again>>
    ```

    ``` python {#greet}
    def greet(name):
        word = "hello"
        return f"{word}, {name}"
    ```

    ``` python {#greet-again}
    print(greet("one"))
    print(greet("two"))
    ```

    ``` python {file=b.py}
    <<greet-again>>
    ```
"""
FITS = '-    word = "hello"\n+    word = "bye"'
MISFITS = '-    word = "hullo"\n+    word = "bye"'


def essay(experiment=FITS, name="no-word", attributes=""):
    """Return the essay with one experiment."""
    return dedent(ESSAY) + f"\n``` diff {{#{name}{attributes}}}\n{experiment}\n```\n"


def changed(text, name="no-word"):
    """Return the programs that an experiment changes, and all programs of its essay."""
    programs = tangle(text)
    return tangler.changed_by(tangler.named(parse(text)[0], "experiment")[name][0], programs), programs


def problems(text):
    """Return what is wrong with the experiments of an essay, as (line, message)."""
    return check_experiments(parse(text)[0], tangle(text), compiles=True)


def test_an_experiment_changes_its_programs_and_nothing_that_is_written():
    after, before = changed(essay())
    assert {target: render(lines) for target, lines in before.items()} == {
        target: render(lines) for target, lines in tangle(dedent(ESSAY)).items()
    }
    assert {target: render(lines) for target, lines in after.items()} == {
        "a.py": render(before["a.py"]).replace('"hello"', '"bye"')
    }


def test_new_lines_come_from_the_experiment_and_all_others_from_where_they_were():
    text = essay(' print(greet("one"))\n-print(greet("two"))\n+if 1:\n+    print(3)')
    lines = text.split("\n")
    after, _ = changed(text)
    for line in after["a.py"] + after["b.py"]:
        assert line.text.removeprefix(line.indent) in (lines[line.origin - 1], lines[line.origin - 1][1:])
    assert [line.text for line in after["a.py"]][-4:] == [
        "if True:", '    print(greet("one"))', "    if 1:", "        print(3)"
    ]  # fmt: skip
    assert render(after["b.py"]) == 'print(greet("one"))\nif 1:\n    print(3)\n'


def test_an_experiment_may_have_several_places_and_attributes():
    places = ['-    word = "hello"\n+    word = name', ' print(greet("one"))\n-print(greet("two"))']
    places.append(" if True:\n+    0")
    text = essay("\n@@\n".join(places), attributes=" steps=30")
    after, before = changed(text)
    assert [*after] == ["a.py", "b.py"]
    assert render(after["b.py"]) == 'print(greet("one"))\n'
    wanted = render(before["a.py"]).replace('"hello"', "name").replace('    print(greet("two"))\n', "")
    assert render(after["a.py"]) == wanted.replace("if True:\n", "if True:\n    0\n")
    assert problems(text) == []


OTHER = "\n``` python {{file=c.py}}\n{}\n```\n"
FORM = "it needs lines that begin with - or + or a space, at least one of them from a program"


@pytest.mark.parametrize(("text", "line", "message"), [
    (essay(MISFITS), 25, 'a line that it removes has changed; it was: word = "hullo"; write it as its chunk has'),
    (essay(' def great(name):\n+    """Greet."""'), 25, "a line that it quotes has changed; it was: def great(name):;"),
    (essay(' def greet(name):\n-    word = "hallo"'), 26, "a line that it removes has changed"),
    (essay('-word = "hello"'), 25, "a line that it removes has changed"),
    (essay('-    word = "hello"\n-print(greet("one"))'), 25, "its lines no longer follow each other"),
    (essay('+    word = "hello"'), 25, FORM), (essay('!    word = "hello"'), 25, FORM),
    (essay('     word = "hello"'), 25, "it changes nothing"), (essay(""), 25, "it changes nothing"),
    (essay(' print(greet("one"))\n+<<greet>>'), 25, "it may insert code, but no references"),
    (essay('-    word = "hello"\n+    word = "hello'), 26, "unterminated string literal"),
    (essay('-    word = "hello"\n+    word = "hello"'), 25, "it changes nothing"),
    (essay("-other = 1") + OTHER.format("other = 1\nother = 1"), 25, "its lines match 2 places"),
    (essay('-print(greet("one"))\n@@\n print(greet("one"))\n-print(greet("two"))'), 24, "two of its hunks overlap"),
    (essay(name="greet"), 24, "line 9 already has a chunk or experiment of that name"),
    (essay() + "\n``` diff {#no-word}\n-other\n```\n", 29, "line 24 already has a chunk or experiment of that name"),
])  # fmt: skip
def test_what_is_wrong_with_an_experiment(text, line, message):
    found = [(number, said.partition(": ")[2]) for number, said in problems(text)]
    assert any(number == line and said.startswith(message) for number, said in found), found


def test_the_first_program_says_which_place_is_meant():
    after, _ = changed(essay('-print(greet("one"))') + OTHER.format('print(greet("one"))'))
    assert [*after] == ["a.py", "b.py"]


def test_the_experiments_of_the_essay_fit():
    assert check_experiments(FENCES, PROGRAMS, compiles=True) == []


def test_an_experiment_that_does_not_fit_keeps_nothing_from_being_done(folder):
    said = ('essay.md:25: experiment no-word: a line that it removes has changed; it was: word = "hullo"; '
            "write it as its chunk has it, or remove the experiment\n")  # fmt: skip
    folder.write(essay(MISFITS))
    assert folder.call()[::2] == (0, said)
    assert folder.call("--where", "a.py:1")[::2] == (0, "")
    assert folder.call("--check") == (1, "", said)
    assert folder.call("--run", "a.py", "--break", "no-word") == (1, "", said)
    assert run("essay.md", "--run", "a.py", program=ROOT / "tangle.py", cwd=folder.path).returncode == 0
    assert (folder.build / "a.py").exists()
    (folder.build / "a.py").write_text((folder.build / "a.py").read_text().replace("two", "three"))
    status, _, told = folder.call("--stitch")
    assert (status, told.splitlines()[1:]) == (0, said.splitlines())
    assert folder.essay.read_text() == essay(MISFITS).replace("two", "three")
    assert folder.call("--force")[::2] == (0, said)


def test_run_with_break(folder):
    folder.write(essay('-    word = "hello"\n+    word = unknown'))
    command = ["essay.md", "--run", "a.py"]
    plain = run(*command, program=ROOT / "tangle.py", cwd=folder.path)
    assert (plain.returncode, plain.stdout) == (0, "hello, one\nhello, two\n")
    broken = run(*command, "--break", "no-word", program=ROOT / "tangle.py", cwd=folder.path)
    assert broken.returncode == 1
    assert "NameError: name 'unknown' is not defined" in broken.stderr
    assert 'essay.md", line 26' in broken.stderr  # the line of the experiment
    assert not folder.build.exists()
    for words, message in [
        (("a.py", "--break"), "--break takes an experiment of essay.md: no-word"),
        (("a.py", "--break", "no-wrod"), "--break takes an experiment of essay.md: no-word"),
        (("b.py", "--break", "no-word"), "no-word does not change b.py; it changes a.py"),
    ]:
        assert folder.call("--run", *words) == (1, "", f"tangle.py: {message}\n")
    folder.write(essay('-    word = "hello"\n+    word = ('))
    said = folder.call("--run", "a.py", "--break", "no-word")[2]
    assert said.startswith("essay.md:26: experiment no-word: '(' was never closed")


# Edits of lines that experiments quote


def edited(folder, old, new):
    """Tangle, replace a text in build/a.py, stitch; return what is printed, and said after the first line."""
    folder.call()
    program = folder.build / "a.py"
    assert old in program.read_text()
    program.write_text(program.read_text().replace(old, new))
    status, out, said = folder.call("--stitch")
    assert status == 0
    assert program.read_text().count(new)
    return out, "\n".join(said.splitlines()[1:])


@pytest.mark.parametrize("experiment", [FITS, ' def greet(name):\n-    word = "hello"\n+    word = ""',
                                        '     word = "hello"\n+    word += "!"'])  # fmt: skip
def test_an_edit_of_a_line_is_carried_into_the_experiments_that_quote_it(folder, experiment):
    two = essay(experiment) + "\n``` diff {#other}\n-print(greet(\"two\"))\n```\n"
    out, said = edited(folder.write(two), 'word = "hello"', 'word = "good day"')
    assert "essay.md: merged the edits made to a.py\n" in out
    assert said == ""
    assert folder.essay.read_text() == two.replace('    word = "hello"', '    word = "good day"')
    assert folder.call("--check") == (0, "", "")


@pytest.mark.parametrize(("old", "new", "told"), [
    ('    word = "hello"\n', "", "a line that it removes has changed"),
    ('    word = "hello"\n', '    word = "good"\n    word += " day"\n', "a line that it removes has changed"),
    ('    word = "hello"\n', '    pass\n    word = "hello"\n', "its lines no longer follow each other"),
])  # fmt: skip
def test_where_that_is_not_clear_the_edit_is_made_and_the_experiment_is_reported(folder, old, new, told):
    text = essay(' def greet(name):\n-    word = "hello"\n+    word = name')
    out, said = edited(folder.write(text), old, new)
    assert "experiment" not in out
    assert f"experiment no-word: {told}" in said
    assert folder.essay.read_text() == text.replace(old, new, 1)


def test_every_line_of_the_program_can_be_edited_and_stitched():
    """One in seven at a time: no two of them are neighbours, and each is edited once."""
    lines, data, quoted = render(PROGRAMS["microgpt.py"]).split("\n"), TEXT.encode(), 0
    for first in range(7):
        new = [line + "  # edited" * (number % 7 == first and line != "") for number, line in enumerate(lines)]
        text = tangler.stitch(data, PROGRAMS, {"microgpt.py": "\n".join(new)}).decode()
        programs = tangle(text)
        assert render(programs["microgpt.py"]) == "\n".join(new)
        assert check_experiments(parse(text)[0], programs) == []
        quoted += sum(1 for line in text.split("\n") if line.startswith(("-", " ")) and line.endswith("# edited"))
    assert quoted > 90
