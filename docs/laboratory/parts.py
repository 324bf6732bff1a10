"""Where the time of a step goes, in the Python programs: forward, back, Adam; and in microgpt.py, what the tape costs.

    python3 docs/laboratory/parts.py

Each program trains in this process, with a clock around loss_of, backward and adam. If there is no backward,
loss_of has gone back already. For microgpt.py two things are timed by themselves, as often as they happen in a step:
entries that are written although nothing is computed, and sums and products of plain numbers, without any entry.
docs/laboratory/benchmark.py --grow records what it finds.
"""

import argparse
import gc
import random
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace

sys.path[:0] = [str(Path(__file__).resolve().parents[i]) for i in (1, 2)]

from laboratory.programs import ROOT, defaults, lacking, load  # noqa: E402

PROGRAMS = ("microgpt.py", *(f"efficiency/{name}.py" for name in ("dot_products", "vectors", "generated", "arrays")))
STEPS, ROUNDS = 60, 5
SIZES = defaults() | {"num_steps": STEPS}


def lessons_of(module):
    """Return the tokens of the first documents of a training with the standard seed, and the size of the vocabulary."""
    documents = (ROOT / "docs" / "names.txt").read_text(encoding="utf-8").split()
    random.seed(42)
    random.shuffle(documents)
    characters = sorted({*"".join(documents)})
    return [module.encode(document, characters)[:17] for document in documents[:STEPS]], len(characters) + 1


def parts_of(target):
    """Return {function: milliseconds a step} of one training of a Python program."""
    module, spent = load(target), {}

    def watch(name):
        """Put a clock around a function of the program."""
        function, spent[name] = getattr(module, name), 0.0

        def timed(*arguments):
            start = time.process_time()
            result = function(*arguments)
            spent[name] += time.process_time() - start
            return result

        setattr(module, name, timed)

    for name in ("loss_of", "backward", "adam"):
        if hasattr(module, name):
            watch(name)
    lessons, vocab_size = lessons_of(module)
    model = module.new_model(vocab_size, 16, 1, 16)
    for _ in module.train(model, lessons, SimpleNamespace(**SIZES)):
        pass
    return {name: seconds / STEPS * 1000 for name, seconds in spent.items()}


def seconds(action, count):
    """Return how long it takes to do something so often."""
    start = time.process_time()
    for _ in range(count):
        action()
    return time.process_time() - start


def tape_alone():
    """Return {name: number} of the tape of microgpt.py: entries a step, and milliseconds for them and for numbers."""
    gpt = load("microgpt.py")
    lessons, vocab_size = lessons_of(gpt)
    model = gpt.new_model(vocab_size, 16, 1, 16)
    entries, inputs = 0, 0
    for lesson in lessons:
        gpt.tape.clear()
        gpt.loss_of(model, lesson, 4)
        entries += len(gpt.tape)
        inputs += sum((a is not gpt.nothing) + (b is not gpt.nothing) for _, a, _, b, _ in gpt.tape)
    entries, inputs = round(entries / STEPS), round(inputs / STEPS)
    a, b, x, y = gpt.value(0.5), gpt.value(0.25), 0.5, 0.25
    loop = seconds(lambda: None, entries)
    written = seconds(lambda: gpt.value(0.5, a, 0.25, b, 0.5), entries) - loop
    gpt.tape.clear()
    operations = entries + 2 * inputs  # one forward; back, a product and a sum for each input
    computed = seconds(lambda: x * y, operations) - seconds(lambda: None, operations)
    return {"entries": entries, "operations": operations, "written": written * 1000, "computed": computed * 1000}


def medians(runs):
    """Return the median of each number of some {name: number}."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def all_parts():
    """Return {"parts": {target: {function: milliseconds}}, "tape": what the tape of microgpt.py costs alone}."""
    gc.disable()  # as the programs do
    targets = [target for target in PROGRAMS if not lacking(target)]
    runs = [{target: parts_of(target) for target in targets} for _ in range(ROUNDS)]
    tape = medians([tape_alone() for _ in range(ROUNDS)])
    gc.enable()
    return {"parts": {target: medians([run[target] for run in runs]) for target in targets}, "tape": tape}


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    record = all_parts()
    for target, numbers in record["parts"].items():
        print(f"{target:32}", "  ".join(f"{name} {value:.3f}" for name, value in numbers.items()), "ms a step")
    print("the tape of microgpt.py:", record["tape"])
