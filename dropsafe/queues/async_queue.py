"""`AsyncPendingQueue`: the queue of operations for programs with an event loop, which it never blocks with disk work.

A cancellation at any await leaves each operation in exactly one place: what was being saved is saved whole or not at
all, and only the delivery thread moves entries.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from dropsafe.errors import QueueFullError
from dropsafe.queues.callback import Callback, callback_of
from dropsafe.queues.manner import MIN_FREE_BYTES, STOP_TIMEOUT, limits, manner
from dropsafe.queues.notices import LAST_NOTICES, Callbacks, Notice, Notices, NoticeThread, run_notice
from dropsafe.queues.operation_spool import FAILED, WAITING, OperationSpool
from dropsafe.queues.operations import QueuedOperation, encode
from dropsafe.spool import SYSTEM_CLOCK, Clock, WhenFull

if TYPE_CHECKING:
    from dropsafe.queues.inprocess import InProcess

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_ROOM_POLL = 0.1
_LOOK_CLOSER = 5.0
"""Seconds after which one that waits for room tries whatever the count says: that may be too high."""
_TRY_POLL = 0.02


class Count(int):
    """A number that may also be awaited, as the one that present users await."""

    def __await__(self) -> Generator[Any, None, int]:
        return asyncio.sleep(0, int(self)).__await__()


class AsyncPendingQueue:
    """A queue of operations in the folder `reports_dir`. Use it with `async with`, or call `stop()`.

    `api` sends: a function of the data, plain or async, or an object with such a `submit`, `submit_report` or
    `report.submit`. It returns true once the server has the data; anything else, or an exception, means that it is
    called again later, as `QueueManager` says. At most `max_concurrent` calls are under way at once. None: this only
    queues, and the service sends. The callbacks `on_…` are called on the event loop.

    With an `api`, entering `async with` begins to deliver; `run()` does too, and returns when `stop()` was called.
    """

    def __init__(
        self,
        api: object | None,
        reports_dir: str | os.PathLike[str],
        max_concurrent: int = 5,
        max_queue_size: int = 10_000,
        *,
        queue_full_action: str = "reject",
        retry_interval_ms: float = 30_000,
        max_retries: int = 10,
        on_changed: Callable[[int], object] | None = None,
        on_queued: Callable[[str], object] | None = None,
        on_sent: Callable[[str], object] | None = None,
        on_failed: Callable[[str, str], object] | None = None,
        block_timeout: float = 60.0,
        stop_timeout: float = STOP_TIMEOUT,
        min_free_bytes: int = MIN_FREE_BYTES,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Touches no file yet: the spool is opened, or made, by the first call that needs it. Raises UsageError."""
        self._callback: Callback | None = None if api is None else callback_of(api)
        self._manner = manner(retry_interval_ms, max_retries, max_concurrent, stop_timeout)
        self._limits = limits(
            max_queue_size, queue_full_action, block_timeout, min_free_bytes, self._manner.longest_backoff
        )
        self._teller = NoticeThread()
        self._callbacks = Callbacks(
            self._on_loop(on_changed), self._on_loop(on_queued), self._on_loop(on_sent), self._on_loop(on_failed)
        )
        self._dir = Path(os.path.abspath(os.fspath(reports_dir)))
        self._clock = clock
        self._opening = threading.Lock()
        self._beginning = threading.Lock()
        self._counting = threading.Lock()
        self._operations: OperationSpool | None = None
        self._notices: Notices | None = None
        self._delivery: InProcess | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._paused = False
        self._queued = 0
        self._background: set[asyncio.Future[Any]] = set()

    # Life

    async def __aenter__(self) -> Self:
        await self._in_thread(self._open)
        if self._callback is not None:
            await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def run(self) -> None:
        """Deliver until `stop()`. When this is cancelled, it stops in two phases before it raises."""
        stopped = await self._start()
        try:
            await stopped.wait()
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End delivering and let go of the spool. May be called again; `run()` begins anew.

        Two phases: calls under way are finished, for up to `stop_timeout` seconds; then they are cancelled, and their
        operations go back to the queue. If this is cancelled, the second phase begins at once, and ends by itself.
        """
        stopped, self._stopped = self._stopped, None
        self._paused = False
        try:
            await self._in_thread(self._close)
        except asyncio.CancelledError:
            if self._delivery is not None:
                self._delivery.abandon()
            raise
        finally:
            if stopped is not None:
                stopped.set()

    async def pause(self) -> None:
        """Begin no more calls; those under way go on (`get_active_count`). Operations are still accepted."""
        self._paused = True
        if self._delivery is not None:
            self._delivery.pause()

    async def resume(self) -> None:
        """Go on after `pause`."""
        self._paused = False
        if self._delivery is not None:
            self._delivery.resume()

    async def submit_all_pending(self) -> None:
        """Return when everything that is due now has been tried once, or the destination has proved unavailable.

        Delivers for that time if nothing else has begun to. Without an `api` the service delivers: nothing to do.
        """
        if self._callback is None:
            log.info("nothing is sent by this queue, which has no api: the service delivers")
            return
        begun_here = self._stopped is None
        await self._start()
        try:
            delivery = self._delivery
            assert delivery is not None
            looks = delivery.looks()
            while not delivery.is_through(looks):
                await asyncio.sleep(_TRY_POLL)
        finally:
            if begun_here:
                await self.stop()

    # Operations

    async def queue_operation(self, operation_type: str, data: dict[str, Any], *, entry_id: str | None = None) -> str:
        """Save an operation; its id, once it is durable. Raises as `QueueManager.enqueue` does.

        Cancelled half-way, it is saved whole or not at all; the log has the id if it was.
        """
        body = encode(operation_type, data)
        self._loop = asyncio.get_running_loop()
        operations = await self._in_thread(self._open)
        operation_id = entry_id or operations.new_id()
        wait = {WhenFull.REJECT: 0.0, WhenFull.BLOCK: self._limits.block_timeout}.get(self._limits.when_full)
        now = self._clock.monotonic
        deadline = None if wait is None else now() + wait
        while True:
            try:
                return await self._in_thread(lambda: self._accept(operations, operation_type, body, operation_id))
            except QueueFullError:
                if deadline is not None and now() + _ROOM_POLL > deadline:
                    raise
            # Waiting is done here, not on a thread: a full queue must not use up the threads of the loop.
            look_closer = now() + _LOOK_CLOSER
            await asyncio.sleep(_ROOM_POLL)
            while not operations.room()[0] and now() < min(look_closer, deadline or look_closer):
                await asyncio.sleep(_ROOM_POLL)

    async def enqueue(self, operation_type: str, data: dict[str, Any], *, entry_id: str | None = None) -> str:
        """The same as `queue_operation`."""
        return await self.queue_operation(operation_type, data, entry_id=entry_id)

    async def get_pending_operations(self) -> list[QueuedOperation]:
        """Those that wait or are being sent, oldest first. Reads every one of them."""
        return await self._in_thread(lambda: self._open().operations(WAITING))

    async def get_failed_operations(self) -> list[QueuedOperation]:
        """Those that were refused or are damaged, oldest first."""
        return await self._in_thread(lambda: self._open().operations(FAILED))

    async def get_operation(self, operation_id: str) -> QueuedOperation:
        """The one with that id, wherever it is. Raises EntryNotFound."""
        return await self._in_thread(lambda: self._open().operation(operation_id))

    async def get_failed_count(self) -> int:
        """How many were refused, or are damaged."""
        return await self._in_thread(lambda: self._open().failed_count())

    async def retry_failed(self, operation_id: str) -> bool:
        """Send a failed one once more. False if no failed operation has that id, or if it was edited or damaged."""
        return await self._in_thread(lambda: self._changed(self._open().retry(operation_id)))

    async def delete_failed(self, operation_id: str) -> bool:
        """Give up a failed one: it goes to `discarded/`. False if no failed operation has that id."""
        return await self._in_thread(lambda: self._changed(self._open().discard(operation_id)))

    # Figures: a read of some bytes that the system has in memory, waiting for nobody

    def get_pending_count(self) -> Count:
        """How many wait or are being sent, as counted by the last audit and since. May be awaited or not."""
        return Count(self.queue_size)

    def get_active_count(self) -> Count:
        """Calls of `api` under way. May be awaited or not."""
        return Count(0 if self._delivery is None else self._delivery.active)

    def can_accept_report(self) -> tuple[bool, str]:
        """Whether one more would be accepted now, and if not, why."""
        return self._open().room()

    @property
    def queue_size(self) -> int:
        """The same as `get_pending_count()`."""
        return self._open().quick_count()

    @property
    def is_queue_full(self) -> bool:
        """Whether `max_queue_size` is reached. 0 is no limit."""
        return 0 < self._limits.max_queue_size <= self.queue_size

    @property
    def is_running(self) -> bool:
        """Whether it delivers, or would if the service did not. False while paused."""
        return self._stopped is not None and not self._paused

    @property
    def delivers(self) -> bool:
        """Whether this object sends; False if it only queues, for the service to send."""
        return self._delivery is not None and self._delivery.delivers

    @property
    def stats(self) -> dict[str, Any]:
        """Figures since this object was made, under our names and under those that users of other clients know.

        `deaths` counts those of the background thread, `last_death` says why.
        """
        figures = self._delivery.figures() if self._delivery is not None else {"delivers": False}
        delivered, deferred = figures.get("delivered", 0), figures.get("deferred", 0)
        refused = figures.get("rejected", 0) + figures.get("damaged", 0)
        pending = self.queue_size
        return {
            "queued": self._queued,
            "pending": pending,
            "max_queue_size": self._limits.max_queue_size,
            **figures,
            "total_submitted": delivered,
            "successful": delivered,
            "errors": deferred + refused,
            "retries": deferred,
            "queued_files": pending,
            "stuck_files": 0,
            "active_uploads": figures.get("active", 0),
        }

    # Inside

    async def _start(self) -> asyncio.Event:
        """Begin to deliver, unless that has begun. The event of the stop that ends it."""
        self._loop = asyncio.get_running_loop()
        if self._stopped is None:
            self._stopped = asyncio.Event()
        stopped = self._stopped
        await self._in_thread(lambda: self._begin(stopped))
        return stopped

    def _begin(self, stopped: asyncio.Event) -> None:
        """On a thread. Not if `stop()` was called before it came to this."""
        self._open()
        with self._beginning:
            if self._delivery is not None and self._stopped is stopped:
                if self._paused:
                    self._delivery.pause()
                self._delivery.start()

    def _open(self) -> OperationSpool:
        """The spool, opened or made at the first call; on a thread, unless figures are asked for before anything else."""
        with self._opening:
            if self._operations is None:
                operations = OperationSpool(self._dir, self._limits, self._clock)
                notices = Notices(self._callbacks, self._teller.post, operations.pending_count)
                if self._callback is not None:
                    from dropsafe.queues.inprocess import (
                        InProcess,  # a program which only queues does not load what delivers
                    )

                    self._delivery = InProcess(operations, self._callback, self._running_loop, notices, self._manner)
                self._operations, self._notices = operations, notices
            return self._operations

    def _close(self) -> None:
        """On a thread."""
        with self._beginning:
            if self._delivery is not None:
                self._delivery.stop()
                self._delivery.resume()
            self._teller.close(LAST_NOTICES)
            if self._operations is not None:
                self._operations.close()

    def _accept(self, operations: OperationSpool, operation_type: str, body: bytes, operation_id: str) -> str:
        """On a thread."""
        assert self._notices is not None
        with self._notices.queueing(operation_id):
            operations.submit(operation_type, body, operation_id, timeout=0.0)
        with self._counting:
            self._queued += 1
        return operation_id

    def _changed(self, moved: bool) -> bool:
        assert self._notices is not None
        self._notices.changed()
        return moved

    async def _in_thread(self, action: Callable[[], _T]) -> _T:
        """Its result. Begun, it is finished, whether or not whoever asked still waits."""
        # A future of the executor, not a task: the end of the program's loop cancels tasks.
        task = asyncio.get_running_loop().run_in_executor(None, action)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._background.add(task)
            task.add_done_callback(self._finished_alone)
            raise

    def _finished_alone(self, task: asyncio.Future[Any]) -> None:
        self._background.discard(task)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.warning("what was begun before a cancellation failed: %s", error)
        elif isinstance(task.result(), str):
            log.info("operation %s was saved, though its caller was cancelled", task.result())

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("no event loop has used this queue yet")
        return self._loop

    def _on_loop(self, callback: Callable[..., object] | None) -> Callable[..., object] | None:
        """The same callback, to be called on the program's event loop."""
        if callback is None:
            return None

        def call_soon(*args: object) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                self._running_loop().call_soon_threadsafe(self._run_notice, lambda: callback(*args))

        return call_soon

    def _run_notice(self, notice: Notice) -> None:
        result = run_notice(notice)
        if inspect.iscoroutine(result):
            task = asyncio.ensure_future(_logged(result))
            self._background.add(task)
            task.add_done_callback(self._background.discard)


async def _logged(callback: Coroutine[Any, Any, object]) -> None:
    try:
        await callback
    except Exception:
        log.exception("an async callback of the program raised; nothing else is affected")
