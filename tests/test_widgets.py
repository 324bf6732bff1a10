"""Figures that answer: by keys alone they give the numbers of the essay's programs, computed here by these."""

import json
import re
import statistics
from itertools import chain
from types import SimpleNamespace

import pytest
from programs import BUILD, load, run
from test_site import turn
from weaver.results import known_widgets

pytestmark = pytest.mark.slow
PAGES = {"adam": "learning/", "counter": "the-price-of-a-step/", "heads": "learning/", "live": "", "look": "the-model/",
         "rate": "learning/", "tape": "values-that-remember/", "token": "the-model/"}  # fmt: skip


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


@pytest.fixture
def demonstrated(tab):
    """Return a function that returns the data which the demonstration of a widget has given to the page."""

    def given(name):
        page = tab(PAGES[name], java_script_enabled=False)
        return json.loads(page.get_attribute(f"[data-widget={name}]", "data-given"))

    return given


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
def test_without_javascript_there_is_the_figure_and_nothing_dead(tab, name):
    page = tab(PAGES[name], java_script_enabled=False)
    demonstration = page.locator(f".demonstration:has([data-widget={name}])")
    assert demonstration.locator("figure svg").is_visible()
    assert demonstration.locator("button, input, select").count() == 0
    assert page.locator(f"[data-widget={name}]").inner_text() == ""


@pytest.mark.parametrize("name", PAGES)
def test_it_can_be_used_by_everybody(opened, name):
    """After its first control was used: no violation, nothing too wide or too small, no motion, a short message; and
    it is not printed.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    box = opened(name, reduced_motion="reduce")
    press(box.locator("input, button, select").first, "ArrowDown")
    press(box.locator("input, button, select").last, "Enter")
    if name == "live":  # it has all its controls then
        press(box.get_by_role("button").first, "Enter")
        box.locator("[role=status]", has_text="It has learned").wait_for(timeout=60_000)
    for width, scheme in ((1440, "dark"), (360, "light")):
        turn(box.page, width, scheme)
        options = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}  # nothing else depends on the scheme
        violations = axe.run(box.page, context=f"[data-widget={name}]", options=options).response["violations"]
        assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth + 1")
        sizes = box.locator("svg text").evaluate_all(
            "texts => texts.map(t => parseFloat(getComputedStyle(t).fontSize) * Math.abs(t.getScreenCTM().a))"
        )
        assert min(sizes, default=11) >= 10.9
        assert box.evaluate("box => box.getAnimations({subtree: true}).length") == 0
        assert 0 < len(box.locator("[role=status]").inner_text()) < 200
        assert all(label for label in box.locator("svg[role=img]").evaluate_all("all => all.map(svg => svg.ariaLabel)"))
    box.page.emulate_media(media="print")
    assert box.is_hidden()
    assert box.page.locator(f".demonstration:has([data-widget={name}]) figure svg").is_visible()


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
    assert box.page.evaluate("document.activeElement.textContent") == "One entry back"
    press(box.get_by_role("button", name="One entry back"), "Enter")  # once too often
    assert box.locator("[role=status]").inner_text() == says
    press(box.get_by_role("button", name="Start again"), "Enter")
    assert box.locator("svg").get_attribute("aria-label").startswith("Gradients: a 0, b 0, c 0, d 0, e 0, loss 1")


# A query and two keys


def look_back(program, vectors, values, divided):
    """Return the rows of the table that the program computes for a query and keys: scores, weights, what comes back."""
    query, *keys = [[program.value(number) for number in vector] for vector in vectors]
    columns = [[program.value(number) for number in column] for column in zip(*values)]
    root = program.value(len(query) ** -0.5 if divided else 1.0)
    scores = program.scale([program.dot(query, key) for key in keys], root)
    weights = program.softmax(scores)
    found = [program.dot(weights, column) for column in columns]
    if divided:
        whole = program.attend(query, keys, [[program.value(x) for x in value] for value in values])
        assert [number.data for number in whole] == [number.data for number in found]  # as the program has it
    program.tape.clear()
    pair = ",\u00a0".join(fixed(number.data, 2) for number in found)
    return [*(fixed(number.data, 2) for number in scores + weights), f"({pair})"]


def fixed(number, digits):
    """Return a number with so many digits, as the widgets write it."""
    return f"{round(number, digits) + 0:.{digits}f}".replace("-", "−")


def test_a_look_back_finds_what_attend_finds(opened, program, demonstrated):
    box, given = opened("look"), demonstrated("look")
    vectors = [[*vector] for vector in (given["query"], *given["keys"])]
    moves = [
        (0, 1, 3),
        (1, 0, -9),
        (2, 0, -5),
        (2, 1, -2),
        (0, 0, 2),
    ]  # of which vector, which number, by how many steps
    for vector, number, steps in [(0, 0, 0), *moves]:
        label = f"{['query', 'key 1', 'key 2'][vector]}, {['across', 'up'][number]}"
        press(box.get_by_label(label), *["ArrowRight" if steps > 0 else "ArrowLeft"] * abs(steps))
        vectors[vector][number] = max(-4, vectors[vector][number] + steps / 2)
        both = [look_back(program, vectors, given["values"], divided) for divided in (True, False)]
        assert [*cells(box).values()] == [list(pair) for pair in zip(*both)]
        scores = both[0]
        found = box.locator("svg").last
        assert f"what comes back, {scores[4]}." in found.get_attribute("aria-label")
        assert end_of(found.locator("line.widget-orange")) == scores[4]
        assert box.locator("[role=status]").inner_text().replace("\u00a0", " ") == (
            f"The weights are {scores[2]} and {scores[3]}, and {scores[4]} comes back.".replace("\u00a0", " ")
        )


def end_of(line):
    """Return where an arrow ends, in the plane of the values: which are 22 to a unit, with the origin at (24, 240)."""
    x, y = (float(line.get_attribute(name)) for name in ("x2", "y2"))
    return f"({fixed((x - 24) / 22, 2)},\u00a0{fixed((240 - y) / 22, 2)})"


HIDDEN = """picture => {
    const texts = [...picture.querySelectorAll("text")], boxes = texts.map(text => text.getBBox());
    const before = (a, b, at, size) => a[at] < b[at] + b[size];
    const meet = (a, b) => [["x", "width"], ["y", "height"]].every(way => before(a, b, ...way) && before(b, a, ...way));
    const circles = [...picture.querySelectorAll("circle:not(.widget-hold)")].map(circle => circle.getBBox());
    const axes = [{x: 0, y: 132, width: 264, height: 0}, {x: 132, y: 0, width: 0, height: 264}];
    const outside = box => box.x < 0 || box.x + box.width > 264 || box.y < 0 || box.y + box.height > 264;
    const covers = (box, i) => [...axes, ...circles, ...boxes.slice(0, i)].some(other => meet(box, other));
    return texts.filter((_, i) => outside(boxes[i]) || covers(boxes[i], i)).map(text => text.textContent);
}"""


def test_names_of_arrows_lie_on_nothing(opened):
    box = opened("look")
    for places in ("2 2 2 2 2 2", "0 0 0 0 0 0", "4 0 4 0 4 0", "-4 -4 -4 -4 -4 -4", "-0.5 0.5 0.5 0.5 0 0"):
        for slider, number in zip(box.get_by_role("slider").all(), places.split(), strict=True):
            slider.fill(number)
        assert box.locator("svg").first.evaluate(HIDDEN) == [], places


def test_the_table_begins_with_what_the_demonstration_prints(opened):
    box = opened("look")
    printed = box.page.locator("#demonstration-attend-by-hand .output").inner_text().split()
    assert cells(box)["what comes back"][0] == f"({printed[0]},\u00a0{printed[1]})"


def test_an_arrow_can_be_dragged_as_well(opened):
    box = opened("look")
    box.scroll_into_view_if_needed()
    circle = box.locator("circle.widget-orange").first.bounding_box()
    x, y = circle["x"] + circle["width"] / 2, circle["y"] + circle["height"] / 2
    unit = box.locator("svg").first.bounding_box()["width"] / 264 * 30
    mouse = box.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x - 3 * unit, y - 1.5 * unit)
    mouse.up()
    mouse.move(x, y)  # and then it stays where it is
    assert [box.get_by_label(f"query, {way}").input_value() for way in ("across", "up")] == ["-1", "1.5"]


@pytest.mark.parametrize("name", ["look", "token"])
def test_a_finger_drags_it_and_the_page_stays_where_it_is(opened, name):
    box = opened(name, 390, has_touch=True, is_mobile=True)
    label, first, move = {  # what is dragged, and where to, in pixels
        "look": ("query, up", "circle.widget-orange", (0, 60)),
        "token": ("number", "svg rect", (180, 0)),
    }[name]
    slider, page = box.get_by_label(label, exact=True), box.page
    box.locator(first).first.scroll_into_view_if_needed()
    thing, before = box.locator(first).first.bounding_box(), page.evaluate("scrollY")
    fingers = page.context.new_cdp_session(page)
    x, y = thing["x"] + thing["width"] / 2, thing["y"] + thing["height"] / 2
    for step in range(13):
        point = {"x": x + move[0] * step / 12, "y": y + move[1] * step / 12}
        event = {"type": "touchMove" if step else "touchStart", "touchPoints": [point]}
        fingers.send("Input.dispatchTouchEvent", event)
        page.wait_for_timeout(20)  # or the browser takes several moves for one
    fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert slider.input_value() == {"look": "-2", "token": "13"}[name]
    assert page.evaluate("scrollY") == before


# Adam beside plain descent


def steps_of(program, gradients, rate):
    """Return by how much plain descent, and `adam` with its own defaults, move a parameter at each step."""
    parameter, means, squares, found = SimpleNamespace(data=0.0), [0.0], [0.0], []
    for step, gradient in enumerate(gradients, 1):
        before, parameter.grad = parameter.data, gradient
        program.adam([parameter], means, squares, step, rate)
        found.append((-rate * gradient, parameter.data - before))
    return found


def short(number):
    """Return a number with three digits that count, as the widgets write it."""
    if 0 < abs(number) < 1e-6:
        return f"{number:.3g}".replace("e-0", "e-").replace("-", "−")
    return written(f"{number:.3g}", 10)


def test_the_steps_are_those_of_adam(opened, program, demonstrated):
    box, given = opened("adam"), demonstrated("adam")["examples"]["10 and −10"]
    rate = {name: default for name, default, _ in program.FLAGS}["learning_rate"]

    def check(gradients):
        expected = steps_of(program, gradients, rate)
        assert [*cells(box).values()] == [[*map(short, (g, *pair))] for g, pair in zip(gradients, expected)]
        ends = [short(sum(moves)) for moves in zip(*expected)]
        said = f"In all, plain descent moves it by {ends[0]}, Adam by {ends[1]}."
        assert box.locator("[role=status]").inner_text() == said

    press(box.get_by_role("button", name="10 and −10"), "Enter")
    check(given)
    for text in ("5 -5 5 −5, 1e-7 0 300", "0", "0.02 0.02 10"):
        press(box.get_by_label("gradients"), "Control+A", "Delete")
        box.page.keyboard.type(text)
        check([float(word) for word in text.replace("−", "-").replace(",", "").split()])


def test_the_parameter_has_a_scale(opened):
    box = opened("adam")
    for text, marks in {"1": "0, −0.005, −0.01", "3e7 -3e7": "0, −1e5, −2e5, −3e5", "0": "0"}.items():
        box.get_by_label("gradients").fill(text)
        assert ", ".join(reversed(box.locator("svg text[text-anchor=end]").all_text_contents())) == marks


def is_shown(box):
    """Return whether a widget shows something that belongs to its words: a picture or a table that is not grey."""
    return box.evaluate("box => [...box.querySelectorAll('svg, table')].some(part => !part.closest('[inert]'))")


def test_gradients_that_are_none_are_refused_and_too_many_are_cut(opened):
    box = opened("adam")
    for text, said in (("1 two 3", "two is not a number."), (" ", "Write some numbers, with blanks between them.")):
        box.get_by_label("gradients").fill(text)
        assert box.locator("[role=status]").inner_text() == said
        assert not is_shown(box)
    box.get_by_label("gradients").fill("1 " * 40)
    assert is_shown(box)
    assert len(cells(box)) == 12
    assert box.locator("[role=status]").inner_text().endswith("(Only the first 12 numbers count.)")


# A name in the trained model

PARAMETERS = """() => import("../assets/engine.js").then(({ trained }) => trained())
    .then(({ model }) => model.parameters.flatMap(({ data }) => [...data]))"""


def watched(function, results):
    """Return a function that does the same and keeps the numbers that it returns."""

    def watching(*arguments):
        found = function(*arguments)
        results.append([number.data for number in found])
        return found

    return watching


def inside(parameters, letters, place):
    """Return {function: what it returned at each call} of the program when it comes to a place of a name."""
    program, caches = load("microgpt.py"), [[]]
    model = program.new_model(27, n_embd=16, n_layer=1, block_size=16)
    for parameter, number in zip(program.parameters_of(model), parameters, strict=True):
        parameter.data = number
    seen = {name: [] for name in ("add", "attend", "linear", "rmsnorm", "softmax")}
    for name, results in seen.items():
        setattr(program, name, watched(getattr(program, name), results))
    for token in program.encode(letters, ALPHABET)[: place + 1]:
        for results in seen.values():
            results.clear()
        logits = program.gpt(model, token, caches, n_head=4)
    program.softmax(logits)
    return seen | {"wte": model[0]["wte"][token], "wpe": model[0]["wpe"][place]}


ALPHABET = [chr(97 + i) for i in range(26)]


def named(letters, place):
    """Return what a place is called."""
    return letters[place - 1] if place else "BOS"


def looked(letters, looks):
    """Return the rows of the table that shows what the heads look at."""
    return {f"{at} {named(letters, at)}": [fixed(x, 2) for x in row] for at, row in enumerate(zip(*looks, strict=True))}


def likeliest(numbers):
    """Return the three likeliest tokens as the widgets write them."""
    order = sorted(range(27), key=lambda token: -numbers[token])[:3]
    return ", ".join(f"{[*ALPHABET, 'end'][token]} ({fixed(numbers[token], 2)})" for token in order)


def test_the_heads_look_where_those_of_the_program_look(opened, demonstrated):
    box, given = opened("heads"), demonstrated("heads")
    says, field, place = box.locator("[role=status]"), box.get_by_label("name"), box.get_by_label("place")
    guessed = says.filter(has_text="What comes next")
    assert cells(box) == looked("karel", given["looks"])
    press(place, "ArrowRight", "ArrowLeft")  # now the model of this page looks
    guessed.wait_for(timeout=60_000)
    assert cells(box) == looked("karel", given["looks"])
    assert guessed.inner_text().endswith(f"What comes next: {likeliest(given['chances'])}.")
    parameters = box.page.evaluate(PARAMETERS)
    for name, back in (("ANNA", 0), ("anna", 1), ("", 0), ("abcdefghijklmno", 0)):
        field.fill(name)
        press(place, *["ArrowLeft"] * back)
        letters, at = name.lower(), len(name) - back
        assert place.get_attribute("aria-valuetext") == f"{at}: {named(letters, at)}"
        box.get_by_text(f"when {named(letters, at)} at place {at} asks").wait_for()
        *looks, chances = inside(parameters, letters, at)["softmax"]
        assert cells(box) == looked(letters, looks)
        assert guessed.inner_text().endswith(f"What comes next: {likeliest(chances)}.")
        label = likeliest(chances).replace("(", "").replace(")", "")
        assert box.locator("svg").get_attribute("aria-label") == f"What comes next: {label}"


@pytest.mark.parametrize("name", ["heads", "token"])
def test_nothing_is_shown_of_letters_that_the_model_does_not_know(opened, name):
    box = opened(name)
    says, field = box.locator("[role=status]"), box.get_by_label("name")
    for key in ("", "ArrowLeft"):  # nor of the name before
        field.fill("jo é7")
        press(box.get_by_label("place"), *[key] * bool(key))
        assert says.inner_text() == "It has never seen a blank é 7: the names are of the letters a to z."
        assert not is_shown(box)
    field.fill("jo")
    box.locator("[inert]").first.wait_for(timeout=60_000, state="detached")


def stages_of(parameters, letters, place):
    """Return the vectors that each stage shows, as the program makes them."""
    seen = inside(parameters, letters, place)
    rows = [[number.data for number in seen[table]] for table in ("wte", "wpe")]
    query, key, value, attention, asked, mlp, logits = seen["linear"]
    (embedded, middle, end), (start, normed, before_mlp) = seen["add"], seen["rmsnorm"]
    hidden = [max(0.0, answer) for answer in asked]
    return [
        [*rows, embedded],
        [embedded, start],
        [normed, query, key, value],
        [query, [*chain(*seen["attend"])]],
        [start, attention, middle],
        [before_mlp, *(hidden[i : i + 16] for i in range(0, 64, 16))],
        [middle, mlp, end],
        [logits, seen["softmax"][-1]],
        [logits, seen["softmax"][-1]],
    ]


def test_a_token_has_the_numbers_of_the_program_at_each_stage(opened):
    box = opened("token")
    back, on = (box.get_by_role("button", name=name) for name in ("Back", "Next stage"))
    says, number = box.locator("[role=status]"), box.get_by_role("slider", name="number")
    parameters = box.page.evaluate(PARAMETERS)  # the first name has the numbers of the demonstration
    for name, place in (("emm", 3), ("zoe", 1)):
        for i, vectors in enumerate(stages_of(parameters, name, place), 1):
            says.filter(has_text=f"{i} of 9: ").wait_for()
            found = [row for head, row in cells(box).items() if " " not in head]  # without what the heads look at
            assert found == [[fixed(x, 2) for x in row] for row in zip(*vectors, strict=True)], (name, i)
            link = box.get_by_role("link").get_attribute("href")
            assert box.page.locator(f"{link}.chunk").count() == 1
            if i < 9:
                press(on, "Enter")
        press(on, "Enter")  # once too often
        assert on.is_disabled() and "9 of 9: " in says.inner_text()
        assert on.evaluate("button => button === document.activeElement")
        for _ in range(8):
            press(back, "Enter")
        assert back.is_disabled()
        box.get_by_label("name").fill("zoe")
        press(box.get_by_label("place"), "Home", "ArrowRight")
        box.get_by_role("img", name="wte[z]").wait_for()
    press(number, "End")
    table, shown = cells(box)["16"], box.locator("svg").first
    assert shown.get_attribute("aria-label") == f"Number 16: wte[z] {table[0]}, + wpe[1] {table[1]}, = sum {table[2]}"
    assert shown.locator(".widget-strong").all_text_contents() == table
    shown.locator("rect").nth(2).hover()
    assert number.input_value() == "3"


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
    printed = box.page.locator("#demonstration-count-operations .output").inner_text()
    assert printed.replace("\n", " ").startswith(cells(box)["all"][1].replace(",", "") + " entries")
    drawn = box.page.locator("#demonstration-where-it-goes figure svg text").all_text_contents()
    assert all(entries in map(str.strip, drawn) for part, (_, entries) in cells(box).items() if part != "all")
    steps = {"letters": 3, "width": 2, "layers": 1, "positions": -1}
    for name, count in steps.items():
        press(box.get_by_label(name), *["ArrowRight" if count > 0 else "ArrowLeft"] * abs(count))
    assert cells(box)["all"] == counts(program, 24, 2, 8, 7)  # the name is as long as it can be with 8 positions
    press(box.get_by_label("width"), "Home")
    press(box.get_by_label("layers"), "ArrowRight")
    assert cells(box)["all"] == counts(program, 4, 3, 8, 7)
    all_of_it = cells(box)["all"]
    assert box.locator("[role=status]").inner_text() == (
        f"{all_of_it[0]} parameters, and {all_of_it[1]} entries for this name."
    )
    press(box.get_by_label("positions"), "End")
    press(box.get_by_label("positions"), "Home")
    press(box.get_by_label("letters"), "End")
    assert box.get_by_label("letters").input_value() == "7"


# Another learning rate


def last_losses(rate):
    """Return the mean of the last fifty losses with a learning rate, by the fastest program in Python."""
    done = run("--learning_rate", rate, "--samples", 1, program=BUILD / "efficiency" / "generated.py")
    return statistics.mean(float(loss) for loss in re.findall(r"loss (\S+)", done.stdout)[-50:])


def test_another_rate_gives_the_losses_of_python(opened):
    box = opened("rate")
    press(box.get_by_label("10 to the power"), *["ArrowLeft"] * 4)  # the last one counts, whatever was going on
    says = box.locator("[role=status]", has_text="on average")
    says.wait_for(timeout=60_000)
    assert says.inner_text() == f"With a rate of 0.001 the last 50 losses are {last_losses(0.001):.2f} on average."
    assert box.locator("polyline").last.get_attribute("points").count(",") == 100
    press(box.get_by_label("10 to the power"), "End")
    box.locator("[role=status]", has_text="With a rate of 1 it ended: ").wait_for(timeout=60_000)
    assert box.locator("polyline").last.get_attribute("points").count(",") < 10  # nothing of the rate before


# The same training


def test_the_first_picture_comes_into_being_and_ends_as_it_was_drawn(opened, demonstrated):
    moments = demonstrated("live")["moments"]
    box = opened("live", reduced_motion="reduce")
    texts = box.page.locator("#demonstration-becoming figure svg text")
    drawn = texts.all_text_contents()
    assert [drawn[i : i + 10] for i in range(0, 40, 10)] == [
        column for step, column in moments if step in (1, 30, 200, 1000)
    ]
    press(box.get_by_role("button", name="Play the picture again"), "Enter")
    texts.nth(39).filter(has_not_text="loss").wait_for(state="attached")  # the last column is still empty
    texts.nth(30).filter(has_text=re.compile("^[23]..? steps")).wait_for()  # it goes on from 200
    box.page.evaluate("dispatchEvent(new Event('beforeprint'))")  # on paper it has ended
    assert texts.all_text_contents() == drawn
    press(box.get_by_role("button", name="Play the picture again"), "Enter")
    texts.nth(39).filter(has_not_text="loss").wait_for(state="attached")
    texts.nth(39).filter(has_text=drawn[39]).wait_for()
    texts.nth(30).filter(has_text=drawn[30]).wait_for()
    assert texts.all_text_contents() == drawn


def test_the_first_page_trains_the_model_and_says_what_comes_next(opened):
    box = opened("live", 360)
    says, bars = box.locator("[role=status]"), box.locator("svg").last
    press(box.get_by_role("button", name="Train it"), "Enter")
    says.filter(has_text="It is learning").wait_for(timeout=60_000)
    height = box.bounding_box()["height"]
    says.filter(has_text="It has learned").wait_for(timeout=60_000)
    assert abs(box.bounding_box()["height"] - height) < 2  # what stands below it has not moved
    assert says.inner_text() == "It has learned from 1,000 names; the last loss is 2.5116, as in Python."
    label = re.compile(r"What comes next: (. \d+ %|end \d+ %)(, (.|end) \d+ %){2}")
    box.get_by_label("It begins with").fill("mar")
    assert label.fullmatch(bars.get_attribute("aria-label"))
    for _ in range(3):
        press(box.get_by_role("button", name="Write a name"), "Enter")
    words = box.locator(".live-names").last.inner_text().split()
    assert len(words) == 3 and all(word.startswith("mar") for word in words)
    box.get_by_label("It begins with").fill("é ")
    assert says.inner_text() == "It has never seen é: the names are of the letters a to z."
    assert bars.locator("xpath=ancestor::*[@inert]").count() == 1
    box.get_by_label("It begins with").fill("e")
    assert bars.locator("xpath=ancestor::*[@inert]").count() == 0
    assert says.inner_text().startswith("It has learned from")
