"""efficiency/torch_gpt.py: the same training as microgpt.py, interrupted, damaged, and by several processes."""

import gc
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from programs import BUILD, ROOT, flags, load, run

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
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
    handler = signal.getsignal(signal.SIGINT)

    def ends(*arguments):
        monkeypatch.setattr(sys, "argv", ["torch_gpt.py", str(PLACES), *map(str, arguments)])
        try:
            return module.main()
        except SystemExit as stop:
            return stop.code
        except (OverflowError, MemoryError, OSError) as error:
            return error

    yield ends
    signal.signal(signal.SIGINT, handler)


def lines(*arguments, **options):
    """Run the program and return its lines."""
    done = run(*arguments, program=PROGRAM, **options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def steps(output):
    """Return the lines of a run that have a loss."""
    return [line for line in output if line.startswith("step")]


@pytest.mark.slow
def test_the_first_hundred_losses_are_the_same_to_nine_places(module):
    microgpt, theirs, model = models(module, n_embd=16, n_head=4, n_layer=1, block_size=16)
    names = (ROOT / "docs" / "names.txt").read_text(encoding="utf-8").split()
    random.shuffle(names)
    characters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    flags, setting = sizes(n_head=4), SimpleNamespace(size=16, device="cpu", precision=module.contextlib.nullcontext)
    expected = microgpt.train(theirs, [microgpt.encode(name[:16], characters)[:17] for name in names], flags)
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.85, 0.99), eps=1e-8, fused=True)
    gc.disable()  # or it takes ten times as long
    try:
        for step, share in module.batches(names, flags, 0):
            loss = module.learn(model, optimizer, share, characters, setting, 0.01 * (1 - step / 100))
            assert loss.item() == pytest.approx(next(expected), abs=1e-9)
        assert step == 99
    finally:
        gc.enable()


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


@pytest.mark.slow
def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(tmp_path):
    flags = [PLACES, *SMALL, "--num_steps=40", "--batch_size=3"]
    whole = lines(*flags)
    kept = tmp_path / "kept.pt"
    process = subprocess.Popen([sys.executable, PROGRAM, *flags[:-2], "--num_steps=40", "--batch_size=3",
                                "--checkpoint", kept], stdout=subprocess.PIPE, text=True)  # fmt: skip
    first = [process.stdout.readline().rstrip("\n") for _ in range(12)]
    process.send_signal(signal.SIGINT)
    first += process.communicate()[0].splitlines()
    assert process.returncode == 130
    assert 9 <= len(steps(first)) < 40, "it was too quick to be interrupted"
    second = lines(*flags, "--checkpoint", kept)
    assert steps(first) + steps(second) == steps(whole)
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
        assert call(*flags) == f"microgpt: {kept} is damaged, or no checkpoint: delete it, or name another --checkpoint"
        assert kept.read_bytes() == damage
    kept.write_bytes(whole)
    for name in ("n_embd", "seed", "batch_size"):
        says = f"microgpt: {kept} is of another run, with another {name}: name another --checkpoint"
        assert call(*flags, f"--{name}=16") == says
    assert call(*flags) == 0


@pytest.mark.parametrize(
    ("arguments", "ends", "says"),
    [
        (["--dtype=int8"], 2, "microgpt: --dtype must be one of float64, float32, bfloat16\n"),
        (["--prompt=Ω"], 2, "microgpt: --prompt has characters that the text has not: Ω\n"),
        (
            ["--prompt=beginnings-without-end"],
            2,
            "microgpt: --prompt must be shorter than 16 characters, the block_size\n",
        ),
        (["--n_embd=1000000"], MemoryError, ""),
        (["--n_layer=1000000000"], MemoryError, ""),
        (["--learning_rate=1e6"], OverflowError, ""),
        (["--checkpoint=nowhere/kept.pt"], OSError, ""),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, ends, says, call, capsys):
    ended = call("--num_steps=20", *arguments)
    assert ended == ends or isinstance(ended, ends)
    assert capsys.readouterr().err == says


def test_a_tenth_of_the_text_is_held_out_and_samples_begin_as_told():
    output = lines(PLACES, *SMALL, "--num_steps=20", "--eval_every=10", "--prompt=be", "--dtype=bfloat16")
    losses = [float(line.split()[-1]) for line in output if line.startswith("held out after step")]
    assert len(losses) == 2
    assert losses[1] < losses[0] < 4
    assert all(line.split(": ")[1].startswith("be") for line in output[-2:])


def start(*arguments):
    """Start two processes with torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", PROGRAM, PLACES]
    return subprocess.Popen(
        [*command, *SMALL, "--device=cpu", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
    )  # fmt: skip


@pytest.mark.slow
def test_two_processes_are_as_good_as_one():
    flags = ["--num_steps=20", "--batch_size=6"]
    process = start(*flags)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert output.splitlines() == lines(PLACES, *SMALL, *flags)


@pytest.mark.slow
def test_where_a_process_is_killed_the_run_ends_and_says_so():
    process = start("--num_steps=1000000", "--batch_size=2")
    for line in process.stdout:
        if line.startswith("step   10 "):
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = children.read_text(encoding="ascii").split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "exitcode  : -9" in errors or "microgpt: another process is gone" in errors


def test_a_process_for_which_no_gpu_is_left_says_so(call, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert call("--num_steps=1") == 2
    message = "microgpt: no GPU is left for process 2: start 1 at the most, or say --device cpu\n"
    assert capsys.readouterr().err == message
    assert call("--num_steps=1", "--device=cpu", *SMALL) == 0
