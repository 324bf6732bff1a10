"""The walk through the program in a real browser: the player, the stills, and the picture beside a chapter."""

import json
import math
import random
import re
from html import unescape
from itertools import pairwise
from urllib.parse import urljoin

import pytest
from browsing import WOVEN, chapter, press, turn
from programs import BUILD, ROOT, load
from weaver import walk

pytestmark = pytest.mark.slow
PAGE, MODEL = WOVEN.page_of(walk.fence_of(WOVEN).line).path, chapter("chunk-rmsnorm")
SEEN = """box => ({
    row: [...box.querySelectorAll(".walk-code .line")].findIndex(line => line.matches(".lit")) + 1,
    made: [...box.querySelector(".made").childNodes].map(part => part.textContent.trim()),
    says: box.querySelector(".walk-says").innerHTML,
    texts: [...box.querySelectorAll("svg g:not([opacity='0']) text")].map(text => text.textContent).sort(),
    chapter: box.querySelector("[aria-label=chapter]").value,
    place: location.hash,
})"""
DRAWN = "(box) => box.querySelector('svg').innerHTML"


@pytest.fixture(scope="module")
def scenes(site):
    return json.loads((BUILD / "site" / walk.FILE).read_text(encoding="utf-8"))["scenes"]


@pytest.fixture(scope="module")
def moments(scenes):
    """What is to be seen at each beat, in their order, as SEEN says it."""
    return [{"row": beat["row"], "made": [str(word).strip() for pair in beat["made"] for word in pair],
             "says": unescape(scene["says"]), "texts": sorted(texts.values()), "chapter": scene["chapter"],
             "place": f"#scene={scene['title']}.{number}"}
            for scene in scenes for number, (beat, texts) in enumerate(played(scenes, scene["title"]), 1)]  # fmt: skip


def played(scenes, title):
    """Return [(beat, {key: text in the picture})] of a scene."""
    marks, found = {}, []
    for scene in scenes:
        for beat in scene["beats"]:
            marks = {key: mark for key, mark in marks.items() if key not in beat["gone"]} | beat["put"]
            if scene["title"] == title:
                found.append((beat, {key: mark["text"] for key, mark in marks.items() if "text" in mark}))
    return found


def shown(scenes, title, beginning=""):
    """Return the names and words beside the lines of a scene, and the texts of some keys in the picture."""
    beats = played(scenes, title)
    return [dict(beat["made"]) for beat, _ in beats], [
        [texts[key] for key in sorted(texts) if key.startswith(beginning)] for _, texts in beats
    ]


@pytest.fixture
def opened(tab):
    """Return a function that opens the walk at a place and returns it, under the policy that readers have."""

    def open_walk(place="", width=1440, **options):
        box = tab(PAGE + place, width, **{"reduced_motion": "reduce", "bypass_csp": False} | options).locator(".walk")
        box.get_by_role("button", name="Play").wait_for()
        return box

    return open_walk


def named(box, label):
    """Return a control of the walk by its label, or a button by what is on it."""
    return box.get_by_label(label, exact=True).or_(box.get_by_role("button", name=label, exact=True)).first


# What the scenes say


def test_the_scenes_show_the_numbers_of_the_run(scenes):
    program = load("microgpt.py")
    random.seed(42)
    documents = program.read(ROOT / "docs" / "names.txt")
    random.shuffle(documents)
    assert shown(scenes, "shuffled")[0][-1] == {"documents[0]": documents[0]}
    tokens = program.encode(documents[0], sorted({*"".join(documents)}))
    assert shown(scenes, "encoded")[0][-1] == {"return": " ".join(map(str, tokens))}
    model, softmax, chances = program.new_model(27, 16, 1, 16), program.softmax, []

    def noted(logits):
        found = softmax(logits)
        chances.append([value.data for value in found])
        return found

    program.softmax = noted
    loss = program.loss_of(model, tokens, n_head=4)
    assert shown(scenes, "tape")[0][0] == {"tape": f"{len(program.tape):,} entries"}
    first, others = shown(scenes, "looking-back", "weight"), shown(scenes, "heads-apart", "weight")
    words, texts = (first[i] + others[i][::2] for i in (0, 1))
    for head, (beside, drawn) in enumerate(zip(words, texts, strict=True)):
        weights = [f"{weight:.2f}" for weight in chances[-5 + head]]  # of the last token; then come the probabilities
        assert (beside, drawn) == ({"weights": " ".join(weights)}, weights)
        assert sum(map(float, weights)) == pytest.approx(1, abs=0.035)
    surprises = [-math.log(given[target]) for given, target in zip(chances[4::5], tokens[1:], strict=True)]
    assert shown(scenes, "loss", "how-surprise")[1][-1] == [f"{surprise:.2f}" for surprise in surprises]
    assert shown(scenes, "loss")[0][-1] == {"loss": f"{sum(surprises) / len(surprises):.4f}"} == {"loss": "3.4639"}
    parameters, state = program.parameters_of(model), ([0.0] * 4192, [0.0] * 4192)
    before, _ = f"{parameters[0].data:.4f}", program.backward(loss)
    program.adam(parameters, *state, 1, 0.01)
    after = {"mean": f"{state[0][0]:.5f}", "square": f"{state[1][0]:.6f}", "before": before,
             "after": f"{parameters[0].data:.4f}"}  # fmt: skip
    words = [(name, word.replace("−", "-")) for beat in shown(scenes, "adam")[0] for name, word in beat.items()]
    assert dict(words) == after
    assert shown(scenes, "many-steps")[0][-1] == {"loss": "2.5116"}  # as the published program
    assert shown(scenes, "rest", "sign")[1][-1] == ["BOS", *"biad", "BOS"]
    assert next(scene["says"] for scene in scenes if scene["title"] == "end").startswith("<em>biad</em>")


def test_the_lines_of_a_scene_are_in_the_order_in_which_they_run(scenes):
    lines = (BUILD / "microgpt.py").read_text(encoding="utf-8").split("\n")
    begin = [number for number, line in enumerate(lines, 1) if re.match("def |class |@", line)]
    for scene in scenes:
        rows = [beat["row"] for beat in scene["beats"]]
        for i, (one, other) in enumerate(pairwise(rows)):
            is_same = sum(row <= one for row in begin) == sum(row <= other for row in begin)
            assert one <= other or not is_same or other in rows[:i], scene["title"]  # a loop comes round


# The player


def test_each_moment_is_shown_and_a_link_leads_to_it(opened, moments):
    box, seen = opened(), []
    for _ in moments:
        seen.append(box.evaluate(SEEN))
        press(named(box, "Step"), "Enter")
    assert seen == [moments[0] | {"place": ""}, *moments[1:]]
    assert named(box, "Step").get_attribute("aria-disabled") == "true"
    named(box, "Back").click()
    assert box.evaluate(SEEN) == moments[-2]
    assert opened(moments[40]["place"]).evaluate(SEEN) == moments[40]


def test_keys_slider_chapters_and_lines_lead_to_a_moment(opened, moments):
    box = opened()
    code, slider, rows, chapters = box.locator(".walk-code"), named(box, "moment"), *(
        [moment[name] for moment in moments] for name in ("row", "chapter"))  # fmt: skip
    first = [i for i, moment in enumerate(moments) if moment["place"].endswith(".1")]  # of each scene

    def seen():
        return moments.index(box.evaluate(SEEN))

    for control, keys, at in (
        (code, ["ArrowRight", "ArrowRight", "ArrowLeft"], 1), (code, ["End"], len(moments) - 1),
        (code, ["Shift+ArrowLeft"], first[-2]), (named(box, "Back"), ["Home", *["Shift+ArrowRight"] * 2], first[2]),
        (slider, ["End", "ArrowLeft"], len(moments) - 2),
    ):  # fmt: skip
        press(control, *keys)
        assert seen() == at
    assert slider.get_attribute("aria-valuetext").startswith(f"{chapters[-1]}, scene ")
    named(box, "chapter").select_option("One step")
    assert seen() == chapters.index("One step")
    line = code.locator(".line").nth(rows[30] - 1)
    line.click(position={"x": line.evaluate("line => line.clientWidth - 9"), "y": 5})  # beside the code
    assert seen() == rows.index(rows[30])


def test_it_plays_pauses_and_plays_again(opened, moments):
    box = opened("#scene=again.1", reduced_motion="no-preference")
    named(box, "speed").select_option("2 ×")
    named(box, "Play").click()
    box.locator(".made", has_text="position 3").wait_for()
    named(box, "Pause").click()
    stopped = box.evaluate(SEEN)
    box.page.wait_for_timeout(800)  # a beat takes less
    moment = moments[int(named(box, "moment").input_value())]
    assert box.evaluate(SEEN) == stopped == moment | {"texts": stopped["texts"]}  # it may be on its way to these
    press(box.locator(".walk-code"), "End", " ")
    named(box, "Play again").click(timeout=20_000)
    box.get_by_text(moments[0]["says"]).wait_for()
    named(box, "Pause").click()


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_with_reduced_motion_a_step_moves_nothing(opened, motion):
    box = opened("#scene=encoded.1", reduced_motion=motion)
    at_once = named(box, "Step").evaluate(f"step => {{ step.click(); return ({DRAWN})(step.closest('.walk')); }}")
    box.page.wait_for_timeout(1000)
    assert (box.evaluate(DRAWN) == at_once) == (motion == "reduce")


def test_without_javascript_there_is_a_still_of_each_scene_with_its_sentence(tab, scenes):
    page = tab(PAGE, java_script_enabled=False)
    assert page.locator(".walk").is_hidden()
    assert page.locator("article button, article select").count() == 0
    stills = page.locator(".walk-stills > li")
    says = stills.locator("p").evaluate_all("all => all.map(says => says.innerHTML)")
    assert [*map(unescape, says)] == [unescape(scene["says"]) for scene in scenes]
    for still in (stills.first, stills.last):
        assert still.locator("img").bounding_box()["height"] > 100
        assert "<svg" in page.request.get(urljoin(page.url, still.locator("img").get_attribute("src"))).text()


def test_everybody_can_use_it_and_nothing_is_too_wide(opened, axe):
    box = opened("#scene=again.1")
    for width, scheme in ((1440, "light"), (1440, "dark"), (390, "light")):
        turn(box.page, width, scheme)
        assert axe(box.page, context=".md-content") == [], (width, scheme)
        named(box, "Step").click()
        wide = "box => [document.documentElement.scrollWidth - innerWidth, box.scrollWidth - box.clientWidth]"
        assert max(box.evaluate(wide)) <= 0
        assert re.match(r"line \d+: .+ is ", box.locator(".walk-read").inner_text())
    for width, height in ((1366, 650), (390, 664), (360, 640)):  # a laptop's window, and phones with their bars
        box.page.set_viewport_size({"width": width, "height": height})
        named(box, "Step").click()
        words, controls = (box.locator(part).bounding_box() for part in (".walk-says", ".walk-controls"))
        assert words["y"] + words["height"] <= controls["y"] + 1, (width, height)
    box.page.emulate_media(media="print")
    assert box.is_hidden() and box.page.locator(".walk-stills").is_visible()


# Beside a chapter


@pytest.mark.parametrize("width", [390, 1220])
def test_the_picture_goes_along_with_the_chapter(tab, scenes, width):
    page = tab(MODEL, width, reduced_motion="reduce", bypass_csp=False)
    aside, text = page.locator(".along"), page.locator("p:has([data-scene])").first
    first = text.locator("[data-scene]").first.get_attribute("data-scene")
    for title in ("two-rows", "standard-size"):
        place = "mark => scrollBy({top: mark.getBoundingClientRect().top - innerHeight * 0.4 + 4, behavior: 'instant'})"
        page.locator(f"[data-scene={title}]").first.evaluate(place)
        shows = first if width == 390 else title  # on a phone it does not change unseen
        beats = next(scene["beats"] for scene in scenes if scene["title"] == shows)
        aside.locator(f"a[href$='/{PAGE}#scene={shows}.{len(beats)}']").first.wait_for()
        lit = {line.strip() for line in page.locator(".chunk .line.lit").all_inner_texts()}
        assert lit <= {beat["code"] for beat in beats} and lit
        assert aside.locator(".along-says").inner_text().startswith(f"Line {beats[-1]['row']}, in step 1")
        box, other = aside.bounding_box(), text.bounding_box()
        if width == 390:
            assert 0 <= other["y"] - box["y"] - box["height"] < 60
        else:
            assert other["x"] + other["width"] <= box["x"] and box["x"] + box["width"] <= width
            assert box["y"] >= 0 and box["y"] + box["height"] <= 900  # it has stayed in sight
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    if width == 1220:
        page.locator(".along.away").wait_for(state="hidden")  # there the text is about something else
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    link = f"{page.url.partition('#')[0]}#{page.locator('h2').nth(2).get_attribute('id')}"
    page.goto("about:blank")  # the link is from elsewhere
    page.goto(link)
    page.locator(".along svg *").first.wait_for(state="attached")
    assert 0 <= page.locator("h2").nth(2).bounding_box()["y"] < 150
