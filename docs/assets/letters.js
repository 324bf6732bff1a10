// Shared by the widgets in which the model reads a name: the choice of its letters, the weights of the heads, and bars
// over all tokens.

import { drawn, make } from "./elements.js";
import { looksFrom, read, reason, trained } from "./engine.js";
import { fixed, lettering, slider, table } from "./widgets.js";

/**
 * A name, a position in it (0 is BOS), how much each head looks from there at each position so far, and how likely
 * each token is to come next.
 * @typedef {{ letters: string[], place: number, looks: number[][], chances: ArrayLike<number> }} Seen
 */

const LONGEST = 15;  // letters of a name; one position is for BOS
const WIDTH = 12.7, TOP = 4, HEIGHT = 86;  // of the bars: each token has so much room

/**
 * Return the letters of a text that the model knows, and a line that names the others, empty if there are none.
 * @param {string} text
 */
function spelled(text) {
  const all = [...text.trim().toLowerCase()], isKnown = (/** @type {string} */ letter) => /[a-z]/.test(letter);
  const others = new Set(all.map((letter) => (isKnown(letter) ? "" : letter.trim() || "a space")).filter(Boolean));
  const problem = `The model has never seen ${[...others].join(" ")}: its names have only the letters a to z.`;
  return { letters: all.filter(isKnown), problem: others.size ? problem : "" };
}

/**
 * Make a field for a name, or for its beginning.
 * @param {string} label
 * @param {string} name
 * @param {() => void} change is told after each change
 */
export function nameField(label, name, change) {
  const input = make("input", { className: "widget-field", value: name, maxLength: LONGEST, autocomplete: "off",
    spellcheck: false });
  input.addEventListener("input", change);
  return {
    row: make("p", { className: "widget-row" }, make("label", {}, label, input)),
    read: () => spelled(input.value),
  };
}

/**
 * Return the most likely tokens, with their names.
 * @param {ArrayLike<number>} values of all tokens; the last one is the end of the name
 * @param {number} count
 */
export function best(values, count) {
  const order = Array.from(values, (value, token) => ({ value, letter: letterOf(token, values.length) || "end" }));
  return order.sort((a, b) => b.value - a.value).slice(0, count);
}

/**
 * Return the letter of a token; nothing for the last one, which ends a name.
 * @param {number} token
 * @param {number} count of all tokens
 */
export function letterOf(token, count) { return token < count - 1 ? String.fromCharCode(97 + token) : ""; }

/**
 * Draw a bar for each token, upwards or downwards from 0.
 * @param {SVGSVGElement} picture
 * @param {ArrayLike<number>} values of all tokens
 * @param {string} title of what they are
 * @param {(value: number) => string} say how a value is written
 */
export function drawBars(picture, values, title, say) {
  const all = Array.from(values), high = Math.max(0, ...all), low = Math.min(0, ...all);
  const unit = HEIGHT / (high - low || 1);
  const bars = all.map((value, token) => {
    const x = 2 + WIDTH * token, y = TOP + unit * (high - Math.max(0, value));
    const letter = letterOf(token, all.length), middle = x + (WIDTH - 3) / 2 + (letter ? 0 : 6);  // BOS is wider
    return [drawn("rect", { x, y, width: WIDTH - 3, height: unit * Math.abs(value), class: "widget-bar" }),
      lettering(middle, TOP + HEIGHT + 14, letter || "BOS", "widget-small")];
  });
  picture.setAttribute("viewBox", `0 0 ${WIDTH * all.length + 14} ${TOP + HEIGHT + 20}`);
  const highest = best(all, 3).map(({ value, letter }) => `${letter} ${say(value)}`);
  picture.setAttribute("aria-label", `${title}: ${highest.join(", ")}`);
  picture.replaceChildren(...bars.flat());
}

/**
 * Let the reader type a name and choose a position in it; after each change the trained model reads the name.
 * @param {{ name: string, place: number }} given
 * @param {ReturnType<typeof import("./widgets.js").saying>} says
 * @param {(seen: Seen, state: Begun) => void} show is told what the model computes
 */
export function asking(given, says, show) {
  let letters = [...given.name], changes = 0;
  const field = nameField("name ", given.name, () => {
    const { letters: typed, problem } = field.read();
    if (!problem) {
      letters = typed;
      chosen.input.max = String(letters.length);
      chosen.value = letters.length;  // the newest one asks
    }
    ask();
  });
  const chosen = slider("position", { min: 0, max: letters.length, step: 1, value: given.place }, ask,
    (place) => `${place}: ${nameOf(letters, place)}`);

  async function ask() {
    const change = changes += 1, { problem } = field.read();
    says.sayInstead(problem || "Training the model in this page first…");
    if (problem) return;
    try {
      const state = await trained(), place = chosen.value;
      if (change !== changes) return;
      const chances = read(state, letters)[place];
      show({ letters, place, looks: looksFrom(state, place), chances }, state);
    } catch (error) {
      if (change === changes) says.sayInstead(`That did not work: ${reason(error)}.`);
    }
  }

  return [field.row, chosen.row];
}

/**
 * Return the name of a position: its letter, or BOS.
 * @param {string[]} letters
 * @param {number} place
 */
export function nameOf(letters, place) { return place ? letters[place - 1] : "BOS"; }

/**
 * Make a table of the heads' weights, with a bar behind each.
 * @param {Seen} seen
 */
export function looksTable({ letters, place, looks }) {
  const rows = looks[0].map((_, at) => [`${at} ${nameOf(letters, at)}`, ...looks.map((look) => fixed(look[at], 2))]);
  const caption = `How much each head looks at each position when ${nameOf(letters, place)} at position ${place} asks.`;
  const element = table(caption, [["position", ...looks.map((_, head) => `head ${head + 1}`)], ...rows]);
  element.classList.add("widget-looks");
  element.querySelectorAll("td").forEach((cell) => cell.style.setProperty("--share", cell.textContent));
  return element;
}

/**
 * Return the most likely tokens in words.
 * @param {ArrayLike<number>} chances
 */
export function guess(chances) {
  return best(chances, 3).map(({ letter, value }) => `${letter} (${fixed(value, 2)})`).join(", ");
}
