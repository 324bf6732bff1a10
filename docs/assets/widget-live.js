// The picture of names plays its recording; then the same training runs in this page, and the model writes.

import { drawn, make } from "./elements.js";
import { begun, inFrames, meanOfLast, microgpt, reason, writeName } from "./engine.js";
import { drawBars, nameField } from "./letters.js";
import { build, button, chart, saying, slider } from "./widgets.js";

/**
 * How names begin, and perhaps what a column of the picture says after some steps: a heading, names, and the loss.
 * @typedef {{ beginning: string, moments?: [number, string[]][] }} Given
 */

const MOMENT = 115;  // milliseconds; all together less than five seconds, or they would need a button to stop them
const STEPS = microgpt.DEFAULTS.num_steps, AT_ONCE = 4;  // steps between two pictures: slow enough to be watched
const SCALE = { height: 100, lowest: 1.8, highest: 3.6, marks: [2, 3], steps: STEPS };
const SHOWN = 8;  // names that are written again and again, by the same random numbers
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * Return a function that plays the picture: each column goes on from the one before it, and ends as it was drawn. On
 * paper it has ended.
 * @param {Element} figure
 * @param {[number, string[]][]} moments
 */
function film(figure, moments) {
  const texts = [...figure.querySelectorAll("svg text")], rows = moments[0][1].length;
  const columns = texts.filter((_, i) => i % rows === 0).map((_, i) => texts.slice(i * rows, (i + 1) * rows));
  const ends = columns.map(([heading]) => moments.findIndex(([, [title]]) => title === heading.textContent));
  let turn = 0;

  /** @param {number} now */
  function draw(now) {
    columns.forEach((column, i) => column.forEach((text, row) => {
      text.textContent = i && now <= ends[i - 1] ? "" : moments[Math.min(now, ends[i])][1][row];
    }));
  }

  addEventListener("beforeprint", () => {
    turn += 1;
    draw(moments.length - 1);
  });
  return async () => {
    const mine = turn += 1;
    for (let now = 0; now < moments.length && mine === turn; now++) {
      draw(now);
      await new Promise((next) => setTimeout(next, MOMENT));
    }
  };
}

/** The curve of the losses and the names on the way; `draw` brings them up to date. */
function learningShown() {
  const curve = drawn("svg", { role: "img", "aria-label": "The loss, step by step" });
  const names = make("p", { className: "live-names" }), loss = chart(curve, SCALE);
  /** @param {Begun} state @param {number[]} losses */
  const draw = (state, losses) => {
    const { length } = losses, some = [...losses.keys()].filter((i) => i % 10 === 0 || i === length - 1);
    loss.draw(["widget-orange", some.map((i) => [i, meanOfLast(losses, i + 1)])]);
    curve.setAttribute("aria-label", `The loss: ${meanOfLast(losses).toFixed(2)} on average after ${length} steps`);
    const random = new microgpt.Random(7n);
    names.textContent = Array.from({ length: SHOWN }, () => writeName(state, [], 0.5, random).word || "–").join("  ");
  };
  return { box: make("div", { hidden: true }, names, curve), draw };
}

build("live", "Train the model in this page", (/** @type {Given} */ { beginning, moments }, box) => {
  const figure = box.closest(".demonstration")?.querySelector("figure");
  const play = figure && moments && film(figure, moments);
  const start = button("Train it", train), learning = learningShown();
  start.classList.add("md-button--primary");
  const field = nameField("Start with ", beginning, answer);
  const heat = slider("temperature", { min: 0.1, max: 2, step: 0.1, value: 0.5 }, answer);
  const bars = drawn("svg", { role: "img" }), written = make("p", { className: "live-names" });
  const another = button("Write a name", add);
  const answers = make("div", {}, bars, make("p", { className: "widget-buttons" }, another));
  const ask = make("div", { hidden: true }, field.row, heat.row, answers, written);
  const says = saying(answers);
  let state = /** @type {Begun | null} */ (null), die = 1n;  // that the next name is thrown with
  let learned = "";  // what there is to say when it is done

  async function train() {
    start.disabled = ask.inert = true;
    says.sayInstead("Loading the names…");
    try {
      state = await begun();
      learning.box.hidden = ask.hidden = false;  // both have their room now, and nothing moves when it has learned
      next(state, []);
      says.say("Training…");
      learned = await learn(state);
      ask.inert = false;
      answer();
    } catch (error) {
      says.sayInstead(`That did not work: ${reason(error)}.`);
      learning.box.hidden = ask.hidden = true;
    }
    start.disabled = false;
  }

  /**
   * Let the model learn, and show how it does; return what there is to say then.
   * @param {Begun} state
   */
  async function learn(state) {
    const losses = /** @type {number[]} */ ([]);
    for await (const some of inFrames(microgpt.train(state.model, state.lessons, microgpt.DEFAULTS), AT_ONCE)) {
      losses.push(...some);
      if (losses.length === STEPS || losses.length % (calm.matches ? 250 : 20) < AT_ONCE) learning.draw(state, losses);
    }
    const count = losses.length.toLocaleString("en"), last = losses[losses.length - 1].toFixed(4);
    return `Trained on ${count} names; the last loss is ${last}, as in Python.`;
  }

  /**
   * Draw what comes after some letters.
   * @param {Begun} state
   * @param {string[]} letters
   */
  function next(state, letters) {
    const { chances } = writeName(state, letters, heat.value, new microgpt.Random(1n));
    drawBars(bars, chances[letters.length], "Next token", (chance) => `${Math.round(100 * chance)}%`);
  }

  /** Show what comes after the letters in the field, if the model knows them. */
  function answer() {
    const { letters, problem } = field.read();
    if (problem) says.sayInstead(problem);
    else if (state) {
      next(state, letters);
      says.say(learned);
    }
  }

  function add() {
    if (!state) return;
    const { word } = writeName(state, field.read().letters, heat.value, new microgpt.Random(die));
    die += 1n;
    written.textContent = `${written.textContent} ${word}`.trim().split(" ").slice(-12).join(" ");
  }

  const again = button("Play the picture again", () => play?.());
  if (!calm.matches) play?.();
  says.say("You can watch the essay’s JavaScript program learn from the same names.");
  const buttons = make("p", { className: "widget-buttons" }, start, ...(play ? [again] : []));
  const left = make("div", {}, buttons, says.line, learning.box);
  return [make("div", { className: "live" }, left, ask)];
});
