"""Types of arguments that several commands share. argparse tells what was wrong with one, and nothing is done."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError


def seconds(text: str) -> float:
    """A length of time: 0 or more, and finite."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds, 0 or more")
    return value


def count(text: str) -> int:
    """A whole number, 0 or more."""
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400}


def duration(text: str) -> float:
    """A length of time with its unit: 30s, 15min, 2h, 3d."""
    figure = text.rstrip("smindh")
    unit = _UNITS.get(text[len(figure) :])
    if unit is None or not (figure.isascii() and figure.isdigit()) or len(figure) > 6:
        raise ArgumentTypeError(f"{text!r} is not a length of time such as 30s, 15min, 2h or 3d")
    return float(int(figure) * unit)
