// What the modules of the page share: how they find its elements, and make new ones.

import { make } from "./elements.js";

/**
 * The element of the page with that name; an error if it is not of that kind.
 * @template {Element} T @param {string} id @param {new () => T} kind @returns {T}
 */
export function element(id, kind) {
  const found = document.getElementById(`run-${id}`);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

export { make };

/**
 * A button that looks like a link.
 * @param {string} textContent @param {() => void} onclick
 */
export const link = (textContent, onclick) => (
  make("button", { type: "button", className: "run-name", textContent, onclick }));
