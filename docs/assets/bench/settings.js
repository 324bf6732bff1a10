// The settings of a run: the flags of the program, and a text of one's own.

import { counted, listOf, textOf } from "../machine-list.js";

const FLAGS = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("#settings input[name]"));
const RADIOS = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=steps]"));
const [more, file, text] = ["more", "file", "text"].map((id) => (
  /** @type {HTMLInputElement} */ (document.getElementById(id))));
const fieldOf = (/** @type {string} */ name) => [...FLAGS].find((input) => input.name === name);

/** Programs that only count have none. */
export const hasFlags = FLAGS.length > 0;
export const ownText = () => text.value;
export const flag = (/** @type {string} */ name) => fieldOf(name)?.value ?? "";

/** The words of the command, after the program. */
export function words() {
  const found = text.value ? ["text.txt"] : [];
  for (const { name, value, dataset } of FLAGS) {
    if (value.trim() && value.trim() !== dataset.default) found.push(`--${name}`, value.trim());
  }
  return [...found, ...more.value.split(/\s+/).filter(Boolean)];
}

/**
 * Takes what a link says.
 * @param {URLSearchParams} asked
 */
export function take(asked) {
  for (const input of FLAGS) input.value = asked.get(input.name)?.slice(0, input.maxLength) ?? input.value;
  more.value = asked.get("more") ?? more.value;
  showSteps();
}

/**
 * Puts what differs from the page as it was into a link.
 * @param {URLSearchParams} hash
 */
export function give(hash) {
  for (const input of FLAGS) if (input.value !== input.defaultValue) hash.set(input.name, input.value);
  if (more.value) hash.set("more", more.value);
}

/** The radio buttons say what is in the field. */
function showSteps() { for (const radio of RADIOS) radio.checked = radio.value === flag("num_steps"); }

/**
 * @param {File | undefined} chosen
 * @returns {Promise<string>} what is to be said of it
 */
async function read(chosen) {
  if (!chosen) return "";
  try {
    const found = await textOf(chosen), { lines, problem } = listOf(found);
    if (!problem) text.value = found;
    return problem || `${chosen.name} was read: ${counted(lines.length, "line")}.`;
  } catch (error) { return `${error instanceof Error ? error.message : error}.`; }
}

/** @param {(message: string) => void} say */
export function listen(say) {
  for (const radio of RADIOS) {
    radio.addEventListener("change", () => Object.assign(fieldOf("num_steps") ?? {}, { value: radio.value }));
  }
  document.getElementById("settings")?.addEventListener("input", showSteps);
  file.addEventListener("change", async () => say(await read(file.files?.[0])));
}
