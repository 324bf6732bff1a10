"""What is not Python: gradients of the programs in C and JavaScript, batches, workers that share them, and 32 bits."""

import functools
import random
import re
import subprocess

import pytest
from programs import BUILD, MICROGPT, ROOT, command, lacking, load, run

NAMES = "emma\nzoe\nmax\naurelio\nbartholomewtheelder\n"  # the last one is longer than the context
HARNESS = """
#define main the_program
#include "{path}"
#undef main

int main(int count, char **words) {{ /* the program, and the gradients that its last step left */
    the_program(count, words);
    for (long i = 0; i < parameter_count; i++)
        printf("gradient %.17g\\n", (double)numbers[grad + i]);
}}
"""


@pytest.fixture
def names(tmp_path):
    """Return the path of a text of five names."""
    path = tmp_path / "names.txt"
    path.write_text(NAMES, encoding="utf-8")
    return path


def expected_gradients(batch, context):
    """Return the mean gradients of the first documents, by microgpt.py."""
    gpt = load("microgpt.py")
    random.seed(42)
    documents = NAMES.split()
    random.shuffle(documents)
    characters = sorted({*"".join(documents)})
    model = gpt.new_model(len(characters) + 1, 16, 2, context)
    parameters = gpt.parameters_of(model)
    for document in documents[:batch]:
        gpt.backward(gpt.loss_of(model, gpt.encode(document, characters)[: context + 1], 4))  # added up
    return [p.grad / batch for p in parameters]


def output_of(words):
    """Return what a command prints, which must succeed."""
    done = subprocess.run([*map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Return a function that returns the command of a program in C, compiled once, or skips the test."""

    @functools.cache
    def command_of(target, *more):
        if missing := lacking(target):
            pytest.skip(f"{target} needs {missing}")
        return command(target, tmp_path_factory.mktemp("compiled"), *more)

    return command_of


@pytest.mark.parametrize(
    ("target", "batch", "context", "width", "more"),
    [
        ("efficiency/exact.c", 1, 16, 0, []),
        ("efficiency/native.c", 1, 16, 16, []),
        ("efficiency/native.c", 1, 3, 32, []),  # a context shorter than a vector
        ("efficiency/batched.c", 4, 16, 64, ["--batch_size=4"]),
        ("efficiency/batched.c", 4, 3, 16, ["--batch_size=4", "--workers=3"]),
    ],
)
def test_every_gradient_in_c_is_that_of_the_tape(target, batch, context, width, more, names, tmp_path):
    if missing := lacking(target):
        pytest.skip(f"{target} needs {missing}")
    source, program = tmp_path / "harness.c", tmp_path / "harness"
    source.write_text(HARNESS.format(path=BUILD / target), encoding="utf-8")
    subprocess.run(["cc", "-O2", "-w", f"-DBYTES={width}", "-o", program, source, "-lm"], check=True)
    output = output_of([program, names, "--n_layer=2", f"--block_size={context}", "--num_steps=1", *more])
    found = [float(number) for number in re.findall(r"^gradient (\S+)$", output, re.M)]
    assert found == pytest.approx(expected_gradients(batch, context), rel=1e-9, abs=1e-14)


def test_a_batch_of_one_is_the_training_of_microgpt(compiled):
    words = [*compiled("efficiency/batched.c"), "--batch_size=1", "--num_steps=15", "--samples=5"]
    assert output_of(words) == run("--num_steps=15", "--samples=5", program=MICROGPT).stdout


def test_any_number_of_workers_takes_the_same_steps(compiled):
    words = [*compiled("efficiency/batched.c"), "--batch_size=10", "--num_steps=100", "--samples=5"]
    alone = output_of(words)
    for workers in (2, 3, 10):
        assert output_of([*words, f"--workers={workers}"]) == alone
    done = subprocess.run([*words, "--workers=11"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (2, "microgpt: --workers must not be greater than --batch_size\n")


def test_a_batch_in_c_is_a_batch_in_pytorch(compiled):
    pytest.importorskip("torch", reason="PyTorch is not installed: .venv/bin/pip install --group torch")
    words = [*compiled("efficiency/batched.c"), "--workers=2"]
    flags = ["--batch_size=8", "--num_steps=20", "--samples=2"]
    there = run(*flags, program=BUILD / "efficiency" / "torch_gpt.py")
    losses = re.findall(r"loss (\S+)", output_of([*words, *flags]))
    assert len(losses) == 20
    assert losses == re.findall(r"step .*? loss (\d\S+)", there.stdout)


@pytest.mark.parametrize("target", ["efficiency/native.c", "efficiency/batched.c"])
def test_numbers_of_32_bits_stay_near(target, compiled):
    exact, short = (output_of([*compiled(target, *more), "--num_steps=300"]) for more in ([], ["-DFLOAT"]))
    losses = [[float(loss) for loss in re.findall(r"loss (\S+)", output)] for output in (exact, short)]
    assert len(losses[0]) == 300
    assert losses[1] == pytest.approx(losses[0], abs=0.02)  # rounding, magnified by 300 steps


def test_numbers_that_grow_too_large_end_all_workers_with_one_line(compiled):
    words = [*compiled("efficiency/batched.c"), "--learning_rate=1e9", "--batch_size=4", "--workers=2"]
    done = subprocess.run([*map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "the numbers grew too large" in done.stderr
