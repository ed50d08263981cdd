"""Questions about what is stored. One thread at a time; never in the way of the writer (WAL)."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from dropsafe.receiver.bodies import Bodies
from dropsafe.receiver.records import Receipt, Report, server_id

_COLUMNS = (
    "id, key, sha256, size, received_at, name, station, attributes, content_type, content_encoding, repeats,"
    " last_repeat_at, conflicts"
)


class Reading:
    """The read side of the store."""

    def __init__(self, database: sqlite3.Connection, bodies: Bodies) -> None:
        self._database = database
        self._bodies = bodies

    def newest(self, limit: int) -> list[Report]:
        """Up to `limit` reports, newest first."""
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM reports ORDER BY id DESC LIMIT ?", (limit,))  # noqa: S608
        return [_report(row) for row in rows]

    def find(self, key: str) -> Report | None:
        """The report with that key."""
        row = self._database.execute(f"SELECT {_COLUMNS} FROM reports WHERE key = ?", (key,)).fetchone()  # noqa: S608
        return None if row is None else _report(row)

    def body(self, key: str) -> bytes | Path | None:
        """Its bytes, or the file that holds them."""
        row = self._database.execute(
            "SELECT file, body FROM reports LEFT JOIN bodies ON report = id WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        file, body = row
        return self._bodies.path(file) if file else body

    def lines(self, after: int, limit: int) -> tuple[int, bytes]:
        """`KEY SHA256 SIZE` of up to `limit` reports from number `after` on, and the last one's number (0: no more)."""
        rows = self._database.execute(
            "SELECT id, key, sha256, size FROM reports WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        ).fetchall()
        text = "".join(f"{key} {sha256} {size}\n" for _, key, sha256, size in rows)
        return (rows[-1][0] if rows else 0), text.encode()


def _report(row: tuple[Any, ...]) -> Report:
    number, key, sha256, size, received_at, name, station, attributes, *rest = row
    receipt = Receipt(server_id(number), key, sha256, size, received_at)
    return Report(receipt, name, station, json.loads(attributes) if attributes else {}, *rest)
