// The losses of a run: their curve beside the unchanged program's, and the result in one sentence.

import { drawn } from "./elements.js";
import { engine, meanOfLast } from "./engine.js";
import { element } from "./run-page.js";

const at = {
  figure: element("figure", HTMLElement), curve: element("curve", SVGElement), ticks: element("ticks", SVGElement),
  whole: element("whole", SVGElement), dots: element("dots", SVGElement), mean: element("mean", SVGElement),
};
const MOST = 10_000;  // steps that are drawn
let losses = /** @type {number[]} */ ([]), whole = /** @type {number[]} */ ([]), steps = 0, runs = 0;

/** Forgets the last run; returns the number of the new one. */
export function clear() {
  [losses, whole, steps, runs] = [[], [], 0, runs + 1];
  at.figure.hidden = true;
  return runs;
}

export const done = () => losses.length;

/** @param {number} all @param {number} loss */
export function add(all, loss) {
  if (losses.length < MOST) losses.push(loss);
  steps = all;
}

/**
 * The losses of the unchanged program with the same flags and text, by the essay's own program in JavaScript: the same bits.
 * @param {number} turn @param {string} text @param {(name: string) => string} flag
 */
export async function compare(turn, text, flag) {
  const { begin, train, DEFAULTS } = await engine(), flags = /** @type {Record<string, any>} */ ({});
  if (Object.keys(DEFAULTS).some((name) => flag(name).length > 30)) return;
  for (const name of Object.keys(DEFAULTS)) flags[name] = name === "seed" ? BigInt(flag(name)) : Number(flag(name));
  if (flags.n_embd > 64 || flags.n_layer > 4 || flags.num_steps > MOST) return;  // it would take too long
  const { model, lessons } = begin(text, flags), training = train(model, lessons, flags);
  while (turn === runs && whole.length < flags.num_steps) {
    for (const until = performance.now() + 8; performance.now() < until && whole.length < flags.num_steps;) {
      whole.push(training.next().value);
    }
    await new Promise((resolve) => setTimeout(resolve, 12));
  }
}

/** @param {number[]} values */
const meansOf = (values) => {
  const most = Math.min(50, Math.max(5, Math.round(steps / 10)));  // a short run has its curve, too
  return values.map((_, i) => meanOfLast(values, i + 1, most));
};

export function draw() {
  if (!losses.length) return;
  at.figure.hidden = false;
  const x = (/** @type {number} */ i) => 34 + 360 * (i / Math.max(1, steps - 1));
  const y = (/** @type {number} */ loss) => 140 - 130 * Math.min(1, Math.max(0, (loss - 1) / 4));
  const point = (/** @type {number} */ loss, /** @type {number} */ i) => `${x(i).toFixed(1)},${y(loss).toFixed(1)}`;
  const points = (/** @type {number[]} */ values) => values.map(point).join(" ");
  const means = meansOf(losses);
  at.whole.setAttribute("points", points(meansOf(whole.slice(0, steps))));
  at.dots.setAttribute("points", points(losses));
  at.mean.setAttribute("points", points(means));
  const mean = `the mean of the last fifty is ${means[means.length - 1].toFixed(2)} after step ${losses.length}`;
  at.curve.setAttribute("aria-label", `The loss, step by step: ${mean}`);
  if (!at.ticks.childNodes.length) {
    for (const loss of [1, 2, 3, 4, 5]) {
      at.ticks.append(drawn("text", { x: 26, y: y(loss) + 4 }, String(loss)));
    }
  }
}

/**
 * The result: the last losses, beside those of the unchanged program, and the first names.
 * @param {string[]} samples
 */
export function verdict(samples) {
  if (!losses.length) return ".";
  const mean = (/** @type {number[]} */ values) => meansOf(values)[values.length - 1].toFixed(2);
  const other = whole.length >= losses.length ? ` (the unchanged program: ${mean(whole.slice(0, losses.length))})` : "";
  const names = samples.length ? ` It wrote ${samples.slice(0, 4).join(", ")} …` : "";
  return `: the last losses are ${mean(losses)} on average${other}.${names}`;
}
