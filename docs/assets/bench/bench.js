// Where a program is changed and run, beside its lines. All modules here are loaded by the browser, from a folder that has
// a name of its own for each edition.
//
// The reader's own changes are kept in this browser. An experiment, or the changes that a link brings, are a guest: they
// are shown first, and neither run nor are saved until the reader says so. A program always runs in a worker that reaches
// nothing.

import { make } from "../elements.js";
import { book, fits, load, root, titleOf } from "./book.js";
import { codeOf, edited, packed, publishedLine, shown, unpacked } from "./changes.js";
import * as marks from "./marks.js";
import { python } from "./running.js";
import * as runs from "./runs.js";
import * as settings from "./settings.js";
import * as told from "./status.js";
import * as store from "./store.js";

const { say } = told;

/** @typedef {import("./changes.js").Edit} Edit */
/** @typedef {import("./changes.js").Place} Place */
/** @typedef {{trial: string, edits: Edit[]} | null} Guest `trial` is the name of an experiment, or empty for a link */

const SOON = 400;  // milliseconds without a key
const page = /** @type {HTMLElement} */ (document.querySelector(".program")), target = page.dataset.program ?? "";
const column = /** @type {HTMLElement} */ (page.querySelector(".column"));
const name = target.split("/").at(-1) ?? "";

const at = (/** @type {string} */ id) => /** @type {HTMLButtonElement} */ (document.getElementById(id));
const [run, what, list, link] = ["run", "what", "changes", "share"].map(at);
const takeaway = /** @type {HTMLElement} */ (link.parentElement);

let guest = /** @type {Guest} */ (null);
let field = /** @type {ReturnType<typeof import("./editing.js").open> | null} */ (null), opened = "";  // the key of its chunk
let isRunning = false, timer = 0;

/**
 * Does something; if it fails, it can be tried again.
 * @param {() => unknown} doing
 */
async function act(doing) {
  try {
    await doing();
  } catch (error) {
    told.fail(error instanceof Error ? error.message : String(error), () => act(doing));
  }
}

/**
 * Does something that needs the book.
 * @param {() => unknown} doing
 */
const withBook = (doing) => act(async () => {
  await load();
  await doing();
});

// What is changed

const edits = () => guest?.edits ?? store.read();
const now = () => edited(book.essay, book.fences, edits().filter(fits));
/** @param {string} chunk */
const codeNow = (chunk) => {
  const was = codeOf(book.essay, book.fences[chunk]);
  return edits().find((edit) => edit.chunk === chunk && edit.was === was)?.now ?? was;
};
const count = (/** @type {number} */ n) => (n === 1 ? "one change" : `${n} changes`);

/**
 * Puts a change in the place of the one of the same code; one that changes nothing only takes that away.
 * @param {Edit} edit
 */
function put({ chunk, was, now: code }) {
  const all = edits().filter((other) => other.chunk !== chunk || other.was !== was);
  if (code !== was) all.push({ chunk, was, now: code });
  if (!guest) store.write(all);
  else guest = all.length && !guest.trial ? { trial: "", edits: all } : null;  // part of an experiment is none
  setAddress("");
  show();
  if (isRunning) return;
  rest();
  clearTimeout(timer);
  timer = window.setTimeout(() => act(check), SOON);
}

/**
 * Takes a guest, or none.
 * @param {Guest} found
 */
function receive(found) {
  close();
  guest = found;
  setAddress(found?.trial ? `#${new URLSearchParams({ break: found.trial })}` : "");
  if (!isRunning) rest();
  show();
}

/**
 * Changes what the address of the page says; which line is chosen is for program.js to say.
 * @param {string} hash
 */
function setAddress(hash) {
  if (hash || location.hash.includes("=")) history.replaceState(null, "", `${location.pathname}${location.search}${hash}`);
}

// What is shown of that

/** @param {string} words @param {() => void} onclick */
const button = (words, onclick) => make("button", { type: "button", className: "quiet", onclick }, words);

function show() {
  const all = edits(), experiment = book.experiments[guest?.trial ?? ""];
  what.textContent = experiment ? `With the experiment “${experiment.title}”`
    : all.length ? `${name}, with ${count(all.length)} of ${guest ? "somebody else" : "yours"}` : `${name}, unchanged`;
  list.replaceChildren(...(guest ? about(guest) : []), ...all.map(entry));
  if (all.length && !store.keeps()) {
    list.append("They are not saved: this browser has no room for them, or saves nothing. ",
      "Copy a link, or download the essay.");
  }
  list.hidden = !all.length;
  (all.length ? list : takeaway).prepend(link);  // it is beside what it holds
  field?.fill(codeNow(opened));
  mark();
}

/** @param {Edit} edit */
function entry(edit) {
  const { chunk, was, now: code } = edit, title = titleOf(chunk);
  const undo = button("Undo", () => {
    put({ chunk, was, now: was });
    (list.querySelector("button") ?? run).focus();
  });
  undo.setAttribute("aria-label", `Undo the change of ${title}`);
  const named = fits(edit) ? button(title, () => open(chunk)) : `This change of ${title} does not fit this edition: `;
  return make("div", { className: "change" }, make("p", { className: "row" }, named, " ", undo), shown(was, code));
}

/** What there is to say about a guest, and to do with it.
 * @param {{trial: string, edits: Edit[]}} given
 */
function about({ trial, edits: brought }) {
  const row = make("p", { className: "row" }, button("Add to my changes", adopt)), experiment = book.experiments[trial];
  if (store.read().length) row.append(button("Back to mine", () => receive(null)), "Your changes are set aside until then.");
  if (experiment) {
    row.prepend(make("a", { href: new URL(experiment.page, root).href }, "explained in the essay"));
    return [row];
  }
  const names = brought.map(({ chunk }) => titleOf(chunk)).join(", ");
  const words = "Read it before you run it. It runs without any way out of this page. It is not saved.";
  return [make("h2", {}, `Somebody sent you a change of ${names}`), make("p", {}, words), row];
}

/** Keeps what a guest has brought, unless the reader has changed the same code. */
function adopt() {
  const own = store.read(), found = edits();
  const twice = found.find((one) => own.some(({ chunk, was }) => chunk === one.chunk && was === one.was));
  if (twice) return say(`You have changed ${titleOf(twice.chunk)} yourself: go back to yours, and undo that first.`);
  store.write([...own, ...found]);
  receive(null);
}

/** Marks in the listing what is changed. */
function mark() {
  const { lines, places } = now();
  marks.show(lines, places, book.fences, opened);
}

// Editing

/** @param {string} chunk @param {number} [origin] the line of the essay, from 1, that the caret is to be in */
async function open(chunk, origin = 0) {
  const fence = book.fences[chunk];
  if (!fence || !marks.linesOf(fence).length) return say(`${name} has no lines of the chunk ${titleOf(chunk)}.`);
  if (guest?.trial) receive(null);
  if (field) close();
  opened = chunk;
  column.classList.remove("open");
  const editing = await import("./editing.js");
  if (opened !== chunk || field) return;  // another one was opened in the meantime
  const was = codeOf(book.essay, fence);
  field = editing.open(fence, codeNow(chunk), Math.max(0, origin - fence.first - 1), {
    typed: (code) => put({ chunk, was, now: code }), run: () => act(start), done: close,
    undo: () => put({ chunk, was, now: was }),
  });
  mark();
}

function close() {
  field?.close();
  [field, opened] = [null, ""];
  setAddress("");
  mark();
}

/** Lets tangle.py make the program of what is here, or find the errors; null if Python was stopped. */
async function tangle() {
  const { lines, places } = now(), text = lines.join("\n"), isFirst = !tool.isLoaded();
  if (isFirst) say("Python is fetched…");
  const found = await tool.ask({ files: { "tangle.py": book.files["tangle.py"] }, text, program: target });
  if (!found || text !== now().lines.join("\n")) return null;  // it was changed in the meantime
  if (isFirst && !isRunning) rest();
  complain(found.errors[0], places);
  return found;
}

/** Looks for errors in what the reader has changed. */
function check() {
  if (edits().length) return tangle();
  complain(null, []);
}

/**
 * Shows an error where its line is, in the editor or in the listing, or that there is none.
 * @param {[number, string] | null} problem its line of the essay, from 1, and what it is @param {Place[]} places
 */
function complain(problem, places) {
  marks.unmark();
  field?.complain();
  if (!problem) return;
  const [origin, message] = problem, place = places.find(({ chunk, first, end }) => (
    chunk === opened && origin > first && origin <= end + 1));
  if (place && field) {
    const row = Math.min(origin, place.end) - place.first - 1;
    field.complain(`Line ${field.from + row}: ${message.replace(/ on line \d+/, "")}`, row);  // that is a line of the essay
  } else if (!marks.complain(message, origin, publishedLine(origin - 1, places) + 1)) say(message);
}

// Running

/** Nothing runs: what is to be known before a run. */
function rest() { say(tool.isLoaded() ? "" : "The first run fetches Python: 13.5 MB, once."); }

async function start() {
  if (isRunning) return say("A run is going on: end it with Stop before you begin another.");
  isRunning = true;
  clearTimeout(timer);  // the run checks what is changed as well
  told.running(true);
  say(tool.isLoaded() ? "Python puts the program together…" : "Python is fetched…");
  column.classList.add("open");
  column.scrollTop = 0;
  try {
    await load();
    await perform();
  } finally {
    isRunning = false;
    told.running(false);
  }
}

async function perform() {
  const { flag, hasFlags, ownText } = settings, { lines, places } = now();
  complain(null, []);
  runs.begin(what.textContent ?? "", Number(flag("num_steps")));
  if (hasFlags) runs.compare(ownText() || book.files["docs/names.txt"], flag).catch(() => { /* nothing to compare with */ });
  const words = ["microgpt.md", "--run", target, ...settings.words()];
  const ended = await tool.ask({ files: { "microgpt.md": lines.join("\n"), "text.txt": ownText(), ...book.files }, words });
  say(ended ? outcome(ended.status, places) : "Stopped. The next run starts afresh.");
}

/** How a run has ended; an error is shown where it is, too.
 * @param {number} status @param {Place[]} places
 */
function outcome(status, places) {
  if (!runs.done()) at("output-fold").setAttribute("open", "");
  if (status === 0) return `Finished${runs.verdict()}`;
  if (status === 130) return `Stopped after step ${runs.done()}${runs.verdict()}`;
  const { message, origin } = told.problem();
  if (origin) {
    column.classList.remove("open");  // on a phone it would cover the line
    complain([origin, message], places);
  }
  return `It ended with an error: ${message}`;
}

const tool = python({
  loading: told.loading,
  started() { say("The program runs…"); },
  lines({ lines }) {
    for (const [line] of lines) {
      const found = runs.hear(line);
      if (found) told.steps(...found);
    }
    told.print(lines);
    runs.draw();
  },
  silent({ seconds }) { say(`Nothing has come from Python for ${seconds} s.`); },
  stopping() { say("It has stopped learning, and writes with what it knows."); },
});

// What goes out, and comes in

/** @param {string} called @param {string} content */
function save(called, content) {
  const anchor = make("a", { href: URL.createObjectURL(new Blob([content], { type: "text/plain" })), download: called });
  anchor.click();
  say(`${called} is downloaded${edits().length ? ", with what is changed" : ""}.`);
  setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
}

async function saveProgram() {
  const found = await tangle();
  if (found?.errors.length) say("There is no program to download: a change has an error.");
  else if (found) save(name, found.program);
}

async function share() {
  const hash = new URLSearchParams(guest?.trial ? { break: guest.trial } : {});
  if (edits().length && !guest?.trial) hash.set("edits", await packed(edits()));
  settings.give(hash);
  setAddress(String(hash) && `#${hash}`);
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied. It holds your changes and settings, but not your text.");
  } catch { say("The address of this page now holds your changes and settings: copy it."); }
  at("status").scrollIntoView({ block: "nearest" });  // it may be out of sight
}

async function arrive() {
  const asked = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const trial = asked.get("break") ?? "", sent = asked.get("edits") ?? "", isKnown = Object.hasOwn(book.experiments, trial);
  settings.take(asked);
  guest = isKnown ? { trial, edits: book.experiments[trial].edits } : null;
  try {
    const found = sent ? await unpacked(sent) : [];
    if (found.length && JSON.stringify(found) !== JSON.stringify(store.read())) guest = { trial: "", edits: found };
  } catch { say("The changes in this link cannot be read: was the link cut off?"); }
  if (trial && !isKnown) say(`The essay has no experiment “${trial}”.`);
  if (guest && !guest.trial) column.classList.add("open");
  show();
  if (asked.has("chunk")) await open(asked.get("chunk") ?? "");
}

run.addEventListener("click", () => act(start));
at("stop").addEventListener("click", () => { say("Stopping…"); tool.stop(); });
link.addEventListener("click", () => withBook(share));
at("save-program").addEventListener("click", () => withBook(saveProgram));
at("save-essay").addEventListener("click", () => withBook(() => save("microgpt.md", now().lines.join("\n"))));
at("widen").addEventListener("click", () => { column.classList.toggle("open"); column.scrollTop = 0; });
page.addEventListener("click", ({ target: clicked }) => {
  const { try: trial, edit: origin } = (/** @type {HTMLElement} */ (clicked)).closest("button")?.dataset ?? {};
  if (trial) withBook(() => { receive({ trial, edits: book.experiments[trial].edits }); return start(); });
  if (origin) withBook(() => open(chunkAt(Number(origin)), Number(origin)));
});
/** @param {number} origin a line of the essay, from 1 */
const chunkAt = (origin) => Object.keys(book.fences).find((key) => (
  book.fences[key].first < origin && origin <= book.fences[key].end)) ?? "";
addEventListener("hashchange", () => { if (location.hash.includes("=")) withBook(arrive); });
store.listen(() => withBook(show));
rest();
run.disabled = false;
if (location.hash.includes("=") || store.read().length) withBook(arrive);
