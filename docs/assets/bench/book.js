// What there is to know of the essay, its chunks and its experiments, which is fetched when it is needed.

import { codeOf, isEdit } from "./changes.js";

/** @typedef {import("./changes.js").Fence} Fence */
/** @typedef {{title: string, page: string, program: string} & import("./marks.js").Trial} Experiment */
/** @typedef {{essay: string[], fences: Record<string, Fence>, experiments: Record<string, Experiment>,
 *             files: Record<string, string>}} Book */

const folder = new URL("../", import.meta.url);
export const root = new URL("../", folder);
export let book = /** @type {Book} */ ({ essay: [], fences: {}, experiments: {}, files: {} });
let fetching = /** @type {Promise<void> | null} */ (null);

/** @param {string | URL} address */
async function fetched(address) {
  const response = await fetch(new URL(address, folder));
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${response.statusText}`);
  return response.text();
}

async function open() {
  const [known, essay, tangle] = await Promise.all(["known.json", "essay.txt", "tangle.txt"].map(fetched));
  const { data, ...found } = JSON.parse(known), names = /** @type {string[]} */ (data);
  const texts = await Promise.all(names.map(async (path) => (
    [path, await fetched(new URL(`files/${path.split("/").at(-1)}`, root))])));
  book = { ...found, essay: essay.split("\n"), files: { "tangle.py": tangle, ...Object.fromEntries(texts) } };
}

/** Fetches the book, unless it is there; after a failure, the next one may try again.
 * @param {() => void} then what is done once
 */
export function load(then) {
  fetching ??= open().then(then);
  fetching.catch(() => { fetching = null; });
  return fetching;
}

/** Whether something is a change of this edition.
 * @param {unknown} found
 */
export const fits = (found) => (
  isEdit(found) && Object.hasOwn(book.fences, found.chunk) && codeOf(book.essay, book.fences[found.chunk]) === found.was);

export const titleOf = (/** @type {string} */ chunk) => `⟨${book.fences[chunk]?.title ?? chunk}⟩`;
