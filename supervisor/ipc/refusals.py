"""What the line itself tells a guest instead of an answer. Pure."""

from __future__ import annotations

from dropsafe.errors import TemporaryError, UsageError
from dropsafe.supervisor.ipc.rpc import HELLO, PROTOCOL, Code, InvalidRequest, Request, RpcError


def of_hello(request: Request) -> RpcError | None:
    """Why this first request is not accepted; None: it is."""
    if request.method != HELLO:
        return InvalidRequest(Code.INVALID_REQUEST, "the first request is hello", request.id)
    protocol = request.params.get("protocol")
    oldest, newest = (protocol.get("from"), protocol.get("to")) if isinstance(protocol, dict) else (None, None)
    if type(oldest) is not int or type(newest) is not int:  # a bool is not meant
        return RpcError(Code.INVALID_PARAMS, 'hello has "protocol": {"from": NUMBER, "to": NUMBER}')
    if not oldest <= PROTOCOL <= newest:
        error = UsageError(
            f"This program speaks versions {oldest} to {newest} of the protocol, and the service speaks {PROTOCOL}. "
            "Nothing was changed.",
            remedy="Use the program that was installed with the service, or restart the service after an update.",
        )
        return RpcError.of(error)
    return None


def busy() -> RpcError:
    """There is no room for another connection."""
    error = TemporaryError(
        "The service has as many connections as it serves at once. Nothing was changed.",
        remedy="Try again in a moment, and close windows and programs that are not needed.",
    )
    return RpcError.of(error, Code.BUSY)


def internal(method: str) -> RpcError:
    """An exception that nobody meant."""
    return RpcError(Code.INTERNAL, f"{method} met an unexpected error, which is in the service's log")


def too_late(method: str) -> RpcError:
    """Its time is over."""
    error = TemporaryError(
        f"The service found no answer to {method} in time. What it has begun goes on.",
        remedy="Look at the status before asking again.",
    )
    return RpcError.of(error, Code.TOO_LATE)


def stopped(method: str) -> RpcError:
    """The service ends before it is answered."""
    error = TemporaryError(
        f"The service was stopped before it had the answer to {method}.",
        remedy="Look at what was done, and ask again when the service runs.",
    )
    return RpcError.of(error, Code.BUSY)
