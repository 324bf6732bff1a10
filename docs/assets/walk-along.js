// The picture of the walk beside a chapter: it goes along with the text. Where the prose says what a scene says, and at
// its lines in the chunks of the chapter, that scene is shown, and these lines are lit.

import { make } from "./elements.js";
import { picture, statesOf } from "./walk-picture.js";

/** @typedef {import("./walk-picture.js").Scene} Scene */

const MOVING = 700;  // milliseconds from one scene to the next
const READING = 0.4, SOON = 0.95, LONG_AGO = -1.5;  // windows: above the first of these a place is read; the others hide it
const calm = matchMedia("(prefers-reduced-motion: reduce)"), wide = matchMedia("(min-width: 76.25em)");

/** @param {HTMLElement} line @returns its code, without the indentation */
const codeOf = ({ textContent }) => textContent?.trim() ?? "";

/** @param {{ about: string, page: string, width: number, height: number, scenes: Scene[] }} walk @param {HTMLElement[]} marks in the text, one for each scene */
function goAlong({ about, page, width, height, scenes }, marks) {
  const states = statesOf(scenes), svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const show = picture(svg), says = make("p", { className: "along-says" }), link = make("a", {}, svg);
  const aside = make("aside", { className: "along" }, link, says);
  const lines = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".chunk .line")]);
  const said = new Set(marks.map(({ dataset }) => dataset.scene)), here = scenes.filter(({ title }) => said.has(title));
  const places = marks.map((place) => ({ place, title: place.dataset.scene ?? "" }));
  for (const chunk of document.querySelectorAll(".chunk")) {  // it shows one scene, or the picture would flicker there
    const code = /** @type {HTMLElement[]} */ ([...chunk.querySelectorAll(".line")]).map(codeOf);
    const scene = here.find(({ beats }) => beats.some((beat) => code.includes(beat.code)));
    if (scene) places.push({ place: /** @type {HTMLElement} */ (chunk), title: scene.title });
  }
  places.sort((one, other) => (one.place.compareDocumentPosition(other.place) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
  let before = states[0], now = "";

  /** @param {string} title of a scene */
  function turn(title) {
    const scene = scenes.find((other) => other.title === title);
    if (!scene || title === now) return;
    const last = scenes.slice(0, scenes.indexOf(scene) + 1).reduce((sum, { beats }) => sum + beats.length, 0) - 1;
    const [start, from, to] = [performance.now(), before, states[last]], codes = scene.beats.map(({ code }) => code);
    const { row, code } = scene.beats[scene.beats.length - 1];
    [now, before] = [title, to];
    link.href = new URL(`../${page}#scene=${title}.${codes.length}`, import.meta.url).href;
    svg.setAttribute("aria-label", `The picture at line ${row} of the program. See it run`);
    says.replaceChildren(`Line ${row}, in ${about}: `, make("code", {}, code), make("a", { href: link.href, tabIndex: -1 }, "See it run"));
    for (const line of lines) line.classList.toggle("lit", codes.includes(codeOf(line)));
    const move = (/** @type {number} */ moment) => {
      if (now !== title) return;
      const share = calm.matches ? 1 : Math.min(1, (moment - start) / MOVING);
      show(from, to, share);
      if (share < 1) requestAnimationFrame(move);
    };
    requestAnimationFrame(move);
  }

  /** Show what is read; the picture is hidden where the text is about something else. */
  function follow() {
    if (!wide.matches) return turn(places[0].title);
    const tops = places.map(({ place }) => place.getBoundingClientRect().top / innerHeight);
    const next = tops.findIndex((top) => top > READING), at = next < 0 ? places.length - 1 : Math.max(0, next - 1);
    turn(places[at].title);
    aside.classList.toggle("away", tops[at] > SOON || tops[at] < LONG_AGO);
  }

  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("class", "walk-picture");
  svg.setAttribute("role", "img");
  const article = document.querySelector(".md-content__inner"), rail = make("div", { className: "along-rail" });
  const place = () => {
    if (wide.matches) rail.append(aside);
    else marks[0].closest("p")?.before(aside);
  };
  article?.append(rail);
  wide.addEventListener("change", place);
  place();
  addEventListener("scroll", follow, { passive: true });
  follow();
}

const marks = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-scene]")]);
fetch(new URL("walk-along.json", import.meta.url)).then((response) => response.json()).then((walk) => goAlong(walk, marks));
