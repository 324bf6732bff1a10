"""The picture of the walk through the program: what stands where, moment by moment, drawn from what was recorded.

There is one picture, a Stage, that stays and changes. It holds marks, {key: mark}: words, boxes, lines, and vectors and
matrices as cells. The functions below change it, and yield after each change, which makes a beat. A player moves what
keeps its key from one beat to the next, fades the rest in and out, and knows nothing else. The script, which says to
which lines of the program and to which moments a change belongs, is in the essay.
"""

import math

WIDTH, HEIGHT = 480, 492
ADDRESS = "{address}"  # words for which the weaver puts the address of the site
COLUMN, FIRST = 60, 34  # the tokens of a name are in columns: from one to the next, and the middle of the first
TALL = 104  # a vector of 16 numbers as a column of cells
TOP, LOW, FOOT = 62, 200, 330  # where the vectors x begin, those of keys and values, and the lowest third
PLAN = {"wte": (8, 90, 5), "wpe": (100, 90, 5), "lm_head": (192, 90, 5), "wq": (284, 90, 4), "wk": (358, 90, 4),
        "wv": (284, 180, 4), "wo": (358, 180, 4), "fc2": (8, 290, 4), "fc1": (432, 90, 2.9)}  # fmt: skip # (x, y, cell)
PARTS = (  # of a pass through the model: what it is called, its colour, the line after which it is done
    ("tables", "table", "x = rmsnorm(add(tables"), ("attention", "key", "x = add(attention("),
    ("MLP", "residual", "x = add(linear(hidden"), ("lm_head and softmax", "value", "logs.append("),
)  # fmt: skip
QUICK = ("value", "__add__", "__mul__", "__pow__", "exp", "log", "relu", "total", "add", "scale", "dot", "linear",
         "matrix")  # functions of the program that run too often to be watched  # fmt: skip


def numbers(vector):
    """Return the numbers of a list of Values, or of what is a number already."""
    return [getattr(x, "data", x) for x in vector]


def written(number, digits=2):
    """Write a number with so many decimals, and with a minus for a hyphen."""
    text = f"{number:.{digits}f}"
    return (text if float(text) else text.lstrip("-")).replace("-", "−")


def row_of(vector, digits=2, most=4):
    """Write the first numbers of a vector."""
    return " ".join(written(x, digits) for x in numbers(vector)[:most]) + " …" * (len(vector) > most)


def levels(values, largest):
    """Return a letter for each number, by its sign and size: 1 to 9 above 0, a to i below."""
    sizes = [round(9 * min(1, abs(x) / largest) ** 0.7) if largest else 0 for x in values]
    return "".join("0" if not size else str(size) if x > 0 else "abcdefghi"[size - 1]
                   for x, size in zip(values, sizes, strict=True))  # fmt: skip


def made(names):
    """Return what to write beside a line: [(name, words)] of the first two things it made, if they can be written."""
    words = []
    for name, value in names.items():
        if isinstance(value, list) and value and not any(isinstance(x, list | dict) for x in value):
            whole = all(isinstance(x, int) for x in value)
            words.append((name, row_of(value, 0 if whole else 2, 8 if whole else 4)))
        elif hasattr(value, "grad") or isinstance(value, float):
            words.append((name, written(getattr(value, "data", value), 4)))
        elif isinstance(value, int | str):
            words.append((name, str(value)))
    return words[:2]


class Stage:
    """The marks as they are now, and the `scenes` so far.

    `record` is the recorder.Recording, `name` what the model reads, `characters` the letters that it knows.
    """

    def __init__(self, record, name, characters):
        self.record, self.characters = record, characters
        self.signs = ["BOS", *name, "BOS"]
        self.marks, self.before, self.scenes, self.chapter = {}, {}, [], ""

    def scene(self, title, *quotes, picture, run=0, only=None, says="", **given):
        """Add a scene: lines of the program, by how they begin, one for each beat; the last one may have more.

        `run` counts how often a line ran before. `only` are the names whose values appear beside it. `says` is the
        sentence, if the prose marks none of this title. Raises ValueError for a line that the program does not have.
        """
        moments = [self.record.moment(quote, run) for quote in quotes]
        scene = {"title": title, "chapter": self.chapter, "says": says, "beats": []}
        for i, words in enumerate(picture(self, *moments, **given)):
            at = min(i, len(quotes) - 1)
            if words is None:
                words = made({name: moments[at].names[name] for name in only or moments[at].made})
            put = {key: mark for key, mark in self.marks.items() if self.before.get(key) != mark}
            gone = sorted(self.before.keys() - self.marks.keys())
            scene["beats"].append({"row": self.record.row(quotes[at]), "made": words, "put": put, "gone": gone})
            self.before = dict(self.marks)
        self.scenes.append(scene)

    def moment(self, quote, run=0):
        """Return what a line made at one of its runs."""
        return self.record.moment(quote, run)

    # Marks: each is put anew, or changed, under its key

    def put(self, key, kind, x, y, **more):
        """Put a mark; `start` is the key of another one, from which it comes."""
        rounded = {
            name: round(value, 1) if isinstance(value, float) else value for name, value in more.items() if value
        }
        self.marks[key] = {"kind": kind, "x": round(x, 1), "y": round(y, 1), **rounded}

    def text(self, key, x, y, words, look="label", size=15, anchor="start", **more):
        """Put a line of words; (x, y) is its foot, in the middle or at the `anchor`."""
        self.put(key, "text", x, y, text=str(words), look=look, size=size, anchor=anchor, **more)

    def box(self, key, x, y, width, height, look="", **more):
        """Put a box."""
        self.put(key, "rect", x, y, width=width, height=height, look=look, **more)

    def line(self, key, points, look="", thick=1.5):
        """Put a line through some points."""
        (x, y), *others = points
        self.put(key, "line", x, y, by=[[round(a - x, 1), round(b - y, 1)] for a, b in others], look=look, thick=thick)

    def cells(self, key, x, y, width, height, rows, largest, look="", **more):
        """Put a matrix as cells, blue above 0 and orange below, full at the largest number; `gaps` part the heads."""
        flat = [number for row in rows for number in numbers(row)]
        self.put(key, "cells", x, y, width=width, height=height, columns=len(rows[0]), levels=levels(flat, largest),
                 look=look, **more)  # fmt: skip

    def strip(self, key, place, vector, largest, shift=0, top=TOP, look="", width=16, **more):
        """Put a vector of 16 numbers into the column of a token, as cells one below the other."""
        x = self.at(place) + shift - width / 2
        self.cells(key, x, top, width, TALL, [[x] for x in numbers(vector)], largest, look, gaps=4, **more)

    def bars(self, values, written_at=(), digits=2):
        """Put a bar for each token, upwards or downwards from 0; some have their number above."""
        values = numbers(values)
        unit = 84 / (max(0, *values) - min(0, *values) or 1)
        zero = FOOT + 100 + min(0, *values) * unit
        self.drop("number")
        for token, x in enumerate(values):
            left, height = 8 + 17.2 * token, abs(x) * unit
            look = "bar lit" if token in written_at else "bar"
            self.box(f"bar{token}", left, zero - max(0, x) * unit, 13, max(0.8, height), look)
            letter = [*self.characters, "BOS"][token]
            self.text(
                f"letter{token}", left + 6.5, FOOT + 118, letter, size=13 - 3 * (letter == "BOS"), anchor="middle"
            )
            if token in written_at:
                middle = min(max(left + 6.5, 24), WIDTH - 28)
                self.text(f"number{token}", middle, FOOT + 10, written(x, digits), "strong", anchor="middle")

    def drop(self, *beginnings):
        """Take away the marks whose keys begin so."""
        self.marks = {key: mark for key, mark in self.marks.items() if not key.startswith(beginnings)}

    def at(self, place):
        """Return where the column of a token is."""
        return FIRST + COLUMN * place

    # Groups of marks that several pictures have

    def tokens(self, signs, until=99, asked=None):
        """Put the tokens of a name, and below each its number; later ones are pale, one is `asked` for."""
        self.drop("sign", "token")
        for i, sign in enumerate(signs):
            look, is_asked = ("pale" if i > until else "strong"), i == asked
            size = 15 if sign == "BOS" and not is_asked else 22
            self.text(f"sign{i}", self.at(i), 26, "?" if is_asked else sign, look, size, "middle")
            if not is_asked:
                self.text(f"token{i}", self.at(i), 46, self.token(sign), "pale" if i > until else "label", 14, "middle")

    def token(self, sign):
        """Return the number of a letter, or of BOS."""
        return len(self.characters) if sign == "BOS" else self.characters.index(sign)

    def count(self, moment):
        """Say how long the tape is at a moment."""
        self.text("tape", WIDTH - 4, HEIGHT - 6, f"tape: {moment.count:,} entries", size=14, anchor="end")

    def leave(self, place, run, gradients=False):
        """Put what a token leaves behind in its column, x, its key and its value, or the gradients of these."""
        key, value = self.moment("cache.append(", run).names["cache"][-1]
        x = self.moment("x = add(linear(hidden", run).names["x"]
        kinds = (("x", x, "residual", 1.5, 0, TOP, 16), ("key", key, "key", 0.8, -8, LOW, 12),
                 ("value", value, "value", 0.8, 8, LOW, 12))  # fmt: skip
        for name, vector, look, largest, shift, top, width in kinds:
            shown = [number.grad for number in vector] if gradients else vector
            most, frame = (max(map(abs, shown)), "gradient") if gradients else (largest, look)
            self.strip(f"{name}{place}", place, shown, most, shift, top, frame, width)
        self.legend(gradients)

    def legend(self, gradients=False):
        """Say what the strips are, to the right of all columns."""
        if gradients:
            self.drop("row")
            for name, y in (("row-above", TOP + 58), ("row-below", LOW + 58)):
                self.text(name, WIDTH - 2, y, "gradient", "gradient", 14, "end")
            return
        self.text("row-x", WIDTH - 4, TOP + 58, "x", "residual", 17, "end")
        self.text("row-key", WIDTH - 4, LOW + 48, "keys,", "key", 15, "end")
        self.text("row-value", WIDTH - 4, LOW + 66, "values", "value", 15, "end")

    def surprise(self, place, run, later=None):
        """Put how much the right token surprised the model at a place, as a bar below its column, and that token.

        Two bars have room: with `later` False it is the first of two, with True the second.
        """
        surprise = -self.moment("logs.append(", run).names["logs"][-1].data
        self.text("scale", WIDTH - 4, FOOT + 8, "surprise", anchor="end")
        width = 36 if later is None else 23
        left = self.at(place) - (18 if later is None else -1 if later else 24)
        height, key = 22 * surprise, f"{'later' if later else 'surprise'}{place}"
        self.box(key, left, FOOT + 118 - height, width, height, "later" if later else "")
        words, fits = written(surprise, 2 if later is None else 1), height > 16
        y, look = (FOOT + 112, "inside") if fits else (FOOT + 114 - height, "strong")
        self.text(f"how-{key}", left + width / 2, y, words, look, 13, "middle")
        self.text(
            f"how-answer{place}", self.at(place), FOOT + 136, f"→ {self.signs[place + 1]}", size=15, anchor="middle"
        )

    def look(self, place, head, weights):
        """Put lines from the query of a token to all keys, as thick as the weights, and these in figures."""
        self.drop("look", "weight", "head")
        top = LOW + (TALL + 3) / 4 * head
        self.box("head", self.at(0) - 17, top - 1.5, self.at(place) - self.at(0) + 52, TALL / 4 + 1, "lit")
        for i, weight in enumerate(numbers(weights)):
            start, end = self.at(place) + 24, self.at(i) - 8
            points = [(start, LOW - 3), ((start + end) / 2, LOW - 34), (end, LOW - 3)]
            self.line(f"look{i}", points, "query", min(6, max(0.5, 14 * weight)))
            self.text(f"weight{i}", self.at(i), LOW + TALL + 17, written(weight), "strong", 14, "middle")
        self.text("head-name", WIDTH - 4, LOW - 24, f"head {head + 1}", "query", 16, "end")

    def plan(self, matrices, largest):
        """Put matrices, {name: rows}, where all of them have room."""
        for name, rows in matrices.items():
            x, y, size = PLAN[name]
            self.cells(f"matrix-{name}", x, y, size * len(rows[0]), size * len(rows), rows, largest)
            self.text(f"called-{name}", x, y - 6, name, size=14)


# The changes, in the order of the walk. Each is told the moments of its lines, and yields after each what is written
# beside the line, [(name, words)], or nothing if that is what the line has made.


def title(stage, *_):
    """Say what this is."""
    stage.text("big", WIDTH / 2, 200, "A GPT you can read", "strong", 38, "middle")
    stage.text("below", WIDTH / 2, 240, "line by line", "label", 24, "middle")
    yield []


def names(stage, *_, documents, unshuffled):
    """Show the first names, as they are in the file and shuffled."""
    stage.drop("")
    for i, name in enumerate(unshuffled):
        stage.text(f"name-{name}", WIDTH / 2, 80 + 40 * i, name, "strong", 22, "middle")
    yield [("documents", f"{len(documents):,} names")]
    stage.drop("name")
    for i, name in enumerate(documents[:9]):
        stage.text(f"name-{name}", WIDTH / 2, 80 + 40 * i, name, "pale" if i else "strong", 22, "middle")
    yield [("documents[0]", documents[0])]


def letters(stage, *_):
    """Show the letters of the name, and then its tokens."""
    stage.drop("matrix", "called", "sum")
    for i, sign in enumerate(stage.signs[1:-1], 1):
        stage.text(f"sign{i}", stage.at(i), 26, sign, "strong", 22, "middle")
    yield []
    stage.tokens(stage.signs)
    yield None


def parameters(stage, *_, model):
    """Show all parameters."""
    stage.drop("name")
    tables, layer = model
    parts = [
        tables,
        {name: layer[name] for name in layer if name[0] == "w"},
        {name: layer[name] for name in layer if name[0] == "f"},
    ]
    for part in parts:
        stage.plan(part, 0.25)
        yield []
    count = sum(len(row) for part in model for rows in part.values() for row in rows)
    stage.text("sum", 8, FOOT + 62, f"{count:,} random numbers", size=18)
    yield [("each", "random, with a standard deviation of 0.08")]


def task(stage, moment):
    """Show the token that is there, and the one that is asked for."""
    stage.tokens(stage.signs, 0, asked=1)
    stage.count(moment)
    yield made({name: moment.names[name] for name in ("token", "target")})


def two_rows(stage, *_, model):
    """Show the rows of the two tables, and their sum."""
    stage.drop("tape")
    rows, size = {"wte": len(stage.characters), "wpe": 0}, 4.6
    for name, left, what in (("wte", 60, "the token BOS"), ("wpe", 270, "position 0")):
        table, row = model[0][name], rows[name]
        stage.cells(f"matrix-{name}", left, FOOT, 16 * size, len(table) * size, table, 0.25)
        stage.text(f"called-{name}", left - 6, FOOT + 12, name, anchor="end")
        stage.box(f"row-{name}", left - 2, FOOT + row * size - 1, 16 * size + 4, size + 2, "lit")
        stage.text(f"which-{name}", left + 16 * size + 8, FOOT + 12 + row * 4.1, what, size=14)
    yield [("token", rows["wte"]), ("len(caches[0])", 0)]
    token, place = model[0]["wte"][rows["wte"]], model[0]["wpe"][0]
    stage.strip("first", 0, token, 0.25, start="row-wte")
    stage.strip("second", 0, place, 0.25, 30, start="row-wpe")
    stage.text("plus", stage.at(0) + 15, TOP + TALL / 2 + 5, "+", "strong", anchor="middle")
    yield [(f"wte[{rows['wte']}]", row_of(token, 3)), ("wpe[0]", row_of(place, 3))]
    both = [a + b for a, b in zip(numbers(token), numbers(place), strict=True)]
    stage.drop("second", "plus", "row-w", "which")
    stage.strip("first", 0, both, 0.25)
    yield [("sum", row_of(both, 3))]


def norm(stage, moment):
    """Show a vector before and after the norm, in the same colours."""
    stage.drop("matrix", "called", "first")
    for name in ("x", "return"):
        vector = numbers(moment.names[name])
        size = math.sqrt(sum(x * x for x in vector) / len(vector))
        stage.strip("x0", 0, vector, 1.5, look="residual")
        stage.text("size", 80, TOP + 58, f"root of the mean square: {size:.2f}")
        if name == "return":
            stage.count(moment)
        yield [(name, row_of(vector, 3))]


def questions(stage, *moments, model):
    """Show how the rows of wq put their questions to x, one after the other."""
    made_here = moments[-1].names
    query, matrix = numbers(made_here["query"]), model[1]["wq"]
    stage.drop("size", "tape")
    stage.text("called-wq", 62, FOOT + 4, "wq", "query", anchor="end")
    stage.cells("matrix-wq", 70, FOOT - 8, 128, 128, matrix, 0.25, "query")
    for i in (0, 1, len(query) - 1):
        stage.box("row-wq", 68, FOOT - 9.5 + 8 * i, 132, 11, "lit")
        stage.text("asked-name", 222, FOOT, f"row {i + 1} of wq", size=14)
        stage.cells("asked", 222, FOOT + 6, 248, 15, [matrix[i]], 0.25, "query")
        stage.text("asked-x", 222, FOOT + 40, "times x, number by number", size=14)
        stage.cells("asked-by", 222, FOOT + 46, 248, 15, [made_here["x"]], 1.5, "residual")
        stage.text("asked-sum", 222, FOOT + 82, "added up:", size=14)
        stage.text("answer", 300, FOOT + 84, written(query[i]), "strong", 20)
        stage.strip("query", 0, [*query[: i + 1], *[0.0] * (15 - i)], 0.8, 26, LOW, "query", 12)
        yield [(f"query[{i}]", written(query[i]))]


def three(stage, *moments):
    """Show query, key and value of the first token."""
    key, value = moments[-1].names["cache"][-1]
    stage.drop("matrix", "called", "row-w", "asked", "answer")
    stage.text("word-query", 120, LOW + 30, "query: what I am looking for", "query")
    stage.count(moments[0])
    yield [("query", row_of(moments[0].names["query"]))]
    stage.drop("tape")
    stage.strip("key0", 0, key, 0.8, -8, LOW, "key", 12, start="x0")
    stage.text("word-key", 120, LOW + 58, "key: what I can be found by", "key")
    yield [("key", row_of(key))]
    stage.strip("value0", 0, value, 0.8, 8, LOW, "value", 12, start="x0")
    stage.text("word-value", 120, LOW + 86, "value: what I have to tell", "value")
    stage.count(moments[-1])
    yield [("value", row_of(value))]


def alone(stage, moment):
    """Show that the first token finds only itself."""
    stage.drop("word")
    stage.legend()
    stage.look(0, 0, moment.names["weights"])
    stage.drop("head-name")
    stage.count(moment)
    yield None


def added(stage, *moments, place, what, source):
    """Show how what attention returns is added to x; `source` is the key of the mark from which it comes."""
    stage.drop("look", "weight", "head", "query")
    stage.count(moments[0])
    yield from adding(stage, place, moments[0].names["return"], what, source, moments[-1])


def adding(stage, place, contribution, what, source, moment):
    """Show a contribution beside x, and then x at a moment when it was added."""
    stage.strip("addend", place, contribution, 1.5, 30, start=source)
    stage.text("plus", stage.at(place) + 15, TOP + TALL / 2 + 5, "+", "strong", anchor="middle")
    if place > 4:
        stage.text("what", stage.at(place) + 40, TOP + TALL + 18, what, anchor="end")
    else:
        stage.text("what", stage.at(place) + 44, TOP + 16, what)
    stage.drop("found")
    yield [(what, row_of(contribution))]
    stage.drop("addend", "plus", "what", "said", "answers", "after")
    stage.strip(f"x{place}", place, moment.names["x"], 1.5, look="residual")
    stage.count(moment)
    yield [("x", row_of(moment.names["x"]))]


def mlp(stage, moment, *_, model):
    """Show the answers to the 64 questions, and what relu leaves of them."""
    normed = numbers(stage.moment("return scale(x, (dot(x, x)", 2).names["return"])
    asked = [sum(w * x for w, x in zip(row, normed, strict=True)) for row in model[1]["fc1"]]
    hidden = numbers(moment.names["hidden"])
    stage.drop("tape")
    stage.text("said", 8, FOOT + 6, "64 answers", size=14)
    stage.cells("answers", 8, FOOT + 12, 464, 22, [asked], 1.2, start="x0")
    yield [("fc1 · rmsnorm(x)", row_of(asked))]
    stage.text("said-after", 8, FOOT + 66, f"after relu: {sum(x > 0 for x in hidden)} are left", size=14)
    stage.cells("after", 8, FOOT + 72, 464, 22, [hidden], 1.2, start="answers")
    stage.count(moment)
    yield None


def mlp_added(stage, moment):
    """Show how what the MLP has found is added to x."""
    before = numbers(stage.moment("x = add(attention(").names["x"])
    found = [b - a for a, b in zip(before, numbers(moment.names["x"]), strict=True)]
    stage.drop("tape")
    yield from adding(stage, 0, found, "what fc2 computes from them", "after", moment)


def logits(stage, moment):
    """Show the 27 logits."""
    stage.bars(moment.names["return"])
    stage.text("scale", WIDTH - 4, FOOT - 10, "logits", anchor="end")
    stage.count(moment)
    yield None


def shares(stage, shift, *moments):
    """Show the exponentials of the logits, less the largest one, and the probabilities that they become."""
    yield [("shift", written(shift.names["shift"].data, 4))]
    kinds = (("exps", "exponentials, once shifted"), ("return", "probabilities"))
    for moment, (name, what) in zip(moments, kinds, strict=True):
        stage.bars(moment.names[name])
        stage.text("scale", WIDTH - 4, FOOT - 10, f"{what}: sum {sum(numbers(moment.names[name])):.2f}", anchor="end")
        stage.count(moment)
        yield [(what, row_of(moment.names[name], 3))]


def first_surprise(stage, probability, log):
    """Show what the model gave to the right token, and how much that surprises it."""
    chances = stage.moment("return scale(exps", 4).names["return"]
    stage.tokens(stage.signs, 1)
    stage.bars(chances, [stage.token(stage.signs[1])], 3)
    yield [("probability", written(probability.names["probability"].data, 4))]
    stage.drop("bar", "letter", "number")
    stage.surprise(0, 0)
    stage.count(log)
    yield [("−log", written(-log.names["logs"][-1].data, 4))]


def again(stage, *_):
    """Show the tokens in between as a blur."""
    last = len(stage.signs) - 2
    for place in range(1, last):
        stage.tokens(stage.signs, place + 1)
        stage.leave(place, place)
        stage.surprise(place, place)
        stage.count(stage.moment("logs.append(", place))
        yield [("token", stage.signs[place]), ("position", place)]


def last_asks(stage, moment):
    """Show the last letter with its query, key and value."""
    place = len(stage.signs) - 2
    stage.tokens(stage.signs, place, asked=place + 1)
    key, value = moment.names["cache"][-1]
    stage.strip(f"x{place}", place, stage.moment("x = rmsnorm(add(tables", place).names["x"], 1.5, look="residual")
    stage.strip("query", place, moment.names["query"], 0.8, 24, LOW, "query", 12)
    stage.strip(f"key{place}", place, key, 0.8, -8, LOW, "key", 12)
    stage.strip(f"value{place}", place, value, 0.8, 8, LOW, "value", 12)
    yield [("cache", f"keys and values of {len(moment.names['cache'])} tokens")]


def looking(stage, moment, head=0):
    """Show where a head of the last token looks, the first one if no other is named."""
    stage.look(len(stage.signs) - 2, head, moment.names["weights"])
    stage.count(moment)
    yield [("weights", row_of(moment.names["weights"], 2, 7))]


def means(stage, *_, head=0):
    """Show the mean of the values that a head of the last token takes, below those of the heads before."""
    place = len(stage.signs) - 2
    runs = [stage.moment("return [dot(weights, column)", 4 * place + i) for i in range(head + 1)]
    joined = [number for run in runs for number in numbers(run.names["return"])]
    stage.strip("found", place, [*joined, *[0.0] * (16 - len(joined))], 0.8, 30, look="value")
    stage.text("found-name", stage.at(place) + 30, TOP - 5, "found", "value", 14, "middle")
    stage.count(runs[head])
    yield [("found", row_of(joined[4 * head :]))]


def heads(stage, *_):
    """Show the same for the other heads."""
    place = len(stage.signs) - 2
    for head in (1, 2, 3):
        yield from looking(stage, stage.moment("weights = softmax(scale(", 4 * place + head), head)
        yield from means(stage, head=head)


def mixed(stage, joined, *moments):
    """Show what all heads have found, and how it is mixed and added to x."""
    stage.drop("look", "weight", "head")
    stage.count(joined)
    yield [("found", row_of(joined.names["found"]))]
    yield from added(stage, *moments, place=len(stage.signs) - 2, what="mixed by wo", source="found")


def loss(stage, *moments):
    """Show the last guess, and the mean of all surprises."""
    place = len(stage.signs) - 2
    stage.drop("query")
    stage.tokens(stage.signs)
    stage.leave(place, place)
    stage.surprise(place, place)
    stage.count(stage.moment("logs.append(", place))
    yield [("−log", written(-stage.moment("logs.append(", place).names["logs"][-1].data, 4))]
    stage.drop("found")
    value = moments[-1].names["return"].data
    stage.line("mean", [(8, FOOT + 118 - 22 * value), (WIDTH - 4, FOOT + 118 - 22 * value)], "strong", 2)
    stage.text("scale", WIDTH - 4, FOOT + 8, f"mean: {value:.4f}", "strong", 18, "end")
    stage.count(moments[-1])
    yield [("loss", written(value, 4))]


def tape(stage, *_, model):
    """Show the whole tape, coloured by the part of the model that has written it."""
    stage.drop("surprise", "how", "mean", "scale", "tape")
    end = stage.moment("return total(logs)").count
    unit, at = (WIDTH - 16) / end, stage.moment("for token, target in zip(tokens").count
    stage.box("entries-start", 8, FOOT + 30, at * unit, 34, "parameters")
    for place in range(len(stage.signs) - 1):
        for part, look, quote in PARTS:
            now = stage.moment(quote, place).count
            stage.box(f"entries{place}-{part}", 8 + at * unit, FOOT + 30, (now - at) * unit, 34, look)
            at = now
    a, b = model[0]["wte"][stage.token("BOS")][0], model[0]["wpe"][0][0]
    first = f"the first after the parameters: {written(a, 3)} + {written(b, 3)} = {written(a + b, 3)}, derivatives 1, 1"
    own = stage.moment("for token, target in zip(tokens").count
    stage.text("tape", 8, FOOT + 20, f"the tape: {end:,} entries; the first {own:,} are the parameters")
    left = 8
    for part, look in [("parameters", "parameters"), *((part, look) for part, look, _ in PARTS)]:
        stage.box(f"legend-{part}", left, FOOT + 80, 12, 12, look)
        stage.text(f"legend-name-{part}", left + 16, FOOT + 91, part, size=13)
        left += 32 + 6.6 * len(part)
    stage.text("passes", 8, FOOT + 126, first)
    yield [("tape", f"{end:,} entries")]


def first_entries(stage, *_):
    """Show the first entries that the walk back takes from the tape."""
    stage.box("head", WIDTH - 10, FOOT + 24, 4, 46, "gradient")
    yield [("loss.grad", "1.0")]
    entries = (
        (0, f"the mean of {len(stage.signs) - 1}", "ab"),
        (1, "a constant, −1/7: no inputs", ""),
        (2, "a sum", "ab"),
    )
    for i, what, inputs in entries:
        entry = stage.moment("result, a, da, b, db = tape.pop()", i).names
        gradient = written(entry["result"].grad, 4)
        stage.text("passes", 8, FOOT + 126, what, "strong", 18)
        yield [("result.grad", gradient)]
        for name in inputs:
            derivative = written(entry[f"d{name}"], 4)
            stage.text("passes", 8, FOOT + 126, f"{what}: {name}.grad += {derivative} × {gradient}", "strong", 18)
            yield [(f"d{name}", derivative), ("result.grad", gradient)]


def walk_back(stage, *_):
    """Show how the walk goes from the end of the tape to its beginning, and leaves gradients everywhere."""
    stage.drop("passes")
    start, end = (stage.moment(quote).count for quote in ("for token, target in zip(tokens", "return total(logs)"))
    unit = (WIDTH - 16) / end
    for place in reversed(range(len(stage.signs) - 1)):
        begins = stage.moment("logs.append(", place - 1).count if place else start
        stage.box("head", 8 + begins * unit - 2, FOOT + 24, 4, 46, "gradient")
        stage.box("walked", 8 + begins * unit, FOOT + 30, (end - begins) * unit, 34, "walked")
        stage.leave(place, place, gradients=True)
        stage.text("tape", 8, FOOT + 20, f"the tape: {begins:,} entries left")
        yield [("tape", f"{begins:,} entries left")]


def gradients(stage, *_, model):
    """Show the gradients of all parameters; `model` has them, {name: rows of gradients}."""
    stage.drop("sign", "token", "x", "key", "value", "row", "entries", "legend", "head", "walked", "tape")
    stage.plan(model, 0.05)
    count = sum(len(row) for rows in model.values() for row in rows)
    stage.text("sum", 8, FOOT + 62, f"{count:,} gradients", size=18)
    yield [("tape", "empty")]


def one_step(stage, *moments, before, moved, gradient):
    """Show one parameter, and what Adam does with its gradient."""
    stage.drop("matrix", "called", "sum")
    stage.text("adam-which", 60, 70, "the first number in the row of a in wte", size=18)
    words = [("gradient", written(gradient, 4)), ("mean", written(moments[0].names["mean"], 5)),
             ("square", written(moments[1].names["square"], 6)), ("before", written(before, 4)),
             ("after", written(before + moved, 4))]  # fmt: skip
    corrected = {
        "mean": moments[0].names["mean"] / (1 - 0.85),
        "square": (moments[1].names["square"] / (1 - 0.99)) ** 0.5,
    }
    for i, (name, number) in enumerate(words):
        stage.text(f"adam-{name}", 150, 120 + 54 * i, name, "label", 22, "end")
        stage.text(f"adam-is-{name}", 174, 120 + 54 * i, number, "strong", 26)
        if name in corrected:
            what = "corrected" if name == "mean" else "corrected, its root"
            stage.text(f"adam-so-{name}", 300, 120 + 54 * i, f"{what}: {written(corrected[name], 4)}", size=16)
        if i:
            yield words[i : i + 1]


def all_moved(stage, *_, moved):
    """Show how far each parameter has moved, {name: rows}."""
    stage.drop("adam")
    stage.plan(moved, 0.01)
    stage.text("sum", 8, FOOT + 62, "each moved by about 0.01: up is blue, down orange", size=18)
    yield []


def many_steps(stage, *_, losses, documents):
    """Show the second step at all its lines, and then how the losses go on, with their mean over fifty."""
    stage.drop("matrix", "called", "sum")
    stage.text("chart", 8, 190, "grey: losses; blue: their mean over up to fifty names", size=16)
    for step in (2, 30, 300, len(losses)):
        stage.text("name", WIDTH / 2, 70, documents[(step - 1) % len(documents)], "strong", 30, "middle")
        stage.text("step", WIDTH / 2, 110, f"step {step:,} of {len(losses):,}", size=18, anchor="middle")
        if step == 2:
            yield [("step", f"{step - 1}, counted from 0")]
        steps = [*range(0, step - 1, max(1, step // 150)), step - 1]
        points = [(8 + 464 * i / len(losses), 460 - 90 * (losses[i] - 1.2)) for i in steps]
        means = [sum(losses[max(0, i - 49) : i + 1]) / min(50, i + 1) for i in steps]
        blue = [(x, 460 - 90 * (mean - 1.2)) for (x, _), mean in zip(points, means, strict=True)]
        stage.line("losses", points, "faint", 1)
        stage.line("means", blue, "strong", 2.5)
        stage.text(
            "loss", WIDTH / 2, 140, f"loss {losses[step - 1]:.4f}, mean {means[-1]:.2f}", size=18, anchor="middle"
        )
        yield [("loss", written(losses[step - 1], 4))]
        if step == 2:
            yield []
            yield []


def learned(stage, *_):
    """Show the surprises of the same name, before and after all steps."""
    stage.drop("name", "step", "loss", "mean", "chart")
    stage.tokens(stage.signs)
    places = len(stage.signs) - 1
    for place in range(places):
        stage.leave(place, place)
        stage.surprise(place, place, False)
    yield [("loss", written(stage.moment("return total(logs)", 0).names["return"].data, 4))]
    for place in range(places):
        stage.leave(place, places + place)
        stage.surprise(place, places + place, True)
    yield [("loss", written(stage.moment("return total(logs)", 1).names["return"].data, 4))]


def trained_heads(stage, *_, passes, head):
    """Show where a head looks when the last letter asks, before and after training."""
    place = len(stage.signs) - 2
    stage.drop("surprise", "later", "how", "scale")
    for before, state in ((0, "untrained"), (passes, "trained")):
        for i in range(place + 1):
            stage.leave(i, before + i)
        query = stage.moment("query = linear(", before + place).names["query"]
        stage.strip("query", place, query, 0.8, 24, LOW, "query", 12)
        weights = stage.moment("weights = softmax(scale(", 4 * (before + place) + head).names["weights"]
        stage.look(place, head, weights)
        stage.text("head-name", WIDTH - 4, LOW - 24, f"head {head + 1}, {state}", "query", 16, "end")
        yield [("weights", row_of(weights, 2, 7))]


def writing(stage, *_, passes, letters):
    """Show how the model writes some letters: each time the probabilities, and then what the die says."""
    if 0 in letters:
        stage.drop("")
    for i in letters:
        chances = stage.moment("probabilities = softmax(scale(logits", i).names["probabilities"]
        signs = stage.signs[:1] + [stage.marks[f"sign{j}"]["text"] for j in range(1, i + 1)]
        token = stage.moment("[token] = random.choices(", i).names["token"]
        stage.tokens([*signs, "BOS"], asked=len(signs))
        stage.leave(i, passes + i)
        stage.bars(chances)
        stage.text("scale", WIDTH - 4, FOOT - 10, "probabilities", anchor="end")
        yield [("probabilities", row_of(chances))]
        stage.tokens([*signs, [*stage.characters, "BOS"][token]])
        stage.bars(chances, [token])
        yield [("token", f"{token}, which is {[*stage.characters, 'BOS'][token]}")]


def end(stage, *_, lines):
    """Say what this was."""
    stage.drop("")
    for i, (words, size) in enumerate(lines):
        stage.text(f"end{i}", WIDTH / 2, 170 + 44 * i, words, "label" if i else "strong", size, "middle")
    yield []
