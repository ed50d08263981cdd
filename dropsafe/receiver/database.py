"""The SQLite file: its tables, and how it is opened."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from dropsafe.receiver.records import Totals

FORMAT = 1

_TABLES = """
CREATE TABLE reports (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    name TEXT NOT NULL,
    station TEXT NOT NULL,
    attributes TEXT,
    content_type TEXT NOT NULL,
    content_encoding TEXT NOT NULL,
    received_at TEXT NOT NULL,
    file TEXT,
    repeats INTEGER NOT NULL DEFAULT 0,
    last_repeat_at TEXT NOT NULL DEFAULT '',
    conflicts INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE bodies (report INTEGER PRIMARY KEY REFERENCES reports (id), body BLOB NOT NULL);
"""


def connect(folder: Path) -> sqlite3.Connection:
    """A connection that commits durably: with WAL, only FULL syncs each transaction."""
    database = sqlite3.connect(folder / "receiver.db", isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    return database


def prepare(folder: Path) -> None:
    """Make the tables, if there are none. Raises sqlite3.DatabaseError if this is another program's or version's."""
    with closing(connect(folder)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version == 0 and tables == 0:
            database.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
        elif version != FORMAT:
            raise sqlite3.DatabaseError(f"it has format {version}, this receiver writes {FORMAT}")


def load_totals(database: sqlite3.Connection) -> Totals:
    """Count everything, once."""
    row = database.execute(
        "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(repeats), 0), coalesce(sum(conflicts), 0) FROM reports"
    ).fetchone()
    return Totals(*row)


def names_of_files(database: sqlite3.Connection) -> set[str]:
    """The bodies that lie in files."""
    return {name for (name,) in database.execute("SELECT file FROM reports WHERE file IS NOT NULL")}
