"""The model: gradients against finite differences and PyTorch, causality, learning, shapes."""

import gc
import random

import pytest
from programs import flags, load

gpt = load("microgpt.py")


@pytest.fixture(autouse=True)
def no_collector():
    """As in the programs: with all that the tests have loaded, each collection would take long."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def small():
    """A model of 5 tokens and 2 layers, its parameters large enough for every part to matter."""
    random.seed(1)
    model = gpt.new_model(5, 4, 2, 8)
    for p in gpt.parameters_of(model):
        p.data *= 8
    gpt.tape.clear()
    return model


def gradients(model, tokens, n_head):
    """Return (loss, gradient of every parameter)."""
    for p in gpt.parameters_of(model):
        p.grad = 0.0
    loss = gpt.loss_of(model, tokens, n_head)
    gpt.backward(loss)
    return loss.data, [p.grad for p in gpt.parameters_of(model)]


def test_every_gradient_agrees_with_finite_differences(small):
    """Each matrix is moved along some directions at once: a single wrong gradient in it changes the slope of them."""
    tokens, h = [4, 0, 1, 1, 2, 4], 1e-5
    _, exact = gradients(small, tokens, 2)
    matrices = [(name, [p for row in rows for p in row]) for part in small for name, rows in part.items()]

    def loss_along(matrix, direction, h):
        before = [p.data for p in matrix]
        for p, d in zip(matrix, direction):
            p.data += h * d
        loss = gpt.loss_of(small, tokens, 2).data
        gpt.tape.clear()
        for p, data in zip(matrix, before):
            p.data = data
        return loss

    for name, matrix in 3 * matrices:
        direction = [random.choice((-1, 1)) for _ in matrix]
        slope = (loss_along(matrix, direction, h) - loss_along(matrix, direction, -h)) / (2 * h)
        assert sum(d * p.grad for d, p in zip(direction, matrix)) == pytest.approx(slope, rel=1e-5, abs=1e-7), name
    assert sum(g != 0 for g in exact) > 0.8 * len(exact)  # the rest are unused rows and silent ReLUs


def test_agrees_with_pytorch():
    """The loss and all gradients, in float64, against the Transformer written with whole arrays and a causal mask."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: .venv/bin/pip install --group torch")
    functional = torch.nn.functional
    random.seed(2)
    n_head, n_embd = 4, 16
    model = gpt.new_model(27, n_embd, 2, 16)
    for p in gpt.parameters_of(model):
        p.data *= 3
    tokens = [26, *(random.randrange(26) for _ in range(12)), 26]
    loss, exact = gradients(model, tokens, n_head)

    parts = [{name: torch.tensor([[p.data for p in row] for row in rows], dtype=torch.float64, requires_grad=True)
              for name, rows in part.items()} for part in model]  # fmt: skip
    tables, *layers = parts

    def norm(x):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5)

    def heads(x, matrix):  # (positions, n_embd) -> (n_head, positions, head size)
        return (x @ matrix.T).view(len(x), n_head, -1).transpose(0, 1)

    given = torch.tensor(tokens[:-1])
    x = norm(tables["wte"][given] + tables["wpe"][: len(given)])
    for layer in layers:
        h = norm(x)
        query, key, value = (heads(h, layer[name]) for name in ("wq", "wk", "wv"))
        scores = query @ key.transpose(1, 2) / (n_embd / n_head) ** 0.5
        future = torch.ones(len(given), len(given), dtype=torch.bool).triu(1)
        found = scores.masked_fill(future, -torch.inf).softmax(-1) @ value
        x = x + found.transpose(0, 1).reshape(len(given), n_embd) @ layer["wo"].T
        x = x + (norm(x) @ layer["fc1"].T).relu() @ layer["fc2"].T
    theirs = functional.cross_entropy(x @ tables["lm_head"].T, torch.tensor(tokens[1:]))
    theirs.backward()
    assert loss == pytest.approx(theirs.item(), rel=1e-9)
    flat = [g for part in parts for matrix in part.values() for g in matrix.grad.flatten().tolist()]
    assert exact == pytest.approx(flat, rel=1e-9, abs=1e-12)


def logits_of(model, tokens):
    """Return the logits after each of the tokens."""
    caches = [[] for _ in model[1:]]
    logits = [[x.data for x in gpt.gpt(model, token, caches, 2)] for token in tokens]
    gpt.tape.clear()
    return logits


def test_a_later_token_never_changes_an_earlier_logit(small):
    one, other = logits_of(small, [4, 0, 1, 2, 3]), logits_of(small, [4, 0, 1, 3, 3])
    assert one[:3] == other[:3]
    assert one[3] != other[3]
    assert one[4] != other[4]  # the same token in the same place, but after something else


def test_sampling_leaves_no_tape_and_may_fill_block_size(small):
    assert max(len(list(gpt.sample(small, 4, flags(block_size=3)))) for _ in range(20)) == 3
    assert gpt.tape == []


def test_sums_that_python_cannot_compile_are_refused_with_a_line():
    module = load("efficiency/generated.py")
    with pytest.raises(OverflowError, match="Python cannot compile sums this long: try a smaller --n_embd"):
        module.compiled(module.dots_of, 20_000)
