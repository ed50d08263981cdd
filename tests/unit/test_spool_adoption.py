"""Foreign files in `pending/`: whatever a person puts there is adopted, once, and nothing else is."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from dropsafe.spool import Spool, State
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.foreign import ForeignFiles, adopt_settled, adoption_folder
from dropsafe.spool.listing import Stranger
from tests.support.drops import payloads, start_again
from tests.support.spools import (
    files,
    ids,
    rejected,
    reopened,
    states,
    submit,
)


def adopt(spool: Spool) -> None:
    start_again(spool, adoption_folder(spool.core))


def test_a_foreign_file_anywhere_in_pending_is_adopted(spool: Spool) -> None:
    pending = spool.path / "pending"
    submit(spool, b"an entry")
    bucket = next(spool.entries("pending")).path.parent
    (pending / "report.xml").write_bytes(b"1")
    (bucket / "report.xml").write_bytes(b"2")
    (pending / "Tom's" / "deeper").mkdir(parents=True)
    (pending / "Tom's" / "deeper" / "report.xml").write_bytes(b"3")
    (pending / ".report.xml.part").write_bytes(b"unfinished")
    adopt(spool)
    assert payloads(spool) == [b"1", b"2", b"3", b"an entry"]
    assert (pending / ".report.xml.part").exists()
    assert files(spool.core.layout.intake) == {}
    assert (
        len([line for entry in spool.entries() for line in spool.history(entry.id) if line["event"] == "adopted"]) == 3
    )
    figures = spool.audit()
    assert (figures.accepted, figures.unexplained) == (4, 0)


def test_adopting_is_exempt_from_the_limit_and_counted(spool: Spool) -> None:
    full = reopened(spool, max_queue_size=1)
    submit(full, b"1")
    (spool.path / "pending" / "report.xml").write_bytes(b"2")
    adopt(full)
    assert len(ids(spool, State.PENDING)) == 2
    assert full.core.admission.peek().entries == 2  # type: ignore[union-attr]
    full.close()


def test_an_edited_entry_whose_prefix_a_person_deleted_comes_back_under_a_new_id(spool: Spool) -> None:
    (made,) = submit(spool, b"damaged")
    hand = spool.take_hand("uploader")
    hand.damaged(hand.claim(1)[0], "it differs.")
    (entry,) = spool.entries("quarantine")
    os.rename(entry.path, spool.path / "pending" / entry.path.name.split("_", 3)[3])
    adopt(spool)
    (adopted,) = spool.entries("pending")
    assert adopted.id != made
    assert adopted.name.original == "report.xml"


@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "device"])
def test_what_is_no_regular_file_is_not_adopted(spool: Spool, kind: str) -> None:
    path = spool.path / "pending" / "thing"
    match kind:
        case "link":
            path.symlink_to("/etc/passwd")
        case "fifo":
            os.mkfifo(path)
        case "socket" | "device" if sys.platform == "win32":
            pytest.skip("Windows has none in folders")
        case "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(os.path.relpath(path))
        case "device":
            if os.geteuid() != 0:
                pytest.skip("only root makes device files")
            os.mknod(path, 0o20600, os.makedev(1, 3))
    found = list(ForeignFiles(spool.core).scan())
    assert [type(item) for item in found] == [Stranger]
    adopt(spool)
    assert payloads(spool) == []
    assert os.path.lexists(path)


def test_a_reason_that_was_moved_along_becomes_history(spool: Spool) -> None:
    made = rejected(spool)
    entry = spool.find(made)
    for path in entry.path.parent.iterdir():
        os.rename(path, spool.path / "pending" / path.name)
    adopt(spool)
    assert states(spool, made) == ["pending"]
    assert files(spool.path / "pending").keys() == {entry.path.name}
    assert any(line.get("earlier_reason") == "The server said 422." for line in spool.history(made))


@pytest.mark.parametrize("what", ["of an unknown entry", "not valid", "of another entry"])
def test_another_file_of_such_a_name_is_a_foreign_file(spool: Spool, what: str) -> None:
    """It is not swallowed: perhaps it is somebody's report."""
    made = rejected(spool)
    entry = spool.find(made)
    reason = Path(f"{entry.path}.reason.json")
    target = spool.path / "pending" / reason.name
    content = reason.read_bytes()
    match what:
        case "of an unknown entry":
            entry.path.unlink()
        case "not valid":
            content = b"{}"
        case "of another entry":
            content = content.replace(made.encode(), b"20200101T000000.000Z_aaaaaaaa")
    target.write_bytes(content)
    adopt(spool)
    (adopted,) = spool.entries("pending")
    assert adopted.path.read_bytes() == content
    assert adopted.name.original.endswith(".reason_json")


def test_without_a_service_what_has_settled_is_adopted_at_once(spool: Spool, clock: ManualClock) -> None:
    path = spool.path / "pending" / "report.xml"
    path.write_bytes(b"1")
    os.utime(path, (clock.now(), clock.now()))
    assert adopt_settled(spool.core) == 0
    clock.advance(2.1)
    assert adopt_settled(spool.core) == 1
    assert payloads(spool) == [b"1"]


def test_a_bucket_of_entries_alone_is_listed_again_only_when_it_has_changed(
    spool: Spool, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(spool, b"1")
    bucket = next(spool.entries("pending")).path.parent
    os.utime(bucket, (clock.now() - 100, clock.now() - 100))
    foreign = ForeignFiles(spool.core)
    listed: list[str] = []
    original = os.listdir

    def listdir(path: str) -> list[str]:
        listed.append(os.path.normpath(path))
        return original(path)

    monkeypatch.setattr("dropsafe.spool.foreign.os.listdir", listdir)
    for _ in range(3):
        assert list(foreign.scan()) == []
    assert listed.count(str(bucket)) == 1
    (bucket / "report.xml").write_bytes(b"2")
    assert len(list(foreign.scan())) == 1


def test_a_bucket_that_has_just_changed_is_not_yet_believed(spool: Spool, clock: ManualClock) -> None:
    """Another change within the same tick of the file system's clock could not be told."""
    submit(spool, b"1")
    bucket = next(spool.entries("pending")).path.parent
    os.utime(bucket, (clock.now(), clock.now()))
    foreign = ForeignFiles(spool.core)
    assert list(foreign.scan()) == []
    (bucket / "report.xml").write_bytes(b"2")
    os.utime(bucket, (clock.now(), clock.now()))
    assert len(list(foreign.scan())) == 1


def test_the_journal_does_not_decide_whether_an_entry_is_known(spool: Spool) -> None:
    """DESIGN 2: nothing is ever decided from it. A reason that came with its entry from another spool is history too."""
    made = rejected(spool)
    entry = spool.find(made)
    spool.core.journal.close()
    for path in Path(spool.core.layout.journal).iterdir():
        path.unlink()
    for path in entry.path.parent.iterdir():
        os.rename(path, spool.path / "pending" / path.name)
    adopt(spool)
    assert states(spool, made) == ["pending"]
    assert files(spool.path / "pending").keys() == {entry.path.name}
