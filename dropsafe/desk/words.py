"""How sizes and times are said: in one manner, for people, wherever they read them."""

from __future__ import annotations

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


def shorten(text: str, width: int) -> str:
    """Cut in the middle, where names differ least."""
    if len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{text[: width - 1 - half]}…{text[len(text) - half :]}"
