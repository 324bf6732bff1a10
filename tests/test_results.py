"""What demonstrations depend on: where a key is the same, so is the result; and the cache."""

import contextlib
import copy
import io
import os
import pickle
import re
import sys

import pytest
from essays import SMALL, demonstration, keys_of, with_prose
from programs import ROOT
from weaver.essay import Essay, WeaveError
from weaver.prelude import Plain, Programs
from weaver.prose import Reading
from weaver.reach import module_of
from weaver.results import (
    Cache,
    Outcome,
    Result,
    environment,
    imported,
    sessions_of,
    set_keys,
)

import tangle


def sessions(text):
    """Return the sessions of an essay."""
    return sessions_of(Essay(text), sorted(Reading(Essay(text)).numbers))


def errors_of(text, root=ROOT):
    """Return what is wrong with the sessions of an essay."""
    with pytest.raises(WeaveError) as caught:
        set_keys(Essay(text), sessions(text), root, "")
    return caught.value.errors


def named(session):
    """Return the names of the items of a session."""
    return [item.name for item in session.items]


# Sessions


def test_the_demonstrations_of_a_page_are_a_session_and_its_numbers_come_last():
    (session,) = sessions(SMALL)
    assert named(session) == ["twice", "the number on line 36"]
    more = f"{SMALL}\n# Three\n\n5<!-- = 5 -->\n\n{demonstration('more', 'x = 3')}"
    assert [named(session) for session in sessions(more)] == [
        ["twice", "the number on line 36"],
        ["more", "the number on line 40"],
    ]


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


def test_demonstrations_that_need_each_other():
    text = SMALL + "\n# A\n\n" + demonstration("a", "x = y", ', keep="x"')
    text += "\n# B\n\n" + demonstration("b", "y = x", ', keep="y"')
    assert "need each other's names, by their lines: 41 -> 47 -> 41" in errors_of(text)[0][1]


def test_two_demonstrations_of_one_name():
    assert errors_of(SMALL + '\n```python name="twice"\nprint(1)\n```\n') == [
        (38, "the name twice is taken by the demonstration on line 31")
    ]


def test_an_option_that_means_nothing():
    assert errors_of(SMALL + demonstration("a", "1", ', captoin="x"')) == [
        (37, "a demonstration has no option captoin, but name, alt, caption, keep, data, widget")
    ]


def test_a_widget_that_is_not_there():
    ((line, message),) = errors_of(SMALL + demonstration("a", "1", ', widget="tap"'))
    assert (line, re.sub(r"but .*\btape\b.*", "but …", message)) == (37, "there is no widget tap, but …")


def test_lines_in_messages_of_python_are_those_of_the_essay():
    with pytest.raises(WeaveError) as caught:
        keys_of(with_prose(demonstration("a", "x = 1\nprint('")))
    assert caught.value.errors == [(14, "unterminated string literal (detected at line 14)")]


def test_a_demonstration_that_is_not_python():
    assert [line for line, _ in errors_of(SMALL.replace("print(y)", "print(y"))] == [33]


@pytest.mark.parametrize("expression", ["double(", "1; 2", "x = 1", "5), (6", "5); print(6", "*a"])
def test_an_expression_that_is_none(expression):
    assert [line for line, _ in errors_of(with_prose(f"\n5<!-- = {expression} -->"))] == [13]


@pytest.mark.parametrize("data", ["docs/no.txt", "docs", "/etc/passwd", "../x", "docs/../docs/names.txt", "C:/x"])
def test_data_that_cannot_be_read(data):
    ((line, message),) = errors_of(with_prose(demonstration("a", "1", f', data="{data}"')))
    assert (line, message.startswith(f"cannot read the data {data}: ")) == (12, True)


def test_two_files_of_one_name_cannot_both_be_offered(tmp_path):
    for name in ("a/x.txt", "b/x.txt", "c/small.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x")
    for other in ("b/x.txt", "c/small.py"):
        ((_, message),) = errors_of(with_prose(demonstration("a", "1", f', data="a/x.txt {other}"')), tmp_path)
        assert "the site already offers another file of that name" in message


# Keys: an edit that changes what comes out changes the key

PROGRAM = """\
def double(x):
    return 2 * x

def quadruple(x):
    return double(double(x))

def other(x):
    return x
"""


def essay_with(program, *demonstrations, more=""):
    """Return an essay with a program, and pages with a demonstration each: (code, options)."""
    text = f"# One\n\n``` python {{file=small.py}}\n{program}\n```\n\n{more}\n"
    for number, (code, options) in enumerate(demonstrations, 1):
        text += f"# Page {number}\n\n" + demonstration(f"d{number}", code, options) + "\n"
    return text


def results_of(text):
    """Run the demonstrations of an essay here, all afresh, without a cache: return {key: what they printed}."""
    essay, found, values = Essay(text), {}, {}
    chain = sessions_of(essay, [])
    set_keys(essay, chain, ROOT, "")
    for session in chain:
        programs = {module_of(program): (program.target, program.lines) for program in imported(essay, session)}
        finder = Programs(ROOT / "microgpt.md", programs)
        before = {*sys.modules}
        sys.meta_path.insert(0, finder)
        try:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                main = next(iter(programs))
                namespace = {name: value for name, value in vars(__import__(main)).items() if name[0] != "_"}
                namespace[main] = sys.modules[main]
                out.seek(0)
                out.truncate()
                namespace |= {name: copy.deepcopy(values[source][name]) for name, source in session.sources.items()}
                for item in session.items:
                    tree = compile(item.code, "microgpt.md", "exec", dont_inherit=True)
                    exec(tree, namespace)  # noqa: S102
            values[session] = {name: namespace[name] for name in session.keep}
        finally:
            sys.meta_path.remove(finder)
            for name in {*sys.modules} - before:
                del sys.modules[name]
        found[session.key] = out.getvalue()
    return found


# Each is a program, an edit of it, and a demonstration that shows it; the edit must not be missed.
REACHED = {
    "a function": ("def f(): return 1", "1", "2", "print(f())"),
    "through another": ("def g(): return 1\ndef f(): return g()", "1", "2", "print(f())"),
    "through a lambda": ("def g(): return 1\nf = lambda: g()", "1", "2", "print(f())"),
    "a method": ("def g(): return 1\nclass A:\n    def f(self): return g()", "1", "2", "print(A().f())"),
    "a property": (
        "def g(): return 1\nclass A:\n    @property\n    def f(self): return g()\ndef make(): return A()",
        "return 1", "return 2", "print(make().f)",
    ),
    "an operator": (
        "class A:\n    def __add__(self, b): return 1\ndef make(): return A()", "1", "2", "a = make()\nprint(a + a)"),
    "a class attribute": ("class A:\n    k = 1\ndef f(): return A.k", "1", "2", "print(f())"),
    "a base class": ("class A:\n    k = 1\nclass B(A):\n    pass", "1", "2", "print(B.k)"),
    "a metaclass": ("class M(type):\n    k = 1\nclass A(metaclass=M):\n    pass", "1", "2", "print(A.k)"),
    "a subclass that registers itself": (
        "found = []\nclass A:\n    def __init_subclass__(cls): found.append(cls.k)\nclass B(A):\n    k = 1",
        "k = 1", "k = 2", "print(found)",
    ),
    "an attribute set in a loop": (
        "class A: pass\nfor name in ('one', 'two'): setattr(A, name, lambda self: 1)", "1", "2", "print(A().one())"),
    "an attribute of a function": ("def f(): return f.k\nf.k = 1", "k = 1", "k = 2", "print(f())"),
    "an attribute of a class": ("class A: pass\nA.k = 1\ndef f(): return A().k", "k = 1", "k = 2", "print(f())"),
    "a decorator": ("def twice(f): return lambda: f() * 1\n@twice\ndef f(): return 3", "1", "2", "print(f())"),
    "a registering decorator": (
        "table = {}\ndef put(f): table['f'] = f\n@put\ndef g(): return 1", "1", "2", "print(table['f']())"),
    "a default": ("def g(): return 1\ndef f(x=g()): return x", "1", "2", "print(f())"),
    "a default that does something": ("seen = []\ndef f(x=seen.append(1)): pass", "1", "2", "print(seen)"),
    "an annotation": ("seen = []\ndef f(x: seen.append(1)): pass", "1", "2", "print(seen)"),
    "an item": ("table = {}\ntable['a'] = 1", "= 1", "= 2", "print(table)"),
    "a call at import": ("found = []\nfound.append(1)", "1", "2", "print(found)"),
    "an assignment that does something": ("found = []\n_ = found.append(1)", "1", "2", "print(found)"),
    "a comprehension": ("def g(x): return x * 1\ntable = [g(x) for x in range(3)]", "1", "2", "print(table)"),
    "an operation at import": (
        "seen = []\nclass A:\n    def __add__(self, b): seen.append(1)\na = A()\nb = a + a", "1", "2", "print(seen)"),
    "a condition": ("if True:\n    k = 1", "1", "2", "print(k)"),
    "a handler": (
        "try:\n    1 / 0\nexcept ArithmeticError:\n    k = 1", "Error:\n    k = 1", "Error:\n    k = 2", "print(k)"),
    "an augmented assignment": ("k = 1\nk += 1", "+= 1", "+= 2", "print(k)"),
    "a chain of names": ("a = b = []\nb.append(1)", "1", "2", "print(a)"),
    "an alias": ("a = []\nb = a\nb.append(1)", "1", "2", "print(a)"),
    "unpacking": ("a, b = 1, 2", "1", "3", "print(a)"),
    "a global": (
        "k = 0\ndef set_k():\n    global k\n    k = 1\nset_k()\ndef f(): return k", "k = 1", "k = 2", "print(f())"),
    "a definition that is made anew": ("def f(): return 1\ng = f\ndef f(): return 3", "1", "2", "print(g())"),
    "the order of what is made anew": (
        "k = 1\nfound = [k]\nk = 2", "k = 1\nfound = [k]", "found = [2]\nk = 1", "print(found)"),
    "a walrus": ("(k := 1)", "1", "2", "print(k)"),
    "a deletion": ("def sum(x): return 1\ndel sum", "\ndel sum", "", "print(sum([3]))"),
    "globals by name": ("def f_a(): return 1\ndef call(x): return globals()['f_' + x]()", "1", "2", "print(call('a'))"),
    "attributes by name": (
        "import sys\ndef f_a(): return 1\ndef call(x): return getattr(sys.modules['small'], 'f_' + x)()",
        "return 1", "return 2", "print(call('a'))",
    ),
    "evaluation": ("def f_a(): return 1\ndef call(x): return eval('f_' + x)()", "1", "2", "print(call('a'))"),
    "the dictionary of a module": (
        "def f_a(): return 1\ndef call(x): return call.__globals__['f_' + x]()", "1", "2", "print(call('a'))"),
    "a name that hides a builtin": ("def sum(x): return 1", "1", "2", "print(sum([3]))"),
    "a docstring": ("def f():\n    'one'", "one", "two", "print(f.__doc__)"),
    "a nested function": (
        "def f():\n    def g(): return h()\n    return g()\ndef h(): return 1", "1", "2", "print(f())"),
    "the module": ("k_a = 1", "1", "2", "print(vars(small)['k' + '_a'])"),
    "the module under another name": ("k_a = 1", "1", "2", "import small as s\nprint(getattr(s, 'k' + '_a'))"),
    "a star": ("__all__ = ['f']\ndef f(): return 1\ndef sum(x): return 5", "['f']", "['f', 'sum']",
               "sum = max\nfrom small import *\nprint(sum([3]))"),
    "a place in the program": (
        "import sys\ndef f(): return sys._getframe().f_lineno", "import sys", "import sys\n", "print(f())"),
}  # fmt: skip


MORE = "``` python {{file={}}}\n{}\n```\n"
LIBRARY, PACKAGE = "library.py", "deep/one.py"
# The same for several programs; the second is edited.
ACROSS = {
    "another program": (LIBRARY, "def f(): return 1", "import library\nprint(library.f())"),
    "another program by its parts": (LIBRARY, "def f(): return 1", "from library import f as g\nprint(g())"),
    "another program with a star": (LIBRARY, "def f(): return 1", "from library import *\nprint(f())"),
    "another program that is handed on": (LIBRARY, "def secret(): return 1", "import library\nprint(ask(library))"),
    "a program in a folder": (PACKAGE, "def f(): return 1", "import deep.one as g\nprint(g.f())"),
    "a program in a folder that is handed on": (
        PACKAGE,
        "def secret(): return 1",
        "import deep.one as g\nprint(ask(g))",
    ),
    "a program in a folder, from there": (PACKAGE, "def secret(): return 1", "from deep import one\nprint(ask(one))"),
    "a program that a program imports": (LIBRARY, "def f(): return 1", "import user\nprint(user.use())"),
    "a program that a program imports, and the code, too": (
        LIBRARY,
        "def f(): return 1",
        "import user, library\nprint(user.use())",
    ),
    "a program that changes another": (LIBRARY, "import small\nsmall.k = 1", "import library\nprint(get_k())"),
    "a program that a neighbour imports": (
        PACKAGE,
        "def f(): return 1",
        "import deep.one, deep.two\nprint(deep.two.use())",
    ),
}


@pytest.mark.parametrize("case", ACROSS)
def test_an_edit_of_another_program_changes_the_key(case):
    target, library, shown = ACROSS[case]
    more = MORE.format(target, library)
    if "user" in shown:
        more += MORE.format("user.py", "import library\ndef use(): return library.f()")
    if "deep.two" in shown:
        more += MORE.format("deep/two.py", "from .one import f\ndef use(): return f()")
    program = "k = 0\ndef get_k(): return k\ndef ask(module): return module.secret()"
    differ(essay_with(program, (shown, ""), more=more), essay_with(program, (shown, ""), more=more.replace("1", "2")))


KEEP = ', keep="x"'
# The same for demonstrations on pages of their own, (code, options) each; the code 1 of one of them becomes 2.
BETWEEN = {
    "what is kept": [("x = 1", KEEP), ("print(x)", "")],
    "what is kept of what was kept": [("x = 1", KEEP), ("y = x + 5", ', keep="y"'), ("print(y)", "")],
    "what is kept again": [("x = 5", KEEP), ("x = x + 1", KEEP), ("print(x)", "")],
    "what is changed in a function": [("x = [5]", KEEP), ("def f(): x.append(1)\nf()", KEEP), ("print(x)", "")],
    "what was changed under another name": [("x = [5]\ny = x\ny.append(1)", KEEP), ("print(x)", "")],
    "what is made by augmenting": [("x = 1", KEEP), ("x += 5\nprint(x)", "")],
    "what is only read in a function": [("x = 1", KEEP), ("def f(): return x\nprint(f())", "")],
    "what is kept with something else": [("x, y = 5, 1", ', keep="x, y"'), ("print(y)", "")],
    "what a function of the program made": [("x = double(1)", KEEP), ("print(x)", "")],
    "what hides a name of the program": [("x = 5\ndouble = 1", ', keep="double"'), ("print(double)", "")],
    "what was read from the program before": [
        ("double = 1", ', keep="double"'),
        ("def f(): return double\nprint(f())", ""),
    ],
    "a seed": [("random.seed(1)\nx = random.random()", KEEP), ("print(x)", "")],
}


@pytest.mark.parametrize("case", BETWEEN)
def test_an_edit_of_another_demonstration_changes_the_key(case):
    chain, program = BETWEEN[case], f"import random\n\n{PROGRAM}"
    changed = [(code.replace("1", "2"), options) for code, options in chain]
    differ(essay_with(program, *chain), essay_with(program, *changed))


def test_the_order_of_what_is_kept_counts():
    chain = [("x = 1", KEEP), ("x = 2", KEEP), ("print(x)", "")]
    differ(essay_with(PROGRAM, *chain), essay_with(PROGRAM, chain[1], chain[0], chain[2]))


@pytest.mark.parametrize("case", REACHED)
def test_an_edit_that_changes_a_result_changes_its_key(case):
    program, old, new, shown = REACHED[case]
    assert old in program
    differ(essay_with(program, (shown, "")), essay_with(program.replace(old, new, 1), (shown, "")))


def differ(before, after):
    """Assert that two essays show something different, and that no key stands for both."""
    first, second = results_of(before), results_of(after)
    assert [*first.values()] != [*second.values()], "the edit changes nothing"
    assert {**first, **second} == {**second, **first}, "one key, two results"


# Keys: an edit that changes nothing keeps them


def changed(text, program=PROGRAM):
    """Return the pages whose demonstrations have another key than those of CHAIN, as a text of their numbers."""
    before, after = keys_of(essay_with(PROGRAM, *CHAIN)), keys_of(essay_with(program, *text))
    return "".join(str(number) for number, pair in enumerate(zip(before, after, strict=True), 1) if len({*pair}) > 1)


CHAIN = [("x = double(1)", KEEP), ("y = quadruple(x)", ', keep="y"'), ("print(y)", ""), ("print(other(1))", "")]


def test_a_result_depends_on_what_it_uses_and_on_nothing_else():
    assert changed(CHAIN) == ""
    assert changed(CHAIN, PROGRAM.replace("2 * x", "x + x")) == "123"
    assert changed(CHAIN, PROGRAM.replace("return x", "return +x")) == "4"
    assert changed(CHAIN, "# a comment\n" + PROGRAM) == ""
    assert changed([CHAIN[0], ("y = x", ', keep="y"'), *CHAIN[2:]]) == "23"
    assert changed(CHAIN, PROGRAM + "\n\nif __name__ == '__main__':\n    print(other(2))") == ""
    assert changed(CHAIN, PROGRAM + "\n\ndef unused(): return 3\nclass Unused:\n    k = 1\nUNUSED = [1, (2, 3)]") == ""
    assert changed(CHAIN, PROGRAM + "\n\nimport math") == "1234"


def test_prose_captions_and_alternative_texts_change_no_key():
    before = keys_of(SMALL)
    assert keys_of(SMALL.replace("# Two", "\n\nMore prose, ⟨other⟩, `double`.\n\n# Zwei")) == before
    assert keys_of(SMALL.replace('name="twice"', 'name="other-name", alt="a", caption="b"')) == before
    assert keys_of(SMALL.replace("y = double(4)", "y = double(5)")) != before


LOOKS = "import sys\ndef line(): return sys._getframe(1).f_lineno\nclass A:\n    def f(self): return line()"


@pytest.mark.parametrize(
    "chain",
    [
        [("import inspect\nprint(inspect.currentframe().f_lineno)", "")],
        [("print(line())", "")],
        [("x = A()", KEEP), ("print(x.f())", "")],
    ],
)
def test_where_code_stands_counts_only_where_it_can_be_seen(chain):
    text = essay_with(LOOKS, *chain, ("print(3)", ""))
    before, after = keys_of(text), keys_of(text.replace("# Page 1", "More prose.\n\n# Page 1"))
    assert before[-1] == after[-1]
    assert not {*before[:-1]} & {*after[:-1]}


def test_data_libraries_and_the_weaver_itself_change_keys(tmp_path):
    text = with_prose(demonstration("a", "1", ', data="x.txt"'))
    keys = []
    for data in (b"one", b"two", b"one"):
        (tmp_path / "x.txt").write_bytes(data)
        keys += keys_of(text, tmp_path)
    assert keys[0] == keys[2] != keys[1]
    assert keys_of(text, tmp_path, "another weaver") != keys[2:]
    assert "class Plain" in environment() and "def load" in environment()


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
    essay = Essay(text)
    chain = sessions_of(essay, sorted(Reading(essay).numbers))
    set_keys(essay, chain, ROOT, "")
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


@pytest.mark.parametrize("damage", [b"", b"damaged", b"[]", b"{}", b'{"results": 3}', b"[" * 9999, b"\xff", None])
@pytest.mark.parametrize("kind", ["json", "kept"])
def test_what_is_missing_or_damaged_in_the_cache_runs_again(tmp_path, kind, damage):
    ran, text = [], essay_with(PROGRAM, *CHAIN) + "\n5<!-- = 5 -->\n"
    first = run(text, tmp_path, ran).demonstrations()
    for file in tmp_path.glob(f"*.{kind}"):
        file.write_bytes(damage) if damage is not None else file.unlink()
    assert run(text, tmp_path, ran).demonstrations() == first
    assert ran[4:] == (["d1", "d2", "d3", "d4"] if kind == "json" else ["d1", "d2"])
    run(text, tmp_path, ran)
    assert len(ran) == (8 if kind == "json" else 6)


def test_a_cache_that_is_emptied_during_a_weave_does_no_harm(tmp_path):
    essay, ran = Essay(essay_with(PROGRAM, *CHAIN)), []
    run(essay.text, tmp_path, [])
    chain = sessions_of(Essay(essay_with(PROGRAM, *CHAIN[:2], ("print(y + 1)", ""), CHAIN[3])), [])
    set_keys(essay, chain, ROOT, "")
    outcome = Outcome(chain, Cache(tmp_path))
    assert [named(session) for session in outcome.missing] == [["d3"]]
    for file in tmp_path.iterdir():
        file.unlink()
    tmp_path.rmdir()
    outcome.run(pretend(ran, outcome.cache))
    assert ran == ["d1", "d2", "d3"]
    assert {*outcome.demonstrations()} == {"d1", "d2", "d3", "d4"}


def test_the_value_of_a_number_is_what_was_told_last():
    assert Result("3\nUserWarning: 4\n1.5e-07\n", []).value == 1.5e-07
    assert Result("-8\n", []).value == -8
    for text in ("", "x\n", "nan\n"):
        with pytest.raises(ValueError, match="no number"):
            Result(text, []).value  # noqa: B018


# What is kept is read, and runs nothing


class Evil:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (os.system, ("touch ran",)),
        (eval, ("__import__('os').system('touch ran')",)),
        (getattr, ("", "upper")),
        (print, ("ran",)),
        (__import__, ("antigravity",)),
        (io.open, ("ran", "w")),
    ],
)
def test_a_file_that_somebody_else_has_made_runs_nothing(call, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps({"x": Evil(*call)}, protocol=protocol)
        with pytest.raises(pickle.UnpicklingError, match="cannot be kept"):
            Plain(io.BytesIO(data), {"microgpt": None}).load()
    assert [*tmp_path.iterdir()] == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "name", ["exec", "os.system", "run", "helper.__globals__", "Value.method", "Foreign", "missing", "Value.__init__"]
)
def test_of_a_program_only_its_classes_are_read(name, monkeypatch):
    code = "import os\nfrom os import system as run\nfrom decimal import Decimal as Foreign\ndef helper(): pass\n"
    program = tangle.tangle(essay_with(f"{code}class Value:\n    def method(self): pass"))["small.py"]
    monkeypatch.setitem(sys.modules, "small", tangle.load(program, ROOT / "microgpt.md", "small.py", "small"))
    data = b"\x80\x04" + pickle.SHORT_BINUNICODE + bytes([5]) + b"small"
    data += pickle.SHORT_BINUNICODE + bytes([len(name)]) + name.encode() + b"\x93."
    with pytest.raises((pickle.UnpicklingError, AttributeError)):
        Plain(io.BytesIO(data), {"small": None}).load()
    assert Plain(io.BytesIO(data.replace(bytes([len(name)]) + name.encode(), b"\x05Value")), {"small": None}).load()


@pytest.mark.parametrize(
    "value", [1, 2.5, None, "x", b"x", [1, [2]], {"a": (1, 2)}, {1, 2}, frozenset({3}), 1j, range(3)]
)
def test_plain_data_can_be_kept(value):
    assert Plain(io.BytesIO(pickle.dumps(value, protocol=4)), {}).load() == value


@pytest.mark.parametrize("target", ["queue.py", "matplotlib.py", "tangle.py"])
def test_a_program_with_the_name_of_another_module_is_refused(target):
    with pytest.raises(WeaveError) as caught:
        keys_of(with_prose(demonstration("a", "print(1)"), target=target))
    assert caught.value.errors[0][0] == 3
    assert "has the name of another module" in caught.value.errors[0][1]
