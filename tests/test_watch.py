"""Which tests a change concerns, and the command that runs them."""

import shutil
import signal
import subprocess
import sys
import time

import pytest
from programs import ESSAY, ROOT
from watch import changed_names, concerned, select, texts

TESTS = '''
from programs import MICROGPT, ESSAY, load, run

gpt = load(MICROGPT)
ENGINES = {path.stem: load(path) for path in (MICROGPT,)}

def norm(x):
    return gpt.rmsnorm(x)

@pytest.fixture
def model():
    return gpt.new_model(1)

def test_norm(): assert norm([1])
def test_model(model): assert model
def test_run(): assert run("--help")
def test_other_program(): assert run("x", program=TANGLER)
def test_essay(): assert ESSAY.read_text()
def test_nothing(): assert 1 + 1 == 2
'''


def change(old, new):
    """Return the names that change with a text in the program."""
    before, after = texts(), texts()
    assert old in after["microgpt.py"]
    after["microgpt.py"] = after["microgpt.py"].replace(old, new, 1)
    return changed_names(before, after)


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("** -0.5", "** -0.25", ["norm", "run", "essay"]),
        ("random.gauss(", "2 * random.gauss(", ["model", "run", "essay"]),
        ("if __name__ ==", "if 1 and __name__ ==", ["run", "essay"]),
        ("# Tangled", "# tangled", ["essay"]),
    ],
)
def test_a_test_is_concerned_by_what_it_uses_itself_or_through_others(old, new, wanted):
    assert concerned("t.py", TESTS, change(old, new)) == [f"t.py::test_{name}" for name in wanted]


def test_what_a_change_of_the_norm_concerns():
    wanted = select({ESSAY}, change("** -0.5", "** -0.25"))
    assert "tests/test_engine.py::test_rmsnorm_brings_the_squares_to_one" in wanted
    assert "tests/test_model.py::test_every_gradient_agrees_with_finite_differences" in wanted
    assert "tests/test_program.py::test_prints_the_same_as_ever" in wanted
    assert "tests/test_engine.py::test_derivative_of_each_operation" not in wanted
    assert not any(test.startswith("tests/test_site") for test in wanted)


def test_a_change_of_prose_concerns_only_tests_that_read_the_essay():
    wanted = select({ESSAY}, changed_names(texts(), texts()))
    assert "tests/test_tangle.py::test_every_name_in_the_prose_exists" in wanted
    assert not any("test_engine" in test or "test_model" in test for test in wanted)


def test_a_change_of_a_python_file_concerns_its_tests():
    wanted = select({ROOT / "tests" / "test_model.py", ROOT / "docs" / "weave.py"}, set())
    assert wanted == ["tests/test_model.py", "tests/test_weave.py"]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent differently there")
def test_the_command_follows_a_save_and_ends_with_ctrl_c(tmp_path):
    for name in ("tangle.py", "microgpt.md", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    ignored = shutil.ignore_patterns("pages", "site", "cache", "__pycache__")
    for name in ("build", "docs", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    essay, log = tmp_path / "microgpt.md", tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "tests/watch.py"], cwd=tmp_path, stdout=output, stderr=output)

    def wait_for(text):
        for _ in range(600):
            if text in log.read_text():
                return
            time.sleep(0.1)
        raise AssertionError(log.read_text())

    try:
        wait_for("Ctrl-C ends it")
        text = essay.read_text(encoding="utf-8")
        essay.write_text(text.replace("    while tape:\n", "    while tape\n", 1), encoding="utf-8")
        wait_for("expected ':'")
        essay.write_text(text + "\nOne more paragraph.\n", encoding="utf-8")
        wait_for("are concerned")
        essay.write_text(text.replace("⟨", "⟨no such "), encoding="utf-8")
        wait_for("FAILED tests/test_tangle.py::test_every_name_in_the_prose_exists")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
