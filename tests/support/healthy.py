"""A status with every figure that there can be, and the health of a made-up service, served on a free port."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from dropsafe.spool.health import Problem
from dropsafe.supervisor.health import Health
from dropsafe.supervisor.status import Condition, InForce, Status, WorkerStatus

AT = "2026-11-24T00:00:00.000Z"
UPLOADER = {
    "delivered": 7,
    "bytes": 700,
    "deferred": 3,
    "rejected": 1,
    "latency_ms": 12.5,
    "breaker_seconds": 0.0,
    "last_success": AT,
}
JANITOR = {
    "figures.at": AT,
    "figures.oldest": AT,
    "figures.accepted": 9,
    "figures.waiting_bytes": 100,
    "figures.counts.pending": 1,
    "figures.counts.failed": 1,
    "free_bytes": 5000,
    "free_inodes": 50,
}
WORKERS = (
    WorkerStatus("uploader", "ready", AT, 2, 4, UPLOADER, 5, 6000, "canary", "canary"),
    WorkerStatus("janitor", "ready", AT, 3, 0, JANITOR, 0, None),
)


def status(condition: Condition = Condition.RUNNING, **changed: Any) -> Status:
    """One in which whatever is not for everybody is a canary."""
    reason = Problem("destination-down", "Nothing can be delivered now.", "Wait.", "canary")
    whole = Status(
        condition, "s", AT, AT, 1, "9", (reason,), WORKERS, None, InForce("line-3", "canary", "canary", "canary")
    )
    return replace(whole, **changed)


@contextmanager
def at_work(told: Status | None) -> Iterator[Health]:
    health = Health("127.0.0.1", 0, lambda: told)
    health.begin()
    try:
        yield health
    finally:
        health.end()


def get(health: Health, path: str, method: str = "GET") -> tuple[int, str]:
    """The status and the body, over a real connection. OSError or HTTPException if it is turned away."""
    connection = http.client.HTTPConnection("127.0.0.1", health.port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
