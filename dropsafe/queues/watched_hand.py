"""A worker's hand that tells what has left it: the engine works with it, the program hears of it.

Nothing is told before it is so: a receipt is durable and its entry in `sent/` before anybody hears of the delivery.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from dropsafe.queues.notices import Notices
from dropsafe.spool import Entry, Reason, Receipt, Spool, State
from dropsafe.spool.claims import Hand
from dropsafe.spool.states import Event

log = logging.getLogger(__name__)

_MOST_COUNTED: Final = 10_000


class Attempts:
    """How often each waiting operation has failed: from the journal for those of earlier runs, then from here.

    For warnings alone; nothing is given up by it.
    """

    def __init__(self, warn_at: int) -> None:
        """`warn_at` 0: never."""
        self._warn_at = warn_at
        self._lock = threading.Lock()
        self._failed: dict[str, int] = {}

    def recall(self, spool: Spool) -> None:
        """Read what the journal knows of the oldest 10,000 waiting operations."""
        waiting = {entry.id: 0 for entry in islice(spool.entries(State.PENDING), _MOST_COUNTED)}
        for line in spool.core.journal.read(waiting.keys()):
            if line.get("event") == Event.DEFERRED:
                waiting[line["id"]] += 1
        with self._lock:
            self._failed = {key: count for key, count in waiting.items() if count}

    def failed(self, entry_id: str) -> int:
        """Once more: how often by now, if that is a multiple of `warn_at`, else 0."""
        with self._lock:
            count = self._failed[entry_id] = self._failed.pop(entry_id, 0) + 1
            if len(self._failed) > _MOST_COUNTED:
                del self._failed[next(iter(self._failed))]
        return count if self._warn_at and count % self._warn_at == 0 else 0

    def forget(self, entry_id: str) -> None:
        """It has met its end."""
        with self._lock:
            self._failed.pop(entry_id, None)


@dataclass(slots=True)
class Done:
    """What has come of entries since the start, over all restarts of the thread. Written by that thread alone."""

    delivered: int = 0
    deferred: int = 0
    rejected: int = 0
    damaged: int = 0
    last_sent: str = ""
    fruitless_looks: int = 0
    """Claims that found nothing due while nothing was in hand."""


class WatchedHand:
    """See `dropsafe.workers.finisher.Hand`, whose calls it passes on."""

    def __init__(
        self, hand: Hand, done: Done, attempts: Attempts, notices: Notices, on_idle: Callable[[], object]
    ) -> None:
        """`on_idle` is called when nothing is due and nothing in hand."""
        self._hand = hand
        self._on_idle = on_idle
        self._done = done
        self._attempts = attempts
        self._notices = notices

    @property
    def name(self) -> str:
        return self._hand.name

    def claim(self, limit: int) -> list[Entry]:
        entries = self._hand.claim(limit)
        if not entries and not self._hand.in_hand:
            self._on_idle()
            self._done.fruitless_looks += 1
        return entries

    def next_due(self) -> float | None:
        return self._hand.next_due()

    def delivered(self, batch: Sequence[tuple[Entry, Receipt]]) -> None:
        try:
            self._hand.delivered(batch)
        finally:  # a call that fails half-way has moved some, and is repeated for the others alone
            for entry, receipt in batch:
                if not os.path.lexists(entry.path):
                    self._done.delivered += 1
                    self._done.last_sent = receipt.at
                    self._attempts.forget(entry.id)
                    self._notices.sent(entry.id)
            self._notices.changed()

    def defer(self, entry: Entry, after: float, why: str) -> Path:
        path = self._hand.defer(entry, after, why)
        self._done.deferred += 1
        return path

    def make_due(self, paths: Iterable[Path]) -> None:
        self._hand.make_due(paths)

    def reject(self, entry: Entry, reason: Reason) -> None:
        self._hand.reject(entry, reason)
        self._done.rejected += 1
        self._over(entry, reason.summary)

    def damaged(self, entry: Entry, why: str) -> None:
        self._hand.damaged(entry, why)
        self._done.damaged += 1
        self._over(entry, f"The file is not what was queued: {why} It is in quarantine/.")

    def give_back(self, entries: Iterable[Entry]) -> None:
        self._hand.give_back(entries)

    def check(self) -> None:
        self._hand.check()

    def _over(self, entry: Entry, why: str) -> None:
        log.warning("operation %s: %s", entry.id, why)
        self._attempts.forget(entry.id)
        self._notices.failed(entry.id, why)
        self._notices.changed()
