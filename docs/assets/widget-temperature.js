// The chances of the next token at any temperature, after any letters: the model trains in this page first.

import { drawn, make } from "./elements.js";
import { microgpt, reason, trained, writeName } from "./engine.js";
import { drawBars, nameField } from "./letters.js";
import { build, button, saying, slider } from "./widgets.js";

build("temperature", "Choose a temperature", (/** @type {{ beginning: string }} */ { beginning }) => {
  const field = nameField("Start with ", beginning, answer);
  const heat = slider("temperature", { min: 0.1, max: 2, step: 0.1, value: 0.5 }, answer);
  const bars = drawn("svg", { role: "img" }), written = make("p", { className: "widget-names" });
  const answers = make("div", {}, bars), says = saying(answers);
  let die = 1n, changes = 0;  // that the next name is thrown with; only the last change is answered

  /** Call a function with the trained model and the letters in the field, if it knows them. */
  async function withModel(/** @type {(state: Begun, letters: string[]) => void} */ act) {
    const change = changes += 1, { letters, problem } = field.read();
    says.sayInstead(problem || "Training the model in this page first…");
    if (problem) return;
    try {
      const state = await trained();
      if (change === changes) act(state, letters);
    } catch (error) {
      if (change === changes) says.sayInstead(`That did not work: ${reason(error)}.`);
    }
  }

  /** @param {Begun} state @param {string[]} letters */
  function next(state, letters) {
    const { chances } = writeName(state, letters, heat.value, new microgpt.Random(1n));
    drawBars(bars, chances[letters.length], "Next token", (chance) => `${Math.round(100 * chance)}%`);
    says.say(`The chances of the next token, at a temperature of ${heat.value}.`);
  }

  function answer() { withModel(next); }

  function add() {
    withModel((state, letters) => {
      next(state, letters);
      const { word } = writeName(state, letters, heat.value, new microgpt.Random(die));
      die += 1n;
      written.textContent = `${written.textContent} ${word}`.trim().split(" ").slice(-12).join(" ");
    });
  }

  drawBars(bars, Array(27).fill(1 / 27), "Next token", (chance) => `${Math.round(100 * chance)}%`);
  says.sayInstead("Change the letters or the temperature; the model trains in this page first.");
  const another = make("p", { className: "widget-buttons" }, button("Write a name", add));
  return [field.row, heat.row, says.line, answers, another, written];
});
