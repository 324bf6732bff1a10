"""The GPT of microgpt.py, in which a vector is one entry on the tape."""
# Tangled from the essay microgpt.md. Change the essay, not this file.

import argparse, functools, gc, math, os, random, sys, time
import operator

def encode(document, characters):
    """Return the tokens of a document: a number per character, and BOS, the next free number, at both ends."""
    bos = len(characters)
    return [bos, *map(characters.index, document), bos]

class Vector:
    """A list of numbers in the computation, and its gradient: the derivative of the loss with respect to each."""
    __slots__ = ("data", "grad")
    def __iter__(self): return iter(self.data)

tape = []  # every Vector made from others, in order of creation: (result, inputs, back)

def vector(data, inputs=(), back=None):
    """Return a new Vector; its function back takes its gradient, and returns what that means for each of the inputs."""
    result = Vector()
    result.data, result.grad = data, [0.0] * len(data)
    if inputs:
        tape.append((result, inputs, back))
    return result

def backward(loss):
    """Walk the tape back from the loss, passing each result's gradient on to its inputs."""
    loss.grad = [1.0]
    while tape:
        result, inputs, back = tape.pop()
        for x, grad in zip(inputs, back(result.grad)):
            x.grad = list(map(operator.add, x.grad, grad))

def matrix(rows, columns):
    """Return a matrix of small random parameters, as a list of Vectors, its rows."""
    return [vector([random.gauss(0, 0.08) for _ in range(columns)]) for _ in range(rows)]

def new_model(vocab_size, n_embd, n_layer, block_size):
    """Return an untrained model: a list of dicts of matrices, first the tables and then each layer."""
    tables = {"wte": (vocab_size, n_embd), "wpe": (block_size, n_embd), "lm_head": (vocab_size, n_embd)}
    layer = dict.fromkeys(["wq", "wk", "wv", "wo"], (n_embd, n_embd))
    layer |= {"fc1": (4 * n_embd, n_embd), "fc2": (n_embd, 4 * n_embd)}
    return [{name: matrix(*shape) for name, shape in part.items()} for part in [tables] + [layer] * n_layer]

def parameters_of(model):
    """Return all parameters of a model in one list."""
    return [p for part in model for rows in part.values() for row in rows for p in row]

def dot(x, y): return sum(map(operator.mul, x, y))  # these four know no tape: they work on lists of numbers
def times(rows, x): return [dot(row, x) for row in rows]
def mix(weights, rows): return [dot(weights, column) for column in zip(*rows)]
def outer(x, y): return [[a * b for b in y] for a in x]

def add(x, y): return vector([a + b for a, b in zip(x, y)], (x, y), lambda grad: (grad, grad))
def scale(x, factor): return vector([a * factor for a in x], (x,), lambda grad: ([g * factor for g in grad],))
def relu(x): return vector([max(0.0, a) for a in x], (x,), lambda grad: ([g * (a > 0) for a, g in zip(x, grad)],))

def linear(x, weights):
    """Return the dot product of x with each row of a matrix."""
    rows = [row.data for row in weights]
    def back(grad): return mix(grad, rows), *outer(grad, x.data)
    return vector(times(rows, x.data), (x, *weights), back)

def mean(weights, values):
    """Return the mean of some vectors, each weighted by a number of the vector weights."""
    rows = [row.data for row in values]
    def back(grad): return times(rows, grad), *outer(weights.data, grad)
    return vector(mix(weights.data, rows), (weights, *values), back)

def split(x, n_head):
    """Return x cut into n_head pieces of the same length."""
    length, size = len(x.data), len(x.data) // n_head
    def piece(start):
        def back(grad): return ([0.0] * start + grad + [0.0] * (length - start - size),)
        return vector(x.data[start : start + size], (x,), back)
    return [piece(start) for start in range(0, length, size)]

def join(pieces):
    """Return one vector of all the pieces, which have the same length."""
    size = len(pieces[0].data)
    def back(grad): return [grad[start : start + size] for start in range(0, len(grad), size)]
    return vector([a for piece in pieces for a in piece], pieces, back)

def softmax(logits):
    """Return probabilities: positive, summing to 1, larger for larger logits."""
    shift = max(logits)  # keeps exp in range without changing the result
    exps = [math.exp(logit - shift) for logit in logits]
    whole = sum(exps)
    probabilities = [e / whole for e in exps]
    def back(grad):
        expected = dot(probabilities, grad)
        return ([p * (g - expected) for p, g in zip(probabilities, grad)],)
    return vector(probabilities, (logits,), back)

def rmsnorm(x):
    """Return x scaled so that the mean of its squares is 1."""
    factor = (dot(x, x) / len(x.data) + 1e-5) ** -0.5
    y = [a * factor for a in x]
    def back(grad):
        along = dot(y, grad) / len(y)  # the part of the gradient that would only change the size
        return ([factor * (g - along * b) for b, g in zip(y, grad)],)
    return vector(y, (x,), back)

def attend(query, keys, values):
    """Return the mean of the values, each weighted by how well its key matches the query."""
    return mean(softmax(scale(linear(query, keys), len(query.data) ** -0.5)), values)

def attention(x, layer, cache, n_head):
    """Return what the newest token finds when each of its heads looks back over the tokens so far."""
    queries, keys, values = (split(linear(x, layer[name]), n_head) for name in ("wq", "wk", "wv"))
    cache.append((keys, values))
    found = [attend(query, [k[h] for k, _ in cache], [v[h] for _, v in cache]) for h, query in enumerate(queries)]
    return linear(join(found), layer["wo"])

def gpt(model, token, caches, n_head):
    """Return the logits of the next token; each layer's cache holds the keys and values of the tokens so far."""
    tables, *layers = model
    x = rmsnorm(add(tables["wte"][token], tables["wpe"][len(caches[0])]))
    for layer, cache in zip(layers, caches):
        x = add(attention(rmsnorm(x), layer, cache, n_head), x)
        x = add(linear(relu(linear(rmsnorm(x), layer["fc1"])), layer["fc2"]), x)
    return linear(x, tables["lm_head"])

def log(x, i):
    """Return the logarithm of number i of x."""
    if not x.data[i] > 0:
        raise OverflowError("the numbers grew too large: try a smaller --learning_rate")
    def back(grad): return ([grad[0] / x.data[i] if j == i else 0.0 for j in range(len(x.data))],)
    return vector([math.log(x.data[i])], (x,), back)

def loss_of(model, tokens, n_head):
    """Return the loss: how much each next token surprises the model, on average."""
    caches, pairs = [[] for _ in model[1:]], zip(tokens, tokens[1:])
    logs = [log(softmax(gpt(model, token, caches, n_head)), target) for token, target in pairs]
    return scale(functools.reduce(add, logs), -1 / len(logs))

def adam(rows, means, squares, step, rate, beta1=0.85, beta2=0.99, epsilon=1e-8):
    """Move every row of parameters a little against its gradient, and reset the gradient to 0."""
    seen1, seen2 = 1 - beta1**step, 1 - beta2**step
    for i, row in enumerate(rows):
        means[i] = [beta1 * m + (1 - beta1) * g for m, g in zip(means[i], row.grad)]
        squares[i] = [beta2 * s + (1 - beta2) * g * g for s, g in zip(squares[i], row.grad)]
        moves = [rate * (m / seen1) / ((s / seen2) ** 0.5 + epsilon) for m, s in zip(means[i], squares[i])]
        row.data = [p - move for p, move in zip(row.data, moves)]
        row.grad = [0.0] * len(moves)

def train(model, documents, flags):
    """Show the model one document per step, and yield the loss of each."""
    rows = [row for part in model for rows in part.values() for row in rows]
    means, squares = ([[0.0] * len(row.data) for row in rows] for _ in range(2))
    for step in range(flags.num_steps):
        loss = loss_of(model, documents[step % len(documents)], flags.n_head)
        backward(loss)
        adam(rows, means, squares, step + 1, flags.learning_rate * (1 - step / flags.num_steps))
        yield loss.data[0]

def sample(model, bos, flags):
    """Yield the tokens of a new document, each drawn at random from the model's prediction."""
    caches, token = [[] for _ in model[1:]], bos
    for _ in range(flags.block_size):
        logits = gpt(model, token, caches, flags.n_head)
        probabilities = softmax(scale(logits, 1 / flags.temperature))
        tape.clear()  # nothing is learned here
        [token] = random.choices(range(bos + 1), probabilities.data)
        if token == bos:
            return
        yield token

FLAGS = [  # name, default, meaning
    ("n_embd", 16, "embedding size, in numbers per token; a multiple of n_head"),
    ("n_head", 4, "attention heads in each layer"),
    ("n_layer", 1, "layers"),
    ("block_size", 16, "context length, in tokens"),
    ("num_steps", 1000, "training steps, one document each"),
    ("learning_rate", 0.01, "size of the first step; it falls to 0"),
    ("temperature", 0.5, "lower is safer, higher is wilder"),
    ("samples", 20, "documents to invent"),
    ("seed", 42, "random seed"),
]

def read(path):
    """Return the documents of a text file: its non-empty lines, without whitespace around them."""
    with open(path, encoding="utf-8-sig") as file:
        return [line.strip() for line in file if line.strip()]

class Parser(argparse.ArgumentParser):
    """Ends the program with a one-line message if the command line is invalid."""
    def error(self, message): self.exit(2, f"microgpt: {message}\n")

def command_line():
    """Return the flags and the documents; if they are invalid, end the program with a one-line message."""
    parser = Parser(description=__doc__)
    parser.add_argument("text", nargs="?", default="docs/names.txt", help="text file, one document per line")
    for name, default, meaning in FLAGS:
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{meaning} (%(default)s)")
    flags = parser.parse_args()
    for name, default, _ in FLAGS:
        if name != "seed" and type(default) is not str and not 1e-12 < getattr(flags, name) < 1e12:
            parser.error(f"--{name} must be a number greater than 0 and less than 1e12")
    if flags.n_embd % flags.n_head:
        parser.error("--n_embd must be a multiple of --n_head")
    try:
        documents = read(flags.text)
        if "\0" in "".join(documents):
            raise UnicodeError("it contains NUL characters")
    except (OSError, UnicodeError) as error:
        parser.error(f"cannot read {flags.text} ({error}): expected a UTF-8 text file with one document per line")
    if not documents:
        parser.error(f"{flags.text} is empty: expected a text file with one document per line")
    return flags, documents

def main():
    """Train on the text, print samples, and return the exit status."""
    flags, documents = command_line()
    random.seed(flags.seed)
    random.shuffle(documents)
    characters = sorted(set("".join(documents)))
    model = new_model(len(characters) + 1, flags.n_embd, flags.n_layer, flags.block_size)
    print(f"num docs: {len(documents)}\nvocab size: {len(characters) + 1}\nnum params: {len(parameters_of(model))}")
    start, size, status, terminal = time.time(), flags.block_size, 0, sys.stdout.isatty()
    lessons = [encode(document[:size], characters)[: size + 1] for document in documents[: flags.num_steps]]
    try:
        for step, loss in enumerate(train(model, lessons, flags), 1):
            left = (time.time() - start) / step * (flags.num_steps - step)
            line = f"step {step:4d} / {flags.num_steps:4d} | loss {loss:.4f}"
            sys.stdout.write(f"\r{line} | {left:.0f} s left " if terminal else line + "\n")
    except KeyboardInterrupt:
        status = 130
    print("\n" * terminal + "\n--- inference (new, hallucinated names) ---")
    for number in range(flags.samples):
        print(f"sample {number + 1:2d}: {''.join(characters[t] for t in sample(model, len(characters), flags))}")
    return status

if __name__ == "__main__":
    if sys.stdout is None:
        sys.exit("microgpt: there is no standard output")
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    gc.disable()  # there are no reference cycles here, so reference counting frees everything
    try:
        sys.exit(main())
    except (OverflowError, MemoryError) as error:
        sys.exit(f"microgpt: {str(error) or 'not enough memory for this text, or for a model of this size'}")
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)
    except OSError as error:
        os.write(2, f"microgpt: cannot write: {error}\n".encode())
        os._exit(1)
