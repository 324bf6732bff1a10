"""Every program that the essay has is held to its contract, which is in the fence of its root."""

import json
import re
import subprocess
import sys

import pytest
from programs import BUILD, CONTRACTS, PYTHON, ROOT, command, copy_of_the_project, lacking, load, run

GOLDEN = (ROOT / "tests" / "golden.txt").read_text(encoding="utf-8")
SHORT = ("--num_steps", "15", "--samples", "5")
LONG = ("docs/proverbs.txt", "--block_size=5", "--n_embd=8", "--n_layer=2", "--num_steps=15")  # of up to 40 letters
MAIN, *_ = CONTRACTS
SAME_FLAGS = [target for target in CONTRACTS if "prints" in CONTRACTS[target] or target.startswith("efficiency/")]
NO_PYTHON = [target for target in SAME_FLAGS if target not in PYTHON]
NEW = """
# One more chapter

``` python {file=extra/again.py prints=microgpt.py}
<<before-the-engine>>

<<values>>

<<after-the-engine>>
```
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Return a function that runs a program for a few steps, once, and returns what it printed."""
    commands, outputs = {}, {}

    def output_of(target, words=SHORT):
        if target not in commands:
            commands[target] = command(target, tmp_path_factory.mktemp("compiled"))
        if (target, words) not in outputs:
            done = subprocess.run([*commands[target], *words], cwd=ROOT, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            outputs[target, words] = done.stdout
        return outputs[target, words]

    output_of.commands = commands
    return output_of


def losses(output):
    """Return the losses in the lines that a program printed."""
    return [float(loss) for loss in re.findall(r"^step .* loss (\S+)$", output, re.M)]


def test_the_first_program_prints_the_same_as_ever(printed):
    assert printed(MAIN) == GOLDEN


@pytest.mark.parametrize("target", CONTRACTS)
def test_a_program_keeps_its_contract(target, printed, capsys):
    contract = CONTRACTS[target]
    known = {"prints", "losses", "tolerance", "needs", "cflags", "measure"}
    assert contract.keys() <= known, f"{target} promises what nobody checks"
    if missing := lacking(target):
        pytest.skip(f"{target} needs {missing}")
    if target in PYTHON:
        load(target)
        assert capsys.readouterr() == ("", "")  # importing it runs nothing
    for words in (SHORT, LONG):
        if "prints" in contract:
            assert printed(target, words) == printed(contract["prints"], words)
        if "losses" in contract:
            assert losses(printed(target, words)) == pytest.approx(
                losses(printed(contract["losses"], words)), abs=float(contract["tolerance"])
            )


TABLE_IN_C = """
#define main the_program
#include "{path}"
#undef main
int main(void) {{
    for (int i = 0; i < FLAGS; i++)
        printf("%s[\\"%s\\", %.17g]", i ? ", " : "[", flags[i].name, flags[i].value);
    puts("]");
}}
"""
TABLE_IN_NODE = """
require(process.argv[1]);
console.log(JSON.stringify(microgpt.FLAGS, (name, given) => typeof given === "bigint" ? Number(given) : given));
"""


def flags_of(target, folder):
    """Return {name: default} of a program's flags, as its own table has them."""
    path = BUILD / target
    if target in PYTHON:
        return {name: default for name, default, _ in load(target).FLAGS}
    words = ["node", "-e", TABLE_IN_NODE, path]
    if path.suffix == ".c":
        (folder / "table.c").write_text(TABLE_IN_C.format(path=path), encoding="utf-8")
        words = [folder / "table"]
        subprocess.run(["cc", "-w", "-o", *words, folder / "table.c", "-lm"], check=True)
    return {name: default for name, default, *_ in json.loads(subprocess.check_output(words))}


@pytest.mark.parametrize("target", SAME_FLAGS)
def test_a_program_takes_the_flags_of_the_first(target, tmp_path):
    if missing := lacking(target):
        pytest.skip(f"{target} needs {missing}")
    defaults = flags_of(target, tmp_path)
    for name, default, _ in load(MAIN).FLAGS:
        assert name in defaults, f"{target} has no --{name}, but {MAIN} has"
        assert defaults[name] == default, f"--{name} is {defaults[name]} in {target}, but {default} in {MAIN}"


NAMES = [name for name, *_ in load(MAIN).FLAGS]
BAD_COMMANDS = [  # and what the refusal says
    *([[f"--{name}", "many"], f"argument --{name}: invalid"] for name in NAMES),
    *([[f"--{name}=0"], f"--{name} must"] for name in NAMES if name != "seed"),
    (["--n_embd", "10", "--n_head", "4"], "--n_embd must be a multiple of --n_head"),
    (["--n_embd=-1"], "--n_embd must"), (["--n_embd", "1.5"], "argument --n_embd: invalid"),
    (["--n_layer", f"{10**20}"], "--n_layer must"), (["--temperature", "1e-320"], "--temperature must"),
    (["--learning_rate", "1e300"], "--learning_rate must"), (["--width", "3"], "--width"),
    (["--toString", "5"], "--toString"), (["docs/names.txt", "other.txt"], "other.txt"), (["a", "n_embd"], "n_embd"),
]  # fmt: skip
FOR_PYTHON = [(["--temperature", "nan"], "--temperature must"), (["--learning_rate", "inf"], "--learning_rate must")]


@pytest.mark.parametrize("target", [MAIN, *NO_PYTHON])
def test_a_command_that_makes_no_sense_is_refused_with_one_line(target, tmp_path, monkeypatch, capsys):
    if missing := lacking(target):
        pytest.skip(f"{target} needs {missing}")
    words, first = command(target, tmp_path), load(MAIN)
    for arguments, says in BAD_COMMANDS + (FOR_PYTHON if target == MAIN else []):
        monkeypatch.setattr(sys, "argv", ["microgpt", *arguments])
        with pytest.raises(SystemExit) as stop:
            first.command_line()
        expected = (stop.value.code, *capsys.readouterr())
        assert expected[:2] == (2, "") and re.fullmatch(f"microgpt: .*{re.escape(says)}.*\n", expected[2]), expected
        if target != MAIN:
            done = subprocess.run([*words, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout, done.stderr) == expected, arguments


TEXTS = {
    "two marks": "\ufeff\ufeffab\ncd\n",
    "a mark inside": "a\ufeffb\ncd\n",
    "a NUL": "emma\nol\0ivia\n",
    "UTF-16 without a mark": "e\0m\0m\0a\0\n\0",
    "blanks": " \x1c\x85emma\u3000\u2028\r\n\u200b\n\v\n" + "a" + " " * 1_000_000 + "b",  # squared, that is too many
}


@pytest.mark.parametrize("target", NO_PYTHON)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_program_reads_a_text_as_the_first_does(text, target, printed, tmp_path):
    if missing := lacking(target):
        pytest.skip(f"{target} needs {missing}")
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    printed(target)
    tiny = [path, "--num_steps=1", "--samples=1", "--n_embd=4"]
    first, words = run(*tiny), [*printed.commands[target], *tiny]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (first.returncode, first.stderr) == (2 if "\0" in text else 0, done.stderr)
    assert done.returncode == first.returncode
    assert done.stdout.splitlines()[:3] == first.stdout.splitlines()[:3]


def test_a_new_chapter_and_a_new_program_need_no_edit_anywhere_else(tmp_path):
    """The essay alone says that the program is there, and what it promises: that is tested, and measured."""
    copy_of_the_project(tmp_path)
    with (tmp_path / "microgpt.md").open("a", encoding="utf-8") as essay:
        essay.write(NEW)
    assert run(program="tangle.py", cwd=tmp_path).returncode == 0
    tests = ["tests/program/test_contracts.py", "-k", "keeps and extra", "-q", "-p", "no:cacheprovider"]
    done = run("-m", "pytest", *tests, program="-B", cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout
    listed = run("--list", program="docs/laboratory/benchmark.py", cwd=tmp_path).stdout.split()
    assert listed[0] == MAIN and listed[-1] == "extra/again.py"
