"""What demonstrations find in the kernel: the programs of the essay, matplotlib, and what other sessions have kept."""

import ast
import contextlib
import gc
import importlib
import importlib.abc
import importlib.util
import json
import math
import numbers
import os
import pickle
import random
import sys
import warnings
from pathlib import Path

import numpy

import tangle

STYLE = {
    "svg.hashsalt": "microgpt",
    "svg.fonttype": "none",
    "figure.figsize": (4.4, 3.0),  # inches: on a phone this is the width of the page, and 11 points are 11 pixels
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
}
BLUE, ORANGE, GREY = "#3d85c6", "#d9731a", "#808080"  # 3 to 1 against the page, light and dark, as are these:
QUERY, KEY, VALUE, RESIDUAL = ORANGE, BLUE, "#1a9a74", "#b45aa8"  # the same as in page.css
COLOURS = {"BLUE": BLUE, "ORANGE": ORANGE, "GREY": GREY}
# Events of the table of audit events in Python's documentation
LOOKING = {"open", "os.listdir", "os.scandir"}
CHANGING = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_TRUNC


class Programs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports programs as the essay has them, {module: (target, lines)}, with the essay's line numbers."""

    def __init__(self, essay, programs):
        self.essay, self.programs = essay, programs

    def find_spec(self, name, path=None, target=None):
        """Say whether a module is a program, or a folder of programs."""
        folder = any(module.startswith(f"{name}.") for module in self.programs)
        known = folder or name in self.programs
        return importlib.util.spec_from_loader(name, self, is_package=folder) if known else None

    def exec_module(self, module):
        """Fill a module with what its program defines; it does not run as the main program."""
        if module.__name__ in self.programs:
            target, lines = self.programs[module.__name__]
            file = self.essay.parent / "build" / target
            tangle.load([tangle.Line(*line) for line in lines], self.essay, file, module.__name__)


def begin(namespace, file):
    """Prepare a namespace for the demonstrations of a session, which a JSON file describes (see kernel.py)."""
    session = json.loads(Path(file).read_text(encoding="utf-8"))
    essay = Path(session["essay"])
    sys.meta_path.insert(0, Programs(essay, session["programs"]))
    show_figures(namespace)
    warnings.formatwarning = lambda message, category, *_: f"{category.__name__}: {message}\n"  # no path of a machine
    os.chdir(essay.parent)
    gc.disable()
    guarded = guard(essay.parent.resolve(), {(essay.parent / name).resolve() for name in session["data"]})
    namespace |= {name: importlib.import_module(name) for name in session["helpers"]}  # and only these: see helpers.py
    kept = [(Path(path).read_bytes(), names) for path, names in session["kept"].items()]
    with guarded():
        if session["main"]:
            module = importlib.import_module(session["main"])
            namespace |= {name: value for name, value in vars(module).items() if not name.startswith("_")}
            namespace[session["main"]] = module
        for data, names in kept:
            values = pickle.loads(data)  # noqa: S301 (an earlier session has written it)
            namespace |= {name: values[name] for name in names}
    random.seed(0)
    numpy.random.seed(0)

    def demonstrate(source, line):
        """Run code whose first line is that line of the essay, which tracebacks show."""
        tree = ast.increment_lineno(ast.parse(source), line - 1)
        with guarded():
            exec(compile(tree, str(essay), "exec", dont_inherit=True), namespace)  # noqa: S102

    def keep(names, path):
        """Keep what some names hold in a file."""
        if missing := [name for name in names if name not in namespace]:
            raise NameError(f"keep: there is no {', '.join(missing)}")
        tangle.put(Path(path), pickle.dumps({name: namespace[name] for name in names}, protocol=4))

    namespace |= COLOURS | {"tell": tell, "give": give, "demonstrate": demonstrate, "keep": keep}


def show_figures(namespace):
    """Set matplotlib up: figures come as SVG, without anything that would differ from one run to the next."""
    import matplotlib
    import matplotlib.pyplot as plt
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    matplotlib.rcdefaults()  # whatever the user has in a matplotlibrc
    matplotlib.rcParams.update(STYLE)
    set_matplotlib_formats("svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    namespace |= {"matplotlib": matplotlib, "plt": plt}


def tell(value):
    """Print the value of an expression in the prose; it has to be a number."""
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValueError(f"{value!r} cannot be written as a number")
    print(json.dumps(int(value) if isinstance(value, numbers.Integral) else float(value)))


def give(data):
    """Hand data to the page, for the widget of a demonstration; JSON has to be able to hold it, so nothing infinite."""
    from IPython.display import publish_display_data

    json.dumps(data, allow_nan=False)
    publish_display_data({"application/json": data})


def guard(root, data):
    """Return a context for demonstrations, which read of a project only some files and change nothing there.

    So all that a result depends on is known. That stops mistakes, and nobody who means to get around it.
    """
    free = tuple(f"{Path(path).resolve()}{os.sep}" for path in (sys.prefix, sys.base_prefix))
    is_on = False

    def hook(event, arguments):
        if not is_on or event not in LOOKING | CHANGING:
            return
        changes = event in CHANGING or (event == "open" and arguments[2] & WRITING)
        for name in arguments[: 2 if event in CHANGING else 1]:
            if isinstance(name, int):  # an open file, or a mode
                continue
            path = Path(os.fsdecode(name or ".")).resolve()
            is_ours = path.is_relative_to(root) and not str(path).startswith(free)
            if is_ours and changes:
                raise PermissionError(f"a demonstration changes nothing in the project: {path}")
            if is_ours and path not in data:
                way = 'name it in its fence, as in data="docs/names.txt"'
                raise PermissionError(f"a demonstration reads {path.name}: {way}")

    @contextlib.contextmanager
    def guarded():
        nonlocal is_on
        is_on = True
        try:
            yield
        finally:
            is_on = False

    sys.addaudithook(hook)
    return guarded
