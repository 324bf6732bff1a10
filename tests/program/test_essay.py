"""The essay itself: it weaves and its numbers are right, its chunks are short, its figures have words; no browser."""

import html
import re
from collections import Counter

import pytest
from programs import BUILD, FENCES, TEXT
from weaver.essay import Essay

CHUNKS = [fence for fence in FENCES if fence.kind == "definition"]
DEMONSTRATIONS = [fence for fence in FENCES if fence.kind == "demonstration"]
WOVEN = Essay(TEXT)
PLACES = {kind: WOVEN.page_of(line) for line, (kind, _) in WOVEN.directives.items()}


def test_chunks_are_short():
    """A chunk is at most about a dozen lines: what fits between two questions."""
    lengths = {f"line {fence.line}: <<{fence.name}>>": sum(map(bool, map(str.strip, fence.code))) for fence in CHUNKS}
    assert {where: length for where, length in lengths.items() if length > 13} == {}


def test_the_programs_share_all_but_what_they_are_about():
    """A root only composes: beside references it has its docstring, a remark, and at most two lines of its own."""
    for fence in FENCES:
        if fence.kind == "root":
            own = [line for line in fence.code if line.strip() and "<<" not in line]
            assert len(own) <= 4, f"line {fence.line}: put what {fence.name} has of its own into chunks"


def test_figures_have_an_alternative_text_and_a_caption():
    drawing = [fence for fence in DEMONSTRATIONS if re.search(r"\bplt\.show|^figures\.", "\n".join(fence.code), re.M)]
    assert len(drawing) > 3
    for fence in drawing:
        assert len(fence.options["alt"]) > 40, fence.name
        assert len(fence.options["caption"]) > 40, fence.name


def test_a_chapter_explains_the_program_and_has_a_few_experiments():
    """The listings are for other programs, and the page of all experiments for those that few will want to guess."""
    first, *_ = WOVEN.pages
    counts = Counter(block.page for block in WOVEN.experiments.values())
    assert {page.path for page, count in counts.items() if count > 11} <= {PLACES["experiments"].path}
    pages = {first, *counts, *(WOVEN.page_of(line.origin) for line in WOVEN.main.lines)} - {PLACES["experiments"]}
    assert [page.path for page in pages if page != first and not page.number] == []


@pytest.mark.slow
def test_the_program_is_shown_in_one_piece_and_each_line_leads_to_its_chunk(site):
    """That there is such a place on GitHub and on the site, tests of all links find."""
    places, page = [WOVEN.block_at(line.origin).id for line in WOVEN.main.lines], PLACES["listing"].path
    github = (BUILD / "essay" / f"{page.rstrip('/')}.md").read_text(encoding="utf-8")
    shown = re.search("<pre>(.*?)</pre>", github, re.S)[1]
    assert html.unescape(re.sub(r"(?m)^ *<a [^>]*>\d+</a> ?", "", shown)) == WOVEN.main.text
    assert re.findall('href="[^"#]*#([^"]*)"', shown) == places
    woven = (BUILD / "pages" / page / "index.md").read_text(encoding="utf-8")
    assert re.findall('class="number" href="[^"#]*#([^"]*)"', woven) == places


@pytest.mark.slow
def test_it_weaves_and_its_numbers_are_right(site):
    """The weave fails, with the line, where a number in the prose is not what the program says."""
    assert len(re.findall("<!-- = ", TEXT)) >= 20
    pages = [path.read_text(encoding="utf-8") for path in (BUILD / "pages").rglob("*.md") if path.parts[-2] != "tools"]
    assert len(pages) > 12
    assert not any("<!-- =" in page or "has not run yet" in page for page in pages)
