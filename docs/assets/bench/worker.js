// Python, in a thread of its own: fetches Pyodide, and does what the page asks for, in turn.
//
// The page sends {id, files, words, stop}, files as {path: text}, to let tangle.py run a program of an essay; or
// {id, files, text, program}, to let it make that program, and find the errors. This sends back messages of a kind:
// "answer", with the id, or "failed", and meanwhile "loading" (how many bytes are there), "started", "lines" (of output,
// and whether each is an error) and "stopping".
//
// A worker that computes hears nothing, but whenever the program prints it can look whether a blob is there: `stop` is
// the address of one, and as soon as the page revokes it, Python is interrupted as by Ctrl-C.

import { loadPyodide } from "../../assets/pyodide/pyodide.mjs";

const { XMLHttpRequest } = globalThis, send = postMessage;
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
const OFTEN = 100, LITTLE = 5;  // milliseconds between two looks, and messages that are sent until the next
const LINES = 5000, LETTERS = 100_000;  // of a message, at most: the page must be able to show what is printed
const interrupt = new Uint8Array(1);
/** @type {Pyodide} */
let python;  // as soon as it is loaded
/** @type {(words: unknown) => number} */
let run;  // of worker.py, as is the next one, which answers in JSON
/** @type {(text: string, program: string) => string} */
let tangle;
let stop = "", looked = 0, sent = 0;  // stop is empty when the program has been interrupted; sent: messages since the look
let lines = /** @type {[string, boolean][]} */ ([]), letters = 0;
/** @type {Promise<void>} */
let turn = Promise.resolve();  // the work so far

/** @param {string | URL} address @param {(bytes: number) => void} [report] */
async function fetched(address, report = () => {}) {
  const response = await fetch(address);
  if (!response.ok || !response.body) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  const counter = new TransformStream({ transform(part, rest) { report(part.length); rest.enqueue(part); } });
  return new Response(response.body.pipeThrough(counter)).blob();
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
  python.setStdout({ batched: (line) => print(line, false) });
  python.setStderr({ batched: (line) => print(line, true) });
  [run, tangle] = python.runPython(await start.text());
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

// What a program prints faster than a page can show it is left out.
/** @param {string} line @param {boolean} isError */
function print(line, isError) {
  const isFull = () => lines.length > LINES || letters > LETTERS;
  if (!isFull()) {
    lines.push([line, isError]);
    letters += line.length;
    if (isFull()) lines.push(["… (it prints faster than can be shown)", false]);
  }
  look();
}

// Sends the output at once, since nobody knows when a program prints again, but not too often.
function look() {
  if (Date.now() - looked >= OFTEN) {
    [looked, sent] = [Date.now(), 0];
    if (stop && !isThere(stop)) {
      stop = "";
      send({ kind: "stopping" });
      interrupt[0] = 2;  // SIGINT
    }
  }
  if (sent < LITTLE) sendLines();
}

function sendLines() {
  send({ kind: "lines", lines });
  [lines, letters, sent] = [[], 0, sent + 1];
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

/** @param {unknown} words the arguments of tangle.py */
function runProgram(words) {
  send({ kind: "started" });
  try {
    return { status: run(python.toPy(words)) };
  } finally { sendLines(); }
}

/** @typedef {{ id: number, files: Record<string, string>, stop: string, words?: string[],
 *              text: string, program: string }} Job */

/** @param {Job} job */
async function work({ id, files, words, text, program, ...given }) {
  try {
    if (!python) await load();
    write(files);
    interrupt[0] = 0;
    stop = given.stop;
    send({ kind: "answer", id, ...(words ? runProgram(words) : JSON.parse(tangle(text, program))) });
  } catch (error) {
    send({ kind: "failed", text: error instanceof Error ? error.message : String(error) });
  }
}

onmessage = ({ data }) => {
  turn = turn.then(() => work(data));
};
