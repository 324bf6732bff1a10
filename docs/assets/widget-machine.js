// The first screen: names as the model learns to write them, recorded at first. Then the same program trains here, on
// these names or on any list, and writes what you begin.

import { drawn, make } from "./elements.js";
import { counted, LINK, listOf, MOST, packed, textOf, unpacked } from "./machine-list.js";
import { allow, button } from "./widgets.js";

/** @typedef {import("./machine-worker.js").Moment} Moment */
/** @typedef {import("./machine-list.js").List} List */

const FRAME = 115;  // milliseconds; the recording takes less than five seconds, or it would need a button to stop it
const OWN = "your own list", SOURCES = ["names", "places", "proverbs", OWN];
const KEPT = "microgpt-list";  // as long as this tab is open: a look at another page loses no list
const STEPS = 1000;  // of the recording, and of the program without flags
const endsOf = (/** @type {number} */ steps) => [1, 30, 200, steps];
const PRESS = "Press “Train it”; it takes a few seconds, in this page.";
const BLOCKED = "The training did not start. The browser blocks workers, or the network failed: try again, or in another.";
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Four columns of names; each goes on from the one before it, and ends at its step. */
function columnsShown() {
  const columns = endsOf(STEPS).map(() => ({ head: make("p"), names: make("ul"), loss: make("p") }));
  const box = make("div", { className: "machine-columns" },
    ...columns.map(({ head, names, loss }) => make("div", {}, head, names, loss)));
  let ends = endsOf(STEPS);
  return {
    box,
    /**
     * Forget what they say.
     * @param {number} steps
     * @param {number} longest characters of a line
     */
    begin(steps, longest) {
      ends = endsOf(steps);
      box.classList.toggle("machine-long", longest > 12);
      box.classList.toggle("machine-longer", longest > 20);
      columns.forEach(({ head, names, loss }, i) => {
        head.textContent = counted(ends[i], "step");
        names.replaceChildren();
        loss.textContent = "";
      });
    },
    /** @param {Moment} moment */
    add({ step, loss, names }) {
      const column = columns[ends.findIndex((end) => step <= end)];
      column.head.textContent = counted(step, "step");
      column.names.replaceChildren(...names.map((name) => make("li", { dir: "auto", textContent: name || "–" })));
      column.loss.textContent = `loss ${loss.toFixed(2)}`;
    },
  };
}

/** The curve of the losses, drawn as large as it is shown, so that its letters keep their size. */
function curveShown() {
  const svg = drawn("svg", { role: "img" }), box = make("div", { className: "machine-curve" }, svg);
  let points = /** @type {Moment[]} */ ([]), steps = STEPS, lowest = 2;

  function draw() {
    const { clientWidth: width, clientHeight: height } = box;
    if (height < 40) return;  // it is not shown, as on paper
    const left = 36, top = 6, foot = height - 20, middle = (top + foot) / 2, right = width - 4;
    const highest = Math.max(lowest + 1.5, ...points.map(({ loss }) => loss)) + 0.1;
    const x = (/** @type {number} */ step) => left + (right - left) * step / steps;
    const y = (/** @type {number} */ loss) => foot - (foot - top) * Math.max(0, loss - lowest) / (highest - lowest);
    const text = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ words, anchor = "end") => (
      drawn("text", { x, y, "text-anchor": anchor }, words));
    const every = Math.ceil(18 * (highest - lowest) / (foot - top)), marks = [];  // so that no mark touches another
    for (let mark = lowest; mark < highest; mark += every) marks.push(text(left - 6, y(mark) + 4, String(mark)));
    svg.setAttribute("width", String(width));
    svg.setAttribute("height", String(height));
    svg.replaceChildren(drawn("path", { d: `M${left} ${top}V${foot}H${right}` }), ...marks,
      drawn("text", { x: 0, y: 0, transform: `translate(11 ${middle}) rotate(-90)`, "text-anchor": "middle" }, "loss"),
      text(left, height - 4, "0", "middle"),
      text((left + right) / 2, height - 4, "steps", "middle"), text(right, height - 4, steps.toLocaleString("en")),
      drawn("polyline", { points: points.map(({ step, loss }) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(" ") }));
    const last = points.at(-1), now = last ? `${last.loss.toFixed(2)} after ${counted(last.step, "step")}` : "no step yet";
    svg.setAttribute("aria-label", `The loss, step by step: ${now}`);
  }

  new ResizeObserver(draw).observe(box);
  return {
    box,
    /** @param {number} all @param {number} least */
    begin(all, least) {
      [points, steps, lowest] = [[], all, least];
      draw();
    },
    /** @param {Moment} moment */
    add(moment) {
      points.push(moment);
      draw();
    },
  };
}

/** What the model writes, and of what kind each line is. */
function writing(/** @type {() => void} */ change, /** @type {() => void} */ more) {
  const field = make("input", { autocomplete: "off", spellcheck: false, autocapitalize: "off", dir: "auto" });
  const again = make("button", { type: "button", className: "quiet", textContent: "Write more", disabled: true });
  const kinds = make("div", { className: "machine-kinds" },
    make("p", {}, "It will go on with what you begin, and say of each line: ", make("em", {}, "memorised"),
      " (it trained on it), ", make("em", {}, "real"), " (it is in the list) or ", make("em", {}, "new"), "."));
  const list = make("ul", { className: "machine-written" });
  field.addEventListener("input", change);
  again.addEventListener("click", more);
  return {
    field, list,
    box: make("div", { className: "machine-writing" },
      make("p", { className: "machine-field" }, make("label", {}, "Start with ", field), again), make("div", {}, list, kinds)),
    /**
     * @param {boolean} ready
     * @param {number} [longest] characters of a line
     */
    begin(ready, longest = 0) {
      again.disabled = !ready;
      list.classList.toggle("machine-long", longest > 12);
      list.inert = false;
      kinds.hidden = ready;
      if (!ready) list.replaceChildren();
    },
    /** @param {import("./machine-worker.js").Written[]} written */
    show(written) {
      list.replaceChildren(...written.map(({ word, kind }) => make("li", { className: `machine-${kind}` },
        make("span", { dir: "auto", textContent: word || "–" }), " ", make("small", { textContent: kind }))));
    },
  };
}

/** The choice of what to train on: words that are radio buttons. */
function choices(/** @type {() => void} */ change) {
  const radios = SOURCES.map((value, i) => make("input", { type: "radio", name: "machine-source", value, checked: !i }));
  const box = make("fieldset", { className: "machine-choices" }, make("legend", { textContent: "Train it on" }),
    make("span", { ariaHidden: "true", textContent: "on" }), ...radios.map((radio) => make("label", {}, radio, radio.value)));
  for (const radio of radios) radio.addEventListener("change", change);
  return {
    box,
    get value() { return radios.find((radio) => radio.checked)?.value ?? OWN; },
    set value(name) { for (const radio of radios) radio.checked = radio.value === name; },
  };
}

/** A place for your own lines, and what there is to say about them. */
function ownLines(/** @type {() => void} */ change) {
  const says = make("p", { id: "machine-count" });
  const text = make("textarea", { spellcheck: false, dir: "auto", wrap: "off", placeholder: "Brie\nGouda\nCheddar" });
  const label = make("label", {}, "One word or name a line. They stay in this page, unless you copy a link.", text);
  let wait = 0;
  text.setAttribute("aria-describedby", says.id);
  /** @param {string} words @param {boolean} wrong */
  const say = (words, wrong) => {
    says.textContent = words;
    text.setAttribute("aria-invalid", String(wrong));
  };
  const count = () => {
    const { lines, problem, notes } = listOf(text.value);
    say(text.value ? problem || [`${counted(lines.length, "line")}.`, ...notes].join(" ") : "", Boolean(text.value && problem));
  };
  try { text.value = sessionStorage.getItem(KEPT) ?? ""; } catch { /* this browser keeps nothing */ }
  text.addEventListener("input", () => {
    try { sessionStorage.setItem(KEPT, text.value); } catch { /* nor this */ }
    change();
    clearTimeout(wait);
    wait = setTimeout(count, text.value.length > 50_000 ? 400 : 0);
  });
  text.addEventListener("paste", (event) => {
    const pasted = event.clipboardData?.getData("text") ?? "";
    if (pasted.length <= MOST) return;
    event.preventDefault();
    say(listOf(pasted).problem, true);
  });
  return {
    box: make("div", { className: "machine-own", hidden: true }, label, says),
    text, say, count,
  };
}

/** @param {HTMLElement} box */
function machine(box) {
  const moments = JSON.parse(box.dataset.given ?? "[]").map(
    (/** @type {[number, number, string[]]} */ [step, loss, names]) => ({ step, loss, names }));
  const columns = columnsShown(), curve = curveShown(), writes = writing(ask, more), own = ownLines(halt);
  const source = choices(choose), go = button("Train it", train);
  const says = make("p", { className: "machine-says" });
  const quiet = (/** @type {string} */ name, /** @type {() => void} */ press) => {
    const element = make("button", { type: "button", className: "quiet", textContent: name });
    element.addEventListener("click", press);
    return element;
  };
  const links = make("p", { className: "machine-links" }, quiet("Copy a link", copyLink), quiet("Change the list", edit));
  let worker = /** @type {Worker | null} */ (null), turn = 0, die = 0;  // whatever is of an earlier turn is over
  let list = /** @type {List | null} */ (null), letters = "", learned = "", latest = 0, room = 0;

  const say = (/** @type {string} */ words) => { if (says.textContent !== words) says.textContent = words; };

  /** End whatever is going on; return the number of a new turn. */
  function stop() {
    worker?.terminate();
    worker = null;
    allow(go, true);
    letters = "";
    writes.begin(false);
    return turn += 1;
  }

  /**
   * Show columns and a curve that are empty.
   * @param {number} steps
   * @param {number} longest
   * @param {number} lowest
   */
  function empty(steps, longest, lowest) {
    columns.begin(steps, longest);
    curve.begin(steps, lowest);
  }

  /** @param {Moment} moment */
  function add(moment) {
    latest = moment.loss;
    columns.add(moment);
    curve.add(moment);
  }

  /**
   * The recorded training, as a film or at its end.
   * @param {boolean} moving
   */
  async function replay(moving) {
    const mine = turn;
    empty(STEPS, 0, 2);
    for (const moment of moments) {
      if (mine !== turn) return;
      add(moment);
      if (moving) await new Promise((next) => setTimeout(next, FRAME));
    }
  }

  /** @param {boolean} editing */
  function showOwn(editing) {
    own.box.hidden = !editing;
    columns.box.hidden = editing;
    links.classList.toggle("machine-absent", editing || source.value !== OWN);
  }

  function choose() {
    stop();
    list = null;
    showOwn(source.value === OWN);
    if (source.value === "names") replay(false);
    else empty(STEPS, 0, 0);
    say(PRESS);
  }

  /** The list has changed: what is trained on another one ends. */
  function halt() {
    stop();
    empty(STEPS, 0, 0);
    say(PRESS);
  }

  function edit() {
    showOwn(true);
    own.text.focus();
  }

  /** @returns {Promise<List>} */
  async function chosen() {
    if (source.value === OWN) return listOf(own.text.value);
    const response = await fetch(new URL(`../files/${source.value}.txt`, import.meta.url));
    if (!response.ok) throw new Error(`the list of ${source.value} could not be loaded`);
    const found = listOf(await response.text());
    return source.value === "names" ? { ...found, flags: {} } : found;  // as the program runs without any flags
  }

  async function train() {
    const mine = stop();
    allow(go, false);
    say("Loading the list…");
    try {
      const found = await chosen();
      if (mine !== turn) return;
      if (found.problem) {
        stop();
        own.say(found.problem, true);
        say("It cannot train on this list yet.");
        own.text.focus();
      } else begin(list = found);
    } catch (error) {
      if (mine !== turn) return;
      stop();
      say(`That did not work: ${/** @type {Error} */ (error).message}. Try again.`);
    }
  }

  /** @param {List} list */
  function begin({ lines, flags }) {
    const { num_steps: steps = STEPS, block_size: size = 16 } = flags, mine = turn;
    const isNames = source.value === "names", longest = isNames ? 0 : size - 1;
    const count = steps < lines.length ? `${steps.toLocaleString("en")} of ${counted(lines.length, "line")}` : counted(lines.length, "line");
    showOwn(false);
    empty(steps, longest, isNames ? 2 : 0);
    say(`Training on ${count}…`);
    const blocked = () => {
      if (mine !== turn) return;
      stop();
      say(BLOCKED);
    };
    try {
      worker = new Worker(new URL("machine-worker.js", import.meta.url), { type: "module" });
    } catch { return blocked(); }
    worker.addEventListener("error", blocked);
    worker.addEventListener("message", ({ data }) => {
      if (mine !== turn) return;
      if (data.moment) add(data.moment);
      else if (data.written) writes.show(data.written);
      else if (data.problem) {
        stop();
        say(`That did not work: ${data.problem}.`);
      } else if (data.end) {
        const { first, last } = data.end;
        letters = data.end.letters;
        const mean = latest.toFixed(2);  // as below the last column
        learned = isNames ? `Trained on ${counted(steps, "name")}. The last loss is ${last.toFixed(4)}, as in Python; ${mean} is the mean of fifty.`
          : `Trained on ${count} in ${counted(steps, "step")}; the loss fell from ${first.toFixed(2)} to ${mean}.`;
        allow(go, true);
        room = size - 1;
        writes.begin(true, longest);
        if (beginning().others.length) writes.field.value = "";  // it was for another list
        ask();
      }
    });
    worker.postMessage({ text: lines.join("\n"), flags, ends: endsOf(steps), calm: calm.matches });
  }

  /** What is in the field, with small letters if the model knows only these; and what it does not know. */
  function beginning() {
    if (!letters) return { typed: [], others: [] };
    const typed = [...writes.field.value.normalize("NFC").trimStart()].map((letter) => (
      letters.includes(letter) ? letter : letter.toLowerCase()));
    return { typed, others: [...new Set(typed.filter((letter) => !letters.includes(letter)))] };
  }

  /** Let the model write what begins as in the field, if it knows the letters. */
  function ask() {
    const { typed, others } = beginning();
    writes.list.inert = others.length > 0 || typed.length > room;
    if (!letters) say(PRESS);
    else if (others.length) say(`It has never seen ${others.map((letter) => letter.trim() || "a space").join(" ")}.`);
    else if (typed.length > room) say(`It has room for ${counted(room, "letter")}.`);
    else {
      say(learned);
      worker?.postMessage({ beginning: typed.join(""), die });
    }
  }

  function more() {
    die += 1;
    ask();
  }

  async function copyLink() {
    if (!list) return;
    const { lines } = list, address = `${location.href.split("#")[0]}#list=${await packed(lines)}`, { length } = address;
    const fit = Math.floor(lines.length * LINK / length).toLocaleString("en");
    if (length > LINK) {
      const most = `${LINK.toLocaleString("en")} arrive everywhere, which is about ${fit} of these lines`;
      say(`The link would have ${counted(length, "character")}; ${most}.`);
      return;
    }
    try {
      await navigator.clipboard.writeText(address);
      say(`The link is copied. It contains your ${counted(lines.length, "line")}.`);
    } catch {
      history.replaceState(null, "", address);
      say("The address of this page is the link now. Copy it from there.");
    }
  }

  /**
   * Take a list, from a link or a file, in place of one's own.
   * @param {string} text
   * @param {string} words
   */
  function take(text, words) {
    own.text.value = text;
    source.value = OWN;
    choose();
    own.count();
    say(words);
  }

  /** Show the list that somebody has sent, if the address carries one. */
  async function receive() {
    const [, word] = location.hash.match(/^#list=(.*)$/) ?? [];
    if (word === undefined) return;
    const text = await unpacked(word), { lines } = listOf(text ?? "");
    if (!lines.length) say("The list in this link is damaged. Ask for the link again.");
    else if (own.text.value.trim() && own.text.value !== text) say("The link has another list. Empty your own first, then open it again.");
    else {
      const some = lines.slice(0, 2).map((line) => `${[...line].slice(0, 20).join("")}, `).join("");
      take(lines.join("\n"), `Somebody sent you a list of ${counted(lines.length, "line")}: ${some}… Train it, and see what it invents.`);
    }
  }

  box.addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });
  box.addEventListener("drop", async (event) => {
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    try {
      take(await textOf(file), `${file.name} is read. ${PRESS}`);
    } catch (error) {
      say(`${/** @type {Error} */ (error).message}.`);
    }
  });
  source.box.addEventListener("click", () => {
    if (source.value === OWN && own.box.hidden && list) edit();  // it was chosen already: what it says is shown again
  });
  addEventListener("hashchange", receive);
  addEventListener("pageshow", () => {  // the browser puts back what was chosen and typed
    if (source.value === "names" || list || location.hash.startsWith("#list=")) return;  // what a link brings says so
    choose();
    own.count();
  });

  go.classList.add("md-button--primary");
  says.setAttribute("role", "status");
  box.classList.add("machine");
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "A GPT that learns in this page");
  box.append(make("div", { className: "machine-parts" }, make("div", { className: "machine-stage" }, columns.box, own.box),
    make("div", { className: "machine-controls" }, make("div", { className: "machine-action" }, go, source.box), says, links),
    curve.box, writes.box));
  showOwn(false);
  say(`This is a recording. ${PRESS}`);
  replay(!calm.matches);
  receive();
}

for (const box of document.querySelectorAll('[data-widget="machine"]')) {
  if (box instanceof HTMLElement && !box.childElementCount) machine(box);
}
