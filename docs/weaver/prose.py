"""The Markdown of the essay, read by Python-Markdown: what is code to it is code to us, and what is a link stays one.

Three things in the prose are ours: ⟨a name⟩ stands for a chunk, 4,192<!-- = len(parameters) --> is a number that is
checked, and what is between <!-- scene: name --> and <!-- end --> is said in that scene of the walk. Python-Markdown
does not say where it found something. So each of them is replaced by a mark, a number between two characters that no
text has; a mark that arrives in prose is shown as what it stands for, one that arrives in code, in an attribute, in a
comment or in a block of HTML becomes again what it was: nothing is looked at there.

Headings are those that the essay has found, and no others: not lines that are underlined, or those in a list.

A note is [^name] in a text, and below it a paragraph that begins with [^name]:, as GitHub has footnotes. It is shown
where the text refers to it: in the margin or, without a margin, opened in its place.

A quotation directly after an experiment explains it. It is read by itself, since it is shown where the experiment has
its fold. The terms of definition lists get ids; a link to one may come before it, so its page is filled in at the end.
"""

import re
from html import escape, unescape
from html.parser import HTMLParser
from typing import NamedTuple
from xml.etree import ElementTree

import markdown
from markdown.blockprocessors import BlockProcessor, ReferenceProcessor
from markdown.inlinepatterns import InlineProcessor
from markdown.postprocessors import Postprocessor
from markdown.treeprocessors import Treeprocessor
from markdown.util import ETX, STX

from weaver.essay import HEADING, SPAN, Heading, Names, html_of

NUMBER = re.compile(
    r"(?P<text>(?:(?<![\w)\].,])[-−])?(?<![0-9.])(?<!0[xXoObB])(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?(?:[eE][-−+]?[0-9]+)?)"
    r"<!-- = (?P<expression>.+?) -->"
)
ORPHAN = re.compile(r"(?s:<!--\s*=(?!=).*?-->)")  # an expression that follows no number, or is written otherwise
NAME = re.compile(r"⟨(?P<name>(?:[^⟨⟩`\n]|\n(?![\s>]*\n))+)⟩")
SCENE = re.compile(r"<!-- scene: (?P<scene>[a-z][a-z0-9-]*) -->(?:(?=(?P<says>(?s:.+?))<!-- end -->))?")  # of the walk
MARKED = re.compile(f"{NUMBER.pattern}|{ORPHAN.pattern}|{NAME.pattern}|{SCENE.pattern}|<!-- end -->")
BEGIN, END = "\ufdd0", "\ufdd1"  # Unicode keeps these for use inside of a program, and no essay has them
MARK = re.compile(f"{BEGIN}(\\d+){END}")
TERM = re.compile(f'@/{BEGIN}#(term-[^"]*)')  # the address of a term whose page is not known yet
SLOT = re.compile(f"<div>{BEGIN}fence (\\d+){END}</div>")
MENTION = re.compile(r"(\w+)(\(\))?")
SHOWN = re.compile("@/[^#]*#(chunk|program|experiment|demonstration|term)-")  # what a link to it shows in a preview
REFERENCE = re.compile(r"\[\^([a-z0-9-]+)\](?!:)")
NOTE = re.compile(r"(?m)^ {0,3}\[\^([a-z0-9-]+)\]:\s")
QUOTED = re.compile(" {0,3}>")
EXTENSIONS = ("tables", "def_list", "sane_lists")
NOWHERE = "leads nowhere on the site: a link is https://… or a #heading"
EMPTY = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")


class Number(NamedTuple):
    """A number in the prose: where it stands, from which column (counted from 0), and what has to yield it."""

    line: int
    column: int
    text: str
    expression: str


class Reading:
    """What the prose of an essay says: `pages` is {path: [Heading or HTML, …]}, `numbers` a list, `errors` as well.

    The HTML up to the next heading is a text, in which SLOT stands for a fence or a directive, with its line.
    `explanations` is {line of the fence of an experiment: HTML}, `anchors` {id: page} of all that a link may lead to,
    `glossaries` {path of a page on which terms are defined}, `said` {scene of the walk: (line, what is said there)}.
    """

    def __init__(self, essay):
        self.essay, self.numbers, self.errors = essay, [], []
        self.marks = []  # (match, line, column) of each; those of the addresses of links are met on other pages
        self.markdown = markdown.Markdown(extensions=[*EXTENSIONS])
        for name in ("hashheader", "setextheader"):
            self.markdown.parser.blockprocessors.deregister(name)
        self.markdown.parser.blockprocessors.register(NoteTexts(self.markdown.parser), "notes", 17)  # before addresses
        references = Found(REFERENCE.pattern, "reference", self.markdown)
        self.markdown.inlinePatterns.register(references, "notes", 175)  # before links
        self.markdown.treeprocessors.register(Notes(self), "notes", 17)  # before links are looked at
        marks = Found(MARK.pattern, "mark", self.markdown)
        self.markdown.inlinePatterns.register(marks, "marks", 85)  # after code and HTML
        self.markdown.treeprocessors.register(Links(self), "links", 15)  # after all inline patterns
        self.markdown.postprocessors.register(Unmarked(self), "unmarked", 35)  # before HTML comes back
        self.quoted = quotations(essay)
        for name, target, _, _, *titles in ReferenceProcessor.RE.findall(essay.prose):  # they may be on another page
            self.markdown.references[name.strip().lower()] = target.strip("<>"), "".join(titles)
        self.ids, self.terms, self.term_links = Names(*essay.ids.taken), {}, []  # {id: page}; (id, line)
        self.explanations, self.pages = {}, {}
        self.said = {}
        self.titles, self.noted = {}, set()  # {line of a heading: HTML}; the names of all notes so far
        for page in essay.pages:
            self.page, self.note_count = page, 0
            self.pages[page.path] = self.parts_of(page)
        self.errors += [(line, f"#{name} {NOWHERE}") for name, line in self.term_links if name not in self.terms]
        self.anchors = essay.anchors | self.terms
        self.glossaries = {page.path for page in self.terms.values()}
        self.explanations = {line: self.with_terms(html) for line, html in self.explanations.items()}
        for parts in self.pages.values():
            parts[:] = [part if isinstance(part, Heading) else self.with_terms(part) for part in parts]

    def parts_of(self, page):
        """Return what a page consists of: each heading, and the HTML up to the next; a solution is HTML as well."""
        headings = [heading for heading in self.essay.headings if page.start <= heading.line <= page.end]
        parts = []
        for heading in headings:
            title, html = self.inline(heading), self.read(heading.line + 1, self.essay.end_of(heading))
            self.titles[heading.line] = title
            if heading.folds:
                fold = f'<details class="solution" id="{heading.id}"><summary>{title}</summary>\n{html}\n</details>'
                parts.append(fold)
            else:
                parts += [heading._replace(text=title), html]
        return [part for part in parts if part]

    def text_of(self, start, end):
        """Return the lines from `start` to `end`, with a slot for each fence and for each directive.

        Quotations that explain an experiment are left out.
        """
        lines, quoted = [], {number for numbers in self.quoted.values() for number in numbers}
        for number in range(start, end + 1):
            fence = self.essay.inside.get(number)
            if number in quoted:
                lines.append("")
            elif number in self.essay.directives or (fence and number == fence.line):
                lines.append(f"<div>{BEGIN}fence {number}{END}</div>")
            else:
                lines.append("" if fence else self.essay.lines[number - 1])
        return lines

    def read(self, start, end):
        """Return the lines from `start` to `end` as HTML."""
        for line in [line for line in self.quoted if start <= line <= end]:
            numbers = self.quoted[line]
            html = self.convert([self.essay.lines[number - 1] for number in numbers], numbers[0])
            self.explanations[line] = html.removeprefix("<blockquote>").removesuffix("</blockquote>").strip()
        return self.convert(self.text_of(start, end), start)

    def inline(self, heading):
        """Return the text of a heading as HTML. What stands for its # keeps it from being a list or a table."""
        line = self.essay.lines[heading.line - 1]
        start = len(line) - len(line[heading.level :].lstrip(" "))
        html = self.convert([BEGIN + END * (start - 1) + heading.text], heading.line, is_text=False)
        return html.removeprefix("<p>").removesuffix("</p>").lstrip(BEGIN + END)

    def convert(self, lines, first, is_text=True):
        """Return some lines of the essay as HTML, with links if it is a text; the first of them is line `first`."""
        self.text, self.first, self.is_text = "\n".join(lines), first, is_text

        def mark(match):
            before = self.text[: match.start()]
            self.marks.append((match, first + before.count("\n"), match.start() - before.rfind("\n") - 1))
            return f"{BEGIN}{len(self.marks) - 1}{END}"

        self.markdown.htmlStash.reset()
        text = MARKED.sub(mark, self.text)
        html = MARK.sub(lambda match: escape(self.unmarked(match)), self.markdown.convert(text))
        if tag := Tags(html).odd:
            line = first + re.split(f"(?i)</?{tag}", SLOT.sub("", self.text))[0].count("\n")
            self.errors.append((line, f"HTML must be closed before the next heading, and a <{tag}> is not"))
        return html

    def unmarked(self, match):
        """Return what the essay has in the place of a mark."""
        return self.marks[int(match[1])][0][0]

    def meaning(self, index, is_text):
        """Return the elements or the text for a mark; with `is_text` false it is in a link or heading."""
        match, line, column = self.marks[index]
        if match["text"]:
            self.numbers.append(Number(line, column, match["text"], match["expression"]))
            return match["text"]
        if match["scene"]:
            return self.scene(match, line)
        if match[0] == "<!-- end -->":
            return ""
        if not match["name"]:
            form = "4,192<!-- = expression -->, on one line, without a space before it"
            self.errors.append((line, f"there is no number before this expression: the form is {form}"))
            return ""
        title = " ".join(re.sub(r"\n[\s>]*", " ", match["name"]).split())  # the next line may be quoted
        name = title.replace(" ", "-")
        if name not in self.essay.chunks:
            self.errors.append((line, f"there is no chunk ⟨{title}⟩"))
            return ""
        block = self.essay.first_block(name)
        return self.link(block, f"⟨{block.title}⟩", "chunk-link") if is_text else f"⟨{block.title}⟩"

    def scene(self, match, line):
        """Return the element of the place at which a scene of the walk is said, and remember what that is."""
        name, says = match["scene"], match["says"]
        if not says or "<!-- scene" in says:
            self.errors.append((line, f"what is said in the scene {name} has no end: <!-- end -->"))
        else:
            first, before = self.said.get(name, (line, ""))
            self.said[name] = first, f"{before} {spoken(says)}".strip()
        return ElementTree.Element("span", {"class": "scene", "data-scene": name})

    def address_of(self, target):
        """Return the address that a link in the prose leads to: a #heading may be on another page."""
        name = target.removeprefix("#")
        line = self.first + self.text.partition(target)[0].count("\n")
        if name != target and name in self.essay.anchors:
            return f"@/{self.essay.anchors[name].path}{target}"
        if target.startswith("#term-"):
            self.term_links.append((name, line))
            return f"@/{BEGIN}{target}"
        readable = re.sub(f"{STX}amp{ETX}", "&", target)  # Markdown writes the addresses of mails in entities
        if not is_foreign(unescape(readable)):
            self.errors.append((line, f"{target} {NOWHERE}"))
        return target

    def with_terms(self, html):
        """Return the HTML of a text in which links to terms lead to their pages."""

        def address(match):
            page = self.terms.get(match[1])
            return f"@/{page.path}#{match[1]}" if page else ""

        return TERM.sub(address, html)

    def link(self, block, text, kind=""):
        """Return the element of a link to a block."""
        element = ElementTree.Element("a", {"class": kind} if kind else {}, href=address(block))
        element.set("data-peek", "")
        element.text = text
        return element


def spoken(text):
    """Return some of the prose as HTML without links, notes and comments."""
    plain = re.sub(r"(?s)<!--.*?-->|\[\^[^\]]*\]", "", text)
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(plain.split()))
    return html_of([(span.lastgroup or "", span[span.lastgroup or 0]) for span in SPAN.finditer(plain)])


def quotations(essay):
    """Return {line of the fence of an experiment: numbers of the lines of the quotation directly after it}."""
    quoted = {}
    for experiment in essay.experiments.values():
        lines, blank = [], True
        for number in range(experiment.fence.end + 1, len(essay.lines) + 1):
            text = essay.lines[number - 1]
            if number in essay.inside or HEADING.fullmatch(text) or (text.strip() and blank and not QUOTED.match(text)):
                break  # a line without > belongs to it only if it goes on with a paragraph
            blank = not text.strip()
            lines += [] if blank else range(lines[-1] + 1 if lines else number, number + 1)
        if lines:
            quoted[experiment.fence.line] = lines
    return quoted


def is_foreign(target):
    """Return whether an address leads out of the site."""
    return bool(re.match("https?://|mailto:", target))


def address(block):
    """Return the address of a block: below the site's root, which @ stands for."""
    return f"@/{block.page.path}#{block.id}"


class Tags(HTMLParser):
    """Looks through HTML; `odd` is the first tag that is not closed where it should be, or None."""

    def __init__(self, html):
        super().__init__()
        self.opened, self.odd = [], None
        self.feed(html)
        self.close()
        self.odd = self.odd or next(reversed(self.opened), None)

    def handle_starttag(self, tag, attributes):
        """Remember a tag that must be closed."""
        if tag not in EMPTY:
            self.opened.append(tag)

    def handle_endtag(self, tag):
        """Compare with the tag that was opened last."""
        if self.opened[-1:] == [tag]:
            self.opened.pop()
        elif tag not in EMPTY:
            self.odd = self.odd or (self.opened[-1] if tag in self.opened else tag)

    def handle_startendtag(self, tag, attributes):
        """Take <tag/> as a browser does, for <tag>."""
        self.handle_starttag(tag, attributes)


class Unmarked(Postprocessor):
    """Makes marks in HTML what they were, which has waited in a stash and is not escaped."""

    def __init__(self, reading):
        super().__init__(reading.markdown)
        self.reading = reading

    def run(self, text):
        """Change the stash, and return the text as it is."""
        stash = self.md.htmlStash.rawHtmlBlocks
        stash[:] = [MARK.sub(self.reading.unmarked, html) for html in stash]
        return text


class Found(InlineProcessor):
    """Makes an element of what is found in a text, for a Treeprocessor to see where it is: a mark, or [^name]."""

    def __init__(self, pattern, tag, markdown):
        super().__init__(pattern, markdown)
        self.element = tag

    def handleMatch(self, match, data):  # noqa: N802
        """Return the element and what it stands for."""
        return ElementTree.Element(self.element, name=match[1]), match.start(0), match.end(0)


class NoteTexts(BlockProcessor):
    """Makes elements of paragraphs that begin with [^name]: and are the texts of notes."""

    def test(self, parent, block):
        """Return whether a block is such a paragraph, or several without a blank line between them."""
        return bool(NOTE.match(block))

    def run(self, parent, blocks):
        """Take the block, and put the elements in its place."""
        for name, text in zip(*[iter(NOTE.split(blocks.pop(0))[1:])] * 2, strict=True):
            element = ElementTree.SubElement(parent, "note", name=name)
            element.text = " ".join(line.strip() for line in text.splitlines())


class Notes(Treeprocessor):
    """Puts the texts of notes where they are referred to, each after a number that can be switched on."""

    def __init__(self, reading):
        super().__init__(reading.markdown)
        self.reading = reading

    def run(self, root):
        """Change the tree in place."""
        texts = {}
        for parent in [*root.iter()]:
            for text in [child for child in parent if child.tag == "note"]:
                if text.get("name") in self.reading.noted:
                    self.complain(text, "is defined twice: give the second one another name")
                self.reading.noted.add(text.get("name"))
                texts[text.get("name")] = text
                parent.remove(text)
        for parent in [*root.iter()]:
            for reference in [child for child in parent if child.tag == "reference"]:
                text = texts.pop(reference.get("name"), None)
                if text is None:
                    self.complain(reference, "has no text: begin a paragraph below with it and a colon")
                replace(parent, reference, "" if text is None else self.note(text))
        for text in texts.values():
            self.complain(text, "is not referred to before the next heading")

    def note(self, text):
        """Return the element of a note: its number, and its text; without a margin the number is a switch."""
        self.reading.note_count += 1
        number = str(self.reading.note_count)
        whole = ElementTree.Element("span", {"class": "note"})
        label = ElementTree.SubElement(whole, "label", {"class": "note-mark", "data-search-exclude": ""})
        switch = {"type": "checkbox", "autocomplete": "off", "aria-label": f"Note {number}"}
        ElementTree.SubElement(label, "input", switch).tail = number
        text.tag, text.attrib = "span", {"class": "note-text", "role": "note", "data-number": number}
        text.text = f" {text.text or ''}"  # or the search would show it in one word with what is before it
        whole.append(text)
        return whole

    def complain(self, element, problem):
        """Add an error about [^name], with the line of the first one of that name."""
        name = f"[^{element.get('name')}]"
        line = self.reading.first + self.reading.text.partition(name)[0].count("\n")
        self.reading.errors.append((line, f"{name} {problem}"))


class Links(Treeprocessor):
    """Walks the tree of a text: marks become what they stand for, `names` that a program defines become links."""

    def __init__(self, reading):
        super().__init__(reading.markdown)
        self.reading = reading

    def run(self, root):
        """Change the tree in place."""
        self.walk(root, self.reading.is_text)

    def walk(self, parent, is_text):
        """Change what is below an element; with `is_text` false no links are made."""
        for element in [*parent]:
            inner = is_text and element.tag not in ("a", "pre")
            if element.tag == "dt":
                element.set("id", self.reading.ids.new("".join(element.itertext()), "term-"))
                self.reading.terms[element.get("id")] = self.reading.page
            for name in {"href", "src"} & {*element.attrib}:
                element.set(name, self.reading.address_of(element.get(name)))
                if SHOWN.match(element.get(name)):
                    element.set("data-peek", "")
            if element.tag == "mark" and "name" in element.attrib:
                replace(parent, element, self.reading.meaning(int(element.get("name")), is_text))
            elif element.tag == "code" and is_text and (match := MENTION.fullmatch(element.text or "")):
                if block := self.reading.essay.meant(match[1], self.reading.page):
                    link = self.reading.link(block, "")
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
