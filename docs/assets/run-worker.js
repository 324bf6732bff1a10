// Python, in a thread of its own: fetches Pyodide, lets tangle.py run a program of an essay, and reports what it prints;
// or lets it tangle an essay, and answers with a program and what is wrong.
//
// The page sends {files, words, stop, made}: {path: text}, the arguments of tangle.py, and perhaps a file that it wants to
// have. This sends back messages of a kind: "loading" (how many bytes are there), "started", "line" (what was printed, and
// whether as an error), "stopping", and "end" (the exit status, and that file) or "failed". `stop` is the address of a
// blob: as soon as the page revokes it, Python is interrupted as by Ctrl-C. That is looked up whenever the program
// prints, at most ten times a second, since a worker that computes hears nothing.
//
// Or it sends {files, text, program}: an essay, of which it wants to see a program; then this sends "tangled" and, after
// the experiments were looked at, "checked". Or, after a run, {files, beginning, temperature}; then this sends "wrote",
// with a document that the model of that run has written. What it is asked is done in turn.

import { loadPyodide } from "./pyodide/pyodide.mjs";

const FILES = { "pyodide.asm.wasm": 9598218, "python_stdlib.zip": 2545637, "pyodide.asm.mjs": 1250344 };  // bytes
const HERE = "/essay";  // in a file system of its own, in memory
const START = `
import argparse, gc, importlib.util, json, os, random, runpy, sys, traceback

learned = []  # what main() knew when the last program returned from it: its global names, and its own
watch = sys.monitoring
watch.use_tool_id(watch.PROFILER_ID, "microgpt")

def entered(code, _):
    """Watch for the end of main(); this costs nothing, since it is asked once for each function."""
    if code.co_name == "main" and code.co_filename == "${HERE}/microgpt.md":
        watch.set_local_events(watch.PROFILER_ID, code, watch.events.PY_RETURN)
    return watch.DISABLE

def returned(*_):
    frame = sys._getframe(1)
    learned[:] = [frame.f_globals, {**frame.f_locals}]

watch.register_callback(watch.PROFILER_ID, watch.events.PY_START, entered)
watch.register_callback(watch.PROFILER_ID, watch.events.PY_RETURN, returned)
watch.set_events(watch.PROFILER_ID, watch.events.PY_START)

def can_write():
    """Return whether the last program has left what is needed to write with it."""
    return bool(learned) and "sample" in learned[0] and {"model", "characters", "flags"} <= learned[1].keys()

def write(beginning, temperature):
    """Return a new document, which begins as asked: the program's own dice fall as they have to until then."""
    (names, own), choices = learned, random.choices
    unknown = [character for character in beginning if character not in own["characters"]]
    if unknown:
        return json.dumps({"problem": f"It has never seen {' '.join(unknown)}: it knows {''.join(own['characters'])}."})
    first = [own["characters"].index(character) for character in beginning]
    flags = argparse.Namespace(**{**vars(own["flags"]), "temperature": temperature})
    random.choices = lambda *given: [first.pop(0)] if first else choices(*given)
    try:
        tokens = names["sample"](own["model"], len(own["characters"]), flags)
        return json.dumps({"text": "".join(own["characters"][token] for token in tokens)})
    except Exception as error:
        return json.dumps({"problem": f"It cannot write that ({error})."})
    finally:
        random.choices = choices

class Ended(BaseException):
    """Instead of os._exit, which would end Python here for good."""

def run(words):
    def end(status):
        raise Ended(status)
    before, os._exit = os._exit, end
    learned.clear()
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

class Tangler:
    """tangle.py as a module, and the programs of the last essay that was right."""

    def __init__(self):
        spec = importlib.util.spec_from_file_location("tangle", "${HERE}/tangle.py")
        self.tangle = importlib.util.module_from_spec(spec)
        self.programs, self.targets, self.compiled = {}, [], set()  # targets: those that can be run here
        self.fences, self.left, self.doubts = [], None, []  # left: experiments that are not checked yet; doubts: of others
        spec.loader.exec_module(self.tangle)
        self.compile, self.tangle.check_syntax = self.tangle.check_syntax, self.check_syntax

    def check_syntax(self, program, root):
        """Return what is wrong with a program; one that was compiled before is right, and most of them were."""
        text = self.tangle.render(program)
        errors = [] if text in self.compiled else self.compile(program, root)
        if not errors:
            self.compiled.add(text)
        return errors

    def answer(self, text, target):
        """Return a program as JSON: its lines, theirs in the essay, whether it is older than the text, what is wrong.

        Experiments never stand in the way of a program: they are left for check(), one after the other.
        """
        self.fences, errors = self.tangle.parse(text)
        self.left = {fence.name: fence for fence in self.fences if fence.kind == "experiment" and not errors}
        self.doubts = []
        try:
            self.programs, is_old = self.tangle.tangle(text), False
            self.targets = [target for target, root in self.tangle.roots_of(self.fences).items()
                            if target.endswith(".py") and "needs" not in root.options]
        except self.tangle.TangleError as error:
            is_old, errors, self.left = True, error.errors, None
        program = self.programs.get(target)
        shown = self.tangle.render(program).split("\\n")[:-1] if program else None
        origins = [line.origin for line in (program or [])[: len(shown or [])]]
        return json.dumps({"lines": shown, "origins": origins, "old": is_old, "errors": errors,
                           "targets": self.targets})

    def check(self):
        """Check one experiment; return False while more are left, then what is wrong as JSON, and then None."""
        if self.left is None:
            return None
        if self.left:
            name, _ = self.left.popitem()
            fences = [fence for fence in self.fences if fence.kind != "experiment" or fence.name == name]
            self.doubts += self.tangle.check_experiments(fences, self.programs, compiles=True)
            return False
        self.left = None
        return json.dumps(sorted(set(self.doubts)))

run, Tangler, can_write, write
`;
const interrupt = new Uint8Array(1);
/** @type {Pyodide} */
let python;  // as soon as it is loaded
/** @type {(words: unknown) => number} */
let run;  // of START
let address = "", looked = 0, stopping = false;
/** @type {any} */
let Tangler;  // of START
/** @type {() => boolean} */
let canWrite;  // of START
/** @type {(beginning: string, temperature: number) => string} */
let writeDocument;  // of START: what it has written, as JSON
/** @type {any} */
let tangler = null;
/** @type {Promise<void>} */
let turn = Promise.resolve();  // the work so far
let waiting = 0;  // what is to be done

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
  [run, Tangler, canWrite, writeDocument] = python.runPython(START);
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

/** @typedef {{ words?: string[], stop: string, made?: string, text: string, program: string,
 *              beginning?: string, temperature: number, files: Record<string, string> }} Job */

/** @param {Job} job */
function runProgram({ words, stop, made }) {
  [address, stopping] = [stop, false];
  postMessage({ kind: "started" });
  const status = run(python.toPy(words));
  const content = made && status === 0 ? python.FS.readFile(`${HERE}/${made}`, { encoding: "utf8" }) : null;
  postMessage({ kind: "end", status, made: content, writes: canWrite() });
}

/** @param {Job} job */
function tangle({ text, program }) {
  tangler ??= Tangler();
  postMessage({ kind: "tangled", ...JSON.parse(tangler.answer(text, program)) });
}

// Experiments take seconds, so they are checked one at a time, and only while there is nothing else to do.
async function checkExperiments() {
  for (let found = false; found === false && !waiting;) {
    found = tangler?.check();
    if (typeof found === "string") postMessage({ kind: "checked", errors: JSON.parse(found) });
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/** @param {Job} data */
async function work(data) {
  try {
    if (!python) await load();
    write(data.files);
    [waiting, interrupt[0]] = [waiting - 1, 0];
    if (data.words) runProgram(data);
    else if (data.beginning !== undefined) {
      postMessage({ kind: "wrote", ...JSON.parse(writeDocument(data.beginning, data.temperature)) });
    } else tangle(data);
    await checkExperiments();
  } catch (error) {
    postMessage({ kind: "failed", text: error instanceof Error ? error.message : String(error) });
  }
}

onmessage = ({ data }) => {
  waiting += 1;
  turn = turn.then(() => work(data));
};
