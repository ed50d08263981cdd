"""Recovery: what the dead left behind is put right, once, by whoever comes first; what the living hold is theirs."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from dropsafe.spool import Reason, Spool, State
from dropsafe.spool.claims import Hand
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.locks import Lock
from dropsafe.spool.receipts import read_receipts, receipt_files
from dropsafe.spool.recovery import LOST_LOCK_PATIENCE, recover, recover_orphans, return_claims
from tests.support.forking import together
from tests.support.spools import (
    deliver,
    die,
    die_producing,
    failing,
    files,
    ids,
    interrupted,
    make_spool,
    receipt_for,
    removes_open_files,
    reopened,
    scratch,
    states,
    submit,
    watching,
)


def a_dead_hand(spool: Spool, *payloads: bytes) -> tuple[Hand, list[str]]:
    made = submit(spool, *payloads)
    hand = spool.take_hand("uploader")
    hand.claim(1000)
    die(hand)
    return hand, made


def half_delivered(spool: Spool, payload: bytes = b"1") -> tuple[Hand, str]:
    """Killed between the receipt and the rename."""
    (made,) = submit(spool, payload)
    hand = spool.take_hand("uploader")
    with failing(errno.EIO, "delivered.rename"), pytest.raises(OSError, match="Input/output"):
        deliver(spool, hand, *hand.claim(1))
    die(hand)
    return hand, made


def left(spool: Spool) -> list[str]:
    """Locks and folders of holders; nothing, if all is settled but for this process's own name."""
    layout = spool.core.layout
    mine = spool.core.producer.name
    names = [*os.listdir(layout.inflight), *os.listdir(layout.tmp), *os.listdir(layout.locks)]
    return [name for name in names if "-" in name and not name.startswith(mine)]


def test_rule_3_9_orphans_return_to_pending(spool: Spool) -> None:
    _, made = a_dead_hand(spool, b"1", b"2", b"3")
    done = recover(spool.core)
    assert done.returned == 3
    assert sorted(ids(spool, State.PENDING)) == sorted(made)
    assert left(spool) == []
    assert "entries returned to pending/: 3" in done.words()


def test_rule_3_9_recovery_is_idempotent(spool: Spool) -> None:
    a_dead_hand(spool, b"1", b"2")
    half_delivered(spool, b"3")
    recover(spool.core)
    before = files(spool.path)
    done = recover(spool.core)
    assert done.words() == ""
    assert files(spool.path) == before


def test_rule_3_8_what_a_living_worker_holds_is_its_own(spool: Spool) -> None:
    """A second process may work beside the service."""
    made = submit(spool, b"1")
    hand = spool.take_hand("deliver")
    hand.claim(1)
    other = reopened(spool)
    assert recover(other.core).words() == ""
    assert ids(spool, State.INFLIGHT) == made
    deliver(spool, hand, spool.find(made[0]))
    hand.close()
    other.close()


@removes_open_files
def test_rule_3_8_a_missing_lock_file_means_unknown_not_dead(spool: Spool, clock: ManualClock) -> None:
    made = submit(spool, b"1")
    hand = spool.take_hand("uploader")
    hand.claim(1)
    os.unlink(f"{spool.core.layout.locks}/{hand.name}.lock")
    missing: dict[str, float] = {}
    assert recover(spool.core).returned == 0
    recover_orphans(spool.core, missing)
    clock.step(10 * LOST_LOCK_PATIENCE)
    recover_orphans(spool.core, missing)
    clock.advance(LOST_LOCK_PATIENCE - 1)
    recover_orphans(spool.core, missing)
    assert ids(spool, State.INFLIGHT) == made
    clock.advance(2)
    assert recover_orphans(spool.core, missing).returned == 1
    assert ids(spool, State.PENDING) == made
    assert left(spool) == []


@removes_open_files
def test_rule_3_8_a_lock_file_that_is_put_back_is_believed(spool: Spool, clock: ManualClock) -> None:
    submit(spool, b"1")
    hand = spool.take_hand("uploader")
    hand.claim(1)
    path = f"{spool.core.layout.locks}/{hand.name}.lock"
    missing: dict[str, float] = {}
    os.rename(path, f"{spool.path}/locks.aside")
    recover_orphans(spool.core, missing)
    os.rename(f"{spool.path}/locks.aside", path)
    recover_orphans(spool.core, missing)
    clock.advance(2 * LOST_LOCK_PATIENCE)
    recover_orphans(spool.core, missing)
    hand.check()
    assert len(ids(spool, State.INFLIGHT)) == 1


def test_rule_3_8_nothing_is_told_by_process_ids(spool: Spool) -> None:
    """No file of a holder has one."""
    a_dead_hand(spool, b"1")
    pid = str(os.getpid())
    for name, content in files(spool.core.layout.locks).items():
        assert pid not in name
        assert name in ("admission", "audit.json") or content == b""


def test_rule_3_9_one_with_a_receipt_is_finished_not_sent_again(spool: Spool) -> None:
    hand, made = half_delivered(spool)
    done = recover(spool.core)
    assert (done.finished, done.returned) == (1, 0)
    assert states(spool, made) == ["sent"]
    assert spool.receipt_of(made).worker == hand.name
    assert left(spool) == []


def test_rule_3_9_its_receipt_is_made_durable_first(spool: Spool) -> None:
    """The dead worker may have been killed before its sync, or the sync may have failed: then the line can be read,
    and is not on the disk."""
    _, made = half_delivered(spool)
    with watching() as watched:
        recover(spool.core)
    operations = watched.operations
    assert operations.index("receipt.fsync") < operations.index("delivered.rename")
    (path,) = set(watched.paths("receipt.fsync"))
    assert [receipt.id for receipt in read_receipts(path)] == [made]


def test_rule_3_9_one_whose_receipt_cannot_be_made_durable_stays(spool: Spool) -> None:
    _, made = half_delivered(spool)
    with failing(errno.EIO, "receipt.fsync", times=2):
        recover(spool.core)
    assert states(spool, made) == ["inflight"]
    recover(spool.core)
    assert states(spool, made) == ["sent"]


ANOTHERS: list[dict[str, object]] = [
    {"sha256": "0" * 64},
    {"worker": "uploader-other234"},
    {"id": "20200101T000000.000Z_aaaaaaaa"},
]


@pytest.mark.parametrize("different", ANOTHERS)
def test_rule_3_9_a_receipt_of_another_digest_worker_or_id_proves_nothing(
    spool: Spool, different: dict[str, object]
) -> None:
    (made,) = submit(spool, b"1")
    hand = spool.take_hand("uploader")
    (entry,) = hand.claim(1)
    hand._receipts.write([receipt_for(spool, hand, entry, **different)])
    die(hand)
    assert recover(spool.core).returned == 1
    assert states(spool, made) == ["pending"]


def test_rule_3_9_a_receipt_is_of_the_whole_digest(spool: Spool) -> None:
    """The file was altered since, keeping its name: what was delivered is not what lies here."""
    hand, made = half_delivered(spool)
    (entry,) = spool.entries("inflight")
    entry.path.write_bytes(b"altered")
    recover(spool.core)
    assert states(spool, made) != ["sent"]
    assert hand


def test_rule_3_9_unlocked_scratch_files_are_swept(spool: Spool) -> None:
    other = reopened(spool)
    submit(other, b"1")
    folder = Path(other.core.producer.folder)
    (folder / "20260921T141320.000Z_aaaaaaaa").write_bytes(b"half a payl")
    assert recover(spool.core).swept == 0, "its producer lives"
    die_producing(other)
    assert recover(spool.core).swept == 1
    assert not folder.exists()
    assert left(spool) == []


def test_what_a_person_has_put_into_tmp_is_left_alone_and_shown(spool: Spool, clock: ManualClock) -> None:
    backup = Path(spool.core.layout.tmp, "backup")
    backup.mkdir()
    (backup / "report.xml").write_bytes(b"the only copy")
    (Path(spool.core.layout.tmp) / "loose.xml").write_bytes(b"another")
    missing: dict[str, float] = {}
    for _ in range(3):
        recover_orphans(spool.core, missing)
        clock.advance(2 * LOST_LOCK_PATIENCE)
    assert scratch(spool) == ["backup/report.xml", "loose.xml"]
    strangers = " ".join(spool.audit().strangers)
    assert "backup" in strangers
    assert "loose.xml" in strangers


def test_a_folder_in_a_scratch_folder_is_left_alone(spool: Spool) -> None:
    other = reopened(spool)
    submit(other, b"1")
    inner = Path(other.core.producer.folder, "somebody's")
    inner.mkdir()
    (inner / "report.xml").write_bytes(b"x")
    die_producing(other)
    recover(spool.core)
    recover(spool.core)
    assert (inner / "report.xml").exists()


def test_an_entry_that_lies_in_inflight_itself_is_in_nobodys_hand(spool: Spool) -> None:
    (made,) = submit(spool, b"1")
    (entry,) = spool.entries("pending")
    os.rename(entry.path, spool.path / "inflight" / entry.path.name)
    assert recover(spool.core).returned == 1
    assert states(spool, made) == ["pending"]


def test_what_is_no_entry_in_a_dead_workers_folder_is_left_alone(spool: Spool) -> None:
    hand, made = a_dead_hand(spool, b"1")
    stray = Path(spool.core.layout.inflight, hand.name, "notes.txt")
    stray.write_text("why is this stuck?")
    for _ in range(2):
        recover(spool.core)
    assert ids(spool, State.PENDING) == made
    assert stray.exists()
    assert any("notes.txt" in stranger for stranger in spool.audit().strangers)


def test_rule_3_9_a_torn_last_line_of_a_dead_worker_is_cut(spool: Spool) -> None:
    hand, _ = half_delivered(spool)
    (path,) = receipt_files(spool.core.layout, worker=hand.name)
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole + b'{"id": "2026')
    assert recover(spool.core).cut == 1
    assert Path(path).read_bytes() == whole


def test_rule_3_9_also_when_its_claims_are_returned_at_once(spool: Spool) -> None:
    hand, _ = half_delivered(spool)
    (path,) = receipt_files(spool.core.layout, worker=hand.name)
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole + b"\x00" * 100)
    assert return_claims(spool.core, hand.name, died=True).cut == 1
    assert Path(path).read_bytes() == whole


@pytest.mark.parametrize("lock", ["held", pytest.param("missing", marks=removes_open_files)])
def test_rule_3_9_a_line_that_a_living_worker_is_writing_is_not_cut(spool: Spool, lock: str) -> None:
    hand = spool.take_hand("uploader")
    path = Path(spool.core.layout.receipts, f"20260921T14.{hand.name}.jsonl")
    path.write_bytes(b'{"id": "2026')
    if lock == "missing":
        os.unlink(f"{spool.core.layout.locks}/{hand.name}.lock")
    assert recover(spool.core).cut == 0
    assert path.read_bytes() == b'{"id": "2026'


def test_a_torn_line_of_a_name_that_is_used_up_is_cut(spool: Spool) -> None:
    path = Path(spool.core.layout.receipts, "20260921T14.uploader-abcdefgh.jsonl")
    path.write_bytes(b'{}\n{"id": "2026')
    assert recover(spool.core).cut == 1
    assert path.read_bytes() == b"{}\n"


@pytest.mark.parametrize("line", [b"{}\n", b'{"id": 5}\n', b"[]\n", b"\xff\n", b"null\n"])
def test_foreign_lines_in_receipts_stop_no_recovery(spool: Spool, line: bytes) -> None:
    hand, made = half_delivered(spool)
    path = Path(next(receipt_files(spool.core.layout, worker=hand.name)))
    path.write_bytes(line + path.read_bytes())
    assert recover(spool.core).finished == 1
    assert states(spool, made) == ["sent"]


def test_what_cannot_be_settled_does_not_keep_the_others(spool: Spool) -> None:
    """One disk error must not keep the service from starting."""
    _, first = a_dead_hand(spool, b"1")
    _, second = a_dead_hand(spool, b"2")
    with failing(errno.EIO, "returned.rename"):
        assert recover(spool.core).returned == 1
    assert len(ids(spool, State.PENDING)) == 1
    assert recover(spool.core).returned == 1
    assert sorted(ids(spool, State.PENDING)) == sorted([*first, *second])


def test_an_entry_that_cannot_be_read_is_not_damaged(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a complete read with a wrong digest is damage."""
    hand, made = half_delivered(spool)
    (waiting,) = submit(spool, b"2")

    def unreadable(path: object) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr("dropsafe.spool.recovery.digest_of", unreadable)
    monkeypatch.setattr("dropsafe.spool.moves.digest_of", unreadable)
    done = recover(spool.core)
    assert (done.finished, done.returned, done.damaged) == (0, 1, 0)
    assert states(spool, made) == states(spool, waiting) == ["pending"]
    assert hand


def test_rule_3_9_a_sample_of_digests_is_checked(spool: Spool) -> None:
    made = submit(spool, b"1", b"2", b"3")
    entry = spool.find(made[1])
    entry.path.write_bytes(b"bits have flipped")
    assert recover(spool.core).damaged == 1
    assert states(spool, made[1]) == ["quarantine"]
    assert sorted(ids(spool, State.PENDING)) == [made[0], made[2]]
    reason = spool.reason(spool.find(made[1]))
    assert reason is not None
    assert "readmit" in reason.remedy


def test_a_damaged_one_that_is_claimed_just_then_stops_no_start(spool: Spool) -> None:
    (made,) = submit(spool, b"1")
    spool.find(made).path.write_bytes(b"bits have flipped")
    other = reopened(spool)
    hand = other.take_hand("uploader")
    with interrupted("reason.rename", lambda: hand.claim(1)):
        assert recover(spool.core).damaged == 0
    assert states(spool, made) == ["inflight"]


def test_rule_3_9_two_recoveries_at_once_do_it_once(tmp_path: Path) -> None:
    with make_spool(tmp_path) as spool:
        everything = []
        for number in range(6):
            everything += a_dead_hand(spool, *[f"{number} {count}".encode() for count in range(10)])[1]
        finished = [half_delivered(spool, str(number).encode())[1] for number in range(6)]
        done = tmp_path / "done"
        done.mkdir()

        def work() -> None:
            mine = reopened(spool)
            result = recover(mine.core)
            (done / str(os.getpid())).write_text(f"{result.returned} {result.finished} {result.struck}")
            mine.close()

        assert together([work] * 4) == [0] * 4
        totals = [list(map(int, path.read_text().split())) for path in done.iterdir()]
        assert [sum(column) for column in zip(*totals, strict=True)] == [60, 6, 0]
        assert sorted(ids(spool, State.PENDING)) == sorted(everything)
        assert sorted(ids(spool, State.SENT)) == sorted(finished)
        assert left(spool) == []


def test_rule_3_9_recovery_may_run_while_others_work(tmp_path: Path) -> None:
    with make_spool(tmp_path) as spool:
        stop = tmp_path / "stop"

        def produce() -> None:
            mine = reopened(spool)
            for number in range(150):
                mine.submit(str(number).encode(), name="x")
            mine.close()

        def upload() -> None:
            mine = reopened(spool)
            for _ in range(12):
                hand = mine.take_hand("uploader")
                for entry in hand.claim(10):
                    deliver(mine, hand, entry)
                die(hand)

        def recoveries() -> None:
            mine = reopened(spool)
            while not stop.exists():
                recover(mine.core)
            mine.close()

        def both() -> None:
            assert together([produce, produce, upload]) == [0] * 3
            stop.touch()

        assert together([both, recoveries, recoveries]) == [0] * 3
        recover(spool.core)
        found = [entry.id for entry in spool.entries()]
        assert len(found) == len(set(found)) == 300
        assert ids(spool, State.INFLIGHT) == []
        figures = spool.audit()
        assert figures.accepted == 300
        assert left(spool) == []


def test_the_claims_of_a_reaped_worker_return_also_without_its_lock_file(spool: Spool) -> None:
    hand, made = a_dead_hand(spool, b"1", b"2")
    os.unlink(f"{spool.core.layout.locks}/{hand.name}.lock")
    assert return_claims(spool.core, hand.name, died=False).returned == 2
    assert sorted(ids(spool, State.PENDING)) == made
    assert left(spool) == []


def test_the_claims_of_a_living_worker_do_not_return(spool: Spool) -> None:
    submit(spool, b"1")
    hand = spool.take_hand("uploader")
    hand.claim(1)
    assert return_claims(spool.core, hand.name, died=True).words() == ""
    assert len(ids(spool, State.INFLIGHT)) == 1
    assert spool.core.strikes.suspects() == set()


def test_the_locks_that_all_share_are_never_taken_for_a_holders(spool: Spool) -> None:
    submit(spool, b"1")
    service = Lock(f"{spool.core.layout.locks}/service.lock", 0o600)
    service.try_acquire()
    service.close()
    recover(spool.core)
    assert {"admission.lock", "service.lock"} <= set(os.listdir(spool.core.layout.locks))


def test_folders_that_a_copy_has_lost_are_made_anew(spool: Spool) -> None:
    """Some ways of copying leave empty folders out."""
    made = submit(spool, b"1")
    spool.close()
    for name in ("inflight", "sent", "receipts", "locks/strikes", "quarantine"):
        os.rmdir(spool.path / name)
    copy = reopened(spool)
    recover(copy.core)
    hand = copy.take_hand("uploader")
    deliver(copy, hand, *hand.claim(1))
    assert ids(copy, State.SENT) == made
    if sys.platform != "win32":
        assert os.stat(spool.path / "sent").st_mode & 0o7777 == 0o700
    copy.close()


def test_reasons_and_rejections_of_the_living_are_not_touched(spool: Spool) -> None:
    submit(spool, b"1")
    hand = spool.take_hand("uploader")
    hand.reject(hand.claim(1)[0], Reason("rejected", "no", "mend"))
    before = files(spool.path / "failed")
    recover(spool.core)
    assert files(spool.path / "failed") == before


def test_what_a_person_has_put_into_locks_is_left_alone(spool: Spool) -> None:
    yarn = Path(spool.core.layout.locks, "yarn.lock")
    yarn.write_text("not a lock of ours")
    submit(spool, b"1")
    recover(spool.core)
    assert yarn.read_text() == "not a lock of ours"


def test_what_killed_makers_of_the_spool_left_in_tmp_is_swept(spool: Spool) -> None:
    """One was killed before its mark was in place, the next one after that and before it swept."""
    (spool.path / "tmp" / "spool.json.0badf00d").write_text("{")
    (spool.path / "tmp" / "a person's.txt").write_text("not ours")
    assert recover(spool.core).swept == 1
    assert [path.name for path in (spool.path / "tmp").iterdir() if path.is_file()] == ["a person's.txt"]
