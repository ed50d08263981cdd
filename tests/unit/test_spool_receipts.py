"""Receipts: the proof is durable before anything rests on it, and damaged lines stop nobody."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from dropsafe.errors import EntryNotFound
from dropsafe.spool import Grade, Receipt, Spool, State, receipts
from dropsafe.spool.clock import ManualClock, iso
from dropsafe.spool.receipts import (
    ReceiptWriter,
    cut_torn_line,
    find_receipt,
    newest_receipt,
    read_receipts,
    receipt_files,
)
from tests.support.spools import delivered, failing, files, ids, submit, watching

WORKER = "uploader-abcdefgh"


def receipt(spool: Spool, number: int = 1) -> Receipt:
    now = iso(spool.core.clock.now())
    return Receipt(
        id=f"20260921T141320.{number:03d}Z_abcdefgh",
        name="report.xml",
        sha256="0" * 64,
        size=1,
        accepted=now,
        at=now,
        worker=WORKER,
        attempt=1,
        status=200,
        grade=Grade.ID,
        server_id="S-1",
        address="http://server.test/",
    )


@pytest.fixture
def writer(spool: Spool) -> ReceiptWriter:
    return ReceiptWriter(spool.core.layout, WORKER, spool.core.reserve)


def all_of(spool: Spool) -> list[Receipt]:
    return [found for path in receipt_files(spool.core.layout) for found in read_receipts(path)]


def test_a_receipt_reads_as_it_was_written(spool: Spool, writer: ReceiptWriter) -> None:
    batch = [receipt(spool, number) for number in range(3)]
    writer.write(batch)
    assert all_of(spool) == batch
    assert [Path(path).name for path in receipt_files(spool.core.layout)] == [f"20260921T14.{WORKER}.jsonl"]


def test_a_batch_is_one_write_and_one_sync(spool: Spool, writer: ReceiptWriter) -> None:
    writer.write([receipt(spool)])
    with watching() as watched:
        writer.write([receipt(spool, number) for number in range(64)])
    assert watched.operations == ["receipt.write", "receipt.fsync"]


def test_a_new_file_is_durable_by_its_name_too(spool: Spool, writer: ReceiptWriter) -> None:
    with watching() as watched:
        writer.write([receipt(spool)])
    assert watched.operations == ["receipt.open", "receipt.fsync_folder", "receipt.write", "receipt.fsync"]


def test_each_hour_has_its_file(spool: Spool, writer: ReceiptWriter, clock: ManualClock) -> None:
    writer.write([receipt(spool, 1)])
    clock.advance(3600)
    writer.write([receipt(spool, 2)])
    assert [Path(path).name[:11] for path in receipt_files(spool.core.layout)] == ["20260921T14", "20260921T15"]


@pytest.mark.parametrize("operation", ["receipt.write", "receipt.fsync"])
def test_rule_3_3_after_a_failure_the_batch_goes_to_a_new_file(
    spool: Spool, writer: ReceiptWriter, operation: str
) -> None:
    writer.write([receipt(spool, 1)])
    with failing(errno.EIO, operation) as watched:
        writer.write([receipt(spool, 2), receipt(spool, 3)])
    (failed,) = watched.failed
    assert failed not in watched.paths("receipt.fsync"), "never synced again"
    assert watched.paths("receipt.fsync") == [f"{spool.core.layout.receipts}/20260921T14.{WORKER}.1.jsonl"]
    assert [found.id for found in all_of(spool)] == [receipt(spool, number).id for number in (2, 3, 1)]
    writer.write([receipt(spool, 4)])
    assert files(spool.core.layout.receipts)[Path(failed).name].count(b"\n") == 1, "and never written to again"


def test_rule_3_3_nor_does_the_next_batch_use_a_file_that_failed_twice(spool: Spool, writer: ReceiptWriter) -> None:
    with failing(errno.EIO, "receipt.fsync", times=2) as watched, pytest.raises(OSError, match="Input/output"):
        writer.write([receipt(spool, 1)])
    with watching() as after:
        writer.write([receipt(spool, 1)])
    assert len(set(watched.failed)) == 2
    assert not set(after.paths("receipt.fsync")) & set(watched.failed)
    assert [found.id for found in all_of(spool)] == [receipt(spool, 1).id]


def test_rule_3_3_nor_does_the_clock_that_goes_back_an_hour(
    spool: Spool, writer: ReceiptWriter, clock: ManualClock
) -> None:
    writer.write([receipt(spool, 1)])
    with failing(errno.EIO, "receipt.fsync") as watched:
        writer.write([receipt(spool, 2)])
    (failed,) = watched.failed
    clock.step(3600)
    writer.write([receipt(spool, 3)])
    clock.step(-3600)
    with watching() as after:
        writer.write([receipt(spool, 4)])
    assert failed not in after.paths("receipt.write")


def test_what_was_not_confirmed_is_cut_off(spool: Spool, writer: ReceiptWriter) -> None:
    """Else a recovery would take it for proof."""
    writer.write([receipt(spool, 1)])
    with failing(errno.EIO, "receipt.fsync", times=2), pytest.raises(OSError, match="Input/output"):
        writer.write([receipt(spool, 2)])
    assert [found.id for found in all_of(spool)] == [receipt(spool, 1).id]


def test_rule_3_4_receipts_find_room_on_a_full_disk(spool: Spool, writer: ReceiptWriter) -> None:
    spool.core.reserve.refill(0)
    before = len(spool.core.reserve.files())
    with failing(errno.ENOSPC, "receipt.write", times=3):
        writer.write([receipt(spool)])
    assert len(all_of(spool)) == 1
    assert before - len(spool.core.reserve.files()) == 2
    assert list(files(spool.core.layout.receipts).values()) == [b"".join([line(receipt(spool))])]


def test_a_full_disk_for_days_leaves_no_heap_of_empty_files(spool: Spool, writer: ReceiptWriter) -> None:
    with failing(errno.ENOSPC, "receipt.write", times=100):
        for _ in range(20):
            with pytest.raises(OSError, match="No space"):
                writer.write([receipt(spool)])
    assert files(spool.core.layout.receipts) == {}


def test_ballast_is_not_given_up_for_another_trouble(spool: Spool, writer: ReceiptWriter) -> None:
    spool.core.reserve.refill(0)
    before = spool.core.reserve.files()
    with failing(errno.EIO, "receipt.write"):
        writer.write([receipt(spool)])
    assert spool.core.reserve.files() == before


def line(one: Receipt) -> bytes:
    return json.dumps(asdict(one)).encode() + b"\n"


FOREIGN = [
    b"\n",
    b"nonsense\n",
    b"[]\n",
    b'"text"\n',
    b"{}\n",
    b'{"id": "x"}\n',
    b"\x00" * 500 + b"\n",
    b"\xff\xfe\n",
    b'{"id": 1, "sha256": null, "grade": "id"}\n',
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_foreign_line_is_passed_over(spool: Spool, writer: ReceiptWriter, foreign: bytes) -> None:
    writer.write([receipt(spool, 1)])
    path = Path(next(receipt_files(spool.core.layout)))
    path.write_bytes(foreign + path.read_bytes() + foreign)
    assert [found.id for found in all_of(spool)] == [receipt(spool, 1).id]
    assert find_receipt(spool.core.layout, receipt(spool, 1).id) == receipt(spool, 1)


def test_a_receipt_is_found_wherever_it_stands_in_its_file(
    spool: Spool, writer: ReceiptWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "_BLOCK", 7)
    batch = [receipt(spool, number) for number in range(3)]
    writer.write(batch)
    assert [find_receipt(spool.core.layout, each.id) for each in batch] == batch
    assert receipts.receipts_beginning(spool.core.layout, "abcd").keys() == {each.id for each in batch}
    assert find_receipt(spool.core.layout, receipt(spool, 9).id) is None


@pytest.mark.parametrize(
    "different", [{"at": "yesterday"}, {"at": 5}, {"sha256": None}, {"grade": "excellent"}, {"id": 7}, {"more": 1}]
)
def test_a_line_that_proves_nothing_is_passed_over(spool: Spool, different: dict[str, object]) -> None:
    path = Path(spool.core.layout.receipts, f"20260921T14.{WORKER}.jsonl")
    path.write_text(json.dumps({**asdict(receipt(spool)), **different}) + "\n")
    assert all_of(spool) == []


@pytest.mark.parametrize("torn", [b'{"id": "2026', b"\x00" * 4096, b"x"])
def test_a_torn_last_line_is_passed_over_and_can_be_cut(spool: Spool, writer: ReceiptWriter, torn: bytes) -> None:
    writer.write([receipt(spool, 1)])
    path = Path(next(receipt_files(spool.core.layout)))
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert [found.id for found in all_of(spool)] == [receipt(spool, 1).id]
    assert cut_torn_line(str(path))
    assert path.read_bytes() == whole
    assert not cut_torn_line(str(path))


def test_a_whole_line_without_its_end_is_torn(spool: Spool) -> None:
    path = Path(spool.core.layout.receipts, f"20260921T14.{WORKER}.jsonl")
    path.write_bytes(line(receipt(spool)).rstrip())
    assert all_of(spool) == []
    assert find_receipt(spool.core.layout, receipt(spool).id) is None


def test_files_that_are_no_receipts_are_passed_over(spool: Spool, writer: ReceiptWriter) -> None:
    writer.write([receipt(spool)])
    for name in ("notes.txt", "x.jsonl", ".jsonl", "20260921T14.jsonl"):
        Path(spool.core.layout.receipts, name).write_bytes(b"hello\n")
    assert len(all_of(spool)) == 1
    strangers = " ".join(spool.audit().strangers)
    assert all(name in strangers for name in ("notes.txt", "x.jsonl"))


def test_the_receipt_of_an_entry_is_found_by_its_id(spool: Spool, clock: ManualClock) -> None:
    made = []
    for _ in range(4):
        made += delivered(spool, b"x", b"y")
        clock.advance(86_400)
    for entry_id in made:
        assert spool.receipt_of(entry_id).id == entry_id
    (waiting,) = submit(spool, b"z")
    with pytest.raises(EntryNotFound):
        spool.receipt_of(waiting)


def test_the_newest_receipt_is_found_without_reading_all(
    spool: Spool, writer: ReceiptWriter, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert newest_receipt(spool.core.layout) is None
    assert spool.last_receipt() is None
    monkeypatch.setattr(receipts, "TAIL_BYTES", 1000)
    for number in range(20):
        writer.write([receipt(spool, number)])
        clock.advance(1)
    latest = newest_receipt(spool.core.layout)
    assert latest is not None
    assert latest.id == receipt(spool, 19).id


def test_every_delivered_entry_has_a_receipt_with_its_full_digest(spool: Spool) -> None:
    delivered(spool, b"1", b"22", b"333")
    for entry in spool.entries("sent"):
        proof = spool.receipt_of(entry.id)
        assert proof.sha256.startswith(entry.name.digest16)
        assert len(proof.sha256) == 64
        assert proof.size == entry.size
    assert len(ids(spool, State.SENT)) == 3


def test_a_receipt_of_another_worker_is_not_mixed_in(spool: Spool, writer: ReceiptWriter) -> None:
    other = ReceiptWriter(spool.core.layout, "uploader-zzzzzzzz", spool.core.reserve)
    writer.write([receipt(spool, 1)])
    other.write([replace(receipt(spool, 2), worker="uploader-zzzzzzzz")])
    mine = [found.id for path in receipt_files(spool.core.layout, worker=WORKER) for found in read_receipts(path)]
    assert mine == [receipt(spool, 1).id]
    assert len(os.listdir(spool.core.layout.receipts)) == 2
