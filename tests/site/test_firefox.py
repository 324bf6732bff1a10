"""The site in another browser: what is computed and edited in the page works in Firefox as it does in Chromium."""

import shutil

import pytest
from browsing import FLAGS, LISTING, SMALL, WALL, escapes, linked, needs_pyodide
from firefox import Firefox
from programs import run

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
ENDED = """
    const seen = (id) => document.getElementById(id).checkVisibility();
    while (seen("stop") || !seen("run")) await new Promise((go) => setTimeout(go, 100));
    return document.getElementById("output").textContent;
"""
READY = """
    const wanted = () => document.querySelector(given[0]);
    while (!wanted()) await new Promise((go) => setTimeout(go, 100));
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
    firefox.visit(f"{site}{LISTING}#chunk=softmax")
    firefox.script(READY, ".editor")
    fill = "for (const name in given[0]) document.getElementById(`flag-${name}`).value = given[0][name];"
    firefox.script(fill, SMALL)
    firefox.click("#run")
    assert firefox.script(ENDED).strip() == run(*FLAGS).stdout.strip()
    firefox.script('document.querySelector(".editor textarea").setSelectionRange(20, 20)')  # the end of the first line
    firefox.type(".editor textarea", "\ue007extra = 1")  # the key Enter
    code = firefox.script('return document.querySelector(".editor textarea").value')
    assert code.startswith("def softmax(logits):\n    extra = 1\n")
    changes = 'return [...document.querySelectorAll("#changes ins")].map((e) => e.innerText)'
    assert firefox.script(changes) == ["+ extra = 1"]
    firefox.click(".change button:last-child")
    assert firefox.script('return document.getElementById("changes").hidden')


@needs_pyodide
def test_a_program_reaches_nothing(firefox, site, stranger):
    address, asked = stranger
    firefox.visit("about:blank")
    firefox.visit(site + LISTING + linked(escapes(address)))
    firefox.script(READY, "#changes .change")
    firefox.click("#run")
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
    assert firefox.script(learned).startswith("Trained on 1,000 names. The last loss is 2.5116, as in Python;")
    firefox.click("button.unfold")
    unfolded = """
        while (!document.querySelector(".unfolded .line")) await new Promise((go) => setTimeout(go, 50));
        return document.querySelector(".unfolded").innerText;
    """
    assert "import" in firefox.script(unfolded)
