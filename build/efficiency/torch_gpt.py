"""The GPT of microgpt.py with PyTorch: of any size, in batches, on CPUs or GPUs, with checkpoints to resume from."""
# Tangled from the essay microgpt.md. Change the essay, not this file.

import contextlib, datetime, hashlib, io, pathlib, re, signal, socket, torch
import torch.distributed as dist
import torch.distributed.nn  # imported later, it would keep a process group, and its threads, until Python ends
from torch import nn
import argparse, functools, gc, math, os, random, sys, time

def encode(document, characters):
    """Return the tokens of a document: a number per character, and BOS, the next free number, at both ends."""
    bos = len(characters)
    return [bos, *map(characters.index, document), bos]

F = nn.functional

def rmsnorm(x): return F.rms_norm(x, x.shape[-1:], eps=1e-5)
def linear(rows, columns): return nn.Linear(columns, rows, bias=False)

class Attention(nn.Module):
    """Attention: each token's heads look back over the tokens so far."""
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.n_head = n_head
        self.wq, self.wk, self.wv, self.wo = (linear(n_embd, n_embd) for _ in range(4))

    def forward(self, x):
        heads = [w(x).unflatten(-1, (self.n_head, -1)).transpose(1, 2) for w in (self.wq, self.wk, self.wv)]
        found = F.scaled_dot_product_attention(*heads, is_causal=True)
        return self.wo(found.transpose(1, 2).flatten(2))

class Layer(nn.Module):
    """Attention, then the MLP."""
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.attention = Attention(n_embd, n_head)
        self.fc1, self.fc2 = linear(4 * n_embd, n_embd), linear(n_embd, 4 * n_embd)

    def forward(self, x):
        x = x + self.attention(rmsnorm(x))
        return x + self.fc2(F.relu(self.fc1(rmsnorm(x))))

class GPT(nn.Module):
    """From tokens, a row for each document, to the logits of the next ones."""
    def __init__(self, vocab_size, flags):
        super().__init__()
        n_embd = flags.n_embd
        self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(flags.block_size, n_embd)
        self.lm_head = linear(vocab_size, n_embd)
        self.layers = nn.ModuleList(Layer(n_embd, flags.n_head) for _ in range(flags.n_layer))

    def forward(self, tokens):
        x = rmsnorm(self.wte(tokens) + self.wpe.weight[: tokens.shape[1]])
        for layer in self.layers:
            x = layer(x)
        return self.lm_head(x)

def batch_of(documents, characters, size):
    """Return the tokens of some documents, a row for each, and the tokens that follow; -1 where there is none."""
    lessons = [torch.tensor(encode(document[:size], characters)[: size + 1]) for document in documents]
    rows = nn.utils.rnn.pad_sequence(lessons, batch_first=True, padding_value=-1)
    return rows[:, :-1].clamp(min=0), rows[:, 1:]

def losses_of(model, inputs, targets):
    """Return the loss of each document: how much its next tokens surprise the model, on average."""
    surprises = F.cross_entropy(model(inputs).transpose(1, 2), targets, ignore_index=-1, reduction="none")
    return surprises.sum(1) / (targets >= 0).sum(1)

def loss_without_learning(model, documents, characters, setting):
    """Return the mean loss of documents that the model does not learn from."""
    losses = []
    for start in range(0, len(documents), 64):
        batch = batch_of(documents[start : start + 64], characters, setting.size)
        with torch.no_grad(), setting.precision():
            losses += losses_of(model, *(rows.to(setting.device) for rows in batch)).tolist()
    return sum(losses) / len(losses)

def new_model(vocab_size, flags):
    """Return an untrained model, with the numbers that microgpt.py would begin with."""
    count = (2 * vocab_size + flags.block_size + 12 * flags.n_embd * flags.n_layer) * flags.n_embd
    if count * 32 > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):  # with gradients and Adam's two means
        raise MemoryError
    model = GPT(vocab_size, flags).to(torch.float64 if flags.dtype == "float64" else torch.float32)
    for p in model.parameters():
        numbers = [random.gauss(0, 0.08) for _ in range(p.numel())]
        p.data = torch.tensor(numbers, dtype=p.dtype).view(p.shape)
    return model

def learn(model, optimizer, documents, characters, setting, rate):
    """Take one step with this process's share of a batch, and return the loss of the share."""
    inputs, targets = (rows.to(setting.device) for rows in batch_of(documents, characters, setting.size))
    with setting.precision():
        loss = losses_of(model, inputs, targets).mean()
    optimizer.zero_grad()
    loss.backward()
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return loss.detach()

def batches(documents, flags, step):
    """Yield this process's share of each batch from a step on; after its end the text begins again."""
    rank, size, _ = place()
    share = flags.batch_size // size
    for number in range(step, flags.num_steps):
        first = number * flags.batch_size + rank * share
        yield number, [documents[i % len(documents)] for i in range(first, first + share)]

def replace(path, content):
    """Write bytes to a file, all at once: until they are on the disk, the old ones stay."""
    path = pathlib.Path(path).resolve()  # what a link leads to
    new = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
    try:
        with new.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)  # if something went wrong

KEPT = ["n_embd", "n_head", "n_layer", "block_size", "batch_size", "seed", "dtype"]  # flags that may not change

def about(flags, documents):
    """Return the conditions of a checkpoint: the flags, a checksum of the text, and whether some of it is held out."""
    text = hashlib.sha256("\n".join(sorted(documents)).encode()).hexdigest()
    split = {"split by --eval_every": flags.eval_every <= flags.num_steps}
    return {"program": "torch_gpt", "text": text, **split, **{name: getattr(flags, name) for name in KEPT}}

def save(path, **kept):
    """Write tensors and numbers to a file, with a checksum."""
    file = io.BytesIO()
    torch.save(kept, file)
    replace(path, file.getvalue() + hashlib.sha256(file.getvalue()).digest())

def load(path, content, expected, device):
    """Return the saved state; end the program with a message if it is damaged, or belongs to another run."""
    if hashlib.sha256(content[:-32]).digest() != content[-32:]:
        sys.exit(f"microgpt: {path} is damaged, or not a checkpoint: name another --checkpoint")
    kept = torch.load(io.BytesIO(content[:-32]), map_location=device, weights_only=True)
    others = [name for name, value in expected.items() if kept["about"].get(name) != value]
    if others:
        sys.exit(f"microgpt: {path} belongs to another run, with another {others[0]}: name another --checkpoint")
    return kept

def check_the_model(model, optimizer, documents, characters, setting):
    """End the program with a message if the model cannot go on from here."""
    loss = loss_without_learning(model, documents, characters, setting)
    tensors = [*model.parameters(), *(number for means in optimizer.state.values() for number in means.values())]
    is_finite = all(tensor.isfinite().all() for tensor in tensors)
    together(torch.tensor(loss if is_finite else math.inf, device=setting.device), setting)

class Setting:
    """The device and precision of a run, and the signal by which it was asked to stop, or 0."""
    def __init__(self, flags):
        gpu = flags.device == "cuda" or (flags.device == "auto" and torch.cuda.is_available())
        self.device = torch.device("cuda", place()[2]) if gpu else torch.device("cpu")
        self.size, self.half, self.stopped = flags.block_size, flags.dtype == "bfloat16", 0
        if not gpu and flags.n_embd**2 * flags.block_size * flags.batch_size < 2**23:
            torch.set_num_threads(1)  # so little work is not worth sharing
        polite = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        heard = [number for number in polite if signal.getsignal(number) != signal.SIG_IGN]  # nohup has one ignored
        self.before = {number: signal.signal(number, self.stop) for number in heard}

    def precision(self):
        return torch.autocast(self.device.type, torch.bfloat16) if self.half else contextlib.nullcontext()

    def stop(self, number, frame):
        """Stop after this step; at a second Ctrl-C at once (but torchrun passes on what the terminal has told us)."""
        if self.stopped == number == signal.SIGINT and "RANK" not in os.environ:
            os._exit(130)
        self.stopped = number

def sample(model, tokens, flags, device):
    """Yield tokens that continue those given, of which the first is BOS, each drawn at random."""
    bos, tokens = tokens[0], list(tokens)
    while len(tokens) <= flags.block_size:
        with torch.no_grad():
            logits = model(torch.tensor([tokens], device=device))[0, -1]
        probabilities = F.softmax(logits.double() / flags.temperature, dim=0).tolist()
        [token] = random.choices(range(bos + 1), probabilities)
        if token == bos:
            return
        tokens.append(token)
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

FLAGS = [
    *FLAGS,
    ("batch_size", 1, "documents per step, over all processes"),
    ("device", "auto", "cpu, cuda or auto"),
    ("dtype", "float64", "float64, float32 or bfloat16, which computes with 16 bits and stores 32"),
    ("compile", "no", "yes: compile the model first"),
    ("checkpoint", "", "file to resume from, if it exists, and to save to"),
    ("save_every", 1000, "steps between two checkpoints"),
    ("eval_every", 10**9, "steps between two losses of a held-out tenth of the text; none above num_steps"),
    ("prompt", "", "what the samples begin with"),
]

def check(flags):
    """End the program with a message if the flags are invalid."""
    choices = {"device": ["auto", "cpu", "cuda"], "dtype": ["float64", "float32", "bfloat16"], "compile": ["no", "yes"]}
    for name, allowed in choices.items():
        if getattr(flags, name) not in allowed:
            Parser().error(f"--{name} must be one of {', '.join(allowed)}")
    if flags.batch_size % processes():
        Parser().error(f"--batch_size must be a multiple of {processes()}, the number of processes")
    if len(flags.prompt) >= flags.block_size:
        Parser().error(f"--prompt must be shorter than {flags.block_size} characters, the block_size")
    check_gpu(flags)

def check_gpu(flags):
    """End the program with a message if there is no GPU, or none for this process."""
    if flags.device == "cuda" and not torch.cuda.is_available():
        Parser().error("--device cuda: PyTorch finds no GPU here")
    gpus, here = torch.cuda.device_count(), place()[2]
    if flags.device != "cpu" and gpus and here >= gpus:
        Parser().error(f"no GPU is left for process {here + 1}: start at most {gpus}, or use --device cpu")

def place():
    """Return the number of this process, how many there are, and its number on its machine, as torchrun sets them."""
    names = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT", "MASTER_ADDR"]
    if not {*names[:3]} & os.environ.keys():
        return 0, 1, 0
    told = (os.environ.get(name, "") for name in names[:4])
    rank, size, here, port = (int(number) if number.isdecimal() else -1 for number in told)
    if not 0 <= rank < size or here < 0 or not 0 < port < 2**16 or "MASTER_ADDR" not in os.environ:
        found = " and ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)
        Parser().error(f"torchrun did not set {found}: unset that in the environment, or start with torchrun")
    return rank, size, here

def processes(): return place()[1]

def check_address():
    """End the program with a message if other machines would be told an address that leads to themselves."""
    try:
        address = socket.gethostbyname(socket.gethostname())
    except OSError:
        address = "127."  # which Gloo takes where there is none
    several = int(os.environ.get("LOCAL_WORLD_SIZE", processes())) < processes()
    if several and address.startswith("127.") and "GLOO_SOCKET_IFNAME" not in os.environ:
        sys.exit("microgpt: no other machine would find this one: set GLOO_SOCKET_IFNAME to its network interface")

def connect(device):
    """Find the other processes, if there are several."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        check_address()
    if processes() > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=datetime.timedelta(minutes=5))

def join(model, device):
    """Return the model, its gradients averaged over all processes, if there are several."""
    gpus = [device.index] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=gpus) if processes() > 1 else model

def agree(flags, identity):
    """End the program with a message if not all processes were started with the same flags and the same text."""
    mine = {**vars(flags), **identity, "checkpoint": bool(flags.checkpoint)}  # its name may be another on each machine
    everyone = [mine] * processes()
    if processes() > 1:
        dist.all_gather_object(everyone, mine)
    others = [name for name in mine if any(told[name] != everyone[0][name] for told in everyone)]
    if others:
        sys.exit(f"microgpt: the processes were not all started with the same {others[0]}: start them alike")

def content_of(path):
    """Return the bytes of a file, or None if there is no such file; the first process reads it for all."""
    content = [None]
    try:
        content = [pathlib.Path(path).read_bytes() if place()[0] == 0 else None]
    except FileNotFoundError:
        pass
    except OSError as error:
        sys.exit(f"microgpt: cannot read {path} ({error.strerror}): name another --checkpoint")
    if processes() > 1:
        dist.broadcast_object_list(content)
    return content[0]

def together(loss, setting):
    """Return the mean of all processes' losses, and the signal by which one of them has been asked to stop, or 0."""
    told = torch.stack([loss.double(), torch.tensor(float(setting.stopped), device=loss.device).double()])
    if processes() > 1:
        dist.all_reduce(told[0])
        dist.all_reduce(told[1], dist.ReduceOp.MAX)
    loss, stopped = told.tolist()
    if not loss < 700 * processes():  # exp(-700) is nearly the smallest number that there is
        raise OverflowError("the numbers grew too large: try a smaller --learning_rate")
    return loss / processes(), int(stopped)

def main():
    """Train on the text, or go on with it, print samples, and return the exit status."""
    gc.enable()  # PyTorch's objects do refer to each other in circles
    flags, documents = command_line()
    check(flags)
    first = place()[0] == 0
    if not first:
        sys.stdout = open(os.devnull, "w")
    try:
        return train_and_write(flags, documents, first)
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise MemoryError from None
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            sys.exit(f"microgpt: --compile does not work here: {str(error).splitlines()[0]}")
        if not isinstance(error, dist.DistError) and "gloo" not in str(error).lower():
            raise
        what = "another process is gone" if dist.is_initialized() else "the processes do not find each other"
        why = re.sub(r"\[/\S+\] | This is typically.*", "", str(error).splitlines()[0])
        print(f"microgpt: {what}: {why}", file=sys.stderr, flush=True)
        os._exit(1)  # the usual end would wait for it

def train_and_write(flags, documents, first):
    """Do what main says; only the first of several processes prints and saves."""
    random.seed(flags.seed)
    random.shuffle(documents)
    characters = sorted(set("".join(documents)))
    if unknown := set(flags.prompt) - set(characters):
        Parser().error(f"--prompt has characters that are not in the text: {''.join(sorted(unknown))}")
    setting = Setting(flags)
    connect(setting.device)
    model = new_model(len(characters) + 1, flags).to(setting.device)
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.85, 0.99), eps=1e-8, fused=True)
    count = sum(p.numel() for p in model.parameters())
    print(f"num docs: {len(documents)}\nvocab size: {len(characters) + 1}\nnum params: {count}")
    begun, identity = 0, about(flags, documents)
    agree(flags, identity)
    content = content_of(flags.checkpoint) if flags.checkpoint else None
    if content is not None:
        kept = load(flags.checkpoint, content, identity, setting.device)
        begun = kept["step"]
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        version, state, second = kept["random"]
        random.setstate((version, tuple(state), second))
        print(f"goes on after step {begun} of {flags.checkpoint}")
    held_out = documents[len(documents) * 9 // 10 :] if flags.eval_every <= flags.num_steps else []
    learned = documents[: len(documents) - len(held_out)] or documents

    def keep(step):
        """Save everything that the rest of the run depends on."""
        if first and flags.checkpoint:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "random": random.getstate()}
            save(flags.checkpoint, about=identity, step=step, **state)
    learner = join(torch.compile(model, dynamic=True) if flags.compile == "yes" else model, setting.device)
    start, terminal, stopped = time.time(), sys.stdout.isatty(), 0
    keep(begun)  # where that is not possible, better now than later
    for step, share in batches(learned, flags, begun):
        rate = flags.learning_rate * (1 - step / flags.num_steps)
        loss, stopped = together(learn(learner, optimizer, share, characters, setting, rate), setting)
        left = (time.time() - start) / (step + 1 - begun) * (flags.num_steps - step - 1)
        line = f"step {step + 1:4d} / {flags.num_steps:4d} | loss {loss:.4f}"
        try:
            sys.stdout.write(f"\r{line} | {left:.0f} s left " if terminal else line + "\n")
            if first and (step + 1) % flags.eval_every == 0:
                loss = loss_without_learning(model, held_out, characters, setting)
                print("\n" * terminal + f"held out after step {step + 1}: loss {loss:.4f}")
        except OSError:  # nobody reads it, or the disk is full: the first sample will tell, when the model is saved
            setting.stopped = setting.stopped or signal.SIGINT
        if stopped or (step + 1) % flags.save_every == 0 or step + 1 == flags.num_steps:
            check_the_model(model, optimizer, share, characters, setting)
            keep(step + 1)
        if stopped:
            break
    del learner  # before the group that it talks to: the other way round both can wait for each other
    if dist.is_initialized():
        dist.destroy_process_group()
    if stopped in (signal.SIGTERM, signal.SIGHUP):
        os._exit(128 + stopped)  # nobody waits for samples
    if first:
        for number, handler in setting.before.items():
            signal.signal(number, handler)
        print("\n" * terminal + "\n--- inference (new, hallucinated names) ---")
        tokens = encode(flags.prompt, characters)[:-1]
        for number in range(flags.samples):
            text = flags.prompt + "".join(characters[t] for t in sample(model, tokens, flags, setting.device))
            print(f"sample {number + 1:2d}: {text}")
    return 130 if stopped else 0

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
