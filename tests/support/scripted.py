"""A transport that answers by script, and little helpers for tests of the delivery engine."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dropsafe.spool import Grade
from dropsafe.workers.outcome import Abandoned, Answer, Deferred, Delivered, Rejected, Unavailable
from dropsafe.workers.transport import Parcel

Script = Callable[[Parcel, threading.Event], Answer]

DOWN = Unavailable("503: the server is not available", Deferred("503", 503), status=503)
UNREACHED = Unavailable("no connection to the server (refused)", None, meaning="no connection to the server")
DENIED = Unavailable(
    "403: the credentials are not sufficient", Rejected("403", "not for you", 403), alarm=True, status=403
)
FAILED = Deferred("500: the server failed on it", 500)
REFUSED = Rejected("422: the server refuses it", "no serial", 422)


def delivered(parcel: Parcel) -> Delivered:
    """As a good server answers, after a complete read."""
    digest = hashlib.sha256(parcel.path.read_bytes()).hexdigest()
    return Delivered(201, Grade.DIGEST, f"srv-{parcel.id}", "http://server/in", digest)


class Scripted:
    """Answers by `script`, which may be exchanged at any time, and remembers what it saw."""

    def __init__(self, script: Script | None = None) -> None:
        self.script: Script = script or (lambda parcel, _: delivered(parcel))
        self.sent: list[str] = []
        """Names, in the order in which sending began."""
        self.delivered: Counter[str] = Counter()
        self.most_at_once = 0
        self.closed = threading.Event()
        self._now = 0
        self._lock = threading.Lock()

    def send(self, parcel: Parcel, cancel: threading.Event) -> Answer:
        with self._lock:
            self.sent.append(parcel.name)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            answer = self.script(parcel, cancel)
        finally:
            with self._lock:
                self._now -= 1
        if isinstance(answer, Delivered):
            with self._lock:
                self.delivered[parcel.name] += 1
        return answer

    def close(self) -> None:
        self.closed.set()


def held_until(gate: threading.Event) -> Script:
    """Deliver once the gate is open; abandon when called off before."""

    def script(parcel: Parcel, cancel: threading.Event) -> Answer:
        while not gate.wait(0.005):
            if cancel.is_set():
                return Abandoned()
        return delivered(parcel)

    return script


@contextmanager
def in_thread(action: Callable[[], object], stop: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Run `action` on a thread; at the end call `stop` and wait. What it raised is in the list."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            raised.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    try:
        yield raised
    finally:
        stop()
        thread.join(20)
        assert not thread.is_alive(), "it did not end when asked to"
