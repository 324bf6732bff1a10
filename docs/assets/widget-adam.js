// Adam beside plain descent: the reader enters gradients, and sees how far each of them moves a parameter.

import { drawn, make } from "./elements.js";
import { microgpt } from "./engine.js";
import { build, button, chart, lettering, saying, table, written } from "./widgets.js";

/** @typedef {{ rate: number, examples: Record<string, number[]> }} Given the learning rate, and named gradients */

const MOST = 12;  // gradients that are looked at

/**
 * Move a parameter as the essay's `adam` would without its means.
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
 * Write a number with three significant digits.
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
  const apart = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? rough, marks = [];
  for (let i = Math.ceil(low / apart - 1e-9) || 0; i <= high / apart + 1e-9; i++) marks.push(i * apart);
  return marks;
}

/**
 * Write a number of the scale so that it fits.
 * @param {number} value
 */
function mark(value) {
  const size = Math.abs(value), far = size >= 1e5 || (size && size < 1e-3);
  return far ? Number(value.toPrecision(2)).toExponential().replaceAll("-", "−").replace("+", "") : short(value);
}

/**
 * Return the numbers in a text, or the first word that is not a number.
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
  const picture = drawn("svg", { role: "img" });
  const answer = make("div"), results = make("div", {}, picture, answer), says = saying(results);

  /** @param {number[]} gradients */
  function write(gradients) { field.value = gradients.map((gradient) => written(gradient)).join(" "); }

  /** Draw and compute the paths for the numbers in the field, or ask for numbers. */
  function show() {
    const numbers = numbersIn(field.value);
    if (typeof numbers === "string" || !numbers.length) {
      says.sayInstead(numbers.length ? `${numbers} is not a number.` : "Enter numbers separated by spaces.");
      return;
    }
    const gradients = numbers.slice(0, MOST);
    const paths = [descent, microgpt.adam].map((move) => path(gradients, move, given.rate));
    const moves = paths.map((values) => values.slice(1).map((value, i) => value - values[i]));
    const [end, endOfAdam] = paths.map((values) => short(values[values.length - 1]));
    drawPaths(paths);
    picture.setAttribute("aria-label", `The parameter: plain descent ends at ${end}, Adam at ${endOfAdam}.`);
    answer.replaceChildren(table(`What each step adds to the parameter; the learning rate is ${written(given.rate)}.`, [
      ["step", "gradient", "plain descent", "Adam"],
      ...gradients.map((gradient, i) => [String(i + 1), short(gradient), ...moves.map((ways) => short(ways[i]))]),
    ]));
    const more = numbers.length > MOST ? ` (Only the first ${MOST} numbers are used.)` : "";
    says.say(`In total, plain descent moves it by ${end}, Adam by ${endOfAdam}.${more}`);
  }

  /**
   * Draw the two paths of the parameter.
   * @param {number[][]} paths
   */
  function drawPaths([plain, adam]) {
    const all = [...plain, ...adam], lowest = Math.min(...all), highest = Math.max(...all), steps = plain.length - 1;
    const marks = ticks(lowest, highest), stepMarks = ticks(0, steps).filter(Number.isInteger);
    const scale = { left: 64, top: 32, height: 110, lowest, highest, marks, steps, stepMarks, title: "parameter" };
    const { x, y, draw } = chart(picture, scale, mark);
    draw(["widget-orange", [...plain.entries()]], ["widget-blue", [...adam.entries()]]);
    picture.append(
      drawn("path", { d: `M${x(0)} ${y(0)}H${x(steps)}`, class: "widget-gone" }),
      drawn("path", { d: "M108 12h24", class: "widget-orange" }), lettering(180, 16, "plain descent"),
      drawn("path", { d: "M250 12h24", class: "widget-blue" }), lettering(296, 16, "Adam"),
    );
  }

  field.addEventListener("input", show);
  write(examples[0][1]);
  show();
  const label = make("label", { htmlFor: field.id, textContent: "gradients" });
  return [make("p", { className: "widget-buttons" }, ...buttons),
    make("p", { className: "widget-row" }, label, field), says.line, results];
});
