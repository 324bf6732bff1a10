// The four heads' attention in a name that the reader types, and the model's guess there.

import { drawn, make } from "./elements.js";
import { asking, drawBars, guess, looksTable, nameOf } from "./letters.js";
import { build, fixed, saying } from "./widgets.js";

/** @typedef {import("./letters.js").Seen} Seen */

/**
 * Name the largest weight and its position.
 * @param {Seen} seen
 */
function strongest({ letters, looks }) {
  const all = looks.flatMap((look, head) => look.map((weight, at) => ({ weight, head, at })));
  const { weight, head, at } = all.reduce((most, other) => (other.weight > most.weight ? other : most));
  return `Head ${head + 1} has the largest weight: ${fixed(weight, 2)} at ${nameOf(letters, at)}, position ${at}.`;
}

build("heads", "Ask the heads", (/** @type {Omit<Seen, "letters"> & { name: string }} */ given) => {
  const answer = make("div"), bars = drawn("svg", { role: "img" }), results = make("div", {}, answer, bars);
  const says = saying(results);

  /** @param {Seen} seen */
  function show(seen) {
    answer.replaceChildren(looksTable(seen));
    drawBars(bars, seen.chances, "Next token", (chance) => fixed(chance, 2));
    says.say(`${strongest(seen)} Likely to come next: ${guess(seen.chances)}.`);
  }

  show({ ...given, letters: [...given.name] });
  return [...asking(given, says, show), says.line, results];
});
