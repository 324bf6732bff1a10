// What has changed in the listing: lines that are gone are struck through, and new ones are shown in their place.
//
// The published lines of the program stay in the page. What is shown beside them is made anew each time.

import { make } from "../elements.js";

/** @typedef {import("./changes.js").Fence} Fence */

const code = /** @type {HTMLElement} */ (document.querySelector(".listing .code"));
const published = /** @type {HTMLElement[]} */ ([...code.querySelectorAll(".line")]);
const originOf = (/** @type {HTMLElement} */ line) => Number(line.dataset.origin);

/**
 * Shows edits. What is open in the editor is not shown twice.
 * @param {string[]} essay with the edits @param {import("./changes.js").Place[]} places of them in it
 * @param {Record<string, Fence>} fences @param {string} opened the chunk that the editor shows
 */
export function show(essay, places, fences, opened) {
  for (const line of code.querySelectorAll(".come")) line.remove();
  for (const line of published) line.classList.remove("gone");
  for (const { chunk, head, tail, from, to } of places.filter((place) => place.chunk !== opened)) {
    for (const use of usesOf(fences[chunk])) {
      for (const { line, spot } of use) if (spot > from && spot <= to) line.classList.add("gone");
      const { line: own } = use.find(({ line, spot }) => originOf(line) === spot) ?? use[0];
      const indent = " ".repeat(Number(own.dataset.shift ?? 0)), next = use.find(({ spot }) => spot > to);
      const come = essay.slice(head, tail).map((text, i) => newLine(text && indent + text, head + i + 1));
      if (next) next.line.before(...come);
      else use[use.length - 1].line.after(...come);
    }
  }
  if (!opened) code.querySelector(".come, .gone")?.scrollIntoView({ block: "nearest" });
}

/**
 * The published lines of a fence, once for each time that the program has them, with their spots: the line of the fence
 * that each comes from, by itself or by a reference to another chunk.
 * @param {Fence} fence
 */
function usesOf({ first, end }) {
  const uses = /** @type {{line: HTMLElement, spot: number}[][]} */ ([]);
  let before = Infinity;
  for (const line of published) {
    const all = [originOf(line), ...(line.dataset.way ?? "").split(" ").map(Number)];
    const spot = all.find((one) => one > first && one <= end) ?? Infinity;
    if (spot < before) uses.push([]);
    if (spot < Infinity) uses[uses.length - 1].push({ line, spot });
    before = spot;
  }
  return uses;
}

/** @param {string} text @param {number} origin its line in the essay that was tangled */
function newLine(text, origin) {
  const line = make("span", { className: "line come" }, make("span", { className: "source" }, `  + ${text}\n`));
  line.style.setProperty("--indent", `${text.length - text.trimStart().length}ch`);
  line.dataset.fresh = String(origin);
  return line;
}

/**
 * Shows an error below the line of the listing where it is, and scrolls there, if the listing has that line.
 * @param {string} message @param {number} origin the line of the essay that was tangled, from 1
 * @param {number} was that line in the published one, if it has it
 */
export function complain(message, origin, was) {
  const line = code.querySelector(`[data-fresh="${origin}"]`) ?? published.find((one) => originOf(one) === was);
  line?.classList.add("wrong");
  line?.after(make("p", { className: "problem" }, message));
  line?.scrollIntoView({ block: "center" });
  return Boolean(line);
}

/** Takes such an error away. */
export function unmark() {
  for (const problem of code.querySelectorAll(".problem")) if (!problem.closest(".editor")) problem.remove();
  for (const line of code.querySelectorAll(".line.wrong")) line.classList.remove("wrong");
}

/**
 * The published lines of a fence.
 * @param {Fence} fence
 */
export const linesOf = ({ first, end }) => published.filter((line) => originOf(line) > first && originOf(line) <= end);
