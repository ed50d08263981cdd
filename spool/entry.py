"""What the spool hands out: an entry in its place, the receipt of its acceptance, and what was submitted with it."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass, field
from pathlib import Path

from dropsafe.spool.names import EntryName
from dropsafe.spool.states import State

DEFAULT_CONTENT_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it was found. `size` in bytes. The file may have been moved since by another process."""

    name: EntryName
    state: State
    path: Path
    size: int

    @property
    def id(self) -> str:
        return self.name.id


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Proof of acceptance: the payload is durable in the spool, or already delivered, under this id.

    `sha256` is 64 hex digits, `size` in bytes, `accepted` the UTC stamp that begins the id, `name` the file's name.
    """

    id: str
    sha256: str
    size: int
    accepted: str
    name: str


@dataclass(frozen=True, slots=True)
class Meta:
    """What the submitter said about a payload. Attributes are sent as headers; all are strings."""

    content_type: str
    original_name: str
    attributes: dict[str, str] = field(default_factory=dict)


def content_type_of(name: str) -> str:
    """The content type that a file name suggests."""
    guessed, encoding = mimetypes.guess_type(name)
    return guessed if guessed and not encoding else DEFAULT_CONTENT_TYPE
