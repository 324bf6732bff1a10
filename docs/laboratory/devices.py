"""Time a step of torch_gpt.py on the processor and on the GPU, over width and batch, and count what a GPU is told.

    python docs/laboratory/devices.py                           # without a GPU it times the processor alone
    python docs/laboratory/devices.py --record docs/devices.json
    python docs/laboratory/devices.py --widths 16 64 --batches 1

Everything happens in one process, so that PyTorch's start does not count. The documents are random letters, all of
full length, so that every position in a batch is a token. A time is the median of five stretches of steps, each a
quarter of a second or more, with the smallest and the largest. A step is everything that the program does in one: make
the batch, compute the loss and the gradients, let Adam move the parameters, and fetch the loss. Beside it, on one core
and on the same text, are microgpt.py and native.c, timed as benchmark.py does it.
"""

import argparse
import datetime
import json
import platform
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

sys.path[:0] = [str(Path(__file__).resolve().parents[i]) for i in (1, 2)]

from laboratory.benchmark import enough, is_free, measure, write_record  # noqa: E402
from laboratory.programs import command, load  # noqa: E402
from laboratory.record import processor  # noqa: E402

CHARACTERS = [chr(ord("a") + number) for number in range(26)]
WIDTHS, BATCHES, WIDEST = (16, 64, 256, 1024, 4096), (1, 128), 1024  # native.c takes long to make larger tables
GPT2 = {"n_embd": 768, "n_head": 12, "n_layer": 12, "block_size": 256, "batch_size": 64}  # the smallest GPT-2


def flags_of(device, **others):
    """Return the flags of a run, without those that a step does not ask for."""
    usual = {"n_embd": 16, "n_head": 4, "n_layer": 1, "block_size": 16, "batch_size": 1, "dtype": "float32"}
    return SimpleNamespace(**usual | others, device=device, learning_rate=0.001)


def step_of(program, flags, compiled=None):
    """Return (a function that takes one step, the number of parameters); compiled is a mode of torch.compile."""
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    setting = program.Setting(flags)
    kind = torch.float64 if flags.dtype == "float64" else torch.float32
    model = program.GPT(len(CHARACTERS) + 1, flags).to(setting.device, kind)
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.85, 0.99), fused=True)
    documents = ["".join(random.choices(CHARACTERS, k=flags.block_size - 1)) for _ in range(flags.batch_size)]
    learner = torch.compile(model, mode=compiled) if compiled else model

    def step():
        loss = program.learn(learner, optimizer, documents, CHARACTERS, setting, flags.learning_rate)
        return program.together(loss, setting)

    return step, sum(p.numel() for p in model.parameters())


def timed(step):
    """Return (median, smallest, largest) seconds of a step."""
    for _ in range(3):  # the first steps find kernels, and memory
        start = time.perf_counter()
        step()
    count = max(1, round(0.25 / (time.perf_counter() - start)))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(count):
            step()
        times.append((time.perf_counter() - start) / count)
    return statistics.median(times), min(times), max(times)


def gpu_work(step):
    """Return what a GPU is told in a step: how many kernels to launch, how many copies, and the seconds of its work."""
    from torch.profiler import ProfilerActivity, profile

    for _ in range(3):
        step()
    count = 10
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        for _ in range(count):
            step()
    events = seen.events()
    names = [event.name for event in events]
    launches = sum(name.startswith(("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch")) for name in names)
    copies = sum(name.startswith("cudaMemcpy") for name in names)
    on_device = [event for event in events if event.device_type == torch.autograd.DeviceType.CUDA]
    busy = sum(event.time_range.elapsed_us() for event in on_device) / 1e6
    return {"launches": launches / count, "copies": copies / count, "busy": busy / count}


def operations(flags, parameters):
    """Return the multiplications and additions of a step: two forward and four back for each weight and token.

    Attention comes on top: scores and mean, over half of the context on average. (The embeddings are only looked up.)
    """
    tokens = flags.batch_size * flags.block_size
    weights = parameters - (len(CHARACTERS) + 1 + flags.block_size) * flags.n_embd
    return tokens * (6 * weights + 6 * flags.n_layer * flags.block_size * flags.n_embd)


def row(program, device, compiled=None, count=False, **others):
    """Return the measurements at one size."""
    flags = flags_of(device, **others)
    print(f"{device} {others} {compiled or ''}", end=" ", file=sys.stderr, flush=True)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    step, parameters = step_of(program, flags, compiled)
    seconds, least, most = timed(step)
    about = {name: value for name, value in vars(flags).items() if name != "learning_rate"}
    about |= {"compiled": compiled, "parameters": parameters, "operations": operations(flags, parameters)}
    numbers = about | {"seconds": seconds, "from": least, "to": most}
    if device == "cuda":
        numbers["memory"] = torch.cuda.max_memory_allocated()
        if count:
            numbers |= gpu_work(step)
    print(f"{seconds * 1000:.3f} ms", file=sys.stderr, flush=True)
    return numbers


def peaks(device):
    """Return {name: operations a second} of a product of two large matrices, the best of ten."""
    size, rates = (8192 if device == "cuda" else 2048), {}
    for kind in (torch.float64, torch.float32, torch.bfloat16):
        a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
        times = []
        for _ in range(10):
            start = time.perf_counter()
            c = a @ b
            c[0, 0].item()  # waits for it
            times.append(time.perf_counter() - start)
        rates[str(kind).removeprefix("torch.")] = 2 * size**3 / min(times)
    return rates


def rows_of(widths, batches, has_gpu):
    """Yield the measurements, size by size."""
    program = load("efficiency/torch_gpt.py")
    for device in ["cpu", "cuda"] if has_gpu else ["cpu"]:
        for batch in batches:
            for width in widths:
                yield row(program, device, n_embd=width, batch_size=batch, count=True)
    if has_gpu:
        for dtype in ("float64", "bfloat16"):
            yield row(program, "cuda", n_embd=1024, batch_size=128, dtype=dtype)
        for mode in ("default", "reduce-overhead"):
            yield row(program, "cuda", mode, count=True)
        for dtype, mode in (("float32", None), ("bfloat16", None), ("bfloat16", "default")):
            yield row(program, "cuda", mode, dtype=dtype, **GPT2)


def others(widths):
    """Return {program: [[width, seconds a step], …]} of microgpt.py and, with a C compiler, of native.c."""
    rows, sizes = {}, {"microgpt.py": [16], "efficiency/native.c": [width for width in widths if width <= WIDEST]}
    if not shutil.which("cc"):
        del sizes["efficiency/native.c"]
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "letters.txt")
        random.seed(1)
        text.write_text("\n".join("".join(random.choices(CHARACTERS, k=15)) for _ in range(3000)), encoding="utf-8")
        for target, values in sizes.items():
            words = [*command(target, folder), text, "--learning_rate", "0.000001"]  # no matter what the width is
            rows[target] = []
            for width in values:
                larger = [*words, "--n_embd", str(width)]
                rows[target].append([width, measure(larger, enough(larger, 0.5, steps=4))[0] / 1000])
                print(target, *rows[target][-1], file=sys.stderr, flush=True)
    return rows


def measured(options):
    """Return the whole record."""
    has_gpu = torch.cuda.is_available()
    return {
        "date": datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat(),
        "processor": processor(), "threads": threads, "gpu": torch.cuda.get_device_name() if has_gpu else None,
        "python": platform.python_version(), "torch": torch.__version__,
        "others": others(options.widths), "rows": list(rows_of(options.widths, options.batches, has_gpu)),
        "peaks": {device: peaks(device) for device in (["cpu", "cuda"] if has_gpu else ["cpu"])},
    }  # fmt: skip


def start_torch():
    """Import PyTorch, which takes seconds, for all of this module."""
    global torch, threads
    try:
        import torch
    except ImportError:
        sys.exit("devices.py needs PyTorch: .venv/bin/pip install --group torch")
    threads = torch.get_num_threads()


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="n_embd, multiples of 4 (%(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, help="documents per step (%(default)s)")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the measurements as JSON")
    options = parser.parse_args()
    if any(width % 4 for width in options.widths):
        parser.error("--widths must be multiples of 4, the number of heads")
    if options.record and not is_free(options.record, ("rows", "peaks")):
        parser.error(f"{options.record} exists and is not a record of this tool: name another file")
    start_torch()
    record = measured(options)
    print(json.dumps(record, indent=1))
    if options.record:
        write_record(options.record, record)


if __name__ == "__main__":
    main()
