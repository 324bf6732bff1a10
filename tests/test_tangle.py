"""The tangler: its source language, all of its errors, and its care for the files in build/."""

import contextlib
import io
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import BUILD, ESSAY, ROOT, run, snapshot

import tangle as tangler
from tangle import (
    STALE,
    TangleError,
    check_programs,
    main,
    parse,
    put,
    render,
    stitch_programs,
    tangle,
    write_programs,
)

FENCE = "```"
ROOT_CHUNK = "``` python {file=a.py}\n"


@pytest.fixture
def essay(tmp_path):
    """Return a function that writes an essay and tangles it: essay(text, flags…) -> completed process."""
    path = tmp_path / "essay.md"

    def write_and_tangle(text, *arguments):
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return run(*arguments, "essay.md", program=ROOT / "tangle.py", cwd=tmp_path)

    write_and_tangle.build = tmp_path / "build"
    return write_and_tangle


def errors_of(text):
    """Return the errors of an essay as (line, message)."""
    with pytest.raises(TangleError) as caught:
        tangle(dedent(text))
    return caught.value.errors


def programs_of(text):
    return {target: render(program) for target, program in tangle(dedent(text)).items()}


def quietly(function, *arguments):
    """Call a function; return its status, stdout and stderr."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        return function(*arguments), out.getvalue(), err.getvalue()


def force_programs(essay):
    return write_programs(essay, force=True)


MODES = (write_programs, force_programs, stitch_programs, check_programs)


def version(name, *targets):
    """Return an essay with some programs, the last of them in two chunks that the first has as well."""
    roots = "".join(f"``` c {{file={target}}}\n{name} of {target}\n<<end>>\n```\n" for target in targets)
    return (roots + f"``` c {{#end}}\nend of {name}\n```\n").encode()


FIRST = version("first", "a", "b", "x/c", "y/z/d", "e")
SECOND = version("second", "b", "x/c", "new/deeper/f", "e", "h")  # two go, two come
FOLDER = version("second", "a/deeper/still", "b", "x/c", "new/f", "e")  # and a file becomes a folder
THIRD = version("third", "b", "x/c", "g/h/i")
KILLING = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the first version of an essay, tangled."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "essay.md").write_bytes(FIRST)
    assert quietly(write_programs, folder / "essay.md")[0] == 0
    return folder


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
        ``` python {#inner}
        return 1
        ```
        ``` python {#body}
        return 2
        ```
        ``` python {#end}
        print(f())
        ```
        """) == {"deep/er.py": "def f():\n    if x:\n\n        return 1\n    return 2\nprint(f())\n"}


def test_every_line_knows_where_it_comes_from():
    text = ESSAY.read_text(encoding="utf-8")
    source = text.split("\n")
    for program in tangle(text).values():
        assert all(line.text.endswith(source[line.origin - 1]) for line in program)


def test_what_is_no_chunk_is_left_alone():
    text = """\
        ````markdown
        ``` python {#never}
        <<nonsense>>
        ```
        ````
        ~~~
        ``` python {#never-either}
        ~~~
        ````` is how to write ```` in a sentence.
        ```text
        <<not-looked-at>>
        ```
        ```pycon
        >>> 1
        ```
        ```python name="loss", alt="a curve"
        show(<<x>>)
        ```
        ``` python {file=a.py}
        x = 1
        ```
        """
    assert programs_of(text) == {"a.py": "x = 1\n"}
    kinds = [(fence.kind, fence.name, fence.language) for fence in parse(dedent(text))[0]]
    assert kinds == [("verbatim", "", "markdown"), ("verbatim", "", ""),
                     ("illustration", "", "text"), ("illustration", "", "pycon"),
                     ("demonstration", "loss", "python"), ("root", "a.py", "python")]  # fmt: skip


def test_other_languages():
    assert programs_of("``` c {file=fast.c}\n  <<body>>\n```\n``` c {#body}\nx = = 1;\n```\n") == {
        "fast.c": "  x = = 1;\n"
    }


def test_windows_line_ends_and_byte_order_mark(essay):
    done = essay(b"\xef\xbb\xbf" + f"{ROOT_CHUNK}x = 1\n<<y>>\n```\n``` python {{#y}}\ny = 2\n```\n".replace(
        "\n", "\r\n").encode())  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert (essay.build / "a.py").read_bytes() == b"x = 1\ny = 2\n"


def test_line_ends_that_git_has_changed_are_no_edit(essay):
    """Programs and sums with \r\n are the same, and --check agrees; what changes is written with \n again."""
    both = HELLO + "``` python {file=b.py}\nx = 1\n```\n"
    essay(both)
    for path in essay.build.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    before = snapshot(essay.build)
    for flags in ([], ["--check"], ["--stitch"], ["--force"]):
        done = essay(both, *flags)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert snapshot(essay.build) == before
    done = essay(both.replace("hello", "bye"))
    assert (done.returncode, done.stdout) == (0, f"{Path('build', 'a.py')}: 1 lines\n")
    assert (essay.build / "a.py").read_bytes() == b"print('bye')\n"
    assert (essay.build / "b.py").read_bytes() == b"x = 1\r\n"


def test_a_clone_with_the_line_ends_of_windows(essay, tmp_path):
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    essay(HELLO)
    shutil.copy(ROOT / "tangle.py", tmp_path)
    name = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*name, "commit", "-qm", "all"],
                    ["clone", "-q", "-c", "core.autocrlf=true", ".", "clone"]):  # fmt: skip
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)
    clone = tmp_path / "clone"
    assert (clone / "build" / "a.py").read_bytes() == b"print('hello')\r\n"
    done = run("essay.md", program="tangle.py", cwd=clone)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("inside", ["# T\n<<x>>\n<<No>>", "``` python {#never}\n<<x>>", "~~\n    ~~~~\n``\n~~~x"])
@pytest.mark.parametrize(("opening", "closing"), [
    ("````markdown", "````"), ("````", "``````"), ("~~~", "~~~~~"), ("~~~~ text", "~~~~"), ("   ~~~", " ~~~  "),
    ("`````", "`````"), ("````", "   ````"), (" ```", " ```"), ("   ```text", "````"), ("  ```", "```"),
])  # fmt: skip
def test_nothing_counts_in_verbatim_fences(opening, closing, inside):
    """Not headings, references, roots or definitions; and what comes after the fence does count."""
    text = f"{ROOT_CHUNK}x = 1\n```\n{opening}\n{inside}\n"
    after = "\n``` c {file=b}\ny\n```\n"
    assert programs_of(text + closing + after) == {"a.py": "x = 1\n", "b": "y\n"}
    assert [fence.kind for fence in parse(text + closing + after)[0]] == ["root", "verbatim", "root"]
    rest = after if opening.startswith(("````", "~", "   ~")) else ""  # three backticks would close the others
    for unclosed in (text, text + rest, text + "    " + closing.strip() + rest):
        assert (4, "unclosed: this fence is open until the end of the essay") in errors_of(unclosed)


@pytest.mark.parametrize(
    ("head", "options"),
    {
        'name="x"': {"name": "x"},
        r'name="x", alt="a\"': {"name": "x", "alt": "a\\"},
        r'name="x",alt="\n {#y} <b> \'"': {"name": "x", "alt": r"\n {#y} <b> \'"},
        'alt="", name="x"': {"alt": "", "name": "x"},
        'alt="name=", name="x"  ': {"alt": "name=", "name": "x"},
    }.items(),
)
def test_options_of_demonstrations_are_taken_literally(head, options):
    fences, errors = parse(f"```python {head}\nshow()\n```\n")
    assert errors == []
    assert [(fence.kind, fence.name, fence.options) for fence in fences] == [("demonstration", "x", options)]


@pytest.mark.parametrize(
    ("head", "attributes"),
    {
        "file=a.py": {},
        "file=a.py needs=numpy": {"needs": "numpy"},
        "file=a.py needs=numpy prints=microgpt.py": {"needs": "numpy", "prints": "microgpt.py"},
        r"file=a.py needs=a\b=c": {"needs": r"a\b=c"},
    }.items(),
)
def test_attributes_of_roots(head, attributes):
    (root,), errors = parse(f"``` python {{{head}}}\nx = 1\n```\n")
    assert errors == []
    assert (root.kind, root.name, root.options) == ("root", "a.py", attributes)


@pytest.mark.parametrize(
    "head",
    [
        '```python name="x", alt="a\\"b"', "```python name=x", '```python name="x", alt=foo', '```python name="x",',
        '```python name="x" alt="y"', '```python name="x" , alt="y"', '```python alt="y"', '```python name="X"',
        '```python name="x", name="y"', '```python name="x", alt="y", alt="z"', '``` python name="x"',
        "``` python {file=a.py needs}", "``` python {file=a.py needs=}", "``` python {file=a.py  needs=x}",
        "``` python {file=a.py needs='x'}", "``` python {file=a.py, needs=x}", "``` python {needs=x file=a.py}",
        "``` python {file=a.py needs=x needs=y}", "``` python {file=a.py file=b.py}", "``` python { file=a.py }",
        "``` python {file=}", "``` python {file=a b.py}", "``` python {#a b}", "``` python {#}", "``` python {#a} x",
    ],
)  # fmt: skip
def test_malformed_options_and_attributes_are_errors_with_a_line(head):
    found = errors_of(f"``` c {{file=c}}\n```\n\n{head}\nx = 1\n```\n")
    assert [line for line, _ in found] == [4]
    assert found[0][1].startswith("malformed: ")


# Errors


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "undefined, with a suggestion": (ROOT_CHUNK + "<<lost>>\n```\n``` python {#loss}\n1\n```\n",
                                         [(2, "undefined: there is no chunk <<lost>>; did you mean <<loss>>?"),
                                          (4, "unused: no program has a reference to <<loss>>")]),
        "unused": (ROOT_CHUNK + "```\n``` python {#x}\n1\n```\n", [(3, "unused")]),
        "undefined in what is unused": (ROOT_CHUNK + "```\n``` python {#x}\n<<y>>\n```\n",
                                        [(3, "unused"), (4, "undefined")]),
        "cyclic": (ROOT_CHUNK + "<<x>>\n```\n``` python {#x}\n<<y>>\n```\n``` python {#y}\n\n<<x>>\n```\n",
                   [(9, "cyclic: x -> y -> x")]),
        "a chunk in itself": (ROOT_CHUNK + "<<x>>\n```\n``` python {#x}\n<<x>>\n```\n", [(5, "cyclic: x -> x")]),
        "unclosed": (ROOT_CHUNK + "x = 1\n", [(1, "unclosed")]),
        "unclosed before another": (ROOT_CHUNK + "x = 1\n\n``` python {file=b.py}\n```\n", [(1, "unclosed")]),
        "no blank": (ROOT_CHUNK + "```\n```python {#x}\n```\n", [(3, "malformed: a chunk is")]),
        "no name": (ROOT_CHUNK + "```\n``` python\n```\n", [(3, "malformed")]),
        "python without anything": (ROOT_CHUNK + "```\n```python\n```\n", [(3, "malformed")]),
        "pandoc's form": (ROOT_CHUNK + "```\n```{.python}\n```\n", [(3, "malformed")]),
        "python3": (ROOT_CHUNK + "```\n```python3\n```\n", [(3, "malformed")]),
        "demonstration without a name": (ROOT_CHUNK + '```\n```python alt="x"\n```\n', [(3, "malformed")]),
        "no commas": (ROOT_CHUNK + '```\n```python name="x" alt="y"\n```\n', [(3, "malformed")]),
        "capital letters": (ROOT_CHUNK + "<<Loss>>\n```\n``` python {#Loss}\n```\n",
                            [(2, "malformed"), (4, "malformed")]),
        "something after": (ROOT_CHUNK + "<<x>>  # this\n```\n``` python {#x}\n```\n",
                            [(2, "malformed"), (4, "unused")]),
        "in a string": (ROOT_CHUNK + "s = '<<x>>'\n```\n``` python {#x}\n```\n", [(2, "malformed"), (4, "unused")]),
        "named twice": (ROOT_CHUNK + "```\n" + ROOT_CHUNK + "```\n", [(3, "a.py clashes with a.py on line 1")]),
        "absolute": ("``` python {file=/etc/a.py}\n```\n", [(1, "/etc/a.py is not a path")]),
        "upwards": ("``` python {file=x/../../a.py}\n```\n", [(1, "x/../../a.py is not a path")]),
        "a drive": ("``` python {file=C:a.py}\n```\n", [(1, "C:a.py is not a path")]),
        "the sums": ("``` python {file=SHA256SUMS}\n```\n", [(1, "SHA256SUMS is not")]),
        "below the sums": ("``` python {file=SHA256SUMS/a}\n```\n", [(1, "SHA256SUMS/a is not")]),
        "no program": ("Only prose.\n", [(1, "no program")]),
        "a file in a file": (ROOT_CHUNK + "```\n``` c {file=a.py/b}\n```\n",
                             [(3, "a.py/b clashes with a.py on line 1")]),
        "indented": (ROOT_CHUNK + "```\n  ``` python {#x}\n  ```\n", [(3, "malformed")]),
        "tildes": (ROOT_CHUNK + "```\n~~~ python {#x}\n", [(3, "malformed")]),
        "verbatim without an end": (ROOT_CHUNK + "```\n\n~~~ text\n" + ROOT_CHUNK + "```\n", [(4, "unclosed")]),
        "a circle of many": (ROOT_CHUNK + "<<b>>\n```\n" + "".join(
            f"``` python {{#{name}}}\n" + "".join(f"<<{other}>>\n" for other in "bcdefghijklmnop") + "```\n"
            for name in "bcdefghijklmnop"), [(5 + 17 * i + j, "cyclic") for i in range(15) for j in range(i + 1)]),
        "too long a name": (f"``` python {{file={'x/' * 150}a.py}}\n```\n", [(1, "x/x/x/")]),
        "a NUL byte": (ROOT_CHUNK + "```\n\0\n", [(3, "a NUL byte")]),
    }.values(),
)  # fmt: skip
def test_errors_and_their_lines(text, expected):
    found = errors_of(text)
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, message), (_, beginning) in zip(found, expected):
        assert message.startswith(beginning)


def test_all_errors_are_printed_and_nothing_is_written(essay):
    done = essay("``` python {file=a.py}\nx = 1\n```\n``` python {file=b.py}\n<<no>>\n```\n``` python {#y}\n```\n")
    assert done.returncode == 1
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == ["essay.md:5", "essay.md:7"]
    assert not essay.build.exists()


def test_python_that_does_not_compile_is_shown_where_it_was_written(essay):
    done = essay("# T\n``` python {file=a.py}\nif x:\n    <<y>>\n```\n``` python {#y}\n\nz = (1 +\n     = 2)\n```\n")
    assert done.returncode == 1
    assert done.stderr == "essay.md:9: invalid syntax\n         = 2)\n         ^\n"


def test_a_caret_after_letters_beyond_ascii(essay):
    done = essay(ROOT_CHUNK + "éé = 'éé' $ 2\n```\n")
    assert done.stderr.splitlines()[1:] == ["    éé = 'éé' $ 2", "              ^"]


def test_line_numbers_in_messages_of_python_are_those_of_the_essay(essay):
    done = essay("# T\n\n" + ROOT_CHUNK + "x = 1\nif x:\ny = 2\n```\n")
    assert done.stderr.startswith("essay.md:6: expected an indented block after 'if' statement on line 5\n")


def test_a_line_number_of_python_beyond_the_last_line():
    """For Python a carriage return ends a line; in a file it is one for us as well, but not in a text."""
    assert errors_of(ROOT_CHUNK + "x = '''\r\r\r\n```\n")[0][0] == 2


def test_a_doubtful_escape_is_an_error(essay):
    done = essay(ROOT_CHUNK + "x = 1\ny = '\\d'\n```\n")
    assert done.returncode == 1
    assert done.stderr.startswith("essay.md:3: ")


def test_bytes_that_are_not_utf8(essay):
    done = essay(b"\xef\xbb\xbf# T\r\n\r\nM\xfcller\n")
    assert (done.returncode, done.stderr) == (1, "essay.md:3: byte 0xfc is not UTF-8: save the essay as UTF-8\n")


def test_missing_essay(essay):
    done = essay(None)
    assert (done.returncode, done.stderr) == (1, "tangle.py: essay.md: No such file or directory\n")


def test_help_is_the_manual(essay):
    done = essay("x", "--help")
    assert done.returncode == 0
    assert "a definition: a chunk is all fences of one name" in done.stdout


def test_wrong_call(essay):
    done = essay("x", "--chekc")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


# Care for build/

HELLO = ROOT_CHUNK + "print('hello')\n```\n"
BYE = HELLO.replace("hello", "bye")


def test_a_file_that_would_not_change_is_not_touched(essay):
    essay(HELLO + "``` python {file=b.py}\nx = 1\n```\n")
    before = (essay.build / "b.py").stat().st_mtime_ns
    done = essay(BYE + "``` python {file=b.py}\nx = 1\n```\n")
    assert done.stdout == f"{Path('build', 'a.py')}: 1 lines\n"
    assert (essay.build / "b.py").stat().st_mtime_ns == before


def test_permissions_are_kept_and_ordinary_for_new_files(essay):
    essay(HELLO)
    target = essay.build / "a.py"
    plain = essay.build / "plain"
    plain.write_text("")
    assert target.stat().st_mode == plain.stat().st_mode
    target.chmod(0o755)
    essay(BYE)
    assert target.stat().st_mode & 0o777 == 0o755


def test_sums_are_in_the_format_of_sha256sum(essay):
    essay(HELLO)
    if not shutil.which("sha256sum"):
        pytest.skip("no sha256sum on this machine")
    command = ["sha256sum", "-c", "SHA256SUMS"]
    done = subprocess.run(command, cwd=essay.build, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "a.py: OK\n")


def test_an_edit_by_hand_is_kept(essay):
    essay(HELLO)
    (essay.build / "a.py").write_text("print('mine')\n")
    before = snapshot(essay.build)
    done = essay(BYE)
    assert done.returncode == 1
    assert "-print('mine')\n+print('bye')\n" in done.stdout
    assert "edited by hand" in done.stderr
    assert snapshot(essay.build) == before
    assert essay(BYE, "--force").returncode == 0
    assert (essay.build / "a.py").read_text() == "print('bye')\n"


def test_a_file_that_was_there_before_is_kept(essay):
    essay.build.mkdir()
    (essay.build / "a.py").write_text("precious\n")
    assert essay(HELLO).returncode == 1
    assert (essay.build / "a.py").read_text() == "precious\n"


def test_an_edit_that_the_essay_has_caught_up_with_is_no_conflict(essay):
    essay(HELLO)
    (essay.build / "a.py").write_text("print('bye')\n")
    assert essay(BYE).returncode == 0
    assert essay(HELLO).returncode == 0


def test_a_program_without_a_root_is_removed(essay):
    essay(HELLO + "``` python {file=x/y/b.py}\nx = 1\n```\n")
    (essay.build / "x" / "keep").write_text("")
    assert essay(HELLO).returncode == 0
    assert not (essay.build / "x" / "y" / "b.py").exists()
    assert (essay.build / "x" / "keep").exists()


def test_a_program_without_a_root_that_was_edited_is_kept(essay):
    essay(HELLO + "``` python {file=b.py}\nx = 1\n```\n")
    (essay.build / "b.py").write_text("mine\n")
    assert essay(HELLO).returncode == 1
    assert (essay.build / "b.py").read_text() == "mine\n"


def test_check_writes_nothing_and_shows_what_is_stale(essay):
    essay(HELLO)
    assert essay(HELLO, "--check").returncode == 0
    before = snapshot(essay.build)
    done = essay(BYE, "--check")
    assert done.returncode == 1
    assert "-print('hello')\n+print('bye')\n" in done.stdout
    assert "build/a.py: not what the essay says" in done.stderr.replace(os.sep, "/")
    assert snapshot(essay.build) == before


def test_a_link_does_not_lead_out_of_build(essay, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    essay.build.mkdir()
    (essay.build / "x").symlink_to(outside, target_is_directory=True)
    done = essay("``` python {file=x/a.py}\n```\n")
    assert done.returncode == 1
    assert "through a link" in done.stderr
    assert list(outside.iterdir()) == []


def test_a_file_may_become_a_directory_but_a_directory_no_file(essay):
    essay("``` c {file=a}\nx\n```\n``` c {file=b/c}\nx\n```\n")
    assert essay("``` c {file=a/d}\nx\n```\n``` c {file=b/c}\nx\n```\n").returncode == 0
    assert {path.as_posix() for path in snapshot(essay.build)} == {"a/d", "b/c", "SHA256SUMS"}
    before = snapshot(essay.build)
    done = essay("``` c {file=a/d}\ny\n```\n``` c {file=b}\nx\n```\n")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert snapshot(essay.build) == before


def test_a_chunk_with_the_name_of_a_target(essay):
    assert essay("``` c {file=main}\n<<main>>\n```\n``` c {#main}\nx\n```\n").returncode == 0


@pytest.mark.parametrize("character", ["\x1b", "\u202e", "\x7f", "\u200b", "\x9b", "\ud7ff"])
def test_control_characters_in_the_name_of_a_target_do_not_reach_the_terminal(folder, character):
    essay = folder / "essay.md"
    ((line, message),) = errors_of(f"``` python {{file=a{character}[31mb.py}}\nx = 1\n```\n")
    assert (line, message[:2]) == (1, "a\\")
    assert message.isprintable()
    with (folder / "build" / "SHA256SUMS").open("a", encoding="utf-8") as sums:
        sums.write(f"{'0' * 64}  a{character}.py\n")
    (folder / "build" / f"a{character}.py").write_text("")
    for mode in MODES:
        assert quietly(mode, essay)[::2] in ((0, ""), (1, f"{folder / 'build' / 'SHA256SUMS'}: {STALE}\n"))
    essay.write_bytes(SECOND)
    status, out, said = quietly(write_programs, essay)
    assert (status, said) == (0, "")
    assert out.replace("\n", "").isprintable()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_messages_in_any_encoding(essay, encoding):
    def tangle_with(*arguments):
        return subprocess.run([sys.executable, ROOT / "tangle.py", *arguments], cwd=essay.build.parent, check=False,
                              capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})  # fmt: skip

    assert b"usage: python3 tangle.py" in tangle_with("--help").stdout
    essay("``` python {file=é→.py}\nprint('é→', x$)\n```\n")
    assert b"essay.md:2: " in tangle_with("essay.md").stderr
    essay("``` python {file=é→.py}\nprint('é→')\n```\n")
    (essay.build / "é→.py").write_text("→é", encoding="utf-8")
    for flags in ([], ["--check"], ["--stitch"], ["--force"]):
        assert b"Traceback" not in tangle_with("essay.md", *flags).stderr
    assert b"Traceback" not in tangle_with("é→.md").stderr


@pytest.mark.parametrize("damage", [
    b"\xff\xfe\0binary", b"0" * 64 + b"  ", b"0" * 64 + b"  /etc/passwd", b"0" * 64 + b"  ../precious",
    b"0" * 64 + b"  x/../../precious", b"0" * 64 + b"  folder", b"0" * 64 + b"  folder/..",
    b"0" * 64 + b"  link/precious",
    b"0" * 64 + b"  " + b"x" * 5000, b"0" * 64 + b"  " + b"x/" * 3000, b"x" * 64 + b"  mine", b"0" * 64 + b"  a.py/b",
    b"0" * 64 + b"  SHA256SUMS", b"0" * 64, b"0" * 64 + b" *mine", b"\r", b"0" * 64 + b"  mine\x85", b"<<<<<<< HEAD",
])  # fmt: skip
def test_whatever_is_in_the_sums_every_tangle_works_and_touches_nothing_else(essay, tmp_path, damage):
    essay(HELLO)
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("precious")
    (essay.build / "folder").mkdir()
    (essay.build / "folder" / "mine").write_text("mine")
    (essay.build / "mine").write_text("mine")
    (essay.build / "link").symlink_to(tmp_path / "outside")
    sums = (essay.build / "SHA256SUMS").read_bytes()
    before = snapshot(tmp_path)
    for mode in MODES[:3]:
        (essay.build / "SHA256SUMS").write_bytes(damage + b"\n" + sums)
        assert quietly(mode, tmp_path / "essay.md") == (0, "", "")
        assert snapshot(tmp_path) == before
        assert quietly(check_programs, tmp_path / "essay.md") == (0, "", "")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("link", ["build", "build/x", "build/x/y", "build/x/y/a.py", "build/x/y/b.py"])
def test_nothing_is_written_through_a_link(essay, tmp_path, link, mode):
    """A link to a copy of what it stands for, in which a program is edited, and one is not what the essay says."""
    text = HELLO.replace("a.py", "x/y/a.py") + "``` python {file=x/y/b.py}\nx = 1\n```\n"
    essay(text)
    (essay.build / "x" / "y" / "b.py").write_text("x = 2\n")
    link = tmp_path / link
    outside = link.rename(tmp_path / "outside")
    link.symlink_to(outside, target_is_directory=outside.is_dir())
    before = snapshot(tmp_path)
    for now in (text, text.replace("hello", "bye")):
        (tmp_path / "essay.md").write_text(now)
        with pytest.raises(OSError, match="through a link"):
            quietly(mode, tmp_path / "essay.md")
        assert snapshot(tmp_path) == before | {Path("essay.md"): now.encode()}


def test_what_is_no_file_is_not_read(essay):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes with names")
    essay.build.mkdir()
    os.mkfifo(essay.build / "a.py")
    done = essay(HELLO)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_damaged_sums_do_no_harm(essay):
    essay(HELLO)
    with (essay.build / "SHA256SUMS").open("ab") as file:
        file.write(b"\xff\n" + b"0" * 64 + b"  a\0b\n" + b"0" * 64 + b"  ../precious\n")
    precious = essay.build.parent / "precious"
    precious.write_text("")
    assert essay(BYE).returncode == 0
    assert precious.exists()


@pytest.mark.parametrize("blocked", ["a.py", "SHA256SUMS"])
def test_a_directory_where_a_file_should_be(essay, blocked):
    (essay.build / blocked).mkdir(parents=True)
    done = essay(HELLO)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("tangle.py: ")
    assert snapshot(essay.build) == {}


def test_a_file_where_a_directory_should_be(essay):
    essay.build.mkdir()
    (essay.build / "x").write_text("file")
    done = essay(HELLO + "``` python {file=x/b.py}\n```\n")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert snapshot(essay.build) == {Path("x"): b"file"}


# Against other tanglers

NAMES = [f"chunk-{i}" for i in range(6)]


@st.composite
def chunk_graphs(draw):
    """Return {name: lines}, a line being a text or a reference (indentation, name) to a chunk further on."""
    graph = {}
    for i, name in enumerate(["root", *NAMES]):
        texts = st.sampled_from(["", "x = 1", "    indented", "# <<", "`code`", "\tтаб"])
        lines = draw(st.lists(texts, max_size=4))
        if later := NAMES[i:]:
            lines += draw(st.lists(st.tuples(st.sampled_from(["", "  ", "\t"]), st.sampled_from(later)), max_size=3))
        graph[name] = draw(st.permutations(lines))
    graph["root"] = [*graph["root"], *[("", name) for name in NAMES]]
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
            pieces.append((name, f"``` text {{{header}}}\n" + "".join(line + "\n" for line in part) + FENCE))
    order = data.draw(st.permutations(range(len(graph))))
    names = list(graph)
    pieces.sort(key=lambda piece: order[names.index(piece[0])])  # in any order, but the parts of a chunk in theirs
    essay = "\n\nProse.\n\n".join(text for _, text in pieces)
    expected = "\n".join(naive(graph, "root")).rstrip("\n") + "\n"
    assert render(tangle(essay)["out.txt"]) == expected


def test_entangled_makes_the_same_programs(tmp_path):
    """Entangled, an independent tangler, makes the same bytes of all that is Python, but for the last line end."""
    entangled = Path(sys.executable).with_name("entangled")
    if not entangled.exists():
        pytest.skip("entangled-cli is not installed")
    text = re.sub(r"^(``` \w+)\n<<(.+)>>=$", r"\1 {#\2}", ESSAY.read_text(encoding="utf-8"), flags=re.M)
    (tmp_path / "microgpt.md").write_text(text, encoding="utf-8")
    (tmp_path / "entangled.toml").write_text(
        dedent(r"""
        version = "2.0"
        watch_list = ["microgpt.md"]
        annotation = "naked"
        [markers]
        open = '^(?P<indent>\s*)``` python\s+{(?P<properties>[^{}]*)}\s*$'
        close = '^(?P<indent>\s*)```\s*$'
        """)
    )
    subprocess.run([entangled, "tangle"], cwd=tmp_path, check=True, capture_output=True)
    ours = {Path(target) for target in tangle(ESSAY.read_text(encoding="utf-8")) if target.endswith(".py")}
    assert ours == {path.relative_to(tmp_path) for path in tmp_path.rglob("*.py")}
    for path in ours:
        assert (tmp_path / path).read_text(encoding="utf-8") + "\n" == (BUILD / path).read_text(encoding="utf-8")


def test_a_name_may_stand_on_the_first_line_of_its_fence():
    essay = "``` python {file=a.py}\n<<x>>\n```\n``` python\n<<x>>=\nx = 1\n```\n``` python {#x}\ny = 2\n```\n"
    named = parse(essay)[0][1]
    assert (named.kind, named.name, named.code) == ("definition", "x", ["x = 1"])
    assert (named.start, named.line, named.end) == (4, 5, 7)
    assert [(line.text, line.origin) for line in tangle(essay)["a.py"]] == [("x = 1", 6), ("y = 2", 9)]
    assert parse("``` c\n<<x>>=\n```\n")[0][0].code == []


@pytest.mark.parametrize(
    ("essay", "line", "message"),
    [
        ("``` python\nx = 1\n```\n", 1, "malformed: a chunk is ``` python, with that blank, and then <<name>>"),
        ("``` python {#x}\n<<x>>=\n```\n", 2, "malformed: a reference <<name>> is alone on its line"),
        ("``` python\n<<x>>=\n<<y>>=\n```\n", 3, "malformed: a reference <<name>> is alone on its line"),
        ("``` python\n<<X>>=\n```\n", 1, "malformed: a chunk is"),
        (
            "`` python\n<<x>>=\nx = 1\n```\n",
            2,
            "malformed: this names a chunk, but no fence, such as ``` python, begins above",
        ),
        ("``` python\n<<x>>=\nx = 1\n", 1, "unclosed: this fence is open until the end"),
        ("``` python\n<<x>>=", 1, "unclosed: this fence is open until the end"),
    ],
)
def test_a_name_on_a_line_that_is_wrong_is_said_where_it_is(essay, line, message):
    errors = parse(essay)[1]
    assert [number for number, text in errors if text.startswith(message)] == [line]


def test_names_of_chunks_can_be_read_where_markdown_is_shown():
    """GitHub shows nothing of what stands behind the backticks, but the first line of the code."""
    chunks = [fence for fence in parse(ESSAY.read_text(encoding="utf-8"))[0] if fence.kind == "definition"]
    assert chunks and all(chunk.names_itself for chunk in chunks)


def test_chunks_of_the_essay_are_short():
    """A chunk is at most about a dozen lines: what fits between two questions."""
    long = [chunk for chunk in parse(ESSAY.read_text(encoding="utf-8"))[0] if chunk.kind == "definition"
            and len([line for line in chunk.code if line.strip()]) > 13]  # fmt: skip
    assert long == []


def test_every_name_in_the_prose_exists():
    """⟨name⟩ in the prose stands for a chunk."""
    text = ESSAY.read_text(encoding="utf-8")
    names = {chunk.name.replace("-", " ") for chunk in parse(text)[0]}
    assert set(re.findall("⟨([^⟩]+)⟩", text)) <= names


# Whatever comes

PIECES = ["``` python {file=a.py}", "``` c {file=b/c}", "``` c {#x}", "``` python {#y}", "<<x>>", "  <<y>>", "```",
          "````", "~~~", "x = 1", "(", "'''", "\\", "", "  ", "\x0c", "\0", "é", "```python name=\"z\"",
          "``` {file=", "# T"]  # fmt: skip


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=30).map("\n".join))
def test_a_random_essay_is_tangled_or_its_errors_have_lines(text):
    try:
        programs = tangle(text)
    except TangleError as error:
        assert error.errors
        assert all(1 <= line <= text.count("\n") + 1 for line, _ in error.errors)
    else:
        assert all(render(program).endswith("\n") for program in programs.values())


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes(essay, seed):
    done = essay(random.Random(seed).randbytes(seed**3))
    assert done.returncode == 1
    assert re.match(r"essay\.md:\d+: ", done.stderr)
    assert "Traceback" not in done.stderr
    assert not essay.build.exists()


def nested(depth):
    """Return an essay with chunks inside of each other."""
    text = ROOT_CHUNK + "<<c1>>\n```\n"
    text += "".join(f"``` c {{#c{i}}}\nx{i} = 1\n<<c{i + 1}>>\n```\n" for i in range(1, depth))
    return text + f"``` c {{#c{depth}}}\ny\n```\n"


def test_chunks_nested_a_hundred_deep_and_no_deeper():
    assert len(tangle(nested(100))["a.py"]) == 100
    for depth in (101, 5000):
        assert errors_of(nested(depth))[0] == (402, "too deep: <<c101>> is more than 100 chunks inside of each other")
    short_cut = nested(100).replace("<<c1>>", "<<c60>>\n<<c1>>") + "``` c {file=b}\n<<d1>>\n```\n"
    short_cut += "".join(f"``` c {{#d{i}}}\n<<d{i + 1}>>\n```\n" for i in range(1, 60)) + "``` c {#d60}\n<<c60>>\n```\n"
    assert "too deep: <<c60>>" in errors_of(short_cut)[0][1]


def test_a_small_essay_does_not_become_a_program_without_end():
    text = ROOT_CHUNK + "<<c0>>\n```\n"
    text += "".join(f"``` c {{#c{i}}}\n<<c{i + 1}>>\n<<c{i + 1}>>\n```\n" for i in range(40))
    assert errors_of(text + "``` c {#c40}\ny\n```\n") == [(1, "a.py would have more than 1,000,000 lines")]


def test_neither_do_several_programs_or_chunks_without_a_line():
    text = "".join(f"``` c {{#c{i}}}\n<<c{i + 1}>>\n<<c{i + 1}>>\n```\n" for i in range(40))
    assert errors_of(ROOT_CHUNK + "<<c0>>\n```\n" + text + "``` c {#c40}\n```\n") == [
        (1, "a.py would have more than 1,000,000 lines")]  # fmt: skip
    roots = "".join(f"``` c {{file=f{i}}}\n<<c22>>\n```\n" for i in range(5))  # 262,144 lines each, and references
    text = "".join(f"``` c {{#c{i}}}\n<<c{i + 1}>>\n<<c{i + 1}>>\n```\n" for i in range(22, 40))
    assert errors_of(roots + text + "``` c {#c40}\ny\n```\n") == [
        (4, "with f1 all programs would have more than 1,000,000 lines"),
        (7, "with f2 all programs would have more than 1,000,000 lines"),
        (10, "with f3 all programs would have more than 1,000,000 lines"),
        (13, "with f4 all programs would have more than 1,000,000 lines"),
    ]  # fmt: skip


def calls(function, *arguments):
    """Return how many function calls, Python's and C's, a call takes."""
    count = 0

    def count_calls(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(count_calls)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return count


def test_the_work_grows_with_the_length_of_the_essay_and_not_faster():
    def essay_of(chunks):
        body = "".join(f"<<c{i}>>\n" for i in range(chunks)) + "```\n"
        return ROOT_CHUNK + body + "".join(f"\n``` c {{#c{i}}}\n" + "x = 1\n" * 9 + "```\n" for i in range(chunks))

    small, large = (calls(tangle, essay_of(n)) for n in (200, 1600))
    assert large < 8.5 * small


def test_a_full_disk(essay):
    """A limit on the size of files does what a full disk does."""
    resource = pytest.importorskip("resource", reason="this system has no limits on the size of files")
    essay(HELLO)
    before = snapshot(essay.build)
    (essay.build.parent / "essay.md").write_text("``` c {file=0}\nx\n```\n" + ROOT_CHUNK + "x = 1\n" * 5000 + "```\n")
    done = subprocess.run(
        [sys.executable, ROOT / "tangle.py", "essay.md"], cwd=essay.build.parent, capture_output=True, text=True,
        check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert snapshot(essay.build) == before


def test_a_folder_that_cannot_be_written(essay):
    essay(HELLO)
    essay.build.chmod(0o555)
    try:
        if os.access(essay.build, os.W_OK):
            pytest.skip("for this user no folder is read-only")
        done = essay(BYE)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    finally:
        essay.build.chmod(0o755)


# Interruptions: a tangle that is killed, or that fails, at any moment

STEPS = ("write_bytes", "replace", "unlink", "mkdir", "rmdir", "chmod")


def interrupted(number, act, function, *arguments):
    """Call a function in a process of its own where `act` comes before the change to files of that number, from 0.

    A file that was to be written then is half written. Return whether there were so many changes.
    """
    process = os.fork()
    if not process:
        countdown = itertools.count(number, -1)

        def interrupting(step):
            def do(path, *rest, **options):
                if next(countdown) == 0:
                    if step.__name__ == "write_bytes":
                        step(path, rest[0][: len(rest[0]) // 2])
                    act()
                return step(path, *rest, **options)

            return do

        try:
            for name in STEPS:
                setattr(Path, name, interrupting(getattr(Path, name)))
            with Path(os.devnull).open("w") as sys.stdout, Path(os.devnull).open("w") as sys.stderr:
                function(*arguments)
        finally:
            os._exit(next(countdown) < 0)
    return os.waitpid(process, 0)[1] != 0


def killed(number, function, *arguments):
    """Call a function in a process that is killed before its change to files of that number; return whether it was."""
    return interrupted(number, lambda: os.kill(os.getpid(), signal.SIGKILL), function, *arguments)


def put_back(folder, files):
    """Make a folder what snapshot() saw."""
    shutil.rmtree(folder)
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def contents(essay):
    """Return {target: bytes} of all programs of an essay, given as bytes."""
    return {target: render(program).encode() for target, program in tangle(essay.decode()).items()}


def assert_tangled(folder, text):
    """In a folder are an essay, the programs that it makes, their sums, and nothing else."""
    files = {path.as_posix(): data for path, data in snapshot(folder).items()}
    assert files.pop("essay.md") == text
    del files["build/SHA256SUMS"]
    assert files == {f"build/{target}": data for target, data in contents(text).items()}


@KILLING
def test_a_tangle_that_is_killed_leaves_no_half_file_and_no_false_alarm(folder):
    """Before every single change to a file; afterwards the same essay, the one before or another one is tangled."""
    essay = folder / "essay.md"
    before = snapshot(folder) | {Path("essay.md"): SECOND}
    versions = {target: {data, contents(SECOND).get(target)} for target, data in contents(FIRST).items()}
    for number in itertools.count():
        put_back(folder, before)
        if not killed(number, write_programs, essay):
            break
        after = snapshot(folder)
        for path, data in after.items():
            if not path.name.startswith(".tangle-") and path.parts[0] == "build" and path.name != "SHA256SUMS":
                target = path.relative_to("build").as_posix()
                assert data in versions.get(target, {contents(SECOND).get(target)})
        for text in (SECOND, FIRST, THIRD):
            put_back(folder, after | {Path("essay.md"): text})
            status, _, said = quietly(write_programs, essay)
            assert (status, said) == (0, ""), number
            assert_tangled(folder, text)
        put_back(folder, after)  # killed twice
        essay.write_bytes(THIRD)
        killed(number // 2, write_programs, essay)
        essay.write_bytes(FIRST)
        assert quietly(write_programs, essay)[::2] == (0, ""), number
        assert_tangled(folder, FIRST)
    assert number > 20
    assert_tangled(folder, SECOND)


@KILLING
def test_a_tangle_that_fails_after_one_that_was_killed_forgets_nothing(folder, monkeypatch):
    """What the killed one wrote is still known when the failed one has taken back all of its own."""
    essay = folder / "essay.md"
    before = snapshot(folder) | {Path("essay.md"): SECOND}
    plain = tangler.write

    def fail_at_the_end(changes):
        plain([*changes, tangler.Change(folder / "never", b"there", b"")])

    for number in itertools.count(0, 4):
        put_back(folder, before)
        if not killed(number, write_programs, essay):
            break
        after = {path: data for path, data in snapshot(folder).items() if not re.match(r"\.tangle-\d", path.name)}
        essay.write_bytes(THIRD)
        with monkeypatch.context() as patched, pytest.raises(OSError, match="in the meantime"):
            patched.setattr(tangler, "write", fail_at_the_end)
            quietly(write_programs, essay)
        assert {**snapshot(folder), Path("build/.tangle-journal"): b""} == {
            **after, Path("essay.md"): THIRD, Path("build/.tangle-journal"): b""}  # fmt: skip
        assert quietly(write_programs, essay)[::2] == (0, "")
        assert_tangled(folder, THIRD)


@KILLING
def test_an_edit_after_an_interruption_is_not_carried_over_an_essay_that_was_changed(folder):
    """The edited file may not have been reached; then the edit was made in code of before, and --stitch refuses."""
    essay, program = folder / "essay.md", folder / "build" / "b"
    before = snapshot(folder) | {Path("essay.md"): SECOND}
    diverged = 0
    for number in itertools.count():
        put_back(folder, before)
        if not killed(number, write_programs, essay):
            break
        old = program.read_bytes() == contents(FIRST)["b"]
        program.write_bytes(program.read_bytes() + b"mine\n")
        after = snapshot(folder)
        for text in (SECOND, THIRD) if old else (FIRST, THIRD):
            put_back(folder, after | {Path("essay.md"): text})
            for mode in (write_programs, check_programs, stitch_programs):
                status, _, said = quietly(mode, essay)
                assert status == 1
                assert f"{program}: edited by hand, from other code" in said
            assert essay.read_bytes() == text
            assert program.read_bytes() == after[Path("build/b")]
            diverged += 1
    assert diverged > 30


@KILLING
def test_an_edit_after_a_tangle_that_was_killed_when_all_was_done(folder):
    essay, program = folder / "essay.md", folder / "build" / "b"
    before = snapshot(folder) | {Path("essay.md"): SECOND}
    after = [before]
    while put_back(folder, before) or killed(len(after) - 1, write_programs, essay):
        after.append(snapshot(folder))
    put_back(folder, after[-1])
    assert (folder / "build" / ".tangle-journal").exists()
    program.write_bytes(program.read_bytes() + b"mine\n")
    assert quietly(stitch_programs, essay)[0] == 0
    assert b"mine" in essay.read_bytes()


@KILLING
def test_a_stitch_that_is_killed(folder):
    """The essay is as before, and the edit is still to be stitched, or it has the edit, and a tangle does the rest."""
    essay = folder / "essay.md"
    (folder / "build" / "b").write_bytes(contents(FIRST)["b"] + b"mine\n")
    before = snapshot(folder)
    stitched = FIRST.replace(b"end of first\n", b"end of first\nmine\n")
    seen = set()
    for number in itertools.count():
        put_back(folder, before)
        if not killed(number, stitch_programs, essay):
            break
        text = essay.read_bytes()
        assert text in (FIRST, stitched)
        status, _, said = quietly(write_programs, essay)
        if text == FIRST:
            assert status == 1
            assert "edited by hand (--stitch" in said
            assert quietly(stitch_programs, essay)[0] == 0
        else:
            assert (status, said) == (0, "")
        assert_tangled(folder, stitched)
        seen.add(text)
    assert seen == {FIRST, stitched}
    assert_tangled(folder, stitched)


@KILLING
@pytest.mark.parametrize("flags", [["--force"], ["--stitch"]])
def test_a_tangle_that_is_terminated_takes_back_what_it_did(folder, flags, monkeypatch):
    """Before every change to a file the process gets SIGTERM; then it is all or none, and nothing is left."""
    essay = folder / "essay.md"
    text = FOLDER
    if flags == ["--stitch"]:
        text = FIRST.replace(b"end of first\n", b"end of first\nmine\n")
        (folder / "build" / "b").write_bytes(contents(FIRST)["b"] + b"mine\n")
    else:
        essay.write_bytes(FOLDER)
    before, states = snapshot(folder), set()
    monkeypatch.setattr(sys, "argv", ["tangle.py", str(essay), *flags])
    for number in itertools.count():
        put_back(folder, before)
        if not interrupted(number, lambda: os.kill(os.getpid(), signal.SIGTERM), main):
            break
        after = snapshot(folder)
        assert not [path for path in after if re.match(r"\.tangle-\d", path.name)]
        states.add(after == before)
        if after != before:
            assert quietly(write_programs, essay)[::2] == (0, "")
            assert_tangled(folder, text)
    assert states == {True, False}


@KILLING
def test_a_tangle_that_fails_midway_changes_nothing(folder):
    """Each change to a file fails once; all that was done is taken back, with the folders that were made."""

    def fail():
        raise OSError("a failure in the middle")

    essay = folder / "essay.md"
    essay.write_bytes(FOLDER)
    before, folders, survived = snapshot(folder), {*folder.rglob("*/")}, 0
    for number in itertools.count():
        if not interrupted(number, fail, write_programs, essay):
            break
        if snapshot(folder) == before:
            assert {*folder.rglob("*/")} == folders
        else:  # it failed when all was done
            survived += 1
            assert {target: (folder / "build" / target).read_bytes() for target in contents(FOLDER)} == contents(FOLDER)
            assert quietly(write_programs, essay)[::2] == (0, "")
            assert_tangled(folder, FOLDER)
            put_back(folder, before)
    assert number > 20
    assert survived < number / 2


LONG = "".join(f"``` c {{file=f{i}}}\nVERSION\n```\n" for i in range(60))


@KILLING
def test_what_the_dead_have_left_is_removed_and_what_the_living_write_is_not(folder):
    """Beside the essay, in build/ and in the folders of targets: those of now, of before, and of an interruption."""
    dead = os.fork() or os._exit(0)
    os.waitpid(dead, 0)
    (folder / "build" / "new").mkdir()
    (folder / "build" / ".tangle-journal").write_text(f"{'0' * 64}  new/g\n")
    living = {process: f".tangle-{process}-7" for process in (os.getpid(), os.getppid(), 10**30)}
    for place in (".", "build", "build/x", "build/y", "build/y/z", "build/new"):
        for name in (f".tangle-{dead}-0", f".tangle-{dead}-12", *living.values()):
            (folder / place / name).write_text("half")
    (folder / "essay.md").write_bytes(version("second", "b"))
    assert quietly(write_programs, folder / "essay.md")[::2] == (0, "")
    left = [path.name for path in snapshot(folder) if path.name.startswith(".tangle")]
    assert sorted(left) == sorted([*living.values()] * 6)


def test_files_that_threads_write_at_the_same_time(tmp_path):
    """None takes the other's temporary file, and no tangle takes it for one that was left."""
    essay = tmp_path / "essay.md"
    (tmp_path / "build").mkdir()

    def write_often(name):
        for number in range(100):
            put(tmp_path / "build" / name, f"{name} {number}".encode())

    def tangle_often(_):
        for number in range(30):
            put(essay, version(f"version {number}", "a", "b"))
            assert write_programs(essay) == 0

    with ThreadPoolExecutor() as pool, redirect_stdout(io.StringIO()):
        for done in [pool.submit(write_often, "one"), pool.submit(write_often, "two"), pool.submit(tangle_often, 0)]:
            done.result()
    assert (tmp_path / "build" / "one").read_text() == "one 99"
    assert {path.name for path in snapshot(tmp_path)} == {"essay.md", "a", "b", "SHA256SUMS", "one", "two"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", ["decode", "changes_in"])
def test_a_tangle_is_alone_from_its_first_look(folder, monkeypatch, mode, step):
    """Else it might see half of what another one does, and take it for an edit by hand."""
    fcntl = pytest.importorskip("fcntl", reason="this system has no such locks")
    plain, handle, seen = getattr(tangler, step), os.open(folder, os.O_RDONLY), []

    def look(*arguments):
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen.append(step)
        return plain(*arguments)

    monkeypatch.setattr(tangler, step, look)
    assert quietly(mode, folder / "essay.md")[0] == 0
    assert seen
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)


@KILLING
def test_followers_of_one_essay_that_is_saved_again_and_again(folder):
    """Two processes tangle it all the time; never does one of them take what the other writes for an edit by hand."""
    essay, texts = folder / "essay.md", [FIRST, SECOND, THIRD, FOLDER.replace(b"file=a/", b"file=g/")]
    followers = []
    for _ in range(2):
        process = os.fork()
        if not process:
            status = 1
            try:
                while not (folder / "stop").exists():
                    with contextlib.suppress(TangleError):  # an essay that is half saved
                        for mode in (write_programs, check_programs):
                            assert "edited" not in quietly(mode, essay)[2]
                status = 0
            finally:
                os._exit(status)
        followers.append(process)
    for number in range(150):
        essay.write_bytes(texts[number % 4])
        time.sleep(0.002)
    (folder / "stop").write_text("")
    assert [os.waitpid(process, 0)[1] for process in followers] == [0, 0]
    (folder / "stop").unlink()
    assert quietly(write_programs, essay)[::2] == (0, "")
    assert_tangled(folder, texts[149 % 4])


def test_a_target_that_cannot_be_replaced(folder):
    """Neither a file that is made immutable nor a folder in its place lets the others change."""
    essay, program = folder / "essay.md", folder / "build" / "x" / "c"
    essay.write_bytes(SECOND)
    before = snapshot(folder)
    if shutil.which("chattr") and not subprocess.run(["chattr", "+i", program], check=False).returncode:
        try:
            with pytest.raises(OSError, match="not permitted"):
                quietly(write_programs, essay)
        finally:
            subprocess.run(["chattr", "-i", program], check=True)
        assert snapshot(folder) == before
    program.unlink()
    program.mkdir()
    before = snapshot(folder)
    for mode in MODES:
        with pytest.raises(OSError, match="in place of a folder"):
            quietly(mode, essay)
        assert snapshot(folder) == before


def test_two_tangles_at_once(essay):
    for version in range(5):
        text = LONG.replace("VERSION", f"version {version}")
        (essay.build.parent / "essay.md").write_text(text)
        command = [sys.executable, ROOT / "tangle.py", "essay.md"]
        both = [subprocess.Popen(command, cwd=essay.build.parent, stdout=subprocess.DEVNULL) for _ in range(2)]
        assert [process.wait() for process in both] == [0, 0]
        assert essay(text, "--check").returncode == 0


def test_links(essay, tmp_path):
    outside = tmp_path / "precious"
    outside.write_text("precious\n")
    essay.build.mkdir()
    for link, to in (("a.py", outside), ("b.py", "b.py"), ("c.py", tmp_path / "missing")):
        (essay.build / link).symlink_to(to)
        done = essay(HELLO.replace("a.py", link))
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert outside.read_text() == "precious\n"


def test_a_reader_that_leaves_and_an_output_that_is_full(essay):
    essay(HELLO)
    (essay.build / "a.py").write_text("mine\n" * 100_000)
    process = subprocess.Popen([sys.executable, ROOT / "tangle.py", "essay.md", "--check"], cwd=essay.build.parent,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.wait()
    if Path("/dev/full").exists():
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            done = subprocess.run([sys.executable, ROOT / "tangle.py", "essay.md", "--check"], cwd=essay.build.parent,
                                  stdout=full, stderr=subprocess.PIPE, check=False)  # fmt: skip
        assert done.returncode != 0
        assert b"Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="closed streams need a POSIX shell")
@pytest.mark.parametrize("arguments", ["--check >&-", "--where - <&-", "--where - </dev/zero", "--run", "--where"])
def test_odd_streams_and_flags(essay, arguments):
    essay(HELLO)
    if "zero" in arguments:
        arguments = "--where - <bytes"
        (essay.build.parent / "bytes").write_bytes(b"\xff\n")
    command = f'"{sys.executable}" "{ROOT / "tangle.py"}" essay.md {arguments}'
    done = subprocess.run(["sh", "-c", command], cwd=essay.build.parent, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONIOENCODING": "ascii"})  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 1


def test_files_of_others_that_look_like_ours_are_left_alone(essay):
    folder = essay.build.parent
    (folder / ".tangle-999999999-notes").write_text("mine")
    (folder / ".tangle-999999999-0").mkdir()
    assert essay(HELLO).returncode == 0
    assert (folder / ".tangle-999999999-notes").read_text() == "mine"
    assert (folder / ".tangle-999999999-0").is_dir()
