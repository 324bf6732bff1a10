// The tape of a small computation, walked back entry by entry: which entry is at work, and how the gradients fill. The
// demonstration has walked it; here it is only shown.

import { drawn, make } from "./elements.js";
import { allow, build, button, choice, lettering, saying, written } from "./widgets.js";

/**
 * An entry of the tape: its name, its number, and what it was made from: [place on the tape, local derivative] of each.
 * @typedef {{ name: string, data: number, inputs: [number, number][] }} Entry
 */

/**
 * The tape, and the gradients of all entries after each number of entries that `backward` has taken off it, or that
 * a walk has which stores a gradient and does not add it.
 * @typedef {{ entries: Entry[], added: number[][], stored: number[][] }} Given
 */

const ADDED = "added, +=", STORED = "stored, =";
const WIDTH = 60, BOX = 55, TOP = 56, HEIGHT = 82;  // of the drawing: each entry has so much room, and a box in it

/**
 * Return what the entry at work does, in the words of the program.
 * @param {Entry[]} entries
 * @param {number} at
 * @param {number[]} grads
 * @param {boolean} adds whether a gradient is added to what is there, and not just stored
 */
function deed(entries, at, grads, adds) {
  const { name, inputs } = entries[at];
  if (!inputs.length) return `${name} has no inputs, so its gradient goes no further.`;
  const lines = inputs.map(([parent, derivative]) => {
    const product = `${written(derivative)}\u00a0·\u00a0${written(grads[at])}`;  // which no end of a line tears apart
    return `${entries[parent].name}.grad ${adds ? "+=" : "="} ${product}`;
  });
  return `${name} passes ${written(grads[at])} on: ${lines.join(", ")}.`;
}

/**
 * Return which gradients are wrong at the end, and what would be right.
 * @param {Entry[]} entries
 * @param {number[]} grads
 * @param {number[]} right
 */
function verdict(entries, grads, right) {
  const wrong = entries.flatMap(({ name }, i) => (grads[i] === right[i] ? [] : [`${name} ${written(right[i])}`]));
  if (!wrong.length) return "The tape is empty, and all gradients are correct.";
  return `The tape is empty, and some gradients are wrong. Correct values: ${wrong.join(", ")}.`;
}

/**
 * Draw the entry at work handing its gradient on to one of the entries that it was made from.
 * @param {number} from
 * @param {number} to
 * @param {number} derivative
 * @param {boolean} above or else below the boxes
 */
function arc(from, to, derivative, above) {
  const [start, end] = [from, to].map((at) => (at + 0.5) * WIDTH);
  const edge = above ? TOP : TOP + HEIGHT, out = above ? -1 : 1;
  const far = edge + out * (20 + 16 * (from - to));
  const tip = `M${end - 4} ${edge + out * 8}L${end} ${edge + out}L${end + 5} ${edge + out * 7}`;
  const line = `M${start} ${edge}Q${(start + end) / 2} ${far} ${end} ${edge + out}`;
  return [
    drawn("path", { d: line + tip, class: "widget-orange" }),
    lettering((start + end) / 2, (edge + far) / 2 + (above ? -5 : 14), `· ${written(derivative)}`),
  ];
}

build("tape", "Step the tape back", (/** @type {Given} */ { entries, added, stored }) => {
  let taken = 0;
  const way = choice("A gradient is", [ADDED, STORED], () => show());
  const step = button("One entry back", () => { taken += 1; show(); });
  const again = button("Start over", () => { taken = 0; show(); });
  const says = saying();
  const picture = drawn("svg", { viewBox: `0 0 ${WIDTH * entries.length} ${2 * TOP + HEIGHT}`, role: "img" });

  /** Draw the tape as it is now. */
  function show() {
    const adds = way.value === ADDED, last = entries.length, at = last - taken, grads = (adds ? added : stored)[taken];
    picture.replaceChildren();
    entries.forEach(({ name, data }, i) => {
      const x = (i + 0.5) * WIDTH, kind = i === at ? "widget-orange" : i > at ? "widget-gone" : "widget-blue";
      picture.append(
        drawn("rect", { x: x - BOX / 2, y: TOP, width: BOX, height: HEIGHT, rx: 6, class: kind }),
        lettering(x, TOP + 18, name, "widget-strong"), lettering(x, TOP + 36, written(data)),
        lettering(x, TOP + 57, "grad", "widget-small"), lettering(x, TOP + 73, written(grads[i]), "widget-strong"),
      );
    });
    entries[at]?.inputs.forEach(([parent, derivative], i) => picture.append(...arc(at, parent, derivative, !i)));
    const all = entries.map(({ name }, i) => `${name} ${written(grads[i])}`).join(", ");
    picture.setAttribute("aria-label", `${taken ? `Entry ${entries[at].name} is at work. ` : ""}Gradients: ${all}.`);
    const end = taken === last ? ` ${verdict(entries, grads, added[last])}` : "";
    says.say(taken ? deed(entries, at, grads, adds) + end : "The tape is full, and loss.grad is 1.");
    allow(step, taken < last);
  }

  show();
  return [way.row, make("p", { className: "widget-buttons" }, step, again), picture, says.line];
});
