// The settings of a run: the flags of the program, and a text of one's own.

const FLAGS = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("#settings input[name]"));
const RADIOS = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=steps]"));
const [more, text] = ["more", "text"].map((id) => /** @type {HTMLInputElement} */ (document.getElementById(id)));
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

/** The radio buttons say what is in the field, and fill it. */
function showSteps() { for (const radio of RADIOS) radio.checked = radio.value === flag("num_steps"); }

for (const radio of RADIOS) {
  radio.addEventListener("change", () => Object.assign(fieldOf("num_steps") ?? {}, { value: radio.value }));
}
fieldOf("num_steps")?.addEventListener("input", showSteps);
