"""The record of the experiments, docs/experiments.json: the measurements, and whether they are still valid.

Nothing here runs a program, so the weaver can ask at each weave.
"""

import ast
import contextlib
import hashlib
import json
import math
import platform
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import tangle

PAIRS = 10  # of runs, of a program and of an experiment, unless the experiment asks for more
POINTS = 40  # of the curve of the losses, at most
ELSEWHERE = {  # what may be measured besides a thousand names: more of them, and names that are written twice
    "ten-thousand": {"steps": 10_000}, "twice": {"steps": 1_000, "copies": 2},
    "ten-thousand-twice": {"steps": 10_000, "copies": 2},
}  # fmt: skip
KINDS = ("programs", "experiments", *ELSEWHERE)
# What the laboratory asks of a program: functions that it calls, the table of flags, and flags that it reads itself.
CALLED = {"encode", "read", "new_model", "train", "loss_of", "sample", "gpt", "softmax", "parameters_of", "backward",
          "adam", "learn", "guess", "FLAGS"}  # fmt: skip
GIVEN = {"num_steps", "block_size"}
ALL_FLAGS = {"FLAGS", "vars", "getattr", "__dict__"}  # code that says one of these may read any flag


class RecordError(OSError):
    """The file of the record holds something else."""


def read(path):
    """Return the record in a file, an empty one if there is no file; raise RecordError if the file is not JSON."""
    try:
        return {kind: {} for kind in KINDS} | (json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})
    except (ValueError, TypeError) as error:
        problem = f"{path.parent.name}/{path.name} is not a record of experiments ({error})"
        raise RecordError(f"{problem}: undo the changes in it, as with `git checkout`") from None


def text_of(record):
    """Return the text of a record, as it is written."""
    return json.dumps(record, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def sum_of(path):
    """Return the sum of the names that programs learn from."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def processor():
    """Return the name of the processor, as far as the system tells."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


class Job(NamedTuple):
    """What is to be measured: a program, for its own number of steps if no other is given, with so many seeds, on names
    that are written once or more often.
    """

    target: str
    lines: list
    steps: int | None = None
    pairs: int = PAIRS
    copies: int = 1

    @property
    def seeds(self):
        """The seeds: with more of them, the first are the same."""
        return [*range(42, 42 + self.pairs)]

    def key(self, names_sum):
        """Return the key of a measurement: the parts of the program that count, the seeds, and the names."""
        text = names_sum if self.copies == 1 else f"{names_sum} written {self.copies} times"
        return key_of_text(tangle.render(self.lines), text, self.steps, str(self.seeds))


@lru_cache(1000)  # `weave.py --serve` asks for all of them at each save
def key_of_text(text, names_sum, steps, seeds):
    """Return the key of a program, as in Job.key; None if it is not Python."""
    try:
        material = [*what_counts(text), seeds, names_sum, str(steps)]
    except SyntaxError:
        return None
    return hashlib.sha256("\0".join(material).encode()).hexdigest()


def what_counts(text):
    """Return the statements of a program that decide a measurement, by the names that they define.

    They are those that define what the laboratory calls, those that define what others of them mention, and those that
    define nothing. Of the table of flags only the rows count that the program reads so, by name and default.
    """
    lines, rest = text.split("\n"), []
    for node in ast.parse(text).body:
        first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
        rest += statements("\n".join(lines[first - 1 : node.end_lineno]))
    counted, names = [], CALLED
    while more := [statement for statement in rest if not statement.defined or statement.defined & names]:
        rest = [statement for statement in rest if statement not in more]
        counted += more
        names = names.union(*(statement.mentioned for statement in more))
    known = GIVEN.union(*(statement.mentioned for statement in counted if not statement.is_table))
    return [ast.unparse(Rows(known).visit(ast.parse(statement.code))) if statement.is_table else statement.code
            for statement in sorted(counted, key=lambda statement: min(statement.defined, default=""))]  # fmt: skip


class Statement(NamedTuple):
    """A statement of a program, without docstrings: its code, what it defines and mentions, and whether it is about the
    table of flags.
    """

    code: str
    defined: set
    mentioned: set
    is_table: bool


@lru_cache(5000)  # experiments share all statements of a program but one or two
def statements(source):
    """Return the Statements in some lines of a program, without the one that runs it."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()] * (node is not tree)
    nodes = [single for node in tree.body if not is_main(node) for single in apart(node)]
    return [Statement(ast.unparse(node), defined(node), mentioned(node), is_table(node)) for node in nodes]


class Rows(ast.NodeTransformer):
    """Takes out of a table of flags the rows that no name is read of, and the meanings of the others."""

    def __init__(self, names):
        self.names = names

    def visit_Tuple(self, node):
        """Decide about a row: it begins with a name."""
        name = node.elts[0].value if node.elts and isinstance(node.elts[0], ast.Constant) else None
        if isinstance(name, str) and name not in self.names and not self.names & ALL_FLAGS:
            return None
        node.elts = node.elts[:2]
        return node


def is_main(node):
    """Return whether a statement does nothing when its program is imported."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" and not node.orelse


def is_table(node):
    """Return whether a statement makes the table of flags, or changes it."""
    definition = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    return not definition and any(isinstance(inner, ast.Name) and inner.id == "FLAGS" for inner in ast.walk(node))


def apart(node):
    """Return a statement as several, if it imports several modules: each of these counts by itself."""
    return [ast.Import([alias]) for alias in node.names] if isinstance(node, ast.Import) else [node]


def defined(node):
    """Return the names that a statement defines, if it does nothing else; decorators may do anything."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.decorator_list:
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets):
        return {target.id for target in node.targets}
    return set()


def mentioned(node):
    """Return all that is, or might be, a name in a statement; what the rows of a table of flags say is none."""
    nodes = [*ast.walk(node)]
    names = {inner.id for inner in nodes if isinstance(inner, ast.Name)}
    names |= {inner.attr for inner in nodes if isinstance(inner, ast.Attribute)}
    texts = [inner.value for inner in nodes if isinstance(inner, ast.Constant) and isinstance(inner.value, str)]
    return names if is_table(node) else names.union(*(re.findall(r"\w+", text) for text in texts))


def is_measured(lines):
    """Return whether a program is one that can be measured: it has a model that learns."""
    tree = ast.parse(tangle.render(lines))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return names >= {"new_model", "train", "loss_of"} or names >= {"learn", "guess"}


def is_wanted(target, root):
    """Return whether a program is to be measured, if it can be."""
    return target == "microgpt.py" or target.startswith("stages/") or "loss" in measures(root)


def jobs(fences, programs):
    """Return {(kind, name): Job} of all that an essay wants measured; kind is as in the record.

    A program is measured with as many seeds as the experiment on it that asks for most of them. An experiment that does
    not fit is left out.
    """
    roots = {target: root for target, (root,) in tangle.named(fences, "root").items()}
    measured = [target for target, lines in programs.items() if is_wanted(target, roots[target]) and is_measured(lines)]
    found = {("programs", target): Job(target, programs[target]) for target in measured}
    for target in measured:
        found |= elsewhere(target, measures(roots[target]), found["programs", target])
    measured.sort(key=lambda target: target != "microgpt.py")
    for name, (fence, *_) in tangle.named(fences, "experiment").items():
        steps, pairs, kinds = number(fence, "steps", None), number(fence, "pairs", PAIRS), measures(fence)
        with contextlib.suppress(tangle.TangleError):
            changed = tangle.changed_by(fence, programs)
            target = next((target for target in measured if target in changed), None)
            if target:
                base = found["programs", target]
                found["programs", target] = base._replace(pairs=max(base.pairs, pairs))
                found["experiments", name] = job = Job(target, changed[target], steps, pairs)
                found |= elsewhere(name, kinds, job)
    return found


def measures(fence):
    """Return what a fence wants measured, as in measure=loss,twice."""
    wanted = [*filter(None, fence.options.get("measure", "").split(","))]
    if unknown := {*wanted} - {"loss", *ELSEWHERE}:
        known = f"measure takes loss, {', '.join(ELSEWHERE)}"
        raise tangle.TangleError([(fence.line, f"{fence.name}: {known}, not {', '.join(sorted(unknown))}")])
    return wanted


def elsewhere(name, kinds, job):
    """Return {(kind, name): Job} of what is wanted besides a thousand names."""
    return {(kind, name): job._replace(pairs=PAIRS, **ELSEWHERE[kind]) for kind in kinds if kind in ELSEWHERE}


def number(fence, attribute, default):
    """Return the value of an attribute of an experiment, a number such as that of pairs=100."""
    text = fence.options.get(attribute)
    if text and not re.fullmatch("[1-9][0-9]*", text):
        raise tangle.TangleError([(fence.line, f"experiment {fence.name}: {attribute} takes a number, not {text}")])
    return int(text) if text else default


def stale(fences, programs, record, names_path):
    """Return the names of experiments and programs that are missing in a record, or no longer valid there."""
    names_sum = sum_of(names_path)
    keys = {known: job.key(names_sum) for known, job in jobs(fences, programs).items()}
    return [name for (kind, name), key in keys.items() if key and record[kind].get(name, {}).get("key") != key]


def summary(values):
    """Return (mean, standard deviation) of numbers; those that are None do not count."""
    values = [value for value in values if value is not None]
    if not values:
        return math.nan, math.nan
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return mean, math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else math.nan


def change(entry, base):
    """Return (mean, standard deviation, how many) of the paired differences in loss between two entries."""
    before = dict(zip(base["seeds"], base["unseen"], strict=True))
    pairs = [(after, before.get(seed)) for seed, after in zip(entry["seeds"], entry["unseen"], strict=True)]
    differences = [after - loss for after, loss in pairs if after is not None and loss is not None]
    return *summary(differences), len(differences)
