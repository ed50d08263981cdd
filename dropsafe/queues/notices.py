"""Telling the user's program what happened, by its callbacks: in order, one at a time, never on a thread that delivers.

A callback that raises is logged and told again the next time; one that is slow or hangs delays other notices alone.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

from dropsafe.errors import UsageError

log = logging.getLogger(__name__)

Notice = Callable[[], object]
LAST_NOTICES = 5.0
"""Seconds for which what is left may be told at the end."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the program wants to hear; None is not called."""

    on_changed: Callable[[int], object] | None = None
    on_queued: Callable[[str], object] | None = None
    on_sent: Callable[[str], object] | None = None
    on_failed: Callable[[str, str], object] | None = None


class Notices:
    """Hands each notice to `post`, which is to call it soon, in order. Safe for threads."""

    def __init__(self, callbacks: Callbacks, post: Callable[[Notice], None], count: Callable[[], int]) -> None:
        self._callbacks = callbacks
        self._post = post
        self._count = count
        self._lock = threading.Lock()
        self._kept_back: dict[str, list[Notice]] = {}
        self._change_is_posted = False

    @contextmanager
    def queueing(self, operation_id: str) -> Iterator[None]:
        """Around an acceptance: what happens to the operation meanwhile is told after `on_queued`, not before."""
        with self._lock:
            self._kept_back[operation_id] = []
        told = False
        try:
            yield
            told = True
        finally:
            with self._lock:
                later = self._kept_back.pop(operation_id)
                if told and (on_queued := self._callbacks.on_queued) is not None:
                    self._post(lambda: on_queued(operation_id))
                for notice in later:
                    self._post(notice)
        self.changed()

    def sent(self, operation_id: str) -> None:
        """It is in `sent/`, with its receipt."""
        if (on_sent := self._callbacks.on_sent) is not None:
            self._tell(operation_id, lambda: on_sent(operation_id))

    def failed(self, operation_id: str, why: str) -> None:
        """It needs a person's attention. No id: what failed is the delivering itself."""
        if (on_failed := self._callbacks.on_failed) is not None:
            self._tell(operation_id, lambda: on_failed(operation_id, why))

    def changed(self) -> None:
        """The number of waiting operations may be another. Several of these are told as one."""
        if self._callbacks.on_changed is None:
            return
        with self._lock:
            if not self._change_is_posted:
                self._change_is_posted = True
                self._post(self._tell_count)

    def _tell(self, operation_id: str, notice: Notice) -> None:
        with self._lock:
            kept_back = self._kept_back.get(operation_id)
            if kept_back is None:
                self._post(notice)
            else:
                kept_back.append(notice)

    def _tell_count(self) -> object:
        with self._lock:
            self._change_is_posted = False
        on_changed = self._callbacks.on_changed
        return None if on_changed is None else on_changed(self._count())


class NoticeThread:
    """Calls notices on a thread of its own, begun with the first."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Notice | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def post(self, notice: Notice) -> None:
        """Call it soon."""
        with self._lock:
            self._queue.put(notice)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="dropsafe-notices", daemon=True)
                self._thread.start()

    def close(self, patience: float) -> None:
        """Tell what is left, for at most `patience` seconds, and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(patience)

    def _work(self) -> None:
        while (notice := self._queue.get()) is not None:
            run_notice(notice)


def run_notice(notice: Notice) -> object:
    """Call it. An exception is logged: the user's mistake must not stop a delivery, nor later notices."""
    try:
        return notice()
    except BaseException:  # the user's code: SystemExit, too
        log.exception("a callback of the program raised; nothing else is affected")
        return None


def without_coroutines(callbacks: Callbacks) -> Callbacks:
    """The same. Raises UsageError if one is an `async def`: nothing would ever run it."""
    for name in Callbacks.__slots__:
        if inspect.iscoroutinefunction(getattr(callbacks, name)):
            raise UsageError(f"{name} is an async function; here it must be a plain one. Nothing was changed.")
    return callbacks
