"""The envelope of requests and answers: JSON-RPC 2.0, without notifications and batches. Pure.

What comes from the other end is never trusted: it is JSON in UTF-8, of finite numbers, or it is an error. What a person
should read travels as `data` of an error: title, text, remedy and exit code of a `DropsafeError`, which `revive` makes
one again. A traceback never travels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NoReturn

from dropsafe import errors
from dropsafe.errors import DropsafeError, ExitCode
from dropsafe.supervisor.ipc.frames import MAX_FRAME

PROTOCOL: Final = 1
HELLO: Final = "hello"
"""The first request of every connection."""

_VERSION: Final = "2.0"
MAX_ID: Final = 100
"""Characters of a request's id, or digits: it is repeated in the answer."""

_CLASSES: Final[Mapping[ExitCode, type[DropsafeError]]] = {
    ExitCode.NEEDS_A_PERSON: errors.DropsafeError,
    ExitCode.USAGE: errors.UsageError,
    ExitCode.DESTINATION_UNAVAILABLE: errors.DestinationUnavailable,
    ExitCode.WORKER_FAILED: errors.WorkerFailed,
    ExitCode.SPOOL_UNUSABLE: errors.SpoolError,
    ExitCode.TEMPORARY: errors.TemporaryError,
    ExitCode.NO_PERMISSION: errors.NoPermission,
    ExitCode.CONFIGURATION: errors.ConfigError,
}


class Code(IntEnum):
    """Error codes: those of JSON-RPC 2.0, and ours from its range for servers."""

    PARSE = -32700
    INVALID_REQUEST = -32600
    UNKNOWN_METHOD = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603
    BUSY = -32000
    TOO_LATE = -32001
    NOT_ALLOWED = -32002
    FAILED = -32003


class RpcError(Exception):
    """An error as it travels. `data` is what `revive` reads, or None where the message is for programmers."""

    def __init__(self, code: Code, message: str, data: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    @classmethod
    def of(cls, error: DropsafeError, code: Code = Code.FAILED) -> RpcError:
        """What a person is to read of `error`, and nothing else of it."""
        data = {
            "title": error.title,
            "text": error.message,
            "remedy": error.remedy,
            "exit_code": int(error.exit_code),
        }
        return cls(code, error.message, data)


class InvalidRequest(RpcError):
    """What came is no request. `request_id` is its id, if it has one that can be repeated."""

    def __init__(self, code: Code, message: str, request_id: int | str | None = None) -> None:
        super().__init__(code, message)
        self.request_id = request_id


class InvalidAnswer(Exception):
    """What came from the service is no answer to the request."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as far as every method has it; what `params` holds is the method's to check."""

    id: int | str
    method: str
    params: dict[str, Any]


def request(request_id: int | str, method: str, params: Mapping[str, object]) -> bytes:
    """ValueError or TypeError if `params` is not JSON."""
    return _dump({"jsonrpc": _VERSION, "id": request_id, "method": method, "params": params})


def answer(request_id: int | str, result: object) -> bytes:
    """An answer. ValueError or TypeError if `result` is not JSON. One too large for a frame becomes an error that says so."""
    payload = _dump({"jsonrpc": _VERSION, "id": request_id, "result": result})
    if len(payload) <= MAX_FRAME:
        return payload
    too_large = errors.UsageError(
        f"The answer has {len(payload):,} bytes, and {MAX_FRAME:,} can be sent at once. Nothing was lost.",
        remedy="Ask for fewer entries at a time.",
    )
    return error(request_id, RpcError.of(too_large))


def error(request_id: int | str | None, what: RpcError) -> bytes:
    """An error as the answer. A text that would not fit into a frame is cut."""
    payload = _dump(_error(request_id, what.code, what.message, what.data))
    if len(payload) <= MAX_FRAME:
        return payload
    return _dump(_error(request_id, what.code, what.message[: MAX_FRAME // 100], None))


def parse_request(payload: bytes) -> Request:
    """Raises InvalidRequest, whatever the bytes are."""
    try:
        found = _load(payload)
    except ValueError as trouble:
        raise InvalidRequest(Code.PARSE, f"this is not JSON: {trouble}") from None
    if not isinstance(found, dict):
        raise InvalidRequest(Code.INVALID_REQUEST, "a request is an object")
    request_id = found.get("id")
    if request_id is None or not _is_id(request_id):
        raise InvalidRequest(
            Code.INVALID_REQUEST, f"a request has an id: a text or integer of at most {MAX_ID} characters"
        )
    if found.get("jsonrpc") != _VERSION:
        raise InvalidRequest(Code.INVALID_REQUEST, f'a request has "jsonrpc": "{_VERSION}"', request_id)
    method, params = found.get("method"), found.get("params", {})
    if not isinstance(method, str):
        raise InvalidRequest(Code.INVALID_REQUEST, "a request has a method, which is a text", request_id)
    if not isinstance(params, dict):
        raise InvalidRequest(Code.INVALID_REQUEST, "params is an object: arguments are given by name", request_id)
    return Request(request_id, method, params)


def parse_answer(payload: bytes, request_id: int | str) -> Any:
    """The result. Raises RpcError if it is an error, InvalidAnswer if it is none to this request."""
    try:
        found = _load(payload)
    except ValueError as trouble:
        raise InvalidAnswer(str(trouble)) from None
    if not isinstance(found, dict) or found.get("jsonrpc") != _VERSION:
        raise InvalidAnswer("no JSON-RPC 2.0")
    # An error without an id is about the connection as a whole, "busy" for example.
    if found.get("id") != request_id and not ("error" in found and found.get("id") is None):
        raise InvalidAnswer(f"the answer to another request ({found.get('id')!r})")
    if "error" in found:
        raise _parse_error(found["error"])
    if "result" not in found:
        raise InvalidAnswer("neither a result nor an error")
    return found["result"]


def revive(what: RpcError) -> DropsafeError | None:
    """The error for people, as the class of its exit code. None if what came is not meant for people."""
    data = what.data
    if data is None or not all(isinstance(data.get(key), str) for key in ("title", "text", "remedy")):
        return None
    found = next((kind for code, kind in _CLASSES.items() if code == data.get("exit_code")), DropsafeError)
    revived = found(str(data["text"]), remedy=str(data["remedy"]))
    revived.title = str(data["title"])
    return revived


def _parse_error(found: object) -> RpcError:
    if not isinstance(found, dict) or not isinstance(found.get("message"), str):
        raise InvalidAnswer("an error without a message")
    if found.get("code") not in list(Code):
        raise InvalidAnswer(f"an error of the unknown code {found.get('code')!r}")
    data = found.get("data")
    return RpcError(Code(found["code"]), found["message"], data if isinstance(data, dict) else None)


def _error(
    request_id: int | str | None, code: Code, message: str, data: Mapping[str, object] | None
) -> dict[str, object]:
    details: dict[str, object] = {"code": int(code), "message": message}
    if data is not None:
        details["data"] = data
    return {"jsonrpc": _VERSION, "id": request_id, "error": details}


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_ID
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**MAX_ID


def _dump(value: object) -> bytes:
    # ASCII: a name with a lone surrogate, which the file system may hold, has no UTF-8.
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _load(payload: bytes) -> Any:
    """ValueError, whatever is wrong with it. Not `json.loads(bytes)`, which also guesses UTF-16 and UTF-32."""
    try:
        return json.loads(payload.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is out of range")
    return number
