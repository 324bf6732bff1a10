// The picture of the walk: marks that keep their keys from one state to the next. It knows nothing of what they show.

import { drawn } from "./elements.js";

/**
 * A word, a box, a line or cells; (x, y) is where it stands, `start` the key of the mark from which it comes.
 * @typedef {{ kind: "text" | "rect" | "line" | "cells", x: number, y: number, look?: string, start?: string,
 *   width?: number, height?: number, text?: string, size?: number, anchor?: string, by?: number[][], thick?: number,
 *   columns?: number, levels?: string, gaps?: number }} Mark
 * @typedef {Map<string, Mark>} State
 * @typedef {{ row: number, made: [string, string][], put: Record<string, Mark>, gone: string[], code: string,
 *   function: string, does: string, seconds: number }} Beat
 * @typedef {{ title: string, chapter: string, says: string, beats: Beat[] }} Scene
 */

const GAP = 1.4;  // between the cells of one head and those of the next
const LETTERS = "abcdefghi";  // of numbers below 0, by their size
const PLACE = ["x", "y", "width", "height", "size", "start"];

/**
 * Return the states of the picture after each beat of some scenes.
 * @param {Scene[]} scenes
 */
export function statesOf(scenes) {
  const state = /** @type {State} */ (new Map()), states = [];
  for (const { put, gone } of scenes.flatMap(({ beats }) => beats)) {
    for (const key of gone) state.delete(key);
    for (const [key, mark] of Object.entries(put)) state.set(key, mark);
    states.push(new Map(state));
  }
  return states;
}

/** @param {Mark} mark @returns what is drawn for it, at the origin */
function shape(mark) {
  const { kind, look = "", width = 0, height = 0 } = mark, group = drawn("g", { class: `${kind} ${look}` });
  if (kind === "text") {
    group.append(drawn("text", { "font-size": mark.size ?? 15, "text-anchor": mark.anchor ?? "start" }, mark.text ?? ""));
  } else if (kind === "rect") group.append(drawn("rect", { width, height }));
  else if (kind === "line") {
    const points = (mark.by ?? []).map((point) => point.join(" "));
    group.append(drawn("path", { d: `M0 0${points.length === 2 ? "Q" : "L"}${points.join(" ")}`, "stroke-width": mark.thick ?? 1 }));
  } else group.append(...cells(mark), drawn("rect", { width, height, class: "frame" }));
  return group;
}

/** @param {Mark} mark @returns a path for all cells of each level */
function cells({ width = 0, height = 0, columns = 1, levels = "", gaps = 0 }) {
  const rows = levels.length / columns, parts = gaps ? Math.floor((rows - 1) / gaps) : 0;
  const wide = width / columns, high = (height - GAP * parts) / rows, paths = /** @type {Map<string, string>} */ (new Map());
  [...levels].forEach((level, i) => {
    const row = Math.floor(i / columns), y = row * high + (gaps ? GAP * Math.floor(row / gaps) : 0);
    const path = `M${((i % columns) * wide).toFixed(1)} ${y.toFixed(1)}h${wide.toFixed(2)}v${high.toFixed(2)}h${(-wide).toFixed(2)}z`;
    if (level !== "0") paths.set(level, (paths.get(level) ?? "") + path);
  });
  return [...paths].map(([level, d]) => drawn("path", { d, class: LETTERS.includes(level) ? "below" : "above",
    "fill-opacity": (Number(level) || LETTERS.indexOf(level) + 1) / 9 }));
}

/** @param {Mark} mark */
const sizeOf = ({ width, height, size }) => [width || size || 1, height || size || 1];

/** @param {number} from @param {number} to @param {number} share */
const between = (from, to, share) => from + (to - from) * share;

/** @param {Mark} mark */
const contents = (mark) => JSON.stringify(Object.entries(mark).filter(([name]) => !PLACE.includes(name)));

/**
 * Draw the picture in an svg. Returns a function that shows it on its way from one state to the next.
 * @param {SVGSVGElement} svg
 */
export function picture(svg) {
  let from = /** @type {State | null} */ (null), to = from, moving = /** @type {((share: number) => void)[]} */ ([]);

  /** @param {Mark} mark @param {Mark} start @param {Mark} end @param {number[]} fades its opacity, before and after */
  function add(mark, start, end, fades) {
    const element = shape(mark), size = sizeOf(mark), [first, last] = [sizeOf(start), sizeOf(end)];
    const put = (/** @type {number} */ share) => {
      const scale = size.map((own, i) => between(first[i], last[i], share) / own).map((x) => (Math.abs(x - 1) < 1e-6 ? 1 : x));
      const place = `translate(${between(start.x, end.x, share).toFixed(2)} ${between(start.y, end.y, share).toFixed(2)})`;
      element.setAttribute("transform", scale.every((x) => x === 1) ? place : `${place} scale(${scale.join(" ")})`);
      element.setAttribute("opacity", String(between(fades[0], fades[1], share)));
    };
    svg.append(element);
    put(1);
    if (start !== end || fades[0] !== fades[1]) moving.push(put);
  }

  /** @param {State} before @param {State} after @param {number} share of the way, from 0 to 1 */
  return (before, after, share) => {
    if (before !== from || after !== to) {
      [from, to, moving] = [before, after, []];
      svg.replaceChildren();
      for (const [key, mark] of before) if (!after.has(key)) add(mark, mark, mark, [1, 0]);
      for (const [key, mark] of after) {
        const old = before.get(key);
        if (!old) add(mark, before.get(mark.start ?? "") ?? mark, mark, [0, 1]);
        else if (old === mark) add(mark, mark, mark, [1, 1]);
        else if (contents(old) === contents(mark)) add(mark, old, mark, [1, 1]);
        else {
          add(old, old, mark, [1, 0]);
          add(mark, old, mark, [0, 1]);
        }
      }
    }
    for (const put of moving) put(share);
  };
}
