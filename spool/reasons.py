"""`NAME.reason.json` beside an entry in `failed/`, `quarantine/` or `discarded/`: why it is there, in words."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from dropsafe.spool import durable
from dropsafe.spool.names import REASON_SUFFIX, parse_entry_name
from dropsafe.spool.written import read_json


@dataclass(frozen=True, slots=True)
class Reason:
    """`kind` is a word for programs; the rest is for people. `at` is ISO 8601 UTC, filled in when it is written, as
    is the entry's id where the remedy says ID."""

    kind: str
    summary: str
    remedy: str
    detail: str = ""
    status: int | None = None
    at: str = ""
    id: str = ""

    @property
    def brief(self) -> str:
        """The same in a few words: the server's own, where it has said any."""
        words = " ".join(self.detail.split())
        return f'{self.status} "{words}"' if self.status and words else self.summary


def reason_path(entry_path: str) -> str:
    """The reason file that belongs to an entry's file."""
    return entry_path + REASON_SUFFIX


def write_reason(entry_path: str, reason: Reason, scratch_folder: str, mode: int) -> None:
    """Durable when it returns, so that the entry never arrives without its reason."""
    data = json.dumps(asdict(reason), indent=1, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    target = reason_path(entry_path)
    durable.write_file("reason", f"{scratch_folder}/{secrets.token_hex(8)}.reason", target, data, mode)


def read_reason(path: str) -> Reason | None:
    """The reason in a file; None if there is none to be read, or if it is not one of ours for the entry it names."""
    try:
        named = parse_entry_name(os.path.basename(path).removesuffix(REASON_SUFFIX))
        return reason_in(read_json(path), named.id)
    except (OSError, ValueError):
        return None


def reason_in(content: Any, entry_id: str) -> Reason | None:
    """The reason in what was read; None if it is not one of ours for that entry."""
    try:
        reason = Reason(**content)
    except TypeError:
        return None
    strings = (reason.kind, reason.summary, reason.remedy, reason.detail, reason.at)
    return reason if reason.id == entry_id and all(isinstance(text, str) for text in strings) else None


def remove_reason(entry_path: str) -> None:
    """After the entry has left, and the journal has the reason."""
    with suppress(FileNotFoundError):
        durable.unlink("reason.unlink", reason_path(entry_path))
