"""Every program that the essay has is held to its contract, which stands in the fence of its root."""

import re
import subprocess
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

``` python {file=extra/wrong.py losses=microgpt.py tolerance=0.5}
if __name__ == "__main__":
    for step in range(15): print(f"step {step:4d} / 15 | loss 9.2")
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
    with (tmp_path / "microgpt.md").open("a", encoding="utf-8") as essay:
        essay.write(NEW)
    assert run(program="tangle.py", cwd=tmp_path).returncode == 0
    tests = ["tests/test_contracts.py", "-k", "keeps and extra", "-q", "-rfs", "-p", "no:cacheprovider"]
    done = run("-m", "pytest", *tests, program="-B", cwd=tmp_path)
    assert "1 failed, 1 passed, 1 skipped" in done.stdout, done.stdout
    assert "extra/impossible.py needs no_such_module" in done.stdout
    assert "FAILED tests/test_contracts.py::test_a_program_keeps_its_contract[extra/wrong.py]" in done.stdout
    compared = [target for target in CONTRACTS if target == MAIN or {"prints", "losses"} & CONTRACTS[target].keys()]
    listed = run("--list", program="tests/tools/benchmark.py", cwd=tmp_path).stdout.split()
    assert listed == [*(target for target in compared if not lacking(target)), "extra/again.py", "extra/wrong.py"]


@pytest.mark.parametrize("target", [target for target in PROGRAMS if target.endswith(".c")])
def test_c_runs_clean_under_the_sanitizers(target, tmp_path):
    if missing := lacking(target):
        pytest.skip(f"needs {missing}, which is not here")
    words = command(target, tmp_path, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    for sizes in (["--num_steps=20"], ["--num_steps=2", "--n_embd=12", "--n_head=3", "--n_layer=2", "--block_size=5"]):
        done = subprocess.run([*words, *sizes], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
