"""File names of entries and of buckets: made, read and checked here alone. Pure; touches no file.

An entry's name is `STAMP_TOKEN_DIGEST_ORIGINAL`: UTC time of acceptance, random id, first 16 hex digits of the
payload's SHA-256, and the submitter's file name made safe for NTFS and POSIX. Its id is the first two parts.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import math
import os
import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from dropsafe.spool.clock import utc

MAX_NAME_BYTES = 140
BUCKET_SIZE = 10_000
ID_LENGTH = 29
TOKEN_START = 21
HOUR_LENGTH = 11
"""So many characters of an id, or of a bucket's name, say which hour."""
REASON_SUFFIX = ".reason.json"

_DAY = r"[1-9][0-9]{3}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"T(?:[01][0-9]|2[0-3])(?:[0-5][0-9]){2}"
_STAMP = rf"{_DAY}{_TIME}\.[0-9]{{3}}Z"
_ENTRY = re.compile(rf"({_STAMP})_([a-z2-7]{{8}})_([0-9a-f]{{16}})_([^/\x00]+)")
_ID = re.compile(rf"{_STAMP}_[a-z2-7]{{8}}")
_BUCKET = re.compile(rf"({_DAY}{_TIME})-([0-9]{{3,9}})")
_UNSAFE = re.compile(r'[<>:"/\\|?*]')
# Control and format characters (those that turn the reading direction too), surrogates, line and paragraph separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# Device names of Windows, reserved with any extension.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:\..*)?", re.IGNORECASE)
# What the regular expressions let through.
_SHORT_MONTHS = ("0230", "0231", "0431", "0631", "0931", "1131")


class NotAName(ValueError):
    """The text is not a name of that kind."""


@dataclass(frozen=True, slots=True)
class EntryName:
    """The parts of an entry's file name. `original` is as stored, that is, after `safe_name`."""

    stamp: str
    token: str
    digest16: str
    original: str

    @property
    def id(self) -> str:
        return f"{self.stamp}_{self.token}"

    @property
    def accepted(self) -> datetime:
        """UTC time of acceptance."""
        return _moment(self.stamp)

    def __str__(self) -> str:
        return f"{self.stamp}_{self.token}_{self.digest16}_{self.original}"


def _moment(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)


def stamp_time(entry_id: str) -> float:
    """When the entry of that id was accepted, in seconds since the epoch."""
    return _moment(entry_id.partition("_")[0]).timestamp()


def stamp_of(seconds: float) -> str:
    """The stamp of that time, in seconds since the epoch, of which a part of a millisecond counts as a whole one."""
    milliseconds = max(0, math.ceil(seconds * 1000))
    return f"{utc(milliseconds // 1000):%Y%m%dT%H%M%S}.{milliseconds % 1000:03d}Z"


def new_id(now: float) -> str:
    """A fresh entry id for an acceptance at `now` (seconds since the epoch)."""
    token = base64.b32encode(secrets.token_bytes(5)).decode("ascii").lower()
    moment = utc(now)
    return f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z_{token}"


def other_id(entry_id: str, digest16: str) -> str:
    """The id for other bytes that were accepted elsewhere under an id of this spool: the same one at each import."""
    token = hashlib.sha256(f"{entry_id} {digest16}".encode("ascii")).digest()[:5]
    return f"{entry_id[:TOKEN_START]}{base64.b32encode(token).decode('ascii').lower()}"


def is_id(text: str) -> bool:
    """Whether `text` is a whole entry id."""
    return _ID.fullmatch(text) is not None and _is_day(text)


def begins(name: str, prefix: str) -> bool:
    """Whether an entry's id (or a name that begins with it), or the random part of it, begins with `prefix`."""
    return name.startswith(prefix) or name[TOKEN_START:ID_LENGTH].startswith(prefix)


def entry_name(entry_id: str, sha256: str, original: str) -> EntryName:
    """The name of an entry; `original` is shortened and made safe. Raises NotAName for a malformed id."""
    if not is_id(entry_id):
        raise NotAName(f"{entry_id!r} is not an entry id")
    stamp, token = entry_id.split("_")
    room = MAX_NAME_BYTES - len(entry_id) - 18
    return EntryName(stamp, token, sha256[:16], safe_name(original, room))


def parse_entry_name(text: str) -> EntryName:
    """Read a file name. Raises NotAName for anything that is not an entry's (a reason file is not)."""
    match = matched(text)
    if match is None:
        raise NotAName(text)
    return EntryName(*match.groups())


def name_within(text: str) -> EntryName | None:
    """The entry's name that a longer file name ends with, as file managers name a copy; None if it ends with none."""
    found = _ENTRY.search(text, 1)
    try:
        return parse_entry_name(found[0]) if found else None
    except NotAName:
        return None


def matched(text: str) -> re.Match[str] | None:
    """The same as far as it is cheap, for where very many are gone through: its parts, None if it is no entry's."""
    match = _ENTRY.fullmatch(text)
    return None if match is None or text.endswith(REASON_SUFFIX) or not _is_day(text) else match


def _is_day(text: str) -> bool:
    """Whether a stamp names a day that there is: an entry's time of acceptance must always be readable."""
    if text[4:8] == "0229":
        return calendar.isleap(int(text[:4]))
    return text[4:8] not in _SHORT_MONTHS


def safe_name(original: str, max_bytes: int) -> str:
    """`original` as a file name on NTFS and POSIX alike, at most `max_bytes` long in UTF-8, its extension kept."""
    text = unicodedata.normalize("NFC", original)
    text = "".join("_" if unicodedata.category(char) in _INVISIBLE else char for char in text)
    text = _UNSAFE.sub("_", text).rstrip(" .")
    if len(text.encode()) >= max_bytes:
        text = _shorten(text, max_bytes - 1)  # the next step may add one
    return _harmless(text or "unnamed")


def _harmless(text: str) -> str:
    """A technician who takes the prefix off must get a name that his system takes, and that is not a reason file's."""
    if text.startswith("."):
        text = "_" + text[1:]
    if _RESERVED.fullmatch(text):
        text = "_" + text
    if text.lower().endswith(REASON_SUFFIX):
        text = text[: -len(REASON_SUFFIX)] + ".reason_json"
    return text


def _shorten(text: str, max_bytes: int) -> str:
    stem, extension = os.path.splitext(text)
    if len(extension.encode()) > 16:
        stem, extension = text, ""
    room = max_bytes - len(extension.encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(" .") + extension


def bucket_name(due: float, serial: int) -> str:
    """The bucket for entries due from `due` (seconds since the epoch), the `serial`-th of that time."""
    return f"{utc(due):%Y%m%dT%H%M%S}-{serial:03d}"


def parse_bucket(text: str) -> tuple[float, int]:
    """(due time in seconds since the epoch, serial). Raises NotAName."""
    match = _BUCKET.fullmatch(text)
    if match is None:
        raise NotAName(text)
    try:
        due = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise NotAName(text) from None
    return due.timestamp(), int(match[2])


def hour_start(seconds: float) -> float:
    """The start of the UTC hour that holds `seconds`."""
    return seconds - seconds % 3600


def hour_name(seconds: float) -> str:
    """`20261123T14`: the hour in the names of receipts files and meta folders."""
    return f"{utc(seconds):%Y%m%dT%H}"


def day_name(seconds: float) -> str:
    """`20261123`: the day in the names of journal files."""
    return f"{utc(seconds):%Y%m%d}"
