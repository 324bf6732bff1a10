"""Demonstrations in a real kernel: what they find there, what they may do, and how they end."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from textwrap import dedent

import pytest
from essays import SMALL, demonstration, project, weave, with_prose
from weaver.essay import WeaveError
from weaver.prelude import tell
from weaver.results import DemonstrationError
from weaver.weave import Weave, complaints

from tangle import TangleError

pytest.importorskip("pweave", reason="Pweave is not installed")

MORE = '``` python {file=deep/more.py}\nfrom small import double\nclass Box:\n    k = 3\nprint("imported")\n```\n\n'


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return project(tmp_path_factory.mktemp("kernel"))


def run(root, text, said=()):
    """Run the demonstrations of an essay and return {name: Result}."""
    (root / "microgpt.md").write_text(text, encoding="utf-8")
    woven = Weave(root)
    woven.run(said.append if isinstance(said, list) else lambda _: None)
    return {item.name: result for item, result in woven.outcome.pairs()}


def test_what_a_demonstration_gives_its_widget(root):
    found = run(root, with_prose(demonstration("a", 'give({"b": [0.1, "ü"]})\nprint("c")')))
    assert (found["a"].text, json.loads(found["a"].given)) == ("c\n", {"b": [0.1, "ü"]})
    assert run(root, with_prose(demonstration("a", 'give({"b": [0.1, "ü"]})\nprint("c")'))) == found  # as it was kept
    message = failure(root, with_prose(demonstration("a", "give([1e999])")))
    assert message.startswith("microgpt.md:13: ")


def failure(root, text):
    """Return what is said about a demonstration that fails."""
    with pytest.raises((TangleError, DemonstrationError)) as caught:
        run(root, text)
    return complaints(caught.value)


def test_demonstrations_find_the_program_and_matplotlib(root):
    code = """\
        y = double(4)
        print(y, small.double is double, isinstance(BLUE, str), "deep.more" in sys.modules, other(1))
        import deep.more as more
        print(more.Box.k, more.double is double)
        plt.plot([1, 2], label="a < b & c")
        plt.legend()
        plt.show()
        plt.plot([2, 1])
        plt.show()
        plt.plot([3])
        print("last")"""
    program = "import sys\ndef double(x): return 2 * x\ndef other(x): return x"
    text = f"# One\n\n``` python {{file=small.py}}\n{program}\n```\n\n{MORE}{demonstration('a', dedent(code))}"
    text += "\nTwice is 8<!-- = y -->,\nand 5<!-- = print(3) or 5 -->.\n"
    results = run(root, text)
    assert results["a"].text == "8 True True False 1\nimported\n3 True\nlast\n"
    assert len(results["a"].figures) == 3
    assert [results[name].value for name in results if "number" in name] == [8, 5]
    assert not re.search("<dc:date|Matplotlib v|/tmp/|20[2-9][0-9]-", "".join(results["a"].figures))
    shutil.rmtree(root / "build" / "cache")
    assert run(root, text) == results  # to the last digit of the figures


TRIED = """\
import multiprocessing, os, shutil, sqlite3, subprocess, threading, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

def tried(name, act):
    try:
        act()
        print(name, "done")
    except Exception as error:
        print(name, type(error).__name__)

def in_a_thread():
    failed = []
    def act():
        try:
            open("docs/other.txt")
        except PermissionError as error:
            failed.append(error)
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()
    raise failed[0]

tried("data", lambda: open("docs/mine.txt").read())
tried("data-in-a-thread", lambda: list(ThreadPoolExecutor().map(Path.read_text, [Path("docs/mine.txt")])))
tried("stdlib", lambda: __import__("colorsys"))
tried("os.open", lambda: os.open("docs/mine.txt", os.O_RDONLY))
for name, act in {
    "read": lambda: open("docs/other.txt"), "essay": lambda: Path("microgpt.md").read_text(),
    "list": lambda: os.listdir(), "scan": lambda: os.scandir("docs"), "thread": in_a_thread,
    "pool": lambda: list(ThreadPoolExecutor().map(Path.read_text, [Path("docs/other.txt")])),
    "code": lambda: exec("open('docs/other.txt')"),
    "write": lambda: open("docs/mine.txt", "w"), "new": lambda: Path("new.txt").write_text("x"),
    "add": lambda: open("docs/mine.txt", "a"), "os.write": lambda: os.open("docs/mine.txt", os.O_WRONLY),
    "remove": lambda: os.remove("docs/other.txt"), "rename": lambda: os.rename("docs/mine.txt", "x"),
    "folder": lambda: os.mkdir("x"), "link": lambda: os.symlink("/", "x"),
    "copy": lambda: shutil.copy("docs/mine.txt", "x"),
    "cut": lambda: os.truncate("docs/mine.txt", 0), "tree": lambda: shutil.rmtree("docs"),
    "program": lambda: subprocess.run(["true"]), "shell": lambda: os.system("true"), "fork": lambda: os.fork(),
    "multi": lambda: multiprocessing.get_context("spawn").Process(target=os.remove, args=("docs/other.txt",)).start(),
    "sqlite": lambda: sqlite3.connect("notes.db"), "fifo": lambda: os.mkfifo("fifo"), "node": lambda: os.mknod("node"),
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}), "exec": lambda: os.execv("/bin/true", ["true"]),
}.items():
    tried(name, act)
tried("input", input)
warnings.warn("careful")
"""


def test_demonstrations_read_what_they_name_and_change_nothing(root):
    for name in ("mine", "other"):
        (root / "docs" / f"{name}.txt").write_text(name)
    before = sorted(path for path in root.rglob("*") if "build" not in path.parts)
    text = run(root, with_prose(demonstration("a", TRIED, ', data="docs/mine.txt"')))["a"].text
    *lines, asked, warned = text.splitlines()
    assert lines[:4] == ["data done", "data-in-a-thread done", "stdlib done", "os.open done"]
    refused = dict(line.split() for line in lines[4:])
    assert len(refused) == 27
    assert {*refused.values()} == {"PermissionError"}
    assert asked == "input StdinNotImplementedError"
    assert warned == "UserWarning: careful"  # without a path or a line, which would differ elsewhere
    assert sorted(path for path in root.rglob("*") if "build" not in path.parts) == before
    assert (root / "docs" / "mine.txt").read_text() == "mine"


@pytest.mark.slow
def test_nothing_is_left_from_one_session_to_the_next(root):
    spoil = """\
        import os, sys, random, numpy
        os.environ["SPOILT"] = "1"
        os.chdir("/")
        random.seed(7)
        numpy.random.seed(7)
        matplotlib.rcParams["lines.linewidth"] = 9
        small.double.k = 1
        sys.modules["spoilt"] = small
        tape = [1]
        double = None
        kept, alias = (list,) * 2
        kept = alias = [tape]"""
    look = """\
        import os, sys, random, numpy
        print(os.environ.get("SPOILT"), os.path.basename(os.getcwd()), random.random(), numpy.random.rand(),
              matplotlib.rcParams["lines.linewidth"], hasattr(small.double, "k"), "spoilt" in sys.modules,
              "tape" in globals(), double(2))"""
    text = with_prose(demonstration("first", dedent(look)))
    text += f"\n# Second\n\n{demonstration('second', dedent(spoil), ', keep=' + chr(34) + 'kept, alias' + chr(34))}"
    text += f"\n# Third\n\n{demonstration('third', dedent(look))}"
    text += demonstration("fourth", "alias.append(2)\nprint(kept, kept is alias)")
    results = run(root, text)
    assert results["first"] == results["third"]
    assert results["first"].text == f"None {root.name} 0.8444218515250481 0.5488135039273248 1.5 False False False 4\n"
    assert results["fourth"].text == "[[1], 2] True\n"


@pytest.mark.slow
def test_what_changes_runs_again_and_nothing_else(root):
    text = with_prose(demonstration("a", "x = double(1)", ', keep="x"') + demonstration("b", "print(x)"))
    said = []
    shutil.rmtree(root / "build", ignore_errors=True)
    assert run(root, text, said)["b"].text == "2\n"
    run(root, text.replace("# One", "# One, as you see\n\nMore prose."), said)
    assert said == ["running a", "running b"]
    assert run(root, text.replace("print(x)", "print(x, x)"), said)["b"].text == "2 2\n"
    assert said[2:] == ["running b"]


def test_an_error_is_told_with_the_lines_of_the_essay(root):
    said = failure(root, SMALL.replace("y = double(4)", "y = quadruple(None)"))
    assert said.startswith("microgpt.md:17: this failed\n")
    assert re.search(r"microgpt\.md:32\b.*(?s:.*)microgpt\.md:24\b.*(?s:.*)microgpt\.md:17\b", said)
    assert said.rstrip().endswith("TypeError: unsupported operand type(s) for *: 'int' and 'NoneType'")
    assert "prelude" not in said and "Cell In" not in said


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "5", [5], 1j, 10**400])
def test_what_is_no_number_is_not_told(value):
    with pytest.raises((ValueError, OverflowError)):
        tell(value)


def test_an_expression_that_is_no_number(root):
    said = failure(root, with_prose("A line.\n5<!-- = 'x' -->"))
    assert said.startswith("microgpt.md:13: this failed\n")
    assert "'x' cannot be written as a number" in said


def test_what_cannot_be_kept_is_told(root):
    said = failure(root, with_prose(demonstration("a", "class A: pass\nx = A()", ', keep="x"')))
    assert said.startswith("microgpt.md:13: this failed\n")
    assert "__main__.A cannot be kept: keep plain data, or objects of a program" in said


def test_outputs_are_text_and_threads_fail_as_well(root):
    code = "import threading\nprint('\\x1b[31mred\\x1b[0m \\x00 \\x02 \\u202e end')"
    text = with_prose(demonstration("a", f"{code}\nthread = threading.Thread(target=lambda: 1 / 0)\nprint('begun')"))
    assert run(root, text)["a"].text == "red \ufffd \ufffd \ufffd end\nbegun\n"
    said = failure(root, text.replace("print('begun')", "thread.start()\nthread.join()"))
    assert said.startswith("microgpt.md:15: this failed\n")
    assert said.rstrip().endswith("ZeroDivisionError: division by zero")


def test_an_output_without_end_ends(root):
    said = failure(root, with_prose(demonstration("a", "while True:\n    print('x' * 1000)")))
    assert "print no more than 100,000 characters" in said


def test_data_that_are_saved_while_they_are_read_are_read_again(root):
    data = root / "docs" / "mine.txt"
    data.write_text("before")
    code = "import pathlib, time\nprint('begun')\ntime.sleep(1)\nprint(pathlib.Path('docs/mine.txt').read_text())"
    text = with_prose(demonstration("a", code, ', data="docs/mine.txt"'))
    (root / "microgpt.md").write_text(text, encoding="utf-8")
    with pytest.raises(WeaveError) as caught:
        Weave(root).run(lambda _: data.write_text("meanwhile"))
    assert "docs/mine.txt was saved while the demonstrations ran" in caught.value.errors[0][1]
    assert run(root, text)["a"].text == "begun\nmeanwhile\n"


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_a_kernel_that_dies_is_told_in_a_line(root, end):
    start = time.monotonic()
    text = with_prose(demonstration("a", "1") + "\n" + demonstration("b", f"import os\n{end}"))
    said = failure(root, text)
    assert said == "microgpt.md:17: the process that ran it has died: was it killed, or out of memory?"
    assert time.monotonic() - start < 20


def test_a_program_that_reads_at_import_is_held_to_the_same(root):
    text = with_prose(demonstration("a", "print(k)"), "import pathlib\nk = pathlib.Path('docs/other.txt').read_text()")
    (root / "docs" / "other.txt").write_text("x")
    said = failure(root, text)
    assert "a demonstration reads other.txt: name it in its fence" in said


@pytest.mark.slow
def test_a_cache_that_is_removed_while_a_demonstration_runs(root):
    code = "import time\nprint('begun')\ntime.sleep(1)\nx = 3"
    text = with_prose(demonstration("a", code, ', keep="x"') + demonstration("b", "print(x)"))
    cache = root / "build" / "cache"

    def remove(_):
        shutil.rmtree(cache, ignore_errors=True)

    (root / "microgpt.md").write_text(text, encoding="utf-8")
    woven = Weave(root)
    woven.run(remove)
    assert woven.outcome.demonstrations()["b"].text == "3\n"


def test_what_the_user_has_set_up_changes_nothing(tmp_path):
    home = tmp_path / "home"
    startup = home / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "a.py").write_text("stranger = 1")
    (home / "matplotlibrc").write_text("lines.linewidth: 9\nfigure.dpi: 30\n")
    code = "print('stranger' in globals(), matplotlib.rcParams['lines.linewidth'])"
    root = project(tmp_path / "project", with_prose(demonstration("a", code)))
    done = weave(root, "--pages", HOME=str(home), MATPLOTLIBRC=str(home), PYTHONPATH="/nowhere", PYTHONHASHSEED="7")
    assert (done.returncode, done.stderr) == (0, "running a\n")
    assert "False 1.5" in (root / "build" / "pages" / "index.md").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent differently there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_weave_ends_its_kernel(tmp_path, number):
    root = project(tmp_path, with_prose(demonstration("a", f"import time\ntime.sleep(99)  # {tmp_path}")))
    process = subprocess.Popen([sys.executable, "docs/weave.py"], cwd=root, stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline() == "running a\n"
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert process.stderr.read() == ""
    process.stderr.close()
