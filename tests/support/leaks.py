"""Six probes for what a page leaves behind when it is closed. No single one finds every kind, so a test asks all.

A probe counts; what it counted before is compared with after, once everything that was put off has been done.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import ref

from PySide6.QtCore import SIGNAL, QCoreApplication, QEvent, QMetaMethod, QObject, QTimer
from PySide6.QtWidgets import QApplication, QWidget
from shiboken6 import Shiboken

from tests.support.window import pause

WARM_UP = 3
PATIENCE = 10.0
_OF_THE_SERVICE = ("ipc", "job-")
_TASKS, _OPEN = Path("/proc/self/task"), Path("/proc/self/fd")


class Leaks:
    """Of the pages that are given to `watch`, and of the connections to `senders`, which live longer than they."""

    def __init__(self, *senders: QObject) -> None:
        self._senders = senders
        self._pages: list[ref[QWidget]] = []

    def watch(self, page: QWidget) -> None:
        """It should be gone by the next `count`."""
        self._pages.append(ref(page))

    def count(self) -> Counter[str]:
        """What there is now, when all that was put off is done."""
        settle()
        wrappers = [made for made in Shiboken.getAllValidWrappers() if isinstance(made, QObject)]
        self._pages = [page for page in self._pages if page() is not None]
        return Counter(
            {
                "pages": len(self._pages),
                "widgets": len(QApplication.allWidgets()),
                "timers": sum(isinstance(made, QTimer) and made.isActive() for made in wrappers),
                "objects": len(wrappers),
                "threads": len(_threads()),
                "descriptors": len(os.listdir(_OPEN)),
                "receivers": sum(receivers(sender) for sender in self._senders),
            }
        )

    def growth(self, before: Counter[str], patience: float = PATIENCE) -> dict[str, int]:
        """By probe, what there is more than before; waited for, since a thread that is let go needs a moment to end."""
        deadline = time.monotonic() + patience
        while True:
            after = self.count()
            grown = {probe: after[probe] - before[probe] for probe in after if after[probe] > before[probe]}
            if not grown or time.monotonic() >= deadline:
                return grown
            pause(20)


def grown_by(
    cycle: Callable[[Leaks], Any], times: int, *senders: QObject, patience: float = PATIENCE
) -> dict[str, int]:
    """What is left behind by so many cycles, after a few to warm up."""
    leaks = Leaks(*senders)
    for _ in range(WARM_UP):
        cycle(leaks)
    before = leaks.count()
    for _ in range(times):
        cycle(leaks)
    grown = leaks.growth(before, patience)
    if 0 < grown.get("descriptors", 0) < times:
        # Whatever each cycle leaves open comes once a cycle; a library opens one of its own now and then.
        del grown["descriptors"]
    return grown


def settle() -> None:
    """Do what was put off: events, deletions, cycles of references."""
    # The last error of all keeps the frames that it passed, and with them a page.
    sys.last_type = sys.last_value = sys.last_traceback = None
    for _ in range(2):
        QCoreApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)  # type: ignore[arg-type]
        gc.collect()


def receivers(sender: QObject) -> int:
    """How many listen to any signal of it."""
    return sum(sender.receivers(SIGNAL(signature)) for signature in _signals(sender))


def _threads() -> set[str]:
    """Without those of the service, which in these tests is in this process and starts a thread when it is asked."""
    its = {str(thread.native_id) for thread in threading.enumerate() if thread.name.startswith(_OF_THE_SERVICE)}
    return set(os.listdir(_TASKS)) - its


def _signals(sender: QObject) -> Iterator[str]:
    meta = sender.metaObject()
    for place in range(meta.methodCount()):
        method = meta.method(place)
        if method.methodType() is QMetaMethod.MethodType.Signal:
            yield bytes(method.methodSignature().data()).decode()
