// The picture of names that come into being plays what was recorded of it; then the same training in this page, and what
// the model says next.

import { drawn, make } from "./elements.js";
import { begun, meanOfLast, microgpt, reason, writeName } from "./engine.js";
import { LONGEST, drawBars, spelled } from "./letters.js";
import { build, button, lettering, saying, slider } from "./widgets.js";

/** @typedef {Begun & { losses: number[], training: Generator<number> }} Training */

/**
 * How names begin, and perhaps what a column of the picture says after some steps: a heading, names, and the loss.
 * @typedef {{ beginning: string, moments?: [number, string[]][] }} Given
 */

const MOMENT = 115;  // milliseconds; all of them last less than five seconds, or one would have to be able to stop them
const LEFT = 24, WIDTH = 332, TOP = 4, HEIGHT = 100, LOWEST = 1.8, HIGHEST = 3.6;  // of the curve
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

/** @param {number} loss */
function y(loss) { return TOP + HEIGHT * (HIGHEST - Math.min(HIGHEST, Math.max(LOWEST, loss))) / (HIGHEST - LOWEST); }

/**
 * Return a name that begins with some letters.
 * @param {Training} state
 * @param {string[]} letters
 * @param {number} temperature
 * @param {Die} random
 */
function write(state, letters, temperature, random) {
  const first = letters.map((letter) => state.characters.indexOf(letter));
  const { tokens, chances } = writeName(state, first, temperature, random);
  return { word: tokens.map((token) => state.characters[token]).join(""), chances: chances[first.length] };
}

/** The curve of the losses and the names on the way; `draw` brings them up to date. */
function learningShown() {
  const line = drawn("polyline", { class: "widget-orange" }), names = make("p", { className: "live-names" });
  const curve = drawn("svg", { viewBox: `0 0 ${LEFT + WIDTH + 4} ${TOP + HEIGHT + 20}`, role: "img",
    "aria-label": "The loss, step by step" },
    drawn("path", { d: `M${LEFT} ${TOP}v${HEIGHT}h${WIDTH}`, class: "widget-gone" }), line,
    ...[2, 3].map((loss) => lettering(LEFT - 10, y(loss) + 5, String(loss))),
    lettering(LEFT + WIDTH / 2, TOP + HEIGHT + 16, "steps"));
  /** @param {Training} state */
  const draw = (state) => {
    const { losses } = state, { length } = losses, steps = microgpt.DEFAULTS.num_steps;
    const seen = losses.map((_, i) => i).filter((i) => i % 10 === 0 || i === length - 1);
    const points = seen.map((i) => [LEFT + WIDTH * i / steps, y(meanOfLast(losses, i + 1))].map((x) => x.toFixed(1)));
    line.setAttribute("points", points.join(" "));
    curve.setAttribute("aria-label", `The loss: ${meanOfLast(losses).toFixed(2)} on average after ${length} steps`);
    const random = new microgpt.Random(7n);
    names.textContent = Array.from({ length: SHOWN }, () => write(state, [], 0.5, random).word || "–").join("  ");
  };
  return { box: make("div", { hidden: true }, names, curve), draw };
}

build("live", "Train the model in this page", (/** @type {Given} */ { beginning, moments }, place) => {
  const figure = place.closest(".demonstration")?.querySelector("figure");
  const play = figure && moments && film(figure, moments);
  const start = button("Train it", train), learning = learningShown();
  start.classList.add("md-button--primary");
  const field = make("input", { className: "widget-field", value: beginning, maxLength: LONGEST, autocomplete: "off",
    spellcheck: false });
  const label = make("label", {}, "It begins with ", field);
  const heat = slider("temperature", { min: 0.1, max: 2, step: 0.1, value: 0.5 }, answer);
  const bars = drawn("svg", { role: "img" }), written = make("p", { className: "live-names" });
  const another = button("Write a name", add);
  const told = make("div", {}, bars, make("p", { className: "widget-buttons" }, another));  // from what was asked
  const ask = make("div", { hidden: true }, make("p", { className: "widget-row" }, label), heat.row, told, written);
  const says = saying(told);
  let state = /** @type {Training | null} */ (null), die = 1n;  // that the next name is thrown with
  let learned = "";  // what there is to say when it is done

  async function train() {
    start.disabled = ask.inert = true;
    state = null;
    says.sayInstead("The names are being fetched.");
    try {
      const made = await begun();
      state = { ...made, losses: [], training: microgpt.train(made.model, made.lessons, microgpt.DEFAULTS) };
    } catch (error) {
      says.sayInstead(`That did not work: ${reason(error)}.`);
      learning.box.hidden = ask.hidden = true;
      start.disabled = false;
      return;
    }
    learning.box.hidden = ask.hidden = false;  // both have their room now, and nothing moves when it has learned
    next(state, []);
    says.say("It is learning.");
    tick(state);
  }

  /**
   * Take some steps for each picture on the screen; all of it takes some seconds, so that one can watch.
   * @param {Training} state
   */
  function tick(state) {
    const { losses, training } = state, until = performance.now() + 10, steps = microgpt.DEFAULTS.num_steps;
    for (let i = 0; i < 4 && performance.now() < until && losses.length < steps; i++) {
      losses.push(training.next().value);
    }
    const done = losses.length;
    if (done === steps || done % (calm.matches ? 250 : 20) < 4) learning.draw(state);
    if (done < steps) requestAnimationFrame(() => tick(state));
    else end(losses);
  }

  /** @param {number[]} losses */
  function end(losses) {
    const count = losses.length.toLocaleString("en"), last = losses[losses.length - 1].toFixed(4);
    learned = `It has learned from ${count} names; the last loss is ${last}, as in Python.`;
    start.disabled = ask.inert = false;
    answer();
  }

  /**
   * Draw what comes after some letters.
   * @param {Training} state
   * @param {string[]} letters
   */
  function next(state, letters) {
    const { chances } = write(state, letters, heat.value, new microgpt.Random(1n));
    drawBars(bars, chances, "What comes next", (chance) => `${Math.round(100 * chance)} %`);
  }

  /** Show what comes after the letters in the field, if the model knows them. */
  function answer() {
    const { letters, problem } = spelled(field.value);
    if (problem) says.sayInstead(problem);
    else if (state) {
      next(state, letters);
      says.say(learned);
    }
  }

  function add() {
    if (!state) return;
    const { word } = write(state, spelled(field.value).letters, heat.value, new microgpt.Random(die));
    die += 1n;
    written.textContent = `${written.textContent} ${word}`.trim().split(" ").slice(-12).join(" ");
  }

  field.addEventListener("input", answer);
  const again = button("Play the picture again", () => play?.());
  if (!calm.matches) play?.();
  says.say("The essay’s program in JavaScript does it, with the same names, and you can watch.");
  const buttons = make("p", { className: "widget-buttons" }, start, ...(play ? [again] : []));
  const left = make("div", {}, buttons, says.line, learning.box);
  return [make("div", { className: "live" }, left, ask)];
});
