"""Watch: tangle and run the tests, whenever something is saved.

    .venv/bin/python tests/tools/watch.py

Those that failed the last time come first. The slow ones, with the browser and with whole trainings, are left out:
docs/weave.py --serve shows the site, and plain pytest runs them all. A save in the meantime starts the tests again;
after three failures they wait for you. Ctrl-C ends it.
"""

import argparse
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from weaver.serve import follow  # noqa: E402
from weaver.weave import complaints  # noqa: E402

import tangle  # noqa: E402

TESTS = [sys.executable, "-m", "pytest", "-q", "--ff", "--maxfail=3", "-m", "not slow", "-n", "0"]


def stop(process):
    """End a run of pytest as Ctrl-C would, so that what its tests have started ends as well."""
    if process and process.poll() is None:
        process.send_signal(signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main():
    """Follow what is saved until Ctrl-C; return the exit status."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)  # as Ctrl-C
    process = None
    try:
        for saved in follow([ROOT / name for name in ("microgpt.md", "tangle.py", "docs", "tests")]):
            if process is None:
                print("waiting for something to be saved; Ctrl-C ends it", flush=True)
                process = False
            if saved:
                stop(process)
                print(f"\n{', '.join(sorted(file.name for file in saved))}", flush=True)
                try:
                    if tangle.write_programs(ROOT / "microgpt.md") == 0:
                        process = subprocess.Popen(TESTS, cwd=ROOT)
                except (tangle.TangleError, OSError) as error:  # a file may be away for a moment
                    print(complaints(error), flush=True)
    except KeyboardInterrupt:
        return 130
    finally:
        stop(process)


if __name__ == "__main__":
    sys.exit(main())
