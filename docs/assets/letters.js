// What the widgets share in which the model reads the letters of a name: which letters there are, and bars over all tokens.

import { drawn } from "./elements.js";
import { lettering } from "./widgets.js";

export const LONGEST = 15;  // letters of a name; one position is for BOS
const WIDTH = 13.2, TOP = 4, HEIGHT = 86;  // of the bars: each token has so much room

/**
 * Return the letters of a text that the model knows, and a line that names the others; nothing, if there are none.
 * @param {string} text
 */
export function spelled(text) {
  const all = [...text.trim().toLowerCase()], letters = all.filter((letter) => /[a-z]/.test(letter)).slice(0, LONGEST);
  const others = [...new Set(all.filter((letter) => !/[a-z]/.test(letter)))].map((other) => other.trim() || "blanks");
  return { letters, problem: others.length ? `It has never seen ${others.join(" ")}: the names are of the letters a to z.` : "" };
}

/**
 * Return the most likely tokens, with what they are called.
 * @param {ArrayLike<number>} values of all tokens; the last one is the end of the name
 * @param {number} count
 */
export function best(values, count) {
  const order = Array.from(values, (value, token) => ({ value, letter: letterOf(token, values.length) || "end" }));
  return order.sort((a, b) => b.value - a.value).slice(0, count);
}

/** @param {number} token @param {number} count of all tokens */
function letterOf(token, count) { return token < count - 1 ? String.fromCharCode(97 + token) : ""; }

/**
 * Draw a bar for each token, upwards or downwards from nothing.
 * @param {SVGSVGElement} picture
 * @param {ArrayLike<number>} values of all tokens
 * @param {string} title of what they are
 * @param {(value: number) => string} say how a value is written
 */
export function drawBars(picture, values, title, say) {
  const all = Array.from(values), high = Math.max(0, ...all), low = Math.min(0, ...all), unit = HEIGHT / (high - low || 1);
  const bars = all.map((value, token) => {
    const x = 2 + WIDTH * token, y = TOP + unit * (high - Math.max(0, value));
    return [drawn("rect", { x, y, width: WIDTH - 3, height: unit * Math.abs(value), class: "widget-bar" }),
      lettering(x + (WIDTH - 3) / 2, TOP + HEIGHT + 14, letterOf(token, all.length) || "⏎", "widget-small")];
  });
  picture.setAttribute("viewBox", `0 0 ${WIDTH * all.length} ${TOP + HEIGHT + 20}`);
  picture.setAttribute("aria-label", `${title}: ${best(all, 3).map(({ value, letter }) => `${letter} ${say(value)}`).join(", ")}`);
  picture.replaceChildren(...bars.flat());
}
