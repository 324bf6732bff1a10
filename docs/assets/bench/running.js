// Python in its worker, as the page uses it: what is asked of it, and what is heard. From its messages only text and
// numbers are taken, and only what was asked for.

const PATIENCE = 2000, BREATH = 20;  // milliseconds until Python is ended, and between two messages for all else
const SILENCE = 10;  // seconds without a word, after which this is said
const ANSWERS = new Map([["end", "run"], ["tangled", "tangle"], ["wrote", "write"]]);  // {kind of a message: job}

/**
 * Text, numbers, and lists of them.
 * @param {unknown} found @returns {any}
 */
const plain = (found) => (
  Array.isArray(found) ? found.map(plain) : ["string", "number", "boolean"].includes(typeof found) ? found : "");

/** @param {Record<string, (message: Record<string, any>) => void>} hear what the page does, by kinds of messages */
export function python(hear) {
  let worker = /** @type {Worker | null} */ (null), asked = new Set(), isStopping = false, isReady = false;
  let stop = "", doomed = 0, quiet = 0, heard = 0;

  /** @param {Record<string, any>} message */
  function take({ kind, ...given }) {
    const job = ANSWERS.get(kind);
    if (!Object.hasOwn(hear, kind) || (job && !asked.delete(job))) return;
    if (["stopping", "end", "wrote"].includes(kind)) clearTimeout(doomed);
    if (["started", "lines", ...ANSWERS.keys()].includes(kind)) {
      isReady = true;
      clearInterval(quiet);
      heard = Date.now();
      if (asked.has("run")) quiet = window.setInterval(tellSilence, SILENCE * 1000);
    }
    const message = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, plain(value)]));
    if (kind === "lines") setTimeout(() => URL.revokeObjectURL(message.seen), BREATH);
    if (kind === "stopping") isStopping = true;  // it may go on all the same
    if (kind === "failed") fail(message.text);
    else hear[kind](message);
  }

  function tellSilence() { hear.silent({ seconds: Math.round((Date.now() - heard) / 1000) }); }

  /** @param {string} text */
  function fail(text) {
    const isFetch = !isReady;
    drop();
    hear.failed({ text, isFetch });
  }

  // A worker from an address would not have the Content-Security-Policy of this page; one from a blob has it.
  function begin() {
    const code = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
    const made = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
    made.onmessage = ({ data }) => { if (made === worker) take(data); };
    made.onerror = (event) => { if (made === worker) fail(event.message || "a script could not be loaded"); };
    return made;
  }

  /** Ends Python with all that it knew; another one is started when it is needed. */
  function drop() {
    worker?.terminate();
    [worker, isReady, isStopping] = [null, false, false];
    asked.clear();
    clearTimeout(doomed);
    clearInterval(quiet);
  }

  /** @param {() => void} then */
  function endUnlessItAnswers(then) { doomed = window.setTimeout(() => { drop(); then(); }, PATIENCE); }

  return {
    isLoaded: () => worker !== null,
    isAsked: (/** @type {string} */ job) => asked.has(job),
    /**
     * Asks for a job: "run", "tangle" or "write".
     * @param {string} job @param {object} given
     */
    ask(job, given) {
      worker ??= begin();
      asked.add(job);
      if (job === "run") [stop, isStopping] = [URL.createObjectURL(new Blob([""])), false];
      worker.postMessage({ ...given, stop });
    },
    endUnlessItAnswers,
    /**
     * Python looks for the blob whenever it prints; what never prints, or does not mind, is ended.
     * @param {() => void} ended
     */
    stop(ended) {
      if (isStopping || !isReady) {
        drop();
        ended();
      } else {
        URL.revokeObjectURL(stop);
        endUnlessItAnswers(ended);
      }
    },
  };
}
