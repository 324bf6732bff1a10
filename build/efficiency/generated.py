"""The GPT of microgpt.py by a program that writes a part of itself: inner loops, written out as text and compiled."""
# Tangled from the essay microgpt.md. Change the essay, not this file.

import operator
import argparse, functools, gc, math, os, random, sys, time

def encode(document, characters):
    """Return the tokens of a document: a number per character, and BOS, the next free number, at both ends."""
    bos = len(characters)
    return [bos, *map(characters.index, document), bos]

def matrix(rows, columns):
    """Return a matrix of small random parameters, as a list of rows."""
    return [[random.gauss(0, 0.08) for _ in range(columns)] for _ in range(rows)]

def new_model(vocab_size, n_embd, n_layer, block_size):
    """Return an untrained model: a list of dicts of matrices, first the tables and then each layer."""
    tables = {"wte": (vocab_size, n_embd), "wpe": (block_size, n_embd), "lm_head": (vocab_size, n_embd)}
    layer = {"wqkv": (3 * n_embd, n_embd), "wo": (n_embd, n_embd)}
    layer |= {"fc1": (4 * n_embd, n_embd), "fc2": (n_embd, 4 * n_embd)}
    return [{name: matrix(*shape) for name, shape in part.items()} for part in [tables] + [layer] * n_layer]

def parameters_of(model):
    """Return all parameters of a model in one list."""
    return [p for part in model for rows in part.values() for row in rows for p in row]

def listed(term, size, between=", "):
    """Return a term once for each number below size, which replaces its #: "w# * x#" becomes "w0 * x0, w1 * x1"."""
    return between.join(term.replace("#", str(i)) for i in range(size))

@functools.cache
def compiled(write, *details):
    """Return the function f of a text that another function writes."""
    names = {"sqrt": math.sqrt}
    try:
        exec(write(*details), names)
    except RecursionError:
        message = "Python cannot compile sums this long: try a smaller --n_embd, or a text with fewer characters"
        raise OverflowError(message) from None
    return names["f"]

def dots_of(size):
    """Write a function: the dot products of each x with each row of a matrix."""
    return f"""
def f(xs, rows):
    result = []
    for [{listed("x#", size)}] in xs:
        products = []
        for [{listed("w#", size)}] in rows:
            products.append({listed("w# * x#", size, " + ")})
        result.append(products)
    return result"""

def mix_of(count, size):
    """Write a function: for each list of weights, the sum of so many rows, each times its weight."""
    rows = " ".join(f"[{listed(f'x{i}_#', size)}]," for i in range(count))
    sums = ", ".join(" + ".join(f"w{i} * x{i}_{j}" for i in range(count)) for j in range(size))
    return f"""
def f(mixtures, rows):
    {rows} = rows
    result = []
    for [{listed("w#", count)}] in mixtures:
        result.append([{sums}])
    return result"""

def sparse_mix_of(size):
    """Write a function: the same for any number of rows; where a weight is 0, nothing is computed."""
    return f"""
def f(mixtures, rows):
    result = []
    for weights in mixtures:
        {listed("y#", size, " = ")} = 0.0
        for w, row in zip(weights, rows):
            if w:
                [{listed("x#", size)}] = row
                {listed("y# += w * x#", size, "; ")}
        result.append([{listed("y#", size)}])
    return result"""

def dots(xs, rows): return compiled(dots_of, len(xs[0]))(xs, rows)
def mix(mixtures, rows): return compiled(mix_of, len(rows), len(rows[0]))(mixtures, rows)
def sparse_mix(mixtures, rows): return compiled(sparse_mix_of, len(rows[0]))(mixtures, rows)

def add_of(size):
    """Write a function: the sums of each row of x and the same row of y."""
    return f"""
def f(xs, ys):
    result = []
    for [{listed("x#", size)}], [{listed("y#", size)}] in zip(xs, ys):
        result.append([{listed("x# + y#", size)}])
    return result"""

def add(x, y): return compiled(add_of, len(x[0]))(x, y)

def linear(x, weights, grads):
    """Return the dot products of each row of x with each row of the weights, and the way back."""
    def back(grad):
        grads[:] = mix(zip(*grad), x)
        return mix(grad, weights)
    return dots(x, weights), back

def norm_of(size):
    """Write a function: each x scaled so that the mean of its squares is 1, and its factor."""
    return f"""
def f(xs):
    for [{listed("x#", size)}] in xs:
        factor = (({listed("x# * x#", size, " + ")}) / {size} + 1e-5) ** -0.5
        yield [{listed("x# * factor", size)}], factor"""

def back_norm_of(size):
    """Write a function: the way back; `along` is the part of a gradient that would only change the size."""
    return f"""
def f(ys, factors, grads):
    result = []
    for [{listed("y#", size)}], factor, [{listed("g#", size)}] in zip(ys, factors, grads):
        along = ({listed("y# * g#", size, " + ")}) / {size}
        result.append([{listed("factor * (g# - along * y#)", size)}])
    return result"""

def rmsnorm(x):
    """Return x scaled so that the mean square of each row is 1, and the backward function."""
    size = len(x[0])
    y, factors = zip(*compiled(norm_of, size)(x))
    return y, lambda grad: compiled(back_norm_of, size)(y, factors, grad)

def softmax(logits):
    """Return probabilities: positive, summing to 1, larger for larger logits."""
    shift = max(logits)  # keeps exp in range without changing the result
    exps = [math.exp(logit - shift) for logit in logits]
    whole = sum(exps)
    return [e / whole for e in exps]

def back_softmax(probabilities, grad):
    """Return the gradient of the logits."""
    expected = sum(map(operator.mul, probabilities, grad))
    return [p * (g - expected) for p, g in zip(probabilities, grad)]

def scores_of(n_head, size):
    """Write a function: for each query and each head, the scaled dot products with the keys up to its own."""
    products = (" + ".join(f"q{i} * k{i}" for i in range(h * size, (h + 1) * size)) for h in range(n_head))
    return f"""
def f(queries, keys):
    result = []
    for i, [{listed("q#", n_head * size)}] in enumerate(queries, 1):
        heads = {listed("s#", n_head)}, = {listed("[]", n_head)},
        for [{listed("k#", n_head * size)}] in keys[:i]:
            {"; ".join(f"s{h}.append({size**-0.5} * ({product}))" for h, product in enumerate(products))}
        result.append(heads)
    return result"""

def means_of(n_head, size):
    """Write a function: for each list of weights, the sum of its rows, each times the weights of the heads."""
    return f"""
def f(mixtures, rows_of_each):
    result = []
    for weights, rows in zip(mixtures, rows_of_each):
        {listed("y#", n_head * size, " = ")} = 0.0
        for [{listed("w#", n_head)}], [{listed("x#", n_head * size)}] in zip(weights, rows):
            {"; ".join(f"y{i} += w{i // size} * x{i}" for i in range(n_head * size))}
        result.append([{listed("y#", n_head * size)}])
    return result"""

def attend(queries, keys, values, n_head):
    """Return for each query the mean of the values so far, weighted by how well the keys match it, and the way back."""
    sizes, count = (n_head, len(queries[0]) // n_head), len(queries)
    scores, means = compiled(scores_of, *sizes), compiled(means_of, *sizes)
    weights = [list(map(softmax, heads)) for heads in scores(queries, keys)]
    def back(grad):
        scores_grad = [list(map(back_softmax, *pair)) for pair in zip(weights, scores(grad, values))]
        query_grad = means(map(transpose, scores_grad), [keys] * count)
        return query_grad, means(columns(scores_grad), ends(queries)), means(columns(weights), ends(grad))
    return means(map(transpose, weights), [values] * count), back

def transpose(rows): return list(zip(*rows))
def ends(rows): return [rows[i:] for i in range(len(rows))]

def columns(triangle):
    """Return the columns of a triangle, without what is above it; row i has i + 1 weights for each head."""
    rows = list(map(transpose, triangle))
    return [[row[i] for row in rows[i:]] for i in range(len(rows))]

def split(x, count):
    """Return x cut into so many matrices of the same width."""
    size = len(x[0]) // count
    return [[row[start : start + size] for row in x] for start in range(0, len(x[0]), size)]

def join(parts): return [[a for piece in pieces for a in piece] for pieces in zip(*parts)]

def attention(x, layer, grads, n_head):
    """Return what each token finds when each of its heads looks back, and the way back."""
    vectors, back_vectors = linear(x, layer["wqkv"], grads["wqkv"])
    found, back_attend = attend(*split(vectors, 3), n_head)
    result, back_wo = linear(found, layer["wo"], grads["wo"])
    return result, lambda grad: back_vectors(join(back_attend(back_wo(grad))))

def back_units_of(size):
    """Write a function: for each hidden unit, its gradients, and those of its rows in fc1 and fc2."""
    return f"""
def f(units, weights, xs, grads):
    for unit, [{listed("w#", size)}] in zip(units, weights):
        {listed("y# = z#", size, " = ")} = 0.0
        for i, a in enumerate(unit):
            if a:
                [{listed("x#", size)}], [{listed("g#", size)}] = xs[i], grads[i]
                unit[i] = b = {listed("w# * g#", size, " + ")}
                {listed("y# += b * x#; z# += a * g#", size, "; ")}
        yield unit, [{listed("y#", size)}], [{listed("z#", size)}]"""

def mlp(x, layer, grads):
    """Return the output of the MLP for each token, and the backward function; hidden units that are 0 take no time."""
    hidden = [[a if a > 0 else 0.0 for a in row] for row in dots(x, layer["fc1"])]
    def back(grad):
        units, back_units = map(list, zip(*hidden)), compiled(back_units_of, len(x[0]))
        unit_grads, grads["fc1"][:], grads["fc2"][:] = zip(*back_units(units, layer["fc2"], x, grad))
        return sparse_mix(zip(*unit_grads), layer["fc1"])
    return sparse_mix(hidden, layer["fc2"]), back

def residual(x, step, *details):
    """Return x and what a step adds to it, and the way back, which goes through the step and past it."""
    normed, back_norm = rmsnorm(x)
    more, back_step = step(normed, *details)
    return add(x, more), lambda grad: add(grad, back_norm(back_step(grad)))

def embed(tokens, tables, grads):
    """Return the sum of both embeddings of each token, and the way back."""
    def back(grad):
        for name, places in ("wte", tokens), ("wpe", range(len(tokens))):
            rows = grads[name]
            rows[:] = [[0.0] * len(row) for row in rows]
            for place, row in zip(places, grad):
                rows[place] = list(map(operator.add, rows[place], row))
    return add([tables["wte"][token] for token in tokens], tables["wpe"]), back

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
    logits, backs = gpt(model, grads, tokens[:-1], n_head)
    grad, loss = list(map(softmax, logits)), 0.0
    for probabilities, target in zip(grad, tokens[1:]):
        if not probabilities[target] > 0:
            raise OverflowError("the numbers grew too large: try a smaller --learning_rate")
        loss -= math.log(probabilities[target]) / len(grad)
        probabilities[target] -= 1
    grad = [[g / len(grad) for g in row] for row in grad]
    for back in reversed(backs):
        grad = back(grad)
    return loss

def adam_of(size, beta1, beta2):
    """Write a function: it moves the parameters of a matrix."""
    return f"""
def f(matrix, grads, means, squares, rate, epsilon):
    for i, [{listed("g#", size)}] in enumerate(grads):
        [{listed("p#", size)}] = matrix[i]
        [{listed("m#", size)}] = means[i]
        [{listed("s#", size)}] = squares[i]
        means[i] = {listed("m#", size)}, = {listed(f"{beta1} * m# + g#", size)},
        squares[i] = {listed("s#", size)}, = {listed(f"{beta2} * s# + g# * g#", size)},
        matrix[i] = {listed("p# - rate * m# / (sqrt(s#) + epsilon)", size)},"""

def zeros_like(model):
    """Return a model of the same shape, of zeros."""
    return [{name: [[0.0] * len(row) for row in rows] for name, rows in part.items()} for part in model]

def adam(model, grads, means, squares, step, rate, beta1=0.85, beta2=0.99, epsilon=1e-8):
    """Move every parameter a little against its gradient."""
    root = ((1 - beta2**step) / (1 - beta2)) ** 0.5
    for parts in zip(model, grads, means, squares):
        for matrices in zip(*(part.values() for part in parts)):
            move = compiled(adam_of, len(matrices[0][0]), beta1, beta2)
            move(*matrices, rate * root * (1 - beta1) / (1 - beta1**step), epsilon * root)

def train(model, documents, flags):
    """Show the model one document per step, and yield the loss of each."""
    for layer in model[1:]:
        layer["fc2"] = transpose(layer["fc2"])  # its columns, so that those for hidden units of 0 can be left out
    grads, means, squares = (zeros_like(model) for _ in range(3))
    for step in range(flags.num_steps):
        loss = loss_of(model, grads, documents[step % len(documents)], flags.n_head)
        adam(model, grads, means, squares, step + 1, flags.learning_rate * (1 - step / flags.num_steps))
        yield loss

def sample(model, bos, flags):
    """Yield the tokens of a new document, each drawn at random from the model's prediction after all before it."""
    tokens = [bos]
    for _ in range(flags.block_size):
        logits, _ = gpt(model, model, tokens, flags.n_head)  # nobody walks back: no gradients needed
        probabilities = softmax([logit / flags.temperature for logit in logits[-1]])
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
