// Another learning rate: the essay's program in JavaScript trains with it here, and its curve stands over the essay's own.

import { build, drawn, lettering, program, saying, slider, written } from "./widgets.js";

/** @typedef {{ means: number[], every: number, rate: number }} Given the essay's curve, each so many steps */

const LEFT = 30, WIDTH = 320, TOP = 8, HEIGHT = 130, LOWEST = 2, HIGHEST = 4;  // losses beyond are drawn at the edge

/** @param {number} loss */
function y(loss) { return TOP + HEIGHT * (HIGHEST - Math.min(HIGHEST, Math.max(LOWEST, loss))) / (HIGHEST - LOWEST); }

/** @param {number[]} means @param {number} share of a training that one of them is */
function points(means, share) {
  return means.map((mean, i) => `${(LEFT + WIDTH * share * i).toFixed(1)},${y(mean).toFixed(1)}`).join(" ");
}

/**
 * Return the mean of the last fifty losses.
 * @param {number[]} losses
 */
function mean(losses) {
  const last = losses.slice(-50);
  return last.reduce((a, b) => a + b) / last.length;
}

build("rate", "Choose the learning rate", (/** @type {Given} */ given) => {
  const rate = slider("10 to the power", { min: -5, max: 0, step: 0.25, value: Math.log10(given.rate) }, train);
  const own = drawn("polyline", { class: "widget-orange" }), says = saying();
  const picture = drawn("svg", { viewBox: `0 0 ${LEFT + WIDTH + 8} ${TOP + HEIGHT + 22}`, role: "img",
    "aria-label": "The loss, step by step" },
    drawn("path", { d: `M${LEFT} ${TOP}v${HEIGHT}h${WIDTH}`, class: "widget-gone" }),
    drawn("polyline", { class: "widget-blue", points: points(given.means, 1 / (given.means.length - 1)) }), own,
    ...[2, 3, 4].map((loss) => lettering(LEFT - 12, y(loss) + 5, String(loss))),
    lettering(LEFT + WIDTH / 2, TOP + HEIGHT + 18, "steps"));
  let running = 0;

  // Each change begins anew, and ends what was going on.
  async function train() {
    const turn = running += 1, chosen = 10 ** rate.value;
    try {
      const { documents, microgpt } = await program(), flags = { ...microgpt.DEFAULTS, learning_rate: chosen };
      const { model, lessons } = microgpt.begin(documents, flags), steps = flags.num_steps;
      const losses = /** @type {number[]} */ ([]), means = /** @type {number[]} */ ([]);
      let shown = performance.now();
      for (const loss of microgpt.train(model, lessons, flags)) {
        losses.push(loss);
        if (losses.length % given.every === 1) means.push(mean(losses));
        if (performance.now() - shown < 16) continue;
        own.setAttribute("points", points(means, given.every / steps));
        await new Promise((next) => requestAnimationFrame(next));
        shown = performance.now();
        if (turn !== running) return;
      }
      own.setAttribute("points", points(means, given.every / steps));
      says.textContent = `With a rate of ${written(chosen, 5)} the last 50 losses are ${mean(losses).toFixed(2)} on average.`;
    } catch (error) {  // what a script that is missing throws is an event
      const why = error instanceof Error ? error.message : "a file is missing";
      if (turn === running) says.textContent = `With a rate of ${written(chosen, 5)} it ended: ${why.split(":")[0]}.`;
    }
    picture.setAttribute("aria-label", says.textContent ?? "");
  }

  says.textContent = "The blue curve is the essay’s. Move the slider, and the orange one is trained here, with the same names.";
  return [rate.row, picture, says];
});
