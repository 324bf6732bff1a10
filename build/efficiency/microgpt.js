// The GPT of microgpt.py in JavaScript, its derivatives written by hand: it runs in any browser, and with node.
// Tangled from the essay microgpt.md. Change the essay, not this file.

"use strict";

class Random { // Python's random numbers
  constructor(seed) { // a BigInt
    this.state = new Uint32Array(624);
    this.index = 624;
    this.second = null;
    const state = this.state, key = [], size = seed < 0n ? -seed : seed;
    for (let rest = size; rest > 0n || !key.length; rest >>= 32n) key.push(Number(rest & 0xffffffffn));
    const scrambled = (i) => state[i] ^ (state[i] >>> 30);
    state[0] = 19650218;
    for (let i = 1; i < 624; i++) state[i] = Math.imul(scrambled(i - 1), 1812433253) + i;
    let i = 1, j = 0;
    const next = () => { if (++i === 624) { state[0] = state[623]; i = 1; } };
    for (let k = Math.max(624, key.length); k > 0; k--) {
      state[i] = (state[i] ^ Math.imul(scrambled(i - 1), 1664525)) + key[j] + j;
      next();
      j = (j + 1) % key.length;
    }
    for (let k = 623; k > 0; k--) {
      state[i] = (state[i] ^ Math.imul(scrambled(i - 1), 1566083941)) - i;
      next();
    }
    state[0] = 0x80000000;
  }

  bits(count) { // 32 at most
    if (this.index === 624) this.stir();
    let y = this.state[this.index++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return ((y ^ (y >>> 18)) >>> 0) >>> (32 - count);
  }

  stir() {
    const state = this.state;
    for (let i = 0; i < 624; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.index = 0;
  }

  random() { return (this.bits(27) * 67108864 + this.bits(26)) / 9007199254740992; }

  below(n) {
    for (;;) {
      const drawn = this.bits(32 - Math.clz32(n)); // as many as n has
      if (drawn < n) return drawn;
    }
  }

  shuffle(list) {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [list[i], list[j]] = [list[j], list[i]];
    }
  }

  gauss(mean, deviation) { // they come in pairs, and the second is kept
    let z = this.second;
    this.second = null;
    if (z === null) {
      const angle = this.random() * 2 * Math.PI, radius = Math.sqrt(-2 * Math.log(1 - this.random()));
      z = Math.cos(angle) * radius;
      this.second = Math.sin(angle) * radius;
    }
    return mean + z * deviation;
  }

  choice(weights) { // the number of one of them
    let sum = 0;
    const sums = weights.map((weight) => (sum += weight)), drawn = this.random() * sum;
    const found = sums.findIndex((upTo) => drawn < upTo);
    return found < 0 ? weights.length - 1 : found;
  }
}

function matrix(rows, columns) { // of parameters, or of what the model computes: a row for each token of a document
  const size = rows * columns;
  return { rows, columns, data: new Float64Array(size), grad: new Float64Array(size) };
}

const embed = {
  forward(y, wte, wpe, tokens, from, to) {
    const n = y.columns;
    for (let t = from; t < to; t++)
      for (let i = 0; i < n; i++) y.data[t * n + i] = wte.data[tokens[t] * n + i] + wpe.data[t * n + i];
  },
  backward(y, wte, wpe, tokens, to) {
    const n = y.columns;
    for (let t = 0; t < to; t++)
      for (let i = 0; i < n; i++) {
        wte.grad[tokens[t] * n + i] += y.grad[t * n + i];
        wpe.grad[t * n + i] += y.grad[t * n + i];
      }
  },
};

const linear = {
  forward({ data: out, rows, columns }, { data: weights }, { data: x, columns: n }, from, to) {
    for (let t = from; t < to; t++)
      for (let i = 0; i < columns; i++) {
        let sum = 0;
        for (let j = 0; j < n; j++) sum += weights[i * n + j] * x[t * n + j];
        out[t * columns + i] = sum;
      }
  },
  backward(y, weights, x, to) {
    const m = y.columns, n = x.columns;
    for (let t = 0; t < to; t++)
      for (let i = 0; i < m; i++) {
        const grad = y.grad[t * m + i];
        if (grad === 0) continue; // behind a relu that is shut
        for (let j = 0; j < n; j++) {
          weights.grad[i * n + j] += grad * x.data[t * n + j];
          x.grad[t * n + j] += grad * weights.data[i * n + j];
        }
      }
  },
};

const rmsnorm = {
  forward(y, x, from, to) {
    const n = x.columns;
    for (let t = from; t < to; t++) {
      const factor = factorOf(x, t);
      for (let i = 0; i < n; i++) y.data[t * n + i] = x.data[t * n + i] * factor;
    }
  },
  backward(y, x, to) {
    const n = x.columns;
    for (let t = 0; t < to; t++) {
      const factor = factorOf(x, t);
      let sum = 0;
      for (let i = 0; i < n; i++) sum += y.grad[t * n + i] * y.data[t * n + i];
      for (let i = 0; i < n; i++) x.grad[t * n + i] += factor * (y.grad[t * n + i] - (y.data[t * n + i] * sum) / n);
    }
  },
};

function factorOf(x, t) {
  const n = x.columns;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += x.data[t * n + i] ** 2;
  return 1 / Math.sqrt(sum * (1 / n) + 1e-5);
}

const relu = {
  forward(y, x, from, to) {
    for (let i = from * x.columns; i < to * x.columns; i++) y.data[i] = Math.max(0, x.data[i]);
  },
  backward(y, x, to) {
    for (let i = 0; i < to * x.columns; i++) if (x.data[i] > 0) x.grad[i] += y.grad[i];
  },
};

const add = {
  forward(y, a, b, from, to) {
    for (let i = from * y.columns; i < to * y.columns; i++) y.data[i] = a.data[i] + b.data[i];
  },
  backward(y, a, b, to) {
    for (let i = 0; i < to * y.columns; i++) {
      a.grad[i] += y.grad[i];
      b.grad[i] += y.grad[i];
    }
  },
};

const attend = { // weights has a row for each token and head
  forward(found, query, keys, values, weights, from, to) {
    const n = query.columns, size = n / (weights.rows / query.rows);
    for (let t = from; t < to; t++)
      for (let start = 0; start < n; start += size) {
        const at = t * n + start, row = (at / size) * weights.columns;
        for (let u = 0; u <= t; u++) {
          let score = 0;
          for (let i = 0; i < size; i++) score += query.data[at + i] * keys.data[u * n + start + i];
          weights.data[row + u] = score * (1 / Math.sqrt(size));
        }
        softmax(weights.data, row, row + t + 1);
        for (let i = 0; i < size; i++) {
          let sum = 0;
          for (let u = 0; u <= t; u++) sum += weights.data[row + u] * values.data[u * n + start + i];
          found.data[at + i] = sum;
        }
      }
  },
  backward(found, query, keys, values, weights, to) {
    const n = query.columns, size = n / (weights.rows / query.rows);
    for (let t = 0; t < to; t++)
      for (let start = 0; start < n; start += size) {
        const at = t * n + start, row = (at / size) * weights.columns;
        let mean = 0;
        for (let u = 0; u <= t; u++) {
          const weight = weights.data[row + u];
          let grad = 0;
          for (let i = 0; i < size; i++) {
            grad += found.grad[at + i] * values.data[u * n + start + i];
            values.grad[u * n + start + i] += found.grad[at + i] * weight;
          }
          weights.grad[row + u] = grad;
          mean += weight * grad;
        }
        for (let u = 0; u <= t; u++) {
          const grad = weights.data[row + u] * (weights.grad[row + u] - mean) * (1 / Math.sqrt(size));
          for (let i = 0; i < size; i++) {
            query.grad[at + i] += grad * keys.data[u * n + start + i];
            keys.grad[u * n + start + i] += grad * query.data[at + i];
          }
        }
      }
  },
};

function softmax(data, start, end) { // in place
  let largest = -Infinity, sum = 0;
  for (let i = start; i < end; i++) largest = Math.max(largest, data[i]);
  for (let i = start; i < end; i++) sum += data[i] = Math.exp(data[i] - largest);
  for (let i = start; i < end; i++) data[i] *= 1 / sum;
}

const TOO_LARGE = "not enough memory for this text, or for a model of this size"; // some gigabytes

function newModel(vocabSize, { n_embd, n_head, n_layer, block_size }, random) {
  const parameters = [], tape = [], tokens = [];
  const perLayer = 12 * n_embd ** 2 + block_size * (14 * n_embd + n_head * block_size);
  if (2 * vocabSize * n_embd + n_layer * (1000 + perLayer) > 2 ** 27) throw new RangeError(TOO_LARGE);
  const parameter = (rows, columns) => {
    const made = matrix(rows, columns);
    for (let i = 0; i < made.data.length; i++) made.data[i] = random.gauss(0, 0.08);
    parameters.push(made);
    return made;
  };
  const record = (operation, columns, ...inputs) => {
    const result = matrix(block_size, columns);
    tape.push({ operation, result, inputs });
    return result;
  };
  const wte = parameter(vocabSize, n_embd), wpe = parameter(block_size, n_embd), head = parameter(vocabSize, n_embd);
  let x = record(rmsnorm, n_embd, record(embed, n_embd, wte, wpe, tokens));
  for (let layer = 0; layer < n_layer; layer++) {
    const [wq, wk, wv, wo] = [1, 2, 3, 4].map(() => parameter(n_embd, n_embd));
    const fc1 = parameter(4 * n_embd, n_embd), fc2 = parameter(n_embd, 4 * n_embd);
    const normed = record(rmsnorm, n_embd, x), weights = matrix(block_size * n_head, block_size);
    const [query, keys, values] = [wq, wk, wv].map((rows) => record(linear, n_embd, rows, normed));
    const found = record(attend, n_embd, query, keys, values, weights);
    x = record(add, n_embd, record(linear, n_embd, wo, found), x);
    const hidden = record(relu, 4 * n_embd, record(linear, 4 * n_embd, fc1, record(rmsnorm, n_embd, x)));
    x = record(add, n_embd, record(linear, n_embd, fc2, hidden), x);
  }
  return { parameters, tape, tokens, logits: record(linear, vocabSize, head, x), size: block_size };
}

function forward(model, from, to) { // the tokens before these have left their rows everywhere
  for (const { operation, result, inputs } of model.tape) operation.forward(result, ...inputs, from, to);
}

function backward(model, to) {
  for (const { operation, result, inputs } of [...model.tape].reverse()) {
    operation.backward(result, ...inputs, to);
    result.grad.fill(0, 0, to * result.columns);
  }
}

function lossOf(model, document) { // and leave its gradient at the logits
  const n = document.length - 1, { data, grad, columns } = model.logits;
  document.forEach((token, t) => { if (t < n) model.tokens[t] = token; });
  forward(model, 0, n);
  let sum = 0;
  for (let t = 0; t < n; t++) {
    const row = t * columns, target = row + document[t + 1];
    softmax(data, row, row + columns);
    if (!(data[target] > 0)) throw new RangeError("the numbers grew too large: try a smaller --learning_rate");
    sum += Math.log(data[target]);
    for (let i = row; i < row + columns; i++) grad[i] = (data[i] - (i === target ? 1 : 0)) / n;
  }
  return sum * (-1 / n);
}

function adam({ data, grad, mean, square }, step, rate) {
  const beta1 = 0.85, beta2 = 0.99, epsilon = 1e-8, correct1 = 1 - beta1 ** step, correct2 = 1 - beta2 ** step;
  for (let i = 0; i < data.length; i++) {
    mean[i] = beta1 * mean[i] + (1 - beta1) * grad[i];
    square[i] = beta2 * square[i] + (1 - beta2) * (grad[i] * grad[i]);
    data[i] -= (rate * (mean[i] / correct1)) / (Math.sqrt(square[i] / correct2) + epsilon);
    grad[i] = 0;
  }
}

function* train(model, lessons, { num_steps, learning_rate }) {
  const zeros = (p) => ({ mean: new Float64Array(p.data.length), square: new Float64Array(p.data.length) });
  const moving = model.parameters.map((p) => ({ ...p, ...zeros(p) }));
  for (let step = 0; step < num_steps; step++) {
    const lesson = lessons[step % lessons.length], loss = lossOf(model, lesson);
    backward(model, lesson.length - 1);
    for (const p of moving) adam(p, step + 1, learning_rate * (1 - step / num_steps));
    yield loss;
  }
}

function* sample(model, bos, { temperature }, random) {
  let token = bos;
  for (let t = 0; t < model.size; t++) {
    model.tokens[t] = token;
    forward(model, t, t + 1);
    const row = t * (bos + 1), logits = model.logits.data.subarray(row, row + bos + 1);
    const weights = logits.map((logit) => logit * (1 / temperature));
    softmax(weights, 0, bos + 1);
    token = random.choice(weights);
    if (token === bos) return;
    yield token;
  }
}

const FLAGS = [ // name, default, meaning
  ["n_embd", 16, "embedding size, in numbers per token; a multiple of n_head"],
  ["n_head", 4, "attention heads in each layer"],
  ["n_layer", 1, "layers"],
  ["block_size", 16, "context length, in tokens"],
  ["num_steps", 1000, "training steps, one document each"],
  ["learning_rate", 0.01, "size of the first step; it falls to 0"],
  ["temperature", 0.5, "lower is safer, higher is wilder"],
  ["samples", 20, "documents to invent"],
  ["seed", 42n, "random seed"],
];
const DEFAULTS = Object.fromEntries(FLAGS);

const BLANK = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/; // as Python sees it

function strip(line) {
  let start = 0, end = line.length;
  while (start < end && BLANK.test(line[start])) start++;
  while (start < end && BLANK.test(line[end - 1])) end--;
  return line.slice(start, end);
}

function read(text) { return text.split(/\r\n?|\n/).map(strip).filter((line) => line); }

function begin(text, flags) { // all that is made before the training, with as many random numbers as in Python
  const documents = read(text).map((line) => [...line]), random = new Random(BigInt(flags.seed));
  random.shuffle(documents);
  const characters = [...new Set(documents.flat())].sort((a, b) => a.codePointAt(0) - b.codePointAt(0));
  const bos = characters.length, numbers = new Map(characters.map((character, i) => [character, i]));
  const encode = (document) => [bos, ...document.map((character) => numbers.get(character)), bos];
  const { block_size: size, num_steps } = flags;
  const lessons = documents.slice(0, num_steps).map((d) => encode(d.slice(0, size)).slice(0, size + 1));
  return { documents, characters, bos, lessons, model: newModel(bos + 1, flags, random), random };
}

globalThis.microgpt = { FLAGS, DEFAULTS, Random, begin, newModel, train, sample, attend, adam, softmax };

// Below a package.json with "type": "module", node has no require; a page has neither that nor a process.
if (typeof require === "function" ? require.main === module : /microgpt\.js$/.test(globalThis.process?.argv[1])) main();

async function main() {
  const fs = await import("fs");
  const fail = (status, message) => {
    fs.writeSync(2, `microgpt: ${message}\n`);
    process.exit(status);
  };
  const flags = { ...DEFAULTS }, paths = [], words = process.argv.slice(2);
  while (words.length) {
    const word = words.shift(), [, name, , given] = word.match(/^--(\w+)(=(.*))?$/) || [];
    if (word === "--help") help();
    else if (!word.startsWith("-")) paths.push(word);
    else if (!Object.hasOwn(DEFAULTS, name)) fail(2, `unrecognized arguments: ${word}`);
    else if (given === undefined && !words.length) fail(2, `argument --${name}: expected one argument`);
    else flags[name] = numberOf(name, given === undefined ? words.shift() : given, fail);
  }
  if (paths.length > 1) fail(2, `unrecognized arguments: ${paths.slice(1).join(" ")}`);
  if (flags.n_embd % flags.n_head) fail(2, "--n_embd must be a multiple of --n_head");
  const path = paths[0] || "docs/names.txt", advice = "expected a UTF-8 text file with one document per line";
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(fs.readFileSync(path));
    if (text.includes("\0")) throw new Error("it contains NUL characters");
  } catch (error) {
    fail(2, `cannot read ${path} (${error.message}): ${advice}`);
  }
  if (!read(text).length) fail(2, `${path} is empty: ${advice.replace("UTF-8 ", "")}`);
  process.stdout.on("error", ({ code, message }) => {
    if (code === "EPIPE") process.exit(130);
    fail(1, `cannot write: ${message}`);
  });
  try {
    await trainAndWrite(flags, text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    fail(1, error.message.startsWith("the numbers") ? error.message : TOO_LARGE);
  }
}

function help() {
  console.log("usage: node microgpt.js [TEXT] [--FLAG NUMBER …]\n\n  TEXT (docs/names.txt): one document per line");
  for (const [name, standard, meaning] of FLAGS) console.log(`  --${name} (${standard}): ${meaning}`);
  process.exit(0);
}

function numberOf(name, text, fail) {
  const float = ["learning_rate", "temperature"].includes(name);
  const form = float ? /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i : /^[+-]?\d+$/;
  if (!form.test(text)) fail(2, `argument --${name}: invalid ${float ? "float" : "int"} value: '${text}'`);
  if (name === "seed") return BigInt(text.replace("+", ""));
  if (Number(text) > 1e-12 && Number(text) < 1e12) return Number(text);
  return fail(2, `--${name} must be a number greater than 0 and less than 1e12`);
}

async function trainAndWrite(flags, text) {
  const { documents, characters, bos, lessons, model, random } = begin(text, flags), terminal = process.stdout.isTTY;
  const count = model.parameters.reduce((sum, { data }) => sum + data.length, 0);
  console.log(`num docs: ${documents.length}\nvocab size: ${bos + 1}\nnum params: ${count}`);
  const start = Date.now(), others = () => new Promise(setImmediate); // lets Ctrl-C through
  process.on("SIGINT", () => (process.exitCode === 130 ? process.exit() : (process.exitCode = 130)));
  let step = 0;
  for (const loss of train(model, lessons, flags)) {
    const padded = (n) => String(n).padStart(4);
    const left = ((Date.now() - start) / 1000 / ++step) * (flags.num_steps - step);
    const shown = `${Object.is(loss, -0) ? "-" : ""}${loss.toFixed(4)}`; // as Python shows it
    const line = `step ${padded(step)} / ${padded(flags.num_steps)} | loss ${shown}`;
    process.stdout.write(terminal ? `\r${line} | ${left.toFixed(0)} s left ` : `${line}\n`);
    await others();
    if (process.exitCode === 130) break;
  }
  console.log(`${terminal ? "\n" : ""}\n--- inference (new, hallucinated names) ---`);
  for (let number = 1; number <= flags.samples; number++, await others()) {
    const name = Array.from(sample(model, bos, flags, random), (token) => characters[token]).join("");
    console.log(`sample ${String(number).padStart(2)}: ${name}`);
  }
}
