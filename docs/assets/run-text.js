// The text of the essay as it is edited: its fences and headings, and what differs from the text as it was published.
//
// Lines are counted from 0 here. tangle.py defines a fence; this finds the same ones, as a test checks.

/**
 * A fence: its lines, from the one that opens it to the one that closes it; its code begins at `first`.
 * @typedef {{kind: string, name: string, number: number, start: number, first: number, end: number}} Fence
 */

/** @typedef {{line: number, level: number, title: string}} Heading */

/**
 * Lines that were replaced: those `before` were at `from` in the old text, those `after` are at `at` in the new one.
 * @typedef {{from: number, before: string[], at: number, after: string[]}} Change
 */

const NAME = "[a-z][a-z0-9-]*", ATTRIBUTES = "(?: (?!file=)[a-z]+=(?:\"[^\"]*\"|[^\\s{}\"']+))*";
const EXPERIMENT = new RegExp(`^\`\`\` diff \\{#(${NAME})${ATTRIBUTES}\\}\\s*$`);
const ROOT = new RegExp(`^\`\`\` [\\w+-]+ \\{file=([^\\s{}"',]+)${ATTRIBUTES}\\}\\s*$`);
const DEFINITION = new RegExp(`^\`\`\` [\\w+-]+ \\{#(${NAME})\\}\\s*$`);
const NAMELESS = /^``` [\w+-]+\s*$/, NAMING = new RegExp(`^<<(${NAME})>>=\\s*$`);
const OPENS = /^```(?!`)/, VERBATIM = /^ {0,3}(`{3,}(?!`)(?!.*`)|~{3,})/;
const MOST = 500;  // differing lines that are told apart; if there are more, everything between them is one change
const TITLE = 500;  // letters: a longer line is not a heading
const NEAR = 2;  // lines: changes with no more between them are one

/** @param {string[]} lines @returns {Fence[]} */
export function fencesOf(lines) {
  const found = /** @type {Fence[]} */ ([]), counts = /** @type {Map<string, number>} */ (new Map());
  let open = /** @type {Fence | null} */ (null), closing = /$^/;
  lines.forEach((line, i) => {
    if (open && i < open.first) return;  // its name
    const opens = OPENS.test(line), verbatim = VERBATIM.exec(line);
    if (open && closing.test(line)) {
      open.end = i;
      open = null;
    } else if (opens && open?.kind !== "verbatim") {
      if (open) open.end = i;
      open = opened(line, lines[i + 1] ?? "", i);
      open.number = (counts.get(open.name) ?? 0) + 1;
      counts.set(open.name, open.number);
      closing = /^```\s*$/;
      found.push(open);
    } else if (!open && verbatim) {
      open = { kind: "verbatim", name: "", number: 0, start: i, first: i + 1, end: lines.length };
      closing = new RegExp(`^ {0,3}${verbatim[1]}${verbatim[1][0]}*\\s*$`);
      found.push(open);
    }
  });
  return found;
}

/** @param {string} line @param {string} next @param {number} start @returns {Fence} */
function opened(line, next, start) {
  const fence = { kind: "other", name: "", number: 0, start, first: start + 1, end: Infinity };
  const naming = NAMELESS.test(line) && NAMING.exec(next);
  for (const [kind, match] of Object.entries({
    experiment: EXPERIMENT.exec(line), root: ROOT.exec(line), definition: DEFINITION.exec(line) || naming,
  })) {
    if (match && fence.kind === "other") Object.assign(fence, { kind, name: match[1] });
  }
  if (fence.kind === "definition" && naming) fence.first += 1;
  return fence;
}

/**
 * The headings of the first two levels.
 * @param {string[]} lines @param {Fence[]} fences @returns {Heading[]}
 */
export function headingsOf(lines, fences) {
  const found = [];
  for (let i = 0, next = 0; i < lines.length; i++) {
    while (next < fences.length && fences[next].end < i) next += 1;
    const match = lines[i].length <= TITLE && /^(##?) +(.*\S)/.exec(lines[i]);
    if (match && !(next < fences.length && fences[next].start <= i)) {
      found.push({ line: i, level: match[1].length, title: match[2].replace(/[*`]|\s*\{#.*\}$/g, "") });
    }
  }
  return found;
}

/**
 * The changes that turn one text into another.
 * @param {string[]} old @param {string[]} now
 */
export function differences(old, now) {
  let [start, end] = [0, 0];
  const shorter = Math.min(old.length, now.length);
  while (start < shorter && old[start] === now[start]) start += 1;
  while (end < shorter - start && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1;
  const [a, b] = [old.slice(start, old.length - end), now.slice(start, now.length - end)];
  const changes = /** @type {Change[]} */ ([]);
  let [i, j] = [0, 0];
  for (const [first, last, count] of [...runsOf(matched(a, b)), [a.length, b.length, 0]]) {
    if (i < first || j < last) {
      changes.push({ from: start + i, before: a.slice(i, first), at: start + j, after: b.slice(j, last) });
    }
    [i, j] = [first + count, last + count];
  }
  return changes;
}

/**
 * Pairs as runs [first of one, first of the other, how many]; short ones divide no change.
 * @param {number[][]} pairs
 */
function runsOf(pairs) {
  const runs = /** @type {number[][]} */ ([]);
  for (const [x, y] of pairs) {
    const last = runs.at(-1);
    if (last && last[0] + last[2] === x && last[1] + last[2] === y) last[2] += 1;
    else runs.push([x, y, 1]);
  }
  return runs.filter((run) => run[2] > NEAR);
}

/**
 * The places [in a, in b] of lines that stay, by Eugene Myers' algorithm: the fewest lines are replaced.
 * @param {string[]} a @param {string[]} b @returns {number[][]}
 */
function matched(a, b) {
  const reach = new Int32Array(2 * MOST + 3), middle = MOST + 1, steps = [];
  for (let d = 0; d <= MOST; d++) {
    steps.push(reach.slice());
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && reach[middle + k - 1] < reach[middle + k + 1]);
      let x = down ? reach[middle + k + 1] : reach[middle + k - 1] + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      reach[middle + k] = x;
      if (x >= a.length && x - k >= b.length) return wayBack(steps, a.length, b.length, middle);
    }
  }
  return [];
}

/** @param {Int32Array[]} steps @param {number} x @param {number} y @param {number} middle @returns {number[][]} */
function wayBack(steps, x, y, middle) {
  const pairs = [];
  for (let d = steps.length - 1; d >= 0; d--) {
    const k = x - y, reach = steps[d];
    const down = k === -d || (k !== d && reach[middle + k - 1] < reach[middle + k + 1]);
    const before = down ? k + 1 : k - 1;
    const [fromX, fromY] = d ? [reach[middle + before], reach[middle + before] - before] : [0, 0];
    while (x > fromX && y > fromY) pairs.push([x -= 1, y -= 1]);
    [x, y] = [fromX, fromY];
  }
  return pairs.reverse();
}

/**
 * The place of a line after some changes; of one that is gone, the nearest.
 * @param {number} line @param {Change[]} changes
 */
export function moved(line, changes) {
  let shift = 0;
  for (const { from, before, at, after } of changes) {
    if (line < from) break;
    if (line < from + before.length) return at + Math.max(0, Math.min(line - from, after.length - 1));
    shift += after.length - before.length;
  }
  return line + shift;
}

/**
 * A change as it is saved: old lines and new ones, with enough around them to match one place only.
 * @param {Change} change @param {string[]} old @returns {string[][]}
 */
export function anchored({ from, before, after }, old) {
  const end = from + before.length;
  let [first, last] = [from, end];
  while (first === last || (placesOf(old.slice(first, last), old).length > 1)) {
    [first, last] = [Math.max(0, first - 1), Math.min(old.length, last + 1)];
  }
  return [old.slice(first, last), [...old.slice(first, from), ...after, ...old.slice(end, last)]];
}

/**
 * Where some lines occur in others.
 * @param {string[]} lines @param {string[]} others @returns {number[]}
 */
function placesOf(lines, others) {
  const found = [];
  for (let i = others.indexOf(lines[0]); i >= 0; i = others.indexOf(lines[0], i + 1)) {
    if (lines.every((line, n) => others[i + n] === line)) found.push(i);
  }
  return found;
}

/**
 * The lines before and after a saved change; nothing if it is not a change. Older ones have the name of a chunk first.
 * @param {unknown} kept
 */
export function partsOf(kept) {
  const texts = Array.isArray(kept) ? kept.slice(-2) : [];
  const parts = texts.map((part) => (typeof part === "string" ? part.split("\n") : part));
  const isLines = (/** @type {unknown} */ part) => Array.isArray(part) && part.every((line) => typeof line === "string");
  return parts.length === 2 && parts.every(isLines) ? /** @type {string[][]} */ (parts) : null;
}

/**
 * The essay with saved changes, and those that do not fit: their lines match no place or several, or they overlap.
 * @param {unknown[]} kept @param {string[]} essay
 */
export function withChanges(kept, essay) {
  const edits = /** @type {Change[]} */ ([]), lost = /** @type {unknown[]} */ ([]);
  const isFree = (/** @type {Change} */ { from, before }) => (
    edits.every((edit) => edit.from > from + before.length || from > edit.from + edit.before.length));
  for (const change of kept) {
    const [before, after] = partsOf(change) ?? [[], []], places = placesOf(before, essay);
    const parts = differences(before, after).map((part) => ({ ...part, from: part.from + places[0] }));
    if (places.length === 1 && parts.every(isFree)) edits.push(...parts);  // without the lines around it
    else lost.push(change);
  }
  const lines = [...essay];
  for (const { from, before, after } of edits.sort((one, other) => other.from - one.from)) {
    lines.splice(from, before.length, ...after);
  }
  return { lines, lost };
}

/**
 * Changes as one word for a link.
 * @param {string[][][]} kept
 */
export function packed(kept) {
  const bytes = new TextEncoder().encode(JSON.stringify(kept));
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte));
  return btoa(letters.join("")).replaceAll("+", "-").replaceAll("/", "_");
}

/** @param {string} word @returns {unknown[]} */
export function unpacked(word) {
  const bytes = Uint8Array.from(atob(word.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const found = JSON.parse(new TextDecoder().decode(bytes));
  if (!Array.isArray(found)) throw new Error("it holds no changes");
  return found;
}
