"""The receiver's memory: one report for each key, durable before it is acknowledged."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import stat
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import dropsafe.receiver.store
from dropsafe.errors import TemporaryError, UsageError
from dropsafe.receiver.bodies import Draft, make_folder
from dropsafe.receiver.labels import Labels
from dropsafe.receiver.reading import Reading
from dropsafe.receiver.records import Arrival, Kept, Totals, Verdict
from dropsafe.receiver.store import Store, StoreFailed


def arrival(key: str, body: bytes = b"x", at: str = "2026-11-23T14:30:00.000Z") -> Arrival:
    sha256 = hashlib.sha256(body).hexdigest()
    labels = Labels(key, sha256, "a.xml", "line-3", {"serial": "A1"}, "application/xml", "")
    return Arrival(key, sha256, len(body), labels, at, body)


def in_file(store: Store, one: Arrival) -> Arrival:
    """The same arrival, its body in a file as if it were large."""
    assert isinstance(one.body, bytes)
    draft = store.bodies.draft()
    draft.append(one.body)
    return replace(one, body=draft.keep())


def with_store(folder: Path, use: Callable[[Store], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        store = Store(folder)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(run())


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "bodies").iterdir())


def test_a_stored_report_is_there_after_a_restart(tmp_path: Path) -> None:
    async def store_one(store: Store) -> Kept:
        return await store.keep(arrival("k1", b"hello"))

    async def look(store: Store) -> tuple[Any, ...]:
        return await store.read(lambda stored: (stored.find("k1"), stored.body("k1"), store.totals))

    kept = with_store(tmp_path, store_one)
    report, body, totals = with_store(tmp_path, look)
    assert kept.verdict is Verdict.STORED
    assert report.receipt == kept.receipt
    assert (report.name, report.station, report.attributes) == ("a.xml", "line-3", {"serial": "A1"})
    assert body == b"hello"
    assert totals == Totals(stored=1, bytes=5)


def test_a_repeat_gets_the_first_receipt_and_is_counted(tmp_path: Path) -> None:
    async def use(store: Store) -> tuple[Kept, Kept]:
        first = await store.keep(arrival("k1", at="2026-11-23T14:30:00.000Z"))
        return first, await store.keep(arrival("k1", at="2026-11-23T15:00:00.000Z"))

    async def look(store: Store) -> Any:
        assert store.totals == Totals(stored=1, bytes=1, repeats=1)
        return await store.read(lambda stored: stored.find("k1"))

    first, second = with_store(tmp_path, use)
    report = with_store(tmp_path, look)
    assert second.verdict is Verdict.REPEAT
    assert second.receipt == first.receipt
    assert (report.repeats, report.last_repeat_at) == (1, "2026-11-23T15:00:00.000Z")


def test_the_same_key_with_other_bytes_is_a_conflict_and_changes_nothing(tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        first = await store.keep(arrival("k1", b"one"))
        second = await store.keep(arrival("k1", b"two!"))
        assert second.verdict is Verdict.CONFLICT
        assert second.receipt == first.receipt
        assert await store.read(lambda stored: stored.body("k1")) == b"one"
        assert store.totals == Totals(stored=1, bytes=3, conflicts=1)
        report = await store.read(lambda stored: stored.find("k1"))
        assert report is not None
        assert (report.conflicts, report.repeats) == (1, 0)

    with_store(tmp_path, use)


def test_many_at_once_with_one_key_store_it_once(tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        kept = await asyncio.gather(*(store.keep(arrival("k1")) for _ in range(200)))
        verdicts = [one.verdict for one in kept]
        assert verdicts.count(Verdict.STORED) == 1
        assert verdicts.count(Verdict.REPEAT) == 199
        assert len({one.receipt for one in kept}) == 1
        assert store.totals == Totals(stored=1, bytes=1, repeats=199)

    with_store(tmp_path, use)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many took part in each commit."""
    sizes: list[int] = []
    commit = Store._commit

    def counting(store: Store, arrivals: list[Arrival]) -> list[Kept]:
        sizes.append(len(arrivals))
        return commit(store, arrivals)

    monkeypatch.setattr(Store, "_commit", counting)
    return sizes


def test_what_arrives_during_a_commit_shares_the_next(tmp_path: Path, commits: list[int]) -> None:
    async def use(store: Store) -> None:
        await asyncio.gather(*(store.keep(arrival(f"k{number}")) for number in range(150)))

    with_store(tmp_path, use)
    assert commits == [1, 64, 64, 21]


def test_a_lone_sender_never_waits_for_others(
    tmp_path: Path, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropsafe.receiver.group.LONGEST_GATHERING", 3600.0)

    async def use(store: Store) -> None:
        for number in range(3):
            await asyncio.wait_for(store.keep(arrival(f"k{number}")), 20)

    with_store(tmp_path, use)
    assert commits == [1, 1, 1]


def test_as_many_are_waited_for_as_there_were(
    tmp_path: Path, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropsafe.receiver.group.LONGEST_GATHERING", 3600.0)

    async def use(store: Store) -> None:
        waiting = [asyncio.ensure_future(store.keep(arrival(f"k{number}"))) for number in range(2)]
        await waiting[0]
        assert not waiting[1].done()
        await asyncio.wait_for(asyncio.gather(waiting[1], store.keep(arrival("k2"))), 20)

    with_store(tmp_path, use)
    assert commits == [1, 2]


def test_who_does_not_come_again_is_waited_for_only_shortly(tmp_path: Path, commits: list[int]) -> None:
    async def use(store: Store) -> None:
        await asyncio.gather(*(store.keep(arrival(f"k{number}")) for number in range(3)))
        await asyncio.wait_for(store.keep(arrival("k4")), 20)

    with_store(tmp_path, use)
    assert commits == [1, 2, 1]


def test_closing_commits_what_was_handed_in(tmp_path: Path) -> None:
    async def hand_in() -> None:
        store = Store(tmp_path)
        waiting = [asyncio.ensure_future(store.keep(arrival(f"k{number}"))) for number in range(100)]
        await asyncio.sleep(0)
        await store.close()
        assert all(one.done() and one.result().verdict is Verdict.STORED for one in waiting)

    async def look(store: Store) -> int:
        return store.totals.stored

    asyncio.run(hand_in())
    assert with_store(tmp_path, look) == 100


def test_a_failed_commit_fails_its_reports_and_no_later_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = dropsafe.receiver.store._keep

    def refusing(database: sqlite3.Connection, one: Arrival) -> Kept:
        kept = keep(database, one)
        if one.key == "bad":
            raise sqlite3.OperationalError("disk I/O error")
        return kept

    monkeypatch.setattr(dropsafe.receiver.store, "_keep", refusing)

    async def use(store: Store) -> None:
        keys = ("first", "good", "bad")
        outcomes = await asyncio.gather(*(store.keep(arrival(key)) for key in keys), return_exceptions=True)
        assert [type(one) for one in outcomes] == [Kept, StoreFailed, StoreFailed]
        assert "disk I/O error" in str(outcomes[1])
        assert await store.read(lambda stored: stored.find("good")) is None
        assert (await store.keep(arrival("good"))).verdict is Verdict.STORED
        assert store.totals == Totals(stored=2, bytes=2)

    with_store(tmp_path, use)


def test_a_full_database_is_told_apart(tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        store._database.execute("PRAGMA max_page_count = 12")
        with pytest.raises(StoreFailed) as failure:
            await store.keep(arrival("k1", b"x" * 60_000))
        assert failure.value.is_full
        assert (await store.keep(arrival("k2"))).verdict is Verdict.STORED

    with_store(tmp_path, use)


def test_every_commit_is_synced(tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        assert store._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._database.execute("PRAGMA synchronous").fetchone() == (2,)

    with_store(tmp_path, use)


def test_a_large_body_lies_in_a_file_and_a_repeat_leaves_none(tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        first = in_file(store, arrival("k1", b"large"))
        assert (await store.keep(first)).verdict is Verdict.STORED
        assert (await store.keep(in_file(store, arrival("k1", b"large")))).verdict is Verdict.REPEAT
        assert (await store.keep(in_file(store, arrival("k1", b"other")))).verdict is Verdict.CONFLICT
        path = await store.read(lambda stored: stored.body("k1"))
        assert isinstance(path, Path)
        assert path.read_bytes() == b"large"
        assert files(tmp_path) == [path.name]

    with_store(tmp_path, use)


def test_a_body_in_a_file_is_durable_before_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def watched_fsync(descriptor: int) -> None:
        steps.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        fsync(descriptor)

    def watched_rename(path: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "rename", watched_rename)
    draft = Draft(tmp_path)
    draft.append(b"large")
    name = draft.keep()
    assert steps == ["fsync file", "rename", *([] if os.name == "nt" else ["fsync folder"])]
    assert (tmp_path / name).read_bytes() == b"large"


def test_a_new_data_folder_is_durable_with_its_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("dropsafe.receiver.bodies.fsync_folder", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_what_a_crash_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    kept: list[Arrival] = []

    async def use(store: Store) -> None:
        kept.append(in_file(store, arrival("k1", b"large")))
        await store.keep(kept[0])
        in_file(store, arrival("k2", b"renamed, but the server died before the commit"))
        left = Draft(tmp_path / "bodies")
        left.append(b"half")
        left._file.close()
        (tmp_path / "bodies" / "somebody's notes.txt").write_text("mine")

    async def look(store: Store) -> None:
        assert await store.read(lambda stored: stored.body("k2")) is None

    with_store(tmp_path, use)
    assert len(files(tmp_path)) == 4
    with_store(tmp_path, look)
    assert files(tmp_path) == sorted(["somebody's notes.txt", str(kept[0].body)])


def test_the_newest_come_first(tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        for number in range(7):
            await store.keep(arrival(f"k{number}"))
        newest = await store.read(lambda stored: stored.newest(3))
        assert [report.receipt.key for report in newest] == ["k6", "k5", "k4"]

    with_store(tmp_path, use)


def test_the_lines_of_the_set_come_in_parts(tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        for number in range(5):
            await store.keep(arrival(f"k{number}"))
        last, text = 0, b""
        parts = 0
        while True:
            last, lines = await store.read(partial(Reading.lines, after=last, limit=2))
            if not last:
                break
            text += lines
            parts += 1
        assert parts == 3
        assert text.decode().splitlines() == [f"k{number} {hashlib.sha256(b'x').hexdigest()} 1" for number in range(5)]

    with_store(tmp_path, use)


def test_a_second_receiver_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async def use(_: Store) -> None:
        with pytest.raises(TemporaryError, match="Another receiver is using"):
            Store(tmp_path)

    with_store(tmp_path, use)
    with_store(tmp_path, lambda store: store.keep(arrival("k1")))


def test_a_database_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "receiver.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE reports (somebody TEXT)")
    with pytest.raises(UsageError, match="format 0"):
        with_store(tmp_path, lambda store: store.keep(arrival("k1")))
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("reports",)]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "receiver.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(UsageError, match="not a database"):
        with_store(tmp_path, lambda store: store.keep(arrival("k1")))
    assert (tmp_path / "receiver.db").read_bytes() == b"not a database" * 1000
