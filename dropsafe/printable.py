"""Names from outside in words for people: a file's name may hold a line end, an escape sequence, or no text at all."""

from __future__ import annotations

from collections.abc import Sequence

MAX_SHOWN = 20


def printable(text: str) -> str:
    """A name as it may be shown: control characters and what cannot be encoded are escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def in_lines(texts: Sequence[str]) -> str:
    """One line each, the first few."""
    more = [f"… and {len(texts) - MAX_SHOWN:,} more"] if len(texts) > MAX_SHOWN else []
    return "\n".join([*map(printable, texts[:MAX_SHOWN]), *more])
