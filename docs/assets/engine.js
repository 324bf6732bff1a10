// The essay's program in JavaScript, as a page uses it: it is fetched when somebody wants it, and the page lives on
// while it learns.
//
// There is no other model in the site. To begin a name with given letters, the program's own `sample` gets a die that
// falls as it is told for the first throws.

import { make } from "./elements.js";

/** @typedef {Begun & { microgpt: Microgpt }} State the program, and what it has made before the training */

const files = new URL("../files/", import.meta.url);
const ATTEND = 6;  // where it stands on the tape, after two norms, and a query, a key and a value
/** @type {Promise<Microgpt> | null} */
let fetched = null;

/** Return the program, which is fetched once, when somebody wants it. */
export function engine() {
  fetched ??= new Promise((resolve, reject) => {
    const { href } = new URL("efficiency/microgpt.js", files);
    document.head.append(make("script", { src: href, onload: () => resolve(globalThis.microgpt), onerror: reject }));
  });
  fetched.catch(() => { fetched = null; });  // the next one may try again
  return fetched;
}

/**
 * Return the program, and all that it makes of the names before the training.
 * @param {object} [others] flags that are not its defaults
 * @returns {Promise<State>}
 */
export async function begun(others = {}) {
  const names = fetch(new URL("names.txt", files)).then((response) => response.text());
  const [documents, microgpt] = await Promise.all([names, engine()]);
  return { ...microgpt.begin(documents, { ...microgpt.DEFAULTS, ...others }), microgpt };
}

/**
 * Say in a word why something has not worked; a script that is missing throws an event, and not an error.
 * @param {unknown} error
 */
export function reason(error) { return error instanceof Error ? error.message.split(":")[0] : "a file is missing"; }

/**
 * Yield the losses of a training, so many together as come between two pictures of the screen.
 * @param {Generator<number>} training
 */
export async function* inFrames(training) {
  let losses = /** @type {number[]} */ ([]), since = performance.now();
  for (const loss of training) {
    losses.push(loss);
    if (performance.now() - since < 16) continue;
    yield losses;
    await new Promise((next) => requestAnimationFrame(next));
    [losses, since] = [[], performance.now()];
  }
  yield losses;
}

/**
 * Return the mean of the last losses, fifty if there are so many.
 * @param {number[]} losses
 * @param {number} [end] how many losses count, from the first one
 * @param {number} [most] of how many the mean is taken
 */
export function meanOfLast(losses, end = losses.length, most = 50) {
  const last = losses.slice(Math.max(0, end - most), end);
  return last.reduce((a, b) => a + b) / last.length;
}

/**
 * Let the model write a name that begins with some tokens; return its tokens, and how likely each token was at each
 * place.
 * @param {State} state
 * @param {number[]} first
 * @param {number} temperature
 * @param {Die} random
 */
export function writeName({ microgpt, model, bos }, first, temperature, random) {
  const chances = /** @type {Float64Array[]} */ ([]);
  const choice = (/** @type {Float64Array} */ weights) => first[chances.push(weights) - 1] ?? random.choice(weights);
  const tokens = [...microgpt.sample(model, bos, { temperature }, { choice })];
  return { tokens, chances };
}

/** @type {Promise<State> | null} */
let learned = null;

/** Return the program and its model when this has learned with all defaults: once, when somebody wants it. */
export function trained() {
  learned ??= begun().then(async (state) => {
    const { microgpt, model, lessons } = state;
    for await (const losses of inFrames(microgpt.train(model, lessons, microgpt.DEFAULTS))) void losses;
    return state;
  });
  learned.catch(() => { learned = null; });
  return learned;
}

/**
 * Let the model read a name; return how likely each token is after each of its places. All else that was computed
 * stands on the tape of the model: each matrix there has a row for each place.
 * @param {State} state
 * @param {string[]} letters
 */
export function read(state, letters) {
  const first = letters.map((letter) => state.characters.indexOf(letter));
  return writeName(state, first, 1, { choice: () => state.bos }).chances;
}

/**
 * Return a row of a matrix.
 * @param {Matrix} matrix
 * @param {number} at
 */
export function row({ data, columns }, at) { return [...data.subarray(at * columns, (at + 1) * columns)]; }

/**
 * Return for each head how much it looks at each place so far, when a place asks in a name that has been read.
 * @param {State} state
 * @param {number} place
 */
export function looksFrom({ model }, place) {
  const [query, , , weights] = model.tape[ATTEND].inputs, heads = weights.rows / query.rows;
  return Array.from({ length: heads }, (_, head) => row(weights, place * heads + head).slice(0, place + 1));
}
