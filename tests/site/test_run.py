"""A program is broken, edited and run on its page: CPython in a real browser prints what it prints here."""

import json
import re
from urllib.parse import urljoin

import pytest
from browsing import FLAGS, LISTING, SMALL, WALL, WOVEN, chapter, edit_of, escapes, linked, needs_pyodide, turn
from programs import BUILD, ROOT, TEXT, run
from weaver import pages, playground
from weaver.essay import Essay

import tangle

PROGRAM = (BUILD / "microgpt.py").read_text(encoding="utf-8")
PATHS = pages.program_paths(WOVEN)
SOFTMAX = "    return scale(exps, total(exps) ** -1)"
IS_SEEN = """element => {
    const { top, bottom } = element.getBoundingClientRect(), at = document.elementFromPoint(innerWidth / 3, top + 3);
    return top >= 0 && bottom <= innerHeight && (element.contains(at) || at.contains(element));
}"""


def in_page(test):
    """Mark a test of the page in a browser, which takes long."""
    return pytest.mark.slow(needs_pyodide(test))


def set_small(page, **flags):
    """Open the settings, and give them small sizes."""
    page.wait_for_selector("#run:enabled")
    if "#chunk=" in page.url:
        page.wait_for_selector(".editor textarea:focus")  # or it would take the focus from the field that is filled
    page.locator("#settings").evaluate("fold => { fold.open = true; }")
    for name, value in (SMALL | flags).items():
        page.fill(f"#flag-{name}", value)


@pytest.fixture
def opened(tab):
    """Return a function that opens the page, with what is asked for after the #; sizes are small."""

    def open_page(asked="", *args, path=LISTING, **options):
        page = tab(path + asked, *args, bypass_csp=False, **options)
        set_small(page)
        return page

    return open_page


@pytest.fixture(scope="module")
def loaded(browser, site):
    """A page in which Python is loaded, which takes long; its server sends another type for WebAssembly, as some do."""
    page, complaints = browser.new_context(viewport={"width": 1440, "height": 900}).new_page(), []
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.route("**/*.wasm", lambda route: route.fulfill(response=route.fetch(), content_type="text/plain"))
    page.goto(site + LISTING)
    yield page
    page.context.close()
    assert complaints == []


@pytest.fixture
def warm(loaded):
    """The same page as if it had just been opened: nothing is changed or typed, and sizes are small."""
    while loaded.locator(".editor, .change").count():
        loaded.locator("button:text('Done'), .change button:text('Undo')").first.click()
    loaded.evaluate("() => { for (const id of ['more', 'text']) document.getElementById(id).value = ''; }")
    set_small(loaded)
    return loaded


def visit(page, asked=""):
    """Open the page in another tab of the same browser."""
    other = page.context.new_page()
    other.goto(page.url.partition("#")[0] + asked)
    set_small(other)
    return other


def edit(page, code, old="", new=""):
    """Open the chunk of a line in its place, by its panel, and replace something in it."""
    line = page.locator(".listing .line:not(.come)", has_text=code).first
    if line.evaluate("line => !line.classList.contains('chosen')"):
        line.click(position={"x": 400, "y": 4})
    page.click("[data-edit]")
    field = page.locator(".editor textarea")
    assert old in field.input_value()
    field.fill(field.input_value().replace(old, new))


def shown(page):
    """The program as the listing shows it."""
    return "".join(line[4:] for line in page.locator(".line:not(.gone, .edited) > .source").all_text_contents())


def settle(page):
    """Wait until all tabs of this browser see the same kept changes: a tab hears later what another has kept."""
    while len({tab.evaluate("localStorage['microgpt-edits /'] ?? ''") for tab in page.context.pages}) > 1:
        page.wait_for_timeout(20)


def kept(page):
    """What this browser keeps, as another page of it shows it: the comments that were added, in alphabetical order."""
    settle(page)
    other = visit(page)
    other.locator(".change").first.wait_for()
    lines = " ".join(other.locator(".change :is(ins, pre:not(:has(ins)))").all_inner_texts())
    other.close()
    return sorted(re.findall("# [a-z]+", lines))


def end(page):
    """Wait until the run has ended, and return its output."""
    page.locator("#run").wait_for(timeout=60_000)
    return page.text_content("#output")


def go(page):
    """Run the program, and return its output."""
    page.click("#run")
    return end(page)


def saved(page, button):
    """The text that a button lets one download."""
    with page.expect_download() as waiting:
        page.click(button)
    return waiting.value.path().read_text(encoding="utf-8")


@in_page
def test_nothing_is_offered_for_running_that_the_browser_cannot_run(site):
    """Pieces of Python alone, and not those of C, JavaScript, NumPy or PyTorch; nor a page of such a program."""
    offers = []
    for place in ("chunk-attend", "program-efficiency-exact-c", "chunk-js-model", "chunk-replacing-a-file"):
        text = (BUILD / "site" / chapter(place) / "index.html").read_text(encoding="utf-8")
        offers.append(re.findall('aria-label="edit and run ([^"]*)"', text))
    assert {"attend", "softmax"} <= {*offers[0]}
    assert offers[1:] == [[], [], ["replacing a file"]]  # which keep.py has as well
    able = {PATHS[program.target] for program in playground.programs(WOVEN)}
    assert {path for path in PATHS.values() if 'id="run"' in (BUILD / "site" / path / "index.html").read_text()} == able


@in_page
def test_an_experiment_is_tried_from_a_line_and_prints_what_tangle_prints(warm, tab):
    page = warm
    page.locator(".line", has_text="def attend(").click(position={"x": 400, "y": 4})
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.click("[data-try=no-root]")
    page.locator("#what", has_text="With the experiment “Scores not divided by the root”").wait_for()
    words = "microgpt.md", "--run", "microgpt.py", "--break", "no-root", *FLAGS
    assert end(page).strip() == run(*words, program=ROOT / "tangle.py").stdout.strip()
    assert page.locator(".listing .gone .source").all_text_contents()[0].strip().endswith("value(len(query) ** -0.5)))")
    broken = tangle.changed_by(tangle.named(WOVEN.fences, "experiment")["no-root"][0], WOVEN.tangled)["microgpt.py"]
    assert shown(page) == tangle.render(broken)
    assert page.evaluate("location.hash") == "#break=no-root"
    assert re.match(r"Finished: loss [\d.]+\. It wrote \w+, \w+, \w+ …", page.inner_text("#status"))
    page.click("button:text('Undo')")
    assert shown(page) == PROGRAM
    link = tab(chapter("experiment-no-root")).locator("#experiment-no-root .try a")
    assert link.get_attribute("href").endswith(f"{LISTING}#break=no-root")


@in_page
def test_it_prints_what_python_prints_here_and_shows_the_last_two_runs(warm, opened):
    page = warm
    assert go(page).strip() == run(*FLAGS).stdout.strip()
    assert "after step 12" in page.get_attribute("#curves", "aria-label")
    text = page.locator("#runs section").first
    page.locator("#runs", has_text=re.compile(r"Loss (\S+) after 12 steps \(\1 unchanged\)")).wait_for()
    page.fill("#flag-n_head", "3")
    assert go(page).strip() == "microgpt: --n_embd must be a multiple of --n_head"
    assert page.inner_text("#status") == "It ended with an error: microgpt: --n_embd must be a multiple of --n_head"
    assert page.locator("#runs section").count() == 2 and "no names" in text.inner_text()
    page = opened(path=PATHS["exercises/top_k.py"])
    page.fill("#more", "--top_k 2")
    assert go(page).strip() == run(*FLAGS, "--top_k", "2", program=BUILD / "exercises" / "top_k.py").stdout.strip()


@in_page
def test_an_edit_changes_the_listing_and_the_run_and_an_error_is_seen_at_its_line(warm, tmp_path):
    page = warm
    edit(page, "def softmax(", "return scale", "retrun scale")
    first = PROGRAM[: PROGRAM.index("def softmax(")].count("\n") + 1
    problem = page.locator(".editor .problem")
    page.locator(".editor .problem", has_text=f"Line {first + 4}: invalid syntax").wait_for(timeout=60_000)
    assert problem.evaluate(IS_SEEN)
    assert page.locator(".editor .wrong").inner_text().strip() == "retrun scale(exps, total(exps) ** -1)"
    page.fill(".editor textarea", page.input_value(".editor textarea").replace("retrun", "<<no-such>>\n    return"))
    page.locator(".editor .problem", has_text="no-such").wait_for()
    code = page.input_value(".editor textarea").replace("<<no-such>>\n    ", "").replace("exp()", "expp()")
    page.fill(".editor textarea", code)
    page.keyboard.press("Control+Enter")
    assert "AttributeError: 'Value' object has no attribute 'expp'" in end(page)
    assert problem.evaluate(IS_SEEN) and f"Line {first + 3}: AttributeError" in problem.inner_text()
    page.fill(".editor textarea", code.replace("expp()", "exp()").replace("** -1", "** -2"))
    page.click("button:text('Done')")
    changed = PROGRAM.replace(SOFTMAX, SOFTMAX.replace("-1", "-2"))
    page.locator(".listing .come").wait_for()
    assert shown(page) == changed == saved(page, "#save-program")
    assert saved(page, "#save-essay") == TEXT.replace(f"\n{SOFTMAX}", "\n" + SOFTMAX.replace("-1", "-2"))
    (tmp_path / "changed.py").write_text(changed, encoding="utf-8")
    assert go(page).strip() == run(*FLAGS, program=tmp_path / "changed.py").stdout.strip()
    edit(page, "def rmsnorm(", "return", "return\n    return")
    page.locator(".listing .come").first.wait_for()
    page.click("button:text('Undo this change')")
    page.click("button:text('Done')")
    page.click(".change button:text('Undo')")
    page.locator(".listing .come").wait_for(state="detached")
    assert shown(page) == PROGRAM


@in_page
def test_a_change_is_kept_shared_and_undone(opened):
    page = opened("#chunk=softmax")
    code = page.input_value(".editor textarea")
    changed = code.replace("** -1", "** -2")
    page.fill(".editor textarea", changed)
    page.click("#share")
    page.locator("#status", has_text=re.compile("The link is copied|The address")).wait_for()
    address = page.evaluate("location.href")
    assert "n_embd=8" in address
    other = opened("#" + address.partition("#")[2])  # somebody else, who follows the link
    assert other.inner_text("#changes h2") == "Somebody sent you a change of ⟨softmax⟩"
    shown_there = ["− return scale(exps, total(exps) ** -1)", "+ return scale(exps, total(exps) ** -2)"]
    assert other.locator("#changes :is(del, ins)").all_inner_texts() == shown_there
    page.reload()
    page.locator(".change").wait_for()
    assert page.inner_text("#what") == "microgpt.py, with one change of yours"
    page.click(".change button:text('Undo')")
    assert page.locator("#changes").is_hidden()
    page.reload()  # what was done after the link was made counts
    page.wait_for_selector("#run:enabled")
    assert saved(page, "#save-essay") == TEXT


@in_page
def test_what_comes_from_elsewhere_is_not_written_over_what_was_kept(opened):
    page = opened("#chunk=rmsnorm")
    asked = linked(edit_of("attend", "def attend(query, keys, values):", "    # theirs"))
    page.fill(".editor textarea", page.input_value(".editor textarea") + "# mine")
    other = visit(page, asked)
    edit(other, "def softmax(", SOFTMAX, f"{SOFTMAX}# new")
    assert "It is not saved." in other.inner_text("#changes")
    assert kept(page) == ["# mine"]
    third = visit(page, asked)
    third.click("button:text('Back to mine')")
    third.locator("#changes ins", has_text="# mine").wait_for()
    other.click("button:text('Add to my changes')")
    assert kept(page) == ["# mine", "# new", "# theirs"]
    again = visit(page, linked(edit_of("attend", "def attend(query, keys, values):", "    # other")))
    again.click("button:text('Add to my changes')")
    assert again.inner_text("#status").startswith("You have changed ⟨attend⟩ yourself")
    assert kept(page) == ["# mine", "# new", "# theirs"]


@in_page
def test_tabs_have_the_same_changes(opened):
    page = opened("#chunk=rmsnorm")
    other = visit(page, "#chunk=softmax")
    for one, comment in ((page, "# mine"), (other, "# yours")):
        one.fill(".editor textarea", one.input_value(".editor textarea") + comment)
        settle(page)
    assert kept(page) == ["# mine", "# yours"]
    page.locator("#what", has_text="with 2 changes of yours").wait_for()


@in_page
def test_what_does_not_fit_is_kept_and_shown(opened):
    page = opened()
    found = json.dumps([{"chunk": "softmax", "was": "of another edition", "now": "# unfit"}, 7])
    page.evaluate("found => { localStorage['microgpt-edits /'] = found; }", found)
    page.goto("about:blank")
    page.go_back()
    page.locator(".change", has_text="# unfit").wait_for()
    edit(page, "def softmax(", SOFTMAX, f"{SOFTMAX}# new")
    assert kept(page) == ["# new", "# unfit"]
    page.locator(".change", has_text="# unfit").locator("button:text('Undo')").click()
    assert kept(page) == ["# new"]


@in_page
def test_what_is_not_kept_is_said(browser, site):
    page = browser.new_page()
    page.add_init_script("Storage.prototype.setItem = () => { throw new Error('it is full'); };")
    page.goto(f"{site}{LISTING}#chunk=attend")
    page.fill(".editor textarea", page.input_value(".editor textarea") + "# new")
    assert "They are not saved: this browser has no room" in page.inner_text("#changes")
    page.context.close()


@in_page
def test_a_program_of_somebody_else_is_seen_before_it_runs_and_reaches_nothing(browser, site, stranger):
    address, asked = stranger
    page = browser.new_page()
    page.goto(site + LISTING + linked(escapes(address)))
    page.locator("#changes h2").wait_for()
    assert page.inner_text("#changes h2") == "Somebody sent you a change of ⟨tape (2)⟩"
    assert page.locator(".listing .come").first.evaluate(IS_SEEN) and page.locator("#stop").is_hidden()
    output = go(page)
    assert output.count("way ") > 10 and "it went through" not in output
    assert page.evaluate(WALL, address) == "refused"
    page.wait_for_timeout(500)  # what was sent may still be on its way
    page.context.close()
    assert asked == []


@in_page
def test_stop_lets_it_write_with_what_it_has_learned(opened):
    page = opened()
    page.fill("#flag-num_steps", "1000")
    page.fill("#flag-samples", "20")
    page.click("#run")
    page.locator("#output:has-text('step    3')").wait_for(timeout=60_000, state="attached")
    page.click("#stop")
    output = end(page)
    assert re.match(r"Stopped after step \d+: loss", page.inner_text("#status"))
    assert "step 1000" not in output and "sample 20:" in output
    edit(page, "def train(")
    code = page.input_value(".editor textarea")
    for endless, word in {  # however fast it prints, the page answers, and shows so much that it stays so
        "while True: print('endless ' * 9)": "Stopped after step 0.",
        "while True: pass": "Stopped. The next run starts afresh.",
    }.items():
        page.fill(".editor textarea", code.replace("    for step", f"    {endless}\n    for step"))
        page.click("#run")
        said = "num params" if "pass" in endless else "earlier lines"
        page.locator(f"#output:has-text('{said}')").wait_for(state="attached", timeout=60_000)
        page.click("#stop")
        end(page)
        assert page.inner_text("#status") == word
        assert page.locator("#output > *").count() <= 2000


@in_page
def test_a_text_of_ones_own_is_learned(warm):
    page, places = warm, ROOT / "docs" / "places.txt"
    page.fill("#text", places.read_text(encoding="utf-8"))
    assert go(page).strip() == run(places, *FLAGS).stdout.strip()


@in_page
def test_the_page_is_for_everybody_in_each_state(opened, axe):
    """By keys alone: a line is chosen, an experiment tried, a chunk opened; then nothing is wrong, in both schemes."""
    page = opened(reduced_motion="reduce")
    page.locator("#L1 .number").focus()
    for _ in filter(str.strip, PROGRAM.partition(SOFTMAX)[0].split("\n")):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    for control in ("[data-try]", "[data-edit]"):
        page.locator(control).first.focus()
        page.keyboard.press("Enter")
        page.locator("#what", has_text="With the experiment" if control == "[data-try]" else "unchanged").wait_for()
        end(page)
    page.locator("#runs", has_text="unchanged").wait_for()
    page.fill(".editor textarea", page.input_value(".editor textarea") + "\n(")
    page.locator(".editor .wrong").wait_for(timeout=60_000)
    for width, scheme in ((1440, "light"), (1440, "dark"), (360, "light")):
        turn(page, width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert axe(page) == [], (width, scheme)


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
    """The page with such a worker."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.add_init_script(FAKE)
    page.goto(site + LISTING)
    page.wait_for_selector("#run:enabled")
    yield page
    page.context.close()


@in_page
def test_the_page_believes_nothing_that_it_has_not_asked_for_and_says_how_far_it_is(faked):
    page, downloads = faked, []
    page.on("download", lambda download: downloads.append(download.url))
    page.click("#run")
    page.wait_for_function("() => asked.length")
    page.evaluate(SAY, [{"kind": "loading", "done": 2_500_000, "total": 13_500_000}])
    assert page.inner_text(".told").split("  ")[0].strip() == "Python is fetched… 2.5 of 13.5 MB"
    tangled = {"kind": "answer", "id": 2, "program": "stolen", "errors": []}
    lines = [[f"step {number:4} / 1000 | loss 3.3", False] for number in range(1, 101)]
    step = {"kind": "lines", "lines": lines}
    page.evaluate(SAY, [{"kind": "constructor"}, {"kind": "started"}, tangled, step])
    assert page.inner_text("#step").endswith(" s left") and page.inner_text("#status") == "Step 100 of 1000."
    page.evaluate(SAY, [{"kind": "answer", "id": 1, "status": status} for status in (0, 1)])
    page.wait_for_timeout(300)
    assert downloads == [] and page.inner_text("#status").startswith("Finished") and shown(page) == PROGRAM


@in_page
def test_without_a_network_a_run_says_so_and_can_be_tried_again(faked):
    page = faked
    page.context.set_offline(True)
    page.click("#run")
    page.locator("#status", has_text="That did not work (Failed to fetch").wait_for()
    page.context.set_offline(False)
    page.click("#again")
    page.wait_for_function("() => asked.length")
    page.evaluate(SAY, [{"kind": "failed", "text": "pyodide.asm.wasm: 404"}])
    page.locator("#status", has_text="pyodide.asm.wasm: 404").wait_for()
    page.click("#again")
    page.wait_for_function("() => asked.length === 2")
    assert page.inner_text("#status") == "Python is fetched…"


@in_page
def test_a_page_whose_scripts_cannot_be_loaded_says_so(browser, site):
    page = browser.new_page()
    page.route("**/changes.js", lambda route: route.fulfill(status=404))  # there is a new edition
    page.goto(site + LISTING)
    assert page.inner_text("#status") == "The controls are loading. If this stays, reload the page."
    assert page.locator("#run").is_disabled()
    page.context.close()


# What the page fetches


@in_page
def test_a_link_of_an_earlier_edition_leads_to_the_page_with_all_that_it_says(tab, site):
    page = tab("run/#break=no-root")
    page.wait_for_url(f"{site}{LISTING}#break=no-root")
    page.locator("#what", has_text="With the experiment").wait_for()


def test_pyodide_is_the_one_that_was_tested_or_is_refused(monkeypatch):
    if not playground.carried():
        pytest.skip("Pyodide is not installed: .venv/bin/pip install --group browser")
    for carrier in playground.CARRIED.values():
        with monkeypatch.context() as patch, pytest.raises(playground.OtherFilesError, match="--group browser"):
            patch.setitem(carrier.sums, next(iter(carrier.sums)), "0" * 64)
            playground.carried()


def test_experiments_are_tried_as_edits_that_make_the_same_programs(monkeypatch):
    monkeypatch.setattr(tangle, "check_syntax", lambda *_: [])  # which takes long
    places = playground.fences(WOVEN)
    for name, known in playground.experiments(WOVEN).items():
        lines = TEXT.split("\n")
        for edit in sorted(known["edits"], key=lambda edit: places[edit["chunk"]]["first"], reverse=True):
            lines[places[edit["chunk"]]["first"] : places[edit["chunk"]]["end"]] = edit["now"].split("\n")
        programs = tangle.tangle("\n".join(lines))
        for target, broken in tangle.changed_by(WOVEN.experiments[name].fence, WOVEN.tangled).items():
            assert tangle.render(programs[target]) == tangle.render(broken), (name, target)


def test_what_can_be_edited_is_where_the_essay_has_it():
    fences = [fence for fence in tangle.parse(TEXT)[0] if fence.kind in ("root", "definition")]
    known = playground.fences(WOVEN)
    lines = TEXT.split("\n")
    assert [lines[one["first"] : one["end"]] for one in known.values()] == [fence.code for fence in fences]
    assert playground.flags(WOVEN.main)[0][:2] == ("n_embd", 16)


@needs_pyodide
def test_all_that_the_page_loads_is_of_one_edition():
    """A folder has it, whose name is another one as soon as anything in it is another one."""
    folder, files = playground.files(Essay(TEXT), [], ROOT / "docs")
    scripts = {path: content.decode() for path, content in files.items() if path.endswith(".js")}
    wanted = ("bench/bench.js", "bench/worker.py", "essay.txt", "tangle.txt", "known.json")
    assert {folder + name for name in wanted} <= {*files}
    for path, script in scripts.items():
        for other in re.findall(r"""(?:from|import)\s*\(?["'](\.[^"']*)["']""", script):
            is_of_the_essay = other == "../files/efficiency/microgpt.js"  # which the page offers for download, too
            assert is_of_the_essay or urljoin(path, other) in files, (path, other)
    assert playground.files(Essay(TEXT + "\nMore.\n"), [], ROOT / "docs")[0] != folder
