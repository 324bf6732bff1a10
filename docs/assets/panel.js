// What there is to say about a line of a program: its paragraph of the essay, and its experiments.
//
// Nothing of that is on the page of the program. It is taken from the pages of the essay, as previews are (see page.js).

import { make } from "./elements.js";
import { copyOf, target } from "./page.js";

const ENOUGH = 100;  // letters: anything shorter, such as "Now the walk:", explains nothing
const PROSE = "p:not(.reading-time), ul, ol, dl, blockquote, table, .highlight";  // with illustrations

/** Returns the text of an element, without the sign that links to it.
 * @param {Element} element
 */
function textOf(element) {
  const copy = /** @type {Element} */ (element.cloneNode(true));
  copy.querySelector(".headerlink")?.remove();
  return (copy.textContent ?? "").trim();
}

/** @param {Element[]} prose */
const saysEnough = (prose) => prose.map(textOf).join("").length > ENOUGH;

/** Returns the prose before a chunk that leads to it: the nearest paragraph, and more if it says little, or goes on.
 * @param {Element} chunk
 */
function proseBefore(chunk) {
  const prose = /** @type {Element[]} */ ([]);
  for (let next = chunk.previousElementSibling; next; next = next.previousElementSibling) {
    if (saysEnough(prose) && !prose[0].matches(".highlight") && !/^\p{Ll}/u.test(textOf(prose[0]))) break;
    if (next.matches(PROSE)) prose.unshift(next);
    else if (!next.matches(".demonstration")) break;
  }
  return prose;
}

/** Returns a copy of a paragraph; if it leads on to code, it ends here with a full stop.
 * @param {Element} prose @param {Element} link
 */
function closed(prose, link) {
  const copy = copyOf(prose, link), last = copy.lastChild;
  if (last instanceof Text) last.data = last.data.replace(/:\s*$/, ".");
  return copy;
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

/** Returns an experiment: its title, which leads to it, its change, what happens, and a button that tries it.
 * @param {HTMLAnchorElement} link @param {boolean} runs
 */
async function experiment(link, runs) {
  const box = await target(link).catch(() => null), item = make("section", { className: "trial" });
  item.append(make("h3", {}, make("a", { href: link.href }, ...link.cloneNode(true).childNodes)));
  for (const part of box?.querySelectorAll(".highlight, .finding, .tried") ?? []) {
    item.append(copyOf(part, link));
  }
  const name = decodeURIComponent(link.hash).replace("#experiment-", "");
  if (runs) item.append(make("p", {}, button("Try it", "try", name)));
  return item;
}

/** Returns a button for the bench (see bench/bench.js).
 * @param {string} words @param {string} kind @param {string} value
 */
function button(words, kind, value) {
  const made = make("button", { type: "button", className: kind === "try" ? "md-button" : "quiet" }, words);
  made.dataset[kind] = value;
  return made;
}

/** Returns what there is to say about a line, whose number this is.
 * @param {HTMLAnchorElement} number @param {boolean} runs whether the page runs the program
 */
export async function about(number, runs) {
  const links = number.closest(".line")?.querySelectorAll(".experiments a") ?? [];
  const [chunk, ...experiments] = await Promise.all([target(number).catch(() => null),
    ...[...links].map((link) => experiment(/** @type {HTMLAnchorElement} */ (link), runs))]);
  const name = (chunk?.querySelector(".chunk-name")?.firstChild?.textContent ?? "Where the essay explains it").trim();
  const lead = make("p", { className: "lead" }, make("a", { href: number.href }, name));
  if (chunk) lead.append(` in ${textOf(/** @type {Element} */ (chunk.ownerDocument.querySelector("article h1")))}`);
  const walk = document.getElementById("walk"), { moment } = /** @type {HTMLElement} */ (number.closest(".line")).dataset;
  if (walk && moment) lead.append(" ", make("a", { href: `${walk.getAttribute("href")}#scene=${moment}` }, "See it run"));
  if (runs) lead.append(" ", button("Edit", "edit", number.dataset.origin ?? ""));
  const said = chunk ? [...proseBefore(chunk), ...proseAfter(chunk)].map((prose) => closed(prose, number)) : [];
  if (chunk && !said.length) said.push(make("p", {}, "The essay shows this chunk without comment."));
  return [make("h2", { id: "panel-title" }, `Line ${number.textContent}`), lead, ...said, ...experiments];
}
