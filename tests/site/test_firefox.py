"""The site in another browser: what is computed and edited in the page works in Firefox as it does in Chromium."""

import shutil

import pytest
from browsing import FLAGS, SMALL, WALL, escapes, needs_pyodide
from firefox import Firefox
from programs import run

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
ENDED = """
    while (document.getElementById("run-start").disabled) await new Promise((go) => setTimeout(go, 100));
    return document.getElementById("run-output").innerText;
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FIREFOX, reason="Firefox is not installed: apt-get install firefox-esr"),
]


@pytest.fixture(scope="module")
def firefox(site, tmp_path_factory):
    """Firefox, started once."""
    started = Firefox(FIREFOX, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@needs_pyodide
def test_the_essay_is_edited_and_run(firefox, site):
    """It prints the same numbers, and a line that is typed keeps its indentation and can be taken back."""
    firefox.visit(site + "run/#chunk=softmax")
    fill = "for (const [name, value] of Object.entries(given[0])) document.getElementById(`run-${name}`).value = value;"
    firefox.script(fill, SMALL)
    firefox.click("#run-start")
    assert firefox.script(ENDED).strip() == run(*FLAGS).stdout.strip()
    firefox.script('document.getElementById("run-editor").setSelectionRange(20, 20)')  # the end of the first line
    firefox.type("#run-editor", "\ue007extra = 1")  # the key Enter
    code = firefox.script('return document.getElementById("run-editor").value')
    assert code.startswith("def softmax(logits):\n    extra = 1\n")
    assert firefox.script('return [...document.querySelectorAll("#run-list ins")].map((e) => e.innerText)') == [
        "+    extra = 1"
    ]
    firefox.click("#run-undo")
    assert firefox.script('return document.getElementById("run-changes").hidden')


@needs_pyodide
def test_a_program_reaches_nothing(firefox, site, stranger):
    """Whether the other test has left this page, where Python is loaded already, or not."""
    address, asked = stranger
    firefox.visit(site + "run/#chunk=softmax")
    [line], ways = escapes(address)
    firefox.script("""
        const chunk = document.getElementById("run-chunk"), editor = document.getElementById("run-editor");
        chunk.value = "tape#2";
        chunk.dispatchEvent(new Event("change"));
        editor.value = editor.value.replace(...given[0]);
        editor.dispatchEvent(new Event("input"));
    """, [line, "\n".join(ways)])  # fmt: skip
    firefox.click("#run-start")
    output = firefox.script(ENDED)
    assert output.count("way ") > 10 and "it went through" not in output
    assert firefox.script(f"return await ({WALL})(given[0])", address) == "refused"
    assert asked == []


def test_figures_answer_and_chunks_unfold(firefox, site):
    firefox.visit(site)
    firefox.click(".machine button")
    learned = """
        const status = document.querySelector(".machine [role=status]");
        while (!status.textContent.includes("Trained on")) await new Promise((go) => setTimeout(go, 50));
        return status.textContent;
    """
    assert firefox.script(learned) == "Trained on 1,000 names; the last loss is 2.5116, as in Python."
    firefox.click("button.unfold")
    unfolded = """
        while (!document.querySelector(".unfolded .line")) await new Promise((go) => setTimeout(go, 50));
        return document.querySelector(".unfolded").innerText;
    """
    assert "import" in firefox.script(unfolded)
