"""Long work on a screen: how much is done, how fast, how long it will take; and a Ctrl-C that ends it in good order."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from dropsafe.cli.escaping import ERASE

Item = TypeVar("Item")

_ON_SCREEN, _ELSEWHERE = 0.2, 10.0
"""Seconds between two signs of progress."""


class Sign:
    """Of life, on standard error: in place on a terminal, a line every 10 s elsewhere. None of what is over at once."""

    def __init__(self) -> None:
        self._screen = sys.stderr.isatty()
        self._next = 0.0
        self._wait()
        self._shown = False

    def show(self, words: Callable[[], str]) -> None:
        """These, if it is time."""
        if time.monotonic() < self._next:
            return
        self._wait()
        self._shown = True
        line = words()
        print(f"{ERASE}{line}" if self._screen else line, end="" if self._screen else "\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the line for what comes."""
        if self._shown and self._screen:
            print(ERASE, end="", file=sys.stderr, flush=True)

    def _wait(self) -> None:
        self._next = time.monotonic() + (_ON_SCREEN if self._screen else _ELSEWHERE)


class Progress:
    """How many of how many are done, as such a sign."""

    def __init__(self, what: str, total: int | None) -> None:
        self._what = what
        self._total = total
        self._begun = time.monotonic()
        self._sign = Sign()

    def update(self, done: int) -> None:
        """So many are done."""
        self._sign.show(lambda: words(self._what, done, self._total, time.monotonic() - self._begun))

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """Passes them on, telling how many there were."""
        for number, item in enumerate(items):
            self.update(number)
            yield item

    def close(self) -> None:
        """Leave the line for what comes."""
        self._sign.close()


def words(what: str, done: int, total: int | None, seconds: float) -> str:
    """`moved 1,200 of 100,000   1,900/s   52 s left`"""
    from dropsafe.cli.words import number, span

    rate = done / seconds if seconds > 0 else 0.0
    parts = [f"{what} {number(done)}" + (f" of {number(total)}" if total is not None else ""), f"{number(rate)}/s"]
    if total is not None and rate > 0:
        parts.append(f"{span(max(0, total - done) / rate)} left")
    return "   ".join(parts)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Yields what tells whether Ctrl-C or SIGTERM asked for an end at the next safe point. A second one ends at once."""
    asked = False

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
