// The settings of a run: the flags of the program, a field for more of them, and a text of one's own.

const FIELDS = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("#settings input"));
const RADIOS = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=steps]"));
const text = /** @type {HTMLTextAreaElement} */ (document.getElementById("text"));
const fieldOf = (/** @type {string} */ name) => [...FIELDS].find((input) => input.name === name);

/** Programs that only count have none. */
export const hasFlags = Boolean(fieldOf("num_steps"));
export const ownText = () => text.value;
export const flag = (/** @type {string} */ name) => fieldOf(name)?.value ?? "";

/** The words of the command, after the program. */
export function words() {
  const found = text.value ? ["text.txt"] : [];
  for (const { name, value, dataset } of FIELDS) {
    const given = value.trim();
    if (name === "more") found.push(...given.split(/\s+/).filter(Boolean));
    else if (given && given !== dataset.default) found.push(`--${name}`, given);
  }
  return found;
}

/**
 * Takes what a link says.
 * @param {URLSearchParams} asked
 */
export function take(asked) {
  for (const input of FIELDS) input.value = asked.get(input.name)?.slice(0, input.maxLength) ?? input.value;
  showSteps();
}

/**
 * Puts what differs from the page as it was into a link.
 * @param {URLSearchParams} hash
 */
export function give(hash) {
  for (const input of FIELDS) if (input.value !== input.defaultValue) hash.set(input.name, input.value);
}

/** The radio buttons say what is in the field, and fill it. */
function showSteps() { for (const radio of RADIOS) radio.checked = radio.value === flag("num_steps"); }

for (const radio of RADIOS) {
  radio.addEventListener("change", () => Object.assign(fieldOf("num_steps") ?? {}, { value: radio.value }));
}
fieldOf("num_steps")?.addEventListener("input", showSteps);
