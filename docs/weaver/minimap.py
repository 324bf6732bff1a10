"""The program as a picture: each line as a bar, by what happens when it is broken. It is drawn as SVG."""

import re
from html import escape
from typing import NamedTuple

from weaver import trials

WIDE, GAP, PITCH = 118, 12, 6  # of a column, between two, and from line to line; a character is 1 wide
PAPER, INK, QUIET, LINE, HARM = "#fffefb", "#20242b", "#5a5f69", "#d9d6cd", "#c2410c"  # as in page.css
LOOKS = {None: (LINE, 1.2, 1), 0: (QUIET, 2, 0.8), 1: (HARM, 2.6, 0.5), 2: (HARM, 3.6, 0.7), 3: (HARM, 4.6, 0.85),
         4: (HARM, 5.6, 1)}  # fmt: skip  # by the level of the damage: colour, thickness, strength
TEXT, CODE = "'Source Serif 4', Georgia, serif", "'Source Code Pro', ui-monospace, Consolas, monospace"  # as there
FACES = "".join(f"@font-face{{font-family:{family.split(',')[0]};src:url({file}.woff2)}}"
                for family, file in ((TEXT, "text"), (CODE, "code")))  # fmt: skip  # they are beside the poster
TITLE = "Which lines of a GPT matter?"
PAGE, MARGIN = (1587, 1123), 56  # A3, in dots of 1/96 inch


class Row(NamedTuple):
    """A line of a program: its number, its code, and the level of the damage without it, None if nobody has tried."""

    number: int
    code: str
    level: int | None

    @property
    def told(self):
        """What there is to say about it."""
        return f"{self.number}" + ("" if self.level is None else f": {trials.HARMS[self.level]}")


def rows(program, harms):
    """Return the Rows of a program."""
    lines = program.lines[: program.text.count("\n")]
    return [Row(number, line.text.expandtabs(), harms[line.origin].level if line.origin in harms else None)
            for number, line in enumerate(lines, 1)]  # fmt: skip


def legend(rows):
    """Return [(level, words, how many lines)], the worst first; at last the lines that nobody has tried."""
    words = [*reversed([*enumerate(trials.HARMS)]), (None, "not tried")]
    return [(level, text, sum(row.level == level for row in rows)) for level, text in words]


def told(rows):
    """Return what a picture of some Rows shows, in a sentence."""
    parts = ", ".join(f"{text} {count}" for _, text, count in legend(rows))
    about = f"The {len(rows)} lines of the program, each as a bar: the thicker, the worse it is without the line"
    return f"{about}: {parts}."


def columns_of(rows, count):
    """Return Rows in so many columns, about as long; a column ends at a blank line if there is one."""
    height = -(-len(rows) // count)
    while True:
        columns, rest = [], rows
        while rest:
            blank = [i for i, row in enumerate(rest[: height + 1]) if not row.code.strip()]
            end = len(rest) if len(rest) <= height else blank[-1] if blank and blank[-1] else height
            columns.append(rest[:end])
            rest = rest[end:] if rest[end:] and rest[end].code.strip() else rest[end + 1 :]
        if len(columns) <= count:
            return columns
        height += 1


def bar(row, y):
    """Return the path of a line of code at a height: a dash for each word."""
    dashes = "".join(f"M{word.start()} {y}h{len(word[0])}" for word in re.finditer(r"\S+", row.code))
    return f'<path class="{mark(row.level)}" d="{dashes}"/>'


def mark(level):
    """Return the class of what shows a level of damage."""
    return "untried" if level is None else f"harm-{level}"


def picture(rows, columns=4, address=None, extra=""):
    """Return the SVG of some Rows as bars, after something extra; with an address, each leads to its line there."""
    parts, columns = [], columns_of(rows, columns)
    for i, column in enumerate(columns):
        parts.append(f'<g transform="translate({i * (WIDE + GAP)})">')
        for j, row in enumerate(column):
            shown = bar(row, j * PITCH + PITCH // 2) if row.code.strip() else ""
            if address and shown:
                place = f'<rect y="{j * PITCH}" width="{WIDE}" height="{PITCH}"/>'
                shown = f'<a href="{address}#L{row.number}" tabindex="-1"><title>{row.told}</title>{place}{shown}</a>'
            parts.append(shown)
        parts.append("</g>")
    size = f"0 0 {len(columns) * (WIDE + GAP) - GAP} {max(map(len, columns)) * PITCH}"
    role, hidden = ("group", ' aria-hidden="true"') if address else ("img", "")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="minimap" viewBox="{size}" role="{role}"'
    return f'{head} aria-label="{escape(told(rows))}">{extra}<g{hidden}>{"".join(parts)}</g></svg>'


def alone(rows):
    """Return the picture of some Rows as a file of its own."""
    looks = [f".{mark(level)}{{stroke:{colour};stroke-width:{thick};stroke-opacity:{strength}}}"
             for level, (colour, thick, strength) in LOOKS.items()]  # fmt: skip
    paper = f'<rect width="100%" height="100%" fill="{PAPER}"/>'
    return (picture(rows, extra=f"<style>path{{fill:none}}{''.join(looks)}</style>{paper}") + "\n").encode()


def poster(essay, findings, site=""):
    """Return the SVG of a page with the first program itself, its lines tinted; it names the site, if that is known."""
    lines = rows(essay.main, trials.harms(essay, findings))
    (wide, high), columns = PAGE, columns_of(lines, 3)
    step, pitch = (wide - 2 * MARGIN + 28) / 3, (high - 262) / max(map(len, columns))
    tried = sum(row.level is not None for row in lines)
    about = (f"{tried} of its {len(lines)} lines were changed or left out, in {len(essay.experiments)} experiments, "
             "and the model was trained again. The darker a line, the worse the worst of them.")  # fmt: skip
    x, y, signs = MARGIN, high - 46, []
    for level, words, count in legend(lines):
        room = {None: 0, 0: 16}.get(level, 46)
        signs += [sign(level, x, y - 13, 38, 18), written(x + room, y, f"{words}: {count}", size=15)]
        x += room + 30 + 7.4 * len(f"{words}: {count}")
    return "".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img" aria-label="{TITLE}">',
        f"<title>{TITLE}</title><style>{FACES}text{{font-family:{TEXT};fill:{INK};white-space:pre}}",
        f".code{{font:6.1px {CODE}}}.quiet{{fill:{QUIET}}}.end{{text-anchor:end}}</style>",
        f'<rect width="{wide}" height="{high}" fill="{PAPER}"/>',
        written(MARGIN, 102, TITLE, size=60), written(MARGIN, 138, about, "quiet", 18),
        written(wide - MARGIN, 102, re.sub("^https?://|/$", "", site), "quiet end", 18),
        *(coded(row, MARGIN + i * step, 172 + j * pitch, step - 28, pitch)
          for i, column in enumerate(columns) for j, row in enumerate(column)),
        *signs, "</svg>\n",
    ])  # fmt: skip


def coded(row, x, y, wide, high):
    """Return the SVG of a line of code on the poster: its number, its sign, and the code on its tint."""
    if not row.code.strip():
        return ""
    base, kind = y + high * 0.68, "code quiet" if row.level is None else "code"
    return (written(x + 14, base, row.number, "code quiet end") + sign(row.level, x + 20, y, wide - 20, high)
            + written(x + 34, base, escape(row.code, quote=False), kind))  # fmt: skip


def sign(level, x, y, wide, high):
    """Return the SVG of a level of damage: a tint, and before it as many bars as the level, for who sees no colours."""
    if level is None:
        return ""
    tint = f'<rect x="{x + 10:.1f}" y="{y:.1f}" width="{wide - 10:.1f}" height="{high:.1f}" fill="{HARM}" '
    bars = "".join(f"M{x + 2.4 * i:.1f} {y + 1.5:.1f}v{high - 3:.1f}" for i in range(level))
    bars = bars or f"M{x:.1f} {y + high / 2:.1f}h7"
    colour = HARM if level else QUIET
    return f'{tint}fill-opacity="{0.14 * level:.2f}"/><path d="{bars}" stroke="{colour}" stroke-width="1.2"/>'


def written(x, y, text, kind="", size=None):
    """Return the SVG of a text."""
    attributes = f' class="{kind}"' * bool(kind) + (f' font-size="{size}"' if size else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{text}</text>'
