"""Standard error shows no control characters but our own: a name from outside must not write on somebody's terminal."""

from __future__ import annotations

import re
from typing import Any, TextIO, cast

from dropsafe.printable import printable

ERASE = "\r\x1b[K"
"""Our own, with which progress is told in place: back to the begin of the line, and empty it."""
_RUNS = re.compile(rf"({re.escape(ERASE)}|[\n\t])")


def escaped(stream: TextIO) -> TextIO:
    """`stream`, on which whatever is not printable is written as an escape; line ends, tabs and ERASE stay."""
    return cast(TextIO, _Escaped(stream))


class _Escaped:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        parts = _RUNS.split(text)
        parts[::2] = map(printable, parts[::2])
        return self._stream.write("".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
