"""The page on which the essay is edited and run: CPython in a real browser prints what it prints here."""

import random
import re

import pytest
from programs import BUILD, ROOT, TEXT, run
from test_site import tab  # noqa: F401 - a fixture
from weaver import playground
from weaver.essay import Essay

import tangle

needs_pyodide = pytest.mark.skipif(
    not playground.is_possible(), reason="Pyodide is not installed: pip install --group browser"
)
SMALL = {"num_steps": "12", "n_embd": "8", "n_head": "2", "samples": "3"}
FLAGS = [word for name, value in SMALL.items() for word in (f"--{name}", value)]


@pytest.fixture
def opened(tab):  # noqa: F811
    """Return a function that opens the page, with what is asked for after the #; sizes are small."""

    def open_page(asked="", flags=SMALL, **options):
        page = tab("run/" + asked, bypass_csp=False, **options)
        page.wait_for_selector("#run:not([hidden])")
        page.locator("summary", has_text="Sizes").click()
        for name, value in flags.items():
            page.fill(f"#run-{name}", value)
        return page

    return open_page


def end(page):
    """Wait until the run has ended, and return its output."""
    page.wait_for_selector("#run-start:enabled", timeout=60_000)
    return page.inner_text("#run-output")


@pytest.mark.slow
@needs_pyodide
def test_nothing_is_offered_for_running_that_the_browser_cannot_run(site):
    """Pieces of Python alone, and not those of C, JavaScript, NumPy or PyTorch."""
    offers = {path: (BUILD / "site" / path / "index.html").read_text(encoding="utf-8").count(">edit and run<")
              for path in ("the-model", "the-same-in-c", "in-a-browser", "with-pytorch")}  # fmt: skip
    assert offers.pop("the-model") > 5
    assert {*offers.values()} == {0}


@pytest.mark.slow
@needs_pyodide
def test_it_prints_what_python_prints_here_and_runs_again(opened):
    page = opened()
    page.click("#run-start")
    assert end(page).strip() == run(*FLAGS).stdout.strip()
    assert re.fullmatch(
        r"It has ended: the last losses are (\S+) on average \(the unchanged program: \1\)\. It wrote \w+, \w+, \w+ …",
        page.inner_text("#run-status"),
    )
    assert page.evaluate("document.activeElement.id") == "run-start"
    assert "after step 12" in page.get_attribute("#run-curve", "aria-label")
    page.select_option("#run-program", "exercises/top_k.py")
    page.fill("#run-more", "--top_k 2")
    page.focus("#run-editor")
    page.keyboard.press("Control+Enter")
    assert end(page).strip() == run(*FLAGS, "--top_k", "2", program=BUILD / "exercises" / "top_k.py").stdout.strip()
    page.fill("#run-n_head", "3")
    page.click("#run-start")
    assert end(page).strip() == "microgpt: --n_embd must be a multiple of --n_head"
    assert page.inner_text("#run-status") == "It has ended with an error, which the output shows."


@pytest.mark.slow
@needs_pyodide
def test_stop_lets_it_write_with_what_it_has_learned(opened):
    page = opened(flags={"n_embd": "8", "n_head": "2"})
    page.click("#run-start")
    page.locator("#run-output", has_text="step    3").wait_for(timeout=60_000)
    page.click("#run-stop")
    output = end(page)
    assert re.match(r"It was stopped after step \d+: the last losses are", page.inner_text("#run-status"))
    assert "step 1000" not in output and "sample 20:" in output
    page.fill("#run-beginning", "ma")
    for count in (1, 2, 3):
        page.click("#run-write:enabled")
        page.locator(f"#run-written span:nth-child({count})").wait_for()
    assert all(re.fullmatch("ma[a-z]*", name) for name in page.inner_text("#run-written").split())
    page.fill("#run-beginning", "q!")
    page.keyboard.press("Enter")
    page.locator("#run-status", has_text="It has never seen !: it knows abc").wait_for()
    page.fill("#run-heat", "0")
    page.click("#run-write:enabled")
    assert page.inner_text("#run-status") == "The temperature has to be a number from 0.1 to 5."
    page.select_option("#run-chunk", "train")
    code = page.input_value("#run-editor")
    page.fill("#run-editor", code.replace("    for step", "    while True: pass\n    for step"))
    page.click("#run-start")
    page.locator("#run-output", has_text="num params").wait_for()
    page.click("#run-stop")
    end(page)
    assert page.inner_text("#run-status") == "It did not answer, and was ended; the next run begins anew."


@pytest.mark.slow
@needs_pyodide
def test_a_change_is_run_shown_kept_shared_and_undone(opened, tmp_path):
    page = opened("#chunk=softmax")
    code = page.input_value("#run-editor")
    assert code.startswith("def softmax(logits):")
    page.fill("#run-editor", code.replace("return scale", "retrun scale"))
    page.click("#run-start")
    assert re.match(r"microgpt\.md:\d+: invalid syntax ⟨softmax⟩, line 5", end(page))
    before = page.evaluate("(e => e.value.slice(0, e.selectionStart))(document.activeElement)")
    assert before.endswith("\n    retrun scale(exps, total(exps) ** -1)")
    page.fill("#run-editor", code.replace("exp()", "expp()"))
    page.click("#run-start")
    assert "AttributeError: 'Value' object has no attribute 'expp'" in end(page)
    assert page.evaluate("document.activeElement.id") == "run-editor"
    changed = code.replace("** -1", "** -2")
    page.fill("#run-editor", changed)
    assert page.locator("#run-list del").all_inner_texts() == ["-    return scale(exps, total(exps) ** -1)"]
    assert page.locator("#run-list ins").all_inner_texts() == ["+    return scale(exps, total(exps) ** -2)"]
    with page.expect_download() as waiting:
        page.click("#run-essay")
    assert waiting.value.suggested_filename == "microgpt.md"
    essay = tmp_path / "microgpt.md"
    waiting.value.save_as(essay)
    assert essay.read_text(encoding="utf-8") == TEXT.replace(code, changed)
    page.click("#run-link")
    assert page.inner_text("#run-status").startswith("The ")  # link has been copied, or address holds it
    address = page.evaluate("location.href")
    assert "n_embd=8" in address
    page.reload()
    page.wait_for_selector("#run:not([hidden])")
    assert page.input_value("#run-editor") == changed
    page.locator("#run-list button", has_text="undo").click()
    assert page.locator("#run-changes").is_hidden() and page.input_value("#run-editor") == code
    other = opened("#" + address.partition("#")[2])  # somebody else, who follows the link
    other.click("#run-start")
    program = tmp_path / "changed.py"
    program.write_text((BUILD / "microgpt.py").read_text(encoding="utf-8").replace(code, changed), encoding="utf-8")
    assert end(other).strip() == run(*FLAGS, program=program).stdout.strip()


@pytest.mark.slow
@needs_pyodide
def test_the_field_is_coloured_keeps_the_indentation_and_lets_go(opened):
    page = opened("#chunk=softmax")
    code = page.input_value("#run-editor")
    assert page.locator(".pce-line .keyword").all_inner_texts()[:1] == ["def"]
    page.evaluate("document.getElementById('run-editor').setSelectionRange(20, 20)")  # the end of the first line
    page.focus("#run-editor")
    page.keyboard.press("Enter")
    page.keyboard.type("extra = [1]")
    assert page.input_value("#run-editor") == code.replace("logits):\n", "logits):\n    extra = [1]\n", 1)
    assert page.locator("#run-list ins").all_inner_texts() == ["+    extra = [1]"]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "run-undo"
    page.keyboard.press("Enter")
    assert page.input_value("#run-editor") == code


@pytest.mark.slow
@needs_pyodide
def test_a_tab_does_not_overwrite_what_another_one_has_kept(opened):
    page = opened("#chunk=rmsnorm")
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector("#run:not([hidden])")
    page.fill("#run-editor", page.input_value("#run-editor") + "# mine")
    other.locator("#run-status", has_text="Another tab has kept changes").wait_for()
    other.fill("#run-editor", other.input_value("#run-editor") + "# lost")
    page.reload()
    page.wait_for_selector("#run:not([hidden])")
    assert page.input_value("#run-editor").endswith("# mine")


@pytest.mark.slow
@needs_pyodide
def test_an_experiment_can_be_tried_from_where_it_stands(tab, opened):  # noqa: F811
    link = tab("the-model/").locator("#experiment-no-root .try a")
    page = opened("#" + link.get_attribute("href").partition("#")[2])
    assert page.locator("#run-experiment").evaluate("link => link.href").endswith("the-model/#experiment-no-root")
    assert page.input_value("#run-editor").startswith("def attend(")
    assert page.locator("#run-broken ins").all_inner_texts()[0].startswith("+    weights = softmax(")
    page.click("#run-start")
    words = "microgpt.md", "--run", "microgpt.py", "--break", "no-root", *FLAGS
    assert end(page).strip() == run(*words, program=ROOT / "tangle.py").stdout.strip()
    with page.expect_download() as waiting:
        page.click("#run-download")
    assert waiting.value.path().read_bytes() == (BUILD / "microgpt.py").read_bytes()
    page.fill("#run-editor", page.input_value("#run-editor").replace("** -0.5", "** 0.5"))
    page.click("#run-start")
    end(page)
    assert page.inner_text("#run-status").startswith("The experiment does not fit what you have changed")


@pytest.mark.slow
@needs_pyodide
def test_a_text_of_ones_own_is_learned_or_refused_with_a_line(opened, tmp_path):
    page = opened()
    page.locator("summary", has_text="Your own text").click()
    refused = [("empty.txt", b" \n", "is empty"), ("a.bin", b"\xff\0", "is no UTF-8 text"),
               ("large.txt", b"ab\n" * 2_000_000, "has 6 million bytes")]  # fmt: skip
    for name, data, reason in refused:
        (tmp_path / name).write_bytes(data)
        page.set_input_files("#run-file", tmp_path / name)
        page.locator("#run-status", has_text=f"{name} {reason}").wait_for()
        assert page.input_value("#run-text") == ""
    page.set_input_files("#run-file", ROOT / "docs" / "places.txt")
    page.locator("#run-status", has_text="places.txt was read").wait_for()
    page.click("#run-start")
    assert end(page).strip() == run(ROOT / "docs" / "places.txt", *FLAGS).stdout.strip()


def test_pyodide_is_the_one_that_was_tested_or_is_refused(monkeypatch):
    gone = {"pyodide": playground.PYODIDE._replace(package="no_such_package")}
    with monkeypatch.context() as patch:
        patch.setattr(playground, "CARRIED", gone)
        assert playground.carried() == {} and playground.files(Essay(TEXT), [], b"") == {}
    if playground.carried():
        for carrier in playground.CARRIED.values():
            for name in (next(iter(carrier.sums)), "missing.js"):
                with monkeypatch.context() as patch, pytest.raises(playground.OtherFilesError, match="--group browser"):
                    patch.setitem(carrier.sums, name, "0" * 64)
                    playground.carried()


def test_what_can_be_edited_has_the_names_of_the_essay():
    fences = [fence for fence in tangle.parse(TEXT)[0] if fence.kind in ("root", "definition")]
    assert [fence["name"] for fence in playground.fences(Essay(TEXT))] == [fence.name for fence in fences]
    assert playground.flags(Essay(TEXT).main)[0][:2] == ("n_embd", 16)


LINES = TEXT.split("\n")
PROSE = "Suppose you stand in a library."
SCORES = "    weights = softmax(scale([dot(query, key) for key in keys], value(len(query) ** -0.5)))"
FENCES = """text => import("../assets/run-text.js").then(({ fencesOf }) => fencesOf(text.split("\\n")).map(
    ({ kind, name, start, first, end }) => [kind, name, start + 1, first, end + 1]))"""
FIELD = "#run-text-of-essay"


@pytest.fixture
def whole(opened):
    """Return a function that opens the view of the whole essay, with the caret at a line and Python loaded."""

    def open_whole(line=PROSE):
        page = opened("#view=whole")
        page.select_option("#run-chapter", index=chapters(page).index("The model"))
        page.click("#run-load")
        page.locator(".run-line").first.wait_for(timeout=60_000)
        put_caret(page, line)
        return page

    return open_whole


def chapters(page):
    """The headings to choose from."""
    return [title.strip() for title in page.locator("#run-chapter option").all_text_contents()]


SELECT = """([field, text, length]) => {
    const area = document.querySelector(field), start = area.value.indexOf(text);
    area.focus();
    area.setSelectionRange(start, start + length);
}"""


def put_caret(page, line):
    """Put the caret at the beginning of a line of the chapter, and let the page know by a key."""
    page.evaluate(SELECT, [FIELD, line, 0])
    page.keyboard.press("Home")


def line_of_caret(page):
    """The line of the chapter on which the caret is, if it is there."""
    return page.evaluate("""field => {
        const { value, selectionStart } = document.activeElement;
        return document.activeElement.matches(field) && value.slice(0, selectionStart).split("\\n").at(-1)
            + value.slice(selectionStart).split("\\n")[0];
    }""", FIELD)  # fmt: skip


def edit(page, old, new):
    """Replace something in the chapter, as if it were selected and something else typed."""
    assert page.input_value(FIELD).count(old) == 1
    page.evaluate(SELECT, [FIELD, old, len(old)])
    page.keyboard.insert_text(new)


def shown(page):
    """The program beside the essay."""
    return "\n".join(page.locator(".run-line").all_text_contents()) + "\n"


def saved(page, button):
    """The text that a button lets one download."""
    with page.expect_download() as waiting:
        page.click(button)
    return waiting.value.path().read_text(encoding="utf-8")


@pytest.mark.slow
@needs_pyodide
@pytest.mark.parametrize("text", [
    TEXT,
    "~~~\n``` python {#a}\n~~~\n``` python\n<<b>>=\nx\n```\n  ````\n```\n  ````\n``` diff {#c}\n-x\n``` c {file=d.c}\n",
    '```python name="e"\n```text\n`````\n``` python\nf\n```\n``` c {file=g.c needs=cc}\n```x\n```\n``` c {#h} \n\n``` ',
], ids=["essay", "verbatim", "malformed"])  # fmt: skip
def test_the_page_finds_the_fences_that_tangle_finds(opened, text):
    kinds = {"demonstration": "other", "illustration": "other"}
    expected = [[kinds.get(fence.kind, fence.kind), "" if fence.kind in kinds else fence.name, fence.start, fence.line]
                for fence in tangle.parse(text)[0]]  # fmt: skip
    found = opened().evaluate(FENCES, text)
    assert [fence[:4] for fence in found] == expected
    if text == TEXT:
        assert [fence[4] for fence in found] == [fence.end for fence in tangle.parse(text)[0]]


@pytest.mark.slow
@needs_pyodide
def test_what_was_changed_makes_the_edited_text_of_the_essay_again(opened):
    """Whatever was edited, what is kept of it gives the same text; and each change alone can be undone."""
    chance, edited = random.Random(1), []
    for _ in range(60):
        lines = LINES[:400]
        for _ in range(chance.randint(1, 6)):
            i = chance.randrange(len(lines))
            new = chance.choices([*LINES[:30], "", "new"], k=chance.choice([0, 1, 4]))
            lines[i : i + chance.choice([0, 0, 1, 2, 9])] = new
        edited.append("\n".join(lines))
    essay = "\n".join(LINES[:400])
    again = opened().evaluate("""async ([essay, edited]) => {
        const { anchored, differences, packed, unpacked, withChanges } = await import("../assets/run-text.js");
        const old = essay.split("\\n");
        return edited.map(text => {
            const changes = differences(old, text.split("\\n"));
            const link = packed(changes.map(change => anchored(change, old)));
            const lines = text.split("\\n");
            for (const { at, before, after } of changes.reverse()) lines.splice(at, after.length, ...before);
            return [withChanges(unpacked(link), old), lines.join("\\n")];
        });
    }""", [essay, edited])  # fmt: skip
    assert [("\n".join(found["lines"]), found["lost"]) for found, _ in again] == [(text, 0) for text in edited]
    assert {undone for _, undone in again} == {essay}


@pytest.mark.slow
@needs_pyodide
def test_prose_that_was_edited_is_in_the_essay_and_changes_no_program(whole):
    page = whole()
    edit(page, PROSE, "Suppose you sit in a café.\n\nIn a library, that is.")
    new = TEXT.replace(PROSE, "Suppose you sit in a café.\n\nIn a library, that is.")
    assert saved(page, "#run-essay") == new
    page.locator("#run-lines[aria-busy=false]").wait_for()
    assert shown(page) == saved(page, "#run-download") == (BUILD / "microgpt.py").read_text(encoding="utf-8")
    assert page.locator("#run-list button").first.inner_text() == "Looking back"  # the heading above it
    assert page.locator("#run-list del").all_inner_texts() == [f"-{line}" for line in LINES if line.startswith(PROSE)]
    page.reload()
    page.locator(FIELD).wait_for()
    assert saved(page, "#run-essay") == new
    page.click("#run-link")
    page.locator("#run-list button", has_text="undo").click()
    page.reload()  # what was done after the link was made counts
    page.locator(FIELD).wait_for()
    assert saved(page, "#run-essay") == TEXT


@pytest.mark.slow
@needs_pyodide
def test_code_that_was_edited_changes_its_line_of_the_program_and_is_run(whole, tmp_path):
    page, new = whole(SCORES), SCORES.replace("-0.5", "-0.25")
    edit(page, f"\n{SCORES}\n", f"\n    # softer\n{new}\n")
    page.locator(".run-line", has_text="# softer").wait_for()
    program = (BUILD / "microgpt.py").read_text(encoding="utf-8").replace(SCORES, f"    # softer\n{new}")
    assert shown(page) == program
    put_caret(page, new)
    assert page.locator(".run-line[aria-selected=true]").all_text_contents() == [new]
    problem = page.locator("#run-problems li", has_text="only this experiment is of lines that have changed")
    problem.first.wait_for(timeout=60_000)  # experiments that quote the line
    assert "the program is right; only this experiment is" in problem.first.inner_text()
    assert page.inner_text("#run-problems-said") == "The program is right, but not all experiments fit it any more."
    problem.first.locator("button").click()
    assert line_of_caret(page)[:1] in "-+ "
    put_caret(page, new)
    page.keyboard.press("Control+Enter")
    (tmp_path / "softer.py").write_text(program, encoding="utf-8")
    assert end(page).strip() == run(*FLAGS, program=tmp_path / "softer.py").stdout.strip()
    page.locator("#run label", has_text="Piece by piece").click()
    page.select_option("#run-chunk", "attend")
    assert "# softer" in page.input_value("#run-editor")
    page.click("#run-undo")
    page.locator("#run label", has_text="The whole essay").click()
    page.locator(".run-line", has_text="# softer").wait_for(state="detached")
    assert shown(page) == (BUILD / "microgpt.py").read_text(encoding="utf-8")


@pytest.mark.slow
@needs_pyodide
def test_a_broken_fence_is_told_at_its_line_and_leads_there(whole):
    page = whole()
    number = LINES.index("<<softmax>>=")  # of the line before it, which opens the fence
    program = shown(page)
    code = "    return scale(exps, total(exps) ** -1)\n"
    edit(page, f"{code}```\n", f"New.\n{code}")
    problem = page.locator("#run-problems li").first
    problem.wait_for()
    assert problem.inner_text().startswith(f"microgpt.md:{number}: unclosed: this fence is still open")
    assert page.inner_text("#run-problems-said") == "The essay has an error."
    assert page.inner_text("#run-state") == "The essay has an error. This is the last program that was right."
    assert shown(page) == program  # and its lines are still where they come from
    page.locator(".run-line", has_text="def rmsnorm(x):").click()
    assert line_of_caret(page) == "def rmsnorm(x):"
    problem.locator("button").focus()
    page.keyboard.press("Enter")
    assert line_of_caret(page) == "``` python"
    assert page.inner_text("#run-place").startswith(f"Line {number} ")
    edit(page, f"New.\n{code}", f"{code}```\n")
    page.locator("#run-problems").wait_for(state="hidden")
    assert page.inner_text("#run-problems-said") == "The essay has no error any more."


@pytest.mark.slow
@needs_pyodide
def test_lines_of_the_program_lead_to_the_essay_and_the_caret_marks_them(whole):
    page = whole("def softmax(logits):")
    marked = page.locator(".run-line[aria-selected=true]")
    assert marked.all_text_contents() == ["def softmax(logits):"]
    assert marked.evaluate("(e, box) => e.offsetTop >= e.parentNode.scrollTop"
                           " && e.offsetTop < e.parentNode.scrollTop + e.parentNode.clientHeight")  # fmt: skip
    page.keyboard.press("ArrowUp")
    assert marked.count() == 0 and page.inner_text("#run-place").endswith("no line of microgpt.py")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")  # out of the field, to where the line is
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "run-lines"
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert line_of_caret(page) == "    return scale(exps, total(exps) ** -1)"
    page.keyboard.press("ArrowUp")
    assert marked.all_text_contents() == ["    exps = [(logit + shift).exp() for logit in logits]"]
    page.locator(".run-line", has_text="class Value").click()  # in another chapter
    assert line_of_caret(page).startswith("class Value")
    assert page.locator("#run-chapter option:checked").inner_text().strip() in chapters(page)
    page.select_option("#run-program", "exercises/top_k.py")
    page.locator(".run-line", has_text="top_k").first.click()
    assert "top_k" in line_of_caret(page)


@pytest.mark.slow
@needs_pyodide
def test_the_whole_essay_is_for_everybody(whole):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page, found = whole("def softmax(logits):"), {}
    edit(page, "<<softmax>>=\n", "<<soft-max>>=\n")
    page.locator("#run-problems li").first.wait_for()
    put_caret(page, "def softmax(logits):")
    page.emulate_media(reduced_motion="reduce")
    for width, name in ((1440, "default"), (360, "slate")):
        if name == "slate":
            page.locator("label[title='Switch to dark']").click()
        page.locator(f"body[data-md-color-scheme={name}]").wait_for()
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for violation in axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]:
            found[name, violation["id"]] = [node["html"][:120] for node in violation["nodes"][:3]]
    assert found == {}
