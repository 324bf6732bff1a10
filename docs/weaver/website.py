"""The settings of the site, and the site itself, which mkdocs builds from build/pages."""

import io
import json
import logging
import os

import tangle

os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # Material's end in 2027 is known, and Zensical builds the site, too


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
    if before:
        index.write_bytes(before)
