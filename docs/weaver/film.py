"""The film of the walk: its page in Chromium, frame by frame, of which ffmpeg makes a video in WebM.

A beat moves only when it begins. So it is a few frames of one length, and one that stays until the next beat.
"""

import contextlib
import functools
import http.server
import importlib.util
import json
import math
import os
import shutil
import subprocess
import tempfile
import threading
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from html import escape
from itertools import accumulate, groupby
from pathlib import Path
from typing import NamedTuple

import tangle
from weaver import walk

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
WIDTH, HEIGHT, RATE = 1920, 1080, 25  # frames a second
STYLES = Path(__file__).with_suffix(".css")
KINDS = {".webm": b"\x1a\x45\xdf\xa3", ".vtt": b"WEBVTT"}  # how such a file begins
READ = """box => ({
    row: [...box.querySelectorAll(".line")].findIndex((line) => line.matches(".lit")) + 1,
    made: box.querySelector(".made")?.textContent.trim(),
    words: [...box.querySelectorAll("svg g:not([opacity='0']) > text")].map((text) => text.textContent),
    says: box.querySelector(".walk-says").textContent,
})"""
# The same input has the same bytes: nothing of the time, of the version, or of how threads share the work. In real time
# means ten times as fast as for a good deadline, and at this size it looks the same.
PLAIN = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-threads", "1")
COLOURS = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
VP9 = ("-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", *COLOURS, "-c:v", "libvpx-vp9", "-b:v", "0",
       "-crf", "26", "-deadline", "realtime", "-cpu-used", "8", "-tune-content", "screen")  # fmt: skip


class Clip(NamedTuple):
    """A scene on the film: the number of its first frame, and of the first one after it."""

    scene: dict
    first: int
    last: int


def chromium():
    """Return the path of a browser that can be driven, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def captions_of(file):
    """Return the path of the captions of a film."""
    return file.with_suffix(".vtt")


def published(root):
    """Return the paths of the film that the site of a project offers, and of its captions; [] until both are there."""
    file = root / "build" / "microgpt.webm"
    paths = [file, captions_of(file)]
    return paths if all(path.is_file() for path in paths) else []


def size(root):
    """Return how long and how large the film is that the site of a project offers, "" if it offers none."""
    if not (paths := published(root)):
        return ""
    hours, minutes, seconds = paths[1].read_text(encoding="utf-8").rpartition("--> ")[2].split("\n")[0].split(":")
    length = f"{60 * int(hours) + int(minutes)}:{int(float(seconds)):02}"
    return f"{length} minutes, {paths[0].stat().st_size / 1e6:.0f} MB"


def lacking():
    """Return what a film needs and this machine lacks, with the way to install it, or nothing."""
    names = [name for name, found in (("chromium", chromium()), ("ffmpeg", shutil.which("ffmpeg"))) if not found]
    ways = [f"`apt-get install {' '.join(names)}`"] if names else []
    if not importlib.util.find_spec("playwright"):
        names, ways = [*names, "Playwright"], [*ways, "`pip install playwright`"]
    return f"a film needs {' and '.join(names)}, which this machine lacks: {' and '.join(ways)}" if names else ""


def check(file):
    """Raise OSError if a film cannot be made, or if its place has anything but an older one."""
    if file.suffix != ".webm":
        raise OSError(f"{file}: a film is a WebM: name a file that ends in .webm")
    for path in (file, captions_of(file)):
        if os.path.lexists(path) and not (tangle.read(path) or b"").startswith(KINDS[path.suffix]):
            raise OSError(f"{path} exists and is not part of a film: name another file")
    if message := lacking():
        raise OSError(message)


class Screen:
    """The walk in a page of Chromium, as the film shows it at any time."""

    def __init__(self, page):
        self.page, self.box = page, page.locator(".walk")
        page.wait_for_function("document.querySelector('.walk').walk")
        page.add_style_tag(path=STYLES)
        page.evaluate("Promise.all([...document.fonts].map((font) => font.load())).then(() => null)")
        self.walk = self.box.evaluate("({ walk }) => ({ ...walk, seek: null })")
        self.session = page.context.new_cdp_session(page)  # its pictures take a third of the time of Playwright's

    def seek(self, seconds):
        """Show a moment of the walk."""
        show = "(box, [time, share]) => { box.walk.seek(time); box.style.setProperty('--share', share); }"
        self.box.evaluate(show, [seconds, seconds / self.walk["seconds"]])

    def picture(self):
        """Return what it shows, as a PNG."""
        answer = self.session.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})
        return b64decode(answer["data"])

    def read(self):
        """Return what it shows, in words: the row that is lit, what it made, the words of the picture, the sentence."""
        return self.box.evaluate(READ)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *arguments):
        pass


def walk_of(site):
    """Return the walk on a site, with its `page` and its `scenes`; raise OSError if there is none."""
    given = tangle.read(site / walk.FILE)
    if not given:
        raise OSError("the essay has no walk, of which a film could be made")
    return json.loads(given)


@contextlib.contextmanager
def screen(site):
    """Serve a site, and open the page of its walk in Chromium; raise OSError with what the browser says."""
    from playwright.sync_api import Error, sync_playwright

    path = walk_of(site)["page"]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    looks = {"color_scheme": "light", "reduced_motion": "no-preference"}
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, bypass_csp=True, **looks)
            page.goto(f"http://127.0.0.1:{server.server_port}/{path}")
            yield Screen(page)
            browser.close()
    except Error as error:
        raise OSError(f"the browser that shows the film: {str(error).splitlines()[0]}") from None
    finally:
        server.shutdown()
        server.server_close()


def frame_at(seconds):
    """Return the number of the first frame that is not before a time."""
    return math.ceil(seconds * RATE - 1e-6)


def clips_of(scenes, name=None):
    """Return the Clips of all scenes, or of the one of that name; raise OSError if there is none."""
    lengths = [sum(beat["seconds"] for beat in scene["beats"]) for scene in scenes]
    borders = [0, *map(frame_at, accumulate(lengths))]
    clips = [clip for clip in map(Clip, scenes, borders, borders[1:]) if name in (None, clip.scene["title"])]
    if not clips:
        raise OSError(f"there is no scene {name}: name one of {', '.join(scene['title'] for scene in scenes)}")
    return clips


def moments(clip, moving, beats):
    """Yield (seconds, frames): when a picture is taken, and for how many frames it is shown.

    `beats` are those of the walk, of which each moves for `moving` seconds.
    """
    for beat in (beat for beat in beats if beat["title"] == clip.scene["title"]):
        first, last = frame_at(beat["start"]), frame_at(beat["start"] + beat["seconds"])
        still = min(last - 1, first + frame_at(moving))
        for frame in range(first, still + 1):
            yield max(beat["start"], frame / RATE), last - still if frame == still else 1


def ffmpeg(folder, *arguments):
    """Let ffmpeg write a file in a folder; raise OSError with what it says."""
    done = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *arguments], cwd=folder, capture_output=True, text=True,
                          check=False)  # fmt: skip
    if done.returncode:
        raise OSError(f"ffmpeg: {done.stderr.strip() or done.returncode}")


def listed(folder, name, lengths):
    """Write the list of files that ffmpeg joins, [(file, frames)], each shown for so long; return its options."""
    entries = "".join(f"file {file}\nduration {count / RATE:.2f}\n" for file, count in lengths)
    Path(folder, name).write_text(f"ffconcat version 1.0\n{entries}", encoding="utf-8")
    return "-f", "concat", "-i", name


def shoot(screen, clip, folder):
    """Take the pictures of a clip into a folder; return [(file, frames)]."""
    lengths = []
    for seconds, count in moments(clip, screen.walk["moving"], screen.walk["beats"]):
        screen.seek(seconds)
        name = f"{clip.first}-{len(lengths)}.png"
        Path(folder, name).write_bytes(screen.picture())
        lengths.append((name, count))
    return lengths


def encode(folder, name, lengths):
    """Let ffmpeg make a clip of pictures, [(file, frames)], and remove these."""
    *others, (last, count) = lengths
    lengths = [*others, (last, count - 1), (last, 1)]  # ffmpeg lets the last picture stay for one frame only
    ffmpeg(folder, *listed(folder, f"{name}.txt", lengths), "-fps_mode", "vfr", *VP9, *PLAIN, name)
    for file, _ in lengths[:-1]:
        Path(folder, file).unlink()


def stamp(frame):
    """Return the time of a frame, as captions have it."""
    minutes, seconds = divmod(frame / RATE, 60)
    return f"{int(minutes) // 60:02}:{int(minutes) % 60:02}:{seconds:06.3f}"


def captions(clips):
    """Return the captions of a film in WebVTT: what each scene says."""
    start = clips[0].first
    cues = [f"{stamp(first - start)} --> {stamp(last - start)}\n{escape(walk.words(scene['says']), quote=False)}\n"
            for scene, first, last in clips]  # fmt: skip
    return "\n".join(["WEBVTT\n", *cues])


def chapters(clips, title):
    """Return the title and the chapters of a film, as ffmpeg reads them."""
    escaped = str.maketrans({mark: f"\\{mark}" for mark in "=;#\\\n"})
    text = f";FFMETADATA1\ntitle={title.translate(escaped)}\n"
    for name, group in groupby(clips, lambda clip: clip.scene["chapter"]):
        first, *_ = group = [*group]
        times = [frame - clips[0].first for frame in (first.first, group[-1].last)]
        text += f"[CHAPTER]\nTIMEBASE=1/{RATE}\nSTART={times[0]}\nEND={times[1]}\ntitle={name.translate(escaped)}\n"
    return text


def make(site, file, name=None, report=lambda text: None):
    """Make the film of the walk on a site, or of the scene of that name, and its captions beside it.

    The same site gives the same bytes. Raises OSError, and writes nothing, if that fails.
    """
    check(file)
    clips = clips_of(walk_of(site)["scenes"], name)
    with tempfile.TemporaryDirectory(prefix="microgpt-film-") as folder, ThreadPoolExecutor(1) as encoder:
        jobs = []
        with screen(site) as shown:
            for number, clip in enumerate(clips, 1):
                report(f"filming {clip.scene['title']}, scene {number} of {len(clips)}")
                lengths = shoot(shown, clip, folder)
                if jobs:
                    jobs[-1].result()  # a clip is encoded while the pictures of the next one are taken
                jobs.append(encoder.submit(encode, folder, f"{clip.first}.webm", lengths))
            title = shown.page.title()
        jobs[-1].result()
        Path(folder, "chapters.txt").write_text(chapters(clips, title), encoding="utf-8")
        joined = listed(folder, "clips.txt", [(f"{clip.first}.webm", clip.last - clip.first) for clip in clips])
        mapped = ("-map", "0", "-map_metadata", "1", "-map_chapters", "1", "-c", "copy")
        ffmpeg(folder, *joined, "-i", "chapters.txt", *mapped, *PLAIN, "film.webm")
        tangle.put(file, Path(folder, "film.webm").read_bytes())
        tangle.put(captions_of(file), captions(clips).encode())
