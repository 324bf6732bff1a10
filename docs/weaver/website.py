"""The settings of the site, and the site itself, which mkdocs builds from build/pages."""

import io
import json
import logging
import os
import re

import tangle

os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # Material's end in 2027 is known, and Zensical builds the site, too


OWN = re.compile(r"([^#]*)#((chunk|program|term|experiment)-[^#]*)")  # an address: its page, its id, and its kind
FILLERS = {"a", "an", "the", "of", "in", "and", "to", "is", "it", "with", "where", "what", "how"}
WEIGHTS = {"chapter": 8, "section": 16, "chunk": 6, "program": 6, "term": 1.5, "experiment": 0.02, "beside": 0.0005}
PLURAL = "plural"


class SiteError(Exception):
    """An error that mkdocs reports."""


def settings_of(sheets):
    """Return the configuration of the site as YAML: mkdocs.yml, with the navigation of all pages.

    It is written in JSON, which is YAML, so that no title can break it.
    """
    values = {"INHERIT": "../mkdocs.yml", "docs_dir": "pages", "site_dir": "site", "nav": navigation(sheets)}
    values["theme"] = {"custom_dir": "../docs/theme"}  # beside the rest of the theme, which mkdocs.yml has
    return "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())


def navigation(sheets):
    """Return the navigation of all pages, each in its part; a part may be within another."""
    nav = []
    for sheet in sheets:
        entries = nav
        for part in sheet.part:
            inner = next((entry[part] for entry in entries if isinstance(entry.get(part), list)), None)
            if inner is None:
                entries.append({part: (inner := [])})
            entries = inner
        entries.append({sheet.title: f"{sheet.path}index.md"})
    return nav


def address():
    """Return the address of the site, if who publishes it has told; a server that previews it is none."""
    told = os.environ.get("SITE_URL", "")
    return "" if "//127.0.0.1" in told else told


def about(root):
    """Return the metadata of mkdocs.yml as {name: text}, in the terms of books."""
    from mkdocs.utils.yaml import yaml_load

    with (root / "mkdocs.yml").open(encoding="utf-8") as file:
        settings = yaml_load(file)
    words = {"title": "site_name", "subtitle": "site_description", "author": "site_author", "rights": "copyright"}
    return {word: settings[name] for word, name in words.items() if name in settings}


def write_settings(build, sheets):
    """Write build/mkdocs.yml, if it changes."""
    data = settings_of(sheets).encode()
    if tangle.read(build / "mkdocs.yml") != data:
        tangle.put(build / "mkdocs.yml", data)


def build_site(build, folder, only_changed=False):
    """Let mkdocs build the site into a folder, which it empties before; raise SiteError with its complaints.

    With `only_changed` it builds only pages that are newer than those in the folder, if the navigation is the same.
    mkdocs would warn of that each time, so warnings are dropped; the search index and the page with everything, which
    takes as long as all others together, stay as they are.
    """
    from mkdocs.commands.build import build as build_all
    from mkdocs.config import load_config

    index = folder / "search" / "search_index.json"
    before = tangle.read(index) if only_changed else None
    if only_changed:
        os.utime(build / "pages" / "everything" / "index.md", (0, 0))  # older than what was built of it
    logger, log = logging.getLogger("mkdocs"), io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setLevel(logging.WARNING)
    logger.handlers, logger.propagate = [handler], False
    try:
        settings = load_config(str(build / "mkdocs.yml"), site_dir=str(folder), strict=not only_changed)
        build_all(settings, dirty=only_changed)
    except (Exception, SystemExit) as error:  # mkdocs raises SystemExit after a warning
        raise SiteError(f"mkdocs: {log.getvalue().strip() or error}") from None
    index.write_bytes(before or sought(tangle.read(index)))


def sought(index):
    """Return the index of the search, in which chunks, words and experiments are entries of their own.

    A chunk that goes on with another is none, and one that is not in the first program comes after all that explain it.
    A title counts the more, the fewer words it has: “Gradients” says more about them than “Gradients in PyTorch”.
    The theme shows what is on one page as one result, and counts what is below its title less. So the address of an
    entry of its own has ? for #, as if it were another page, and page.js leads on.
    """
    index = json.loads(index)
    titles = {entry["location"]: entry["title"] for entry in index["docs"] if "#" not in entry["location"]}
    index["docs"] = [entry for entry in index["docs"] if not entry["title"].endswith("+≡")]
    for entry in index["docs"]:
        own = OWN.fullmatch(entry["location"])
        page, anchor, kind = own.groups() if own else ("", "", "section" if "#" in entry["location"] else "chapter")
        if own:
            anchor, _, way = anchor.partition("_")
            kind = way if way in WEIGHTS else kind
            entry["location"] = f"{page}?{anchor}"
            entry["title"] = entry["title"].strip(" +≡")
            entry["text"] = entry["text"] or titles[page]
        if kind == "term":
            entry |= {"boost": 1, PLURAL: entry["title"] + "s"}
        words = {*re.findall(r"\w+", entry["title"].lower())} - FILLERS
        count = 1 if kind == "term" else max(1, len(words))
        entry["boost"] = round(entry.get("boost", 1) * WEIGHTS[kind] / count, 6)
    index["config"]["fields"][PLURAL] = {"boost": 1000}  # as that of the title
    return json.dumps(index, ensure_ascii=False, separators=(",", ":")).encode()
