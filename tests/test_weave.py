"""The weaver on small essays: chunks and their links, demonstrations and their cache, numbers, errors."""

import json
import re
from textwrap import dedent

import pytest

pytest.importorskip("pygments", reason="the weaver needs Pygments")

import demonstrations
import weave
from demonstrations import Demonstration, Result, dependencies, run_all

import tangle

SMALL = dedent("""\
    # One

    The whole is here, and ⟨a part⟩ of it.

    ``` python {file=small.py}
    <<a-part>>

    <<other>>
    ```

    # Two

    ## Deeper

    ``` python {#a-part}
    def double(x):
        return 2 * x
    ```

    It is called by `quadruple`, not by `nobody`.

    ``` python {#a-part}

    def quadruple(x): return double(double(x))
    ```

    ``` python {#other}
    print(quadruple(1) < 5)
    ```

    ```python name="twice"
    y = double(4)
    print(y)
    ```

    Twice four is 8<!-- = double(4) -->.
    """)


@pytest.fixture
def essay():
    return weave.Essay(SMALL)


def page(essay, number, results=None):
    here = essay.pages[number]
    results = results or {"twice": Result("8\n", [])}
    return weave.Renderer(essay, here.path, results).lines(here.start, here.end)


def test_each_heading_of_the_first_level_is_a_page(essay):
    assert [(p.title, p.path) for p in essay.pages] == [("One", ""), ("Two", "two/")]


def test_parts_of_a_chunk_have_ids_from_names_and_arrows_to_each_other(essay):
    text = page(essay, 1)
    assert '<div class="chunk" id="chunk-a-part">' in text
    assert '<div class="chunk" id="chunk-a-part--2">' in text
    assert 'href="#chunk-a-part--2" aria-label="next part of a part"' in text
    assert 'href="#chunk-a-part" aria-label="previous part of a part"' in text
    assert text.count("+≡") == 1


def test_a_reference_links_to_the_chunk_across_pages(essay):
    assert 'href="two/#chunk-a-part" data-peek>⟨a part⟩</a>' in page(essay, 0)
    assert 'used in <a class="chunk-link" href="../#chunk-small-py"' in page(essay, 1)


def test_a_chunk_says_where_it_stands_in_the_program(essay):
    assert 'small.py lines <a href="../the-program/#L1">1–2</a>' in page(essay, 1)
    runs = essay.lines_in(essay.first_part("other"), "small.py")
    assert runs == [[6, 6]]


def test_names_of_the_program_are_links_in_prose_and_code(essay):
    text = page(essay, 1)
    assert '<a href="#chunk-a-part--2" data-peek><code>quadruple</code></a>' in text
    assert "`nobody`" in text
    assert text.count('<a href="#chunk-a-part" data-peek>double</a>') == 1
    assert (
        text.count('<a href="#chunk-a-part" tabindex="-1" data-peek>double</a>') == 1
    )  # one stop for Tab is enough


def test_code_is_escaped_and_can_be_copied_as_it_stands(essay):
    text = page(essay, 1)
    assert 'data-code="print(quadruple(1) &lt; 5)"' in text
    assert '<span class="o">&lt;</span>' in text
    assert 'data-code="\ndef quadruple(x): return double(double(x))"' in text


def test_the_heading_of_a_chunk_follows_the_level_around_it(essay):
    assert re.search(r'<h2 class="chunk-name" id="chunk-small-py-code">', page(essay, 0))
    assert re.search(r'<h3 class="chunk-name" id="chunk-a-part-code">', page(essay, 1))


def test_ids_are_unique_on_every_page(essay):
    for number in range(2):
        ids = re.findall(r'id="([^"]+)"', page(essay, number))
        assert len(ids) == len(set(ids))


def test_numbers_are_shown_without_their_source_and_checked(essay):
    assert "Twice four is 8." in page(essay, 1)
    found = weave.demonstrations_of(essay)
    assert [d.name for d in found] == ["twice", "number-36-0"]
    right, wrong = ({"twice": Result("8\n", []), "number-36-0": Result(value, [])} for value in ("8\n", "9\n"))
    assert weave.check_numbers(essay, found, right) == ([], SMALL)
    errors, text = weave.check_numbers(essay, found, wrong)
    assert errors[0] == (36, "the number 8 should be 9, which is double(4) (--update writes it)")
    assert "is 9<!-- = double(4) -->" in text


@pytest.mark.parametrize(
    ("text", "value", "right"),
    [
        ("8", 8, "8"),
        ("4,192", 4192, "4,192"),
        ("2.41", 2.4078, "2.41"),
        ("22", 22.04, "22"),
        ("−3", -3, "−3"),
        ("1000", 12345, "12,345"),
    ],
)
def test_numbers_are_written_like_those_before(text, value, right):
    assert weave.written_like(text, value) == right


def test_a_figure_needs_an_alternative_text(essay):
    with pytest.raises(weave.WeaveError) as caught:
        weave.check(essay, {"twice": Result("", ["<svg/>"])})
    assert caught.value.errors[0][0] == 31
    assert "alternative text" in caught.value.errors[0][1]


def test_a_name_in_the_prose_that_is_no_chunk():
    essay = weave.Essay(SMALL.replace("⟨a part⟩", "⟨nothing⟩"))
    with pytest.raises(weave.WeaveError) as caught:
        weave.check(essay, {"twice": Result("", [])})
    assert caught.value.errors == [(3, "there is no chunk ⟨nothing⟩")]


def test_an_essay_without_a_page():
    with pytest.raises(weave.WeaveError):
        weave.Essay("``` c {file=x}\n```\n").pages  # noqa: B018


def test_a_figure_gets_ids_of_its_own_and_the_colour_of_the_text():
    svg = (
        '<?xml?><svg width="1pt" height="2pt" viewBox="0"><path id="a" style="stroke: #000000"/><use href="#a"/></svg>'
    )
    shown = weave.figure(svg, "loss-1", {"alt": "a curve & more"})
    assert 'id="loss-1-a"' in shown
    assert 'href="#loss-1-a"' in shown
    assert "stroke: currentColor" in shown
    assert 'role="img" aria-label="a curve &amp; more"' in shown


# The cache

PROGRAM = """\
def double(x):
    return 2 * x

def quadruple(x):
    return double(double(x))

def other(x):
    return x
"""
LINES = [tangle.Line(text, number, "") for number, text in enumerate(PROGRAM.split("\n"), 1)]
CHAIN = [
    Demonstration("a", "x = double(1)", 1),
    Demonstration("b", "y = quadruple(x)", 2),
    Demonstration("c", "print(y)", 3),
    Demonstration("d", "print(other(1))", 4),
]


def changed(chain, program, data=b""):
    """Return the names whose keys are not those of CHAIN and PROGRAM."""
    lines = [tangle.Line(text, 1, "") for text in program.split("\n")]
    before, after = dependencies(CHAIN, LINES), dependencies(chain, lines, data)
    return "".join(name for name in after if before.get(name, ("",))[0] != after[name][0])


def test_a_result_depends_on_what_it_uses_and_on_nothing_else():
    assert changed(CHAIN, PROGRAM) == ""
    assert changed(CHAIN, PROGRAM.replace("2 * x", "x + x")) == "abc"
    assert changed(CHAIN, PROGRAM.replace("return x", "return +x")) == "d"
    assert changed(CHAIN, "# a comment\n" + PROGRAM) == ""
    assert changed([CHAIN[0], CHAIN[1]._replace(code="y = x"), *CHAIN[2:]], PROGRAM) == "bc"
    assert changed([d._replace(line=d.line + 7) for d in CHAIN], PROGRAM) == ""
    assert changed(CHAIN, PROGRAM, b"another data set") == "abcd"


def test_what_changes_a_thing_comes_before_what_reads_it_later():
    chain = [Demonstration("a", "x = []", 1), Demonstration("b", "x.append(1)", 2), Demonstration("c", "print(x)", 3)]
    assert dependencies(chain, LINES)["c"][1] == ["a", "b"]


def test_only_what_is_missing_and_what_it_needs_is_run(tmp_path, monkeypatch):
    ran = []

    def pretend(work, program, build, report):
        ran.append("".join(d.name for d in work.demonstrations))
        return {d.name: Result(d.code, []) for d in work.demonstrations}

    monkeypatch.setattr(demonstrations, "execute", pretend)
    first = run_all(CHAIN, LINES, tmp_path, print)
    assert run_all(CHAIN, LINES, tmp_path, print) == first
    run_all([*CHAIN[:2], CHAIN[2]._replace(code="print(y, y)"), CHAIN[3]], LINES, tmp_path, print)
    assert ran == ["abcd", "abc"]
    for file in (tmp_path / "cache").glob("*.json"):
        file.write_text("damaged")
    assert run_all(CHAIN, LINES, tmp_path, print) == first


def test_demonstrations_run_in_one_kernel_and_an_error_is_told(tmp_path):
    pytest.importorskip("pweave", reason="Pweave is not installed")
    chain = [Demonstration("a", "x = double(4)", 1), Demonstration("b", "print(x)\nplt.plot([1, 2])\nplt.show()", 2)]
    results = run_all(chain, LINES, tmp_path, lambda text: None)
    assert results["b"].text == "8\n"
    assert len(results["b"].figures) == 1
    assert json.dumps(results["b"].figures) == json.dumps(
        demonstrations.execute(demonstrations.Work(chain, None, {}), LINES, tmp_path, print)["b"].figures
    )
    with pytest.raises(demonstrations.DemonstrationError) as caught:
        run_all([Demonstration("c", "x = 1\nquadruple(None)", 17)], LINES, tmp_path, lambda text: None)
    assert caught.value.line == 2  # where PROGRAM multiplies, as if the essay were nothing but PROGRAM
    assert re.search(r"microgpt\.md:18\b.*(?s:.*)microgpt\.md:5\b.*(?s:.*)microgpt\.md:2\b", caught.value.traceback)
    assert "TypeError" in caught.value.traceback


def test_what_a_slow_demonstration_leaves_behind_is_kept(tmp_path, monkeypatch):
    pytest.importorskip("pweave", reason="Pweave is not installed")
    monkeypatch.setattr(demonstrations, "SLOW", 0)
    chain = [Demonstration("a", "random.seed(1)\nx = [double(4)]", 1), Demonstration("b", "y = [x]", 2),
             Demonstration("c", "print(x is y[0], random.random())", 3)]  # fmt: skip
    first, said = run_all(chain, LINES, tmp_path, print)["c"], []
    assert run_all(chain, LINES, tmp_path, said.append)["c"] == first
    assert said == []
    last = chain[2]._replace(code="print(x is y[0], random.random()) ")
    assert run_all([*chain[:2], last], LINES, tmp_path, said.append)["c"] == first
    assert said == ["running prelude", "running c"]
    for file in (tmp_path / "cache").glob("*.state"):
        file.write_bytes(b"damaged")
    last = chain[2]._replace(code="print(x is y[0], random.random())  ")
    assert run_all([*chain[:2], last], LINES, tmp_path, said.append)["c"] == first
    changed = [chain[0]._replace(code="random.seed(1)\nx = [double(5)]"), chain[1], chain[2]._replace(code="print(y)")]
    assert run_all(changed, LINES, tmp_path, said.append)["c"].text == "[[10]]\n"


def test_what_is_made_anew_needs_nothing_earlier():
    assert demonstrations.made_anew("x = 1\ny = x\nz = z + 1\nw, v = 1, 2\nprint(u)\nu = 1\nif x:\n    t = 1") == {
        "x", "y", "w", "v"}  # fmt: skip
    chain = [Demonstration("a", "x = 1", 1), Demonstration("b", "x = 2", 2), Demonstration("c", "print(x)", 3)]
    assert dependencies(chain, LINES)["c"][1] == ["b"]


def test_the_navigation_lists_the_pages_of_the_essay():
    weave.check_navigation(weave.Essay(tangle.decode(weave.ESSAY.read_bytes())))
    more = tangle.decode(weave.ESSAY.read_bytes()).replace("\n# Writing\n", "\n# A pause\n\n# Writing\n")
    with pytest.raises(weave.WeaveError) as caught:
        weave.check_navigation(weave.Essay(more))
    assert "'- A pause: a-pause/index.md' for this page, after learning/index.md" in caught.value.errors[0][1]
    fewer = tangle.decode(weave.ESSAY.read_bytes()).replace("\n# How far", "\n## How far")
    with pytest.raises(weave.WeaveError) as caught:
        weave.check_navigation(weave.Essay(fewer))
    assert "lists how-far-it-is-to-chatgpt/index.md" in caught.value.errors[0][1]


def test_two_demonstrations_of_one_name():
    with pytest.raises(weave.WeaveError) as caught:
        weave.demonstrations_of(weave.Essay(SMALL + '\n```python name="twice"\nprint(1)\n```\n'))
    assert caught.value.errors == [(38, "the name twice is taken by the demonstration on line 31")]


def test_a_demonstration_that_is_not_python():
    with pytest.raises(weave.WeaveError) as caught:
        weave.demonstrations_of(weave.Essay(SMALL.replace("print(y)", "print(y")))
    assert [line for line, _ in caught.value.errors] == [33]
