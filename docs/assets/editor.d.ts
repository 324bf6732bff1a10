// What bench/editing.js uses of prism-code-editor, for the type checker. The site does not have this file.

/** Of prism-code-editor, the field for code: as much as bench/editing.js needs. */
interface Editor {
  container: HTMLElement;
  textarea: HTMLTextAreaElement;
  lines: HTMLCollection;
  keyCommandMap: { [key: string]: (event: KeyboardEvent, selection: [number, number, string], value: string) => unknown };
  setOptions(options: { value: string }): void;
  update(): void;
}

declare module "*/prism-code-editor/index.js" {
  export function createEditor(container: Element | null, options: object, ...extensions: unknown[]): Editor;
}

declare module "*/prism-code-editor/extensions/commands.js" {
  export function defaultCommands(pairs: string[]): unknown;
  export function setIgnoreTab(ignored: boolean): void;
}
