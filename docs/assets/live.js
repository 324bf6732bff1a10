// Below a figure: the same training in this page, and what the model says next. Its script says where, and how names begin.
//
// The model is the essay's own program in JavaScript, files/efficiency/microgpt.js; here are only buttons and drawings.
// To begin a name with given letters, its `sample` gets a die that falls as it is told for the first throws.

"use strict";

{
  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const place = /** @type {HTMLElement} */ (document.getElementById(script.dataset.place ?? ""));
  const SHOWN = 8;  // names that are written again and again, by the same random numbers
  /** @type {Begun & { microgpt: Microgpt, losses: number[], training: Generator<number> }} */
  let state;  // of the training, as soon as it has begun
  let running = 0;

  /**
   * @template {keyof HTMLElementTagNameMap} T
   * @param {T} tag
   * @param {Partial<HTMLElementTagNameMap[T]>} properties
   * @param {(Node | string)[]} children
   */
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  /** @param {keyof SVGElementTagNameMap} tag @param {Record<string, string | number>} attributes */
  const drawn = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    return element;
  };

  const start = make("button", { type: "button", className: "md-button md-button--primary", textContent: "Train it in this page" });
  const status = make("p", { className: "live-status" });
  status.setAttribute("role", "status");
  const names = make("p", { className: "live-names" });
  const curve = drawn("svg", { viewBox: "0 0 400 120", role: "img", "aria-label": "The loss, step by step" });
  const line = drawn("polyline", { class: "live-line" });
  curve.append(drawn("path", { d: "M30 4V104H396", class: "run-axes" }), line);
  for (const loss of [2, 3]) curve.append(text(24, y(loss) + 4, String(loss), "end"));
  curve.append(text(213, 118, "steps", "middle"));
  const named = (/** @type {string} */ name) => `live-${name}-${place.id}`;
  const beginning = make("input", { id: named("beginning"), value: script.dataset.beginning, size: 8,
    autocomplete: "off", spellcheck: false });
  const heat = make("input", { id: named("heat"), type: "range", min: "0.1", max: "2", step: "0.1", value: "0.5" });
  const shown = make("output", { textContent: "0.5" });
  shown.htmlFor.add(heat.id);
  const write = make("button", { type: "button", className: "md-button", textContent: "Write a name" });
  const bars = drawn("svg", { viewBox: "0 0 400 110", role: "img" });
  const written = make("p", { className: "live-written" });
  const ask = make("div", { hidden: true },
    make("p", { className: "run-row" },
      make("label", { htmlFor: beginning.id, textContent: "It begins with" }), beginning,
      make("span", { className: "live-heat" }, make("label", { htmlFor: heat.id, textContent: "temperature" }), heat, shown)),
    bars, make("p", { className: "run-buttons" }, write), written);
  const learning = make("div", { hidden: true }, names, curve);
  const box = make("div", { className: "live" }, make("div", {}, make("p", { className: "run-buttons" }, start), status, learning), ask);

  /** @param {number} x @param {number} at @param {string} content @param {string} anchor */
  function text(x, at, content, anchor) {
    const element = drawn("text", { x, y: at, "text-anchor": anchor, class: "live-text" });
    element.textContent = content;
    return element;
  }

  /** @param {number} loss */
  function y(loss) { return 104 - 100 * Math.min(1, Math.max(0, (loss - 1.8) / 1.8)); }

  async function begin() {
    start.disabled = true;
    status.textContent = "The names are being fetched.";
    try {
      const { program } = await import(new URL("widgets.js", script.src).href), { documents, microgpt } = await program();
      const begun = microgpt.begin(documents, microgpt.DEFAULTS);
      const training = microgpt.train(begun.model, begun.lessons, microgpt.DEFAULTS);
      state = { ...begun, microgpt, losses: [], training };
    } catch (error) {  // what a script that is missing throws is an event
      status.textContent = `That did not work: ${error instanceof Error ? error.message : "a file is missing"}.`;
      start.disabled = false;
      return;
    }
    learning.hidden = false;
    ask.hidden = true;
    status.textContent = "It is learning.";
    tick(running += 1);
  }

  // Some steps for each picture on the screen; all of it takes some seconds, so that one can watch.
  /** @param {number} turn */
  function tick(turn) {
    if (turn !== running) return;
    const until = performance.now() + 10, steps = state.microgpt.DEFAULTS.num_steps;
    for (let i = 0; i < 4 && performance.now() < until && state.losses.length < steps; i++) {
      state.losses.push(state.training.next().value);
    }
    const done = state.losses.length;
    if (done === steps || done % (calm.matches ? 250 : 20) < 4) draw();
    if (done < steps) requestAnimationFrame(() => tick(turn));
    else end();
  }

  function end() {
    const { length } = state.losses, last = state.losses[length - 1].toFixed(4);
    status.textContent = `It has learned from ${length.toLocaleString("en")} names; the last loss is ${last}, as in Python.`;
    start.textContent = "Train it again";
    start.disabled = false;
    ask.hidden = false;
    answer();
  }

  function draw() {
    const { losses } = state, mean = (/** @type {number} */ i) =>
      losses.slice(Math.max(0, i - 49), i + 1).reduce((a, b) => a + b) / Math.min(50, i + 1);
    const points = losses.flatMap((_, i) => (i % 10 && i < losses.length - 1 ? [] : [`${(30 + 0.366 * i).toFixed(1)},${y(mean(i)).toFixed(1)}`]));
    line.setAttribute("points", points.join(" "));
    curve.setAttribute("aria-label", `The loss: ${mean(losses.length - 1).toFixed(2)} on average after ${losses.length} steps`);
    const random = new state.microgpt.Random(7n);
    names.textContent = Array.from({ length: SHOWN }, () => name([], 0.5, random).word || "–").join("  ");
  }

  // Writes a name that begins with some tokens: the word, and how likely each token was to come next after these.
  /** @param {number[]} first @param {number} temperature @param {Die} random */
  function name(first, temperature, random) {
    let thrown = 0, chances = new Float64Array();
    const choice = (/** @type {Float64Array} */ weights) => {
      if (thrown === first.length) chances = weights.slice();
      return thrown++ < first.length ? first[thrown - 1] : random.choice(weights);
    };
    const tokens = [...state.microgpt.sample(state.model, state.bos, { temperature }, { choice })];
    return { word: tokens.map((token) => state.characters[token]).join(""), chances };
  }

  function prefix() {
    const letters = [...beginning.value.trim().toLowerCase()], unknown = letters.filter((letter) => !state.characters.includes(letter));
    if (unknown.length) status.textContent = `It has never seen ${unknown.join(" ")}: the names are of the letters a to z.`;
    return letters.filter((letter) => state.characters.includes(letter)).slice(0, 15).map((letter) => state.characters.indexOf(letter));
  }

  function answer() {
    const temperature = Number(heat.value), { chances } = name(prefix(), temperature, new state.microgpt.Random(1n));
    shown.textContent = heat.value;
    bars.replaceChildren();
    const highest = Math.max(0.5, ...chances);
    const label = (/** @type {number} */ token) => state.characters[token] ?? "end";
    chances.forEach((chance, token) => {
      const x = 8 + token * 14.4, height = 84 * chance / highest;
      bars.append(drawn("rect", { x, y: 90 - height, width: 11, height, class: "live-bar" }), text(x + 5.5, 103, state.characters[token] ?? "⏎", "middle"));
    });
    const best = [...chances.keys()].sort((a, b) => chances[b] - chances[a]).slice(0, 3);
    bars.setAttribute("aria-label", `What comes next: ${best.map((token) => `${label(token)} ${Math.round(100 * chances[token])} %`).join(", ")}`);
  }

  start.addEventListener("click", begin);
  heat.addEventListener("input", answer);
  beginning.addEventListener("input", answer);
  const dice = { next: 1n };
  write.addEventListener("click", () => {
    const { word } = name(prefix(), Number(heat.value), new state.microgpt.Random(dice.next++));
    written.textContent = `${written.textContent} ${word}`.trim().split(" ").slice(-12).join(" ");
  });
  place.querySelector("details")?.before(box);
}
