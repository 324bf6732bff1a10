// Python in its worker, as the page uses it: what is asked of it, and what is heard. From its messages only text and
// numbers are taken, and only what was asked for.

const PATIENCE = 2000, BREATH = 20;  // milliseconds until Python is ended, and between two messages for all else
const SILENCE = 10;  // seconds without a word, after which this is said

/** @typedef {{lines: string[], origins: number[], errors: [number, string][]}} Tangled */
/**
 * What the page does when it hears something.
 * @typedef {object} Ears
 * @property {(done: number, total: number) => void} loading
 * @property {() => void} started
 * @property {(lines: [string, boolean][]) => void} lines and which of them are errors
 * @property {(seconds: number) => void} silent
 * @property {() => void} stopping
 * @property {(status: number, writes: boolean) => void} end
 * @property {(answer: Tangled) => void} tangled
 * @property {(text: string, problem: string) => void} wrote
 * @property {(reason: string, isFetch: boolean) => void} failed
 */

/** @param {Ears} ears */
export function python(ears) {
  let worker = /** @type {Worker | null} */ (null), asked = new Set(), isStopping = false, isReady = false;
  let stop = "", doomed = 0, quiet = 0, heard = 0;

  const text = (/** @type {unknown} */ found) => (typeof found === "string" ? found : "");
  const number = (/** @type {unknown} */ found) => (typeof found === "number" ? found : 0);
  const list = (/** @type {unknown} */ found) => (Array.isArray(found) ? found : []);

  const hear = {
    /** @param {Record<string, unknown>} message */
    loading({ done, total }) { ears.loading(number(done), number(total)); },
    started() { isReady = true; ears.started(); listenFor(); },
    /** @param {Record<string, unknown>} message */
    lines({ lines, seen }) {
      listenFor();
      ears.lines(list(lines).map(([line, isError]) => [text(line), Boolean(isError)]));
      setTimeout(() => URL.revokeObjectURL(text(seen)), BREATH);
    },
    stopping() {
      clearTimeout(doomed);
      isStopping = true;  // it may go on all the same
      ears.stopping();
    },
    /** @param {Record<string, unknown>} message */
    end({ status, writes }) { if (done("run")) ears.end(number(status), Boolean(writes)); },
    /** @param {Record<string, unknown>} message */
    tangled({ lines, origins, errors }) {
      isReady = true;
      if (!done("tangle")) return;
      const wrong = list(errors).map(([line, message]) => /** @type {[number, string]} */ ([number(line), text(message)]));
      ears.tangled({ lines: list(lines).map(text), origins: list(origins).map(number), errors: wrong });
    },
    /** @param {Record<string, unknown>} message */
    wrote({ text: found, problem }) { if (done("write")) ears.wrote(text(found), text(problem)); },
    /** @param {Record<string, unknown>} message */
    failed({ text: reason }) { fail(text(reason)); },
  };

  function listenFor() {
    clearInterval(quiet);
    heard = Date.now();
    quiet = window.setInterval(() => ears.silent(Math.round((Date.now() - heard) / 1000)), SILENCE * 1000);
  }

  /** @param {string} what it was asked for */
  function done(what) {
    if (what !== "tangle") clearTimeout(doomed);
    clearInterval(quiet);
    return asked.delete(what);
  }

  /** @param {string} reason */
  function fail(reason) {
    const wasReady = isReady;
    drop();
    ears.failed(reason, !wasReady);
  }

  // A worker from an address would not have the Content-Security-Policy of this page; one from a blob has it.
  function begin() {
    const code = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
    const made = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
    made.onmessage = ({ data }) => {
      const kind = /** @type {keyof typeof hear} */ (data.kind);
      if (made === worker && Object.hasOwn(hear, kind)) hear[kind](data);
    };
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
    URL.revokeObjectURL(stop);
  }

  /** @param {() => void} then */
  function endUnlessItAnswers(then) { doomed = window.setTimeout(() => { drop(); then(); }, PATIENCE); }

  /** @param {string} what @param {object} job */
  function ask(what, job) {
    worker ??= begin();
    asked.add(what);
    worker.postMessage(job);
  }

  return {
    isLoaded: () => worker !== null,
    isAsked: (/** @type {string} */ what) => asked.has(what),
    /** @param {Record<string, string>} files @param {string[]} words */
    run(files, words) {
      URL.revokeObjectURL(stop);
      [stop, isStopping] = [URL.createObjectURL(new Blob([""])), false];
      ask("run", { files, words, stop });
    },
    /** @param {Record<string, string>} files @param {string} essay @param {string} program */
    tangle(files, essay, program) { ask("tangle", { files, text: essay, program }); },
    /**
     * A changed program may never end.
     * @param {string} beginning @param {number} temperature @param {() => void} ended
     */
    write(beginning, temperature, ended) {
      endUnlessItAnswers(ended);
      ask("write", { files: {}, beginning, temperature });
    },
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
