// What has changed in the listing: lines that are gone are struck through, and new ones are shown in their place.
//
// The published lines of the program stay in the page. What is shown beside them is made anew each time.

import { make } from "../elements.js";

/** @typedef {import("./changes.js").Place} Place */
/** @typedef {{gone: number[], put: [number, string, number][]}} Trial what an experiment does, in lines of the essay from 1 */

const code = /** @type {HTMLElement} */ (document.querySelector(".listing .code"));
const column = /** @type {HTMLElement} */ (document.querySelector(".column"));
const published = /** @type {HTMLElement[]} */ ([...code.querySelectorAll(".line")]);
const originOf = (/** @type {HTMLElement} */ line) => Number(line.dataset.origin);
const NOTHING = /** @type {Trial} */ ({ gone: [], put: [] });
let fresh = /** @type {HTMLElement[]} */ ([]);

/** @param {string} text @param {number} origin its line in the essay that was tangled */
function newLine(text, origin) {
  const line = make("span", { className: "line come" }, make("span", { className: "source" }, `  + ${text}\n`));
  line.style.setProperty("--indent", `${text.length - text.trimStart().length}ch`);
  line.dataset.fresh = String(origin);
  fresh.push(line);
  return line;
}

function clear() {
  for (const line of fresh) line.remove();
  fresh = [];
  for (const line of published) line.classList.remove("gone");
}

/**
 * Shows the program as an experiment makes it; without one, as it was published.
 * @param {Trial} [trial]
 */
export function showTrial(trial) {
  const { gone, put } = trial ?? NOTHING;
  clear();
  const last = /** @type {Map<number, HTMLElement>} */ (new Map());
  for (const line of published) line.classList.toggle("gone", gone.includes(originOf(line)));
  for (const [before, text, origin] of put) {
    const beside = last.get(before) ?? published.find((line) => originOf(line) === Math.abs(before));
    if (!beside) continue;
    const line = newLine(" ".repeat(Number(beside.dataset.shift ?? 0)) + text, origin);
    if (before < 0 && !last.has(before)) beside.before(line);
    else beside.after(line);
    last.set(before, line);
  }
  lead();
}

/**
 * Shows edits. A line that only names a chunk has the lines of that chunk in the program, between its neighbours.
 * @param {string[]} essay with the edits @param {Place[]} places of them in it
 * @param {Record<string, import("./changes.js").Fence>} fences @param {string} opened the chunk that the editor shows
 */
export function showEdits(essay, places, fences, opened) {
  clear();
  for (const { chunk, first, end, head, tail, stop } of places) {
    const from = fences[chunk].first + head - first, to = stop - (end - tail), isGone = from < to;
    for (const own of chunk === opened ? [] : usesOf(fences[chunk])) {
      const before = own.filter((line) => originOf(line) <= from).at(-1), after = own.find((line) => originOf(line) > to);
      const at = (/** @type {number} */ origin) => published.indexOf(/** @type {any} */ (isGone && own.find((line) => originOf(line) === origin)));
      const start = at(from + 1) >= 0 ? at(from + 1) : published.indexOf(before ?? own[0]) + (before ? 1 : 0);
      const next = at(to) >= 0 ? at(to) + 1 : after ? published.indexOf(after) : published.indexOf(own[own.length - 1]) + 1;
      const place = !isGone && before && originOf(before) === from ? start : next;
      if (isGone) for (const line of published.slice(start, next)) line.classList.add("gone");
      const come = essay.slice(head, tail).map((text, i) => (
        newLine(text && " ".repeat(Number(own[0].dataset.shift ?? 0)) + text, head + i + 1)));
      if (place) published[place - 1].after(...come);
      else published[0].before(...come);
    }
  }
  lead();
}

/** Brings the first of the changes into view. */
function lead() {
  const changed = code.querySelector(".come, .gone:not(.edited)");
  if (!changed || document.querySelector(".editor")) return;
  const { top, bottom } = changed.getBoundingClientRect();
  const covers = getComputedStyle(column).position === "fixed";  // on a narrow screen
  if (top < 60 || bottom > (covers ? column.getBoundingClientRect().top : innerHeight)) changed.scrollIntoView({ block: "start" });
}

/**
 * The line of the listing that comes from a line of the essay that was run; its published one, if there is one.
 * @param {number} origin @param {number} was
 */
export const lineAt = (origin, was) => (
  /** @type {HTMLElement | null} */ (code.querySelector(`[data-fresh="${origin}"]`))
    ?? published.find((line) => originOf(line) === was) ?? null);

/**
 * The published lines of a fence.
 * @param {{first: number, end: number}} fence
 */
export const linesOf = ({ first, end }) => published.filter((line) => originOf(line) > first && originOf(line) <= end);

/**
 * The same, once for each time that the program has them.
 * @param {{first: number, end: number}} fence
 */
function usesOf(fence) {
  const uses = /** @type {HTMLElement[][]} */ ([]);
  let before = Infinity;
  for (const line of linesOf(fence)) {
    if (originOf(line) <= before) uses.push([]);
    uses[uses.length - 1].push(line);
    before = originOf(line);
  }
  return uses;
}
