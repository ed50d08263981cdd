"""The outcome table (DESIGN 6) as data: what an HTTP status or a trouble on the line means for the entry. Pure.

Success is not decided here: which statuses count is configuration, and an answer must prove more than its status.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from dropsafe.workers.outcome import Deferred, Rejected, Unavailable


class Kind(Enum):
    """The classes of answer. ALARM is Unavailable that only a person can mend."""

    DEFERRED = "deferred"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"
    ALARM = "alarm"


class Trouble(Enum):
    """What can go wrong on the line before there is an answer. The value is how it is said."""

    NO_NAME = "the server's name cannot be resolved"
    NO_CONNECTION = "no connection to the server"
    TIMED_OUT = "the server did not answer in time"
    TLS = "no secure connection to the server"
    CUT = "the connection was cut"
    NOT_HTTP = "what came back is no HTTP answer"


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `blame` is what becomes of the entry if the destination turns out to be well, `remedy` how to mend that."""

    kind: Kind
    blame: Kind
    meaning: str
    remedy: str = ""


def _alarm(blame: Kind, meaning: str, remedy: str) -> Row:
    return Row(Kind.ALARM, blame, meaning, remedy)


_CREDENTIALS = "Put a valid token into the file that destination.token_file names; it is read again by itself."
_ADDRESS = "Correct destination.url or destination.method (dropsafe config set), then reload the service."
_NETWORK = "Log this machine in to its network, with a browser for instance; it is tried again by itself."

_DEFERRED = Row(Kind.DEFERRED, Kind.DEFERRED, "the server could not take it this time")
_REJECTED = Row(Kind.REJECTED, Kind.REJECTED, "the server refuses it")
_BUSY = Row(Kind.UNAVAILABLE, Kind.DEFERRED, "the server is not available")
_REDIRECT = _alarm(
    Kind.DEFERRED, "the server sends us elsewhere; the address in the configuration is not the final one", _ADDRESS
)

STATUS: dict[int, Row] = {
    400: _REJECTED,
    401: _alarm(Kind.REJECTED, "the credentials are refused", _CREDENTIALS),
    403: _alarm(Kind.REJECTED, "the credentials are not sufficient", _CREDENTIALS),
    404: _alarm(Kind.REJECTED, "there is nothing at that address", _ADDRESS),
    405: _alarm(Kind.REJECTED, "the address does not take that method", _ADDRESS),
    407: _alarm(Kind.DEFERRED, "a proxy asks for credentials", _NETWORK),
    408: _DEFERRED,
    409: _DEFERRED,
    413: Row(Kind.REJECTED, Kind.REJECTED, "it is too large for the server"),
    415: Row(Kind.REJECTED, Kind.REJECTED, "the server does not take that content type"),
    422: _REJECTED,
    425: _DEFERRED,
    429: Row(Kind.UNAVAILABLE, Kind.DEFERRED, "the server asks us to slow down"),
    500: Row(Kind.DEFERRED, Kind.DEFERRED, "the server failed on it"),
    501: _alarm(Kind.DEFERRED, "the server does not know that method", _ADDRESS),
    502: _BUSY,
    503: _BUSY,
    504: _BUSY,
    511: _alarm(Kind.DEFERRED, "the network asks for a log-in", _NETWORK),
}
"""The rows that name a status."""

STATUS_CLASS: dict[int, Row] = {3: _REDIRECT, 4: _REJECTED, 5: STATUS[500]}
"""The rows for the rest, by the first digit."""

OTHERWISE = Row(Kind.DEFERRED, Kind.DEFERRED, "that status is not one that counts as success here")
"""For 1xx, and for a 2xx that is not in `success_status`."""

HTML = _alarm(
    Kind.DEFERRED,
    "a web page came back, perhaps a log-in page of the network, not the server",
    f"{_NETWORK} If it is the server that answers so, set destination.allow_html.",
)
"""A status of success with a web page: a captive portal is not a server."""

TROUBLE: dict[Trouble, tuple[Kind, Kind | None]] = {
    Trouble.NO_NAME: (Kind.UNAVAILABLE, None),
    Trouble.NO_CONNECTION: (Kind.UNAVAILABLE, None),
    Trouble.TIMED_OUT: (Kind.UNAVAILABLE, Kind.DEFERRED),
    Trouble.TLS: (Kind.UNAVAILABLE, None),
    Trouble.CUT: (Kind.DEFERRED, Kind.DEFERRED),
    Trouble.NOT_HTTP: (Kind.DEFERRED, Kind.DEFERRED),
}
"""What it is, and the blame as in a row; None: nothing of the entry reached the server."""


def row_for(status: int) -> Row:
    """The row for a status that is not one of success."""
    return STATUS.get(status) or STATUS_CLASS.get(status // 100, OTHERWISE)


def of_status(status: int, words: str, retry_after: float | None = None) -> Deferred | Rejected | Unavailable:
    """What an answer with that status means. `words` are the server's own."""
    return of_row(row_for(status), status, words, retry_after)


def of_row(row: Row, status: int, words: str, retry_after: float | None = None) -> Deferred | Rejected | Unavailable:
    """What an answer means by that row of the table."""
    why = f"{status}: {row.meaning}"
    if row.kind is Kind.REJECTED:
        return Rejected(why, words, status)
    said = f"{why} ({_short(words)})" if words else why
    deferred = Deferred(said, status, meaning=why)
    if row.kind is Kind.DEFERRED:
        return deferred
    blame = Rejected(why, words, status) if row.blame is Kind.REJECTED else deferred
    return Unavailable(said, blame, row.kind is Kind.ALARM, status, retry_after, why, row.remedy)


def of_trouble(trouble: Trouble, words: str) -> Deferred | Unavailable:
    """What a failure on the line means. `words` are the system's."""
    why = f"{trouble.value} ({_short(words)})" if words else trouble.value
    deferred = Deferred(why, meaning=trouble.value)
    kind, blame = TROUBLE[trouble]
    if kind is Kind.DEFERRED:
        return deferred
    return Unavailable(why, deferred if blame else None, meaning=trouble.value)


def of_token(words: str) -> Unavailable:
    """There is no token to send, so nothing was sent. `words` say why."""
    meaning = "the token file cannot be used"
    return Unavailable(words, None, alarm=True, meaning=meaning, remedy=_CREDENTIALS)


def _short(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= 200 else line[:199] + "…"
