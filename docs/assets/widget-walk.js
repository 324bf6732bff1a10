// The walk through the program: it plays scenes, each of a few beats. A beat lights a line, writes beside it what that
// line has made, and moves the picture on. What there is to see and to say comes with the scenes.

import { make } from "./elements.js";
import { picture, statesOf } from "./walk-picture.js";
import { allow, button } from "./widgets.js";

/** @typedef {import("./walk-picture.js").Scene} Scene */

const MOVING = 0.7;  // seconds in which the picture moves at the beginning of a beat
const SPEEDS = [0.5, 1, 1.5, 2];
const HINT = "Arrow keys go from beat to beat, with Shift from scene to scene; a click on a line goes to where it runs.";
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** @param {number} seconds */
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** @param {number} share @returns the same, but it begins and ends slowly */
const eased = (share) => (share < 0.5 ? 2 * share ** 2 : 1 - 2 * (1 - share) ** 2);

/**
 * @param {HTMLElement} box with the listing, the picture and the place of the sentence
 * @param {Scene[]} scenes
 */
function walk(box, scenes) {
  const beats = scenes.flatMap((scene, number) => scene.beats.map((beat, at) => ({ ...beat, scene, number, at })));
  const starts = beats.map((_, i) => beats.slice(0, i).reduce((sum, { seconds }) => sum + seconds, 0));
  const whole = starts[beats.length - 1] + beats[beats.length - 1].seconds;
  const states = statesOf(scenes), find = (/** @type {string} */ name) => /** @type {HTMLElement} */ (box.querySelector(name));
  const code = find(".walk-code"), says = find(".walk-says"), lines = /** @type {HTMLElement[]} */ ([...code.querySelectorAll(".line")]);
  const show = picture(/** @type {SVGSVGElement} */ (box.querySelector("svg"))), beside = make("span", { className: "made" });
  let time = 0, now = -1, speed = 1, frame = 0, last = 0, tops = [0, 0];

  const play = button("Play", () => (frame ? pause() : go()));
  const back = button("Back", () => step(-1)), on = button("Step", () => step(1));
  const chapters = [...new Set(scenes.map(({ chapter }) => chapter))];
  const chosen = make("select", {}, ...chapters.map((chapter) => make("option", { textContent: chapter })));
  const speeds = make("select", {}, ...SPEEDS.map((x) => make("option", { value: String(x), textContent: `${x} ×`, selected: x === 1 })));
  const scrub = make("input", { type: "range", min: "0", max: String(beats.length - 1), step: "1", value: "0" });
  const inside = make("p", { className: "walk-inside" }), told = make("span", { className: "walk-time" }), read = make("p", { className: "walk-read" });
  scrub.setAttribute("aria-label", "moment");
  chosen.setAttribute("aria-label", "chapter");
  speeds.setAttribute("aria-label", "speed");
  says.setAttribute("role", "status");
  read.setAttribute("role", "status");
  play.classList.add("md-button--primary");

  /** @param {HTMLElement} line @returns how far the listing is scrolled while a line is lit */
  const topOf = (line) => Math.max(0, line.offsetTop - code.clientHeight * 0.42);

  /** @param {number} at the number of a beat */
  function enter(at) {
    const { row, made, scene, number } = beats[at], line = lines[row - 1];
    if (scene !== beats[now]?.scene) says.innerHTML = scene.says;  // of the essay
    inside.replaceChildren(make("code", {}, beats[at].function), make("span", {}, ` ${beats[at].does}`));
    now = at;
    lines.forEach((other) => other.classList.toggle("lit", other === line));
    beside.replaceChildren(...made.flatMap(([name, words]) => [make("b", {}, name), ` ${words}  `]));
    line.append(beside);
    tops = [at ? topOf(lines[beats[at - 1].row - 1]) : topOf(line), topOf(line)];
    scrub.value = String(at);
    const words = `line ${row}: ${made.map((pair) => pair.join(" is ")).join(", ") || line.textContent}`;
    scrub.setAttribute("aria-valuetext", `${scene.chapter}, scene ${number + 1} of ${scenes.length}, line ${row}`);
    if (!frame) read.textContent = words;
    chosen.value = scene.chapter;
    allow(back, at > 0);
    allow(on, at < beats.length - 1);
  }

  /**
   * Show the walk at a time, in seconds from its beginning.
   * @param {number} seconds
   */
  function seek(seconds) {
    time = Math.min(Math.max(seconds, 0), whole - 1e-6);
    const at = starts.filter((start) => start <= time).length - 1;
    if (at !== now) enter(at);
    const share = calm.matches ? 1 : Math.min(1, (time - starts[at]) / MOVING);
    show(states[Math.max(0, at - 1)], states[at], eased(share));
    if (tops.length) code.scrollTop = tops[0] + (tops[1] - tops[0]) * eased(share);
    if (share === 1) tops = [];  // from here on it is the reader who scrolls
    told.textContent = `${clock(time)} of ${clock(whole)}`;
  }

  /** @param {number} moment */
  function tick(moment) {
    seek(time + (moment - last) / 1000 * speed);
    last = moment;
    if (time >= whole - 1e-3) return pause();
    frame = requestAnimationFrame(tick);
  }

  /** Bring the whole of it into the window, if the words are below its end. */
  function bringIntoView() {
    if (says.getBoundingClientRect().bottom > controls.getBoundingClientRect().top + 1) box.scrollIntoView();
  }

  function go() {
    bringIntoView();
    if (time >= whole - 1e-3) time = 0;
    play.textContent = "Pause";
    frame = requestAnimationFrame((moment) => { last = moment; tick(moment); });
  }

  function pause() {
    cancelAnimationFrame(frame);
    frame = 0;
    play.textContent = time >= whole - 1e-3 ? "Play again" : "Play";
    history.replaceState(null, "", `#scene=${beats[now].scene.title}.${beats[now].at + 1}`);
  }

  /**
   * Go to a beat, and see it move.
   * @param {number} at
   */
  function jump(at) {
    const wanted = Math.min(Math.max(at, 0), beats.length - 1), isNext = wanted === now + 1;
    if (frame) pause();
    bringIntoView();
    if (!isNext || calm.matches) seek(starts[wanted] + MOVING);
    else {
      const begun = performance.now();
      seek(starts[wanted]);
      const move = (/** @type {number} */ moment) => {
        if (now !== wanted || frame) return;
        seek(starts[wanted] + Math.min(MOVING, Math.max(0, moment - begun) / 1000));
        if (moment - begun < 1000 * MOVING) requestAnimationFrame(move);
      };
      requestAnimationFrame(move);
    }
    history.replaceState(null, "", `#scene=${beats[wanted].scene.title}.${beats[wanted].at + 1}`);
  }

  /** @param {number} way */
  const step = (way) => jump(now + way);

  /**
   * Go to the first beat of the next scene, or of the one before; beyond the ends is the last beat, or the first.
   * @param {number} way
   */
  function turn(way) {
    const found = beats.findIndex(({ number }) => number === beats[now].number + way);
    jump(found < 0 && way > 0 ? beats.length - 1 : found);
  }

  function arrive() {
    const [, title, at] = location.hash.match(/^#scene=([a-z0-9-]+)(?:\.(\d+))?$/) ?? [];
    const found = beats.findIndex((beat) => beat.scene.title === title && beat.at === Math.max(0, Number(at ?? 1) - 1));
    if (found >= 0) return seek(starts[found] + MOVING);
    if (now < 0) seek(MOVING);
    if (title) says.textContent = "The link leads to a scene that is no longer there. Here is the beginning.";
  }

  scrub.addEventListener("input", () => jump(Number(scrub.value)));
  chosen.addEventListener("change", () => jump(beats.findIndex(({ scene }) => scene.chapter === chosen.value)));
  speeds.addEventListener("change", () => { speed = Number(speeds.value); });
  box.addEventListener("keydown", (event) => {
    const { target, key, shiftKey } = event, isField = target instanceof HTMLElement && /^(SELECT|INPUT)$/.test(target.tagName);
    const act = isField && (key !== " " || target !== scrub) ? null : { ArrowRight: () => (shiftKey ? turn(1) : step(1)), ArrowLeft: () => (shiftKey ? turn(-1) : step(-1)),
      Home: () => jump(0), End: () => jump(beats.length - 1), " ": target instanceof HTMLButtonElement ? null : () => play.click() }[key];
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    act();
  });
  code.addEventListener("click", ({ target }) => {
    const row = lines.findIndex((line) => line.contains(/** @type {Node} */ (target))) + 1;
    const later = beats.findIndex((beat, at) => at > now && beat.row === row);
    const found = later < 0 ? beats.findIndex((beat) => beat.row === row) : later;
    if (found >= 0 && !(target instanceof HTMLAnchorElement)) jump(found);
  });
  box.addEventListener("click", () => { if (!box.contains(document.activeElement)) code.focus({ preventScroll: true }); });  // for the keys
  addEventListener("hashchange", arrive);
  says.before(inside);
  const controls = make("div", { className: "walk-controls" }, play, back, on, told, scrub);
  box.append(controls, make("p", { className: "walk-choices" }, chosen, speeds, HINT), read);
  for (const { row } of beats) lines[row - 1].classList.add("runs");
  box.classList.add("walks");
  Object.assign(box, { walk: { seek, seconds: whole, moving: MOVING, beats: beats.map(({ seconds, scene, at }, i) => ({ start: starts[i], seconds, title: scene.title, at })) } });
  arrive();
}

for (const box of document.querySelectorAll(".walk")) {
  fetch(new URL("walk.json", import.meta.url)).then((response) => response.json())
    .then(({ scenes }) => walk(/** @type {HTMLElement} */ (box), scenes));
}
