"""Waiting for something to become true, instead of for some time to pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 20.0


def eventually(condition: Callable[[], T], what: str = "", patience: float = PATIENCE) -> T:
    """The first true value of `condition`; AssertionError if there is none within `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {patience:g} s: {what or condition}")
        time.sleep(0.01)
