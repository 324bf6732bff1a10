"""The walk through the program: its scenes, with their sentences and seconds, and a still of each.

The demonstration with the widget "walk" has recorded the program and composed the scenes. What is said in a scene is
its own, or what the prose marks for it. The page plays it, film.py makes a film of it, and print and book show stills.
"""

import json
import re
from collections import Counter
from html import escape
from pathlib import Path

from markupsafe import Markup

from weaver import website
from weaver.essay import SPAN, html_of

WIDGET, FILE, FILE_ALONG = "walk", "assets/walk.json", "assets/walk-along.json"
ALONG = 4  # a page that says so many scenes has the picture beside it
READS, REST = 2.6, 1.6  # words a second; seconds at the end of a scene
BEAT, LONGEST = 1.3, 5  # seconds that a beat takes, unless it is the last of its scene
ADDRESS = "{address}"  # of the site, in the words of a picture
GAP = 1.4  # between the cells of one head and those of the next
LETTERS = "abcdefghi"  # of numbers below 0, by their size
ASSETS = Path(__file__).resolve().parent.parent / "assets"


def fence_of(essay):
    """Return the fence of the demonstration that is the walk, or None."""
    return next((fence for fence in essay.fences if fence.options.get("widget") == WIDGET), None)


def page_of(essay):
    """Return the page of the walk, or None."""
    fence = fence_of(essay)
    return fence and essay.page_of(fence.line)


def scenes(essay, said, results):
    """Return the scenes as the page plays them, [] where they have not been composed; `said` is Reading.said."""
    given = given_by(essay, results).get("scenes", [])
    lines = essay.main.text.split("\n")
    for scene in given:
        own = html_of([(span.lastgroup or "", span[span.lastgroup or 0]) for span in SPAN.finditer(scene["says"])])
        scene["says"] = str(own or said.get(scene["title"], (0, ""))[1])
        beats = scene["beats"]
        whole = max(BEAT * (len(beats) + 1), len(words(scene["says"]).split()) / READS + REST)
        each = min(LONGEST, whole / len(beats))
        for beat in beats:
            for mark in beat["put"].values():
                if "text" in mark:
                    mark["text"] = mark["text"].replace(ADDRESS, re.sub("^https?://|/$", "", website.address()))
            beat |= {"seconds": round(each, 2), "code": lines[beat["row"] - 1].strip()}
            beat["function"], beat["does"] = function_at(lines, beat["row"])
        beats[-1]["seconds"] = round(whole - each * (len(beats) - 1), 2)
    return given


def given_by(essay, results):
    """Return what the demonstration of the walk has given: the size of the picture and its scenes; {} without one."""
    fence = fence_of(essay)
    return json.loads(results[fence.name].given or "{}") if fence and fence.name in results else {}


def size(essay, results):
    """Return the width and the height of the picture; nothing is drawn without one."""
    given = given_by(essay, results)
    return given.get("width", 0), given.get("height", 0)


def function_at(lines, row):
    """Return the name of the function in which a line of the program is, and what its docstring says it does."""
    above = [*enumerate(lines[:row], 1)][::-1]
    number, head = next(((n, line) for n, line in above if re.match(r"def \w+", line)), (0, ""))
    inside = bool(number) and not any(re.match(r"\S", line) for line in lines[number:row])
    docstring = re.fullmatch(r'\s*"""(.*?)"""', lines[number])
    return (head[4 : head.index("(")], docstring[1] if docstring else "") if inside else ("", "")


def complaints(essay, said, results):
    """Return (line, message) for scenes without a sentence, and for sentences without a scene."""
    fence = fence_of(essay)
    if not fence or fence.name not in results:
        return []
    found = scenes(essay, said, results)
    code = [*enumerate(fence.code, fence.line + 1)]
    mute = []
    for title in [scene["title"] for scene in found if not scene["says"]]:
        line = next((number for number, text in code if f'"{title}"' in text), fence.line)
        way = f"mark its sentence in the prose with <!-- scene: {title} --> and <!-- end -->"
        mute.append((line, f"the scene {title} says nothing: {way}, or give it one"))
    titles = {scene["title"] for scene in found}
    return mute + [(line, f"the walk has no scene {title}") for title, (line, _) in said.items() if title not in titles]


def words(html):
    """Return some HTML as plain text."""
    return Markup(html).striptags()  # noqa: S704 (read, not shown)


def stills(found, across):
    """Return [(scene, its picture when it ends, as SVG)]; a picture is so wide and high."""
    marks, pictures = {}, []
    for scene in found:
        for beat in scene["beats"]:
            marks = {key: mark for key, mark in marks.items() if key not in beat["gone"]} | beat["put"]
        pictures.append((scene, svg(marks, across)))
    return pictures


def seconds(found):
    """Return how long some scenes take."""
    return sum(beat["seconds"] for scene in found for beat in scene["beats"])


def svg(marks, across):
    """Return marks as an SVG with colours of its own, as docs/assets/walk-picture.js draws them in the page."""
    drawn = "".join(f'<g class="{mark["kind"]} {mark.get("look", "")}" transform="translate({mark["x"]} {mark["y"]})">'
                    f"{DRAW[mark['kind']](mark)}</g>" for mark in marks.values())  # fmt: skip
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="walk-picture" viewBox="0 0 {across[0]} {across[1]}">'
    return f'{head}<style>{looks()}</style><rect width="100%" height="100%" fill="#fffefb"/>{drawn}</svg>\n'


def looks():
    """Return the styles of a picture on its own: those of the page, with the colours of its light scheme for names."""
    page, picture = ((ASSETS / f"{name}.css").read_text(encoding="utf-8") for name in ("page", "walk-picture"))
    colours = dict(re.findall(r"(--[a-z]+): (#\w+)", page[: page.index("slate")]))
    return re.sub(r"var\((--[a-z-]+)[^()]*\)", lambda match: colours.get(match[1], "Georgia, serif"), picture)


def word(mark):
    """Return a line of words."""
    at = f'font-size="{mark["size"]}" text-anchor="{mark["anchor"]}"'
    return f"<text {at}>{escape(mark['text'])}</text>"


def box(mark):
    """Return a box."""
    return f'<rect width="{mark.get("width", 0)}" height="{mark.get("height", 0)}"/>'


def line(mark):
    """Return a line; with two points besides the first it is bent."""
    points = " ".join(f"{x} {y}" for x, y in mark["by"])
    return f'<path d="M0 0{"Q" if len(mark["by"]) == 2 else "L"}{points}" stroke-width="{mark["thick"]}"/>'


def cells(mark):
    """Return cells: a path for all of one level, and a frame."""
    rows, paths = len(mark["levels"]) // mark["columns"], {}
    gaps = mark.get("gaps", 0)
    wide = mark["width"] / mark["columns"]
    high = (mark["height"] - GAP * ((rows - 1) // gaps if gaps else 0)) / rows
    for i, level in enumerate(mark["levels"]):
        row, column = divmod(i, mark["columns"])
        y = row * high + (GAP * (row // gaps) if gaps else 0)
        paths.setdefault(level, []).append(f"M{column * wide:.1f} {y:.1f}h{wide:.2f}v{high:.2f}h{-wide:.2f}z")
    paths.pop("0", None)
    kinds = {level: f'class="{"below" if level in LETTERS else "above"}" fill-opacity="{strength(level):.2f}"'
             for level in paths}  # fmt: skip
    return "".join(f'<path {kinds[level]} d="{"".join(path)}"/>' for level, path in paths.items()) + box(mark).replace(
        "<rect", '<rect class="frame"'
    )


def strength(level):
    """Return how strong the colour of a level is, from 0 to 1."""
    return (LETTERS.index(level) + 1 if level in LETTERS else int(level)) / 9


DRAW = {"text": word, "rect": box, "line": line, "cells": cells}


def still_path(number):
    """Return the path of the still of a scene, below the site's root; the first one is number 1."""
    return f"assets/walk-{number:02}.svg"


def files(essay, said, results, found):
    """Return {path: bytes} of what the page of the walk needs, and those pages that it goes along with."""
    if not found:
        return {}
    walk = given_by(essay, results) | {"page": page_of(essay).path, "scenes": found}
    drawn = stills(found, size(essay, results))
    pictures = {still_path(i): picture.encode() for i, (_, picture) in enumerate(drawn, 1)}
    along = pages_along(essay, said)
    last = max((i for i, scene in enumerate(found, 1) if page_saying(essay, said, scene) in along), default=0)
    data = {FILE: walk, FILE_ALONG: walk | {"scenes": found[:last]}}
    return pictures | {path: json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
                       for path, content in data.items()}  # fmt: skip


def pages_along(essay, said):
    """Return the paths of the pages that say so many scenes that the picture goes along with them."""
    counts = Counter(essay.page_of(line).path for line, _ in said.values())
    return {path for path, count in counts.items() if count >= ALONG}


def page_saying(essay, said, scene):
    """Return the path of the page that says a scene, or None."""
    return essay.page_of(said[scene["title"]][0]).path if scene["title"] in said else None


def moments(found):
    """Return {line of the program: the first moment that shows it, as the address of the walk names it}."""
    beats = [(beat["row"], f"{scene['title']}.{i}") for scene in found for i, beat in enumerate(scene["beats"], 1)]
    return dict(reversed(beats))


def told(scene):
    """Return the lines of a scene and what they make, in words: [(number, words)]."""
    lines = {}
    for beat in scene["beats"]:
        made = ", ".join(f"{name} = {value}" for name, value in beat["made"])
        lines.setdefault(beat["row"], []).append(made)
    return [(row, "; ".join(filter(None, dict.fromkeys(made)))) for row, made in lines.items()]
