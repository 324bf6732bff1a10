"""Experiments on the site: what they change, what their record says about the outcome, and whether that is still valid.

An experiment is shown as a diff. Below it is what happens, folded away so that a reader can guess first: a line that is
made here from docs/experiments.json, and the reason, a quotation that may follow the experiment in the essay.
"""

import contextlib
import functools
import itertools
import math
import re
from typing import NamedTuple

from laboratory import record as records

import tangle
from weaver import curves

RECORD, NAMES = "docs/experiments.json", "docs/names.txt"
EMPTY = {"programs": {}, "experiments": {}}
NOT_YET = "(has not been measured yet)"
HARMS = (
    "learns as well",
    "learns a little worse, or something else",
    "learns much worse",
    "no longer learns",
    "stops",
)
SEEN, LITTLE = 0.01, 0.05  # of the loss: less is no harm that anybody would see, more is much
COUNTING = "stages/letters.py"  # counts letters; what is no better has learned nothing of what follows what


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

    def pair(self, name):
        """Return what is recorded of an experiment, and of its program; nothing if either is missing."""
        entry = self.entry(name)
        base = self.base(entry) if entry else None
        return (entry, base) if base else ()

    def outcome(self, name):
        """Return what the record says of an experiment, in a line: [(tag or nothing, text)]."""
        pair = self.pair(name)
        return (pair and outcome(*pair)) or [("", NOT_YET)] * (name in self.waiting)

    def picture(self, name):
        """Return the SVG of the losses with an experiment and without it, if there is a difference to see."""
        pair = self.pair(name)
        return curves.picture(*pair) if pair else ""

    def names(self, name):
        """Return [(heading, names)]: what a program writes as it is, and with an experiment, if that writes others."""
        entry, base = self.pair(name) or ({"samples": []}, {"samples": []})
        before, after = base["samples"], entry["samples"]
        return [("as it is", before), ("with the change", after)] if after and after != before else []


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
    """Return the command that runs a program after an experiment; after the first of a page, only what differs."""
    first = next(block for block in essay.experiments.values() if block.page is essay.page_of(fence.line))
    target = target_of(essay, fence)
    is_known = first.fence is not fence and target_of(essay, first.fence) == target
    return f"{'…' if is_known else f'python3 tangle.py --run {target}'} --break {fence.name}"


def outcome(entry, base):
    """Return what a record says of an experiment, compared with its program, in a line: [(tag or nothing, text)]."""
    parts = [part for part in (stop(entry), loss(entry, base), written(entry, base)) if part]
    return [span for i, part in enumerate(parts) for span in [("", " ")] * (i > 0) + part]


def stop(entry):
    """Say when it stops, if it does."""
    if not entry["raised"]:
        return []
    return [("", f"{stopped(entry)}: "), ("code", entry["raised"]["error"].removesuffix(": ")), ("", ".")]


def stopped(entry):
    """Say when it stops, by the run with the first seed that does."""
    raised, runs = entry["raised"], len(entry["seeds"])
    when = f"at step {raised['step']}" if raised["step"] else "before the first step"
    when = "after training, at an unseen name" if raised["step"] is None else when
    if raised["seeds"] == runs:
        return f"Stops {when}"
    many = raised["seeds"] > 1
    return f"{raised['seeds']} of {runs} runs stop{'' if many else 's'}, {'one of them ' * many}{when}"


def loss(entry, base):
    """Say how it changes the loss on unseen names, if that has been measured."""
    after = records.summary(entry["unseen"])[0]
    if math.isnan(after):
        return [] if entry["raised"] else [("", "Loss on unseen names NaN.")]
    if not comparable(entry, base):
        steps = f" after {entry['steps']} steps" if entry["steps"] < base["steps"] else ""
        return [("", f"Loss on unseen names {after:.3f}{steps}.")]
    mean, spread, count = records.change(entry, base)
    if is_nothing(mean, spread):
        return [("", f"Loss on unseen names stays at {after:.3f}.")]
    if is_astray(mean, spread):
        return [("", f"Loss on unseen names {between(entry)} ({after - mean:.3f} without the change).")]
    luck = " This could be luck." if may_be_luck(mean, spread, count) and not entry["raised"] else ""
    sign, *change = signed(mean, spread, count)
    return [("", f"Loss on unseen names {after:.3f} ({after - mean:.3f} {sign} {''.join(change)}).{luck}")]


def may_be_luck(mean, spread, count):
    """Return whether pairs without a real difference would differ as much, on average, one time in twenty or more.

    This is Student's t-test of paired differences, two-sided; its limit is a series in the degrees of freedom.
    """
    if count < 2:
        return False
    limit = sum(part / (count - 1) ** i for i, part in enumerate((1.960, 2.372, 2.823, 2.556, 1.589, 1.406)))
    return abs(mean) < limit * spread / math.sqrt(count)


def comparable(entry, base):
    """Return whether an experiment and its program have losses after as many steps, on as many names.

    Who trains for longer has seen more of the names, and fewer are left.
    """
    before = dict(zip(base["seeds"], base["names"], strict=True))
    known = [count == before.get(seed) for seed, count, loss in
             zip(entry["seeds"], entry["names"], entry["unseen"], strict=True) if loss is not None]  # fmt: skip
    return bool(known) and (entry["steps"] > base["steps"] or (entry["steps"] == base["steps"] and all(known)))


def is_nothing(mean, spread):
    """Return whether a change is none, as far as three decimals show."""
    return max(abs(mean), 0 if math.isnan(spread) else spread) < 0.0005


def is_astray(mean, spread):
    """Return whether a few runs went so far astray that a mean says little."""
    return spread > max(1, abs(mean))


def between(entry):
    """Say between which losses the runs of an experiment end."""
    found = [loss for loss in entry["unseen"] if loss is not None]
    return f"between {min(found):.2f} and {max(found):.2f}"


def signed(mean, spread, count):
    """Return a change of the loss, with its sign, its standard deviation, and how many pairs there were, if not ten."""
    pairs = "" if count == 10 else f", {count} pair{'s' * (count > 1)}"
    return f"{round(mean, 3) + 0.0:+.3f}".replace("-", "−") + (f" ± {spread:.3f}" if count > 1 else "") + pairs


def written(entry, base):
    """Say which names it writes: three at most."""
    names = entry["samples"]
    if names and names == base["samples"]:
        return [("", "Writes the same names.")]
    if len(names) > 1 and len({*names}) == 1:
        return [("", "Writes "), named(names[0]), ("", " every time.")]
    spans = [span for name in names[:3] for span in (("", ", "), named(name))][1:]
    return [("", "Writes "), *spans, ("", ".")] if spans else []


def named(name):
    """Return how a name is shown that was written."""
    return ("em", name) if name else ("", "an empty name")


def kind_of(entry, base):
    """Return what an experiment does: "stops", "short" (not comparable), "astray", "nothing", "names" (other ones and
    nothing else), "luck", "worse" or "better".
    """
    if entry["raised"]:
        return "stops"
    if not comparable(entry, base):
        return "short"
    mean, spread, count = records.change(entry, base)
    if is_astray(mean, spread):
        return "astray"
    if is_nothing(mean, spread):
        return "nothing" if entry["samples"] == base["samples"] else "names"
    if may_be_luck(mean, spread, count):
        return "luck"
    return "worse" if mean > 0 else "better"


class Harm(NamedTuple):
    """What happens to a program without a line: the level of the damage, from 0 to 4, and the words for it."""

    level: int
    words: str


def harms(essay, findings):
    """Return {line of the essay: Harm} of all lines that experiments have tried: the worst that any of them does."""
    levels = {}
    for line, blocks in tried(essay).items():
        found = [level for block in blocks if (level := harm(block.fence, findings)) is not None]
        if found:
            levels[line] = max(found)
    return {line: Harm(level, HARMS[level]) for line, level in levels.items()}


def harm(fence, findings):
    """Return the level of the damage that an experiment does; None if it has not been measured."""
    pair = findings.pair(fence.name)
    kind = pair and kind_of(*pair)
    if not pair or kind == "stops":
        return 4 if pair else None
    if "verdict" in fence.options:  # its loss is the answer to another question
        return 1
    after, counting = records.summary(pair[0]["unseen"])[0], findings.record["programs"].get(COUNTING)
    nothing_learned = records.summary(counting["unseen"])[0] if counting else math.inf
    if math.isnan(after) or after >= nothing_learned or kind == "astray":
        return 3
    change = records.change(*pair)[0] if kind == "worse" else 0
    return None if kind == "short" else (change >= SEEN) + (change >= LITTLE)


def without_effect(essay, findings):
    """Return [(heading, blocks)] of the experiments that change nothing, and of those whose change may be luck."""
    headings = {"nothing": "Neither the loss nor the names change", "luck": "The change of the loss could be luck"}
    kinds = [(kind_of(*pair), block) for name, block in essay.experiments.items()
             if (pair := findings.pair(name)) and "verdict" not in block.fence.options]  # fmt: skip
    lists = [(text, [block for found, block in kinds if found == kind]) for kind, text in headings.items()]
    return [(text, blocks) for text, blocks in lists if blocks]


def caption(record):
    """Return what the picture of all experiments shows, and how they were measured."""
    if not record["programs"]:
        return "They have not been measured yet."
    machine = f"{record['machine']}, Python {record['python']}, {record['date']}"
    return f"Each bar is a line of the program: the thicker, the worse for it when the line is changed ({machine})."


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
