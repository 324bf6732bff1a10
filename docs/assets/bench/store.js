// The reader's changes, as this browser keeps them. No other module reads or writes them.

import { isEdit } from "./changes.js";

/** @typedef {import("./changes.js").Edit} Edit */

const KEY = `microgpt-edits ${new URL("../../", import.meta.url).pathname}`;  // the sites of a host share their store
let unkept = /** @type {Edit[] | null} */ (null);  // what this browser has refused to keep

/** Whether this browser keeps what is written. */
export const keeps = () => unkept === null;

/**
 * Return the changes, as this tab or another one has written them last.
 * @returns {Edit[]}
 */
export function read() {
  if (unkept) return unkept;
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]").filter(isEdit);
  } catch { return []; }  // it is forbidden, or damaged
}

/** @param {Edit[]} changes */
export function write(changes) {
  unkept = null;
  try {
    localStorage.setItem(KEY, JSON.stringify(changes));
  } catch { unkept = changes; }
}

/**
 * Hear of what another tab writes.
 * @param {() => void} then
 */
export const listen = (then) => addEventListener("storage", ({ key }) => { if (key === KEY) then(); });
