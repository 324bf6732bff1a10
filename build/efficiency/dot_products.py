"""The GPT of microgpt.py, in which a dot product is one entry on the tape."""
# Tangled from the essay microgpt.md. Change the essay, not this file.

import argparse, functools, gc, math, os, random, sys, time
import operator

def encode(document, characters):
    """Return the tokens of a document: a number per character, and BOS, the next free number, at both ends."""
    bos = len(characters)
    return [bos, *map(characters.index, document), bos]

class Value:
    """A number in the computation, and its gradient: the derivative of the loss with respect to it."""
    __slots__ = ("data", "grad")
    def __add__(self, other): return value(self.data + other.data, self, 1.0, other, 1.0)
    def __mul__(self, other): return value(self.data * other.data, self, other.data, other, self.data)
    def __pow__(self, power): return value(self.data**power, self, power * self.data ** (power - 1))
    def exp(self): return value(math.exp(self.data), self, math.exp(self.data))
    def log(self): return value(math.log(self.data), self, 1 / self.data)
    def relu(self): return value(max(0.0, self.data), self, float(self.data > 0))

tape = []  # every Value, in order of creation: (result, inputs, derivatives)

def entry(data, inputs, derivatives):
    """Return a new Value, made from any number of inputs; its derivatives with respect to them go on the tape."""
    result = Value()
    result.data, result.grad = data, 0.0
    tape.append((result, inputs, derivatives))
    return result

def value(data, *made_from): return entry(data, made_from[::2], made_from[1::2])  # input, derivative, input, derivative

def total(values):
    """Return the sum of the values: one entry, in which every derivative is 1."""
    return entry(functools.reduce(operator.add, [v.data for v in values]), values, [1.0] * len(values))

def backward(loss):
    """Walk the tape back from the loss, passing each result's gradient on to all its inputs."""
    loss.grad = 1.0
    while tape:
        result, inputs, derivatives = tape.pop()
        grad = result.grad
        for a, da in zip(inputs, derivatives):
            a.grad += da * grad

def matrix(rows, columns):
    """Return a matrix of small random parameters, as a list of rows."""
    return [[value(random.gauss(0, 0.08)) for _ in range(columns)] for _ in range(rows)]

def new_model(vocab_size, n_embd, n_layer, block_size):
    """Return an untrained model: a list of dicts of matrices, first the tables and then each layer."""
    tables = {"wte": (vocab_size, n_embd), "wpe": (block_size, n_embd), "lm_head": (vocab_size, n_embd)}
    layer = dict.fromkeys(["wq", "wk", "wv", "wo"], (n_embd, n_embd))
    layer |= {"fc1": (4 * n_embd, n_embd), "fc2": (n_embd, 4 * n_embd)}
    return [{name: matrix(*shape) for name, shape in part.items()} for part in [tables] + [layer] * n_layer]

def parameters_of(model):
    """Return all parameters of a model in one list."""
    return [p for part in model for rows in part.values() for row in rows for p in row]

def softmax(logits):
    """Return probabilities: positive, summing to 1, larger for larger logits."""
    shift = value(-max(logit.data for logit in logits))  # keeps exp in range without changing the result
    exps = [(logit + shift).exp() for logit in logits]
    return scale(exps, total(exps) ** -1)

def add(x, y): return [a + b for a, b in zip(x, y)]  # vectors are lists of Values, matrices are lists of rows
def scale(x, factor): return [a * factor for a in x]

def dot(x, y):
    """Return the dot product: one entry, in which the derivative of each factor is the other one."""
    xs, ys = [a.data for a in x], [b.data for b in y]
    return entry(functools.reduce(operator.add, map(operator.mul, xs, ys)), [*x, *y], [*ys, *xs])

def linear(x, weights): return [dot(row, x) for row in weights]

def rmsnorm(x):
    """Return x scaled so that the mean of its squares is 1."""
    return scale(x, (dot(x, x) * value(1 / len(x)) + value(1e-5)) ** -0.5)

def attend(query, keys, values):
    """Return the mean of the values, each weighted by how well its key matches the query."""
    weights = softmax(scale([dot(query, key) for key in keys], value(len(query) ** -0.5)))
    return [dot(weights, column) for column in zip(*values)]

def attention(x, layer, cache, n_head):
    """Return what the newest token finds when each of its heads looks back over the tokens so far."""
    query = linear(x, layer["wq"])
    cache.append((linear(x, layer["wk"]), linear(x, layer["wv"])))
    found, size = [], len(x) // n_head
    for start in range(0, len(x), size):
        head = slice(start, start + size)
        found += attend(query[head], [k[head] for k, _ in cache], [v[head] for _, v in cache])
    return linear(found, layer["wo"])

def gpt(model, token, caches, n_head):
    """Return the logits of the next token; each layer's cache holds the keys and values of the tokens so far."""
    tables, *layers = model
    x = rmsnorm(add(tables["wte"][token], tables["wpe"][len(caches[0])]))
    for layer, cache in zip(layers, caches):
        x = add(attention(rmsnorm(x), layer, cache, n_head), x)
        hidden = [h.relu() for h in linear(rmsnorm(x), layer["fc1"])]
        x = add(linear(hidden, layer["fc2"]), x)
    return linear(x, tables["lm_head"])

def loss_of(model, tokens, n_head):
    """Return the loss: how much each next token surprises the model, on average."""
    caches, logs = [[] for _ in model[1:]], []
    for token, target in zip(tokens, tokens[1:]):
        probability = softmax(gpt(model, token, caches, n_head))[target]
        if not probability.data > 0:
            raise OverflowError("the numbers grew too large: try a smaller --learning_rate")
        logs.append(probability.log())
    return total(logs) * value(-1 / len(logs))

def adam(parameters, means, squares, step, rate, beta1=0.85, beta2=0.99, epsilon=1e-8):
    """Move every parameter a little against its gradient, and reset the gradient to 0."""
    for i, p in enumerate(parameters):
        means[i] = mean = beta1 * means[i] + (1 - beta1) * p.grad
        squares[i] = square = beta2 * squares[i] + (1 - beta2) * p.grad**2
        p.data -= rate * (mean / (1 - beta1**step)) / ((square / (1 - beta2**step)) ** 0.5 + epsilon)
        p.grad = 0.0

def train(model, documents, flags):
    """Show the model one document per step, and yield the loss of each."""
    parameters = parameters_of(model)
    means, squares = [0.0] * len(parameters), [0.0] * len(parameters)
    for step in range(flags.num_steps):
        loss = loss_of(model, documents[step % len(documents)], flags.n_head)
        backward(loss)
        adam(parameters, means, squares, step + 1, flags.learning_rate * (1 - step / flags.num_steps))
        yield loss.data

def sample(model, bos, flags):
    """Yield the tokens of a new document, each drawn at random from the model's prediction."""
    caches, token = [[] for _ in model[1:]], bos
    for _ in range(flags.block_size):
        logits = gpt(model, token, caches, flags.n_head)
        probabilities = softmax(scale(logits, value(1 / flags.temperature)))
        tape.clear()  # nothing is learned here
        [token] = random.choices(range(bos + 1), [p.data for p in probabilities])
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
