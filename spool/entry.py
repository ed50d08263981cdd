"""What the spool hands out: an entry in its place, the receipt of its acceptance, and what was submitted with it."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from dropsafe.errors import UsageError
from dropsafe.spool.names import EntryName
from dropsafe.spool.states import State

DEFAULT_CONTENT_TYPE = "application/octet-stream"
CONTENT_TYPE = re.compile(r"[!-~]+/[!-~]+( *; *[ -~]+)?")
MAX_TEXT = 1000
"""Characters of a name."""
MAX_HEADER = 6000
"""Bytes of all attributes as they are sent; many servers take no header longer than 8,000."""


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
    """What the submitter said about a payload. Attributes are sent as headers; all are strings.

    `station` is that which accepted an imported entry; empty for one of this spool, whose station its time tells.
    """

    content_type: str
    original_name: str
    attributes: dict[str, str] = field(default_factory=dict)
    station: str = ""


def check_submitted(name: str | None, content_type: str | None, attributes: dict[str, str] | None) -> None:
    """Raises UsageError for what could not be told to a server as it was meant."""
    if name is not None and (not name.strip(" .") or len(name) > MAX_TEXT):
        raise UsageError(
            f"A report needs a name of 1 to {MAX_TEXT:,} characters, not {name[:40]!r}. It was not accepted.",
            remedy="Leave the name out to use the file's own.",
        )
    if content_type is not None and not CONTENT_TYPE.fullmatch(content_type):
        raise UsageError(
            f"{content_type!r} is not a content type. It was not accepted.",
            remedy="For example: text/xml, or text/csv; charset=utf-8. Left out, the file's name decides.",
        )
    length = 0
    for key, value in (attributes or {}).items():
        if not (isinstance(key, str) and isinstance(value, str) and key.strip()):
            raise UsageError(f"The attribute {key!r}={value!r} is not text with a name. It was not accepted.")
        length += sum(len(quote(text, safe="", errors="replace")) + 1 for text in (key, value))
    if length > MAX_HEADER:
        raise UsageError(
            f"All attributes travel in one header, in which there is room for {MAX_HEADER:,} bytes; these take {length:,}. "
            "It was not accepted.",
            remedy="Put what is longer into the report itself.",
        )


def content_type_of(name: str) -> str:
    """The content type that a file name suggests."""
    guessed, encoding = mimetypes.guess_type(name)
    return guessed if guessed and not encoding else DEFAULT_CONTENT_TYPE
