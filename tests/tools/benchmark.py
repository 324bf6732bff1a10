"""Measure the programs of the essay against each other: whole processes, run in turn.

    python3 tests/tools/benchmark.py                      # about five minutes
    python3 tests/tools/benchmark.py --rounds 3 --steps 20

Takes part who promises, in the fence of its root, the same lines or losses as another program. Prints for each the
median, the smallest and the largest time of a training step and its peak memory, then the median of the ratios to the
first program in the same round, and on what it was measured. The times are processor time of the whole process, its
start included, divided by the number of steps.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from programs import CONTRACTS, ROOT, command, lacking  # noqa: E402

MEGABYTE = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # ru_maxrss is in bytes there, and here in KiB


def measure(words, steps):
    """Return (milliseconds a step, peak memory in MB, output) of one run of a command."""
    words = [*words, "--num_steps", str(steps), "--samples", "1"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{words[-5]} failed")
    return (usage.ru_utime + usage.ru_stime) / steps * 1000, usage.ru_maxrss / MEGABYTE, output


def processor():
    """Return the name of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def table(runs):
    """Yield the lines of the table of some runs, {target: [(time, memory, output), …]}."""
    first = next(iter(runs.values()))
    width = max(map(len, runs)) + 6
    yield f"{'':{width}}{'median':>10}{'from':>10}{'to':>10}  ms a step{'memory':>12}{'ratio':>8}{'from':>8}{'to':>8}"
    for target, results in runs.items():
        times = [time for time, _, _ in results]
        memory = max(peak for _, peak, _ in results)
        ratios = [time / base for (time, *_), (base, *_) in zip(results, first, strict=True)]
        numbers = "".join(f"{number:10.1f}" for number in (statistics.median(times), min(times), max(times)))
        compared = "".join(f"{number:8.2f}" for number in (statistics.median(ratios), min(ratios), max(ratios)))
        yield f"build/{target:{width - 6}}{numbers}{'':11}{memory:9.1f} MB{compared}"


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description="Time the programs of the essay against each other.")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each program, in turn (%(default)s)")
    parser.add_argument("--steps", type=int, default=100, help="training steps a run (%(default)s)")
    parser.add_argument("--list", action="store_true", help="only say which programs take part")
    options = parser.parse_args()
    first, *others = CONTRACTS
    targets = [first, *(target for target in others if {"prints", "losses"} & CONTRACTS[target].keys())]
    targets = [target for target in targets if not lacking(target)]
    if options.list:
        print(*targets, sep="\n")
        return
    runs = {target: [] for target in targets}
    with tempfile.TemporaryDirectory() as folder:
        commands = {target: command(target, folder) for target in targets}
        for number in range(options.rounds):
            for target, results in runs.items():
                print(f"\rround {number + 1} of {options.rounds}: {target:40}", end="", file=sys.stderr, flush=True)
                results.append(measure(commands[target], options.steps))
    print(file=sys.stderr)
    for target in targets:
        like = CONTRACTS[target].get("prints")
        if like and runs[target][-1][2] != runs[like][-1][2]:
            sys.exit(f"{target} and {like} print different lines")
    print(*table(runs), sep="\n")
    print(f"{options.rounds} rounds of {options.steps} steps, in turn; the ratios are those to the first program")
    print(f"{platform.python_implementation()} {platform.python_version()}, {processor()}, {os.cpu_count()} cores, "
          f"{platform.system()} {platform.release()}")  # fmt: skip


if __name__ == "__main__":
    main()
