// Another learning rate: the essay's program in JavaScript trains with it here, and draws its curve over the essay's.

import { drawn } from "./elements.js";
import { begun, inFrames, meanOfLast, microgpt, reason } from "./engine.js";
import { build, chart, lettering, saying, slider, written } from "./widgets.js";

/** @typedef {{ means: number[], every: number, rate: number }} Given the essay's curve, each so many steps */

const STEPS = microgpt.DEFAULTS.num_steps;
const SCALE = { top: 28, height: 130, lowest: 2, highest: 4, marks: [2, 3, 4], steps: STEPS,
  stepMarks: [0, STEPS / 2, STEPS], title: "loss, mean of the last 50" };

/** @param {number} rate of which two digits say enough */
function told(rate) { return written(Number(rate.toPrecision(2)), 6); }

build("rate", "Choose the learning rate", (/** @type {Given} */ given) => {
  const rate = slider("learning rate", { min: -5, max: 0, step: 0.25, value: Math.log10(given.rate) }, train,
    (power) => told(10 ** power));
  const picture = drawn("svg", { role: "img" }), says = saying(), curves = chart(picture, SCALE);
  picture.append(drawn("path", { d: "M164 12h24", class: "widget-blue" }), lettering(224, 16, "the essay’s"),
    drawn("path", { d: "M276 12h24", class: "widget-orange" }), lettering(320, 16, "yours"));
  let running = 0;

  /** @param {number[]} means of the training here */
  function draw(means) {
    /** @param {number[]} all */
    const points = (all) => all.map((mean, i) => [i * given.every, mean]);
    curves.draw(["widget-blue", points(given.means)], ["widget-orange", points(means)]);
  }

  /** @param {string} words about both curves */
  function tell(words) {
    says.say(words);
    picture.setAttribute("aria-label", words);
  }

  // Each change begins anew, and ends what was going on.
  async function train() {
    const turn = running += 1, chosen = 10 ** rate.value, named = `With a rate of ${told(chosen)}`;
    draw([]);
    tell(`${named}: training…`);
    try {
      const flags = { learning_rate: chosen }, { model, lessons } = await begun(flags);
      const training = microgpt.train(model, lessons, { ...microgpt.DEFAULTS, ...flags });
      const losses = /** @type {number[]} */ ([]), means = /** @type {number[]} */ ([]);
      for await (const some of inFrames(training)) {
        if (turn !== running) return;
        for (const loss of some) {
          if (losses.push(loss) % given.every === 1) means.push(meanOfLast(losses));
        }
        draw(means);
      }
      const mean = meanOfLast(losses).toFixed(2);
      tell(`${named} the mean of the last 50 losses is ${mean}.`);
    } catch (error) {
      if (turn === running) tell(`${named} the run ended: ${reason(error)}.`);
    }
  }

  draw([]);
  tell("Move the slider to train a model here, on the same names as the essay’s.");
  return [rate.row, picture, says.line];
});
