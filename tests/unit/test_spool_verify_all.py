"""`verify --all`: names the id of every difference of the books, and leaves not a trace."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dropsafe.spool import Spool
from dropsafe.spool.verify import Difference, Verified
from dropsafe.spool.verify_all import verify_all
from dropsafe.spool.walking import unread
from tests.support.scene import mounted, needs_mounts
from tests.support.spools import delivered, die, make_spool, rejected, reopened, submit
from tests.support.unread import dying
from tests.support.wrecks import WRECKS, age
from tests.unit.test_spool_repair import in_order, tree


def found(spool: Spool, done: Verified | None = None) -> list[Difference]:
    return list(verify_all(spool, done or Verified()))


def expire(spool: Spool, entry_id: str) -> None:
    spool.find(entry_id).path.unlink()


def test_the_books_of_a_spool_in_order_balance(spool: Spool) -> None:
    in_order(spool)
    gone, readmitted = delivered(spool, b"expired")[0], rejected(spool, b"to be readmitted")
    expire(spool, gone)
    spool.readmit(readmitted)
    done = Verified()
    assert found(spool, done) == []
    assert done.equation is not None
    books = done.equation
    assert (books.came_in, books.here, books.gone, books.missing) == (7, 5, 2, ())


def removed(spool: Spool) -> str:
    (entry_id,) = submit(spool, b"removed by hand")
    spool.find(entry_id).path.unlink()
    return entry_id


def renamed(spool: Spool) -> str:
    (entry_id,) = submit(spool, b"renamed by hand")
    path = spool.find(entry_id).path
    path.rename(path.with_name(f"Copy of {path.name}"))
    return entry_id


def removed_in_hand(spool: Spool) -> str:
    (entry_id,) = submit(spool, b"removed in hand")
    hand = spool.take_hand("uploader")
    hand.claim(1)[0].path.unlink()
    hand.close()
    return entry_id


def unannounced(spool: Spool) -> str:
    (entry_id,) = submit(spool, b"the crash took its line")
    spool.core.journal.close()
    (path,) = (spool.path / "journal").iterdir()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if entry_id not in line))
    path.rename(path.with_name("20260101.jsonl"))
    return entry_id


def sent_back(spool: Spool) -> str:
    (entry_id,) = delivered(spool, b"sent back by hand")
    path = spool.find(entry_id).path
    path.rename(spool.path / "pending" / path.name)
    return entry_id


def other_bytes(spool: Spool) -> str:
    entry_id = sent_back(spool)
    path = spool.find(entry_id).path
    path.write_bytes(b"other")
    path.rename(path.with_name(f"{entry_id}_d9298a10d1b07358_other.xml"))
    return entry_id


def pause_damaged(spool: Spool) -> str:
    (spool.path / "locks" / "paused.json").write_text("{")
    return ""


def stations_damaged(spool: Spool) -> str:
    (spool.path / "locks" / "stations.json").write_text("{")
    return ""


CASES: dict[str, tuple[Callable[[Spool], str], str, str]] = {
    "removed": (removed, "missing", "pending/"),
    "renamed": (renamed, "renamed", "under a longer name"),
    "removed in hand": (removed_in_hand, "missing", "claimed by uploader-"),
    "no line": (unannounced, "unannounced", "history does not say"),
    "sent back": (sent_back, "delivered", "lies in pending/"),
    "other bytes": (other_bytes, "other-bytes", "other bytes"),
    "pause": (pause_damaged, "paused", "pause of everything"),
    "stations": (stations_damaged, "stations", "station"),
}


def test_a_copy_of_what_was_delivered_is_told_once_and_as_a_repair_mends_it(spool: Spool) -> None:
    (entry_id,) = delivered(spool, b"a backup was put over it")
    sent = spool.find(entry_id).path
    copy = spool.path / "pending" / sent.name
    copy.write_bytes(sent.read_bytes())
    (told,) = (each for each in found(spool) if each.id == entry_id)
    assert (told.kind, told.path, told.remedy.endswith(f"goes on: {sent}.")) == ("twice", str(copy), True)


@pytest.mark.parametrize("case", CASES)
def test_each_difference_of_the_books_is_named_with_its_id(spool: Spool, case: str) -> None:
    wreck, kind, words = CASES[case]
    entry_id = wreck(spool)
    age(spool)
    told = [each for each in found(reopened(spool)) if each.kind == kind]
    assert [each.id for each in told] == [entry_id]
    assert words in told[0].meaning
    assert told[0].remedy


@pytest.mark.parametrize("case", [*CASES, *WRECKS])
def test_it_changes_nothing_at_all(spool: Spool, case: str) -> None:
    in_order(spool)
    (CASES[case][0] if case in CASES else WRECKS[case].do)(spool)
    spool.close()
    age(spool)
    before = tree(spool)
    told = found(reopened(spool))
    assert told or case == "empty bucket"
    assert tree(spool) == before


@pytest.mark.parametrize("wreck", ["entry in the root", "entry deep in hold"])
def test_what_is_out_of_view_is_neither_missing_nor_are_its_data_orphans(spool: Spool, wreck: str) -> None:
    WRECKS[wreck].do(spool)
    age(spool)
    assert {each.kind for each in found(reopened(spool))} <= {"misplaced", "hidden", "stranger"}


def test_what_may_lie_in_a_folder_that_cannot_be_read_is_not_called_missing(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry_id,) = submit(spool, b"on a bad block")
    spool.hold(entry_id)
    dying(monkeypatch, spool.find(entry_id).path.parent)
    with unread():
        told = found(spool)
    assert [each.id for each in told if each.kind == "unseen"] == [entry_id]
    assert "missing" not in {each.kind for each in told}


def test_what_moves_meanwhile_is_no_difference(spool: Spool) -> None:
    (entry_id,) = submit(spool, b"1")
    moved = []

    def claim_it(_: Verified) -> bool:
        if not moved:
            hand = spool.take_hand("uploader")
            moved.extend(hand.claim(1))
            die(hand)
        return False

    assert [each for each in verify_all(spool, Verified(), claim_it) if each.id == entry_id] == []
    assert [entry.id for entry in moved] == [entry_id]


def test_what_comes_in_meanwhile_is_no_difference(spool: Spool) -> None:
    """After `pending/` was listed, and before the history is read."""
    delivered(spool, b"1")
    came: list[str] = []

    def submit_one(_: Verified) -> bool:
        came.extend(submit(spool, b"2") if not came else [])
        return False

    done = Verified()
    assert list(verify_all(spool, done, submit_one)) == []
    assert done.equation is not None
    assert done.equation.came_in == 2


@needs_mounts
def test_it_works_on_a_disk_that_can_only_be_read(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=4m") as disk:
        with make_spool(disk) as spool:
            in_order(spool)
            lost = removed(spool)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with Spool(disk / "spool") as read_only:
            assert [(each.kind, each.id) for each in found(read_only)] == [("missing", lost)]
