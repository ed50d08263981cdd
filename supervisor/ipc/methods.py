"""The methods of the IPC: who may call each, where it is carried out, and the way of a call from its frame to its answer.

What a guest sends is checked against the method's schema before anything else sees it. An error that nobody expected is
logged with its traceback, counted, and answered without it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

from dropsafe.desk.desk import Value
from dropsafe.desk.trouble import for_people
from dropsafe.errors import Busy, NoPermission, TemporaryError
from dropsafe.log import log_unexpected
from dropsafe.schemas.methods import shapes, wrong
from dropsafe.supervisor.ipc import refusals
from dropsafe.supervisor.ipc.endpoint import Peer
from dropsafe.supervisor.ipc.pool import Pool
from dropsafe.supervisor.ipc.rpc import Code, RpcError
from dropsafe.supervisor.ipc.server import Call

_log = logging.getLogger(__name__)


class Where(Enum):
    """AT_ONCE: on the line's own thread, for what waits for nothing. WAITING: it answers in its own time."""

    AT_ONCE = "at once"
    POOL = "in a pool of threads"
    WAITING = "when something happens"


class Who(Enum):
    """ANYBODY: whoever may connect. ADMINISTRATOR: root, the service's own user, or one with elevated rights."""

    ANYBODY = "anybody who may connect"
    ADMINISTRATOR = "administrators"


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table."""

    name: str
    where: Where = Where.POOL
    who: Who = Who.ANYBODY

    @property
    def attribute(self) -> str:
        """The name of the Python method that carries it out."""
        return self.name.replace(".", "_")


METHODS: Final[Mapping[str, Method]] = {
    method.name: method
    for method in (
        Method("status.get", Where.AT_ONCE),
        Method("spool.stats"),
        Method("spool.verify"),
        Method("repair.plan"),
        Method("repair.act"),
        Method("diagnose.make"),
        Method("entries.list"),
        Method("entries.page"),
        Method("entries.sort"),
        Method("entries.tries"),
        Method("entries.survey"),
        Method("entries.count"),
        Method("entries.get"),
        Method("entries.history"),
        Method("entries.explain"),
        Method("entries.move"),
        Method("entries.move_all"),
        Method("pauses.list"),
        Method("pauses.begin"),
        Method("pauses.end"),
        Method("delivery.probe"),
        Method("destination.test"),
        Method("worker.restart"),
        Method("watch.list"),
        Method("series.hour", Where.AT_ONCE),
        Method("jobs.export", who=Who.ADMINISTRATOR),
        Method("jobs.import", who=Who.ADMINISTRATOR),
        Method("jobs.import_receipts", who=Who.ADMINISTRATOR),
        Method("jobs.list", Where.AT_ONCE),
        Method("jobs.get", Where.AT_ONCE),
        Method("jobs.cancel", Where.AT_ONCE),
        Method("config.get"),
        Method("config.validate"),
        Method("config.set", who=Who.ADMINISTRATOR),
        Method("log.tail", Where.AT_ONCE),
        Method("events.since", Where.WAITING),
        Method("service.stop", who=Who.ADMINISTRATOR),
    )
}


class Handlers(Protocol):
    """Who carries them out."""

    def handler(self, method: Method, peer: Peer) -> Callable[..., Value]:
        """What carries out that method in that guest's name; its keyword arguments are the parameters."""

    def wait_for_events(self, call: Call) -> None:
        """Answer it when something has happened, or its time-out is over."""


class Dispatcher:
    """`accept` is for the server; `errors` counts what nobody expected, `last_error` has the words of the last."""

    def __init__(self, handlers: Handlers, pool: Pool) -> None:
        self.errors = 0
        self.last_error = ""
        self._handlers = handlers
        self._pool = pool
        self._counting = threading.Lock()

    def accept(self, call: Call) -> None:
        """Begin to carry it out. Returns at once."""
        method = METHODS.get(call.method)
        if method is None:
            call.fail(RpcError(Code.UNKNOWN_METHOD, f"there is no method {call.method[:100]!r}"))
        elif mistake := wrong(shapes()[method.name].params, call.params):
            call.fail(RpcError(Code.INVALID_PARAMS, mistake))
        elif method.who is Who.ADMINISTRATOR and not call.peer.administrator:
            call.fail(RpcError.of(_not_allowed(method), Code.NOT_ALLOWED))
        elif method.where is Where.WAITING:
            self._handlers.wait_for_events(call)
        elif method.where is Where.AT_ONCE:
            self._carry_out(call, method)
        elif not self._pool.submit(
            lambda: self._carry_out(call, method),
            lambda: call.fail(_too_late(method)),
            lambda: not call.is_over,
            call.peer.uid,
        ):
            call.fail(RpcError.of(_too_many(method), Code.BUSY))

    def _carry_out(self, call: Call, method: Method) -> None:
        params: dict[str, Any] = call.params
        try:
            result = self._handlers.handler(method, call.peer)(**params)
        except Exception as error:  # noqa: BLE001 - the boundary: a guest's request must not end anything
            call.fail(self._told(method, error))
        else:
            call.answer(result)

    def _told(self, method: Method, error: Exception) -> RpcError:
        if (found := for_people(error)) is not None:
            return RpcError.of(found, Code.BUSY if isinstance(found, Busy) else Code.FAILED)
        with self._counting:
            self.errors += 1
            self.last_error = f"{method.name}: {type(error).__name__}: {error}"
        log_unexpected(_log, f"{method.name}, asked by a guest, met an error that was not expected", error)
        return refusals.internal(method.name)


def _not_allowed(method: Method) -> NoPermission:
    return NoPermission(
        f"{method.name} is for administrators: root, or the user that the service runs as. Nothing was changed.",
        remedy="Do it as an administrator, with sudo for instance.",
    )


def _too_many(method: Method) -> Busy:
    return Busy(
        f"So much is asked of the service that {method.name} was not begun. Nothing was changed.",
        remedy="Try again in a moment, and see whether the spool's disk is well.",
    )


def _too_late(method: Method) -> RpcError:
    late = TemporaryError(
        f"The service found no answer to {method.name} within 10 s. What it has begun goes on.",
        remedy="See whether the spool's disk is well, or ask for less at a time.",
    )
    return RpcError.of(late, Code.TOO_LATE)
