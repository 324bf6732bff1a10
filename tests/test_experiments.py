"""Experiments: fences that read as diffs, what the tangler makes of them, and how it runs a program after one."""

from textwrap import dedent

import pytest
from programs import ROOT, run

import tangle as tangler
from tangle import TangleError, render, tangle

ESSAY = """
    ``` python {file=a.py}
    <<greet>>

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


def essay(experiment, name="no-word", attributes=""):
    """Return the essay with one experiment."""
    return dedent(ESSAY) + f"\n``` diff {{#{name}{attributes}}}\n{experiment}\n```\n"


def errors_of(text):
    with pytest.raises(TangleError) as caught:
        tangle(text)
    return [message for _, message in caught.value.errors]


def test_an_experiment_changes_its_programs_and_nothing_that_is_written():
    text = essay('-    word = "hello"\n+    word = "bye"')
    assert {target: render(lines) for target, lines in tangle(text).items()} == {
        target: render(lines) for target, lines in tangle(dedent(ESSAY)).items()
    }
    changed = tangle(text, "no-word")
    assert [*changed] == ["a.py"]
    assert render(changed["a.py"]) == render(tangle(text)["a.py"]).replace('"hello"', '"bye"')


def test_new_lines_come_from_the_experiment_and_all_others_from_where_they_were():
    text = essay(' def greet(name):\n-    word = "hello"\n+    word = name\n+    name = "you"')
    lines = text.split("\n")
    for line in tangle(text, "no-word")["a.py"]:
        assert line.text in (lines[line.origin - 1], lines[line.origin - 1][1:])
    assert [line.text for line in tangle(text, "no-word")["a.py"]][:4] == [
        "def greet(name):", "    word = name", '    name = "you"', '    return f"{word}, {name}"'
    ]  # fmt: skip


def test_an_experiment_may_have_several_places_attributes_and_references():
    places = [
        '-    word = "hello"\n+    word = name',
        ' print(greet("one"))\n-print(greet("two"))',
        " <<greet>>\n+<<greet>>",
    ]
    text = essay("\n@@\n".join(places), attributes=" steps=30")
    changed = tangle(text, "no-word")
    assert [*changed] == ["a.py", "b.py"]
    assert render(changed["b.py"]) == 'print(greet("one"))\n'
    assert render(changed["a.py"]).count("word = name") == 2
    (experiment,) = tangler.experiments_of(tangler.parse(text)[0]).values()
    assert experiment.options == {"steps": "30"}


def test_a_root_can_be_changed_too():
    changed = tangle(essay(" <<greet>>\n+TWO = 2"), "no-word")
    assert "TWO = 2" in render(changed["a.py"])


NOWHERE = "these lines stand together at no place in the chunks: there has to be one"
EMPTY = "an experiment has lines with - or +, and at least one that stands in a chunk"


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        ('-    word = "hullo"', NOWHERE),
        ('-word = "hello"', NOWHERE),
        ('-    word = "hello"\n-    print()', NOWHERE),
        ('+    word = "hello"', EMPTY),
        ('     word = "hello"', EMPTY),
        ("", EMPTY),
        ('!    word = "hello"', "malformed: a line of an experiment begins with -, + or a blank"),
        ('-    word = "hello"\n+    word = "hello', "by the experiment on line 23: unterminated string literal"),
        (' print(greet("one"))\n+<<nowhere>>', "by the experiment on line 23: undefined: there is no chunk"),
        (' print(greet("one"))\n+x = 1 <<greet>>', "by the experiment on line 23: malformed: a reference <<name>> is"),
        (' print(greet("one"))\n+<<greet-again>>', "by the experiment on line 23: cyclic: greet-again -> greet-again"),
    ],
)
def test_what_is_wrong_with_an_experiment(experiment, message):
    errors = errors_of(essay(experiment))
    assert any(error.startswith(message) for error in errors), errors


def test_lines_that_stand_at_two_places_are_not_clear_unless_one_is_in_the_first_program():
    again = "\n``` python {{file=c.py}}\n{}\n```\n"
    first = essay('-print(greet("one"))') + again.format('print(greet("one"))')
    assert [*tangle(first, "no-word")] == ["a.py", "b.py"]
    other = essay("-other = 1") + again.format("other = 1\nother = 1")
    assert errors_of(other) == ["these lines stand together at 2 places in the chunks: there has to be one"]


def test_a_name_is_given_once():
    for name in ("greet", "no-word"):
        again = f'\n``` diff {{#{name}}}\n-print(greet("two"))\n```\n'
        assert any(f"the name {name} is taken" in e for e in errors_of(essay('-print(greet("one"))') + again))


def test_a_chunk_that_only_an_experiment_leaves_unused_is_no_error():
    assert render(tangle(essay("-<<greet>>\n+def greet(name): return name"), "no-word")["a.py"]).startswith(
        "def greet(name): return"
    )


def test_run_with_break(tmp_path):
    (tmp_path / "essay.md").write_text(essay('-    word = "hello"\n+    word = unknown', "no-word"), encoding="utf-8")
    command = ["essay.md", "--run", "a.py"]
    plain = run(*command, program=ROOT / "tangle.py", cwd=tmp_path)
    assert (plain.returncode, plain.stdout) == (0, "hello, one\nhello, two\n")
    broken = run(*command, "--break", "no-word", program=ROOT / "tangle.py", cwd=tmp_path)
    assert broken.returncode == 1
    assert "NameError: name 'unknown' is not defined" in broken.stderr
    assert 'essay.md", line 25' in broken.stderr  # the line of the experiment
    assert not (tmp_path / "build").exists()
    for words, message in [
        (("--break",), "--break takes an experiment of essay.md: no-word"),
        (("--break", "no-wrod"), "--break takes an experiment of essay.md: no-word"),
    ]:
        wrong = run(*command, *words, program=ROOT / "tangle.py", cwd=tmp_path)
        assert (wrong.returncode, wrong.stdout, wrong.stderr) == (1, "", f"tangle.py: {message}\n")
    other = run("essay.md", "--run", "b.py", "--break", "no-word", program=ROOT / "tangle.py", cwd=tmp_path)
    assert other.stderr == "tangle.py: no-word changes nothing in b.py, but a.py\n"
