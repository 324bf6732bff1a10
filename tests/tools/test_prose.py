"""The prose of the essay: links, headings and numbers, and that nothing counts in code, attributes and comments."""

import re

import hypothesis
import pytest
from essays import SMALL, with_prose
from hypothesis import strategies
from weaver.essay import Essay, Heading
from weaver.prose import SLOT, Number, Reading

from tangle import TangleError

LINK = '<a class="chunk-link" data-peek="" href="@/#chunk-a-part">⟨a part⟩</a>'
USE = '<a data-peek="" href="@/#chunk-a-part"><code>double</code></a>'


def read(prose):
    """Return (HTML, Reading) of some prose after the fences of an essay, which begins on line 12."""
    reading = Reading(Essay(with_prose(prose)))
    html = "".join(part.text if isinstance(part, Heading) else part for part in reading.pages[""][1:])
    return SLOT.sub("", html).strip(), reading


def html_of(prose):
    """Return the HTML of some prose, in which nothing is wrong."""
    html, reading = read(prose)
    assert reading.errors == []
    return html


# Notes


def test_a_note_stands_where_the_text_refers_to_it():
    html = html_of("One[^a] and two[^b-2].\n\n[^a]: Of *one*,\nsee ⟨a part⟩.\n[^b-2]: Of two.\n\nThree, `[^a]`.")
    one, two = re.findall(r'<span class="note">.*?type="checkbox" />(\d)</label>(.*?)</span></span>', html)
    assert one == ("1", f'<span class="note-text" data-number="1" role="note"> Of <em>one</em>, see {LINK}.')
    assert two == ("2", '<span class="note-text" data-number="2" role="note"> Of two.')
    assert html.startswith('<p>One<span class="note">')
    assert html.endswith("</span>.</p>\n<p>Three, <code>[^a]</code>.</p>")


ALONE = "[^a] has no text: begin a paragraph below with it and a colon"


@pytest.mark.parametrize(("prose", "line", "problem"), [
    ("One[^a] and[^a].\n\n[^a]: Text.", 12, ALONE),
    ("One.\n\n[^a]: Text.", 14, "[^a] is not referred to before the next heading"),
    ("One[^a].\n\n[^a]: Text.\n\n[^a]: Text.", 12, "[^a] is defined twice: give the second one another name"),
    ("One[^a].\n\n## Two\n\n[^a]: Text.", 12, ALONE),
])  # fmt: skip
def test_a_note_without_its_other_half_is_told(prose, line, problem):
    assert (line, problem) in read(prose)[1].errors


# Links


def test_names_in_prose_are_links():
    assert html_of("See ⟨a part⟩, `double` and `double()`.") == (
        f"<p>See {LINK}, {USE} and {USE.replace('double<', 'double()<')}.</p>"
    )
    assert html_of("But not `nobody`, `double(4)` and `a double`.").count("<a ") == 0


@pytest.mark.parametrize("prose", ["⟨a\npart⟩", "⟨a-part⟩", "⟨ a  part ⟩", "> See ⟨a\n> part⟩", "- See ⟨a\n  part⟩"])
def test_a_name_may_be_wrapped(prose):
    assert LINK in html_of(f"{prose} there.")


@pytest.mark.parametrize(("prose", "line", "name"), [
    ("One\ntwo ⟨no\nname⟩.", 13, "no name"), ("| a |\n| - |\n| ⟨no⟩ |", 14, "no"), ("[⟨no⟩](https://x.y)", 12, "no"),
    ("## About ⟨no⟩", 12, "no"),
])  # fmt: skip
def test_a_name_in_the_prose_that_is_no_chunk(prose, line, name):
    assert read(prose)[1].errors == [(line, f"there is no chunk ⟨{name}⟩")]


@pytest.mark.parametrize(
    "prose", ["**{}**", "*{}*", "- {}", "> {}", "| a |\n| - |\n| {} |", "a\n: {}", "<b>{}</b>", "1. {}"]
)
def test_links_stand_wherever_prose_is(prose):
    html = html_of(prose.format("⟨a part⟩ `double` 5<!-- = 5 -->"))
    assert LINK in html and USE in html and " 5" in html and "=" not in re.sub('="', "", html)


def test_a_link_leads_to_a_heading_on_any_page_or_to_another_site():
    reading = Reading(Essay(SMALL + "\n[there](#one), [here](#two), [deep](#deeper), [out](https://x.y/#z).\n"))
    assert re.findall('href="([^"]*)"', reading.pages["two/"][-1])[-4:] == [
        "@/#one", "@/two/#two", "@/two/#deeper", "https://x.y/#z",
    ]  # fmt: skip


@pytest.mark.parametrize("target", ["#nowhere", "#term-nowhere", "docs/names.txt"])
def test_a_link_that_leads_nowhere_is_an_error_with_its_line(target):
    _, reading = read(f"One line.\nAnd [a link]({target}).")
    assert reading.errors == [(13, f"{target} leads nowhere on the site: a link is https://… or a #heading")]


def test_the_addresses_of_links_may_stand_on_another_page():
    reading = Reading(Essay(SMALL.replace("is here", "is [here][place]") + "\n[place]: https://x.y\n"))
    assert '<a href="https://x.y">here</a>' in reading.pages[""][1]


# What is verbatim

VERBATIM = [
    "`` ` ⟨no⟩ 5<!-- = 6 --> ``", "    ⟨no⟩ 5<!-- = 6 -->", "<pre>⟨no⟩ 5<!-- = 6 --></pre>", "a <!-- b ⟨no⟩ --> c",
    '<div title="⟨no⟩">⟨no⟩ 5<!-- = 6 --></div>', '<b title="⟨no⟩">x</b>', "- a\n\n        ⟨no⟩ 5<!-- = 6 -->",
    '[x](https://x.y "⟨no⟩ 5<!-- = 6 -->")', "![⟨no⟩ 5<!-- = 6 -->](https://x.y/z.png)", "<https://x.y/⟨no⟩>",
    "[x][y]\n\n[y]: https://x.y '⟨no⟩'", "[`double`](https://x.y)", "    `double`", '`x["a"]<!-- = 6 -->`',
    '![5<!-- = x["a"] -->](https://x.y)',
]  # fmt: skip


@pytest.mark.parametrize("prose", VERBATIM)
def test_nothing_counts_in_code_attributes_and_comments(prose):
    html, reading = read(prose)
    assert (reading.errors, reading.numbers) == ([], [])
    assert "data-peek" not in html
    assert not re.search("[\ufdd0-\ufdef]|wzxhzdk|klzzwxh", html)
    for hidden in re.findall("⟨no⟩", prose):
        assert hidden in html


@pytest.mark.parametrize("fence", ["````sh", "~~~", "   ```sh", "```sh"])
def test_nothing_counts_in_fences(fence):
    mark = re.match("[ `~]*", fence)[0].rstrip()
    html, reading = read(f"{fence}\n# ⟨no⟩ `double` 5<!-- = 6 -->\n{mark}\n\nText.")
    assert (reading.errors, reading.numbers, html) == ([], [], "<p>Text.</p>")


def test_brackets_in_code_are_no_name():
    assert html_of("Written between `⟨` and `⟩`.") == "<p>Written between <code>⟨</code> and <code>⟩</code>.</p>"
    assert read("Open ⟨ here.\n\nAnd ⟩ closed.")[1].errors == []


def test_a_fence_between_lines_of_prose_stands_where_it_was():
    prose = "- one\n```text\nshown\n```\n- two\n\n<details>\n```text\nhidden\n```\n</details>\n"
    html = Reading(Essay(with_prose(prose))).pages[""][1]
    order = re.findall(r"fence \d+|one|two|details>", html)
    assert order == ["fence 3", "fence 7", "one", "fence 13", "two", "details>", "fence 19", "details>"]


# Headings


@pytest.mark.parametrize(("written", "shown"), [
    ("C#", "C#"), ("A {#b}", "A {#b}"), ("1. First", "1. First"), ("- x", "- x"), ("a | b", "a | b"), ("", ""),
    ("*em* `code`", "<em>em</em> <code>code</code>"), ("a < b & c", "a &lt; b &amp; c"), ("closed ##", "closed"),
    ("5<!-- = 5 --> things", "5 things"), ("⟨a part⟩", "⟨a part⟩"), ("`double`", "<code>double</code>"),
])  # fmt: skip
def test_the_text_of_a_heading_is_prose_without_links(written, shown):
    reading = Reading(Essay(with_prose(f"## {written}")))
    assert [part.text for part in reading.pages[""] if isinstance(part, Heading)] == ["One", shown]
    assert reading.errors == []


@pytest.mark.parametrize("prose", ["Title\n=====", "a line\n#1 of all", "> # quoted", "- # listed"])
def test_headings_are_those_of_the_essay_and_no_others(prose):
    assert not re.search("<h[1-6]", html_of(prose))


# Numbers


@pytest.mark.parametrize(("prose", "found"), [
    ("3-5<!-- = 5 --> GPT-2<!-- = 2 -->", [(12, 2, "5", "5"), (12, 20, "2", "2")]),
    ("1,2,3<!-- = 3 --> x1,234<!-- = 1234 -->", [(12, 4, "3", "3"), (12, 19, "1,234", "1234")]),
    ("1e5<!-- = 1e5 -->, 2.5E-07<!-- = 1 -->", [(12, 0, "1e5", "1e5"), (12, 19, "2.5E-07", "1")]),
    ("(−3<!-- = -3 -->) -4<!-- = 1 -->", [(12, 1, "−3", "-3"), (12, 18, "-4", "1")]),
    ("4,192.50<!-- = a --> 12345<!-- = b -->", [(12, 0, "4,192.50", "a"), (12, 21, "12345", "b")]),
    ("- a\n- 5<!-- = 5 -->\n  6<!-- = 6 -->", [(13, 2, "5", "5"), (14, 2, "6", "6")]),
    ("| a | b |\n| - | - |\n| 5<!-- = 5 or 6 | 7 --> | `x` |", [(14, 2, "5", "5 or 6 | 7")]),
    ("[5<!-- = 5 -->](https://x.y) **6<!-- = 6 -->**", [(12, 1, "5", "5"), (12, 31, "6", "6")]),
    ('<b title="x">5<!-- = d["a"] --></b>', [(12, 13, "5", 'd["a"]')]),
    ("##   About 5<!-- = 5 --> ##", [(12, 11, "5", "5")]),
])  # fmt: skip
def test_numbers_are_found_where_they_stand(prose, found):
    html, reading = read(prose)
    assert sorted(reading.numbers) == [Number(*values) for values in found]
    assert reading.errors == []
    assert "<!--" not in html and "&lt;!--" not in html
    lines = reading.essay.lines
    assert all(lines[n.line - 1][n.column :].startswith(n.text) for n in reading.numbers)


@pytest.mark.parametrize("prose", ["five<!-- = 5 -->", "5 <!-- = 5 -->", "5<!-- = (2 +\n3) -->", "5<!--= 5 -->",
                                   "**5**<!-- = 5 -->", ".5<!-- = 0.5 -->", "0x10<!-- = 16 -->"])  # fmt: skip
def test_an_expression_without_its_number_is_an_error(prose):
    ((line, message),) = read(prose)[1].errors
    assert (line, message.partition(":")[0]) == (12, "there is no number before this expression")


def test_other_comments_are_comments():
    assert read("A <!-- ===== --> b <!-- note: x = 5 --> c")[1].errors == []


# HTML in prose, and odd mixtures


@pytest.mark.parametrize(("prose", "tag"), [
    ("<div>\nopen", "div"), ("x\n\n</div>", "div"), ("<details>\n\nx\n\n## Next\n\n</details>", "details"),
    ("## A <script>", "script"), ("<b><i>x</b></i>", "i"),
])  # fmt: skip
def test_html_that_would_swallow_what_follows_is_an_error(prose, tag):
    errors = read(f"A line.\n\n{prose}")[1].errors
    message = f"HTML must be closed before the next heading, and a <{tag}> is not"
    assert (14 + 2 * prose.startswith("x\n"), message) in errors


def test_html_that_is_closed_stays_as_it_is():
    for markup in ("<div>\n<b>x</b><br>\n</div>", '<img src="https://x.y" alt="a">', "<br/>", "<hr />"):
        assert html_of(markup).removeprefix("<p>").removesuffix("</p>") == markup


PIECES = [
    "⟨a part⟩", "⟨a\npart⟩", "⟨no⟩", "`double`", "`", "``", "```", "~~~", "    ", "\t", "\n", "\n\n", "# H",
    "- ", "1. ", "> ", "| a | b |\n| - | - |\n| x | y |", "5<!-- = 5 -->", "five<!-- = 5 -->", "<!--",
    "-->", "<b>", "</b>", "<div>", "</div>", "<pre>", "</pre>", "<script>", "[x](#one)", "[x][y]",
    '[y]: https://x.y "⟨q⟩"', "*", "**", "_", "\\", "&", "<", "a word", "{#x}", "===", ": def",
    "```text\ncode\n```", "~~~ sh\n# x\n~~~", "⟨", "⟩", "wzxhzdk:0", "{fence:3}", "<?php ?>",
]  # fmt: skip


@hypothesis.given(strategies.lists(strategies.sampled_from([*PIECES, " ", "\n", "\n\n"]), max_size=14))
@hypothesis.settings(max_examples=200, derandomize=True)
def test_no_mixture_of_prose_loses_a_fence_or_shows_a_mark(pieces):
    try:
        essay = Essay(with_prose("".join(pieces)))
    except TangleError:
        return
    reading = Reading(essay)
    if not reading.errors:
        markup = "".join(getattr(part, "text", part) for parts in reading.pages.values() for part in parts)
        assert SLOT.findall(markup) == [str(fence.line) for fence in essay.fences]
        assert not re.search("[\ufdd0-\ufdef\x02\x03]", SLOT.sub("", markup))
        for number in reading.numbers:
            text = f"{number.text}<!-- = {number.expression} -->"
            assert essay.lines[number.line - 1][number.column :].startswith(text)


# Terms and solutions

GLOSSARY = """\
the *gradient*
:   What ⟨a part⟩ has. See [it](#term-the-gradient) and [later](#term-loss).

gradient
: One.

## Another part

Loss
:   A number.

loss
:   [The same][x].

[x]: https://x.y
"""


def test_terms_have_ids_and_can_be_led_to_from_anywhere():
    reading = Reading(Essay(f"{with_prose(GLOSSARY)}\n# Two\n\n[It](#term-gradient), [x](#term-loss-2).\n"))
    assert reading.errors == []
    first = "".join(part for part in reading.pages[""] if not isinstance(part, Heading))
    assert re.findall('<dt id="([^"]*)">', first) == ["term-the-gradient", "term-gradient", "term-loss", "term-loss-2"]
    assert re.findall('<a data-peek="" href="(@/#term[^"]*)">', first) == ["@/#term-the-gradient", "@/#term-loss"]
    second = reading.pages["two/"][1]
    assert re.findall('<a data-peek="" href="([^"]*)">', second) == ["@/#term-gradient", "@/#term-loss-2"]
    assert {"term-gradient", "chunk-a-part", "one"} <= {*reading.anchors}


def test_a_solution_is_folded_up_to_the_next_heading():
    reading = Reading(Essay(with_prose("## Solution: *one*\n\nHidden.\n\n```text\nx\n```\n\n- a\n\n## After\n\nText.")))
    assert reading.errors == []
    title, _, fold, after, prose = reading.pages[""]
    head = '<details class="solution" id="solution-one"><summary>Solution: <em>one</em></summary>\n'
    assert fold.startswith(head)
    assert fold.endswith("</ul>\n</details>")
    assert len(SLOT.findall(fold)) == 1
    assert (title.text, after.text, prose) == ("One", "After", "<p>Text.</p>")
    assert reading.anchors["solution-one"].path == ""
