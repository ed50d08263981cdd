"""How a count is said with what it counts: the one place that knows singular from plural."""

from __future__ import annotations


def number(value: float) -> str:
    """Grouped: 1,204."""
    return f"{value:,.0f}"


def several(count: int, one: str, many: str) -> str:
    """`1 entry`, `2 entries`."""
    return f"{number(count)} {one if count == 1 else many}"
