"""`QueueManager`: operations that programs want a server to have, kept in a spool until it has them.

Saved first, always: an id is returned when the operation is durable. The service delivers; where none runs, a
`send_callback` can, from this process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dropsafe.errors import UsageError
from dropsafe.queues.manner import MIN_FREE_BYTES, STOP_TIMEOUT, Manner, limits, manner
from dropsafe.queues.notices import LAST_NOTICES, Callbacks, Notices, NoticeThread, without_coroutines
from dropsafe.queues.operation_spool import FAILED, WAITING, OperationSpool
from dropsafe.queues.operations import NotSerialisable, OperationRefused, QueuedOperation, QueueStatus, encode
from dropsafe.spool import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from dropsafe.queues.callback import Callback, PrivateLoop
    from dropsafe.queues.inprocess import InProcess

__all__ = ["NotSerialisable", "OperationRefused", "QueueManager", "QueueStatus", "QueuedOperation"]


class QueueManager:
    """A queue of operations in the folder `queue_dir`. Safe for threads. Use it with `with`, or call `cleanup()`.

    `send_callback(data)`, plain or async, returns true once the server has the data; anything else, or an exception,
    means that it is called again: after `retry_interval_ms` (times on disk are steps of 10 s), then after as long as
    the operation is old, at most 15 minutes. Nothing is ever given up: at every `max_retries` failed attempts there is
    a warning and a call of `on_failed`, no more. To refuse one for good, raise `OperationRefused`. It is called on a
    background thread, for one operation at a time unless `max_concurrent` says otherwise; an operation may come twice
    (after a crash between the server's answer and the receipt).

    Where another process holds the spool's service lock, the service does the sending and this only queues: see
    `delivers`. The other callbacks are called on a thread of their own, one after another; what they raise is logged.
    """

    def __init__(
        self,
        queue_dir: str | os.PathLike[str],
        send_callback: Callback | None = None,
        retry_interval_ms: float = 30_000,
        max_retries: int = 10,
        *,
        max_queue_size: int = 10_000,
        queue_full_action: str = "reject",
        on_changed: Callable[[int], object] | None = None,
        on_queued: Callable[[str], object] | None = None,
        on_sent: Callable[[str], object] | None = None,
        on_failed: Callable[[str, str], object] | None = None,
        max_concurrent: int = 1,
        block_timeout: float = 60.0,
        stop_timeout: float = STOP_TIMEOUT,
        min_free_bytes: int = MIN_FREE_BYTES,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Makes the spool if nothing is at `queue_dir`, opens it otherwise.

        `max_queue_size` 0: no limit. `queue_full_action`: "reject" (QueueFullError at once), "block" (after
        `block_timeout` seconds), "pause" (wait for room). Raises UsageError, SpoolError, NoPermission.
        """
        if send_callback is not None and not callable(send_callback):
            raise UsageError(
                f"send_callback must be a function or None; it was {send_callback!r}. Nothing was changed."
            )
        callbacks = without_coroutines(Callbacks(on_changed, on_queued, on_sent, on_failed))
        asked = manner(retry_interval_ms, max_retries, max_concurrent, stop_timeout)
        bounds = limits(max_queue_size, queue_full_action, block_timeout, min_free_bytes, asked.longest_backoff)
        self._operations = OperationSpool(queue_dir, bounds, clock)
        self._teller = NoticeThread()
        self._notices = Notices(callbacks, self._teller.post, self._operations.pending_count)
        self._queued = 0
        self._counting = threading.Lock()
        self._loop: PrivateLoop | None = None
        self._delivery: InProcess | None = None
        if send_callback is not None:
            self._begin(send_callback, asked)

    @property
    def queue_dir(self) -> Path:
        """The spool's folder."""
        return self._operations.path

    @property
    def delivers(self) -> bool:
        """Whether this object sends; False if it only queues, for the service to send."""
        return self._delivery is not None and self._delivery.delivers

    @property
    def stats(self) -> dict[str, Any]:
        """Figures since this object was made. `deaths` counts those of the background thread, `last_death` says why."""
        figures = self._delivery.figures() if self._delivery is not None else {"delivers": False}
        return {
            "queued": self._queued,
            "pending": self._operations.quick_count(),
            "max_queue_size": self._operations.limits.max_queue_size,
            **figures,
        }

    def enqueue(self, operation_type: str, data: dict[str, Any], *, entry_id: str | None = None) -> str:
        """Save an operation; its id, once it is durable.

        `entry_id` repeats a try that ended in AcceptanceUnknown. Raises NotSerialisable (a TypeError), QueueFullError,
        AcceptError, AcceptanceUnknown, LockTimeout, NoPermission.
        """
        body = encode(operation_type, data)
        operation_id = entry_id or self._operations.new_id()
        with self._notices.queueing(operation_id):
            self._operations.submit(operation_type, body, operation_id)
        with self._counting:
            self._queued += 1
        return operation_id

    def queue_operation(self, operation_type: str, data: dict[str, Any], *, entry_id: str | None = None) -> str:
        """The same as `enqueue`."""
        return self.enqueue(operation_type, data, entry_id=entry_id)

    def get_pending_count(self) -> int:
        """How many wait or are being sent. Exact for some hundreds; for more, as counted by the last audit and since."""
        return self._operations.pending_count()

    def get_failed_count(self) -> int:
        """How many were refused, or are damaged."""
        return self._operations.failed_count()

    def get_pending_operations(self) -> list[QueuedOperation]:
        """Those that wait or are being sent, oldest first. Reads every one of them."""
        return self._operations.operations(WAITING)

    def get_failed_operations(self) -> list[QueuedOperation]:
        """Those that were refused (`failed/`) or are damaged (`quarantine/`), oldest first."""
        return self._operations.operations(FAILED)

    def get_operation(self, operation_id: str) -> QueuedOperation:
        """The one with that id, wherever it is. Raises EntryNotFound."""
        return self._operations.operation(operation_id)

    def retry_failed(self, operation_id: str) -> bool:
        """Send a failed one once more. Its attempts stay counted. False if no failed operation has that id, or if it was
        edited or damaged."""
        moved = self._operations.retry(operation_id)
        self._notices.changed()
        return moved

    def delete_failed(self, operation_id: str) -> bool:
        """Give up a failed one: it goes to `discarded/`, where it stays. False if no failed operation has that id."""
        moved = self._operations.discard(operation_id)
        self._notices.changed()
        return moved

    def cleanup(self) -> None:
        """End everything that this object has begun. May be called again, and at exit.

        Two phases: what is being sent is finished, for up to `stop_timeout` seconds; then it is abandoned and goes
        back to the queue. What is queued after this is still saved. Not to be called by `send_callback`.
        """
        if self._delivery is not None:
            self._delivery.stop()
        if self._loop is not None:
            self._loop.close()
        self._teller.close(LAST_NOTICES)
        self._operations.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cleanup()

    def _begin(self, send_callback: Callback, asked: Manner) -> None:
        # Here, so that a program which only queues does not load what delivers.
        from dropsafe.queues.callback import PrivateLoop
        from dropsafe.queues.inprocess import InProcess

        self._loop = PrivateLoop()
        self._delivery = InProcess(self._operations, send_callback, self._loop.get, self._notices, asked)
        self._delivery.start()
