"""The receiver's memory: every key, durable before anybody is told so, and the bodies up to 64 KiB.

Nothing is acknowledged that SQLite has not synced. A failed transaction fails everyone in it, and each of them may
send again. One store at a time holds a data folder.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeVar

import filelock

from dropsafe.errors import DropsafeError, TemporaryError, UsageError
from dropsafe.receiver.bodies import Bodies, make_folder
from dropsafe.receiver.group import GroupCommit
from dropsafe.receiver.reading import Reading
from dropsafe.receiver.records import Arrival, Kept, Receipt, Totals, Verdict, server_id

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

_T = TypeVar("_T")


class StoreFailed(DropsafeError):
    """SQLite or the system refused. Nothing of this arrival is acknowledged. `is_full`: for want of space."""

    title = "Not stored"

    def __init__(self, message: str, *, is_full: bool) -> None:
        super().__init__(message)
        self.is_full = is_full


class Store:
    """An open data folder. To be made, used and closed within one event loop."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        with ExitStack() as opened:
            opened.callback(_take(folder).release)
            self.bodies = Bodies(folder / "bodies")
            try:
                _prepare(folder)
                self._database = opened.enter_context(closing(_connect(folder)))
                self.bodies.sweep(_names_of_files(self._database))
                self.totals = _load_totals(self._database)
                self._reading = Reading(opened.enter_context(closing(_connect(folder))), self.bodies)
            except sqlite3.DatabaseError as error:
                raise UsageError(
                    f"The database in {folder} cannot be used: {error}. Nothing was changed.",
                    remedy="Give another folder with --data, or put the database right with sqlite3.",
                ) from error
            self._opened = opened.pop_all()
        self._group = GroupCommit(self._commit)
        self._readers = ThreadPoolExecutor(1, "receiver-reader")

    async def keep(self, arrival: Arrival) -> Kept:
        """Remember the arrival; returns once that is durable. A body in a file is the store's from here on.

        Raises StoreFailed. Cancelling the wait does not undo the storing.
        """
        kept = await self._group.join(arrival)
        if kept.verdict is not Verdict.STORED and isinstance(arrival.body, str):
            await asyncio.to_thread(self.bodies.discard, arrival.body)
        return kept

    async def read(self, question: Callable[[Reading], _T]) -> _T:
        """Ask something of what is stored, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, question, self._reading)

    async def close(self) -> None:
        """Finish what was handed in, then let go of the folder."""
        await self._group.close()
        self._readers.shutdown()
        self._opened.close()

    def _commit(self, arrivals: list[Arrival]) -> list[Kept]:
        database = self._database
        try:
            database.execute("BEGIN IMMEDIATE")
            kept = [_keep(database, arrival) for arrival in arrivals]
            database.execute("COMMIT")
        except Exception as error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            is_full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            raise StoreFailed(f"The database refused it: {error}. Nothing was stored.", is_full=is_full) from error
        self.totals = _counted(self.totals, kept)
        return kept


def _keep(database: sqlite3.Connection, arrival: Arrival) -> Kept:
    labels = arrival.labels
    is_file = isinstance(arrival.body, str)
    cursor = database.execute(
        "INSERT INTO reports (key, sha256, size, name, station, attributes, content_type, content_encoding, received_at,"
        " file) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
        (
            arrival.key,
            arrival.sha256,
            arrival.size,
            labels.name,
            labels.station,
            json.dumps(labels.attributes, ensure_ascii=False) if labels.attributes else None,
            labels.content_type,
            labels.content_encoding,
            arrival.received_at,
            arrival.body if is_file else None,
        ),
    )
    if cursor.rowcount != 1:
        return _keep_known(database, arrival)
    number = cursor.lastrowid
    assert number is not None
    if not is_file:
        database.execute("INSERT INTO bodies (report, body) VALUES (?, ?)", (number, arrival.body))
    receipt = Receipt(server_id(number), arrival.key, arrival.sha256, arrival.size, arrival.received_at)
    return Kept(Verdict.STORED, receipt)


def _keep_known(database: sqlite3.Connection, arrival: Arrival) -> Kept:
    number, sha256, size, received_at = database.execute(
        "SELECT id, sha256, size, received_at FROM reports WHERE key = ?", (arrival.key,)
    ).fetchone()
    receipt = Receipt(server_id(number), arrival.key, sha256, size, received_at)
    if sha256 != arrival.sha256:
        database.execute("UPDATE reports SET conflicts = conflicts + 1 WHERE id = ?", (number,))
        return Kept(Verdict.CONFLICT, receipt)
    database.execute(
        "UPDATE reports SET repeats = repeats + 1, last_repeat_at = ? WHERE id = ?", (arrival.received_at, number)
    )
    return Kept(Verdict.REPEAT, receipt)


def _counted(totals: Totals, kept: Sequence[Kept]) -> Totals:
    times = Counter(one.verdict for one in kept)
    return Totals(
        stored=totals.stored + times[Verdict.STORED],
        bytes=totals.bytes + sum(one.receipt.size for one in kept if one.verdict is Verdict.STORED),
        repeats=totals.repeats + times[Verdict.REPEAT],
        conflicts=totals.conflicts + times[Verdict.CONFLICT],
    )


def _take(folder: Path) -> filelock.BaseFileLock:
    lock = filelock.FileLock(folder / "receiver.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise TemporaryError(
            f"Another receiver is using {folder}. Nothing was changed.",
            remedy="Stop it, or give another --data folder.",
        ) from error
    return lock


def _connect(folder: Path) -> sqlite3.Connection:
    """A connection that commits durably: with WAL, only FULL syncs each transaction."""
    database = sqlite3.connect(folder / "receiver.db", isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    return database


def _prepare(folder: Path) -> None:
    """Make the tables, if there are none. Raises sqlite3.DatabaseError if this is another program's or version's."""
    with closing(_connect(folder)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version == 0 and tables == 0:
            database.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
        elif version != FORMAT:
            raise sqlite3.DatabaseError(f"it has format {version}, this receiver writes {FORMAT}")


def _load_totals(database: sqlite3.Connection) -> Totals:
    """Count everything, once."""
    row = database.execute(
        "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(repeats), 0), coalesce(sum(conflicts), 0) FROM reports"
    ).fetchone()
    return Totals(*row)


def _names_of_files(database: sqlite3.Connection) -> set[str]:
    """The bodies that lie in files."""
    return {name for (name,) in database.execute("SELECT file FROM reports WHERE file IS NOT NULL")}
