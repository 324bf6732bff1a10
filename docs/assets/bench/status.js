// What is said above the results: how far Python and the program are, in words and by a bar, and all that was printed.

import { make } from "../elements.js";

const MOST = 2000;  // lines of output that are shown, and letters of each
const [run, stop, again, status, step, progress, output] = ["run", "stop", "again", "status", "step", "progress", "output"].map((id) => (
  /** @type {HTMLElement & HTMLProgressElement} */ (document.getElementById(id))));
let first = { step: 0, time: 0 }, retry = () => {};
again.addEventListener("click", () => { run.focus(); retry(); });

/**
 * Says how things are, and nothing of before.
 * @param {string} message @param {string} [detail] which is not read aloud
 */
export function say(message, detail = "") {
  [status.textContent, step.textContent] = [message, detail];
  again.hidden = progress.hidden = true;
}

/** Says what has failed, and offers to try it again.
 * @param {string} reason @param {() => void} then
 */
export function fail(reason, then) {
  say(`That did not work (${reason}).`);
  retry = then;
  again.hidden = false;
}

/** Says how much of Python is there, in bytes; it starts as soon as all of it is.
 * @param {Record<string, any>} message
 */
export function loading({ done, total }) {
  if (done < total) say("Python is fetched…", `${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`);
  else say("Python starts…");
  Object.assign(progress, { hidden: false, max: total, value: done });
  if (done >= total) progress.removeAttribute("value");  // it moves, and nobody knows for how long
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
  if (number % Math.max(10, all / 10) === 0) say(`Step ${number} of ${all}.`);
  step.textContent = `${left} s left`;
}

/** Shows what was printed, its last lines at least.
 * @param {[string, boolean][]} lines and whether each is an error
 */
export function print(lines) {
  output.append(...lines.slice(-MOST).map(([line, isError]) => make("span", { className: isError ? "error" : "" },
    line.length > MOST ? `${line.slice(0, MOST)} …` : line, "\n")));
  for (let extra = output.childElementCount - MOST; extra > 0; extra--) output.firstElementChild?.remove();
  if (output.childElementCount === MOST) output.children[0].textContent = "… (earlier lines are not shown)\n";
}

/** The last line that was printed and has words, as an error has, and the line of the essay where it happened, or 0. */
export function problem() {
  const printed = output.textContent ?? "";
  const places = [...printed.matchAll(/^microgpt\.md:(\d+): |microgpt\.md", line (\d+)/gm)];
  const place = places[0]?.[1] ? places[0] : places.at(-1);  // tangle.py's first, a traceback's last
  const message = printed.split("\n").filter((line) => /^\S.*\w/.test(line)).at(-1) ?? "";
  return { message: message.replace(/^microgpt\.md:\d+: /, ""), origin: Number(place?.[1] ?? place?.[2] ?? 0) };
}
