// One look back: a query and two keys that the reader moves, and the scores, weights and mean that come of them.

import { drawn, make } from "./elements.js";
import { build, fixed, lettering, saying, slider, table, written } from "./widgets.js";

/** @typedef {[number, number]} Vector */
/** @typedef {{ query: Vector, keys: [Vector, Vector], values: [Vector, Vector] }} Given */

const FAR = 4, STEP = 0.5, UNIT = 30, MIDDLE = 132;  // vectors reach from −4 to 4; the drawing has so much room for 1

/**
 * Return what `attend` of the essay computes: scores, weights, and the mean of the values.
 * @param {Vector} query
 * @param {Vector[]} keys
 * @param {Vector[]} values
 * @param {number} factor by which scores are multiplied
 */
function attend(query, keys, values, factor) {
  const scores = keys.map((key) => (query[0] * key[0] + query[1] * key[1]) * factor);
  const exps = scores.map((score) => Math.exp(score - Math.max(...scores))), sum = exps.reduce((a, b) => a + b);
  const weights = exps.map((exp) => exp / sum);
  const found = [0, 1].map((i) => weights[0] * values[0][i] + weights[1] * values[1][i]);
  return { scores, weights, found };
}

/**
 * Write a vector, which no end of a line tears apart; with so many digits, or with as many as it has.
 * @param {number[]} vector
 * @param {number} [digits]
 */
function pair(vector, digits) {
  return `(${vector.map((x) => (digits ? fixed(x, digits) : written(x))).join(",\u00a0")})`;
}

/**
 * Draw a vector as an arrow from the middle, with its name, and something to take hold of.
 * @param {Vector} vector
 * @param {string} name
 * @param {string} colour
 * @param {{ width: number, below: boolean }} look
 */
function arrow([across, up], name, colour, { width, below }) {
  const x = MIDDLE + across * UNIT, y = MIDDLE - up * UNIT, label = Math.min(Math.max(x, 40), 2 * MIDDLE - 40);
  return [
    drawn("line", { x1: MIDDLE, y1: MIDDLE, x2: x, y2: y, class: colour, style: `stroke-width: ${width}` }),
    drawn("circle", { cx: x, cy: y, r: 5, class: colour }),
    lettering(label, Math.min(Math.max(below ? y + 21 : y - 10, 14), 2 * MIDDLE - 4), name),
    drawn("circle", { cx: x, cy: y, r: 16, class: "widget-hold" }),  // as large as a finger
  ];
}

build("look", "Move the query and the keys", (/** @type {Given} */ { query, keys, values }) => {
  const names = ["query", "key 1", "key 2"];
  const sliders = [query, ...keys].map((vector, i) => ["across", "up"].map((way, j) => (
    slider(`${names[i]}, ${way}`, { min: -FAR, max: FAR, step: STEP, value: vector[j] }, show))));
  const picture = drawn("svg", { viewBox: `0 0 ${2 * MIDDLE} ${2 * MIDDLE}`, role: "img", class: "widget-plane" });
  const answer = make("div"), says = saying();
  let held = -1;  // which of the vectors the pointer has taken

  /** @returns {Vector[]} */
  const vectors = () => sliders.map(([across, up]) => [across.value, up.value]);

  /** Draw and compute it as it is now. */
  function show() {
    const [asks, ...offers] = vectors(), root = asks.length ** -0.5;
    const ways = [root, 1].map((factor) => attend(asks, offers, values, factor)), { weights, found } = ways[0];
    const axes = `M0 ${MIDDLE}H${2 * MIDDLE}M${MIDDLE} 0V${2 * MIDDLE}`;
    picture.replaceChildren(
      drawn("path", { d: axes, class: "widget-gone" }),
      ...offers.flatMap((key, i) => arrow(key, `key ${i + 1}: ${fixed(weights[i], 2)}`, "widget-blue",
        { width: 1.5 + 4 * weights[i], below: !i })),
      ...arrow(asks, "query", "widget-orange", { width: 2.5, below: false }),
    );
    const shown = vectors().map((vector, i) => `${names[i]} ${pair(vector)}`);
    picture.setAttribute("aria-label", `Arrows from the middle: ${shown.join(", ")}.`);
    answer.replaceChildren(table(`The values are ${values.map((value) => pair(value)).join(" and ")}.`, [
      ["scores", "divided by √2", "not divided"],
      ...[0, 1].map((i) => [`score of key ${i + 1}`, ...ways.map(({ scores }) => fixed(scores[i], 2))]),
      ...[0, 1].map((i) => [`weight of key ${i + 1}`, ...ways.map((way) => fixed(way.weights[i], 2))]),
      ["what comes back", ...ways.map((way) => pair(way.found, 2))],
    ]));
    const [first, second] = weights.map((weight) => fixed(weight, 2));
    says.textContent = `The weights are ${first} and ${second}, and ${pair(found, 2)} comes back.`;
  }

  /**
   * Let the vector that is held follow the pointer.
   * @param {PointerEvent} event
   */
  function follow(event) {
    const box = picture.getBoundingClientRect();
    const place = [event.clientX - box.left, event.clientY - box.top].map((x) => (x / box.width) * 2 * MIDDLE);
    const [across, up] = [place[0] - MIDDLE, MIDDLE - place[1]].map((x) => x / UNIT);
    if (event.type === "pointerdown") {
      const far = vectors().map(([x, y]) => Math.hypot(x - across, y - up)), nearest = Math.min(...far);
      held = nearest < 0.8 ? far.indexOf(nearest) : -1;
      if (held >= 0) picture.setPointerCapture(event.pointerId);
    }
    if (held < 0) return;
    event.preventDefault();
    [across, up].forEach((x, i) => { sliders[held][i].value = Math.round(x / STEP) * STEP; });  // sliders know how far
    show();
  }

  picture.addEventListener("pointerdown", follow);
  picture.addEventListener("pointermove", follow);
  for (const end of ["pointerup", "pointercancel"]) picture.addEventListener(end, () => { held = -1; });
  show();
  return [picture, ...sliders.flat().map(({ row }) => row), answer, says];
});
