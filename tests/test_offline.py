"""What was visited can be read without a network, below any path of a host that does nothing but send files."""

import functools
import http.server
import threading
import time
from urllib.parse import urlencode

import pytest
from programs import BUILD
from test_run import SMALL, end, needs_pyodide

pytestmark = pytest.mark.slow
KEPT = "(async () => (await (await caches.open((await caches.keys())[0])).keys()).map(({ url }) => url))()"
LOADED = "performance.getEntriesByType('resource').map(({ name }) => name)"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site below /some/path/, as a host of many projects does."""

    def translate_path(self, path):
        return super().translate_path(path.removeprefix("/some/path"))

    def log_message(self, *arguments):
        pass


@pytest.fixture
def visit(browser, site):
    """Return a function that visits the site for the first time, and waits until what the page has loaded is kept."""
    handler = functools.partial(Handler, directory=str(BUILD / "site"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root, context, errors = f"http://127.0.0.1:{server.server_port}/some/path/", browser.new_context(), []

    def open_page(path):
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(root + path)
        page.wait_for_load_state("networkidle")
        wanted = {page.url.partition("#")[0], *page.evaluate(LOADED)}
        assert {f"{root}assets/weave.css", f"{root}search/search_index.json"} <= wanted
        wait_until(lambda: wanted <= {*page.evaluate(KEPT)})
        return page, root

    yield open_page
    context.close()
    server.shutdown()
    server.server_close()
    assert errors == []


def wait_until(holds):
    """Wait until something holds."""
    for _ in range(100):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it never did")


def test_pages_that_were_visited_can_be_read_and_searched(visit):
    page, root = visit("")
    page.goto(root + "the-model/")
    page.context.set_offline(True)
    assert page.reload().from_service_worker
    assert page.inner_text("h1").startswith("5. The model")
    page.goto(root + "?from=somewhere")
    assert page.locator(".md-header").evaluate("header => getComputedStyle(header).position") == "sticky"
    page.keyboard.press("/")
    page.keyboard.type("softmax")
    page.locator(".md-search-result__link").first.wait_for()
    assert page.goto(root + "learning/").status == 503
    assert page.inner_text("h1") == "There is no network"
    page.click("a")
    assert page.inner_text("h1").startswith("A GPT that you can read")


def test_what_was_not_fetched_can_be_asked_for_again(visit):
    page, _ = visit("the-model/")
    button = page.locator("#chunk-layer-by-layer button.unfold")
    link = page.locator('#chunk-attend .code a[href^="../values"]').first  # to a page that was not visited
    page.context.set_offline(True)
    button.click()
    page.wait_for_selector("#chunk-layer-by-layer button.unfold[aria-expanded=false]")
    link.evaluate("link => link.focus({ focusVisible: true })")
    page.context.set_offline(False)
    button.click()
    page.wait_for_selector("#chunk-layer-by-layer .unfolded")
    link.evaluate("link => link.focus({ focusVisible: true })")
    page.wait_for_selector(".preview:not([hidden]) .chunk")


def test_with_a_network_nobody_sees_an_old_page(visit):
    page, _ = visit("")
    page.evaluate("""async () => {
        const cache = await caches.open((await caches.keys())[0]);
        await cache.put(location.href, new Response("old"));
        await cache.put(new URL("gone/", location.href), new Response("gone"));
    }""")
    page.reload()
    assert page.inner_text("h1").startswith("A GPT that you can read")
    assert page.evaluate("async () => (await fetch('gone/')).status") == 404
    wait_until(lambda: not [address for address in page.evaluate(KEPT) if address.endswith("gone/")])
    page.context.set_offline(True)
    page.reload()
    assert page.inner_text("h1").startswith("A GPT that you can read")


def test_what_an_earlier_version_kept_is_thrown_away(visit):
    page, root = visit("")
    page.evaluate("""async (root) => {
        for (const name of [`${root} 0`, `${root}another/ 0`]) await caches.open(name);
        await (await navigator.serviceWorker.ready).unregister();
    }""", root)  # fmt: skip
    page.reload()
    wait_until(lambda: {*page.evaluate("caches.keys()")} == {f"{root} 1", f"{root}another/ 0"})


@needs_pyodide
def test_python_runs_again(visit):
    page, _ = visit("run/#" + urlencode(SMALL))
    page.click("#run-start")
    output = end(page)
    assert "sample  3:" in output
    wait_until(lambda: [address for address in page.evaluate(KEPT) if address.endswith("/pyodide.asm.wasm")])
    page.context.set_offline(True)
    page.reload()
    page.click("#run-start")
    assert end(page) == output
