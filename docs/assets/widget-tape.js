// The tape of a small computation, walked back entry by entry: which entry is at work, and how the gradients fill.

import { drawn, make } from "./elements.js";
import { allow, build, button, choice, lettering, saying, written } from "./widgets.js";

/**
 * An entry of the tape: its name, its number, the gradient that the essay's program found, and what it was made from:
 * [place on the tape, local derivative] of each.
 * @typedef {{ name: string, data: number, grad: number, inputs: [number, number][] }} Entry
 */

const ADDED = "added, +=", STORED = "stored, =";
const WIDTH = 60, BOX = 55, TOP = 56, HEIGHT = 82;  // of the drawing: each entry has so much room, and a box in it

/**
 * Return all gradients after so many entries have been taken off the tape, the last one first.
 * @param {Entry[]} entries
 * @param {number} taken
 * @param {boolean} adds whether a gradient is added to what is there, and not just stored
 */
function gradients(entries, taken, adds) {
  const grads = new Array(entries.length).fill(0);
  grads[entries.length - 1] = 1;
  for (let at = entries.length - 1; at >= entries.length - taken; at--) {
    for (const [parent, derivative] of entries[at].inputs) {
      grads[parent] = (adds ? grads[parent] : 0) + derivative * grads[at];
    }
  }
  return grads;
}

/**
 * Return what the entry at work does, in the words of the program.
 * @param {Entry[]} entries
 * @param {number} at
 * @param {number[]} grads
 * @param {boolean} adds
 */
function deed(entries, at, grads, adds) {
  const { name, inputs } = entries[at];
  if (!inputs.length) return `${name} came from no operation and hands nothing on.`;
  const lines = inputs.map(([parent, derivative]) => {
    const product = `${written(derivative)}\u00a0·\u00a0${written(grads[at])}`;  // which no end of a line tears apart
    return `${entries[parent].name}.grad ${adds ? "+=" : "="} ${product}`;
  });
  return `${name} hands ${written(grads[at])} on: ${lines.join(", ")}.`;
}

/**
 * Return whether the gradients are those that the program found.
 * @param {Entry[]} entries
 * @param {number[]} grads
 */
function verdict(entries, grads) {
  const wrong = entries.filter((entry, i) => entry.grad !== grads[i]);
  if (!wrong.length) return "The tape is empty, and all gradients are right.";
  const right = wrong.map(({ name, grad }) => `${name} ${written(grad)}`);
  return `The tape is empty, and these are wrong. Right would be ${right.join(", ")}.`;
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

build("tape", "Step the tape back", (/** @type {Entry[]} */ entries) => {
  let taken = 0;
  const way = choice("A gradient is", [ADDED, STORED], () => show());
  const step = button("One entry back", () => { taken += 1; show(); });
  const again = button("Start again", () => { taken = 0; show(); });
  const says = saying();
  const picture = drawn("svg", { viewBox: `0 0 ${WIDTH * entries.length} ${2 * TOP + HEIGHT}`, role: "img" });

  /** Draw the tape as it is now. */
  function show() {
    const adds = way.value === ADDED, last = entries.length, at = last - taken, grads = gradients(entries, taken, adds);
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
    const end = taken === last ? ` ${verdict(entries, grads)}` : "";
    says.say(taken ? deed(entries, at, grads, adds) + end : "The tape is full, and loss.grad is 1.");
    allow(step, taken < last);
  }

  show();
  return [way.row, make("p", { className: "widget-buttons" }, step, again), picture, says.line];
});
