"""How the command line says things: tables, colours, and what is said in the same words everywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from dropsafe.desk.words import ago, shorten, size, span
from dropsafe.plural import number, several

__all__ = ["ago", "coloured", "number", "quoted", "several", "shorten", "size", "span", "table"]


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
