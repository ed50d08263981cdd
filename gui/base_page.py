"""`BasePage`: owns all that a page of the window holds on to, and lets it go at once.

Timers, connections to what lives longer, requests and tasks are had by `every`, `link`, `call`, `run_async` and
`subscribe_event` alone; `cleanup()` ends them all, on close at the latest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal, SignalInstance
from PySide6.QtGui import QCloseEvent, QHideEvent, QShowEvent
from PySide6.QtWidgets import QWidget
from shiboken6 import isValid

from dropsafe.gui.sources import Snapshot
from dropsafe.gui.tasks import Task, Work
from dropsafe.gui.trouble import Trouble, trouble_of

if TYPE_CHECKING:
    from dropsafe.gui.bridge import Bridge, Reply
    from dropsafe.gui.error_centre import ErrorCentre

Heard = Callable[[Any], None]

_log = logging.getLogger(__name__)


class BasePage(QWidget):
    """`config` is whatever the program's own pages read their settings from. Without a bridge a page has no service: it
    can do all but `call`."""

    page_title = ""
    loading_changed = Signal(bool, str)

    def __init__(
        self,
        config: Mapping[str, Any],
        parent: QWidget | None = None,
        *,
        bridge: Bridge | None = None,
        errors: ErrorCentre | None = None,
    ) -> None:
        super().__init__(parent)
        self.config = config
        self.bridge = bridge
        self.errors = errors
        self._links: list[tuple[SignalInstance, Callable[..., Any]]] = []
        self._timers: list[QTimer] = []
        self._replies: list[Reply] = []
        self._tasks: dict[str, _Running] = {}
        self._subscribed: dict[str, list[Heard]] = {}
        self.looks: set[str] = set()
        """Jobs of the service that look something up for this page, and are of no use without it."""
        self._loading = 0
        self._is_clean = False
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if bridge is not None:
            self.link(bridge.events, self._hear)
            self.link(bridge.snapshot, self._look)

    # What a page may override

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """How it stands now; called about once a second while the page is seen, and when it is shown."""

    # What a page is given

    @property
    def is_loading(self) -> bool:
        """Whether something is waited for."""
        return self._loading > 0

    def link(self, signal: SignalInstance, slot: Callable[..., Any]) -> None:
        """Connect to something that lives longer than the page. `slot` is a method of it: a lambda would keep it alive."""
        if not isinstance(getattr(slot, "__self__", None), QObject):
            raise TypeError("link() takes a method of the page, not a function: a function would keep the page alive")
        signal.connect(slot)
        self._links.append((signal, slot))

    def every(self, seconds: float, slot: Callable[[], Any]) -> QTimer:
        """Call that method again and again while the page is seen."""
        timer = QTimer(self)
        timer.setInterval(round(seconds * 1000))
        timer.timeout.connect(slot)
        self._timers.append(timer)
        if self.isVisible():
            timer.start()
        return timer

    def call(
        self,
        method: str,
        *args: Any,
        on_answer: Heard | None = None,
        on_error: Callable[[Trouble], None] | None = None,
        patient: bool = False,
        **params: Any,
    ) -> Reply:
        """Ask the service (or, where none runs and it only reads, the folder). Without `on_error` a person is told."""
        if self.bridge is None:
            raise RuntimeError("this page has no bridge to a service")
        reply = self.bridge.ask(self, method, *args, patient=patient, **params)
        if on_answer is not None:
            reply.answered.connect(on_answer)
        reply.failed.connect(on_error or self.report)
        self._replies = [known for known in self._replies if isValid(known)]
        self._replies.append(reply)
        return reply

    def run_async(
        self,
        coro_or_call: Work,
        name: str = "task",
        on_complete: Heard | None = None,
        on_error: Heard | None = None,
        show_loading: bool = True,
    ) -> str:
        """Do it on a thread. `on_complete` hears the result, `on_error` the exception; without it a person is told. Its id."""
        task = Task(self, coro_or_call, name)
        self._tasks[task.id] = _Running(task, on_complete, on_error, show_loading)
        if show_loading:
            self.set_loading(True)
        task.done.connect(self._task_done)
        task.failed.connect(self._task_failed)
        task.start()
        return task.id

    def cancel_task(self, task_id: str) -> None:
        """Nothing is heard of it any more. One that is not known has ended."""
        running = self._ended(task_id)
        if running is not None:
            running.task.cancel()

    def cancel_all_tasks(self) -> None:
        """All of them."""
        for task_id in list(self._tasks):
            self.cancel_task(task_id)

    def set_loading(self, flag: bool, message: str = "") -> None:
        """Something is waited for, or no more; calls are counted."""
        self._loading = max(0, self._loading + (1 if flag else -1))
        self.loading_changed.emit(self.is_loading, message)

    def subscribe_event(self, event: str, callback: Heard) -> None:
        """Hear the service's events of that kind (`entries`, `job`, … and `gap`)."""
        self._subscribed.setdefault(event, []).append(callback)

    def unsubscribe_event(self, event: str, callback: Heard) -> None:
        """No more. Nothing happens if it did not."""
        heard = self._subscribed.get(event, [])
        if callback in heard:
            heard.remove(callback)

    def report(self, trouble: Trouble) -> None:
        """Have a person told."""
        if self.errors is None:
            raise RuntimeError(f"{trouble.title}: {trouble.text}")
        self.errors.report(trouble)

    def cleanup(self) -> None:
        """Let go of everything. The page is of no use after that; a second call does nothing."""
        if self._is_clean:
            return
        self._is_clean = True
        for timer in self._timers:
            timer.stop()
            timer.deleteLater()
        for signal, slot in self._links:
            with suppress(RuntimeError):  # what it was connected to is gone already
                signal.disconnect(slot)
        for reply in self._replies:
            if isValid(reply):
                reply.cancel()
        for job in self.looks:
            assert self.bridge is not None
            self.bridge.end_job(job)
        self.cancel_all_tasks()
        for held in (self._timers, self._links, self._replies, self._subscribed, self.looks):
            held.clear()

    # Qt's

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self.bridge is not None:
            self.show_snapshot(self.bridge.latest)
        for timer in self._timers:
            timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        for timer in self._timers:
            timer.stop()
        super().hideEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.cleanup()
        self.destroyed.connect(partial(_held_until_then, self))
        super().closeEvent(event)

    def _look(self, snapshot: Snapshot) -> None:
        if self.isVisible():
            self.show_snapshot(snapshot)

    def _hear(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            for callback in list(self._subscribed.get(event["kind"], ())):
                try:
                    callback(event)
                except Exception as error:  # noqa: BLE001 - the others hear it all the same, and a person is told
                    what = f"The page {self.page_title}"
                    _log.exception("%s met an error with the event %s", what, event["kind"])
                    self.report(trouble_of(error, what))

    def _task_done(self, task_id: str, result: object) -> None:
        running = self._ended(task_id)
        if running is not None and running.on_complete is not None:
            running.on_complete(result)

    def _task_failed(self, task_id: str, error: BaseException) -> None:
        running = self._ended(task_id)
        if running is None:
            return
        if running.on_error is not None:
            running.on_error(error)
        else:
            what = f"The page {self.page_title}"
            _log.error("%s: its task %s failed", what, task_id, exc_info=error)
            self.report(trouble_of(error, what))

    def _ended(self, task_id: str) -> _Running | None:
        """It, if it was still wanted; from now on it is not."""
        running = self._tasks.pop(task_id, None)
        if running is not None:
            running.task.deleteLater()
            if running.show_loading:
                self.set_loading(False)
        return running


# What is to be called is kept here and not by a connection of the task: a function that is freed while the task is
# destroyed may hold the last reference to the page, which would then be destroyed from within its own child.
@dataclass(frozen=True, slots=True)
class _Running:
    task: Task
    on_complete: Heard | None
    on_error: Heard | None
    show_loading: bool


def _held_until_then(_page: BasePage, *_: object) -> None:
    """A page without a parent belongs to Python, and would else be destroyed with the last function that a child of it is
    connected to, from within the end of that child."""
