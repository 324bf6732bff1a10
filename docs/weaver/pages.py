"""All pages of the site, and build/pages, where they are written as plain Markdown and HTML for mkdocs."""

import json
import re
from typing import NamedTuple

import tangle
from weaver.essay import Heading, Names
from weaver.render import Renderer

WRITTEN = {"tools/": "tools.md"}  # pages that are not in the essay: their paths, and their files in docs/
RESERVED = ("programs", "tools", "indexes", "everything", "assets", "files", "search", "sitemap", "index", "404")
LISTED = ".pages.json"  # what the last weave wrote: nothing else is ever removed
NAMES = "The classes, functions, methods and global names of all programs."
ADDRESS = re.compile(r'href="@/([^"#]*)(#[^"]*)?"')


class Sheet(NamedTuple):
    """A page of the site: its title and path, the part of the navigation that it is in, and its Markdown."""

    title: str
    path: str
    part: str  # "Essay", "Programs" or "Reference"
    text: str


def sheets(essay, reading, results, data, docs):
    """Return all pages of the site, in the order of the navigation; `data` are the files offered with the program."""
    paths = {target: f"programs/{name}/" for target, name in program_names(essay).items()}
    renderer = Renderer(essay, results, lambda program: f"@/{paths[program.target]}")
    woven = {page.path: markdown_of(reading.pages[page.path], renderer) for page in essay.pages}
    found = [Sheet(page.title, page.path, "Essay", relative(woven[page.path], page.path)) for page in essay.pages]
    for target, program in essay.programs.items():
        downloads = [f"files/{target}", *map(file_of, data)]
        listing = f"# {program.name}\n\n{raw(renderer.program(program, downloads))}"
        found.append(Sheet(program.name, paths[target], "Programs", hidden(relative(listing, paths[target]), "[toc]")))
    found += [written(docs / file, path) for path, file in WRITTEN.items()]
    indexes = f"# Indexes\n\n## Chunks\n\n{raw(renderer.chunk_index())}\n\n"
    indexes += f"## Names\n\n{NAMES}\n\n{raw(renderer.name_index())}"
    found.append(Sheet("Indexes", "indexes/", "Reference", hidden(relative(indexes, "indexes/"))))
    everything = "# Everything on one page\n\nThe whole essay, for printing and for searching in the page.\n\n"
    everything += one_level_down("\n\n".join(woven.values()))
    everything = together(everything, {page.path for page in essay.pages}, "everything/")
    found.append(Sheet("Everything on one page", "everything/", "Reference", hidden(everything)))
    return found, renderer.unfolded()


def written(file, path):
    """Return a page that is written by hand, in a file of its own, which begins with its title."""
    text = file.read_text(encoding="utf-8")
    return Sheet(text.partition("\n")[0].lstrip("# "), path, "Reference", text)


def file_of(name):
    """Return the path below which a file that demonstrations read is offered."""
    return f"files/{name.rsplit('/', 1)[-1]}"


def program_names(essay):
    """Return {target: the name of its page}; no two are the same."""
    names = Names()
    return {target: names.new(target) for target in essay.programs}


def markdown_of(parts, renderer):
    """Return the Markdown of a page: headings as such, so that mkdocs sees them, and all else as HTML."""
    fences = {fence.line: fence for fence in renderer.essay.fences}

    def filled(html):
        return re.sub(r"<div>\{fence:(\d+)\}</div>", lambda match: renderer.fence(fences[int(match[1])]), html)

    return "\n\n".join(heading(part) if isinstance(part, Heading) else raw(filled(part.html)) for part in parts) + "\n"


def heading(part):
    """Return a heading in Markdown; its text is HTML, in which nothing is Markdown any more."""
    text = re.sub(r"[\\`*_{}\[\]~]", lambda match: f"&#{ord(match[0])};", part.text)
    return f"{'#' * part.level} {text} {{ #{part.id} }}"


def raw(html):
    """Return HTML as a block that Markdown leaves alone: it has no line that could begin a fence."""
    return "<div>\n" + re.sub("[`~]", lambda match: f"&#{ord(match[0])};", str(html)) + "\n</div>"


def hidden(text, parts="[]"):
    """Return a page that the search does not find: what it says stands elsewhere; it hides some parts of a page."""
    return f"---\nsearch:\n  exclude: true\nhide: {parts}\n---\n{text}"


def relative(text, here):
    """Return a page with addresses that lead from `here`, its path, to others."""
    up = "../" * here.count("/")

    def address(match):
        path, anchor = match[1], match[2] or ""
        return f'href="{anchor if path == here and anchor else (up + path or "./") + anchor}"'

    return ADDRESS.sub(address, text)


def together(text, paths, here):
    """Return the page that holds all of some others: addresses on these lead to their anchors."""
    return relative(ADDRESS.sub(lambda m: f'href="{m[2]}"' if m[1] in paths and m[2] else m[0], text), here)


def one_level_down(text):
    """Return pages with all headings one level lower, those in the HTML of chunks as well."""
    text = re.sub(r"^(#{1,5} .*\{ #)", r"#\1", text, flags=re.M)
    return re.sub(r'(</?h)([2-5])\b(?=>| class="chunk-name")', lambda m: f"{m[1]}{int(m[2]) + 1}", text)


def check(essay, results):
    """Return (line, message) for figures without an alternative text."""
    return [(fence.line, f'the figure of {fence.name} has no alternative text: add alt="…" to its fence')
            for fence in essay.fences if fence.kind == "demonstration" and not fence.options.get("alt")
            and fence.name in results and results[fence.name].figures]  # fmt: skip


def files(essay, found, unfolded, docs, data):
    """Return {path: bytes} of all that belongs into build/pages."""
    wanted = {f"{sheet.path}index.md": sheet.text.encode() for sheet in found}
    wanted |= {f"files/{target}": program.text.encode() for target, program in essay.programs.items()}
    wanted |= {file_of(name): (docs.parent / name).read_bytes() for name in data}
    for asset in sorted((docs / "assets").iterdir()):
        if asset.is_file() and re.fullmatch(r"[A-Za-z0-9][\w.-]*\.(css|js|svg|png|woff2|txt)", asset.name):
            wanted[f"assets/{asset.name}"] = asset.read_bytes()
    wanted["assets/chunks.json"] = json.dumps(unfolded, indent=0, sort_keys=True, ensure_ascii=False).encode()
    return wanted


def write(folder, wanted):
    """Write files into a folder, where they change; remove those that an earlier weave wrote and this one did not."""
    refuse_links(folder, wanted)
    for path in sorted(listed(folder) - wanted.keys()):
        file = folder / path
        if file.is_file() and not file.is_symlink():
            file.unlink()
    tangle.put(folder / LISTED, json.dumps(sorted(wanted)).encode())
    for path, data in wanted.items():
        if tangle.read(folder / path) != data:
            tangle.put(folder / path, data)


def listed(folder):
    """Return the paths that the last weave wrote; none that lead out of the folder."""
    try:
        paths = json.loads((folder / LISTED).read_text(encoding="utf-8"))
        return {path for path in paths if tangle.is_target(path)}
    except (OSError, ValueError, TypeError):
        return set()


def refuse_links(folder, wanted):
    """Raise WeaveError where the folder, or one in it that is written to, is a link to elsewhere."""
    paths = {folder / name for name in wanted}
    for path in {folder.parent, folder, *paths, *(path.parent for path in paths)}:
        if path.is_symlink():
            raise OSError(f"{path} is a link: remove it, and the weave makes a folder or file of its own")
    if folder.exists() and not folder.is_dir():
        raise OSError(f"{folder} is no folder: remove it")
    for name in wanted:
        if (folder / name).is_dir():
            raise OSError(f"{folder / name} is a folder where a file belongs: remove it")
