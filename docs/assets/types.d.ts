// What the scripts use and others define, for the type checker (tests/test_repository.py). The site does not have this file.

/** Of weaver/serve.py, which puts it into serve.js. */
declare const EDITION: string;

/** Of the essay's program in JavaScript, build/efficiency/microgpt.js, which engine.js imports. */
declare var microgpt: Microgpt;

interface Microgpt {
  DEFAULTS: { num_steps: number, seed: bigint, [name: string]: number | bigint };
  Random: new (seed: bigint) => Die;
  begin(text: string, flags: object): Begun;
  train(model: Model, lessons: number[][], flags: object): Generator<number>;
  sample(model: Model, bos: number, flags: { temperature: number }, random: Die): Generator<number>;
  attend: object;
  adam(parameter: Moving, step: number, rate: number): void;
  softmax(data: number[] | Float64Array, start: number, end: number): void;
}

interface Begun {
  documents: string[][];
  characters: string[];
  bos: number;
  lessons: number[][];
  model: Model;
}

/** Its tape has an entry for each operation, in the order of the computation; a matrix has a row for each position. */
interface Model {
  tape: { operation: object, result: Matrix, inputs: Matrix[] }[];
}

interface Matrix {
  rows: number;
  columns: number;
  data: Float64Array;
}

/** Numbers that learn, with their gradients and the running means of these. */
interface Moving {
  data: number[];
  grad: number[];
  mean: number[];
  square: number[];
}

interface Die {
  choice(weights: Float64Array): number;
}

/** Of Pyodide, Python for the browser: as much as bench/worker.js needs. */
interface Pyodide {
  FS: {
    mkdirTree(path: string): void;
    writeFile(path: string, text: string): void;
    chdir(path: string): void;
  };
  setInterruptBuffer(buffer: Uint8Array): void;
  setStdout(options: { batched(line: string): void }): void;
  setStderr(options: { batched(line: string): void }): void;
  runPython(code: string): any;
  toPy(value: unknown): unknown;
}

/** Of all browsers since 2023. */
declare class CompressionStream { constructor(format: "deflate"); readable: ReadableStream<Uint8Array>; writable: WritableStream<BufferSource>; }
declare class DecompressionStream extends CompressionStream {}

declare module "*/pyodide.mjs" {
  export function loadPyodide(options: { indexURL: string, jsglobals: object }): Promise<Pyodide>;
}
