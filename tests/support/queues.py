"""Queues of operations for tests: a destination that can be told what to do, and a wall clock that can be set."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dropsafe import QueueManager, QueueStatus, Spool
from dropsafe.spool import Reason
from dropsafe.spool.names import ID_LENGTH
from tests.support.waiting import eventually

Data = dict[str, Any]


class SetClock:
    """The machine's clocks, the wall clock ahead by `ahead` seconds: due times come sooner, waits stay short."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic()


class Server:
    """Stands for whatever the program's callback talks to. `answer` may be exchanged at any time."""

    def __init__(self, answer: Callable[[Data], object] = lambda _data: True) -> None:
        self.answer = answer
        self.asked: list[Data] = []
        self.calls_at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def __call__(self, data: Data) -> object:
        with self._lock:
            self.asked.append(data)
            self.calls_at_once += 1
            self.most_at_once = max(self.most_at_once, self.calls_at_once)
        try:
            return self.answer(data)
        finally:
            with self._lock:
                self.calls_at_once -= 1


class Heard:
    """Remembers what the callbacks were told, in order."""

    def __init__(self) -> None:
        self.changed: list[int] = []
        self.told: list[tuple[str, str]] = []
        self.reasons: list[str] = []

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_changed": self.changed.append,
            "on_queued": lambda key: self.told.append(("queued", key)),
            "on_sent": lambda key: self.told.append(("sent", key)),
            "on_failed": self._failed,
        }

    def of(self, what: str) -> list[str]:
        return [key for told, key in self.told if told == what]

    def _failed(self, key: str, why: str) -> None:
        self.told.append(("failed", key))
        self.reasons.append(why)


@contextmanager
def queue(folder: Path, send: Callable[[Data], object] | None = None, **options: Any) -> Iterator[QueueManager]:
    """A queue in `folder/queue`, with no care for how full the disk of the machine is."""
    made = QueueManager(folder / "queue", send, **{"min_free_bytes": 0, "stop_timeout": 20.0, **options})
    try:
        yield made
    finally:
        made.cleanup()


def places(root: Path) -> dict[str, list[str]]:
    """The folders of a spool in which each id lies, by a plain look at the disk."""
    found: dict[str, list[str]] = {}
    for state in ("pending", "inflight", "sent", "failed", "quarantine", "hold", "discarded"):
        for path in (root / state).rglob("*Z_*"):
            if path.is_file() and not path.name.endswith(".reason.json"):
                found.setdefault(path.name[:ID_LENGTH], []).append(state)
    return found


def until_sent(manager: QueueManager, *ids: str) -> None:
    eventually(
        lambda: all(manager.get_operation(each).status is QueueStatus.SENT for each in ids), what=str(manager.stats)
    )


def until_tried(manager: QueueManager, operation_id: str, attempts: int = 1) -> None:
    eventually(lambda: manager.get_operation(operation_id).attempts >= attempts, what=str(manager.stats))


def until_waiting(manager: QueueManager, operation_id: str) -> None:
    eventually(lambda: manager.get_operation(operation_id).status is QueueStatus.PENDING)


def refuse(manager: QueueManager, *wanted: str) -> None:
    """What the service does when the server says no."""
    with Spool(manager.queue_dir) as spool:
        hand = spool.take_hand("uploader")
        for entry in hand.claim(256):
            if entry.id in wanted:
                hand.reject(entry, Reason("rejected", "The server refused it (422).", "Mend it.", status=422))
        hand.close()
