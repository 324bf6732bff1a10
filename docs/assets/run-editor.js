// A field for editing code in colours: prism-code-editor, which draws the text of a text area behind it.
//
// Tab leaves the field, as it leaves any other: nobody without a mouse must be caught in it.

import { createEditor } from "./prism-code-editor/index.js";
import { defaultCommands, setIgnoreTab } from "./prism-code-editor/extensions/commands.js";
import "./prism-code-editor/languages/python.js";
import "./prism-code-editor/prism/languages/markdown.js";
import "./prism-code-editor/prism/languages/python.js";
import { element } from "./run-page.js";

const TAB_SIZE = 4;  // columns, as in Python

/**
 * Replaces a text area of the page by such a field.
 * @param {string} id @param {string} language @param {() => void} run is called by Control and Enter
 */
export function codeField(id, language, run) {
  const plain = element(id, HTMLTextAreaElement);
  const options = { language, value: plain.value, tabSize: TAB_SIZE, wordWrap: true, lineNumbers: false };
  const editor = createEditor(null, options, defaultCommands([]));  // it closes no brackets that one did not close
  const { container, textarea, lines, keyCommandMap } = editor, { Enter: enter } = keyCommandMap;
  for (const { name, value } of plain.attributes) textarea.setAttribute(name, value);
  keyCommandMap.Enter = (event, selection, value) => {
    if (!event.ctrlKey && !event.metaKey) return enter(event, selection, value);
    run();
    return true;
  };
  delete keyCommandMap.Escape;  // it would take the focus away
  setIgnoreTab(true);
  plain.replaceWith(container);
  return Object.assign(editor, {
    /**
     * Scrolls a line, counted from 0, to the middle, if it is out of view.
     * @param {number} line
     */
    show(line) {
      const { offsetTop, offsetHeight } = /** @type {HTMLElement} */ (lines[line + 1]);  // the text area is the first
      const { scrollTop, clientHeight } = container;
      if (offsetTop >= scrollTop && offsetTop + offsetHeight <= scrollTop + clientHeight) return;
      container.scrollTop = offsetTop + offsetHeight / 2 - clientHeight / 2;
    },
  });
}
