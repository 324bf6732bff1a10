// Python in its worker, as the page uses it: what is asked of it, what it answers, and what it tells meanwhile.

const PATIENCE = 2000, SILENCE = 10_000;  // milliseconds until Python is ended, and without a word, after which it is said

/** @param {Record<string, (message: Record<string, any>) => void>} hear what the page does, by kinds of messages */
export function python(hear) {
  const asked = /** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void}>} */ (new Map());
  let worker = /** @type {Worker | null} */ (null), count = 0, stop = "", doomed = 0, quiet = 0;

  /** @param {Record<string, any>} message */
  function take({ kind, id, ...given }) {
    watch();
    if (kind === "stopping") clearTimeout(doomed);  // but it may go on all the same
    if (kind === "failed") end(new Error(String(given.text)));
    else if (Object.hasOwn(hear, kind)) hear[kind](given);
    else if (kind === "answer" && asked.has(id)) {
      clearTimeout(doomed);
      asked.get(id)?.resolve(given);
      asked.delete(id);
    }
  }

  /** Tells how long nothing was heard. */
  function watch() {
    const heard = Date.now();
    clearInterval(quiet);
    quiet = window.setInterval(() => {
      if (asked.size) hear.silent({ seconds: Math.round((Date.now() - heard) / 1000) });
    }, SILENCE);
  }

  // A worker from an address would not have the Content-Security-Policy of this page; one from a blob has it.
  function begin() {
    const code = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
    const made = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
    made.onmessage = ({ data }) => { if (made === worker) take(data); };
    made.onerror = (event) => { if (made === worker) end(new Error(event.message || "a script could not be loaded")); };
    return made;
  }

  /** Ends Python with all that it knew; another one is started when it is needed.
   * @param {Error} [reason]
   */
  function end(reason) {
    worker?.terminate();
    worker = null;
    clearTimeout(doomed);
    for (const { resolve, reject } of asked.values()) reason ? reject(reason) : resolve(null);
    asked.clear();
  }

  return {
    isLoaded: () => worker !== null,
    /**
     * Asks for something, as worker.js says. The answer is null if Python was ended.
     * @param {object} given
     * @returns {Promise<Record<string, any> | null>}
     */
    ask(given) {
      worker ??= begin();
      watch();
      if ("words" in given) stop = URL.createObjectURL(new Blob([""]));
      worker.postMessage({ id: count += 1, stop, ...given });
      return new Promise((resolve, reject) => { asked.set(count, { resolve, reject }); });
    },
    /** Python looks for the blob whenever it prints. What never prints, or is stopped twice, is ended. */
    stop() {
      if (!stop) return end();
      URL.revokeObjectURL(stop);
      stop = "";
      doomed = window.setTimeout(end, PATIENCE);
    },
  };
}
