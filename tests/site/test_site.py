"""The built site in a real browser: links, previews, unfolding, search, widths and colour schemes, accessibility."""

import gzip
import json
import re
import struct
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlparse

import pytest
from browsing import LISTING, WOVEN, chapter, press, turn
from programs import BUILD, CONTRACTS, ROOT
from weaver import trials

pytest.importorskip("mkdocs", reason="mkdocs is not installed")
pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = pytest.mark.slow

SITE = BUILD / "site"
MODEL, ATTENTION, TERMS = map(chapter, ("chunk-rmsnorm", "chunk-attend", "term-gradient"))
CHAPTERS = {page.path for page in WOVEN.pages if page.number}
TURN, SUMMIT = map(chapter, ("program-exercises-top-k-py", "chunk-command-line"))


def nightly(*more):
    """Return more of the same for a parametrised test, which runs at night."""
    return [pytest.param(one, marks=pytest.mark.nightly) for one in more]


@pytest.fixture(scope="module")
def titles(site):
    """{path: title} of all pages, as the navigation has them."""
    nav = re.search(r"^nav: (.*)$", (BUILD / "mkdocs.yml").read_text(encoding="utf-8"), re.M)[1]
    return {path: title for title, path in re.findall(r'"([^"]*)": "([^"]*)index\.md"', nav)}


@pytest.fixture(scope="module")
def pages(titles):
    """The paths of all pages."""
    assert len(titles) > 12
    return [*titles]


@pytest.fixture(scope="module")
def kinds(pages):
    """The pages without those that repeat others: listings are alike, and that of the longest line stands for all."""
    widths = {target: max(map(len, (BUILD / target).read_text(encoding="utf-8").splitlines())) for target in CONTRACTS}
    longest = max(widths, key=widths.get)
    listings = {LISTING, f"programs/{re.sub('[^a-z0-9]+', '-', longest)}/"}
    assert listings < {*pages}
    return [path for path in pages if path in listings or not path.startswith(("programs/", "everything/"))]


@pytest.fixture(scope="module")
def parsed(pages):
    """{path: ids and addresses} of all pages."""
    return {page: Anchors((SITE / page / "index.html").read_text(encoding="utf-8")) for page in pages}


class Anchors(HTMLParser):
    """Collect the ids in a page, the addresses that a reader may follow, and those that the browser loads."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loaded = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        addresses = [attributes[name] for name in ("href", "src") if attributes.get(name) and tag != "use"]
        if tag == "a":
            self.links += addresses
        else:
            self.loaded += addresses


def test_every_internal_link_and_anchor_resolves(site, parsed):
    """Links may lead out, if they are https; nothing is loaded from another host."""
    broken = []
    for page, anchors in parsed.items():
        for address in anchors.links + anchors.loaded:
            target = urlparse(urljoin(site + page, address))
            if not f"{target.scheme}://{target.netloc}/".startswith(site):
                if target.scheme != "https" or address in anchors.loaded:
                    broken.append((page, address))
                continue
            path = unquote(target.path).lstrip("/")
            file = SITE / path / "index.html" if path == "" or path.endswith("/") else SITE / path
            is_place = path in parsed and target.fragment and "=" not in target.fragment  # which says what is tried
            if not file.is_file() or (is_place and target.fragment not in parsed[path].ids):
                broken.append((page, address))
    assert broken == []


def test_no_page_lets_anything_come_from_another_host(pages):
    for page in pages:
        text = (SITE / page / "index.html").read_text(encoding="utf-8")
        policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)[1]
        sources = {name: words for name, *words in (part.split() for part in policy.split(";"))}
        assert sources["default-src"] == ["'self'"]
        assert {word for words in sources.values() for word in words if word[:1] != "'"} <= {"data:", "blob:"}


def test_ids_are_unique(parsed):
    for page, anchors in parsed.items():
        ids = [name for name in anchors.ids if name != "__search"]
        assert len(ids) == len(set(ids)), page


def test_a_link_to_a_page_shows_its_title_and_a_picture(site, titles):
    page = (SITE / MODEL / "index.html").read_text(encoding="utf-8")
    meta = dict(re.findall(r'<meta (?:property|name)="([\w:]+)" content="([^"]*)">', page))
    assert (meta["og:title"], meta["og:image"]) == (titles[MODEL], f"{site}assets/card.png")
    assert meta["og:image:alt"]
    assert meta["twitter:card"] == "summary_large_image"
    card = (SITE / "assets" / "card.png").read_bytes()
    assert struct.unpack(">II", card[16:24]) == (1200, 630)
    assert len(card) < 100_000 and (SITE / "assets" / "poster.pdf").stat().st_size < 150_000


LOOK = """() => {  // what is to be seen on a page, at the width that it has
    const code = [...document.querySelectorAll('.code, .output')];
    const texts = [...document.querySelectorAll('figure svg text')].map(text => ({
        size: parseFloat(getComputedStyle(text).fontSize) * Math.hypot(text.getScreenCTM().a, text.getScreenCTM().b),
        text: text.textContent.trim()}));
    const seen = {
        width: document.documentElement.scrollWidth,
        cut: code.filter(element => element.scrollWidth > element.clientWidth + 1).length,
        texts: texts.length,
        small: texts.filter(({ size }) => size < 11),
        stops: [...document.querySelectorAll('.md-content a, .md-content button')]
            .filter(e => e.tabIndex >= 0 && e.checkVisibility()).length,
    };
    if (seen.width < 1000) return seen;  // on a narrow screen long lines go on below
    const box = element => element.getBoundingClientRect();
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const notes = [...document.querySelectorAll('.note-text')].filter(e => e.checkVisibility());
    const others = [...document.querySelectorAll('.md-content__inner > div > *, .note-text')];
    seen.covered = notes.filter(note => others.some(other => !other.contains(note) && meet(box(note), box(other))))
        .map(note => note.textContent);
    for (const fold of document.querySelectorAll('article details')) fold.open = true;
    const narrow = '.goes-along *, .walk *, .walk ~ * *';
    seen.broken = [...document.querySelectorAll(`.code .line:not(${narrow})`)].filter(line => {
        const range = document.createRange();
        range.selectNodeContents(line.querySelector('.source') ?? line);
        return range.getBoundingClientRect().height > 1.7 * parseFloat(getComputedStyle(line).lineHeight);
    }).map(line => line.textContent);
    return seen;
}"""


@pytest.mark.parametrize("width", [360, 1440, *nightly(768)])
def test_every_page_has_room(tab, site, kinds, width):
    """Nothing scrolls sideways; figures can be read on a phone; no line of code is broken at a desktop, unless the
    picture of the walk is beside it, or it is its script.
    """
    page, texts = tab("", width), 0
    for path in [*kinds, "everything/"] if width == 768 else kinds:
        page.goto(site + path)
        seen = page.evaluate(LOOK)
        assert seen["width"] <= width, path
        assert seen["cut"] == 0, path
        texts += seen["texts"]
        if width == 360:
            assert seen["small"] == [], path
        if width == 1440:
            assert seen["broken"] == [], path
            assert seen["covered"] == [], path
            assert seen["stops"] < (200 if path in CHAPTERS else 700), path  # who looks something up wants links
    assert texts > 50


def test_a_note_stands_in_the_margin_or_opens_in_its_place(tab):
    page = tab(chapter("chunk-values-in-a-graph"))
    note, text = page.locator(".note-text").first, page.locator("p:has(.note)").first.bounding_box()
    assert note.bounding_box()["x"] > text["x"] + text["width"]
    assert page.locator(".note-mark").first.inner_text() == "1"
    page = tab(ATTENTION, 360, has_touch=True)
    note, mark = page.locator(".note-text").first, page.locator(".note-mark").first
    assert note.is_hidden()
    mark.tap()
    assert note.is_visible() and note.bounding_box()["x"] >= 0
    page.locator(".note-mark input").first.focus()
    page.keyboard.press("Space")
    assert note.is_hidden()


LOOKED_AT = {  # {(width, scheme): options of axe}
    (360, "light"): {"rules": {"color-contrast": {"enabled": False}}},  # slow to compute, and the same at all widths
    (768, "dark"): {"runOnly": ["color-contrast"]},  # nothing but the colours depends on the scheme
    (1440, "light"): {"runOnly": ["color-contrast"]},
}


PRINTED = """() => {  // what would be printed of the essay on one page
    dispatchEvent(new Event('beforeprint'));
    const seen = selector => [...document.querySelectorAll(selector)].filter(element => element.checkVisibility());
    const controls = 'button, .md-button, .md-header, .md-sidebar, .md-footer, .md-top, .widget, .machine,'
        + ' .try, .chunk-tools, .headerlink, .preview, .sheet, details.more, .demonstration details';
    return {
        controls: seen(controls).map(element => element.outerHTML.slice(0, 80)),
        titles: seen('.title-page .title, h1').map(element => element.textContent),
        chapters: seen('h2').map(heading => getComputedStyle(heading).breakBefore),
        closed: seen(':is(.experiment details, details.solution):not([open])').length,
    };
}"""


def test_the_essay_on_one_page_prints_as_a_book(tab):
    page = tab("everything/")
    assert page.locator(".title-page").is_hidden()
    page.emulate_media(media="print")
    printed = page.evaluate(PRINTED)
    chapters = ["page"] * (1 + page.locator(".contents li li").count())  # each begins on a new one
    assert printed == {"controls": [], "titles": ["A GPT you can read"], "chapters": chapters, "closed": 0}


@pytest.mark.parametrize("path", ["", ATTENTION, SUMMIT, chapter("chunk-exact-dot"), TURN, TERMS, LISTING,
                                  "programs/efficiency-exact-c/",
                                  "tools/", chapter("experiment-no-root"),
                                  *nightly("everything/", "indexes/", MODEL, chapter("chunk-js-layer"))])  # fmt: skip
def test_no_accessibility_violation(tab, axe, path):
    """Each kind of page, and of code; the other chapters are like these."""
    page = tab(path, reduced_motion="reduce")
    for (width, scheme), options in [*LOOKED_AT.items()][: 1 if path == "everything/" else None]:  # it has the chapters
        turn(page, width, scheme)
        assert axe(page, **options) == [], (width, scheme)


def test_a_preview_opens_on_hover_and_on_focus(tab):
    page = tab(ATTENTION)
    link = page.locator("#chunk-attend .chunk-foot a.chunk-link").first
    link.scroll_into_view_if_needed()
    link.hover()
    page.wait_for_selector(".preview:not([hidden]) .chunk")  # ⟨model⟩ is on the same page
    assert "⟨attention⟩" in page.locator(".preview").inner_text()
    page.keyboard.press("Escape")
    assert page.locator(".preview").is_hidden()
    page = tab(ATTENTION)
    other = chapter("chunk-values")  # where value() is
    link = page.locator(f'#chunk-attend .code a[href^="../{other}"]').first
    link.evaluate("link => link.focus({focusVisible: true})")
    page.wait_for_selector(".preview:not([hidden]) .chunk")
    assert "def value" in page.locator(".preview").inner_text()
    assert link.get_attribute("aria-describedby") == "chunk-preview"
    page = tab(MODEL)
    for kind, box in (("term", ".terms"), ("experiment", ".experiment")):
        page.locator(f'article p a[href*="#{kind}-"]').first.evaluate("link => link.focus({focusVisible: true})")
        page.wait_for_selector(f".preview:not([hidden]) {box}")
        assert "What happens?" not in page.locator(".preview").inner_text()


def test_a_link_into_a_solution_opens_it(tab):
    page = tab("text-into-numbers/")
    page.get_by_role("link", name="A solution").first.click()
    chunk = page.locator("details.solution:target .chunk").first
    chunk.wait_for()
    assert page.locator(".solution .chunk-name[id]").count() == 0  # the search would show it
    chunk = page.locator(f"#{chunk.get_attribute('id')}")
    page.locator("details.solution:target summary").click()
    chunk.wait_for(state="hidden")
    page.evaluate("""name => {
      const link = Object.assign(document.createElement("a"), { href: `#${name}` });
      document.querySelector("h1").append(link);
      link.click();
    }""", chunk.get_attribute("id"))
    chunk.wait_for()
    page.reload()
    chunk.wait_for()


def test_a_tap_shows_a_preview_in_a_sheet_and_a_second_one_leads_there(tab, site, axe):
    page = tab(ATTENTION, 360, height=740, has_touch=True, reduced_motion="reduce")
    link, sheet = page.locator("#chunk-attend .code a[data-peek]").first, page.get_by_role("region", name="Preview of")
    link.tap()
    sheet.wait_for()
    assert sheet.get_attribute("aria-label") == "Preview of softmax"
    assert "def softmax(logits):" in sheet.inner_text()
    box, above = sheet.bounding_box(), link.bounding_box()
    assert (box["x"], box["width"], box["y"] + box["height"]) == (0, 360, 740)
    assert box["height"] <= 0.45 * 740
    assert above["y"] + above["height"] <= box["y"]
    assert page.url == f"{site}{ATTENTION}"
    assert axe(page, runOnly=["wcag2a", "wcag2aa"]) == []
    for key in ("Tab", "Tab", "Escape"):
        assert page.evaluate("document.activeElement.closest('.peek') !== null")
        page.keyboard.press(key)
    assert link.evaluate("link => link === document.activeElement")
    assert sheet.count() == page.locator(".preview:visible").count() == 0
    for way in (lambda: page.touchscreen.tap(180, 100), sheet.get_by_role("button", name="close").tap):
        link.tap()
        sheet.wait_for()
        way()
        sheet.wait_for(state="hidden")
        assert page.url == f"{site}{ATTENTION}"
    for way in (sheet.get_by_role("link", name="Go there").tap, link.tap):
        page.goto(f"{site}{ATTENTION}")
        link.tap()
        sheet.wait_for()
        way()
        page.wait_for_url(f"{site}{ATTENTION}#chunk-softmax")
        assert sheet.count() == 0


def test_a_long_preview_can_be_read_to_its_end(tab):
    page = tab(chapter("chunk-train-and-show"), 640, height=360)  # what 1280 by 720 is at 200 %
    link = page.locator(".chunk .code a[data-peek]", has_text="train").first
    link.evaluate("link => link.focus({focusVisible: true})")
    preview = page.locator(".preview:not([hidden])")
    preview.wait_for()
    box = preview.bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 360
    assert preview.evaluate("p => p.scrollHeight > p.clientHeight"), "take a longer one"
    for _ in range(20):
        page.keyboard.press("PageDown")
    assert preview.evaluate("p => p.scrollTop + p.clientHeight >= p.scrollHeight - 2")


# The columns of the first letters of lines of code, by where the browser draws them.
COLUMNS = """element => {
  const width = (() => {  // of a letter
    const probe = document.createElement("span");
    probe.textContent = "0".repeat(100);
    probe.style.cssText = "position: absolute; white-space: pre";
    element.append(probe);
    const width = probe.getBoundingClientRect().width / 100;
    probe.remove();
    return width;
  })();
  const left = element.getBoundingClientRect().left + parseFloat(getComputedStyle(element).paddingLeft);
  return [...element.querySelectorAll(".line")].map((line) => {
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode());) {
      const at = node.data.search(/\\S/);
      if (at < 0) continue;
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const column = (range.getBoundingClientRect().left - left) / width;
      return [Math.round(column * 10) / 10, line.textContent.trim().slice(0, 30).trim()];
    }
    return null;
  }).filter(Boolean);
}"""


@pytest.mark.parametrize("way", ["tap", "click", "key"])
def test_a_reference_unfolds_in_place_and_folds_again(tab, way):
    page = tab(MODEL, 360 if way == "tap" else 1440, has_touch=True)
    chunk = page.locator("#chunk-layer-by-layer")
    code, button, unfolded = (chunk.locator(selector) for selector in (".code", "button.unfold", ".unfolded"))
    press_it = {"tap": button.tap, "click": button.click, "key": lambda: press(button, "Enter")}[way]
    before = code.evaluate(COLUMNS)
    press_it()
    unfolded.wait_for()
    assert button.get_attribute("aria-expanded") == "true"
    after = code.evaluate(COLUMNS)
    at = next(i for i, (_, text) in enumerate(after) if text.startswith("⟨mlp⟩"))
    assert [column for column, _ in after[at : at + 3]] == [4, 4, 4]  # the reference, and both lines of the chunk
    assert after[at + 1][1].startswith("hidden = [h.relu()")
    assert after[: at + 1] + after[at + 3 :] == before
    assert unfolded.locator("a[data-peek]").count() >= 3  # as in the chunk itself
    press_it()
    assert unfolded.count() == 0
    assert code.evaluate(COLUMNS) == before


def test_every_chunk_unfolds_to_the_program(tab, site):
    """All references of the outermost chunk, and those in them, unfolded: the text is the program's, line for line."""
    page = tab("")
    root = page.locator("#program-microgpt-py .code")
    folded = root.evaluate(COLUMNS)
    button = page.locator("#program-microgpt-py button.unfold-all")
    button.click()
    button.filter(has_text="fold all").and_(page.locator("[aria-expanded=true]")).wait_for()
    lines = [(column, text) for column, text in root.evaluate(COLUMNS) if not text.startswith("⟨")]
    program = (BUILD / "microgpt.py").read_text(encoding="utf-8").split("\n")
    assert lines == [(len(line) - len(line.lstrip()), line.strip()[:30].strip()) for line in program if line.strip()]
    addresses = root.locator("a").evaluate_all("links => links.map(link => link.href)")
    assert all(address.startswith(site) for address in addresses)
    button.click()
    button.and_(page.locator("[aria-expanded=false]")).wait_for()
    assert root.evaluate(COLUMNS) == folded


def test_the_keys_that_the_foot_names_lead_to_the_next_page_and_back(tab, site, pages):
    page = tab(MODEL)
    assert page.locator(".keys kbd").all_inner_texts() == ["n", "p", "/"]
    for key, path in (("n", pages[pages.index(MODEL) + 1]), ("p", MODEL)):
        page.keyboard.press(key)
        page.wait_for_url(site + path)


def test_keys_of_one_letter_can_be_turned_off_and_stay_so(tab, site):
    page = tab(MODEL)
    page.get_by_role("button", name="Turn these keys off").click()
    page.reload()
    page.get_by_role("button", name="Turn these keys on").wait_for()
    for key in "np/fs.,":
        page.keyboard.press(key)
    assert page.url == site + MODEL
    assert not page.locator("#__search").is_checked()


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("path", ["", MODEL, LISTING])
def test_the_tab_key_soon_reaches_the_content(tab, path, width):
    page, stops = tab(path, width), 0
    page.keyboard.press("Tab")  # to the link that skips them
    while not page.evaluate("document.activeElement.closest('article') !== null"):
        page.keyboard.press("Tab")
        stops += 1
        assert stops < 10
        assert not page.locator("#__search").is_checked()
    if width == 1440 and path != LISTING:  # which has no navigation beside it
        page.keyboard.press("Shift+Tab")
        assert page.locator(":focus").evaluate("link => link.matches('.md-nav__link--active')")
        page.keyboard.press("Home")
        assert page.locator(":focus").inner_text() == page.locator(".md-nav--primary a:visible").first.inner_text()


def test_copying_gives_the_code_of_the_essay(tab):
    page = tab(MODEL, permissions=["clipboard-read", "clipboard-write"])
    page.locator("#chunk-layer-by-layer button.copy").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied in (ROOT / "microgpt.md").read_text(encoding="utf-8")
    assert "<<mlp>>" in copied


SOUGHT = {  # where each leads; a heading may be renamed with its anchor
    "softmax": "chunk-softmax",
    "rmsnorm": "chunk-rmsnorm",
    "attention": "chunk-attention",
    "gradient": "term-gradient",
    "temperature": "the-temperature",
    "backprop": "term-backpropagation",  # what others call it
    "KV cache": "term-cache",
    "logits": "term-logit",
    "mask": "where-is-the-mask",
}


@pytest.mark.parametrize(("word", "anchor"), SOUGHT.items())
def test_search_leads_to_the_explanation(tab, site, word, anchor):
    page = tab("")
    page.keyboard.press("/")
    page.keyboard.type(word)
    links = page.locator(".md-search-result__link")
    links.first.wait_for(timeout=10000)
    addresses = [link.removeprefix(site) for link in links.evaluate_all("links => links.map(link => link.href)")]
    assert not [address for address in addresses if re.match("(everything|indexes|programs|tools)/", address)]
    page.keyboard.press("Enter")  # which is to take the best one
    page.wait_for_url(f"{site}{chapter(anchor)}#{anchor}")
    words = page.locator(f"#{anchor}, #{anchor} + *").all_inner_texts()
    assert word.split()[-1].lower().rstrip("s") in " ".join(words).lower()
    page.locator(f"#{anchor}").wait_for()
    assert 40 < page.locator(f"#{anchor}").bounding_box()["y"] < 600  # below the header


def test_search_sees_no_answer_and_no_foot(site):
    index = json.loads((SITE / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    text = " ".join(entry["title"] + entry["text"] for entry in index)
    assert "def softmax(" in text
    answers = r"used in ⟨|\.py lines? \d|edit and run|Try it in|What happens\?|Loss on unseen|Solution:"
    assert not re.search(answers, text)


def test_links_work_without_javascript(tab, site):
    page = tab(MODEL, java_script_enabled=False)
    page.locator("#chunk-layer-by-layer .code a.chunk-link").click()
    assert page.url == f"{site}{ATTENTION}#chunk-mlp"
    assert page.locator("button.unfold:visible, button.copy:visible").count() == 0


@pytest.mark.parametrize("path", ["", chapter("chunk-train"), LISTING, *nightly(MODEL, "indexes/")])
def test_the_first_view_is_light(tab, site, path):
    page, asked = tab(path, service_workers="block"), set()
    page.on("request", lambda request: asked.add(urlparse(request.url).path.lstrip("/")))
    page.reload()
    page.wait_for_load_state("networkidle")  # asked for together with the load, a busy machine is idle too early
    files = [SITE / (name + "index.html" if name.endswith("/") or not name else name) for name in asked]
    sizes = {file.name: len(gzip.compress(file.read_bytes())) for file in files}
    assert 100_000 < sum(sizes.values()) < 300_000, sizes  # with the index of the search


def test_the_program_and_its_text_can_be_downloaded(tab):
    page = tab(LISTING)
    links = page.locator("a[download]").evaluate_all("links => links.map(link => link.href)")
    for link, file in zip(links, (BUILD / "microgpt.py", ROOT / "docs" / "names.txt"), strict=True):
        assert page.request.get(link).body() == file.read_bytes()
    assert "python3 microgpt.py names.txt" in page.inner_text("article")


# The page of a program: its lines, and what there is to say about one


def line_of(text):
    """Return the number of the first line of the program that has a text."""
    lines = (BUILD / "microgpt.py").read_text(encoding="utf-8").split("\n")
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.fixture
def panel(tab):
    """Return a function that opens the page of the first program: panel(width, …) -> (page, the panel on it)."""

    def open_page(width=1440, path=LISTING, **options):
        page = tab(path, width, **options)
        return page, page.get_by_role("region", name="Line")

    return open_page


def beside(number):
    """Return what the essay has about a line of the program: words of the paragraph before its chunk, of that after it,
    unless it leads on to something else, and the titles of its experiments.
    """
    origin = WOVEN.main.lines[number - 1].origin
    fence, prose = WOVEN.inside[origin], WOVEN.prose.split("\n")
    before, after = "\n".join(prose[: fence.start - 1]).rstrip(), "\n".join(prose[fence.end + 1 :])
    nearest = before.split("\n\n")[-1:] + re.findall(r"\A[^#\n](?:.+\n)*.*[^:?\n]$(?=\n\n)", after, re.M)
    words = [max(re.findall("[A-Za-z ,]+", text.replace("\n", " ")), key=len).strip() for text in nearest]
    return words, [block.title for block in trials.tried(WOVEN).get(origin, [])]


def test_each_line_says_what_happens_without_it_in_colour_bars_and_words(tab):
    page = tab(LISTING)
    found = trials.harms(WOVEN, trials.Findings(json.loads((ROOT / trials.RECORD).read_text(encoding="utf-8"))))
    lines = [found.get(line.origin) for line in WOVEN.main.lines[: page.locator(".listing .line").count()]]
    assert len(lines) == len((BUILD / "microgpt.py").read_text(encoding="utf-8").splitlines())
    for level in range(5):
        rows = [number for number, harm in enumerate(lines, 1) if harm and harm.level == level]
        shown = page.locator(f".listing .harm-{level}.line")
        assert shown.evaluate_all("lines => lines.map(line => Number(line.id.slice(1)))") == rows
        assert shown.first.locator(".mark i").count() == max(1, level)
        label = shown.first.locator(".number").get_attribute("aria-label")
        assert label.endswith(f"program {lines[rows[0] - 1].words}")
        assert page.locator(f".legend .harm-{level}").inner_text().endswith(str(len(rows)))


LINES = ("def rmsnorm(", "shift = value(", "a.grad += da", "return [bos, ", "import argparse")


@pytest.mark.parametrize("code", LINES)
def test_a_line_that_is_chosen_shows_its_paragraphs_and_its_experiments(panel, code):
    page, region = panel()
    number = line_of(code)
    page.locator(f"#L{number}").scroll_into_view_if_needed()
    before = page.locator(f"#L{number}").bounding_box()
    page.locator(f"#L{number}").click(position={"x": 700, "y": 5})  # beside the code
    region.get_by_role("heading", name=f"Line {number}").wait_for()
    phrases, names = beside(number)
    text = region.inner_text()
    assert phrases and [words for words in phrases if words not in text] == []
    assert region.locator("h3 > a").all_inner_texts() == names
    assert region.locator(".finding").count() == len(names)  # all have been measured
    assert region.locator(".trial .removed, .trial .added").count() >= len(names)
    assert page.locator(f"#L{number}").bounding_box() == before  # the code has not moved
    assert page.url.endswith(f"#L{number}")
    moment = page.locator(f"#L{number}").get_attribute("data-moment")
    ways = [link.get_attribute("href") for link in region.get_by_role("link", name="See it run").all()]
    assert [way.partition("#scene=")[2] for way in ways] == [moment][: bool(moment)]
    region.locator(".lead a").first.click()
    page.wait_for_url(re.compile("#(chunk|program)-"))


def test_the_keyboard_chooses_a_line_and_gets_its_place_back(panel):
    page, region = panel()
    lines = page.get_by_role("group", name="lines of microgpt.py")
    assert lines.locator("a").evaluate_all("links => links.filter(a => a.tabIndex >= 0).length") == 1
    page.locator("#L1 .number").focus()
    for _ in range(2):  # an empty line is none
        page.keyboard.press("ArrowDown")
    focused = page.locator(".number:focus")
    assert focused.inner_text() == "4"
    assert region.count() == 0  # who walks through the page is not told about each line
    for key in ("Enter", " "):
        page.keyboard.press(key)
        region.get_by_role("heading", name="Line 4").wait_for()
        assert focused.get_attribute("aria-expanded") == "true"
        page.keyboard.press(" ")
        region.wait_for(state="hidden")
        assert focused.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    region.wait_for()
    page.keyboard.press("ArrowUp")
    region.get_by_role("heading", name="Line 2").wait_for()
    page.keyboard.press("Enter")  # as the page says, and it is open already
    assert page.locator("[aria-expanded=true].number").all_inner_texts() == ["2"]
    page.keyboard.press("Escape")
    assert region.count() == 0
    assert focused.inner_text() == "2"
    page.keyboard.press("End")
    assert focused.inner_text() == str(page.locator(".listing .line").count())
    assert page.locator(".preview").is_hidden()


def test_a_line_closes_by_its_button_and_by_a_second_click_and_text_can_be_selected(panel):
    page, region = panel()
    line = page.locator("#L7 .source")
    line.click()
    region.get_by_role("button", name="close").click()
    assert region.count() == 0
    assert page.locator(".number:focus").inner_text() == "7"
    assert "#" not in page.url
    line.click()
    region.wait_for()
    line.click()
    assert region.count() == 0
    box = page.locator("#L6").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 250, box["y"] + 8, steps=5)
    page.mouse.up()
    assert page.evaluate("getSelection().toString()")
    assert region.count() == 0


def test_on_a_phone_a_tap_opens_a_sheet_from_below(panel):
    page, region = panel(360, height=740, has_touch=True)
    number, column = line_of("probabilities = softmax("), page.locator(".column")
    page.locator(f"#L{number}").scroll_into_view_if_needed()
    page.locator(f"#L{number} .source a").first.tap()  # a name in the code, which is too small for a finger to be meant
    region.wait_for()
    box = column.bounding_box()
    assert (box["x"], box["width"], box["y"] + box["height"]) == (0, 360, 740)
    assert box["height"] <= 0.56 * 740
    assert page.locator(f"#L{number}").bounding_box()["y"] + 10 < box["y"], "the sheet covers the line"
    assert column.evaluate("column => column.scrollHeight > column.clientHeight")
    region.get_by_role("button", name="close").tap()
    assert region.count() == 0
    assert column.bounding_box()["height"] < 0.3 * 740  # what runs it stays


@pytest.mark.parametrize("width", [768, 1440, *nightly(1280, 1920)])
def test_the_column_covers_no_code(panel, width):
    page, region = panel(width, path=f"{LISTING}#L72")
    region.wait_for()
    box, code = page.locator(".column").bounding_box(), page.locator("#L72").bounding_box()
    beside = code["x"] + code["width"] <= box["x"]
    assert code["y"] + code["height"] <= box["y"] if width == 768 else beside
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_javascript_the_number_of_a_line_leads_to_the_essay(tab, site):
    page = tab(LISTING, java_script_enabled=False)
    assert page.locator(".choose").is_hidden()
    page.locator(f"#L{line_of('def softmax(')} .number").click()
    assert page.url == f"{site}{ATTENTION}#chunk-softmax"
