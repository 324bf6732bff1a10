"""Draw docs/assets/card.png, the picture that other sites show beside a link to the essay, and docs/assets/poster.pdf.

    .venv/bin/python docs/make_card.py

Both show the program as a map: its lines, by what happens without them. Draw them again when an experiment has changed.
It needs Chromium.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "docs"), str(ROOT)]

from laboratory import record as records  # noqa: E402
from weaver import film, minimap, trials, website  # noqa: E402
from weaver.essay import Essay  # noqa: E402

ASSETS = ROOT / "docs" / "assets"
PAGE = """<!doctype html><meta charset="utf-8"><title>{title}</title><link rel="stylesheet" href="{css}">
<body data-md-color-scheme="default"><style>
@page {{ size: 420mm 297mm; margin: 0 }}
* {{ box-sizing: border-box; margin: 0 }}
body {{ font-family: var(--md-text-font), serif; color: var(--ink); background: var(--paper) }}
.poster {{ display: block; width: 420mm; height: 296.9mm }}
.card {{ display: grid; grid-template-columns: 340px 1fr; gap: 56px; width: 1200px; height: 630px; padding: 60px 56px }}
.card > div {{ display: flex; flex-direction: column }}
h1 {{ font-size: 68px; line-height: 1.05; font-weight: 400; letter-spacing: -0.01em }}
p {{ margin-top: 22px; font-size: 27px; line-height: 1.3; color: var(--quiet) }}
ul {{ margin-top: auto; padding: 0; list-style: none; font-size: 22px; line-height: 1.5 }}
li svg {{ width: 40px; height: 18px; margin-right: 8px; vertical-align: -2px }}
.card > svg {{ align-self: center; width: 100% }}
</style>{body}"""


def card(rows, heading):
    """Return the HTML of the card: the title, a question, and the map that answers it."""
    words = ("stops", "no longer learns", "learns much worse", "learns a little worse", "learns as well")
    signs = "".join(
        f'<li><svg class="minimap" viewBox="0 0 14 6"><path class="harm-{level}" d="M0 3h14"/></svg>{text}</li>'
        for level, text in zip((4, 3, 2, 1, 0), words, strict=True)
    )
    left = f"<h1>{escape(heading)}</h1><p>Which of its {len(rows)} lines matter?</p><ul>{signs}</ul>"
    return f'<div class="card"><div>{left}</div>{minimap.picture(rows)}</div>'


def draw(browser, body, *options):
    """Let a browser draw a page."""
    with tempfile.TemporaryDirectory(prefix="microgpt-card-") as folder:
        page = Path(folder, "page.html")
        css = (ASSETS / "page.css").as_uri()
        page.write_text(PAGE.format(title=escape(minimap.TITLE), css=css, body=body), encoding="utf-8")
        rights = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = [browser, "--headless", "--disable-gpu", f"--user-data-dir={folder}/profile", *rights, *options]
        subprocess.run([*command, page.as_uri()], check=True, capture_output=True)


def main():
    """Draw both, and return the exit status."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    browser = film.chromium()
    if not browser:
        print(f"make_card.py: no browser draws it: install one of {', '.join(film.BROWSERS)}", file=sys.stderr)
        return 1
    essay = Essay((ROOT / "microgpt.md").read_text(encoding="utf-8"))
    findings = trials.Findings(records.read(ROOT / trials.RECORD))
    rows = minimap.rows(essay.main, trials.harms(essay, findings))
    picture = card(rows, website.about(ROOT)["title"])
    draw(browser, picture, "--window-size=1200,630", f"--screenshot={ASSETS / 'card.png'}", "--hide-scrollbars")
    poster = minimap.poster(essay, findings, website.address()).replace("<svg ", '<svg class="poster" ', 1)
    draw(browser, poster, f"--print-to-pdf={ASSETS / 'poster.pdf'}", "--no-pdf-header-footer")
    return 0


if __name__ == "__main__":
    sys.exit(main())
