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
    UNKNOWN_ISSUER = "the server's certificate is from an issuer that this machine does not trust"
    EXPIRED = "the server's certificate has expired, or is not valid yet"
    WRONG_HOST = "the server's certificate is for another name than the address has"
    CLIENT_CERTIFICATE = "the server wants a certificate of this machine, and has got none that it accepts"
    NO_PROXY = "no connection to the proxy"
    PROXY_DENIES = "the proxy asks for credentials"
    PROXY_REFUSES = "the proxy refuses to pass on to this server"
    PROXY_FAILS = "the proxy gets no connection to the server"
    CUT = "the connection was cut"
    NOT_HTTP = "what came back is no HTTP answer"


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `blame` is what becomes of the entry if the destination turns out to be well, `remedy` how to mend that.

    No blame: nothing of the entry reached the server.
    """

    kind: Kind
    blame: Kind | None
    meaning: str
    remedy: str = ""


def _alarm(blame: Kind | None, meaning: str, remedy: str) -> Row:
    return Row(Kind.ALARM, blame, meaning, remedy)


_AGAIN = "it is read again by itself"
_TRIED = "it is tried again by itself"
_RELOAD = "then reload the service"
_ONCE = {
    _AGAIN: "then deliver again",
    _TRIED: "then deliver again",
    _RELOAD: "then deliver again. If a service runs, reload it",
}
"""What a service does by itself, or is to be told, is up to a person where one delivery has been tried and is over."""


_CREDENTIALS = (
    "See whether the credentials are right: what destination.token_file, password_file or secret_headers name; with some "
    f"proxies also proxy_password_file. Put the right ones there; {_AGAIN}."
)
_ADDRESS = f"Correct destination.url or destination.method (dropsafe config set), {_RELOAD}."
_PROXY_CREDENTIALS = (
    "Set destination.proxy_username and proxy_password_file; or put the right password into the place that the latter "
    f"names; {_AGAIN}."
)
_CLIENT_CERTIFICATE = (
    "See whether destination.client_cert (and client_key) name a certificate that is valid, not expired, and from an "
    f"issuer that the server accepts. Put a new one there; {_AGAIN}."
)
_NETWORK = f"Log this machine in to its network, with a browser for instance; {_TRIED}."

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
    407: _alarm(Kind.DEFERRED, Trouble.PROXY_DENIES.value, _PROXY_CREDENTIALS),
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

CLIENT_CERTIFICATE = _alarm(None, Trouble.CLIENT_CERTIFICATE.value, _CLIENT_CERTIFICATE)
PLAIN_TO_TLS = _alarm(None, "the server wants https at that address", _ADDRESS)

_SAID_AS_400 = {
    "400 No required SSL certificate was sent": CLIENT_CERTIFICATE,
    "400 The SSL certificate error": CLIENT_CERTIFICATE,
    "400 The plain HTTP request was sent to HTTPS port": PLAIN_TO_TLS,
}
"""nginx tells trouble with the connection by a 400, as if the report were wrong: those would all end in `failed/`."""

_ON_THE_LINE: dict[Trouble, tuple[Kind, Kind | None, str]] = {
    Trouble.NO_NAME: (Kind.UNAVAILABLE, None, ""),
    Trouble.NO_CONNECTION: (Kind.UNAVAILABLE, None, ""),
    Trouble.TIMED_OUT: (Kind.UNAVAILABLE, Kind.DEFERRED, ""),
    Trouble.TLS: (
        Kind.UNAVAILABLE,
        None,
        "Perhaps the server wants a certificate of this machine (destination.client_cert), knows no TLS from 1.2 on, or "
        f"speaks no TLS at that port; {_TRIED}.",
    ),
    Trouble.UNKNOWN_ISSUER: (
        Kind.ALARM,
        None,
        "If the certificate is one of your own, name its issuer's in destination.ca. If it is not, somebody is in between.",
    ),
    Trouble.EXPIRED: (
        Kind.ALARM,
        None,
        "See whether this machine's clock is right. If it is, whoever runs the server must renew its certificate.",
    ),
    Trouble.WRONG_HOST: (
        Kind.ALARM,
        None,
        f"Write the host in destination.url as it stands in the server's certificate, {_RELOAD}.",
    ),
    Trouble.CLIENT_CERTIFICATE: (Kind.ALARM, None, _CLIENT_CERTIFICATE),
    Trouble.NO_PROXY: (
        Kind.UNAVAILABLE,
        None,
        "Nothing to do if the proxy is known to be down. Else see whether destination.proxy is right.",
    ),
    Trouble.PROXY_DENIES: (Kind.ALARM, None, _PROXY_CREDENTIALS),
    Trouble.PROXY_REFUSES: (
        Kind.ALARM,
        None,
        "Ask whoever runs the proxy to let this machine through to the host and port in destination.url.",
    ),
    Trouble.PROXY_FAILS: (Kind.UNAVAILABLE, None, ""),
    Trouble.CUT: (Kind.DEFERRED, Kind.DEFERRED, ""),
    Trouble.NOT_HTTP: (Kind.DEFERRED, Kind.DEFERRED, ""),
}
TROUBLE = {trouble: Row(kind, blame, trouble.value, remedy) for trouble, (kind, blame, remedy) in _ON_THE_LINE.items()}
"""What goes wrong on the line."""


def row_for(status: int) -> Row:
    """The row for a status that is not one of success."""
    return STATUS.get(status) or STATUS_CLASS.get(status // 100, OTHERWISE)


def of_status(status: int, words: str, retry_after: float | None = None) -> Deferred | Rejected | Unavailable:
    """What an answer with that status means. `words` are the server's own."""
    row = row_for(status)
    if status == 400:
        row = _SAID_AS_400.get(words, row)
    return of_row(row, status, words, retry_after)


def of_row(row: Row, status: int, words: str, retry_after: float | None = None) -> Deferred | Rejected | Unavailable:
    """What an answer means by that row of the table."""
    why = f"{status}: {row.meaning}"
    if row.kind is Kind.REJECTED:
        return Rejected(why, words, status)
    said = f"{why} ({_short(words)})" if words else why
    deferred = Deferred(said, status, meaning=why)
    if row.kind is Kind.DEFERRED:
        return deferred
    blame = {None: None, Kind.REJECTED: Rejected(why, words, status)}.get(row.blame, deferred)
    return Unavailable(said, blame, row.kind is Kind.ALARM, status, retry_after, why, row.remedy)


def of_trouble(trouble: Trouble, words: str) -> Deferred | Unavailable:
    """What a failure on the line means. `words` are the system's."""
    row = TROUBLE[trouble]
    why = f"{row.meaning} ({_short(words)})" if words else row.meaning
    deferred = Deferred(why, meaning=row.meaning)
    if row.kind is Kind.DEFERRED:
        return deferred
    blame = deferred if row.blame else None
    return Unavailable(why, blame, row.kind is Kind.ALARM, meaning=row.meaning, remedy=row.remedy)


def of_configured(key: str, words: str) -> Unavailable:
    """What a key names cannot be used, so nothing was sent. `words` say why."""
    remedy = f"Mend what {key} names; {_AGAIN}."
    return Unavailable(words, None, alarm=True, meaning=f"what {key} names cannot be used", remedy=remedy)


def for_one_delivery(remedy: str) -> str:
    """A remedy from here, in the words of `dropsafe deliver`: nothing is tried again when it has ended."""
    for words, once in _ONCE.items():
        remedy = remedy.replace(words, once)
    return remedy


def _short(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= 200 else line[:199] + "…"
