"""The page on which the essay is edited and run: CPython in a real browser prints what it prints here."""

import base64
import json
import random
import re
from urllib.parse import urljoin

import pytest
from browsing import ANCHORS, FLAGS, SMALL, WALL, changes_of, chapter, escapes, needs_pyodide
from programs import BUILD, ROOT, TEXT, run
from weaver import playground
from weaver.essay import Essay

import tangle


def in_page(test):
    """Mark a test of the page in a browser, which takes long."""
    return pytest.mark.slow(needs_pyodide(test))


@pytest.fixture
def opened(tab):
    """Return a function that opens the page, with what is asked for after the #; sizes are small."""

    def open_page(asked="", flags=SMALL, **options):
        page = tab("run/" + asked, bypass_csp=False, **options)
        page.wait_for_selector("#run:not([hidden])")
        page.locator("summary", has_text="Sizes").click()
        for name, value in flags.items():
            page.fill(f"#run-{name}", value)
        return page

    return open_page


@pytest.fixture(scope="module")
def loaded(browser, site):
    """A page in which Python is loaded, which takes long; its server sends another type for WebAssembly, as some do."""
    page, complaints = browser.new_context(viewport={"width": 1440, "height": 900}).new_page(), []
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.route("**/*.wasm", lambda route: route.fulfill(response=route.fetch(), content_type="text/plain"))
    page.goto(site + "run/#view=whole")
    page.click("#run-load")
    page.locator(".run-line").first.wait_for(timeout=60_000)
    yield page
    page.context.close()
    assert complaints == []


@pytest.fixture
def warm(loaded):
    """The same page as if it had just been opened: nothing is changed, chosen or typed, and sizes are small."""
    loaded.locator("#run label", has_text="Chunk by chunk").click()
    while loaded.locator("#run-changes").is_visible():
        loaded.locator("#run-list button", has_text="undo").first.click()
    loaded.evaluate("""values => {
        for (const [id, value] of Object.entries(values)) {
            const field = document.getElementById(`run-${id}`);
            field.value = value;
            field.dispatchEvent(new Event("change"));
        }
        document.querySelector(".run details").open = true;
    }""", {**SMALL, "program": "microgpt.py", "break": "", "more": "", "text": ""})  # fmt: skip
    loaded.set_viewport_size({"width": 1440, "height": 900})
    return loaded


def visit(page, asked=""):
    """Open another page of the same browser."""
    other = page.context.new_page()
    other.goto(page.url.partition("#")[0] + asked)
    other.wait_for_selector("#run:not([hidden])")
    return other


def kept(page):
    """What this browser keeps, as another page of it shows it: the comments that were added, in alphabetical order."""
    other = visit(page)
    lines = " ".join(other.locator("#run-list :is(ins, pre:not(:has(ins)))").all_inner_texts())
    other.close()
    return sorted(re.findall("# [a-z]+", lines))


def add(page, comment):
    """Add a comment to the piece that is shown."""
    page.fill("#run-editor", page.input_value("#run-editor") + comment)


def linked(*changes):
    """What a link has after the # for changes, each of which has the lines before and those after."""
    return "#changes=" + base64.urlsafe_b64encode(json.dumps(changes).encode()).decode()


def end(page):
    """Wait until the run has ended, and return its output."""
    page.wait_for_selector("#run-start:enabled", timeout=60_000)
    return page.inner_text("#run-output")


@in_page
def test_nothing_is_offered_for_running_that_the_browser_cannot_run(site):
    """Pieces of Python alone, and not those of C, JavaScript, NumPy or PyTorch."""
    offers = []
    for place in ("chunk-attend", "program-efficiency-exact-c", "chunk-js-model", "chunk-replacing-a-file"):
        text = (BUILD / "site" / chapter(place) / "index.html").read_text(encoding="utf-8")
        offers.append(re.findall('aria-label="edit and run ([^"]*)"', text))
    assert {"attend", "softmax"} <= {*offers[0]}
    assert offers[1:] == [[], [], ["replacing a file"]]  # which keep.py has as well


@in_page
def test_it_prints_what_python_prints_here_and_runs_again(warm):
    page = warm
    page.click("#run-start")
    assert end(page).strip() == run(*FLAGS).stdout.strip()
    assert re.fullmatch(
        r"Finished: the last losses are (\S+) on average \(the unchanged program: \1\)\. It wrote \w+, \w+, \w+ …",
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
    assert page.inner_text("#run-status") == "The program ended with an error: see the output."


@in_page
def test_stop_lets_it_write_with_what_it_has_learned(opened):
    page = opened(flags={"n_embd": "8", "n_head": "2"})
    page.click("#run-start")
    page.locator("#run-output", has_text="step    3").wait_for(timeout=60_000)
    page.click("#run-stop")
    output = end(page)
    assert re.match(r"Stopped after step \d+: the last losses are", page.inner_text("#run-status"))
    assert "step 1000" not in output and "sample 20:" in output
    page.fill("#run-beginning", "ma")
    for count in (1, 2, 3):
        page.click("#run-write:enabled")
        page.locator(f"#run-written span:nth-child({count})").wait_for()
    assert all(re.fullmatch("ma[a-z]*", name) for name in page.inner_text("#run-written").split())
    page.fill("#run-beginning", "q!")
    page.keyboard.press("Enter")
    page.locator("#run-written", has_text="The model knows only abc").wait_for()
    page.fill("#run-heat", "0")
    page.click("#run-write:enabled")
    assert page.inner_text("#run-written").startswith("The temperature must be a number from 0.1 to 5.")
    page.select_option("#run-chunk", "train")
    code = page.input_value("#run-editor")
    for endless, word in {  # however fast it prints, the page answers, and shows so much that it stays so
        "while True: print('endless ' * 9)": "Stopped after step 0.",
        "while True: print('endless ', end='')": "Stopped after step 0.",
        "while True: pass": "No response, so it was stopped; the next run starts afresh.",
    }.items():
        page.fill("#run-editor", code.replace("    for step", f"    {endless}\n    for step"))
        page.click("#run-start")
        page.locator("#run-output", has_text="num params" if "pass" in endless else "endless").wait_for()
        if "9" in endless:
            page.locator("#run-output", has_text="earlier lines are not shown").wait_for()
        page.click("#run-stop")
        end(page)
        assert page.inner_text("#run-status") == word
        assert page.locator("#run-output > *").count() <= 2000


@in_page
def test_a_change_is_run_and_shown(warm, tmp_path):
    page = warm
    page.select_option("#run-chunk", "softmax")
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
    page.click("#run-start")
    program = tmp_path / "changed.py"
    program.write_text((BUILD / "microgpt.py").read_text(encoding="utf-8").replace(code, changed), encoding="utf-8")
    assert end(page).strip() == run(*FLAGS, program=program).stdout.strip()
    assert page.locator("#run-list del").all_inner_texts() == ["-    return scale(exps, total(exps) ** -1)"]
    assert page.locator("#run-list ins").all_inner_texts() == ["+    return scale(exps, total(exps) ** -2)"]
    assert saved(page, "#run-essay") == TEXT.replace(code, changed)


@in_page
def test_a_change_is_kept_shared_and_undone(opened):
    page = opened("#chunk=softmax")
    code = page.input_value("#run-editor")
    changed = code.replace("** -1", "** -2")
    page.fill("#run-editor", changed)
    page.click("#run-link")
    assert page.inner_text("#run-status").startswith(("Link copied", "The address"))
    address = page.evaluate("location.href")
    assert "n_embd=8" in address
    other = opened("#" + address.partition("#")[2])  # somebody else, who follows the link
    assert other.inner_text("#run-title") == "Somebody sent you a change to ⟨softmax⟩"
    assert other.locator("#run-list ins").all_inner_texts() == ["+    return scale(exps, total(exps) ** -2)"]
    page.reload()
    page.wait_for_selector("#run:not([hidden])")
    assert page.input_value("#run-editor") == changed and page.locator("#run-trust").is_hidden()
    page.locator("#run-list button", has_text="undo").click()
    assert page.locator("#run-changes").is_hidden() and page.input_value("#run-editor") == code
    page.reload()  # what was done after the link was made counts
    page.wait_for_selector("#run:not([hidden])")
    assert saved(page, "#run-essay") == TEXT


@in_page
def test_a_tab_does_not_overwrite_what_another_one_has_kept(opened):
    page = opened("#chunk=rmsnorm")
    other = visit(page, "#chunk=softmax")
    add(page, "# mine")
    add(other, "# yours")
    assert other.inner_text("#run-kept").startswith("Another tab has saved changes")
    assert kept(page) == ["# mine"]
    other.click("#run-adopt")
    assert kept(page) == ["# mine", "# yours"]


@in_page
def test_an_experiment_can_be_tried_from_where_it_stands(tab, opened, warm):
    place = chapter("experiment-no-root")
    link = tab(place).locator("#experiment-no-root .try a")
    page = opened("#" + link.get_attribute("href").partition("#")[2])
    assert page.locator("#run-experiment").evaluate("link => link.href").endswith(f"{place}#experiment-no-root")
    assert page.input_value("#run-editor").startswith("def attend(")
    assert page.locator("#run-broken ins").all_inner_texts()[0].startswith("+    weights = softmax(")
    page = warm
    page.select_option("#run-break", "no-root")
    page.click("#run-start")
    words = "microgpt.md", "--run", "microgpt.py", "--break", "no-root", *FLAGS
    assert end(page).strip() == run(*words, program=ROOT / "tangle.py").stdout.strip()
    assert saved(page, "#run-download") == (BUILD / "microgpt.py").read_text(encoding="utf-8")
    page.fill("#run-editor", page.input_value("#run-editor").replace("** -0.5", "** 0.5"))
    page.click("#run-start")
    end(page)
    assert page.inner_text("#run-status").startswith("The experiment does not fit your changes")


@in_page
def test_a_text_of_ones_own_is_learned_or_refused_with_a_line(warm, tmp_path):
    page = warm
    page.locator("summary", has_text="Your own text").click()
    texts = [("empty.txt", b" \n", "is empty"), ("a.bin", b"\xff\0", "is not UTF-8 text"),
             ("large.txt", b"ab\n" * 2_000_000, "has 6 million bytes"),
             ("mended.txt", "a\ufffd\rb\rc".encode(), "was read: 3 lines")]  # fmt: skip
    for name, data, said in texts:
        (tmp_path / name).write_bytes(data)
        page.set_input_files("#run-file", tmp_path / name)
        page.locator("#run-status", has_text=f"{name} {said}").wait_for()
        assert bool(page.input_value("#run-text")) == ("read" in said)
    page.set_input_files("#run-file", ROOT / "docs" / "places.txt")
    page.locator("#run-status", has_text="places.txt was read").wait_for()
    page.click("#run-start")
    assert end(page).strip() == run(ROOT / "docs" / "places.txt", *FLAGS).stdout.strip()


def test_pyodide_is_the_one_that_was_tested_or_is_refused(monkeypatch):
    if not playground.carried():
        pytest.skip("Pyodide is not installed: .venv/bin/pip install --group browser")
    for carrier in playground.CARRIED.values():
        with monkeypatch.context() as patch, pytest.raises(playground.OtherFilesError, match="--group browser"):
            patch.setitem(carrier.sums, next(iter(carrier.sums)), "0" * 64)
            playground.carried()


def test_what_can_be_edited_has_the_names_of_the_essay():
    fences = [fence for fence in tangle.parse(TEXT)[0] if fence.kind in ("root", "definition")]
    assert [fence["name"] for fence in playground.fences(Essay(TEXT))] == [fence.name for fence in fences]
    assert playground.flags(Essay(TEXT).main)[0][:2] == ("n_embd", 16)


CHAPTER = ANCHORS["chunk-attend"]
TITLE, *LINES = TEXT.split("\n")[CHAPTER.start - 1 : CHAPTER.end]
PROSE = next(line for line in LINES if line[:1].isalpha())  # the first line below the title
SCORES = "    weights = softmax(scale([dot(query, key) for key in keys], value(len(query) ** -0.5)))"
FENCES = """text => import(document.querySelector("script[src$='run.js']").src.replace("run.js", "run-text.js"))
    .then(({ fencesOf }) => fencesOf(text.split("\\n")).map(
    ({ kind, name, start, first, end }) => [kind, name, start + 1, first, end + 1]))"""
FIELD = "#run-text-of-essay"
IS_SEEN = "e => e.getBoundingClientRect().top >= 0 && e.getBoundingClientRect().bottom < innerHeight + 1"


@pytest.fixture
def whole(warm):
    """Return a function that opens the view of the whole essay, with the caret at a line and Python loaded."""

    def open_whole(line=PROSE):
        page = warm
        page.locator("#run label", has_text="The whole essay").click()
        page.select_option("#run-chapter", index=chapters(page).index(TITLE.removeprefix("# ")))
        page.locator("#run-lines[aria-busy=false]").wait_for()
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
        (page.locator(button) if isinstance(button, str) else button).click()
    return waiting.value.path().read_text(encoding="utf-8")


@in_page
@pytest.mark.parametrize("text", [
    TEXT,
    "~~~\n``` python {#a}\n~~~\n``` python\n<<b>>=\nx\n```\n  ````\n```\n  ````\n``` diff {#c title=\"{d}\"}\n-x\n"
    "``` c {file=d.c}\n",
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


@in_page
def test_what_was_changed_makes_the_edited_text_of_the_essay_again(opened):
    """Whatever was edited, what is kept of it gives the same text; and each change alone can be undone."""
    chance, edited = random.Random(1), []
    for _ in range(60):
        lines = TEXT.split("\n")[:400]
        for _ in range(chance.randint(1, 6)):
            i = chance.randrange(len(lines))
            new = chance.choices([*TEXT.split("\n")[:30], "", "new"], k=chance.choice([0, 1, 4]))
            lines[i : i + chance.choice([0, 0, 1, 2, 9])] = new
        edited.append("\n".join(lines))
    essay = "\n".join(TEXT.split("\n")[:400])
    again = opened().evaluate("""async ([essay, edited]) => {
        const address = document.querySelector("script[src$='run.js']").src.replace("run.js", "run-text.js");
        const { anchored, differences, packed, unpacked, withChanges } = await import(address);
        const old = essay.split("\\n");
        return edited.map(text => {
            const changes = differences(old, text.split("\\n"));
            const link = packed(changes.map(change => anchored(change, old)));
            const lines = text.split("\\n");
            for (const { at, before, after } of changes.reverse()) lines.splice(at, after.length, ...before);
            return [withChanges(unpacked(link), old), lines.join("\\n")];
        });
    }""", [essay, edited])  # fmt: skip
    assert [("\n".join(found["lines"]), found["lost"]) for found, _ in again] == [(text, []) for text in edited]
    assert {undone for _, undone in again} == {essay}


@in_page
def test_prose_that_was_edited_is_in_the_essay_and_changes_no_program(whole):
    page = whole()
    edit(page, PROSE, "Suppose you sit in a café.\n\nIn a library, that is.")
    new = TEXT.replace(PROSE, "Suppose you sit in a café.\n\nIn a library, that is.")
    assert saved(page, "#run-essay") == new
    page.locator("#run-lines[aria-busy=false]").wait_for()
    assert shown(page) == saved(page, "#run-download") == (BUILD / "microgpt.py").read_text(encoding="utf-8")
    assert page.locator("#run-list button").first.inner_text() == TITLE.removeprefix("# ")
    assert page.locator("#run-list del").all_inner_texts() == [f"-{PROSE}"]
    again = visit(page)
    assert saved(again, "#run-essay") == new
    again.close()


@in_page
def test_code_that_was_edited_changes_its_line_of_the_program_and_is_run(whole, tmp_path):
    page, new = whole(SCORES), SCORES.replace("-0.5", "-0.25")
    edit(page, f"\n{SCORES}\n", f"\n    # softer\n{new}\n")
    page.locator(".run-line", has_text="# softer").wait_for()
    program = (BUILD / "microgpt.py").read_text(encoding="utf-8").replace(SCORES, f"    # softer\n{new}")
    assert shown(page) == program
    put_caret(page, new)
    assert page.locator(".run-line[aria-selected=true]").all_text_contents() == [new]
    problem = page.locator("#run-problems li", has_text="this experiment quotes lines that have changed")
    problem.first.wait_for(timeout=60_000)  # experiments that quote the line
    assert "the program is correct, but this experiment quotes" in problem.first.inner_text()
    assert page.inner_text("#run-problems-said") == "The program is correct, but not all experiments still fit it."
    problem.first.locator("button").click()
    assert line_of_caret(page)[:1] in "-+ "
    put_caret(page, new)
    page.keyboard.press("Control+Enter")
    (tmp_path / "softer.py").write_text(program, encoding="utf-8")
    assert end(page).strip() == run(*FLAGS, program=tmp_path / "softer.py").stdout.strip()
    page.locator("#run label", has_text="Chunk by chunk").click()
    page.select_option("#run-chunk", "attend")
    assert "# softer" in page.input_value("#run-editor")
    page.click("#run-undo")
    page.locator("#run label", has_text="The whole essay").click()
    page.locator(".run-line", has_text="# softer").wait_for(state="detached")
    assert shown(page) == (BUILD / "microgpt.py").read_text(encoding="utf-8")


@in_page
def test_a_broken_fence_is_told_at_its_line_and_leads_there(whole):
    page = whole()
    number = TEXT.split("\n").index("<<softmax>>=")  # of the line before it, which opens the fence
    program = shown(page)
    code = "    return scale(exps, total(exps) ** -1)\n"
    edit(page, f"{code}```\n", f"New.\n{code}")
    problem = page.locator("#run-problems li", has_text=f"microgpt.md:{number}: unclosed: this fence is still open")
    problem.wait_for()
    assert page.inner_text("#run-problems-said") == "The essay has an error."
    assert page.inner_text("#run-state") == "The essay has an error. This is the last version that worked."
    assert problem.evaluate(IS_SEEN)
    assert shown(page) == program  # and its lines are still where they come from
    page.locator(".run-line", has_text="def rmsnorm(x):").click()
    assert line_of_caret(page) == "def rmsnorm(x):"
    problem.locator("button").focus()
    page.keyboard.press("Enter")
    assert line_of_caret(page) == "``` python"
    assert page.inner_text("#run-place").startswith(f"Line {number} ")
    edit(page, f"New.\n{code}", f"{code}```\n")
    page.locator("#run-problems").wait_for(state="hidden")
    assert page.inner_text("#run-problems-said") == "All errors are fixed."


@in_page
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


@in_page
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


# What is kept


NORM = "    return scale(x, (dot(x, x) * value(1 / len(x)) + value(1e-5)) ** -0.5)"


@in_page
def test_what_comes_from_elsewhere_is_not_written_over_what_was_kept(opened):
    page, asked = opened(), linked(changes_of(NORM, "    # theirs"))
    add(page, "# mine")
    other = visit(page, asked)
    other.select_option("#run-chunk", "softmax")
    add(other, "# new")
    assert other.inner_text("#run-kept").startswith("Changes you make here are not saved")
    assert kept(page) == ["# mine"]
    third = visit(page, asked)
    third.click("#run-leave")
    third.locator("#run-list ins", has_text="# mine").wait_for()
    other.click("#run-adopt")
    assert kept(page) == ["# mine", "# new", "# theirs"]


ANOTHER = json.dumps([[["a line of another edition"], ["# unfit"]], changes_of(NORM, "    # mine")])


@in_page
@pytest.mark.parametrize("found", [ANOTHER, '[[["x"], ["# unfit"]'])
def test_what_does_not_fit_or_cannot_be_read_is_kept_shown_and_downloaded(opened, found):
    page = opened()
    page.evaluate("found => { localStorage['microgpt-changes /'] = found; }", found)
    page.reload()
    page.select_option("#run-chunk", "softmax")
    add(page, "# new")
    page.click("#run-link")
    page.reload()  # by the link, which has what fits
    add(page, "#")
    assert {*kept(page)} == {"# unfit", "# new"} | {"# mine" for _ in range(found == ANOTHER)}
    stray = page.locator(".run-change", has_text="# unfit")
    assert "# unfit" in saved(page, stray.locator("button", has_text="download"))
    stray.locator("button", has_text="remove").click()
    assert "# unfit" not in kept(page)


@in_page
def test_what_is_not_kept_is_said(opened):
    page = opened("#chunk=attend")
    add(page, "# mine")
    page.evaluate("""() => {
        for (let size = 2 ** 22; size; size >>= 1) {
            try { localStorage.more = (localStorage.more ?? "") + "x".repeat(size); } catch { /* it is full */ }
        }
    }""")  # fmt: skip
    add(page, "# new")
    assert page.inner_text("#run-status") == "Your changes are not saved: see below."
    assert page.inner_text("#run-kept").startswith("They are not saved: this browser has no room")
    assert kept(page) == ["# mine"]


# Somebody else's program


@in_page
def test_a_program_of_somebody_else_is_seen_before_it_runs_and_reaches_nothing(browser, site, stranger):
    address, asked = stranger
    page = browser.new_page()
    page.goto(site + "run/" + linked(escapes(address)))
    page.click("#run-start")
    assert page.inner_text("#run-title") == "Somebody sent you a change to ⟨tape (2)⟩"
    assert page.evaluate("document.activeElement.id") == "run-trust" and page.locator("#run-stop").is_disabled()
    page.click("#run-trust")
    output = end(page)
    assert output.count("way ") > 10 and "it went through" not in output
    assert page.evaluate(WALL, address) == "refused"
    page.wait_for_timeout(500)  # what was sent may still be on its way
    page.context.close()
    assert asked == []


# How the page takes what its worker says: this one says what the test says


FAKE = """window.asked = [];
window.Worker = class {
    constructor() { window.worker = this; }
    postMessage(job) { asked.push(job); }
    terminate() {}
};"""
SAY = "messages => { for (const data of messages) worker.onmessage({ data }); }"


@pytest.fixture
def faked(browser, site):
    """Return a function that opens the page with such a worker: faked(what is asked for after the #)."""
    contexts = []

    def open_page(asked=""):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        contexts.append(page.context)
        page.add_init_script(FAKE)
        page.goto(site + "run/" + asked)
        page.wait_for_selector("#run:not([hidden])")
        return page

    yield open_page
    for context in contexts:
        context.close()


def wait_until_asked(page):
    """Wait until the worker has got something to do."""
    page.evaluate("async () => { while (!asked.length) await new Promise((go) => setTimeout(go, 20)); }")


@in_page
def test_the_page_believes_nothing_that_it_has_not_asked_for(faked):
    page, downloads = faked(), []
    page.on("download", lambda download: downloads.append(download.url))
    page.click("#run-start")
    wait_until_asked(page)
    end_of = {"kind": "end", "status": 0, "made": "stolen", "writes": False}
    page.evaluate(SAY, [{"kind": "constructor"}, {"kind": "started"}, end_of, end_of])
    page.wait_for_timeout(300)
    assert downloads == [] and page.inner_text("#run-status") == "Finished."


@in_page
def test_without_a_network_a_run_says_so_and_the_next_one_begins_anew(faked):
    page = faked()
    page.context.set_offline(True)
    page.click("#run-start")
    page.locator("#run-status", has_text="Python failed: TypeError: Failed to fetch").wait_for()
    page.context.set_offline(False)
    page.click("#run-start:enabled")
    wait_until_asked(page)
    assert page.inner_text("#run-status") == "Loading Python…"


@in_page
@pytest.mark.parametrize("fault", ["another type", "gone", "no server"])
def test_a_page_whose_scripts_cannot_be_loaded_says_so(browser, site, fault):
    page = browser.new_page()
    if fault == "another type":
        page.route("**/run-text.js", lambda route: route.fulfill(response=route.fetch(), content_type="text/plain"))
    elif fault == "gone":  # there is a new edition
        page.route("**/run-text.js", lambda route: route.fulfill(status=404))
    page.goto(site + "run/" if fault != "no server" else (BUILD / "site" / "run" / "index.html").as_uri())
    assert "If this message stays, a script could not be loaded: reload the page." in page.inner_text("#run-waiting")
    assert page.locator("#run").is_hidden()
    page.context.close()


@needs_pyodide
def test_all_that_the_page_loads_is_of_one_edition():
    """A folder has it, whose name is another one as soon as anything in it is another one."""
    folder, files = playground.files(Essay(TEXT), [], ROOT / "docs")
    scripts = {path: content.decode() for path, content in files.items() if path.endswith(".js")}
    assert {f"{folder}{name}" for name in ("run.js", "run_worker.py", "essay.txt", "tangle.txt")} <= {*files}
    for path, script in scripts.items():
        for wanted in re.findall(r"""(?:from|import)\s*\(?["'](\.[^"']*)["']""", script):
            is_of_the_essay = wanted == "../files/efficiency/microgpt.js"  # which the page offers for download, too
            assert is_of_the_essay or urljoin(path, wanted) in files, (path, wanted)
    assert playground.files(Essay(TEXT + "\nMore.\n"), [], ROOT / "docs")[0] != folder
