"""What the essay's figures show, where it takes more than a line to compute. Demonstrations call it: computed.looks(…).

A function computes one thing, with the programs of the essay or from a record. It imports a program itself, so that
only demonstrations that call it depend on that program (see weaver/helpers.py). The page shows its code as well.
"""

import json
import math
import random
import statistics
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

STAGES = {name: "microgpt.py" if name == "microgpt" else f"stages/{name}.py" for name in
          ("evenly", "letters", "pairs", "places", "backoff", "pair_table", "one_letter", "adam", "one_head", "heads",
           "microgpt")}  # the programs of “What each idea buys”  # fmt: skip


def read(path):
    """Return what is in a file of JSON."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def rounded(data):
    """Return data with its numbers rounded: a page has no use for more places."""
    return json.loads(json.dumps(data), parse_float=lambda text: round(float(text), 6))


def seeded(make):
    """Return what a function makes with random numbers of a seed; those of others come as if it had not."""
    state = random.getstate()
    random.seed(42)
    made = make()
    random.setstate(state)
    return made


def moments(steps):
    """Train a model, and return {step: (eight names that it writes then, mean of its last losses)} for some steps."""
    import efficiency.generated as quick  # the same model with faster code

    def trained():
        found, losses, names = {}, [], quick.read("docs/names.txt")
        random.shuffle(names)
        letters, model = sorted(set("".join(names))), quick.new_model(27, 16, 1, 16)
        flags = SimpleNamespace(num_steps=1000, n_head=4, learning_rate=0.01, temperature=0.5, block_size=16)
        for loss in quick.train(model, [quick.encode(name, letters) for name in names[:1000]], flags):
            losses.append(loss)
            if (step := len(losses)) in steps:
                random.seed(3)  # or each time had other names, and not the same ones later
                written = ["".join(letters[t] for t in quick.sample(model, 26, flags)) for _ in range(8)]
                found[step] = written, round(statistics.fmean(losses[-50:]), 4)
        return found

    return seeded(trained)


def entries(recorded, numbers):
    """Return the entries of a tape, [(name, value, [(index of an input, local derivative)])], of {name: number}."""
    import microgpt

    names = {id(number): name for name, number in numbers.items()}
    places = {id(result): place for place, (result, *_) in enumerate(recorded)}
    return [(names[id(result)], result.data, [(places[id(parent)], derivative) for parent, derivative
             in (inputs[:2], inputs[2:]) if parent is not microgpt.nothing])
            for result, *inputs in recorded]  # fmt: skip


def walks(recorded):
    """Return all gradients after each step of the walk back along a tape, with += and with = in place of it."""
    import microgpt

    def stored(loss):
        loss.grad = 1.0
        while microgpt.tape:
            result, a, da, b, db = microgpt.tape.pop()
            a.grad = da * result.grad
            b.grad = db * result.grad

    def gradients(walk):
        states = []
        for steps in range(len(recorded) + 1):
            for result, *_ in recorded:
                result.grad = 0.0
            microgpt.tape[:] = recorded[len(recorded) - steps :]
            walk(recorded[-1][0])
            states.append([result.grad for result, *_ in recorded])
        return states

    return {"added": gradients(microgpt.backward), "stored": gradients(stored)}


def passed(model, token, cache):
    """Return all vectors that a token passes on its way through a model of one layer, {name: vector}."""
    from microgpt import add, attention, linear, rmsnorm

    tables, layer = model
    at = {"token": tables["wte"][token], "position": tables["wpe"][len(cache)]}
    at["sum"] = add(at["token"], at["position"])
    at["start"] = rmsnorm(at["sum"])
    at["normed"] = rmsnorm(at["start"])
    at["attention"] = attention(at["normed"], layer, cache, n_head=4)
    at["middle"] = add(at["attention"], at["start"])
    at["asked"] = rmsnorm(at["middle"])
    at["hidden"] = [h.relu() for h in linear(at["asked"], layer["fc1"])]
    at["mlp"] = linear(at["hidden"], layer["fc2"])
    at["end"] = add(at["mlp"], at["middle"])
    at["logits"] = linear(at["end"], tables["lm_head"])
    return at


def way(model, beginning, characters):
    """Return what the last token of a beginning meets: its vectors, what its heads look at, the chances of the next."""
    from microgpt import attend, dot, encode, linear, scale, softmax, tape, value

    cache, heads, looks = [], [], []
    for token in encode(beginning, characters)[:-1]:
        at = passed(model, token, cache)
    at["query"], (at["key"], at["value"]) = linear(at["normed"], model[1]["wq"]), cache[-1]
    for head in [slice(first, first + 4) for first in (0, 4, 8, 12)]:
        keys = [key[head] for key, _ in cache]
        heads += attend(at["query"][head], keys, [value[head] for _, value in cache])
        looks.append(softmax(scale([dot(at["query"][head], key) for key in keys], value(4**-0.5))))
    chances = softmax(at["logits"])
    tape.clear()
    return {"looks": [*map(data_of, looks)], "chances": data_of(chances),
            "numbers": {name: data_of(vector) for name, vector in (at | {"heads": heads}).items()}}  # fmt: skip


def recorded(record, flags, trained):
    """Record step 1 of the run, then the same name once more with trained parameters, and a name that these write.

    `record` is a recorder.Recording of the program, `trained` are numbers. Returns it with the documents, the first of
    them `unshuffled`, the characters, and, each as {name: rows of numbers}, the parameters at the `start`, their
    `gradients`, and how far they have `moved`.
    """
    program, random_before = record.module, random.getstate()
    random.seed(42)
    documents = program.read("docs/names.txt")
    unshuffled = documents[:9]
    random.shuffle(documents)
    characters = sorted(set("".join(documents)))
    model = program.new_model(len(characters) + 1, n_embd=16, n_layer=1, block_size=16)
    dice = random.getstate()  # as they lie when `main` begins to write
    start = [{name: [data_of(row) for row in rows] for name, rows in part.items()} for part in model]
    lesson = record.record(lambda: program.encode(documents[0], characters))
    training = program.train(model, [lesson], flags)
    record.record(lambda: next(training), count=lambda: len(program.tape))
    means, gradients, moved = iter(training.gi_frame.f_locals["means"]), {}, {}
    for part, old in zip(model, start, strict=True):
        for name, rows in part.items():
            gradients[name] = [[next(means) / (1 - 0.85) for _ in row] for row in rows]
            moved[name] = [
                [p.data - q for p, q in zip(*pair, strict=True)] for pair in zip(rows, old[name], strict=True)
            ]
    for p, number in zip(program.parameters_of(model), trained, strict=True):
        p.data = number
    record.record(lambda: program.loss_of(model, lesson, flags.n_head), count=lambda: len(program.tape))
    program.tape.clear()
    random.setstate(dice)
    record.record(lambda: [*program.sample(model, len(characters), flags)])
    random.setstate(random_before)
    return SimpleNamespace(record=record, documents=documents, unshuffled=unshuffled, characters=characters,
                           start=start, gradients=gradients, moved=moved)  # fmt: skip


def data_of(vector):
    """Return a vector as plain numbers."""
    return [number.data for number in vector]


def way_back(model, beginning, target, characters):
    """Return the sizes of the gradients that a target sends back to a beginning, as figures.walk_back takes them."""
    from microgpt import backward, encode, parameters_of, softmax, value

    def size(gradients):
        return math.sqrt(sum(gradient**2 for gradient in gradients))

    cache = []
    passes = [passed(model, token, cache) for token in encode(beginning, characters)[:-1]]
    start, middle, end = (passes[-1][name] for name in ("start", "middle", "end"))
    backward(softmax(passes[-1]["logits"])[characters.index(target)].log() * value(-1.0))
    for p in parameters_of(model):
        p.grad = 0.0
    return {"starts": [size(x.grad for x in at["start"]) for at in passes], "end": size(x.grad for x in end),
            "mlp": size(m.grad - x.grad for m, x in zip(middle, end, strict=True)),
            "middle": size(x.grad for x in middle),
            "attention": size(s.grad - m.grad for s, m in zip(start, middle, strict=True))}  # fmt: skip


def two_paths(steps=100):
    """Return where two parameters go, {optimiser: (that of a small steady gradient, that of a large random one)}."""
    from microgpt import adam

    def descent(parameters, *_):
        for p in parameters:
            p.data -= 0.01 * p.grad

    def by_adam(*state):
        adam(*state, 0.01)

    def path(move):
        steady, noisy, chance = SimpleNamespace(data=0.0), SimpleNamespace(data=0.0), random.Random(4)  # noqa: S311
        found, means, squares = [(0.0, 0.0)], [0.0] * 2, [0.0] * 2
        for step in range(1, steps + 1):
            steady.grad, noisy.grad = 0.02, chance.choice([-10.0, 10.0])
            move([steady, noisy], means, squares, step)
            found.append((steady.data, noisy.data))
        return [*zip(*found, strict=True)]

    return {"plain descent": path(descent), "Adam": path(by_adam)}


def looks(model, name, characters):
    """Return for each head the weights that each token of a name gives to those so far."""
    import microgpt

    return looks_of(microgpt, model, microgpt.encode(name, characters), heads=4)


def looks_of(program, model, lesson, heads):
    """Return for each head the weights that each token of a lesson gives to those so far; a program is a module."""
    found, softmax, caches = [], program.softmax, [[] for _ in model[1:]]
    program.softmax = lambda logits: found.append(softmax(logits)) or found[-1]
    for token in lesson[:-1]:
        program.gpt(model, token, caches, heads)
    program.softmax = softmax
    program.tape.clear()
    return [[*map(data_of, found[head::heads])] for head in range(heads)]


def chances(model, beginning, characters):
    """Return the probability of each token after a beginning."""
    from microgpt import encode, gpt, softmax, tape

    caches = [[]]
    for token in encode(beginning, characters)[:-1]:
        logits = gpt(model, token, caches, n_head=4)
    probabilities = data_of(softmax(logits))
    tape.clear()
    return probabilities


def liking(runs, asks):
    """Return how many times the weight of a consonant heads give to a vowel, and how many of how many give it more."""
    times = [head[asks] for heads in runs for head in heads]
    return statistics.geometric_mean(times), sum(number > 1 for number in times), len(times)


def mean_and_spread(rows):
    """Return {name: mean} and {name: standard deviation} of {name: numbers}."""
    return tuple({name: how(numbers) for name, numbers in rows.items()} for how in (statistics.mean, statistics.stdev))


def of_programs(record):
    """Return the mean loss of each program in ten runs, its spread, and both of how much more it is than ours."""
    ten = {name: entry["unseen"][:10] for name, entry in record["programs"].items()}
    more = {name: differences(losses, ten["microgpt.py"]) for name, losses in ten.items()}
    return *mean_and_spread(ten), *mean_and_spread(more)


def of_experiments(record):
    """Return how much each experiment changes the loss, and the spread of that, if all its runs have one."""
    base = record["programs"]["microgpt.py"]["unseen"]
    whole = {name: entry["unseen"] for name, entry in record["experiments"].items()
             if len(entry["unseen"]) >= 10 and all(entry["unseen"])}  # fmt: skip
    return mean_and_spread({name: differences(losses, base) for name, losses in whole.items()})


def differences(losses, others):
    """Return by how much each of some losses is more than that of the same run of another program."""
    return [loss - other for loss, other in zip(losses, others, strict=False)]  # there may be more runs of the other


def on_seen_names(record, program):
    """Return the mean loss of a program on the names that it has learned from."""
    return statistics.mean(record["programs"][program]["seen"][:10])


def on_unseen_names(entries):
    """Return {name: mean loss on unseen names} of some entries of the record."""
    return {name: statistics.mean(entry["unseen"]) for name, entry in entries.items() if all(entry["unseen"])}


def by_stage(of_programs):
    """Return the numbers of the programs of the stages, {stage: number}, in their order."""
    return {name: of_programs[program] for name, program in STAGES.items()}


def table_of_stages(record, documents, characters):
    """Return a table of the stages: how many numbers each has, its loss, and what it writes."""
    from microgpt import encode
    from stages import backoff

    table = backoff.learn([encode(document, characters) for document in documents[:1000]])
    counted = {"evenly": 0, "letters": 27, "pairs": 27**2, "places": 17 * 27**2, "backoff": 27 * len(table)}
    means, spreads, *_ = map(by_stage, of_programs(record))
    lines = ["             numbers  loss on unseen  names"]
    for name, program in by_stage(record["programs"]).items():
        count = counted[name] if name in counted else program["parameters"]
        written = " ".join(sample[:9] for sample in program["samples"][:3])
        lines.append(f"{name:12}{count:8,}  {means[name]:.3f} ± {spreads[name]:.3f}  {written}")
    return "\n".join(lines)


def tape_lengths():
    """Return {program: entries on its tape for a step on emma}, for the programs that have a tape."""
    import efficiency.dot_products
    import efficiency.vectors
    import microgpt

    def lengths():
        found = {}
        for program in (microgpt, efficiency.dot_products, efficiency.vectors):
            program.tape.clear()
            program.loss_of(program.new_model(27, 16, 1, 16), [26, 4, 12, 12, 0, 26], 4)  # emma
            found[program.__name__.split(".")[-1] + ".py"] = len(program.tape)
            program.tape.clear()
        return found

    return seeded(lengths)


def doubled():
    """Return (losses on the first and on the second half of unseen names written twice, names that the GPT writes).

    The losses are {what guesses: (first, second)}, of counting with back-off and of the GPT with and without attention,
    each after a thousand such names; a half is its letters, and the end belongs to the second.
    """
    import efficiency.arrays as quick  # the same model with faster code
    import numpy as np
    import stages.backoff as backoff

    flags = SimpleNamespace(num_steps=1000, n_head=4, learning_rate=0.01, temperature=0.5, block_size=16)

    def trained(lessons):
        model = quick.new_model(27, 16, 1, 16)
        for _ in quick.train(model, lessons, flags):
            pass
        return model

    def guesses_of(model):
        """Return a function that returns the probabilities after each of some tokens but the last."""

        def guesses(tokens):
            logits, _ = quick.gpt(model, model, np.array(tokens[:-1]), 4)
            return quick.softmax(logits)[0]

        return guesses

    def counts(table):
        return lambda tokens: [backoff.guess(table, tokens[:i]) for i in range(1, len(tokens))]

    def nothing_found(x, *_):
        return np.zeros_like(x), np.zeros_like

    def compared():
        names = [name * 2 for name in quick.read("docs/names.txt") if len(name) <= 7]
        random.shuffle(names)
        letters, seen = sorted(set("".join(names))), set(names[:1000])
        lessons = [quick.encode(name, letters) for name in names[:1000]]
        unseen = [name for name in names[1000:4000] if name not in seen]
        halves = {"counting": losses_by_half(counts(backoff.learn(lessons)), unseen, letters)}
        begun = random.getstate()
        model = trained(lessons)
        halves["GPT"] = losses_by_half(guesses_of(model), unseen, letters)
        written = ["".join(letters[t] for t in quick.sample(model, 26, flags)) for _ in range(5)]
        random.setstate(begun)  # or the other model would begin with other numbers
        attention, quick.attention = quick.attention, nothing_found
        halves["GPT without attention"] = losses_by_half(guesses_of(trained(lessons)), unseen, letters)
        quick.attention = attention
        return halves, written

    return seeded(compared)


def losses_by_half(guesses, names, letters):
    """Return the mean surprise per token on the first and on the second half of names, by a function's guesses."""
    halves = [], []
    for name in names:
        targets = [*map(letters.index, name), len(letters)]
        for i, (target, row) in enumerate(zip(targets, guesses([len(letters), *targets]), strict=True)):
            halves[i >= len(name) // 2].append(-math.log(row[target]))
    return tuple(statistics.fmean(half) for half in halves)


def entries_of_parts(model, name, characters):
    """Return how many entries each part of a model leaves on the tape for a name, {part: entries}."""
    import microgpt
    from microgpt import add, attention, linear, rmsnorm, softmax, tape

    spent, last = dict.fromkeys(("tables", "norms", "attention", "mlp", "lm_head", "loss"), 0), 0

    def part(name, result):
        """Note down what was put on the tape for a part, and return its result."""
        nonlocal last
        spent[name] += len(tape) - last
        last = len(tape)
        return result

    tables, layer = model
    tokens, cache, logs = microgpt.encode(name, characters), [], []
    for token, target in pairwise(tokens):
        x = part("tables", add(tables["wte"][token], tables["wpe"][len(cache)]))
        x = part("norms", rmsnorm(x))
        normed = part("norms", rmsnorm(x))
        x = part("attention", add(attention(normed, layer, cache, 4), x))
        normed = part("norms", rmsnorm(x))
        hidden = [h.relu() for h in linear(normed, layer["fc1"])]
        x = part("mlp", add(linear(hidden, layer["fc2"]), x))
        logits = part("lm_head", linear(x, tables["lm_head"]))
        logs.append(part("loss", softmax(logits)[target].log()))
    part("loss", microgpt.total(logs) * microgpt.value(-1 / len(logs)))
    tape.clear()
    return spent


def share_of_zeros(model, names, characters):
    """Return which share of the hidden units is 0 when a model reads some names."""
    from microgpt import Value, encode, loss_of, tape

    relu, are_zeros = Value.relu, []

    def counting(number):
        are_zeros.append(number.data <= 0)
        return relu(number)

    Value.relu = counting
    for name in names:
        loss_of(model, encode(name, characters), n_head=4)
        tape.clear()
    Value.relu = relu
    return sum(are_zeros) / len(are_zeros)


def difference(names, characters):
    """Return how much the logits after BOS and a letter of two names differ at most, in an untrained model."""
    import numpy as np
    from efficiency import arrays
    from microgpt import encode

    model = seeded(lambda: arrays.new_model(27, 16, 1, 16))

    def logits(name):
        tokens = np.array(encode(name, characters)[:-1])
        return arrays.gpt(model, model, tokens, 4)[0][1]

    one, other = map(logits, names)
    return abs(one - other).max()


def memory_of_c(positions=16, n=16, vocab=27, heads=4):
    """Return how many parameters exact.c has, and what it takes for each position: [[(name, how many numbers)]]."""
    parameters = 2 * vocab * n + positions * n + 4 * n * n + 2 * 4 * n * n

    def taken(position):
        seen = heads * (position + 1)
        return [("sum", n), ("x", n), ("logits", vocab), ("exps", vocab), ("probabilities", vocab), ("normed", n),
                ("query", n), ("key", n), ("value", n), ("scores", seen), ("exps", seen), ("weights", seen),
                ("found", n), ("x", n), ("normed", n), ("hidden", 4 * n), ("y", n)]  # fmt: skip

    return parameters, [taken(position) for position in range(positions)]


def milliseconds_by_width(rows, device, batch_size):
    """Return how long a step of one layer takes with 32 bits, {width: milliseconds}, as docs/devices.json has it."""
    wanted = {"device": device, "batch_size": batch_size, "dtype": "float32", "n_layer": 1, "compiled": None}
    return {row["n_embd"]: row["seconds"] * 1000 for row in rows if wanted.items() <= row.items()}
