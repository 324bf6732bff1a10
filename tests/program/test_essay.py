"""The essay itself: it weaves and its numbers are right, its chunks are short, its figures have words; no browser."""

import re

import pytest
from programs import BUILD, FENCES, TEXT

CHUNKS = [fence for fence in FENCES if fence.kind == "definition"]
DEMONSTRATIONS = [fence for fence in FENCES if fence.kind == "demonstration"]


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


@pytest.mark.slow
def test_it_weaves_and_its_numbers_are_right(site):
    """The weave fails, with the line, where a number in the prose is not what the program says."""
    assert len(re.findall("<!-- = ", TEXT)) >= 20
    pages = [path.read_text(encoding="utf-8") for path in (BUILD / "pages").rglob("*.md") if path.parts[-2] != "tools"]
    assert len(pages) > 12
    assert not any("<!-- =" in page or "has not run yet" in page for page in pages)


@pytest.mark.slow
def test_the_run_on_the_first_page_is_the_program_s(site):
    """The lines that the reader will see are those that the demonstration of the training computes."""
    shown = re.search(r"```text\n\$ python3 tangle.py.*?```", TEXT, re.S)[0]
    first, last = (
        re.search(r"step    1 / 1000 \| loss (\S+)", shown)[1],
        re.search(r"step 1000 / 1000 \| loss (\S+)", shown)[1],
    )
    learning = (BUILD / "pages" / "learning" / "index.md").read_text(encoding="utf-8")
    assert f"the first is {first}, the last {last}" in learning
