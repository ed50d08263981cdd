"""Delivery by a function of the user's own program: it gets the data, and says by its answer whether the server has it.

True (or anything that counts as true) is delivered. Everything else means: not this time. Whatever the function
raises is logged with its traceback and never reaches the engine.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from dropsafe.errors import UsageError
from dropsafe.queues.operations import SUFFIX, OperationRefused, decode
from dropsafe.spool.receipts import Grade
from dropsafe.workers.outcome import Abandoned, Answer, Damaged, Deferred, Delivered, Rejected
from dropsafe.workers.payload import CalledOff, Payload, PayloadDamaged, PayloadUnreadable
from dropsafe.workers.transport import Parcel

log = logging.getLogger(__name__)

Callback = Callable[[dict[str, Any]], object]
METHODS: Final = ("submit", "submit_report", "report.submit", "report.submit_report")
"""What an API object may offer; the first that there is, is called."""

NOT_AN_OPERATION = "it is not an operation, so this program's callback cannot send it; the Dropsafe service can"
_LONGEST_ID = 200
_POLL = 0.1


class CallbackTransport:
    """Calls `callback(data)` on the thread that asks. What it returns to be awaited is awaited on `loop_of()`.

    `on_failure(id, why)` is told of each operation that was tried and not delivered.
    """

    def __init__(
        self,
        callback: Callback,
        loop_of: Callable[[], asyncio.AbstractEventLoop],
        on_failure: Callable[[str, str], None],
    ) -> None:
        self._callback = callback
        self._loop_of = loop_of
        self._on_failure = on_failure
        self._address = f"callback {name_of(callback)}"
        self._counting = threading.Lock()
        self._closed = threading.Event()
        self.active = 0
        """Calls under way."""

    def send(self, parcel: Parcel, cancel: threading.Event) -> Answer:
        """See `Transport.send`."""
        try:
            body, sha256 = _read(parcel, cancel)
        except CalledOff:
            return Abandoned()
        except PayloadDamaged as error:
            return Damaged(str(error))
        except PayloadUnreadable as error:
            return self._failed(parcel, Deferred(str(error), ours=True))
        operation = decode(body)
        if operation is None:
            return self._failed(parcel, Deferred(NOT_AN_OPERATION, ours=True))
        with self._counted():
            return self._judged(parcel, operation[1], sha256, cancel)

    def close(self) -> None:
        """See `Transport.close`. A function that blocks its thread cannot be interrupted; one that is awaited is."""
        self._closed.set()

    def _judged(self, parcel: Parcel, data: dict[str, Any], sha256: str, cancel: threading.Event) -> Answer:
        try:
            result = self._callback(data)
            if inspect.isawaitable(result):
                result = self._awaited(result, cancel)
            if result:
                server_id = result[:_LONGEST_ID] if isinstance(result, str) else None
                return Delivered(0, Grade.CALLBACK, server_id, self._address, sha256)
        except CalledOff:
            return Abandoned()
        except OperationRefused as error:
            return Rejected(error.message, "")
        except BaseException as error:  # noqa: BLE001 - the user's code: SystemExit, too, must not end our thread
            return self._failed(parcel, Deferred(told(error)), error)
        why = f"{name_of(self._callback)} returned {result!r:.100}; it must return true once the server has it"
        return self._failed(parcel, Deferred(why))

    def _failed(self, parcel: Parcel, answer: Deferred, error: BaseException | None = None) -> Deferred:
        log.warning("operation %s was not delivered: %s", parcel.id, answer.why, exc_info=error)
        self._on_failure(parcel.id, answer.why)
        return answer

    def _awaited(self, awaitable: Awaitable[object], cancel: threading.Event) -> object:
        """Wait for it, looking at `cancel` meanwhile. Raises what it raises, or CalledOff."""
        loop = self._loop_of()
        task = _finished(awaitable)
        try:
            future = asyncio.run_coroutine_threadsafe(task, loop)
        except RuntimeError:  # the loop is closed
            task.close()
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise
        while not concurrent.futures.wait((future,), _POLL).done:
            if cancel.is_set() or self._closed.is_set():
                future.cancel()
                raise CalledOff
            if not loop.is_running():
                future.cancel()
                raise RuntimeError("the program's event loop has stopped")
        if future.cancelled():
            if cancel.is_set() or self._closed.is_set():
                raise CalledOff
            raise RuntimeError("the call was cancelled")
        return future.result()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._counting:
            self.active += 1
        try:
            yield
        finally:
            with self._counting:
                self.active -= 1


class PrivateLoop:
    """An event loop in a thread of its own, begun when it is first asked for: for programs that run none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        with self._lock:
            if self._thread is None:
                self._ready.clear()
                self._thread = threading.Thread(
                    target=lambda: asyncio.run(self._idle()), name="dropsafe-loop", daemon=True
                )
                self._thread.start()
                self._ready.wait()
            assert self._loop is not None
            return self._loop

    def close(self, patience: float = 5.0) -> None:
        """End it; what still runs on it is cancelled."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None and self._loop is not None and self._end is not None:
                self._loop.call_soon_threadsafe(self._end.set)
                thread.join(patience)

    async def _idle(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._end.wait()


def callback_of(api: object) -> Callback:
    """The function to call: `api` itself, or the first of METHODS that it has. Raises UsageError if there is none."""
    if not inspect.isroutine(api):
        for path in METHODS:
            method = api
            for name in path.split("."):
                method = getattr(method, name, None)
            if callable(method):
                return method
    if callable(api):
        return api
    raise UsageError(
        f"{type(api).__name__} cannot send operations: it is not callable and has none of {', '.join(METHODS)}. "
        "Nothing was changed.",
        remedy="Give a function that takes the data and returns true once the server has it, or None to queue only.",
    )


def name_of(callback: Callback) -> str:
    """How people know that function."""
    return str(getattr(callback, "__qualname__", None) or type(callback).__qualname__)


def told(error: BaseException) -> str:
    """An exception in one line, without its traceback."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _read(parcel: Parcel, cancel: threading.Event) -> tuple[bytes, str]:
    """The body, found intact, and its SHA-256. A file that cannot be an operation is not read: that may take long."""
    if not parcel.path.name.endswith(SUFFIX):
        raise PayloadUnreadable(NOT_AN_OPERATION)
    with Payload(parcel, cancel) as payload:
        return b"".join(payload.blocks()), payload.sha256


async def _finished(awaitable: Awaitable[object]) -> object:
    return await awaitable
