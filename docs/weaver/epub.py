"""The essay as an EPUB, which pandoc makes from the chapters in Markdown and their figures."""

import io
import os
import re
import shutil
import subprocess
import tempfile
import time
import uuid
import zipfile
from pathlib import Path

import tangle
from weaver import chapters, walk
from weaver.render import TEMPLATES

FONTS = sorted((TEMPLATES.parent / "assets").glob("*.woff2"))
MARKDOWN = "gfm-gfm_auto_identifiers-emoji-autolink_bare_uris+attributes+bracketed_spans"
OPTIONS = ("--to=epub3", "--toc", "--toc-depth=2", "--no-highlight", f"--css={TEMPLATES / 'book.css'}",
           *(f"--epub-embed-font={font}" for font in FONTS))  # fmt: skip
TEXT = "book.md"
MIMETYPE = b"application/epub+zip"
FIRST_DAY, LAST_DAY = 315532800, 4354819199  # from 1980 to 2107, in Unix time: a zip knows no other years


def files(essay, reading, results, findings):
    """Return {path: bytes} of pandoc's input: the essay as one text in Markdown, and its figures."""
    written = chapters.Book(essay, reading, results, findings)
    text = chapters.GAP.join(block for page in essay.pages for block in written.blocks(page)) + "\n"
    stills = {
        chapters.still(i): svg.encode()
        for i, (_, svg) in enumerate(walk.stills(written.scenes, walk.size(essay, results)), 1)
    }
    return {TEXT: text.encode()} | chapters.figures(essay, results, findings) | stills


def check_place(file):
    """Raise OSError if the path of a book holds anything but an older book."""
    old = tangle.read(file) or b""
    if os.path.lexists(file) and (old[:2], old[30:58]) != (b"PK", b"mimetype" + MIMETYPE):
        raise OSError(f"{file} exists and is not an EPUB: name another file")


def seconds_of(text):
    """Return the time of a book, in Unix time, from SOURCE_DATE_EPOCH; raise OSError if that is not a time."""
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > LAST_DAY:
        raise OSError(f"SOURCE_DATE_EPOCH is {text!r}: it must be seconds since 1970, up to {LAST_DAY}")
    return max(FIRST_DAY, int(text))


def write(file, about, parts):
    """Let pandoc write a book of some files; the same files give the same bytes at any time.

    `about` is {name: text} of its metadata. Raises OSError if it fails, or if the file is not a book.
    """
    check_place(file)
    seconds = seconds_of(os.environ.get("SOURCE_DATE_EPOCH") or str(FIRST_DAY))
    if not shutil.which("pandoc"):
        raise OSError("an EPUB is made by pandoc, which is not installed: `apt-get install pandoc`, or see pandoc.org")
    name = uuid.uuid5(uuid.NAMESPACE_URL, about["title"])
    metadata = [f"--metadata={key}:{text}" for key, text in {**about, "lang": "en", "identifier": name.urn}.items()]
    with tempfile.TemporaryDirectory(prefix="microgpt-book-") as folder:
        for path, data in parts.items():
            tangle.put(Path(folder, path), data)
        command = ["pandoc", f"--from={MARKDOWN}", *OPTIONS, *metadata, "--output=book.epub", TEXT]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(seconds)}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"pandoc: {done.stderr.strip() or done.returncode}")
        tangle.put(file, dated(Path(folder, "book.epub").read_bytes(), seconds))


def dated(data, seconds):
    """Return a zip whose files all have one date: pandoc's have the date at which it wrote them."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w") as new:
        for entry in old.infolist():
            stamped = zipfile.ZipInfo(entry.filename, time.gmtime(seconds)[:6])
            stamped.compress_type = entry.compress_type  # the first one has to be stored as it is
            new.writestr(stamped, old.read(entry))
    return result.getvalue()
