"""The GPT of microgpt.py on arrays: all positions of a document at once, and the gradients by hand."""
# Tangled from the essay microgpt.md. Change the essay, not this file.

import argparse, functools, gc, math, os, random, sys, time
import numpy as np

def encode(document, characters):
    """Return the tokens of a document: a number per character, and BOS, the next free number, at both ends."""
    bos = len(characters)
    return [bos, *map(characters.index, document), bos]

def matrix(rows, columns):
    """Return a matrix of small random parameters, an array of shape (rows, columns)."""
    return np.array([[random.gauss(0, 0.08) for _ in range(columns)] for _ in range(rows)])

def new_model(vocab_size, n_embd, n_layer, block_size):
    """Return an untrained model: a list of dicts of matrices, first the tables and then each layer."""
    tables = {"wte": (vocab_size, n_embd), "wpe": (block_size, n_embd), "lm_head": (vocab_size, n_embd)}
    layer = {"wqkv": (3 * n_embd, n_embd), "wo": (n_embd, n_embd)}
    layer |= {"fc1": (4 * n_embd, n_embd), "fc2": (n_embd, 4 * n_embd)}
    return [{name: matrix(*shape) for name, shape in part.items()} for part in [tables] + [layer] * n_layer]

def parameters_of(model):
    """Return all parameters of a model in one list."""
    return [p for part in model for rows in part.values() for row in rows for p in row]

def in_the_shape_of(model, numbers):
    """Return a model whose matrices are views of one long array of numbers: to change it is to change them."""
    sizes = [weights.size for part in model for weights in part.values()]
    pieces = iter(np.split(numbers, np.cumsum(sizes)[:-1]))
    return [{name: next(pieces).reshape(weights.shape) for name, weights in part.items()} for part in model]

def linear(x, weights, grads):
    """Return the dot products of each row of x with each row of the weights, and the way back."""
    def back(grad):
        grad.T.dot(x, out=grads)  # (rows, columns), as the weights
        return grad.dot(weights)
    return x.dot(weights.T), back

def add(x, y): return x + y

def relu(x):
    y = np.maximum(x, 0.0)
    return y, lambda grad: grad * np.sign(y)

def dots(x, y): return np.vecdot(x, y)[..., None]  # each row of x with the same row of y, a column of shape (T, 1)

def rmsnorm(x):
    """Return x scaled so that the mean square of each row is 1, and the backward function."""
    size = x.shape[-1]
    factor = (dots(x, x) / size + 1e-5) ** -0.5
    y = x * factor
    def back(grad): return factor * (grad - y * (dots(y, grad) / size))
    return y, back

def softmax(logits):
    """Return probabilities that sum to 1 along the last axis, and the backward function."""
    exps = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities = exps / exps.sum(-1, keepdims=True)
    def back(grad): return probabilities * (grad - dots(probabilities, grad))
    return probabilities, back

def split(x, n_head): return x.reshape(len(x), n_head, -1).swapaxes(0, 1)  # (T, n_embd) to (n_head, T, n_embd / n_head)
def join(heads): return heads.swapaxes(0, 1).reshape(heads.shape[1], -1)  # and back
def transpose(x): return x.swapaxes(-2, -1)

@functools.cache
def causal_mask(size): return np.triu(np.full((size, size), -np.inf), 1)  # no token looks at those after it

def attend(query, keys, values):
    """Return for each query the mean of the values, weighted by how well the keys match it, and the way back."""
    scale, mask = query.shape[-1] ** -0.5, causal_mask(query.shape[-2])
    weights, back_softmax = softmax(query @ transpose(keys) * scale + mask)  # (n_head, T, T)
    def back(grad):
        scores_grad = back_softmax(grad @ transpose(values)) * scale
        return scores_grad @ keys, transpose(scores_grad) @ query, transpose(weights) @ grad
    return weights @ values, back

def attention(x, layer, grads, n_head):
    """Return what each token finds when each of its heads looks back, and the way back."""
    vectors, back_vectors = linear(x, layer["wqkv"], grads["wqkv"])
    heads = split(vectors, 3 * n_head)
    found, back_attend = attend(*heads.reshape(3, n_head, *heads.shape[1:]))
    result, back_wo = linear(join(found), layer["wo"], grads["wo"])
    return result, lambda grad: back_vectors(join(np.concatenate(back_attend(split(back_wo(grad), n_head)))))

def mlp(x, layer, grads):
    """Return the output of the MLP for each token, and the backward function."""
    answers, back_fc1 = linear(x, layer["fc1"], grads["fc1"])
    hidden, back_relu = relu(answers)
    result, back_fc2 = linear(hidden, layer["fc2"], grads["fc2"])
    return result, lambda grad: back_fc1(back_relu(back_fc2(grad)))

def residual(x, step, *details):
    """Return x and what a step adds to it, and the way back, which goes through the step and past it."""
    normed, back_norm = rmsnorm(x)
    more, back_step = step(normed, *details)
    return add(x, more), lambda grad: add(grad, back_norm(back_step(grad)))

def embed(tokens, tables, grads):
    """Return the sum of both embeddings of each token, of shape (T, n_embd), and the way back."""
    def back(grad):
        grads["wte"][:] = grads["wpe"][:] = 0.0
        np.add.at(grads["wte"], tokens, grad)  # and not +=, which would count a token that comes twice only once
        grads["wpe"][: len(tokens)] = grad
    return tables["wte"][tokens] + tables["wpe"][: len(tokens)], back

def gpt(model, grads, tokens, n_head):
    """Return the logits after each token, a row for each, and the steps of the way back, in reverse order."""
    (tables, *layers), (table_grads, *layer_grads) = model, grads
    x, back_embed = embed(tokens, tables, table_grads)
    x, back_norm = rmsnorm(x)
    backs = [back_embed, back_norm]
    for layer, grad in zip(layers, layer_grads):
        x, back_attention = residual(x, attention, layer, grad, n_head)
        x, back_mlp = residual(x, mlp, layer, grad)
        backs += [back_attention, back_mlp]
    logits, back_head = linear(x, tables["lm_head"], table_grads["lm_head"])
    return logits, [*backs, back_head]

def loss_of(model, grads, tokens, n_head):
    """Return the loss, and set grads to its gradients."""
    places, targets = np.arange(len(tokens) - 1), tokens[1:]
    logits, backs = gpt(model, grads, tokens[:-1], n_head)
    probabilities, _ = softmax(logits)
    loss = -np.log(probabilities[places, targets]).sum() / len(places)
    if not loss < math.inf:
        raise OverflowError("the numbers grew too large: try a smaller --learning_rate")
    probabilities[places, targets] -= 1
    grad = probabilities / len(places)
    for back in reversed(backs):
        grad = back(grad)
    return loss

def adam(parameters, grads, means, squares, step, rate, beta1=0.85, beta2=0.99, epsilon=1e-8):
    """Move all parameters a little against their gradients; each is one long array."""
    root = ((1 - beta2**step) / (1 - beta2)) ** 0.5
    means *= beta1
    means += grads
    squares *= beta2
    squares += grads**2
    moves = squares**0.5
    moves += epsilon * root
    np.divide(means, moves, out=moves)
    moves *= rate * root * (1 - beta1) / (1 - beta1**step)
    parameters -= moves

def train(model, documents, flags):
    """Show the model one document per step, and yield the loss of each."""
    np.seterr(all="ignore")  # what grows too large is noticed in loss_of
    parameters = np.array(parameters_of(model))
    grads, means, squares = np.zeros((3, len(parameters)))
    model[:], grads_of_model = in_the_shape_of(model, parameters), in_the_shape_of(model, grads)
    for step in range(flags.num_steps):
        tokens = np.array(documents[step % len(documents)])
        loss = loss_of(model, grads_of_model, tokens, flags.n_head)
        adam(parameters, grads, means, squares, step + 1, flags.learning_rate * (1 - step / flags.num_steps))
        yield loss

def sample(model, bos, flags):
    """Yield the tokens of a new document, each drawn at random from the model's prediction after all before it."""
    tokens = [bos]
    for _ in range(flags.block_size):
        logits, _ = gpt(model, model, tokens, flags.n_head)  # nobody walks back: no gradients needed
        probabilities, _ = softmax(logits[-1] / flags.temperature)
        tokens += random.choices(range(bos + 1), probabilities)
        if tokens[-1] == bos:
            return
        yield tokens[-1]

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
