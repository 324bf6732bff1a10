"""The HTML of the prose as Markdown again, with links, numbers and terms as prose.py has resolved them.

The slots of fences stay what they are, and so does HTML for which GitHub's Markdown has no form.
"""

import re
from html import escape
from html.parser import HTMLParser

from weaver.prose import EMPTY, SLOT

SPECIAL = re.compile(r"[\\`*\[\]<$|]|(?<!\w)_|_(?!\w)|~(?=~)|&(?=#?\w+;)")
LEADING = re.compile(r"(?m)^( *\d+(?=[.)]\s)| *(?=[-+]\s|>|#+\s|=+ *$))")  # before what would begin another block
GAP = "\n\n"  # a blank line, between blocks
BLOCK = GAP + "{}" + GAP
FORMS = {"em": "*{}*", "strong": "**{}**", "tr": "|{}\n", "tbody": "{}\n", "dd": ": {}" + GAP,
         "summary": "<summary>{}</summary>" + GAP} | dict.fromkeys(("p", "ul", "ol", "table", "dl"), BLOCK)  # fmt: skip
PARTED = ("table", "thead", "tbody", "tr", "ul", "ol", "dl")  # tags between whose parts blanks mean nothing
BLOCKS = ("div", "pre")  # tags that stand on lines of their own, where they stay


class Writer(HTMLParser):
    """Writes HTML as Markdown; `address(href)` says where a link leads, `anchor(id)` is what makes a place for one."""

    def __init__(self, address, anchor):
        super().__init__()
        self.address, self.anchor = address, anchor
        self.begin("")

    def begin(self, name):
        """Begin to collect notes: `notes` is {name that a text refers to: text}, and `name` is what they begin with."""
        self.name, self.notes = name, {}

    def markdown(self, html):
        """Return the Markdown of some HTML: blocks, with a blank line between them, or the text of a line."""
        self.reset()
        self.opened = [("", {}, [])]  # (tag, attributes, pieces of Markdown) of the elements that are open
        self.feed(html)
        self.close()
        return re.sub(r"\n{3,}", "\n\n", "".join(self.opened[0][2])).strip("\n")

    def put(self, text):
        """Add some Markdown to the element that is open."""
        self.opened[-1][2].append(text)

    def is_in(self, *tags):
        """Return whether one of some elements is open."""
        return any(tag in tags for tag, _, _ in self.opened)

    def handle_starttag(self, tag, attributes):
        """Open an element; one that is always empty stays as it is."""
        if tag in EMPTY:
            self.put(self.get_starttag_text())
        else:
            self.opened.append((tag, dict(attributes), []))

    def handle_endtag(self, tag):
        """Close an element."""
        if tag not in EMPTY:
            _, attributes, pieces = self.opened.pop()
            self.put(self.element(tag, attributes, "".join(pieces)))

    def handle_data(self, text):
        """Add some text. In a summary and a pre, which stay HTML, nothing is Markdown; a blank line would end them."""
        if self.opened[-1][0] in PARTED and not text.strip():
            return
        if self.is_in("pre"):
            self.put(escape(text, quote=False).replace("\n", "&#10;"))
        elif self.is_in("summary"):
            self.put(escape(text, quote=False))
        elif self.is_in("code"):
            self.put(text.replace("|", r"\|") if self.is_in("td", "th") else text)
        else:
            self.put(escaped(text))

    def element(self, tag, attributes, inner):
        """Return an element in Markdown; `inner` is what it has in it."""
        if self.is_in("summary", "pre"):
            return as_html(tag, attributes, inner)
        if tag in ("ul", "ol") and self.is_in("li"):  # with a blank line before it the outer one would be spread out
            return f"\n{inner.strip()}\n"
        if tag in FORMS:
            return FORMS[tag].format(inner.strip())
        write = {"a": self.link, "li": self.item, "dt": self.term, "details": self.fold,
                 "span": self.note, "label": self.mark_of_note}.get(tag)  # fmt: skip
        if write:
            return write(attributes, inner)
        if tag in WRITTEN:
            return WRITTEN[tag](inner)
        if tag in BLOCKS:
            html = as_html(tag, attributes, inner)
            is_whole = tag == "pre" or SLOT.fullmatch(html)
            return BLOCK.format(html if is_whole else as_html(tag, attributes, BLOCK.format(inner)))
        return as_html(tag, attributes, inner)

    def link(self, attributes, inner):
        """Return a link."""
        return f"[{inner}]({self.address(attributes.get('href', ''))})"

    def item(self, _, inner):
        """Return an entry of a list, which keeps count of them."""
        tag, attributes, _ = self.opened[-1]
        number = int(attributes.get("start") or 1)
        attributes["start"] = number + 1
        mark = f"{number}. " if tag == "ol" else "- "
        return indented(inner, mark, " " * len(mark)) + (GAP if GAP in inner else "\n")

    def term(self, attributes, inner):
        """Return a term of a list of definitions; GitHub has no such lists, and a paragraph each does."""
        return f"{GAP}{self.place(attributes)}**{inner}**"

    def note(self, attributes, inner):
        """Return the reference to a note, whose text is collected; the number before it says the same."""
        if attributes.get("class") != "note-text":
            return inner if attributes.get("class") == "note" else as_html("span", attributes, inner)
        name = f"{self.name}{attributes['data-number']}"
        self.notes[name] = inner.strip()
        return f"[^{name}]"

    def mark_of_note(self, attributes, inner):
        """Return nothing for the number of a note."""
        return "" if attributes.get("class") == "note-mark" else as_html("label", attributes, inner)

    def fold(self, attributes, inner):
        """Return what is folded away; its own place stands above, where it is seen."""
        return BLOCK.format(f"{self.place(attributes)}{GAP}<details>{inner.strip()}{GAP}</details>")

    def place(self, attributes):
        """Return what makes a place of an element that has an id, nothing for another one."""
        return self.anchor(attributes["id"]) if "id" in attributes else ""


def code(inner):
    """Return code in a text."""
    ticks = "`" * (1 + max(map(len, re.findall("`+", inner)), default=0))
    return f"{ticks} {inner} {ticks}" if "`" in (inner[:1], inner[-1:]) else f"{ticks}{inner}{ticks}"


def quotation(inner):
    """Return a quotation."""
    return BLOCK.format(indented(inner, "> ", "> "))


def head(inner):
    """Return the head of a table, and the line below that makes it one."""
    columns = len(re.findall(r"(?<!\\)\|", inner)) - 1
    return f"{inner.strip()}\n|{' --- |' * columns}\n"


def cell(inner):
    """Return a cell of a table: it has no line ends."""
    return f" {' '.join(inner.split())} |"


WRITTEN = {"code": code, "blockquote": quotation, "thead": head, "td": cell, "th": cell}


def as_html(tag, attributes, inner):
    """Return an element as HTML."""
    shown = "".join(f' {name}="{escape(value or "")}"' for name, value in attributes.items())
    return f"<{tag}{shown}>{inner}</{tag}>"


def escaped(text):
    """Return a text in which nothing is Markdown."""
    return LEADING.sub(r"\1\\", SPECIAL.sub(r"\\\g<0>", text))


def indented(text, first, others):
    """Return the lines of a text, indented: the first one in another way than the others."""
    return re.sub(r"(?m)[ ]+$", "", first + text.strip().replace("\n", f"\n{others}"))
