"""Receipts that were carried back finish exactly the entries that they prove."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from dropsafe.spool import Receipt, Spool, State
from dropsafe.spool.clock import SYSTEM_CLOCK, from_iso, iso
from dropsafe.spool.names import hour_name
from dropsafe.spool.receipts import find_receipt
from tests.support.carrying import exported, imported, one_in_each_state, receipts_imported
from tests.support.spools import count, deliver, delivered, failing, files, here, make_spool, receipt_for, submit


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with make_spool(tmp_path, SYSTEM_CLOCK) as made:
        yield made


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    (tmp_path / "stick" / "receipts").mkdir(parents=True)
    return tmp_path / "stick"


def proven(spool: Spool, stick: Path, *ids: str, **different: Any) -> list[Receipt]:
    """Somebody delivered them from the stick."""
    hand = spool.take_hand("aside")
    made = [
        replace(receipt_for(spool, hand, spool.find(entry_id)), **{"worker": "carried-aaaaaaaa", **different})
        for entry_id in ids
    ]
    hand.close()
    path = stick / "receipts" / "20260101T00.carried-aaaaaaaa.jsonl"
    with path.open("a") as file:
        file.writelines(json.dumps(asdict(receipt)) + "\n" for receipt in made)
    return made


@pytest.mark.parametrize("state", ["pending", "failed", "quarantine", "hold", "discarded"])
def test_an_entry_is_finished_from_each_state_in_which_it_may_wait(spool: Spool, stick: Path, state: str) -> None:
    ids = one_in_each_state(spool)
    (receipt,) = proven(spool, stick, ids[state])
    before = {entry.id: entry.state for entry in spool.entries()}
    done, unmatched = receipts_imported(spool, stick)
    assert (done.finished, unmatched) == (1, [])
    assert {entry.id: entry.state for entry in spool.entries()} == {**before, ids[state]: State.SENT}
    ours = find_receipt(spool.core.layout, ids[state])
    assert ours is not None
    assert replace(ours, worker="") == replace(receipt, worker="")
    assert spool.find(ids[state]).path.parent.name[:11] == hour_name(from_iso(receipt.at))
    assert list(spool.path.glob(f"{state}/*/{ids[state]}*")) == []
    assert count(spool).entries == here(spool)
    once = files(spool.path)
    done, unmatched = receipts_imported(spool, stick)
    assert (done.finished, done.known, unmatched) == (0, 1, [])
    assert files(spool.path) == once


def test_one_that_a_worker_has_in_hand_is_left_to_it(spool: Spool, stick: Path) -> None:
    ids = one_in_each_state(spool)
    proven(spool, stick, ids["inflight"])
    done, unmatched = receipts_imported(spool, stick)
    assert (done.in_hand, unmatched) == (1, [])
    assert spool.find(ids["inflight"]).state is State.INFLIGHT


def test_other_bytes_than_those_delivered_are_not_finished(spool: Spool, stick: Path) -> None:
    (made,) = submit(spool, b"as delivered")
    proven(spool, stick, made)
    spool.find(made).path.write_bytes(b"edited since")
    done, (unmatched,) = receipts_imported(spool, stick)
    assert (done.finished, unmatched.id) == (0, made)
    assert spool.find(made).state is State.PENDING
    assert not list((spool.path / "receipts").iterdir())


def test_the_digest_counts_whole_not_only_what_stands_in_the_name(spool: Spool, stick: Path) -> None:
    (made,) = submit(spool, b"content")
    proven(spool, stick, made, sha256=spool.find(made).name.digest16 + "0" * 48)
    done, unmatched = receipts_imported(spool, stick)
    assert (done.finished, len(unmatched)) == (0, 1)


def test_what_this_spool_never_had_is_told(spool: Spool, stick: Path, tmp_path: Path) -> None:
    with make_spool(tmp_path / "other", SYSTEM_CLOCK) as other:
        (strange,) = submit(other, b"another spool's")
        proven(other, stick, strange)
    before = files(spool.path)
    done, (unmatched,) = receipts_imported(spool, stick)
    assert (done.unmatched, unmatched.id) == (1, strange)
    assert {**files(spool.path), "locks/import.lock": b""} == {**before, "locks/import.lock": b""}


def test_what_has_expired_here_is_known(spool: Spool, stick: Path) -> None:
    (made,) = delivered(spool, b"long ago")
    proven(spool, stick, made)
    spool.find(made).path.unlink()
    done, unmatched = receipts_imported(spool, stick)
    assert (done.known, unmatched) == (1, [])


def test_one_that_a_person_has_sent_again_is_not_finished_by_this_spools_own_old_receipt(
    spool: Spool, tmp_path: Path
) -> None:
    """The whole spool was carried, with its receipts: those say nothing new."""
    (made,) = delivered(spool, b"the server has lost it")
    shutil.copytree(spool.path, tmp_path / "copy")
    path = spool.find(made).path
    path.rename(spool.path / "pending" / path.name)
    done, (unmatched,) = receipts_imported(spool, tmp_path / "copy")
    assert (done.finished, unmatched.id) == (0, made)
    assert spool.find(made).state is State.PENDING


def test_a_spool_that_was_delivered_where_it_was_carried_is_finished_too(spool: Spool, tmp_path: Path) -> None:
    submit(spool, *(b"%d" % number for number in range(5)))
    shutil.copytree(spool.path, tmp_path / "copy")
    with Spool(tmp_path / "copy", spool._limits) as copy:
        hand = copy.take_hand("deliver")
        deliver(copy, hand, *hand.claim(3))
        hand.close()
    done, unmatched = receipts_imported(spool, tmp_path / "copy")
    assert (done.finished, unmatched) == (3, [])


def test_receipts_of_several_hours_stand_in_files_of_their_hours(spool: Spool, stick: Path) -> None:
    first, second = submit(spool, b"first", b"second")
    now = SYSTEM_CLOCK.now()
    proven(spool, stick, first, at=iso(now - 7200))
    proven(spool, stick, second, at=iso(now))
    assert receipts_imported(spool, stick)[0].finished == 2
    names = [path.name for path in (spool.path / "receipts").iterdir()]
    assert sorted(name.split(".")[0] for name in names) == sorted([hour_name(now - 7200), hour_name(now)])


def test_where_the_receipt_cannot_be_written_the_entry_stays(spool: Spool, stick: Path) -> None:
    (made,) = submit(spool, b"content")
    proven(spool, stick, made)
    with failing(errno.EIO, "receipt.fsync", times=9), pytest.raises(OSError, match="Input/output"):
        receipts_imported(spool, stick)
    assert spool.find(made).state is State.PENDING
    assert receipts_imported(spool, stick)[0].finished == 1


def test_a_torn_and_a_foreign_line_are_passed_over(spool: Spool, stick: Path) -> None:
    (made,) = submit(spool, b"content")
    (stick / "receipts" / "20260101T00.carried-bbbbbbbb.jsonl").write_text('{"id": 3}\nno json\n["a"]\n{"id": "2026')
    proven(spool, stick, made)
    assert receipts_imported(spool, stick)[0].finished == 1


def test_what_has_been_delivered_from_a_copy_is_not_imported_to_be_sent_again(spool: Spool, tmp_path: Path) -> None:
    first, second = submit(spool, b"first", b"second")
    exported(spool, tmp_path / "out")
    (tmp_path / "out" / "receipts").mkdir()
    proven(spool, tmp_path / "out", first)
    with make_spool(tmp_path / "other") as other:
        done, _ = imported(other, tmp_path / "out")
        assert (done.imported, done.delivered) == (1, 1)
        assert [entry.id for entry in other.entries()] == [second]
