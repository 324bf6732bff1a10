"""Figures that answer: by keys alone they give the numbers of the essay's programs, computed here by these."""

import pytest
from programs import load
from test_site import tab  # noqa: F401 - a fixture
from weaver.results import known_widgets

pytestmark = pytest.mark.slow
PAGES = {"tape": "values-that-remember/"}


@pytest.fixture(scope="module")
def program():
    return load("microgpt.py")


@pytest.fixture
def opened(tab):  # noqa: F811
    """Return a function that opens the page of a widget and returns it, under the policy that readers have."""

    def open_widget(name, width=1440, scheme="light", **options):
        page = tab(PAGES[name], width, scheme, bypass_csp=False, **options)
        box = page.locator(f"[data-widget={name}]")
        box.locator("[role=status]").wait_for()
        return box

    return open_widget


def press(control, *keys):
    """Press keys on a control, as somebody without a mouse does."""
    control.focus()
    for key in keys:
        control.page.keyboard.press(key)


def written(number, digits=4):
    """Return a number as the widgets write it."""
    return f"{round(float(number), digits) + 0:.{digits}f}".rstrip("0").rstrip(".").replace("-", "−")


def cells(box):
    """Return {head of a row: cells} of the table of a widget."""
    rows = box.locator("tbody tr").evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")
    return {head: found for head, *found in rows}


def test_each_widget_is_tried():
    assert [*PAGES] == known_widgets()


@pytest.mark.parametrize("name", PAGES)
def test_without_javascript_there_is_the_figure_and_nothing_dead(tab, name):  # noqa: F811
    page = tab(PAGES[name], java_script_enabled=False)
    demonstration = page.locator(f".demonstration:has([data-widget={name}])")
    assert demonstration.locator("figure svg").is_visible()
    assert demonstration.locator("button, input, select").count() == 0
    assert page.locator(f"[data-widget={name}]").inner_text() == ""


@pytest.mark.parametrize("name", PAGES)
def test_it_is_not_printed(opened, name):
    box = opened(name)
    box.page.emulate_media(media="print")
    assert box.is_hidden()
    assert box.page.locator(f".demonstration:has([data-widget={name}]) figure svg").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("name", PAGES)
def test_it_can_be_used_by_everybody(opened, name, width, scheme):
    """After its first control was used: no violation, nothing too wide or too small, no motion, a short message."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    box = opened(name, width, scheme, reduced_motion="reduce")
    press(box.locator("input, button, select").first, "ArrowDown")
    press(box.locator("input, button, select").last, "Enter")
    violations = axe.run(box.page, context=f"[data-widget={name}]").response["violations"]
    assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth + 1")
    sizes = box.locator("svg text").evaluate_all(
        "texts => texts.map(t => parseFloat(getComputedStyle(t).fontSize) * Math.abs(t.getScreenCTM().a))"
    )
    assert min(sizes) >= 10.9
    assert box.evaluate("box => box.getAnimations({subtree: true}).length") == 0
    assert 0 < len(box.locator("[role=status]").inner_text()) < 200
    assert all(label for label in box.locator("svg[role=img]").evaluate_all("all => all.map(svg => svg.ariaLabel)"))


# The tape stepped back


def computation(program):
    """Return a, b, c, d, e and the loss of the essay's small computation, which is on the tape then."""
    a, b, c = program.value(2.0), program.value(-3.0), program.value(10.0)
    d = a * b
    e = d + c
    return [a, b, c, d, e, e * e]


def walks(program, adds):
    """Yield the gradients after each entry of the tape, walked back as `backward` does it, or with = in place of +=."""
    values = computation(program)
    values[-1].grad = 1.0
    while program.tape:
        result, *inputs = program.tape.pop()
        for parent, derivative in (inputs[:2], inputs[2:]):
            parent.grad = (parent.grad if adds else 0.0) + derivative * result.grad
        yield [value.grad for value in values]


def right_gradients(program):
    """Return the gradients that the program itself finds."""
    values = computation(program)
    program.backward(values[-1])
    return [value.grad for value in values]


@pytest.mark.parametrize("adds", [True, False])
def test_the_tape_walks_back_as_the_program_does(opened, program, adds):
    box, names, right = opened("tape"), ["a", "b", "c", "d", "e", "loss"], right_gradients(program)
    if not adds:
        press(box.get_by_label("added"), "ArrowRight")
    for grads in walks(program, adds):
        press(box.get_by_role("button", name="One entry back"), "Enter")
        label = box.locator("svg").get_attribute("aria-label")
        assert label.partition("Gradients: ")[2] == ", ".join(map(" ".join, zip(names, map(written, grads)))) + "."
    wrong = [f"{name} {written(good)}" for name, found, good in zip(names, grads, right) if found != good]
    assert bool(wrong) != adds
    says = box.locator("[role=status]").inner_text()
    assert says.endswith(f"wrong. Right would be {', '.join(wrong)}." if wrong else "all gradients are right.")
    assert box.page.evaluate("document.activeElement.textContent") == "Again"  # and not lost with the other
    press(box.get_by_role("button", name="Again"), "Enter")
    assert box.locator("svg").get_attribute("aria-label").startswith("Gradients: a 0, b 0, c 0, d 0, e 0, loss 1")
