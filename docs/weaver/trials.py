"""Experiments on the site: what they change, what their record says came of it, and whether that is still so.

An experiment is shown as a diff. Below it stands what happens, folded away so that a reader can guess first: the words
are made here from docs/experiments.json, and the reason is the quotation that follows the experiment in the essay.
"""

import contextlib
import functools
import itertools
import math
import re
from typing import NamedTuple

from laboratory import record as records
from markupsafe import Markup

import tangle

RECORD, NAMES = "docs/experiments.json", "docs/names.txt"
EMPTY = {"programs": {}, "experiments": {}}
NOT_YET = "(has not been measured yet)"


class Findings(NamedTuple):
    """What there is to say about experiments: their record, {line of a fence: HTML of its explanation}, and the names
    of those whose record is missing or stale.
    """

    record: dict = EMPTY
    explanations: dict = {}  # noqa: RUF012 (nobody writes into it)
    waiting: tuple = ()

    def entry(self, name):
        """Return what is recorded of an experiment, or None."""
        return self.record["experiments"].get(name)

    def base(self, entry):
        """Return what is recorded of the program that an experiment changes, or None."""
        return self.record["programs"].get(entry["program"])

    def sentences(self, name):
        """Return what the record says of an experiment, as sentences of HTML."""
        entry = self.entry(name)
        known = sentences(entry, self.base(entry)) if entry and self.base(entry) else []
        return known or [NOT_YET] * (name in self.waiting)


# What an experiment changes


@functools.lru_cache(maxsize=1)
def all_touched(essay):
    """Return {name of an experiment: (lines of the essay that it takes out, lines that it puts something after)}."""
    return {name: touched(block.fence, essay.tangled) for name, block in essay.experiments.items()}


def touched(experiment, programs):
    """Return (lines of the essay that an experiment takes out, lines that stay and that it puts something after).

    There are none if it does not fit.
    """
    gone, followed = [], []
    with contextlib.suppress(tangle.TangleError):
        for hunk, origins in tangle.locate(experiment, programs):
            signs = "".join(sign for sign, _, _ in hunk)
            kept = signs.replace("+", "")
            gone += [line for sign, line in zip(kept, origins, strict=True) if sign == "-"]
            for put_in in re.finditer(r"\++", signs):
                spot = len(signs[: put_in.start()].replace("+", ""))  # how many of the lines are above
                if "-" not in kept[max(0, spot - 1) : spot + 1]:
                    followed.append(origins[max(0, spot - 1)])
    return sorted(gone), followed


def blocks(essay, experiment):
    """Return the blocks of the chunks and roots that an experiment changes, in their order."""
    lines = itertools.chain(*all_touched(essay)[experiment.name])
    return [essay.blocks[fence] for fence in sorted({essay.block_at(line).fence.line for line in lines})]


def target_of(essay, experiment):
    """Return the target of the first program that an experiment changes."""
    first = [essay.programs_with(block.fence)[0] for block in blocks(essay, experiment)]
    return min(first or [essay.main], key=[*essay.programs.values()].index).target


def tried(essay):
    """Return {line of the essay: blocks of the experiments that take it out or put something after it}."""
    at_lines = {}
    for name, lines in all_touched(essay).items():
        for line in itertools.chain(*lines):
            at_lines.setdefault(line, []).append(essay.experiments[name])
    return at_lines


# What its record says, in words


def command(essay, fence):
    """Return the command that runs a program after an experiment."""
    return f"python3 tangle.py --run {target_of(essay, fence)} --break {fence.name}"


def sentences(entry, base):
    """Return what a record says of an experiment, compared with its program, as sentences of HTML."""
    texts = [stop(entry), loss(entry, base), printed(entry, base), written(entry, base)]
    return [sentence for sentence in texts if sentence]


def stop(entry):
    """Say where it stops, if it does."""
    raised, seeds = entry["raised"], len(entry["seeds"])
    if not raised:
        return ""
    some = raised["seeds"] < seeds
    begin = f"With {raised['seeds']} of {seeds} seeds it stops" if some else "It stops"
    if raised["seeds"] > 1 and (raised["step"] or 0) > 1:  # where each of them has a step of its own
        begin += ", with the first of them" if some else ", with the first seed"
    return Markup("{} {}: <code>{}</code>.").format(begin, moment(raised), raised["error"].removesuffix(": "))


def moment(raised):
    """Say when something was raised."""
    if raised["step"] is None:
        return "when it has learned, at a new name"
    return f"at step {raised['step']}" if raised["step"] else "before the first step"


def loss(entry, base):
    """Say how it changes the loss on unseen names, if both have been measured in the same way."""
    if not comparable(entry, base):
        is_lost = not entry["raised"] and entry["unseen"] and None in entry["unseen"]
        return "The loss on unseen names is no number any more." if is_lost else ""
    mean, spread, count = records.change(entry, base)
    after = records.summary(entry["unseen"])[0]
    if is_nothing(mean, spread):
        return f"The loss on unseen names stays {after:.3f}."
    if spread > max(1, abs(mean)):  # a few trainings went far astray, and a mean says little
        lost = [number for number in entry["unseen"] if number is not None]
        return f"Loss on unseen names: from {min(lost):.2f} to {max(lost):.2f} instead of {after - mean:.3f}."
    seeds = f" ± {spread:.4f} (mean and spread over {count} paired seeds)" if count > 1 else " (with one seed)"
    said = f"Loss on unseen names: {after:.3f} instead of {after - mean:.3f}, a change of {signed(mean)}{seeds}."
    return said + (" That may be chance." if may_be_chance(mean, spread, count) else "")


def may_be_chance(mean, spread, count):
    """Return whether as many pairs would differ as much in one case of twenty or more, if there were no difference.

    This is Student's t-test of paired differences; its limit is known here for the ten pairs that are measured.
    """
    return count == 10 and abs(mean) < 2.262 * spread / math.sqrt(count)


def comparable(entry, base):
    """Return whether an experiment and its program have losses after as many steps, on as many names.

    Who trains for longer has seen more of the names, and fewer are left.
    """
    before = dict(zip(base["seeds"], base["names"], strict=True))
    known = [count == before.get(seed) for seed, count, loss in
             zip(entry["seeds"], entry["names"], entry["unseen"], strict=True) if loss is not None]  # fmt: skip
    return bool(known) and (entry["steps"] > base["steps"] or (entry["steps"] == base["steps"] and all(known)))


def is_nothing(mean, spread):
    """Return whether a change is none, as far as four decimals show."""
    return max(abs(mean), spread) < 0.00005


def signed(number):
    """Return a change with its sign, and four decimals."""
    return f"{number:+.4f}".replace("-", "−")


def printed(entry, base):
    """Say which losses it prints."""
    steps = [1, 2, 3, entry["steps"]]
    mine, theirs = ([decimals(value) for value in of["printed"]] for of in (entry, base))
    if entry["raised"]:  # the last one is not of the last step
        mine = mine[:3]
    if not mine:
        return ""
    if entry["steps"] != base["steps"]:  # the last ones are not of the same step
        theirs = theirs[:3]
    elif mine == theirs:
        return "It prints the same numbers."
    if entry["raised"] and mine == theirs[: len(mine)]:
        return "Before that it prints the same numbers."
    losses, at = ("losses", "steps") if len(mine) > 1 else ("loss", "step")
    said = f"It prints the {losses} {listed(mine)} at {at} {listed(steps[: len(mine)])}"
    if mine[: len(theirs)] == theirs[: len(mine)]:
        return f"{said}, of which the first are the same."
    return f"{said} instead of {listed(theirs[: len(mine)])}."


def decimals(loss):
    """Return a loss as programs print it; None is one that is no number."""
    return "nan" if loss is None else f"{loss:.4f}"


def written(entry, base):
    """Say which names it writes."""
    if not entry["samples"]:
        return ""
    if entry["samples"] == base["samples"]:
        return "It writes the same names."
    names = [Markup("<i>{}</i>").format(name) if name else "an empty one" for name in entry["samples"]]
    if len(names) > 1 and len({*names}) == 1:
        return Markup("The names that it writes are all the same: {}.").format(names[0])
    return Markup("It writes the names {}.").format(Markup(listed(names)))  # noqa: S704


def listed(words):
    """Return words as a list in a sentence."""
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last


def caption(record):
    """Return how the experiments were measured, and the order of their table."""
    if not record["programs"]:
        return "They have not been measured yet."
    base = next(iter(record["programs"].values()))
    seeds = f"{len(base['seeds'])} seeds" if len(base["seeds"]) > 1 else "one seed"
    what = f"The change of the loss on {max(base['names']):,} unseen names, its mean and spread over {seeds}"
    return f"{what} ({record['machine']}, Python {record['python']}, {record['date']}). The largest comes first."


def rows(essay, findings):
    """Return [(block of an experiment, blocks that it changes, what came of it)], the largest change of the loss first.

    Then come those that stop, in the order of the essay, and those without a loss.
    """
    entries = []
    for block in essay.experiments.values():
        entry = findings.entry(block.fence.name)
        base = findings.base(entry) if entry else None
        if base and comparable(entry, base):
            mean, spread, count = records.change(entry, base)
            text = "the same" if is_nothing(mean, spread) else signed(mean) + (f" ± {spread:.4f}" if count > 1 else "")
            key = (0, -mean)
        elif entry and entry["raised"]:
            key, text = (1, 0), f"stops {moment(entry['raised'])}: {entry['raised']['error'].removesuffix(': ')}"
        else:
            key, text = (2, 0), "–"
        entries.append((key, (block, blocks(essay, block.fence), text)))
    return [row for _, row in sorted(entries, key=lambda pair: pair[0])]


# Whether the record is still right


def stale(essay, record, root):
    """Return the names of the experiments and programs whose record is missing or stale."""
    if not (essay.experiments or record["programs"]):  # an essay that wants nothing measured
        return []
    return records.stale(essay.fences, essay.tangled, record, root / NAMES)


def untitled(essay):
    """Return (line, message) for experiments without a title, or with one that another has as well."""
    errors, known = [], {}
    for block in essay.experiments.values():
        fence = block.fence
        if "title" not in fence.options:
            errors.append((fence.line, f'experiment {fence.name} has no title: add title="…" inside the braces'))
        elif (first := known.setdefault(block.title, fence)) is not fence:
            errors.append((fence.line, f"experiment {fence.name} has the title of the one on line {first.line}"))
    return errors


def complaints(essay, names, compiles=False):
    """Return (line, message) for experiments that do not fit, and one for all records that are missing or stale, by the
    names of what they are of: one command measures them all.

    With `compiles` also for those that make no Python.
    """
    errors = tangle.check_experiments(essay.fences, essay.tangled, compiles) + untitled(essay)
    if names:
        first = essay.experiments[names[0]].fence if names[0] in essay.experiments else essay.roots[names[0]]
        one, several = f"the record of {names[0]} is", f"{len(names)} records, such as that of {names[0]}, are"
        what = one if len(names) == 1 else several
        errors.append((first.line, f"{what} missing or stale: run `python docs/laboratory/experiments.py`"))
    return errors
