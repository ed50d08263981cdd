"""What works beside the supervisor's loop and is turned by it: each knows the service, none can hold it up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from dropsafe.spool.health import Problem


class Companion(Protocol):
    """What is begun, turned and ended with the loop. No call waits, but for the end, which is short."""

    def begin(self) -> None: ...

    def turn(self, now: float) -> None:
        """Called at least once a second, with a monotonic time."""

    def problems(self) -> Iterable[Problem]:
        """Why not all is well with it."""

    def end(self) -> None: ...


class Office(Companion, Protocol):
    """What answers people while the service runs."""

    def log(self, worker: str, message: Mapping[str, Any]) -> None:
        """A line of a worker's log."""

    def reloaded(self, error: str) -> None:
        """The configuration was read again; `error` says why it was refused, if it was."""


class Beside:
    """The office, if there is one, and the others."""

    def __init__(self, office: Office | None = None, *others: Companion) -> None:
        self._office = office
        self._all: tuple[Companion, ...] = others if office is None else (office, *others)

    def begin(self) -> None:
        for each in self._all:
            each.begin()

    def turn(self, now: float) -> None:
        for each in self._all:
            each.turn(now)

    def problems(self) -> Iterator[Problem]:
        for each in self._all:
            yield from each.problems()

    def end(self) -> None:
        for each in self._all:
            each.end()

    def log(self, worker: str, message: Mapping[str, Any]) -> None:
        if self._office is not None:
            self._office.log(worker, message)

    def reloaded(self, error: str) -> None:
        if self._office is not None:
            self._office.reloaded(error)
