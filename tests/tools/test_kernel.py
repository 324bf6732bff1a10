"""Demonstrations in a real kernel: what they find there, what they may do, and how they end."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from textwrap import dedent

import pytest
from essays import SMALL, demonstration, project, run_weave, with_prose
from weaver.pipeline import Weave, complaints
from weaver.prelude import give, tell
from weaver.results import DemonstrationError

from tangle import TangleError

pytest.importorskip("pweave", reason="Pweave is not installed")

MORE = '``` python {file=deep/more.py}\nfrom small import double\nclass Box:\n    k = 3\nprint("imported")\n```\n\n'


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project, in a folder that PYTHONPATH could not hold."""
    return project(tmp_path_factory.mktemp("kernel") / ("a: b" if os.name != "nt" else "a b"))


def run(root, text):
    """Run the demonstrations of an essay and return {name: Result}."""
    (root / "microgpt.md").write_text(text, encoding="utf-8")
    woven = Weave(root)
    woven.run(lambda _: None)
    return {item.name: result for item, result in woven.outcome.pairs()}


def failure(root, text):
    """Return what is said about a demonstration that fails."""
    with pytest.raises((TangleError, DemonstrationError)) as caught:
        run(root, text)
    return complaints(caught.value)


# One session, for all that does not fail

PROGRAM = """\
import sys
def double(x): return 2 * x
def other(x): return x
try:
    k = open("docs/other.txt").read()
except PermissionError as error:
    k = type(error).__name__
"""
FOUND = """\
y = double(4)
print(y, small.double is double, isinstance(BLUE, str), "deep.more" in sys.modules, other(1))
import deep.more as more
print(more.Box.k, more.double is double)
plt.plot([1, 2], label="a < b & c")
plt.legend()
plt.show()
plt.plot([2, 1])
plt.show()
figures.tasks("ab")
plt.plot([3])
print("last")"""
TRIED = """\
import os, shutil, threading, warnings
from pathlib import Path

for name, act in {
    "data": lambda: open("docs/mine.txt").read(), "os-open": lambda: os.open("docs/mine.txt", os.O_RDONLY),
    "stdlib": lambda: __import__("colorsys"),
    "read": lambda: open("docs/other.txt"), "essay": lambda: Path("microgpt.md").read_text(),
    "list": lambda: os.listdir(), "scan": lambda: os.scandir("docs"),
    "write": lambda: open("docs/mine.txt", "w"), "cut": lambda: os.open("docs/mine.txt", os.O_TRUNC),
    "new": lambda: os.open("new.txt", os.O_CREAT), "copy": lambda: shutil.copy("docs/mine.txt", "x"),
    "remove": lambda: os.remove("docs/other.txt"), "rename": lambda: os.rename("docs/mine.txt", "x"),
    "folder": lambda: os.mkdir("x"), "link": lambda: os.symlink("/", "x"), "tree": lambda: shutil.rmtree("docs"),
    "import": lambda: print(k), "input": input,
}.items():
    try:
        print(name, "done" if act() else "no")
    except Exception as error:
        print(name, type(error).__name__)
thread = threading.Thread(target=lambda: Path("docs/other.txt").write_text("by a thread"))
thread.start()
thread.join()
warnings.warn("careful")
"""


@pytest.fixture(scope="module")
def results(root):
    """What the demonstrations of a session printed and drew, {name: Result}: once, and then without the cache again."""
    for name in ("mine", "other"):
        (root / "docs" / f"{name}.txt").write_text(name)
    text = f"# One\n\n``` python {{file=small.py}}\n{PROGRAM}```\n\n{MORE}{demonstration('found', FOUND)}"
    text += demonstration("widget", 'give({"b": [0.1, "ü"]})\nprint("c")')
    text += demonstration("tried", TRIED, ', data="docs/mine.txt"')
    text += demonstration("odd", "print('\\x1b[31mred\\x1b[0m \\x00 \\x02 \\u202e end')")
    text += "\nTwice is 8<!-- = y -->,\nand 5<!-- = print(3) or 5 -->.\n"
    before = sorted(path for path in root.rglob("*") if "build" not in path.parts)
    results = run(root, text)
    assert sorted(path for path in root.rglob("*") if "build" not in path.parts) == before
    assert run(root, text) == results  # as it was kept
    shutil.rmtree(root / "build" / "cache")
    assert run(root, text) == results  # to the last digit of the figures
    return results


def test_demonstrations_find_the_program_and_matplotlib(results):
    assert results["found"].text == "8 True True False 1\nimported\n3 True\nlast\n"
    assert len(results["found"].figures) == 4
    assert [results[name].value for name in results if "number" in name] == [8, 5]
    assert not re.search("<dc:date|Matplotlib v|/tmp/|20[2-9][0-9]-", "".join(results["found"].figures))


def test_what_a_demonstration_gives_its_widget(results):
    assert (results["widget"].text, json.loads(results["widget"].given)) == ("c\n", {"b": [0.1, "ü"]})
    with pytest.raises(ValueError, match="JSON"):
        give([1e999])


def test_demonstrations_read_what_they_name_and_change_nothing(root, results):
    lines = results["tried"].text.splitlines()
    assert lines[:3] == ["data done", "os-open done", "stdlib done"]
    assert {line.split()[1] for line in lines[3:16]} == {"PermissionError"}
    assert lines[16] == "PermissionError"  # a program that is imported is held to the same
    assert lines[18] == "input StdinNotImplementedError"
    assert lines[-1] == "UserWarning: careful"  # without a path or a line, which would differ elsewhere
    assert [(root / "docs" / f"{name}.txt").read_text() for name in ("mine", "other")] == ["mine", "other"]


def test_outputs_are_text(results):
    assert results["odd"].text == "red \ufffd \ufffd \ufffd end\n"


# Sessions of their own

KEEP = ', keep="kept, alias"'


@pytest.mark.slow
def test_nothing_but_what_is_kept_is_left_from_one_session_to_the_next(root):
    spoil = """\
        import os, random, numpy
        os.chdir("/")
        random.seed(7)
        numpy.random.seed(7)
        matplotlib.rcParams["lines.linewidth"] = 9
        small.double.k = 1
        double = None
        kept = alias = [[1]]"""
    look = """\
        import os, random, numpy
        print(os.path.basename(os.getcwd()), random.random(), numpy.random.rand(),
              matplotlib.rcParams["lines.linewidth"], hasattr(small.double, "k"), double(2))"""
    text = with_prose(demonstration("first", dedent(look)))
    text += f"\n# Second\n\n{demonstration('second', dedent(spoil), KEEP)}"
    text += f"\n# Third\n\n{demonstration('third', dedent(look))}"
    text += demonstration("fourth", "alias.append(2)\nprint(kept, kept is alias)")
    results = run(root, text)
    assert results["first"].text == f"{root.name} 0.8444218515250481 0.5488135039273248 1.5 False 4\n"
    assert results["first"] == results["third"]
    assert results["fourth"].text == "[[1], 2] True\n"


def test_what_is_kept_is_what_it_was_before_the_numbers_of_the_page(root):
    text = with_prose(demonstration("a", "kept = alias = [1]", KEEP) + "\n2<!-- = kept.append(2) or len(kept) -->\n")
    results = run(root, f"{text}\n# Second\n\n{demonstration('b', 'print(kept)')}")
    assert [result.text for result in results.values()] == ["", "2\n", "[1]\n"]


def test_an_error_is_told_with_the_lines_of_the_essay(root):
    message = failure(root, SMALL.replace("y = double(4)", "y = quadruple(None)"))
    assert message.startswith("microgpt.md:17: this failed\n")
    assert re.search(r"microgpt\.md:32\b.*(?s:.*)microgpt\.md:24\b.*(?s:.*)microgpt\.md:17\b", message)
    assert message.rstrip().endswith("TypeError: unsupported operand type(s) for *: 'int' and 'NoneType'")
    assert "prelude" not in message and "Cell In" not in message


def test_an_error_ends_the_kernel(root, tmp_path):
    file = tmp_path / "number"
    failure(root, with_prose(demonstration("a", f"import os\nopen({str(file)!r}, 'w').write(str(os.getpid()))\n1 / 0")))
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_what_cannot_be_kept_is_told(root):
    message = failure(root, with_prose(demonstration("a", "x = lambda: 1", ', keep="x"')))
    assert message.startswith("microgpt.md:13: this failed\n") and "Can't pickle <function <lambda>" in message
    message = failure(root, with_prose(demonstration("a", "x = 1", ', keep="y"')))
    assert message.startswith("microgpt.md:13: this failed\n") and "NameError: keep: there is no y" in message


def test_a_kernel_that_dies_is_told_in_a_line(root):
    text = with_prose(demonstration("a", "1") + "\n" + demonstration("b", "import os\nos.kill(os.getpid(), 9)"))
    assert failure(root, text) == "microgpt.md:17: the process that ran it has died: was it killed, or out of memory?"


def test_a_kernel_that_does_not_start_is_told_in_a_line(root, tmp_path, monkeypatch):
    (tmp_path / "ipykernel_launcher.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    message = failure(root, with_prose(demonstration("a", "print('not to be run')")))
    assert re.fullmatch(r"microgpt\.md:13: the process that was to run it did not start \(.*", message)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "5", [5], 1j, 10**400])
def test_what_is_no_number_is_not_told(value):
    with pytest.raises((ValueError, OverflowError)):
        tell(value)


def test_what_the_user_has_set_up_changes_nothing_and_packages_are_found_where_they_are(tmp_path):
    home = tmp_path / "home"
    startup = home / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "a.py").write_text("stranger = 1")
    (home / "package.py").write_text("k = 'found'")
    (home / "matplotlibrc").write_text("lines.linewidth: 9\nfigure.dpi: 30\n")
    code = "import package\nprint('stranger' in globals(), matplotlib.rcParams['lines.linewidth'], package.k)"
    root = project(tmp_path / "project", with_prose(demonstration("a", code)))
    done = run_weave(root, "--pages", HOME=str(home), MATPLOTLIBRC=str(home), PYTHONPATH=str(home), PYTHONHASHSEED="7")
    assert (done.returncode, done.stderr) == (0, "running a\n")
    assert "False 1.5 found" in (root / "build" / "pages" / "index.md").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent differently there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_weave_ends_its_kernel(tmp_path, number):
    """For somebody without a name and a home, as in some containers."""
    (tmp_path / "sitecustomize.py").write_text("import pwd\npwd.getpwuid = {}.__getitem__")
    nobody = {name: value for name, value in os.environ.items() if name != "HOME"} | {"PYTHONPATH": str(tmp_path)}
    root = project(tmp_path, with_prose(demonstration("a", f"import time\ntime.sleep(99)  # {tmp_path}")))
    process = subprocess.Popen([sys.executable, "docs/weave.py"], cwd=root, env=nobody,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stderr.readline() == "running a\n"
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert process.stderr.read() == ""
    process.stderr.close()
