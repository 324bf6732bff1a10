#!/usr/bin/env python3
"""Measure whether the heads of microgpt.py look harder at vowels, in twenty runs, for docs/heads.json.

    python3 docs/laboratory/heads.py

When a letter with two or more before it asks, vowels and consonants, how many times as much weight does a head give
to a vowel as to a consonant, on average (geometrically), before and after training? It needs a C compiler, and takes a
few minutes.
"""

import argparse
import datetime
import json
import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT)]

from computed import looks_of  # noqa: E402

import tangle  # noqa: E402
from laboratory.machine import Machine  # noqa: E402
from laboratory.measure import Trial  # noqa: E402
from laboratory.programs import load  # noqa: E402

NAMES, RECORD = ROOT / "docs" / "names.txt", ROOT / "docs" / "heads.json"
SEEDS = [*range(42, 62)]
ASKED = 100  # unseen names
VOWELS = {*"aeiouy"}


def ratio(look, letters):
    """Return the weight of a vowel in units of the weight of a consonant; None without a choice between them."""
    vowels = [weight for weight, letter in zip(look, letters, strict=True) if letter in VOWELS]
    others = [weight for weight, letter in zip(look, letters, strict=True) if letter not in VOWELS]
    return sum(vowels) / len(vowels) / (sum(others) / len(others)) if vowels and others else None


def likings(module, model, trial):
    """Return for each head {who asks: how many times the weight of a consonant it gives to a vowel}."""
    heads = trial.flags.n_head
    logs = [{"consonant": [], "vowel": []} for _ in range(heads)]
    for name in trial.unseen[:ASKED]:
        for head, rows in enumerate(looks_of(module, model, trial.lesson(name), heads)):
            for i, look in enumerate(rows[1:]):
                times = ratio(look[1:-1], name[:i])  # without BOS and itself
                if times:
                    logs[head]["vowel" if name[i] in VOWELS else "consonant"].append(math.log(times))
    return [{asks: round(math.exp(math.fsum(values) / len(values)), 4) for asks, values in log.items()} for log in logs]


def measured():
    """Return the record: for each seed, what each head likes before and after training."""
    module, machine = load("microgpt.py"), None
    record = {"date": datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat(), "seeds": SEEDS,
              "untrained": [], "trained": []}  # fmt: skip
    for seed in SEEDS:
        trial = Trial(module, NAMES, seed)
        machine = machine or Machine(module, [trial.lesson(document) for document in trial.documents])
        model = trial.new_model()
        record["untrained"].append(likings(module, model, trial))
        for _ in machine.train(model, trial.lessons, trial.flags):
            pass
        record["trained"].append(likings(module, model, trial))
        print(f"seed {seed}:", *(f"{head['consonant']:.2f}" for head in record["trained"][-1]), flush=True)
    return record


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    tangle.put(RECORD, (json.dumps(measured(), indent=1, sort_keys=True) + "\n").encode())
