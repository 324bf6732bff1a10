"""efficiency/torch_gpt.py: the same training as microgpt.py, interrupted, damaged, and by several processes."""

import io
import os
import random
import signal
import sys

import pytest
from programs import BUILD, ROOT, flags, load

torch = pytest.importorskip("torch", reason="PyTorch is not installed: .venv/bin/pip install --group torch")
torch.set_num_threads(1)  # so little work is not worth sharing
PROGRAM = BUILD / "efficiency" / "torch_gpt.py"
PLACES = ROOT / "docs" / "places.txt"
SMALL = ["--n_embd=8", "--n_head=2", "--n_layer=2", "--block_size=8", "--samples=2"]


@pytest.fixture(scope="module")
def module():
    return load("efficiency/torch_gpt.py")


def sizes(**changes):
    """Return the flags that the functions read."""
    small = {"n_embd": 8, "n_layer": 2, "dtype": "float64", "device": "cpu", "batch_size": 1, "num_steps": 100}
    return flags(**small | changes)


def models(module, **changes):
    """Return microgpt.py, its model, and PyTorch's model, made with the same random numbers."""
    microgpt, flags = load("microgpt.py"), sizes(**changes)
    random.seed(1)
    theirs = microgpt.new_model(27, flags.n_embd, flags.n_layer, flags.block_size)
    random.seed(1)
    return microgpt, theirs, module.new_model(27, flags)


@pytest.fixture
def call(module, monkeypatch):
    """Return a function that calls main with arguments, here, and returns what ends it, as text."""

    def unheard(number, frame):
        raise AssertionError("the program does not hear the signal")

    before = {number: signal.signal(number, unheard) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setattr(os, "_exit", sys.exit)

    def ends(*arguments):
        monkeypatch.setattr(sys, "argv", ["torch_gpt.py", str(PLACES), *map(str, arguments)])
        try:
            return module.main()
        except SystemExit as stop:
            return stop.code
        except (OverflowError, MemoryError, OSError) as error:
            return error
        finally:
            for number in before:
                signal.signal(number, unheard)

    yield ends
    for number, handler in before.items():
        signal.signal(number, handler)


def steps(output):
    """Return the lines of a run that have a loss."""
    return [line for line in output if line.startswith("step")]


def test_the_gradients_are_the_same_and_padding_changes_nothing(module):
    microgpt, theirs, model = models(module)
    characters, documents = [chr(c) for c in range(ord("a"), ord("z") + 1)], ["emma", "o", "marianneelizabeth"]
    for document in documents:
        loss = microgpt.loss_of(theirs, microgpt.encode(document[:8], characters)[:9], 2)
        microgpt.backward(loss * microgpt.value(1 / len(documents)))
    module.losses_of(model, *module.batch_of(documents, characters, 8)).mean().backward()
    ours = [g for p in model.parameters() for g in p.grad.flatten().tolist()]
    assert ours == pytest.approx([p.grad for p in microgpt.parameters_of(theirs)], rel=1e-9, abs=1e-12)
    assert [p.data for p in microgpt.parameters_of(theirs)] == [
        number for p in model.parameters() for number in p.flatten().tolist()
    ]


def test_a_sample_may_fill_the_context_and_no_more(module):
    _, _, model = models(module, block_size=3)
    lengths = [len([*module.sample(model, [26], sizes(block_size=3), "cpu")]) for _ in range(50)]
    assert max(lengths) == 3


def step_of(path):
    """Return the step after which a checkpoint was saved."""
    return torch.load(io.BytesIO(path.read_bytes()[:-32]), weights_only=True)["step"]


class Pipe(io.StringIO):
    """An output whose reader leaves after ten steps."""

    def write(self, text):
        if "step   10 " in self.getvalue():
            raise BrokenPipeError
        return super().write(text)


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (None, BrokenPipeError)]
)
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(sent, status, tmp_path, call, module, monkeypatch):
    kept, flags, learn, seen = tmp_path / "kept.pt", [*SMALL, "--num_steps=20", "--batch_size=3"], module.learn, []

    def output(ends, *more, to=io.StringIO):
        monkeypatch.setattr(sys, "stdout", to())
        ended = call(*flags, *more)
        assert ended == ends or isinstance(ended, ends)
        return sys.stdout.getvalue().splitlines()

    def learn_until_told(*arguments):
        seen.append(arguments)
        if sent and len(seen) == 10:
            signal.raise_signal(sent)
        return learn(*arguments)

    whole = output(0)
    with monkeypatch.context() as patched:
        patched.setattr(module, "learn", learn_until_told)
        first = output(status, "--checkpoint", kept, to=io.StringIO if sent else Pipe)
    step = 10 if sent else 12  # that nobody reads shows at the next line, and is heeded in the step after that
    assert len(seen) == step_of(kept) == step
    assert steps(first) == steps(whole)[:10]
    assert ("sample  2: " in first[-1]) == (sent == signal.SIGINT)  # for whom else?
    second = output(0, "--checkpoint", kept)
    assert steps(second) == steps(whole)[step:]
    assert second[-2:] == whole[-2:]
    assert [path.name for path in tmp_path.iterdir()] == ["kept.pt"]


def test_a_damaged_or_foreign_checkpoint_is_refused_and_kept(tmp_path, call):
    kept = tmp_path / "kept.pt"
    flags = [*SMALL, "--num_steps=2", "--checkpoint", kept]
    assert call(*flags) == 0
    whole = kept.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for damage in (b"", b"{}", whole[:-1], flipped):
        kept.write_bytes(damage)
        assert call(*flags) == f"microgpt: {kept} is damaged, or not a checkpoint: name another --checkpoint"
        assert kept.read_bytes() == damage
    kept.write_bytes(whole)
    for name in ("n_embd", "seed", "batch_size"):
        says = f"microgpt: {kept} belongs to another run, with another {name}: name another --checkpoint"
        assert call(*flags, f"--{name}=16") == says
    says = f"microgpt: {kept} belongs to another run, with another split by --eval_every: name another --checkpoint"
    assert call(*flags, "--eval_every=2") == says  # it would be judged by what it has learned
    assert call(*flags) == 0
    says = f"microgpt: cannot read {tmp_path} (Is a directory): name another --checkpoint"
    assert call(*flags, "--checkpoint", tmp_path) == says


def test_a_model_that_diverges_replaces_no_good_one(tmp_path, call):
    kept = tmp_path / "kept.pt"
    flags = [*SMALL, "--checkpoint", kept, "--save_every=1"]
    assert call(*flags, "--num_steps=5") == 0
    assert isinstance(call(*flags, "--num_steps=10", "--learning_rate=1e9"), OverflowError)
    assert step_of(kept) == 5
    assert call(*flags, "--num_steps=10") == 0


@pytest.mark.parametrize(
    ("argument", "ends", "says"),
    [
        ("--dtype=int8", 2, "microgpt: --dtype must be one of float64, float32, bfloat16\n"),
        ("--prompt=Ω", 2, "microgpt: --prompt has characters that are not in the text: Ω\n"),
        ("--prompt=" + "no-end" * 3, 2, "microgpt: --prompt must be shorter than 16 characters, the block_size\n"),
        ("--n_embd=1000000", MemoryError, ""), ("--n_layer=1000000000", MemoryError, ""),
        ("--learning_rate=1e6", OverflowError, ""), ("--checkpoint=nowhere/kept.pt", OSError, ""),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(argument, ends, says, call, capsys):
    ended = call("--num_steps=20", argument)
    assert ended == ends or isinstance(ended, ends)
    assert capsys.readouterr().err == says


def test_a_tenth_of_the_text_is_held_out_and_samples_begin_as_told(call, capsys):
    assert call(*SMALL, "--num_steps=20", "--eval_every=10", "--prompt=be", "--dtype=bfloat16") == 0
    output = capsys.readouterr().out.splitlines()
    losses = [float(line.split()[-1]) for line in output if line.startswith("held out after step")]
    assert len(losses) == 2
    assert losses[1] < losses[0] < 4
    assert all(line.split(": ")[1].startswith("be") for line in output[-2:])


LAUNCHED = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "1", "MASTER_PORT": "29500", "MASTER_ADDR": "127.0.0.1"}
WRONG = [{"RANK": "1"}, {"LOCAL_RANK": "x"}, {**LAUNCHED, "RANK": "1"}, {**LAUNCHED, "MASTER_PORT": "x"}]


@pytest.mark.parametrize("left_over", WRONG)
def test_variables_of_a_launcher_that_is_not_there_are_refused(left_over, call, monkeypatch, capsys):
    for name, content in left_over.items():
        monkeypatch.setenv(name, content)
    assert call("--num_steps=1", *SMALL) == 2
    names = " and ".join(f"{name}={left_over[name]}" for name in LAUNCHED if name in left_over)
    says = f"torchrun did not set {names}: unset that in the environment, or start with torchrun"
    assert capsys.readouterr() == ("", f"microgpt: {says}\n")


def test_a_process_for_which_no_gpu_is_left_says_so(call, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name, content in LAUNCHED.items():
        monkeypatch.setenv(name, content)
    assert call("--num_steps=1") == 2
    message = "microgpt: no GPU is left for process 2: start at most 1, or use --device cpu\n"
    assert capsys.readouterr().err == message
    assert call("--num_steps=1", "--device=cpu", *SMALL) == 0


def test_machines_that_cannot_work_together_say_why(call, module, monkeypatch):
    for name, content in {**LAUNCHED, "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, content)
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    monkeypatch.setattr(module.socket, "gethostbyname", lambda name: "127.0.1.1")
    flags = [*SMALL, "--batch_size=2", "--device=cpu"]
    says = "microgpt: no other machine would find this one: set GLOO_SOCKET_IFNAME to its network interface"
    assert call(*flags) == says
    monkeypatch.setattr(module, "connect", lambda device: None)
    monkeypatch.setattr(
        module.dist, "all_gather_object", lambda told, mine: told.__setitem__(1, {**mine, "text": "another"})
    )
    assert call(*flags) == "microgpt: the processes were not all started with the same text: start them alike"
