"""Measure the programs of the essay against each other: whole processes, run in turn.

    python3 docs/laboratory/benchmark.py                      # a few minutes
    python3 docs/laboratory/benchmark.py --rounds 3 --programs efficiency/graph_search.py efficiency/exact.c
    python3 docs/laboratory/benchmark.py --record docs/benchmark.json --grow
    python3 docs/laboratory/benchmark.py --beside "./another --steps={steps}" --programs "efficiency/native.c -DFLOAT"

It times the programs that promise, in the fence of their root, the lines or losses of another. Each round runs each
of them twice, for one step and for many, enough for a second at least: the difference of the two, in processor time,
divided by the steps between them, is the time of a step, without the start. Prints the median, the smallest and the
largest of these times, the peak of the memory, and the speed relative to the slowest: the median of the ratios within
a round, and their range. If there is a C compiler, peak.c measures how many operations per second one core can do at
most.

A program with fewer bits, many documents per step or several cores no longer trains in the same way. It is measured in
the same rounds, but in a table of its own: milliseconds per document, with several workers by the clock. With --grow
all are also timed, as the better of two runs, at other widths, depths, document lengths and batch sizes (half an hour),
and parts.py shows where the time of a step goes.

With --beside it times a program of somebody else in turn with ours. The number of steps is put where its command says
{steps}: in a flag, in a variable (env STEPS={steps} ./another) or, for a program that has its number compiled in, in
the name of a file (./another-{steps}, with --steps 1 4000). The command runs in the folder where you are, since it may
read its text there. That goes on until half of the ratios are within 5 % of each other, or it says that the machine is
too noisy.
"""

import argparse
import datetime
import json
import os
import platform
import random
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[i]) for i in (1, 2)]

import tangle  # noqa: E402
from laboratory.parts import all_parts  # noqa: E402
from laboratory.programs import CONTRACTS, ROOT, command, lacking  # noqa: E402
from laboratory.record import processor  # noqa: E402

FEWEST, MOST = 20, 20_000  # steps of a run
NOISE = 0.05  # with --beside, how far apart half of the ratios may be
STEPS = "{steps}"  # in the command of a program that is not ours, the number of them
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # one core, for all of them
SIZES = {"n_embd": (16, 32, 64, 128, 256), "n_layer": (1, 2, 4, 8), "block_size": (16, 32, 64, 128, 256)}
BATCHES = (1, 4, 16, 64, 256)
BATCHED = ("efficiency/batched.c", "efficiency/torch_gpt.py")
OTHERS = (  # another training: a program, what its compiler is told besides (-D…), and its flags
    "efficiency/native.c -DFLOAT",
    "efficiency/batched.c --batch_size=128",
    "efficiency/batched.c -DFLOAT --batch_size=128",
    "efficiency/batched.c -DFLOAT --batch_size=128 --workers=2",
    "efficiency/torch_gpt.py --batch_size=128",
    "efficiency/torch_gpt.py --batch_size=128 --dtype=float32",
)
MEGABYTE = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # ru_maxrss is in bytes there, and here in KiB


def run(words, steps):
    """Return (seconds, peak memory in MB, output) of one run of a command: of the processor, or of the clock."""
    words, place = [*map(str, words)], ROOT
    if is_foreign(words):
        words, place = [word.replace(STEPS, str(steps)) for word in words], None
    else:
        words += ["--num_steps", str(steps), "--samples", "1"]
    start = time.perf_counter()
    try:
        process = subprocess.Popen(words, cwd=place, stdout=subprocess.PIPE, errors="replace", env=ENVIRONMENT)
    except OSError as error:
        sys.exit(f"cannot run {words[0]}: {error.strerror}")
    with process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(words)} failed with status {process.returncode}")
    if not output:
        sys.exit(f"{' '.join(words)} printed nothing: a program that trains prints its loss")
    by_clock = any(word.startswith("--workers") for word in words)  # time of several cores must not be added up
    seconds = time.perf_counter() - start if by_clock else usage.ru_utime + usage.ru_stime
    return seconds, usage.ru_maxrss / MEGABYTE, output


def is_foreign(words):
    """Return whether a command is of another program than ours: it says where the number of steps must be put."""
    return any(STEPS in str(word) for word in words)


def enough(words, seconds=1.0, steps=FEWEST):
    """Return a number of steps that takes a program so long at least; it is no less than `steps`."""
    start = run(words, 1)[0]
    while steps < MOST and run(words, steps)[0] - start < max(seconds, start):  # or the scatter of the start counts
        steps *= 4
    return steps


def measure(words, steps, fewer=1):
    """Return (milliseconds a document, peak memory in MB) of a program, without its start."""
    (start, _, _), (whole, memory, _) = run(words, fewer), run(words, steps)
    batch = next((int(word.split("=")[1]) for word in map(str, words) if word.startswith("--batch_size=")), 1)
    return (whole - start) / (steps - fewer) / batch * 1000, memory


def command_of(label, folder):
    """Return the command of a label such as efficiency/batched.c -DFLOAT --batch_size=128."""
    target, *words = label.split()
    definitions = [word for word in words if word.startswith("-D")]
    place = Path(tempfile.mkdtemp(dir=folder))  # each compiled form is a file of its own
    return [*command(target, place, *definitions), *(word for word in words if word not in definitions)]


def long_text(folder):
    """Write a text whose documents fill every context, and return its path."""
    letters = random.Random(1)
    path, longest = Path(folder, "long.txt"), max(SIZES["block_size"])
    path.write_text("".join("".join(letters.choices("abcdefghij", k=longest)) + "\n" for _ in range(99)))
    return path


def row_of(words, flag, values):
    """Return [[value, milliseconds a document, peak MB], …] of a program; what takes over a second a step ends it."""
    row = []
    for value in values:
        print(f"\r{flag} {value}: {Path(words[-1]).name:40}", end="", file=sys.stderr, flush=True)
        larger = [*words, f"--{flag}={value}"]
        steps = enough(larger, 0.5, steps=4)
        milliseconds, memory = min(measure(larger, steps) for _ in range(2))  # in the worse one somebody disturbed it
        row.append([value, milliseconds, memory])
        if milliseconds > 1000:  # the next one takes up to four times as long
            break
    return row


def growth(commands, folder):
    """Return {flag: {target: [[value, milliseconds a document, peak MB], …]}}."""
    text = {"block_size": [long_text(folder)]}
    rows = {
        flag: {target: row_of([*words, *text.get(flag, [])], flag, values) for target, words in commands.items()}
        for flag, values in SIZES.items()
    }
    batched = {target: command_of(target, folder) for target in BATCHED if not lacking(target)}
    rows["batch_size"] = {target: row_of(words, "batch_size", BATCHES) for target, words in batched.items()}
    return rows


def peak():
    """Return how many billion operations a second one core does at the most, or None without a C compiler."""
    if not shutil.which("cc"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "peak")
        source = Path(__file__).with_name("peak.c")
        subprocess.run(["cc", "-O3", "-march=native", "-Wall", "-Wextra", "-o", program, source], check=True)
        return float(subprocess.run([program], capture_output=True, text=True, check=True).stdout)


def summary(runs):
    """Return {target: {name: number}} of some runs, {target: [(milliseconds, memory), …]}, the slowest first."""
    rows = {}
    slowest = max(runs, key=lambda target: statistics.median(time for time, _ in runs[target]))
    for target, results in runs.items():
        times = [time for time, _ in results]
        ratios = [base / time for time, (base, _) in zip(times, runs[slowest], strict=True)]
        rows[target] = {
            "milliseconds": statistics.median(times), "from": min(times), "to": max(times),
            "memory": max(memory for _, memory in results),
            "ratio": statistics.median(ratios), "ratio_from": min(ratios), "ratio_to": max(ratios),
        }  # fmt: skip
    return dict(sorted(rows.items(), key=lambda item: item[1]["ratio"]))


def table(rows):
    """Yield the lines of the table of a summary."""
    width = max(map(len, rows)) + 6
    yield f"{'':{width}}ms a document     from        to    memory  times as fast"
    for target, numbers in rows.items():
        times = "".join(f"{numbers[name]:10.5f}" for name in ("milliseconds", "from", "to"))
        ratios = "  ".join(f"{numbers[name]:,.1f}" for name in ("ratio", "ratio_from", "ratio_to"))
        yield f"build/{target:{width - 6}} {times} {numbers['memory']:6.0f} MB  {ratios}"


def is_free(path, keys=("rounds", "programs")):
    """Return whether a record may be written there: nothing would be lost but an older one, which has these keys."""
    try:
        return {*keys} <= json.loads(path.read_bytes()).keys()
    except FileNotFoundError:
        return True
    except (OSError, ValueError, AttributeError):
        return False


def write_record(path, record):
    """Write a record into a file, as JSON; end the program with a line if that cannot be done."""
    try:
        tangle.put(path, (json.dumps(record, indent=1) + "\n").encode())
    except OSError as error:
        sys.exit(f"cannot write {path}: {error.strerror}")


def same_lines(commands):
    """End the program if two that promise the same lines print different ones."""
    outputs = {target: run(words, FEWEST)[2] for target, words in commands.items()}
    for target, output in outputs.items():
        like = CONTRACTS[target].get("prints")
        if like in outputs and output != outputs[like]:
            sys.exit(f"{target} and {like} print different lines")


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description="Time the programs of the essay against each other.")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each program, in turn (%(default)s)")
    parser.add_argument("--programs", nargs="+", metavar="TARGET", help="only these, such as efficiency/exact.c")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the measurements to a .json file")
    parser.add_argument("--grow", action="store_true", help="also time them at other sizes")
    parser.add_argument("--list", action="store_true", help="only list the programs that are timed")
    parser.add_argument("--beside", metavar="COMMAND", help="time a program that is not ours beside --programs")
    parser.add_argument("--steps", nargs=2, type=int, metavar="N", help="with --beside: steps of all, few and many")
    parser.add_argument("--names", type=int, default=1, metavar="N", help="with --beside: its names a step")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.beside:
        beside(checked_command(options, parser), options)
        return
    first, *others = CONTRACTS
    targets = [first, *(target for target in others if {"prints", "losses"} & CONTRACTS[target].keys())]
    if unknown := {*(options.programs or [])} - {*targets}:
        parser.error(f"not timed here: {', '.join(sorted(unknown))} (--list shows the programs that are)")
    if options.record and not is_free(options.record):
        parser.error(f"{options.record} exists and is not a record of this benchmark: name another file")
    for target in options.programs or []:
        if missing := lacking(target):
            parser.error(f"{target} needs {missing}")
    targets = [target for target in options.programs or targets if not lacking(target)]
    if options.list:
        print(*targets, sep="\n")
        return
    compare(targets, options)


def checked_command(options, parser):
    """Return the words of --beside, or end with a line if options make no sense; choose a program if none is named."""
    options.programs = options.programs or ["efficiency/native.c"]
    for label in options.programs:
        target = label.partition(" ")[0]
        if target not in CONTRACTS:
            parser.error(f"{target} is not one of our programs")
        if missing := lacking(target):
            parser.error(f"{target} needs {missing}")
    try:
        words = shlex.split(options.beside)
    except ValueError as error:
        parser.error(f"--beside {options.beside}: {error}")
    if not is_foreign(words):
        parser.error(f"--beside must say where the number of steps is put, as in --beside './another --steps={STEPS}'")
    if options.names < 1 or (options.steps and not 0 < options.steps[0] < options.steps[1]):
        parser.error("--names must be at least 1, and --steps two numbers, the greater one last")
    if options.record or options.grow:
        parser.error("--record and --grow do not go with --beside: it only prints")
    return words


def spread(ratios):
    """Return how far apart the middle half of some ratios is, as a part of their median."""
    low, middle, high = statistics.quantiles(ratios, method="inclusive")
    return (high - low) / middle


def beside(words, options):
    """Measure a program that is not ours in turn with some that are, until that is good enough, and print the table."""
    theirs, most = options.beside, 5 * options.rounds
    runs = {label: [] for label in (theirs, *options.programs)}
    names = dict.fromkeys(runs, 1) | {theirs: options.names}
    with tempfile.TemporaryDirectory() as folder:
        commands = {theirs: words} | {label: command_of(label, folder) for label in options.programs}
        steps = {label: options.steps or (1, enough(command)) for label, command in commands.items()}
        while len(runs[theirs]) < most:
            print(f"round {len(runs[theirs]) + 1}, {most} at the most", end="\r", file=sys.stderr, flush=True)
            for label, times in runs.items():
                few, many = steps[label]
                times.append(measure(commands[label], many, few)[0] * 1000 / names[label])
                if times[-1] <= 0:
                    sys.exit(f"{label} takes no longer for {many} steps than for {few}: does it take their number?")
            ratios = {label: [a / b for a, b in zip(runs[theirs], times, strict=True)] for label, times in runs.items()}
            if len(runs[theirs]) >= max(options.rounds, 2) and max(map(spread, ratios.values())) < NOISE:
                break
    print(file=sys.stderr)
    print(*table_beside(runs, ratios), sep="\n")
    print(f"{len(runs[theirs])} rounds, in turn, processor time; {machine()}{clock()}")
    if max(map(spread, ratios.values())) >= NOISE:
        print(f"too noisy: half of the ratios are not within {NOISE:.0%}; try again when nothing else runs here")


def table_beside(runs, ratios):
    """Yield the lines of a table: microseconds a name, how many times as fast as the first, and what compiled it."""
    width, first = max(map(len, runs)) + 2, next(iter(ratios.values()))
    yield f"{'':{width}}us a name      from        to  times as fast  middle half"
    for label, times in runs.items():
        numbers = "".join(f"{number:10.3f}" for number in (statistics.median(times), min(times), max(times)))
        middle = f"within {spread(ratios[label]):.1%}" if ratios[label] is not first else ""
        yield f"{label:{width - 1}}{numbers}  {statistics.median(ratios[label]):13.2f}  {middle}".rstrip()
    for label in runs:
        if flags := CONTRACTS.get(label.split()[0], {}).get("cflags"):
            yield f"{label}: cc {flags.replace(',', ' ')}"


def machine():
    """Return the name of the processor, how many of them there are, and the system."""
    return f"{processor()}, {os.cpu_count()} cores, {platform.system()}"


def clock():
    """Return how fast the system says that the fastest core is at the moment, or nothing if it does not tell."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    rates = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    return f", {max(rates) / 1000:.2f} GHz" if rates else ""


def compare(targets, options):
    """Measure some programs in turn, print the table, and write the record."""
    runs = {target: [] for target in targets}
    others = [label for label in OTHERS if not options.programs and not lacking(label.split()[0])]
    runs |= {label: [] for label in others}
    with tempfile.TemporaryDirectory() as folder:
        commands = {label: command_of(label, folder) for label in runs}
        same_lines({target: commands[target] for target in targets})
        steps = {}
        for target, words in commands.items():
            print(f"\rhow many steps: {target:40}", end="", file=sys.stderr, flush=True)
            steps[target] = enough(words)
        for number in range(options.rounds):
            for target, results in runs.items():
                print(f"\rround {number + 1} of {options.rounds}: {target:40}", end="", file=sys.stderr, flush=True)
                results.append(measure(commands[target], steps[target]))
        grown = growth({target: commands[target] for target in targets}, folder) if options.grow else {}
    parts = all_parts() if options.grow else {}
    most = peak()
    print(file=sys.stderr)
    rows = summary(runs)
    same = {label: numbers for label, numbers in rows.items() if label not in others}
    other = {label: numbers for label, numbers in rows.items() if label in others}
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(*table(same), sep="\n")
    if other:
        print("\nanother training:", *table(other), sep="\n")
    print(f"{options.rounds} rounds, in turn, processor time; {python}, {machine()}")
    for flag, grown_rows in grown.items():
        print(f"\n--{flag}, ms a document:")
        for target, row in grown_rows.items():
            print(f"build/{target:32}", "  ".join(f"{value}: {taken:.4g}" for value, taken, _ in row))
    if most:
        print(f"one core does {most:.0f} billion operations a second at the most")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    print(f"a process begins as a copy of this one, so its memory is never shown as less than some {own:.0f} MB")
    if options.record:
        about = {"date": datetime.date.today().isoformat(), "machine": machine(), "python": python}
        record = about | {"rounds": options.rounds, "programs": same, "others": other, "growth": grown, "peak": most}
        record |= parts
        write_record(options.record, record)


if __name__ == "__main__":
    main()
