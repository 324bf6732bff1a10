"""The Markdown of the essay, read by Python-Markdown: what is code to it is code to us, and what is a link stays one.

Two things in the prose are ours: ⟨a name⟩ stands for a chunk, and 4,192<!-- = len(parameters) --> is a number that is
checked. Python-Markdown does not say where it found something. So each of them is replaced by a mark, a number between
two characters that no text has; a mark that arrives in prose is shown as what it stands for, one that arrives in code
or in an attribute becomes again what it was.
"""

import re
from html import escape
from typing import NamedTuple
from xml.etree import ElementTree

import markdown
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor
from markdown.treeprocessors import Treeprocessor

NUMBER = re.compile(r"(?P<text>(?:(?<![\w)\].,])[-−])?(?:(?<![\d.])\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?)"
                    r"<!-- = (?P<expression>.+?) -->")  # fmt: skip
NAME = re.compile(r"⟨(?P<name>[^⟨⟩]+)⟩")
MARKED = re.compile(f"{NUMBER.pattern}|{NAME.pattern}")
BEGIN, END = "\ufdd0", "\ufdd1"  # Unicode keeps these for use inside of a program
MARK = re.compile(f"{BEGIN}(\\d+){END}")
SLOT = re.compile(r"\{fence:(\d+)\}")
MENTION = re.compile(r"(\w+)(\(\))?")
EXTENSIONS = ("tables", "attr_list", "def_list", "sane_lists")


class Number(NamedTuple):
    """A number in the prose: where it stands, from which column (counted from 0), and what has to yield it."""

    line: int
    column: int
    text: str
    expression: str


class Prose(NamedTuple):
    """A piece of the essay, as HTML; <div>{fence:LINE}</div> stands for a fence."""

    html: str


class Reading:
    """What the prose of an essay says: `pages` is {path: [Heading or Prose, …]}, `numbers` a list, `errors` as well."""

    def __init__(self, essay):
        self.essay, self.numbers, self.errors, self.pages = essay, [], [], {}
        self.marks = []  # (match, line, column) of each
        self.markdown = markdown.Markdown(extensions=[*EXTENSIONS])
        self.markdown.inlinePatterns.register(Marks(MARK.pattern, self.markdown), "marks", 85)  # after code and HTML
        self.markdown.preprocessors.register(Slots(self.markdown), "slots", 25)  # before blocks of HTML
        self.markdown.treeprocessors.register(Links(self), "links", 15)  # after all inline patterns
        self.markdown.convert("\n".join(self.text_of(1, len(essay.lines))))  # [names]: of links are known everywhere
        self.numbers, self.errors = [], []
        headings = {heading.line: heading for heading in essay.headings}
        for page in essay.pages:
            parts, start = [], page.start
            for line in [n for n in headings if page.start <= n <= page.end] + [page.end + 1]:
                parts += self.read(start, line - 1)
                if line <= page.end:
                    heading = headings[line]
                    parts.append(heading._replace(text=self.convert([f"# {heading.text}"], line)[4:-5]))
                start = line + 1
            self.pages[page.path] = parts

    def text_of(self, start, end):
        """Return the lines from `start` to `end`, what stands in fences and their ends as a line of its own each."""
        lines = []
        for number in range(start, end + 1):
            fence = self.essay.inside.get(number)
            if fence is None:
                lines.append(self.essay.lines[number - 1])
            else:
                lines.append(f"{{fence:{fence.line}}}" if number == fence.line else "")
        return lines

    def read(self, start, end):
        """Return the lines from `start` to `end` as a list of at most one Prose."""
        lines = self.text_of(start, end)
        return [Prose(self.convert(lines, start))] if any(line.strip() for line in lines) else []

    def convert(self, lines, first):
        """Return some lines of the essay as HTML; the first of them is line `first`."""
        text, self.marks = "\n".join(lines), []

        def mark(match):
            before = text[: match.start()]
            self.marks.append((match, first + before.count("\n"), match.start() - before.rfind("\n") - 1))
            return f"{BEGIN}{len(self.marks) - 1}{END}"

        self.markdown.htmlStash.reset()
        html = self.markdown.convert(MARKED.sub(mark, text))
        return MARK.sub(lambda match: escape(self.marks[int(match[1])][0][0], quote=False), html)

    def shown(self, index, is_text):
        """Return the elements or the text for a mark; with `is_text` false it stands in a link or heading."""
        match, line, column = self.marks[index]
        if match["text"]:
            self.numbers.append(Number(line, column, match["text"], match["expression"]))
            return match["text"]
        title = " ".join(match["name"].split())
        if title.replace(" ", "-") not in self.essay.chunks:
            self.errors.append((line, f"there is no chunk ⟨{title}⟩"))
        elif is_text:
            return self.link(self.essay.first_place(title.replace(" ", "-")), f"⟨{title}⟩", "chunk-link")
        return f"⟨{title}⟩"

    def link(self, place, text, kind=""):
        """Return the element of a link to a place."""
        element = ElementTree.Element("a", {"class": kind} if kind else {}, href=address(place))
        element.set("data-peek", "")
        element.text = text
        return element


def address(place):
    """Return the address of a place: below the site's root, which @ stands for."""
    return f"@/{place.page.path}#{place.id}"


class Slots(Preprocessor):
    """Keeps the lines that stand for fences out of what Python-Markdown reads."""

    def run(self, lines):
        """Return the lines, each slot replaced by a paragraph that stands for it."""
        return [f"\n\n{self.md.htmlStash.store(f'<div>{line}</div>')}\n\n" if SLOT.fullmatch(line) else line
                for line in lines]  # fmt: skip


class Marks(InlineProcessor):
    """Python-Markdown meets a mark in its prose: it becomes an element, for Links to see where it stands."""

    def handleMatch(self, match, data):  # noqa: N802
        """Return the element and what it stands for."""
        return ElementTree.Element("mark", index=match[1]), match.start(0), match.end(0)


class Links(Treeprocessor):
    """Walks the tree of a text: marks become what they stand for, `names` that a program defines become links."""

    def __init__(self, reading):
        super().__init__(reading.markdown)
        self.reading = reading

    def run(self, root):
        """Change the tree in place."""
        self.walk(root, is_text=True)

    def walk(self, parent, is_text):
        """Change what is below an element; with `is_text` false no links are made."""
        for element in [*parent]:
            inner = is_text and not re.fullmatch("a|pre|h[1-6]", element.tag)
            if element.tag == "mark" and "index" in element.attrib:
                shown = self.reading.shown(int(element.get("index")), is_text)
                replace(parent, element, shown)
            elif element.tag == "code" and is_text and (match := MENTION.fullmatch(element.text or "")):
                if place := self.reading.essay.definition(match[1]):
                    link = self.reading.link(place, "")
                    replace(parent, element, link)
                    element.tail = None
                    link.append(element)
            else:
                self.walk(element, inner)


def replace(parent, element, other):
    """Put another element, or a text, in the place of an element; what follows it stays."""
    position, tail = [*parent].index(element), element.tail or ""
    if isinstance(other, str):
        tail = other + tail
        before = parent[position - 1] if position else None
        if before is None:
            parent.text = (parent.text or "") + tail
        else:
            before.tail = (before.tail or "") + tail
        parent.remove(element)
    else:
        other.tail = tail
        parent[position] = other
