"""Run the tests of the program against each experiment of the essay: those that change what is computed must be caught.

    .venv/bin/python tests/mutation.py            # some minutes
    .venv/bin/python tests/mutation.py no-root    # only these

What changes nothing, by the record in docs/experiments.json, cannot be caught and does not count. Prints each
experiment with the test that caught it, then the score; the exit status is 1 if one that counts was not caught.
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from laboratory import record  # noqa: E402

import tangle  # noqa: E402

TESTS = ("test_engine.py", "test_model.py", "test_contracts.py", "test_program.py")


def changes_something(entry, base):
    """Return whether an experiment changes what is computed, as far as was recorded."""
    losses = zip(entry.get("unseen", ()), base["unseen"], strict=False)  # one of them may have more pairs
    parts = ((entry.get(name), base[name]) for name in ("raised", "printed", "samples"))
    return any(mine != theirs for mine, theirs in [*losses, *parts])


def caught_by(name):
    """Return the test that fails first for an experiment, or nothing; without a name, for the programs as they are."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "-n", "0", "-p", "no:cacheprovider"]
    command += [f"tests/program/{file}" for file in TESTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False,
                          env={**os.environ, "MICROGPT_BREAK": name})  # fmt: skip
    failed = re.search(r"^(?:FAILED|ERROR) (?:tests/program/)?(\S+)", done.stdout, re.M)
    return failed[1] if failed else "" if done.returncode == 0 else "an error before any test"


def main():
    """The command line: return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    fences, _ = tangle.parse(tangle.decode((ROOT / "microgpt.md").read_bytes()))
    experiments = [*tangle.named(fences, "experiment")]
    if unknown := {*options.names} - {*experiments}:
        parser.error(f"there is no experiment {', '.join(sorted(unknown))}")
    names = options.names or experiments
    recorded = record.read(ROOT / "docs" / "experiments.json")
    base, missed, counted = recorded["programs"]["microgpt.py"], [], 0
    if failed := caught_by(""):
        sys.exit(f"mutation.py: {failed} fails without any experiment: mend that first")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, test in zip(names, pool.map(caught_by, names), strict=True):
            counts = changes_something(recorded["experiments"].get(name, {}), base)
            counted += counts
            missed += [name] if counts and not test else []
            print(f"{name:24} {test or ('NOT CAUGHT' if counts else 'changes nothing')}", flush=True)
    print(f"{counted - len(missed)} of {counted} experiments that change what is computed are caught")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
