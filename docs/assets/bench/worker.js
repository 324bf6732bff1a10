// Python, in a thread of its own: fetches Pyodide, lets tangle.py run a program of an essay, and reports what it prints;
// or lets it tangle an essay, and answers with a program and the errors.
//
// The page sends {files, words, stop}: {path: text} and the arguments of tangle.py. This sends back messages of a kind:
// "loading" (how many bytes are there), "started", "lines" (output, and whether it was an error), "stopping", and "end"
// (the exit status) or "failed".
//
// A worker that computes hears nothing, but it can check whether a blob exists. `stop` is the address of one: as soon
// as the page revokes it, Python is interrupted as by Ctrl-C. Each message of lines has the address of another, which
// the page revokes when it has shown them: a program that prints faster waits for that. Both are looked up when the
// program prints.
//
// Or it sends {files, text, program}: an essay, of which it wants to see a program; then this sends "tangled". Or, after
// a run, {files, beginning, temperature}; then this sends "wrote", with a document that the model of that run has
// written. What it is asked is done in turn.

import { loadPyodide } from "../../assets/pyodide/pyodide.mjs";

const { Blob, TextDecoder, URL, XMLHttpRequest } = globalThis, send = postMessage;
const LEFT = new Set((  // to a program, which may be somebody else's: the language, and what Python needs while it runs
  "AggregateError Array ArrayBuffer Atomics BigInt BigInt64Array BigUint64Array Boolean DataView Date Error EvalError " +
  "FinalizationRegistry Float32Array Float64Array Function Infinity Int16Array Int32Array Int8Array Intl JSON Map Math " +
  "NaN Number Object Promise Proxy RangeError ReferenceError Reflect RegExp Set SharedArrayBuffer String Symbol " +
  "SyntaxError TypeError URIError Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakRef WeakSet " +
  "WebAssembly clearTimeout console crypto decodeURI decodeURIComponent encodeURI encodeURIComponent escape eval " +
  "globalThis isFinite isNaN parseFloat parseInt performance setTimeout undefined unescape TextDecoder TextEncoder"
).split(" "));
const PYODIDE = new URL("../../assets/pyodide/", import.meta.url).href;
const FILES = {  // bytes
  "pyodide.asm.wasm": 9598218, "python_stdlib.zip": 2545637, "pyodide.asm.mjs": 1250344, "pyodide-lock.json": 121,
};
const HERE = "/essay";  // in a file system of its own, in memory
const OFTEN = 100, LITTLE = 5;  // milliseconds between two looks, and messages that are sent at once until the next
const LINES = 200, LETTERS = 20_000;  // of a message, at most
const interrupt = new Uint8Array(1);
/** @type {Pyodide} */
let python;  // as soon as it is loaded
/** @type {(words: unknown) => number} */
let run;  // of worker.py, as are the next three
/** @type {any} */
let Tangler;
/** @type {() => boolean} */
let canWrite;
/** @type {(beginning: string, temperature: number) => string} */
let writeDocument;  // what it has written, as JSON
let stop = "", stopping = false, looked = 0, spare = 0;
const decoders = [new TextDecoder(), new TextDecoder()], rests = ["", ""];  // of stdout and stderr: lines without an end
let lines = /** @type {[string, boolean][]} */ ([]), letters = 0, unseen = "";  // unseen: what was sent last
/** @type {any} */
let tangler = null;
/** @type {Promise<void>} */
let turn = Promise.resolve();  // the work so far

/** @param {string | URL} address @param {(bytes: number) => void} [report] */
async function fetched(address, report) {
  const response = await fetch(address), parts = [];
  if (!response.ok || !response.body) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    report?.(part.value.length);
    parts.push(part.value);
  }
  return new Blob(parts);
}

async function load() {
  const total = Object.values(FILES).reduce((a, b) => a + b);
  let done = 0;
  const report = (/** @type {number} */ bytes) => send({ kind: "loading", done: done += bytes, total });
  const start = await fetched(new URL("worker.py", import.meta.url));
  const held = new Map(await Promise.all(Object.keys(FILES).map(async (name) => (
    /** @type {[string, Blob]} */ ([`${PYODIDE}${name}`, await fetched(`${PYODIDE}${name}`, report)])))));
  send({ kind: "loading", done: total, total });
  const options = { headers: { "Content-Type": "application/wasm" } };  // some servers send another
  globalThis.fetch = async (address) => new Response(held.get(String(address)), options);
  python = await loadPyodide({ indexURL: PYODIDE, jsglobals: Object.create(null) });
  python.setInterruptBuffer(interrupt);
  python.setStdout({ write: (bytes) => print(bytes, 0) });
  python.setStderr({ write: (bytes) => print(bytes, 1) });
  [run, Tangler, canWrite, writeDocument] = python.runPython(await start.text());
  takeAway();
}

// The page's Content-Security-Policy, which a worker from a blob has as well, is the other wall around a program.
function takeAway() {
  for (let scope = globalThis; scope !== Object.prototype; scope = Object.getPrototypeOf(scope)) {
    for (const name of Reflect.ownKeys(scope)) {
      if (LEFT.has(String(name)) || Reflect.deleteProperty(scope, name)) continue;
      if (Reflect.get(scope, name) instanceof Object) throw new Error(`${String(name)} cannot be taken away`);
    }
  }
}

/** @param {Uint8Array} bytes @param {number} error */
function print(bytes, error) {
  const parts = (rests[error] + decoders[error].decode(bytes, { stream: true })).split("\n");
  const isLong = parts[parts.length - 1].length > LETTERS;
  rests[error] = isLong ? "" : parts.pop() ?? "";
  for (const line of parts) {
    lines.push([line, Boolean(error)]);
    letters += line.length;
    report();
  }
  return bytes.length;
}

// Sends the output: at once if it is short, since nobody knows when a program prints again; otherwise as much as the
// page can show, for which a fast program waits.
function report() {
  const isFull = () => lines.length >= LINES || letters >= LETTERS;
  if (!isFull() && Date.now() - looked < OFTEN) {
    if (spare-- > 0) sendLines();
    return;
  }
  do {
    if (stop && !stopping && !isThere(stop)) {
      stopping = true;
      send({ kind: "stopping" });
      interrupt[0] = 2;  // SIGINT
    }
    spare = isFull() ? 0 : LITTLE;
    looked = Date.now();
    if (!unseen || !isThere(unseen)) sendLines();
  } while (isFull());
}

function sendLines() {
  if (unseen) URL.revokeObjectURL(unseen);
  unseen = URL.createObjectURL(new Blob([]));
  send({ kind: "lines", lines, seen: unseen });
  [lines, letters] = [[], 0];
}

/** @param {string} blob its address */
function isThere(blob) {
  const request = new XMLHttpRequest();
  try {
    request.open("GET", blob, false);
    request.send();
    return request.status === 200;
  } catch {
    return false;
  }
}

/** @param {Record<string, string>} files */
function write(files) {
  for (const [path, text] of Object.entries(files)) {
    const folder = `${HERE}/${path}`.replace(/\/[^/]*$/, "");
    python.FS.mkdirTree(folder);
    python.FS.writeFile(`${HERE}/${path}`, text);
  }
  python.FS.chdir(HERE);
}

/** @typedef {{ words?: string[], stop?: string, text: string, program: string,
 *              beginning?: string, temperature: number, files: Record<string, string> }} Job */

/** @param {Job} job */
function runProgram({ words }) {
  send({ kind: "started" });
  let status = 1;
  try {
    status = run(python.toPy(words));
  } finally {
    for (const error of [0, 1]) if (rests[error]) print(new Uint8Array([10]), error);
    sendLines();
  }
  send({ kind: "end", status, writes: canWrite() });
}

/** @param {Job} job */
function tangle({ text, program }) {
  tangler ??= Tangler();
  send({ kind: "tangled", ...JSON.parse(tangler.answer(text, program)) });
}

/** @param {Job} data */
async function work(data) {
  try {
    if (!python) await load();
    write(data.files);
    interrupt[0] = 0;
    [stop, stopping] = [data.stop ?? "", false];
    if (data.words) runProgram(data);
    else if (data.beginning !== undefined) {
      send({ kind: "wrote", ...JSON.parse(writeDocument(data.beginning, data.temperature)) });
    } else tangle(data);
  } catch (error) {
    send({ kind: "failed", text: error instanceof Error ? error.message : String(error) });
  }
}

onmessage = ({ data }) => {
  turn = turn.then(() => work(data));
};
