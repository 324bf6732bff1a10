// The essay's program in JavaScript, as a page uses it: the page stays alive while the model trains.
//
// The site has no other model. To begin a name with given letters, the program's own `sample` gets a source of random
// numbers whose first draws are fixed.

import "../files/efficiency/microgpt.js";  // it leaves what it has in `microgpt`

export const { microgpt } = globalThis;
export { meanOfLast } from "./losses.js";

/**
 * Return the program's names, lessons and new model, before it trains.
 * @param {object} [others] flags that are not its defaults
 * @returns {Promise<Begun>}
 */
export async function begun(others = {}) {
  const response = await fetch(new URL("../files/names.txt", import.meta.url));
  return microgpt.begin(await response.text(), { ...microgpt.DEFAULTS, ...others });
}

/**
 * Return the short reason of an error.
 * @param {any} error
 */
export function reason({ message }) { return message.split(":")[0]; }

/**
 * Yield the losses of a run, in lists: those computed between two frames of the screen.
 * @param {Generator<number>} training
 * @param {number} [most] losses in a list, so that the reader can watch
 */
export async function* inFrames(training, most = Infinity) {
  let losses = /** @type {number[]} */ ([]), since = performance.now();
  for (const loss of training) {
    losses.push(loss);
    if (losses.length < most && performance.now() - since < 16) continue;
    yield losses;
    await new Promise((next) => requestAnimationFrame(next));
    [losses, since] = [[], performance.now()];
  }
  yield losses;
}

/**
 * Let the model write a name that begins with some letters; return it, and how likely each token was at each position.
 * @param {Begun} state
 * @param {string[]} letters
 * @param {number} temperature
 * @param {Die} random
 */
export function writeName({ model, bos, characters }, letters, temperature, random) {
  const first = letters.map((letter) => characters.indexOf(letter)), chances = /** @type {Float64Array[]} */ ([]);
  const choice = (/** @type {Float64Array} */ weights) => first[chances.push(weights) - 1] ?? random.choice(weights);
  const tokens = [...microgpt.sample(model, bos, { temperature }, { choice })];
  return { word: tokens.map((token) => characters[token]).join(""), chances };
}

/** @type {Promise<Begun> | null} */
let learned = null;

/** Return the program's model, trained with all defaults: once, at the first request. */
export function trained() {
  learned ??= begun().then(async (state) => {
    const { model, lessons } = state;
    for await (const losses of inFrames(microgpt.train(model, lessons, microgpt.DEFAULTS))) void losses;
    return state;
  });
  learned.catch(() => { learned = null; });  // the next one may try again
  return learned;
}

/**
 * Let the model read a name; return how likely each token is after each of its positions. Everything else is on the
 * model's tape: each matrix there has a row per position.
 * @param {Begun} state
 * @param {string[]} letters
 */
export function read(state, letters) {
  return writeName(state, letters, 1, { choice: () => state.bos }).chances;
}

/**
 * Return a row of a matrix.
 * @param {Matrix} matrix
 * @param {number} at
 */
export function row({ data, columns }, at) { return [...data.subarray(at * columns, (at + 1) * columns)]; }

/**
 * Return for each head how much it looks at each position so far, when one asks in a name that has been read.
 * @param {Begun} state
 * @param {number} place
 */
export function looksFrom({ model }, place) {
  const [{ inputs }] = model.tape.filter(({ operation }) => operation === microgpt.attend);
  const [query, , , weights] = inputs, heads = weights.rows / query.rows;
  return Array.from({ length: heads }, (_, head) => row(weights, place * heads + head).slice(0, place + 1));
}
