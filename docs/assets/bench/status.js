// What is said above the results: how far Python and the program are, in words and by a bar, and all that was printed.

import { make } from "../elements.js";

const MOST = 2000;  // lines of output that are shown, and letters of each
const [run, stop, again, status, step, progress, output] = ["run", "stop", "again", "status", "step", "progress", "output"].map((id) => (
  /** @type {HTMLElement & HTMLProgressElement} */ (document.getElementById(id))));
let first = { step: 0, time: 0 }, retry = () => {};
again.addEventListener("click", () => { run.focus(); retry(); });

/** @param {string} message */
export function say(message) {
  again.hidden = true;
  status.textContent = message;
}

/** The words that are said now. */
export const said = () => status.textContent ?? "";

/** Says what could not be fetched, and offers to try it again.
 * @param {string} reason @param {() => void} then
 */
export function fail(reason, then) {
  say(`That could not be fetched (${reason}).`);
  retry = then;
  again.hidden = false;
}

/** Says how much of Python is there; it starts as soon as all of it is.
 * @param {number} done @param {number} total in bytes @param {string} why it is fetched
 */
export function loading(done, total, why) {
  const inMillions = (/** @type {number} */ bytes) => (bytes / 1e6).toFixed(1), isAll = done >= total;
  Object.assign(progress, { hidden: false, max: total, value: done });
  if (isAll) progress.removeAttribute("value");  // it moves, and nobody knows for how long
  step.textContent = isAll ? "" : `${inMillions(done)} of ${inMillions(total)} MB`;
  say(`${why}Python ${isAll ? "starts" : "is fetched"}…`);
}

export function loaded() {
  progress.hidden = true;
  step.textContent = "";
}

/** Shows one of the two buttons, Run and Stop, which keeps the focus.
 * @param {boolean} isRunning
 */
export function running(isRunning) {
  const [before, now] = isRunning ? [run, stop] : [stop, run], hasFocus = document.activeElement === before;
  [before.hidden, now.hidden] = [true, false];
  if (hasFocus) now.focus({ preventScroll: true });
  if (isRunning) output.replaceChildren();
  first = { step: 0, time: 0 };
}

/** @param {number} number @param {number} all */
export function steps(number, all) {
  if (!first.step) first = { step: number, time: Date.now() };
  if (number === first.step || number === all) return;
  const left = Math.round((Date.now() - first.time) / (number - first.step) * (all - number) / 1000);
  step.textContent = `${left} s left`;
  if (number % Math.max(10, all / 10) === 0) say(`Step ${number} of ${all}.`);
}

/** Shows what was printed, its last lines at least.
 * @param {[string, boolean][]} lines and whether each is an error
 */
export function print(lines) {
  output.append(...lines.map(([line, isError]) => make("span", { className: isError ? "error" : "" },
    line.length > MOST ? `${line.slice(0, MOST)} …` : line, "\n")));
  for (let extra = output.childElementCount - MOST; extra > 0; extra--) output.firstElementChild?.remove();
  if (output.childElementCount === MOST) output.children[0].textContent = "… (earlier lines are not shown)\n";
}

/** The last line that has words, as an error has. */
export const lastWords = () => output.textContent?.split("\n").filter((line) => /^\S.*\w/.test(line)).at(-1) ?? "";
