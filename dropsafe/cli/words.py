"""How the command line says numbers, sizes, times and tables: in one manner, for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from dropsafe.plural import number as number
from dropsafe.plural import several as several

_STEPS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def size(count: float) -> str:
    """Bytes in KB, MB or GB (of 1,000)."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def span(seconds: float) -> str:
    """A length of time in its largest unit: 12 s, 3 min, 4 h, 2 d."""
    for length, unit in _STEPS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "0 s"


def ago(seconds: float) -> str:
    """How long ago something was; a moment in the future is the clock's fault, and is called now."""
    return "now" if seconds < 1 else f"{span(seconds)} ago"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns two spaces apart, the first row being the head; those in `right` are set to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def shorten(text: str, width: int) -> str:
    """Cut in the middle, where names differ least."""
    if len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{text[: width - 1 - half]}…{text[len(text) - half :]}"


def quoted(text: str) -> str:
    """As one word of a command line of this system."""
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline([text])
    import shlex

    return shlex.quote(text)


def coloured(text: str, colour: str) -> str:
    """Colour only on a terminal that wants it, and never as the only sign."""
    codes = {"red": 31, "green": 32, "amber": 33, "blue": 34, "grey": 90, "bold": 1}
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{codes[colour]}m{text}\x1b[0m"
