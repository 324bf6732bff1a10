// The reader's changes, as this browser keeps them. No other module reads or writes them.
//
// It writes only changes made to the version it has read: if another tab has written in the meantime, that stays.

const SITE = new URL("../../", import.meta.url).pathname;  // the sites of a host share their store
const KEY = `microgpt-edits ${SITE}`, EARLIER = [`microgpt-changes ${SITE}`, "microgpt-changes"];  // of other editions
let seen = /** @type {string | null} */ (null);

/**
 * Return what is kept: changes, and what has come there otherwise.
 * @returns {unknown[]}
 */
export function read() {
  let text = null;
  try {
    seen = localStorage.getItem(KEY);
    text = [KEY, ...EARLIER].map((key) => localStorage.getItem(key)).find((found) => found !== null) ?? null;
  } catch { /* it is forbidden */ }
  if (text === null) return [];
  try {
    const found = JSON.parse(text);
    if (Array.isArray(found)) return found;
  } catch { /* it is damaged */ }
  return [text];
}

/**
 * Keep changes, and say how it went.
 * @param {unknown[]} changes @returns {"kept" | "overtaken" | "refused"}
 */
export function write(changes) {
  const text = JSON.stringify(changes);
  try {
    if (localStorage.getItem(KEY) !== seen) return "overtaken";
    localStorage.setItem(KEY, text);
  } catch { return "refused"; }
  seen = text;
  return "kept";
}
