"""The settings of the site, and the site itself, which mkdocs builds from build/pages."""

import contextlib
import io
import json
import logging
import os
import signal

import tangle

os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # Material's end in 2027 is known, and Zensical builds the site, too


class SiteError(Exception):
    """What mkdocs complains of."""


def settings(found):
    """Return the configuration of the site as YAML: mkdocs.yml, with the navigation of all pages.

    It is written in JSON, which is YAML, so that no title can break it.
    """
    values = {"INHERIT": "../mkdocs.yml", "docs_dir": "pages", "site_dir": "site", "nav": navigation(found)}
    values["theme"] = {"custom_dir": "../docs/theme"}  # beside the rest of the theme, which mkdocs.yml has
    return "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())


def navigation(found):
    """Return the navigation of all pages, each in its part; a part may be within another."""
    nav = []
    for sheet in found:
        entries = nav
        for part in sheet.part:
            inner = next((entry[part] for entry in entries if isinstance(entry.get(part), list)), None)
            if inner is None:
                entries.append({part: (inner := [])})
            entries = inner
        entries.append({sheet.title: f"{sheet.path}index.md"})
    return nav


def about(root):
    """Return {name: text} of what mkdocs.yml says about the essay, in the words that books have for it."""
    from mkdocs.utils.yaml import yaml_load

    with (root / "mkdocs.yml").open(encoding="utf-8") as file:
        said = yaml_load(file)
    words = {"title": "site_name", "subtitle": "site_description", "author": "site_author", "rights": "copyright"}
    return {word: said[name] for word, name in words.items() if name in said}


def write_settings(build, found):
    """Write build/mkdocs.yml, if it changes."""
    data = settings(found).encode()
    if tangle.read(build / "mkdocs.yml") != data:
        tangle.put(build / "mkdocs.yml", data)


def build_site(build, folder, only_changed=False):
    """Let mkdocs build the site into a folder, which it empties before; raise SiteError with its complaints.

    With `only_changed` it builds only pages that are newer than those in the folder, where the navigation is the same.
    mkdocs would warn of that each time, so nothing is complained of, and the search finds what it found before.
    """
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            raise OSError(f"{path} is a link, and what it leads to would be written over: remove the link")
    from mkdocs.commands.build import build as build_all
    from mkdocs.config import load_config

    index = folder / "search" / "search_index.json"
    before = tangle.read(index) if only_changed else None
    logger, log = logging.getLogger("mkdocs"), io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setLevel(logging.WARNING)
    logger.handlers, logger.propagate = [handler], False
    try:
        with interruptible():
            strict = not only_changed
            build_all(load_config(str(build / "mkdocs.yml"), site_dir=str(folder), strict=strict), dirty=only_changed)
    except KeyboardInterrupt:
        raise
    except (Exception, SystemExit) as error:  # mkdocs raises SystemExit after a warning
        raise SiteError(f"mkdocs: {log.getvalue().strip() or error}") from None
    if before:
        index.write_bytes(before)


@contextlib.contextmanager
def interruptible():
    """Let SIGTERM interrupt as Ctrl-C does: mkdocs would take a SystemExit for one of its own."""
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
