"""The client's side of the line, for the command line and the window. Not for several threads at once.

It trusts nothing that the service sends, and waits for nothing longer than it was told to. Nothing is asked twice: a
request of which it cannot be told whether it was carried out ends in an error that says so.
"""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from dropsafe import __version__
from dropsafe.errors import DropsafeError, NoPermission, TemporaryError, UsageError, WorkerFailed
from dropsafe.supervisor.ipc import rpc
from dropsafe.supervisor.ipc.endpoint import ClientLine, Gone
from dropsafe.supervisor.ipc.frames import MAX_FRAME, FrameError
from dropsafe.supervisor.ipc.guests import IDLE_TIME
from dropsafe.supervisor.ipc.platform import system
from dropsafe.supervisor.ipc.rpc import HELLO, PROTOCOL, Code, RpcError

CONNECT_TIME: Final = 5.0
CALL_TIME: Final = 15.0
"""Seconds for an answer: the service gives itself 10 for everything but what is told to wait."""
BUSY_PAUSE: Final = 0.1
"""Seconds before a connection that was refused for want of room is tried again."""
STILL_OPEN: Final = IDLE_TIME - 5.0
"""Seconds after which a connection is not used again: the service may be closing it at that moment."""


class _Unsent(Gone):
    """The line broke before the request was sent whole, so the service has not carried it out."""


class Client:
    """A connection to the service at `address`, made at the first call, and again when it was idle for long."""

    def __init__(self, address: str, *, program: str = "python", connect_time: float = CONNECT_TIME) -> None:
        """`program` is told to the service. Nothing is connected yet."""
        self.address = address
        self.greeting: dict[str, Any] = {}
        """What the service has said of itself: protocol, features, boot_id, version, pid, spool_id."""
        self._program = program
        self._connect_time = connect_time
        self._line: ClientLine | None = None
        self._used = 0.0
        self._id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Connect and say hello, if that is not done. TemporaryError if nobody answers in time; NoPermission."""
        if self._line is not None:
            return
        until = time.monotonic() + self._connect_time
        while True:
            try:
                self._greet(until)
                return
            except RpcError as error:
                if error.code is not Code.BUSY or time.monotonic() + BUSY_PAUSE >= until:
                    raise self._for_people(error, HELLO) from None
            time.sleep(BUSY_PAUSE)

    def call(self, method: str, params: Mapping[str, object] | None = None, timeout: float = CALL_TIME) -> Any:
        """The result. The service's own error, as the DropsafeError of its exit code, if it sends one; TemporaryError if
        there is no answer within `timeout` seconds or the connection breaks.
        """
        if self._line is not None and time.monotonic() - self._used > STILL_OPEN:
            self.close()
        try:
            try:
                self.connect()
                return self._ask(method, params or {}, time.monotonic() + timeout)
            except _Unsent:  # the service was restarted since
                self.connect()
                return self._ask(method, params or {}, time.monotonic() + timeout)
        except RpcError as error:
            raise self._for_people(error, method) from None
        except TimeoutError as error:
            raise TemporaryError(
                f"The service at {self.address} gave no answer to {method} within {timeout:g} s. It may yet do it.",
                remedy="Look at the status before asking again.",
            ) from error
        except Gone as error:
            raise TemporaryError(
                f"The connection to the service at {self.address} broke. It may have done what was asked.",
                remedy="Look at the status before asking again.",
            ) from error

    def close(self) -> None:
        """End the connection, if there is one. The next call makes another."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _greet(self, until: float) -> None:
        try:
            self._line = system.connect(self.address, until)
            params = {"protocol": {"from": PROTOCOL, "to": PROTOCOL}, "client": f"{self._program} {__version__}"}
            greeting = self._ask(HELLO, params, until)
        except PermissionError as error:
            raise _no_permission(self.address) from error
        except (OSError, Gone) as error:
            raise TemporaryError(
                f"The service does not answer at {self.address}. Nothing was changed.",
                remedy="See whether it runs: dropsafe status",
            ) from error
        except RpcError:
            self.close()
            raise
        if not isinstance(greeting, dict):
            self.close()
            raise self._nonsense("a greeting that is no object")
        self.greeting = greeting

    def _ask(self, method: str, params: Mapping[str, object], until: float) -> Any:
        """One request and its answer. The connection is kept only where both were whole."""
        line = self._line
        assert line is not None
        self._id += 1
        payload = rpc.request(self._id, method, params)
        if len(payload) > MAX_FRAME:
            raise UsageError(
                f"The request {method} has {len(payload):,} bytes, and {MAX_FRAME:,} can be sent at once. Nothing was changed.",
                remedy="Name fewer entries at a time.",
            )
        try:
            answer = _exchange(line, payload, until)
            result = rpc.parse_answer(answer, self._id)
        except (rpc.InvalidAnswer, FrameError) as error:
            self.close()
            raise self._nonsense(str(error)) from error
        except RpcError:
            self._used = time.monotonic()
            raise
        except BaseException:
            self.close()
            raise
        self._used = time.monotonic()
        return result

    def _for_people(self, error: RpcError, method: str) -> DropsafeError:
        revived = rpc.revive(error)
        if revived is not None:
            return revived
        match error.code:
            case Code.UNKNOWN_METHOD | Code.INVALID_PARAMS:
                version = self.greeting.get("version", "unknown")
                return UsageError(
                    f"The service (version {version}) does not take the request {method} of this program "
                    f"(version {__version__}): {error.message}. Nothing was changed.",
                    remedy="If the versions differ, restart the service, so that it is the one that is installed.",
                )
            case _:
                return WorkerFailed(
                    f"The service could not carry out {method}: {error.message}. Nothing was lost.",
                    remedy="Look into the service's log, and at the status before asking again.",
                )

    def _nonsense(self, what: str) -> DropsafeError:
        return WorkerFailed(
            f"What answers at {self.address} does not speak as Dropsafe does: {what}.",
            remedy="See whether ipc.address is the service's, and restart the service.",
        )


def _exchange(line: ClientLine, payload: bytes, until: float) -> bytes:
    try:
        line.send(payload, until)
    except Gone:
        # Who is refused at the door may find the line closed, and the last words still there to be read.
        try:
            return line.receive(until)
        except Gone as error:
            raise _Unsent from error
    return line.receive(until)


def _no_permission(address: str) -> NoPermission:
    group = system.group_that_may_connect(address)
    if not group:
        return NoPermission(
            f"The service at {address} is another user's own. Nothing was changed.",
            remedy="Work as that user.",
        )
    return NoPermission(
        f"The service at {address} can be used by the members of group {group}, and you are not in it. Nothing was changed.",
        remedy=f"Ask an administrator for: usermod -aG {group} {_user()}",
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return str(os.getuid()) if hasattr(os, "getuid") else "USER"
