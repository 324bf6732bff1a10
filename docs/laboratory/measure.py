"""The measurements of a program: how well it learns, on names that it has not seen, with several seeds."""

import functools
import gc
import inspect
import math
import random
import sys
import time
from types import SimpleNamespace

import tangle
from laboratory.machine import Machine, Untraceable
from laboratory.record import POINTS

TRIED = 3  # steps that Python does itself, to compare
PYTHON_STEPS = 30  # of a program that cannot be traced
PYTHON_NAMES = 200  # unseen names that its loss is measured on
SAMPLES = 8  # names that it writes
CURVES = 10  # runs that the curve is a mean of


class MeasureError(Exception):
    """The laboratory fails, not the program."""


class Trial:
    """A program with a seed, set up as its `main` does it: `model`, `lessons`, `documents`, `flags`, `characters`."""

    def __init__(self, module, names, seed, steps=None):
        self.module = module
        self.flags = SimpleNamespace(**{name: default for name, default, *_ in getattr(module, "FLAGS", [])})
        defaults = {"num_steps": 1000, "block_size": 16}
        for name, value in defaults.items():
            setattr(self.flags, name, getattr(self.flags, name, value))
        self.flags.num_steps = steps or self.flags.num_steps
        self.documents = module.read(names) if hasattr(module, "read") else read(names)
        random.seed(seed)
        random.shuffle(self.documents)
        self.characters = sorted({*"".join(self.documents)})
        self.random = random.getstate()

    def lesson(self, document):
        """Return the tokens of a document, cut as the program cuts it."""
        size = self.flags.block_size
        return self.module.encode(document[:size], self.characters)[: size + 1]

    @property
    def lessons(self):
        """Return the lessons of training."""
        return [self.lesson(document) for document in self.documents[: self.flags.num_steps]]

    @property
    def unseen(self):
        """Return the names that are not among those of the training."""
        seen = {*self.documents[: self.flags.num_steps]}
        return [document for document in self.documents[self.flags.num_steps :] if document not in seen]

    def new_model(self):
        """Return an untrained model."""
        random.setstate(self.random)
        known = {**vars(self.flags), "vocab_size": len(self.characters) + 1}
        return self.module.new_model(*(known[name] for name in inspect.signature(self.module.new_model).parameters))

    def samples(self, model):
        """Return the first names that the program writes; fewer if it raises."""
        names = []
        try:
            for _ in range(SAMPLES):
                tokens = self.module.sample(model, len(self.characters), self.flags)
                names.append("".join(self.characters[token] for token in tokens))
        except Exception:  # noqa: S110, BLE001, RUF100
            pass
        return names


def read(path):
    """Return the documents of a text file, for a program that does not read itself."""
    with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123
        return [line.strip() for line in file if line.strip()]


def described(step, error):
    """Return what the record says about an error."""
    return {"step": step, "error": f"{type(error).__name__}: {error}"}


def losses_of(steps, limit=None):
    """Return (the losses of some training, what it raised or None), up to a number of steps."""
    losses = []
    try:
        for loss in steps:
            losses.append(loss)
            if len(losses) == limit:
                break
    except (Untraceable, MeasureError):
        raise
    except Exception as error:  # noqa: BLE001, RUF100
        return losses, described(len(losses) + 1, error)
    return losses, None


def measure(lines, essay, names, seeds, steps=None):
    """Return the entry of a program, {name: value}, without its key."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 10_000))  # graphs are deeper than Python expects
    gc.disable()
    try:
        module = tangle.load(lines, essay, essay, "measured")
        if hasattr(module, "learn"):
            return measure_counting(module, names, steps, seeds)
        return measure_training(lambda: tangle.load(lines, essay, essay, "measured"), names, steps, seeds)
    finally:
        sys.setrecursionlimit(limit)
        gc.enable()
        gc.collect()


def measure_training(load, names, steps, seeds):
    """Return the entry of a program that trains a model of Values."""
    first, raised, milliseconds = in_python(load(), names, seeds[0], steps)
    if raised:
        return entry_of_failure(load, names, steps, seeds, first, raised, milliseconds)
    try:
        entry = by_machine(load(), names, steps, seeds, first)
        entry["how"] = "machine"
    except Untraceable as error:
        entry = by_python(load(), names, steps or PYTHON_STEPS, seeds[:1])
        entry |= {"how": "python", "why": str(error)}
    return entry | {"milliseconds": milliseconds}


def in_python(module, names, seed, steps):
    """Return (first losses, what was raised or None, milliseconds of a step) by Python itself."""
    times = []

    def timed(steps):
        before = time.process_time()
        for loss in steps:
            times.append(time.process_time() - before)
            yield loss
            before = time.process_time()

    try:
        trial = Trial(module, names, seed, steps)
        training = module.train(trial.new_model(), trial.lessons, trial.flags)
    except Exception as error:  # noqa: BLE001, RUF100
        return [], described(0, error), None
    losses, raised = losses_of(timed(training), TRIED)
    used = times[1:] or times  # in the first one memory is new
    return losses, raised, round(1000 * sum(used) / len(used), 1) if used else None


def entry_of_failure(load, names, steps, seeds, losses, raised, milliseconds):
    """Return the entry of a program that raises at once."""
    module = load()
    others = [in_python(module, names, seed, steps)[1] for seed in seeds[1:]]
    count = 1 + sum(other is not None for other in others)
    return {"seeds": seeds, "unseen": [None] * len(seeds), "seen": [None] * len(seeds), "names": [0] * len(seeds),
            "parameters": size_of(load(), names, seeds[0], steps), "steps": raised["step"], "samples": [], "curve": [],
            "printed": losses, "raised": raised | {"seeds": count}, "milliseconds": milliseconds,
            "how": "python"}  # fmt: skip


def size_of(module, names, seed, steps):
    """Return the number of parameters, None if there is no model."""
    try:
        return len(module.parameters_of(Trial(module, names, seed, steps).new_model()))
    except Exception:  # noqa: BLE001, RUF100
        return None


def by_machine(module, names, steps, seeds, first):
    """Return the entry of a program that the machine can run."""
    trial = Trial(module, names, seeds[0], steps)
    machine = Machine(module, [trial.lesson(document) for document in trial.documents])
    entry, runs = new_entry(seeds), []
    for seed in seeds:
        trial = Trial(module, names, seed, steps)
        model = trial.new_model()
        losses, raised = losses_of(machine.train(model, trial.lessons, trial.flags))
        runs.append(losses)
        if seed == seeds[0]:
            if [*map(repr, losses[: len(first)])] != [*map(repr, first)]:
                raise MeasureError(f"the machine's first losses are {losses[: len(first)]}, Python's {first}")
            entry |= {"steps": trial.flags.num_steps, "parameters": len(module.parameters_of(model)),
                      "samples": [] if raised else trial.samples(model), "printed": printed(losses)}  # fmt: skip
            machine.clear_tapes()
        unseen = seen = None
        if not raised:
            try:
                unseen = mean(machine.loss_on([trial.lesson(document) for document in trial.unseen]))
                seen = mean(machine.loss_on(trial.lessons))
            except Untraceable:
                raise
            except Exception as error:  # noqa: BLE001, RUF100
                raised = described(None, error)
        note(entry, unseen, seen, len(trial.unseen), raised)
    return entry | {"curve": curve(runs[:CURVES], entry["steps"])}


def new_entry(seeds):
    """Return an entry into which `note` puts the numbers of each seed."""
    return {"seeds": [*seeds], "unseen": [], "seen": [], "names": [], "raised": None}


def note(entry, unseen, seen, count, raised):
    """Put the numbers of a seed into an entry."""
    entry["unseen"].append(unseen)
    entry["seen"].append(seen)
    entry["names"].append(count)
    if raised:
        entry["raised"] = entry["raised"] or raised | {"seeds": 0}
        entry["raised"]["seeds"] += 1


def mean(sums):
    """Return the mean of (sum, number); None if it is not a number that a record can hold."""
    total, count = sums
    return total / count if count and math.isfinite(total) else None


def printed(losses):
    """Return the losses of steps 1, 2, 3 and the last; None instead of NaN or infinity."""
    chosen = losses[:3] + losses[-1:] if len(losses) > 3 else losses
    return [loss if math.isfinite(loss) else None for loss in chosen]


def curve(runs, steps):
    """Return the losses of some runs as a few points: each is the mean over its share of the steps, and over the runs.

    The last is that in which a run stops. One is None if a loss in it is infinite or not a number.
    """
    points, count = [], min(POINTS, steps)
    done = min(map(len, runs))
    for i in range(count):
        first, end = i * steps // count, (i + 1) * steps // count
        if first < done:
            part = [loss for losses in runs for loss in losses[first:end]]
            points.append(round(sum(part) / len(part), 4) if all(map(math.isfinite, part)) else None)
    return points


def by_python(module, names, steps, seeds):
    """Return the entry of a program that only Python can run: few steps, one seed, and some of the unseen names."""
    entry = new_entry(seeds)
    [seed] = seeds
    trial = Trial(module, names, seed, steps)
    model, rest = trial.new_model(), []
    original = module.loss_of

    def heard(model, tokens, *arguments):
        rest[:] = arguments
        return original(model, tokens, *arguments)

    module.loss_of = heard
    losses, raised = losses_of(module.train(model, trial.lessons, trial.flags))
    module.loss_of = original
    entry |= {"steps": steps, "parameters": len(module.parameters_of(model)), "printed": printed(losses),
              "samples": [] if raised else trial.samples(model), "curve": curve([losses], steps)}  # fmt: skip
    unseen = seen = None
    chosen = trial.unseen[:PYTHON_NAMES]
    if not raised:
        try:
            unseen = mean(loss_in_python(module, model, [trial.lesson(document) for document in chosen], rest))
            seen = mean(loss_in_python(module, model, trial.lessons, rest))
        except Exception as error:  # noqa: BLE001, RUF100
            raised = described(None, error)
    note(entry, unseen, seen, len(chosen), raised)
    return entry


def loss_in_python(module, model, lessons, rest):
    """Return (the sum of the surprises, how many tokens) of lessons."""
    empty = [thing for thing in vars(module).values() if type(thing) is list and not thing]
    total = count = 0
    for lesson in lessons:
        total += module.loss_of(model, lesson, *rest).data * (len(lesson) - 1)
        count += len(lesson) - 1
        for tape in empty:
            tape.clear()
    return total, count


def measure_counting(module, names, steps, seeds):
    """Return the entry of a program that counts: it has `learn` and `guess`, and no Values."""
    entry = new_entry(seeds) | {"how": "python", "printed": [], "parameters": None, "milliseconds": None}
    for seed in seeds:
        trial = Trial(module, names, seed, steps)
        lessons, bos = trial.lessons, len(trial.characters)
        before = time.process_time()
        model = module.learn(lessons)
        milliseconds = round(1000 * (time.process_time() - before) / len(lessons), 4)
        if seed == seeds[0]:
            entry |= {"samples": [drawn(module, model, bos, trial) for _ in range(SAMPLES)],
                      "steps": len(lessons), "milliseconds": milliseconds}  # fmt: skip
        guess = functools.cache(functools.partial(module.guess, model))
        unseen = surprise(guess, map(trial.lesson, trial.unseen))
        note(entry, mean(unseen), mean(surprise(guess, lessons)), len(trial.unseen), None)
    return entry


def surprise(guess, lessons):
    """Return (the sum of the surprises, how many tokens) of lessons."""
    total = count = 0
    for lesson in lessons:
        for i in range(1, len(lesson)):
            probability = guess(tuple(lesson[:i]))[lesson[i]]
            total -= math.log(probability) if probability else -math.inf
            count += 1
    return total, count


def drawn(module, model, bos, trial):
    """Return a name that a program that counts writes."""
    tokens = [bos]
    while len(tokens) <= trial.flags.block_size:
        tokens += random.choices(range(bos + 1), module.guess(model, tokens))
        if tokens[-1] == bos:
            break
    return "".join(trial.characters[token] for token in tokens[1:] if token != bos)
