"""Foreign files in `pending/`: which are found, and when; that they are taken whole is tested with intake."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from dropsafe.spool import Spool, State
from dropsafe.spool.attempt import Taken
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.dropfolder import Candidate
from dropsafe.spool.foreign import ForeignFiles, adopt_settled, adoption_folder
from dropsafe.spool.intake import Intake
from dropsafe.spool.listing import Stranger
from tests.support.drops import needs_long_paths, very_deep
from tests.support.spools import delivered, ids, rejected, submit

PROPER = "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_report.xml"


@pytest.fixture
def clock() -> ManualClock:
    """A clock that agrees with the file system's, an hour later: whatever a test makes is old by then."""
    return ManualClock(time.time() + 3600)


@pytest.fixture
def pending(spool: Spool) -> Path:
    return Path(spool.core.layout.pending)


def put(folder: Path, name: str, content: bytes = b"foreign") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def found(foreign: ForeignFiles, pending: Path) -> list[str]:
    return [Path(item.path).relative_to(pending).as_posix() for item in foreign.scan() if isinstance(item, Candidate)]


@pytest.mark.parametrize("place", ["", "a folder/", "a folder/deeper/", "20261123T140000-000/"])
def test_a_foreign_file_is_adopted_wherever_it_lies(spool: Spool, pending: Path, place: str) -> None:
    path = put(pending, f"{place}my report.xml")
    assert adopt_settled(spool.core) == 1
    assert not path.exists()
    (entry,) = spool.entries(State.PENDING)
    assert (entry.name.original, entry.path.read_bytes()) == ("my report.xml", b"foreign")
    assert spool.history(entry.id)[0]["event"] == "adopted"


def test_a_foreign_file_is_adopted_once_it_has_settled(spool: Spool, pending: Path, clock: ManualClock) -> None:
    path = put(pending, "my report.xml")
    os.utime(path, (clock.now(), clock.now()))
    clock.advance(1.9)
    assert adopt_settled(spool.core) == 0
    clock.advance(0.2)
    assert adopt_settled(spool.core) == 1


def test_proper_names_are_entries_wherever_they_lie_and_are_not_adopted(spool: Spool, pending: Path) -> None:
    put(pending, PROPER)
    put(pending, f"a folder/{PROPER.replace('4k7q', '5k7q')}")
    assert list(ForeignFiles(spool.core).scan()) == []
    assert len(ids(spool, State.PENDING)) == 2


def test_a_proper_name_outside_a_bucket_is_due_at_once(spool: Spool, pending: Path) -> None:
    put(pending, PROPER)
    put(pending, f"a folder/{PROPER.replace('4k7q', '5k7q')}")
    hand = spool.take_hand("uploader")
    assert len(hand.claim(10)) == 2
    hand.close()


def test_dot_files_are_left_alone(spool: Spool, pending: Path) -> None:
    path = put(pending, ".report.xml.a7sd9f")
    assert adopt_settled(spool.core) == 0
    assert path.exists()
    assert any(str(path) in os.path.normpath(told) for told in spool.audit().strangers)


def test_what_intake_has_parked_is_not_found(spool: Spool, pending: Path) -> None:
    put(pending, ".dropsafe/20261123T143001.123Z_4k7q2m5x")
    assert list(ForeignFiles(spool.core).scan()) == []


def test_what_is_no_regular_file_is_a_stranger_and_left_alone(spool: Spool, pending: Path, tmp_path: Path) -> None:
    target = put(tmp_path, "elsewhere")
    os.symlink(target, pending / "link")
    os.mkfifo(pending / "fifo")
    found = list(ForeignFiles(spool.core).scan())
    assert {os.path.basename(item.path) for item in found if isinstance(item, Stranger)} == {"link", "fifo"}
    assert adopt_settled(spool.core) == 0
    assert target.exists()


def test_a_link_to_a_folder_is_not_followed(spool: Spool, pending: Path, tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/file")
    os.symlink(tmp_path / "elsewhere", pending / "link")
    assert adopt_settled(spool.core) == 0
    assert (tmp_path / "elsewhere" / "file").exists()


def test_a_foreign_file_is_found_until_it_is_taken(spool: Spool, pending: Path) -> None:
    submit(spool, b"1")
    (bucket,) = os.listdir(pending)
    put(pending / bucket, "foreign.xml")
    foreign = ForeignFiles(spool.core)
    for _ in range(3):
        assert found(foreign, pending) == [f"{bucket}/foreign.xml"]
    (candidate,) = foreign.scan()
    assert isinstance(candidate, Candidate)
    assert Intake(spool.core).take(adoption_folder(spool.core), candidate).taken is Taken.ACCEPTED
    assert found(foreign, pending) == []


def test_a_folder_that_cannot_be_read_is_a_stranger_and_the_others_go_on(
    spool: Spool, pending: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(pending, "a/foreign.xml")
    put(pending, "b/foreign.xml")
    real = os.listdir

    def listdir(path: str) -> list[str]:
        if os.path.normpath(path) == str(pending / "a"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert [type(item) for item in ForeignFiles(spool.core).scan()] == [Stranger, Candidate]


def test_entries_in_a_folder_of_folders_are_brought_up_and_delivered(spool: Spool, pending: Path) -> None:
    """`cp -r` of another spool's pending/ into this one: nobody looks for entries deeper than one level."""
    put(pending, f"from the stick/20261123T140000-000/{PROPER}")
    put(pending, f"from the stick/deeper/still/{PROPER.replace('4k7q', '5k7q')}")
    assert list(ForeignFiles(spool.core).scan()) == []
    hand = spool.take_hand("uploader")
    assert len(hand.claim(10)) == 2
    assert spool.audit().waiting == 2
    hand.close()


def test_two_copies_that_come_up_to_one_name_are_both_kept(spool: Spool, pending: Path) -> None:
    put(pending, PROPER, b"one")
    put(pending, f"a/b/{PROPER}", b"other")
    list(ForeignFiles(spool.core).scan())
    contents = sorted(path.read_bytes() for path in pending.rglob("*") if path.is_file())
    assert contents == [b"one", b"other"]


@needs_long_paths
def test_folders_in_pending_may_lie_deeper_in_one_another_than_calls_may(spool: Spool, pending: Path) -> None:
    with very_deep(pending) as deepest:
        (deepest / "deep.xml").write_text("deep")
        assert [Path(path).name for path in found(ForeignFiles(spool.core), pending)] == ["deep.xml"]


@pytest.mark.parametrize("prefix", ["Kopie von ", "Copy of ", "Copy (2) of "])
@pytest.mark.parametrize("place", ["pending", "hold", "delivered"])
def test_a_copy_that_a_file_manager_named_is_not_sent_twice(
    spool: Spool, pending: Path, prefix: str, place: str
) -> None:
    (made,) = delivered(spool, b"once") if place == "delivered" else submit(spool, b"once")
    if place == "hold":
        spool.hold(made)
    path = spool.find(made).path
    copy = put(pending, f"{prefix}{path.name}", b"once")
    if place == "delivered":
        path.unlink()
    foreign = ForeignFiles(spool.core)
    for _ in range(2):
        (told,) = foreign.scan()
        assert isinstance(told, Stranger)
        assert (told.path, "second time" in told.why) == (str(copy), True)
    assert adopt_settled(spool.core) == 0
    assert copy.exists()


def test_a_copy_of_a_reason_is_no_report(spool: Spool, pending: Path) -> None:
    made = rejected(spool)
    entry = spool.find(made)
    reason = Path(f"{entry.path}.reason.json").read_bytes()
    copy = put(pending, f"Copy of {entry.path.name}.reason.json", reason)
    (told,) = ForeignFiles(spool.core).scan()
    assert isinstance(told, Stranger)
    assert adopt_settled(spool.core) == 0
    assert copy.read_bytes() == reason
    entry.path.unlink()
    assert adopt_settled(spool.core) == 1, "of a report that nobody knows it may be a report of its own"


@pytest.mark.parametrize(
    "case", ["other bytes", "unknown, with other bytes", "the known one is damaged", "only a discarded copy is here"]
)
def test_what_is_no_copy_of_what_is_known_is_adopted(spool: Spool, pending: Path, case: str) -> None:
    (made,) = submit(spool, b"once")
    path = spool.find(made).path
    put(pending, f"Copy of {path.name}", b"other" if "other bytes" in case else b"once")
    if case.startswith("unknown"):
        path.unlink()
    elif case == "the known one is damaged":
        path.write_bytes(b"damaged")
    elif case.startswith("only"):
        spool.core.mover.discard_duplicate(spool.find(made))
    assert adopt_settled(spool.core) == 1


@pytest.mark.parametrize("place", ["", "a folder/deeper/", "its bucket"])
def test_an_entry_that_was_renamed_has_its_name_again_and_no_new_id(spool: Spool, pending: Path, place: str) -> None:
    (made,) = submit(spool, b"once")
    path = spool.find(made).path
    folder = path.parent if place == "its bucket" else pending / place
    folder.mkdir(parents=True, exist_ok=True)
    path.rename(folder / f"Copy of {path.name}")
    assert adopt_settled(spool.core) == 0
    assert (ids(spool, State.PENDING), spool.find(made).path.name) == ([made], path.name)
    last = spool.history(made)[-1]
    assert (last["event"], last["renamed"]) == ("adopted", f"Copy of {path.name}")
    assert spool.audit().counts["pending"] == 1


def test_an_entry_of_another_spool_has_its_own_id_from_the_moment_it_is_whole(spool: Spool, pending: Path) -> None:
    path = put(pending, f"Copy of {PROPER}", b"for")
    foreign = ForeignFiles(spool.core)
    assert [type(item) for item in foreign.scan()] == [Candidate]
    digest = hashlib.sha256(b"foreign").hexdigest()[:16]
    path.rename(whole := path.with_name(f"Copy of {PROPER.replace('9c56cc51b374c3ba', digest)}"))
    whole.write_bytes(b"foreign")
    assert list(foreign.scan()) == []
    assert ids(spool, State.PENDING) == [PROPER[:29]]


def test_a_copy_whose_original_goes_away_takes_its_place(spool: Spool, pending: Path) -> None:
    (made,) = submit(spool, b"once")
    path = spool.find(made).path
    put(pending, f"Copy of {path.name}", b"once")
    foreign = ForeignFiles(spool.core)
    assert [type(item) for item in foreign.scan()] == [Stranger]
    path.unlink()
    assert list(foreign.scan()) == []
    assert ids(spool, State.PENDING) == [made]
