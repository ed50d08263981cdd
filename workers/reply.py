"""What a server's answer proves: judged here, from the answer alone. Pure but for the time of day in `Retry-After`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

from dropsafe.spool.receipts import Grade
from dropsafe.workers import classify
from dropsafe.workers.connection import Reply
from dropsafe.workers.outcome import Deferred, Delivered, Rejected, Unavailable

MOST_WORDS = 2048
_MOST_ID = 200
_DIGEST = re.compile(r"(?:^|[,\s])sha-256=:([A-Za-z0-9+/=]+):")
_CHARSET = re.compile(r"charset=[\"']?([A-Za-z0-9._:-]+)", re.IGNORECASE)
_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:(?:<\?xml[^>]*>|<!--(?:(?!-->).)*-->)\s*)*<(?:!doctype\s+html|html|head)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
"""So a web page begins, whatever the answer says that it is: portals leave its type out, or call it text/plain."""
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


class Proof(Enum):
    """The least that counts as delivered; the values are those of `destination.require_receipt`."""

    ANY = "any"
    ID = "id"
    DIGEST = "digest"


_ENOUGH: dict[Proof, frozenset[Grade]] = {
    Proof.ANY: frozenset(Grade),
    Proof.ID: frozenset({Grade.ID, Grade.DIGEST}),
    Proof.DIGEST: frozenset({Grade.DIGEST}),
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says about success."""

    success_status: frozenset[int] = frozenset({200, 201, 202, 204})
    allow_html: bool = False
    proof: Proof = Proof.ANY


def judge(
    reply: Reply, digest: bytes, address: str, rules: Rules, hide: Callable[[str], str] = str
) -> Delivered | Deferred | Rejected | Unavailable:
    """What came of a request whose body, of that digest, was sent to the end. `hide` takes secrets out of words."""
    if reply.status not in rules.success_status:
        return refused(reply, hide)
    if _is_portal(reply, rules):
        return classify.of_row(classify.HTML, reply.status, words_of(reply, hide))
    if reply.cut:
        return classify.of_trouble(classify.Trouble.CUT, "in the middle of the answer")
    content = _json_of(reply)
    said = _digests_said(reply, content)
    if any(one != digest for one in said):
        return _deferred(reply, "digest mismatch: the server has other bytes than were sent")
    server_id = _server_id(reply, content, hide)
    grade = Grade.DIGEST if said else Grade.ID if server_id else Grade.STATUS_ONLY
    if grade not in _ENOUGH[rules.proof]:
        wanted = "the digest of what it stored" if rules.proof is Proof.DIGEST else "an id of its own"
        return _deferred(reply, f"the server did not return {wanted}, which require_receipt insists on")
    return Delivered(reply.status, grade, server_id, address, digest.hex())


def judge_early(reply: Reply, rules: Rules, hide: Callable[[str], str] = str) -> Deferred | Rejected | Unavailable:
    """What an answer means that came before everything was sent: whatever it says, it is no success."""
    if reply.status in rules.success_status:
        if _is_portal(reply, rules):
            return classify.of_row(classify.HTML, reply.status, words_of(reply, hide))
        return _deferred(reply, "the server answered before it had everything")
    return refused(reply, hide)


def _is_portal(reply: Reply, rules: Rules) -> bool:
    """Whether this is a web page where a server should have answered."""
    return not rules.allow_html and is_page(reply)


def is_page(reply: Reply) -> bool:
    """Whether it is a web page, by its type or by how it begins."""
    return reply.content_type in _PAGES or _PAGE.match(reply.body) is not None


def refused(reply: Reply, hide: Callable[[str], str]) -> Deferred | Rejected | Unavailable:
    """What an answer means whose status is not one of success."""
    words = words_of(reply, hide)
    location = reply.headers.get("location")
    if 300 <= reply.status < 400 and location:
        words = f"to {plain(hide(location)).partition('?')[0][:300]}"
    return classify.of_status(reply.status, words, retry_after(reply.headers.get("retry-after"), time.time()))


def _deferred(reply: Reply, but: str) -> Deferred:
    meaning = f"{reply.status}, but {but}"
    return Deferred(meaning, reply.status, meaning=meaning)


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header (seconds, or a date); None if there is none that makes sense."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def words_of(reply: Reply, hide: Callable[[str], str] = str) -> str:
    """The server's own words for people: RFC 9457 where given, else text; at most 2 KiB, no control characters."""

    def told_of(text: str) -> str:
        return _cut(hide(plain(text)))  # in that order: half a secret would not be found

    content = _json_of(reply)
    if content is not None:
        told = [content[key] for key in ("title", "detail", "error", "message") if isinstance(content.get(key), str)]
        if told:
            return told_of(": ".join(told))
    kind = reply.content_type or "text/plain"
    text = _text_of(reply)
    if is_page(reply):
        title = _TITLE.search(text)
        text = title[1] if title else ""
    elif not (kind.startswith("text/") or kind.endswith(("json", "xml"))):
        text = ""
    return told_of(text) or hide(plain(reply.reason))[:100]


def plain(text: str) -> str:
    """Without control and format characters (which can reorder what a person reads); line ends stay."""
    kept = (char if char == "\n" or unicodedata.category(char)[0] != "C" else " " for char in text)
    return "".join(kept).strip()


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:MOST_WORDS].decode("utf-8", "ignore")


def _text_of(reply: Reply) -> str:
    match = _CHARSET.search(reply.headers.get("content-type", ""))
    try:
        return reply.body.decode(match[1] if match else "utf-8", "replace")
    except (LookupError, ValueError):  # a charset that does not exist, or that is none
        return reply.body.decode("utf-8", "replace")


def _json_of(reply: Reply) -> dict[str, Any] | None:
    """The answer's JSON object, whatever content type it claims; None if it is none."""
    if not reply.whole or not reply.body[:64].lstrip().startswith(b"{"):
        return None
    try:
        content = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _digests_said(reply: Reply, content: dict[str, Any] | None) -> list[bytes]:
    """The SHA-256 digests that the server says it has.

    By RFC 9530 the header fields of an answer may also be about the answer itself: such a one says nothing.
    """
    said: list[bytes] = []
    for name in ("repr-digest", "content-digest"):
        match = _DIGEST.search(reply.headers.get(name, ""))
        if match is not None and (digest := _base64(match[1])) is not None and digest != _own_digest(reply):
            said.append(digest)
    told = content.get("sha256") if content else None
    if isinstance(told, str) and told:
        said.append(_hex_or_base64(told))
    return said


def _own_digest(reply: Reply) -> bytes:
    return hashlib.sha256(reply.body).digest()


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _hex_or_base64(text: str) -> bytes:
    """A digest from JSON. What is neither form is a digest that cannot match."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return _base64(text) or b""


def _server_id(reply: Reply, content: dict[str, Any] | None, hide: Callable[[str], str]) -> str | None:
    for key in ("id", "receipt", "key"):
        value = content.get(key) if content else None
        if isinstance(value, str | int) and not isinstance(value, bool) and (text := plain(str(value))):
            return hide(text)[:_MOST_ID]
    location = hide(plain(reply.headers.get("location", "")))
    return location[:_MOST_ID] or None
