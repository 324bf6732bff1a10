"""The program as its user meets it: what it prints, on every Python there is, and what it says to bad input."""

import hashlib
import io
import os
import random
import re
import signal
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from programs import FENCES, MICROGPT, PROGRAMS, REFERENCE, ROOT, interpreters, load, run

import tangle

GOLDEN = (ROOT / "tests" / "golden.txt").read_text(encoding="utf-8")
SHORT = ("--num_steps", 15, "--samples", 5)
TINY = ("--num_steps", 3, "--samples", 2, "--n_embd", 4, "--n_head", 2)
MODULE = load("microgpt.py")


@pytest.mark.parametrize("version", interpreters() or [pytest.param("", marks=pytest.mark.skip("no other Python"))])
def test_prints_the_same_on_every_python(version):
    done = run(*SHORT, python=interpreters()[version])
    assert (done.stdout, done.stderr) == (GOLDEN, "")


# The published program on its own list of names: three lines, a thousand losses, a blank one, a heading, twenty names.
PUBLISHED = "afba81c45f1b2d6e4debeba6d37e27fa94484042b8d06a0abf7af224d2f6dd3f"
PUBLISHED_NAMES = "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"


def published_names():
    """Return the path of the list of names of the published program, or None; it may be given as MICROGPT_NAMES."""
    for path in (Path(os.environ.get("MICROGPT_NAMES", "/nowhere")), REFERENCE / "names.txt"):
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == PUBLISHED_NAMES:
            return path
    return None


@pytest.mark.slow
@pytest.mark.skipif(not published_names(), reason="the published list of names is not here: MICROGPT_NAMES may name it")
def test_reproduces_the_published_run():
    """All 1,025 lines of the published program, by their sum."""
    done = run(published_names())
    assert done.stdout.count("\n") == 1025
    assert hashlib.sha256(done.stdout.encode()).hexdigest() == PUBLISHED


# Size


def count_tokens(source):
    """Return the number of tokens of some Python without comments and layout, an f-string counting as one."""
    layout = {"COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER", "ENCODING"}
    depth = count = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        depth += (name in ("FSTRING_START", "TSTRING_START")) - (name in ("FSTRING_END", "TSTRING_END"))
        count += name not in layout and (depth == 0)
    return count


def test_the_program_is_small():
    chunks = tangle.named(FENCES, "definition")
    command_line = {line.origin for line in tangle.expand(chunks["command-line"], chunks)}
    program = PROGRAMS["microgpt.py"]
    algorithm = "\n".join(line.text for line in program if line.origin not in command_line) + "\n"
    assert len(program) <= 215
    assert count_tokens(tangle.render(program)) < 2150
    assert count_tokens(algorithm) < 1500


# On a terminal, in a pipe, interrupted


def test_one_progress_line_on_a_terminal():
    pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")
    leader, follower = pty.openpty()
    process = subprocess.Popen([sys.executable, MICROGPT, *map(str, SHORT)], cwd=ROOT, stdout=follower)
    os.close(follower)
    text = b""
    try:
        while data := os.read(leader, 65536):
            text += data
    except OSError:  # the way in which Linux says that the other side is closed
        pass
    assert process.wait() == 0
    lines = text.decode().replace("\r\n", "\n").split("\n")
    shown = lines[3].split("\r")[1:]
    assert len(shown) == 15
    assert re.fullmatch(r"step   15 /   15 \| loss \d\.\d{4} \| 0 s left ", shown[-1])
    assert all(re.fullmatch(r"step +\d+ /   15 \| loss \d\.\d{4} \| \d+ s left ", line) for line in shown)
    assert lines[4:6] == ["", "--- inference (new, hallucinated names) ---"]


def start_and_wait_for(line, *arguments):
    def hear_ctrl_c():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell in the background ignores it, and hands that on

    process = subprocess.Popen([sys.executable, MICROGPT, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c)  # fmt: skip
    for output in process.stdout:
        if output.startswith(line):
            return process
    raise AssertionError(f"{line!r} never came")


def test_ctrl_c_stops_training_and_goes_on_to_sample():
    process = start_and_wait_for("step    3", "--samples", 3)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert re.search(r"\n--- inference .*---\n(sample  \d: .*\n){3}$", output)
    assert "step 1000" not in output
    assert (process.returncode, errors) == (130, "")


def test_ctrl_c_while_sampling_ends_it():
    process = start_and_wait_for("sample  2", "--num_steps", 1, "--samples", 10000)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")


def test_a_closed_pipe_ends_it_quietly():
    process = start_and_wait_for("step    1", "--samples", 3)
    process.stdout.close()
    process.wait(timeout=60)  # it does not train to the end for nobody
    assert (process.returncode, process.stderr.read()) == (130, "")
    process.stderr.close()


# Texts


@pytest.mark.parametrize(
    ("content", "documents", "vocabulary"),
    [
        (b"a", 1, 2),
        (b"one document only", 1, 12),
        ("🙂🙃\n🙃🙂🙂\n".encode(), 2, 3),
        ("\ufeffanna\r\nbob\r\n".encode(), 2, 5),
        (b"  anna \n\n\t\nbob", 2, 5),
        (b"abcdefghijklmnopqrstuvwxyz" * 3, 1, 27),
    ],
    ids=["one character", "one document", "emoji", "mark and CRLF", "blanks", "longer than block_size"],
)
def test_any_text_will_do(tmp_path, content, documents, vocabulary):
    text = tmp_path / "text.txt"
    text.write_bytes(content)
    done = run(text, *TINY, env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})  # whatever the terminal takes
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"num docs: {documents}\nvocab size: {vocabulary}\n")
    assert len(re.findall(r"^sample ", done.stdout, re.M)) == 2


def assert_one_clear_line(done, message):
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(f"microgpt: .*{message}.*\n", done.stderr)


BAD_TEXTS = {"empty": b"", "blank lines": b"\n  \n\t\n", "Latin-1": "M\xfcller".encode("latin-1"),
             "UTF-16": "emma".encode("utf-16"), "binary": bytes(range(256))}  # fmt: skip


@pytest.mark.parametrize("content", BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_a_text_that_will_not_do(tmp_path, content):
    text = tmp_path / "text.txt"
    text.write_bytes(content)
    assert_one_clear_line(run(text, *TINY), "one document per line")


def test_a_missing_text_and_a_directory(tmp_path):
    assert_one_clear_line(run(tmp_path / "none.txt"), "No such file")
    assert_one_clear_line(run(tmp_path), "directory")
    assert_one_clear_line(run(cwd=tmp_path), "one document per line")  # and there is no docs/


def test_numbers_that_leave_the_range():
    done = run("--num_steps", 30, "--samples", 2, "--learning_rate", 10)
    assert done.returncode == 1
    assert done.stderr == "microgpt: the numbers grew too large: try a smaller --learning_rate\n"


def test_a_model_that_does_not_fit():
    done = run(*TINY, "--n_layer", 10**11)
    assert done.returncode == 1
    assert re.fullmatch("microgpt: .*memory.*\n", done.stderr)


def test_the_largest_and_smallest_flags_give_names_all_the_same():
    for flag in ("--temperature", "--learning_rate"):
        for number in ("1e-11", "1e11"):
            done = run("--num_steps", 1, "--samples", 1, flag, number)
            assert (done.returncode, done.stderr) == (0, ""), (flag, number)


def test_a_full_disk_and_a_closed_output():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    for redirection in (">/dev/full", ">&-"):
        words = f'"{sys.executable}" "{MICROGPT}" --num_steps 2 --samples 1 {redirection}'
        done = subprocess.run(["sh", "-c", words], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert re.fullmatch("microgpt: .*\n", done.stderr), done.stderr


def test_a_long_document_is_learned_as_far_as_the_context_reaches(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("abcdefg\n", encoding="utf-8")
    done = run(text, "--block_size", 3, "--num_steps", 1)
    random.seed(42)
    loss = MODULE.loss_of(MODULE.new_model(8, 16, 1, 3), [7, 0, 1, 2], 4).data  # of BOS and a, b, c: three targets
    assert f"| loss {loss:.4f}\n" in done.stdout
    assert max(len(name) for name in re.findall(r"^sample .*: (.*)$", done.stdout, re.M)) == 3


def test_the_seed_changes_the_names():
    assert run(*TINY, "--seed", 0).stdout != run(*TINY, "--seed", 1).stdout
