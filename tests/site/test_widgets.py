"""Figures that answer: by keys alone they give the numbers of the essay's programs."""

import json
import random
import re
from types import SimpleNamespace

import pytest
from browsing import WOVEN, chapter, press, turn
from programs import ROOT, load
from weaver import walk
from weaver.results import known_widgets

pytestmark = pytest.mark.slow
PAGES = {fence.options["widget"]: WOVEN.page_of(fence.line).path  # the first page that has it
         for fence in reversed(WOVEN.fences) if fence.options.get("widget", walk.WIDGET) != walk.WIDGET}  # fmt: skip


@pytest.fixture(scope="module")
def program():
    return load("microgpt.py")


@pytest.fixture
def opened(tab):
    """Return a function that opens the page of a widget and returns it, under the policy that readers have."""

    def open_widget(name, width=1440, scheme="light", **options):
        page = tab(PAGES[name], width, scheme, bypass_csp=False, **options)
        box = page.locator(f"[data-widget={name}]")
        box.locator("[role=status]").wait_for()
        return box

    return open_widget


def given(box):
    """Return the data that the demonstration of a widget has given to the page."""
    return json.loads(box.get_attribute("data-given"))


def written(number, digits=4):
    """Return a number as the widgets write it."""
    return f"{round(float(number), digits) + 0:.{digits}f}".rstrip("0").rstrip(".").replace("-", "−")


def fixed(number):
    """Return a number with two digits, as the widgets write it."""
    return f"{round(number, 2) + 0:.2f}".replace("-", "−")


def cells(box):
    """Return {head of a row: cells} of the table of a widget."""
    rows = box.locator("tbody tr").evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")
    return {head: others for head, *others in rows}


def is_shown(box):
    """Return whether a widget shows something that belongs to its words: a picture or a table that is not grey."""
    return box.evaluate("box => [...box.querySelectorAll('svg, table')].some(part => !part.closest('[inert]'))")


def test_each_widget_is_tried():
    assert sorted([*PAGES, walk.WIDGET]) == known_widgets()  # that has tests of its own


@pytest.mark.parametrize("name", PAGES)
def test_without_javascript_there_is_the_figure_and_nothing_dead(tab, name):
    page = tab(PAGES[name], java_script_enabled=False)
    demonstration = page.locator(f".demonstration:has([data-widget={name}])")
    assert demonstration.locator("figure svg").is_visible()
    assert demonstration.locator("button, input, select").count() == 0
    assert page.locator(f"[data-widget={name}]").inner_text() == ""


@pytest.mark.parametrize("name", PAGES)
def test_it_can_be_used_by_everybody(opened, axe, name):
    """After its first control was used: no violation, nothing too wide or too small, no motion, a short message; and
    it is not printed.
    """
    box = opened(name, reduced_motion="reduce")
    press(box.locator("input, button, select").first, "ArrowDown")
    press(box.locator("input, button, select").last, "Enter")
    if name == "machine":  # it has all its controls then
        own(box, "\n".join(CHEESES))
        trained(box)
    for width, scheme in ((1440, "dark"), (360, "light")):
        turn(box.page, width, scheme)
        options = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}  # nothing else depends on the scheme
        assert axe(box.page, context=f"[data-widget={name}]", **options) == []
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth + 1")
        sizes = box.evaluate(  # in one go, since the widget may draw anew at any time
            "box => [...box.querySelectorAll('svg text')].map(t => [t.getScreenCTM(),"
            " parseFloat(getComputedStyle(t).fontSize)]).map(([{a, b}, size]) => size * Math.hypot(a, b))"
        )
        assert min(sizes, default=11) >= 10.9
        assert box.evaluate("box => box.getAnimations({subtree: true}).length") == 0
        assert 0 < len(box.locator("[role=status]").inner_text()) < 200
        assert all(label for label in box.locator("svg[role=img]").evaluate_all("all => all.map(svg => svg.ariaLabel)"))
    box.page.emulate_media(media="print")
    assert box.is_hidden()
    assert box.page.locator(f".demonstration:has([data-widget={name}]) figure svg").is_visible()


# The tape stepped back


@pytest.mark.parametrize("way", ["added", "stored"])
def test_the_tape_shows_what_the_demonstration_has_found(opened, way):
    box = opened("tape")
    says, picture, step = box.locator("[role=status]"), box.locator("svg"), box.get_by_role("button", name="One entry")
    if way == "stored":
        press(box.get_by_label("added"), "ArrowRight")
    data = given(box)
    names, states, right = [entry["name"] for entry in data["entries"]], data[way], data["added"][-1]
    assert names == ["a", "b", "c", "d", "e", "loss"] and len(states) == 7
    for state in states:
        shown = ", ".join(f"{name} {written(grad)}" for name, grad in zip(names, state, strict=True))
        assert picture.get_attribute("aria-label").endswith(f"Gradients: {shown}.")
        press(step, "Enter")  # at the end once too often
    wrong = [f"{name} {written(good)}" for name, grad, good in zip(names, state, right) if grad != good]
    assert bool(wrong) == (way == "stored")
    end = f"some gradients are wrong. Correct values: {', '.join(wrong)}." if wrong else "all gradients are correct."
    assert says.inner_text().endswith(end)
    assert step.evaluate("button => button === document.activeElement")
    press(box.get_by_role("button", name="Start over"), "Enter")
    assert picture.get_attribute("aria-label") == "Gradients: a 0, b 0, c 0, d 0, e 0, loss 1."


# A query and two keys


def look_back(program, query, keys, values, factor):
    """Return what the program computes: scores, weights, and what comes back."""
    query, *keys = [[program.value(number) for number in vector] for vector in (query, *keys)]
    scores = program.scale([program.dot(query, key) for key in keys], program.value(factor))
    weights = program.softmax(scores)
    mean = [program.dot(weights, [program.value(number) for number in column]) for column in zip(*values)]
    program.tape.clear()
    pair = ",\u00a0".join(fixed(number.data) for number in mean)
    return [*(fixed(number.data) for number in scores + weights), f"({pair})"]


def test_a_look_back_finds_what_attend_finds(opened, program):
    box = opened("look")
    query, keys, values = (given(box)[name] for name in ("query", "keys", "values"))
    printed = box.page.locator("#demonstration-attend-by-hand .output").inner_text().split()
    assert cells(box)["result"][0] == f"({printed[0]},\u00a0{printed[1]})"
    for label, vector, way, steps in [("query, up", query, 1, 3), ("key 1, across", keys[0], 0, -9),
                                      ("key 2, up", keys[1], 1, -2)]:  # fmt: skip
        press(box.get_by_label(label), *["ArrowRight" if steps > 0 else "ArrowLeft"] * abs(steps))
        vector[way] = max(-4, vector[way] + steps / 2)
        columns = [look_back(program, query, keys, values, factor) for factor in (2**-0.5, 1.0)]
        assert [*cells(box).values()] == [list(pair) for pair in zip(*columns)]
        _, _, first, second, back = columns[0]
        assert f"the result between them, {back}." in box.locator("svg").last.get_attribute("aria-label")
        assert box.locator("[role=status]").text_content() == (
            f"The weights are {first} and {second}; the result is {back}."
        )


@pytest.mark.parametrize(
    ("name", "label", "touched", "way", "value"),
    [
        ("look", "query, up", "circle.widget-query", (0, 60), "-2"),
        ("token", "number", "svg rect", (180, 0), "13"),
    ],
)
def test_a_finger_drags_it_and_the_page_stays_where_it_is(opened, name, label, touched, way, value):
    box = opened(name, 390, has_touch=True, is_mobile=True)
    slider, page = box.get_by_label(label, exact=True), box.page
    box.locator(touched).first.scroll_into_view_if_needed()
    thing, before = box.locator(touched).first.bounding_box(), page.evaluate("scrollY")
    fingers = page.context.new_cdp_session(page)
    x, y = thing["x"] + thing["width"] / 2, thing["y"] + thing["height"] / 2
    for step in range(13):
        point = {"x": x + way[0] * step / 12, "y": y + way[1] * step / 12}
        event = {"type": "touchMove" if step else "touchStart", "touchPoints": [point]}
        fingers.send("Input.dispatchTouchEvent", event)
        page.wait_for_timeout(20)  # or the browser takes several moves for one
    fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert slider.input_value() == value
    assert page.evaluate("scrollY") == before


# Adam beside plain descent


def steps_of(program, gradients, rate):
    """Return by how much plain descent, and `adam` with its own defaults, move a parameter at each step."""
    parameter, means, squares, steps = SimpleNamespace(data=0.0), [0.0], [0.0], []
    for step, gradient in enumerate(gradients, 1):
        before, parameter.grad = parameter.data, gradient
        program.adam([parameter], means, squares, step, rate)
        steps.append((-rate * gradient, parameter.data - before))
    return steps


def short(number):
    """Return a number with three digits that count, as the widgets write it."""
    return written(f"{number:.3g}", 10)


def test_the_steps_are_those_of_adam(opened, program):
    box = opened("adam")
    says, field = box.locator("[role=status]"), box.get_by_label("gradients")
    rate = {name: default for name, default, _ in program.FLAGS}["learning_rate"]
    assert rate == given(box)["rate"]
    field.fill("5 -5 5 −5, 1e-4 0 300")
    gradients = [5.0, -5.0, 5.0, -5.0, 1e-4, 0.0, 300.0]
    steps = steps_of(program, gradients, rate)
    assert [*cells(box).values()] == [[*map(short, (g, *both))] for g, both in zip(gradients, steps)]
    ends = [short(sum(moves)) for moves in zip(*steps)]
    assert says.inner_text() == f"In total, plain descent moves it by {ends[0]}, Adam by {ends[1]}."
    for name, gradients in given(box)["examples"].items():
        press(box.get_by_role("button", name=name), "Enter")
        assert [row[0] for row in cells(box).values()] == [*map(short, gradients)]
    for text, marks in {"1": "0, −0.005, −0.01", "3e7 -3e7": "0, −1e5, −2e5, −3e5", "0": "0"}.items():
        field.fill(text)
        assert ", ".join(reversed(box.locator("svg text[text-anchor=end]").all_text_contents())) == marks
    for text, words in (("1 two 3", "two is not a number."), (" ", "Enter numbers separated by spaces.")):
        field.fill(text)
        assert says.inner_text() == words
        assert not is_shown(box)
    field.fill("1 " * 40)
    assert is_shown(box)
    assert len(cells(box)) == 12
    assert says.inner_text().endswith("(Only the first 12 numbers are used.)")


# A name in the trained model


def stages(box):
    """Return what a widget says and lists, stage by stage if it has some, and go back to the first."""
    on, back, seen = box.get_by_role("button", name="Next stage"), box.get_by_role("button", name="Back"), []
    while True:
        label = box.locator("svg").last.get_attribute("aria-label")
        seen.append((box.locator("[role=status]").inner_text(), label, cells(box)))
        if not on.count() or on.is_disabled():
            break
        press(on, "Enter")
    for _ in seen[1:]:
        press(back, "Enter")
    return seen


@pytest.mark.parametrize("name", ["heads", "token"])
def test_the_model_of_the_page_finds_what_the_program_has_found(opened, name):
    """At first a widget shows the numbers that the demonstration computes in Python; after a change, those of the
    model that has learned in the page.
    """
    box = opened(name)
    place, answered = box.get_by_label("position"), box.locator("[role=status]:not(:has-text('Training the model'))")
    by_program = stages(box)
    assert len(by_program) == {"heads": 1, "token": 9}[name]
    press(place, "ArrowLeft")
    answered.wait_for(timeout=60_000)
    assert stages(box) != by_program
    press(place, "ArrowRight")
    answered.wait_for()
    assert stages(box) == by_program


def test_any_name_can_be_asked_about(opened):
    box = opened("heads")
    field, place = box.get_by_label("name"), box.get_by_label("position")
    press(place, "ArrowRight")
    box.locator("[role=status]:not(:has-text('Training the model'))").wait_for(timeout=60_000)
    for name, back, letter in (("ANNA", 0, "a"), ("anna", 1, "n"), ("", 0, "BOS"), ("abcdefghijklmno", 0, "o")):
        field.fill(name)
        press(place, *["ArrowLeft"] * back)
        at = len(name) - back
        assert place.get_attribute("aria-valuetext") == f"{at}: {letter}"
        box.get_by_text(f"when {letter} at position {at} asks").wait_for()
        assert len(cells(box)) == at + 1
        columns = zip(*cells(box).values(), strict=True)
        assert [sum(map(float, column)) for column in columns] == pytest.approx([1.0] * 4, abs=0.09)


@pytest.mark.parametrize("name", ["heads", "token"])
def test_nothing_is_shown_of_letters_that_the_model_does_not_know(opened, name):
    box = opened(name)
    says, field = box.locator("[role=status]"), box.get_by_label("name")
    for key in ("", "ArrowLeft"):  # nor of the name before
        field.fill("jo é7")
        press(box.get_by_label("position"), *[key] * bool(key))
        assert says.inner_text() == "The model has never seen a space é 7: its names have only the letters a to z."
        assert not is_shown(box)
    field.fill("jo")
    box.locator("[inert]").first.wait_for(timeout=60_000, state="detached")


def test_each_stage_of_a_token_leads_to_its_code(opened):
    box = opened("token")
    on, number = box.get_by_role("button", name="Next stage"), box.get_by_role("slider", name="number")
    picture = box.locator("svg").first
    press(number, "End")
    row = cells(box)["16"]
    label = f"Number 16: wte[m] {row[0]}, + wpe[3] {row[1]}, = sum {row[2]}"
    assert picture.get_attribute("aria-label") == label
    assert picture.locator(".widget-strong").all_text_contents() == row
    picture.locator("rect").nth(2).hover()
    assert number.input_value() == "3"
    for _ in range(9):
        place, anchor = box.get_by_role("link").evaluate("link => link.href").split("#")
        assert place.endswith(f"/{chapter(anchor)}")
        press(on, "Enter")  # at the end once too often
    assert on.evaluate("button => button === document.activeElement")


# A counter


def counts(program, n_embd, n_layer, block_size, letters):
    """Return how many parameters such a model has, and how many entries the program makes for a name, as written."""
    model = program.new_model(27, n_embd, n_layer, block_size)
    program.tape.clear()
    program.loss_of(model, [26, *range(letters), 26], n_head=4)
    entries = len(program.tape)
    program.tape.clear()
    return [f"{len(program.parameters_of(model)):,}", f"{entries:,}"]


def test_the_counter_counts_what_the_program_makes(opened, program):
    box = opened("counter")
    assert cells(box)["all"] == counts(program, 16, 1, 16, len("emma"))
    drawn = [*map(str.strip, box.page.locator("#demonstration-where-it-goes figure svg text").all_text_contents())]
    assert all(entries in drawn for part, (_, entries) in cells(box).items() if part != "all")
    for name, count in {"letters": 3, "width": 2, "layers": 1, "positions": -1}.items():
        press(box.get_by_label(name), *["ArrowRight" if count > 0 else "ArrowLeft"] * abs(count))
    assert cells(box)["all"] == counts(program, 24, 2, 8, 7)  # the name is as long as it can be with 8 positions
    parameters, entries = cells(box)["all"]
    says = box.locator("[role=status]").inner_text()
    assert says == f"{parameters} parameters, and {entries} entries for this name."
    press(box.get_by_label("letters"), "End")
    assert box.get_by_label("letters").input_value() == "7"


# Another learning rate


def test_a_training_here_draws_the_curve_of_the_essay(opened):
    box = opened("rate")
    rate, (orange, blue) = box.get_by_label("learning rate"), box.locator("polyline").all()
    press(rate, "ArrowRight", "ArrowLeft")  # the last one counts, whatever was going on
    says = box.locator("[role=status]", has_text="mean of the last")
    says.wait_for(timeout=60_000)
    mean = given(box)["means"][-1]
    assert says.inner_text().startswith("With a rate of 0.01 the mean of the last 50 losses is ")
    assert float(says.inner_text().split()[-1].rstrip(".")) == pytest.approx(mean, abs=0.1)
    assert blue.get_attribute("points") == orange.get_attribute("points")
    press(rate, "End")
    box.locator("[role=status]", has_text="With a rate of 1 the run ended: ").wait_for(timeout=60_000)
    assert blue.get_attribute("points").count(",") < 10  # nothing of the rate before


def test_the_model_says_what_comes_next_and_writes(opened):
    box = opened("temperature")
    says, bars, field = box.locator("[role=status]"), box.locator("svg"), box.get_by_label("Start with")
    field.fill("mar")
    says.filter(has_text="The chances").wait_for(timeout=60_000)
    label = re.compile(r"Next token: (. \d+%|end \d+%)(, (.|end) \d+%){2}")
    assert label.fullmatch(bars.get_attribute("aria-label"))
    press(box.get_by_role("button", name="Write a name"), "Enter")
    box.locator(".widget-names", has_text=re.compile("^mar[a-z]*$")).wait_for()


# The first screen

CHEESES = ["Brie", "Gouda", "Cheddar", "Comté", "Crème fraîche", "Edam", "Feta", "Gruyère", "Münster", "Parmesan"]


def trained(box):
    """Train, and return what the machine says then."""
    press(box.get_by_role("button", name="Train it"), "Enter")
    says = box.locator("[role=status]", has_text="Trained on")
    says.wait_for(timeout=60_000)
    return says.inner_text()


def written_by(box):
    """Return {what the machine has written: its kind}."""
    box.locator(".machine-written li").first.wait_for()
    words = "all => all.map(li => [...li.children].map(part => part.innerText))"
    return dict(box.locator(".machine-written li").evaluate_all(words))


def own(box, text):
    """Enter a list of one's own, and return what is said about it."""
    box.get_by_text("your own list", exact=True).click()
    typed = "(box, text) => { box.value = text; box.dispatchEvent(new Event('input')); }"  # fill() takes minutes
    box.locator("textarea").evaluate(typed, text)
    box.page.wait_for_timeout(50)
    return box.locator("#machine-count").inner_text()


def rooms(box):
    """Return where the parts of the machine are, and what comes below them."""
    parts = "[...box.firstChild.children, document.querySelector('.ways')].map(part => part.getBoundingClientRect())"
    return box.evaluate(f"box => {parts}.map(part => [part.x, part.y + scrollY, part.width, part.height])")


@pytest.mark.parametrize("width", [390, 1440])
def test_the_machine_learns_what_the_program_learns_and_nothing_moves(opened, program, width):
    box = opened("machine", width, reduced_motion="reduce")
    recorded, before = box.locator(".machine-columns").inner_text(), rooms(box)
    assert trained(box) == ("Trained on 1,000 names. The last loss is 2.5116, as in Python; "
                             "2.37 is the mean of fifty.")
    assert box.locator(".machine-columns").inner_text() == recorded
    assert rooms(box) == before
    names = (ROOT / "docs" / "names.txt").read_text(encoding="utf-8").split()
    known, shuffled = {*names}, random.Random(42)
    shuffled.shuffle(names)
    box.get_by_label("Start with").fill("Ka")
    box.locator(".machine-written", has_text=re.compile("^ka")).wait_for()
    for name, kind in written_by(box).items():
        assert name.startswith("ka")
        assert kind == ("memorised" if name in names[:1000] else "real" if name in known else "new")
    box.get_by_label("Start with").fill("ké ")
    assert box.locator("[role=status]").inner_text() == "It has never seen é a space."
    own(box, "\n".join(CHEESES))
    assert trained(box).startswith("Trained on 10 lines in 300 steps; the loss fell from 3.")
    assert rooms(box) == before


def test_your_own_list_is_learned_and_a_link_carries_it(opened, tab):
    box = opened("machine", reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"])
    press(box.get_by_role("button", name="Train it"), "Enter")
    assert own(box, "\n".join(CHEESES)) == "10 lines."  # which ends the other training
    said, words = trained(box), written_by(box)
    assert {"memorised"} <= {*words.values()} <= {"memorised", "new"}
    assert all((word in CHEESES) == (kind == "memorised") for word, kind in words.items())
    press(box.get_by_role("button", name="Copy a link"), "Enter")
    box.locator("[role=status]", has_text="The link is copied. It contains your 10 lines.").wait_for()
    link = box.page.evaluate("navigator.clipboard.readText()")
    other = tab(link, reduced_motion="reduce").locator(".machine")
    greeting = "Somebody sent you a list of 10 lines: Brie, Gouda, …"
    other.locator("[role=status]", has_text=greeting).wait_for()
    assert (trained(other), written_by(other)) == (said, words)
    damaged = tab(link.replace("#list=", "#list=A")).locator(".machine [role=status]")
    damaged.filter(has_text="The list in this link is damaged. Ask for the link again.").wait_for()
    own(box, "\n".join(f"{number ** 7:x}" for number in range(1, 2000)))
    trained(box)
    press(box.get_by_role("button", name="Copy a link"), "Enter")
    box.locator("[role=status]", has_text="characters; 8,000 arrive everywhere").wait_for()


LISTS = {  # what is said about a text
    "Brie": "There is only one line. Put each word or name on a line of its own.",
    " \n\t\n": "The list is empty. Enter one word or name on each line.",
    "Brie\0\nEdam": "This is not plain text. Save it as plain text (UTF-8) first.",
    "\ufeffBrie\r\n\r\n Edam \r\nBrie\n": "So few will only be repeated. 1 occur more than once.",
    "a\nb\nc\nd\ne": "With one letter on each line there is little to learn.",
    "\n".join(["x" * 10_000, *CHEESES]): "Lines are cut after 48 characters.",
    "e\u0301te\n\u00e9te": "So few will only be repeated. 1 occur more than once.",
    "\n".join(chr(0x4E00 + i) * 2 for i in range(2500)):
        "The list has 2,500 different characters; the machine can learn 2,000. Use fewer lines.",
    "a\n" * 1_000_001: "This list has 2.0 million characters; the machine takes 2 million. Use a part of it.",
}  # fmt: skip
DROP = """(box, text) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([text], "x.txt"));
    box.dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true}));
}"""


def test_a_list_that_cannot_be_learned_is_told_so_before_anything_starts(opened):
    box = opened("machine", reduced_motion="reduce")
    says, go = box.locator("[role=status]"), box.get_by_role("button", name="Train it")
    told = """async texts => {
        const { listOf } = await import(new URL("assets/machine-list.js", location.href));
        return texts.map(listOf).map(({problem, notes}) => problem || notes.join(" "));
    }"""
    assert box.page.evaluate(told, [*LISTS]) == [*LISTS.values()]
    own(box, "Brie")
    press(go, "Enter")
    says.filter(has_text="It cannot train on this list yet.").wait_for()
    assert box.locator("textarea[aria-invalid=true]").evaluate("text => text === document.activeElement")
    lines = "Ωμέγα\nмир\nسلام\ne\u0301té\n👩‍🚀🧀\n"
    for words, data in {"is not plain text": "PNG\0", "has 5.0 MB;": "a" * 5_000_000, "is read.": lines}.items():
        box.evaluate(DROP, data)
        says.filter(has_text=f"x.txt {words}").wait_for()
    assert trained(box).startswith("Trained on 5 lines in 300 steps")
    box.get_by_label("Start with").fill("e\u0301")
    box.locator(".machine-written", has_text=re.compile("^ét")).wait_for()
    for broken, words in {"Worker": "The training did not start.", "fetch": "That did not work: no network."}.items():
        box.get_by_text("names", exact=True).click()
        box.page.evaluate("name => { window[name] = async () => { throw new Error('no network'); }; }", broken)
        press(go, "Enter")
        says.filter(has_text=words).wait_for()
        assert go.get_attribute("aria-disabled") == "false"
