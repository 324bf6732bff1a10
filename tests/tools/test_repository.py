"""The repository as a whole: what stands where, what must never get into it, and that linters are content."""

import ast
import re
import shutil
import subprocess
import sys

import pytest
from programs import BUILD, ESSAY, PROGRAMS, PYTHON, ROOT, lacking, missing, run, tracked_files

import tangle


@pytest.fixture(scope="module")
def files():
    """The files of the project."""
    found = tracked_files()
    if found is None:
        pytest.skip("this is no git checkout")
    return found


def test_layout(files):
    """At the top level stand the essay, its tangler, and what the ecosystem demands."""
    top = {path.relative_to(ROOT).parts[0] for path in files}
    assert top <= {".ci", ".gitattributes", ".github", ".gitignore", "LICENSE", "README.md", "build", "docs",
                   "CONTRIBUTING.md", "microgpt.md", "mkdocs.yml", "pyproject.toml", "tangle.py", "tests"}  # fmt: skip


def test_nothing_hand_written_is_in_build_and_nothing_generated_in_docs(files):
    built = {path.relative_to(BUILD).as_posix() for path in files if path.is_relative_to(BUILD)}
    essay = {path for path in built if re.fullmatch(r"essay/([\w-]+\.md|figures/[\w-]+\.svg|SHA256SUMS)", path)}
    assert built - essay == {*PROGRAMS, "SHA256SUMS"}


COMMANDS = [path for folder in (".", "docs", "docs/laboratory", "tests") for path in (ROOT / folder).glob("*.py")
            if "\nif __name__ ==" in path.read_text(encoding="utf-8")]  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_a_script_that_is_asked_says_what_it_is_for(path, tmp_path):
    """And does nothing else: some of them take an hour, or write files."""
    done = run("--help", program=path, cwd=tmp_path)
    if missing := re.search("^ModuleNotFoundError: (.*)", done.stderr, re.M):
        pytest.skip(f"{path.name}: {missing[1]}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage:" in done.stdout


# What a native author would not write: what instead. CONTRIBUTING.md has the rules.
SLIPS = dict(line.split(": ") for line in r"""
trainings: run, or runs
(that|as|if|when|how|than|and|but) one (can|could|may|might|must|should|has to|sees|expects|needs): you, or we
and not (?!always|at all|even|just|one|only|until|yet)[0-9a-z]+: instead of, or rather than
makes? of: turn into, or build from
(?<!nothing )(comes?|came) of(?! age): come from, or lead to
(stands?|stood|lies?|lay) (in|at|on|below|above|behind|beside|before|after|there|next|together|twice): is, or appears
what (is|was|are) (wrong|missing|shown|measured|needed|printed|drawn|computed|written|changed)(?! with|[^.]*\?): a noun
(?<!not )(has|have|had) to be (\w+ed|\w+en|done|found|kept|known|made|put|read|run|said|sent|told): must be
where ((there|that|it) (is|are) (no|none|not)|(an?|the|it|that|\w+thing) (\w+ )?(makes|fails)): if, or when
(?<!there )(is|are) no (edit|fence|figure|function|list|name|number|page|program|text|word)s?: is not a
places? (of|for) (an?|the|each|every) (letter|token)s?: position
(an?|the|with|without|by) blanks?(?! lines?|,): space, or whitespace
line ends?(?! with): line ending
makes? (a|one|each) steps?: take a step
some (minutes|hundreds?): a few minutes, or several hundred
(?<!/microgpt-)(web site|behavior|favorite|neighbor|optimiz|initializ)\w*: British spelling, or website
anew: again, or afresh""".strip().split("\n"))  # fmt: skip


def prose_of(path):
    """Yield (line, prose) of a file: Markdown outside fences and code, or the docstrings and messages of a script."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        inside = {n for fence in tangle.parse(text)[0] for n in range(fence.start, fence.end + 1)}
        lines = enumerate(text.split("\n"), 1)
        yield from ((n, re.sub("`[^`]*`|<[^>]*>", "`", line)) for n, line in lines if n not in inside)
    elif path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                yield from enumerate(node.value.split("\n"), node.lineno)
    else:
        for n, line in enumerate(text.split("\n"), 1):
            yield from ((n, words) for words in re.findall(r"""["`>]([^"`<>]* [^"`<>]*)["`<]""", line))


PROSE = [ROOT / name for name in ("microgpt.md", "README.md", "CONTRIBUTING.md", "docs/tools.md", "tangle.py")]
PROSE += [path for form in ("**/*.py", "assets/**/*.js", "t*/*.html") for path in sorted((ROOT / "docs").glob(form))]


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_prose_messages_and_docstrings_have_none_of_the_commonest_slips(path):
    found = [f"{path.name}:{n}: “{match[0]}”: better: {better}" for n, text in prose_of(path)
             for slip, better in SLIPS.items() for match in re.finditer(rf"\b(?:{slip})\b", text, re.I)]  # fmt: skip
    assert not found, "\n".join(found)


def test_no_path_of_a_machine(files):
    private = re.compile(r"/(?:work|farm|root|home)/\w")
    for path in files:
        assert not private.search(path.read_text(encoding="utf-8", errors="replace")), path


def test_actions_are_pinned_and_the_job_that_may_publish_runs_nothing_of_ours():
    jobs = (ROOT / ".github" / "workflows" / "site.yml").read_text(encoding="utf-8").split("jobs:")[1]
    used = re.findall(r"uses: *(\S+)", jobs)
    assert [action for action in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action)] == []
    publishing = [job for job in re.split(r"\n(?=  \w+:)", jobs) if "write" in job]
    assert len(publishing) == 1
    assert "run:" not in publishing[0]


TYPED = [f"build/{target}" for target in PYTHON if not lacking(target)]


@pytest.mark.parametrize("linter", ["ruff check", "ruff format --check tangle.py docs", f"ty check {' '.join(TYPED)}"])
def test_linters_are_content(linter):
    name, *arguments = linter.split()
    command = shutil.which(name, path=f"{sys.prefix}/bin") or shutil.which(name)
    if not command:
        pytest.skip(f"{name} is not installed")
    arguments += ["--output-format", "concise"] if "check" in arguments else []
    done = subprocess.run([command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, tangle.where(done.stdout, ESSAY.relative_to(ROOT), PROGRAMS)


ASSETS = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs" / "assets").glob("**/*.js"))]
WORKERS = [path for path in ASSETS if path.endswith("worker.js")]
PAGES = ["docs/assets/editor.d.ts", "docs/weaver/serve.js", *(path for path in ASSETS if path not in WORKERS)]
SCRIPTS = {"dom,dom.iterable": PAGES, "webworker": WORKERS}  # {what is there: the scripts that use it}


@pytest.mark.skipif(bool(missing("tsc")), reason=missing("tsc"))
@pytest.mark.parametrize("library", SCRIPTS)
def test_the_types_of_scripts_are_right(library):
    options = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "es2022", "--lib", f"es2022,{library}",
               "--module", "es2022", "--moduleResolution", "node"]  # fmt: skip
    command = ["tsc", *options, "docs/assets/types.d.ts", *SCRIPTS[library]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
