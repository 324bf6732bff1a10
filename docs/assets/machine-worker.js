// The machine on the first page at work: it trains the essay's program, shows how far it is, and writes when asked.

import { meanOfLast, microgpt, writeName } from "./engine.js";

/**
 * What to train on, and at which steps to show what it writes; a calm training shows nothing in between.
 * @typedef {{ text: string, flags: Record<string, number>, ends: number[], calm: boolean }} Task
 */

/** @typedef {{ step: number, loss: number, names: string[] }} Moment after a step: the mean of the last losses, and names */

/** @typedef {{ beginning: string, die: number }} Wish  how names begin, and what they are thrown with */

/** @typedef {{ word: string, kind: string }} Written */

/**
 * @typedef {{ moment: Moment } | { end: { first: number, last: number, letters: string } } | { written: Written[] }
 *   | { problem: string }} Report
 */

const WATCHED = 2_400;  // milliseconds: a faster machine waits, so that you can watch
const SLICE = 30, PAUSE = 10;
const SHOWN = 8, TRIES = 40;  // names that are written at a time: different ones, if there are as many
const ALWAYS = 3n;  // the same random numbers at each moment, and those of the recorded picture
let state = /** @type {Begun | null} */ (null), kindOf = (/** @type {string} */ _) => "new";

/** @param {Report} report */
function report(report) { postMessage(report); }

/** @param {bigint} seed @param {string[]} letters @param {number} tries */
function names(seed, letters, tries) {
  const random = new microgpt.Random(seed), found = /** @type {string[]} */ ([]);
  for (let i = 0; state && i < tries && found.length < SHOWN; i++) {
    const { word } = writeName(state, letters, 0.5, random);
    if (tries === SHOWN || !found.includes(word)) found.push(word);
  }
  return found;
}

/** @param {Task} task */
async function train({ text, flags: others, ends, calm }) {
  const flags = { ...microgpt.DEFAULTS, ...others }, losses = /** @type {number[]} */ ([]);
  state = microgpt.begin(text, flags);
  const { documents, lessons, characters, model } = state, steps = Number(flags.num_steps), size = Number(flags.block_size);
  const [trained, all] = [documents.slice(0, steps), documents].map((some) => (
    new Set(some.map((document) => document.slice(0, size).join("")))));
  kindOf = (word) => (trained.has(word) ? "memorised" : all.has(word) ? "real" : "new");
  const training = microgpt.train(model, lessons, flags), begun = performance.now();
  while (losses.length < steps) {
    const share = calm ? 1 : Math.min(1, (performance.now() - begun) / WATCHED);
    const next = /** @type {number} */ (ends.find((end) => end > losses.length));
    const goal = Math.min(next, Math.ceil(steps * share ** 2) + 1), until = performance.now() + SLICE;
    do losses.push(training.next().value); while (losses.length < goal && (calm || performance.now() < until));
    report({ moment: { step: losses.length, loss: meanOfLast(losses), names: names(ALWAYS, [], SHOWN) } });
    if (!calm) await new Promise((go) => setTimeout(go, PAUSE));
  }
  const letters = characters.join("");
  report({ end: { first: losses[0], last: losses[steps - 1], letters } });
}

addEventListener("message", async ({ data }) => {
  try {
    if (data.text !== undefined) await train(data);
    else {
      const words = names(BigInt(data.die), [...data.beginning], TRIES);
      report({ written: words.map((word) => ({ word, kind: kindOf(word) })) });
    }
  } catch (error) {
    report({ problem: /** @type {Error} */ (error).message.split(":")[0] });
  }
});
