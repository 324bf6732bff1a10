// What has changed in the listing: lines that are gone are struck through, and new ones are shown in their place.
//
// The published lines of the program stay in the page. What is shown beside them is made anew each time.

import { make } from "../elements.js";

/** @typedef {import("./changes.js").Place} Place */
/** @typedef {{gone: number[], put: [number, string, number][]}} Trial what an experiment does, in lines of the essay from 1 */
/** @typedef {{lines: string[], origins: number[]}} Program and the lines of the essay that its lines come from, from 1 */

const code = /** @type {HTMLElement} */ (document.querySelector(".listing .code"));
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
 * Shows a program that was tangled from an edited essay: the lines that it shares with the published one stay.
 * @param {Program} program @param {(origin: number) => number} publishedLine of one of the edited essay, or 0
 * @param {(origin: number) => boolean} isOpen whether the editor shows a line of the edited essay
 */
export function showProgram({ lines, origins }, publishedLine, isOpen) {
  clear();
  let next = 0, pending = /** @type {HTMLElement[]} */ ([]);
  const settle = (/** @type {number} */ end) => {  // what is no longer there, and after it what came instead
    for (const line of published.slice(next, end)) line.classList.add("gone");
    if (end) published[end - 1].after(...pending);
    else published[0].before(...pending);
    pending = [];
  };
  lines.forEach((text, i) => {
    const was = publishedLine(origins[i]);
    const at = was ? published.findIndex((line, place) => place >= next && originOf(line) === was) : -1;
    if (at < 0) {
      pending.push(newLine(text, origins[i]));
      pending[pending.length - 1].classList.toggle("edited", isOpen(origins[i]));
    } else {
      settle(at);
      next = at + 1;
    }
  });
  settle(published.length);
  lead();
}

/** Brings the first of the changes into view. */
function lead() {
  const changed = code.querySelector(".come, .gone:not(.edited)");
  if (!changed || document.querySelector(".editor")) return;
  const { top, bottom } = changed.getBoundingClientRect();
  if (top < 60 || bottom > innerHeight * 0.55) changed.scrollIntoView({ block: "center" });
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
