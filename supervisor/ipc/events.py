"""What has happened lately, numbered, for those who ask again and again: pure, but for a lock.

A ring keeps the newest and forgets the oldest. Numbers only rise, also from one run of the service to the next, so who
asks for what came after a number learns for certain whether something is missing: then a new snapshot is due.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from dropsafe.spool.clock import iso

ROOM: Final = 700_000
"""Bytes of one tail, so that it fits into a frame."""
KEPT: Final = 1_000
"""Events (DESIGN 7)."""


class Kind(StrEnum):
    """What an event is about."""

    STATUS = "status"
    WORKER = "worker"
    ENTRIES = "entries"
    FIGURES = "figures"
    JOB = "job"
    CONFIG = "config"
    PAUSE = "pause"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Tail:
    """What came after a number. `next` is what to ask with the next time; `gap`: some that came after it are forgotten,
    or the number was never given."""

    items: list[dict[str, Any]]
    next: int
    gap: bool


class Ring:
    """The newest `size` items. Safe for threads."""

    def __init__(self, size: int, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._items: deque[tuple[dict[str, Any], int]] = deque(maxlen=size)
        # Milliseconds since the epoch: above all numbers of earlier runs, which had fewer than 1,000 items a second.
        self._last = int(wall() * 1000)

    def add(self, item: Mapping[str, Any]) -> int:
        """Its number."""
        with self._lock:
            self._last += 1
            numbered = {"number": self._last, "at": iso(self._wall()), **item}
            self._items.append((numbered, len(json.dumps(numbered)) + 1))
            return self._last

    def since(self, number: int, limit: int, wanted: Callable[[Mapping[str, Any]], bool] = lambda _: True) -> Tail:
        """Of those after `number` that are wanted, the oldest: `limit` of them, or as many as there is room for."""
        with self._lock:
            oldest = self._last + 1 - len(self._items)
            gap = not oldest - 1 <= number <= self._last
            start = 0 if gap else number - oldest + 1
            found: list[dict[str, Any]] = []
            room = ROOM
            for item, size in islice(self._items, start, None):
                if len(found) == limit or (found and size > room):
                    return Tail(found, found[-1]["number"], gap)
                if wanted(item):
                    found.append(item)
                    room -= size
            return Tail(found, self._last, gap)


class Events:
    """The events of the service. `on_event` is called after each, on the thread on which it happened."""

    def __init__(self, on_event: Callable[[], None] = lambda: None, wall: Callable[[], float] = time.time) -> None:
        self._ring = Ring(KEPT, wall)
        self._on_event = on_event

    def tell(self, kind: Kind, **content: Any) -> None:
        """Something has happened."""
        self._ring.add({"kind": kind.value, **content})
        self._on_event()

    def since(self, number: int) -> Tail:
        """After a gap there are none: a snapshot holds what they would say."""
        tail = self._ring.since(number, KEPT)
        return Tail([], tail.next, True) if tail.gap else tail
