"""What a worker may ask of whoever started it, and tell: in the service, the supervisor at the other end of a pipe."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol

from dropsafe.spool.clock import Clock

BEAT: Final = 2.0
"""Seconds between two signs of life (DESIGN 5). More often would only wake the supervisor, and so cost an idle machine."""

LEASE: Final = 900.0
"""For a step that has no place to beat from: the longest that the supervisor grants (its LEASE_LONGEST)."""


class Link(Protocol):
    """The worker's view of its supervisor. Calls never block."""

    def ready(self) -> None:
        """All set: the work begins."""

    def beat(self, progress: dict[str, object], *, lease: float = 0.0) -> None:
        """A sign of life from the work loop itself, every BEAT. `hand` in it names the claims held.

        `lease`: the seconds (at most LEASE) that the next step may take, for one that cannot beat from within.
        """

    def unexpected(self, text: str) -> None:
        """An error that nobody expected, and that the worker has dealt with: it is counted and shown. From any thread."""

    def stopping(self) -> bool:
        """Whether a stop was asked for, or the supervisor is gone: no new work, finish what is held."""
        ...

    def abandon(self) -> bool:
        """Phase two of a stop: abandon what is under way at its next checkpoint, and return the entries."""
        ...

    def probe_asked(self) -> bool:
        """Whether somebody asks, since the last call, to have the destination tried at once."""
        ...

    def on_stop(self, wake: Callable[[], None]) -> None:
        """`wake` is called, from another thread, when any of these is asked for."""


class Pulse:
    """Beats from within a long step: `tick` as often as you like. For the work loop's thread."""

    def __init__(self, clock: Clock, beat: Callable[[float], None]) -> None:
        """`beat` is given the lease (seconds) of the tick."""
        self._clock = clock
        self._send = beat
        self._next = 0.0

    def tick(self, lease: float = 0.0) -> None:
        """A beat, if BEAT seconds have passed since the last one."""
        if self._clock.monotonic() >= self._next:
            self.beat(lease)

    def beat(self, lease: float = 0.0) -> None:
        """A beat in any case."""
        self._next = self._clock.monotonic() + BEAT
        self._send(lease)


class LocalLink:
    """The link of work done in this process, without a supervisor. Safe for threads."""

    def __init__(self, on_beat: Callable[[dict[str, object]], None] | None = None) -> None:
        self._on_beat = on_beat
        self._wakes: list[Callable[[], None]] = []
        self._stopping = threading.Event()
        self._abandon = threading.Event()
        self._probe = threading.Event()
        self.is_ready = threading.Event()
        self.progress: dict[str, object] = {}

    def ready(self) -> None:
        self.is_ready.set()

    def beat(self, progress: dict[str, object], *, lease: float = 0.0) -> None:  # noqa: ARG002 - nobody watches
        self.progress = progress
        if self._on_beat is not None:
            self._on_beat(progress)

    def unexpected(self, text: str) -> None:
        """It is in the log."""

    def stopping(self) -> bool:
        return self._stopping.is_set()

    def abandon(self) -> bool:
        return self._abandon.is_set()

    def probe_asked(self) -> bool:
        if not self._probe.is_set():
            return False
        self._probe.clear()
        return True

    def on_stop(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)

    def stop(self) -> None:
        """Ask for phase one."""
        self._stopping.set()
        self._wake_all()

    def abandon_now(self) -> None:
        """Ask for phase two."""
        self._abandon.set()
        self.stop()

    def probe(self) -> None:
        """Ask for a probe."""
        self._probe.set()
        self._wake_all()

    def _wake_all(self) -> None:
        for wake in tuple(self._wakes):
            wake()
