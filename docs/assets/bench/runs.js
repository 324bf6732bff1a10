// The last two runs: their curves over the unchanged program's, and side by side what was changed and what they wrote.

import { make } from "../elements.js";
import { meanOfLast } from "../losses.js";
import { chart, lettering } from "../widgets.js";

/** @typedef {{what: string, all: number, losses: number[], samples: string[]}} Run */

const MOST = 10_000;  // steps that are drawn
const SMALL = 0.1;  // a difference of one run's means that is luck, as the recorded ten runs show
const at = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const runs = /** @type {Run[]} */ ([]);  // the last one is first
let unchanged = /** @type {number[]} */ ([]), turn = 0;

/**
 * Begins a run.
 * @param {string} what was changed @param {number} all its steps
 */
export function begin(what, all) {
  if (runs[0] && !runs[0].losses.length) runs.shift();  // one that failed at once is nothing to compare with
  runs.unshift({ what, all, losses: [], samples: [] });
  runs.length = Math.min(2, runs.length);
  [unchanged, turn] = [[], turn + 1];
  at("result").hidden = false;
  draw();
}

/** @param {string} line that the program has printed @returns {[number, number] | null} the step, and of how many */
export function hear(line) {
  const step = /^step +(\d+) \/ +(\d+) \| loss (\S+)/.exec(line), sample = /^sample +\d+: (.*)$/.exec(line), run = runs[0];
  if (sample && run.samples.length < MOST) run.samples.push(sample[1] || "nothing");
  if (!step) return null;
  if (run.losses.length < MOST) run.losses.push(Number(step[3]));
  run.all = Number(step[2]);
  return [Number(step[1]), run.all];
}

export const done = () => runs[0].losses.length;

/**
 * The losses of the unchanged program with the same flags and text, by the essay's own program in JavaScript: the same bits.
 * @param {string} text @param {(name: string) => string} flag
 */
export async function compare(text, flag) {
  const { begin: start, train, DEFAULTS } = (await import("../engine.js")).microgpt, mine = turn;
  const flags = /** @type {Record<string, any>} */ ({});
  for (const name of Object.keys(DEFAULTS)) flags[name] = name === "seed" ? BigInt(flag(name)) : Number(flag(name));
  if (!(flags.n_embd <= 64 && flags.n_layer <= 4 && flags.num_steps <= MOST)) return;  // it would take too long
  const { model, lessons } = start(text, flags), training = train(model, lessons, flags);
  while (mine === turn && unchanged.length < flags.num_steps) {
    for (const until = performance.now() + 8; performance.now() < until && unchanged.length < flags.num_steps;) {
      unchanged.push(training.next().value);
    }
    await new Promise((resolve) => setTimeout(resolve, 12));
  }
  if (mine === turn) draw();
}

/** How many losses a mean is of, in a run of so many steps: a short one has its curve, too.
 * @param {number} all
 */
const width = (all) => Math.min(50, Math.max(5, Math.round(all / 10)));

/** @param {number[]} losses @param {number} all */
const means = (losses, all) => losses.map((_, i) => [i + 1, meanOfLast(losses, i + 1, width(all))]);

/** @param {number[]} losses @param {number} all */
const last = (losses, all) => (losses.length ? meanOfLast(losses, losses.length, width(all)).toFixed(2) : "–");

/** Shows both runs. */
export function draw() {
  const [{ all, losses }] = runs, beside = unchanged.slice(0, losses.length);
  drawCurves(beside);
  const other = losses.length && beside.length === losses.length ? last(beside, all) : "";
  const gap = Math.abs(Number(last(losses, all)) - Number(other)), isOther = beside.some((loss, i) => Math.abs(loss - losses[i]) > 1e-3);
  const isClose = isOther && gap < SMALL && all < 1000;
  const known = other && ` (${other} unchanged${isClose ? ", too close to tell after so few steps" : ""})`;
  at("runs").replaceChildren(...runs.map((run, i) => make("section", {},
    make("h2", {}, i ? "The run before" : "This run"), make("p", {}, run.what), make("p", {}, run.losses.length
      ? `Loss ${last(run.losses, run.all)} after ${run.losses.length} steps${i ? "" : known}` : ""),
    make("p", { className: "names" }, run.samples.slice(0, 8).join(", ") || "no names so far"))));
}

/** @param {number[]} beside the losses of the unchanged program after as many steps */
function drawCurves(beside) {
  const picture = /** @type {any} */ (at("curves")), [run, before] = runs, steps = Math.max(2, run.all);
  const all = /** @type {[string, string, number[][]][]} */ ([
    ["before", "the run before", before ? means(before.losses, before.all).filter(([number]) => number <= steps) : []],
    ["as-is", "the program unchanged", means(beside, run.all)],
    ["changed", "This run", means(run.losses, run.all)],  // drawn last, above the others
  ]);
  const curves = all.filter(([, , points]) => points.length);
  const losses = curves.flatMap(([, , points]) => points.map(([, loss]) => loss)).filter(Number.isFinite);
  const lowest = Math.floor(Math.min(2, ...losses)), highest = Math.ceil(Math.max(4, ...losses));
  const marks = [lowest, (lowest + highest) / 2, highest], stepMarks = [0, steps / 2, steps].map(Math.round);
  const { draw: lines } = chart(picture, { lowest, highest, marks, steps, stepMarks, left: 34, top: 16, height: 130 });
  lines(...curves.map(([kind, , points]) => /** @type {[string, number[][]]} */ ([kind, points])));
  picture.append(lettering(16, 10, "loss"));
  picture.parentElement.hidden = !curves.length;
  const keys = curves.map(([kind, words]) => make("span", { className: `${kind}-key` }, words)).reverse();
  at("keys").replaceChildren(...keys.flatMap((key, i) => [key, i < keys.length - 1 ? ", " : "."]));
  picture.setAttribute("aria-label",
    `The loss, step by step: ${last(run.losses, run.all)} after step ${run.losses.length}, on average`);
}

/** The result in a sentence. */
export function verdict() {
  const { losses, all, samples } = runs[0];
  return losses.length ? `: loss ${last(losses, all)}. It wrote ${samples.slice(0, 3).join(", ") || "nothing"} …` : ".";
}
