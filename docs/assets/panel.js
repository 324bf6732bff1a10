// The page of a program: beside the chosen line, its paragraph of the essay and its experiments.
//
// Nothing of that is on this page. It is taken from the pages of the essay, as previews are (see page.js). Without
// this script, the number of a line leads there.

import { make } from "./elements.js";
import { closeButton, copyOf, target, uncover } from "./page.js";

const ENOUGH = 100;  // letters: anything shorter, such as "Now the walk:", explains nothing
const PROSE = "p:not(.reading-time), ul, ol, dl, blockquote, table, .highlight";  // with illustrations
const CODE = ".chunk, .demonstration";

const listing = /** @type {HTMLElement} */ (document.querySelector(".listing"));
const numbers = /** @type {HTMLAnchorElement[]} */ ([...listing.querySelectorAll("a.number")]);
const panel = make("section", { className: "sheet panel", hidden: true });
let current = numbers[0];  // the one that the Tab key stops at
/** @type {HTMLAnchorElement | null} */
let chosen = null;  // the one whose line is explained, while the panel is open

/** @param {HTMLElement} number */
function lineOf(number) {
  return /** @type {HTMLElement} */ (number.closest(".line"));
}

// What the panel says.

/** Returns the prose before a chunk that leads to it: the nearest paragraph, and more if it says little.
 * @param {Element} chunk
 */
function proseBefore(chunk) {
  const prose = /** @type {Element[]} */ ([]);
  for (let next = chunk.previousElementSibling; next; next = next.previousElementSibling) {
    if (saysEnough(prose) && beginsSentence(prose[0])) break;
    if (next.matches(PROSE)) prose.unshift(next);
    else if (!next.matches(CODE)) break;
  }
  return prose;
}

/** Returns the prose after a chunk that looks back at it, in the same way; a paragraph that leads on does not.
 * @param {Element} chunk
 */
function proseAfter(chunk) {
  const prose = /** @type {Element[]} */ ([]);
  for (let next = chunk.nextElementSibling; next && !saysEnough(prose); next = next.nextElementSibling) {
    if (!next.matches(PROSE)) break;
    if (next.nextElementSibling?.matches(".chunk, .experiment") || /[:?]$/.test(textOf(next))) break;
    prose.push(next);
  }
  return prose;
}

/** @param {Element[]} prose */
function saysEnough(prose) {
  return prose.map(textOf).join("").length > ENOUGH;
}

/** Tells a paragraph from an illustration, and from one that goes on after an illustration.
 * @param {Element} prose
 */
function beginsSentence(prose) {
  return !prose.matches(".highlight") && !/^\p{Ll}/u.test(textOf(prose));
}

/** Returns the text of an element, without the sign that links to it.
 * @param {Element} element
 */
function textOf(element) {
  const copy = /** @type {Element} */ (element.cloneNode(true));
  copy.querySelector(".headerlink")?.remove();
  return (copy.textContent ?? "").trim();
}

/** Names the section of an element: its chapter, and its last heading or the fold around it.
 * @param {Element} chunk
 */
function sectionOf(chunk) {
  const above = [...chunk.ownerDocument.querySelectorAll("article :is(h1, h2, h3, h4):not(.chunk-name)")]
    .filter((heading) => heading.compareDocumentPosition(chunk) & Node.DOCUMENT_POSITION_FOLLOWING);
  const last = chunk.closest("details.solution")?.querySelector("summary") ?? above.at(-1);
  const titles = new Set([above[0], last].map((heading) => (heading ? textOf(heading) : "")));
  return [...titles].join(": ");
}

/** Returns what the panel says of the chunk of a line: the prose before it, a link to it, and the prose after it.
 * @param {HTMLAnchorElement} number
 */
async function explanation(number) {
  const chunk = await target(number).catch(() => null);
  const title = make("h2", { id: "panel-title" }, `Line ${number.textContent}`);
  if (!chunk) return [title, make("p", {}, make("a", { href: number.href }, "Where the essay explains it"))];
  const name = chunk.querySelector(".chunk-name")?.firstChild?.textContent ?? "";
  const lead = make("p", { className: "lead" }, make("a", { href: number.href }, name.trim()));
  lead.append(` in ${sectionOf(chunk)}`);
  const [before, after] = [proseBefore(chunk), proseAfter(chunk)].map((prose) =>
    prose.map((original) => copyOf(original, number)));
  if (!before.length && !after.length) after.push(make("p", {}, "The essay shows this chunk without comment."));
  return [title, ...before, lead, ...after];
}

/** Returns an experiment: its name as a link, its question, and, folded away, its result.
 * @param {HTMLAnchorElement} link
 */
async function experiment(link) {
  const box = await target(link).catch(() => null);
  const item = make("li", {}, make("a", { href: link.href }, ...link.cloneNode(true).childNodes));
  const question = box?.previousElementSibling;
  if (question?.matches("p")) item.append(": ", ...copyOf(question, link).childNodes);
  const finding = box?.querySelector(".finding");
  if (finding) item.append(make("details", {}, make("summary", {}, "What happens?"), copyOf(finding, link)));
  return item;
}

/** Returns the contents of the panel for a line.
 * @param {HTMLAnchorElement} number
 */
async function contents(number) {
  const links = /** @type {NodeListOf<HTMLAnchorElement>} */ (lineOf(number).querySelectorAll(".experiments a"));
  const [explained, experiments] = await Promise.all([explanation(number), Promise.all([...links].map(experiment))]);
  const tried = [make("h3", {}, "Experiments with this line"), make("ul", {}, ...experiments)];
  return [closeButton(close), ...explained, ...(experiments.length ? tried : [])];
}

// Choosing a line.

/** Makes a line the one that the Tab key stops at.
 * @param {HTMLAnchorElement} number
 */
function stopAt(number) {
  current.tabIndex = -1;
  current = number;
  current.tabIndex = 0;
}

/** Marks the line that is chosen, or none.
 * @param {HTMLAnchorElement | null} number
 */
function mark(number) {
  for (const [which, is] of /** @type {const} */ ([[chosen, false], [number, true]])) {
    if (!which) continue;
    which.setAttribute("aria-expanded", String(is));
    lineOf(which).classList.toggle("chosen", is);
  }
  chosen = number;
}

/** Shows the panel for a line.
 * @param {HTMLAnchorElement} number
 */
async function show(number) {
  stopAt(number);
  mark(number);
  const elements = await contents(number);
  if (chosen !== number) return;  // another one has been chosen in the meantime
  panel.replaceChildren(...elements);
  panel.hidden = false;
  panel.scrollTop = 0;
  uncover(lineOf(number), panel);
}

function close() {
  mark(null);
  panel.hidden = true;
  current.focus({ preventScroll: true });
  history.replaceState(null, "", location.pathname);
}

/** Shows the panel for a line, or closes it; the address of the page says which.
 * @param {HTMLAnchorElement} number
 */
function choose(number) {
  if (chosen === number) {
    close();
    return;
  }
  number.focus({ preventScroll: true });
  history.replaceState(null, "", `#${lineOf(number).id}`);
  show(number);
}

/** Goes to another line; the panel follows.
 * @param {HTMLAnchorElement} number
 */
function goTo(number) {
  stopAt(number);
  number.focus();
  if (chosen) show(number);
}

/** Shows the line that the address of the page names. */
function followAddress() {
  const number = numbers.find((one) => `#${lineOf(one).id}` === location.hash);
  if (number) show(number);
}

// A finger is wide: a tap on the name of an experiment shows the line, with a link to it, and does not go there.
listing.addEventListener("click", (event) => {
  const clicked = /** @type {Element} */ (event.target);
  const number = numbers.find((one) => lineOf(one).contains(clicked));
  const isTap = /** @type {PointerEvent} */ (event).pointerType === "touch";
  const leads = clicked.closest("a:not(.number)") && !(isTap && clicked.closest(".experiments"));
  const selects = event.detail > 1 || (event.detail && !getSelection()?.isCollapsed);
  if (!number || leads || selects || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (event.detail || chosen !== number) choose(number);  // Enter closes nothing that the arrow keys have opened
});

listing.addEventListener("keydown", (event) => {
  const at = numbers.indexOf(/** @type {HTMLAnchorElement} */ (event.target));
  if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const ways = new Map([["ArrowUp", at - 1], ["ArrowDown", at + 1], ["Home", 0], ["End", numbers.length - 1]]);
  const number = numbers[ways.get(event.key) ?? -1];
  if (number) goTo(number);
  else if (event.key === " ") choose(numbers[at]);  // Enter is a click, as on every link
  else return;
  event.preventDefault();
});

// Escape closes a preview first, and then the panel; in the search it is for the search.
document.addEventListener("keydown", (event) => {
  const other = document.querySelector(":is(.preview, .peek):not([hidden]), input:focus");
  if (event.key === "Escape" && chosen && !other) close();
}, { capture: true });

addEventListener("hashchange", followAddress);

// A number is a link without this script, and a button with it: one stop for the Tab key, and arrow keys from there.
for (const number of numbers) {
  number.tabIndex = number === current ? 0 : -1;
  number.setAttribute("role", "button");
  number.setAttribute("aria-expanded", "false");
}
listing.querySelector(".code")?.setAttribute("role", "group");
listing.querySelector(".code")?.setAttribute("aria-label", `lines of ${listing.dataset.program}`);
panel.setAttribute("aria-labelledby", "panel-title");
listing.append(panel);
for (const hint of document.querySelectorAll(".choose")) hint.removeAttribute("hidden");
followAddress();
