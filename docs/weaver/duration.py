"""How long it takes to read the essay, for the line below each title and for the table of contents."""

import re

from markupsafe import Markup

import tangle
from weaver.essay import COMMENT

WORDS, LINES = 230, 12  # a minute: of prose, and of code that is read to be understood


def minutes(essay, reading):
    """Return {path: minutes that the page takes}: its prose and its code, without experiments and solutions."""
    skipped = {line for lines in reading.quoted.values() for line in lines}
    for heading in essay.headings:
        skipped |= {*range(heading.line, essay.end_of(heading) + 1)} if heading.folds else set()
    times = {}
    for page in essay.pages:
        lines = [line for line in range(page.start, page.end + 1) if line not in skipped]
        prose = "\n".join(essay.lines[line - 1] for line in lines if line not in essay.inside)
        words = re.findall(r"\w+(?:['’.,-]\w+)*", COMMENT.sub("", prose))
        code = [line for line in lines if line in essay.inside and is_read(essay, line)]
        times[page.path] = len(words) / WORDS + len(code) / LINES
    return times


def is_read(essay, line):
    """Return whether a line of a fence is code that you read: neither a reference nor folded away with a figure."""
    fence, text = essay.inside[line], essay.lines[line - 1]
    folded = fence.kind == "experiment" or (fence.kind == "demonstration" and "alt" in fence.options)
    return fence.line < line < fence.end and not folded and bool(text.strip()) and not tangle.REFERENCE.fullmatch(text)


def times(essay, minutes):
    """Return {path: HTML of the line that says how long a page takes}, and on the first one, how long the essay."""
    lines = {}
    for page in essay.pages:
        solutions = [heading for heading in essay.headings if heading.folds and heading.text.startswith("Solution")]
        counts = {"experiment": sum(block.page is page for block in essay.experiments.values()),
                  "solution": sum(page.start <= heading.line <= page.end for heading in solutions)}  # fmt: skip
        apart = " and ".join(counted(count, word) for word, count in counts.items() if count)
        lines[page.path] = about(minutes[page.path]) + (f", and {apart}" if apart else "")
    first, *others = essay.pages
    if others:
        part = sum(minutes[page.path] for page in others if page.part and page.part == others[0].part)
        lines[first.path] += f"; {others[0].part}: {about(part)}" if part else ""
        read = [first, *([page for page in others if page.number] or others)]  # the rest is there to be looked up
        lines[first.path] += f"; the whole: {about(sum(minutes[page.path] for page in read))}"
    line = Markup('<p class="reading-time" data-search-exclude>{}</p>')
    return {path: line.format(text) for path, text in lines.items()}


def about(minutes):
    """Return a time in words: hours from a hundred minutes on."""
    return "about " + (counted(round(minutes / 60), "hour") if minutes >= 100 else counted(rounded(minutes), "minute"))


def counted(count, word):
    """Return a number of things in words."""
    return f"{count} {word}{'s' if count > 1 else ''}"


def rounded(minutes):
    """Return a number of minutes, at least one."""
    return max(1, round(minutes))
