"""What a worker may ask of whoever started it, and tell: in the service, the supervisor at the other end of a pipe."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol

BEAT: Final = 2.0
"""Seconds between two signs of life (DESIGN 5). More often would only wake the supervisor, and so cost an idle machine."""


class Link(Protocol):
    """The worker's view of its supervisor. Calls never block."""

    def ready(self) -> None:
        """All set: the work begins."""

    def beat(self, progress: dict[str, object]) -> None:
        """A sign of life from the work loop itself, every BEAT. `hand` in it names the claims held."""

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

    def beat(self, progress: dict[str, object]) -> None:
        self.progress = progress
        if self._on_beat is not None:
            self._on_beat(progress)

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
