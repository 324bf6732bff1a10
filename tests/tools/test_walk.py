"""The walk through the program: what is recorded while it runs, and what is said in its scenes."""

import json

import pytest
from essays import SMALL, demonstration
from programs import ROOT, interpreters, run
from weaver import walk
from weaver.essay import Essay
from weaver.prose import Reading
from weaver.results import Result

# The recorder

PROGRAM = """\
def often(x): return x + 1

def double(values):
    twice = [2 * often(value) for value in values]
    twice.append(0)
    return twice

def some(values):
    for value in values:
        yield -value

def main():
    found = []
    for value in some(double([1, 2])):
        found.append(value)
    many = [0] * 201
    return found

def fail():
    double([3])
    raise KeyError(3)
"""
RECORD = """\
import json, sys
import recorder
record = recorder.Recording("small.py", ["often"])
def caught(act, *given):
    try:
        return act(*given)
    except (KeyError, ValueError) as error:
        return str(error)
returned = record.record(record.module.main, count=lambda: len(record.counts))
sys.settrace(lambda *_: None)
print(caught(record.record, record.module.fail), *map(caught, [record.moment] * 2, ["nothing", "return"]), sep=";")
print(sys.gettrace().__name__, [record.moment("twice = ", run) is None for run in (1, 2, -2, -3)])
sys.settrace(None)
record.module.main()  # nobody listens
print(json.dumps([returned, record.counts, [*record.moments.items()]]))
"""
TWICE, DONE = [[4, 6], [4, 6, 0]], [[], [-4], [-4, -6], [-4, -6, 0]]
COUNTS = {4: 2, 5: 2, 6: 2, 9: 4, 10: 3, 13: 1, 14: 4, 15: 3, 16: 1, 17: 1, 20: 1, 21: 1}  # not of `often`
RECORDED = {  # row: [(what it has changed, how many rows had run)] of each time; in the second run that is not counted
    4: [({"values": [1, 2], "twice": TWICE[0]}, 2), ({"values": [3], "twice": [8]}, 0)],  # one line is one moment
    5: [({"twice": TWICE[1]}, 3), ({"twice": [8, 0]}, 0)],  # what was kept of line 4 has not changed with it
    6: [({"return": TWICE[1]}, 4), ({"return": [8, 0]}, 0)],
    9: [({"values": TWICE[1], "value": 4}, 5), ({"value": 6}, 8), ({"value": 0}, 8), ({"return": None}, 8)],
    10: [({"return": -4}, 6), ({"return": -6}, 8), ({"return": 0}, 8)],
    14: [({"value": -4}, 7), ({"value": -6}, 8), ({"value": 0}, 8), ({}, 8)],
    15: [({"found": found}, 8) for found in DONE[1:]],
    16: [({"many": None}, 9)],  # which is too long to keep
}


PYTHONS = [version for version in interpreters() if version != "3.10"]  # which runs the programs, and not the weaver


@pytest.mark.parametrize("version", PYTHONS or [pytest.param("", marks=pytest.mark.skip("no other Python"))])
def test_a_recording_has_what_each_line_has_made_on_every_python(tmp_path, version):
    (tmp_path / "small.py").write_text(PROGRAM)
    (tmp_path / "record.py").write_text(RECORD)
    done = run(program="record.py", python=interpreters()[version], cwd=tmp_path, env={"PYTHONPATH": ROOT / "docs"})
    assert done.stderr == ""
    said, ended, found = done.stdout.splitlines()
    assert said == "3;no lines of small.py begin with nothing;2 lines of small.py begin with return"
    assert ended == "<lambda> [False, True, False, True]"
    returned, counts, moments = json.loads(found)
    assert (returned, counts) == ([-4, -6, 0], {str(row): count for row, count in COUNTS.items()})
    assert {row: [({name: names[name] for name in made}, count) for _, names, made, count in many]
            for row, many in moments if row in RECORDED} == RECORDED  # fmt: skip
    assert all(moment[0] == row for row, many in moments for moment in many)
    assert [row for row, _ in moments] == [13, 4, 5, 6, 9, 10, 14, 15, 16, 17, 20, 21]  # as they were done first


# What is said in a scene

SAYS = """\
Before. <!-- scene: first -->Here *is* `double` and ⟨a part⟩,[^a] 8<!-- = double(4) --> of
[them](#two).<!-- end --> After. <!-- scene: other -->Other.<!-- end -->
More. <!-- scene: first -->And again.<!-- end -->

[^a]: A note.
"""
FIRST = "Here <em>is</em> <code>double</code> and ⟨a part⟩, 8 of them. And again."
WALK = demonstration("walk", 'scene("first", "def double(x)")\nscene("mute", "return")', ', widget="walk", alt="x"')


def given(*titles):
    """Return the result of a demonstration that gives scenes of two beats; the second scene has its own sentence."""
    beats = [{"row": row, "made": [["x", "1"]], "put": {}, "gone": []} for row in (1, 2)]
    own = {"second": "Its *own*."}
    scenes = [{"title": title, "chapter": "All", "says": own.get(title, ""), "beats": beats} for title in titles]
    return {"walk": Result("", [], json.dumps({"scenes": scenes, "width": 480, "height": 470}))}


def read():
    """Return an essay with a walk, and its Reading."""
    essay = Essay(f"{SMALL}\n{SAYS}\n{WALK}")
    return essay, Reading(essay)


def test_a_marked_sentence_is_what_a_scene_says_and_stays_in_the_text():
    essay, reading = read()
    assert (reading.errors, reading.said) == ([], {"first": (38, FIRST), "other": (39, "Other.")})
    shown = reading.pages["two/"][-1]
    assert [shown.count(f'<span class="scene" data-scene="{name}"></span>') for name in ("first", "other")] == [2, 1]
    assert "scene:" not in shown and "end" not in shown and " After. " in shown
    first, second = walk.scenes(essay, reading.said, given("first", "second"))
    assert (first["says"], second["says"]) == (FIRST, "Its <em>own</em>.")
    assert [(beat["code"], beat["function"]) for beat in first["beats"]] == [
        ("def double(x):", "double"), ("return 2 * x", "double"),
    ]  # fmt: skip
    assert first["beats"][-1]["seconds"] > second["beats"][-1]["seconds"] > 0  # who reads more needs more time
    assert walk.told(first) == [(1, "x = 1"), (2, "x = 1")]


def test_what_has_no_end_no_scene_or_no_sentence_is_told_with_its_line_and_an_essay_needs_no_walk():
    for prose in ("\nA <!-- scene: a -->b", "\n<!-- scene: a -->b\n<!-- scene: b -->c<!-- end -->"):
        message = "what is said in the scene a has no end: <!-- end -->"
        assert Reading(Essay(f"{SMALL}{prose}\n")).errors == [(38, message)]
    essay, reading = read()
    wrong = walk.complaints(essay, reading.said, given("first", "mute"))
    said = [(46, "the scene mute says nothing"), (39, "the walk has no scene other")]
    assert [(line, message[:27]) for line, message in wrong] == said
    assert walk.complaints(essay, reading.said, given("first", "other", "second")) == []
    assert walk.complaints(essay, reading.said, {}) == []  # it has not run yet
    assert walk.scenes(Essay(SMALL), {}, {}) == walk.complaints(Essay(SMALL), {}, {}) == []
    assert walk.files(Essay(SMALL), {}, {}, []) == {}


def test_a_line_leads_to_the_first_moment_that_shows_it():
    found = [{"title": "one", "beats": [{"row": 3}, {"row": 5}]}, {"title": "two", "beats": [{"row": 5}, {"row": 9}]}]
    assert walk.moments(found) == {3: "one.1", 5: "one.2", 9: "two.2"}
