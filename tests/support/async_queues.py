"""The queue for event loops, in tests: an API that can be held up, and scenarios that cannot hang."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from dropsafe import AsyncPendingQueue
from tests.support.queues import Data
from tests.support.waiting import PATIENCE


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def pending_queue(folder: Path, api: object | None = None, **options: Any) -> AsyncPendingQueue:
    return AsyncPendingQueue(api, folder / "queue", **{"min_free_bytes": 0, "stop_timeout": 20.0, **options})


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.005)


class Api:
    """What present users pass: an object, with a method that sends."""

    def __init__(self) -> None:
        self.got: list[Data] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = 0
        self.at_once = 0
        self.most_at_once = 0
        self.cancelled = 0

    async def submit(self, data: Data) -> str:
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_once -= 1
        self.got.append(data)
        return "report-id"
