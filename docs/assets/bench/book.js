// What there is to know of the essay, its chunks and its experiments, which is fetched when it is needed.

import { codeOf } from "./changes.js";

/** @typedef {import("./changes.js").Edit} Edit */
/** @typedef {import("./changes.js").Fence} Fence */
/** @typedef {{essay: string[], fences: Record<string, Fence>, files: Record<string, string>,
 *             experiments: Record<string, {title: string, page: string, edits: Edit[]}>}} Book */

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

/** Fetches the book, unless it is there; after a failure, the next one may try again. */
export function load() {
  fetching ??= open();
  fetching.catch(() => { fetching = null; });
  return fetching;
}

/** Whether a change is one of this edition.
 * @param {Edit} edit
 */
export const fits = ({ chunk, was }) => Object.hasOwn(book.fences, chunk) && codeOf(book.essay, book.fences[chunk]) === was;

export const titleOf = (/** @type {string} */ chunk) => `⟨${book.fences[chunk]?.title ?? chunk}⟩`;
