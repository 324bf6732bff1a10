"""Records a program while it runs: which of its lines ran, and what each of them made.

It knows nothing of what the program is for. It uses sys.settrace, which every Python from 3.11 on has alike;
sys.monitoring would need a second way for 3.11, and what is slow here, the functions that run a hundred thousand times,
is passed over in both ways.
"""

import sys
import types
from pathlib import Path
from typing import NamedTuple

MOST = 200  # moments that are kept of a line; the others are only counted
LARGEST = 200  # a list with more in it is not copied


class Moment(NamedTuple):
    """A line that ran: its number, and its names when it was done, {name: value}; what it returned is "return".

    Lists are copies, as they were then; what is in them are the objects themselves, which may have changed since.
    `made` are the names that the line has changed; `count` is what the recording was asked to count.
    """

    row: int
    names: dict
    made: list
    count: int


class Recording:
    """A program, loaded from its file, and what has been recorded of it; `counts` is {row: how often it ran}."""

    def __init__(self, path, passed_over=()):
        text = Path(path).read_text(encoding="utf-8")
        self.path, self.lines, self.passed_over = str(path), text.splitlines(), {*passed_over}
        self.module = sys.modules["recorded"] = types.ModuleType("recorded")
        exec(compile(text, self.path, "exec", dont_inherit=True), vars(self.module))  # noqa: S102
        self.moments, self.counts, self.open = {}, {}, {}

    def record(self, run, count=lambda: 0):
        """Call a function, record meanwhile, and return what it returned."""
        self.count = count
        before = sys.gettrace()
        sys.settrace(self.enter)
        try:
            return run()
        finally:
            sys.settrace(before)

    def enter(self, frame, event, _):
        """Say how a call is to be followed: line by line, or, as a comprehension, not at all."""
        code = frame.f_code
        if code.co_filename != self.path or code.co_name in self.passed_over or code.co_name.startswith("<"):
            return None
        self.open.setdefault(frame, [0, {}])[0] = 0  # a generator comes here again each time that it goes on
        return self.follow

    def follow(self, frame, event, value):
        """Note what the last line of a call has made, now that the next one begins, or that the call ends."""
        state = self.open[frame]
        row, seen = state
        if event == "line" and frame.f_lineno == row:  # a comprehension comes round, where it has no call of its own
            return self.follow
        if row:
            self.counts[row] = self.counts.get(row, 0) + 1
            if self.counts[row] <= MOST:
                now = {name: held(found) for name, found in frame.f_locals.items()}
                if event == "return":
                    now["return"] = held(value)
                made = [name for name in now if name not in seen or differ(seen[name], now[name])]
                self.moments.setdefault(row, []).append(Moment(row, now, made, self.count()))
                state[1] = now
        state[0] = frame.f_lineno if event == "line" else 0
        return self.follow

    def row(self, quote):
        """Return the number of the line that begins with some code; raise ValueError if there is not one such line."""
        rows = [row for row, line in enumerate(self.lines, 1) if line.strip().startswith(quote)]
        if len(rows) != 1:
            raise ValueError(f"{len(rows) or 'no'} lines of {self.path} begin with {quote}")
        return rows[0]

    def moment(self, quote, run=0):
        """Return what a line made the first time that it ran, or at a later run; None if that was not recorded."""
        found = self.moments.get(self.row(quote), [])
        return found[run] if -len(found) <= run < len(found) else None


def held(value):
    """Return a value to keep: a copy of a list, since lists change, and nothing in place of a large one."""
    if not isinstance(value, list | tuple):
        return value
    if len(value) > LARGEST:
        return None
    return [held(item) for item in value]


def differ(one, other):
    """Return whether two held values have other objects in them, whatever these think of being equal."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) != len(other) or any(map(differ, one, other))
    return one is not other and not (isinstance(one, int | float | str) and one == other)
