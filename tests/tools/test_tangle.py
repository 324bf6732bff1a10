"""The tangler: its source language, all of its errors, and its care for the files in build/."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import ROOT, TEXT, run, snapshot

import tangle as tangler
from tangle import TangleError, parse, render, tangle

A = "``` python {file=a.py}\n"
HELLO = A + "print('hello')\n```\n"
BYE = HELLO.replace("hello", "bye")
CONFLICT = "<<<<<<< HEAD\n{}=======\n{}>>>>>>> other\n"


def errors_of(text):
    """Return the errors of an essay as (line, message)."""
    with pytest.raises(TangleError) as caught:
        tangle(dedent(text))
    return caught.value.errors


def programs_of(text):
    """Return {target: text} of an essay's programs."""
    return {target: render(program) for target, program in tangle(dedent(text)).items()}


# The source language


def test_references_are_replaced_and_indented():
    assert programs_of("""\
        Prose with <<a-reference>> that does not count.

        ``` python {file=deep/er.py}
        def f():
            <<body>>
        <<end>>
        ```
        ``` python {#body}
        if x:

            <<inner>>
        ```
        ``` python
        <<inner>>=
        return 1
        ```
        ``` python {#body}
        return 2
        ```
        ``` python {#end}
        print(f())
        ```
        ``` c {file=fast.c}
        x = = 1;
        ```
        """) == {"deep/er.py": "def f():\n    if x:\n\n        return 1\n    return 2\nprint(f())\n",
                 "fast.c": "x = = 1;\n"}  # fmt: skip


def test_a_name_may_be_the_first_line_of_its_fence():
    essay = "``` python {file=a.py}\n<<x>>\n```\n``` python\n<<x>>=\nx = 1\n```\n``` python {#x}\ny = 2\n```\n"
    named = parse(essay)[0][1]
    assert (named.kind, named.name, named.code) == ("definition", "x", ["x = 1"])
    assert (named.start, named.line, named.end) == (4, 5, 7)
    assert [(line.text, line.origin) for line in tangle(essay)["a.py"]] == [("x = 1", 6), ("y = 2", 9)]
    assert parse("``` c\n<<x>>=\n```\n")[0][0].code == []


def test_names_of_chunks_can_be_read_where_markdown_is_shown():
    """GitHub shows nothing of what follows the backticks, but the first line of the code."""
    chunks = [fence for fence in parse(TEXT)[0] if fence.kind == "definition"]
    assert chunks and all(chunk.line == chunk.start + 1 for chunk in chunks)


def test_what_is_no_chunk_is_left_alone():
    text = """\
        ````markdown
        ``` python {#never}
        <<nonsense>>=
        ```
        ````
        ~~~
        ``` python {#never-either}
        ~~~
        ````` is how to write ```` in a sentence, and ``` too.
        ```text
        <<not-looked-at>>
        ```
        ```python name="loss", alt="a curve"
        show(<<x>>)
        ```
        <!-- a comment that ends --> and one
        <!-- with an illustration
        ```pycon
        >>> 1
        ```
        -->
        A heading
        =======
        ``` python {file=a.py}
        x = 1
        ```
        """
    assert programs_of(text) == {"a.py": "x = 1\n"}
    kinds = [(fence.kind, fence.name, fence.language) for fence in parse(dedent(text))[0]]
    assert kinds == [("verbatim", "", "markdown"), ("verbatim", "", ""), ("illustration", "", "text"),
                     ("demonstration", "loss", "python"), ("illustration", "", "pycon"),
                     ("root", "a.py", "python")]  # fmt: skip


@pytest.mark.parametrize(("opening", "closing"), [
    ("````markdown", "````"), ("````", "``````"), ("~~~", "~~~~~"), ("~~~~ text", "~~~~"), ("   ~~~", " ~~~  "),
    ("````", "   ````"), (" ```", " ```"), ("   ```text", "````"),
])  # fmt: skip
def test_nothing_counts_in_verbatim_fences(opening, closing):
    """Not headings, references, roots or definitions; and what comes after the fence does count."""
    text = f"{A}x = 1\n```\n{opening}\n# T\n<<x>>\n``` python {{#never}}\n"
    after = "\n``` c {file=b}\ny\n```\n"
    assert programs_of(text + closing + after) == {"a.py": "x = 1\n", "b": "y\n"}
    for unclosed in (text, text + "    " + closing.strip() + "\n"):
        assert (4, "unclosed: this fence is still open at the end of the essay") in errors_of(unclosed)


@pytest.mark.parametrize(("head", "kind", "options"), [
    ('```python name="x"', "demonstration", {"name": "x"}),
    (r'```python name="x", alt="a\"', "demonstration", {"name": "x", "alt": "a\\"}),
    (r'''```python alt="",name="x",note="\n {#y} <b> \'"  ''', "demonstration",
     {"alt": "", "name": "x", "note": r"\n {#y} <b> \'"}),
    ('```python name="x", caption="`a`"', "demonstration", {"name": "x", "caption": "`a`"}),
    ("``` python {file=x}", "root", {}),
    (r"``` python {file=x needs=a\b=c prints=microgpt.py}", "root", {"needs": r"a\b=c", "prints": "microgpt.py"}),
    ('``` diff {#x steps=30 title="`=` {for} *y*"}', "experiment", {"steps": "30", "title": "`=` {for} *y*"}),
])  # fmt: skip
def test_options_and_attributes_are_taken_literally(head, kind, options):
    fences, errors = parse(f"{head}\nshow()\n```\n")
    assert errors == []
    assert [(fence.kind, fence.name, fence.options) for fence in fences] == [(kind, "x", options)]


# Errors


@pytest.mark.parametrize(
    "head",
    [
        '```python name="x", alt="a\\"b"', "```python name=x", '```python name="x",', '```python name="x" alt="y"',
        '```python name="x", alt="A\nc"',
        '```python name="x" , alt="y"', '```python alt="y"', '```python name="X"', '```python name="x", name="y"',
        '``` python name="x"', "``` python {file=a.py needs}", "``` python {file=a.py needs=}", "``` python {#X}",
        "``` python {file=a.py  needs=x}", "``` python {file=a.py needs='x'}", "``` python {needs=x file=a.py}",
        "``` python {file=a.py needs=x needs=y}", "``` python {file=a.py file=b.py}", "``` python { file=a.py }",
        "``` python {file=}", "``` python {file=a b.py}", "``` python {#}", "``` python {#a} x", "```python {#x}",
        "``` python", "```python", "```Python", "```{.python}", "```python3", "``` python  {#x}", "```c {#x}",
    ],
)  # fmt: skip
def test_a_malformed_head_is_an_error_with_a_line(head):
    found = errors_of(f"``` c {{file=c}}\n```\n\n{head}\nx = 1\n```\n")
    assert [line for line, _ in found] == [4]
    assert found[0][1].startswith("malformed: ")


NAMES = "bcdefg"
CIRCLES = A + "<<b>>\n```\n" + "".join(
    f"``` python {{#{name}}}\n" + "".join(f"<<{other}>>\n" for other in NAMES) + "```\n" for name in NAMES)  # fmt: skip
PART = "``` c {file=a.c}\n<<k>>\n```\n``` c\n<<k>>=\nint a;\n```\n"


@pytest.mark.parametrize(("text", "expected"), {
    "undefined, with a suggestion": (A + "<<lost>>\n```\n``` python {#loss}\n1\n```\n",
                                     [(2, "undefined: there is no chunk <<lost>>; did you mean <<loss>>?"),
                                      (4, "unused: no program refers to <<loss>>")]),
    "undefined in what is unused": (A + "```\n``` python {#x}\n<<y>>\n```\n", [(3, "unused"), (4, "undefined")]),
    "cyclic": (A + "<<x>>\n```\n``` python {#x}\n<<y>>\n```\n``` python {#y}\n\n<<x>>\n```\n",
               [(9, "cyclic: x -> y -> x")]),
    "many circles": (CIRCLES, [(5 + 8 * i + j, "cyclic") for i in range(6) for j in range(i + 1)]),
    "unclosed": (A + "x = 1\n", [(1, "unclosed")]),
    "unclosed before another": (A + "x = 1\n\n``` python {file=b.py}\n```\n", [(1, "unclosed")]),
    "unclosed after a name": (A + "```\n``` python\n<<x>>=", [(3, "unclosed"), (4, "unused")]),
    "verbatim without an end": (A + "```\n\n~~~ text\n" + A + "```\n", [(4, "unclosed")]),
    "not alone on its line": (A + "<<x>>  # this\n```\n``` python {#x}\n```\n", [(2, "malformed"), (4, "unused")]),
    "in a string": (A + "s = '<<x>>'\n```\n``` python {#x}\n```\n", [(2, "malformed"), (4, "unused")]),
    "two names": (A + "<<x>>\n```\n``` python\n<<x>>=\n<<x>>=\n```\n", [(6, "malformed")]),
    "a folder of another": ("``` c {file=x/y/z}\n```\n" + "``` c {file=x}\n```\n", [(1, "x on line 3 is a program")]),
    "nested too deeply": (A + "x = " + "-" * 9000 + "1\n```\n", [(1, "a.py is nested too deeply")]),
    "named twice": (A + "```\n" + A + "```\n", [(3, "a.py already begins on line 1")]),
    **{f"target {path!r}": (f"``` python {{file={path}}}\n```\n", [(1, "malformed")]) for path in (
        "/etc/a.py", "x/../../a.py", "C:a.py", "./a.py", "x//a.py", "SHA256SUMS", "x/.tangle-1", "a\x1b.py")},
    "no program": ("Only prose.\n", [(1, "no program")]),
    "a NUL byte": (A + "```\n\0\n", [(3, "a NUL byte")]),
    "indented": (A + "```\n  ``` python {#x}\n  ```\n", [(3, "malformed")]),
    "tildes": (A + "```\n~~~ python {#x}\n", [(3, "malformed")]),
    "quoted, with braces": (A + "```\n> ``` python {#x}\n> ```\n", [(3, "malformed")]),
    "in a list, with braces": (A + "```\n1. ``` python {#x}\n", [(3, "malformed")]),
    "a part in a list": (PART + "\n1. And:\n\n    ``` c\n    <<k>>=\n    int lost;\n    ```\n", [(12, "malformed")]),
    "a part three spaces in": (PART + "\n1. And:\n\n   ``` c\n   <<k>>=\n   int lost;\n   ```\n", [(12, "malformed")]),
    "a part in a quotation": (PART + "> ``` c\n> <<k>>=\n> int lost;\n> ```\n", [(9, "malformed")]),
    "a part without the space": (PART + "```c\n<<k>>=\nint lost;\n```\n", [(9, "malformed")]),
    "a part below tildes": (PART + "~~~ c\n<<k>>=\nint lost;\n~~~\n", [(9, "malformed")]),
    "a part with a capital": (PART + "``` c\n<<K>>=\nint lost;\n```\n", [(9, "malformed")]),
    "a part below an empty line": (PART + "``` c\n\n<<k>>=\nint lost;\n```\n", [(10, "malformed")]),
    "a name without a fence": (A + "```\n`` python\n<<x>>=\n``\n", [(4, "malformed")]),
    "a part in a comment": (PART + "<!--\n``` c\n<<k>>=\nint lost;\n```\n-->\n", [(9, "hidden")]),
    "a root in a comment": (A + "```\n <!-- text\n\n``` c {file=b}\n```\n-->\n", [(5, "hidden")]),
    "a conflict in a chunk": ("``` c {file=a}\nx\n" + CONFLICT.format("y\n", "z\n") + "```\n",
                              [(3, "a merge conflict from git"), (7, "a merge conflict from git")]),
    "a conflict in the prose": (A + "```\n" + CONFLICT.format("y\n", "z\n"),
                                [(3, "a merge conflict from git"), (7, "a merge conflict from git")]),
    "a conflict in three versions": (A + "```\n||||||| base\n", [(3, "a merge conflict from git")]),
    "Python in another encoding": (A + "# coding: latin-1\n```\n", [(1, "a.py is written as UTF-8, but declares")]),
    "an encoding in its second line": (A + "#!python\n# -*- coding: x -*-\n```\n", [(2, "unknown encoding: x")]),
}.items())  # fmt: skip
def test_errors_and_their_lines(text, expected):
    _, (text, expected) = text, expected
    found = errors_of(text)
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, message), (_, beginning) in zip(found, expected):
        assert message.startswith(beginning)


@pytest.mark.parametrize(("code", "line", "message"), [
    ("if x:\n    <<y>>\n```\n``` python {#y}\n\nz = (1 +\n     = 2)", 8, "invalid syntax\n         = 2)\n         ^"),
    ("éé = 'éé' $ 2", 2, "invalid syntax\n    éé = 'éé' $ 2\n              ^"),
    ("x = 1\nif x:\ny = 2", 4, "expected an indented block after 'if' statement on line 3\n"),
    ("x = '''\r\r\r", 2, "unterminated triple-quoted string"),  # Python points behind the last line
    ("x = 1\ny = '\\d'", 3, "invalid escape sequence '\\d'"),  # what one Python warns of is an error to the next
])  # fmt: skip
def test_python_that_does_not_compile_is_shown_where_it_was_written(code, line, message):
    ((number, text),) = errors_of(A + code + "\n```\n")
    assert number == line
    assert message in text or not sys.version.startswith("3.11")  # each Python has words of its own


def test_an_encoding_that_says_what_is_so_is_none():
    assert programs_of(A + "# coding: utf-8\n```\n") == {"a.py": "# coding: utf-8\n"}
    assert programs_of(A + "x = 1\n\n# coding: latin-1\n```\n")


def test_all_errors_are_printed_and_nothing_is_written(folder):
    folder.write("``` python {file=a.py}\nx = 1\n```\n``` python {file=b.py}\n<<no>>\n```\n``` python {#y}\n```\n")
    for mode in ((), ("--check",), ("--force",), ("--stitch",), ("--where", "a.py:1"), ("--run", "a.py")):
        status, _, said = folder.call(*mode)
        assert (status, [line.split(": ")[0] for line in said.splitlines()]) == (1, ["essay.md:5", "essay.md:7"])
    assert not folder.build.exists()


@pytest.mark.parametrize(("data", "said"), [
    (b"\xef\xbb\xbf# T\r\n\r\nM\xfcller\n", "essay.md:3: byte 0xfc is not UTF-8: save the file as UTF-8\n"),
    (None, "tangle.py: essay.md: No such file or directory\n"),
])  # fmt: skip
def test_an_essay_that_cannot_be_read(folder, data, said):
    if data:
        folder.write(data)
    assert folder.call() == (1, "", said)


def test_the_command_line(folder):
    folder.write(HELLO)
    status, manual, _ = folder.call("--help")
    assert (status, manual) == (0, tangler.__doc__.strip() + "\n")
    for wrong in (["--chekc"], ["--check", "--force"], ["--run"], ["--where"]):
        status, _, said = folder.call(*wrong)
        assert (status, said.count("\n")) == (2, 1)
    done = subprocess.run([sys.executable, "-OO", ROOT / "tangle.py", "--help"], capture_output=True, check=False)
    assert (done.returncode, done.stdout.count(b"\n"), done.stderr) == (0, 1, b"")


def test_a_python_that_is_too_old_says_so():
    source = (ROOT / "tangle.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    said = "tangle.py needs Python 3.10 or later, and this is 3."
    old = [name for minor in range(6, 10) if (name := shutil.which(f"python3.{minor}"))]
    old += map(str, Path.home().glob(".pyenv/versions/3.[6-9].*/bin/python"))
    old = [python for python in old if run("", program="-c", python=python).returncode == 0]
    for python in old:
        done = run("--check", program=ROOT / "tangle.py", python=python)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(said) and done.stderr.count("\n") == 1
    if not old:
        pytest.skip("no Python from 3.6 to 3.9 on this machine: install one, such as python3.9")


# Care for build/


def test_what_would_not_change_is_not_touched_and_a_root_that_is_gone_takes_its_program_along(folder):
    folder.write(HELLO + "``` python {file=b.py}\nx = 1\n```\n``` python {file=x/c.py}\n```\n").call()
    before = (folder.build / "b.py").stat().st_mtime_ns
    (folder.build / "x" / "keep").write_text("")
    status, out, said = folder.write(BYE + "``` python {file=b.py}\nx = 1\n```\n").call()
    assert (status, said) == (0, "")
    assert out.replace(os.sep, "/") == "build/x/c.py: removed\nbuild/a.py: 1 lines\n"
    assert (folder.build / "b.py").stat().st_mtime_ns == before
    assert {path.as_posix() for path in snapshot(folder.build)} == {"a.py", "b.py", "SHA256SUMS", "x/keep"}
    assert folder.call() == folder.call("--check") == (0, "", "")


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_permissions_are_kept(folder):
    folder.write(HELLO).call()
    (folder.build / "a.py").chmod(0o755)
    folder.write(BYE).call()
    assert (folder.build / "a.py").stat().st_mode & 0o777 == 0o755


def test_a_program_that_cannot_be_written_stays_whole(folder, monkeypatch):
    folder.write(HELLO).call()
    before = snapshot(folder.build)

    def full(*_):
        raise OSError(28, "No space left on device", "build/a.py")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        assert folder.write(BYE).call() == (1, "", "tangle.py: build/a.py: No space left on device\n")
    assert snapshot(folder.build) == before


def test_checksums_are_in_the_format_of_sha256sum(folder):
    folder.write(HELLO).call()
    if not shutil.which("sha256sum"):
        pytest.skip("no sha256sum on this machine: install coreutils")
    command = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    done = subprocess.run(command, cwd=folder.build, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a.py: OK\n", "")


@pytest.mark.parametrize("essay", [BYE, HELLO.replace("a.py", "b.py"), HELLO])
@pytest.mark.parametrize("before", ["tangled", "there before", "without checksums"])
def test_what_was_edited_by_hand_is_kept(folder, essay, before):
    """Whether the essay has changed, has lost the program, or is as it was, and whoever made the file."""
    if before != "there before":
        folder.write(HELLO).call()
    folder.build.mkdir(exist_ok=True)
    (folder.build / "a.py").write_text("print('mine')\n")
    if before == "without checksums":
        (folder.build / "SHA256SUMS").unlink()
    kept = snapshot(folder.build)
    is_known = before == "tangled" or "a.py" in essay
    for mode in ((), ("--check",)) if is_known else ():
        status, out, said = folder.write(essay).call(*mode)
        assert status == 1
        assert "-print('mine')\n" in out
        assert "a.py: edited by hand" in said
        assert snapshot(folder.build) == kept
    if is_known:  # nor do preview and weave, which call this, overwrite it
        assert tangler.write_programs(folder.essay) == 1
    assert folder.write(essay).call("--force")[0] == 0
    assert (folder.build / "a.py").exists() == ("a.py" in essay or not is_known)


def test_an_edit_that_the_essay_has_caught_up_with_is_none(folder):
    folder.write(HELLO).call()
    (folder.build / "a.py").write_text("print('bye')\n")
    assert folder.write(BYE).call()[0] == 0
    assert folder.write(HELLO).call()[0] == 0


def test_line_ends_that_git_has_changed_are_no_edit(folder):
    both = HELLO + "``` python {file=b.py}\nx = 1\n```\n"
    folder.write(b"\xef\xbb\xbf" + both.replace("\n", "\r\n").encode()).call()
    assert (folder.build / "a.py").read_bytes() == b"print('hello')\n"
    for path in folder.build.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    before = snapshot(folder.build)
    for mode in ((), ("--check",), ("--stitch",), ("--force",)):
        assert folder.call(*mode) == (0, "", "")
    assert snapshot(folder.build) == before
    assert folder.write(both.replace("hello", "bye")).call()[0] == 0
    assert (folder.build / "a.py").read_bytes() == b"print('bye')\n"
    assert (folder.build / "b.py").read_bytes() == b"x = 1\r\n"


def test_check_writes_nothing_and_shows_what_is_stale(folder):
    folder.write(HELLO).call()
    before = snapshot(folder.build)
    status, out, said = folder.write(BYE).call("--check")
    assert status == 1
    assert "-print('hello')\n+print('bye')\n" in out
    assert "build/a.py: does not match the essay" in said.replace(os.sep, "/")
    assert snapshot(folder.build) == before
    (folder.build / "SHA256SUMS").unlink()
    assert "SHA256SUMS: does not match the essay" in folder.write(HELLO).call("--check")[2]


def test_a_merge_that_leaves_a_conflict_in_the_checksums_alone_is_nothing_to_mend(folder):
    folder.write(HELLO).call()
    sums = (folder.build / "SHA256SUMS").read_text()
    (folder.build / "SHA256SUMS").write_text(CONFLICT.format(sums, sums.replace(sums[:30], "0" * 30)))
    assert folder.write(BYE).call()[::2] == (0, "")
    assert folder.call("--check") == (0, "", "")


def test_another_essay_takes_over_what_nobody_has_edited(folder):
    folder.write(HELLO + PART).call()
    (folder.build / "a.c").write_text("edited\n")
    (folder.path / "other.md").write_text(BYE.replace("a.py", "other.py"))
    assert folder.call(essay="other.md")[0] == 1
    assert {path.as_posix() for path in snapshot(folder.build)} == {"a.py", "a.c", "SHA256SUMS"}
    assert folder.call("--force", essay="other.md")[0] == 0
    assert {path.as_posix() for path in snapshot(folder.build)} == {"other.py", "SHA256SUMS"}


def test_an_edit_that_is_saved_while_the_programs_are_written_is_kept(folder, monkeypatch):
    folder.write(HELLO).call()
    changes_in = tangler.changes_in

    def edited_meanwhile(*arguments):
        changes = changes_in(*arguments)
        (folder.build / "a.py").write_text("mine\n")
        return changes

    monkeypatch.setattr(tangler, "changes_in", edited_meanwhile)
    said = f"tangle.py: {Path('build/a.py')} was saved in the meantime; nothing was written, try again\n"
    assert folder.write(BYE).call() == (1, "", said)
    assert (folder.build / "a.py").read_text() == "mine\n"


@pytest.mark.parametrize("damage", [b"\xff\xfe\0binary", b"0" * 64 + b"  ../precious", b"0" * 64 + b"  /etc/passwd",
                                    b"\r"])  # fmt: skip
def test_damaged_checksums_do_no_harm(folder, damage):
    folder.write(HELLO).call()
    (folder.path / "precious").write_text("precious")
    before = snapshot(folder.path)
    (folder.build / "SHA256SUMS").write_bytes(damage + b"\n" + (folder.build / "SHA256SUMS").read_bytes())
    assert folder.call() == (0, "", "")
    assert snapshot(folder.path) == before


def test_a_tangle_waits_for_another_one_in_the_same_folder(folder):
    """Otherwise it might see half of what the other does, and take it for an edit by hand."""
    pytest.importorskip("fcntl", reason="this system has no such locks")
    folder.write(HELLO)
    with tangler.locked(folder.path):
        process = subprocess.Popen([sys.executable, ROOT / "tangle.py", "essay.md"], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert not folder.build.exists()
    assert process.communicate(timeout=60) and process.returncode == 0


def version(name, *targets):
    """Return an essay with some programs, each in two chunks, of which they share the last."""
    roots = "".join(f"``` c {{file={target}}}\n{name} of {target}\n<<end>>\n```\n" for target in targets)
    return roots + f"``` c {{#end}}\nend of {name}\n```\n"


FIRST = version("first", "a", "b", "x/c", "y/z/d", "e")
SECOND = version("second", "b", "x/c", "new/f", "e")  # two go, one comes
THIRD = version("third", "a/deeper", "b")


def interrupted(folder, number, monkeypatch):
    """Tangle, and be gone before the change of that number to a file; return whether there were so many."""
    left = [number]

    def counting(function):
        def act(path, *rest, **options):
            left[0] -= not options.get("missing_ok")  # of a temporary file
            if left[0] < 0:
                raise KeyboardInterrupt
            return function(path, *rest, **options)

        return act

    with monkeypatch.context() as patched:
        patched.setattr(tangler, "put", counting(tangler.put))
        patched.setattr(Path, "unlink", counting(Path.unlink))
        try:
            tangler.write_programs(folder.essay)
        except KeyboardInterrupt:
            return True
    return False


def test_an_interrupted_tangle_is_finished_by_the_next_and_no_edit_is_lost(folder, monkeypatch):
    """Between any two changes to files; after that the same essay, the one before or another one is tangled."""
    number, is_more = 0, True
    while is_more:
        for then in (SECOND, FIRST, THIRD):
            shutil.rmtree(folder.build, ignore_errors=True)
            assert folder.write(FIRST).call()[0] == 0
            is_more = interrupted(folder.write(SECOND), number, monkeypatch)
            left_behind = (folder.build / "b").read_bytes()
            (folder.build / "b").write_bytes(left_behind + b"mine\n")
            status, _, said = folder.write(then).call()
            assert (status, "b: edited by hand" in said) == (1, True), number
            (folder.build / "b").write_bytes(left_behind)
            assert folder.call()[::2] == (0, ""), number
            assert {path.as_posix(): data.decode() for path, data in snapshot(folder.build).items()
                    if path.name != "SHA256SUMS"} == programs_of(then)  # fmt: skip
        number += 1
    assert number > 6


@pytest.mark.skipif(os.name != "posix", reason="closed streams need a POSIX shell")
@pytest.mark.parametrize("words", ["--check >&-", "--check | :", "--where - <&-", "--where - <bytes", "--help | :"])
def test_odd_streams(folder, words):
    """Whatever it is called with, in whatever encoding: no traceback."""
    folder.write("``` python {file=é.py}\nprint('é→')\n```\n").call()
    (folder.build / "é.py").write_text("→é\n" * 50_000, encoding="utf-8")
    (folder.path / "bytes").write_bytes(b"\xff\n")
    done = subprocess.run(["sh", "-c", f'"{sys.executable}" "{ROOT / "tangle.py"}" essay.md {words}'], check=False,
                          cwd=folder.path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONIOENCODING": "ascii"})  # fmt: skip
    assert "Traceback" not in done.stderr


# Against the most obvious way, and whatever comes

CHUNKS = [f"chunk-{i}" for i in range(6)]


@st.composite
def chunk_graphs(draw):
    """Return {name: lines}, a line being a text or a reference (indentation, name) to a chunk further on."""
    graph = {}
    for i, name in enumerate(["root", *CHUNKS]):
        texts = st.sampled_from(["", "x = 1", "    indented", "# <<", "`code`", "\tтаб"])
        lines = draw(st.lists(texts, max_size=4))
        if later := CHUNKS[i:]:
            lines += draw(st.lists(st.tuples(st.sampled_from(["", "  ", "\t"]), st.sampled_from(later)), max_size=3))
        graph[name] = draw(st.permutations(lines))
    graph["root"] = [*graph["root"], *[("", name) for name in CHUNKS]]
    return graph


def naive(graph, name):
    """Expand a chunk in the most obvious way."""
    out = []
    for line in graph[name]:
        inner = [line] if isinstance(line, str) else [line[0] + text for text in naive(graph, line[1])]
        out += [text if text.strip() else "" for text in inner]
    return out


@given(graph=chunk_graphs(), cut=st.integers(0, 3), data=st.data())
def test_a_random_graph_of_chunks_expands_as_the_naive_way_does(graph, cut, data):
    pieces = []
    for name, lines in graph.items():
        written = [line if isinstance(line, str) else f"{line[0]}<<{line[1]}>>" for line in lines]
        for part in [written] if name == "root" else [written[:cut], written[cut:]]:
            header = "file=out.txt" if name == "root" else f"#{name}"
            pieces.append((name, f"``` text {{{header}}}\n" + "".join(line + "\n" for line in part) + "```"))
    order = data.draw(st.permutations(range(len(graph))))
    names = list(graph)
    pieces.sort(key=lambda piece: order[names.index(piece[0])])  # in any order, but the parts of a chunk in theirs
    essay = "\n\nProse.\n\n".join(text for _, text in pieces)
    expected = "\n".join(naive(graph, "root")).rstrip("\n") + "\n"
    assert render(tangle(essay)["out.txt"]) == expected


PIECES = ["``` python {file=a.py}", "``` c {file=b/c}", "``` c {#x}", "``` python {#y}", "``` c", "<<x>>=", "<<x>>",
          "  <<y>>", "```", "````", "~~~", "x = 1", "(", "'''", "\\", "", "  ", "\x0c", "\0", "é", "<!--", "-->", "> ",
          '```python name="z"', "``` {file=", "# T", "``` diff {#z}", "-x = 1", "+y"]  # fmt: skip


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=30).map("\n".join))
def test_a_random_essay_is_tangled_or_its_errors_have_lines(text):
    try:
        programs = tangle(text)
    except TangleError as error:
        assert error.errors
        errors = error.errors
    else:
        assert all(render(program).endswith("\n") for program in programs.values())
        errors = tangler.check_experiments(parse(text)[0], programs, compiles=True)
    assert all(1 <= line <= text.count("\n") + 1 for line, _ in errors)
