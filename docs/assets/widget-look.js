// One look back: a query and two keys that the reader moves, and the scores, weights and mean that come of them.

import { drawn, make } from "./elements.js";
import { microgpt } from "./engine.js";
import { build, fixed, lettering, saying, slider, table, written } from "./widgets.js";

/** @typedef {[number, number]} Vector */
/** @typedef {{ query: Vector, keys: [Vector, Vector], values: [Vector, Vector] }} Given */

const FAR = 4, STEP = 0.5, UNIT = 30, MIDDLE = 132;  // vectors reach from −4 to 4; the drawing has so much room for 1
const LETTER = 7.5, LINE = 16;  // how wide a letter is at most on average, and how high a line

/** @typedef {{ x: number, y: number, width: number, height: number }} Box */

/**
 * Return what `attend` of the essay computes: scores, weights, and the mean of the values.
 * @param {Vector} query
 * @param {Vector[]} keys
 * @param {Vector[]} values
 * @param {number} factor by which scores are multiplied
 */
function attend(query, keys, values, factor) {
  const scores = keys.map((key) => (query[0] * key[0] + query[1] * key[1]) * factor);
  const weights = [...scores];
  microgpt.softmax(weights, 0, weights.length);
  const mean = [0, 1].map((i) => weights[0] * values[0][i] + weights[1] * values[1][i]);
  return { scores, weights, mean };
}

/**
 * Write a vector, which no end of a line tears apart; with so many digits, or with as many as it has.
 * @param {number[]} vector
 * @param {number} [digits]
 */
function pair(vector, digits) {
  return `(${vector.map((x) => (digits ? fixed(x, digits) : written(x))).join(",\u00a0")})`;
}

/** @typedef {{ vector: number[], name: string, colour: string, width: number }} Arrow */

/**
 * Draw vectors as arrows from an origin, with their names where these hide nothing, and axes that cross there.
 * @param {SVGElement} picture
 * @param {Arrow[]} arrows
 * @param {{ origin: [number, number], unit: number }} plane
 */
function draw(picture, arrows, { origin: [left, down], unit }) {
  const side = 2 * MIDDLE;
  const axes = [{ x: 0, y: down, width: side, height: 0 }, { x: left, y: 0, width: 0, height: side }];
  const ends = arrows.map(({ vector: [across, up] }) => ({ x: left + across * unit, y: down - up * unit }));
  const taken = [...axes, ...ends.map(({ x, y }) => ({ x: x - 5, y: y - 5, width: 10, height: 10 }))];
  const shafts = ends.flatMap(({ x, y }) => Array.from({ length: 40 }, (_, i) => (  // as points, which are near enough
    { x: left + (x - left) * i / 40, y: down + (y - down) * i / 40, width: 1, height: 1 })));
  const lines = arrows.map(({ colour, width }, i) => (
    drawn("line", { x1: left, y1: down, x2: ends[i].x, y2: ends[i].y, class: colour,
      style: `stroke-width: ${width}` })));
  const names = arrows.map(({ name }, i) => {
    const box = free(ends[i], LETTER * name.length, taken, shafts, side);
    taken.push(box);
    return lettering(box.x + box.width / 2, box.y + box.height - 4, name);
  });
  picture.replaceChildren(
    drawn("path", { d: `M0 ${down}H${side}M${left} 0V${side}`, class: "widget-gone" }), ...lines,
    ...ends.map(({ x, y }, i) => drawn("circle", { cx: x, cy: y, r: 5, class: arrows[i].colour })), ...names);
  return ends;
}

/**
 * Return a box for a name near the end of an arrow: to its right or left or in the middle, above or below, as near as
 * there is room, and if possible beside all arrows.
 * @param {{ x: number, y: number }} end
 * @param {number} width of the name
 * @param {Box[]} taken
 * @param {Box[]} shafts
 * @param {number} side of the picture
 */
function free({ x, y }, width, taken, shafts, side) {
  const boxes = [];
  for (let away = 0; away < 4; away++) {
    for (const above of [true, false]) {
      const top = above ? y - 6 - (away + 1) * LINE : y + 6 + away * LINE;
      for (const left of [x + 6, x - 6 - width, x - width / 2]) {
        boxes.push({ x: Math.min(Math.max(left, 0), side - width), y: top, width, height: LINE });
      }
    }
  }
  const inside = boxes.filter((box) => box.y >= 0 && box.y + LINE <= side);
  const empty = inside.filter((box) => !taken.some((other) => meet(box, other)));
  return empty.find((box) => !shafts.some((other) => meet(box, other))) ?? empty[0] ?? inside[0];
}

/** @param {Box} one @param {Box} other */
function meet(one, other) {
  return one.x < other.x + other.width && other.x < one.x + one.width
    && one.y < other.y + other.height && other.y < one.y + one.height;
}

build("look", "Move the query and the keys", (/** @type {Given} */ { query, keys, values }) => {
  const names = ["query", "key 1", "key 2"];
  const sliders = [query, ...keys].map((vector, i) => ["across", "up"].map((way, j) => (
    slider(`${names[i]}, ${way}`, { min: -FAR, max: FAR, step: STEP, value: vector[j] }, show))));
  const [picture, back] = [0, 1].map(() => (
    drawn("svg", { viewBox: `0 0 ${2 * MIDDLE} ${2 * MIDDLE}`, role: "img", class: "widget-plane" })));
  const answer = make("div"), says = saying(), scene = drawn("g", {});
  const holds = names.map(() => drawn("circle", { r: 16, class: "widget-hold" }));  // as large as a finger
  picture.append(scene, ...holds);  // these stay while the rest is drawn anew: a finger drags what it has touched
  const furthest = Math.max(...values.flat().map(Math.abs));
  const corner = /** @type {[number, number]} */ ([24, 2 * MIDDLE - 24]);
  const valuesPlane = { origin: corner, unit: (2 * MIDDLE - 44) / furthest };
  let held = -1;  // which of the vectors the pointer has taken

  /** @returns {Vector[]} */
  const vectors = () => sliders.map(([across, up]) => [across.value, up.value]);

  /** Draw and compute it as it is now. */
  function show() {
    const [asks, ...offers] = vectors(), root = asks.length ** -0.5;
    const ways = [root, 1].map((factor) => attend(asks, offers, values, factor)), { weights, mean } = ways[0];
    const keysDrawn = offers.map((vector, i) => (
      { vector, name: `key ${i + 1}: ${fixed(weights[i], 2)}`, colour: "widget-key", width: 1.5 + 4 * weights[i] }));
    const ends = draw(scene, [...keysDrawn, { vector: asks, name: "query", colour: "widget-query", width: 2.5 }],
      { origin: [MIDDLE, MIDDLE], unit: UNIT });
    holds.forEach((hold, i) => hold.setAttribute("transform", `translate(${ends[i].x} ${ends[i].y})`));
    const arrows = vectors().map((vector, i) => `${names[i]} ${pair(vector)}`);
    picture.setAttribute("aria-label", `Arrows from the middle: ${arrows.join(", ")}.`);
    const valuesDrawn = values.map((vector, i) => (
      { vector, name: `value ${i + 1}`, colour: "widget-value", width: 1.5 + 4 * weights[i] }));
    const meanDrawn = { vector: mean, name: "result", colour: "widget-found", width: 2.5 };
    draw(back, [...valuesDrawn, meanDrawn], valuesPlane);
    back.setAttribute("aria-label", `The two values as arrows, and the result between them, ${pair(mean, 2)}.`);
    answer.replaceChildren(table(`The values are ${values.map((value) => pair(value)).join(" and ")}.`, [
      ["scores", "divided by √2", "not divided"],
      ...[0, 1].map((i) => [`score of key ${i + 1}`, ...ways.map(({ scores }) => fixed(scores[i], 2))]),
      ...[0, 1].map((i) => [`weight of key ${i + 1}`, ...ways.map((way) => fixed(way.weights[i], 2))]),
      ["result", ...ways.map((way) => pair(way.mean, 2))],
    ]));
    const [first, second] = weights.map((weight) => fixed(weight, 2));
    says.say(`The weights are ${first} and ${second}; the result is ${pair(mean, 2)}.`);
  }

  /**
   * Let the vector that is held follow the pointer.
   * @param {PointerEvent} event
   */
  function follow(event) {
    const box = picture.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top].map((pixels) => pixels / box.width * 2 * MIDDLE);
    const [across, up] = [x - MIDDLE, MIDDLE - y].map((length) => length / UNIT);
    if (event.type === "pointerdown") {
      const far = vectors().map(([x, y]) => Math.hypot(x - across, y - up));
      held = far.indexOf(Math.min(...far));  // several may be under a finger
      picture.setPointerCapture(event.pointerId);
    }
    if (held < 0) return;
    event.preventDefault();
    [across, up].forEach((x, i) => { sliders[held][i].value = Math.round(x / STEP) * STEP; });  // sliders know how far
    show();
  }

  for (const hold of holds) {
    hold.addEventListener("pointerdown", follow);
    hold.addEventListener("touchstart", (event) => event.preventDefault());  // or the page would scroll, and end it
  }
  picture.addEventListener("pointermove", follow);
  for (const end of ["pointerup", "pointercancel"]) picture.addEventListener(end, () => { held = -1; });
  show();
  const rows = make("div", {}, ...sliders.flat().map(({ row }) => row));
  return [make("div", { className: "widget-planes" }, picture, rows, back), answer, says.line];
});
