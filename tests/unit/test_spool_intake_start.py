"""What an interrupted intake has left behind: a start finishes it under the same id, or takes the file anew."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dropsafe.spool import Reason, Spool, State
from dropsafe.spool import intake as intake_module
from dropsafe.spool.attempt import Taken
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.dropfolder import Candidate, DropFolder
from dropsafe.spool.retention import Policy, expire
from tests.support.drops import a_report, append, nothing_is_left, payloads, start_again, take
from tests.support.spools import (
    deliver,
    failing,
    files,
    interrupted,
    states,
)


def accept_and_stop(spool: Spool, folder: DropFolder, found: Candidate) -> str:
    """As far as the acceptance; then killed."""

    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    with pytest.raises(Killed), interrupted("accept.fsync_bucket", kill):
        take(spool, folder, found)
    (entry,) = (entry for entry in spool.entries() if entry.state is State.PENDING)
    return entry.id


@pytest.mark.parametrize("meanwhile", ["pending", "inflight", "sent", "expired", "failed", "hold", "discarded"])
def test_a_start_finishes_what_was_accepted_wherever_the_entry_is_now(
    spool: Spool, drop: Path, watched: DropFolder, clock: ManualClock, meanwhile: str
) -> None:
    """Under the same id, hence the same key: it never becomes two entries."""
    made = accept_and_stop(spool, watched, a_report(drop))
    hand = spool.take_hand("uploader")
    match meanwhile:
        case "inflight":
            hand.claim(1)
        case "sent" | "expired":
            deliver(spool, hand, *hand.claim(1))
        case "failed":
            hand.reject(hand.claim(1)[0], Reason("rejected", "no", "mend"))
        case "hold":
            spool.hold(made)
        case "discarded":
            spool.discard(made)
    if meanwhile == "expired":
        clock.advance(31 * 86_400)
        assert expire(spool.core, Policy(min_free_bytes=0)).entries == 1
    start_again(spool, watched)
    assert states(spool, made) == ([] if meanwhile == "expired" else [meanwhile])
    assert len(list(spool.entries())) == (meanwhile != "expired")
    assert nothing_is_left(spool, drop)


def test_a_start_takes_a_source_that_changed_after_its_acceptance_as_another_entry(
    spool: Spool, drop: Path, watched: DropFolder
) -> None:
    made = accept_and_stop(spool, watched, a_report(drop, b"first"))
    append(drop / ".dropsafe", b" and more")
    start_again(spool, watched)
    assert payloads(spool) == [b"first", b"first and more"]
    assert spool.find(made).path.read_bytes() == b"first"
    assert nothing_is_left(spool, drop)


def test_what_lies_in_the_parking_without_a_record_is_taken_anew(spool: Spool, drop: Path, watched: DropFolder) -> None:
    parking = drop / ".dropsafe"
    parking.mkdir()
    (parking / "left behind.xml").write_bytes(b"1")
    (parking / "20200101T000000.000Z_aaaaaaaa").write_bytes(b"2")
    (parking / "folder").mkdir()
    (parking / "link").symlink_to("/etc/passwd")
    start_again(spool, watched)
    assert payloads(spool) == [b"1", b"2"]
    assert {entry.name.original for entry in spool.entries()} == {"left behind.xml", "20200101T000000.000Z_aaaaaaaa"}
    assert sorted(os.listdir(parking)) == ["folder", "link"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": "x"}', b"\xff"])
def test_a_damaged_record_counts_as_none(spool: Spool, drop: Path, watched: DropFolder, content: bytes) -> None:
    parking = drop / ".dropsafe"
    parking.mkdir()
    (parking / "20200101T000000.000Z_aaaaaaaa").write_bytes(b"1")
    Path(spool.core.layout.intake, "20200101T000000.000Z_aaaaaaaa.json").write_bytes(content)
    start_again(spool, watched)
    assert payloads(spool) == [b"1"]


def test_things_in_intake_that_are_no_records_stop_no_start(spool: Spool, drop: Path, watched: DropFolder) -> None:
    Path(spool.core.layout.intake, "20200101T000000.000Z_aaaaaaaa.json").mkdir()
    Path(spool.core.layout.intake, "notes.txt").touch()
    accept_and_stop(spool, watched, a_report(drop))
    start_again(spool, watched)
    assert payloads(spool) == [b"<report/>"]
    assert files(drop) == {}


def test_a_drop_folder_that_is_away_at_the_start_is_waited_for(
    spool: Spool, drop: Path, watched: DropFolder, tmp_path: Path
) -> None:
    """A stick or a share: the file comes back with it, and must still be known as taken."""
    made = accept_and_stop(spool, watched, a_report(drop))
    os.rename(drop, tmp_path / "unplugged")
    drop.mkdir()
    start_again(spool, watched)
    drop.rmdir()
    os.rename(tmp_path / "unplugged", drop)
    start_again(spool, watched)
    assert [entry.id for entry in spool.entries()] == [made]
    assert nothing_is_left(spool, drop)


def test_a_drop_folder_that_has_another_name_now_keeps_its_ids(
    spool: Spool, drop: Path, watched: DropFolder, tmp_path: Path
) -> None:
    made = accept_and_stop(spool, watched, a_report(drop))
    os.rename(drop, tmp_path / "renamed")
    start_again(spool, replace(watched, path=str(tmp_path / "renamed")))
    assert {entry.id for entry in spool.entries()} == {made}
    assert files(tmp_path / "renamed") == {}


def test_a_folder_on_a_share_that_cannot_be_synced_leaves_no_records(
    spool: Spool, drop: Path, watched: DropFolder
) -> None:
    with failing(errno.EINVAL, "intake.fsync_parking"):
        assert take(spool, watched, a_report(drop)).taken is Taken.ACCEPTED
    assert nothing_is_left(spool, drop)


def test_a_source_that_a_power_cut_puts_back_keeps_its_id(spool: Spool, drop: Path, watched: DropFolder) -> None:
    """The drop folder may be on another disk than the spool: what was accepted is durable, the parking is not."""
    made = accept_and_stop(spool, watched, a_report(drop))
    os.rename(drop / ".dropsafe" / made, drop / "report.xml")
    start_again(spool, watched)
    assert [entry.id for entry in spool.entries()] == [made]
    assert nothing_is_left(spool, drop)


def test_a_new_file_under_the_name_of_one_that_was_taken_is_another_entry(
    spool: Spool, drop: Path, watched: DropFolder
) -> None:
    made = accept_and_stop(spool, watched, a_report(drop))
    (drop / ".dropsafe" / made).unlink()
    a_report(drop, b"<another/>")
    start_again(spool, watched)
    assert payloads(spool) == [b"<another/>", b"<report/>"]
    assert nothing_is_left(spool, drop)


def test_what_is_written_while_a_start_compares_it_is_not_lost(
    spool: Spool, drop: Path, watched: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_and_stop(spool, watched, a_report(drop))
    compare = intake_module.digest_of

    def slowly(path: Path, tick: Callable[[], None]) -> str:
        digest = compare(path, tick)
        with open(path, "ab") as file:
            file.write(b"<more/>")
        monkeypatch.undo()
        return digest

    monkeypatch.setattr(intake_module, "digest_of", slowly)
    start_again(spool, watched)
    assert payloads(spool) == [b"<report/>", b"<report/><more/>"]
    assert nothing_is_left(spool, drop)
