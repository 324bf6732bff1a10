"""HTML for chunks, demonstrations, listings and indexes, by the templates in docs/templates.

All addresses are written from the site's root, which @ stands for; pages.py makes them relative to their page.
"""

import re
from functools import cache, cached_property, lru_cache
from pathlib import Path
from xml.etree import ElementTree

import jinja2
from markupsafe import Markup, escape
from pygments.lexers import get_lexer_by_name
from pygments.lexers.special import TextLexer
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

import tangle
from weaver import helpers, minimap, playground, trials, walk
from weaver.essay import html_of
from weaver.prose import address, is_foreign

STYLES = {kind: name for kind, name in STANDARD_TYPES.items() if name}
PLAIN = {"", "n", "nn", "nx", "o", "p", "w", "sa", "vm", "fm"}  # in the colour of the text: most tokens
TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
JINJA = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined)
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
REFERRING = ("root", "definition", "experiment")  # fences that may have references
SIGNS = {"-": "removed", "+": "added", " ": "kept"}
NOT_YET = "(has not run yet)"
ROLES = {"query": "query", "wq": "query", "key": "key", "keys": "key", "k": "key", "wk": "key", "values": "value",
         "v": "value", "wv": "value"}  # fmt: skip # names with a colour of their own, in code about queries
# The colours that demonstrations draw with (see prelude.py), as page.css has them for light and dark pages
COLOURS = {"#000000": "currentColor", "#3d85c6": "var(--blue)", "#d9731a": "var(--orange)", "#1a9a74": "var(--green)",
           "#b45aa8": "var(--purple)", "#808080": "var(--grey)"}  # fmt: skip
DRAWN = ("d", "x", "y", "points", "transform")  # attributes whose numbers need no more than one decimal
FACE = re.compile(r"font-family: [^;]*; ?")  # the page has its own
PAINT = re.compile(f"\\b(fill|stroke): ?({'|'.join(COLOURS)})")

for prefix, name in (("", SVG), ("xlink", XLINK)):
    ElementTree.register_namespace(prefix, name)


def pieces_of(fence):
    """Return {line of the essay: [(column, HTML)]} of the pieces of each colour in the code of a fence."""
    refers = fence.kind in REFERRING
    code = "\n".join("" if refers and tangle.REFERENCE.fullmatch(line) else line for line in fence.code)
    return dict(enumerate(coloured(fence.language, code), fence.line + 1))


@lru_cache(2000)  # `--serve` shows the same code again after each save
def coloured(language, code):
    """Return [(column, HTML)] of the pieces of each colour for each line of some code."""
    lines, column, roles = [[]], 0, ROLES if re.search(r"\b(query|wq)\b", code) else {}
    for kind, text in lexer_of(language).get_tokens(code):
        style = roles.get(text.strip("\"'"), style_of(kind))
        for i, piece in enumerate(text.split("\n")):
            if i:
                lines.append([])
                column = 0
            if piece:
                html = str(escape(piece))
                lines[-1].append((column, html if style in PLAIN else f'<span class="{style}">{html}</span>'))
                column += len(piece)
    return lines


@cache
def lexer_of(language):
    """Return the lexer of a language; of one that is not known it takes all for text."""
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return TextLexer(stripnl=False, ensurenl=False)


@cache
def style_of(kind):
    """Return the style of a kind of token, that of the nearest kind which has one."""
    return STYLES.get(kind) or (style_of(kind.parent) if kind.parent else "")


def peek(block, html, stop=True):
    """Return a link that shows a preview of a block; with `stop` false the Tab key passes it by."""
    tab = "" if stop else ' tabindex="-1"'
    return f'<a href="{address(block)}"{tab} data-peek>{html}</a>'


class Forms:
    """What shows the fences and directives of an `essay`: it has a method for each kind."""

    def part(self, line):
        """Return what the fence or the directive on a line of the essay is shown as."""
        if line not in self.essay.directives:
            return self.fence(self.essay.inside[line])
        kind, target = self.essay.directives[line]
        return self.whole(self.essay.programs[target]) if kind == "listing" else self.experiment_map()

    def fence(self, fence):
        """Return what a fence of any kind is shown as."""
        if fence.kind == "demonstration":
            return self.demonstration(fence)
        if fence.kind in ("root", "definition"):
            return self.chunk(self.essay.blocks[fence.line])
        if fence.kind == "experiment":
            return self.experiment(fence)
        return self.illustration(fence)


class Renderer(Forms):
    """Turns fences of an essay into HTML.

    `results` is {name of a demonstration: Result}, `paths` {target: path of the page of that program}. `anchors` is
    {id: page} of all that a link in a figure may lead to; `folder` has what edits and runs programs, if anything does;
    `scenes` are those of the walk, and `film` says how long and how large its film is, if there is one.
    """

    def __init__(self, essay, results, paths, anchors=None, findings=None, folder="", scenes=(), film=""):
        self.essay, self.results, self.scenes, self.film = essay, results, scenes, film
        self.anchors = essay.anchors if anchors is None else anchors
        self.findings = findings or trials.Findings()
        self.begin_page()
        self.known = {"address": address, "indent_of": indent_of, "main": essay.main, "paths": paths}
        self.known |= {"folder": folder, "bench": folder and self.bench}
        self.known["experiments_page"] = essay.experiments_page

    def begin_page(self):
        """Forget which blocks the links of the last page lead to: the first link to each is a stop for the Tab key."""
        self.seen = set()

    def is_first(self, block):
        """Return whether no link before leads to a block: later ones are passed by."""
        known = block.id in self.seen
        self.seen.add(block.id)
        return not known

    def template(self, name, /, **values):
        """Return a template, filled in, as HTML that is safe in others."""
        return Markup(JINJA.get_template(f"{name}.html").render(**self.known, **values))  # noqa: S704

    def illustration(self, fence):
        """Return the HTML of a fence that is nothing but shown."""
        return self.template("illustration", code=self.code(fence))

    @cached_property
    def pieces(self):
        """{line of the essay: [(column, HTML)]} of the code in all fences that make programs."""
        return {line: pieces for block in self.essay.blocks.values() for line, pieces in pieces_of(block.fence).items()}

    def code_lines(self, fence):
        """Return [(text, HTML)] of the lines of a fence, with references and names of its program as links."""
        is_block, shown = fence.line in self.essay.blocks, []
        names, pieces = (self.essay.names_in(fence), self.pieces) if is_block else ({}, pieces_of(fence))
        for number, text, reference in tangle.numbered([fence]):
            if reference and fence.kind in REFERRING:
                shown.append((text, self.reference(reference, folds=fence.kind != "experiment")))
            else:
                shown.append((text, "".join(self.linked(names.get((number, column)), html)
                                            for column, html in pieces[number])))  # fmt: skip
        return shown

    def linked(self, block, html):
        """Return some HTML as a link to a block, if there is one."""
        return peek(block, html, stop=self.is_first(block)) if block else html

    def reference(self, reference, folds=True):
        """Return the HTML of a reference in code: a link, and perhaps a button that shows the chunk there."""
        block = self.essay.first_block(reference["name"])
        indent = reference["indent"]
        if not folds:
            return indent + self.linked(block, f"⟨{block.title}⟩")
        columns, stop = len(indent.expandtabs()), self.is_first(block)
        return indent + self.template("reference", name=reference["name"], columns=columns, block=block, stop=stop)

    def code(self, *fences):
        """Return the HTML of the code of some fences, one after the other; blank lines at the top are left out.

        Each line knows its own indentation: if it is broken, the rest hangs from there.
        """
        lines = [line for fence in fences for line in self.code_lines(fence)]
        first = next((i for i, (text, _) in enumerate(lines) if text.strip()), 0)
        shown = [
            f'<span class="line" style="--indent: {indent_of(text)}ch">{html}\n</span>' for text, html in lines[first:]
        ]
        return Markup("".join(shown))  # noqa: S704 (the lines are HTML)

    def level_below(self, line):
        """Return the level of a heading below the one that a line of the essay stands under."""
        return min(self.essay.level_at(line) + 1, 6)

    def chunk(self, block):
        """Return the HTML of a root or of one fence of a chunk."""
        fence, siblings = block.fence, self.essay.siblings(block)
        neighbours = (("previous", "↑", block.number - 2), ("next", "↓", block.number))
        arrows = [(word, sign, siblings[i]) for word, sign, i in neighbours if 0 <= i < len(siblings)]
        uses = [(program, program.runs(fence)) for program in self.essay.programs_with(fence) if program.runs(fence)]
        return self.template(
            "chunk",
            block=block,
            level=self.level_below(fence.line),
            is_searched=not self.essay.is_folded(fence.line),
            is_main=self.essay.main in self.essay.programs_with(fence),
            arrows=arrows,
            users=[(user, self.is_first(user)) for user in self.essay.users_shown(fence)],
            uses=uses,
            key=playground.key_of(block),
            source="\n".join(fence.code),
            code=self.code(fence),
        )

    def demonstration(self, fence):
        """Return the HTML of a demonstration."""
        if fence.options.get("widget") == walk.WIDGET:
            return self.walk(fence)
        result = self.results.get(fence.name)
        text, drawn, given = result or (NOT_YET, [], "")
        alt = fence.options.get("alt", "")
        anchor = f"demonstration-{fence.name}"
        called = helpers.shown("\n".join(fence.code))
        folded = [fence] * bool(drawn) + [fence._replace(code=f"\n\n{called}".split("\n"))] * bool(called)
        figures = [figure(svg, f"{anchor}_{i}_", alt, self.anchors) for i, svg in enumerate(drawn, 1)]
        return self.template(
            "demonstration",
            id=anchor,
            figures=figures,
            caption=fence.options.get("caption", ""),
            place=fence.options.get("place"),
            widget=fence.options.get("widget") if given else None,
            given=given,
            text=text,
            code="" if drawn else self.code(fence),
            folded=self.code(*folded),
        )

    def walk(self, fence):
        """Return the HTML of the walk through the program: its listing, and a still of each scene."""
        lines = self.essay.main.text.split("\n")
        scenes = [(scene, [(row, lines[row - 1].strip(), made) for row, made in walk.told(scene)], walk.still_path(i))
                  for i, scene in enumerate(self.scenes, 1)]  # fmt: skip
        values = {"listing": self.whole(self.essay.main), "scenes": scenes, "alt": fence.options.get("alt", "")}
        values |= {"id": f"demonstration-{fence.name}", "script": self.code(fence), "film": self.film}
        width, height = walk.size(self.essay, self.results)
        return self.template("walk", width=width, height=height, **values)

    def bench(self, fence):
        """Return the path of the page on which a fence is edited, or an experiment is tried; None if no page can."""
        first = next(iter(trials.blocks(self.essay, fence)), None) if fence.kind == "experiment" else None
        program = playground.runs_in(self.essay, first.fence if first else fence)
        return self.known["paths"].get(program.target) if program else None

    def program(self, program, downloads):
        """Return the HTML of the page of a program; `downloads` are the files you need to run it."""
        experiments = [block.fence for block in self.essay.experiments.values()]
        is_tried = program.target in {trials.target_of(self.essay, fence) for fence in experiments}
        tried, harms = trials.tried(self.essay), trials.harms(self.essay, self.findings)
        tried, harms = (tried, harms) if is_tried else ({}, {})  # others share lines with it, and stop elsewhere
        lines, before = [], None
        watched = walk.moments(self.scenes) if program is self.essay.main else {}
        ways = [*playground.ways([self.essay.roots[program.target]], self.essay.chunks)]
        for row, line in enumerate(program.lines[: program.text.count("\n")], 1):
            block, names = self.essay.block_at(line.origin), program.uses.get(row, {})
            html = "" if line.indent and not line.text.strip() else line.indent
            for column, piece in self.pieces[line.origin]:
                name = names.get(column + len(line.indent))
                html += peek(self.essay.definition(name, [program]), piece, stop=False) if name else piece
            values = {"block": block, "stop": block is not before, "indent": indent_of(line.text)}
            values |= {"origin": line.origin, "shift": len(line.indent), "harm": harms.get(line.origin)}
            values |= {"is_empty": not line.text.strip(), "moment": watched.get(row), "way": ways[row - 1]}
            lines.append({"html": Markup(html), "experiments": tried.get(line.origin, []), **values})  # noqa: S704
            before = block
        found = [harm for harm in harms.values() if any(line["harm"] is harm for line in lines)]
        legend = [(harm, sum(line["harm"] == harm for line in lines)) for harm in sorted({*found})]
        runs, flags = program in playground.programs(self.essay), playground.flags(program)
        values = {"program": program, "lines": lines, "legend": legend, "downloads": downloads, "flags": flags}
        values["walk"] = watched and walk.page_of(self.essay)
        return self.template("listing", runs=runs and self.known["folder"], **values)

    def whole(self, program):
        """Return the HTML of a program in one piece, within the essay: the number of each line leads to its chunk."""
        lines, before = [], None
        for line in program.lines[: program.text.count("\n")]:
            block = self.essay.block_at(line.origin)
            html = Markup("".join(html for _, html in self.pieces[line.origin]))  # noqa: S704
            lines.append((line, html, block, block is not before))
            before = block
        return self.template("whole", lines=lines)

    def experiment(self, fence):
        """Return the HTML of an experiment: what it changes, and, folded away but below their map, what happens."""
        return self.template(
            "experiment",
            block=self.essay.experiments[fence.name],
            level=self.level_below(fence.line),
            chunks=[(block, self.is_first(block)) for block in trials.blocks(self.essay, fence)],
            code=self.diff(fence),
            outcome=html_of(self.findings.outcome(fence.name)),
            picture=Markup(self.findings.picture(fence.name)),  # noqa: S704 (made of numbers)
            names=self.findings.names(fence.name),
            explanation=Markup(self.findings.explanations.get(fence.line, "")),  # noqa: S704 (made by Reading)
            command=trials.command(self.essay, fence),
        )

    def diff(self, experiment):
        """Return the HTML of the lines of an experiment, with their signs and with colours as in the chunk."""
        language = next((block.fence.language for block in trials.blocks(self.essay, experiment)), "python")
        hunks = []
        for hunk in tangle.hunks_of(experiment):
            code = experiment._replace(language=language, code=[text for _, text, _ in hunk])
            lines = [Markup(html) for _, html in self.code_lines(code)]  # noqa: S704
            hunks.append([(SIGNS[sign], sign, text, html) for (sign, text, _), html in zip(hunk, lines, strict=True)])
        return self.template("diff", hunks=hunks)

    def experiment_map(self):
        """Return the HTML of the picture of all experiments, and of which of them change nothing."""
        lists = trials.without_effect(self.essay, self.findings)
        return self.template("experiments", map=self.minimap(), lists=lists)

    def minimap(self):
        """Return the HTML of the picture of the first program: its lines by what happens without them."""
        rows = minimap.rows(self.essay.main, trials.harms(self.essay, self.findings))
        path = self.known["paths"].get(self.essay.main.target)
        picture = minimap.picture(rows, address=path and f"@/{path}")
        legend = [(minimap.mark(level), words, count) for level, words, count in minimap.legend(rows)]
        caption = trials.caption(self.findings.record)
        return self.template("minimap", picture=Markup(picture), legend=legend, caption=caption)  # noqa: S704

    def chunk_index(self):
        """Return the HTML of the index of chunks."""
        rows = [[[(block, f"⟨{block.title}⟩", "chunk", True)], [], []]
                for block in self.essay.blocks.values() if block.fence.kind == "root"]  # fmt: skip
        for name in sorted(self.essay.chunks):
            first, *more = self.essay.siblings(self.essay.first_block(name))
            rows.append([
                [(first, f"⟨{first.title}⟩", "chunk", True)],
                [(block, f"part {block.number}", "chunk", True) for block in more],
                [(block, f"⟨{block.title}⟩", "chunk", False) for block in self.essay.users[name]],
            ])  # fmt: skip
        return self.template("indexes", heads=("chunk", "continued in", "used in"), rows=rows)

    def name_index(self):
        """Return the HTML of the index of names."""
        rows = [
            [
                [(block, name, "name", True)],
                [(block, f"⟨{block.title}⟩", "chunk", False)],
                [(user, f"⟨{user.title}⟩", "chunk", False) for user in users],
            ]
            for name, block, users in self.essay.index
        ]
        return self.template("indexes", heads=("name", "defined in", "used in"), rows=rows)

    def unfolded(self):
        """Return {name of a chunk: HTML of its code}, for the buttons that show it in place of a reference."""
        unfolded = {}
        for name, fences in self.essay.chunks.items():
            self.begin_page()
            unfolded[name] = self.code(*fences)
        return unfolded


def indent_of(text):
    """Return how many columns a line of code is indented."""
    text = text.expandtabs()
    return len(text) - len(text.lstrip())


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
    root.set("fill", "currentColor")  # of what matplotlib draws black, for which it says nothing
    root.set("data-search-exclude", "")  # words of an axis say little in the excerpt of a page
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, prefix + value)
            elif name.endswith("href"):
                element.set(name, f"#{prefix}{value[1:]}" if value.startswith("#") else value)
            elif name != "aria-label":
                value = value.replace("url(#", f"url(#{prefix}")
                if name in DRAWN:
                    value = re.sub(r"\d+\.\d{2,}", lambda match: f"{float(match[0]):.1f}", value)
                value = FACE.sub("", value)
                element.set(name, PAINT.sub(lambda match: f"{match[1]}: {COLOURS[match[2]]}", value))
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
    used = {*re.findall(rf"#({prefix}[^\")]+)", text)}
    text = re.sub(rf' id="({prefix}[^"]*)"', lambda match: match[0] if match[1] in used else "", text)
    return Markup(re.sub(r"\n\s*", "\n", text))  # noqa: S704


def links_in(root):
    """Return [(element, address)] of the links in a figure, as matplotlib makes them after set_url."""
    links = [(element, element.get("href") or element.get(f"{{{XLINK}}}href")) for element in root.iter(f"{{{SVG}}}a")]
    return [(element, target) for element, target in links if target]


def loose_links(svg, anchors):
    """Return the addresses in a figure that lead nowhere: a link is https://… or an anchor of the site."""
    targets = [target for _, target in links_in(ElementTree.fromstring(svg))]  # noqa: S314
    return [target for target in targets if not (is_foreign(target) or (target[:1] == "#" and target[1:] in anchors))]
