"""What demonstrations depend on: where a key is the same, so is the result; and the cache."""

import pickle
import re

import pytest
from essays import SMALL, demonstration, keys_of, with_prose
from programs import ROOT
from weaver import helpers
from weaver.essay import Essay, WeaveError
from weaver.prose import Reading
from weaver.results import Cache, Outcome, Result, environment, sessions_of, set_keys

import tangle


def sessions(text):
    """Return the sessions of an essay."""
    return sessions_of(Essay(text), sorted(Reading(Essay(text)).numbers))


def named(session):
    """Return the names of the items of a session."""
    return [item.name for item in session.items]


# Sessions


def test_the_demonstrations_of_a_page_are_a_session_and_its_numbers_come_last():
    (session,) = sessions(SMALL)
    assert named(session) == ["twice", "the number on line 36"]
    more = f"{SMALL}\n# Three\n\n5<!-- = 5 -->\n\n{demonstration('more', 'x = 3')}"
    assert [*map(named, sessions(more))] == [["twice", "the number on line 36"], ["more", "the number on line 40"]]


def test_a_demonstration_that_keeps_something_ends_a_session():
    text = SMALL + demonstration("a", "z = y", ', keep="z, y"') + demonstration("b", "print(z)")
    first, second = sessions(text)
    assert (named(first)[:2], first.keep, named(second)) == (["twice", "a"], ["z", "y"], ["b"])
    assert second.sources == {"z": first}


def kept(name, code):
    """Return a demonstration that keeps a name, on a page of its own."""
    return f"\n# {name}\n\n" + demonstration(name, code, ', keep="x"')


def test_what_is_read_comes_from_the_nearest_keeper_above():
    text = SMALL + kept("a", "x = 1") + kept("b", "x = x + 1") + "\n# Last\n\n" + demonstration("c", "print(x)")
    _, a, b, c = sessions(text)
    assert (b.sources, c.sources) == ({"x": a}, {"x": b})


def test_an_earlier_page_may_tell_what_is_computed_later():
    text = SMALL.replace("# Two", demonstration("early", "print(x)") + "\n# Two") + kept("late", "x = 1")
    late, early, _ = sessions(text)
    assert (named(late), named(early)) == (["late"], ["early"])
    assert early.sources == {"x": late}


KEEP = ', keep="x"'
TWO = "the name twice is taken by the demonstration on line 31"
CIRCLE = f"\n# A\n\n{demonstration('a', 'x = y', KEEP)}\n# B\n\n{demonstration('b', 'y = x', KEEP.replace('x', 'y'))}"
WRONG = [  # (what comes after an essay of 36 lines, the line that is wrong, what is said)
    (demonstration("twice", "1"), 37, re.escape(TWO)),
    (demonstration("a", "1", ', captoin="x"'), 37, "a demonstration has no option captoin; its options are name, alt"),
    (demonstration("a", "1", ', widget="tap"'), 37, r"there is no widget tap; the widgets are .*\btape\b"),
    (demonstration("a", "x = 1\nprint('"), 39, r"unterminated string literal \(detected at line 39\)"),
    (CIRCLE, 41, "demonstrations that need each other's names, by their lines: 41 -> 47 -> 41"),
    *[(demonstration("a", "1", f', data="{data}"'), 37, re.escape(f"cannot read the data {data}: "))
      for data in ("docs/no.txt", "docs", "/etc/passwd", "../x", "docs/../docs/names.txt")],
    *[(f"5<!-- = {expression} -->\n", 37, "") for expression in ("double(", "1; 2", "x = 1", "5), (6", "*a")],
]  # fmt: skip


@pytest.mark.parametrize("more, line, message", WRONG)
def test_what_is_wrong_is_told_with_its_line(more, line, message):
    with pytest.raises(WeaveError) as caught:
        set_keys(Essay(SMALL + more), sessions(SMALL + more), ROOT, "")
    ((place, words),) = caught.value.errors
    assert place == line and re.match(message, words)


def test_two_files_of_one_name_cannot_both_be_offered(tmp_path):
    for name in ("a/x.txt", "b/x.txt", "c/small.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x")
    for other in ("b/x.txt", "c/small.py"):
        with pytest.raises(WeaveError, match="the site already offers another file of that name"):
            keys_of(with_prose(demonstration("a", "1", f', data="a/x.txt {other}"')), tmp_path)


# Keys

PROGRAM = """\
def double(x):
    return 2 * x

def quadruple(x):
    return double(double(x))
"""
CHAIN = [("x = double(1)", KEEP), ("y = quadruple(x)", ', keep="y"'), ("print(y)", ""), ("import deep.two", "")]
LIBRARY, PACKAGE = "k = 1", "from .one import k"


def essay_with(program, *demonstrations, library=LIBRARY, package=PACKAGE):
    """Return an essay with programs, and pages with a demonstration each: (code, options)."""
    text = f"# One\n\n``` python {{file=small.py}}\n{program}\n```\n\n"
    text += f"``` python {{file=deep/one.py}}\n{library}\n```\n\n``` python {{file=deep/two.py}}\n{package}\n```\n\n"
    for number, (code, options) in enumerate(demonstrations, 1):
        text += f"# Page {number}\n\n" + demonstration(f"d{number}", code, options) + "\n"
    return text


def changed(demonstrations=CHAIN, program=PROGRAM, **others):
    """Return the pages whose demonstrations have another key than those of CHAIN, as a text of their numbers."""
    before, after = keys_of(essay_with(PROGRAM, *CHAIN)), keys_of(essay_with(program, *demonstrations, **others))
    return "".join(str(number) for number, pair in enumerate(zip(before, after, strict=True), 1) if len({*pair}) > 1)


def test_a_result_depends_on_the_programs_that_its_session_can_import():
    assert changed() == ""
    assert changed(program=PROGRAM.replace("2 * x", "x + x")) == "1234"
    assert changed(program=PROGRAM + "\ndef unused(): return 3") == "1234"
    assert changed(program="# a comment\n" + PROGRAM.replace("\n\ndef", "\n\n\n\ndef")) == ""
    assert changed(program=PROGRAM.replace("):\n", '):\n    "A docstring, which may be a doctest."\n', 1)) == "1234"
    assert changed(library="k = 2") == "4"  # it is imported by what is imported
    assert changed(program="import deep.one\n" + PROGRAM, library="k = 2") == "1234"


def test_a_result_depends_on_its_own_code_and_on_what_other_sessions_keep_for_it():
    assert changed([("x = double(2)", KEEP), *CHAIN[1:]]) == "123"
    assert changed([CHAIN[0], ("y = x", ', keep="y"'), *CHAIN[2:]]) == "23"
    assert changed([*CHAIN[:2], ("print(y, y)", ""), CHAIN[3]]) == "3"


@pytest.mark.parametrize("code", ["x = x + 5", "def f(): x.append(5)\nf()", "x += 5", "def f(): return x"])
def test_an_edit_of_what_is_kept_reaches_all_that_read_it(code):
    one, two = (keys_of(essay_with(PROGRAM, (first, KEEP), (code, KEEP), ("x", ""))) for first in ("x = 1", "x = 2"))
    assert not {*one} & {*two}


def test_prose_captions_and_alternative_texts_change_no_key():
    before = keys_of(SMALL)
    assert keys_of(SMALL.replace("# Two", "\n\nMore prose, ⟨other⟩, `double`.\n\n# Zwei")) == before
    assert keys_of(SMALL.replace('name="twice"', 'name="other-name", alt="a", caption="b"')) == before
    assert keys_of(SMALL.replace("y = double(4)", "y = double(5)")) != before


def test_data_libraries_and_the_weaver_itself_change_keys(tmp_path):
    text = with_prose(demonstration("a", "1", ', data="x.txt"'))
    keys = []
    for data in (b"one", b"two", b"one"):
        (tmp_path / "x.txt").write_bytes(data)
        keys += keys_of(text, tmp_path)
    assert keys[0] == keys[2] != keys[1]
    assert keys_of(text, tmp_path, "another weaver") != keys[2:]
    assert "def guard" in environment() and "def load" in environment()


def test_a_result_depends_on_what_it_calls_of_the_helpers_and_on_nothing_else_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr("weaver.helpers.FOLDER", tmp_path)
    for name in helpers.MODULES:
        (tmp_path / f"{name}.py").write_text("")
    keys, code = [], "def one(): return two()\n\ndef two(): import deep.two\n"
    for text in (code, code + "\ndef other(): pass\n", code.replace(": import", ": return 3; import")):
        (tmp_path / "computed.py").write_text(text)
        keys += keys_of(with_prose(demonstration("a", "figures.draw(computed.one())")))
    assert keys[0] == keys[1] != keys[2]
    calls = [keys_of(essay_with(PROGRAM, ("computed.one()", ""), library=library)) for library in (LIBRARY, "k = 2")]
    assert calls[0] != calls[1]  # what one() imports imports it
    (tmp_path / "computed.py").write_text("def one(:")
    with pytest.raises(OSError, match=r"^docs/computed\.py:1: ."):
        keys_of(with_prose(demonstration("a", "computed.one()")))


# The cache


def pretend(ran, cache):
    """Return a function that executes sessions without a kernel, and notes their names in `ran`."""

    def execute(session):
        ran.append(session.items[0].name)
        for source in session.sources.values():
            assert cache.kept(source).is_file()
        if session.keep:
            tangle.put(cache.kept(session), pickle.dumps(dict.fromkeys(session.keep, 0)))
        return [Result(item.code if item.fence else "8\n", ["<svg/>"]) for item in session.items]

    return execute


def run(text, folder, ran):
    """Run what is missing of an essay, with a cache in a folder; return the Outcome."""
    set_keys(Essay(text), chain := sessions(text), ROOT, "")
    outcome = Outcome(chain, Cache(folder))
    outcome.run(pretend(ran, outcome.cache))
    return outcome


def test_only_what_is_missing_is_run(tmp_path):
    ran = []
    first = run(essay_with(PROGRAM, *CHAIN), tmp_path, ran).demonstrations()
    assert run(essay_with(PROGRAM, *CHAIN), tmp_path, ran).demonstrations() == first
    assert ran == ["d1", "d2", "d3", "d4"]
    run(essay_with(PROGRAM, *CHAIN[:2], ("print(y, y)", ""), CHAIN[3]), tmp_path, ran)
    assert ran[4:] == ["d3"]


@pytest.mark.parametrize("kind", ["json", "kept"])
def test_what_is_missing_in_the_cache_runs_again(tmp_path, kind):
    ran, text = [], essay_with(PROGRAM, *CHAIN)
    first = run(text, tmp_path, ran).demonstrations()
    for file in tmp_path.glob(f"*.{kind}"):
        file.unlink()
    assert run(text, tmp_path, ran).demonstrations() == first
    assert ran[4:] == (["d1", "d2", "d3", "d4"] if kind == "json" else ["d1", "d2"])


def test_the_value_of_a_number_is_what_was_told_last():
    assert Result("3\nUserWarning: 4\n1.5e-07\n", []).value == 1.5e-07
    assert Result("-8\n", []).value == -8
    for text in ("", "x\n", "nan\n"):
        with pytest.raises(ValueError, match="no number"):
            Result(text, []).value  # noqa: B018
