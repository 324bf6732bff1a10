// A list to train on: its lines, its problems, the flags that the program gets for it, and its form as a link.

/**
 * What the program gets of a text: its lines, and flags that are not its defaults. A problem is in the way of training,
 * notes are not.
 * @typedef {{ lines: string[], problem: string, notes: string[], flags: Record<string, number> }} List
 */

export const MOST = 2_000_000;  // characters of a list: more would be slow to show and to read
const CHARACTERS = 2_000;  // different ones: each adds 32 parameters, and with more a step takes too long
const LETTERS = 48;  // of a line; the rest is cut
const FEW = 5, VISITS = 12;  // lines that are too few; how often each is read before the model knows it by heart
const PATIENCE = 1_500_000;  // microseconds of a laptop's processor
export const LINK = 8_000;  // characters: some chats and mail programs break longer ones

/**
 * Write a number of things.
 * @param {number} count
 * @param {string} thing
 */
export function counted(count, thing) { return `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`; }

/**
 * Read a text as the program does: a line is what has something on it. Accents are put together with their letters.
 * @param {string} text
 * @returns {List}
 */
export function listOf(text) {
  const size = `${(text.length / 1e6).toFixed(1)} million characters; the machine takes ${MOST / 1e6} million.`;
  if (text.length > MOST) return refused(`This list has ${size} Use a part of it.`);
  if (/[\0-\x08\x0e-\x1f]/.test(text)) return refused("This is not plain text. Save it as plain text (UTF-8) first.");
  const lines = text.normalize("NFC").split(/\r\n?|\n/).map((line) => line.trim()).filter(Boolean);
  if (!lines.length) return refused("The list is empty. Enter one word or name on each line.");
  if (lines.length === 1) return refused("There is only one line. Put each word or name on a line of its own.", lines);
  const characters = new Set(), lengths = lines.map((line) => {
    let length = 0;
    for (const character of line) {
      characters.add(character);
      length += 1;
    }
    return length;
  });
  const longest = lengths.reduce((a, b) => Math.max(a, b)), repeated = lines.length - new Set(lines).size;
  if (characters.size > CHARACTERS) {
    const many = counted(characters.size, "different character");
    return refused(`The list has ${many}; the machine can learn ${CHARACTERS.toLocaleString("en")}. Use fewer lines.`, lines);
  }
  const notes = [[lines.length < FEW, "So few will only be repeated."],
    [repeated > 0, `${repeated.toLocaleString("en")} occur more than once.`],
    [longest === 1, "With one letter on each line there is little to learn."],
    [longest > LETTERS, `Lines are cut after ${LETTERS} characters.`]];
  const positions = lengths.reduce((sum, length) => sum + Math.min(length, LETTERS) + 1, 0) / lines.length;
  const possible = PATIENCE / (20 + characters.size / 8) / positions;  // a position takes so many microseconds
  const steps = 100 * Math.round(Math.min(VISITS * lines.length, possible) / 100);
  const flags = { block_size: Math.min(longest, LETTERS) + 1, num_steps: Math.max(300, steps) };
  return { lines, problem: "", notes: notes.flatMap(([so, note]) => (so ? [String(note)] : [])), flags };
}

/** @param {string} problem @param {string[]} [lines] @returns {List} */
function refused(problem, lines = []) { return { lines, problem, notes: [], flags: {} }; }

/**
 * Read a file that was dropped; the error says what is wrong with it.
 * @param {File} file
 */
export async function textOf(file) {
  if (file.size > MOST) {
    throw new Error(`${file.name} has ${(file.size / 1e6).toFixed(1)} MB; the machine takes ${MOST / 1e6} MB. Use a part of it`);
  }
  const text = decoded(await file.arrayBuffer());
  if (text === null) throw new Error(`${file.name} is not plain text in UTF-8. Save it as that first`);
  return text;
}

/** Return the text of some bytes, or null if they are none; a mark of its order at the beginning is dropped. */
function decoded(/** @type {BufferSource} */ bytes) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text.includes("\0") ? null : text;
  } catch { return null; }
}

/**
 * Return a list as a link carries it: compressed, with a sum that tells whether it is whole, in letters of addresses.
 * @param {string[]} lines
 */
export async function packed(lines) {
  const stream = new Blob([lines.join("\n")]).stream().pipeThrough(new CompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * Return the text that a link carries, or null if it is damaged. However much comes out, no more is read than a list
 * may have.
 * @param {string} word
 */
export async function unpacked(word) {
  try {
    const bytes = Uint8Array.from(atob(word.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
    const parts = /** @type {BlobPart[]} */ ([]);
    for (let size = 0, part = await reader.read(); !part.done; part = await reader.read()) {
      size += part.value.length;
      if (size > 4 * MOST) return null;
      parts.push(part.value);
    }
    return decoded(await new Blob(parts).arrayBuffer());
  } catch { return null; }
}
