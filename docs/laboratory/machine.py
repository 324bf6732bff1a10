"""The machine: the program's own `train`, with traces of its `loss_of`, `backward` and `adam` run by machine.c.

All numbers of a model are in one memory of doubles: its parameters, their gradients, then what else lasts from step to
step, then constants, then what a trace needs while it runs. The Values of the model look into that memory, so any part
of the program can use them in plain Python. That is also what happens wherever the machine stops: the program does the
step itself, and raises what it raises.
"""

import ctypes
import functools
import hashlib
import math
import os
import subprocess
import sys
from array import array
from pathlib import Path
from typing import NamedTuple

from laboratory.tracing import (
    ADD,
    INPUT,
    LOG,
    NEG,
    OPERATIONS,
    POISON,
    Code,
    Current,
    Model,
    Shims,
    Slot,
    Sym,
    Tok,
    Trace,
    Untraceable,
    bits,
    changed,
    code_of,
    node_of,
)  # fmt: skip

CACHE = Path(__file__).resolve().parents[2] / "build" / "cache"
LANES = 8  # lessons that are evaluated at once
LISTS = 4  # of numbers, up to two for each parameter, that may last from step to step
SCALARS = 64  # numbers that functions are called with
CONSTANTS = 4096
TRACES = 100  # more of them mean that a program does not repeat itself


class NoCompiler(Exception):  # noqa: N818
    """There is no C compiler, or it does not work."""


@functools.cache
def library(lanes=1):
    """Return machine.c, compiled for so many lessons at once; it is compiled once, into build/cache."""
    names = ", ".join(f"{name} = {number}" for number, name in enumerate(OPERATIONS))
    source = f"enum {{ {names} }};\n{Path(__file__).with_name('machine.c').read_text(encoding='utf-8')}"
    flags = ["-O2", f"-DLANES={lanes}", "-ffp-contract=off", "-fno-math-errno", "-march=native"]
    key = hashlib.sha256("\0".join([source, *flags, sys.platform]).encode()).hexdigest()[:16]
    path = CACHE / f"machine-{key}.so"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for options in (flags, flags[:-1]):  # not all machines know which one they are
            temporary = path.with_suffix(f".{os.getpid()}")
            command = ["cc", "-shared", "-fPIC", *options, "-x", "c", "-", "-o", temporary, "-lm"]
            try:
                done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
            except OSError:
                raise NoCompiler("the laboratory needs a C compiler, as the command cc") from None
            if done.returncode == 0:
                temporary.replace(path)
                break
        else:
            raise NoCompiler(f"cc does not compile machine.c: {done.stderr.strip().splitlines()[-1]}")
    loaded = ctypes.CDLL(str(path))
    loaded.run.restype = ctypes.c_int64
    return loaded


class Memory:
    """Doubles that Python and the machine both see."""

    def __init__(self, size):
        self.cells = (ctypes.c_double * size)()

    def reserve(self, size):
        """See to it that there are that many; what there is stays."""
        if len(self.cells) < size:
            old, self.cells = self.cells, (ctypes.c_double * (size + size // 4))()
            ctypes.memmove(self.cells, old, ctypes.sizeof(old))

    def run(self, code, tokens=(0,)):
        """Run some code; return whether the machine came to its end."""
        self.reserve(code.top)
        words, numbers = code.words.buffer_info()[0], array("i", tokens)
        place = ctypes.c_void_p(numbers.buffer_info()[0])
        count, length = ctypes.c_int64(code.count), ctypes.c_int64(len(tokens))
        return library().run(ctypes.c_void_p(words), count, self.cells, place, length) == code.count


class Moved:
    """Placeholder in a list of the program whose numbers have moved into the memory."""


class LossValue:
    """What `loss_of` returns: the number, and what `backward` has to know."""

    def __init__(self, data, trace, tokens, arguments, turn):
        self.data, self.trace, self.tokens, self.arguments, self.turn = data, trace, tokens, arguments, turn

    def __getattr__(self, name):
        raise Untraceable(f"the loss is asked for its {name}")


class LossTrace(NamedTuple):
    """The trace of a loss for lessons of one length."""

    forward: Code
    backward: Code
    alone: Code  # gives the surprise, when nothing is learned
    factor: int  # times that number, it is the surprise at all tokens together


class Machine:
    """A program's module at work on the machine. `lessons` are some that it may be traced and tried with."""

    def __init__(self, module, lessons):
        library()
        self.module, self.kind = module, module.Value
        self.examples = {}  # {length: some lessons}
        for lesson in lessons:
            examples = self.examples.setdefault(len(lesson), [])
            if len(examples) < 3 and lesson not in examples:
                examples.append(lesson)
        self.losses, self.steps, self.constants = {}, {}, {}
        self.memory = self.live = None
        self.slow = 0  # steps that Python had to do
        self.originals = {name: vars(module)[name] for name in ("loss_of", "backward", "adam") if name in vars(module)}
        self.tapes = {name for name, thing in vars(module).items() if type(thing) is list and not thing}

    # The model

    def start(self, model):
        """Take over a new model: from now on its Values look into the memory."""
        self.clear_tapes()
        values, seen = [], set()
        for value in [*self.module.parameters_of(model), *values_in(model, self.kind)]:
            if id(value) not in seen:
                seen.add(id(value))
                values.append(value)
        count = len(values)
        if self.memory is None:
            self.count = count
            self.scalars = (2 + 2 * LISTS) * count
            self.constants_at = self.scalars + SCALARS
            self.temporary = self.constants_at + CONSTANTS
            self.memory = Memory(2 * self.temporary)
            self.backup = (ctypes.c_double * (2 * count))()
            self.live = live_kind(self.kind, self)
        elif count != self.count:
            raise Untraceable("two models of one program have different sizes")
        self.model, self.values = model, values
        self.numbers = {id(value): i for i, value in enumerate(values)}
        for i, value in enumerate(values):
            data, grad = value.data, value.grad
            self.memory.cells[i], self.memory.cells[count + i] = data, grad
            value.__class__ = self.live
            self.live.number.set(value, i)
        self.lists, self.turn, self.rest = {}, 0, ()

    def clear_tapes(self):
        """Empty the lists that a program has filled while it made something that nobody walks back from."""
        for name in self.tapes:
            vars(self.module)[name].clear()

    def cell_of(self, constant):
        """Return the cell of a constant, given by its bits."""
        if constant not in self.constants:
            cell = self.constants_at + len(self.constants)
            if cell == self.temporary:
                raise Untraceable("there are too many constants")
            self.constants[constant] = cell
            self.memory.cells[cell] = array("d", array("q", [constant]).tobytes())[0]
        return self.constants[constant]

    # Training

    def train(self, model, documents, flags):
        """Yield the losses that the program's own `train` yields."""
        self.start(model)
        try:
            vars(self.module).update({name: getattr(self, name) for name in self.originals})
            yield from self.module.train(model, documents, flags)
        finally:
            vars(self.module).update(self.originals)

    def loss_of(self, model, tokens, *rest):
        """Return the loss of a lesson, by the machine if it can."""
        if model is not self.model:
            raise Untraceable("the loss of another model is asked")
        self.rest = rest
        trace = self.loss_trace(len(tokens), rest)
        self.turn += 1
        if trace and self.memory.run(trace.forward, tokens):
            return LossValue(self.memory.cells[trace.forward.result], trace, tokens, rest, self.turn)
        self.slow += 1
        return self.originals["loss_of"](model, tokens, *rest)

    def backward(self, loss):
        """Add the gradients, by the machine if it can."""
        if not isinstance(loss, LossValue):
            return self.originals["backward"](loss)
        if loss.turn != self.turn:
            raise Untraceable("another loss was computed before the gradients of this one")
        size = 16 * self.count  # bytes of parameters and gradients
        ctypes.memmove(self.backup, self.memory.cells, size)
        self.turn += 1
        if not self.memory.run(loss.trace.backward, loss.tokens):
            self.slow += 1
            ctypes.memmove(self.memory.cells, self.backup, size)
            self.originals["backward"](self.originals["loss_of"](self.model, loss.tokens, *loss.arguments))
        return None

    def adam(self, *arguments):
        """Move the parameters, by the machine if it can; `arguments` are Values, numbers, and lists of numbers."""
        shapes, scalars = [], []
        for argument in arguments:
            if isinstance(argument, int | float):
                shapes.append("number")
                scalars.append(float(argument))
            elif isinstance(argument, list):
                shapes.append(self.place_of(argument))
            else:
                raise Untraceable(f"a step is called with a {type(argument).__name__}")
        key = tuple(shapes)
        if key not in self.steps:
            if len(self.steps) == TRACES:
                raise Untraceable("the steps of training are all different")
            self.steps[key] = traced(lambda: self.trace_step(arguments))
        self.memory.cells[self.scalars : self.scalars + len(scalars)] = scalars
        if not self.steps[key] or not self.memory.run(self.steps[key]):
            self.slow += 1
            self.step_in_python(arguments)

    def place_of(self, values):
        """Return the address of a list of numbers, or which parameters are in a list of Values."""
        known = self.lists.get(id(values))
        if known and known[0] is values and len(values) == known[2]:
            return known[1]
        if values and all(isinstance(value, self.kind) for value in values):
            place = tuple(self.numbers.get(id(value), -1) for value in values)
            if -1 in place:
                raise Untraceable("a step moves what is no parameter")
        elif values and all(type(value) in (int, float) for value in values) and len(values) <= 2 * self.count:
            used = sum(type(place) is int for _, place, _ in self.lists.values())
            if used == LISTS:
                raise Untraceable("too many lists of numbers last from step to step")
            place = 2 * (1 + used) * self.count
            self.memory.cells[place : place + len(values)] = values
            values[:] = [Moved()] * len(values)
        else:
            raise Untraceable("a step is called with a list that is of neither Values nor numbers")
        self.lists[id(values)] = (values, place, len(values))
        return place

    def step_in_python(self, arguments):
        """Let the program do a step by itself."""
        cells, plain = self.memory.cells, []
        for argument in arguments:
            place = self.place_of(argument) if isinstance(argument, list) else None
            plain.append(cells[place : place + len(argument)] if isinstance(place, int) else argument)
        self.originals["adam"](*plain)
        for argument, numbers in zip(arguments, plain, strict=True):
            if argument is not numbers:
                place = self.place_of(argument)
                cells[place : place + len(argument)] = numbers

    # Traces

    def symbols(self):
        """Begin a trace, and return the model on symbols."""
        Current.trace = Trace()
        for thing in vars(self.module).values():  # what is no parameter must not last: its gradient is a poison
            if isinstance(thing, self.kind):
                thing.grad = Sym(Current.trace.node(POISON), 0.0)
        return Model(self.kind, self.model, self.values, self.numbers)

    def loss_trace(self, length, rest):
        """Return the trace of the loss of lessons of a length; None if the program raises while it is traced.

        Then Python has to do it: only what a program raises by itself is what it raises.
        """
        key = length, repr(rest)
        if key not in self.losses:
            if len(self.losses) == TRACES:
                raise Untraceable("the losses are computed in too many ways")
            self.losses[key] = traced(lambda: self.new_loss_trace(length, rest))
            if self.losses[key]:
                self.verify(self.losses[key], length, rest)
        return self.losses[key]

    def new_loss_trace(self, length, rest):
        """Trace the loss of a lesson of a length, and its gradients."""
        state, before = self.symbols(), self.shapes()
        lesson = [Tok(place, token) for place, token in enumerate(self.examples[length][0])]
        try:
            with Shims(self.module, self.kind, state.resident):
                loss = self.originals["loss_of"](state.copy, lesson, *rest)
                result, surprise = node_of(loss.data), surprise_of(Current.trace, length - 1)
                middle = len(Current.trace.nodes)
                self.originals["backward"](loss)
            writes = state.changes()
            if self.shapes() != before:
                raise Untraceable("something is left behind after backward")
            trace = Current.trace
            code = functools.partial(code_of, trace, cell_of=self.cell_of, start=self.temporary)
            forward, backward = code([middle, len(trace.nodes)], result, writes)
            [alone] = code([middle], result if surprise is None else surprise, [])
            return LossTrace(forward, backward, alone, length - 1 if surprise is None else 1)
        finally:
            self.clear_tapes()
            Current.trace = None
            for thing in vars(self.module).values():
                if isinstance(thing, self.kind):
                    thing.grad = 0.0

    def shapes(self):
        """Return what could tell that the module's own variables have changed; Python's, as of warnings, are none."""
        shapes = {}
        for name, thing in [(name, thing) for name, thing in vars(self.module).items() if not name.startswith("__")]:
            if isinstance(thing, int | float | str):
                shapes[name] = thing
            elif isinstance(thing, list | dict | set):
                shapes[name] = len(thing)
        return shapes

    def verify(self, trace, length, rest):
        """Raise Untraceable if for another lesson the trace gives other numbers than the program itself."""
        lesson, count = self.examples[length][-1], self.count
        before, results = self.memory.cells[: 2 * count], []
        for by_machine in (False, True):
            self.memory.cells[: 2 * count] = before
            if by_machine:
                if not self.memory.run(trace.forward, lesson):
                    break  # then the program will do it
                loss = self.memory.cells[trace.forward.result]
                if not self.memory.run(trace.backward, lesson):
                    break
            else:
                try:
                    value = self.originals["loss_of"](self.model, lesson, *rest)
                    loss = value.data
                    self.originals["backward"](value)
                except Exception:  # noqa: BLE001, RUF100
                    break  # the same will be raised in training
                finally:
                    self.clear_tapes()
            results.append([bits(loss + 0.0), *(bits(number + 0.0) for number in self.memory.cells[: 2 * count])])
        self.memory.cells[: 2 * count] = before
        if len(results) == 2 and results[0] != results[1]:
            raise Untraceable("the trace and the program give different numbers")

    def trace_step(self, arguments):
        """Trace a step of training: the code that does it."""
        state, trace, count, symbols, homes = self.symbols(), Current.trace, 0, [], []
        try:
            for argument in arguments:
                if not isinstance(argument, list):
                    address, count = self.scalars + count, count + 1
                    symbols.append(Sym(trace.node(INPUT, address), float(argument)))
                    continue
                place = self.place_of(argument)
                if isinstance(place, tuple):
                    symbols.append([state.values[i] for i in place])
                else:
                    numbers = self.memory.cells[place : place + len(argument)]
                    symbols.append([Sym(trace.node(INPUT, place + i), x) for i, x in enumerate(numbers)])
                    homes.append((place, symbols[-1]))
            with Shims(self.module, self.kind, state.resident):
                if self.originals["adam"](*symbols) is not None:
                    raise Untraceable("a step returns something")
            writes = state.changes()
            for place, numbers in homes:
                for i, number in enumerate(numbers):
                    writes += changed(trace, place + i, number)
            zero = node_of(0.0)
            [code] = code_of(trace, [len(trace.nodes)], zero, writes, self.cell_of, self.temporary)
            return code
        finally:
            self.clear_tapes()
            Current.trace = None

    # Evaluation

    def loss_on(self, lessons):
        """Return (the sum of the surprises, how many tokens) of lessons, for the model as it is now."""
        total, tokens, lengths = 0.0, 0, {}
        for lesson in lessons:
            lengths.setdefault(len(lesson), []).append(lesson)
        for length, group in sorted(lengths.items()):
            total += sum(self.losses_of(self.loss_trace(length, self.rest), group))
            tokens += (length - 1) * len(group)
        return total, tokens

    def losses_of(self, trace, lessons):
        """Return the surprise in each of some lessons of one length."""
        if trace is None:
            return [self.loss_by_program(lesson) * (len(lesson) - 1) for lesson in lessons]
        code = trace.alone
        length, missing = len(lessons[0]), -len(lessons) % LANES
        count = len(lessons) + missing
        self.memory.reserve(code.top)
        wide = (ctypes.c_double * (code.top * LANES))()
        library(LANES).spread(self.memory.cells, wide, ctypes.c_int64(self.temporary))
        tokens = array("i", [token for lesson in [*lessons, *lessons[-1:] * missing] for token in lesson])
        results, done = (ctypes.c_double * count)(), (ctypes.c_int8 * count)()
        library(LANES).run_all(
            ctypes.c_void_p(code.words.buffer_info()[0]), ctypes.c_int64(code.count), wide,
            ctypes.c_void_p(tokens.buffer_info()[0]), ctypes.c_int64(count), ctypes.c_int64(length),
            ctypes.c_int64(code.result), results, done,
        )  # fmt: skip
        return [trace.factor * (loss if ready else self.loss_in_python(trace, lesson))
                for lesson, loss, ready in zip(lessons, results, done, strict=False)]  # fmt: skip

    def loss_in_python(self, trace, lesson):
        """Return the surprise in a lesson whose group stopped the machine; raise what the program raises."""
        if self.memory.run(trace.alone, lesson):
            return self.memory.cells[trace.alone.result]
        loss = self.loss_by_program(lesson)
        return math.inf if trace.factor == 1 else loss  # a probability of 0, and the program does not mind

    def loss_by_program(self, lesson):
        """Return the loss of a lesson as the program itself computes it."""
        self.slow += 1
        try:
            return self.originals["loss_of"](self.model, lesson, *self.rest).data
        finally:
            self.clear_tapes()


def traced(function):
    """Return the trace that a function returns, None where the program raises in it."""
    try:
        return function()
    except Untraceable:
        raise
    except Exception:  # noqa: BLE001, RUF100
        return None


def surprise_of(trace, count):
    """Return the node of the surprise in a lesson: of the probabilities of its tokens, whatever is made of them.

    None if the program does not pick that many: then its loss has to tell.
    """
    if len(trace.picked) != count:
        return None
    logs = [trace.node(LOG, probability.node) for probability in trace.picked]
    return trace.node(NEG, functools.reduce(lambda a, b: trace.node(ADD, a, b), logs))


def live_kind(kind, machine):
    """Return the subclass of a class of Values that look into the memory of a machine."""
    slot = Slot(kind, "data")

    def reader(offset):
        return lambda self: machine.memory.cells[slot.get(self) + offset]

    def writer(offset):
        return lambda self, number: machine.memory.cells.__setitem__(slot.get(self) + offset, number)

    parts = {name: property(reader(offset), writer(offset)) for name, offset in (("data", 0), ("grad", machine.count))}
    return type("Live", (kind,), {"__slots__": (), "number": slot, **parts})


def values_in(thing, kind):
    """Yield all Values of a model."""
    if isinstance(thing, kind):
        yield thing
    elif isinstance(thing, dict):
        yield from values_in([*thing.values()], kind)
    elif isinstance(thing, list | tuple):
        for part in thing:
            yield from values_in(part, kind)
