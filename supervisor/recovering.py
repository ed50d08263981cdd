"""The recovery at the start, in a thread of its own: it may be long, and may be killed at any point, so that a stop
need not wait for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from dropsafe.errors import DropsafeError, SpoolError
from dropsafe.log import log_unexpected

_log = logging.getLogger(__name__)


class Recovering:
    """`done` is called when it is over, from its thread; then `check` tells how it went."""

    def __init__(self, recover: Callable[[], object], done: Callable[[], None]) -> None:
        self._recover = recover
        self._done = done
        self._error: BaseException | None = None

    def begin(self) -> None:
        threading.Thread(target=self._run, name="recovery", daemon=True).start()

    def check(self) -> None:
        """Raises DropsafeError if the spool is not in order."""
        error = self._error
        if isinstance(error, DropsafeError):
            raise error
        if error is not None:
            log_unexpected(_log, "The spool could not be put in order at the start", error)
            raise SpoolError(
                f"The spool could not be put in order at the start ({error}). Nothing is lost; entries wait in it.",
                remedy="See that its disk is there, writable and not full, then start the service again.",
            ) from error

    def _run(self) -> None:
        try:
            self._recover()
        except BaseException as error:  # noqa: BLE001 - handed to the loop, which ends the service with it
            self._error = error
        self._done()
