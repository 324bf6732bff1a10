// Python, in a thread of its own: fetches Pyodide, lets tangle.py run a program of an essay, and reports what it prints.
//
// The page sends {files, words, stop, made}: {path: text}, the arguments of tangle.py, and perhaps a file that it wants to
// have. This sends back messages of a kind: "loading" (how many bytes are there), "started", "line" (what was printed, and
// whether as an error), "stopping", and "end" (the exit status, and that file) or "failed". `stop` is the address of a blob: as soon as the page revokes it, Python is interrupted as by Ctrl-C.
// That is looked up whenever the program prints, at most ten times a second, since a worker that computes hears nothing.

import { loadPyodide } from "./pyodide/pyodide.mjs";

const FILES = { "pyodide.asm.wasm": 9598218, "python_stdlib.zip": 2545637, "pyodide.asm.mjs": 1250344 };  // bytes
const HERE = "/essay";  // in a file system of its own, in memory
const START = `
import gc, os, runpy, sys, traceback

class Ended(BaseException):
    """Instead of os._exit, which would end Python here for good."""

def run(words):
    def end(status):
        raise Ended(status)
    before, os._exit = os._exit, end
    modules, argv, path, main = {*sys.modules}, sys.argv, [*sys.path], sys.modules["__main__"]
    sys.argv, status = ["tangle.py", *words], 0
    try:
        runpy.run_path("tangle.py", run_name="__main__")
    except SystemExit as error:
        status = error.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except Ended as error:
        status = error.args[0]
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        kind, error, place = sys.exc_info()
        while place and place.tb_frame.f_code.co_filename != "${HERE}/microgpt.md":
            place = place.tb_next
        traceback.print_exception(kind, error, place)
        status = 1
    finally:
        os._exit, sys.argv, sys.path[:], sys.modules["__main__"] = before, argv, path, main
        for name in {*sys.modules} - modules:
            if getattr(sys.modules[name], "__file__", "").startswith("${HERE}/"):
                del sys.modules[name]
        if status == 130:
            print()  # the line on which it was stopped may have no end
        sys.stdout.flush(); sys.stderr.flush()
        gc.enable(); gc.collect()
    return status
run
`;
const interrupt = new Uint8Array(1);
/** @type {Pyodide} */
let python;  // as soon as it is loaded
/** @type {(words: unknown) => number} */
let run;  // of START
let address = "", looked = 0, stopping = false;

/** @param {string} name @param {(bytes: number) => void} report */
function fetched(name, report) {
  return fetch(new URL(`pyodide/${name}`, import.meta.url)).then(async (response) => {
    if (!response.ok || !response.body) throw new Error(`${name}: ${response.status} ${response.statusText}`);
    const reader = response.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) report(part.value.length);
  });
}

async function load() {
  const total = Object.values(FILES).reduce((a, b) => a + b);
  let done = 0;
  const report = (/** @type {number} */ bytes) => postMessage({ kind: "loading", done: done += bytes, total });
  await Promise.all(Object.keys(FILES).map((name) => fetched(name, report)));  // now they are in the browser's cache
  postMessage({ kind: "loading", done: total, total });
  python = await loadPyodide({ indexURL: new URL("pyodide/", import.meta.url).href });
  python.setInterruptBuffer(interrupt);
  python.setStdout({ batched: (text) => print(text, false) });
  python.setStderr({ batched: (text) => print(text, true) });
  run = python.runPython(START);
}

/** @param {string} text @param {boolean} error */
function print(text, error) {
  postMessage({ kind: "line", text, error });
  if (stopping || Date.now() - looked < 100) return;
  looked = Date.now();
  if (isThere(address)) return;
  stopping = true;
  postMessage({ kind: "stopping" });
  interrupt[0] = 2;  // SIGINT
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

onmessage = async ({ data }) => {
  try {
    if (!python) await load();
    write(data.files);
    [address, stopping, interrupt[0]] = [data.stop, false, 0];
    postMessage({ kind: "started" });
    const status = run(python.toPy(data.words));
    const made = data.made && status === 0 ? python.FS.readFile(`${HERE}/${data.made}`, { encoding: "utf8" }) : null;
    postMessage({ kind: "end", status, made });
  } catch (error) {
    postMessage({ kind: "failed", text: error instanceof Error ? error.message : String(error) });
  }
};
