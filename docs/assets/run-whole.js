// The view of the whole essay: its text on the left, a chapter at a time, and on the right the program that it makes.
//
// A chapter at a time, since a browser takes longer for each key the longer the text of a field is. The map between the
// two panes is tangle.py's: for each line of the program, its line in the essay. It belongs to the text that was
// tangled last; later edits move it.

import { codeField } from "./run-editor.js";
import { differences, fencesOf, headingsOf, moved } from "./run-text.js";
import { element, link, make } from "./run-page.js";

/**
 * The answer of tangle.py: the program (none, if there never was a valid one), whether it is from an older text, and
 * the errors.
 * @typedef {[number, string][]} Errors
 * @typedef {{lines: string[] | null, origins: number[], old: boolean, errors: Errors, targets: string[]}} Tangled
 */

/**
 * What the view needs of the page: the text, how it is replaced, and how to have it tangled and run.
 * @typedef {{lines: () => string[], edit: (lines: string[]) => void, isLoaded: () => boolean,
 *   isRunning: () => boolean, run: () => void,
 *   tangle: (lines: string[], target: string) => void}} Page
 */

const SOON = 400;  // milliseconds without a key until it is tangled
const at = {
  view: element("panes", HTMLElement), chapter: element("chapter", HTMLSelectElement),
  place: element("place", HTMLElement),
  problems: element("problems", HTMLElement), said: element("problems-said", HTMLElement),
  offer: element("offer", HTMLElement),
  load: element("load", HTMLButtonElement), state: element("state", HTMLElement), lines: element("lines", HTMLElement),
  program: element("program", HTMLSelectElement),
};

/** @param {Page} page */
export function wholeEssay(page) {
  const field = codeField("text-of-essay", "markdown", page.run), area = field.textarea;
  let first = 0, count = 0;  // the lines of the essay that are in the field; none where it has to be filled anew
  let last = 0;  // the line of the caret
  let headings = headingsOf([], []), titles = "";
  let program = /** @type {{lines: string[], origins: number[], tangled: string[]}} */ (  // and the essay it comes from
    { lines: [], origins: [], tangled: [] });
  let good = [""];  // the essay that was right last
  let asked = /** @type {{lines: string[], target: string} | null} */ (null), timer = 0;
  let broken = /** @type {Errors} */ ([]), doubts = /** @type {Errors} */ ([]);  // of programs, of experiments
  let judged = [""];  // the essay that they are about
  let seen = "";  // where the caret was when it was looked at last
  let active = -1;  // the line of the program on which the reader is

  // The essay

  /**
   * Shows the chapter of a line.
   * @param {number} line
   */
  function open(line) {
    const lines = page.lines(), starts = headings.filter(({ level }) => level === 1).map((heading) => heading.line);
    first = starts.filter((start) => start <= line).at(-1) ?? 0;
    count = (starts.find((start) => start > line) ?? lines.length) - first;
    field.setOptions({ value: lines.slice(first, first + count).join("\n") });
  }

  function readHeadings() {
    headings = headingsOf(page.lines(), fencesOf(page.lines()));
    const now = headings.map(({ level, title }) => (level === 1 ? title : `\u00a0\u00a0\u00a0${title}`));
    if (titles === now.join("\n")) return;
    titles = now.join("\n");
    at.chapter.replaceChildren(...now.map((title) => make("option", { textContent: title })));
  }

  function typed() {
    const now = area.value.split("\n"), lines = page.lines();
    page.edit([...lines.slice(0, first), ...now, ...lines.slice(first + count)]);
    count = now.length;
    readHeadings();
    caretMoved();
    changed();
  }

  /** The first and the last line of the selection, or the line of the caret. */
  function caret() {
    const { value, selectionStart, selectionEnd } = area;
    const start = first + value.slice(0, selectionStart).split("\n").length - 1;
    return [start, start + value.slice(selectionStart, selectionEnd).split("\n").length - 1];
  }

  /**
   * Moves the caret to the end of a line.
   * @param {number} line @param {boolean} focus
   */
  function goTo(line, focus = true) {
    const lines = page.lines(), wanted = Math.max(0, Math.min(line, lines.length - 1));
    readHeadings();
    if (wanted < first || wanted >= first + count) open(wanted);
    const end = lines.slice(first, wanted + 1).join("\n").length;
    area.setSelectionRange(end, end);
    field.update();  // its own line moves with the caret, which is told too late if it has been filled just now
    field.show(wanted - first);
    if (focus) {
      area.focus({ preventScroll: true });
      field.container.scrollIntoView({ block: "nearest" });
    }
    caretMoved();
  }

  function caretMoved() {
    seen = whereabouts();
    const [start, end] = caret();
    last = start;
    const heading = headings.filter(({ line }) => line <= start).length - 1;
    if (document.activeElement !== at.chapter) at.chapter.selectedIndex = heading;
    const changes = program.lines.length ? differences(program.tangled, page.lines()) : [];
    const here = program.origins.flatMap((origin, i) => {
      const line = moved(origin, changes);
      return line >= start && line <= end ? [i] : [];
    });
    mark(here);
    at.place.replaceChildren(`Line ${start + 1}`, ...wordsFor(here));
  }

  const whereabouts = () => [area.selectionStart, area.selectionEnd].join();

  function look() {
    if (!at.view.hidden && seen !== whereabouts()) caretMoved();
  }

  /** @param {number[]} here @returns {(string | Node)[]} */
  function wordsFor(here) {
    if (!at.lines.childElementCount) return [];
    if (!here.length) return [` · no line of ${at.program.value}`];
    const lead = link(`line ${here[0] + 1} of ${at.program.value}`, () => { at.lines.focus(); activate(here[0]); });
    return [" · ", lead, ...(here.length > 1 ? [`, ${here.length} lines in all`] : [])];
  }

  // The program

  /**
   * Marks lines of the program, and scrolls to the first of them.
   * @param {number[]} here
   */
  function mark(here) {
    for (const line of at.lines.querySelectorAll('[aria-selected="true"]')) line.setAttribute("aria-selected", "false");
    for (const i of here) at.lines.children[i].setAttribute("aria-selected", "true");
    if (here.length) reveal(here[0]);
  }

  /** @param {number} i */
  function reveal(i) {
    const line = /** @type {HTMLElement} */ (at.lines.children[i]), { scrollTop, clientHeight } = at.lines;
    if (line.offsetTop < scrollTop || line.offsetTop + line.offsetHeight > scrollTop + clientHeight) {
      at.lines.scrollTop = line.offsetTop - clientHeight / 3;
    }
  }

  /**
   * Makes a line of the program the active one.
   * @param {number} i
   */
  function activate(i) {
    if (!at.lines.childElementCount) return;
    at.lines.children[active]?.classList.remove("run-active");
    active = Math.max(0, Math.min(i, at.lines.childElementCount - 1));
    at.lines.children[active].classList.add("run-active");
    at.lines.setAttribute("aria-activedescendant", at.lines.children[active].id);
    reveal(active);
  }

  const lead = () => goTo(moved(program.origins[active], differences(program.tangled, page.lines())));

  /** @param {string[]} lines */
  function show(lines) {
    if (lines.join("\n") === program.lines.join("\n")) return;
    const top = at.lines.scrollTop;
    at.lines.replaceChildren(...lines.map((textContent, i) => {
      const line = make("div", { className: "run-line", id: `run-line-${i + 1}`, textContent });
      line.setAttribute("role", "option");
      line.setAttribute("aria-selected", "false");
      if (!textContent.trim()) line.setAttribute("aria-label", `line ${i + 1} is blank`);
      return line;
    }));
    at.lines.removeAttribute("aria-activedescendant");
    active = -1;
    at.lines.scrollTop = top;
  }

  // Tangling

  function changed(wait = SOON) {
    clearTimeout(timer);
    if (at.view.hidden || !page.isLoaded()) return;
    [at.offer.hidden, at.lines.hidden] = [true, false];
    timer = window.setTimeout(tangle, wait);
  }

  function tangle() {
    if (asked) return;  // its answer will find that there is more to do
    asked = { lines: page.lines(), target: at.program.value };
    at.lines.setAttribute("aria-busy", "true");
    if (page.isRunning()) at.state.textContent = "The program will be rebuilt when the current run ends.";
    page.tangle(asked.lines, asked.target);
  }

  /** @param {Tangled} found */
  function hear({ lines, origins, old, errors, targets }) {
    if (!asked) return;
    const { lines: text, target } = asked;
    asked = null;
    at.lines.setAttribute("aria-busy", "false");
    if (!old) good = text;
    const since = differences(judged, text);  // until experiments are looked at again, what was said of them moves along
    doubts = doubts.map(([line, message]) => [moved(line - 1, since) + 1, message]);
    [judged, broken] = [text, errors];
    if (targets.length) chooseFrom(targets);
    if (lines) {
      show(lines);
      program = { lines, origins: origins.map((line) => line - 1), tangled: good };
    }
    showState(old);
    showProblems();
    caretMoved();
    if (page.lines() !== text || at.program.value !== target) changed(0);
  }

  /**
   * The errors in experiments, which tangle.py finds later than all others.
   * @param {{errors: Errors}} found
   */
  function hearDoubts({ errors }) {
    doubts = errors;
    showProblems();
  }

  /** @param {boolean} old */
  function showState(old) {
    const any = at.lines.childElementCount > 0;
    at.lines.classList.toggle("run-old", old);
    at.state.classList.toggle("run-error", old);
    const right = "Click a line, or press Enter on it, to go to its place in the essay.";
    const last = "The essay has an error. This is the last version that worked.";
    const none = "The essay has an error, so there is no program.";
    at.state.textContent = !old ? right : any ? last : none;
  }

  function showProblems() {
    const unfit = doubts.map(([line]) => [line, "the program is correct, but this experiment quotes lines that have changed"]);
    const errors = /** @type {Errors} */ ([...broken, ...unfit]);
    at.problems.classList.toggle("run-mild", !broken.length);
    at.problems.replaceChildren(...errors.map(([line, message]) => {
      const item = make("li", {});
      const leads = () => goTo(moved(line - 1, differences(judged, page.lines())));
      item.append(link(`microgpt.md:${line}`, leads), `: ${message}`);
      return item;
    }));
    at.problems.hidden = !errors.length;
    const before = at.said.textContent;
    const said = broken.length === 1 ? "The essay has an error." : `The essay has ${broken.length} errors.`;
    const mild = "The program is correct, but not all experiments still fit it.";
    const now = broken.length ? said : doubts.length ? mild : before && "All errors are fixed.";
    if (now !== before) at.said.textContent = now;  // or it would be read out at each key
  }

  /**
   * The programs that can be run; some may be new.
   * @param {string[]} targets
   */
  function chooseFrom(targets) {
    const { value } = at.program;
    if ([...at.program.options].map((option) => option.value).join("\n") === targets.join("\n")) return;
    at.program.replaceChildren(...targets.map((target) => make("option", { value: target, textContent: target })));
    at.program.value = targets.includes(value) ? value : targets[0];
  }

  // What the reader does

  area.addEventListener("input", typed);
  for (const kind of ["keyup", "click", "select", "focus"]) area.addEventListener(kind, look);
  at.chapter.addEventListener("change", () => goTo(headings[at.chapter.selectedIndex].line, false));
  at.program.addEventListener("change", () => changed(0));
  at.load.addEventListener("click", () => {
    [at.offer.hidden, at.lines.hidden] = [true, false];
    at.lines.focus();
    tangle();
  });
  at.lines.addEventListener("click", (event) => {
    const line = event.target instanceof Element && event.target.closest(".run-line");
    if (!line || window.getSelection()?.toString()) return;  // it is being copied
    activate([...at.lines.children].indexOf(line));
    lead();
  });
  at.lines.addEventListener("keydown", (event) => {
    const far = Math.floor(at.lines.clientHeight / (at.lines.firstElementChild?.clientHeight || 20));
    const steps = { ArrowUp: active - 1, ArrowDown: active + 1, PageUp: active - far, PageDown: active + far,
      Home: 0, End: Infinity };
    if (event.key in steps) activate(steps[/** @type {keyof steps} */ (event.key)]);
    else if (event.key === "Enter" && active >= 0) lead();
    else return;
    event.preventDefault();
  });

  return {
    goTo,
    hear,
    hearDoubts,
    /** Shows the view, at the line where it was left. */
    show() {
      at.view.hidden = false;
      readHeadings();
      if (count) caretMoved();
      else goTo(last, false);
      changed(0);
    },
    hide() { at.view.hidden = true; },
    /** Python is there, or is loading. */
    begun() { changed(0); },
    /** The text was changed elsewhere. */
    refresh() {
      count = 0;
      if (at.view.hidden) return;
      goTo(last, false);
      changed();
    },
    /** Python is gone, and with it our request; a new one is started at the next change. */
    lost(willCome = true) {
      asked = null;
      at.lines.setAttribute("aria-busy", "false");
      if (willCome) changed();
      else if (!at.lines.childElementCount) [at.offer.hidden, at.lines.hidden] = [false, true];
    },
  };
}
