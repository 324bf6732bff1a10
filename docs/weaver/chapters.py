"""The essay as Markdown that nobody has to weave any more: a text for each page, and its figures as files beside it.

It has two forms. One is committed in build/essay, where GitHub shows it. The other is a book, of which pandoc makes an
EPUB. They differ only in how they name the places that links lead to.
"""

import ast
import re
from html import escape
from itertools import groupby
from urllib.parse import quote
from xml.etree import ElementTree

from markupsafe import Markup

import tangle
from weaver import experiments
from weaver.essay import Forms, Heading
from weaver.prose import SLOT
from weaver.render import NOT_YET, SVG, links_in
from weaver.writer import GAP, Writer, escaped

FIRST, FIGURES = "README", "figures"  # the file that GitHub shows for its folder; the folder in that
DECIMAL = re.compile(r"-?\d+\.\d+")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
NEAR = 0.1  # points, of 1/72 inch each: what nobody sees in a figure


class OnGitHub:
    """Places on GitHub: pages are files, headings have the ids that GitHub makes of them, other ids are empty links."""

    def __init__(self, reading):
        self.ids = {}  # {id of a heading: that of GitHub}
        for parts in reading.pages.values():
            counts = {}
            for heading in [part for part in parts if isinstance(part, Heading)]:
                text = Markup(heading.text).striptags()  # noqa: S704 (read, not shown)
                name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
                counts[name] = counts.get(name, -1) + 1
                self.ids[heading.id] = f"{name}-{counts[name]}" if counts[name] else name

    def file(self, path):
        """Return the name of the file of a page."""
        return f"{path.removesuffix('/') or FIRST}.md"

    def address(self, path, anchor=""):
        """Return the address of a page, or of a place there."""
        return quote(self.file(path)) + (anchor and f"#{self.ids.get(anchor, anchor)}")

    def place(self, anchor):
        """Return what makes a place for links."""
        return f'<a id="{escape(anchor)}"></a>'

    def heading(self, heading, text):
        """Return a heading."""
        return f"{'#' * heading.level} {text}"

    def program(self, target):
        """Return what a program is called: the link to it."""
        return f"[{escaped(target)}](../{quote(target)})"


class InABook:
    """Places in a book: pandoc finds ids in whatever chapter they are. Programs are not in it."""

    def address(self, _, anchor):
        """Return the address of a place."""
        return f"#{anchor}"

    def place(self, anchor):
        """Return what makes a place for links."""
        return f"[]{{#{anchor}}}"

    def heading(self, heading, text):
        """Return a heading."""
        return f"{'#' * heading.level} {text} {{#{heading.id}}}"

    def program(self, target):
        """Return what a program is called."""
        return escaped(target)


class Chapters(Forms):
    """Turns the pages of an essay into Markdown, in a form; `results` is {name of a demonstration: Result}."""

    def __init__(self, essay, reading, results, laboratory, form):
        self.essay, self.reading, self.results, self.laboratory, self.form = essay, reading, results, laboratory, form
        self.fences = {fence.line: fence for fence in essay.fences}
        self.writer = Writer(self.address, form.place)

    def address(self, href):
        """Return the address of a link; that of a place in the essay stands below the site's root, which is @."""
        path, _, anchor = href.removeprefix("@/").partition("#")
        return self.form.address(path, anchor) if href.startswith("@/") else href

    def blocks(self, path):
        """Return the Markdown of a page: its title, what stands below it, and its notes, named like no others."""
        self.writer.begin(path.replace("/", "-"))
        blocks = [self.heading(part) if isinstance(part, Heading) else self.prose(part)
                  for part in self.reading.pages[path]]  # fmt: skip
        return [*blocks, *(f"[^{name}]: {text}" for name, text in self.writer.notes.items())]

    def heading(self, heading):
        """Return a heading."""
        return self.form.heading(heading, self.writer.markdown(heading.text))

    def prose(self, html):
        """Return prose, and its fences in it."""
        return SLOT.sub(lambda match: self.fence(self.fences[int(match[1])]), self.writer.markdown(html))

    def illustration(self, fence):
        """Return a fence that is nothing but shown."""
        return code(fence)

    def links(self, places):
        """Return links to places, with commas."""
        return ", ".join(
            f"[⟨{escaped(place.title)}⟩]({self.form.address(place.page.path, place.id)})" for place in places
        )

    def chunk(self, place):
        """Return a root or one fence of a chunk: its name, its code, and what it contains and where it is used."""
        fence = place.fence
        title = self.form.program(fence.name) if fence.kind == "root" else escaped(place.title)
        head = f"{self.form.place(place.id)}**⟨{title}⟩** {'≡' if place.number == 1 else '+≡'}"
        inner = dict.fromkeys(match["name"] for _, _, match in tangle.numbered([fence]) if match)
        ways = {"contains": [*map(self.essay.first_place, inner)], "used in": self.essay.users_shown(fence)}
        foot = " · ".join(f"{word} {self.links(places)}" for word, places in ways.items() if places)
        return joined(head, code(fence), foot and f"<sub>{foot}</sub>")

    def demonstration(self, fence):
        """Return a demonstration: its code, folded away where it draws, and what came of it.

        What it gives to a widget is left out: there is none.
        """
        fence = fence._replace(code=without_gifts(fence.code))
        result = self.results.get(fence.name)
        text, drawn, _ = result or (NOT_YET, [], "")
        printed = text.strip("\n") and verbatim(text.strip("\n"), "text")
        place = self.form.place(f"demonstration-{fence.name}")
        if not drawn:
            return joined(place, code(fence), printed)
        alt, caption = (escaped(fence.options.get(name, "")) for name in ("alt", "caption"))
        images = [f"![{alt}]({path})" for path in figure_paths(fence, result)]
        shown = folded("The code of this figure", code(fence))
        return joined(place + images[0], *images[1:], caption and f"*{caption}*", printed, shown)

    def experiment(self, fence):
        """Return an experiment: its name, what it changes, and, folded away, what happens."""
        place = self.essay.experiments[fence.name]
        found = " ".join(map(str, experiments.told(self.laboratory, fence.name)))
        why = self.laboratory.explanations.get(fence.line, "")
        changes = self.links(experiments.places(self.essay, fence))
        run = f"To run it: `{experiments.command(self.essay, fence)}`"
        return joined(
            f"{self.form.place(place.id)}**Experiment: {escaped(place.title)}**, changes {changes}",
            code(fence),
            folded("What happens?", joined(self.writer.markdown(f"<p>{found}</p>{why}"), run)),
        )


def without_gifts(lines):
    """Return the lines of a demonstration but those that give data to a widget."""
    calls = [node for node in ast.parse("\n".join(lines)).body if ast.unparse(node).startswith("give(")]
    gone = {number for call in calls for number in range(call.lineno, call.end_lineno + 1)}
    return [line for number, line in enumerate(lines, 1) if number not in gone]


def joined(*blocks):
    """Return blocks of Markdown as one; those with nothing in them are left out."""
    return GAP.join(filter(None, blocks))


def code(fence):
    """Return the code of a fence, without blank lines around it."""
    return verbatim("\n".join(fence.code).strip("\n"), fence.language)


def verbatim(text, language):
    """Return a fence around a text: a longer one than any in it."""
    marks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{marks}{language}\n{text}\n{marks}"


def folded(title, text):
    """Return some Markdown folded away."""
    return f"<details><summary>{title}</summary>{GAP}{text}{GAP}</details>"


def figure_paths(fence, result):
    """Return the paths of the files of the figures of a demonstration."""
    return [f"{FIGURES}/{fence.name}{f'-{i}' if i > 1 else ''}.svg" for i in range(1, len(result.figures) + 1)]


def figures(essay, results):
    """Return {path: bytes} of all figures."""
    found = {}
    for fence in essay.fences:
        if fence.kind == "demonstration" and (result := results.get(fence.name)):
            found |= zip(figure_paths(fence, result), map(figure, result.figures), strict=True)
    return found


def figure(svg):
    """Return a figure as a file: on white, as it does not learn what is around; without links; with short numbers."""
    root = ElementTree.fromstring(svg)  # noqa: S314 (a demonstration has made it, and that it is XML is checked)
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    for element, _ in links_in(root):
        element.tag, element.attrib = f"{{{SVG}}}g", {}
    root.insert(0, ElementTree.Element(f"{{{SVG}}}rect", width="100%", height="100%", fill="white"))
    for element in root.iter():
        for name, value in element.attrib.items():
            if not name.endswith("href"):  # an image in it is text as well
                element.set(name, DECIMAL.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value))
    return ElementTree.tostring(root, encoding="utf-8") + b"\n"


def look_the_same(old, new):
    """Return whether two figures differ in nothing but numbers, and in these by so little that nobody sees it.

    Processors differ in the last digit of a sum: no figure is committed anew for that.
    """
    texts, numbers = [], []
    for data in (old, new):
        texts.append(NUMBER.split(data.decode()))
        numbers.append([*map(float, NUMBER.findall(data.decode()))])
    return texts[0] == texts[1] and all(abs(a - b) <= NEAR for a, b in zip(*numbers, strict=True))


def on_github(essay, reading, results, laboratory):
    """Return {path: bytes} of all that belongs into build/essay."""
    form = OnGitHub(reading)
    chapters = Chapters(essay, reading, results, laboratory, form)
    pages = [*reading.pages]
    titles = {page: chapters.writer.markdown(reading.pages[page.path][0].text) for page in essay.pages}
    links = [f"[{numbered(page)}{title}]({form.address(page.path)})" for page, title in titles.items()]
    found = {}
    for i, path in enumerate(pages):
        title, *blocks = chapters.blocks(path)
        ways = [f"[Contents]({form.address(pages[0])})", f"Previous: {links[i - 1]}"] if i else []
        ways += [f"Next: {link}" for link in links[i + 1 : i + 2]]
        text = joined(title, "" if i else contents(essay, links), *blocks, "---", " · ".join(ways))
        found[form.file(path)] = text.encode() + b"\n"
    return found | figures(essay, results)


def numbered(page):
    """Return the number of a chapter, for before its title."""
    return f"{page.number}. " if page.number else ""


def contents(essay, links):
    """Return the links to all pages in their parts, folded away."""
    groups = groupby(zip(essay.pages, links, strict=True), key=lambda found: found[0].part)
    lists = [(part, "\n".join(f"- {link}" for _, link in members)) for part, members in groups]
    return folded("Contents", joined(*(joined(part and f"**{escaped(part)}**", links) for part, links in lists)))


def changes(folder, wanted):
    """Return the tangle.Changes that a folder needs to have some files, {path: bytes}: what goes, what comes, the sums.

    Only what an earlier weave has written is removed or replaced: its sum is recorded. Raises OSError for other files.
    """
    sums = folder / tangle.SUMS
    recorded = tangle.sums_in(sums)
    found, foreign, text = [], [], ""
    for path in sorted({path for path, _ in recorded} | wanted.keys()):
        change = tangle.Change(folder / path, tangle.read(folder / path), wanted.get(path))
        stays = is_right(change)
        if not stays:
            found.append(change)
            is_ours = change.old is None or (path, tangle.digest(change.old)) in recorded
            foreign += [] if is_ours else [f"build/{folder.name}/{path}"]
        if path in wanted:
            text += f"{tangle.digest(change.old if stays else change.new)}  {path}\n"
    if foreign:
        todo = "carry the change into microgpt.md, and delete the file"
        raise OSError(f"{', '.join(foreign)}: changed by hand since --update wrote it: {todo}")
    record = tangle.Change(sums, tangle.read(sums), text.encode())
    return found if is_right(record) else [*found, record]


def is_right(change):
    """Return whether a file is what it is to be."""
    old = tangle.unix(change.old)
    is_figure = change.path.suffix == ".svg" and None not in (old, change.new)
    return look_the_same(old, change.new) if is_figure else old == change.new
