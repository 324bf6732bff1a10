"""What demonstrations find in the kernel: the programs of the essay, matplotlib, and what other sessions have kept."""

import _posixsubprocess
import ast
import gc
import importlib
import importlib.abc
import importlib.util
import io
import json
import math
import numbers
import os
import pickle
import random
import sys
import threading
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
COLOURS = {"BLUE": "#3d85c6", "ORANGE": "#d9731a", "GREY": "#808080"}  # 3 to 1 against the page, light and dark
PLAIN = {("types", "SimpleNamespace"), ("collections", "Counter"), ("collections", "OrderedDict"),
         ("collections", "deque"), ("builtins", "set"), ("builtins", "frozenset"), ("builtins", "complex"),
         ("builtins", "bytearray"), ("builtins", "range"), ("builtins", "slice")}  # fmt: skip


WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
LOOKING = {"open", "os.listdir", "os.scandir"}  # events, as in the table of audit events in Python's documentation
CHANGING = {"os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.setxattr",
            "os.symlink", "os.truncate", "os.utime", "sqlite3.connect"}  # fmt: skip
STARTING = {"ctypes.dlopen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile",
            "os.system", "subprocess.Popen"}  # fmt: skip
UNSEEN = ((_posixsubprocess, "fork_exec"), (os, "mkfifo"), (os, "mknod"))  # no event tells of these
NO_PROGRAM = "a demonstration starts no other program: its results could not be relied upon"
LONGEST = 100_000  # characters that the demonstrations of a session may print


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


class Plain(pickle.Unpickler):
    """Reads values that were kept: plain data, and objects of the essay's programs; no function in a file is called."""

    def __init__(self, file, modules):
        super().__init__(file)
        self.modules = modules

    def find_class(self, module, name):
        """Return a class that may be read."""
        if (module, name) in PLAIN:
            return super().find_class(module, name)
        found = getattr(importlib.import_module(module), name, None) if module in self.modules else None
        if isinstance(found, type) and found.__module__ == module:
            return found
        raise pickle.UnpicklingError(f"{module}.{name} cannot be kept: keep plain data, or objects of a program")


def begin(namespace, file):
    """Prepare a namespace for the demonstrations of a session, which a JSON file describes (see kernel.py)."""
    session = json.loads(Path(file).read_text(encoding="utf-8"))
    essay = Path(session["essay"])
    sys.meta_path.insert(0, Programs(essay, session["programs"]))
    show_figures(namespace)
    warnings.formatwarning = lambda message, category, *_: f"{category.__name__}: {message}\n"  # no path of a machine
    os.chdir(essay.parent)
    gc.disable()
    for module, name in UNSEEN:
        setattr(module, name, refuse)
    limit(sys.stdout)
    sys.addaudithook(guard(essay, {(essay.parent / name).resolve() for name in session["data"]}))
    if session["main"]:
        module = importlib.import_module(session["main"])
        namespace |= {name: value for name, value in vars(module).items() if not name.startswith("_")}
        namespace[session["main"]] = module
    for path, names in session["kept"].items():
        values = Plain(io.BytesIO(Path(path).read_bytes()), session["programs"]).load()
        namespace |= {name: values[name] for name in names}
    random.seed(0)
    numpy.random.seed(0)
    namespace |= COLOURS | {"tell": tell, "give": give}

    def demonstrate(source, line):
        """Run code whose first line is that line of the essay, which tracebacks show."""
        tree = ast.increment_lineno(ast.parse(source), line - 1)
        failed = []
        threading.excepthook = lambda thread: failed.append(thread.exc_value)
        exec(compile(tree, str(essay), "exec", dont_inherit=True), namespace)  # noqa: S102
        if failed:
            raise failed[0]

    def keep(names, path):
        """Keep what some names hold in a file; it is read at once, since what cannot be read cannot be kept."""
        if missing := [name for name in names if name not in namespace]:
            raise NameError(f"keep: there is no {', '.join(missing)}")
        data = pickle.dumps({name: namespace[name] for name in names}, protocol=4)
        Plain(io.BytesIO(data), session["programs"]).load()
        tangle.put(Path(path), data)

    namespace |= {"demonstrate": demonstrate, "keep": keep}


def show_figures(namespace):
    """Set matplotlib up: figures come as SVG, without anything that would differ from one run to the next."""
    import matplotlib
    import matplotlib.pyplot as plt
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    matplotlib.rcdefaults()  # whatever the user has in a matplotlibrc
    matplotlib.rcParams.update(STYLE)
    set_matplotlib_formats("svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    namespace |= {"matplotlib": matplotlib, "plt": plt}


def refuse(*arguments, **options):
    """Stand in for a function that starts other programs, or makes files that are none."""
    raise PermissionError(NO_PROGRAM)


def limit(stream):
    """Let a stream take no more than a page can show."""
    write, printed = stream.write, 0

    def count(text):
        nonlocal printed
        printed += len(text)
        if printed > LONGEST:
            raise RuntimeError(f"the demonstrations of a session print no more than {LONGEST:,} characters")
        return write(text)

    stream.write = count


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


def guard(essay, data):
    """Return an audit hook: demonstrations read of the project only the files that they name, change nothing there, and
    start no other program.
    """
    root = essay.parent.resolve()
    free = tuple(f"{Path(path).resolve()}{os.sep}" for path in (sys.prefix, sys.base_prefix))

    def of_the_essay():
        frame = sys._getframe(2)
        while frame and frame.f_code.co_filename != str(essay):
            frame = frame.f_back
        return frame or threading.current_thread() is not threading.main_thread()

    def in_the_project(path):
        if isinstance(path, int):  # the number of an open file
            return None
        if path == ":memory:":  # a database without a file
            return None
        path = Path(os.fsdecode(path or ".")).resolve()
        return path if path.is_relative_to(root) and not str(path).startswith(free) else None

    def hook(event, arguments):
        if event in STARTING and of_the_essay():
            raise PermissionError(NO_PROGRAM)
        if event not in LOOKING | CHANGING:
            return
        writes = event in CHANGING
        if event == "open":
            writes = bool({*(arguments[1] or "r")} & {*"wax+"}) or bool((arguments[2] or 0) & WRITING)
        for path in filter(None, map(in_the_project, arguments[:2] if writes and event != "open" else arguments[:1])):
            if (writes or path not in data) and of_the_essay():
                reads = f'reads {path.name}: name it in its fence, as in data="docs/names.txt"'
                way = f"changes nothing in the project: {path}" if writes else reads
                raise PermissionError(f"a demonstration {way}")

    return hook
