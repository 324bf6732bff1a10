"""Stage 7: an embedding and an MLP, on one letter, learned by gradient descent."""
# Tangled from the essay microgpt.md. Change the essay, not this file.

import argparse, functools, gc, math, os, random, sys, time

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

tape = []  # every Value, in order of creation: (result, input, derivative, input, derivative)
nothing = Value()  # placeholder for a missing input
nothing.grad = 0.0

def value(data, a=nothing, da=0.0, b=nothing, db=0.0):
    """Return a new Value, made from a and b; its derivatives with respect to them, da and db, go on the tape."""
    result = Value()
    result.data, result.grad = data, 0.0
    tape.append((result, a, da, b, db))
    return result

def total(values): return functools.reduce(Value.__add__, values)

def backward(loss):
    """Walk the tape back from the loss, passing each result's gradient on to its inputs."""
    loss.grad = 1.0
    while tape:
        result, a, da, b, db = tape.pop()
        a.grad += da * result.grad
        b.grad += db * result.grad

DEFAULTS = {"learning_rate": 1.0}

def matrix(rows, columns):
    """Return a matrix of small random parameters, as a list of rows."""
    return [[value(random.gauss(0, 0.08)) for _ in range(columns)] for _ in range(rows)]

def new_model(vocab_size, n_embd, n_layer, block_size):
    """Return an untrained model: embeddings, an MLP, and the questions at the end."""
    tables = {"wte": (vocab_size, n_embd), "lm_head": (vocab_size, n_embd)}
    layer = {"fc1": (4 * n_embd, n_embd), "fc2": (n_embd, 4 * n_embd)}
    return [{name: matrix(*shape) for name, shape in part.items()} for part in (tables, layer)]

def gpt(model, token, caches, n_head):
    """Return the logits of the next token, from this one alone."""
    tables, layer = model
    hidden = [h.relu() for h in linear(tables["wte"][token], layer["fc1"])]
    return linear(linear(hidden, layer["fc2"]), tables["lm_head"])

def add(x, y): return [a + b for a, b in zip(x, y)]  # vectors are lists of Values, matrices are lists of rows
def scale(x, factor): return [a * factor for a in x]
def dot(x, y): return total(map(Value.__mul__, x, y))
def linear(x, weights): return [dot(row, x) for row in weights]

def parameters_of(model):
    """Return all parameters of a model in one list."""
    return [p for part in model for rows in part.values() for row in rows for p in row]

def softmax(logits):
    """Return probabilities: positive, summing to 1, larger for larger logits."""
    shift = value(-max(logit.data for logit in logits))  # keeps exp in range without changing the result
    exps = [(logit + shift).exp() for logit in logits]
    return scale(exps, total(exps) ** -1)

def loss_of(model, tokens, n_head):
    """Return the loss: how much each next token surprises the model, on average."""
    caches, logs = [[] for _ in model[1:]], []
    for token, target in zip(tokens, tokens[1:]):
        probability = softmax(gpt(model, token, caches, n_head))[target]
        if not probability.data > 0:
            raise OverflowError("the numbers grew too large: try a smaller --learning_rate")
        logs.append(probability.log())
    return total(logs) * value(-1 / len(logs))

def descend(parameters, rate):
    """Move every parameter a little against its gradient, and reset the gradient to 0."""
    for p in parameters:
        p.data -= rate * p.grad
        p.grad = 0.0

def train(model, documents, flags):
    """Show the model one document per step, and yield the loss of each."""
    parameters = parameters_of(model)
    for step in range(flags.num_steps):
        loss = loss_of(model, documents[step % len(documents)], flags.n_head)
        backward(loss)
        descend(parameters, flags.learning_rate * (1 - step / flags.num_steps))
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

FLAGS = [(name, DEFAULTS.get(name, default), meaning) for name, default, meaning in FLAGS]

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
