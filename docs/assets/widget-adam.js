// Adam beside plain descent: the reader writes some gradients, and sees by how much each of them moves a parameter.

import { drawn, make } from "./elements.js";
import { microgpt } from "./engine.js";
import { build, button, lettering, saying, table, written } from "./widgets.js";

/** @typedef {{ rate: number, examples: Record<string, number[]> }} Given the learning rate, and gradients by their names */

const MOST = 12;  // gradients that are looked at
const LEFT = 64, WIDTH = 288, TOP = 32, HEIGHT = 110;  // of the place for the lines

/**
 * Move a parameter as `adam` of the essay would do it without its means.
 * @param {Moving} parameter
 * @param {number} _step
 * @param {number} rate
 */
function descent({ data, grad }, _step, rate) { data[0] -= rate * grad[0]; }

/**
 * Return where a parameter is after each step; it begins at 0.
 * @param {number[]} gradients
 * @param {(parameter: Moving, step: number, rate: number) => void} move
 * @param {number} rate
 */
function path(gradients, move, rate) {
  const parameter = { data: [0], grad: [0], mean: [0], square: [0] }, values = [0];
  gradients.forEach((gradient, i) => {
    parameter.grad[0] = gradient;
    move(parameter, i + 1, rate);
    values.push(parameter.data[0]);
  });
  return values;
}

/**
 * Write a number with three digits that count.
 * @param {number} value
 */
function short(value) { return written(Number(value.toPrecision(3)), 10); }

/**
 * Return round numbers in a range, with equal steps, five or six of them at most.
 * @param {number} low
 * @param {number} high
 */
function ticks(low, high) {
  const rough = (high - low) / 4 || 1, power = 10 ** Math.floor(Math.log10(rough));
  const apart = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? rough, found = [];
  for (let i = Math.ceil(low / apart - 1e-9); i <= high / apart + 1e-9; i++) found.push(i * apart);
  return found;
}

/**
 * Write a number of the scale so that it has room.
 * @param {number} value
 */
function mark(value) {
  const size = Math.abs(value), far = size >= 1e5 || (size && size < 1e-3);
  return far ? Number(value.toPrecision(2)).toExponential().replaceAll("-", "−").replace("+", "") : short(value);
}

/**
 * Return the numbers in a text, or the first word that is none.
 * @param {string} text
 */
function numbersIn(text) {
  const words = text.replaceAll("−", "-").split(/[\s,;]+/).filter(Boolean);
  const wrong = words.find((word) => !Number.isFinite(Number(word)));
  return wrong ?? words.map(Number);
}

build("adam", "Choose the gradients", (/** @type {Given} */ given) => {
  const examples = Object.entries(given.examples);
  const field = make("input", { id: "widget-gradients", className: "widget-field", autocomplete: "off" });
  const buttons = examples.map(([name, gradients]) => button(name, () => { write(gradients); show(); }));
  const picture = drawn("svg", { viewBox: `0 0 ${LEFT + WIDTH + 8} ${TOP + HEIGHT + 40}`, role: "img" });
  const answer = make("div"), shown = make("div", {}, picture, answer), says = saying(shown);

  /** @param {number[]} gradients */
  function write(gradients) { field.value = gradients.map((gradient) => written(gradient)).join(" "); }

  /** Draw and compute it for what is in the field now; if that is no list of numbers, say so. */
  function show() {
    const numbers = numbersIn(field.value);
    if (typeof numbers === "string" || !numbers.length) {
      says.sayInstead(numbers.length ? `${numbers} is not a number.` : "Write some numbers, with blanks between them.");
      return;
    }
    const gradients = numbers.slice(0, MOST);
    const paths = [descent, microgpt.adam].map((move) => path(gradients, move, given.rate));
    const moves = paths.map((values) => values.slice(1).map((value, i) => value - values[i]));
    const [end, endOfAdam] = paths.map((values) => short(values[values.length - 1]));
    draw(paths);
    picture.setAttribute("aria-label", `The parameter: plain descent ends at ${end}, Adam at ${endOfAdam}.`);
    answer.replaceChildren(table(`What each step adds to the parameter; the learning rate is ${written(given.rate)}.`, [
      ["step", "gradient", "plain descent", "Adam"],
      ...gradients.map((gradient, i) => [String(i + 1), short(gradient), ...moves.map((ways) => short(ways[i]))]),
    ]));
    const more = numbers.length > MOST ? ` (Only the first ${MOST} numbers count.)` : "";
    says.say(`In all, plain descent moves it by ${end}, Adam by ${endOfAdam}.${more}`);
  }

  /**
   * Draw where the parameter goes, on the two ways.
   * @param {number[][]} paths
   */
  function draw(paths) {
    const low = Math.min(...paths.flat()), high = Math.max(...paths.flat()), steps = paths[0].length - 1;
    /** @param {number} value */
    const y = (value) => TOP + HEIGHT * (high > low ? (high - value) / (high - low) : 0.5);
    const lines = paths.map((numbers, i) => drawn("polyline", {
      points: numbers.map((number, step) => `${LEFT + WIDTH * step / steps},${y(number)}`).join(" "),
      class: i ? "widget-blue" : "widget-orange",
    }));
    const left = ticks(low, high).flatMap((value) => [
      drawn("path", { d: `M${LEFT} ${y(value)}h-4`, class: "widget-axis" }),
      drawn("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, mark(value)),
    ]);
    const below = ticks(0, steps).filter(Number.isInteger).flatMap((step) => [
      drawn("path", { d: `M${LEFT + WIDTH * step / steps} ${TOP + HEIGHT}v4`, class: "widget-axis" }),
      lettering(LEFT + WIDTH * step / steps, TOP + HEIGHT + 18, String(step)),
    ]);
    picture.replaceChildren(
      drawn("path", { d: `M${LEFT} ${TOP}v${HEIGHT}h${WIDTH}`, class: "widget-axis" }), ...left, ...below,
      drawn("path", { d: `M${LEFT} ${y(0)}h${WIDTH}`, class: "widget-gone" }), ...lines,
      lettering(LEFT + WIDTH / 2, TOP + HEIGHT + 36, "steps"), drawn("text", { x: 0, y: 16 }, "parameter"),
      drawn("path", { d: `M${LEFT + 44} 12h24`, class: "widget-orange" }), lettering(LEFT + 116, 16, "plain descent"),
      drawn("path", { d: `M${LEFT + 186} 12h24`, class: "widget-blue" }), lettering(LEFT + 232, 16, "Adam"),
    );
  }

  field.addEventListener("input", show);
  write(examples[0][1]);
  show();
  const label = make("label", { htmlFor: field.id, textContent: "gradients" });
  return [make("p", { className: "widget-buttons" }, ...buttons),
    make("p", { className: "widget-row" }, label, field), says.line, shown];
});
