"""Measure the engine with a tape against the engine that searches a graph: whole processes, run in turn.

    python tests/benchmark.py                      # about five minutes
    python tests/benchmark.py --rounds 3 --steps 20

Prints for each program the median, the smallest and the largest time of a training step and its peak memory, then
the median of the ratios of neighbouring runs, and on what it was measured. The times are processor time of the whole
process, its start included, divided by the number of steps; the last lines of both outputs have to be the same.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys

from programs import GRAPH_SEARCH, MICROGPT, ROOT

MEGABYTE = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # ru_maxrss is in bytes there, and here in KiB


def measure(program, steps):
    """Return (milliseconds a step, peak memory in MB, output) of one run."""
    command = [sys.executable, program, "--num_steps", str(steps), "--samples", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{program} failed")
    return (usage.ru_utime + usage.ru_stime) / steps * 1000, usage.ru_maxrss / MEGABYTE, output


def processor():
    """Return the name of the processor, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description="Time build/microgpt.py against build/efficiency/graph_search.py.")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each program, in turn (%(default)s)")
    parser.add_argument("--steps", type=int, default=100, help="training steps a run (%(default)s)")
    options = parser.parse_args()
    runs = {MICROGPT: [], GRAPH_SEARCH: []}
    for number in range(options.rounds):
        for program, results in runs.items():
            results.append(measure(program, options.steps))
        outputs = {results[-1][2] for results in runs.values()}
        if len(outputs) != 1:
            sys.exit("the two programs print different lines")
        print(f"\rround {number + 1} of {options.rounds}", end="", file=sys.stderr)
    print(file=sys.stderr)
    print(f"{'':32}{'median':>10}{'from':>10}{'to':>10}  ms a step{'':4}{'memory':>10}")
    for program, results in runs.items():
        times = [time for time, _, _ in results]
        memory = max(peak for _, peak, _ in results)
        name = program.relative_to(ROOT).as_posix()
        print(f"{name:32}{statistics.median(times):10.1f}{min(times):10.1f}{max(times):10.1f}{'':15}{memory:7.1f} MB")
    ratios = [slow / fast for (fast, *_), (slow, *_) in zip(*runs.values())]
    print(f"ratio: median {statistics.median(ratios):.1f}, from {min(ratios):.1f} to {max(ratios):.1f}")
    print(f"{options.rounds} rounds of {options.steps} steps, in turn; the outputs are the same")
    print(f"{platform.python_implementation()} {platform.python_version()}, {processor()}, {os.cpu_count()} cores, "
          f"{platform.system()} {platform.release()}")  # fmt: skip


if __name__ == "__main__":
    main()
