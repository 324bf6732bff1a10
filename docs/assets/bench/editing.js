// The editor of one chunk, in the place of its lines: prism-code-editor, which draws the text of a text area behind it.
//
// Tab leaves the field, as it leaves any other: nobody without a mouse must be caught in it.

import { make } from "../elements.js";
import { createEditor } from "../prism-code-editor/index.js";
import { defaultCommands, setIgnoreTab } from "../prism-code-editor/extensions/commands.js";
import "../prism-code-editor/languages/python.js";
import "../prism-code-editor/prism/languages/python.js";
import { linesOf } from "./marks.js";

const KEYS = "Ctrl+Enter runs it, Tab leaves the field, Ctrl+] indents. ";
const MEANS = "A name in << >>, alone on its line, is replaced by the chunk of that name; a chunk is a named piece of the essay.";
document.head.append(make("link", { rel: "stylesheet", href: new URL("../prism-code-editor/layout.css", import.meta.url).href }));

/**
 * Opens a chunk in its place.
 * @param {import("./changes.js").Fence} fence @param {string} value its code @param {number} row where the caret is, from 0
 * @param {{typed: (code: string) => void, run: () => void, undo: () => void, done: () => void}} act
 */
export function open(fence, value, row, act) {
  const editor = createEditor(null, { language: "python", value, tabSize: 4, wordWrap: true, lineNumbers: true },
    defaultCommands([]));  // it closes no brackets that one did not close
  const { container, textarea, keyCommandMap } = editor, { Enter: enter } = keyCommandMap, lines = linesOf(fence);
  const name = `⟨${fence.title}⟩`, problem = make("p", { className: "problem" }), keys = { id: "editor-keys" };
  const button = (/** @type {string} */ words, /** @type {() => void} */ onclick) => (
    make("button", { type: "button", className: "quiet", onclick }, words));
  const frame = make("div", { className: "editor" }, make("p", { className: "row" }, make("strong", {}, name), " ",
    button("Done", act.done), button("Undo this change", act.undo)), container, problem,
    make("p", { className: "quietly" }, make("span", { ...keys, className: "keys-hint" }, KEYS), MEANS));
  problem.setAttribute("role", "status");
  for (const [key, text] of Object.entries({ "aria-label": `Code of ${name}`, "aria-describedby": keys.id,
    spellcheck: "false", autocapitalize: "off", autocomplete: "off" })) textarea.setAttribute(key, text);
  keyCommandMap.Enter = (event, selection, code) => {
    if (!event.ctrlKey && !event.metaKey) return enter(event, selection, code);
    act.run();
    return true;
  };
  delete keyCommandMap.Escape;  // it would take the focus away
  setIgnoreTab(true);
  const from = fence.end - fence.first === lines.length ? Number(lines[0].id.slice(1)) : 1;  // its lines are in a row
  container.style.setProperty("--before", String(from - 1));
  textarea.addEventListener("input", () => act.typed(textarea.value));
  for (const line of lines) line.classList.add("edited");
  lines[0].before(frame);
  const caret = value.split("\n").slice(0, row).join("\n").length + (row && 1);
  textarea.setSelectionRange(caret, caret);
  frame.scrollIntoView({ block: "nearest" });
  textarea.focus({ preventScroll: true });
  if (matchMedia("(hover: none)").matches) editor.lines[row + 1]?.scrollIntoView({ block: "center" });  // above the keyboard
  return {
    /** The number of its first line: in the program, if it has no other chunk in it. */
    from,
    /** @param {string} code */
    fill(code) { if (code !== textarea.value) editor.setOptions({ value: code }); },
    /**
     * Shows an error below the field, and marks its line, from 0; without a message, neither.
     * @param {string} [message] @param {number} [line]
     */
    complain(message = "", line = -1) {
      if (problem.textContent !== message) problem.textContent = message;
      for (const shown of container.querySelectorAll(".wrong")) shown.classList.remove("wrong");
      if (line >= 0) editor.lines[line + 1]?.classList.add("wrong");  // the text area is the first
      if (message) problem.scrollIntoView({ block: "nearest" });
    },
    close() {
      frame.remove();
      for (const line of lines) line.classList.remove("edited");
      /** @type {HTMLElement | null} */ (lines[0].querySelector(".number"))?.focus();
    },
  };
}
