"""Weave: turn the essay into a web site.

    python docs/weave.py             microgpt.md -> build/pages/ (Markdown and HTML) -> build/site/ (mkdocs)
    python docs/weave.py --pages     only the pages
    python docs/weave.py --update    also write the right numbers into the prose of microgpt.md
    python docs/weave.py --serve     show the site at http://127.0.0.1:8000/ and follow every save

Every `# ` heading of the essay begins a page. Chunks become HTML with links; demonstrations are run by Pweave, and what
they print and draw follows them. Results are kept in build/cache, which may be deleted at any time. What is wrong is
printed as microgpt.md:LINE: MESSAGE, and the exit status is 1.
"""

import argparse
import ast
import html
import json
import os
import re
import signal
import subprocess
import sys
from functools import cached_property
from pathlib import Path

from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES, Token

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # Material's end in 2027 is known, and Zensical builds the site, too

from demonstrations import Demonstration, DemonstrationError, Result, look_up, run_all  # noqa: E402

import tangle  # noqa: E402

ESSAY = ROOT / "microgpt.md"
BUILD = ROOT / "build"
PAGES = BUILD / "pages"
CODE = ("root", "definition")


class WeaveError(tangle.TangleError):
    """What is wrong with the weave of an essay, in the same form: a list of (line, message)."""


def slug(title):
    """Return the part of an address that a heading gets."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


class Page:
    """A page of the site: a heading of the first level and what follows it, lines `start` to `end` of the essay."""

    def __init__(self, title, start, first):
        self.title, self.start, self.end = title, start, start
        self.path = "" if first else f"{slug(title)}/"  # below the site's root, of its directory


class Part:
    """One fence of a chunk: where it stands, what it is called on the page, and its place among the chunk's parts."""

    def __init__(self, chunk, page, number, siblings):
        self.chunk, self.page, self.number, self.siblings = chunk, page, number, siblings
        base = "chunk-" + slug(chunk.name)
        self.id = base if number == 1 else f"{base}--{number}"
        self.title = chunk.name if chunk.kind == "root" else chunk.name.replace("-", " ")


class Essay:
    """The essay, parsed and cross-referenced. All addresses are relative to the site's root."""

    def __init__(self, text):
        self.text, self.lines = text, text.split("\n")
        errors = []
        self.programs = tangle.tangle(text)
        self.target, self.program = next(iter(self.programs.items()))  # the program that the essay is about
        self.chunks = tangle.parse(text, errors)
        self.definitions, self.parts = {}, {}
        for chunk in self.chunks:
            if chunk.kind == "definition":
                self.definitions.setdefault(chunk.name, []).append(chunk)
        siblings = {}
        for chunk in self.chunks:
            if chunk.kind in CODE:
                same = siblings.setdefault((chunk.kind, chunk.name), [])
                same.append(Part(chunk, self.page_of(chunk.line), len(same) + 1, same))
                self.parts[chunk.line] = same[-1]

    @cached_property
    def pages(self):
        """The pages in their order."""
        inside = {n for c in self.chunks for n in range(c.line, c.line + len(c.code) + 2)}
        pages = []
        for number, line in enumerate(self.lines, 1):
            if number not in inside and (match := re.fullmatch(r"# (.+?)\s*", line)):
                pages.append(Page(match[1], number, not pages))
            elif pages:
                pages[-1].end = number
        if not pages:
            raise WeaveError([(1, "no page: a page begins with a heading like # Title")])
        return pages

    def page_of(self, line):
        """Return the page on which a line of the essay stands."""
        return [page for page in self.pages if page.start <= line][-1]

    def first_part(self, name):
        """Return the first part of a definition."""
        return self.parts[self.definitions[name][0].line]

    @cached_property
    def users(self):
        """{name of a definition: parts that refer to it}."""
        users = {name: [] for name in self.definitions}
        for part in self.parts.values():
            for _, _, reference in tangle.numbered([part.chunk]):
                if reference and part not in users[reference[2]]:
                    users[reference[2]].append(part)
        return users

    @cached_property
    def places(self):
        """{line of the essay: {target: line of the program}}."""
        places = {}
        for target, program in self.programs.items():
            for number, line in enumerate(program, 1):
                places.setdefault(line.origin, {}).setdefault(target, number)
        return places

    def lines_in(self, part, target):
        """Return the runs [(first, last)] of lines of a program that come from a part."""
        numbers = sorted(
            self.places[n][target]
            for n in range(part.chunk.line + 1, part.chunk.line + len(part.chunk.code) + 1)
            if target in self.places.get(n, {})
        )
        runs = []
        for number in numbers:
            if runs and number == runs[-1][1] + 1:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        return runs

    @cached_property
    def identifiers(self):
        """{name: part that defines it} of the classes, functions, methods and global names of the main program."""
        found = {}
        tree = ast.parse(tangle.render(self.program))
        for node in tree.body:
            names = []
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names = [(node.name, node.lineno)]
            elif isinstance(node, ast.Assign):
                names = [(t.id, t.lineno) for t in node.targets if isinstance(t, ast.Name)]
            if isinstance(node, ast.ClassDef):
                names += [(inner.name, inner.lineno) for inner in node.body if isinstance(inner, ast.FunctionDef)]
            for name, line in names:
                found.setdefault(name, (self.part_at(self.program[line - 1].origin), line))
        return found

    @cached_property
    def modules(self):
        """The names of the modules that the main program imports."""
        tree = ast.parse(tangle.render(self.program))
        return {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}

    def part_at(self, line):
        """Return the part that a line of code of the essay belongs to."""
        return self.parts[max(start for start in self.parts if start < line)]

    @cached_property
    def uses(self):
        """{identifier: parts in which it occurs elsewhere than in its definition}."""
        uses = {name: [] for name in self.identifiers}
        for part in self.parts.values():
            for kind, text, _ in tokens(part.chunk):
                if (
                    kind in Token.Name
                    and text in uses
                    and self.identifiers[text][0] is not part
                    and part not in uses[text]
                ):
                    uses[text].append(part)
        return uses


def tokens(chunk):
    """Yield (kind, text, line of the essay) of the code of a chunk, references left out, no token with a line end."""
    lexer = get_lexer_by_name(chunk.language if chunk.language else "text", stripnl=False, ensurenl=False)
    code = "\n".join("" if tangle.REFERENCE.fullmatch(line) else line for line in chunk.code)
    number = chunk.line + 1
    for kind, text in lexer.get_tokens(code):
        for i, piece in enumerate(text.split("\n")):
            number += i > 0
            if piece:
                yield kind, piece, number


STYLES = {kind: name for kind, name in STANDARD_TYPES.items() if name}
NUMBER = re.compile(r"([-−]?[\d.,]*\d)<!-- = (.+?) -->")


class Renderer:
    """Turns parts of the essay into Markdown and HTML for one page; `here` is its path, None for the one with everything."""

    def __init__(self, essay, here, results):
        self.essay, self.here, self.results = essay, here, results
        self.up = "../" * here.count("/") if here is not None else "../"
        self.level = 1

    def address(self, part):
        """Return the relative address of a part."""
        if self.here is None or part.page.path == self.here:
            return f"#{part.id}"
        return f"{self.up}{part.page.path}#{part.id}"

    def link(self, part, text=None, title="", stop=True):
        """Return a link to a part, which shows a preview of it; with `stop` false the Tab key passes it by."""
        text = text or f"⟨{html.escape(part.title)}⟩"
        label = f' aria-label="{html.escape(title)}"' if title else ""
        label += "" if stop else ' tabindex="-1"'
        return f'<a class="chunk-link" href="{self.address(part)}"{label} data-peek>{text}</a>'

    def code(self, chunk):
        """Return the HTML of the lines of a chunk, with its references and the names it mentions as links."""
        own, seen, before = self.essay.parts.get(chunk.line), set(), ("", "")
        own = own if own and self.essay.lines_in(own, self.essay.target) else None
        lines = {chunk.line + 1 + i: "" for i in range(len(chunk.code))}
        for kind, text, number in tokens(chunk):
            foreign = before[1] == "." and before[0] in self.essay.modules  # math.exp is not our exp
            lines[number] += self.token(kind, text, None if foreign else own, seen)
            before = (before[1], text)
        for number, _, reference in tangle.numbered([chunk]) if chunk.kind in CODE else ():
            if reference:
                part = self.essay.first_part(reference[2])
                lines[number] = (
                    f'{reference[1]}{self.link(part)} <button type="button" class="unfold" hidden aria-expanded="false" '
                    f'data-chunk="{html.escape(part.chunk.name)}" aria-label="show the code of {part.title} here"></button>'
                )
        shown = [code_line(html_line, text) for html_line, text in zip(lines.values(), chunk.code, strict=True)]
        blank = next(
            (i for i, text in enumerate(chunk.code) if text.strip()), 0
        )  # blank lines at the top separate functions
        return "".join(shown[blank:])

    def token(self, kind, text, own, seen):
        """Return the HTML of a token; a name that the program defines elsewhere becomes a link.

        Only the first link to a name in a chunk is a stop for the Tab key; `seen` collects them.
        """
        shown = html.escape(text, quote=False)
        if kind in Token.Name and text in self.essay.identifiers and own:
            part, _ = self.essay.identifiers[text]
            if part is not own:
                stop = ' tabindex="-1"' if text in seen else ""
                shown = f'<a href="{self.address(part)}"{stop} data-peek>{shown}</a>'
                seen.add(text)
        while kind not in STYLES and kind.parent:
            kind = kind.parent
        return f'<span class="{STYLES[kind]}">{shown}</span>' if kind in STYLES else shown

    def chunk(self, part):
        """Return the HTML of a root or definition: heading, code, and where it is used."""
        chunk, count = part.chunk, len(part.siblings)
        arrows = ""
        for step, word, sign in ((-1, "previous", "↑"), (1, "next", "↓")):
            if 0 < part.number + step <= count:
                arrows += " " + self.link(part.siblings[part.number - 1 + step], sign, f"{word} part of {part.title}")
        level = min(self.level + 1, 6)
        source = html.escape("\n".join(chunk.code))
        return (
            f'<div class="chunk" id="{part.id}">\n'
            f'<div class="chunk-head"><h{level} class="chunk-name" id="{part.id}-code">⟨{html.escape(part.title)}⟩ '
            f'<span title="{"is" if part.number == 1 else "goes on with"}">{"≡" if part.number == 1 else "+≡"}</span></h{level}>'
            f'<span class="chunk-tools">{arrows} <button type="button" class="copy" hidden data-code="{source}" '
            f'aria-label="copy the code of {html.escape(part.title)}">copy</button></span></div>\n'
            f'<div class="highlight">'
            f'<div class="code">{self.code(chunk)}</div></div>\n{self.foot(part)}</div>'
        )

    def foot(self, part):
        """Return the HTML of the line below a chunk: who uses it, and where it stands in the programs."""
        users = self.essay.users.get(part.chunk.name, []) if part.chunk.kind == "definition" else []
        used = ("used in " + ", ".join(self.link(user) for user in users)) if users else ""
        places = []
        for target in self.essay.programs:
            runs = self.essay.lines_in(part, target)
            if runs:
                name = target.rsplit("/", 1)[-1]
                shown = ", ".join(f"{a}–{b}" if a < b else str(a) for a, b in runs)
                word = "line" if len(runs) == 1 and runs[0][0] == runs[0][1] else "lines"
                if target == self.essay.target:
                    program = "#L" if self.here is None else f"{self.up}the-program/#L"
                    shown = f'<a href="{program}{runs[0][0]}">{shown}</a>' if self.here is not None else shown
                places.append(f"{name} {word} {shown}")
        return f'<p class="chunk-foot">{" · ".join(filter(None, [used, *places]))}</p>\n' if used or places else ""

    def demonstration(self, chunk):
        """Return the HTML of a demonstration: its code, folded away where it only draws, and what came of it."""
        result, options = self.results[chunk.name], options_of(chunk)
        code = f'<div class="highlight"><div class="code">{self.code(chunk)}</div></div>'
        if result.figures:
            code = f"<details><summary>The code of this figure</summary>\n{code}\n</details>"
        text = f'<div class="output">{html.escape(result.text)}</div>' if result.text else ""
        figures = "".join(figure(svg, f"{chunk.name}-{i}", options) for i, svg in enumerate(result.figures, 1))
        return f'<div class="demonstration" id="demonstration-{chunk.name}">\n{figures if figures else code}\n{text}\n{code if figures else ""}\n</div>'

    def illustration(self, chunk):
        """Return an illustration as Markdown, unchanged."""
        return "\n".join([f"```{chunk.language}", *chunk.code, "```"])

    def prose(self, line):
        """Return a line of prose with its links, and its numbers without the comment that checks them."""
        if match := re.match(r"(#+) ", line):
            self.level = len(match[1])
            if self.here is None:
                line = "#" + line
                self.level += 1
            return line
        line = NUMBER.sub(r"\1", line)
        line = re.sub("⟨([^⟩]+)⟩", lambda m: self.named(m[1]), line)
        return re.sub(r"`(\w+)(\(\))?`", self.mention, line)

    def named(self, title):
        """Return the link for ⟨title⟩ in the prose."""
        return self.link(self.essay.first_part(title.replace(" ", "-")))

    def mention(self, match):
        """Return the link for `name` in the prose, where the program defines that name."""
        if match[1] not in self.essay.identifiers:
            return match[0]
        part, _ = self.essay.identifiers[match[1]]
        return f'<a href="{self.address(part)}" data-peek><code>{match[1]}{match[2] or ""}</code></a>'

    def lines(self, start, end):
        """Return lines `start` to `end` of the essay as the Markdown of a page."""
        out, skip = [], 0
        chunks = {chunk.line: chunk for chunk in self.essay.chunks}
        for number in range(start, end + 1):
            if number <= skip:
                continue
            if chunk := chunks.get(number):
                skip = number + len(chunk.code) + 1
                draw = {"demonstration": self.demonstration, "illustration": self.illustration}.get(chunk.kind)
                out += ["", draw(chunk) if draw else self.chunk(self.essay.parts[number]), ""]
            else:
                out.append(self.prose(self.essay.lines[number - 1]))
        return "\n".join(out) + "\n"


def code_line(shown, text):
    """Return the HTML of a line of code, which knows its own indentation: where it has to be broken, it hangs from there."""
    indent = len(text) - len(text.lstrip())
    return f'<span class="line" style="--indent: {indent}ch">{shown}\n</span>'


def options_of(chunk):
    """Return the options of a demonstration as a dict."""
    call = ast.parse(f"dict({chunk.options})", mode="eval").body
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}


def figure(svg, prefix, options):
    """Return a figure for the page: ids that are unique, black that follows the colour of the text, alternative text."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", svg)
    svg = re.sub(r"(fill|stroke): ?#000000", r"\1: currentColor", svg)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r"\n\s*\n", "\n", svg).replace(
        "<svg ", f'<svg role="img" aria-label="{html.escape(options["alt"])}" ', 1
    )
    caption = f"<figcaption>{options['caption']}</figcaption>" if "caption" in options else ""
    return f"<figure>{svg}{caption}</figure>\n"


def listing(essay, renderer):
    """Return the page of the whole program: each line linked to the paragraph that explains it."""
    target, program = essay.target, essay.program
    whole = tangle.Chunk("listing", target, "python", "", 0, [line.text for line in program])
    numbered = dict.fromkeys(range(1, len(program) + 1), "")
    for kind, text, number in tokens(whole):
        numbered[number] += renderer.token(kind, text, None, set())
    rows, before = [], None
    for number, line in enumerate(program, 1):
        part = essay.part_at(line.origin)
        stop = ' tabindex="-1"' if part is before else ""
        rows.append(
            f'<span class="line" id="L{number}"><a class="number" href="{renderer.address(part)}"{stop} data-peek '
            f'aria-label="line {number}, explained in {html.escape(part.title)}">{number:3}</a> {numbered[number]}\n</span>'
        )
        before = part
    return (
        f"---\nhide: [navigation, toc]\n---\n# The program\n\nAll {len(program)} lines of `{target}`, as they are tangled from "
        "the essay. The number of a line leads to the place that explains it.\n\n"
        f'<a class="md-button" href="../{target}" download>Download {target}</a>\n\n'
        f'<div class="highlight listing"><div class="code">{"".join(rows)}</div></div>\n'
    )


def indexes(essay, renderer):
    """Return the page of the indexes: all chunks, and all names that the program defines."""

    def row(*cells):
        return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"

    def links(parts):  # the same links stand in the first column of the first table, and one stop for Tab is enough
        return ", ".join(renderer.link(part, stop=False) for part in parts) or "–"

    roots = [part for part in essay.parts.values() if part.chunk.kind == "root"]
    chunks = [row(renderer.link(part), "a program", "–") for part in roots]
    for name in sorted(essay.definitions):
        first, *more = essay.first_part(name).siblings
        continued = ", ".join(renderer.link(part, f"part {part.number}") for part in more) or "–"
        chunks.append(row(renderer.link(first), continued, links(essay.users[name])))
    names = [
        row(
            f'<a href="{renderer.address(part)}" data-peek><code>{name}</code></a>',
            renderer.link(part, stop=False),
            links(essay.uses[name]),
        )
        for name, (part, _) in sorted(essay.identifiers.items(), key=lambda item: item[0].strip("_").lower())
    ]

    def table(heads, rows):
        head = "".join(f'<th scope="col">{text}</th>' for text in heads)
        return (
            f'<table class="index"><thead><tr>{head}</tr></thead><tbody>\n' + "\n".join(rows) + "\n</tbody></table>\n"
        )

    return (
        "# Indexes\n\n## Chunks\n\n"
        + table(("chunk", "continued in", "used in"), chunks)
        + "\n## Names\n\nThe classes, functions, methods and global names of the program.\n\n"
        + table(("name", "defined in", "used in"), names)
    )


def check(essay, results):
    """Raise WeaveError for figures without an alternative text, and for ⟨names⟩ in the prose that no chunk has."""
    errors = []
    for chunk in essay.chunks:
        if chunk.kind == "demonstration" and results[chunk.name].figures and not options_of(chunk).get("alt"):
            errors.append((chunk.line, f'the figure of {chunk.name} has no alternative text: add alt="…" to its fence'))
    names = {name.replace("-", " ") for name in essay.definitions}
    for number, line in enumerate(essay.lines, 1):
        errors += [
            (number, f"there is no chunk ⟨{name}⟩") for name in re.findall("⟨([^⟩]+)⟩", line) if name not in names
        ]
    if errors:
        raise WeaveError(errors)


def check_numbers(essay, demonstrations, results):
    """Return (errors, text): the numbers in the prose that are wrong, and the text of the essay with the right ones."""
    errors, lines = [], list(essay.lines)
    for demonstration in demonstrations:
        if demonstration.name.startswith("number-") and demonstration.name in results:
            value = ast.literal_eval(results[demonstration.name].text)
            line = lines[demonstration.line - 1]
            for match in NUMBER.finditer(line):
                right = written_like(match[1], value)
                if match[2] == expression_of(demonstration) and right != match[1]:
                    message = f"the number {match[1]} should be {right}, which is {match[2]} (--update writes it)"
                    errors.append((demonstration.line, message))
                    lines[demonstration.line - 1] = line.replace(match[0], match[0].replace(match[1], right, 1))
    return errors, "\n".join(lines)


def expression_of(demonstration):
    """Return the expression in the code that prints a number."""
    return demonstration.code.removeprefix("print(repr(").removesuffix("))")


def written_like(text, value):
    """Return a number in the form of another one: as many decimals, and a comma between thousands."""
    decimals = len(text.partition(".")[2])
    return f"{value:,.{decimals}f}".replace("-", "−" if "−" in text else "-")


def demonstrations_of(essay):
    """Return all that has to be run, in the order of the essay: demonstrations, and the numbers in the prose."""
    found = [Demonstration(c.name, "\n".join(c.code), c.line + 1) for c in essay.chunks if c.kind == "demonstration"]
    for number, line in enumerate(essay.lines, 1):
        for i, match in enumerate(NUMBER.finditer(line)):
            found.append(Demonstration(f"number-{number}-{i}", f"print(repr({match[2]}))", number))
    errors, lines = [], {}
    for demonstration in found:
        if demonstration.name in lines:
            taken = f"the name {demonstration.name} is taken by the demonstration on line {lines[demonstration.name]}"
            errors.append((demonstration.line - 1, taken))
        lines[demonstration.name] = demonstration.line - 1
        try:
            compile(demonstration.code, demonstration.name, "exec")
        except SyntaxError as error:
            errors.append((demonstration.line + (error.lineno or 1) - 1, error.msg))
    if errors:
        raise WeaveError(errors)
    return found  # the numbers last: a page may tell in advance what is computed only later


def write(path, text):
    """Write a file if its content changes, so that mkdocs and browsers see what is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_pages(essay, results):
    """Write all pages to build/pages, and remove what an earlier weave left there."""
    pages = {}
    for page in essay.pages:
        renderer = Renderer(essay, page.path, results)
        pages[f"{page.path}index.md"] = renderer.lines(page.start, page.end)
    pages["the-program/index.md"] = listing(essay, Renderer(essay, "the-program/", results))
    pages["indexes/index.md"] = indexes(essay, Renderer(essay, "indexes/", results))
    everything = Renderer(essay, None, results).lines(1, len(essay.lines))
    pages["everything/index.md"] = (
        "---\nsearch:\n  exclude: true\n---\n# Everything on one page\n\nThe whole essay, for printing and for "
        "searching in the page.\n\n" + everything
    )
    for target in essay.programs:
        pages[target] = tangle.render(essay.programs[target])
    for asset in (ROOT / "docs" / "assets").iterdir():
        pages[f"assets/{asset.name}"] = asset.read_text(encoding="utf-8")
    unfolded = {
        name: "".join(f"{line.text}\n" for line in tangle.expand(chunks, essay.definitions))
        for name, chunks in essay.definitions.items()
    }
    pages["assets/chunks.json"] = json.dumps(unfolded, indent=0, sort_keys=True)
    for path, text in pages.items():
        write(PAGES / path, text)
    for old in [
        path for path in PAGES.rglob("*") if path.is_file() and path.relative_to(PAGES).as_posix() not in pages
    ]:
        old.unlink()


def check_navigation(essay):
    """Raise WeaveError where the pages in mkdocs.yml and the headings of the essay disagree."""
    written = re.findall(r"^\s+- (.+?): (\S*index\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M)
    generated = {"the-program/index.md", "indexes/index.md", "everything/index.md"}
    listed = [path for _, path in written if path not in generated]
    wanted = [f"{page.path}index.md" for page in essay.pages]
    for i, page in enumerate(essay.pages):
        if listed[i : i + 1] != wanted[i : i + 1]:
            place = f"after {wanted[i - 1]}" if i else "at the beginning"
            line = f"- {page.title}: {wanted[i]}"
            raise WeaveError([(page.start, f"the nav of mkdocs.yml needs the line {line!r} for this page, {place}")])
    if extra := listed[len(wanted) :]:
        raise WeaveError([(1, f"the nav of mkdocs.yml lists {extra[0]}, but the essay has no such page")])


def weave(update=False):
    """Weave the pages; raise WeaveError or DemonstrationError."""
    essay = Essay(tangle.decode(ESSAY.read_bytes()))
    demonstrations = demonstrations_of(essay)
    results = run_all(demonstrations, essay.program, BUILD, report=say)
    check(essay, results)
    errors, text = check_numbers(essay, demonstrations, results)
    if errors and not update:
        raise WeaveError(errors)
    if errors:
        ESSAY.write_text(text, encoding="utf-8")
        say(f"microgpt.md: {len(errors)} numbers put right")
        essay = Essay(text)
        results |= run_all(demonstrations_of(essay), essay.program, BUILD, report=say)
    check_navigation(essay)
    write_pages(essay, results)


def preview(old):
    """Weave the pages without running anything; return (results, names of all that has to run, errors in numbers).

    What is not in the cache is taken from the results `old`. Raises WeaveError for other errors.
    """
    essay = Essay(tangle.decode(ESSAY.read_bytes()))
    demonstrations = demonstrations_of(essay)
    results, missing, work = look_up(demonstrations, essay.program, BUILD)
    errors, _ = check_numbers(essay, demonstrations, results)
    results |= {name: old.get(name, Result("(has not run yet)", [])) for name in missing}
    check(essay, results)
    check_navigation(essay)
    write_pages(essay, results)
    return results, [d.name for d in work.demonstrations], errors


def say(text):
    """Print a message on stderr."""
    print(text, file=sys.stderr, flush=True)


def complaints(error):
    """Return what there is to say about an error in the essay or in a demonstration, a line for each."""
    if isinstance(error, DemonstrationError):
        return f"microgpt.md:{error.line}: this failed\n{error.traceback}"
    return "\n".join(f"microgpt.md:{line}: {message}" for line, message in error.errors)


def main():
    """The command line: return the exit status."""
    parser = argparse.ArgumentParser(description="Turn microgpt.md into a web site in build/site.")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--pages", action="store_true", help="weave the pages in build/pages and stop there")
    modes.add_argument("--update", action="store_true", help="write the right numbers into the prose")
    modes.add_argument("--serve", nargs="?", type=int, const=8000, metavar="PORT", help="serve the site, and follow what is saved")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and so the kernel is ended
    if options.serve is not None:
        from serve import serve  # it needs the modules of mkdocs

        return serve(options.serve)
    try:
        if tangle.update(ESSAY):
            return 1
        weave(options.update)
    except (tangle.TangleError, DemonstrationError) as error:
        say(complaints(error))
        return 1
    except KeyboardInterrupt:
        return 130
    if options.pages:
        return 0
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--config-file",
        str(ROOT / "mkdocs.yml"),
    ]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
