"""Operations: what programs queue, as entries of a spool. The body is JSON, `{"operation_type": …, "data": …}`.

Pure but for `read`. An entry that is not an operation (a report that was dropped in) is no error: it reads as the type
"" with empty data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from dropsafe.errors import DropsafeError, UsageError
from dropsafe.spool.clock import iso
from dropsafe.spool.entry import Entry
from dropsafe.spool.names import ID_LENGTH, MAX_NAME_BYTES, safe_name
from dropsafe.spool.platform import system
from dropsafe.spool.states import Event, State

SUFFIX: Final = ".json"
_ROOM_FOR_NAME = MAX_NAME_BYTES - ID_LENGTH - len("_0123456789abcdef_")


class QueueStatus(StrEnum):
    """Where an operation is, in the words of its users."""

    PENDING = "pending"
    """Durable, and waiting to be sent."""
    SENDING = "sending"
    """Taken by the service or by this program, to be sent now."""
    SENT = "sent"
    FAILED = "failed"
    """It waits for a person: refused, damaged, put on hold, or discarded."""


STATUS: Final[Mapping[State, QueueStatus]] = {
    State.PENDING: QueueStatus.PENDING,
    State.INFLIGHT: QueueStatus.SENDING,
    State.SENT: QueueStatus.SENT,
    State.FAILED: QueueStatus.FAILED,
    State.QUARANTINE: QueueStatus.FAILED,
    State.HOLD: QueueStatus.FAILED,
    State.DISCARDED: QueueStatus.FAILED,
}

_ATTEMPTS = frozenset({Event.DEFERRED, Event.DELIVERED, Event.REJECTED})
_ERRORS = frozenset({Event.DEFERRED, Event.REJECTED, Event.DAMAGED, Event.STRUCK})


@dataclass(frozen=True, slots=True)
class QueuedOperation:
    """One operation as it was found. Times are ISO 8601 in UTC.

    `attempts` counts those whose end is in the spool's journal, over all programs and restarts; nothing resets it.
    `last_attempt` is when the last of them ended, `error` why the last one that failed did. An entry that is not an
    operation has the type "" and empty data.
    """

    id: str
    operation_type: str
    data: dict[str, Any]
    created: str
    attempts: int = 0
    last_attempt: str | None = None
    error: str | None = None
    status: QueueStatus = QueueStatus.PENDING


class NotSerialisable(UsageError, TypeError):
    """The operation cannot be written as JSON. Nothing was queued."""

    title = "Not something that can be queued"


class OperationRefused(DropsafeError):
    """For a `send_callback` to raise when the server refuses the operation for good.

    The operation goes to `failed/` with these words, where a person decides; any other exception means: try again.
    """

    title = "The server refused it"


def encode(operation_type: str, data: Mapping[str, Any]) -> bytes:
    """The body of an operation. Raises NotSerialisable."""
    if not isinstance(operation_type, str) or not operation_type:
        raise NotSerialisable(
            f"An operation needs a type, some text such as 'report.submit'; it was {operation_type!r}. "
            "Nothing was queued."
        )
    if not isinstance(data, dict):
        raise NotSerialisable(
            f"The data of {operation_type!r} must be a dict; it was {type(data).__name__}. Nothing was queued."
        )
    operation = {"operation_type": operation_type, "data": data}
    try:
        try:
            return json.dumps(operation, ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError:  # half a surrogate pair, as in undecodable file names: only an escape can carry it
            return json.dumps(operation, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise NotSerialisable(
            f"The data of {operation_type!r} cannot be written as JSON ({error}). Nothing was queued.",
            remedy="Give text, numbers (no NaN, no infinity), True, False, None, and lists and dicts of these.",
        ) from error


def decode(body: bytes) -> tuple[str, dict[str, Any]] | None:
    """(type, data) of an operation's body; None for anything else."""
    try:
        content = json.loads(body)
        operation_type, data = content["operation_type"], content["data"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if isinstance(operation_type, str) and operation_type and isinstance(data, dict):
        return operation_type, data
    return None


def name_of(operation_type: str) -> str:
    """The name under which the server and people see it: such that the spool need not write down another one."""
    # `….reason.json` is the name of reason files.
    return safe_name(operation_type.replace(".reason", "_reason") + SUFFIX, _ROOM_FOR_NAME)


def read(entry: Entry, history: Iterable[Mapping[str, Any]], reason: str | None = None) -> QueuedOperation:
    """The operation in an entry. `reason` is the summary beside it, if there is one. FileNotFoundError if it has moved."""
    error = reason
    try:
        operation_type, data = _content(entry)
    except FileNotFoundError:
        raise
    except OSError as trouble:
        operation_type, data = "", {}
        error = f"The file cannot be read: {trouble.strerror or trouble}."
    attempts, last_attempt = 0, None
    told: str | None = None
    for line in history:
        event = line.get("event")
        if event in _ATTEMPTS:
            attempts += 1
            last_attempt = line.get("at")
        if event in _ERRORS or event == Event.DELIVERED:
            told = line.get("why")
    return QueuedOperation(
        id=entry.id,
        operation_type=operation_type,
        data=data,
        created=iso(entry.name.accepted.timestamp()),
        attempts=attempts,
        last_attempt=last_attempt,
        error=error or told,
        status=STATUS[entry.state],
    )


def _content(entry: Entry) -> tuple[str, dict[str, Any]]:
    # Whatever we queue has the suffix; a report of 2 GiB that was dropped in is not read to find that out.
    if not entry.name.original.endswith(SUFFIX):
        os.lstat(entry.path)
        return "", {}
    with os.fdopen(system.open_regular(str(entry.path)), "rb") as file:
        return decode(file.read()) or ("", {})
