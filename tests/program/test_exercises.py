"""The solutions of the exercises: each of them does what it is for."""

import gc
import json
import math
import os
import random
import signal
import sys

import pytest
from programs import BUILD, CONTRACTS, ROOT, flags, load, run

EXERCISES = sorted(target for target in CONTRACTS if target.startswith("exercises/"))
NAMES = (ROOT / "docs" / "names.txt").read_text(encoding="utf-8").split()


@pytest.fixture(autouse=True)
def no_collector():
    """As in the programs: with all that the tests have loaded, each collection would take long."""
    gc.disable()
    yield
    gc.enable()


def small_model(module, n_layer=2, factor=8):
    """Return a model of 5 tokens and 8 positions, its parameters large enough for every part to matter."""
    random.seed(1)
    model = module.new_model(5, 4, n_layer, 8)
    for p in module.parameters_of(model):
        p.data = p.data * factor + 0.1
    module.tape.clear()
    return model


def gradients(module, model, tokens):
    """Return the gradient of every parameter."""
    for p in module.parameters_of(model):
        p.grad = 0.0
    module.backward(module.loss_of(model, tokens, 2))
    return [p.grad for p in module.parameters_of(model)]


def check_gradients(module):
    """Hold some gradients against finite differences: every second of the tables, every ninth of the layers."""
    model, tokens, h = small_model(module), [4, 0, 1, 1, 2, 4], 1e-5
    exact = gradients(module, model, tokens)

    def loss_with(p, data):
        p.data, before = data, p.data
        loss = module.loss_of(model, tokens, 2).data
        p.data = before
        module.tape.clear()
        return loss

    tables = len(module.parameters_of(model[:1]))
    some = [i for i in range(len(exact)) if i % (2 if i < tables else 9) == 0]
    tried = [module.parameters_of(model)[i] for i in some]
    estimates = [(loss_with(p, p.data + h) - loss_with(p, p.data - h)) / (2 * h) for p in tried]
    assert [exact[i] for i in some] == pytest.approx(estimates, rel=1e-5, abs=1e-8)
    assert sum(g != 0 for g in exact) > 0.7 * len(exact)


def vector(module, *numbers):
    """Return a vector of Values."""
    return [module.value(float(number)) for number in numbers]


def data(values):
    """Return the numbers of Values."""
    return [v.data for v in values]


@pytest.mark.parametrize("target", EXERCISES)
def test_each_takes_the_flags_of_microgpt(target, tmp_path):
    """Programs in exercises/ do; what only shows something is in stages/."""
    extra = ["--file", tmp_path / "kept.json"] if target.endswith("keep.py") else []
    arguments = ["--num_steps=5", "--samples=2", "--n_embd=8", "--n_head=2", "--n_layer=2", "--seed=3"]
    done = run(ROOT / "docs" / "places.txt", *arguments, *extra, program=BUILD / target, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "step    5 /    5 | loss " in done.stdout
    assert done.stdout.count("\nsample ") == 2


# keep.py


@pytest.fixture
def kept(tmp_path, monkeypatch, capsys):
    """Return a function that calls keep.py's main with arguments and returns (exit status, stdout, stderr)."""
    module, path = load("exercises/keep.py"), tmp_path / "kept.json"

    def call(*arguments):
        short = ["--num_steps=8", "--n_embd=8", "--n_head=2", "--block_size=8", "--samples=3", "--file"]
        monkeypatch.setattr(sys, "argv", ["keep.py", str(ROOT / "docs" / "names.txt"), *short, str(path), *arguments])
        module.tape.clear()
        try:
            status = module.main()
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    call.module, call.path = module, path
    return call


def test_a_saved_model_goes_on_as_the_one_that_was_trained(kept):
    first, second = kept("--beginning", "mar"), kept("--beginning", "mar")
    assert first[0] == second[0] == 0
    assert "step    8 /    8" in first[1]
    assert second[1].startswith(f"loaded {kept.path}: ")
    assert "step" not in second[1]
    heading, text = "\n--- after mar ---\n", second[1]
    assert first[1].partition(heading)[2] == text.partition(heading)[2] != ""
    likeliest, samples = text.partition(heading)[2].splitlines()[:5], text.splitlines()[-3:]
    assert [line.split("%")[1].strip() for line in likeliest] != sorted(likeliest)
    assert all(line.split(": ")[1].startswith("mar") and len(line.split(": ")[1]) <= 8 for line in samples)
    assert [path.name for path in kept.path.parent.iterdir()] == ["kept.json"]  # nothing else is left


def test_a_loaded_model_has_the_same_losses_and_sizes(kept):
    module, path = kept.module, str(kept.path)
    random.seed(5)
    model, sizes = module.new_model(4, 6, 2, 7), flags(n_embd=6, n_head=3, n_layer=2, block_size=7)
    module.save(path, model, ["a", "b", "é"], sizes)
    others = flags(n_embd=1, n_head=1, n_layer=1, block_size=1)
    again, characters = module.load(path, others)
    assert characters == ["a", "b", "é"]
    assert vars(others) == vars(sizes)
    assert [list(part) for part in again] == [list(part) for part in model]
    assert data(module.parameters_of(again)) == data(module.parameters_of(model))
    losses = [module.loss_of(m, [3, 0, 1, 2, 2, 3], 3).data for m in (model, again)]
    assert losses[0] == losses[1]


def damages(text):
    """Yield files that are no models, made from one that is."""
    kept = json.loads(text)
    yield from ("", "null", "[]", "[" * 100_000, text[:-1], text + "x", "\0\xff")
    numbers, letters, sizes = kept["parameters"], kept["characters"], kept["sizes"]
    wrong = {
        "parameters": [None, {}, numbers[:-1], *([number, *numbers[1:]] for number in (math.nan, 1e308, "0.1", [0.1]))],
        "characters": [None, 26, letters[1:], "".join(letters), ["aa", *letters[1:]], ["b", *letters[1:]]],
        "sizes": [[], *({**sizes, name: size} for name in sizes for size in (0, 3, 10**9, 8.5, True, "8", None))],
    }
    yield from (json.dumps({**kept, name: value}) for name, values in wrong.items() for value in values)


def test_a_damaged_or_foreign_file_is_refused_and_kept(kept):
    kept()
    for damage in damages(kept.path.read_text(encoding="utf-8")):
        kept.path.write_bytes(damage.encode("latin-1"))
        status, out, _ = kept()
        assert status == f"microgpt: {kept.path} holds no model: name another --file", damage[:200]
        assert out == ""
        assert kept.path.read_bytes() == damage.encode("latin-1")
    kept.path.unlink()
    kept.path.mkdir()
    assert kept()[0] == f"microgpt: cannot read {kept.path} (Is a directory): name another --file"


@pytest.mark.parametrize("trained", [False, True])
def test_a_beginning_that_cannot_be_continued_is_refused_before_the_training(kept, trained):
    if trained:
        kept()
    status, out, _ = kept("--beginning", "mär!")
    assert status == "microgpt: --beginning has characters that the model has never seen: !ä"
    status, out, _ = kept("--beginning", "marianne")
    assert status == "microgpt: --beginning must be shorter than 8 characters, the model's block_size"
    assert "step" not in out
    assert kept("--beginning", "mariann")[0] == 0
    assert kept("--beginning", "")[0] == 0


def test_a_file_is_replaced_all_at_once_or_not_at_all(kept, monkeypatch):
    replace, path = kept.module.replace, kept.path
    path.write_bytes(b"older")
    path.with_name("link").symlink_to(path)
    replace(path.with_name("link"), b"old")

    def full(_):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        replace(path, b"new")
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == {"kept.json": b"old", "link": b"old"}


def test_a_training_that_was_stopped_is_not_kept(kept, monkeypatch):
    def stopped(*_):
        yield 3.0
        raise KeyboardInterrupt

    monkeypatch.setattr(kept.module, "train", stopped)
    status, out, _ = kept()
    assert status == 128 + signal.SIGINT
    assert "\nsample  3: mar" in out
    assert not kept.path.exists()


@pytest.mark.parametrize("name", ["weight_tying", "rotary"])
def test_gradients_of_another_model_are_right(name):
    """A shared table gets them from both ends, and they go through a rotation."""
    check_gradients(load(f"exercises/{name}.py"))


# top_k.py, weight_tying.py, clipping.py, batches.py


def test_nothing_is_drawn_but_the_likeliest():
    module = load("exercises/top_k.py")
    model, drawn = small_model(module), set()
    for _ in range(50):
        caches, token = [[], []], 4
        for following in module.sample(model, 4, flags(top_k=2, temperature=5.0)):
            logits = data(module.gpt(model, token, caches, 2))
            module.tape.clear()
            assert sorted(logits, reverse=True).index(logits[following]) < 2
            drawn.add(following)
            token = following
    assert len(drawn) > 1


def test_gradients_are_clipped_to_a_norm_and_keep_their_direction():
    module = load("exercises/clipping.py")
    parameters = vector(module, *[0] * 50)
    random.seed(2)
    for size in (1e-3, 0.1, 10.0, 1e200):
        before = [random.gauss(0, size) for _ in parameters]
        for p, g in zip(parameters, before):
            p.grad = g
        module.clip(parameters)
        after = [p.grad for p in parameters]
        assert math.hypot(*after) == pytest.approx(min(1, math.hypot(*before)))
        factor = after[0] / before[0]
        assert after == pytest.approx([g * factor for g in before])
        assert (after == before) == (size <= 0.1)


@pytest.mark.parametrize("name", ["clipping", "batches"])
def test_adam_gets_what_the_exercise_says(name):
    module = load(f"exercises/{name}.py")
    model, documents = small_model(module), [[4, 0, 1, 4], [4, 3, 4], [4, 2, 2, 4], [4, 4]]
    single, given = [gradients(module, model, tokens) for tokens in documents], []

    def adam(parameters, means, squares, step, rate):
        given.append((step, rate, [p.grad for p in parameters]))
        for p in parameters:
            p.grad = 0.0

    module.adam = adam
    adam(module.parameters_of(model), 0, 0, 0, 0)
    given.clear()
    losses = list(module.train(model, documents, flags(num_steps=4, batch_size=2)))
    assert len(losses) == 4
    if name == "clipping":
        assert [step for step, _, _ in given] == [1, 2, 3, 4]
        assert all(math.hypot(*gradient) <= 1 + 1e-9 for _, _, gradient in given)
        assert any(math.hypot(*gradient) > 1 for gradient in single)
    else:
        assert [step for step, _, _ in given] == [1, 2]
        for (_, _, gradient), pair in zip(given, (single[:2], single[2:])):
            assert gradient == pytest.approx([sum(both) / 2 for both in zip(*pair)], rel=1e-9, abs=1e-12)


# gpt2.py and rotary.py


def test_gpt2_agrees_with_pytorch():
    """The loss and all gradients, in float64, against GPT-2 written with whole arrays and a causal mask."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: .venv/bin/pip install --group torch")
    module, tokens = load("exercises/gpt2.py"), [4, 0, 1, 1, 2, 4]
    functional, model = torch.nn.functional, small_model(module, factor=4)
    exact = gradients(module, model, tokens)
    tables, *layers = parts = [
        {name: torch.tensor([*map(data, rows)], dtype=torch.float64, requires_grad=True) for name, rows in part.items()}
        for part in model
    ]

    def norm(x, weights):
        return functional.layer_norm(x, [x.shape[-1]], weights[0], weights[1], eps=1e-5)

    def linear(x, weights):
        return functional.linear(x, weights[:, :-1], weights[:, -1])

    given = torch.tensor(tokens[:-1])
    x = tables["wte"][given] + tables["wpe"][: len(given)]
    for layer in layers:
        h = norm(x, layer["norm1"])
        heads = [linear(h, layer[name]).view(len(given), 2, -1).transpose(0, 1) for name in ("wq", "wk", "wv")]
        means = functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + linear(means.transpose(0, 1).reshape(len(given), -1), layer["wo"])
        x = x + linear(functional.gelu(linear(norm(x, layer["norm2"]), layer["fc1"])), layer["fc2"])
    functional.cross_entropy(norm(x, tables["norm"]) @ tables["wte"].T, torch.tensor(tokens[1:])).backward()
    theirs = [g for part in parts for matrix in part.values() for g in matrix.grad.flatten().tolist()]
    assert exact == pytest.approx(theirs, rel=1e-7, abs=1e-10)


@pytest.mark.parametrize("size", [1, 2, 4, 5, 6])
def test_scores_depend_only_on_the_distance(size):
    module = load("exercises/rotary.py")
    random.seed(6)
    query, key = (vector(module, *(random.gauss(0, 1) for _ in range(size))) for _ in range(2))

    def score(here, there):
        return module.dot(module.rotate(query, here), module.rotate(key, there)).data

    assert score(0, 0) == pytest.approx(module.dot(query, key).data)
    for distance in (0, 1, 5):
        assert [score(place + distance, place) for place in range(12)] == pytest.approx([score(distance, 0)] * 12)
    if size > 1:
        assert score(3, 0) != pytest.approx(score(0, 0))
        assert score(3, 0) != pytest.approx(score(0, 3))


def test_rotation_is_that_of_complex_numbers():
    module = load("exercises/rotary.py")
    turned = data(module.rotate(vector(module, 1, 2, 3, 4), 5))
    for i, angle in ((0, 5.0), (2, 5.0 / 100)):  # 10000 to the power of 2/4 is 100
        expected = complex(i + 1, i + 2) * complex(math.cos(angle), math.sin(angle))
        assert turned[i : i + 2] == pytest.approx([expected.real, expected.imag])


def test_only_queries_and_keys_are_turned():
    module = load("exercises/rotary.py")
    assert len(module.parameters_of(module.new_model(27, 16, 1, 16))) == 4192 - 16 * 16
    model, seen, attend = small_model(module, n_layer=1), [], module.attend
    module.attend = lambda *given: seen.append(given) or attend(*given)
    caches = [[]]
    for _ in range(3):
        module.gpt(model, 1, caches, 2)
    for place, (query, keys, values) in enumerate(seen[::2]):  # of the first head: one token in three places
        assert data(query) == pytest.approx(data(module.rotate(seen[0][0], place)))
        assert [len(keys), len(values)] == [place + 1, place + 1]
        for earlier, (key, content) in enumerate(zip(keys, values)):
            assert data(key) == pytest.approx(data(module.rotate(seen[0][1][0], earlier)))
            assert data(content) == data(seen[0][2][0])


# bpe.py, reward.py, plain_numbers.py


def test_merges_by_hand():
    module = load("exercises/bpe.py")
    # pairs: ab 3 times, aa 2 times; then a + ab 2 times; then nothing is left of aab, and ab is one piece
    assert module.learn_pieces(["aab", "aab", "ab"], 1) == ["a", "b", "ab"]
    pieces = module.learn_pieces(["aab", "aab", "ab"], 9)
    assert pieces == ["a", "b", "ab", "aab"]
    assert module.encode("aab", pieces) == [4, 3, 4]
    assert module.encode("abbaab", pieces) == [4, 2, 1, 3, 4]
    assert module.join(list("aaa"), "aa") == ["aa", "a"]
    assert module.learn_pieces(["ba", "ab"], 1) == ["a", "b", "ab"]  # both once: the first in the alphabet
    assert module.encode("", pieces) == [4, 4]


def test_decoding_undoes_encoding_for_all_names():
    module = load("exercises/bpe.py")
    pieces, names = module.learn_pieces(NAMES[:4000], 30), set(NAMES)
    assert len(set(pieces)) == len(pieces) == 56
    tokens = {name: module.encode(name, pieces) for name in names}
    assert all(module.decode(tokens[name], pieces) == name for name in names)
    assert all(tokens[name][0] == tokens[name][-1] == 56 for name in names)
    shorter = sum(map(len, tokens.values())) / sum(len(name) + 2 for name in names)
    assert 0.6 < shorter < 0.9
    assert {token for name in names for token in tokens[name]} == set(range(57))


def test_rewards_raise_the_share_of_what_is_rewarded():
    module = load("exercises/reward.py")
    random.seed(8)
    names = [name for name in random.sample(NAMES, 400) if len(name) < 6]
    characters = sorted(set("".join(names)))
    model, bos = module.new_model(len(characters) + 1, 8, 1, 8), len(characters)
    settings = flags(num_steps=40, learning_rate=0.05, temperature=1.0, rewards=60)
    for _ in module.train(model, [module.encode(name, characters) for name in names], settings):
        pass

    def judge(tokens):
        return float(tokens[-1:] == [characters.index("a")])

    def share():
        return sum(judge(list(module.sample(model, bos, settings))) for _ in range(50)) / 50

    before = share()
    rewards = list(module.reinforce(model, bos, judge, settings))
    after = share()
    assert len(rewards) == 60
    assert set(rewards) <= {0.0, 1.0}
    assert after > before + 0.4


def test_values_and_numbers_mix():
    module = load("exercises/plain_numbers.py")
    assert CONTRACTS["exercises/plain_numbers.py"] == {"prints": "microgpt.py"}

    def formula(x, y):
        return sum([x * 2, 2 * x, x + 1, 1 + x, x - y, x - 1, 1 - x, x / y, x / 3, 3 / x, -x, sum([x, y])]) * x

    x, y, h = module.value(1.5), module.value(-0.7), 1e-6
    result = formula(x, y)
    assert result.data == pytest.approx(formula(1.5, -0.7))
    module.backward(result)
    assert x.grad == pytest.approx((formula(1.5 + h, -0.7) - formula(1.5 - h, -0.7)) / (2 * h))
    assert y.grad == pytest.approx((formula(1.5, -0.7 + h) - formula(1.5, -0.7 - h)) / (2 * h))
