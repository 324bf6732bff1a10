// The cost of a model of another size: its parameters, and the entries that one name puts on the tape.

import { make } from "./elements.js";
import { build, saying, slider, table } from "./widgets.js";

/**
 * The sizes that the demonstration counted with, and the parts of the model, in the order of the figure.
 * @typedef {{ n_embd: number, n_head: number, n_layer: number, block_size: number, vocabulary: number, letters: number,
 *   parts: string[] }} Given
 */

/** @typedef {Record<string, number>} Counts */

/**
 * Return how many parameters each part has: the shapes of the essay, multiplied out.
 * @param {Given} sizes
 * @returns {Counts}
 */
function parametersOf({ n_embd, n_layer, block_size, vocabulary }) {
  return {
    tables: (vocabulary + block_size) * n_embd,
    attention: n_layer * 4 * n_embd ** 2,
    mlp: n_layer * 2 * 4 * n_embd ** 2,
    lm_head: vocabulary * n_embd,
  };
}

/**
 * Return how many entries each part puts on the tape for one name, counted off the lines of the program: a dot product
 * of n numbers makes n products and n − 1 sums, and a norm makes three times the width and 4 more.
 * @param {Given} sizes
 * @returns {Counts}
 */
function entriesOf({ n_embd, n_head, n_layer, vocabulary, letters }) {
  const tasks = letters + 1, matrix = n_embd * (2 * n_embd - 1);
  const looks = tasks * (tasks + 1) / 2;  // all positions that are looked back at, by all tasks
  return {
    tables: tasks * n_embd,
    norms: tasks * (1 + 2 * n_layer) * (3 * n_embd + 4),
    attention: n_layer * (tasks * (4 * matrix + 2 * n_head) + looks * 4 * (n_embd + n_head)),
    mlp: n_layer * tasks * 16 * n_embd ** 2,
    lm_head: tasks * vocabulary * (2 * n_embd - 1),
    loss: tasks * (4 * vocabulary + 2) + tasks + 1,
  };
}

/**
 * Write a whole number as the essay does.
 * @param {number} count
 */
function counted(count) { return count.toLocaleString("en"); }

/**
 * Return the sum of some counts.
 * @param {Counts} counts
 */
function sum(counts) { return Object.values(counts).reduce((a, b) => a + b); }

build("counter", "Count other sizes", (/** @type {Given} */ given) => {
  const width = slider("width", { min: given.n_head, max: 128, step: given.n_head, value: given.n_embd }, show);
  const depth = slider("layers", { min: 1, max: 12, step: 1, value: given.n_layer }, show);
  const context = slider("positions", { min: 8, max: 64, step: 8, value: given.block_size }, show);
  const longest = given.block_size - 1;  // one position is for BOS
  const letters = slider("letters", { min: 1, max: longest, step: 1, value: given.letters }, show);
  const answer = make("div"), says = saying();

  /** Count for the sizes as they are now. */
  function show() {
    letters.input.max = String(context.value - 1);
    letters.value = letters.value;  // perhaps fewer than before
    const chosen = { n_embd: width.value, n_layer: depth.value, block_size: context.value, letters: letters.value };
    const parameters = parametersOf({ ...given, ...chosen }), entries = entriesOf({ ...given, ...chosen });
    answer.replaceChildren(table("Parameters and entries in each part", [
      ["part", "parameters", "entries"],
      ...given.parts.map((part) => [part, counted(parameters[part] ?? 0), counted(entries[part])]),
      ["all", counted(sum(parameters)), counted(sum(entries))],
    ]));
    says.say(`${counted(sum(parameters))} parameters, and ${counted(sum(entries))} entries for this name.`);
  }

  show();
  return [...[width, depth, context, letters].map(({ row }) => row), answer, says.line];
});
