"""Make docs/identifiers.txt again: names of functions and methods of Python's standard library.

    python3.11 docs/make_texts.py

They are the public functions of the modules below, all of which the Library Reference documents, and the public methods
of their public classes, as far as they are in lower case; each name once, in the order of the alphabet. Other versions
of Python have other names, and so do other systems: the file is what Python 3.11.7 has on Linux.
"""

import argparse
import importlib
import inspect
import re
import sys
from pathlib import Path

MODULES = (
    "array bisect builtins collections copy csv datetime difflib functools glob heapq io itertools json math operator "
    "os os.path pathlib queue random re shlex shutil statistics string subprocess tempfile textwrap threading time "
    "traceback urllib.parse zipfile"
)
NAME = re.compile("[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


def members(owner):
    """Return {name: object} of what is public in a module (what its __all__ names) or in a class."""
    names = getattr(owner, "__all__", None) or [name for name in dir(owner) if not name.startswith("_")]
    return {name: getattr(owner, name) for name in names}


def identifiers():
    """Return the names, sorted."""
    found = set()
    for module in MODULES.split():
        for name, thing in members(importlib.import_module(module)).items():
            if inspect.isclass(thing):
                found |= {method for method, code in members(thing).items() if callable(code)}
            elif callable(thing):
                found.add(name)
    return sorted(filter(NAME.fullmatch, found))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if sys.version_info[:3] != (3, 11, 7) or sys.platform != "linux":
        sys.exit("identifiers.txt is made by Python 3.11.7 on Linux; another one has other names")
    Path(__file__).with_name("identifiers.txt").write_text("\n".join(identifiers()) + "\n", encoding="ascii")
