"""Every program that the essay has is held to its contract, which stands in the fence of its root."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from programs import CONTRACTS, PROGRAMS, PYTHON, ROOT, command, copy_of_the_project, lacking, load, run

GOLDEN = (Path(__file__).parent / "golden.txt").read_text(encoding="utf-8")
SHORT = ("--num_steps", "15", "--samples", "5")
MAIN, *_ = CONTRACTS
NEW = """
# One more chapter

Nothing but another engine.

``` python {file=extra/again.py prints=microgpt.py}
<<before-the-engine>>

<<values>>

<<one-more>>

<<after-the-engine>>
```

``` python {#one-more}
MORE = 1
```

``` python {file=extra/impossible.py needs=no_such_module}
import no_such_module
```

``` c {file=extra/fast.c losses=microgpt.py tolerance=0.5 needs=cc}
#include <stdio.h>
int main(void) { for (int i = 1; i < 16; i++) printf("step %4d / 15 | loss 3.2\\n", i); }
```
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Return a function that runs a program for a few steps, once, and returns what it printed."""
    outputs = {}

    def output_of(target):
        if target not in outputs:
            words = command(target, tmp_path_factory.mktemp("compiled"))
            done = subprocess.run([*words, *SHORT], cwd=ROOT, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            outputs[target] = done.stdout
        return outputs[target]

    return output_of


def losses(output):
    """Return the losses in the lines that a program printed."""
    return [float(loss) for loss in re.findall(r"^step .* loss (\S+)$", output, re.M)]


@pytest.mark.parametrize("target", CONTRACTS)
def test_a_program_keeps_its_contract(target, printed):
    contract = CONTRACTS[target]
    known = {"prints", "losses", "tolerance", "needs", "cflags", "measure"}
    assert contract.keys() <= known, f"{target} promises what nobody checks"
    assert contract.get("measure", "loss") == "loss"  # nothing else is measured
    if missing := lacking(target):
        pytest.skip(f"{target} needs {missing}")
    if target in PYTHON:
        quiet = run("-c", f"import runpy; runpy.run_path({target!r})", program="-B", cwd=ROOT / "build")
        assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")  # importing it runs nothing
    if "prints" in contract:
        assert printed(target) == printed(contract["prints"])
    if "losses" in contract:
        assert losses(printed(target)) == pytest.approx(
            losses(printed(contract["losses"])), abs=float(contract["tolerance"])
        )


def test_the_first_program_prints_the_same_as_ever(printed):
    assert printed(MAIN) == GOLDEN


@pytest.mark.parametrize("target", PYTHON)
def test_failures_of_a_program_show_the_essay(target):
    if missing := lacking(target):
        pytest.skip(f"{target} needs {missing}")
    functions = [value for value in vars(load(target)).values() if hasattr(value, "__code__")]
    assert {function.__code__.co_filename for function in functions} <= {str(ROOT / "microgpt.md")}


def test_a_new_chapter_and_new_programs_need_no_edit_anywhere_else(tmp_path):
    copy_of_the_project(tmp_path)
    essay = tmp_path / "microgpt.md"
    essay.write_text(essay.read_text(encoding="utf-8") + NEW, encoding="utf-8")
    assert run(program="tangle.py", cwd=tmp_path).returncode == 0
    tests = ["tests/test_contracts.py", "-k", "extra or ever", "-q", "-rs", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *tests], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "extra/impossible.py needs no_such_module" in done.stdout
    benchmark = run("--list", program="tests/tools/benchmark.py", cwd=tmp_path)
    assert benchmark.stdout.split() == [
        *(t for t in CONTRACTS if t == MAIN or {"prints", "losses"} & CONTRACTS[t].keys()),
        "extra/again.py",
        "extra/fast.c",
    ]
    wrong = essay.read_text(encoding="utf-8").replace("loss 3.2", "loss 9.2")
    essay.write_text(wrong, encoding="utf-8")
    assert run(program="tangle.py", cwd=tmp_path).returncode == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *tests], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "1 failed" in done.stdout


@pytest.mark.parametrize("target", [target for target in PROGRAMS if target.endswith(".c")])
def test_c_runs_clean_under_the_sanitizers(target, tmp_path):
    if missing := lacking(target):
        pytest.skip(f"needs {missing}, which is not here")
    words = command(target, tmp_path, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    for sizes in (["--num_steps=20"], ["--num_steps=2", "--n_embd=12", "--n_head=3", "--n_layer=2", "--block_size=5"]):
        done = subprocess.run([*words, *sizes], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
