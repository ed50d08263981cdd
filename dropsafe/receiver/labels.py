"""What a request's headers say about the report in its body: key, digest, name, station, attributes.

Pure functions on header values. They refuse (Problem, status 400) what cannot be understood, instead of storing a
report under a guess.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from dropsafe.receiver.problem import Problem

LONGEST_KEY = 200
LONGEST_TEXT = 1024

_KEY = re.compile(r"[!-~]+")
_SHA256 = re.compile(r"(?:^|[,\s])sha-256\s*=\s*([^,;]*)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Labels:
    """A request's own account of its report. Empty: it did not say."""

    key: str
    sha256: str
    name: str
    station: str
    attributes: dict[str, str]
    content_type: str
    content_encoding: str


def read_labels(headers: Mapping[str, str], name_in_url: str = "") -> Labels:
    """The labels in `headers`. Raises Problem if the key or the digest is malformed."""
    get = headers.get
    attributes = get("Dropsafe-Attributes")
    return Labels(
        key=_key(get("Idempotency-Key", "")),
        sha256=_digest(get("Content-Digest", "")),
        name=_text(unquote(get("Dropsafe-Name", "")) or name_in_url),
        station=_text(unquote(get("Dropsafe-Station", ""))),
        attributes=_attributes(attributes) if attributes else {},
        content_type=_text(get("Content-Type", "")),
        content_encoding=_text(get("Content-Encoding", "")),
    )


def key_of(sha256: str, name: str) -> str:
    """The key of a report that came without one.

    It follows from the bytes and the name: sent again, the report is recognised, and the same bytes under another
    name are another report.
    """
    if not name:
        return f"sha256-{sha256}"
    return f"sha256-{sha256}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def digest_header(sha256: str) -> str:
    """A SHA-256 in hex as the value of `Repr-Digest` (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def _key(value: str) -> str:
    if not value:
        return ""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if len(value) > LONGEST_KEY or not _KEY.fullmatch(value):
        raise Problem(
            400,
            "Unusable Idempotency-Key",
            f"An Idempotency-Key is 1 to {LONGEST_KEY} visible ASCII characters without spaces. Nothing was stored.",
        )
    return value


def _digest(value: str) -> str:
    """The SHA-256 in hex; empty if only other algorithms are given, which RFC 9530 allows to ignore."""
    found = _SHA256.search(value) if value else None
    if found is None:
        return ""
    text = found[1].strip()
    try:
        if len(text) < 2 or text[0] != ":" or text[-1] != ":":
            raise ValueError
        digest = base64.b64decode(text[1:-1], validate=True)
    except (ValueError, binascii.Error):
        digest = b""
    if len(digest) != 32:
        raise Problem(
            400,
            "Malformed Content-Digest",
            f"Expected sha-256=:BASE64: with the 32 bytes of a SHA-256, got {value!r}. Nothing was stored.",
        )
    return digest.hex()


def _attributes(value: str) -> dict[str, str]:
    return {_text(name): _text(text) for name, text in parse_qsl(value, keep_blank_values=True)}


def _text(value: str) -> str:
    """Storable text: without control characters, and with a visible mark for bytes that are no UTF-8."""
    if value.isascii() and value.isprintable():
        return value[:LONGEST_TEXT]
    whole = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", whole)[:LONGEST_TEXT]
