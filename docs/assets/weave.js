// Previews, unfolding and copying of chunks. All links work without this script, which shows
// its own buttons itself.

"use strict";

const root = new URL("..", /** @type {HTMLScriptElement} */ (document.currentScript).src);
/** @type {Promise<Record<string, string>> | undefined} */
let chunks;  // their code, which is fetched when the first one is unfolded

function setUp() {
  /** @type {NodeListOf<HTMLButtonElement>} */
  const buttons = document.querySelectorAll("button.copy, button.unfold, button.unfold-all");
  for (const button of buttons) button.hidden = false;
  const search = document.querySelector(".md-search[role=dialog]");
  if (search) search.setAttribute("aria-label", "Search");
}

// A reference unfolds in its place, at its own indentation, with the colours, links and buttons of the chunk.

/** @param {HTMLButtonElement} button */
async function unfold(button) {
  const line = /** @type {Element} */ (button.closest(".line")), { chunk = "", indent = "" } = button.dataset;
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!open));
  if (open) {
    if (line.nextElementSibling?.matches(".unfolded")) line.nextElementSibling.remove();
    return;
  }
  chunks ??= fetch(new URL("assets/chunks.json", root)).then((response) => response.json());
  const html = await chunks.then((found) => found[chunk], () => "");
  if (!html) {  // without a network
    chunks = undefined;
    button.setAttribute("aria-expanded", "false");
    return;
  }
  if (button.getAttribute("aria-expanded") !== "true" || line.nextElementSibling?.matches(".unfolded")) return;
  const code = document.createElement("span");
  code.className = "unfolded";
  code.style.setProperty("--columns", indent);
  code.innerHTML = html;
  for (const link of code.querySelectorAll('a[href^="@/"]')) link.setAttribute("href", here(hrefOf(link)));
  for (const inner of code.querySelectorAll("button")) inner.hidden = false;
  line.after(code);
}

// All of a program unfolds, reference by reference and what comes to light with them, and folds again.
/** @param {HTMLButtonElement} all */
async function unfoldAll(all) {
  const open = all.getAttribute("aria-expanded") === "true";
  const code = /** @type {HTMLElement} */ (all.closest(".chunk")?.querySelector(".code"));
  /** @type {() => NodeListOf<HTMLButtonElement>} */
  const left = () => code.querySelectorAll(`button.unfold[aria-expanded="${open}"]`);
  for (let found = [...left()]; found.length; found = [...left()]) {
    await Promise.all(found.map((button) => button.isConnected && unfold(button)));
    if (found.every((button) => button.getAttribute("aria-expanded") === String(open))) break;  // without a network
  }
  all.setAttribute("aria-expanded", String(!open));
  all.textContent = open ? "unfold all" : "fold all";
}

// Turns an address below the site's root, which begins with @/, into one that leads there from this page.
/** @param {string} address */
function here(address) {
  const url = new URL(address.slice(2) || ".", root);
  return document.getElementById(decodeURIComponent(url.hash.slice(1))) ? url.hash : url.href;
}

// What a link in a text or in a figure, which has no property of that name, leads to.
/** @param {Element} link */
function hrefOf(link) { return link.getAttribute("href") ?? ""; }

/** @param {HTMLButtonElement} button */
async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.code ?? "");
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 2000);
}

// A preview shows the chunk that a link leads to, on hover and on keyboard focus. It stays while the pointer is over it,
// and Escape closes it. Pages are fetched by the address of the link, so it does not matter where the site is served.

/** @type {Map<string, Promise<Document>>} */
const pages = new Map();
const preview = document.createElement("div");
preview.className = "preview md-typeset";
preview.setAttribute("role", "tooltip");
preview.id = "chunk-preview";
preview.hidden = true;
/** @type {Element | null} */
let shown = null;
let timer = 0;

/** @param {Element} link */
async function target(link) {
  const { pathname, hash } = new URL(hrefOf(link), document.baseURI);
  let page = pathname === location.pathname ? document : pages.get(pathname);
  if (!page) {
    page = fetch(pathname).then((response) => response.text())
      .then((text) => new DOMParser().parseFromString(text, "text/html"));
    page.catch(() => pages.delete(pathname));
    pages.set(pathname, page);
  }
  return (await page).getElementById(decodeURIComponent(hash.slice(1)));
}

// What a preview shows of an element: a copy of it, of a term with what it means, of an experiment without its result.
/** @param {Element} element */
function copyOf(element) {
  if (!element.matches(".terms > [id]")) return /** @type {Element} */ (element.cloneNode(true));
  const list = document.createElement("div");
  list.className = "terms";
  list.append(element.cloneNode(true));
  for (let next = element.nextElementSibling; next && (next.matches("div") || !list.querySelector("div"));
    next = next.nextElementSibling) list.append(next.cloneNode(true));
  return list;
}

// What a link leads to, without anything in it that could be pressed; nothing without a network.
/** @param {Element} link */
async function contentsOf(link) {
  const element = await target(link).catch(() => null);
  if (!element) return null;
  const chunk = copyOf(element);
  chunk.removeAttribute("id");
  for (const element of chunk.querySelectorAll("[id]:not(svg *)")) element.removeAttribute("id");
  for (const element of chunk.querySelectorAll("button, .note-mark, .try, .chunk-tools, .chunk-foot, .unfolded, .headerlink, details")) element.remove();
  for (const element of chunk.querySelectorAll("a")) element.replaceWith(...element.childNodes);
  for (const element of chunk.querySelectorAll(".chunk-name")) {
    const title = document.createElement("div");
    title.className = "chunk-name";
    title.append(...element.childNodes);
    element.replaceWith(title);
  }
  return chunk;
}

/** @param {Element} link */
async function show(link) {
  shown = link;
  const chunk = await contentsOf(link);
  if (!chunk || shown !== link) return;
  preview.replaceChildren(chunk);
  preview.hidden = false;
  place(link);
  link.setAttribute("aria-describedby", preview.id);
}

// The preview stands where there is more room, below the link or above it, and is never larger than that room.
/** @param {Element} link */
function place(link) {
  const box = link.getBoundingClientRect();
  const above = box.top - 12;
  const below = innerHeight - box.bottom - 12;
  preview.style.maxHeight = `${Math.max(80, Math.min(0.6 * innerHeight, Math.max(above, below)))}px`;
  preview.style.left = `${Math.max(8, Math.min(box.left, innerWidth - preview.offsetWidth - 8))}px`;
  const top = below >= above || preview.offsetHeight <= below ? box.bottom + 4 : box.top - preview.offsetHeight - 4;
  preview.style.top = `${Math.max(4, Math.min(top, innerHeight - preview.offsetHeight - 4))}px`;
}

function hide() {
  clearTimeout(timer);
  shown?.removeAttribute("aria-describedby");
  shown = null;
  preview.hidden = true;
}

/** @param {() => void} action @param {number} wait in milliseconds */
function later(action, wait) {
  clearTimeout(timer);
  timer = setTimeout(action, wait);
}

// What matches the selector, at the place of an event or around it; nothing where that is the document itself.
/** @param {Event} event @param {string} selector */
function around({ target }, selector) { return target instanceof Element ? target.closest(selector) : null; }

document.addEventListener("pointerover", (event) => {
  const link = around(event, "a[data-peek]");
  if (link && event.pointerType !== "touch") later(() => show(link), 250);
  else if (around(event, ".preview")) clearTimeout(timer);
  else if (shown && shown !== document.activeElement) later(hide, 250);
});
document.addEventListener("focusin", (event) => {
  const link = around(event, "a[data-peek]");
  if (link?.matches(":focus-visible")) show(link);
  else hide();
});
document.addEventListener("keydown", (event) => {
  const pages = event.key === "PageDown" ? 1 : event.key === "PageUp" ? -1 : 0;
  if (event.key === "Escape" && tapped) closeSheet();
  else if (event.key === "Escape") hide();
  else if (pages && shown && preview.scrollHeight > preview.clientHeight) {  // a long preview can be read to its end
    preview.scrollBy(0, pages * 0.8 * preview.clientHeight);
    event.preventDefault();
  }
});
document.addEventListener("scroll", () => {  // focus scrolls the link into view, and the preview follows it
  if (shown && shown === document.activeElement) place(shown);
  else if (shown) hide();
}, { passive: true });

document.addEventListener("click", (event) => {
  const acts = Object.entries({ unfold, "unfold-all": unfoldAll, copy });
  for (const [kind, act] of acts) {
    const button = around(event, `button.${kind}`);
    if (button instanceof HTMLButtonElement) act(button);
  }
});

// A finger does not hover: a tap shows the same in a sheet from below, where a link leads on. So does a second tap.

const sheet = document.createElement("section");
sheet.className = "sheet peek md-typeset";
sheet.tabIndex = -1;
sheet.hidden = true;
/** @type {Element | null} */
let tapped = null;

/** @param {Element} link */
async function openSheet(link) {
  tapped = link;
  const chunk = await contentsOf(link);
  if (tapped !== link) return;
  if (!chunk) {
    location.assign(hrefOf(link));
    return;
  }
  const lead = document.createElement("p"), way = document.createElement("a");
  lead.className = "place";
  way.href = hrefOf(link);
  way.textContent = "Go there";
  way.addEventListener("click", () => closeSheet(false));
  lead.append(way);
  sheet.replaceChildren(closeButton(closeSheet), lead, chunk);
  sheet.setAttribute("aria-label", `Preview of ${link.textContent?.trim()}`);
  sheet.hidden = false;
  sheet.scrollTop = 0;
  sheet.focus({ preventScroll: true });
  uncover(link, sheet);
}

function closeSheet(returns = true) {
  if (returns && tapped && "focus" in tapped) /** @type {HTMLElement} */ (tapped).focus({ preventScroll: true });
  hide();  // the preview that the focus would show
  tapped = null;
  sheet.hidden = true;
}

/** @param {() => void} close */
function closeButton(close) {
  const button = document.createElement("button");
  button.textContent = "×";
  button.setAttribute("aria-label", "close");
  button.addEventListener("click", () => close());
  return button;
}

// Moves an element out from under a sheet.
/** @param {Element} element @param {HTMLElement} sheet */
function uncover(element, sheet) {
  const covered = element.getBoundingClientRect().bottom - sheet.getBoundingClientRect().top;
  if (getComputedStyle(sheet).position === "fixed" && covered > 0) scrollBy(0, covered + 8);
}

document.addEventListener("click", (event) => {
  const link = around(event, "a[data-peek]"), before = tapped;
  const isTap = /** @type {PointerEvent} */ (event).pointerType === "touch";
  if (around(event, ".peek")) return;
  if (tapped) closeSheet(false);
  if (!isTap || !link || link === before || event.defaultPrevented) return;
  event.preventDefault();
  openSheet(link);
});

Object.assign(window, { weave: { target, closeButton, uncover } });  // for panel.js, a module, which shows a sheet as well

// What is folded away opens for a link that leads into it, and for printing.

/** @param {string} hash */
function reveal(hash) {
  let element = document.getElementById(decodeURIComponent(hash.slice(1)));
  const folds = [];
  for (; element; element = element.parentElement) {
    if (element instanceof HTMLDetailsElement && !element.open) folds.push(element);
  }
  for (const fold of folds) fold.open = true;
  return folds.length > 0;
}

function revealPlace() {
  if (reveal(location.hash)) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

document.addEventListener("click", (event) => {
  const link = event.defaultPrevented ? null : around(event, "a[href]");
  const url = link && new URL(hrefOf(link), document.baseURI);
  if (url && url.pathname === location.pathname) reveal(url.hash);  // before the browser goes there
});
addEventListener("hashchange", revealPlace);

/** @type {HTMLDetailsElement[]} */
let opened = [];
addEventListener("beforeprint", () => {
  /** @type {NodeListOf<HTMLDetailsElement>} */
  const folds = document.querySelectorAll(":is(.experiment details, details.solution):not([open])");
  opened = [...folds];
  for (const fold of opened) fold.open = true;
});
addEventListener("afterprint", () => { for (const fold of opened) fold.open = false; });

// Earlier editions kept pages in a service worker, and its caches. Whoever has it still loses both.
navigator.serviceWorker?.getRegistration(root).then(async (left) => {
  await left?.unregister();
  for (const name of await caches.keys()) if (name.startsWith(`${root} `)) await caches.delete(name);
}).catch(() => { /* the browser has none, or forbids them */ });

document.body.append(preview, sheet);
setUp();
revealPlace();
