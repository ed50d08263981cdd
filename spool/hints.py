"""Hints that something may have arrived. A hint is never more than that: a rescan always follows.

Every acceptance writes the admission counter, so watching that one small file tells of all of them.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from dropsafe.spool import durable
from dropsafe.spool.layout import Layout
from dropsafe.spool.platform import system

log = logging.getLogger(__name__)


class Hints:
    """A thread that calls `wake` after each change. Where that cannot be had, the rescans alone must do."""

    def __init__(self, layout: Layout, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._signal: system.ChangeSignal | None = None
        path = os.path.join(layout.locks, "admission")
        try:
            os.close(durable.open_shared("admission.open", path, layout.file_mode))
            self._signal = system.ChangeSignal(path)
        except OSError as error:
            log.warning("no hints of new entries (%s); they are found by the rescan, within a second", error)
            return
        self._thread = threading.Thread(target=self._listen, name="dropsafe-hints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        if self._signal is not None:
            self._signal.close()
            self._thread.join(timeout=5)
            self._signal = None

    def _listen(self) -> None:
        assert self._signal is not None
        while self._signal.wait():
            self._wake()
