"""HTML for chunks, demonstrations, listings and indexes; nothing of the essay gets into it as HTML."""

import html
import re

import pytest
from essays import SMALL, demonstration, with_prose
from weaver.essay import Essay
from weaver.render import NOT_YET, Renderer, figure, loose_links
from weaver.results import Result

pytest.importorskip("pygments", reason="the weaver needs Pygments")

RESULTS = {"twice": Result("8\n", [])}
PATHS = {"small.py": "programs/small-py/"}
ODD = "<b>&\"'`~é"


def renderer_of(text, results=RESULTS, **options):
    """Return the renderer of an essay."""
    essay = Essay(text)
    return Renderer(essay, results, {target: f"programs/{target}/" for target in essay.programs} | PATHS, **options)


@pytest.fixture(scope="module")
def renderer():
    return renderer_of(SMALL)


def shown(renderer, name):
    """Return the HTML of the fences of a chunk, a root or a demonstration, as on a page of their own."""
    renderer.begin_page()
    return "\n".join(str(renderer.fence(fence)) for fence in renderer.essay.fences if fence.name == name)


def text_of(markup):
    """Return the text that a reader sees."""
    return html.unescape(re.sub("<[^>]*>", "", str(markup)))


def test_data_for_a_widget_stand_in_an_attribute():
    text = with_prose(demonstration("a", "x", ', widget="tape"'))
    markup = shown(renderer_of(text, {"a": Result("", [], '{"a": "<\\""}')}), "a")
    assert '<div data-widget="tape" data-given="{&#34;a&#34;: &#34;&lt;\\&#34;&#34;}"></div>' in markup
    assert '<script type="module" src="@/assets/widget-tape.js"></script>' in markup
    assert "widget" not in shown(renderer_of(text, {}), "a")  # it has not run yet


# Chunks


def test_parts_of_a_chunk_have_ids_and_arrows_to_each_other(renderer):
    chunk = shown(renderer, "a-part")
    assert re.findall(r'<div class="chunk" id="([^"]*)">', chunk) == ["chunk-a-part", "chunk-a-part-2"]
    assert '#chunk-a-part-2" aria-label="next part of a part"' in chunk
    assert '#chunk-a-part" aria-label="previous part of a part"' in chunk
    assert chunk.count("+≡") == 1


def test_a_reference_links_to_the_chunk_across_pages(renderer):
    assert 'href="@/two/#chunk-a-part" data-peek>⟨a part⟩</a>' in shown(renderer, "small.py")
    assert 'data-chunk="a-part" data-indent="0"' in shown(renderer, "small.py")
    assert 'used in <a class="chunk-link" href="@/#program-small-py"' in shown(renderer, "a-part")


def test_a_chunk_says_where_it_stands_in_the_program(renderer):
    chunk = shown(renderer, "a-part")
    assert 'small.py lines <a href="@/programs/small-py/#L1">1–2</a>' in chunk
    assert 'small.py lines <a href="@/programs/small-py/#L3">3–4</a>' in chunk
    assert 'small.py line <a href="@/programs/small-py/#L6">6</a>' in shown(renderer, "other")


def test_further_programs_fold_into_and_more():
    more = "".join(f"\n``` python {{file=p{n}.py}}\n<<a-part>>\n```\n" for n in range(5))
    chunk = shown(renderer_of(SMALL + more), "a-part")
    assert chunk.count('<summary>and 5 more</summary>p0.py lines <a href="@/programs/p0.py/#L1">1–2</a> · p1.py') == 1
    assert chunk.count("⟨small.py⟩") == 2
    assert "⟨p0.py⟩" not in chunk


def test_a_foot_names_the_first_program_and_chunks_and_another_program_only_if_it_is_alone():
    text = SMALL.replace("# Two", "``` python {file=p.py}\n<<more>>\n<<b>>\n<<a-part>>\n```\n\n# Two")
    renderer = renderer_of(f"{text}\n``` python {{#more}}\n<<a-part>>\n```\n\n``` python {{#b}}\n```\n")
    feet = [text_of(re.search("used in (.*)", shown(renderer, name))[1]) for name in ("a-part", "b")]
    assert [foot.partition(" · ")[0] for foot in feet] == ["⟨small.py⟩, ⟨more⟩", "⟨p.py⟩"]


def test_names_of_the_program_are_links_in_code(renderer):
    chunk = shown(renderer, "a-part")
    assert chunk.count('<a href="@/two/#chunk-a-part" data-peek>double</a>') == 1
    once_more = '<a href="@/two/#chunk-a-part" tabindex="-1" data-peek>double</a>'
    assert chunk.count(once_more) == 1  # one stop for Tab is enough


def test_the_heading_of_a_chunk_follows_the_level_around_it(renderer):
    for name, level in (("small.py", 2), ("a-part", 3)):
        assert re.search(rf'<h{level} class="chunk-name" id="[\w-]+_[a-z]+">⟨.*?</h{level}>', shown(renderer, name))


# Demonstrations


def test_a_demonstration_shows_its_code_and_what_it_printed(renderer):
    assert re.search('(?s)<pre class="code"><code>.*double.*<div class="output">8\n</div>', shown(renderer, "twice"))
    assert NOT_YET in shown(renderer_of(SMALL, {}), "twice")
    assert "output" not in shown(renderer_of(SMALL, {"twice": Result("", [])}), "twice")


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {}>{}</svg>'


def test_captions_alternative_texts_and_outputs_are_text():
    text = with_prose(demonstration("a", "figures.tasks('x')", """, alt="<b>&'`~ ⟨x⟩", caption="<b>&'`{#x}\""""))
    markup = shown(renderer_of(text, {"a": Result(f"{ODD}\n</div>", [SVG.format("", "")])}), "a")
    (alt,), (caption,), (output,) = (re.findall(f"(?s){form}", markup) for form in (
        'aria-label="([^"]*)"', "<figcaption>(.*?)</figcaption>", '<div class="output">(.*?)</div>'))  # fmt: skip
    assert [*map(html.unescape, (alt, caption, output))] == ["<b>&'`~ ⟨x⟩", "<b>&'`{#x}", f"{ODD}\n</div>"]
    assert "<b>" not in markup
    for shows in (markup, shown(renderer_of(text, {"a": Result("", [])}), "a")):
        assert re.search("(?s)<details.*def tasks", re.sub("<(?!details).*?>", "", shows))


def test_a_figure_gets_ids_of_its_own_and_the_colour_of_the_text():
    inside = '<metadata>now</metadata><path id="a" style="stroke: #000000; clip-path: url(#c)"/><use xlink:href="#a"/>'
    shown = figure(SVG.format('width="1pt" height="2pt" viewBox="0"', inside), "loss_1_", "a curve & more", {})
    assert 'id="loss_1_a"' in shown
    assert 'href="#loss_1_a"' in shown
    assert "stroke: currentColor; clip-path: url(#loss_1_c)" in shown
    assert 'role="img"' in shown
    assert 'aria-label="a curve &amp; more"' in shown
    assert not re.search("metadata|width|height", shown)


def test_links_in_a_figure_lead_to_the_right_page_and_have_a_name():
    inside = '<a xlink:href="#chunk-a" target="_blank"><text>x</text></a><a xlink:href="#chunk-a"><path/></a>'
    inside += '<a xlink:href="https://x.y"><text>y</text></a><path id="a"/><use xlink:href="#a"/>'
    page = Essay(SMALL).pages[1]
    shown = figure(SVG.format("", inside), "loss_1_", "alt", {"chunk-a": page})
    assert re.findall("<a .*?>", shown) == [
        '<a href="@/two/#chunk-a" data-peek="">', '<a href="@/two/#chunk-a" data-peek="" aria-label="chunk a">',
        '<a href="https://x.y">',
    ]  # fmt: skip
    assert 'role="group"' in shown and 'href="#loss_1_a"' in shown
    loose = SVG.format("", '<a href="#b"/><a xlink:href="x.html"/><a xlink:href="#chunk-a"/><a href="mailto:a@b.c"/>')
    assert loose_links(loose, {"chunk-a": page}) == ["#b", "x.html"]


# Listings and indexes


def test_the_listing_has_every_line_with_a_link_to_its_place(renderer):
    listing = renderer.program(renderer.essay.main, ["files/small.py", "files/names.txt"])
    numbers = re.findall(r'id="L(\d+)".*?class="number" href="@/([^"]*)"', str(listing))
    assert numbers == [("1", "two/#chunk-a-part"), ("2", "two/#chunk-a-part"), ("4", "two/#chunk-a-part-2"),
                       ("6", "two/#chunk-other")]  # the others are empty
    assert re.findall(r'id="L(\d+)"', str(listing)) == [*"123456"]
    assert 'href="@/files/names.txt" download>names.txt</a>' in listing
    assert "<code>python3 small.py names.txt</code>" in listing
    assert "All 6 lines of" in listing
