// Another learning rate: the essay's program in JavaScript trains with it here, and its curve stands over the essay's own.

import { drawn } from "./elements.js";
import { begun, inFrames, meanOfLast, microgpt, reason } from "./engine.js";
import { build, lettering, saying, slider, written } from "./widgets.js";

/** @typedef {{ means: number[], every: number, rate: number }} Given the essay's curve, each so many steps */

const LEFT = 30, WIDTH = 320, TOP = 8, HEIGHT = 130, LOWEST = 2, HIGHEST = 4;  // losses beyond are drawn at the edge

/** @param {number} loss */
function y(loss) { return TOP + HEIGHT * (HIGHEST - Math.min(HIGHEST, Math.max(LOWEST, loss))) / (HIGHEST - LOWEST); }

/** @param {number[]} means @param {number} share of a training that one of them is */
function points(means, share) {
  return means.map((mean, i) => `${(LEFT + WIDTH * share * i).toFixed(1)},${y(mean).toFixed(1)}`).join(" ");
}

build("rate", "Choose the learning rate", (/** @type {Given} */ given) => {
  const rate = slider("10 to the power", { min: -5, max: 0, step: 0.25, value: Math.log10(given.rate) }, train);
  const own = drawn("polyline", { class: "widget-blue" }), says = saying();
  const picture = drawn("svg", { viewBox: `0 0 ${LEFT + WIDTH + 8} ${TOP + HEIGHT + 22}`, role: "img" },
    drawn("path", { d: `M${LEFT} ${TOP}v${HEIGHT}h${WIDTH}`, class: "widget-gone" }),
    drawn("polyline", { class: "widget-orange", points: points(given.means, 1 / (given.means.length - 1)) }), own,
    ...[2, 3, 4].map((loss) => lettering(LEFT - 12, y(loss) + 5, String(loss))),
    lettering(LEFT + WIDTH / 2, TOP + HEIGHT + 18, "steps"));
  let running = 0;

  /** @param {string} words about both curves */
  function tell(words) {
    says.say(words);
    picture.setAttribute("aria-label", words);
  }

  // Each change begins anew, and ends what was going on.
  async function train() {
    const turn = running += 1, chosen = 10 ** rate.value, named = `With a rate of ${written(chosen, 5)}`;
    own.setAttribute("points", "");
    tell(`${named} it is learning.`);
    try {
      const flags = { learning_rate: chosen }, { model, lessons } = await begun(flags);
      const steps = microgpt.DEFAULTS.num_steps;
      const training = microgpt.train(model, lessons, { ...microgpt.DEFAULTS, ...flags });
      const losses = /** @type {number[]} */ ([]), means = /** @type {number[]} */ ([]);
      for await (const some of inFrames(training)) {
        if (turn !== running) return;
        for (const loss of some) {
          if (losses.push(loss) % given.every === 1) means.push(meanOfLast(losses));
        }
        own.setAttribute("points", points(means, given.every / steps));
      }
      const mean = meanOfLast(losses).toFixed(2);
      tell(`${named} the last 50 losses are ${mean} on average.`);
    } catch (error) {
      if (turn === running) tell(`${named} it ended: ${reason(error)}.`);
    }
  }

  tell("The orange curve is the essay’s. Move the slider, and the blue one is trained here, with the same names.");
  return [rate.row, picture, says.line];
});
