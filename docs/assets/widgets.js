// What the widgets share: each is built below the figure of a demonstration, from the data that this gave to the page.
//
// A widget is a script of its own, widget-NAME.js, with one idea; without JavaScript there is nothing of it.
// The demonstration has computed its numbers, or the essay's program in JavaScript does (engine.js). The tests hold
// them against those of Python.

import { drawn, make } from "./elements.js";

/** @typedef {Node | string} Child */

/**
 * Make a text of SVG, whose middle is at x.
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {string} [kind] a class of its look
 */
export function lettering(x, y, content, kind = "") {
  return drawn("text", { x, y, "text-anchor": "middle", class: kind }, content);
}

const RIGHT = 344;  // the edge of a chart

/** @typedef {[string, number[][]]} Curve the class of its look, and [step, value] of its points */

/**
 * The size of a chart, and its range of values: values beyond it are drawn at the edge.
 * @typedef {{ left?: number, top?: number, height: number, lowest: number, highest: number, marks: number[],
 *   steps: number, stepMarks?: number[], title?: string }} Scale
 */

/**
 * Draw the axes of a chart over the steps of a run. Return functions that place a step and a value in the picture, and
 * one that draws the curves.
 * @param {SVGSVGElement} picture
 * @param {Scale} scale
 * @param {(mark: number) => string} [say] how a mark of the scale is written
 */
export function chart(picture, scale, say = String) {
  const { left = 30, top = 8, height, lowest, highest, marks, steps, stepMarks = [] } = scale, foot = top + height;
  const x = (/** @type {number} */ step) => left + (RIGHT - left) * step / steps;
  const y = (/** @type {number} */ value) => {
    const share = highest > lowest ? (highest - value) / (highest - lowest) : 0.5;
    return top + height * Math.min(1, Math.max(0, share));
  };
  const beside = marks.flatMap((mark) => [drawn("path", { d: `M${left} ${y(mark)}h-4`, class: "widget-axis" }),
    drawn("text", { x: left - 8, y: y(mark) + 4, "text-anchor": "end" }, say(mark))]);
  const below = stepMarks.flatMap((step) => [drawn("path", { d: `M${x(step)} ${foot}v4`, class: "widget-axis" }),
    lettering(x(step), foot + 18, step.toLocaleString("en"))]);
  const end = foot + (below.length ? 36 : 18), lines = drawn("g", {});
  picture.setAttribute("viewBox", `0 0 ${RIGHT + 16} ${end + 4}`);
  picture.replaceChildren(drawn("path", { d: `M${left} ${top}v${height}H${RIGHT}`, class: "widget-axis" }),
    drawn("text", { x: 0, y: top - 16 }, scale.title ?? ""), ...beside, ...below,
    lettering((left + RIGHT) / 2, end, "steps"), lines);
  /** @param {Curve[]} curves */
  const draw = (...curves) => lines.replaceChildren(...curves.map(([kind, points]) => drawn("polyline", { class: kind,
    points: points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ") })));
  return { x, y, draw };
}

/**
 * Write a number as the essay does, with a minus and not a hyphen, and with no more digits than it has.
 * @param {number} value
 * @param {number} [digits] behind the point, at most
 */
export function written(value, digits = 4) {
  return String(Number(value.toFixed(digits)) || 0).replaceAll("-", "−");  // nothing is as little as minus nothing
}

/**
 * Write a number with this many decimal places.
 * @param {number} value
 * @param {number} digits
 */
export function fixed(value, digits) {
  const text = value.toFixed(digits);
  return (Number(text) ? text : text.replace("-", "")).replace("-", "−");
}

/**
 * Make a button.
 * @param {string} name
 * @param {() => void} press
 */
export function button(name, press) {
  const element = make("button", { type: "button", className: "md-button", textContent: name });
  element.addEventListener("click", () => { if (element.ariaDisabled !== "true") press(); });
  return element;
}

/**
 * Enable or disable a button. A disabled one keeps the focus: elsewhere the next Enter would go back.
 * @param {HTMLButtonElement} element
 * @param {boolean} possible
 */
export function allow(element, possible) { element.setAttribute("aria-disabled", String(!possible)); }

let inputs = 0;

/**
 * Make a labelled slider for a number, which is shown beside it.
 * @param {string} name
 * @param {{ min: number, max: number, step: number, value: number }} bounds
 * @param {() => void} change is told after each change
 * @param {(value: number) => string} [say] how a value is written, where it is more than a number
 */
export function slider(name, bounds, change, say) {
  const id = `widget-input-${inputs += 1}`, output = make("output");
  output.setAttribute("for", id);
  output.setAttribute("aria-hidden", "true");  // the slider says it
  const input = make("input", { type: "range", id });
  for (const [property, value] of Object.entries(bounds)) input.setAttribute(property, String(value));
  const show = () => {
    const value = Number(input.value);
    output.textContent = say ? say(value) : written(value).replace(/\B(?=(\d{3})+$)/, ",");
    if (say) input.setAttribute("aria-valuetext", say(value));
  };
  input.addEventListener("input", () => { show(); change(); });
  show();
  return {
    input,
    row: make("p", { className: "widget-row" }, make("label", { htmlFor: id, textContent: name }), input, output),
    get value() { return Number(input.value); },
    /** @param {number} value */
    set value(value) { input.value = String(value); show(); },
  };
}

/**
 * Make a choice among some names; the first is chosen.
 * @param {string} title
 * @param {string[]} names
 * @param {() => void} change is told after each change
 */
export function choice(title, names, change) {
  const group = `widget-choice-${inputs += 1}`;
  const radios = names.map((name, i) => make("input", { type: "radio", name: group, value: name, checked: !i }));
  const labels = radios.map((radio, i) => make("label", {}, radio, ` ${names[i]}`));
  for (const radio of radios) radio.addEventListener("change", change);
  return {
    row: make("fieldset", { className: "widget-choice" }, make("legend", { textContent: title }), ...labels),
    get value() { return radios.find((radio) => radio.checked)?.value ?? names[0]; },
  };
}

/**
 * Make a line of words about the results that a widget shows; a screen reader says them when it has time. While the
 * words are about something else, such as a wrong input, the results are grey and cannot be used. For that, an svg must
 * be in a div.
 * @param {...HTMLElement} results
 */
export function saying(...results) {
  const line = make("p", { className: "widget-says" });
  line.setAttribute("role", "status");
  /** @param {boolean} inert @param {Child[]} words */
  const put = (inert, words) => {
    const text = words.map((word) => (typeof word === "string" ? word : word.textContent)).join("");
    if (line.textContent !== text) line.replaceChildren(...words);  // nobody is told the same twice
    for (const part of results) part.inert = inert;
  };
  return {
    line,
    /** Say something about the results. */
    say(/** @type {Child[]} */ ...words) { put(false, words); },
    /** Say something that has no results. */
    sayInstead(/** @type {Child[]} */ ...words) { put(true, words); },
  };
}

/**
 * Make a table whose first row and column are heads.
 * @param {string} caption
 * @param {string[][]} rows
 */
export function table(caption, rows) {
  const [heads, ...others] = rows;
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col", textContent: text })));
  const body = others.map(([first, ...cells]) => make("tr", {}, make("th", { scope: "row", textContent: first }),
    ...cells.map((text) => make("td", { textContent: text }))));
  return make("table", { className: "widget-table" }, make("caption", { textContent: caption }),
    make("thead", {}, head), make("tbody", {}, ...body));
}

/**
 * Build all widgets of one name on this page, each from the data of its demonstration.
 * @template Data
 * @param {string} name
 * @param {string} title
 * @param {(data: Data, box: HTMLElement) => Child[]} start returns the elements of the widget
 */
export function build(name, title, start) {
  for (const box of document.querySelectorAll(`[data-widget="${name}"]`)) {
    if (!(box instanceof HTMLElement) || box.childElementCount) continue;
    const id = `widget-title-${inputs += 1}`;
    box.className = "widget";
    box.setAttribute("role", "group");
    box.setAttribute("aria-labelledby", id);
    const data = JSON.parse(box.dataset.given ?? "null");
    box.append(make("p", { className: "widget-title", id, textContent: title }), ...start(data, box));
  }
}
