"""The film of the walk: one scene of it, and the numbers on its frames, which are those of the program."""

import json
import math
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from browsing import WOVEN
from programs import BUILD, ROOT, flags, load
from weaver import film, walk
from weaver.render import Renderer

SITE, SCENE = BUILD / "site", "contribution"


@pytest.fixture
def file(site, tmp_path):
    if message := film.lacking():
        pytest.skip(message)
    return tmp_path / "a.webm"


def apart(run):
    """Return what a function returns in a thread of its own: one that has opened a browser already opens no other."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


@pytest.mark.slow
def test_a_scene_is_filmed_with_captions_and_a_chapter_and_twice_to_the_same_bytes(file):
    first, again = (apart(lambda: film.make(SITE, file, SCENE)) or file.read_bytes() for _ in range(2))
    assert first == again
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=width,height:format=duration:chapter_tags=title"]
    found = subprocess.run([*command, "-of", "csv=p=0", file], capture_output=True, check=True, text=True).stdout
    scene = next(scene for scene in json.loads((SITE / walk.FILE).read_bytes())["scenes"] if scene["title"] == SCENE)
    assert found.splitlines()[:2] == ["1920,1080", scene["chapter"]]
    assert float(found.split()[-1]) == pytest.approx(sum(beat["seconds"] for beat in scene["beats"]), abs=0.1)
    assert file.with_suffix(".vtt").read_text(encoding="utf-8").endswith(f"\n{walk.words(scene['says'])}\n")


@pytest.mark.slow
def test_the_numbers_on_its_frames_are_those_of_the_program(file):
    program, shares, noted = load("microgpt.py"), [], []
    random.seed(42)
    random.shuffle(documents := program.read(ROOT / "docs" / "names.txt"))
    lessons = [program.encode(document, sorted(set("".join(documents)))) for document in documents[:2]]
    model, softmax, backward = program.new_model(27, 16, 1, 16), program.softmax, program.backward
    program.softmax = lambda logits: shares.append(softmax(logits)) or shares[-1]  # of four heads, and of the letters
    program.backward = lambda loss: noted.extend([len(program.tape), first.data, backward(loss) or first.grad])
    first, training = model[0]["wte"][0][0], program.train(model, lessons, flags(n_head=4, num_steps=1000))
    loss, (entries, before, gradient) = next(training), noted
    answers = [row[target].data for row, target in zip(shares[4::5], lessons[0][1:])]
    wanted = [
        ("encoded", " ".join(map(str, lessons[0]))), ("surprise", f"probability {answers[0]:.4f}"),
        ("looking-back", " ".join(f"{weight.data:.2f}" for weight in shares[30])), ("tape", f"{entries:,}"),
        ("loss", " ".join(f"{-math.log(answer):.2f}" for answer in answers)), ("loss", f"loss {loss:.4f}"),
        ("adam", f"gradient {gradient:.4f}"), ("adam", f"mean {0.15 * gradient:.5f} square {0.01 * gradient**2:.6f}"),
        ("adam", f"before {before:.4f} after {first.data:.4f}"), ("many-steps", f"loss {next(training):.4f}"),
    ]  # fmt: skip

    def missing():
        left = wanted
        with film.screen(SITE) as screen:
            for beat in screen.walk["beats"]:
                screen.seek(beat["start"] + beat["seconds"] / 2)
                words = {*" ".join([(shown := screen.read())["made"], *shown["words"]]).split()}
                left = [(title, text) for title, text in left if title != beat["title"] or not words >= {*text.split()}]
        return left

    assert apart(missing) == []


def test_what_is_missing_is_said_and_the_page_links_a_film_that_is_there(tmp_path, monkeypatch):
    with pytest.raises(OSError, match=r"^there is no scene two: name one of one$"):
        film.clips_of([{"title": "one", "beats": [{"seconds": 2.0}]}], "two")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OSError, match=r"needs chromium and ffmpeg, .* `apt-get install chromium ffmpeg`$"):
        film.make(tmp_path, tmp_path / "a.webm")
    (build := tmp_path / "build").mkdir()
    (build / "microgpt.webm").write_bytes(bytes(12_300_000))
    assert (film.size(tmp_path), film.published(tmp_path)) == ("", [])  # without its captions
    (build / "microgpt.vtt").write_text("0 --> 00:06:31.400\nThe end\n")
    page = str(Renderer(WOVEN, {}, {}, film=film.size(tmp_path)).walk(walk.fence_of(WOVEN)))
    assert '/files/microgpt.webm">The walk as a film</a>, 6:31 minutes, 12 MB' in page
