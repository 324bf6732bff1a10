"""The picture of an experiment: the losses of its program as it is, and with the change. It is drawn as SVG."""

import itertools
import math
from typing import NamedTuple

from laboratory.record import POINTS

WIDTH, HEIGHT = 300, 114
LEFT, RIGHT, TOP, BOTTOM = 30, 204, 19, 90  # of the axes
APART = 12  # the least distance between two names
ROOM = 160  # up to there a name may be long


class Curve(NamedTuple):
    """The losses of a program, each the mean over some steps; `stop` says why they end before its steps do, if so."""

    kind: str
    name: str
    losses: list
    every: float
    stop: str

    @property
    def told(self):
        """What it does, for somebody who does not see it."""
        end = f"; {self.stop}" if self.stop else ""
        return f"{self.name.capitalize()}: from {self.losses[0]:.2f} to {self.losses[-1]:.2f}{end}."


def curve_of(kind, name, entry):
    """Return the Curve of a program or an experiment, up to its first loss that is not a number."""
    count = min(POINTS, entry["steps"])
    losses = [*itertools.takewhile(lambda loss: loss is not None, entry.get("curve") or [])]
    return Curve(kind, name, losses, entry["steps"] / max(count, 1), "" if len(losses) == count else stop_of(entry))


def stop_of(entry):
    """Return why the losses of an entry end before its steps do."""
    if not entry["raised"]:
        return "no number"
    return "stops" if entry["raised"]["seeds"] == len(entry["seeds"]) else "a run stops"


def picture(entry, base):
    """Return the SVG of an experiment's losses over those of its program; nothing if there is no difference to see."""
    as_is, changed = curve_of("as-is", "as it is", base), curve_of("changed", "with the change", entry)
    is_short = entry["steps"] < base["steps"] and not entry["raised"]  # measured for a few steps only
    if not (as_is.losses and changed.losses) or as_is.losses == changed.losses or is_short:
        return ""
    steps, losses = max(entry["steps"], base["steps"]), [*as_is.losses, *changed.losses]
    marks = ticks(min(2.0, *losses), max(3.5, *losses))
    mean = "loss, mean of ten runs" if len(entry["seeds"]) >= 10 else "loss"

    def points(curve):
        heights = [(loss - marks[0]) / (marks[-1] - marks[0]) for loss in curve.losses]
        return [(LEFT + (i + 0.5) * curve.every / steps * (RIGHT - LEFT), BOTTOM - high * (BOTTOM - TOP))
                for i, high in enumerate(heights)]  # fmt: skip

    label = f"{mean.capitalize()}, over {steps:,} steps. {as_is.told} {changed.told}"
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">',
             axes(marks, steps, mean)]  # fmt: skip
    lines = points(as_is), points(changed)
    for curve, line, place in zip((as_is, changed), lines, apart(*lines), strict=True):
        parts.append(drawn(curve, line, place))
    return "".join([*parts, "</svg>"])


def drawn(curve, line, place):
    """Return the SVG of a Curve as a line of points, and of its name at a place."""
    points = " ".join(f"{short(x)},{short(y)}" for x, y in line)
    (x, y), (name_x, name_y), kind = line[-1], place, f'class="{curve.kind}"'
    cross = f'<path {kind} d="M{short(x - 3)} {short(y - 3)}l6 6m0-6l-6 6"/>' if curve.stop else ""
    name = f"{curve.name}: {curve.stop}" if curve.stop and x < ROOM else curve.name
    text = f'<text {kind} x="{short(name_x)}" y="{short(name_y)}">{name}</text>'
    return f'<polyline {kind} points="{points}"/>{cross}{text}'


def axes(marks, steps, title):
    """Return the SVG of the axes: a line and a number for each mark of the loss, and for none, half and all steps."""
    parts = [f'<text x="0" y="8">{title}</text><text x="{RIGHT + 18}" y="{HEIGHT - 8}">steps</text>']
    for i, mark in enumerate(marks):
        y = BOTTOM - i / (len(marks) - 1) * (BOTTOM - TOP)
        number = f"{mark:g}".replace("-", "−")
        parts.append(f'<path class="axis" d="M{LEFT} {short(y)}H{RIGHT}"/>'
                     f'<text class="end" x="{LEFT - 5}" y="{short(y + 3.5)}">{number}</text>')  # fmt: skip
    for part in (0, 0.5, 1):
        x = LEFT + part * (RIGHT - LEFT)
        parts.append(f'<text class="middle" x="{short(x)}" y="{HEIGHT - 8}">{round(part * steps):,}</text>')
    return "".join(parts)


def ticks(low, high):
    """Return up to six round numbers, evenly apart, from below one number to above another."""
    sizes = (digit * 10.0**power for power in range(-1, 9) for digit in (1, 2, 5))
    size = next(size for size in sizes if (high - low) / size <= 4)
    return [size * i for i in range(math.floor(low / size), math.ceil(high / size) + 1)]


def apart(first, second):
    """Return where the names of two lines of points are written, near their ends: none is upon the other line."""
    lines = sorted([first, second], key=lambda line: line[-1])
    (x0, y0), (x1, y1) = (line[-1] for line in lines)
    if x1 - x0 < 1:  # they end together, so both give way
        lack = max(0, APART - abs(y1 - y0)) / 2 * (1 if y0 >= y1 else -1)
        y0, y1 = y0 + lack, y1 - lack
    else:
        beside = min(lines[1], key=lambda point: abs(point[0] - x0))[1]
        y0 = min(y0, beside - APART / 2) if abs(beside - y0) < APART else y0
    low = max(0, y0 - BOTTOM, y1 - BOTTOM)  # below the axis are its numbers
    y0, y1 = y0 - low, y1 - low
    places = {id(lines[0]): (x0 + 6, y0 + 3.5), id(lines[1]): (x1 + 6, y1 + 3.5)}
    return places[id(first)], places[id(second)]


def short(number):
    """Return a number with one decimal at most."""
    return f"{number:.1f}".removesuffix(".0")
