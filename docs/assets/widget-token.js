// One token on its way through the model, stage by stage, with the 16 numbers that each stage makes of those before.

import { drawn, make } from "./elements.js";
import { row } from "./engine.js";
import { asking, best, drawBars, guess, letterOf, looksTable, nameOf } from "./letters.js";
import { allow, build, button, fixed, lettering, saying, slider, table } from "./widgets.js";

/** @typedef {import("./letters.js").Seen} Seen */
/** @typedef {Record<string, number[]>} Numbers by the names that the demonstration gives to its vectors */

/**
 * A stage: the chunk that does it, its rows of 16 numbers with their names, what it does in a sentence.
 * @typedef {{ title: string, chunk: string, rows: [string, number[]][], says: string }} Stage
 */

const LEFT = 82, CELL = 14, GAP = 3, LINE = 22, WIDTH = 360;  // of the drawing; a gap after each head's four numbers

const ON_THE_TAPE = ["sum", "start", "normed", "query", "key", "value", "heads", "attention", "middle", "asked",
  "answers", "hidden", "mlp", "end", "logits"];  // in the order in which the model computes them

/**
 * Return what the model has computed for a token at a place.
 * @param {Begun} state
 * @param {Seen} seen
 * @returns {Numbers}
 */
function numbersOf({ model, characters, bos }, { letters, place }) {
  const [wte, wpe] = model.tape[0].inputs, token = place ? characters.indexOf(letters[place - 1]) : bos;
  const rows = model.tape.map(({ result }, i) => [ON_THE_TAPE[i], row(result, place)]);
  return { token: row(wte, token), position: row(wpe, place), ...Object.fromEntries(rows) };
}

/**
 * Return all stages of a token.
 * @param {Seen} seen
 * @param {Numbers} numbers
 * @returns {Stage[]}
 */
function stagesOf({ letters, place, chances }, numbers) {
  const { token, position, sum, start, normed, query, key, value, heads, attention, middle } = numbers;
  const { asked, hidden, mlp, end, logits } = numbers;
  const letter = nameOf(letters, place), applied = hidden.filter((answer) => answer > 0).length;
  const quarters = [0, 16, 32, 48].map((from) => (
    /** @type {[string, number[]]} */ ([`${from + 1} to ${from + 16}`, hidden.slice(from, from + 16)])));
  return [
    { title: "two tables", chunk: "gpt",
      rows: [[`wte[${letter}]`, token], [`+ wpe[${place}]`, position], ["= sum", sum]],
      says: "The row of the token and the row of its position are added, number by number." },
    { title: "norm", chunk: "rmsnorm", rows: [["sum", sum], ["→ x", start]],
      says: "All 16 are multiplied by one factor that makes the mean of their squares 1." },
    { title: "query, key, value", chunk: "attention",
      rows: [["norm of x", normed], ["→ query", query], ["→ key", key], ["→ value", value]],
      says: "Three matrices ask 16 questions each, and each head takes four answers. (This norm changes nothing.)" },
    { title: "the heads look back", chunk: "attend", rows: [["query", query], ["→ found", heads]],
      says: "Each head compares its query with the keys so far, and finds the mean of the values, by these weights." },
    { title: "attention is added", chunk: "layer-by-layer",
      rows: [["x", start], ["+ attention", attention], ["= x", middle]],
      says: "The matrix wo mixes what the heads found, and that is added to x." },
    { title: "the MLP asks", chunk: "mlp", rows: [["norm of x", asked], ...quarters],
      says: `64 questions are put to the norm of x, and relu sets negative answers to 0: ${applied} are positive.` },
    { title: "the MLP is added", chunk: "mlp", rows: [["x", middle], ["+ mlp", mlp], ["= x", end]],
      says: "A matrix turns the 64 answers into 16 numbers, which are added to x." },
    { title: "27 scores", chunk: "gpt", rows: [["x", end]],
      says: `lm_head puts 27 questions to x, one for each token. ${best(logits, 1)[0].letter} fits best.` },
    { title: "27 probabilities", chunk: "softmax", rows: [],
      says: `softmax turns the scores into probabilities: ${guess(chances)}.` },
  ];
}

/**
 * Return the address of a chunk: that of the first link to it, since it may be on another page.
 * @param {string} chunk
 */
function addressOf(chunk) {
  const place = `#chunk-${chunk}`;
  return document.querySelector(`a[href$="${place}"]`)?.getAttribute("href") ?? place;
}

/** @param {number} at @returns where the cell of a number begins */
function left(at) { return LEFT + CELL * at + GAP * Math.floor(at / 4); }

/**
 * Draw a number as a colour.
 * @param {number} number
 * @param {number} largest of all stages
 * @param {number} x
 * @param {number} y
 */
function cell(number, largest, x, y) {
  return drawn("rect", { x, y, width: CELL - 1, height: CELL, class: number > 0 ? "widget-above" : "widget-below",
    "fill-opacity": (Math.abs(number) / largest) ** 0.7 });
}

/**
 * Draw a mark beside the name of a row of numbers, in the colour that queries, keys, values and x have in all figures.
 * @param {string} name
 * @param {number} y
 */
function mark(name, y) {
  const kind = /^(?:[→=] )?(query|key|value|x)$/.exec(name)?.[1];
  return kind ? [drawn("rect", { x: LEFT - 8, y, width: 3, height: CELL, class: `widget-${kind}` })] : [];
}

/**
 * Draw rows of 16 numbers, with one number of each in figures, and the scale of the colours.
 * @param {SVGSVGElement} picture
 * @param {[string, number[]][]} rows
 * @param {number} marked
 * @param {number} largest
 */
function drawRows(picture, rows, marked, largest) {
  const height = LINE * rows.length, scale = [-1, -0.5, -0.1, 0.1, 0.5, 1].map((share) => share * largest);
  picture.setAttribute("viewBox", `0 0 ${WIDTH} ${height + 34}`);
  const numbers = rows.map(([name, all]) => `${name} ${fixed(all[marked], 2)}`);
  picture.setAttribute("aria-label", `Number ${marked + 1}: ${numbers.join(", ")}`);
  picture.replaceChildren(
    ...rows.flatMap(([name, all], i) => [
      drawn("text", { x: 0, y: LINE * i + 17 }, name),
      ...mark(name, LINE * i + 5),
      ...all.map((number, at) => cell(number, largest, left(at), LINE * i + 5)),
      drawn("text", { x: WIDTH, y: LINE * i + 17, "text-anchor": "end", class: "widget-strong" },
        fixed(all[marked], 2)),
    ]),
    drawn("rect", { x: left(marked) - 2, y: 2, width: CELL + 3, height: height - 1, rx: 3, class: "widget-marked" }),
    ...scale.map((number, at) => cell(number, largest, left(at + 5), height + 14)),
    drawn("text", { x: left(5) - 8, y: height + 26, "text-anchor": "end" }, fixed(-largest, 1)),
    drawn("text", { x: left(11) + 6, y: height + 26 }, fixed(largest, 1)),
  );
}

/**
 * Make a table of all numbers of a stage.
 * @param {Stage} stage
 * @param {number[][]} others for each token: its score, its probability
 */
function numbersTable({ title, rows }, others) {
  if (others.length) {
    return table(`${title}.`, [["token", "score", "probability"],
      ...others.map((both, token) => [letterOf(token, others.length) || "end", ...both.map((x) => fixed(x, 2))])]);
  }
  return table(`${title}.`, [["number", ...rows.map(([name]) => name)],
    ...rows[0][1].map((_, at) => [String(at + 1), ...rows.map(([, all]) => fixed(all[at], 2))])]);
}

/** @typedef {Omit<Seen, "letters"> & { name: string, numbers: Numbers }} Given */

build("token", "Follow a letter", (/** @type {Given} */ given, box) => {
  let at = 0, seen = /** @type {Seen} */ ({ ...given, letters: [...given.name] }), numbers = given.numbers;
  let stage = stagesOf(seen, numbers)[at], largest = 0;
  const code = make("p"), looks = make("div"), listed = make("div");
  const back = button("Back", () => { at -= 1; show(); }), on = button("Next stage", () => { at += 1; show(); });
  const number = slider("number", { min: 1, max: 16, step: 1, value: 1 }, draw);
  const picture = drawn("svg", { role: "img", class: "widget-cells" }), bars = drawn("svg", { role: "img" });
  const buttons = make("p", { className: "widget-buttons" }, back, on);
  const results = make("div", {}, picture, number.row, looks, bars, code,
    make("details", {}, make("summary", { textContent: "All numbers of this stage" }), listed));
  const says = saying(buttons, results);

  /** Draw the 16 numbers of each row. */
  function draw() { if (stage.rows.length) drawRows(picture, stage.rows, number.value - 1, largest); }

  /** Draw the scores or the probabilities, at the end of the way. */
  function drawEnd() {
    if (stage.rows.length) drawBars(bars, numbers.logits, "The scores", (score) => fixed(score, 2));
    else drawBars(bars, seen.chances, "The probabilities", (chance) => fixed(chance, 2));
  }

  /** Show the stage as it is now. */
  function show() {
    const stages = stagesOf(seen, numbers), last = stages.length - 1, isEnd = at >= last - 1;
    stage = stages[at];
    largest = Math.max(...stages.flatMap(({ rows }) => rows.flatMap(([, vector]) => vector.map(Math.abs))));
    says.say(make("strong", {}, `${at + 1} of ${stages.length}: ${stage.title}.`), ` ${stage.says}`);
    picture.classList.toggle("widget-absent", !stage.rows.length);
    number.row.hidden = !stage.rows.length;
    bars.classList.toggle("widget-absent", !isEnd);
    draw();
    drawEnd();
    looks.replaceChildren(...(stage.chunk === "attend" ? [looksTable(seen)] : []));
    const ends = numbers.logits.map((score, token) => [score, seen.chances[token]]);
    listed.replaceChildren(numbersTable(stage, isEnd ? ends : []));
    const link = make("a", { href: addressOf(stage.chunk), className: "chunk-link" });
    link.textContent = `⟨${stage.chunk.replaceAll("-", " ")}⟩`;
    link.dataset.peek = "";  // the chunk is shown before somebody goes there
    code.replaceChildren("The code: ", link);
    allow(back, at > 0);
    allow(on, at < last);
  }

  /** Keep as much room as the highest stage takes, so that nothing below moves from stage to stage. */
  function reserve() {
    const now = at, parts = [says.line, results];
    for (const part of parts) part.style.minHeight = "";
    const heights = stagesOf(seen, numbers).map((_, other) => {
      at = other;
      show();
      return parts.map((part) => part.getBoundingClientRect().height);
    });
    parts.forEach((part, i) => { part.style.minHeight = `${Math.max(...heights.map((both) => both[i]))}px`; });
    at = now;
    show();
  }

  // The cell under the pointer is the number that is shown.
  for (const event of /** @type {const} */ (["pointermove", "pointerdown"])) {
    picture.addEventListener(event, ({ clientX }) => {
      const box = picture.getBoundingClientRect(), x = (clientX - box.left) / box.width * WIDTH;
      const nearest = [...Array(16).keys()].find((i) => x >= left(i) - GAP && x < left(i) + CELL);
      if (nearest === undefined || nearest + 1 === number.value) return;
      number.value = nearest + 1;
      draw();
    });
  }
  const rows = asking(given, says, (now, state) => {
    [seen, numbers] = [now, numbersOf(state, now)];
    reserve();
  });
  let width = 0;
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width !== width && contentRect.width) reserve();
    width = contentRect.width;
  }).observe(box);
  document.fonts.ready.then(reserve);
  show();
  return [...rows, buttons, says.line, results];
});
