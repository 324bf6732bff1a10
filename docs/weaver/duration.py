"""How long it takes to read the essay: what stands below the title of a page, and the contents say of all."""

import re

from markupsafe import Markup

import tangle
from weaver.essay import COMMENT

WORDS, LINES = 230, 12  # a minute: of prose, and of code that is read to be understood
HOURS = 100  # from so many minutes on, hours are told


def minutes(essay, reading):
    """Return {path: minutes that the page takes}."""
    return {page.path: minutes_of(essay, reading, page) for page in essay.pages}


def times(essay, minutes):
    """Return {path: HTML of the line that says how long the page takes}; the first one says its first part and
    the whole as well.
    """
    found = {}
    for page in essay.pages:
        text = about(minutes[page.path]) + apart(essay, page)
        if page is essay.pages[0] and len(essay.pages) > 1:
            first = essay.pages[1].part
            part = sum(minutes[other.path] for other in essay.pages if first and other.part == first)
            text += f"; {first}: {about(part)}" if part else ""
            text += f"; the whole: {about(sum(minutes.values()))}"
        found[page.path] = Markup('<p class="reading-time" data-search-exclude>{}</p>').format(text)
    return found


def about(minutes):
    """Return a time in words."""
    count, unit = (round(minutes / 60), "hour") if minutes >= HOURS else (rounded(minutes), "minute")
    return f"about {count} {unit}{'s' if count > 1 else ''}"


def rounded(minutes):
    """Return a number of minutes: nothing takes no time."""
    return max(1, round(minutes))


def minutes_of(essay, reading, page):
    """Return how many minutes a page takes: its prose and its code, without experiments and solutions."""
    left_out = {line for lines in reading.quoted.values() for line in lines}
    left_out |= {line for heading in folded(essay, page) for line in range(heading.line, essay.end_of(heading) + 1)}
    prose, lines = [], 0
    for number in range(page.start, page.end + 1):
        fence, text = essay.inside.get(number), essay.lines[number - 1]
        if fence is None and number not in left_out:
            prose.append(text)
        elif fence and number not in left_out and fence.line < number < fence.end:
            lines += is_read(fence, text)
    words = re.findall(r"\w+(?:['’.,-]\w+)*", COMMENT.sub("", "\n".join(prose)))
    return len(words) / WORDS + lines / LINES


def is_read(fence, text):
    """Return whether a line of a fence is code that one reads: no reference, and not folded like that of a figure."""
    folded = fence.kind == "experiment" or (fence.kind == "demonstration" and "alt" in fence.options)
    return not folded and bool(text.strip()) and not tangle.REFERENCE.fullmatch(text)


def apart(essay, page):
    """Return what is not counted, if there is any."""
    count = sum(place.page is page for place in essay.experiments.values())
    solutions = [heading for heading in folded(essay, page) if heading.text.startswith("Solution")]
    counts = [(count, "experiment"), (len(solutions), "solution")]
    found = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count]
    return f", and {' and '.join(found)}" if found else ""


def folded(essay, page):
    """Return the headings of the solutions and listings on a page."""
    return [heading for heading in essay.headings if heading.folds and page.start <= heading.line <= page.end]
