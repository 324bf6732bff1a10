// What the widgets share: each is built below the figure of a demonstration, from the data that this gave to the page.
//
// A widget is a script of its own, widget-NAME.js, with one idea; without JavaScript there is nothing of it.
// Its numbers are those of the demonstration, or the essay's program in JavaScript computes them (engine.js).

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

/**
 * Write a number as the essay does, with a minus and not a hyphen, and with no more digits than it has.
 * @param {number} value
 * @param {number} [digits] behind the point, at most
 */
export function written(value, digits = 4) {
  return String(Number(value.toFixed(digits)) || 0).replaceAll("-", "−");  // nothing is as little as minus nothing
}

/**
 * Write a number with so many digits behind the point.
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
 * Say whether a button does anything now. It keeps the focus when it does not: elsewhere the next Enter would go back.
 * @param {HTMLButtonElement} element
 * @param {boolean} possible
 */
export function allow(element, possible) { element.setAttribute("aria-disabled", String(!possible)); }

let inputs = 0;

/**
 * Make a labelled input for a number that is set by dragging or by the arrow keys, and shown beside it.
 * @param {string} name
 * @param {{ min: number, max: number, step: number, value: number }} bounds
 * @param {() => void} change is told after each change
 * @param {(value: number) => string} [say] how a value is written, where it is more than a number
 */
export function slider(name, bounds, change, say) {
  const id = `widget-input-${inputs += 1}`, shown = make("output");
  shown.setAttribute("for", id);
  shown.setAttribute("aria-hidden", "true");  // the slider says it
  const input = make("input", { type: "range", id });
  for (const [property, value] of Object.entries(bounds)) input.setAttribute(property, String(value));
  const show = () => {
    const value = Number(input.value);
    shown.textContent = say ? say(value) : written(value).replace(/\B(?=(\d{3})+$)/, ",");
    if (say) input.setAttribute("aria-valuetext", say(value));
  };
  input.addEventListener("input", () => { show(); change(); });
  show();
  return {
    input,
    row: make("p", { className: "widget-row" }, make("label", { htmlFor: id, textContent: name }), input, shown),
    get value() { return Number(input.value); },
    /** @param {number} value */
    set value(value) { input.value = String(value); show(); },
  };
}

/**
 * Make a choice of one of some names; the first is chosen.
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
 * Make a line of words about what a widget shows; a screen reader says them when it has time. What is shown belongs to
 * the words: while they are about something else, such as a wrong input, it is grey and cannot be used.
 * @param {...HTMLElement} shown
 */
export function saying(...shown) {
  const line = make("p", { className: "widget-says" });
  line.setAttribute("role", "status");
  /** @param {boolean} inert @param {Child[]} words */
  const put = (inert, words) => {
    const text = words.map((word) => (typeof word === "string" ? word : word.textContent)).join("");
    if (line.textContent !== text) line.replaceChildren(...words);  // nobody is told the same twice
    for (const part of shown) part.inert = inert;
  };
  return {
    line,
    /** Say something about what is shown. */
    say(/** @type {Child[]} */ ...words) { put(false, words); },
    /** Say something about which nothing is shown. */
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
 * Build all widgets of a name on this page, each from the data that its demonstration gave.
 * @template Data
 * @param {string} name
 * @param {string} title
 * @param {(data: Data, place: HTMLElement) => Child[]} start returns what the widget consists of
 */
export function build(name, title, start) {
  for (const place of document.querySelectorAll(`[data-widget="${name}"]`)) {
    if (!(place instanceof HTMLElement) || place.childElementCount) continue;
    const id = `widget-title-${inputs += 1}`;
    place.className = "widget";
    place.setAttribute("role", "group");
    place.setAttribute("aria-labelledby", id);
    const data = JSON.parse(place.dataset.given ?? "null");
    place.append(make("p", { className: "widget-title", id, textContent: title }), ...start(data, place));
  }
}
