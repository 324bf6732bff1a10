"""The laboratory: the machine computes what Python computes, bit for bit, also for broken programs."""

import random
import types
from types import SimpleNamespace

import pytest
from laboratory import experiments, machine, measure, record
from programs import BUILD, ROOT, missing
from programs import flags as flags_of

import tangle

compiler = pytest.mark.skipif(bool(missing("cc")), reason=missing("cc"))
SOURCE = (BUILD / "microgpt.py").read_text(encoding="utf-8")
ZERO = "        p.grad = 0.0\n"
BROKEN = {
    "nothing": [], "= for +=": [("a.grad += da * result.grad", "a.grad = da * result.grad")],
    "no bypass": [('x = add(linear(hidden, layer["fc2"]), x)', 'x = linear(hidden, layer["fc2"])')],
    "weights tied": [('return linear(x, tables["lm_head"])', 'return linear(x, tables["wte"])')],
    "original order": [("= tape.pop()", "= tape.pop(0)")], "gradients kept": [(ZERO, "")],
}  # fmt: skip


def changed_source(*changes):
    """Return the program with some changes."""
    source = SOURCE
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


def module_of(*changes):
    """Return a fresh module of the program with some changes."""
    module = types.ModuleType("program")
    exec(compile(changed_source(*changes), "program", "exec"), vars(module))  # noqa: S102
    return module


NAMES = ["ada", "bob", "abe", "dad", "eva", "add", "bea", "abed"]


def trial(*changes, layers=1):
    """Return (module, lessons, flags, a function that makes a new model) of a small model."""
    module = module_of(*changes)
    characters = sorted({*"".join(NAMES)})
    flags = flags_of(n_head=2, block_size=8, num_steps=20)
    lessons = [module.encode(name, characters) for name in NAMES]

    def new_model():
        random.seed(42)
        return module.new_model(len(characters) + 1, 4, layers, flags.block_size)

    return module, lessons, flags, new_model


def state_of(module, model):
    """Return all parameters and gradients, exactly; a zero may have another sign."""
    return [(repr(p.data + 0.0), repr(p.grad + 0.0)) for p in module.parameters_of(model)]


@compiler
@pytest.mark.parametrize(("name", "layers"), [*((name, 1) for name in BROKEN), ("nothing", 2)])
def test_the_machine_computes_what_python_does(name, layers):
    """All losses of a training, all parameters and gradients after it, and the loss on many documents."""
    module, lessons, flags, new_model = trial(*BROKEN[name], layers=layers)
    model = new_model()
    expected = [*map(repr, module.train(model, lessons, flags))]
    traced, lessons, flags, new_model = trial(*BROKEN[name], layers=layers)
    lab, model_there = machine.Machine(traced, lessons), new_model()
    assert [*map(repr, lab.train(model_there, lessons, flags))] == expected
    assert state_of(traced, model_there) == state_of(module, model)
    surprises = [module.loss_of(model, lesson, flags.n_head).data * (len(lesson) - 1) for lesson in lessons]
    assert lab.loss_on(lessons) == (pytest.approx(sum(surprises), rel=1e-14), sum(map(len, lessons)) - len(lessons))
    assert lab.slow == 0


@compiler
def test_what_a_program_raises_the_machine_raises_too():
    raised = []
    for on_machine in (False, True):
        module, lessons, flags, new_model = trial()
        flags.learning_rate = 1000.0
        lab = machine.Machine(module, lessons) if on_machine else module
        losses = []
        with pytest.raises(OverflowError) as caught:
            for loss in lab.train(new_model(), lessons, flags):
                losses.append(repr(loss))
        raised.append((losses, str(caught.value)))
    assert raised[0] == raised[1]


@compiler
@pytest.mark.parametrize(
    "change",
    [
        ("        logs.append(probability.log())", "        logs.append(probability.log() * value(random.random()))"),
        ("    while tape:\n        result, a, da, b, db = tape.pop()\n",
         "    for result, a, da, b, db in reversed(tape):\n"),
        ("caches, logs = [[] for _ in model[1:]], []", "caches, logs = [[] for _ in model[1:]], [][tokens[0] :]"),
    ],
)  # fmt: skip
def test_what_cannot_be_traced_is_refused(change):
    module, lessons, flags, new_model = trial(change)
    lab = machine.Machine(module, lessons)
    with pytest.raises(machine.Untraceable):
        list(lab.train(new_model(), lessons, flags))


@compiler
def test_what_is_raised_only_while_tracing_is_not_the_program_s():
    change = ("    caches, logs = [[]", "    assert type(model[0]['wte']) is list\n    caches, logs = [[]")
    module, lessons, flags, new_model = trial(change)
    expected = [*map(repr, module.train(new_model(), lessons, flags))]
    lab = machine.Machine(module, lessons)
    assert [*map(repr, lab.train(new_model(), lessons, flags))] == expected
    assert lab.slow == flags.num_steps


def lines_of(source):
    """Return the lines of a program as the tangler has them."""
    return [SimpleNamespace(text=line) for line in source.split("\n")]


LAYERS = '    ("n_layer", 1, "layers"),\n'
TRAIN = "    parameters = parameters_of(model)\n"
DECAY = (LAYERS, LAYERS + '    ("no_such_flag", 0.0, "pull towards 0"),\n')  # a new flag
NOT_MEASURED = {
    "a comment": [("# placeholder for a missing input", "# no input")],
    "a docstring": [("Return the loss: how much", "Return how much")],
    "what a flag is for": [("training steps, one document each", "steps")],
    "a flag that nothing reads": [DECAY],
    "defaults of the command line": [('("seed", 42', '("seed", 43'), ('("samples", 20', '("samples", 30')],
    "the command line": [('f"microgpt: {message}', 'f"gpt: {message}'), ("import argparse", "import json, argparse"),
                         ("random.seed(flags.seed)", "random.seed(7)")],
}  # fmt: skip
MEASURED = {
    "code": [("    while tape:\n", "    while tape[:]:\n")],
    "a new flag that is read": [DECAY, (TRAIN, TRAIN + "    print(flags.no_such_flag)\n")],
    "a new flag that may be read": [DECAY, (TRAIN, TRAIN + "    print(vars(flags))\n")],
    **{f"the default of {flag}": [(f'("{flag}", {default}', f'("{flag}", 7')] for flag, default in (
        ("learning_rate", "0.01"), ("temperature", "0.5"), ("num_steps", "1000"), ("n_layer", "1"))},
    "a table that is changed": [("def read(path)", "FLAGS = [(n, d + 1, m) for n, d, m in FLAGS]\n\ndef read(path)")],
    "a statement": [("def read(path)", "tape.append(1)\n\ndef read(path)")],
}  # fmt: skip


def key_of(source, names="names", **given):
    """Return the key of what is measured of a program."""
    return record.Job("microgpt.py", lines_of(source), **given).key(names)


@pytest.mark.parametrize("name", [*NOT_MEASURED, *MEASURED])
def test_keys_depend_on_what_is_measured_and_on_nothing_else(name):
    source = changed_source(*(NOT_MEASURED | MEASURED)[name])
    assert (key_of(source) == key_of(SOURCE)) == (name in NOT_MEASURED)


def test_keys_depend_on_names_steps_and_pairs():
    keys = {key_of(SOURCE), key_of(SOURCE, "other names"), key_of(SOURCE, steps=30), key_of(SOURCE, pairs=100)}
    assert len(keys) == 4


def test_what_attributes_ask_for_is_measured():
    def jobs(attribute):
        diff = f"``` diff {{#no-bos{attribute}}}\n-    bos = len(characters)\n+    bos = 0\n```\n"
        fences, _ = tangle.parse(f"``` python {{file=microgpt.py}}\n{SOURCE}```\n{diff}")
        return {name: (len(job.seeds), job.steps, job.copies) for name, job in
                record.jobs(fences, tangle.programs_of(fences)).items()}  # fmt: skip

    program, experiment, twice = ("programs", "microgpt.py"), ("experiments", "no-bos"), ("twice", "no-bos")
    assert jobs("") == dict.fromkeys([program, experiment], (10, None, 1))
    assert jobs(" pairs=100") == dict.fromkeys([program, experiment], (100, None, 1))
    assert jobs(" measure=twice")[twice] == (10, 1000, 2)
    for attribute, message in ("pairs=many", "pairs takes a number, not many"), ("measure=x", "measure takes loss,"):
        with pytest.raises(tangle.TangleError, match=f"no-bos: {message}"):
            jobs(f" {attribute}")


ENTRY = {
    "seeds": [42], "unseen": [2.5], "seen": [2.4], "parameters": 9, "names": [90], "steps": 1000, "samples": [],
    "printed": [3.5], "raised": None, "milliseconds": 20.0, "how": "machine", "program": "microgpt.py", "key": "x",
}  # fmt: skip


def test_what_another_run_or_git_puts_into_the_record_while_one_measures_stays(tmp_path, monkeypatch):
    file = tmp_path / "experiments.json"
    head = {"date": "2026-11-24", "machine": "a machine", "python": "3.11.2"}

    def write(experiments):
        file.write_text(record.text_of(head | {"programs": {}, "experiments": experiments}), encoding="utf-8")

    def measure_meanwhile(*_):
        write({"other": ENTRY})
        return ENTRY

    jobs = {("experiments", name): record.Job("microgpt.py", lines_of(SOURCE)) for name in ("mine", "other")}
    monkeypatch.setattr(experiments, "RECORD", file)
    monkeypatch.setattr(experiments.measure, "measure", measure_meanwhile)
    write({"gone": ENTRY})
    experiments.tidy(jobs)
    assert record.read(file) == head | {kind: {} for kind in record.KINDS}
    assert experiments.measure_all([("experiments", "mine")], jobs) == 0
    entries = record.read(file)["experiments"]
    key = key_of(SOURCE, record.sum_of(ROOT / "docs" / "names.txt"))
    assert entries == {"other": ENTRY, "mine": ENTRY | {"key": key}}


@pytest.mark.parametrize(("runs", "steps", "points"), [
    ([[3.0, 2.0], [1.0, 1.0]], 2, [2.0, 1.5]), ([[1.0, 2.0] * 40], 80, [1.5] * 40),
    ([[3.0] * 100, [2.0] * 41], 100, [2.5] * 16 + [2.6667]), ([[1.0, float("inf"), 2.0]], 3, [1.0, None, 2.0]),
    ([[]], 1000, []),
])  # fmt: skip
def test_a_curve_is_the_mean_of_the_runs_and_ends_in_the_part_in_which_one_of_them_stops(runs, steps, points):
    assert measure.curve(runs, steps) == points


def test_changes_are_paired():
    base = {"seeds": [1, 2, 3], "unseen": [1.0, 2.0, 3.0]}
    mean, deviation, count = record.change({"seeds": [3, 2, 1], "unseen": [3.5, None, 1.5]}, base)
    assert (mean, deviation, count) == (0.5, 0.0, 2)
