// The page on which the essay is edited and run: the text and its changes, one chunk in a field, the buttons, and the
// output. Python itself is in run-worker.js; the other view, of the whole essay, in run-whole.js.
//
// There is one edited text. Both views show and edit a part of it; everything else is made from it: the changes are its
// differences from the essay as published. Changes are saved in the browser and can be put into a link; tangle.py
// checks them. All modules are loaded by the browser, from beside this one.
//
// Changes from elsewhere, as in a link, are not saved until the reader says so, and saved changes stay. Somebody else's
// program runs only when the reader has seen the difference and says so, and always in a worker that reaches nothing.
// From the worker's messages only text and numbers are taken.

import * as curve from "./run-curve.js";
import { codeField } from "./run-editor.js";
import * as store from "./run-store.js";
import { anchored, differences, fencesOf, headingsOf, moved, packed, partsOf, unpacked, withChanges } from "./run-text.js";
import { element, link, make } from "./run-page.js";
import { wholeEssay } from "./run-whole.js";

/** @typedef {import("./run-text.js").Fence} Fence */
/** @typedef {import("./run-text.js").Change} Change */
/**
 * A chunk as the site knows it.
 * @typedef {{name: string, number: number, title: string, page: string}} Known
 */

const here = new URL("./", import.meta.url);  // beside the other folders of the site
const LARGEST = 5e6, PATIENCE = 2000;  // bytes of a text; milliseconds until Python is ended
const MOST = 2000, BREATH = 20;  // lines of output that are shown, and letters of each; milliseconds for all else
const UNKEPT = "Changes you make here are not saved unless you choose to keep them. Your own changes are set aside.";
const LONGEST = 1e6;  // letters of a link that all browsers take
const at = {
  form: /** @type {HTMLFormElement} */ (document.getElementById("run")),
  start: element("start", HTMLButtonElement), stop: element("stop", HTMLButtonElement),
  status: element("status", HTMLElement),
  step: element("step", HTMLElement), progress: element("progress", HTMLProgressElement),
  byPiece: element("by-piece", HTMLInputElement), byWhole: element("by-whole", HTMLInputElement),
  piece: element("piece", HTMLElement), chunk: element("chunk", HTMLSelectElement),
  page: element("page", HTMLAnchorElement),
  undo: element("undo", HTMLButtonElement),
  link: element("link", HTMLButtonElement), essay: element("essay", HTMLButtonElement),
  download: element("download", HTMLButtonElement), changes: element("changes", HTMLElement),
  title: element("title", HTMLElement), kept: element("kept", HTMLElement), list: element("list", HTMLElement),
  consent: element("consent", HTMLElement), trust: element("trust", HTMLButtonElement),
  adopt: element("adopt", HTMLButtonElement), leave: element("leave", HTMLButtonElement),
  program: element("program", HTMLSelectElement), more: element("more", HTMLInputElement),
  text: element("text", HTMLTextAreaElement), file: element("file", HTMLInputElement),
  output: element("output", HTMLElement),
  ask: element("ask", HTMLElement), beginning: element("beginning", HTMLInputElement),
  heat: element("heat", HTMLInputElement), write: element("write", HTMLButtonElement),
  written: element("written", HTMLElement),
};
const field = codeField("editor", "python", () => start(words())), editor = field.textarea;
const experiments = document.getElementById("run-break") && {  // an essay may have none
  name: element("break", HTMLSelectElement), page: element("experiment", HTMLAnchorElement),
  shown: element("broken", HTMLElement), said: element("with", HTMLElement),
};
const flags = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll(".run-side input[name]"));
let essay = [""], lines = essay;  // as it was published, and as it is
let fences = /** @type {Fence[]} */ ([]), changes = /** @type {Change[]} */ ([]);
let originals = /** @type {Map<string, string>} */ (new Map());  // the code of the pieces as it was published
let offer = /** @type {{fences: Known[], experiments: Record<string, string>, data: string[]}} */ (
  { fences: [], experiments: {}, data: [] });
let known = /** @type {Map<string, Known>} */ (new Map());
let shown = { key: "", first: 0, count: 0, isEmpty: false };  // the piece in the field, and its lines
let origin = /** @type {"kept" | "link" | "experiment" | "overtaken"} */ ("kept");  // of what is here
let strays = /** @type {unknown[]} */ ([]);  // changes, or what should be, that do not fit
let state = /** @type {ReturnType<typeof store.write>} */ ("kept"), isTrusted = false;  // of the own; of somebody else's
let samples = [""], worker = /** @type {Worker | null} */ (null);
let stop = "", doomed = 0, wanted = "", isStopping = false;
let first = { step: 0, time: 0 };  // of the run, when it came
let ran = lines, fencesRun = fences;  // the text that was run last
let wrong = /** @type {number | null} */ (null);  // its line at fault
let isRunning = false, leads = false;  // to the curve, which on a phone is out of sight

// The essay and its changes

/** @param {Known | Fence} fence */
const keyOf = ({ name, number }) => (number === 1 ? name : `${name}#${number}`);
/** @param {Fence} fence */
const codeOf = (fence) => lines.slice(fence.first, fence.end).join("\n");
const pieces = () => fences.filter(({ kind }) => kind === "root" || kind === "definition");
/** @param {string} key */
const pieceOf = (key) => pieces().find((fence) => keyOf(fence) === key);
/** @param {number} line */
const fenceAt = (line) => fences.find(({ start, end }) => start <= line && line <= end);
/** @param {Fence} fence */
const isChanged = (fence) => originals.get(keyOf(fence)) !== codeOf(fence);

/**
 * The text is another one now.
 * @param {string[]} now @param {"piece" | "whole" | ""} view the one in which it was typed
 */
function edit(now, view) {
  if (!isRunning) say("");  // of what was before
  read(now);
  keep();
  showChanges();
  if (view !== "piece") showChunk(shown.key);
  if (view !== "whole") whole.refresh();
}

/** @param {string[]} now */
function read(now) {
  lines = now;
  fences = fencesOf(lines);
  changes = differences(essay, lines);
}

const kept = () => changes.map((change) => anchored(change, essay));

function keep() {
  if (origin !== "kept") return;
  setAddress("changes", "");  // what is here is no longer what a link has brought
  state = store.write([...kept(), ...strays]);
  if (state === "overtaken") origin = state;
  if (state !== "kept") say("Your changes are not saved: see below.");
}

/**
 * Apply kept changes to the essay, and show the result; what does not fit becomes a stray.
 * @param {unknown[]} entries
 */
function take(entries) {
  const { lines: now, lost } = withChanges(entries, essay);
  strays = lost;
  read(now);
}

// Changes from elsewhere join the saved ones; if both are of the same lines, the new one is a stray.
function adopt() {
  const all = new Map([...store.read(), ...kept(), ...strays].map((change) => [JSON.stringify(change), change]));
  take([...all.values()]);
  [origin, isTrusted] = ["kept", true];
  edit(lines, "");
}

/**
 * Writes something into the address of the page, or removes it.
 * @param {string} name @param {string} value
 */
function setAddress(name, value) {
  const hash = new URLSearchParams(location.hash.slice(1));
  if ((hash.get(name) ?? "") === value) return;
  if (value) hash.set(name, value);
  else hash.delete(name);
  history.replaceState(null, "", `${location.pathname}${location.search}${hash.toString() && `#${hash}`}`);
}

// What is shown of them

/** @param {Fence} fence */
const titleOf = (fence) => {
  const fresh = fence.kind === "root" ? fence.name : fence.name.replaceAll("-", " ");
  return (known.get(keyOf(fence))?.title ?? fresh) + (fence.number > 1 ? ` (${fence.number})` : "");
};

/**
 * Shows a chunk, perhaps with the caret at the end of one of its lines.
 * @param {string} key @param {number | null} line
 */
function showChunk(key, line = null) {
  const fence = pieceOf(key) ?? pieces()[0];
  const code = fence ? codeOf(fence) : "";
  editor.disabled = !fence;
  at.undo.disabled = true;
  field.setOptions({ value: code });
  if (!fence) return;
  shown = { key: keyOf(fence), first: fence.first, count: fence.end - fence.first, isEmpty: fence.end === fence.first };
  at.chunk.value = shown.key;
  const page = known.get(shown.key)?.page;
  at.page.hidden = page === undefined;
  at.page.href = new URL(`../${page ?? ""}`, here).href;
  at.undo.disabled = !originals.has(shown.key) || !isChanged(fence);
  if (line === null) return;
  const end = code.split("\n").slice(0, line + 1).join("\n").length;
  editor.focus();
  editor.setSelectionRange(end, end);
  field.update();
  field.show(line);
  field.container.scrollIntoView({ block: "nearest" });
}

// The field has lines of the text, whatever they are: a fence closed too early must not lose its rest.
function typed() {
  const { first, count, isEmpty } = shown, now = isEmpty && !editor.value ? [] : editor.value.split("\n");
  edit([...lines.slice(0, first), ...now, ...lines.slice(first + count)], "piece");
  shown.count = now.length;
}

function undoPiece() {
  field.setOptions({ value: originals.get(shown.key) ?? editor.value });
  typed();
  showChunk(shown.key);
  editor.focus();
}

function showChanges() {
  const fence = pieceOf(shown.key);
  at.undo.disabled = !fence || !originals.has(shown.key) || !isChanged(fence);
  showOrigin();
  at.list.replaceChildren(...changes.map((change) => {
    const name = nameOf(change.at);
    return entry(`undo the change of ${name}`, [link(name, () => leadTo(change.at))], difference(change), () => {
      edit([...lines.slice(0, change.at), ...change.before, ...lines.slice(change.at + change.after.length)], "");
    });
  }), ...strays.map((stray) => {
    const lines = partsOf(stray)?.flatMap((part, i) => part.map((line) => "-+"[i] + line));
    const text = lines?.join("\n") ?? (typeof stray === "string" ? stray : JSON.stringify(stray));
    const words = lines ? "A change that does not fit, or conflicts with others: " : "A change that cannot be read: ";
    const title = [words, link("download", () => save("change.txt", text))];
    const shown = make("pre", { className: "run-difference", textContent: text.slice(0, MOST) });
    return entry("remove what does not fit", title, shown, () => {
      strays = strays.filter((other) => other !== stray);
      keep();
      showChanges();
    });
  }));
  showPieces();
}

/**
 * A change in the list, which can be undone.
 * @param {string} label @param {(Node | string)[]} title @param {Node} shown @param {() => void} undo
 */
function entry(label, title, shown, undo) {
  const button = link(label.split(" ")[0], () => { undo(); at.list.querySelector("button")?.focus(); });
  button.setAttribute("aria-label", label);
  return make("div", { className: "run-change" }, ...title, " ", button, shown);
}

const isForeign = () => origin === "link" && !isTrusted && changes.length > 0;

// Whose changes these are, and whether they are kept.
function showOrigin() {
  const words = {
    kept: state !== "refused" ? "" :
      "They are not saved: this browser has no room for them, or saves nothing. Copy a link, or download microgpt.md.",
    link: UNKEPT,
    experiment: UNKEPT,
    overtaken: "Another tab has saved changes, so this tab has stopped saving.",
  };
  at.kept.textContent = words[origin];
  if (origin !== "link") at.title.textContent = "Your changes";
  at.changes.hidden = !changes.length && !strays.length && origin === "kept";
  at.consent.hidden = origin === "kept";
  at.trust.hidden = !isForeign();
  at.adopt.hidden = !changes.length && !strays.length;
}

// The chunks to choose from: those of the text as it is.
function showPieces() {
  const keys = pieces().map(keyOf);
  if ([...at.chunk.options].map(({ value }) => value).join("\n") !== keys.join("\n")) {
    at.chunk.replaceChildren(...keys.map((value) => make("option", { value })));
    at.chunk.value = shown.key;
  }
  pieces().forEach((fence, i) => {
    const text = titleOf(fence) + (isChanged(fence) ? (originals.has(keyOf(fence)) ? " (changed)" : " (new)") : "");
    if (at.chunk.options[i].textContent !== text) at.chunk.options[i].textContent = text;
  });
}

/**
 * The owner of a line: a chunk, or the text below a heading.
 * @param {number} line
 */
function nameOf(line) {
  const fence = fenceAt(line);
  if (fence && pieces().includes(fence)) return `⟨${titleOf(fence)}⟩`;
  return headingsOf(lines, fences).filter((heading) => heading.line <= line).at(-1)?.title ?? "the beginning";
}

/** @param {Change} change */
function difference({ before, after }) {
  const pre = make("pre", { className: "run-difference" });
  for (const line of before) pre.append(make("del", { textContent: `-${line}` }), "\n");
  for (const line of after) pre.append(make("ins", { textContent: `+${line}` }), "\n");
  return pre;
}

/**
 * Leads to a line of the text: in its chunk, or in the whole essay.
 * @param {number} line
 */
function leadTo(line) {
  const fence = fenceAt(line);
  if (at.byPiece.checked && fence && pieces().includes(fence)) {
    showChunk(keyOf(fence), Math.max(0, Math.min(line, fence.end - 1) - fence.first));
  } else {
    choose("whole");
    whole.goTo(line);
  }
}

/**
 * Chooses one of the two views.
 * @param {string} view
 */
function choose(view) {
  at.byWhole.checked = view === "whole";
  at.byPiece.checked = !at.byWhole.checked;
  at.piece.hidden = at.byWhole.checked;
  setAddress("view", at.byWhole.checked ? view : "");
  if (at.byWhole.checked) whole.show();
  else {
    whole.hide();
    showChunk(shown.key);
  }
}

// Running

/** @param {string} message */
function say(message) { at.status.textContent = message; }

function words() {
  const found = [at.program.value];
  if (experiments?.name.value) found.push("--break", experiments.name.value);
  if (at.text.value) found.push("text.txt");
  for (const input of flags) {
    const value = input.value.trim();
    if (value && value !== input.defaultValue) found.push(`--${input.name}`, value);
  }
  return ["microgpt.md", "--run", ...found, ...at.more.value.split(/\s+/).filter(Boolean)];
}

/** @param {string[]} command @param {string} made a file that it makes, and that is to be saved */
async function start(command, made = "") {
  if (isRunning) return;
  if (!made && isForeign()) {  // the difference comes before it
    at.changes.scrollIntoView({ block: "center" });
    at.trust.focus({ preventScroll: true });
    return;
  }
  [isRunning, samples, wrong, ran, fencesRun, wanted, doomed] = [true, [], null, lines, fences, made, 0];
  [isStopping, first] = [false, { step: 0, time: 0 }];
  at.output.textContent = "";
  at.ask.hidden = true;
  const turn = curve.clear();
  at.output.hidden = Boolean(made);
  leads = document.activeElement === at.start || document.activeElement === at.trust;
  at.start.disabled = true;
  at.stop.disabled = false;
  if (leads) at.stop.focus({ preventScroll: true });
  say(worker ? "Running…" : "Loading Python…");
  let found;
  try {
    found = await data();
  } catch (error) {
    hear.failed({ text: String(error) });
    return;
  }
  if (!made) {
    const flag = (/** @type {string} */ name) => element(name, HTMLInputElement).value;
    const text = at.text.value || found["docs/names.txt"];
    curve.compare(turn, text, flag).catch(() => { /* then there is nothing to compare with */ });
  }
  worker ??= begin();
  stop = URL.createObjectURL(new Blob([""]));
  const files = { "microgpt.md": lines.join("\n"), "text.txt": at.text.value, ...found };
  worker.postMessage({ files, words: command, stop, made: made || null });
  whole.begun();
}

/** @param {string | URL} address */
async function fetched(address) {
  const response = await fetch(new URL(address, here));
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${response.statusText}`);
  return response.text();
}

let fetchedData = /** @type {Promise<Record<string, string>> | null} */ (null);
function data() {
  const places = { "tangle.py": "tangle.txt",
    ...Object.fromEntries(offer.data.map((name) => [name, `../files/${name.split("/").at(-1)}`])) };
  fetchedData ??= Promise.all(Object.entries(places).map(async ([name, place]) => [name, await fetched(place)]))
    .then(Object.fromEntries);
  fetchedData.catch(() => { fetchedData = null; });  // the next one may try again
  return fetchedData;
}

// A worker from an address would not have the Content-Security-Policy of this page; one from a blob has it.
function begin() {
  const code = `import ${JSON.stringify(new URL("run-worker.js", here).href)};`;
  const made = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
  made.onmessage = ({ data: message }) => {
    const kind = /** @type {keyof typeof hear} */ (message.kind);
    if (made === worker && Object.hasOwn(hear, kind)) hear[kind](message);
  };
  made.onerror = (event) => {
    if (made === worker) hear.failed({ text: event.message || "a script could not be loaded; reload this page" });
  };
  return made;
}

const hear = {
  /** @param {{done: number, total: number}} message */
  loading({ done, total }) {
    Object.assign(at.progress, { hidden: done >= total, max: total, value: done });
    say(done >= total ? "Starting Python…" : "Loading Python…");
  },
  started() { say("Running…"); },
  /** @param {{lines: [string, boolean][], seen: string}} message */
  lines({ lines: printed, seen }) {
    const { output } = at, follows = output.scrollTop + output.clientHeight > output.scrollHeight - 30;
    for (const [line, error] of printed) {
      const found = /^step +(\d+) \/ +(\d+) \| loss (\S+)/.exec(line);
      if (found) step(Number(found[1]), Number(found[2]), Number(found[3]));
      const sample = /^sample +\d+: (.*)$/.exec(line);
      if (sample && samples.length < MOST) samples.push(sample[1] || "nothing");
      show(line, error);
    }
    output.hidden = !output.childElementCount;
    for (let more = output.childElementCount - MOST; more > 0; more--) output.firstElementChild?.remove();
    if (output.childElementCount === MOST) output.children[0].textContent = "… (earlier lines are not shown)\n";
    if (follows) output.scrollTop = output.scrollHeight;
    curve.draw();
    setTimeout(() => URL.revokeObjectURL(seen), BREATH);
  },
  stopping() {
    clearTimeout(doomed);
    [isStopping, at.stop.disabled] = [true, false];  // it may go on all the same
    say("Training has stopped; the program now writes with what it has learned so far.");
  },
  /** @param {{status: number, made: string | null, writes: boolean}} message */
  end({ status, made, writes }) {
    if (!isRunning) return;
    finished();
    at.ask.hidden = !writes || Boolean(wanted);
    at.written.replaceChildren();
    if (leads && status) at.output.scrollIntoView({ block: "nearest" });
    if (wanted && made && !status) {
      save(wanted.split("/").at(-1) ?? "", made);
      return;
    }
    if (status && status !== 130 && wrong !== null) leadTo(moved(wrong, differences(ran, lines)));
    if (status === 0) say(`Finished${curve.verdict(samples)}`);
    else if (status === 130) say(`Stopped after step ${curve.done()}${curve.verdict(samples)}`);
    else if (changes.length && at.output.textContent?.includes(`: experiment ${experiments?.name.value}: `)) {
      say("The experiment does not fit your changes: undo your change, or choose “as it is”.");
    } else say("The program ended with an error: see the output.");
    if (experiments?.name.value && (status === 0 || status === 130)) {
      const { href, target } = experiments.page;
      at.status.append(" ", make("a", { href, target, textContent: "Compare with the measurements (in a new tab)." }));
    }
  },
  /** @param {import("./run-whole.js").Tangled} message */
  tangled(message) {
    if (/^(Loading |Starting )?Python/.test(at.status.textContent ?? "")) say("");  // it has started
    whole.hear(message);
  },
  /** @param {{text?: string, problem?: string}} message */
  wrote({ text = "", problem }) {
    clearTimeout(doomed);
    at.write.disabled = false;
    const [className, textContent] = problem ? ["run-error", problem] : ["", text || "nothing"];
    at.written.prepend(make("span", { className, textContent }), " ");
  },
  /** @param {{errors: [number, string][]}} message */
  checked(message) { whole.hearDoubts(message); },
  /** @param {{text: string}} message */
  failed({ text: reason }) { drop(false); say(`Python failed: ${reason}`); },
};

/** @param {number} number @param {number} all @param {number} loss */
function step(number, all, loss) {
  if (!first.step) first = { step: number, time: Date.now() };
  const left = Math.round((Date.now() - first.time) / (number - first.step) * (all - number) / 1000);
  const isTold = number > first.step && (number % 5 === 0 || number === all);
  if (isTold) at.step.textContent = `Step ${number} of ${all}, ${left} s left.`;
  curve.add(all, loss);
  if (!leads) return;
  leads = false;
  curve.draw();
  element("figure", HTMLElement).scrollIntoView({ block: "nearest" });
}

/**
 * A line of the output; if it names a line of the essay, with a button that leads there.
 * @param {string} line @param {boolean} error
 */
function show(line, error) {
  const textContent = line.length > MOST ? `${line.slice(0, MOST)} …` : line;
  const shown = make("span", { className: error ? "run-error" : "", textContent });
  const found = /microgpt\.md(:|", line )(\d+)/.exec(line);
  if (found) {
    const text = ran, number = Number(found[2]) - 1;
    const fence = fencesRun.find(({ start, end }) => start <= number && number <= end);
    const inPiece = fence && ["root", "definition"].includes(fence.kind);
    const inside = inPiece && `⟨${titleOf(fence)}⟩, line ${Math.max(1, number - fence.first + 1)}`;
    shown.append(" ", link(inside || `line ${number + 1}`, () => leadTo(moved(number, differences(text, lines)))));
    if (found[1] !== ":" || wrong === null) wrong = number;  // a traceback's last line, or tangle.py's first complaint
  }
  shown.append("\n");
  at.output.append(shown);
}

function finished() {
  clearTimeout(doomed);
  isRunning = false;
  at.step.textContent = "";
  curve.draw();
  URL.revokeObjectURL(stop);
  const lost = document.activeElement === at.stop || document.activeElement === document.body;
  at.start.disabled = at.write.disabled = false;
  at.stop.disabled = true;
  if (lost) at.start.focus({ preventScroll: true });
  at.progress.hidden = true;
}

/**
 * Ends Python; another one is started when it is needed, unless there can be none.
 * @param {boolean} another
 */
function drop(another = true) {
  worker?.terminate();
  worker = null;
  at.ask.hidden = true;
  finished();
  whole.lost(another);
}

// Python looks for the blob whenever it prints; a program that never prints, or does not mind, is ended with all it knew.
function interrupt() {
  if (isStopping) {
    drop();
    say("Stopped; the next run starts afresh.");
    return;
  }
  URL.revokeObjectURL(stop);
  at.stop.disabled = true;
  endUnlessItAnswers();
}

function endUnlessItAnswers() {
  doomed = window.setTimeout(() => { drop(); say("No response, so it was stopped; the next run starts afresh."); }, PATIENCE);
}

// The model that was trained last writes one more document; a changed program may never end.
function write() {
  if (!worker || at.write.disabled) return;
  if (!at.heat.value || !at.heat.checkValidity()) {
    hear.wrote({ problem: `The temperature must be a number from ${at.heat.min} to ${at.heat.max}.` });
    return;
  }
  at.write.disabled = true;
  endUnlessItAnswers();
  worker.postMessage({ files: {}, beginning: at.beginning.value, temperature: Number(at.heat.value) });
}

/** @param {string} name @param {string} content */
function save(name, content) {
  const anchor = make("a", { href: URL.createObjectURL(new Blob([content], { type: "text/plain" })), download: name });
  anchor.click();
  say(`Saving ${name}…`);
  setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
}

/** @param {File | undefined} file */
async function open(file) {
  if (!file) return;
  if (file.size > LARGEST) {
    const size = Math.round(file.size / 1e6);
    say(`${file.name} has ${size} million bytes: choose a text of less than ${LARGEST / 1e6} million.`);
  } else {
    const bytes = await file.arrayBuffer();
    let content = "\0";
    try { content = new TextDecoder("utf-8", { fatal: true }).decode(bytes); } catch { /* no text */ }
    if (content.includes("\0")) say(`${file.name} is not UTF-8 text: choose a text file with one document per line.`);
    else if (!content.trim()) say(`${file.name} is empty: choose a text file with one document per line.`);
    else {
      at.text.value = content;
      say(`${file.name} was read: ${content.trim().split(/\r\n?|\n/).length} lines.`);
      return;
    }
  }
  at.file.value = "";
}

function experiment(leads = true) {
  if (!experiments) return;
  const option = experiments.name.selectedOptions[0], name = option.value;
  if (leads && name) showChunk(offer.experiments[name]);
  experiments.page.hidden = experiments.shown.hidden = !name;
  experiments.said.textContent = name ? `With the experiment “${option.textContent}”` : "";
  const fence = fences.find((one) => one.kind === "experiment" && one.name === name);
  if (!fence) return;
  const pre = make("pre", { className: "run-difference" });  // its lines, as they stand in the essay
  for (const line of lines.slice(fence.first, fence.end)) {
    pre.append(make(line[0] === "-" ? "del" : line[0] === "+" ? "ins" : "span", { textContent: line }), "\n");
  }
  const means = "The field below shows the chunk as it is. When it runs, these lines are replaced:";
  experiments.shown.replaceChildren(make("p", { className: "run-meaning", textContent: means }), pre);
  experiments.page.href = new URL(`../${option.dataset.address?.slice(2)}`, here).href;
}

// Setting up

const whole = wholeEssay({
  lines: () => lines,
  edit: (now) => edit(now, "whole"),
  isLoaded: () => worker !== null,
  isRunning: () => isRunning,
  run: () => start(words()),
  tangle: (text, program) => {
    data().then((files) => {
      worker ??= begin();
      worker.postMessage({ files: { "tangle.py": files["tangle.py"] }, text: text.join("\n"), program });
    }, (error) => hear.failed({ text: String(error) }));
  },
});

/** @param {HTMLSelectElement | undefined} select @param {string | null} value */
function set(select, value) {
  if (select && value !== null && [...select.options].some((option) => option.value === value)) select.value = value;
}

async function setUp() {
  const [found, source] = await Promise.all(["run.json", "essay.txt"].map(fetched));
  offer = JSON.parse(found);
  known = new Map(offer.fences.map((fence) => [keyOf(fence), fence]));
  essay = source.split("\n");
  read(essay);
  originals = new Map(pieces().map((fence) => [keyOf(fence), codeOf(fence)]));
  const asked = new URLSearchParams(location.hash.slice(1)), link = asked.get("changes"), before = store.read();
  take(before);
  const own = lines.join("\n");
  let message = "";
  try {
    const brought = withChanges(link ? unpacked(link) : before, essay);
    if (link && (brought.lost.length || brought.lines.join("\n") !== own)) {
      [origin, strays] = ["link", brought.lost];
      read(brought.lines);
      const names = [...new Set(changes.map((change) => nameOf(change.at)))].join(", ");
      at.title.textContent = `Somebody sent you a change${names && ` to ${names}`}`;
    }
  } catch { message = "The changes in this link cannot be read: was the link cut off?"; }
  if (asked.has("break") && !link && before.length) {
    take([]);
    origin = "experiment";
  }
  if (origin !== "kept") at.form.querySelector(".run-bar")?.after(at.changes);
  set(at.program, asked.get("program"));
  set(experiments?.name, asked.get("break"));
  at.form.hidden = false;
  element("waiting", HTMLElement).remove();
  for (const input of flags) input.value = asked.get(input.name)?.slice(0, input.maxLength) ?? input.value;
  at.more.value = asked.get("more") ?? "";
  showPieces();
  const changed = pieces().find((fence) => isChanged(fence));
  const simple = pieces().find((fence) => fence.end - fence.first > 3 && !codeOf(fence).includes("<<"));
  const first = changed ?? simple ?? pieces()[0];
  showChunk(asked.get("chunk") ?? "");
  if (shown.key !== asked.get("chunk")) showChunk(first && keyOf(first));
  showChanges();
  experiment(!asked.has("chunk") && !changes.length);
  if (asked.has("chunk")) setTimeout(() => field.container.scrollIntoView({ block: "center" }));
  if (asked.get("view") === "whole") choose("whole");
  say(message);
}

async function share() {
  const hash = new URLSearchParams({ program: at.program.value });
  if (at.byWhole.checked) hash.set("view", "whole");
  if (experiments?.name.value) hash.set("break", experiments.name.value);
  if (changes.length) hash.set("changes", packed(kept()));
  for (const input of flags) {
    if (input.value !== input.defaultValue) hash.set(input.name, input.value);
  }
  if (at.more.value) hash.set("more", at.more.value);
  if (hash.toString().length > LONGEST) {
    say("Your changes are too long for a link that browsers would open: download microgpt.md.");
    return;
  }
  location.hash = hash.toString();
  try {
    await navigator.clipboard.writeText(location.href);
    say("Link copied. It holds your changes and settings, but not your text.");
  } catch { say("The address of this page now holds your changes and settings: copy it."); }
}

at.form.addEventListener("submit", (event) => { event.preventDefault(); start(words()); });
at.stop.addEventListener("click", interrupt);
at.chunk.addEventListener("change", () => showChunk(at.chunk.value));
editor.addEventListener("input", typed);
at.byPiece.addEventListener("change", () => choose("piece"));
at.byWhole.addEventListener("change", () => choose("whole"));
at.undo.addEventListener("click", undoPiece);
at.essay.addEventListener("click", () => save("microgpt.md", lines.join("\n")));
at.download.addEventListener("click", () => start([], `build/${at.program.value}`));
at.write.addEventListener("click", write);
at.beginning.addEventListener("keydown", (event) => {
  if (event.key === "Enter") { event.preventDefault(); write(); }  // and not another run
});
at.link.addEventListener("click", share);
at.adopt.addEventListener("click", adopt);
at.leave.addEventListener("click", () => {
  history.replaceState(null, "", location.pathname);
  location.reload();
});
at.trust.addEventListener("click", () => {
  isTrusted = true;
  start(words());
  showOrigin();
});
experiments?.name.addEventListener("change", () => experiment());
at.file.addEventListener("change", () => open(at.file.files?.[0]));
setUp().catch(({ message }) => {
  element("waiting", HTMLElement).textContent = `The page could not be loaded: ${message}`;
});
