"""What can come of sending one entry: the words that transports, the breaker and the engine share. Pure data.

Three are outcomes of the entry (Delivered, Deferred, Rejected). Unavailable is the destination's trouble, in which no
entry is blamed yet. Damaged and Abandoned say that nothing was learnt about the destination at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from dropsafe.spool.receipts import Grade


@dataclass(frozen=True, slots=True)
class Delivered:
    """The server has it. `sha256` is of the bytes that were sent; `grade` says how much the server vouched for."""

    status: int
    grade: Grade
    server_id: str | None
    address: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not this time; the entry is tried again after its back-off.

    `ours` marks trouble on this side of the wire (an unreadable file): it says nothing about the destination.
    `meaning` is `why` without anybody else's words: it names no address, file or secret.
    """

    why: str
    status: int | None = None
    ours: bool = False
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The server refuses this entry, for good. `detail` is in the server's own words."""

    why: str
    detail: str
    status: int | None = None


Outcome = Delivered | Deferred | Rejected


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The destination is at fault, so far. `blame` is the entry's outcome should others turn out to go through; None
    where it cannot be the entry's fault, because nothing of it reached the server.

    `alarm` marks what only a person can mend (credentials, address), `remedy` says how; `retry_after` is the server's
    wish in seconds. `meaning` is as in Deferred.
    """

    why: str
    blame: Deferred | Rejected | None
    alarm: bool = False
    status: int | None = None
    retry_after: float | None = None
    meaning: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A complete read gave other bytes than those that were accepted. Nothing of it counts as sent."""

    why: str


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Sending was called off. The entry goes back untouched."""


Answer = Outcome | Unavailable | Damaged | Abandoned
