"""The one place that every error comes to, from any thread or slot, and where a person reads it.

The same error again is one notice with a count. A notice stands until a person closes it, or until what it is about has
succeeded; then it is seen for some seconds all the same.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Final

from PySide6.QtCore import QCoreApplication, QMetaObject, QObject, Qt, QTimer, Signal
from shiboken6 import isValid

from dropsafe.gui.trouble import Trouble, trouble_of

MOST_KEPT: Final = 100
LEAST_SEEN: Final = 8.0
"""Seconds for which a notice is seen, though it was solved at once."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Notice:
    """One trouble, how often it came, and when it came last (wall time)."""

    trouble: Trouble
    count: int
    last: float


class ErrorCentre(QObject):
    """`report` may be called from any thread."""

    changed = Signal()
    _reported = Signal(object)

    def __init__(self, parent: QObject | None = None, wall: Callable[[], float] = time.time) -> None:
        super().__init__(parent)
        self._wall = wall
        self._notices: dict[tuple[str, str], Notice] = {}
        self._hooks: tuple[Any, Any, Any] | None = None
        self._is_telling = False
        # By a signal: whoever reports may be on a thread that must not touch what is shown.
        self._reported.connect(self._add)

    def report(self, trouble: Trouble) -> None:
        """Have it shown. In vain once the window is gone: the log has it."""
        if isValid(self):
            self._reported.emit(trouble)

    def notices(self) -> list[Notice]:
        """The newest first."""
        return sorted(self._notices.values(), key=lambda notice: notice.last, reverse=True)

    def close_notice(self, notice: Notice) -> None:
        """A person has read it."""
        self._notices.pop(_key(notice.trouble), None)
        self.changed.emit()

    def succeeded(self, about: str) -> None:
        """What failed before was done: what was told of it goes, as soon as it was seen for long enough."""
        if not about:
            return
        now = self._wall()
        for notice in self.notices():
            if notice.trouble.about == about:
                rest = notice.last + LEAST_SEEN - now
                if rest <= 0:
                    self.close_notice(notice)
                else:
                    QTimer.singleShot(round(rest * 1000), self, partial(self._close_if_same, notice, notice.last))

    def _close_if_same(self, notice: Notice, last: float) -> None:
        if notice.last == last and self._notices.get(_key(notice.trouble)) is notice:
            self.close_notice(notice)

    def close_all(self) -> None:
        """A person has read them all."""
        self._notices.clear()
        self.changed.emit()

    def install(self) -> None:
        """Have every error that nobody catches come here, and into the log, until `uninstall`."""
        self._hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
        sys.excepthook = self._on_uncaught
        threading.excepthook = self._on_thread
        sys.unraisablehook = self._on_unraisable

    def uninstall(self) -> None:
        """As it was before."""
        if self._hooks is not None:
            sys.excepthook, threading.excepthook, sys.unraisablehook = self._hooks
            self._hooks = None

    def _add(self, trouble: Trouble) -> None:
        notice = self._notices.get(_key(trouble))
        if notice is None:
            self._notices[_key(trouble)] = Notice(trouble, 1, self._wall())
            if len(self._notices) > MOST_KEPT:
                del self._notices[_key(self.notices()[-1].trouble)]
        else:
            notice.count += 1
            notice.last = self._wall()
        if self._is_telling:
            return  # it came from showing another: to show it at once would bring it again without end
        self._is_telling = True
        try:
            self.changed.emit()
        finally:
            self._is_telling = False

    def _unexpected(self, error: BaseException, what: str) -> None:
        _log.error("%s met an error that was not expected", what, exc_info=error)
        self.report(trouble_of(error, what))

    def _on_uncaught(self, _kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            # Queued, for it may come amid the painting of the window that is closed; by Qt alone, without a call of Python
            # that the next Ctrl-C would interrupt.
            app = QCoreApplication.instance()
            if app is not None:
                QMetaObject.invokeMethod(app, "quit", Qt.ConnectionType.QueuedConnection)
        else:
            self._unexpected(error.with_traceback(trace), "The window")
        # A slot that raised would else keep its page alive for as long as the interpreter remembers the error.
        sys.last_type = sys.last_value = sys.last_traceback = None

    def _on_thread(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            self._unexpected(args.exc_value, f"The thread {args.thread.name if args.thread else 'of the window'}")

    def _on_unraisable(self, args: sys.UnraisableHookArgs) -> None:
        if args.exc_value is not None:
            self._unexpected(args.exc_value, "The window")


def _key(trouble: Trouble) -> tuple[str, str]:
    return trouble.title, trouble.text
