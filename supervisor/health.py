"""What other programs on this machine may ask over HTTP: is it alive, is it ready, and its figures.

All answers come from the last status, in its public form: no entry, file or address is named, and nothing is read from
the spool. The server has a thread of its own; if it dies or cannot have its port, the status says so and it is tried
again after a pause. Deliveries know nothing of it.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final

from dropsafe.errors import UsageError
from dropsafe.spool.health import Problem
from dropsafe.supervisor import metrics, policy, reasons
from dropsafe.supervisor.health_server import Answer, HealthServer
from dropsafe.supervisor.status import Condition, Status

TURNS_WITHIN: Final = 30.0
"""Seconds without a turn of the supervisor's loop, which turns once a second, after which it counts as hung."""

_READY: Final = frozenset({Condition.RUNNING, Condition.DEGRADED})
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"

_log = logging.getLogger(__name__)


class Health:
    """One for each run of the service. `port` is the one it is served on now, 0 if it is not."""

    def __init__(self, address: str, port: int, status: Callable[[], Status | None]) -> None:
        """`status` may be called from any thread. Port 0 takes any that is free."""
        self._address = address
        self._wanted = port
        self._status = status
        self._turned = time.monotonic()
        self._server: HealthServer | None = None
        self._thread: threading.Thread | None = None
        self._random = random.random
        self._trouble = ""
        self._failures = 0
        self._again_at = 0.0
        self._opened_at = 0.0

    @property
    def port(self) -> int:
        return self._server.port if self._server is not None else 0

    def begin(self) -> None:
        """Listen. A port that cannot be had is told by `problems`, and tried again."""
        self._turned = time.monotonic()
        self._open(self._turned)

    def turn(self, now: float) -> None:
        """The supervisor's loop turns."""
        self._turned = now
        if self._server is not None and self._thread is not None and not self._thread.is_alive():
            self._server.server_close()
            self._server = None
            if now - self._opened_at >= policy.HEALTH_AFTER:
                self._failures = 0
            self._put_off("the thread that served it has died", now)
        if self._server is None and now >= self._again_at:
            self._open(now)

    def problems(self) -> list[Problem]:
        """Why not all is well here."""
        return [reasons.health_down(self._trouble)] if self._trouble else []

    def end(self) -> None:
        """The service leaves."""
        if self._server is not None:
            if self._thread is not None and self._thread.is_alive():
                self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, path: str) -> Answer:
        """To a request for that path. From any thread."""
        status = self._status()
        healthy, ready = self._verdict(status)
        match path:
            case "/healthz":
                return _told(healthy, status)
            case "/readyz":
                return _told(ready, status)
            case "/metrics":
                try:
                    return Answer(200, *metrics.exposition(status, healthy=healthy, ready=ready, now=time.time()))
                except UsageError as error:
                    return Answer(501, _TEXT, f"{error.message}\n{error.remedy}\n".encode())
            case _:
                return Answer(404, _TEXT, b"There are /healthz, /readyz and /metrics here.\n")

    def _verdict(self, status: Status | None) -> tuple[bool, bool]:
        """Whether the service is alive, and whether it does its work.

        A destination that is down makes it no less ready: what is accepted is safe here, and no restart would help.
        """
        turns = time.monotonic() - self._turned < TURNS_WITHIN
        healthy = turns and (status is None or status.condition is not Condition.ERROR)
        return healthy, healthy and status is not None and status.condition in _READY

    def _open(self, now: float) -> None:
        try:
            self._server = HealthServer(self._address, self._wanted, self.answer)
        except OSError as error:
            self._put_off(f"{self._address}, port {self._wanted}: {error}", now)
            return
        self._thread = threading.Thread(target=self._server.run, name="health", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # no room for another thread
            self._server.server_close()
            self._server = None
            self._put_off(str(error), now)
            return
        self._trouble, self._opened_at = "", now
        _log.info("Health and metrics can be asked at %s, port %d", self._address, self.port)

    def _put_off(self, trouble: str, now: float) -> None:
        if trouble != self._trouble:
            _log.error("Health and metrics cannot be asked: %s", trouble)
        self._trouble = trouble
        self._again_at = now + policy.back_off(self._failures, self._random())
        self._failures += 1


def _told(good: bool, status: Status | None) -> Answer:
    content = status.public() if status is not None else {"condition": Condition.STARTING.value}
    return Answer(200 if good else 503, _JSON, json.dumps(content, indent=1).encode("utf-8"))
