"""What the receiver knows of a report: as it arrived, as it was acknowledged, as it is listed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from dropsafe.receiver.labels import Labels


@dataclass(frozen=True, slots=True)
class Arrival:
    """A report whose bytes are all here. `body` is the bytes, or the name of a file in the bodies folder."""

    key: str
    sha256: str
    size: int
    labels: Labels
    received_at: str
    body: bytes | str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the server answers, word for word the same each time the key is seen. `received_at` is that of the first."""

    id: str
    key: str
    sha256: str
    size: int
    received_at: str


class Verdict(Enum):
    """What became of an arrival."""

    STORED = "stored"
    REPEAT = "repeat"
    """The key and the digest are known: nothing new was stored."""
    CONFLICT = "conflict"
    """The key is known with another digest: nothing was stored. The receipt is of the one that is."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The store's answer to an arrival."""

    verdict: Verdict
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Report:
    """A stored report, without its body."""

    receipt: Receipt
    name: str
    station: str
    attributes: dict[str, str]
    content_type: str
    content_encoding: str
    repeats: int
    last_repeat_at: str
    conflicts: int

    def to_dict(self) -> dict[str, Any]:
        """Flat: the receipt's members first."""
        own = asdict(self)
        receipt: dict[str, Any] = own.pop("receipt")
        return receipt | own


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over all that is stored. `repeats` and `conflicts` are requests, not reports."""

    stored: int = 0
    bytes: int = 0
    repeats: int = 0
    conflicts: int = 0


def server_id(number: int) -> str:
    """The server's own id of its Nth report."""
    return f"r{number:08d}"
