"""The page on which the essay is edited and run: CPython in a real browser prints what it prints here."""

import re

import pytest
from programs import BUILD, ESSAY, ROOT, TEXT, run
from test_site import tab  # noqa: F401 - a fixture
from weaver import playground
from weaver.essay import Essay

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
    monkeypatch.setattr(playground, "PACKAGE", "no_such_package")
    assert playground.pyodide() == {} and playground.files(Essay(TEXT), [], b"") == {}
    monkeypatch.undo()
    if playground.pyodide():
        monkeypatch.setitem(playground.SUMS, "pyodide.mjs", "0" * 64)
        with pytest.raises(playground.OtherPyodideError, match="pip install --group browser"):
            playground.pyodide()


def test_what_can_be_edited_is_where_it_is_said_to_be():
    lines = ESSAY.read_text(encoding="utf-8").split("\n")
    for fence in playground.fences(Essay(TEXT)):
        assert (
            lines[fence["line"] - 2].startswith(("``` ", f"<<{fence['name']}>>="))
            and lines[fence["line"] - 1 + fence["count"]] == "```"
        )
    assert playground.flags(Essay(TEXT).main)[0][:2] == ("n_embd", 16)
