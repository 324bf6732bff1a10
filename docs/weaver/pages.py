"""All pages of the site, and build/pages, where they are written as plain Markdown and HTML for mkdocs."""

import contextlib
import json
import re
from html import escape
from itertools import groupby
from typing import NamedTuple

from markupsafe import Markup

import tangle
from weaver import duration, film, minimap, playground, walk, website
from weaver.essay import Heading, Names
from weaver.prose import SLOT
from weaver.render import Renderer, loose_links

WRITTEN = {"tools/": "tools.md"}  # pages that are not in the essay: their paths, and their files in docs/
RESERVED = ("programs", "tools", "indexes", "everything", "run", "assets", "files", "search", "sitemap",
            "index", "404", "readme")  # fmt: skip
MAP = "The program as a map"  # the title of the page of the first program
ALONE = "[navigation, toc]"  # what a page hides that needs all the room
ALONG = """<link rel="stylesheet" href="@/assets/walk-picture.css">
<link rel="stylesheet" href="@/assets/walk-along.css">
<script>document.currentScript.closest("article")?.classList.add("goes-along")</script>
<script type="module" src="@/assets/walk-along.js"></script>"""  # of a page beside which the picture of the walk is
MACHINE = "machine"  # the widget that is the first screen
RECORDS = (".json", ".py")  # how the files end that hold data about programs, or a program, and no data for one
NAMES = "The classes, functions, methods and global names of all programs."
ADDRESS = re.compile(r'(href|src)="@/([^"#]*)(#[^"]*)?"')
SOLUTION = re.compile(r'(?s)(<details class="solution" [^>]*>)<summary>(Solution.*?)</summary>(.*)</details>')
TERMS = re.compile(r"(?s)<dl>\s*<dt id=.*?</dl>")
ROLES = re.compile("<em>((query|key|value|residual)[a-z ]*)</em>")  # they have the same colour everywhere
SPECIAL = re.compile(r"[`~\t]|(?m:^ (?= *$))")  # fences to Markdown, and what it would make other blanks of


class Sheet(NamedTuple):
    """A page of the site: its title and path, the part of the navigation that it is in, and its Markdown."""

    title: str
    path: str
    part: tuple  # of the navigation that it is in, and the part of that; nothing for the first page
    text: str


def sheets(essay, reading, results, data, docs, findings, scenes):
    """Return all pages of the site, in the order of the navigation; `data` are the files offered with the programs."""
    paths, needed = program_paths(essay), [name for name in data if not name.endswith(RECORDS)]
    folder = playground.files(essay, data, docs)[0]
    renderer = Renderer(essay, results, paths, reading.anchors, findings, folder, scenes, film.size(docs.parent))
    minutes, sheets = duration.minutes(essay, reading), []
    along = walk.pages_along(essay, reading.said) if scenes else ()
    if scenes:
        minutes[walk.page_of(essay).path] += walk.seconds(scenes) / 60
    times = duration.times(essay, minutes)
    below = reading.glossaries | beside_the_main_program(essay) | to_look_up(essay)
    ahead = contents(renderer, reading, minutes)
    read = reading.pages | {"": opened(essay, reading.pages[""])}
    bodies = {page.path: filled(read[page.path], renderer) for page in essay.pages}
    times[""] = ways_in(renderer, reading, minutes, needed, ahead)
    for page in essay.pages:
        screen = len(read[""]) - len(reading.pages[""]) if not page.path else 0
        sheet = essay_sheet(page, bodies[page.path], times[page.path], screen, page.path in along)
        sheets.append(sheet._replace(text=lowered(sheet.text)) if page.path in below else sheet)
    for program in essay.programs.values():
        listing = renderer.program(program, [offered(program.target), *map(file_of, needed[:1])])
        is_map = program is essay.main and bool(essay.experiments)
        sheet = program_sheet(paths[program.target], program, listing, is_map)
        sheets.insert(1 if is_map else len(sheets), sheet)
    sheets += [written(docs / file, path) for path, file in WRITTEN.items()]
    sheets.append(indexes(renderer))
    sheets.append(everything(bodies, ahead))
    return sheets, renderer.unfolded()


def essay_sheet(page, parts, time, before=0, goes_along=False):
    """Return a page of the essay, with a line below its title, or after some parts, that says how long it takes.

    The picture of the walk may go along with it.
    """
    at = 1 + before
    text = f"{markdown_of(parts[:at])}\n{raw(time)}\n\n{markdown_of(parts[at:])}"
    if goes_along:  # it comes first, or a link to a section would arrive before the text has its width
        text = f"{raw(ALONG)}\n\n{text}"
    if 'class="walk"' in text:
        text = f"---\nhide: {ALONE}\n---\n{text}"
    return Sheet(title_of(parts[0].text), page.path, part_of(page.part), relative(text, page.path))


def opened(essay, parts):
    """Return the parts of the first page; if the model trains on its first screen, that screen is a part of its own."""
    title, *others = parts
    slot = SLOT.search(others[0]) if others and not isinstance(others[0], Heading) else None
    if not slot or essay.inside[int(slot[1])].options.get("widget") != MACHINE:
        return parts
    return [title, others[0][: slot.end()], others[0][slot.end() :], *others[1:]]


def part_of(*names):
    """Return a part of the navigation, which shows what it is given as HTML; without a name it is the whole."""
    return tuple(escape(name) for name in names if name)


def ways_in(renderer, reading, minutes, needed, ahead):
    """Return the ways on from the first screen: reading, the program, their files, and the contents."""
    essay, (first, *others) = renderer.essay, renderer.essay.pages
    read = [first, *(page for page in others if page.part and page.part == others[0].part)]
    data = [*map(file_of, needed)]
    return renderer.template(
        "ways", time=duration.about(sum(minutes[page.path] for page in read)),
        program=offered(essay.main.target), data=data, ahead=ahead, walk=walk.page_of(essay),
        watching=duration.about(walk.seconds(renderer.scenes) / 60),
    )  # fmt: skip


def contents(renderer, reading, minutes):
    """Return a list of the pages of the essay after the first one, in their parts, with the minutes that they take."""
    parts = []
    for part, members in groupby(renderer.essay.pages[1:], key=lambda page: page.part):
        rows = []
        for page in members:
            title = numbered(reading.pages[page.path][0], page)
            shown = Markup(title_of(title.text))  # noqa: S704 (it is escaped)
            rows.append((f"@/{page.path}#{title.id}", shown, duration.rounded(minutes[page.path])))
        parts.append((part, duration.about(sum(time for *_, time in rows)), rows))
    return renderer.template("contents", parts=parts) if parts else Markup("")


def program_sheet(path, program, listing, is_map):
    """Return the page of a program; that of the map is the second one of the site, and the search finds its title."""
    title, folder = escape(program.name), program.target.rpartition("/")[0]
    text = relative(f"# {MAP if is_map else plain(title)}\n\n{raw(listing)}", path)
    if is_map:
        return Sheet(MAP, path, part_of(), f"---\nhide: {ALONE}\n---\n{text}")
    return Sheet(title, path, part_of("Programs", folder), hidden(text, ALONE))


def indexes(renderer):
    """Return the page with the indexes of chunks and of names."""
    text = f"# Indexes\n\n## Chunks\n\n{raw(renderer.chunk_index())}\n\n"
    text += f"## Names\n\n{NAMES}\n\n{raw(renderer.name_index())}"
    return reference("Indexes", "indexes/", text)


def everything(bodies, ahead):
    """Return the page that holds all pages of the essay, {path: parts}, one level deeper."""
    text = "# Everything on one page\n\nThe whole essay, for printing and for searching in the page.\n\n"
    text += f"{raw(ahead)}\n\n"
    text += "\n".join(markdown_of(map(lower, parts)) for parts in bodies.values())
    text = ADDRESS.sub(lambda m: f'href="{m[3]}"' if m[2] in bodies and m[3] else m[0], text)  # it has their anchors
    return reference("Everything on one page", "everything/", text, "everything.html")


def written(file, path):
    """Return a page that is written by hand, in a file of its own, which begins with its title."""
    text = file.read_text(encoding="utf-8")
    return reference(text.partition("\n")[0].lstrip("# "), path, text)


def reference(title, path, text, template="main.html"):
    """Return a page of the last part of the navigation, to look something up."""
    return Sheet(title, path, part_of("Reference"), hidden(relative(text, path), template=template))


def file_of(name):
    """Return the path below which a file that demonstrations read is offered."""
    return offered(name.rsplit("/", 1)[-1])


def offered(path):
    """Return the path of a file on the site, where mkdocs makes pages of Markdown."""
    return f"files/{path}" + (".txt" if re.search(r"(?i)\.(md|markdown|mdown|mkdn?)$", path) else "")


def program_paths(essay):
    """Return {target: the path of its page}; no two are the same."""
    names = Names()
    return {target: f"programs/{names.new(target)}/" for target in essay.programs}


def title_of(html):
    """Return the title of a page, for the navigation, from its heading; it is HTML without any tag."""
    text = "".join(c for c in Markup(html).striptags() if c.isprintable())  # noqa: S704 (read as HTML, not shown)
    return escape(text) or "Untitled"


def filled(parts, renderer):
    """Return the parts of a page: its Headings, and all else as HTML, that of its fences in it."""
    title, *others = parts
    parts = [numbered(title, renderer.essay.page_of(title.line)), *others]
    renderer.begin_page()

    def shown(match):
        return renderer.part(int(match[1]))

    parts = [part if isinstance(part, Heading) else ROLES.sub(r'<em class="\2">\1</em>', part) for part in parts]
    return [part if isinstance(part, Heading) else SLOT.sub(shown, searched(part)) for part in parts]


def searched(html):
    """Return prose as the theme's search has to see it: it finds headings, so words are some, and no solution.

    It goes by tags alone: what is left out ends with the first end of any such element. There is no other <section>.
    """
    solution = r"\1<summary data-search-exclude>\2</summary><section data-search-exclude>\3</section></details>"
    tags = {"dl": ('div class="terms"', "div"), "dt": ("h2", "h2"), "dd": ("div", "div")}

    def tag(match):
        return f"</{tags[match[2]][1]}" if match[1] else f"<{tags[match[2]][0]}"

    return TERMS.sub(lambda match: re.sub("<(/?)(d[ldt])", tag, match[0]), SOLUTION.sub(solution, html))


def numbered(title, page):
    """Return the title of a page with the number of its chapter, which the search leaves out."""
    number = f"<span data-search-exclude>{page.number}. </span>" if page.number else ""
    return title._replace(text=number + title.text)


def lower(part):
    """Return a part of a page with its headings one level deeper."""
    if isinstance(part, Heading):
        return part._replace(level=min(part.level + 1, 6))
    return re.sub("(</?h)([2-6])", lambda match: f"{match[1]}{min(int(match[2]) + 1, 6)}", part)


def markdown_of(parts):
    """Return the Markdown of a page: headings as such, so that mkdocs sees them."""
    return "\n\n".join(heading(part) if isinstance(part, Heading) else raw(part) for part in parts) + "\n"


def heading(part):
    """Return a heading in Markdown; its text is HTML, in which nothing is Markdown any more."""
    return f"{'#' * part.level} {plain(part.text)} {{ #{part.id} }}"


def plain(html):
    """Return HTML in which nothing is Markdown."""
    return re.sub(r"[\\`*_{}\[\]~]", reference_to, html)


def raw(html):
    """Return HTML as a block that Markdown leaves alone: it has no line that could begin a fence, and no tabs."""
    return f"<div>\n{SPECIAL.sub(reference_to, str(html))}\n</div>"


def reference_to(match):
    """Return the character that a regular expression has found as HTML knows it by its number."""
    return f"&#{ord(match[0])};"


def hidden(text, parts="[]", template="main.html"):
    """Return a page that the search does not find, since what it says stands elsewhere; it hides some parts of a page.

    `template` is a file in docs/theme.
    """
    return f"---\nsearch:\n  exclude: true\nhide: {parts}\ntemplate: {template}\n---\n{text}"


def beside_the_main_program(essay):
    """Return the paths of the pages with code of which the first program has none."""
    main, others = set(), set()
    for block in essay.blocks.values():
        if programs := essay.programs_with(block.fence):
            (main if essay.main in programs else others).add(block.page.path)
    return others - main


def to_look_up(essay):
    """Return the paths of the pages that are no chapters, beside the first one, if there are chapters."""
    others = {page.path for page in essay.pages[1:] if not page.number}
    return others if any(page.number for page in essay.pages) else set()


def lowered(text):
    """Return a page that the search shows below others, which explain what is in it.

    website.py lifts the words of a glossary out of it.
    """
    return f"---\nsearch:\n  boost: 0.05\n---\n{text}"


def relative(text, here):
    """Return a page with addresses that lead from `here`, its path, to others."""
    up = "../" * here.count("/")

    def address(match):
        attribute, path, anchor = match[1], match[2], match[3] or ""
        return f'{attribute}="{anchor if path == here and anchor else (up + path or "./") + anchor}"'

    return ADDRESS.sub(address, text)


def check(essay, results, anchors=None):
    """Return (line, message) for figures without an alternative text, or with links to nowhere."""
    errors = []
    for fence in essay.fences:
        figures = results[fence.name].figures if fence.kind == "demonstration" and fence.name in results else []
        if figures and not fence.options.get("alt", "").strip():
            errors.append((fence.line, f'the figure of {fence.name} has no alternative text: add alt="…" to its fence'))
        for target in [target for svg in figures for target in loose_links(svg, anchors or essay.anchors)]:
            where = f"{target} in the figure of {fence.name} leads nowhere on the site"
            errors.append((fence.line, f"{where}: a link is https://… or a #heading"))
    return errors


def mismatched_widgets(essay, results):
    """Return (line, message) for widgets that have run and have no data, and for data without a widget."""
    errors = []
    for fence in [fence for fence in essay.fences if fence.kind == "demonstration" and fence.name in results]:
        given = bool(results[fence.name].given)
        if given != ("widget" in fence.options):
            problem = "gives data, but has no widget" if given else "has a widget, but gives it no data: call give(…)"
            errors.append((fence.line, f"{fence.name} {problem}"))
    return errors


def files(essay, reading, sheets, unfolded, docs, data, findings, results, scenes):
    """Return {path: bytes} of all that belongs into build/pages."""
    wanted = {f"{sheet.path}index.md": sheet.text.encode() for sheet in sheets}
    wanted |= {offered(target): program.text.encode() for target, program in essay.programs.items()}
    wanted |= {file_of(name): (docs.parent / name).read_bytes() for name in data}
    for asset in sorted((docs / "assets").iterdir()):
        is_wanted = re.fullmatch(r"[A-Za-z0-9][\w.-]*\.(css|js|svg|png|pdf|woff2|txt)", asset.name)
        if asset.is_file() and is_wanted:
            wanted[f"assets/{asset.name}"] = asset.read_bytes()
    paths = program_paths(essay)
    if bench := playground.files(essay, data, docs)[1]:
        wanted |= bench | {f"{playground.FORMER}index.html": playground.redirect(paths[essay.main.target])}
    wanted |= walk.files(essay, reading.said, results, scenes)
    if scenes:
        wanted |= {file_of(path.name): path.read_bytes() for path in film.published(docs.parent)}
    if essay.experiments:
        wanted["assets/poster.svg"] = minimap.poster(essay, findings, website.address()).encode()
    wanted["assets/chunks.json"] = json.dumps(unfolded, indent=0, sort_keys=True, ensure_ascii=False).encode()
    return wanted


def write(folder, wanted):
    """Make a folder hold some files, {path: bytes}, and nothing else; what is right is not touched."""
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):  # it is not empty
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
    for path, data in wanted.items():
        if tangle.read(folder / path) != data:
            tangle.put(folder / path, data)
