// The page of a program: a line is chosen, by mouse, finger, key or address, and the panel says what there is to say
// about it. Without this script, the number of a line leads to its explanation. Running and editing are in bench/.

import { make } from "./elements.js";
import { closeButton, uncover } from "./page.js";
import { about } from "./panel.js";

const page = /** @type {HTMLElement} */ (document.querySelector(".program"));
const listing = /** @type {HTMLElement} */ (page.querySelector(".listing .code"));
const column = /** @type {HTMLElement} */ (page.querySelector(".column"));
const panel = /** @type {HTMLElement} */ (document.getElementById("panel")), runs = "runs" in page.dataset;
const intro = /** @type {HTMLElement} */ (panel.querySelector(".intro"));
const numbers = /** @type {HTMLAnchorElement[]} */ ([...listing.querySelectorAll("a.number")]);
let current = numbers[0];  // the one that the Tab key stops at
/** @type {HTMLAnchorElement | null} */
let chosen = null;  // the one whose line is explained

/** @param {Element} number */
const lineOf = (number) => /** @type {HTMLElement} */ (number.closest(".line"));

/** Says in the address which line is chosen, unless it says something else.
 * @param {string} hash
 */
function setAddress(hash) {
  if (!location.hash.includes("=")) history.replaceState(null, "", location.pathname + location.search + hash);
}

/** Makes a line the one that the Tab key stops at.
 * @param {HTMLAnchorElement} number
 */
function stopAt(number) {
  current.tabIndex = -1;
  current = number;
  current.tabIndex = 0;
}

/** Marks the line that is chosen, or none.
 * @param {HTMLAnchorElement | null} number
 */
function mark(number) {
  for (const one of [chosen, number]) {
    one?.setAttribute("aria-expanded", String(one === number));
    if (one) lineOf(one).classList.toggle("chosen", one === number);
  }
  chosen = number;
}

/** Shows what there is to say about a line.
 * @param {HTMLAnchorElement} number
 */
async function show(number) {
  stopAt(number);
  mark(number);
  panel.inert = true;  // its buttons are still those of the line before
  const said = await about(number, runs);
  if (chosen !== number) return;  // another one has been chosen in the meantime
  const region = make("section", {}, closeButton(close), ...said);
  region.setAttribute("aria-labelledby", "panel-title");
  panel.replaceChildren(region);
  panel.inert = false;
  column.classList.add("open");
  column.scrollTop = panel.offsetTop - Number.parseFloat(getComputedStyle(panel).scrollMarginTop);
  uncover(lineOf(number), column);
}

function close() {
  mark(null);
  panel.replaceChildren(intro);
  panel.inert = false;
  column.classList.remove("open");
  column.scrollTop = 0;
  current.focus({ preventScroll: true });
  setAddress("");
}

/** Shows what there is to say about a line, or closes that.
 * @param {HTMLAnchorElement} number
 */
function choose(number) {
  if (chosen === number) return close();
  number.focus({ preventScroll: true });
  setAddress(`#${lineOf(number).id}`);
  return show(number);
}

/** Shows the line that the address of the page names. */
function followAddress() {
  const number = numbers.find((one) => `#${lineOf(one).id}` === location.hash);
  if (number) show(number);
}

// A name in the code shows its preview, and a click on it is meant for the line.
listing.addEventListener("click", (event) => {
  const line = /** @type {Element} */ (event.target).closest(".line");
  const number = numbers.find((one) => lineOf(one) === line);
  const selects = event.detail > 1 || (event.detail && !getSelection()?.isCollapsed);
  if (!number || selects) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (event.detail || chosen !== number) choose(number);  // Enter closes nothing that the arrow keys have opened
});

listing.addEventListener("keydown", (event) => {
  const at = numbers.indexOf(/** @type {HTMLAnchorElement} */ (event.target));
  if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const seen = numbers.filter((one) => one.offsetParent), here = seen.indexOf(numbers[at]);
  const ways = new Map([["ArrowUp", here - 1], ["ArrowDown", here + 1], ["Home", 0], ["End", seen.length - 1]]);
  const number = seen[ways.get(event.key) ?? -1];
  if (number) {
    stopAt(number);
    number.focus();
    if (chosen) {
      setAddress(`#${lineOf(number).id}`);
      show(number);
    }
  } else if (event.key === " ") choose(numbers[at]);  // Enter is a click, as on every link
  else return;
  event.preventDefault();
});

// Escape closes a preview first, and then the panel; in a field it is for the field.
document.addEventListener("keydown", (event) => {
  const other = document.querySelector(":is(.preview, .peek):not([hidden]), :is(input, textarea):focus");
  if (event.key === "Escape" && chosen && !other) close();
}, { capture: true });

// A number is a link without this script, and a button with it: one stop for the Tab key, and arrow keys from there.
for (const number of numbers) {
  number.tabIndex = number === current ? 0 : -1;
  number.dataset.origin = lineOf(number).dataset.origin;
  number.setAttribute("role", "button");
  number.setAttribute("aria-expanded", "false");
}
listing.setAttribute("role", "group");
listing.setAttribute("aria-label", `lines of ${page.dataset.program}`);
addEventListener("hashchange", followAddress);
followAddress();
