"""Draw docs/assets/card.png again, the picture that other sites show beside a link to the essay.

    .venv/bin/python docs/weave.py && .venv/bin/python docs/make_card.py

It shows the title of the essay and the names of its first figure, which a weave has left in build/pages. Draw it again
when either has changed.
"""

import argparse
import re
from html import unescape
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

ROOT = Path(__file__).resolve().parent.parent
CARD = ROOT / "docs" / "assets" / "card.png"
PAGE = ROOT / "build" / "pages" / "index.md"
ROWS = 10  # of a column: its heading, eight names, and the loss
PAPER, TEXT, NAME, LEARNED = "#24435c", "#ffffff", "#c3d3e0", "#ffb066"


def title(page):
    """Return the title of the essay."""
    return re.match("# (.*?) {", page)[1]


def columns(page):
    """Return the columns of the essay's first figure, each with its heading first."""
    figure = re.search(r'id="demonstration-becoming".*?</svg>', page, re.S)[0]
    texts = [unescape(re.sub("<.*?>", "", text)).strip() for text in re.findall(r"<text.*?</text>", figure, re.S)]
    return [texts[i : i + ROWS] for i in range(0, len(texts), ROWS)]


def draw(heading, shown):
    """Draw the card, 1200 by 630 dots."""
    mpl.rcParams["font.family"] = "DejaVu Sans"  # matplotlib brings it along
    figure = plt.figure(figsize=(12, 6.3), dpi=100, facecolor=PAPER)
    figure.text(0.065, 0.83, heading, size=43, color=TEXT, family="DejaVu Serif")
    for x, (steps, *names, loss) in enumerate(shown):
        left, is_last = 0.068 + 0.228 * x, x == len(shown) - 1
        figure.text(left, 0.69, steps, size=20, color=TEXT, weight="bold")
        for y, name in enumerate(names):
            color = LEARNED if is_last else NAME
            figure.text(left, 0.62 - 0.067 * y, name, size=21, color=color, family="DejaVu Sans Mono")
        figure.text(left, 0.06, loss, size=17, color=TEXT)
    figure.savefig(CARD, facecolor=PAPER, metadata={"Software": None}, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    text = PAGE.read_text(encoding="utf-8")
    draw(title(text), columns(text))
