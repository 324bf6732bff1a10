"""The essay as an EPUB, which pandoc makes: from the chapters in Markdown, and their figures."""

import io
import os
import shutil
import subprocess
import tempfile
import time
import uuid
import zipfile
from pathlib import Path

import tangle
from weaver import chapters
from weaver.render import TEMPLATES
from weaver.writer import GAP

MARKDOWN = "gfm-gfm_auto_identifiers-emoji-autolink_bare_uris+attributes+bracketed_spans"
OPTIONS = ("--to=epub3", "--toc", "--toc-depth=2", "--no-highlight", f"--css={TEMPLATES / 'book.css'}")
TEXT = "book.md"
MIMETYPE = b"application/epub+zip"
FIRST_DAY = 315532800  # 1 January 1980, in Unix time: a zip knows no earlier one


def files(essay, reading, results, laboratory):
    """Return {path: bytes} of what pandoc makes a book of: the essay as one text in Markdown, and its figures."""
    written = chapters.Chapters(essay, reading, results, laboratory, chapters.InABook())
    text = GAP.join(block for path in reading.pages for block in written.blocks(path)) + "\n"
    return {TEXT: text.encode()} | chapters.figures(essay, results)


def replaced(file):
    """Return the bytes of an older book that is to be replaced, or None; raise OSError for anything else there."""
    old = tangle.read(file)
    if file.is_dir() or (old is not None and MIMETYPE not in old[:100]):  # a book begins with a file of that type
        raise OSError(f"{file} is there, and no EPUB: name another file")
    return old


def write(file, about, parts):
    """Let pandoc write a book of some files; the same ones are the same bytes, whenever it is done.

    `about` is {name: text} of what is to be said of it. Raises OSError where it fails, and where the file is something
    else than a book, or was saved in the meantime.
    """
    old = replaced(file)
    if not shutil.which("pandoc"):
        raise OSError("an EPUB is made by pandoc, which is not installed: `apt-get install pandoc`, or see pandoc.org")
    name = uuid.uuid5(uuid.NAMESPACE_URL, about["title"])
    metadata = [f"--metadata={key}:{text}" for key, text in {**about, "lang": "en", "identifier": name.urn}.items()]
    with tempfile.TemporaryDirectory(prefix="microgpt-book-") as folder:
        for path, data in parts.items():
            tangle.put(Path(folder, path), data)
        command = ["pandoc", f"--from={MARKDOWN}", *OPTIONS, *metadata, "--output=book.epub", TEXT]
        seconds = max(FIRST_DAY, int(os.environ.get("SOURCE_DATE_EPOCH", FIRST_DAY)))
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(seconds)}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"pandoc: {done.stderr.strip() or done.returncode}")
        tangle.write([tangle.Change(file, old, dated(Path(folder, "book.epub").read_bytes(), seconds))])


def dated(data, seconds):
    """Return a zip whose files are all of one time: pandoc's are of the time at which it wrote them."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w") as new:
        for entry in old.infolist():
            stamped = zipfile.ZipInfo(entry.filename, time.gmtime(seconds)[:6])
            stamped.compress_type = entry.compress_type  # the first one has to be stored as it is
            new.writestr(stamped, old.read(entry))
    return result.getvalue()
