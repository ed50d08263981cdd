"""What works beside the supervisor's loop and is turned by it: each knows the service, none can hold it up or end it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from dropsafe.log import log_unexpected
from dropsafe.spool.health import Problem
from dropsafe.supervisor import reasons, unexpected

_log = logging.getLogger(__name__)


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
    """The office, if there is one, and the others. An error of one is logged and shown, and the loop goes on."""

    def __init__(self, office: Office | None = None, *others: Companion) -> None:
        self._office = office
        self._all: tuple[Companion, ...] = others if office is None else (office, *others)
        self._errors = 0
        self._last_error = ""

    def begin(self) -> None:
        for each in self._all:
            self._guarded(each.begin)

    def turn(self, now: float) -> None:
        for each in self._all:
            self._guarded(each.turn, now)

    def problems(self) -> list[Problem]:
        found: list[Problem] = []
        for each in self._all:
            self._guarded(lambda each=each: found.extend(each.problems()))
        if self._errors:
            found.append(reasons.own_errors(self._errors, self._last_error))
        return found

    def end(self) -> None:
        for each in self._all:
            self._guarded(each.end)

    def log(self, worker: str, message: Mapping[str, Any]) -> None:
        if self._office is not None:
            self._guarded(self._office.log, worker, message)

    def reloaded(self, error: str) -> None:
        if self._office is not None:
            self._guarded(self._office.reloaded, error)

    def _guarded(self, action: Callable[..., object], *arguments: object) -> None:
        try:
            action(*arguments)
        except Exception as error:  # noqa: BLE001 - deliveries must not end for what only tells of them
            text = unexpected.in_words(error)
            if text != self._last_error:  # in every turn the same is no news
                log_unexpected(
                    _log, "What works beside the service's main loop met an error that it did not expect", error
                )
                self._errors += 1
                self._last_error = text
