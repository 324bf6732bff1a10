"""HTML for chunks, demonstrations, listings and indexes, by the templates in docs/templates.

All addresses are written from the site's root, which @ stands for; pages.py makes them relative to their page.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import jinja2
from markupsafe import Markup, escape
from pygments.lexers import get_lexer_by_name
from pygments.lexers.special import TextLexer
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

import tangle
from weaver import experiments, playground
from weaver.essay import Forms
from weaver.prose import address, is_foreign

STYLES = {kind: name for kind, name in STANDARD_TYPES.items() if name}
PLAIN = {"", "n", "nn", "nx", "o", "p", "w", "sa", "vm", "fm"}  # in the colour of the text: most tokens
TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
REFERRING = ("root", "definition", "experiment")  # fences that may have references
NOT_YET = "(has not run yet)"

for prefix, name in (("", SVG), ("xlink", XLINK)):
    ElementTree.register_namespace(prefix, name)


class Token(NamedTuple):
    """A piece of code of one colour: its text, and the line of the essay and the column (from 0) where it begins."""

    style: str
    text: str
    line: int
    column: int


def tokens(fence):
    """Yield the Tokens of the code of a fence; references are left out, and no token reaches over the end of a line."""
    refers = fence.kind in REFERRING
    code = "\n".join("" if refers and tangle.REFERENCE.fullmatch(line) else line for line in fence.code)
    line, column = fence.line + 1, 0
    for style, text in lexed(fence.language or "text", code):
        for i, piece in enumerate(text.split("\n")):
            line, column = (line + 1, 0) if i else (line, column)
            if piece:
                yield Token(style, piece, line, column)
            column += len(piece)


@lru_cache(5000)  # each fence is shown on two or three pages, at each weave of `--serve`
def lexed(language, code):
    """Return [(style, text)] of some code."""
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        lexer = TextLexer(stripnl=False, ensurenl=False)
    found = []
    for kind, text in lexer.get_tokens(code):
        while kind not in STYLES and kind.parent:
            kind = kind.parent
        found.append((STYLES.get(kind, ""), text))
    return found


def coloured(token):
    """Return the HTML of a token."""
    html = escape(token.text)
    return html if token.style in PLAIN else Markup(f'<span class="{token.style}">{html}</span>')  # noqa: S704 (escaped)


def peek(place, html, stop=True):
    """Return a link that shows a preview of a place; with `stop` false the Tab key passes it by."""
    tab = "" if stop else Markup(' tabindex="-1"')
    return Markup('<a href="{}"{} data-peek>{}</a>').format(address(place), tab, html)


class Renderer(Forms):
    """Turns fences of an essay into HTML.

    `results` is {name of a demonstration: Result}, `paths` {target: path of the page of that program}. Headings are
    `deeper` by so many levels than in the essay. `anchors` is {id: page} of all that a link in a figure may lead to;
    `runs` says whether the site has a page on which chunks are edited and run.
    """

    def __init__(self, essay, results, paths, deeper=0, anchors=None, laboratory=None, runs=False):
        self.essay, self.results, self.deeper = essay, results, deeper
        self.anchors = essay.anchors if anchors is None else anchors
        self.laboratory = laboratory or experiments.Laboratory()
        self.begin_page()
        loader = jinja2.FileSystemLoader(TEMPLATES)
        self.templates = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
        self.templates.globals |= {"address": address, "main": essay.main, "paths": paths, "runs": runs}
        self.templates.globals["indent_of"] = indent_of
        self.templates.globals["place_in"] = self.templates.get_template("macros.html").module.place_in

    def begin_page(self):
        """Forget which places the links of the last page lead to: the first link to each is a stop for the Tab key."""
        self.seen = set()

    def is_first(self, place):
        """Return whether no link before leads to a place: later ones are passed by."""
        known = place.id in self.seen
        self.seen.add(place.id)
        return not known

    def template(self, name, /, **values):
        """Return a template, filled in, as HTML that is safe in others."""
        return Markup(self.templates.get_template(f"{name}.html").render(**values))  # noqa: S704

    def experiment(self, fence):
        """Return the HTML of an experiment."""
        return experiments.box(self, fence)

    def illustration(self, fence):
        """Return the HTML of a fence that is nothing but shown."""
        return self.template("illustration", code=self.code(fence))

    def code_lines(self, fence):
        """Return [(text, HTML)] of the lines of a fence, with references and names of its program as links."""
        names = self.essay.names_in(fence) if fence.line in self.essay.places else {}
        lines = {fence.line + 1 + i: Markup("") for i in range(len(fence.code))}
        for token in tokens(fence):
            place, html = names.get((token.line, token.column)), coloured(token)
            lines[token.line] += html if place is None else peek(place, html, stop=self.is_first(place))
        for number, _, reference in tangle.numbered([fence]) if fence.kind in REFERRING else ():
            if reference:
                lines[number] = self.reference(reference, folds=fence.kind != "experiment")
        return list(zip(fence.code, lines.values(), strict=True))

    def reference(self, reference, folds=True):
        """Return the HTML of a reference in code: a link, and perhaps a button that shows the chunk there."""
        place = self.essay.first_place(reference["name"])
        indent = reference["indent"]
        if not folds:
            return Markup("{}{}").format(indent, peek(place, f"⟨{place.title}⟩", stop=self.is_first(place)))
        columns, stop = len(indent.expandtabs()), self.is_first(place)
        shown = self.template("reference", name=reference["name"], columns=columns, place=place, stop=stop)
        return Markup("{}{}").format(indent, shown)

    def code(self, *fences):
        """Return the HTML of the code of some fences, one after the other; blank lines at the top are left out.

        Each line knows its own indentation: where it has to be broken, it hangs from there.
        """
        lines = [line for fence in fences for line in self.code_lines(fence)]
        first = next((i for i, (text, _) in enumerate(lines) if text.strip()), 0)
        shown = Markup('<span class="line" style="--indent: {}ch">{}\n</span>')
        return Markup("").join(shown.format(indent_of(text), html) for text, html in lines[first:])

    def level_below(self, line):
        """Return the level of a heading below the one that a line of the essay stands under."""
        return min(self.essay.level_at(line) + 1 + self.deeper, 6)

    def chunk(self, place):
        """Return the HTML of a root or of one fence of a chunk."""
        fence, siblings = place.fence, self.essay.siblings(place)
        neighbours = (("previous", "↑", place.number - 2), ("next", "↓", place.number))
        arrows = [(word, sign, siblings[i]) for word, sign, i in neighbours if 0 <= i < len(siblings)]
        uses = [(program, program.runs(fence)) for program in self.essay.programs_with(fence) if program.runs(fence)]
        return self.template(
            "chunk",
            place=place,
            level=self.level_below(fence.line),
            found=self.essay.main in self.essay.programs_with(fence) and not self.essay.is_folded(fence.line),
            arrows=arrows,
            users=[(user, self.is_first(user)) for user in self.essay.users_shown(fence)],
            uses=uses,
            is_run=any(program in playground.programs(self.essay) for program, _ in uses),
            source="\n".join(fence.code),
            code=self.code(fence),
        )

    def demonstration(self, fence):
        """Return the HTML of a demonstration."""
        result = self.results.get(fence.name)
        text, drawn, given = result or (NOT_YET, [], "")
        alt = fence.options.get("alt", "")
        place = f"demonstration-{fence.name}"
        figures = [figure(svg, f"{place}_{i}_", alt, self.anchors) for i, svg in enumerate(drawn, 1)]
        return self.template(
            "demonstration",
            id=place,
            figures=figures,
            caption=fence.options.get("caption", ""),
            widget=fence.options.get("widget") if given else None,
            given=given,
            text=text,
            code=self.code(fence),
        )

    def program(self, program, downloads):
        """Return the HTML of the listing of a program; `downloads` are the files that one needs to run it."""
        whole = tangle.Fence("illustration", "", language_of(self.essay, program), {}, 0, program.text.split("\n")[:-1])
        shown = [Markup("") for _ in whole.code]
        for token in tokens(whole):
            name = program.uses.get((token.line, token.column))
            html = coloured(token)
            place = self.essay.definition(name, [program]) if name else None
            shown[token.line - 1] += peek(place, html, stop=False) if place else html
        lines, before, tried = [], None, experiments.tried(self.essay)
        for html, line in zip(shown, program.lines, strict=False):
            place = self.essay.place_at(line.origin)
            values = {"place": place, "stop": place is not before, "indent": indent_of(line.text)}
            lines.append({"html": html, "experiments": tried.get(line.origin, []), **values})
            before = place
        return self.template("listing", program=program, lines=lines, downloads=downloads)

    def chunk_index(self):
        """Return the HTML of the index of chunks."""
        rows = [[[(place, f"⟨{place.title}⟩", "chunk", True)], [], []]
                for place in self.essay.places.values() if place.fence.kind == "root"]  # fmt: skip
        for name in sorted(self.essay.chunks):
            first, *more = self.essay.siblings(self.essay.first_place(name))
            rows.append([
                [(first, f"⟨{first.title}⟩", "chunk", True)],
                [(place, f"part {place.number}", "chunk", True) for place in more],
                [(place, f"⟨{place.title}⟩", "chunk", False) for place in self.essay.users[name]],
            ])  # fmt: skip
        return self.template("indexes", heads=("chunk", "continued in", "used in"), rows=rows)

    def name_index(self):
        """Return the HTML of the index of names."""
        rows = [
            [
                [(place, name, "name", True)],
                [(place, f"⟨{place.title}⟩", "chunk", False)],
                [(user, f"⟨{user.title}⟩", "chunk", False) for user in users],
            ]
            for name, place, users in self.essay.index
        ]
        return self.template("indexes", heads=("name", "defined in", "used in"), rows=rows)

    def unfolded(self):
        """Return {name of a chunk: HTML of its code}, for the buttons that show it in place of a reference."""
        found = {}
        for name, fences in self.essay.chunks.items():
            self.begin_page()
            found[name] = str(self.code(*fences))
        return found


def indent_of(text):
    """Return how many columns a line of code is indented."""
    text = text.expandtabs()
    return len(text) - len(text.lstrip())


def language_of(essay, program):
    """Return the language of a program, as its root has it."""
    return essay.roots[program.target].language


def figure(svg, prefix, alt, anchors):
    """Return a figure for the page: unique ids, black that follows the colour of the text, the alternative text, links.

    No other id of the site has the _ that is in the prefix.
    """
    root = ElementTree.fromstring(svg)  # noqa: S314 (a demonstration has made it, and that it is XML is checked)
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "group" if links_in(root) else "img", "aria-label": alt}  # an image has nothing in it
    root.set("data-search-exclude", "")  # words of an axis say little in the excerpt of a page
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, prefix + value)
            elif name.endswith("href"):
                element.set(name, f"#{prefix}{value[1:]}" if value.startswith("#") else value)
            elif name != "aria-label":
                value = value.replace("url(#", f"url(#{prefix}")
                element.set(name, re.sub(r"\b(fill|stroke): ?#000000", r"\1: currentColor", value))
    for element, target in links_in(root):
        anchor = target.removeprefix(f"#{prefix}")
        for name in (f"{{{XLINK}}}href", "target"):  # matplotlib would open another window
            element.attrib.pop(name, None)
        element.set("href", f"@/{anchors[anchor].path}#{anchor}" if anchor != target else target)
        if anchor != target:
            element.set("data-peek", "")
        if not "".join(element.itertext()).strip():
            element.set("aria-label", anchor.replace("-", " "))
    text = ElementTree.tostring(root, encoding="unicode")
    return Markup(re.sub(r"\n\s*\n", "\n", text))  # noqa: S704


def links_in(root):
    """Return [(element, address)] of the links in a figure, as matplotlib makes them after set_url."""
    found = [(element, element.get("href") or element.get(f"{{{XLINK}}}href")) for element in root.iter(f"{{{SVG}}}a")]
    return [(element, target) for element, target in found if target]


def loose_links(svg, anchors):
    """Return the addresses in a figure that lead nowhere: a link is https://… or an anchor of the site."""
    found = [target for _, target in links_in(ElementTree.fromstring(svg))]  # noqa: S314
    return [target for target in found if not (is_foreign(target) or (target[:1] == "#" and target[1:] in anchors))]


def is_svg(text):
    """Return whether a text can be shown as a figure."""
    try:
        return ElementTree.fromstring(text).tag == f"{{{SVG}}}svg"  # noqa: S314 (of the essay's own demonstrations)
    except (ElementTree.ParseError, ValueError):
        return False
