"""The essay in Markdown, in build/essay for GitHub and as an EPUB: what it says, and where its links lead."""

import io
import re
import zipfile
from html import unescape
from html.parser import HTMLParser
from pathlib import PurePosixPath
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from essays import SMALL, demonstration, project
from programs import ROOT, missing
from weaver import chapters, epub
from weaver.essay import Essay, Heading
from weaver.pipeline import Weave
from weaver.prose import EMPTY, SLOT, Reading
from weaver.results import Result
from weaver.trials import Findings

pytest.importorskip("markdown", reason="the weaver needs Python-Markdown")

NOTES = "Here.[^a] There.[^b]\n\n[^a]: *One*.\n[^b]: Two\n    lines."
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9pt">'
    '<metadata>when</metadata><a xlink:href="#chunk-other"><text x="{}" y="2.5">{}</text></a></svg>'
)
DRAWN = SMALL.replace('name="twice"', 'name="twice", alt="a *line*", caption="It [rises]."')
ALL = DRAWN + (
    "\n## Deeper\n\nSee [above](#deeper), [here](#deeper-2) and [the chunk](#chunk-a-part-2).\n\n## Break it\n\n"
    '``` diff {#three-times title="`x` three * times"}'
    "\n-    return 2 * x\n+    return 3 * x\n```\n\n> Then it is *thrice*.\n\n"
    "### Solution: none\n\nNothing.\n\n# Two\n\nBack to [One](#one), [its sequel](#two), [a solution](#solution-none), "
    "[the experiment](#experiment-three-times) and [a word](#term-word).\n\nword\n: what is _said_\n\n"
) + NOTES + "\n"  # fmt: skip


def files_of(text, printed="8\n", figures=()):
    """Return {path: text} of what GitHub shows of an essay."""
    essay = Essay(text)
    reading = Reading(essay)
    assert reading.errors == []
    findings = Findings(explanations=reading.explanations, waiting=("three-times",))
    files = chapters.on_github(essay, reading, {"twice": Result(printed, [*figures])}, findings)
    return {path: data.decode() for path, data in files.items()}


def as_github(text):
    """Return some Markdown as HTML, as GitHub shows it."""
    reader = pytest.importorskip("markdown_it", reason="markdown-it-py is not installed").MarkdownIt()
    reader.options["html"] = True
    return reader.enable(["table", "strikethrough"]).render(text)


# Prose

COUNTS = (
    "A `double`, `double()`, ``x ` y``, ⟨a\npart⟩, [`double` of 8<!-- = double(4) -->](#two 't'), <b>8</b><!-- and -->"
)
VERBATIM = [
    r"Not \*a word\*, not \`double\`, 2\*3 \[x\](#two).",
    "`[x](#two)`, `⟨a part⟩`, ``8<!-- = 1 -->``, `<!-- = 1 -->`",
    '<div class="box">\n`double` ⟨a part⟩ <a href="https://e.org">8</a><!-- aside -->\n</div>',
    "[x](https://e.org/?f=g&h), <https://e.org/a_b_c>, a [x] of [x](https://e.org/a_(b))",
    "| `x \\| y` | 1 \\| 2 |\n| --- | --- |\n| `c` | *d* |", "> quoted\n>\n> - twice\n\n- one\n    - two\n\n3. three",
]  # fmt: skip


def test_names_links_and_numbers_are_shown_as_on_the_site():
    two = files_of(f"{SMALL}\n8<!-- = y -->. {COUNTS}\n")["two.md"]
    double, part = "two.md#chunk-a-part", "[⟨a part⟩](two.md#chunk-a-part)"
    two_of_it = "[`double` of 8](two.md#two 't')"
    shown = f"A [`double`]({double}), [`double()`]({double}), ``x ` y``, {part}, {two_of_it}, <b>8</b>"
    assert f"\n\n8\\. {shown}\n\n---\n\n" in two


@pytest.mark.parametrize("prose", VERBATIM)
def test_all_other_prose_is_that_of_the_source(prose):
    assert f"\n\n{prose}\n\n---\n\n" in files_of(f"{SMALL}\n{prose}\n")["two.md"]


class Bare(chapters.Book):
    """The prose alone, with links to ids."""

    def part(self, _):
        return ""

    anchor = part

    def heading(self, heading):
        return self.inline(heading.text)


def words_and_links(html):
    """Return the words of some HTML, and where it leads to, both sorted: a note is in another place."""
    html = SLOT.sub("", re.sub("<label.*?</label>", "", html))
    links = re.findall('href="[^"#]*?(#[^"]*|https?:[^"]*)"', html)
    return sorted(re.findall(r"\w+", unescape(re.sub("<[^>]*>", " ", html)))), sorted(map(unquote, links))


def test_the_prose_of_the_essay_says_the_same_as_on_the_site_and_leads_to_the_same():
    essay = Essay((ROOT / "microgpt.md").read_text(encoding="utf-8"))
    reading = Reading(essay)
    for page in essay.pages:
        text = "\n\n".join(Bare(essay, reading, {}, Findings()).blocks(page))
        parts = reading.pages[page.path]
        site = "\n".join(part.text if isinstance(part, Heading) else part for part in parts)
        assert words_and_links(as_github(re.sub(r"\[\^[\w-]+\]:?", "", text))) == words_and_links(site)


# Fences


def test_a_chunk_has_its_name_its_code_and_links():
    two = files_of(SMALL)["two.md"]
    assert '<a id="chunk-a-part"></a>**⟨a part⟩** ≡\n\n```python\ndef double(x):\n    return 2 * x\n```\n\n' in two
    assert '<a id="chunk-a-part-2"></a>**⟨a part⟩** +≡\n\n```python\ndef quadruple' in two
    assert "<sub>used in [⟨small.py⟩](README.md#program-small-py)</sub>" in two
    root = files_of(SMALL)["README.md"]
    assert "**⟨[small.py](../small.py)⟩** ≡\n\n```python\n<<a-part>>\n\n<<other>>\n```\n\n" in root
    assert "<sub>contains [⟨a part⟩](two.md#chunk-a-part), [⟨other⟩](two.md#chunk-other)</sub>" in root


def test_a_demonstration_shows_what_it_prints_and_numbers_are_text():
    two = files_of(SMALL)["two.md"]
    assert "```python\ny = double(4)\nprint(y)\n```\n\n```text\n8\n```\n\nTwice four is 8.\n" in two
    assert "````text\n```\n````" in files_of(SMALL, "```\n")["two.md"]


def test_figures_are_files_and_their_code_is_folded_away():
    files = files_of(DRAWN, "", [SVG.format(1, "a"), SVG.format(2, "b")])
    images = "![a \\*line\\*](figures/twice.svg)\n\n![a \\*line\\*](figures/twice-2.svg)\n\n*It \\[rises\\].*\n\n"
    assert f"</a>{images}<details><summary>Code for this figure</summary>\n\n```python\ny =" in files["two.md"]
    assert {path for path in files if "figures" in path} == {"figures/twice.svg", "figures/twice-2.svg"}
    drawn = files_of(DRAWN.replace("y = double(4)\nprint(y)", "figures.a()"), "", [SVG.format(1, "a")])["two.md"]
    assert "(figures/twice.svg)" in drawn and "<details>" not in drawn  # it is docs/figures.py that draws


def test_an_experiment_is_told_as_on_the_site():
    two = files_of(ALL)["two.md"]
    shown = two[two.index("**`x` three \\* times**, changes [⟨a part⟩](two.md#chunk-a-part)\n\n```diff\n-") :]
    assert "<details><summary>What happens?</summary>\n\n(has not been measured yet)\n\n> " not in shown
    run = "<sub>To run it: `python3 tangle.py --run small.py --break three-times`</sub>"
    assert f"(has not been measured yet)\n\nThen it is *thrice*.\n\n{run}" in shown
    assert shown.count("thrice") == 1


def test_a_figure_stands_on_white_and_nothing_in_it_is_a_link():
    root = ElementTree.XML(chapters.figure(SVG.format("1.23456", "a 1.23456")))
    assert [element.tag.partition("}")[2] for element in root] == ["rect", "g"]
    (text,) = root.iter("{http://www.w3.org/2000/svg}text")
    assert (text.get("x"), text.get("y"), text.text) == ("1.23", "2.5", "a 1.23456")
    assert "href" not in ElementTree.tostring(root, encoding="unicode")


@pytest.mark.parametrize("new, same", [((1.04, "a"), True), ((1.2, "a"), False), ((1, "b"), False), ((1, "a1"), False)])
def test_a_figure_is_committed_anew_where_one_can_see_the_difference(tmp_path, new, same):
    folder, old = tmp_path / "essay", chapters.figure(SVG.format(1, "a"))
    (folder / "figures").mkdir(parents=True)
    chapters.write(folder, {"figures/x.svg": old})
    changed = chapters.write(folder, {"figures/x.svg": chapters.figure(SVG.format(*new))})
    assert changed == ([] if same else ["figures/x.svg"])


# Places


class OnGitHub(HTMLParser):
    """What GitHub shows of a file of Markdown: `parts` are [tag, text, whether it is folded away] in their order."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.images, self.parts, self.slugs, self.open = set(), [], [], [], [], []
        self.feed(as_github(re.sub(r"\[\^([\w-]+)\]", r"note \1", text)))  # CommonMark has no footnotes
        self.ids |= {*self.slugs, *(f"{slug}-{n}" for slug in self.slugs for n in range(1, self.slugs.count(slug)))}

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids |= {values["id"]} if tag == "a" and "id" in values else set()
        self.links += [values["href"]] if "href" in values else []
        self.images += [values["src"]] if tag == "img" else []
        self.open += [] if tag in EMPTY else [tag]
        if re.fullmatch("h[1-6]|p|li|td|th|summary|pre", tag):
            self.parts.append([tag, "", self.open.count("details") > 0])

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.open.pop() == tag
        if re.fullmatch("h[1-6]", tag):
            self.slugs.append(re.sub(r"[^\w -]", "", self.parts[-1][1].lower()).replace(" ", "-"))

    def handle_data(self, data):
        if self.parts and self.open:
            self.parts[-1][1] += data


def broken_links(texts):
    """Return the links of some files of Markdown, {path: text}, that lead to no file or place on GitHub."""
    pages = {name: OnGitHub(text) for name, text in texts.items()}
    places = {(name, place) for name, page in pages.items() for place in [*page.ids, ""]}
    links = [(name, unquote(link)) for name, page in pages.items() for link in page.links]
    inner = [(name, link) for name, link in links if not re.match("https?://|mailto:|[.][.]/", link)]
    assert len(inner) > 5
    return [(name, link) for name, link in inner if link.partition("#")[::2] not in places]


def test_links_between_chapters_lead_to_places_on_github():
    files = files_of(ALL)
    assert broken_links(files) == []
    three = files["two-2.md"]
    for link in ("README.md#one", "two.md#two", "two.md#solution-none", "two.md#experiment-three-times"):
        assert f"]({link})" in three
    assert "[above](two.md#deeper), [here](two.md#deeper-1)" in files["two.md"]
    assert '<a id="term-word"></a>**word**: what is _said_' in three


def test_notes_are_footnotes():
    text = files_of(SMALL + NOTES)["two.md"]
    assert f"{NOTES}\n\n---\n\n" in text
    assert files_of(SMALL + NOTES.replace("    ", ""))["two.md"] == text
    errors = Reading(Essay(f"{SMALL}{NOTES}\n\n# Three\n\nMore.[^a]\n\n[^a]: One.\n")).errors  # GitHub would show one
    assert errors == [(45, "[^a] is defined twice: give the second one another name")]


def test_chapters_follow_each_other():
    files = files_of(ALL.replace("# Two\n", "# Two\n<!-- part: Parts -->\n", 1))
    listed = "- [One](README.md)\n\n**Parts**\n\n1. [Two](two.md)\n2. [Two](two-2.md)\n\n</details>\n\n"
    assert f"<details><summary>Contents</summary>\n\n{listed}" in files["README.md"]
    ways = [text.rpartition("---\n\n")[2].strip() for path, text in files.items()]
    assert ways == [
        "Next: [Two](two.md)", "[Contents](README.md) · Previous: [One](README.md) · Next: [Two](two-2.md)",
        "[Contents](README.md) · Previous: [Two](two.md)",
    ]  # fmt: skip


def test_a_new_chapter_changes_its_neighbours_and_the_contents_alone():
    chapter = "# {0}\n\n## Break it\n\nAs in [{0}](#{0}).[^{0}]\n\n[^{0}]: So.\n\n{1}\n"
    names = ["one", "two", "three", "five", "six", "seven"]
    text = SMALL + "".join(chapter.format(name, demonstration(name, "1")) for name in names)
    text = text.replace("# one\n", "# one\n<!-- part: Parts -->\n")
    before, after = files_of(text), files_of(text.replace("# five\n", chapter.format("four", "") + "# five\n"))
    changed = {path for path, text in after.items() if text != before.get(path)}
    assert changed == {"four.md", "three.md", "five.md", "README.md"}


def test_what_is_committed_leads_nowhere_wrong():
    """That it is what the essay says, tests/tools/test_readme.py finds: it runs docs/weave.py --update."""
    folder = ROOT / "build" / "essay"
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    assert broken_links(texts) == []
    pages = [OnGitHub(text) for text in texts.values()]
    files = [link for page in pages for link in [*page.images, *page.links] if link.startswith(("figures/", "../"))]
    assert len(files) > 40
    assert [link for link in files if not (folder / unquote(link)).is_file()] == []
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 2_000_000


ON_A_SITE = r"\b(buttons?|clicks?|sliders?|controls|hover|drag|this page|these pages|leads to its code|give\()"


@pytest.fixture(scope="module")
def whole():
    """{path: text} of what GitHub shows of the essay itself, and the book, without what its demonstrations print."""
    essay = Essay((ROOT / "microgpt.md").read_text(encoding="utf-8"))
    reading = Reading(essay)
    findings = Findings(explanations=reading.explanations)
    files = chapters.on_github(essay, reading, {}, findings) | epub.files(essay, reading, {}, findings)
    return {path: data.decode() for path, data in files.items()}


def test_nothing_speaks_of_what_only_a_site_has(whole):
    texts = [(path, part[1]) for path, text in whole.items() for part in OnGitHub(text).parts]
    assert len(texts) > 2000
    assert [(path, text) for path, text in texts if re.search(ON_A_SITE, text)] == []


def test_what_an_exercise_asks_is_not_in_the_fold_of_another_one(whole):
    solutions = 0
    for path, text in whole.items():
        asked = False
        for tag, words, folded in OnGitHub(text).parts:
            if tag == "summary" and words.startswith("Solution"):
                assert asked, (path, words)
                asked, solutions = False, solutions + 1
            asked |= tag in ("p", "li") and bool(words.strip()) and not folded
    assert solutions > 10


def written(root, text):
    """Write an essay of a project, with its result, and what GitHub shows of it; return what changes."""
    (root / "microgpt.md").write_text(text, encoding="utf-8")
    woven = Weave(root)
    woven.outcome.results = {session: [Result("8\n", [])] * 2 for session in woven.outcome.sessions}
    return sorted(woven.write_chapters())


def test_what_changes_is_written_and_what_is_no_more_is_removed(tmp_path):
    folder = project(tmp_path) / "build" / "essay"
    assert written(tmp_path, SMALL) == ["README.md", "two.md"]
    for mine in ("notes.md", "mine.txt"):
        (folder / mine).touch()
    assert written(tmp_path, SMALL) == []
    assert written(tmp_path, SMALL.replace("# Two", "# Three")) == ["README.md", "three.md", "two.md"]
    assert {path.name for path in folder.iterdir()} == {"README.md", "SHA256SUMS", "three.md", "notes.md", "mine.txt"}
    (folder / "three.md").unlink()
    (folder / "three.md").symlink_to(tmp_path / "microgpt.md")
    with pytest.raises(OSError, match=r"three\.md: changed by hand"):
        written(tmp_path, SMALL.replace("# Two", "# Three"))


@pytest.mark.parametrize("text", [SMALL, SMALL.replace("8<", "the 8<"), SMALL.replace("# Two", "# Three")])
def test_what_was_edited_by_hand_is_neither_written_over_nor_removed(tmp_path, text):
    two = project(tmp_path) / "build" / "essay" / "two.md"
    written(tmp_path, SMALL)
    two.write_bytes(two.read_bytes() + b"Mine.\n")
    before = [path.read_bytes() for path in sorted(two.parent.iterdir())]
    with pytest.raises(OSError, match=r"^build/essay/two\.md: changed by hand since --update wrote it: .*\Z"):
        written(tmp_path, text)
    assert [path.read_bytes() for path in sorted(two.parent.iterdir())] == before
    two.unlink()
    written(tmp_path, text)
    assert written(tmp_path, text) == []


def test_an_edit_that_is_saved_while_the_files_are_written_is_kept(tmp_path, monkeypatch):
    two = project(tmp_path) / "build" / "essay" / "two.md"
    written(tmp_path, SMALL)
    is_right = chapters.is_right

    def edited_meanwhile(*arguments):
        two.write_text("Mine.\n")
        return is_right(*arguments)

    monkeypatch.setattr(chapters, "is_right", edited_meanwhile)
    with pytest.raises(OSError, match=r"two\.md was saved in the meantime"):
        written(tmp_path, SMALL.replace("8<", "the 8<"))
    assert two.read_text() == "Mine.\n"


# The EPUB


@pytest.mark.skipif(bool(missing("pandoc")), reason=missing("pandoc"))
def test_a_book_is_whole_and_always_the_same(tmp_path, monkeypatch):
    essay = Essay(ALL)
    reading = Reading(essay)
    findings = Findings(explanations=reading.explanations)
    parts = epub.files(essay, reading, {"twice": Result("", [SVG.format(1, "a")])}, findings)
    about = {"title": "One & all", "subtitle": "*so*"}
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    epub.write(tmp_path / "a.epub", about, parts)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # as builds set it that are to be the same
    epub.write(tmp_path / "b.epub", about, parts)
    epub.write(tmp_path / "b.epub", about, parts)  # in place of the older one
    data = (tmp_path / "a.epub").read_bytes()
    assert data == (tmp_path / "b.epub").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        assert (book.infolist()[0].filename, book.infolist()[0].compress_type) == ("mimetype", zipfile.ZIP_STORED)
        assert all(entry.date_time == (1980, 1, 1, 0, 0, 0) for entry in book.infolist())
        pages = {name: ElementTree.XML(book.read(name)) for name in book.namelist() if name.endswith("xhtml")}
        names = {*book.namelist()}
    places = {(name, element.get("id", "")) for name, page in pages.items() for element in page.iter()}
    links = [(name, link) for name, page in pages.items() for element in page.iter()
             if (link := element.get("href") or element.get("src"))]  # fmt: skip
    assert len(links) > 20
    for name, link in links:
        file, _, anchor = link.partition("#")
        path = name if not file else (PurePosixPath(name).parent / file).as_posix().replace("text/../", "")
        assert path in names, (name, link)
        assert not anchor or (path, anchor) in places, (name, link)
    assert all(page.get("{http://www.w3.org/XML/1998/namespace}lang") == "en" for page in pages.values())
    text = "".join("".join(page.itertext()) for page in pages.values())
    parts = ("One & all", "*so*", "⟨a part⟩", "def double(x):", "<<other>>", "What happens?", "thrice", "Two lines.")
    assert [part for part in parts if part not in text] == []


def test_without_pandoc_there_is_a_line_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match="apt-get install pandoc"):
        epub.write(tmp_path / "a.epub", {}, {})


def test_a_book_replaces_nothing_but_a_book(tmp_path):
    essay, older = tmp_path / "microgpt.md", tmp_path / "old.epub"
    essay.write_text("# One, of type application/epub+zip", encoding="utf-8")
    older.write_bytes(b"PK\3\4" + bytes(26) + b"mimetypeapplication/epub+zip and so on")
    for file in (tmp_path / "new.epub", older):
        epub.check_place(file)
    for file in (essay, tmp_path):
        with pytest.raises(OSError, match="exists and is not an EPUB: name another file"):
            epub.write(file, {}, {})
    assert essay.read_text(encoding="utf-8") == "# One, of type application/epub+zip"


@pytest.mark.parametrize("odd", ["abc", "4354819200"])
def test_a_time_that_no_book_can_have_is_told(tmp_path, monkeypatch, odd):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", odd)
    with pytest.raises(OSError, match=r"^SOURCE_DATE_EPOCH is '"):
        epub.write(tmp_path / "a.epub", {}, {})
