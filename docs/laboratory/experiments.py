#!/usr/bin/env python3
"""Measure the experiments of the essay: the losses of broken programs, for docs/experiments.json.

usage: python docs/laboratory/experiments.py [NAME …]    measure all missing or stale records, or only these
       python docs/laboratory/experiments.py --list      print the record

It needs a C compiler (cc), and half a minute or more for each experiment and core. Ctrl-C loses only unfinished
measurements. See measure.py for the measurements of a program.
"""

import argparse
import datetime
import multiprocessing
import os
import platform
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT)]

import tangle  # noqa: E402
from laboratory import machine, measure, record  # noqa: E402

ESSAY, NAMES, RECORD = ROOT / "microgpt.md", ROOT / "docs" / "names.txt", ROOT / "docs" / "experiments.json"


def main():
    """The command line: return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    text = tangle.decode(ESSAY.read_bytes())
    try:
        fences, errors = tangle.parse(text)
        programs = tangle.programs_of(fences, errors)
        wrong = tangle.check_experiments(fences, programs, compiles=True)
        if wrong:
            raise tangle.TangleError(wrong)
        jobs, recorded = record.jobs(fences, programs), record.read(RECORD)
        if options.list:
            return print_list(jobs, recorded)
        if unknown := {*options.names} - {name for _, name in jobs}:
            parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(name for _, name in jobs)}")
        machine.library()
        tidy(jobs)
        return measure_all(chosen(jobs, recorded, options.names), jobs)
    except tangle.TangleError as error:
        print(*(f"{ESSAY.name}:{line}: {message}" for line, message in error.errors), sep="\n", file=sys.stderr)
    except (record.RecordError, machine.NoCompiler) as error:
        print(f"experiments.py: {error}", file=sys.stderr)
    return 1


def chosen(jobs, recorded, names):
    """Return [(kind, name)] of what is to be measured: these, or all that are missing or stale; the longest first."""
    keys = keys_of(jobs)
    todo = [job for job in jobs if job[1] in names]
    if not names:
        todo = [job for job in jobs if recorded[job[0]].get(job[1], {}).get("key") != keys[job]]
    return sorted(todo, key=lambda job: -(recorded[job[0]].get(job[1], {}).get("milliseconds") or 1e9))


def keys_of(jobs):
    """Return {(kind, name): key} of what is to be measured."""
    names_sum = record.sum_of(NAMES)
    return {name: job.key(names_sum) for name, job in jobs.items()}


def measure_all(todo, jobs):
    """Measure some jobs on all cores, put each into the record when it is done, and return the exit status."""
    keys, failures, start = keys_of(jobs), [], time.monotonic()
    work = [(name, jobs[name]) for name in todo]
    with multiprocessing.get_context("fork").Pool(min(os.cpu_count() or 1, len(todo)) or 1, ignore_interrupts) as pool:
        try:
            for number, (name, entry, error) in enumerate(pool.imap_unordered(measured, work), 1):
                left = (time.monotonic() - start) / number * (len(todo) - number)
                line = name[1]
                if error:
                    failures.append(f"{name[1]}: {error}")
                else:
                    line = line_of(name, save(name, entry | {"key": keys[name], "program": jobs[name].target}))
                print(f"{number:3d}/{len(todo)}  {left:5.0f} s left  {line}", flush=True)
        except KeyboardInterrupt:
            pool.terminate()
            print("interrupted: all finished measurements are recorded", file=sys.stderr)
            return 130
    for failure in failures:
        print(failure, file=sys.stderr)
    return bool(failures)


def ignore_interrupts():
    """Let Ctrl-C be the affair of the process that waits for this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def measured(work):
    """Return (name of a job, its entry or None, what went wrong or None)."""
    name, job = work
    try:
        return name, measure.measure(job.lines, ESSAY, text_of(job), job.seeds, job.steps), None
    except BaseException as error:  # noqa: BLE001, RUF100 - also SystemExit: a worker must not end
        return name, None, f"{job.target}: {type(error).__name__}: {error}"


def text_of(job):
    """Return the file of the names that a job learns from: if it writes them several times, those that still fit."""
    if job.copies == 1:
        return NAMES
    names = (name * job.copies for name in NAMES.read_text(encoding="utf-8").split())
    path = machine.CACHE / f"names-written-{job.copies}-times.txt"
    tangle.put(path, "".join(f"{name}\n" for name in names if len(name) < 16).encode())
    return path


def tidy(jobs):
    """Remove the entries of experiments and programs that are gone from the record."""
    with tangle.locked(RECORD.parent):
        recorded = record.read(RECORD)
        for kind in record.KINDS:
            recorded[kind] = {name: entry for name, entry in recorded[kind].items() if (kind, name) in jobs}
        tangle.put(RECORD, record.text_of(recorded).encode())


def save(job, entry):
    """Put an entry into the record as it is by now: another run, or git, may have changed it. Return the record."""
    with tangle.locked(RECORD.parent):
        recorded = record.read(RECORD)
        recorded[job[0]][job[1]] = entry
        recorded["date"] = datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()
        recorded["machine"] = f"{os.cpu_count()} cores {record.processor()}"
        recorded["python"] = platform.python_version()
        tangle.put(RECORD, record.text_of(recorded).encode())
    return recorded


def line_of(job, recorded):
    """Return the line that reports a measurement."""
    kind, name = job
    entry = recorded[kind].get(name)
    name += f", {kind}" * (kind in record.ELSEWHERE)
    if entry is None:
        return f"{name:30} not measured"
    mean, deviation = record.summary(entry["unseen"])
    text = f"{name:30} {mean:.4f} ± {deviation:.4f}" if mean == mean else f"{name:30} no loss"
    base = recorded["programs" if kind == "experiments" else kind].get(entry["program"])
    if base and base is not entry:
        mean, deviation, count = record.change(entry, base)
        text += f"  change {mean:+.4f} ± {deviation:.4f} ({count} seeds)" if count else ""
    if entry["raised"]:
        text += f"  raises {entry['raised']['error']} ({entry['raised']['seeds']} seeds)"
    return text + ("  by Python alone" if entry["how"] == "python" and entry["parameters"] else "")


def print_list(jobs, recorded):
    """Print the record, and mark its stale entries; return the exit status."""
    keys = keys_of(jobs)
    for job in jobs:
        is_stale = recorded[job[0]].get(job[1], {}).get("key") not in (None, keys[job])
        print(line_of(job, recorded) + ("  stale" if is_stale else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
