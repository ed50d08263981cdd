"""Work of a page that is no request to the service: a callable or a coroutine on a thread, with an end that is told.

A task that is cancelled is not heard of again; its thread ends when the work does, for Python cannot stop it.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from PySide6.QtCore import QObject, Signal
from shiboken6 import isValid

Work = Callable[[], Any] | Coroutine[Any, Any, Any]


class Task(QObject):
    """One, a child of whoever began it. `done` has its id and its result, `failed` its id and the exception."""

    done = Signal(str, object)
    failed = Signal(str, object)
    _numbers = itertools.count(1)

    def __init__(self, owner: QObject, work: Work, name: str) -> None:
        super().__init__(owner)
        self.id = f"{name}-{next(self._numbers)}"
        self.name = name
        self._lock = threading.Lock()
        self._is_wanted = True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), name=f"task-{self.id}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Neither signal comes any more. A coroutine is cancelled at its next await."""
        with self._lock:
            self._is_wanted = False
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._cancel_all, self._loop)
        self.deleteLater()

    @staticmethod
    def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()

    def _run(self, work: Work) -> None:
        try:
            result = work() if callable(work) else work
            if inspect.iscoroutine(result):
                result = asyncio.run(self._awaited(result))
        except BaseException as error:  # noqa: BLE001 - the boundary of the thread; the page is told, or a person
            self._emit(self.failed, error)
        else:
            self._emit(self.done, result)

    async def _awaited(self, work: Coroutine[Any, Any, Any]) -> Any:
        with self._lock:
            if not self._is_wanted:
                work.close()
                raise asyncio.CancelledError
            self._loop = asyncio.get_running_loop()
        try:
            return await work
        finally:
            with self._lock:
                self._loop = None

    def _emit(self, signal: Any, value: object) -> None:
        with self._lock:
            if self._is_wanted and isValid(self):
                signal.emit(self.id, value)
