"""Figures of the essay. Demonstrations call them, as in figures.architecture(), with what they have computed.

A function draws one figure. It draws what it is given and imports no program, so that a figure depends on its own code
and that of the demonstration alone (see weaver/helpers.py). What takes more than a line to compute is a function of
computed.py. The page shows the code of both with the figure.
"""

import numpy as np
from matplotlib import colors
from matplotlib import pyplot as plt
from weaver.prelude import BLUE, GREY, KEY, ORANGE, QUERY, RESIDUAL, VALUE

BOXES = [("tables", "wte[token] + wpe[position]", "gpt"), ("norm", "rmsnorm", "rmsnorm"),
         ("norm", "rmsnorm", "rmsnorm"), ("attention", "attention: wq, wk, wv, wo", "attention"),
         ("norm", "rmsnorm", "rmsnorm"), ("MLP", "MLP: fc1, relu, fc2", "mlp"),
         ("lm_head", "lm_head", "gpt")]  # the model, with the chunk that each box leads to  # fmt: skip
ADDED = {3: 2, 5: 4}  # what comes out of these boxes is added to what went into those
END = {"arrowstyle": "->", "shrinkA": 0, "shrinkB": 0}  # of an arrow that ends just where it is told


def charts(height, rows=1, columns=1, **more):
    """Return the charts of a new figure, so high in inches: on a phone it is as wide as the page."""
    return plt.subplots(rows, columns, figsize=(4.4, height), **more)[1]


def written(number):
    """Return a number as text, with a minus sign instead of a hyphen."""
    return f"{number:g}".replace("-", "−")


def becoming(moments):
    """Draw the names of some steps, {step: (names, loss)}, in columns; those of the last one are a trained model's."""
    axes = charts(2.7)
    for x, (step, (names, loss)) in enumerate(moments.items()):
        column = [f"{step:,} step" + "s" * (step > 1), *(name[:9] for name in names), f"loss {loss:.2f}"]
        for y, text in enumerate(column):
            is_learned = x == len(moments) - 1 and 0 < y < len(column) - 1
            axes.text(
                x, y, text, ha="center", weight="normal" if y else "bold", color=ORANGE if is_learned else "black"
            )
    axes.set(xlim=(-0.5, 3.5), ylim=(9.5, -0.5))
    axes.axis("off")
    plt.show()


def tasks(word):
    """Draw the tokens of a word as the tasks that the model gets: what it sees, and what it has to guess."""
    axes = charts(2.5)
    tokens = ["BOS", *word, "BOS"]
    for task in range(1, len(tokens)):
        for x, token in enumerate(tokens[: task + 1]):
            colour = ORANGE if x == task else BLUE
            axes.add_patch(plt.Rectangle((x + 0.05, task), 0.9, 0.8, facecolor=colour, alpha=0.3, edgecolor=colour))
            axes.text(x + 0.5, task + 0.4, token, ha="center", va="center")
    axes.set(xlim=(0, len(tokens)), ylim=(len(tokens), 0.9))
    axes.axis("off")
    plt.show()


def tape_drawing(entries):
    """Draw the entries of a tape, [(name, value, [(index of an input, local derivative)])], and the way back."""
    axes = charts(2.3)
    frame = {"boxstyle": "round,pad=0.4", "facecolor": "none", "edgecolor": BLUE}
    for x, (name, data, inputs) in enumerate(entries):
        axes.text(x, 0, f"{name}\n{written(data)}", ha="center", va="center", bbox=frame)
        for side, (back, derivative) in zip((1, -1), inputs, strict=False):
            bent = END | {"color": ORANGE, "connectionstyle": f"arc3,rad={0.4 * side}"}
            axes.annotate("", (back, 0.5 * side), (x, 0.5 * side), arrowprops=bent)
            axes.text((x + back) / 2, side * (0.75 + 0.35 * (x - back)), written(derivative), ha="center", va="center")
    axes.set(xlim=(-0.5, 5.5), ylim=(-2.3, 2.3))
    axes.axis("off")
    plt.show()


def to_scale(matrices):
    """Draw matrices, {name: rows of numbers}, with a square for each number."""
    places = {"wte": (0, 0), "wpe": (20, 0), "lm_head": (40, 0), "wq": (0, 36), "wk": (20, 36), "wv": (40, 36),
              "wo": (60, 36), "fc2": (0, 61), "fc1": (80, 0)}  # columns from the left, rows from the top  # fmt: skip
    axes = charts(3.8)
    for name, rows in matrices.items():
        x, y = places[name]
        squares(axes, rows, (x, x + len(rows[0]), y + len(rows), y), 0.2)
        axes.text(x, y - 1, name, ha="left", va="bottom")
    for x, number in zip(range(68, 97, 6), (-0.2, -0.1, 0, 0.1, 0.2), strict=True):  # the scale of the colours
        squares(axes, [[number]], (x, x + 5, 77, 72), 0.2)
        axes.add_patch(plt.Rectangle((x, 72), 5, 5, facecolor="none", edgecolor=GREY, linewidth=0.5))
        axes.text(x + 2.5, 78, {-0.2: "−0.2", 0: "0", 0.2: "0.2"}.get(number, ""), ha="center", va="top")
    axes.set(xlim=(-1, 99), ylim=(83, -7), aspect="equal")
    axes.axis("off")
    plt.show()


def squares(axes, rows, extent, largest):
    """Draw numbers as squares, blue above zero and orange below, the stronger the nearer they are to the largest."""
    numbers = np.array(rows)
    hues = np.where(numbers[..., None] > 0, colors.to_rgb(BLUE), colors.to_rgb(ORANGE))
    pixels = np.dstack([hues, np.minimum(abs(numbers) / largest, 1)])
    axes.imshow(pixels, extent=extent, interpolation="nearest")


def box(axes, x, y, width, height, text, chunk):
    """Draw a box of the model, which leads to a chunk."""
    axes.add_patch(plt.Rectangle((x - width / 2, y - height / 2), width, height, facecolor="none", edgecolor=BLUE))
    axes.text(x, y, text, ha="center", va="center", url=f"#chunk-{chunk}")


def arrow(axes, start, end, **more):
    """Draw a straight arrow."""
    axes.annotate("", end, start, arrowprops=END | more)


def architecture():
    """Draw the model from top to bottom."""
    axes = charts(5.6)
    y, tops = 0.0, {}
    axes.text(0, 0.9, "a token and its position", ha="center", va="center")
    arrow(axes, (0, 0.65), (0, 0.35))
    for i, (_, text, chunk) in enumerate(BOXES):
        tops[i] = y + 0.35
        box(axes, 0, y, 4.2, 0.7, text, chunk)
        if i in ADDED:
            y -= 0.85
            ring = {"boxstyle": "circle,pad=0.15", "facecolor": "none", "edgecolor": RESIDUAL}
            axes.text(0, y, "+", ha="center", va="center", bbox=ring)
            arrow(axes, (0, y + 0.5), (0, y + 0.22))
            axes.text(0.12, y + 0.36, "16", ha="left", va="center")
            start = tops[ADDED[i]] + 0.14
            axes.plot([0, 2.6, 2.6], [start, start, y], color=RESIDUAL, linewidth=2.5)
            arrow(axes, (2.6, y), (0.25, y), color=RESIDUAL, linewidth=2.5)
            axes.text(2.75, (start + y) / 2, "bypass", rotation=90, ha="left", va="center")
            arrow(axes, (0, y - 0.22), (0, y - 0.85), color=RESIDUAL, linewidth=2.5)
            axes.text(0.12, y - 0.46, "16", ha="left", va="center")
            y -= 1.2
        elif i < len(BOXES) - 1:
            gap = 0.3 if i in (2, 4) else 0.8 if i == 1 else 0.5
            rail = {"color": RESIDUAL, "linewidth": 2.5} if i < 2 else {}
            arrow(axes, (0, y - 0.35), (0, y - 0.35 - gap), **rail)
            axes.text(0.12, y - 0.35 - min(gap / 2, 0.25), "16", ha="left", va="center")
            y -= 0.7 + gap
    arrow(axes, (0, y - 0.35), (0, y - 0.7))
    axes.text(0, y - 0.95, "27 logits", ha="center", va="center")
    frame = {"facecolor": "none", "edgecolor": GREY, "linestyle": ":"}
    axes.add_patch(plt.Rectangle((-2.45, y + 0.5), 5.75, tops[2] - y - 0.22, **frame))
    axes.text(-2.6, (tops[2] + y) / 2, "a layer", rotation=90, ha="right", va="center", url="#chunk-layer-by-layer")
    axes.set(xlim=(-3.2, 3.4), ylim=(y - 1.2, 1.15))
    axes.axis("off")
    plt.show()


def attend_drawn(query, keys, values, found):
    """Draw a query with two keys, and two values with what is found between them, as arrows in two planes."""
    left, right = charts(2.5, 1, 2)
    arrows(left, 3.4, [(query, QUERY, "query", (0.12, 0.1)), (keys[0], KEY, "key 1", (0.0, -0.1)),
                       (keys[1], KEY, "key 2", (0.2, 0.0))])  # fmt: skip
    arrows(right, 11.5, [(values[0], VALUE, "value 1", (-0.2, -0.1)), (values[1], VALUE, "value 2", (0.25, 0.0)),
                         (found, "black", "result", (-0.05, 0.12))])  # fmt: skip
    plt.show()


def arrows(axes, limit, ends):
    """Draw arrows from an origin, [(end, colour, name, where the name is)]."""
    for (x, y), colour, text, (right_of, above) in ends:
        arrow(axes, (0, 0), (x, y), color=colour, lw=2)
        axes.text(x + limit * right_of, y + limit * above, text, ha="center", va="center")
    axes.set(xlim=(-0.1 * limit, limit), ylim=(-0.16 * limit, limit), aspect="equal")
    axes.axis("off")


def follow_drawn(rows, probabilities, characters):
    """Draw rows of numbers, [(name, numbers)], as squares, and their result below them."""
    largest = max(abs(number) for _, numbers in rows for number in numbers)
    above, below = charts(4.6, 2, height_ratios=[7, 4])
    for y, (name, numbers) in enumerate(rows):
        for x, number in enumerate(numbers):
            cell(above, (x, y), 0.9, 0.8, number / largest)
        if name == "x":
            above.add_patch(plt.Rectangle((-0.5, y), 0.25, 0.8, facecolor=RESIDUAL))
    above.set(xlim=(-0.5, 16), ylim=(7, -0.2), xticks=[])
    above.set_yticks([y + 0.4 for y in range(7)], [name for name, _ in rows])
    above.tick_params(length=0)
    above.spines[:].set_visible(False)
    token_bars(below, probabilities, characters)
    below.set(ylabel="probability")
    plt.show()


def cell(axes, place, width, height, number):
    """Draw a number of at most 1 in size as a rectangle, blue above zero and orange below."""
    colour, strength = BLUE if number > 0 else ORANGE, abs(number) ** 0.7
    axes.add_patch(plt.Rectangle(place, width, height, facecolor=colour, alpha=strength))


def token_bars(axes, numbers, characters, color=BLUE):
    """Draw a bar for each token, with their letters below; the last one is BOS."""
    axes.bar(range(len(numbers)), numbers, color=color)
    axes.set(xlim=(-0.6, len(numbers) - 0.4))
    token_names(axes, characters)


def token_names(axes, characters):
    """Write the tokens below a chart; the last one is BOS, which begins below its place, as there is room beside it."""
    axes.set_xticks(range(len(characters) + 1), [*characters, "BOS"])
    axes.get_xticklabels()[-1].set_ha("left")
    axes.tick_params(axis="x", length=0)


def blame_drawn(gradients, shares, tokens, characters):
    """Draw the gradients of the logits, whose first should rise, and how much of them arrives at each token."""
    above, below = charts(4.2, 2)
    token_bars(above, gradients, characters, [ORANGE] + [BLUE] * (len(gradients) - 1))
    above.axhline(0, color=GREY, linewidth=1)
    above.set(ylabel="gradient")
    below.bar(range(len(shares)), shares, color=BLUE, width=0.5)
    below.set_xticks(range(len(shares)), tokens)
    below.set(ylabel="size of gradient")
    below.tick_params(axis="x", length=0)
    plt.show()


def two_gradients(paths):
    """Draw where two parameters go, {title: (those of the small steady gradient, those of the noisy one)}."""
    panels = charts(4.2, 2, sharex=True, sharey=True)
    for axes, color, (title, (steady, noisy)) in zip(panels, (ORANGE, BLUE), paths.items(), strict=True):
        axes.plot(steady, "--", color=color, label="always 0.02")
        axes.plot(noisy, color=color, label="10 or −10")
        axes.set(title=title, ylabel="parameter")
    panels[0].legend(frameon=False, loc="best")
    panels[1].set(xlabel="step")
    plt.show()


def loss_curve(losses, means, nothing_known):
    """Draw the loss of each step, its mean, and a dashed line for that of knowing nothing."""
    axes = charts(3.0)
    steps = range(1, len(losses) + 1)
    axes.plot(steps, losses, ".", color=GREY, markersize=2.5, label="loss of one name")
    axes.plot(steps, means, color=BLUE, linewidth=2, label="mean of the last 50")
    axes.axhline(nothing_known, color=GREY, linestyle="--", linewidth=1)
    axes.set(xlabel="step", ylabel="loss", ylim=(1.4, 4.7))
    axes.legend(frameon=False, loc="upper right")
    plt.show()


def embeddings(tables, tokens, marked):
    """Draw the rows of tables, {title: rows}, as points in the plane, each as its token; some are marked."""
    panels = charts(7.0, 2)
    for axes, (title, rows) in zip(panels, tables.items(), strict=True):
        points = spread_out(rows)
        for token, point in zip(tokens, points, strict=True):
            axes.text(*point, token, ha="center", va="center", color=ORANGE if token in marked else BLUE)
        low, high = points.min(0) - 0.05, points.max(0) + 0.05
        axes.set(title=title, xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])
    plt.show()


def spread_out(rows):
    """Return the rows of a matrix as points in the plane in which they differ most."""
    table = np.array(rows)
    centred = table - table.mean(0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
    directions *= np.sign(directions[:, :1])
    points = centred @ directions.T
    for _ in range(30):  # letters that would cover each other are moved apart
        for i, point in enumerate(points):
            for other in points[:i]:
                apart = point - other
                push = apart * max(0, 0.06 * np.ptp(points) / np.hypot(*apart) - 1) / 2
                point += push
                other -= push
    return points / np.ptp(points, axis=0)


def heads(looks):
    """Draw what each head looks at in some names, {name: for each head, the weights of each token}."""
    panels = charts(5.0, 3, 4)
    for (name, of_heads), line in zip(looks.items(), panels, strict=True):
        tokens = ["BOS", *name]
        for head, (axes, rows) in enumerate(zip(line, of_heads, strict=True), 1):
            for i, row in enumerate(rows):
                for j, weight in enumerate(row):
                    place = (j - 0.45, i - 0.45), 0.9, 0.9
                    axes.add_patch(plt.Rectangle(*place, facecolor=BLUE, alpha=weight, linewidth=0))
                    axes.add_patch(plt.Rectangle(*place, fill=False, edgecolor=GREY, linewidth=0.5))
            axes.set(xlim=(-0.5, len(tokens) - 0.5), ylim=(len(tokens) - 0.5, -0.5))
            axes.set_xticks(range(len(tokens)), tokens)
            axes.set_yticks(range(len(tokens)), tokens if axes is line[0] else [""] * len(tokens))
            axes.get_xticklabels()[0].set(rotation=90, va="top")
            axes.tick_params(length=0, pad=1)
            axes.spines[:].set_visible(False)
            for side, colour in (("left", QUERY), ("bottom", KEY)):
                axes.spines[side].set(visible=True, color=colour, linewidth=2)
            if name == next(iter(looks)):
                axes.set_title(f"head {head}")
        line[0].set_ylabel("query")
    for axes in panels[-1]:
        axes.set_xlabel("key")
    plt.show()


def stages(losses, scatter, counted):
    """Draw the loss of each program, {name: loss}, with its scatter, and a dashed line for one of them."""
    axes = charts(3.4)
    axes.axvline(losses[counted], color=GREY, linestyle="--", linewidth=1)
    for y, (name, x) in enumerate(losses.items()):
        axes.errorbar(x, y, xerr=scatter[name], fmt="o", color="#000000" if y == len(losses) - 1 else BLUE)
        left = x > 3 or x < 2.45  # where there is more room
        axes.text(x + (-0.05 if left else 0.06), y, f"{x:.2f}", ha="right" if left else "left", va="center")
    axes.set_yticks(range(len(losses)), losses)
    axes.set(xlabel="loss on unseen names", xlim=(2.14, 3.35), ylim=(len(losses) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)
    plt.show()


def temperature_bars(chances, characters):
    """Draw the chances of all tokens at some temperatures, {temperature: chances}."""
    panels = charts(4.8, len(chances), sharex=True)
    for axes, (temperature, row) in zip(panels, chances.items(), strict=True):
        axes.bar(range(27), row, color=BLUE)
        axes.text(26.5, max(row), f"temperature {temperature}", ha="right", va="top")
        axes.set(xlim=(-0.6, 26.6))
        axes.tick_params(axis="x", length=0)
    token_names(panels[-1], characters)
    plt.show()


def growing(next_token, comes):
    """Draw the chances of all tokens after some beginnings, {beginning: {token: chance}}, and what really comes."""
    axes = charts(5.6)
    for x, (chances, token) in enumerate(zip(next_token.values(), comes, strict=True)):
        for y, chance in enumerate(chances.values()):
            axes.add_patch(plt.Rectangle((x + 0.05, y), 0.9, 0.9, facecolor=BLUE, alpha=chance**0.5, linewidth=0))
        frame = {"fill": False, "edgecolor": ORANGE, "linewidth": 2}
        axes.add_patch(plt.Rectangle((x + 0.05, [*chances].index(token)), 0.9, 0.9, **frame))
    axes.set_xticks([x + 0.5 for x in range(5)], [f"{beginning}…" for beginning in next_token])
    axes.set_yticks([y + 0.45 for y in range(27)], [*[*chances][:-1], "BOS"])
    axes.set(xlim=(0, 5), ylim=(27, -0.1))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    plt.show()


def where_it_goes(spent):
    """Draw a bar for each part of the model, {name: entries on the tape}."""
    axes = charts(2.4)
    axes.barh([*spent], [*spent.values()], color=BLUE)
    for y, count in enumerate(spent.values()):
        axes.text(count + 300, y, f"{count:,}", ha="left", va="center")
    axes.set(xlabel="entries on the tape", xlim=(0, 24500))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    plt.show()


def ladder(programs):
    """Draw the time per name of each program, {name: its record}; one with a comma in its name is drawn hollow."""
    axes, tens = charts(4.6), [0.01, 0.1, 1, 10, 100]
    for y, (name, entry) in enumerate(programs.items()):
        text = written(float(f"{entry['milliseconds']:.2g}"))
        start = entry["to"] * 1.5
        end = start * 1.42 ** len(text)  # so far to the right does the number reach, through which no line goes
        free = [x for x in tens if not start / 1.2 < x < end]
        axes.vlines(free, y - 0.5, y + 0.5, color=GREY, alpha=0.4, linewidth=0.8)
        axes.plot([entry["from"], entry["to"]], [y, y], color=GREY)
        hollow = {"markerfacecolor": "none"} if "," in name else {}
        axes.plot([entry["milliseconds"]], [y], "o", color="#000000" if name == "microgpt.py" else BLUE, **hollow)
        axes.text(start, y, text, ha="left", va="center")
    axes.set(xscale="log", xlabel="milliseconds per name", xlim=(0.003, 2000), ylim=(len(programs) - 0.5, -0.5))
    axes.set_xticks(tens, [f"{x:g}" for x in tens])
    axes.minorticks_off()
    axes.set_yticks(range(len(programs)), programs)
    axes.tick_params(axis="y", length=0)
    plt.show()


def growing_width(growth):
    """Draw the time of a step by width on logarithmic axes, {program: [(width, milliseconds, megabytes)]}."""
    curves = {target.split("/")[-1]: {width: taken for width, taken, _ in row} for target, row in growth.items()}
    axes = by_width(4.0, curves, [16, 32, 64, 128, 256], [0.01, 0.1, 1, 10, 100, 1000])
    axes.plot([64, 256], [0.01, 0.16], "--", color=GREY)
    plt.show()


def devices(curves):
    """Draw the time of a step by width, {name: {width: milliseconds}}; the GPU's are dashed."""
    by_width(4.2, curves, [16, 64, 256, 1024, 4096], [0.1, 1, 10, 100])
    plt.show()


def by_width(height, curves, widths, times):
    """Draw curves, {name: {width: milliseconds}}, on logarithmic axes: each has its name at its end.

    The name is on the right of it or, if the curve ends before others, above it.
    """
    axes, room = charts(height), (widths[-1] / widths[0]) ** 0.36
    for name, points in curves.items():
        colour, style = "#000000" if name == "microgpt.py" else BLUE, "o--" if name.startswith("GPU") else "o-"
        axes.plot([*points], [*points.values()], style, markersize=3, color=colour)
        is_early = max(points) < widths[-1]
        where = {"xytext": (0, 6), "ha": "center"} if is_early else {"xytext": (7, 0), "va": "center"}
        axes.annotate(name, (max(points), points[max(points)]), textcoords="offset points", **where)
    axes.set(xscale="log", yscale="log", xlabel="n_embd", ylabel="milliseconds per step")
    axes.set(xlim=(widths[0] / 1.15, widths[-1] * room))
    axes.set_xticks(widths, [f"{width:,}" for width in widths])
    axes.set_yticks(times, [f"{time:,g}" for time in times])
    axes.minorticks_off()
    axes.spines["bottom"].set_bounds(widths[0] / 1.15, widths[-1])  # beyond it are names
    return axes


def agreement(vector, others):
    """Draw a vector above some others, {how they agree: other}, with their products, number by number, and the sums."""
    rows = charts(3.7, 3, len(others), sharex=True, sharey="row", height_ratios=[2, 2, 4])
    for (title, other), column in zip(others.items(), rows.T, strict=True):
        products = [a * b for a, b in zip(vector, other, strict=True)]
        for axes, numbers, colour in zip(column, (vector, other, products), (RESIDUAL, BLUE, GREY), strict=True):
            numbered_bars(axes, numbers, colour)
        column[0].set_title(title, pad=12)
        column[-1].set_xlabel(f"sum {written(sum(products))}", weight="bold")
    for axes, name in zip(rows[:, 0], ("x", "a row", "products"), strict=True):
        axes.set_ylabel(name)
    plt.show()


def numbered_bars(axes, numbers, color):
    """Draw numbers as bars, up or down from a line, with each number at the end of its bar, and no axes."""
    bars = axes.bar(range(len(numbers)), numbers, color=color)
    axes.bar_label(bars, [written(round(number, 2)) for number in numbers], padding=1)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.margins(y=0.25)


def norm(pairs):
    """Draw vectors of two numbers before and after the norm, [(before, after)], and their circle."""
    axes = charts(3.6)
    axes.add_patch(plt.Circle((0, 0), 2**0.5, facecolor="none", edgecolor=GREY, linestyle="--"))
    axes.text(0, -1.5, "standard size", ha="center", va="top")
    for before, after in pairs:
        axes.plot(*zip((0, 0), before, strict=True), color=ORANGE, linewidth=2.5, linestyle=":")
        arrow(axes, (0, 0), after, color=BLUE, lw=2.5)
        axes.plot(*before, "o", color=ORANGE, markersize=8)
        is_large = np.hypot(*before) > 2**0.5
        axes.text(before[0] + 0.15, before[1], f"too {'large' if is_large else 'small'}", ha="left", va="center")
    axes.set(xlim=(-2.1, 2.1), ylim=(-1.8, 2.8), aspect="equal")
    axes.axis("off")
    plt.show()


def softmax_drawn(columns):
    """Draw scores, their exponentials and their shares, {title: (one to mark, scores, exponentials, shares)}."""
    rows = charts(4.6, 3, len(columns), sharex=True, sharey="row")
    for (title, (marked, *lists)), column in zip(columns.items(), rows.T, strict=True):
        for axes, numbers in zip(column, lists, strict=True):
            numbered_bars(axes, numbers, [ORANGE if i == marked else BLUE for i in range(len(numbers))])
        column[0].set_title(title)
    for axes, name in zip(rows[:, 0], ("score", "exponential", "share"), strict=True):
        axes.set_ylabel(name)
    plt.show()


def bypass(start, *additions):
    """Draw a vector on its way along the bypass, and what attention and the MLP add to it."""
    axes = charts(3.8)
    largest = max(abs(number) for vector in (start, *additions) for number in vector)
    x, *added = (np.array(vector) / largest for vector in (start, *additions))
    axes.plot([-0.9, 8.9], [0, 0], color=RESIDUAL, linewidth=12, alpha=0.45, solid_capstyle="butt", zorder=0)
    strip(axes, 0, 0, x, "x")
    for place, name, vector in zip((2, 6), ("attention", "MLP"), added, strict=True):
        strip(axes, place, 3.3, vector, name)
        x = np.clip(x + vector, -1, 1)
        strip(axes, place + 2, 0, x, "x")
        bent = END | {"connectionstyle": "angle,angleA=90,angleB=0,rad=6"}
        axes.annotate("", (place - 0.35, 3.3), (place - 1, 0.12), arrowprops=bent)
        arrow(axes, (place, 2.2), (place, 0.35))
        ring = {"boxstyle": "circle,pad=0.15", "facecolor": "none", "edgecolor": RESIDUAL}
        axes.text(place, 0, "+", ha="center", va="center", bbox=ring)
    arrow(axes, (8.9, -1.9), (-0.9, -1.9), color=RESIDUAL, linestyle="--", lw=2)
    axes.text(4, -2.1, "the gradient comes back along the rail unchanged", ha="center", va="top")
    axes.set(xlim=(-1, 9), ylim=(-2.7, 5))
    axes.axis("off")
    plt.show()


def strip(axes, x, y, numbers, name):
    """Draw a vector of numbers of at most 1 in size as a strip of squares, with its name above."""
    height = 2.2 / len(numbers)
    for i, number in enumerate(numbers):
        cell(axes, (x - 0.25, y + 1.1 - (i + 1) * height), 0.5, height, number)
    axes.add_patch(plt.Rectangle((x - 0.25, y - 1.1), 0.5, 2.2, facecolor="none", edgecolor=GREY, linewidth=0.8))
    axes.text(x, y + 1.25, name, ha="center", va="bottom")


def walk_back(tokens, starts, end, mlp, middle, attention):
    """Draw sizes of gradients on their way back from the last token's logits as bands.

    They are of the vector at the end, of its way through the MLP, of x in the middle, of the way of that
    through attention at the same position, and of x at the start of each position.
    """
    axes = charts(5.4)
    *others, own = range(len(tokens))

    def band(size, *points, color=ORANGE, number=None):
        """Draw a band that is as wide as a gradient is large, with its size beside the first point or elsewhere."""
        axes.plot(*zip(*points, strict=True), color=color, linewidth=22 * size, solid_capstyle="butt")
        if points[-1][1] > 6:
            axes.plot(points[-1][0], 6.5, "^", color=color, markersize=5 + 22 * size)
        if number:
            axes.text(*number, f"{size:.2f}", ha="left", va="center")

    band(end, (own, 0.3), (own, 2.9), color=RESIDUAL, number=(own + 0.3, 0.7))
    band(end, (own, 1.0), (1.6, 1.0), (1.6, 1.6))
    band(mlp, (1.6, 2.2), (1.6, 2.7), (own, 2.7), number=(0.9, 2.5))
    band(middle, (own, 2.7), (own, 5.4), color=RESIDUAL, number=(own + 0.3, 3.2))
    band(middle, (own, 3.4), (1.6, 3.4), (1.6, 3.8))
    band(attention, (2.4, 4.6), (2.4, 5.1), (own, 5.1), number=(2.2, 5.3))
    band(starts[own], (own, 5.1), (own, 6.6), color=RESIDUAL, number=(own + 0.3, 5.9))
    for i in others:
        band(starts[i], (i, 4.6), (i, 6.6), number=(i + 0.12, 5.9))
    for i, token in enumerate(tokens):
        box(axes, i, 6.9, 0.8, 0.6, token, "gpt")
    box(axes, 1.1, 4.2, 3.0, 0.8, "attention", "attention")
    box(axes, 1.6, 1.9, 1.4, 0.6, "MLP", "mlp")
    box(axes, own, 0, 1.3, 0.6, "lm_head", "gpt")
    axes.set(xlim=(-0.5, own + 1), ylim=(-0.4, 7.3))
    axes.axis("off")
    plt.show()


def adam_steps(gradients, means, roots, steps):
    """Draw gradients, the two averages that Adam keeps of them, and the steps, {optimiser: steps}."""
    above, between, below = charts(5.0, 3, sharex=True)
    places = np.arange(1, len(gradients) + 1)
    above.bar(places, gradients, color=GREY, width=0.5)
    above.set(ylabel="gradient")
    between.plot(places, means, "o-", color=BLUE, markersize=4, label="mean")
    between.plot(places, roots, "s--", color=GREY, markersize=4, label="root of mean square")
    between.set_ylim(0, 2.4)
    between.legend(frameon=False, loc="upper left")
    for shift, (name, sizes), colour in zip((-0.2, 0.2), steps.items(), (ORANGE, BLUE), strict=True):
        below.bar(places + shift, sizes, width=0.4, color=colour, label=name)
    below.legend(frameon=False, loc="lower left")
    below.set(xlabel="step", ylabel="moves by", xticks=places)
    for axes in (above, between, below):
        axes.axhline(0, color="black", linewidth=0.8)
        axes.tick_params(axis="x", length=0)
        axes.spines["bottom"].set_visible(False)
    plt.show()


def memory_of_c(parameters, positions, zoomed):
    """Draw to scale how exact.c lays out its numbers: parameters, then what each position needs, [(name, how many)]."""
    axes = charts(4.4)
    ends = np.cumsum([parameters, *(sum(size for _, size in position) for position in positions)])
    for y, name in ((0, "values"), (1.6, "their gradients, as far behind them in the same array")):
        axes.text(0, y - 0.1, name, ha="left", va="bottom")
        for i, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            block(axes, start, end, y, RESIDUAL if i == zoomed + 1 else GREY if i else BLUE)
        axes.text(ends[0] / 2, y + 0.4, f"{parameters:,} parameters", ha="center", va="center")
    for x, text in ((0, "Adam's means"), (parameters + 400, "Adam's squares")):
        axes.text(x, 3.1, text, ha="left", va="bottom")
        block(axes, x, x + parameters, 3.2, BLUE)
    scale, place = ends[-1] / sum(size for _, size in positions[zoomed]), 0
    axes.text(0, 4.8, f"position {zoomed}, enlarged", ha="left", va="bottom")
    colours = {"query": QUERY, "key": KEY, "value": VALUE, "sum": RESIDUAL, "x": RESIDUAL, "y": RESIDUAL}
    for name, size in positions[zoomed]:
        block(axes, place, place + size * scale, 4.9, colours.get(name, GREY))
        axes.text(place + size * scale / 2, 5.85, name, ha="center", va="top", rotation=90)
        place += size * scale
    axes.set(xlim=(-30, ends[-1] + 30), ylim=(8.2, -0.7))
    axes.axis("off")
    plt.show()


def block(axes, start, end, y, colour):
    """Draw a piece of an array."""
    axes.add_patch(plt.Rectangle((start, y), end - start, 0.8, facecolor=colour, alpha=0.35, linewidth=0))
    axes.add_patch(plt.Rectangle((start, y), end - start, 0.8, facecolor="none", edgecolor=colour))


def batch(names, length):
    """Draw names as rows of tokens, padded to one length, and what a program computes at once."""
    axes = charts(3.2)
    for y, name in enumerate(names):
        for x, token in enumerate(["BOS", *name, *[""] * (length - 1 - len(name))]):
            look = {"facecolor": GREY, "alpha": 0.25} if token else {"facecolor": "none", "hatch": "////"}
            axes.add_patch(plt.Rectangle((x + 0.08, y + 0.1), 0.84, 0.8, edgecolor=GREY, linewidth=0, **look))
            axes.text(x + 0.5, y + 0.5, token, ha="center", va="center")
    frames = [((3, 2), 1, 1, "a token: vectors.py"), ((0, 1), length, 1, "a name: arrays.py"),
              ((-0.12, -0.15), length + 0.24, len(names) + 0.3, "a batch: torch_gpt.py")]  # fmt: skip
    for (place, width, height, text), colour in zip(frames, (ORANGE, BLUE, "black"), strict=True):
        frame = {"facecolor": "none", "edgecolor": colour, "linewidth": 2.5}
        axes.add_patch(plt.Rectangle(place, width, height, label=text, **frame))
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.02))
    axes.set(xlim=(-0.2, length + 0.2), ylim=(len(names) + 0.2, -0.2))
    axes.axis("off")
    plt.show()


def entries_to_scale(counts):
    """Draw the tapes of some programs, {name: number of entries}, as squares that are to scale."""
    axes, left = charts(2.3), 0.0
    for name, count in counts.items():
        side = count**0.5
        axes.add_patch(plt.Rectangle((left, 0), side, side, facecolor=BLUE, alpha=0.3, edgecolor=BLUE))
        axes.text(left + side / 2, -8, f"{name}\n{count:,}", ha="center", va="top")
        left += max(side, 150) + 25
    axes.set(xlim=(-5, left), ylim=(-62, 200), aspect="equal")
    axes.axis("off")
    plt.show()


def mask(tokens):
    """Draw which token may look at which: a row for each query, a column for each key, and crosses in the future."""
    axes, size = charts(3.0), len(tokens)
    for row in range(size):
        for column in range(size):
            seen = column <= row
            face = {"facecolor": KEY, "alpha": 0.35} if seen else {"facecolor": "none"}
            axes.add_patch(plt.Rectangle((column + 0.05, row + 0.05), 0.9, 0.9, edgecolor=GREY, **face))
            if not seen:
                axes.text(column + 0.5, row + 0.5, "−∞", ha="center", va="center", color=GREY)
    axes.set(xlim=(-0.2, size), ylim=(size, -0.2), aspect="equal", xlabel="key", ylabel="query")
    axes.set_xticks([x + 0.5 for x in range(size)], tokens)
    axes.set_yticks([y + 0.5 for y in range(size)], tokens)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    plt.show()


def tile():
    """Draw the product of two matrices, with the tile of results that is computed at once, and what it is made of."""
    axes = charts(3.0)
    grids = {"a": (0, 6, 6, 12, RESIDUAL), "b": (8, 20, 8, 6, BLUE), "y": (8, 6, 8, 12, ORANGE)}
    lit = {"a": (0, 2, 6, 8), "b": (4, 0, 4, 6), "y": (4, 2, 4, 8)}  # columns and rows from the top left
    for name, (left, bottom, width, height, colour) in grids.items():
        top = bottom + height
        for row in range(height):
            for column in range(width):
                spot = (left + column, top - 1 - row)
                axes.add_patch(plt.Rectangle(spot, 0.9, 0.9, facecolor="none", edgecolor=GREY, linewidth=0.5))
        column, row, wide, high = lit[name]
        corner = (left + column - 0.05, top - row - high - 0.05)
        axes.add_patch(plt.Rectangle(corner, wide, high, facecolor=colour, alpha=0.4, edgecolor=colour, linewidth=2))
        axes.text(left - 0.5 if name == "b" else left + width / 2, bottom + height / 2 if name == "b" else bottom - 0.3,
                  name, ha="right" if name == "b" else "center", va="center" if name == "b" else "top",
                  weight="bold")  # fmt: skip
    axes.text(16.6, 13.5, "eight rows\nof four results\nat a time", ha="left", va="center")
    axes.text(16.6, 22.7, "four numbers\nside by side:\na vector", ha="left", va="center")
    axes.set(xlim=(-0.5, 25), ylim=(4.5, 26.5), aspect="equal")
    axes.axis("off")
    plt.show()
