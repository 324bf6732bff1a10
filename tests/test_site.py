"""The built site in a real browser: links, previews, unfolding, search, widths and colour schemes, accessibility."""

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlparse

import pytest
from programs import BUILD, ROOT

pytest.importorskip("mkdocs", reason="mkdocs is not installed")
pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

SITE = BUILD / "site"
PAGES = ["", "text-into-numbers/", "values-that-remember/", "what-can-be-learned/", "the-model/", "how-wrong-was-it/",
         "learning/", "writing/", "the-whole-program/", "the-price-of-a-step/", "how-far-it-is-to-chatgpt/",
         "the-program/", "indexes/", "everything/"]  # fmt: skip


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def site():
    """Weave, build and serve the site at the address that it was built for; return that address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(SITE)))
    address = f"http://127.0.0.1:{server.server_port}/"
    done = subprocess.run([sys.executable, ROOT / "docs" / "weave.py"], capture_output=True, text=True, check=False,
                          env={**os.environ, "SITE_URL": address})  # fmt: skip
    assert done.returncode == 0, done.stderr
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield address
    server.shutdown()


@pytest.fixture
def tab(browser, site):
    """Return a function that opens a page: tab(path, width, scheme, …) -> Playwright page, which must not complain."""
    contexts, complaints = [], []

    def open_page(path, width=1440, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        own = (site, "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(own) or complaints.append(request.url))
        page.goto(urljoin(site, path))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


class Anchors(HTMLParser):
    """Collect the ids and the addresses in a page."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.addresses = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        self.addresses += [attributes[name] for name in ("href", "src") if attributes.get(name) and tag != "use"]


def test_every_internal_link_and_anchor_resolves(site):
    parsed = {page: Anchors((SITE / page / "index.html").read_text(encoding="utf-8")) for page in PAGES}
    broken = []
    for page, anchors in parsed.items():
        for address in anchors.addresses:
            target = urlparse(urljoin(site + page, address))
            if not f"{target.scheme}://{target.netloc}/".startswith(site):
                broken += [(page, address)] if target.scheme.startswith("http") and "karpathy" not in address else []
                continue
            path = unquote(target.path).lstrip("/")
            file = SITE / path / "index.html" if path == "" or path.endswith("/") else SITE / path
            if not file.is_file() or (target.fragment and path in parsed and target.fragment not in parsed[path].ids):
                broken.append((page, address))
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_ids_are_unique(site, page):
    ids = [name for name in Anchors((SITE / page / "index.html").read_text(encoding="utf-8")).ids if name != "__search"]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_scrolls_sideways(tab, site, width):
    page = tab("", width)
    for path in PAGES:
        page.goto(site + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        code = "[...document.querySelectorAll('.code, .output')]"
        assert page.evaluate(f"{code}.every(element => element.scrollWidth <= element.clientWidth + 1)"), path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_accessibility_violation(tab, site, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    found = {}
    options = {"resultTypes": ["violations"]}
    if width < 1440:  # contrast is slow to compute, and the colours are the same at all widths
        options["rules"] = {"color-contrast": {"enabled": False}}
    page = tab("", width, scheme, reduced_motion="reduce")
    for path in PAGES if width == 768 else PAGES[:-1]:  # the page with everything is long, and has nothing of its own
        page.goto(site + path)
        result = axe.run(page, options=options)
        for violation in result.response["violations"]:
            found[path, violation["id"]] = [node["html"][:120] for node in violation["nodes"][:3]]
    assert found == {}


def test_a_preview_opens_on_hover_and_on_focus(tab):
    page = tab("the-model/")
    link = page.locator("#chunk-rmsnorm .chunk-foot a.chunk-link").first
    link.scroll_into_view_if_needed()
    link.hover()
    page.wait_for_selector(".preview:not([hidden]) .chunk")  # ⟨model⟩ is on the same page
    assert "⟨attention⟩" in page.locator(".preview").inner_text()
    page.keyboard.press("Escape")
    assert page.locator(".preview").is_hidden()
    page = tab("the-model/")
    link = page.locator('#chunk-attention .code a[href^="../values"]').first  # value() is on another one
    link.evaluate("link => link.focus({focusVisible: true})")
    page.wait_for_selector(".preview:not([hidden]) .chunk")
    assert "def value" in page.locator(".preview").inner_text()
    assert link.get_attribute("aria-describedby") == "chunk-preview"


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_a_reference_unfolds_in_place_and_folds_again(tab, way):
    page = tab("the-model/")
    button = page.locator("#chunk-gpt button.unfold")

    def press():
        if way == "mouse":
            button.click()
        else:
            button.focus()
            page.keyboard.press("Enter")

    press()
    page.wait_for_selector("#chunk-gpt .unfolded")
    assert "hidden = [h.relu()" in page.locator("#chunk-gpt .unfolded").inner_text()
    assert button.get_attribute("aria-expanded") == "true"
    press()
    assert page.locator("#chunk-gpt .unfolded").count() == 0


def test_copying_gives_the_code_of_the_essay(tab):
    page = tab("the-model/", permissions=["clipboard-read", "clipboard-write"])
    page.locator("#chunk-gpt button.copy").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied in (ROOT / "microgpt.md").read_text(encoding="utf-8")
    assert "<<mlp>>" in copied


def test_search_finds_a_chunk(tab):
    page = tab("")
    page.keyboard.press("/")
    page.keyboard.type("backward")
    page.wait_for_selector(".md-search-result__link", timeout=10000)
    addresses = page.locator(".md-search-result__link").evaluate_all("links => links.map(link => link.href)")
    assert any("values-that-remember/" in address for address in addresses)
    assert not any("everything/" in address for address in addresses)


def test_links_work_without_javascript(tab, site):
    page = tab("the-model/", java_script_enabled=False)
    page.locator("#chunk-gpt .code a.chunk-link").click()
    assert page.url == f"{site}the-model/#chunk-mlp"
    assert page.locator("button.unfold:visible, button.copy:visible").count() == 0


def test_the_keyboard_needs_no_hundreds_of_stops(tab):
    for path in PAGES:
        if path != "everything/":
            stops = tab(path, 1440).evaluate("""[...document.querySelectorAll('.md-content a, .md-content button')]
                .filter(e => e.tabIndex >= 0 && e.offsetParent).length""")
            assert stops < 130, path


def test_the_first_view_is_light(tab):
    sizes = []
    page = tab("", service_workers="block")
    page.on("response", lambda response: sizes.append(len(response.body())))
    page.reload(wait_until="networkidle")
    assert sum(sizes) / 3 < 250_000  # a server compresses text to a third or less


def test_the_program_can_be_downloaded(site):
    assert (SITE / "microgpt.py").read_bytes() == (BUILD / "microgpt.py").read_bytes()


def test_zensical_builds_the_same_pages(site, tmp_path):
    zensical = shutil.which("zensical", path=f"{sys.prefix}/bin")
    if not zensical:
        pytest.skip("Zensical is not installed")
    shutil.copytree(BUILD / "pages", tmp_path / "build" / "pages")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    done = subprocess.run([zensical, "build"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    built = (tmp_path / "build" / "site" / "the-model" / "index.html").read_text(encoding="utf-8")
    ours = (SITE / "the-model" / "index.html").read_text(encoding="utf-8")
    for text in (built, ours):
        assert re.search(r'<div class="chunk" id="chunk-gpt">', text)
    chunk = re.compile(r'<div class="chunk" id="chunk-gpt">.*?<p class="chunk-foot">', re.S)
    assert chunk.search(built)[0] == chunk.search(ours)[0]
