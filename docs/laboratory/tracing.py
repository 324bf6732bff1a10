"""A program runs on symbols, and what it computes is written down: a trace, which a machine can run again.

A Sym is a number whose value is known, and how it was computed as well. As programs do not ask what kind of numbers
they compute with, `loss_of`, `backward` and `adam` of a program run on Syms as they stand, whatever an experiment did
to them. Each operation becomes a node of the trace, and equal nodes are one.

A Tok is a token of which only the place in its lesson is known, so a trace is good for all lessons of one length. A
list can be asked for the element that a Tok means: that becomes a load from memory, at an address with the token in it.
Gradients of what may be meant live in memory, so that a token that occurs twice has one gradient.

Where a program asks whether something is true (`if x > 0`), the trace follows the answer of this run and contains a
guard: the machine stops where the answer is another one.
"""

import builtins
import math
import operator
import struct
from array import array
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, ModuleType

# Operations of the machine; those up to MULADD take their operands from cells, and give a number.
OPERATIONS = (
    *("ADD", "SUB", "MUL", "DIV", "POW", "MAX", "MIN", "LT", "LE", "GT", "GE", "EQ", "NE"),
    *("NEG", "ABS", "EXP", "LOG", "SQRT", "TANH", "SIN", "COS", "ERF", "MULADD", "MOV", "LOAD", "STORE", "GUARD"),
)
ADD, SUB, MUL, DIV, POW, MAX, MIN, LT, LE, GT, GE, EQ, NE, NEG, ABS, EXP, LOG, SQRT, TANH, SIN, COS, ERF = range(22)
MULADD, MOV, LOAD, STORE, GUARD = range(22, 27)
CONSTANT, INPUT, POISON = 100, 101, 102  # nodes that are no instructions
OPERANDS = {**dict.fromkeys(range(ADD, NEG), 2), **dict.fromkeys(range(NEG, MULADD), 1), MULADD: 3, MOV: 1, GUARD: 1,
            STORE: 1, LOAD: 0, CONSTANT: 0, INPUT: 0, POISON: 0}  # fmt: skip


class Untraceable(Exception):  # noqa: N818
    """A program does something that no trace can hold."""


class Trace:
    """The computation so far: `nodes`, each (operation, a, b, c), where a, b and c are numbers of earlier nodes.

    A load is (LOAD, address, place, stride), and a store (STORE, node, address, place, stride).
    """

    def __init__(self):
        self.nodes, self.known, self.constants = [], {}, {}
        self.version = 0  # of the memory: a load before a store, and the same load after it, are two
        self.picked = []  # what Toks picked from lists that were computed: probabilities
        self.scratch = 0  # cells for lists that a Tok was used on; their addresses are negative until the code is made

    def node(self, operation, a=0, b=0, c=0):
        """Return the number of the node that computes this."""
        key = (operation, a, b, c)
        number = self.known.get(key)
        if number is None:
            number = self.known[key] = len(self.nodes)
            self.nodes.append(key)
        return number

    def effect(self, *node):
        """Append a node for what it does, not for a number that it gives."""
        self.nodes.append(node)

    def load(self, address, place, stride, value):
        """Return the Sym for what is in memory at an address, moved on by `stride` times the token at `place`."""
        key = (LOAD, address, place, stride, self.version)
        number = self.known.get(key)
        if number is None:
            number = self.known[key] = len(self.nodes)
            self.nodes.append(key[:4])
        return Sym(number, value)

    def store(self, address, place, stride, value):
        """Put a number into memory there."""
        self.effect(STORE, node_of(value), address, place, stride)
        self.version += 1

    def block(self, size):
        """Return the address of new memory that only this trace uses."""
        self.scratch += size
        return -self.scratch


class Current:
    """The trace that is being written, in `trace`."""

    trace = None


def bits(number):
    """Return the bits of a float: what two constants have to have in common to be one."""
    return struct.unpack("<q", struct.pack("<d", number))[0]


def constant(number):
    """Return the number of the node of a constant."""
    known = Current.trace.constants
    if number not in known or not number:  # 0.0 and -0.0 are equal
        known[number] = Current.trace.node(CONSTANT, bits(float(number)))
    return known[number]


def node_of(value):
    """Return the number of the node of a Sym or a plain number."""
    return value.node if isinstance(value, Sym) else constant(value)


def value_of(value):
    """Return the value that a Sym has in this run; a plain number is its own."""
    return value.value if isinstance(value, Sym) else value


def operation(code, function):
    """Return the method of Sym for an operation with two operands, and its reflection."""

    def method(self, other):
        if isinstance(other, Sym):
            return Sym(Current.trace.node(code, self.node, other.node), function(self.value, other.value))
        if not isinstance(other, int | float):
            return NotImplemented
        return Sym(Current.trace.node(code, self.node, constant(other)), function(self.value, other))

    def reflected(self, other):
        if not isinstance(other, int | float):
            return NotImplemented
        return Sym(Current.trace.node(code, constant(other), self.node), function(other, self.value))

    return method, reflected


def comparison(code, function):
    """Return the method of Sym for a comparison."""

    def method(self, other):
        if not isinstance(other, int | float | Sym):
            return NotImplemented
        return Sym(Current.trace.node(code, self.node, node_of(other)), function(self.value, value_of(other)))

    return method


class Sym:
    """A number: the node that computes it, and the value that it has in this run."""

    __slots__ = ("node", "value")
    __hash__ = None

    def __init__(self, node, value):
        self.node, self.value = node, value

    plain_add, _ = operation(ADD, operator.add)
    plain_mul, plain_rmul = operation(MUL, operator.mul)

    def __add__(self, other):
        if other.__class__ is not Sym and other == 0:  # the sign of a zero may come out differently, but no value
            return self
        return self.plain_add(other)

    def __mul__(self, other):
        if other.__class__ is not Sym and other == 1:
            return self
        return self.plain_mul(other)

    def __rmul__(self, other):
        return self if other == 1 else self.plain_rmul(other)

    __radd__ = __add__
    __sub__, __rsub__ = operation(SUB, operator.sub)
    __truediv__, __rtruediv__ = operation(DIV, operator.truediv)
    __pow__, __rpow__ = operation(POW, operator.pow)
    __lt__, __le__, __gt__, __ge__, __eq__, __ne__ = map(
        comparison,
        (LT, LE, GT, GE, EQ, NE),
        (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne),
    )

    def __neg__(self):
        return Sym(Current.trace.node(NEG, self.node), -self.value)

    def __pos__(self):
        return self

    def __abs__(self):
        return Sym(Current.trace.node(ABS, self.node), abs(self.value))

    def __bool__(self):
        answer = bool(self.value)
        Current.trace.effect(GUARD, self.node, int(answer), 0)
        return answer

    def refuse(self, *_):
        """Raise Untraceable: this would turn a symbol into a plain number."""
        raise Untraceable("a number that depends on the parameters leaves the trace")

    __float__ = __int__ = __index__ = __round__ = __floor__ = __ceil__ = __trunc__ = refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = refuse


class Tok:
    """A token of which a trace knows the place in its lesson; all else that a program may want to know is refused."""

    __slots__ = ("place", "value")

    def __init__(self, place, value):
        self.place, self.value = place, value

    def refuse(self, *_):
        """Raise Untraceable: the trace would be good for this token only."""
        raise Untraceable("a token is used as a number, or with a list that the laboratory does not know")

    __index__ = __int__ = __float__ = __bool__ = __hash__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __mod__ = __floordiv__ = refuse


# ---------------------------------------------------------------------------------------------------------------------
# Values whose numbers are somewhere else


class Slot:
    """An attribute as a class of Values keeps it, below any property of a subclass."""

    def __init__(self, kind, name):
        descriptor = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
        if isinstance(descriptor, MemberDescriptorType):
            self.get, self.set = descriptor.__get__, descriptor.__set__
        elif descriptor is None:
            self.get = lambda value: vars(value)[name]
            self.set = lambda value, new: vars(value).__setitem__(name, new)
        else:
            raise Untraceable(f"the {name} of a Value is neither a slot nor an attribute")


def resident(kind):
    """Return the subclass of a class of Values whose gradients are in memory; its slot has (address, place, stride)."""
    slot = Slot(kind, "grad")

    def load(self):
        return Current.trace.load(*slot.get(self), 0.0)  # the value is not known, but nothing asks for it

    def store(self, new):
        Current.trace.store(*slot.get(self), new)

    return type("Resident", (kind,), {"__slots__": (), "grad": property(load, store), "home": slot})


class Picks(list):
    """A list of Values of which a Tok may pick one."""

    def __getitem__(self, key):
        if not isinstance(key, Tok):
            return list.__getitem__(self, key)
        data, grad = self.homes()
        picked = object.__new__(self.resident)
        picked.data = Current.trace.load(data, key.place, 1, value_of(list.__getitem__(self, key.value).data))
        self.resident.home.set(picked, (grad, key.place, 1))
        if not isinstance(self, Row):
            Current.trace.picked.append(picked.data)
        return picked

    def homes(self):
        """Return the addresses of data and gradients of its elements in memory; move them there if need be."""
        if not hasattr(self, "where"):
            trace = Current.trace
            self.where = trace.block(len(self)), trace.block(len(self))
            for i, element in enumerate(self):
                if isinstance(element, self.resident):
                    raise Untraceable("a token picks from a list of what tokens picked")
                trace.store(self.where[0] + i, 0, 0, element.data)
                trace.store(self.where[1] + i, 0, 0, element.grad)
                element.__class__ = self.resident
                self.resident.home.set(element, (self.where[1] + i, 0, 0))
        return self.where


class Row(Picks):
    """A list of parameters: their homes are those of all parameters. `first` is the number of the first one."""

    def homes(self):
        self.move()
        return self.first, self.first + self.cells

    def move(self):
        """See to it that gradients of its parameters are in memory."""
        for element in self:
            if not isinstance(element, self.resident):
                grad = element.grad
                place = self.numbers[id(element)] + self.cells
                element.__class__ = self.resident
                self.resident.home.set(element, (place, 0, 0))
                if Current.trace.nodes[node_of(grad)] != (INPUT, place, 0, 0):
                    element.grad = grad


class Table(list):
    """A list of rows of parameters of which a Tok may pick one."""

    def __getitem__(self, key):
        if not isinstance(key, Tok):
            return list.__getitem__(self, key)
        for row in self:
            row.move()
        row, picked = list.__getitem__(self, key.value), []
        start, stride = list.__getitem__(self, 0).first, len(row)
        for i, element in enumerate(row):
            one = object.__new__(row.resident)
            one.data = Current.trace.load(start + i, key.place, stride, value_of(element.data))
            row.resident.home.set(one, (start + row.cells + i, key.place, stride))
            picked.append(one)
        return picked


class Model:
    """A copy of a model on symbols: `copy`, and its Values in the order of their cells, `values`.

    The data of value number i are at address i, its gradient at `cells` + i.
    """

    def __init__(self, kind, model, values, numbers):
        self.kind, self.cells, self.originals = kind, len(values), numbers  # numbers: {id of a Value: its number}
        self.values, self.numbers, self.copies = [], {}, {}
        self.resident = resident(kind)
        trace = Current.trace
        for i, value in enumerate(values):
            new = object.__new__(kind)
            new.data = Sym(trace.node(INPUT, i), value.data)
            new.grad = Sym(trace.node(INPUT, self.cells + i), value.grad)
            self.values.append(new)
            self.numbers[id(new)] = i
        self.copy = self.copied(model)

    def copied(self, thing):
        """Return the copy of a part of the model."""
        if id(thing) not in self.copies:
            self.copies[id(thing)] = self.new_copy(thing)
        return self.copies[id(thing)]

    def new_copy(self, thing):
        if isinstance(thing, self.kind):
            return self.values[self.originals[id(thing)]]
        if isinstance(thing, dict):
            return {name: self.copied(part) for name, part in thing.items()}
        if isinstance(thing, tuple):
            return tuple(map(self.copied, thing))
        if not isinstance(thing, list):
            if isinstance(thing, int | str | None):
                return thing
            raise Untraceable(f"a model with a {type(thing).__name__} in it")
        parts = [self.copied(part) for part in thing]
        if parts and all(isinstance(part, self.kind) for part in parts):
            return self.as_row(parts)
        if parts and all(isinstance(part, Row) and len(part) == len(parts[0]) for part in parts):
            firsts = [part.first for part in parts]
            if firsts == [*range(firsts[0], firsts[0] + len(firsts) * len(parts[0]), len(parts[0]))]:
                return Table(parts)
        return parts

    def as_row(self, parts):
        """Return a list of parameters as a Row, if their numbers follow each other."""
        numbers = [self.numbers[id(part)] for part in parts]
        if numbers != [*range(numbers[0], numbers[0] + len(numbers))]:
            return parts
        row = Row(parts)
        row.first, row.cells, row.numbers, row.resident = numbers[0], self.cells, self.numbers, self.resident
        return row

    def changes(self):
        """Return [(address, node)] of the data and gradients that are not what they were; homes need no such thing."""
        trace, writes = Current.trace, []
        for i, value in enumerate(self.values):
            writes += changed(trace, i, value.data)
            if not isinstance(value, self.resident):
                writes += changed(trace, self.cells + i, value.grad)
            elif writes and writes[-1][0] == i:
                raise Untraceable("a parameter changes that a token may pick")
        return writes


def changed(trace, address, value):
    """Return [(address, node)] if a number is not what is at that address from the start."""
    if not isinstance(value, Sym | int | float):
        raise Untraceable(f"a number becomes a {type(value).__name__}")
    node = node_of(value)
    return [] if trace.nodes[node] == (INPUT, address, 0, 0) else [(address, node)]


# ---------------------------------------------------------------------------------------------------------------------
# What the program finds in place of what it knows


def unary(code, function):
    """Return a function of module math that takes a Sym as well."""

    def traced(x, *rest):
        if not isinstance(x, Sym) and not any(isinstance(y, Sym) for y in rest):
            return function(x, *rest)
        if rest:
            raise Untraceable(f"math.{function.__name__} of two numbers")
        return Sym(Current.trace.node(code, x.node), function(x.value))

    return traced


def extreme(code, function, is_better):
    """Return max or min for Syms as well."""

    def traced(*values, **options):
        values = [*values[0]] if len(values) == 1 else [*values]
        if not any(isinstance(value, Sym) for value in values):
            return function(values, **options)
        if options:
            raise Untraceable(f"{function.__name__} with {', '.join(options)}")
        best = values[0]
        for value in values[1:]:
            number = value_of(value) if is_better(value_of(value), value_of(best)) else value_of(best)
            best = Sym(Current.trace.node(code, node_of(best), node_of(value)), number)
        return best

    return traced


def traced_float(value=0.0):
    """float, for Syms as well."""
    return value if isinstance(value, Sym) else float(value)


CODES = {"exp": EXP, "log": LOG, "sqrt": SQRT, "tanh": TANH, "sin": SIN, "cos": COS, "erf": ERF}
FUNCTIONS = {name: unary(code, getattr(math, name)) for name, code in CODES.items()}
BUILTINS = {"max": extreme(MAX, max, operator.gt), "min": extreme(MIN, min, operator.lt), "float": traced_float}


class Math:
    """Module math, for Syms as well."""

    def __getattr__(self, name):
        return FUNCTIONS.get(name) or getattr(math, name)


class Refused:
    """A module that a trace can do nothing with."""

    def __init__(self, name):
        self.name = name

    def __getattr__(self, attribute):
        raise Untraceable(f"{self.name}.{attribute} is asked while the loss is computed")


class Shims:
    """While it is entered, the functions of a module find what takes Syms, and lists that they return take Toks."""

    def __init__(self, module, kind, residents):
        self.names = vars(module)
        self.new = {name: shim for name, shim in BUILTINS.items() if name not in self.names}
        for name, thing in self.names.items():
            if thing is math:
                self.new[name] = Math()
            elif isinstance(thing, ModuleType) and thing.__name__ in ("random", "time", "secrets"):
                self.new[name] = Refused(name)
            elif isinstance(thing, BuiltinFunctionType) and thing is getattr(math, thing.__name__, None):
                self.new[name] = FUNCTIONS.get(thing.__name__, thing)
            elif isinstance(thing, FunctionType):
                self.new[name] = picking(thing, kind, residents)

    def __enter__(self):
        self.old = {name: self.names.get(name, builtins) for name in self.new}
        self.names.update(self.new)

    def __exit__(self, *_):
        for name, thing in self.old.items():
            if thing is builtins:
                del self.names[name]
            else:
                self.names[name] = thing


def picking(function, kind, residents):
    """Return a function that does the same, but returns Picks where that returns a list of Values."""

    def call(*arguments, **options):
        result = function(*arguments, **options)
        if type(result) is list and result and isinstance(result[0], kind):
            result = Picks(result)
            result.resident = residents
        return result

    return call


# ---------------------------------------------------------------------------------------------------------------------
# From nodes to code


class Code:
    """Instructions for the machine: `words`, five for each; `result` is the cell of one number of them."""

    def __init__(self, words, result, top):
        self.words, self.count, self.result, self.top = array("i", words), len(words) // 5, result, top


def needs_of(nodes):
    """Return for each node the numbers of the nodes that it needs."""
    return [node[1 : 1 + OPERANDS[node[0]]] for node in nodes]


def needed(nodes, needs, roots):
    """Return for each node whether the roots, a guard or a store needs it."""
    live = bytearray(len(nodes))
    for root in roots:
        live[root] = 1
    for number in range(len(nodes) - 1, -1, -1):
        if live[number] or nodes[number][0] in (GUARD, STORE):
            live[number] = 1
            for other in needs[number]:
                live[other] = 1
    if any(live[number] for number, node in enumerate(nodes) if node[0] == POISON):
        raise Untraceable("a gradient depends on the step before: that of a Value that is no parameter")
    return live


def fuse(nodes, needs, live, roots):
    """Make one instruction of each sum of a product that nothing else needs; that product is live no more."""
    uses = [0] * len(nodes)
    for root in roots:
        uses[root] += 1
    for number, others in enumerate(needs):
        if live[number]:
            for other in others:
                uses[other] += 1
    for number, node in enumerate(nodes):
        if node[0] == ADD and live[number]:
            for product, rest in ((node[2], node[1]), (node[1], node[2])):
                if uses[product] == 1 and nodes[product][0] == MUL and product != rest:
                    nodes[number] = (MULADD, *needs[product], rest)
                    needs[number] = (*needs[product], rest)
                    live[product] = 0
                    break


class Cells:
    """Where the numbers of nodes are: a cell is used again when nobody needs its number any more."""

    def __init__(self, base):
        self.of, self.own, self.free, self.top = {}, set(), [], base

    def take(self):
        """Return a cell that is free."""
        if self.free:
            return self.free.pop()
        self.top += 1
        return self.top - 1


def code_of(trace, sections, result, writes, cell_of, start):
    """Return Codes, one for each section of a trace; `sections` are the numbers of nodes where they end.

    `result` is the node that they are for, `writes` are [(address, node)] to do in the end. `cell_of` gives the cell of
    a constant, and cells from `start` on are free.
    """
    nodes = trace.nodes[: sections[-1]]
    roots = [result, *(node for _, node in writes)]
    needs = needs_of(nodes)
    live = needed(nodes, needs, roots)
    fuse(nodes, needs, live, roots)
    last = {other: number for number, others in enumerate(needs) if live[number] for other in others}
    last.update(dict.fromkeys(roots, len(nodes)))
    base = start + trace.scratch
    cells, words, codes = Cells(base), [], []
    for number, node in enumerate(nodes):
        if number in sections[:-1]:
            codes.append(words)
            words = []
        if live[number]:
            words += instruction(number, node, needs[number], cells, last, cell_of, base)
    words += written(nodes, writes, cells)
    codes.append(words)
    return [Code(words, cells.of[result], cells.top) for words in codes]


def instruction(number, node, operands, cells, last, cell_of, base):
    """Return the words of the instruction of a node, or none, and note where its number is."""
    kind = node[0]
    if kind in (CONSTANT, INPUT):
        cells.of[number] = cell_of(node[1]) if kind == CONSTANT else node[1]
        return ()
    places = [cells.of[other] for other in operands]
    for other in operands:
        if last[other] == number and other in cells.own:
            cells.own.discard(other)
            cells.free.append(cells.of[other])
    if kind == STORE:
        address = node[2] if node[2] >= 0 else base + node[2]
        return kind, places[0], address, node[3], node[4]
    if kind == GUARD:
        return kind, 0, places[0], node[2], 0
    cell = cells.of[number] = cells.take()
    cells.own.add(number)
    if kind == LOAD:
        address = node[1] if node[1] >= 0 else base + node[1]
        return kind, cell, address, node[2], node[3]
    return (kind, cell, *places, *[0] * (3 - len(places)))


def written(nodes, writes, cells):
    """Return the instructions that do some writes; what one of them overwrites and another needs is saved before."""
    words, moved = [], {}
    targets = {address for address, _ in writes}
    for address, node in writes:
        is_hidden = nodes[node][0] == INPUT and cells.of[node] in targets and cells.of[node] != address
        if is_hidden and node not in moved:
            moved[node], cells.top = cells.top, cells.top + 1
            words += (MOV, moved[node], cells.of[node], 0, 0)
    for address, node in writes:
        words += (MOV, address, moved.get(node, cells.of[node]), 0, 0)
    return words
