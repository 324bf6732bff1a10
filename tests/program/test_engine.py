"""The engines: each operation's derivative, gradients that add up, a tape without cycles."""

import ast
import gc
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from programs import PROGRAMS, PYTHON, lacking, load

import tangle


def engine_of(target):
    """Return the code of the scalars of a program, as text; nothing, if it has none."""
    parts = [node for node in ast.parse(tangle.render(PROGRAMS[target])).body
             if getattr(node, "name", None) in ("Value", "value", "backward")]  # fmt: skip
    return "\n".join(map(ast.unparse, parts)) if any(isinstance(part, ast.ClassDef) for part in parts) else ""


DISTINCT = {engine_of(target): target for target in reversed(PYTHON) if engine_of(target)}  # the first that has each
ENGINES = {target: load(target) for target in reversed(DISTINCT.values()) if not lacking(target)}
MICROGPT = next(iter(PROGRAMS))
OPERATIONS = {
    "+": (2, lambda a, b: a + b), "*": (2, lambda a, b: a * b), "** -0.5": (1, lambda a: a**-0.5),
    "** -1": (1, lambda a: a**-1), "** 3": (1, lambda a: a**3), "exp": (1, lambda a: a.exp()),
    "log": (1, lambda a: a.log()), "relu": (1, lambda a: a.relu()),
}  # fmt: skip
POSITIVE_ONLY = {"** -0.5", "** -1", "log"}


@pytest.fixture(params=ENGINES, scope="module")
def engine(request):
    return ENGINES[request.param]


def evaluate(engine, operation, numbers):
    """Return (result, gradients of the inputs) of one operation."""
    inputs = [engine.value(number) for number in numbers]
    result = operation(*inputs)
    engine.backward(result)
    return result.data, [x.grad for x in inputs]


@pytest.mark.parametrize("name", OPERATIONS)
@given(numbers=st.tuples(*[st.floats(-3, 3)] * 2))
def test_derivative_of_each_operation(engine, name, numbers):
    count, operation = OPERATIONS[name]
    numbers = [abs(x) + 0.1 if name in POSITIVE_ONLY else x for x in numbers[:count]]
    h = 1e-5
    assume(name != "relu" or abs(numbers[0]) > 2 * h)  # it has a corner at 0
    _, gradients = evaluate(engine, operation, numbers)
    for i, gradient in enumerate(gradients):
        above, below = (evaluate(engine, operation, [x + (i == j) * d for j, x in enumerate(numbers)])[0]
                        for d in (h, -h))  # fmt: skip
        assert gradient == pytest.approx((above - below) / (2 * h), rel=1e-4, abs=1e-7)


def test_relu_at_zero_passes_nothing(engine):
    assert evaluate(engine, lambda a: a.relu(), [0.0]) == (0.0, [0.0])


def test_a_chain_of_any_length_needs_no_recursion():
    engine = ENGINES[MICROGPT]
    x = total = engine.value(1.0)
    for _ in range(20_000):
        total = total + x
    engine.backward(total)
    assert x.grad == 20_001
    assert engine.tape == []


def test_nothing_refers_to_itself_in_a_circle():
    """The collector is switched off in the program, so whatever it would find is a leak."""
    engine = load(MICROGPT)
    engine.tape.clear()
    model = engine.new_model(5, 4, 2, 8)
    gc.collect()
    gc.disable()
    try:
        loss = engine.loss_of(model, [4, 0, 1, 2, 4], 2)
        engine.backward(loss)
        del loss
        assert gc.collect() == 0
    finally:
        gc.enable()


@given(st.lists(st.floats(-800, 800), min_size=1, max_size=6))
def test_softmax_gives_probabilities_whatever_the_logits(logits):
    engine = ENGINES[MICROGPT]
    probabilities = [p.data for p in engine.softmax([engine.value(x) for x in logits])]
    engine.tape.clear()
    assert sum(probabilities) == pytest.approx(1)
    assert all(0 <= p <= 1 for p in probabilities)
    expected = [math.exp(x - max(logits)) for x in logits]
    assert probabilities == pytest.approx([x / sum(expected) for x in expected])
