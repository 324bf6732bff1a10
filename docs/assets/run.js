// The page on which the essay is edited and run: what was changed, the buttons, the curve. Python itself is in run-worker.js.
//
// An essay is its text and what was changed of it: {key of a fence: its new code}. A key is the name of a chunk, and # and
// a number for its later fences. Changes are kept in the browser and can be put into a link; tangle.py judges them.

"use strict";

const at = (id) => document.getElementById(`run-${id}`);
const assets = new URL(".", import.meta.url);
const KEPT = "microgpt-changes", LARGEST = 5e6, PATIENCE = 2000;  // bytes of a text; milliseconds until Python is ended
let essay = [], offer = null, aside = false, samples = [], fences = new Map(), changes = new Map();
let whole = [], runs = 0;
let worker = null, stop = null, losses = [], steps = 0, began = 0, doomed = 0, wanted = "", wrong = null;

// The essay and its changes

const keyOf = (fence) => (fence.number === 1 ? fence.name : `${fence.name}#${fence.number}`);
const original = (key) => {
  const { line, count } = fences.get(key);
  return essay.slice(line - 1, line - 1 + count).join("\n");
};
const codeOf = (key) => changes.get(key) ?? original(key);

function text(source = essay) {
  const lines = [];
  let next = 0;
  for (const fence of fences.values()) {
    lines.push(...source.slice(next, fence.line - 1));
    if (fence.count || changes.has(keyOf(fence))) lines.push(...codeOf(keyOf(fence)).split("\n"));
    next = fence.line - 1 + fence.count;
  }
  return [...lines, ...source.slice(next)].join("\n");
}

// The essay as it is run. Where it was changed, experiments that quote what was changed would not fit any more, so only
// the one that was chosen is left; empty lines stand for the others, and all numbers of lines are what they were.
function textToRun() {
  if (!changes.size) return text();
  const lines = [...essay];
  for (const [name, [first, last]] of Object.entries(offer.experiments)) {
    if (name !== at("break")?.value) lines.fill("", first - 1, last);
  }
  return text(lines);
}

// The fence to which a line of the changed essay belongs, and the number of its line there; null for prose.
function placeOf(number) {
  let shift = 0;
  for (const [key, fence] of fences) {
    const count = changes.has(key) ? changes.get(key).split("\n").length : fence.count;
    const line = number - (fence.line + shift);
    if (line < -1) return null;
    if (line <= count) return { key, line: Math.min(Math.max(line, 0), count - 1) };
    shift += count - fence.count;
  }
  return null;
}

function change(key, code) {
  if (code === original(key)) changes.delete(key);
  else changes.set(key, code);
  keep();
  showChanges();
}

function keep() {
  if (aside) return;  // what was kept before belongs to the essay without an experiment
  const kept = [...changes].map(([key, code]) => [key, original(key), code]);
  try {
    if (kept.length) localStorage.setItem(KEPT, JSON.stringify(kept));
    else localStorage.removeItem(KEPT);
  } catch { /* a browser may forbid it; then they last as long as the page */ }
}

// Takes over changes [[key, original, code], …]; those of what is another text by now are left out. Returns how many.
function takeOver(found) {
  let lost = 0;
  for (const [key, before, code] of found) {
    if (fences.has(key) && original(key) === before) changes.set(key, code);
    else lost += 1;
  }
  return lost;
}

const packed = () => btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(
  [...changes].map(([key, code]) => [key, original(key), code]))))).replaceAll("+", "-").replaceAll("/", "_");
const unpacked = (word) => JSON.parse(new TextDecoder().decode(
  Uint8Array.from(atob(word.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0))));

// What is shown of them

function showChunk(key, line = null) {
  const code = codeOf(key);
  at("chunk").value = key;
  at("editor").value = code;
  at("page").href = new URL(`../${fences.get(key).page}`, assets).href;
  at("undo").disabled = !changes.has(key);
  if (line === null) return;
  const start = code.split("\n").slice(0, line).join("\n").length + (line ? 1 : 0);
  const end = start + code.split("\n")[line].length;
  at("editor").focus();
  at("editor").setSelectionRange(end, end);
  at("editor").scrollIntoView({ block: "nearest" });
}

function showChanges() {
  at("undo").disabled = !changes.has(at("chunk").value);
  at("changes").hidden = !changes.size;
  at("list").replaceChildren(...[...changes.keys()].map((key) => {
    const item = make("div", { className: "run-change" });
    const name = make("button", { type: "button", className: "run-name", textContent: `⟨${titleOf(key)}⟩` });
    name.onclick = () => showChunk(key, 0);
    const undo = make("button", { type: "button", className: "run-name", textContent: "undo" });
    undo.setAttribute("aria-label", `undo the change of ${titleOf(key)}`);
    undo.onclick = () => { change(key, original(key)); showChunk(at("chunk").value); at("changes").hidden || at("list").querySelector("button").focus(); };
    item.append(name, " ", undo, difference(original(key), changes.get(key)));
    return item;
  }));
  for (const option of at("chunk").options) option.textContent = titleOf(option.value) + (changes.has(option.value) ? " (changed)" : "");
}

const titleOf = (key) => fences.get(key).title + (fences.get(key).number > 1 ? ` (${fences.get(key).number})` : "");
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

// Lines that are gone and lines that have come, without those that both have at the beginning and at the end.
function difference(before, after) {
  const [old, now] = [before.split("\n"), after.split("\n")];
  while (old.length && now.length && old[0] === now[0]) { old.shift(); now.shift(); }
  while (old.length && now.length && old.at(-1) === now.at(-1)) { old.pop(); now.pop(); }
  const pre = make("pre", { className: "run-difference" });
  for (const [lines, sign, tag] of [[old, "-", "del"], [now, "+", "ins"]]) {
    for (const line of lines) pre.append(make(tag, { textContent: `${sign}${line}` }), "\n");
  }
  return pre;
}

// Running

function say(message) { at("status").textContent = message; }

function words() {
  const found = [at("program").value];
  if (at("break")?.value) found.push("--break", at("break").value);
  if (at("text").value) found.push("text.txt");
  for (const input of document.querySelectorAll(".run-side input[name]")) {
    const value = input.value.trim();
    if (value && value !== input.defaultValue) found.push(`--${input.name}`, value);
  }
  return ["microgpt.md", "--run", ...found, ...at("more").value.split(/\s+/).filter(Boolean)];
}

async function start(command, made = null) {
  if (!at("start").disabled) {
    [losses, samples, wrong, steps, wanted, doomed] = [[], [], null, 0, made, 0];
    at("output").textContent = "";
    [whole, runs] = [[], runs + 1];
    if (!made) compare(runs).catch(() => { /* then there is nothing to compare with */ });
    at("output").hidden = Boolean(made);
    at("figure").hidden = true;
    const onButton = document.activeElement === at("start");
    at("start").disabled = true;
    at("stop").disabled = false;
    if (onButton) at("stop").focus();
    say(worker ? "It is running." : "Python is being fetched.");
    const files = { "microgpt.md": textToRun(), "text.txt": at("text").value, ...await data() };
    worker ??= begin();
    stop = URL.createObjectURL(new Blob([""]));
    worker.postMessage({ files, words: command, stop, made });
  }
}

let fetchedData = null;
function data() {
  const texts = { "tangle.py": new URL("tangle.txt", assets) };
  for (const name of offer.data) texts[name] = new URL(`../files/${name.split("/").at(-1)}`, assets);
  fetchedData ??= Promise.all(Object.entries(texts).map(async ([name, url]) => [name, await (await fetch(url)).text()]));
  return fetchedData.then(Object.fromEntries);
}

function begin() {
  const made = new Worker(new URL("run-worker.js", assets), { type: "module" });
  made.onmessage = ({ data: message }) => { if (made === worker) hear[message.kind](message); };
  made.onerror = (event) => { if (made === worker) hear.failed({ text: event.message || "the browser has no module workers" }); };
  return made;
}

const hear = {
  loading({ done, total }) {
    Object.assign(at("progress"), { hidden: done >= total, max: total, value: done });
    if (done >= total) say("Python is starting.");
  },
  started() { say("It is running."); began = Date.now(); },
  line({ text: line, error }) {
    const found = /^step +(\d+) \/ +(\d+) \| loss (\S+)/.exec(line);
    if (found) step(Number(found[1]), Number(found[2]), Number(found[3]));
    const sample = /^sample +\d+: (.*)$/.exec(line);
    if (sample) samples.push(sample[1] || "nothing");
    show(line, error);
  },
  stopping() { clearTimeout(doomed); say("It has been stopped, and writes with what it has learned so far."); },
  end({ status, made }) {
    finished();
    if (made) save(wanted.split("/").at(-1), made);
    if (status && status !== 130 && wrong) showChunk(wrong.key, wrong.line);
    if (status === 0) say(`It has ended${verdict()}`);
    else if (status === 130) say(`It was stopped after step ${losses.length}${verdict()}`);
    else if (changes.size && at("output").textContent.includes("stand together at no place")) {
      say("The experiment does not fit what you have changed: undo your change, or choose “as it is”.");
    } else say("It has ended with an error, which the output shows.");
  },
  failed({ text: reason }) { drop(); say(`Python could not be started here: ${reason}`); },
};

function step(number, all, loss) {
  losses.push(loss);
  const left = Math.round((Date.now() - began) / number * (all - number) / 1000);
  if (number % 5 === 0 || number === all) at("step").textContent = `Step ${number} of ${all}, ${left} s left.`;
  steps = all;
  if (number === 1 || number === all || number % 5 === 0) draw();
}

// A line of the output; where it names a line of the essay, with a button that leads there.
function show(line, error) {
  const output = at("output");
  const follows = output.scrollTop + output.clientHeight > output.scrollHeight - 30;
  output.hidden = false;
  const found = /microgpt\.md(:|", line )(\d+)/.exec(line);
  const place = found && placeOf(Number(found[2]));
  const span = make("span", { className: error ? "run-error" : "", textContent: line });
  output.append(span);
  if (place) {
    const button = make("button", { type: "button", className: "run-name", textContent: `⟨${titleOf(place.key)}⟩, line ${place.line + 1}` });
    button.onclick = () => showChunk(place.key, place.line);
    output.append(" ", button);
    if (found[1] !== ":" || !wrong) wrong = place;  // the last line of a traceback, the first of tangle.py's complaints
  }
  output.append("\n");
  if (follows) output.scrollTop = output.scrollHeight;
}

// The losses of the unchanged program with the same flags and text, by the essay's own program in JavaScript, bit by bit.
async function compare(turn) {
  const texts = await data(), flags = {};
  if (!globalThis.microgpt) {
    await new Promise((resolve, reject) => document.head.append(
      make("script", { src: new URL("../files/efficiency/microgpt.js", assets), onload: resolve, onerror: reject })));
  }
  const { begin, train, DEFAULTS } = globalThis.microgpt;
  for (const name of Object.keys(DEFAULTS)) flags[name] = name === "seed" ? BigInt(at(name).value) : Number(at(name).value);
  if (flags.n_embd > 64 || flags.n_layer > 4 || flags.num_steps > 10_000) return;  // it would take too long
  const { model, lessons } = begin(at("text").value || texts["docs/names.txt"], flags), training = train(model, lessons, flags);
  while (turn === runs && whole.length < flags.num_steps) {
    for (const until = performance.now() + 8; performance.now() < until && whole.length < flags.num_steps;) {
      whole.push(training.next().value);
    }
    await new Promise((resolve) => setTimeout(resolve, 12));
  }
}

const meansOf = (values) => values.map((_, i) => {
  const last = values.slice(Math.max(0, i + 1 - Math.min(50, Math.max(5, Math.round(steps / 10)))), i + 1);
  return last.reduce((a, b) => a + b) / last.length;
});

function draw() {
  at("figure").hidden = false;
  const x = (i) => 34 + 360 * (i / Math.max(1, steps - 1)), y = (loss) => 140 - 130 * Math.min(1, Math.max(0, (loss - 1) / 4));
  const points = (values) => values.map((loss, i) => `${x(i).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
  const means = meansOf(losses);
  at("whole").setAttribute("points", points(meansOf(whole.slice(0, steps))));
  at("dots").setAttribute("points", points(losses));
  at("mean").setAttribute("points", points(means));
  at("curve").setAttribute("aria-label", `The loss, step by step: the mean of the last fifty is ${means.at(-1).toFixed(2)} after step ${losses.length}`);
  if (!at("ticks").childNodes.length) {
    for (const loss of [1, 2, 3, 4, 5]) {
      const tick = document.createElementNS("http://www.w3.org/2000/svg", "text");
      tick.setAttribute("x", 26);
      tick.setAttribute("y", y(loss) + 4);
      tick.textContent = loss;
      at("ticks").append(tick);
    }
  }
}

// What came of it: the last losses, beside those of the unchanged program, and the first names.
function verdict() {
  if (!losses.length) return ".";
  const mean = (values) => meansOf(values).at(-1).toFixed(2);
  const other = whole.length >= losses.length ? ` (the unchanged program: ${mean(whole.slice(0, losses.length))})` : "";
  const names = samples.length ? ` It wrote ${samples.slice(0, 4).join(", ")} …` : "";
  return `: the last losses are ${mean(losses)} on average${other}.${names}`;
}

function finished() {
  clearTimeout(doomed);
  at("step").textContent = "";
  if (losses.length) draw();
  URL.revokeObjectURL(stop);
  const lost = [at("stop"), document.body].includes(document.activeElement);
  at("start").disabled = false;
  at("stop").disabled = true;
  if (lost) at("start").focus({ preventScroll: true });
  at("progress").hidden = true;
}

function drop() {
  worker?.terminate();
  worker = null;
  finished();
}

// Python looks for the blob whenever it prints; a program that never prints is ended with all that it knew.
function interrupt() {
  URL.revokeObjectURL(stop);
  at("stop").disabled = true;
  doomed = setTimeout(() => { drop(); say("It did not answer, and was ended; the next run begins anew."); }, PATIENCE);
}

function save(name, content) {
  const link = make("a", { href: URL.createObjectURL(new Blob([content], { type: "text/plain" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function open(file) {
  if (!file) return;
  if (file.size > LARGEST) say(`${file.name} has ${Math.round(file.size / 1e6)} million bytes: take a text of less than ${LARGEST / 1e6} million.`);
  else {
    const content = await file.text();
    if (content.includes("\0") || content.includes("\ufffd")) say(`${file.name} is no UTF-8 text: take a text file, one document a line.`);
    else if (!content.trim()) say(`${file.name} is empty: take a text file, one document a line.`);
    else {
      at("text").value = content;
      say(`${file.name} was read: ${content.trim().split("\n").length} lines.`);
      return;
    }
  }
  at("file").value = "";
}

function experiment(show = true) {
  const option = at("break").selectedOptions[0];
  if (show && option.value) showChunk(offer.experiments[option.value][2]);
  at("experiment").hidden = at("broken").hidden = !option.value;
  if (option.value) {  // its lines, as they stand in the essay
    const [first, last] = offer.experiments[option.value];
    const pre = make("pre", { className: "run-difference" });
    for (const line of essay.slice(first, last - 1)) {
      pre.append(make({ "-": "del", "+": "ins" }[line[0]] ?? "span", { textContent: line }), "\n");
    }
    at("broken").replaceChildren(pre);
  }
  if (option.value) at("experiment").href = new URL(`../${option.dataset.address.slice(2)}`, assets);
}

// Setting up

async function setUp() {
  const [found, source] = await Promise.all(["run.json", "essay.txt"].map(async (name) => (await fetch(new URL(name, assets))).text()));
  offer = JSON.parse(found);
  essay = source.split("\n");
  fences = new Map(offer.fences.map((fence) => [keyOf(fence), fence]));
  at("chunk").append(...[...fences.keys()].map((key) => make("option", { value: key, textContent: titleOf(key) })));
  const asked = new URLSearchParams(location.hash.slice(1));
  let lost = 0;
  aside = asked.has("break") && !asked.has("changes");
  const kept = aside ? [] : JSON.parse(localStorage.getItem(KEPT) ?? "[]");
  if (aside && localStorage.getItem(KEPT)) say("Your own changes are set aside here; without an experiment they are there again.");
  try { lost = takeOver(asked.has("changes") ? unpacked(asked.get("changes")) : kept); } catch { lost = 1; }
  if ([...at("program").options].some((option) => option.value === asked.get("program"))) at("program").value = asked.get("program");
  if (at("break") && [...at("break").options].some((option) => option.value === asked.get("break"))) at("break").value = asked.get("break");
  document.getElementById("run").hidden = false;
  const first = [...changes.keys()][0] ?? [...fences.keys()].find((key) => fences.get(key).count > 3 && !original(key).includes("<<")) ?? [...fences.keys()][0];
  for (const input of document.querySelectorAll(".run-side input[name]")) {
    if (asked.has(input.name)) input.value = asked.get(input.name);
  }
  at("more").value = asked.get("more") ?? "";
  showChunk(fences.has(asked.get("chunk")) ? asked.get("chunk") : first);
  showChanges();
  if (at("break")) experiment(!asked.has("chunk") && !changes.size);
  if (asked.has("chunk")) setTimeout(() => at("editor").scrollIntoView({ block: "center" }));
  if (lost) say("Some changes were made to another version of the essay, and were left out.");
}

document.getElementById("run").addEventListener("submit", (event) => { event.preventDefault(); start(words()); });
at("stop").addEventListener("click", interrupt);
at("chunk").addEventListener("change", () => showChunk(at("chunk").value));
at("editor").addEventListener("input", () => change(at("chunk").value, at("editor").value));
at("editor").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); start(words()); }
});
at("undo").addEventListener("click", () => { change(at("chunk").value, original(at("chunk").value)); showChunk(at("chunk").value); at("editor").focus(); });
at("essay").addEventListener("click", () => save("microgpt.md", text()));
at("download").addEventListener("click", () => start([], `build/${at("program").value}`));
at("link").addEventListener("click", async () => {
  const hash = new URLSearchParams({ program: at("program").value });
  if (at("break")?.value) hash.set("break", at("break").value);
  if (changes.size) hash.set("changes", packed());
  for (const input of document.querySelectorAll(".run-side input[name]")) {
    if (input.value !== input.defaultValue) hash.set(input.name, input.value);
  }
  if (at("more").value) hash.set("more", at("more").value);
  location.hash = hash;
  try { await navigator.clipboard.writeText(location.href); say("The link has been copied: it holds your changes and settings, but not your text."); } catch { say("The address of this page now holds your changes and settings: copy it."); }
});
at("break")?.addEventListener("change", () => experiment());
at("file").addEventListener("change", () => open(at("file").files[0]));
setUp().catch((error) => say(`The essay could not be fetched: ${error.message}`));
