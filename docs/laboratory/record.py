"""The record of the experiments, docs/experiments.json: what was measured, and whether it is still valid.

Nothing here runs a program, so the weaver can ask at each weave.
"""

import ast
import contextlib
import hashlib
import json
import math
from functools import lru_cache

from weaver.reach import Parts

import tangle

SEEDS = [*range(42, 52)]
MEASURED = {"encode", "read", "new_model", "train", "loss_of", "sample", "FLAGS", "gpt", "softmax", "parameters_of",
            "backward", "adam", "learn", "guess"}  # fmt: skip


def read(path):
    """Return the record in a file, an empty one if there is no file."""
    empty = {"programs": {}, "experiments": {}}
    return empty | (json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})


def text_of(record):
    """Return the text of a record, as it is written."""
    return json.dumps(record, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def sum_of(path):
    """Return the sum of the names that programs learn from."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def without_remarks(tree):
    """Return the tree of a program without docstrings, and without the meanings of its flags."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        is_flags = isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["FLAGS"]
        if is_flags and isinstance(node.value, ast.List | ast.Tuple):
            for row in node.value.elts:
                if isinstance(row, ast.Tuple):
                    row.elts = row.elts[:2]
    return tree


def key_of(lines, names_sum, steps=None):
    """Return the key of what is measured of a program: the parts of it that count, the seeds, and the names."""
    return key_of_text(tangle.render(lines), names_sum, steps)


@lru_cache(1000)  # `weave.py --serve` asks for all of them at each save
def key_of_text(text, names_sum, steps):
    """Return the key of a program, as in key_of; None if it is not Python."""
    try:
        parts = Parts(without_remarks(ast.parse(text)))
    except SyntaxError:
        return None
    reached = parts.reached(MEASURED)
    material = [parts.source[name] for name in sorted(reached, key=str)] + [str(SEEDS), names_sum, str(steps)]
    return hashlib.sha256("\0".join(material).encode()).hexdigest()


def is_measured(lines):
    """Return whether a program is one that can be measured: it has a model that learns."""
    tree = ast.parse(tangle.render(lines))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return names >= {"new_model", "train", "loss_of"} or names >= {"learn", "guess"}


def is_wanted(target, root):
    """Return whether a program is to be measured, if it can be."""
    return target == "microgpt.py" or target.startswith("stages/") or root.options.get("measure") == "loss"


def jobs(text):
    """Return {(kind, name): (target, lines, steps)} of all that an essay wants measured; kind is as in the record.

    The essay has to be right: tangle() tells whether it is. An experiment that does not fit is left out.
    """
    fences, _ = tangle.parse(text)
    roots = tangle.roots_of(fences)
    every = tangle.expand_all(roots, tangle.chunks_of(fences))
    wanted = {target: lines for target, lines in every.items() if is_wanted(target, roots[target])}
    programs = {target: lines for target, lines in wanted.items() if is_measured(lines)}
    found = {("programs", target): (target, lines, None) for target, lines in programs.items()}
    code = tangle.code_of(every)
    for name, fence in tangle.experiments_of(fences).items():
        with contextlib.suppress(tangle.TangleError):
            changed = tangle.changed_by(fence, every, code)
            for target in sorted(programs, key=lambda target: target != "microgpt.py"):
                if target in changed:
                    steps = fence.options.get("steps")
                    found["experiments", name] = (target, changed[target], int(steps) if steps else None)
                    break
    return found


def stale(essay_text, record, names_path):
    """Return the names of experiments and programs that are missing in a record, or no longer valid there."""
    names_sum = sum_of(names_path)
    keys = {job: key_of(lines, names_sum, steps) for job, (_, lines, steps) in jobs(essay_text).items()}
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
