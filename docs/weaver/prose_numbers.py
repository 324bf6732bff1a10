"""Numbers in the prose: whether they are right, how they are written, and how to correct them in the essay."""

import io
import re


def written_like(text, value):
    """Return a number in the form of another one, given as text: as many decimals, the same signs and separators."""
    mantissa, letter, exponent = re.fullmatch("([^eE]*)([eE]?)(.*)", text).groups()
    decimals = len(mantissa.partition(".")[2])
    if letter:
        digits, _, power = f"{value:.{decimals}e}".partition("e")
        sign = "+" if exponent.startswith("+") else "-"
        right = f"{digits}{letter}{int(power):{sign}0{len(exponent)}}"
    else:
        digits = len(mantissa.partition(".")[0].lstrip("-−"))
        separator = "" if digits > 3 and "," not in text else ","
        whole = isinstance(value, int) and not decimals
        right = f"{value:{separator}d}" if whole else f"{value:{separator}.{decimals}f}"
    if right.startswith("-") and not float(right.replace(",", "")):
        right = right[1:]  # nothing is as little as minus nothing
    return right.replace("-", "−") if "−" in text or "-" not in text else right


def corrections(numbers, values):
    """Return [(number, right text)] of the Numbers that are wrong; `values` has the value of each, None if unknown."""
    pairs = [(number, written_like(number.text, value)) for number, value in zip(numbers, values, strict=True)
             if value is not None]  # fmt: skip
    return [(number, right) for number, right in pairs if right != number.text]


def complaints(wrong):
    """Return (line, message) for each of some corrections."""
    form = "the number {} should be {}, which is {} (--update corrects it)"
    return [(number.line, form.format(number.text, right, number.expression)) for number, right in wrong]


def corrected(data, wrong):
    """Return an essay, as bytes, with some corrections; all other bytes are kept."""
    lines = list(io.StringIO(data.decode(), newline=""))
    for number, right in sorted(wrong, key=lambda pair: (pair[0].line, -pair[0].column)):
        line = lines[number.line - 1]
        start = number.column + (number.line == 1 and line.startswith("\ufeff"))
        before, there, after = line[:start], line[start : start + len(number.text)], line[start + len(number.text) :]
        if there != number.text:
            raise ValueError(f"line {number.line} has {there!r} where {number.text!r} was")
        lines[number.line - 1] = before + right + after
    return "".join(lines).encode()
