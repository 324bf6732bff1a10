"""The commands that README.md and docs/tools.md have, and what each of them has to say."""

import os
import re
import subprocess

from programs import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
TOOLS = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README + TOOLS, re.M | re.S)
FIRST, TEST, *OTHERS = (line for block in BLOCKS for line in block.splitlines())
# What each command has to say; those that would go on for ever, or for long, are ended then.
ENDLESS = {
    ".venv/bin/python docs/weave.py --serve": r"serving on http://127\.0\.0\.1:8000/(?s:.*)woven in",
    "sh tests/watch.sh": r"\.\.\.\.",
    ".venv/bin/python docs/weave.py && .venv/bin/python -m http.server -d build/site 8000": "Serving HTTP on .* 8000",
    "python3 docs/laboratory/benchmark.py": "how many steps",
}
ENDING = {
    "python3 tangle.py --check": r"^$",
    ".venv/bin/python docs/weave.py --update": r"^$",  # numbers and build/essay are right: else run it, and commit
    "python3 tangle.py --run microgpt.py --num_steps 5": r"step    5 /    5 \| loss \d",
    "python3 -m cProfile -s tottime tangle.py --run microgpt.py --num_steps 20": r"microgpt\.md:\d+\(value\)",
    ".venv/bin/coverage run tangle.py --run microgpt.py --num_steps 5 && .venv/bin/coverage report -m": "microgpt.md ",
    "python3 tangle.py --where build/microgpt.py:57": r"^microgpt\.md:\d+\n$",
    "python3 tangle.py --where build/microgpt.py:57 | python3 tangle.py --where -": r"^build/microgpt\.py:57\n",
    ".venv/bin/ruff check --output-format concise build | python3 tangle.py --where -": "All checks passed!",
    ".venv/bin/ty check --output-format concise build/microgpt.py | python3 tangle.py --where -": "All checks passed!",
    "python3 tangle.py --stitch": r"^$",
}
BY_HAND = {".venv/bin/pip install --group torch"}  # .ci/run does it


def start(command, folder, stdout=subprocess.PIPE):
    """Start a command line as a shell would, in a session of its own."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, shell=True, cwd=folder, start_new_session=True, encoding="utf-8",  # noqa: S602
                            stdout=stdout, stderr=subprocess.STDOUT, env=environment)  # fmt: skip
