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
    raise KeyError
"""
RECORD = """\
import json, sys
import recorder
record = recorder.Recording("small.py", ["often"])
returned = record.record(record.module.main, count=lambda: len(record.counts))
def before(*_): pass
sys.settrace(before)
try:
    record.record(record.module.fail)
except KeyError:
    ended = sys.gettrace() is before
sys.settrace(None)
record.module.main()  # nobody listens
said = []
for quote in ("nothing", "return"):
    try:
        record.moment(quote)
    except ValueError as error:
        said.append(str(error))
later = [record.moment("twice = ", run) is None for run in (1, 2, -2, -3)]
print(json.dumps([returned, ended, said, later, record.counts, [*record.moments.items()]]))
"""
TWICE, DONE = [[4, 6], [4, 6, 0]], [[], [-4], [-4, -6], [-4, -6, 0]]
RECORDED = {  # row: [(names that it has changed, their values, rows that had run before)], of the first run
    4: [({"values": [1, 2], "twice": TWICE[0]}, 2)],  # one line, and the function in it is passed over
    5: [({"twice": TWICE[1]}, 3)],  # what was kept of line 4 has not changed with it
    6: [({"return": TWICE[1]}, 4)],
    9: [({"values": TWICE[1], "value": 4}, 5), ({"value": 6}, 8), ({"value": 0}, 8), ({"return": None}, 8)],
    10: [({"return": -4}, 6), ({"return": -6}, 8), ({"return": 0}, 8)],
    13: [({"found": DONE[0]}, 1)],
    14: [({"value": -4}, 7), ({"value": -6}, 8), ({"value": 0}, 8), ({}, 8)],
    15: [({"found": found}, 8) for found in DONE[1:]],
    16: [({"many": None}, 9)],  # which is too long to keep
    17: [({"return": DONE[3]}, 10)],
}


PYTHONS = [version for version in interpreters() if version != "3.10"]  # which runs the programs, and not the weaver


@pytest.mark.parametrize("version", PYTHONS or [pytest.param("", marks=pytest.mark.skip("no other Python"))])
def test_a_recording_has_what_each_line_has_made_on_every_python(tmp_path, version):
    (tmp_path / "small.py").write_text(PROGRAM)
    (tmp_path / "record.py").write_text(RECORD)
    done = run(program="record.py", python=interpreters()[version], cwd=tmp_path, env={"PYTHONPATH": ROOT / "docs"})
    assert done.stderr == ""
    returned, ended, said, later, counts, moments = json.loads(done.stdout)
    assert (returned, ended, later) == ([-4, -6, 0], True, [False, True, False, True])
    assert said == ["no lines of small.py begin with nothing", "2 lines of small.py begin with return"]
    assert {int(row): count for row, count in counts.items()} == {
        **{row: len(found) + (row < 7) for row, found in RECORDED.items()}, 20: 1, 21: 1}  # fmt: skip
    order, rows = [row for row, _ in moments], dict(moments)
    assert order == [13, 4, 5, 6, 9, 10, 14, 15, 16, 17, 20, 21]
    for row, expected in RECORDED.items():
        assert all(moment[0] == row for moment in rows[row])
        assert [({name: names[name] for name in made}, count) for _, names, made, count in rows[row]][
            : len(expected)] == expected  # fmt: skip


# What is said in a scene

SAYS = """\
Before. <!-- scene: first -->Here *is* `double` and ⟨a part⟩,[^a] 8<!-- = double(4) --> of
[them](#two).<!-- end --> After. <!-- scene: other -->Other.<!-- end --> More. <!-- scene: first -->And again.<!-- end -->

[^a]: A note.
"""
FIRST = "Here <em>is</em> <code>double</code> and ⟨a part⟩, 8 of them. And again."
WALK = demonstration("walk", 'scene("first", "def double(x)")\nscene("second", "return")', ', widget="walk", alt="x"')


def given(*titles):
    """Return the result of a demonstration that gives scenes of two beats, the second one with a sentence of its own."""
    own = {"second": "Its *own*."}
    scenes = [{"title": title, "chapter": "All", "says": own.get(title, ""),
               "beats": [{"row": row, "made": [["x", "1"]], "put": {}, "gone": []} for row in (1, 2)]}
              for title in titles]  # fmt: skip
    return {"walk": Result("", [], json.dumps(scenes))}


def test_a_marked_sentence_is_what_a_scene_says_and_stays_in_the_text():
    reading = Reading(essay := Essay(f"{SMALL}\n{SAYS}\n{WALK}"))
    assert (reading.errors, reading.said) == ([], {"first": (38, FIRST), "other": (39, "Other.")})
    shown = reading.pages["two/"][-1]
    assert [shown.count(f'<span class="scene" data-scene="{name}"></span>') for name in ("first", "other")] == [2, 1]
    assert "scene:" not in shown and "end" not in shown and " After. " in shown
    first, second = walk.scenes(essay, reading.said, given("first", "second"))
    assert (first["says"], second["says"]) == (FIRST, "Its <em>own</em>.")
    assert [beat["code"] for beat in first["beats"]] == ["def double(x):", "return 2 * x"]
    longer = first["beats"][-1]["seconds"], second["beats"][-1]["seconds"]
    assert longer[0] > longer[1] > 0  # who reads more needs more time
    assert walk.told(first) == [(1, "x = 1"), (2, "x = 1")]


def test_a_sentence_without_an_end_a_scene_or_a_sentence_is_told_with_its_line():
    for prose, line in (("A <!-- scene: a -->b", 38), ("<!-- scene: a -->b\n<!-- scene: b -->c<!-- end -->", 38)):
        message = "what is said in the scene a has no end: <!-- end -->"
        assert Reading(Essay(f"{SMALL}\n{prose}\n")).errors == [(line, message)]
    reading = Reading(essay := Essay(f"{SMALL}\n{SAYS}\n{WALK}"))
    wrong = walk.complaints(essay, reading.said, given("first", "mute"))
    assert [(line, message[:26]) for line, message in wrong] == [(43, "the scene mute says nothin"),
                                                               (39, "the walk has no scene othe")]  # fmt: skip
    assert walk.complaints(essay, reading.said, given("first", "other", "second")) == []
    assert walk.complaints(essay, reading.said, {}) == []  # it has not run yet


def test_an_essay_without_a_walk_has_no_scenes():
    essay = Essay(SMALL)
    assert walk.scenes(essay, {}, {}) == walk.complaints(essay, {}, {}) == []
    assert walk.files(essay, []) == {}
