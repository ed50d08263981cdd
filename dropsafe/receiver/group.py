"""Group commit: the price of one fsync is shared by all whose reports are on their way.

How many those are, the last commit tells: who took part in it or came while it lasted. As many are waited for, for 2 ms
at most, so one sender alone never waits. One thread commits, while the event loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

MOST_IN_A_COMMIT = 64
LONGEST_GATHERING = 0.002

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class GroupCommit(Generic[_In, _Out]):
    """Hands what it gathers to `commit`, which runs in a thread and returns one result each, or raises for all."""

    def __init__(self, commit: Callable[[list[_In]], list[_Out]]) -> None:
        self._commit = commit
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "group-commit")
        self._waiting: list[tuple[_In, asyncio.Future[_Out]]] = []
        self._expected = 1
        self._timer: asyncio.TimerHandle | None = None
        self._committing = False
        self._idle = asyncio.Event()
        self._idle.set()

    def join(self, one: _In) -> asyncio.Future[_Out]:
        """Take part in the next commit; the future is done when that is."""
        future: asyncio.Future[_Out] = self._loop.create_future()
        self._waiting.append((one, future))
        self._idle.clear()
        if not self._committing:
            self._begin_when_all_are_here()
        return future

    async def close(self) -> None:
        """Commit what has joined, and end the thread."""
        await self._idle.wait()
        self._thread.shutdown()

    def _begin_when_all_are_here(self) -> None:
        if len(self._waiting) >= min(self._expected, MOST_IN_A_COMMIT):
            self._begin()
        elif self._timer is None:
            self._timer = self._loop.call_later(LONGEST_GATHERING, self._begin)

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch = self._waiting[:MOST_IN_A_COMMIT]
        del self._waiting[:MOST_IN_A_COMMIT]
        self._committing = True
        self._thread.submit(self._run, batch)

    def _run(self, batch: list[tuple[_In, asyncio.Future[_Out]]]) -> None:
        outcome: list[_Out] | Exception
        try:
            outcome = self._commit([one for one, _ in batch])
        except Exception as error:  # noqa: BLE001 - it is raised again, where each of them waits
            outcome = error
        self._loop.call_soon_threadsafe(self._finish, [future for _, future in batch], outcome)

    def _finish(self, futures: list[asyncio.Future[_Out]], outcome: list[_Out] | Exception) -> None:
        for place, future in enumerate(futures):
            if future.cancelled():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome[place])
        self._committing = False
        self._expected = len(futures) + len(self._waiting)
        if self._waiting:
            self._begin_when_all_are_here()
        else:
            self._idle.set()
