"""`verify`: finds what differs, says what it means, and leaves not a trace."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dropsafe.spool import Spool, State
from dropsafe.spool.listing import ENTRY_STATES
from dropsafe.spool.verify import Difference, Verified, verify
from tests.support.spools import delivered, rejected, submit


def differences(spool: Spool, *states: State, sample: int = 0) -> list[Difference]:
    return list(verify(spool, states or ENTRY_STATES, sample, Verified()))


def entry_path(spool: Spool, entry_id: str) -> Path:
    return spool.find(entry_id).path


def in_every_state(spool: Spool) -> dict[str, str]:
    """An id for each state but inflight, by its name."""
    made = {"sent": delivered(spool, b"sent")[0], "failed": rejected(spool, b"failed")}
    for number, state in enumerate(("pending", "hold", "discarded")):
        (made[state],) = submit(spool, f"{number}".encode())
    spool.hold(made["hold"])
    spool.discard(made["discarded"])
    hand = spool.take_hand("uploader")
    (made["quarantine"],) = submit(spool, b"to be damaged")
    for entry in hand.claim(10):
        if entry.id == made["quarantine"]:
            hand.damaged(entry, "it differs.")
    hand.close()
    return made


def tree(spool: Spool) -> dict[str, tuple[int, int, int, int]]:
    """Everything there is: mode, size, and the times of change of content and of inode."""
    found = {}
    for base, folders, names in os.walk(spool.path):
        for name in (".", *folders, *names):
            path = os.path.normpath(os.path.join(base, name))
            facts = os.lstat(path)
            found[path] = (facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    return found


def test_of_a_spool_in_order_there_is_nothing_to_say(spool: Spool) -> None:
    in_every_state(spool)
    done = Verified()
    assert list(verify(spool, ENTRY_STATES, 0, done)) == []
    assert (done.entries, done.moved) == (6, 0)


def lose_receipts(spool: Spool, made: dict[str, str]) -> None:
    for path in (spool.path / "receipts").iterdir():
        path.unlink()


def copy_into_hold(spool: Spool, made: dict[str, str]) -> None:
    path = entry_path(spool, made["failed"])
    (spool.path / "hold" / path.name).write_bytes(path.read_bytes())


def part_a_reason(spool: Spool, made: dict[str, str]) -> None:
    path = entry_path(spool, made["failed"])
    path.rename(spool.path / "pending" / path.name)


def spoil_a_reason(spool: Spool, made: dict[str, str]) -> None:
    path = entry_path(spool, made["failed"])
    path.with_name(f"{path.name}.reason.json").write_text("{")


def orphan_meta(spool: Spool, made: dict[str, str]) -> None:
    spool.submit(b"x", name="x", attributes={"a": "b"})
    (last,) = (entry for entry in spool.entries("pending") if entry.name.original == "x")
    last.path.unlink()


def spoil_meta(spool: Spool, made: dict[str, str]) -> None:
    accepted = spool.submit(b"x", name="x", attributes={"a": "b"})
    Path(spool.core.meta.path(accepted.id)).write_text("{")


def link_meta(spool: Spool, made: dict[str, str]) -> None:
    accepted = spool.submit(b"x", name="x", attributes={"a": "b"})
    path = Path(spool.core.meta.path(accepted.id))
    path.rename(spool.path.parent / "elsewhere.json")
    path.symlink_to(spool.path.parent / "elsewhere.json")


def spoil_a_receipt(spool: Spool, made: dict[str, str]) -> None:
    (path,) = (spool.path / "receipts").iterdir()
    path.write_bytes(b"{broken}\n" + path.read_bytes())


def put_a_stranger(spool: Spool, made: dict[str, str]) -> None:
    (spool.path / "hold" / "notes.txt").write_text("mine")


def put_a_folder_there(spool: Spool, made: dict[str, str]) -> None:
    path = entry_path(spool, made["pending"])
    path.unlink()
    path.mkdir()


def put_a_folder_beside(spool: Spool, made: dict[str, str]) -> None:
    (entry_path(spool, made["pending"]).parent / "mine").mkdir()


def other_digest(spool: Spool, made: dict[str, str]) -> None:
    (path,) = (spool.path / "receipts").iterdir()
    content = path.read_text()
    start = content.index('"sha256": "') + 11
    path.write_text(f"{content[:start]}{'0' * 64}{content[start + 64 :]}")


def edit(state: str) -> Callable[[Spool, dict[str, str]], None]:
    def change(spool: Spool, made: dict[str, str]) -> None:
        entry_path(spool, made[state]).write_bytes(b"edited by hand")

    return change


CASES: dict[str, tuple[Callable[[Spool, dict[str, str]], None], str, str]] = {
    **{f"edited in {state}": (edit(state), "damaged", state) for state in ("pending", "sent", "failed", "hold")},
    "receipts lost": (lose_receipts, "unproven", "sent"),
    "receipt of another digest": (other_digest, "unproven", "sent"),
    "receipts damaged": (spoil_a_receipt, "receipts", ""),
    "an id in two places": (copy_into_hold, "twice", "failed"),
    "a reason alone": (part_a_reason, "reason", "failed"),
    "a reason that cannot be read": (spoil_a_reason, "reason", "failed"),
    "meta alone": (orphan_meta, "meta", ""),
    "meta damaged": (spoil_meta, "meta", ""),
    "meta a link": (link_meta, "meta", ""),
    "a stranger": (put_a_stranger, "stranger", ""),
    "a folder for an entry": (put_a_folder_there, "stranger", ""),
    "a folder in a bucket of pending": (put_a_folder_beside, "stranger", ""),
}


@pytest.mark.parametrize("case", CASES)
def test_each_difference_is_found_once_with_its_meaning_and_a_remedy(spool: Spool, case: str) -> None:
    change, kind, state = CASES[case]
    made = in_every_state(spool)
    change(spool, made)
    (found,) = differences(spool)
    assert found.kind == kind
    if state:
        assert found.id == made[state]
    assert os.path.lexists(found.path)
    assert found.meaning
    assert found.remedy


@pytest.mark.parametrize("case", CASES)
def test_it_changes_nothing_at_all(spool: Spool, case: str) -> None:
    made = in_every_state(spool)
    CASES[case][0](spool, made)
    spool.close()
    before = tree(spool)
    with Spool(spool.path) as other:
        assert list(verify(other, ENTRY_STATES, 0, Verified()))
    assert tree(spool) == before


def test_of_two_copies_it_says_what_a_repair_would_do_and_where_the_other_is(spool: Spool) -> None:
    made = in_every_state(spool)
    copy_into_hold(spool, made)
    (found,) = differences(spool)
    failed, held = str(entry_path(spool, made["failed"])), str(spool.path / "hold" / os.path.basename(found.path))
    assert (found.path, found.meaning.count(held)) == (failed, 1)
    assert found.remedy.endswith(f"the other goes on: {held}.")
    path = entry_path(spool, made["pending"])
    (spool.path / "sent" / path.name).write_bytes(path.read_bytes())
    remedies = [each.remedy for each in differences(spool) if each.id == made["pending"] and each.kind == "twice"]
    assert remedies == ["What can be done: dropsafe repair"], "without a receipt it leaves both"


def test_two_of_one_id_with_other_bytes_are_not_said_to_be_the_same(spool: Spool) -> None:
    made = in_every_state(spool)
    copy_into_hold(spool, made)
    (copy,) = (spool.path / "hold").glob(f"{made['failed']}_*")
    copy.write_bytes(b"other")
    (found,) = (each for each in differences(spool) if each.kind == "twice")
    assert "both are kept" in found.meaning


def test_what_a_service_moves_meanwhile_is_no_difference(spool: Spool) -> None:
    (made,) = submit(spool, b"1")
    found = []
    done = Verified()

    def deliver_it(figures: Verified) -> bool:
        """After the listing, before it is read: by then it is in sent/, with its receipt."""
        if not found:
            hand = spool.take_hand("uploader")
            from tests.support.spools import deliver

            deliver(spool, hand, *hand.claim(1))
            hand.close()
            found.append(made)
        return False

    assert list(verify(spool, ENTRY_STATES, 0, done, deliver_it)) == []
    assert found == [made]


def test_of_some_states_only_those_are_read(spool: Spool) -> None:
    made = in_every_state(spool)
    for state in ("pending", "failed"):
        edit(state)(spool, made)
    assert [found.id for found in differences(spool, State.FAILED)] == [made["failed"]]


def test_a_sample_reads_so_many_of_each_state(spool: Spool) -> None:
    submit(spool, *[f"{number}".encode() for number in range(20)])
    rejected(spool)
    done = Verified()
    assert list(verify(spool, ENTRY_STATES, 5, done)) == []
    assert done.entries == 6


def test_a_stop_is_heeded_after_the_entry_at_hand(spool: Spool) -> None:
    submit(spool, b"1", b"2", b"3")
    done = Verified()
    assert list(verify(spool, ENTRY_STATES, 0, done, lambda figures: figures.entries == 2)) == []
    assert (done.entries, done.stopped) == (2, True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_not_called_damaged(spool: Spool) -> None:
    (made,) = submit(spool, b"1")
    entry_path(spool, made).chmod(0)
    (found,) = differences(spool)
    assert found.kind == "unreadable"


def test_an_entry_that_became_something_else_is_not_called_damaged(spool: Spool) -> None:
    (made,) = submit(spool, b"1")
    path = entry_path(spool, made)
    listed = spool.entries(State.PENDING)
    entry = next(listed)
    path.unlink()
    os.symlink("/etc/hostname", path)
    from dropsafe.spool.verify import _content

    (found,) = _content(spool, entry, Verified())
    assert found.kind == "unreadable"
