// Changes of the essay: each replaces the code of one fence. All lines are counted from 0 here.

import { make } from "../elements.js";
import * as list from "../machine-list.js";

/** @typedef {{chunk: string, was: string, now: string}} Edit the key of a fence, its published code, and the new one */
/** @typedef {{title: string, first: number, end: number}} Fence its code is first … end */
/**
 * Where a change is: in the edited essay the code of its fence is first … end, and its new lines are head … tail; they
 * replace from … to of the published one.
 * @typedef {{chunk: string, first: number, end: number, head: number, tail: number, from: number, to: number}} Place
 */

/** @param {unknown} found @returns {found is Edit} */
export function isEdit(found) {
  const one = /** @type {Edit} */ (found ?? {});
  return [one.chunk, one.was, one.now].every((part) => typeof part === "string");
}

/** @param {string[]} essay @param {Fence} fence */
export const codeOf = (essay, { first, end }) => essay.slice(first, end).join("\n");

/**
 * The essay with some changes, and where they are in it.
 * @param {string[]} essay @param {Record<string, Fence>} fences @param {Edit[]} edits
 */
export function edited(essay, fences, edits) {
  const lines = /** @type {string[]} */ ([]), places = /** @type {Place[]} */ ([]);
  let done = 0;
  for (const { chunk, was, now } of [...edits].sort((a, b) => fences[a.chunk].first - fences[b.chunk].first)) {
    const fence = fences[chunk], code = now ? now.split("\n") : [];
    const { head, gone, come } = difference(was.split("\n"), code);
    lines.push(...essay.slice(done, fence.first));
    const first = lines.length, from = fence.first + head;
    lines.push(...code);
    const place = { chunk, first, end: lines.length, head: first + head, tail: first + head + come.length };
    places.push({ ...place, from, to: from + gone.length });
    done = fence.end;
  }
  return { lines: [...lines, ...essay.slice(done)], places };
}

/**
 * The published line of one of the edited essay; -1 if there is none. Its places say which lines are new.
 * @param {number} line @param {Place[]} places
 */
export function publishedLine(line, places) {
  let shift = 0;
  for (const { head, tail, to } of places) {
    if (line < head) break;
    if (line < tail) return -1;
    shift = to - tail;
  }
  return line + shift;
}

/**
 * What differs between two lists of lines: how many are the same at the top, the old ones that go, and the new ones.
 * @param {string[]} old @param {string[]} now
 */
export function difference(old, now) {
  let [head, tail] = [0, 0];
  const shorter = Math.min(old.length, now.length);
  while (head < shorter && old[head] === now[head]) head += 1;
  while (tail < shorter - head && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail += 1;
  return { head, gone: old.slice(head, old.length - tail), come: now.slice(head, now.length - tail) };
}

/**
 * A change as it is shown.
 * @param {string} was @param {string} now
 */
export function shown(was, now) {
  const { gone, come } = difference(was.split("\n"), now.split("\n")), pre = make("pre", { className: "difference" });
  const indents = [...gone, ...come].filter((line) => line.trim()).map((line) => line.search(/\S/)), less = Math.min(...indents);
  for (const line of gone) pre.append(make("del", {}, `− ${line.slice(less)}`), "\n");
  for (const line of come) pre.append(make("ins", {}, `+ ${line.slice(less)}`), "\n");
  return pre;
}

/**
 * Changes as one word for a link.
 * @param {Edit[]} edits
 */
export const packed = (edits) => list.packed([JSON.stringify(edits)]);

/**
 * @param {string} word
 * @returns {Promise<Edit[]>}
 */
export async function unpacked(word) {
  const found = JSON.parse(await list.unpacked(word) ?? "");
  if (!Array.isArray(found) || !found.every(isEdit)) throw new Error("it holds no changes");
  return found;
}
