// Previews, unfolding and copying of chunks, and keys. All links work without this script, which shows its own buttons itself.

import { make } from "./elements.js";

const root = new URL("..", import.meta.url);
/** @type {Promise<Record<string, string>> | undefined} */
let chunks;  // their code, which is fetched when the first one is unfolded

// A reference unfolds in its place, at its own indentation, with the colours, links and buttons of the chunk.

/** @param {HTMLButtonElement} button */
async function unfold(button) {
  const line = /** @type {Element} */ (button.closest(".line")), { chunk = "", indent = "" } = button.dataset;
  const isUnfolded = () => line.nextElementSibling?.matches(".unfolded");
  const open = isOpen(button);
  button.setAttribute("aria-expanded", String(!open));
  if (open) {
    if (isUnfolded()) line.nextElementSibling?.remove();
    return;
  }
  chunks ??= fetch(new URL("assets/chunks.json", root)).then((response) => response.json());
  const html = await chunks.then((all) => all[chunk], () => "");
  if (!html) {  // without a network
    chunks = undefined;
    button.setAttribute("aria-expanded", "false");
    return;
  }
  if (!isOpen(button) || isUnfolded()) return;
  const code = make("span", { className: "unfolded", innerHTML: html });
  code.style.setProperty("--columns", indent);
  for (const link of code.querySelectorAll('a[href^="@/"]')) link.setAttribute("href", here(hrefOf(link)));
  for (const inner of code.querySelectorAll("button")) inner.hidden = false;
  line.after(code);
}

/** @param {Element} button */
function isOpen(button) { return button.getAttribute("aria-expanded") === "true"; }

// All of a program unfolds, reference by reference and what comes to light with them, and folds again.
/** @param {HTMLButtonElement} all */
async function unfoldAll(all) {
  const open = isOpen(all), code = /** @type {HTMLElement} */ (all.closest(".chunk")?.querySelector(".code"));
  /** @type {() => NodeListOf<HTMLButtonElement>} */
  const left = () => code.querySelectorAll(`button.unfold[aria-expanded="${open}"]`);
  for (let buttons = [...left()]; buttons.length; buttons = [...left()]) {
    await Promise.all(buttons.map((button) => button.isConnected && unfold(button)));
    if (buttons.every((button) => isOpen(button) === open)) break;  // without a network
  }
  all.setAttribute("aria-expanded", String(!open));
  all.textContent = open ? "unfold all" : "fold all";
}

// Turns an address below the site's root, which begins with @/, into one that leads there from this page.
/** @param {string} address */
function here(address) {
  const url = new URL(address.slice(2) || ".", root);
  return elementAt(url, document) ? url.hash : url.href;
}

// What a link in a text or in a figure, which has no property of that name, leads to.
/** @param {Element} link */
function hrefOf(link) { return link.getAttribute("href") ?? ""; }

/** @param {Element} link */
function addressOf(link) { return new URL(hrefOf(link), document.baseURI); }

/** @param {URL | Location} address @param {Document} page */
function elementAt({ hash }, page) { return page.getElementById(decodeURIComponent(hash.slice(1))); }

/** @param {HTMLButtonElement} button */
async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.code ?? "");
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 2000);
}

document.addEventListener("click", (event) => {
  for (const [kind, act] of Object.entries({ unfold, "unfold-all": unfoldAll, copy })) {
    const button = around(event, `button.${kind}`);
    if (button instanceof HTMLButtonElement) act(button);
  }
});

// A preview shows the chunk that a link leads to, on hover and on keyboard focus. It stays while the pointer is over
// it, and Escape closes it. Pages are fetched by the address of the link, so it does not matter where the site is
// served.

/** @type {Map<string, Promise<Document>>} */
const pages = new Map();
const preview = make("div", { className: "preview md-typeset", id: "chunk-preview", hidden: true });
preview.setAttribute("role", "tooltip");
/** @type {Element | null} */
let previewedLink = null;
let timer = 0;
let pointer = "";  // where it was last seen

// The target of a link, on this page or on another one of the site.
/** @param {Element} link */
export async function target(link) {
  const address = addressOf(link), { pathname } = address;
  let page = pathname === location.pathname ? document : pages.get(pathname);
  if (!page) {
    page = fetch(pathname).then((response) => response.text())
      .then((text) => new DOMParser().parseFromString(text, "text/html"));
    page.catch(() => pages.delete(pathname));
    pages.set(pathname, page);
  }
  return elementAt(address, await page);
}

// A copy of an element of the linked page: without ids outside its figures, and with links that lead
// where they did.
/** @param {Element} element @param {Element} link */
export function copyOf(element, link) {
  const copy = /** @type {Element} */ (element.cloneNode(true)), page = addressOf(link);
  for (const inner of [copy, ...copy.querySelectorAll("[id]:not(svg *)")]) inner.removeAttribute("id");
  for (const inner of copy.querySelectorAll("a[href]")) inner.setAttribute("href", new URL(hrefOf(inner), page).href);
  return copy;
}

// A term with its meaning, which comes after it, and perhaps after other terms that mean the same.
/** @param {Element} term */
function withMeaning(term) {
  const parts = [term];
  let last = term, next = term.nextElementSibling;
  while (next && (next.matches("div") || !last.matches("div"))) {
    parts.push(next);
    [last, next] = [next, next.nextElementSibling];
  }
  return parts;
}

const CONTROLS = "button, .note-mark, .try, .chunk-tools, .chunk-foot, .unfolded, .headerlink, details";

// The target of a link, without anything in it that could be pressed; nothing without a network.
/** @param {Element} link */
async function contentsOf(link) {
  const element = await target(link).catch(() => null);
  if (!element) return null;
  const contents = element.matches(".terms > [id]")
    ? make("div", { className: "terms" }, ...withMeaning(element).map((part) => copyOf(part, link)))
    : copyOf(element, link);
  for (const control of contents.querySelectorAll(CONTROLS)) control.remove();
  for (const inner of contents.querySelectorAll("a")) inner.replaceWith(...inner.childNodes);
  for (const name of contents.querySelectorAll(".chunk-name")) {  // is no heading there
    name.replaceWith(make("div", { className: "chunk-name" }, ...name.childNodes));
  }
  markDefinition(contents, link.textContent?.trim() ?? "");
  return contents;
}

// The line of a chunk that defines a name is marked, if a link says that name.
/** @param {Element} contents @param {string} name */
function markDefinition(contents, name) {
  if (!/^\w+$/.test(name)) return;
  const definition = new RegExp(`^\\s*((async )?def|class|function|const|let) ${name}\\b|^\\s*${name} *=`);
  const lines = [...contents.querySelectorAll(".chunk .line, .code .line")];
  lines.find((line) => definition.test(line.textContent ?? ""))?.classList.add("meant");
}

/** @param {Element} link */
async function show(link) {
  previewedLink = link;
  const contents = await contentsOf(link);
  if (!contents || previewedLink !== link) return;
  preview.replaceChildren(contents);
  preview.hidden = false;
  putBeside(link);
  link.setAttribute("aria-describedby", preview.id);
}

// The preview is as wide as what it shows, and in the column of the text. It is below the line that is read or above
// it, where there is more room, with a line between them, and is never larger than that room. Beside a figure, or
// a paragraph if it explains a word, it hides nothing, if there is room.
/** @param {Element} link */
function putBeside(link) {
  const line = link.closest("p, li, .line, td, figure") ?? link;
  const boxes = [...link.getClientRects()], [box] = boxes, { bottom } = boxes.at(-1) ?? {};
  if (!box || bottom === undefined) return;
  const word = preview.querySelector(".terms") && line.matches("p, li") && !line.closest(".goes-along") ? line : null;
  const figure = (link.closest("svg") ?? word)?.getBoundingClientRect(), beside = figure ? innerWidth - figure.right - 16 : 0;
  preview.style.maxWidth = beside > 320 ? `min(var(--text), ${beside}px)` : "";
  const gap = parseFloat(getComputedStyle(line).lineHeight) || box.height;
  const above = box.top - gap - 8, below = innerHeight - bottom - gap - 8;
  preview.style.maxHeight = `${Math.max(80, Math.min(0.6 * innerHeight, Math.max(above, below)))}px`;
  const column = line.getBoundingClientRect(), start = line.closest("article")?.getBoundingClientRect().left ?? 8;
  const inColumn = Math.max(start, Math.min(box.left, column.right - preview.offsetWidth));
  const isInMargin = box.left > column.right;  // as in a note
  const left = figure && beside > 320 ? figure.right + 8 : isInMargin ? box.left : inColumn;
  preview.style.left = `${Math.max(8, Math.min(left, innerWidth - preview.offsetWidth - 8))}px`;
  const isBelow = below >= above || preview.offsetHeight <= below;
  const top = beside > 320 ? box.top : isBelow ? bottom + gap : box.top - preview.offsetHeight - gap;
  preview.style.top = `${Math.max(4, Math.min(top, innerHeight - preview.offsetHeight - 4))}px`;
}

function hide() {
  clearTimeout(timer);
  previewedLink?.removeAttribute("aria-describedby");
  previewedLink = null;
  preview.hidden = true;
}

/** @param {() => void} action */
function later(action) {
  clearTimeout(timer);
  timer = setTimeout(action, 250);
}

// The element that matches the selector, at an event or around it; nothing if that is the document itself.
/** @param {Event} event @param {string} selector */
function around({ target }, selector) { return target instanceof Element ? target.closest(selector) : null; }

/** @param {PointerEvent} event */
function placeOf({ clientX, clientY }) { return `${clientX} ${clientY}`; }

document.addEventListener("pointermove", (event) => { pointer = placeOf(event); }, { passive: true });
document.addEventListener("pointerover", (event) => {
  const link = around(event, "a[data-peek]");
  const isStill = pointer === placeOf(event);  // the page has moved under it
  if (link && event.pointerType !== "touch" && !isStill) later(() => show(link));
  else if (around(event, ".preview")) clearTimeout(timer);
  else if (previewedLink && previewedLink !== document.activeElement) later(hide);
});
document.addEventListener("focusin", (event) => {
  const link = around(event, "a[data-peek]");
  if (link?.matches(":focus-visible")) show(link);
  else hide();
});
document.addEventListener("keydown", (event) => {
  // Page by page, a long preview can be read to its end.
  const screens = event.key === "PageDown" ? 1 : event.key === "PageUp" ? -1 : 0;
  if (event.key === "Escape" && tappedLink) closeSheet();
  else if (event.key === "Escape") hide();
  else if (screens && previewedLink && preview.scrollHeight > preview.clientHeight) {
    preview.scrollBy(0, screens * 0.8 * preview.clientHeight);
    event.preventDefault();
  }
});
document.addEventListener("scroll", () => {  // focus scrolls the link into view, and the preview follows it
  if (previewedLink && previewedLink === document.activeElement) putBeside(previewedLink);
  else hide();
}, { passive: true });

// A finger does not hover: a tap shows the same in a sheet from below, where a link leads on. So does a second tap.

const sheet = make("section", { className: "sheet peek md-typeset", tabIndex: -1, hidden: true });
/** @type {HTMLElement | SVGElement | null} */
let tappedLink = null;

/** @param {HTMLElement | SVGElement} link */
async function openSheet(link) {
  tappedLink = link;
  const contents = await contentsOf(link);
  if (tappedLink !== link) return;
  if (!contents) {
    location.assign(hrefOf(link));
    return;
  }
  const way = make("a", { href: hrefOf(link), onclick: () => closeSheet(false) }, "Go there");
  sheet.replaceChildren(closeButton(closeSheet), make("p", { className: "lead" }, way), contents);
  sheet.setAttribute("aria-label", `Preview of ${link.textContent?.trim()}`);
  sheet.hidden = false;
  sheet.scrollTop = 0;
  sheet.focus({ preventScroll: true });
  uncover(link, sheet);
}

function closeSheet(returns = true) {
  if (returns) tappedLink?.focus({ preventScroll: true });
  hide();  // the preview that the focus would show
  tappedLink = null;
  sheet.hidden = true;
}

/** @param {() => void} close */
export function closeButton(close) {
  const button = make("button", { onclick: () => close() }, "×");
  button.setAttribute("aria-label", "close");
  return button;
}

// Moves an element out from under a sheet.
/** @param {Element} element @param {HTMLElement} sheet */
export function uncover(element, sheet) {
  const covered = element.getBoundingClientRect().bottom - sheet.getBoundingClientRect().top;
  if (getComputedStyle(sheet).position === "fixed" && covered > 0) scrollBy(0, covered + 8);
}

document.addEventListener("click", (event) => {
  const link = /** @type {HTMLElement | SVGElement | null} */ (around(event, "a[data-peek]")), before = tappedLink;
  const isTap = /** @type {PointerEvent} */ (event).pointerType === "touch";
  if (around(event, ".peek")) return;
  if (tappedLink) closeSheet(false);
  if (!isTap || !link || link === before || event.defaultPrevented) return;
  event.preventDefault();
  openSheet(link);
});

// A fold opens for a link that leads into it, and for printing.

/** @param {URL | Location} address */
function reveal(address) {
  const element = elementAt(address, document);
  let isFolded = false;
  for (let fold = element?.closest("details"); fold; fold = fold.parentElement?.closest("details")) {
    isFolded ||= !fold.open;
    fold.open = true;
  }
  return isFolded ? element : null;
}

function revealTarget() { reveal(location)?.scrollIntoView(); }

document.addEventListener("click", (event) => {
  const link = event.defaultPrevented ? null : around(event, "a[href]");
  const address = link && addressOf(link);
  if (address && address.pathname === location.pathname) reveal(address);  // before the browser goes there
});
addEventListener("hashchange", revealTarget);

// An entry of the search that is a chunk or a word has ? for # in its address: see website.py.
function goToSought() {
  const id = location.search.slice(1);
  if (!id || !document.getElementById(id)) return;
  history.replaceState(null, "", location.pathname);
  location.replace(`#${id}`);
}

/** @type {HTMLDetailsElement[]} */
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details")].filter((fold) => (
    fold.matches(":is(.experiment details, details.solution):not([open])")));
  for (const fold of opened) fold.open = true;
});
addEventListener("afterprint", () => { for (const fold of opened) fold.open = false; });

// The keys of a single letter can be turned off, or somebody who dictates would turn pages. A browser that forbids a
// store forgets it.

const LETTERS = [..."np/fs,."], FIELDS = "input, textarea, select, [contenteditable]:not([contenteditable=false])";
const keysSwitch = document.querySelector(".keys-switch");
let hasLetters = localStorage.getItem("keys") !== "off";

/** @param {boolean} isOn */
function turnKeys(isOn) {
  hasLetters = isOn;
  if (keysSwitch) keysSwitch.textContent = `Turn these keys ${isOn ? "off" : "on"}`;
  try {
    localStorage.setItem("keys", isOn ? "on" : "off");
  } catch { /* the browser forbids it */ }
}
keysSwitch?.addEventListener("click", () => turnKeys(!hasLetters));
if (!hasLetters) turnKeys(false);
addEventListener("keydown", (event) => {
  const isLetter = LETTERS.includes(event.key.toLowerCase()) && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (isLetter && !hasLetters && !around(event, FIELDS)) event.stopImmediatePropagation();
}, true);

// To the Tab key the navigation is one stop, at the page that one reads; the arrow keys go through it. The search, and
// the navigation of a narrow screen, open when they are asked to: labels, which the theme has for that, become buttons.

const navigation = document.querySelector(".md-nav--primary");
const search = /** @type {HTMLInputElement | null} */ (document.querySelector(".md-search__input"));
const isNarrow = matchMedia("(max-width: 76.2344em)");  // there one part of the navigation covers the others

function entries() {
  const parts = [...navigation?.querySelectorAll(".md-nav__toggle:checked ~ .md-nav") ?? []];
  const part = isNarrow.matches && parts.at(-1) || navigation;
  const all = /** @type {HTMLElement[]} */ ([...part?.querySelectorAll("a[href], label") ?? []]);
  return all.filter((entry) => {
    const { visibility, pointerEvents } = getComputedStyle(entry);
    return entry.getClientRects().length > 0 && visibility === "visible" && pointerEvents !== "none";
  });
}

/** @param {HTMLElement | undefined} entry */
function makeStop(entry) {
  for (const other of navigation?.querySelectorAll("a[href], label") ?? []) other.setAttribute("tabindex", "-1");
  if (entry) entry.tabIndex = 0;
}

/** @param {KeyboardEvent} event */
function goThrough(event) {
  const all = entries(), at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  /** @type {Record<string, number>} */
  const places = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
  const next = all[places[event.key]];
  if (!next) return;
  event.preventDefault();
  makeStop(next);
  next.focus();
}
navigation?.addEventListener("keydown", (event) => goThrough(/** @type {KeyboardEvent} */ (event)));
const readEntry = () => entries().find((entry) => entry.matches(".md-nav__link--active")) ?? entries()[0];
makeStop(/** @type {HTMLElement} */ (navigation?.querySelector("a.md-nav__link--active") ?? undefined));

const OPENERS = { drawer: "Navigation", search: "Search" };
for (const [name, title] of Object.entries(OPENERS)) {
  const toggle = /** @type {HTMLInputElement | null} */ (document.getElementById(`__${name}`));
  for (const label of document.querySelectorAll(`:is(.md-header__button, .md-search__icon)[for=__${name}]`)) {
    const button = make("button", { type: "button", className: label.className }, ...label.childNodes);
    button.setAttribute("for", `__${name}`);  // by which the theme's styles know it
    button.setAttribute("aria-label", title);
    button.addEventListener("click", () => toggle?.click());
    label.replaceWith(button);
  }
  if (toggle) toggle.tabIndex = -1;
}
const drawer = /** @type {HTMLInputElement | null} */ (document.getElementById("__drawer"));
drawer?.addEventListener("change", () => {
  if (!drawer.checked) return;
  const entry = readEntry();
  makeStop(entry);
  entry?.focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !drawer?.checked) return;
  drawer.click();
  /** @type {HTMLElement | null} */ (document.querySelector(".md-header__button[for=__drawer]"))?.focus();
});
document.getElementById("__search")?.addEventListener("change", ({ target }) => {
  if (target instanceof HTMLInputElement && target.checked) search?.focus();
});
if (search) search.tabIndex = -1;

// Earlier editions kept pages in a service worker and its caches. If a browser still has them, both are removed.
navigator.serviceWorker?.getRegistration(root).then(async (left) => {
  await left?.unregister();
  for (const name of await caches.keys()) if (name.startsWith(`${root} `)) await caches.delete(name);
}).catch(() => { /* the browser has none, or forbids them */ });

for (const button of document.querySelectorAll("button")) {
  if (button.matches(".copy, .unfold, .unfold-all, .keys-switch")) button.hidden = false;
}
document.querySelector(".md-search[role=dialog]")?.setAttribute("aria-label", "Search");
document.body.append(preview, sheet);
goToSought();
revealTarget();
