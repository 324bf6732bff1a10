// Where a program is changed and run, beside its lines: what is changed and by whom, one experiment or some edits, and
// the controls. All modules here are loaded by the browser, from a folder that has a name of its own for each edition.
//
// What a link brings is shown first, and neither runs nor is saved until the reader says so; saved changes stay. A program
// always runs in a worker that reaches nothing.

import { make } from "../elements.js";
import { book, fits, load, root, titleOf } from "./book.js";
import { codeOf, edited, isEdit, packed, publishedLine, shown, unpacked } from "./changes.js";
import * as marks from "./marks.js";
import { python } from "./running.js";
import * as runs from "./runs.js";
import * as settings from "./settings.js";
import * as told from "./status.js";
import * as store from "./store.js";

const { say } = told;

/** @typedef {import("./changes.js").Edit} Edit */
/** @typedef {{lines: string[], origins: number[], errors: [number, string][]}} Tangled */

const SOON = 400, LONGEST = 1e6;  // milliseconds without a key; letters of a link
const MOST = 2000;  // letters that are shown of what cannot be read
const page = /** @type {HTMLElement} */ (document.querySelector(".program")), target = page.dataset.program ?? "";
const column = /** @type {HTMLElement} */ (page.querySelector(".column"));
const name = target.split("/").at(-1) ?? "";

/**
 * @template {HTMLElement} T
 * @param {string} id @param {new () => T} kind @returns {T}
 */
function at(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}
const [run, stop, write, widen] = ["run", "stop", "write", "widen"].map((id) => at(id, HTMLButtonElement));
const [what, list, ask, written] = ["what", "changes", "ask", "written"].map((id) => at(id, HTMLElement));
const [beginning, heat] = ["beginning", "heat"].map((id) => at(id, HTMLInputElement));

let mine = /** @type {Edit[]} */ ([]), theirs = /** @type {Edit[] | null} */ (null);
let strays = /** @type {unknown[]} */ ([]);  // what is kept and does not fit this edition
let trial = "";  // the name of the experiment
let kept = /** @type {ReturnType<typeof store.write>} */ ("kept");
let field = /** @type {ReturnType<typeof import("./editing.js").open> | null} */ (null), opened = "";  // the key of its chunk
let answer = /** @type {Tangled | null} */ (null);  // of tangle.py to that
let tangled = "", places = /** @type {import("./changes.js").Place[]} */ ([]);  // the essay that was tangled, or run
let isRunning = false, isWanted = false, isSaving = false, timer = 0, wrong = 0;

/** @param {() => void} then @param {boolean} isNeeded */
async function loaded(then, isNeeded = true) {
  try {
    await load(() => adopt(store.read()));
  } catch (error) {
    const retries = isRunning ? start : () => loaded(then);
    if (isRunning) finished();
    if (isNeeded) told.fail(error instanceof Error ? error.message : String(error), retries);
    return;
  }
  then();
}

// What is changed

const edits = () => (trial ? [] : theirs ?? mine);
const count = (/** @type {number} */ n) => (n === 1 ? "one change" : `${n} changes`);

/**
 * Takes changes as one's own; what does not fit, or is of a chunk that is changed already, is kept aside.
 * @param {unknown[]} found
 */
function adopt(found) {
  for (const one of found) {
    const own = isEdit(one) && mine.find(({ chunk }) => chunk === one.chunk), same = JSON.stringify(one);
    if (own ? own.now === /** @type {Edit} */ (one).now : strays.some((stray) => JSON.stringify(stray) === same)) continue;
    if (own || !fits(one)) strays.push(one);
    else mine.push(/** @type {Edit} */ (one));
  }
}

function keep() {
  if (theirs || kept === "overtaken") return;
  setAddress("edits", "");  // what is here is no longer what a link has brought
  kept = store.write([...mine, ...strays]);
}

/** @param {string} chunk @param {string} now */
function change(chunk, now) {
  const was = codeOf(book.essay, book.fences[chunk]), others = (theirs ?? mine).filter((edit) => edit.chunk !== chunk);
  const all = now === was ? others : [...others, { chunk, was, now }];
  if (theirs) theirs = all.length ? all : null;
  else mine = all;
  keep();
  show();
  if (!isRunning) rest();
  clearTimeout(timer);
  timer = window.setTimeout(tangle, SOON);
}

/** @param {string} key @param {string} value */
function setAddress(key, value) {
  const hash = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  if ((hash.get(key) ?? "") === value) return;
  if (value) hash.set(key, value);
  else hash.delete(key);
  history.replaceState(null, "", `${location.pathname}${location.search}${String(hash) && `#${hash}`}`);
}

/**
 * Breaks the program as an experiment does, or no longer.
 * @param {string} now the name of the experiment, or nothing
 */
function choose(now) {
  if (field) close();
  if (!isRunning) rest();
  unmark();
  trial = now;
  setAddress("break", now);
  show();
}

// What is shown of that

/** @param {string} words @param {() => void} onclick @param {string} className */
const button = (words, onclick, className = "quiet") => make("button", { type: "button", className, onclick }, words);

/** @param {(Node | string)[]} title @param {Node} difference @param {() => void} undo @param {string} label */
function entry(title, difference, undo, label) {
  const leave = button("Undo", () => { undo(); (list.querySelector("button") ?? run).focus(); });
  leave.setAttribute("aria-label", label);
  return make("div", { className: "change" }, make("p", { className: "row" }, ...title, " ", leave), difference);
}

const SAID = {
  kept: "", overtaken: "Another tab has saved changes, so this tab has stopped saving.",
  refused: "They are not saved: this browser has no room for them, or saves nothing. Copy a link, or download the essay.",
};

function show() {
  const all = edits(), experiment = book.experiments[trial];
  const whose = theirs ? "of somebody else" : "of yours";
  what.textContent = experiment ? `With the experiment “${experiment.title}”`
    : all.length ? `${name}, with ${count(all.length)} ${whose}` : `${name}, unchanged`;
  const parts = /** @type {(Node | string)[]} */ (all.map(({ chunk, was, now }) => entry([
    button(titleOf(chunk), () => edit(chunk))], shown(was, now), () => { close(); change(chunk, was); },
  `Undo the change of ${titleOf(chunk)}`)));
  if (experiment) {
    const lines = (/** @type {number[]} */ origins) => origins.map((origin) => book.essay[origin - 1]).join("\n");
    const [was, now] = [lines(experiment.gone), experiment.put.map(([, line]) => line).join("\n")];
    const place = make("a", { href: new URL(experiment.page, root).href }, "explained in the essay");
    parts.push(entry([place], shown(was, now), () => choose(""), "Undo the experiment"));
    if (mine.length) parts.push(make("p", { className: "quietly" }, `Your ${count(mine.length)} set aside until then.`));
  } else {
    if (!theirs) parts.push(...strays.map(stray));
    if (SAID[kept]) parts.push(make("p", {}, SAID[kept]));
    if (theirs) parts.unshift(...foreign(theirs));
    else if (kept === "overtaken") parts.push(choices());
  }
  list.replaceChildren(...parts);
  list.hidden = !parts.length;
  mark();
}

/** Marks in the listing what is changed. */
function mark() {
  if (trial) return marks.showTrial(book.experiments[trial]);
  const { lines, places: now } = edited(book.essay, book.fences, edits());
  marks.showEdits(lines, now, book.fences, opened);
}

/** @param {unknown} found */
function stray(found) {
  const difference = isEdit(found) ? shown(found.was, found.now)
    : make("pre", { className: "difference" }, (typeof found === "string" ? found : JSON.stringify(found)).slice(0, MOST));
  const words = isEdit(found) ? `This change of ${titleOf(found.chunk)} does not fit the essay, or another change: `
    : "This change cannot be read: ";
  return entry([words], difference, () => {
    strays = strays.filter((other) => other !== found);
    keep();
    show();
  }, "Remove what does not fit");
}

/** @param {Edit[]} all */
function foreign(all) {
  const names = all.map(({ chunk }) => titleOf(chunk)).join(", ");
  const words = "Read it before you run it. It runs without any way out of this page. It is not saved.";
  return [make("h2", {}, `Somebody sent you a change of ${names}`), make("p", {}, words), choices()];
}

const choices = () => make("p", { className: "row" }, button("Add to my changes", () => {
  const found = theirs ?? mine;
  [mine, strays, theirs, kept] = [[], [], null, "kept"];
  adopt([...store.read(), ...found]);
  keep();
  show();
}), ...(theirs && !mine.length ? [] : [button("Back to mine", () => {
  history.replaceState(null, "", location.pathname);
  location.reload();
})]));

// Editing

/** @param {string} chunk @param {number} [origin] the line of the essay, from 1, that the caret is to be in */
async function edit(chunk, origin = 0) {
  const fence = book.fences[chunk];
  if (!fence || !marks.linesOf(fence).length) return say(`${name} has no lines of the chunk ${titleOf(chunk)}.`);
  if (field) close();
  if (trial) choose("");
  opened = chunk;
  column.classList.remove("open");
  const { open } = await import("./editing.js");
  if (opened !== chunk || field) return;  // another one was opened in the meantime
  const now = () => edits().find((one) => one.chunk === chunk)?.now ?? codeOf(book.essay, fence);
  const row = Math.max(0, origin - fence.first - 1);
  field = open(fence, now(), row, {
    typed: (code) => change(chunk, code), run: start, done: close,
    undo: () => { change(chunk, codeOf(book.essay, fence)); field?.fill(now()); },
  });
  mark();
}

function close() {
  field?.close();
  [field, opened] = [null, ""];
  setAddress("chunk", "");
  mark();
}

/**
 * Lets tangle.py check what is here, and make the program of it; that fetches Python if it is not there.
 * @returns {void}
 */
function tangle() {
  clearTimeout(timer);
  const now = edited(book.essay, book.fences, edits()), essay = now.lines.join("\n");
  isWanted = tool.isAsked("tangle");  // its answer will find that there is more to do
  if (isWanted || trial) return;
  if (essay === tangled && answer) return follow(answer);
  if (!tool.isLoaded()) say(`${why()}Python is fetched…`);
  else if (isRunning) say("Your change is checked when the run has ended.");
  [tangled, places, answer] = [essay, now.places, null];
  tool.ask("tangle", { files: { "tangle.py": book.files["tangle.py"] }, text: tangled, program: target });
}

const why = () => (isRunning ? "" : isSaving ? "To make the program, " : "To check your change, ");

/** @param {Tangled} found */
function follow(found) {
  if (/Python (is|starts)/.test(told.said()) && !isRunning) rest();
  if (!isRunning) told.loaded();
  answer = found;
  if (isWanted) return tangle();
  if (isSaving) save(name, `${found.lines.join("\n")}\n`);
  isSaving = false;
  if (found.errors.length) complain(...found.errors[0]);
  else field?.complain();
}

/**
 * Shows an error where its line is, and scrolls there.
 * @param {number} origin of the essay, from 1 @param {string} message
 */
async function complain(origin, message) {
  const place = places.find(({ first: start, end }) => origin > start && origin <= end + 1);
  if (place && place.chunk !== opened) await edit(place.chunk);
  if (field && (place || opened)) {
    const line = place ? Math.min(origin, place.end) - place.first - 1 : -1;
    const here = message.replace(/ on line (\d+)/, (all, other) => (  // tangle.py counts the essay's lines, the field its own
      place && other > place.first && other <= place.end ? ` on line ${other - place.first}` : all));
    field.complain(place ? `Line ${line + 1}: ${here}` : `microgpt.md:${origin}: ${message}`, line);
    return;
  }
  const line = marks.lineAt(origin, publishedLine(origin - 1, places) + 1);
  if (!line) return;
  unmark();
  line.classList.add("wrong");
  line.after(make("p", { className: "problem" }, message));
  line.scrollIntoView({ block: "center" });
}

function unmark() {
  for (const problem of page.querySelectorAll(".listing .code .problem")) if (!problem.closest(".editor")) problem.remove();
  for (const line of page.querySelectorAll(".line.wrong")) line.classList.remove("wrong");
}

// Running

/** Nothing runs: what is to be known before a run. */
function rest() { say(tool.isLoaded() ? "" : "The first run fetches Python: 13.5 MB, once."); }

function start() {
  if (isRunning) return say("A run is going on: end it with Stop before you begin another.");
  [isRunning, wrong] = [true, 0];
  unmark();
  ask.hidden = true;
  told.running(true);
  say(tool.isLoaded() ? "Python puts the program together…" : "Python is fetched…");
  column.classList.add("open");
  column.scrollTop = 0;
  loaded(begin);
}

function begin() {
  if (!isRunning) return;  // it was stopped in the meantime
  const { flag, hasFlags, ownText } = settings, all = ownText() || book.files["docs/names.txt"];
  runs.begin(what.textContent ?? "", Number(flag("num_steps")));
  if (hasFlags) runs.compare(all, flag).catch(() => { /* there is nothing to compare with */ });
  const { lines, places: now } = edited(book.essay, book.fences, edits());
  clearTimeout(timer);  // the run checks it as well
  [places, tangled, answer] = [now, "", null];
  const words = ["microgpt.md", "--run", target, ...(trial ? ["--break", trial] : []), ...settings.words()];
  tool.ask("run", { files: { "microgpt.md": lines.join("\n"), "text.txt": ownText(), ...book.files }, words });
}

function finished() {
  isRunning = false;
  told.loaded();
  write.disabled = false;
  told.running(false);
  runs.end();
}

const tool = python({
  loading({ done, total }) { told.loading(done, total, why()); },
  started() {
    told.loaded();
    say("The program runs…");
  },
  lines({ lines }) {
    for (const [line, isError] of lines) {
      const found = runs.hear(line);
      if (found) told.steps(...found);
      const place = /microgpt\.md(:|", line )(\d+)/.exec(line);
      if (place && (place[1] !== ":" || !wrong)) wrong = Number(place[2]);  // a traceback's last, tangle.py's first
    }
    told.print(lines);
    runs.draw();
  },
  silent({ seconds }) { say(`The program has printed nothing for ${seconds} s.`); },
  stopping() { say("It has stopped learning, and writes with what it knows."); },
  end({ status: code, writes }) {
    finished();
    ask.hidden = !writes;
    written.replaceChildren();
    const message = told.lastWords();
    if (!runs.done()) at("output-fold", HTMLDetailsElement).open = true;
    if (code === 0) say(`Finished${runs.verdict()}`);
    else if (code === 130) say(`Stopped after step ${runs.done()}${runs.verdict()}`);
    else {
      say(`It ended with an error: ${message}`);
      if (wrong) complain(wrong, message.replace(/^microgpt\.md:\d+: /, ""));
    }
  },
  tangled({ lines, origins, errors }) { follow({ lines, origins, errors }); },
  wrote({ text: found, problem }) {
    write.disabled = false;
    written.prepend(make("span", { className: problem ? "error" : "" }, problem || found || "nothing"), " ");
  },
  failed({ text: reason, isFetch }) {
    const was = isRunning;
    finished();
    if (isFetch) told.fail(reason, was ? start : tangle);
    else say(`Python has ended: ${reason}. The next run starts afresh.`);
  },
});

function stopIt() {
  tool.stop(() => {
    finished();
    say("Stopped. The next run starts afresh.");
  });
}

function writeOn() {
  if (write.disabled) return;
  if (!heat.value || !heat.checkValidity()) {
    written.prepend(make("span", { className: "error" }, `The temperature must be a number from ${heat.min} to ${heat.max}.`), " ");
    return;
  }
  write.disabled = true;
  tool.endUnlessItAnswers(() => {  // a changed program may never end
    finished();
    ask.hidden = true;
    say("The model did not answer, so it was stopped.");
  });
  tool.ask("write", { files: {}, beginning: beginning.value, temperature: Number(heat.value) });
}

// What goes out, and comes in

/** @param {string} called @param {string} content */
function save(called, content) {
  const anchor = make("a", { href: URL.createObjectURL(new Blob([content], { type: "text/plain" })), download: called });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
}

async function share() {
  const hash = new URLSearchParams(trial ? { break: trial } : {});
  if (edits().length) hash.set("edits", await packed(edits()));
  settings.give(hash);
  if (hash.toString().length > LONGEST) return say("Your changes are too long for a link: download the essay.");
  history.replaceState(null, "", `${location.pathname}${String(hash) && `#${hash}`}`);
  try {
    await navigator.clipboard.writeText(location.href);
    const doubt = answer?.errors.length ? " But a change has an error, which your friend would get, too." : "";
    say(`The link is copied. It holds your changes and settings, but not your text.${doubt}`);
  } catch { say("The address of this page now holds your changes and settings: copy it."); }
  at("status", HTMLElement).scrollIntoView({ block: "nearest" });  // it may be out of sight
}

async function arrive() {
  const asked = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : ""), link = asked.get("edits");
  const [wanted, chunk] = [asked.get("break") ?? "", asked.get("chunk") ?? ""];
  settings.take(asked);
  const elsewhere = book.experiments[wanted]?.program ?? book.fences[chunk]?.program;
  if (elsewhere && !location.pathname.endsWith(`/${elsewhere}`)) return location.replace(new URL(elsewhere, root).href + location.hash);
  if (asked.has("changes")) say("This link was made by an earlier edition of this page, and cannot be read.");
  if (link) {
    try {
      const found = await unpacked(link), own = JSON.stringify(mine);
      const lost = found.filter((one) => !fits(one)).length;
      if (lost) say(`${count(lost)} of this link ${lost === 1 ? "does" : "do"} not fit this edition of the essay.`);
      if (JSON.stringify(found) !== own && lost < found.length) theirs = found.filter(fits);
    } catch { say("The changes in this link cannot be read: was the link cut off?"); }
  }
  if (theirs) column.classList.add("open");
  show();
  if (wanted && !Object.hasOwn(book.experiments, wanted)) say(`The essay has no experiment “${wanted}”.`);
  if (Object.hasOwn(book.experiments, wanted) && !link) choose(wanted);
  if (chunk) edit(chunk);
}

run.addEventListener("click", start);
stop.addEventListener("click", stopIt);
write.addEventListener("click", writeOn);
beginning.addEventListener("keydown", (event) => { if (event.key === "Enter") writeOn(); });
widen.addEventListener("click", () => { column.classList.toggle("open"); column.scrollTop = 0; });
new MutationObserver(() => {
  const isOpen = column.classList.contains("open");
  widen.textContent = isOpen ? "less" : "more";
  widen.setAttribute("aria-expanded", String(isOpen));
}).observe(column, { attributeFilter: ["class"] });
settings.listen(say);
at("share", HTMLButtonElement).addEventListener("click", () => loaded(share));
at("save-essay", HTMLButtonElement).addEventListener("click", () => loaded(() => (
  save("microgpt.md", edited(book.essay, book.fences, edits()).lines.join("\n")))));
at("save-program", HTMLButtonElement).addEventListener("click", () => loaded(() => {
  if (trial) return say("Undo the experiment first: what you download has your own changes.");
  isSaving = true;
  tangle();
}));
page.addEventListener("click", ({ target: clicked }) => {
  const { try: tried, edit: origin } = (/** @type {HTMLElement} */ (clicked)).closest("button")?.dataset ?? {};
  if (tried) loaded(() => { choose(tried); start(); });
  if (origin) {
    loaded(() => edit(Object.keys(book.fences).find((key) => (
      book.fences[key].first < Number(origin) && Number(origin) <= book.fences[key].end)) ?? "", Number(origin)));
  }
});
addEventListener("hashchange", () => { if (location.hash.includes("=")) loaded(arrive); });
rest();
run.disabled = false;
if (location.hash.includes("=") || store.read().length) loaded(arrive, location.hash.includes("="));
