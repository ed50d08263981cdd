"""Transitions: one rename each, durable where a person asked for them, and nothing is ever overwritten."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dropsafe.errors import EntryNotFound, SpoolError, WrongState
from dropsafe.spool import Entry, Reason, Spool, State, names
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.reasons import read_reason, reason_path
from dropsafe.spool.states import TRANSITIONS, Event
from tests.support.spools import (
    count,
    counted,
    deliver,
    delivered,
    failing,
    files,
    ids,
    interrupted,
    rejected,
    reopened,
    scratch,
    states,
    submit,
    watching,
)

BY_HAND: dict[str, tuple[Event, State, Callable[[Spool, str], Entry]]] = {
    "retry": (Event.RETRY, State.PENDING, lambda spool, entry_id: spool.retry(entry_id)),
    "hold": (Event.HOLD, State.HOLD, lambda spool, entry_id: spool.hold(entry_id)),
    "unhold": (Event.UNHOLD, State.PENDING, lambda spool, entry_id: spool.unhold(entry_id)),
    "readmit": (Event.READMIT, State.PENDING, lambda spool, entry_id: spool.readmit(entry_id)),
    "discard": (Event.DISCARD, State.DISCARDED, lambda spool, entry_id: spool.discard(entry_id)),
    "restore": (Event.RESTORE, State.PENDING, lambda spool, entry_id: spool.restore(entry_id)),
}
PLACES = (State.PENDING, State.INFLIGHT, State.SENT, State.FAILED, State.QUARANTINE, State.HOLD, State.DISCARDED)


def put(spool: Spool, state: State, payload: bytes = b"payload") -> Entry:
    """An entry that got into that state by the proper way."""
    match state:
        case State.SENT:
            (made,) = delivered(spool, payload)
        case State.FAILED:
            made = rejected(spool, payload)
        case State.INFLIGHT | State.QUARANTINE | State.PENDING:
            (made,) = submit(spool, payload)
            hand = spool.take_hand("uploader")
            (entry,) = (entry for entry in hand.claim(100) if entry.id == made)
            if state is State.QUARANTINE:
                hand.damaged(entry, "it differs.")
            elif state is State.PENDING:
                hand.defer(entry, 300.0, "the server failed on it")
        case _:
            (made,) = submit(spool, payload)
            if state is not State.PENDING:
                (spool.hold if state is State.HOLD else spool.discard)(made)
    return entry_of(spool, made)


def entry_of(spool: Spool, entry_id: str) -> Entry:
    (entry,) = (entry for entry in spool.entries() if entry.id == entry_id)
    return entry


def test_a_retry_of_what_is_due_already_changes_nothing(spool: Spool) -> None:
    (made,) = submit(spool, b"payload")
    before = files(spool.path)
    assert spool.retry(made).path == entry_of(spool, made).path
    # Nor does the mover itself take it for a duplicate of itself.
    assert spool.core.mover.move(entry_of(spool, made), Event.RETRY).path == entry_of(spool, made).path
    assert states(spool, made) == ["pending"]
    assert files(spool.path / "pending") == {
        key[8:]: data for key, data in before.items() if key.startswith("pending/")
    }


def test_what_becomes_due_during_an_audit_is_counted(spool: Spool) -> None:
    entry = put(spool, State.PENDING)
    arrived = count(spool).arrived
    spool.retry(entry.id)
    assert count(spool).arrived == arrived + 1, "announced, as it moves against the order of listing"
    assert counted(spool) >= 1
    assert spool.audit().waiting == 1


@pytest.mark.parametrize("state", PLACES)
@pytest.mark.parametrize("command", BY_HAND)
def test_what_a_person_may_do_in_each_state(spool: Spool, state: State, command: str) -> None:
    event, target, act = BY_HAND[command]
    entry = put(spool, state)
    before = files(entry.path.parent)
    if (state, event) not in TRANSITIONS:
        with pytest.raises(WrongState):
            act(spool, entry.id)
        assert files(entry.path.parent) == before
        return
    with watching() as watched:
        moved = act(spool, entry.id)
    assert moved.state is target
    assert moved.path.read_bytes() == b"payload"
    assert not entry.path.exists()
    assert scratch(spool) == []
    rename = len(watched.operations) - watched.operations[::-1].index(f"{event.name.lower()}.rename")
    synced = watched.paths("move.fsync_folder")
    assert watched.operations[rename:].count("move.fsync_folder") == len(synced) == 2
    assert set(synced) == {str(entry.path.parent), str(moved.path.parent)}
    assert spool.history(moved.id)[-1]["event"] in (event.value, Event.RETURNED.value)


@pytest.mark.parametrize("command", ["retry", "unhold", "restore"])
def test_what_a_person_sends_back_is_served_first(spool: Spool, clock: ManualClock, command: str) -> None:
    """By the hour of its acceptance."""
    entry = put(spool, {"retry": State.FAILED, "unhold": State.HOLD, "restore": State.DISCARDED}[command])
    accepted = names.hour_start(entry.name.accepted.timestamp())
    clock.advance(10 * 3600)
    submit(spool, b"younger")
    moved = BY_HAND[command][2](spool, entry.id)
    assert moved.path.parent.name == names.bucket_name(accepted, 0)
    assert spool.take_hand("uploader").claim(1)[0].id == entry.id


@pytest.mark.parametrize("command", ["hold", "discard"])
def test_other_moves_go_to_the_bucket_of_their_own_hour(spool: Spool, clock: ManualClock, command: str) -> None:
    entry = put(spool, State.PENDING)
    clock.advance(10 * 3600)
    moved = BY_HAND[command][2](spool, entry.id)
    assert moved.path.parent.name == names.bucket_name(names.hour_start(clock.now()), 0)


def test_the_reason_becomes_history_when_the_entry_leaves(spool: Spool) -> None:
    made = rejected(spool)
    entry = entry_of(spool, made)
    spool.retry(made)
    assert not os.path.exists(reason_path(str(entry.path)))
    told = [line for line in spool.history(made) if "earlier_reason" in line]
    assert [(line["earlier_reason"], line["detail"]) for line in told] == [("The server said 422.", "field x")]
    assert spool.reason(entry_of(spool, made)) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"kind": "x"}', b"\xff", b'{"id": "20260101T000000.000Z_aaaaaaaa"}']
)
def test_a_reason_that_is_not_ours_is_left_alone(spool: Spool, content: bytes) -> None:
    made = rejected(spool)
    path = Path(reason_path(str(entry_of(spool, made).path)))
    path.write_bytes(content)
    assert spool.reason(entry_of(spool, made)) is None
    spool.retry(made)
    assert path.read_bytes() == content


def test_a_reason_of_another_entry_is_left_alone(spool: Spool) -> None:
    one, two = rejected(spool, b"1"), rejected(spool, b"2")
    path = Path(reason_path(str(entry_of(spool, one).path)))
    other = Path(reason_path(str(entry_of(spool, two).path))).read_bytes()
    path.write_bytes(other)
    spool.retry(one)
    assert path.read_bytes() == other


def test_the_journal_tells_every_transition(spool: Spool) -> None:
    made = rejected(spool)
    spool.retry(made)
    spool.hold(made)
    spool.discard(made)
    spool.restore(made)
    events = [line["event"] for line in spool.history(made) if "earlier_reason" not in line]
    assert events == ["accepted", "claimed", "rejected", "retried", "held", "discarded", "restored"]


def twin(spool: Spool, entry: Entry, state: State, content: bytes, moment: float | None = None) -> Path:
    """A file of the same name where the entry will be moved."""
    folder = spool.core.placer.place(state, names.hour_start(spool.core.clock.now() if moment is None else moment))
    path = Path(folder, entry.path.name)
    path.write_bytes(content)
    return path


def reject(spool: Spool, entry: Entry) -> Entry:
    return spool.core.mover.move(entry, Event.REJECTED, reason=Reason("rejected", "no", "mend"))


def discard(spool: Spool, entry: Entry) -> Entry:
    return spool.core.mover.move(entry, Event.DISCARD, reason=Reason("discarded", "unwanted", "restore"))


CLASHES: dict[str, tuple[State, State, Callable[[Spool, Entry], object]]] = {
    "hold": (State.PENDING, State.HOLD, lambda spool, entry: spool.core.mover.move(entry, Event.HOLD)),
    "unhold": (State.HOLD, State.PENDING, lambda spool, entry: spool.core.mover.move(entry, Event.UNHOLD)),
    "retry": (State.FAILED, State.PENDING, lambda spool, entry: spool.core.mover.move(entry, Event.RETRY)),
    "discard": (State.PENDING, State.DISCARDED, discard),
    "restore": (State.DISCARDED, State.PENDING, lambda spool, entry: spool.core.mover.move(entry, Event.RESTORE)),
    "reject": (State.INFLIGHT, State.FAILED, reject),
    "deliver": (State.INFLIGHT, State.SENT, lambda spool, entry: spool.core.mover.move(entry, Event.DELIVERED)),
    "return": (State.INFLIGHT, State.PENDING, lambda spool, entry: spool.core.mover.move(entry, Event.RETURNED)),
}


@pytest.mark.parametrize("case", CLASHES)
def test_on_a_clash_the_same_bytes_go_to_discarded_with_a_reason(spool: Spool, case: str) -> None:
    source, target, act = CLASHES[case]
    entry = put(spool, source)
    there = twin(spool, entry, target, b"payload")
    act(spool, entry)
    assert there.read_bytes() == b"payload"
    everything = [found.path for found in spool.entries()]
    assert len(everything) == 2, "nothing was lost"
    (copy,) = (found for found in spool.entries("discarded") if found.path != there)
    reason = spool.reason(copy)
    assert reason is not None
    assert reason.kind == "duplicate"
    assert copy.path.read_bytes() == b"payload"
    assert scratch(spool) == []


@pytest.mark.parametrize("case", CLASHES)
def test_on_a_clash_other_bytes_are_both_kept(spool: Spool, case: str) -> None:
    """The mover under a new id, so that neither an old receipt nor the server's memory swallows it."""
    source, target, act = CLASHES[case]
    entry = put(spool, source)
    there = twin(spool, entry, target, b"altered")
    act(spool, entry)
    assert there.read_bytes() == b"altered"
    (mover,) = (found for found in spool.entries() if found.id != entry.id)
    assert mover.state is target
    assert mover.path.read_bytes() == b"payload"
    assert mover.name.digest16 == hashlib.sha256(b"payload").hexdigest()[:16]
    assert mover.name.original == entry.name.original
    assert spool.history(mover.id)[-1]["earlier_id"] == entry.id
    assert scratch(spool) == []


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_a_clash_with_something_that_is_no_file_is_a_clash_with_other_bytes(
    spool: Spool, kind: str, tmp_path: Path
) -> None:
    entry = put(spool, State.PENDING)
    there = twin(spool, entry, State.HOLD, b"")
    there.unlink()
    match kind:
        case "fifo":
            os.mkfifo(there)
        case "link":
            (tmp_path / "same").write_bytes(b"payload")
            there.symlink_to(tmp_path / "same")
        case _:
            there.mkdir()
    assert spool.hold(entry.id).path.read_bytes() == b"payload"
    assert os.path.lexists(there)


def test_the_reason_of_the_one_that_was_there_is_not_touched_by_a_clash(spool: Spool) -> None:
    entry = put(spool, State.INFLIGHT)
    there = twin(spool, entry, State.FAILED, b"altered")
    Path(reason_path(str(there))).write_text("its own")
    reject(spool, entry)
    assert Path(reason_path(str(there))).read_text() == "its own"


def test_a_copy_that_was_discarded_before_does_not_stand_in_the_way(spool: Spool) -> None:
    entry = put(spool, State.HOLD)
    twin(spool, entry, State.PENDING, b"payload")
    twin(spool, entry, State.DISCARDED, b"payload")
    spool.core.mover.move(entry, Event.UNHOLD)
    assert sorted(found.state.value for found in spool.entries()) == ["discarded", "discarded", "pending"]


def test_a_discarded_copy_that_is_restored_onto_itself_stays_discarded(spool: Spool) -> None:
    """In the same hour: the copy must not be moved onto itself again and again."""
    entry = put(spool, State.DISCARDED)
    twin(spool, entry, State.PENDING, b"payload")
    settled = spool.core.mover.move(entry, Event.RESTORE)
    assert settled.state is State.DISCARDED
    assert settled.path == entry.path
    reason = spool.reason(settled)
    assert reason is not None
    assert reason.kind == "duplicate"
    assert len(list(spool.entries())) == 2


def test_a_clash_whose_other_file_goes_away_is_none(spool: Spool) -> None:
    entry = put(spool, State.PENDING)
    there = twin(spool, entry, State.HOLD, b"payload")
    original = os.lstat

    def vanish(path: str) -> os.stat_result:
        if os.path.normpath(path) == str(there):
            there.unlink(missing_ok=True)
        return original(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dropsafe.spool.accept.os.lstat", vanish)
        moved = spool.core.mover.move(entry, Event.HOLD)
    assert moved.path == there
    assert there.read_bytes() == b"payload"


def test_two_people_who_do_the_same_at_once_do_it_once(spool: Spool) -> None:
    """The second finds it gone, and does not take the reason away that the first has written."""
    entry = put(spool, State.PENDING)
    other = reopened(spool)

    with interrupted("reason.rename", lambda: discard(other, entry)), pytest.raises(EntryNotFound):
        discard(spool, entry)
    (there,) = spool.entries("discarded")
    assert spool.reason(there) is not None
    other.close()


def test_readmitting_gives_a_new_id_and_the_digest_of_the_bytes_as_they_are(spool: Spool) -> None:
    entry = put(spool, State.QUARANTINE)
    entry.path.write_bytes(b"edited by a person who vouches for it")
    moved = spool.readmit(entry.id)
    assert moved.id != entry.id
    assert moved.name.digest16 == hashlib.sha256(b"edited by a person who vouches for it").hexdigest()[:16]
    assert moved.name.original == entry.name.original
    assert states(spool, moved.id) == ["pending"]
    assert states(spool, entry.id) == []
    assert files(spool.path / "quarantine") == {}
    assert spool.history(moved.id)[-1]["earlier_id"] == entry.id


@pytest.mark.parametrize("damaged", [False, True])
def test_a_new_id_gets_its_own_copy_of_the_meta_first(spool: Spool, damaged: bool) -> None:
    accepted = spool.submit(b"x", name="Prüfung: 1", content_type="text/csv", attributes={"serial": "A1"})
    hand = spool.take_hand("uploader")
    hand.damaged(hand.claim(1)[0], "it differs.")
    meta = Path(spool.core.meta.path(accepted.id))
    if damaged:
        meta.write_text("{")
    with watching() as watched:
        moved = spool.readmit(accepted.id)
    assert watched.operations.index("meta.fsync_folder") < watched.operations.index("readmit.rename")
    assert meta.exists(), "it is never moved"
    assert Path(spool.core.meta.path(moved.id)).read_bytes() == meta.read_bytes()
    if damaged:
        with pytest.raises(SpoolError, match="damaged"):
            spool.meta(moved)
    else:
        assert spool.meta(moved).attributes == {"serial": "A1"}
        assert spool.meta(moved).original_name == "Prüfung: 1"


def test_an_entry_can_be_named_by_any_beginning_that_is_its_alone(spool: Spool, clock: ManualClock) -> None:
    one, two = submit(spool, b"1", b"2")
    assert spool.find(one).id == one
    assert spool.find(one[21:25]).id == one
    assert spool.find(f" {two[21:]} ").id == two
    with pytest.raises(EntryNotFound, match="2 entries"):
        spool.find(one[:15])
    for nothing in ("", "nope", one + "x"):
        with pytest.raises(EntryNotFound):
            spool.find(nothing)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("operation", ["reason.create", "reason.fsync", "rejected.rename"])
def test_a_transition_that_fails_leaves_the_entry_where_it_was(spool: Spool, operation: str, number: int) -> None:
    entry = put(spool, State.INFLIGHT)
    with failing(number, operation, times=9), pytest.raises(OSError, match=os.strerror(number)):
        reject(spool, entry)
    assert states(spool, entry.id) == ["inflight"]
    assert scratch(spool) == []
    assert reject(spool, entry).state is State.FAILED


def test_rule_3_4_a_reason_finds_room_on_a_full_disk(spool: Spool) -> None:
    entry = put(spool, State.INFLIGHT)
    spool.core.reserve.refill(0)
    before = len(spool.core.reserve.files())
    with failing(errno.ENOSPC, "reason.write", times=2):
        assert reject(spool, entry).state is State.FAILED
    assert len(spool.core.reserve.files()) == before - 2
    assert spool.reason(entry_of(spool, entry.id)) is not None


def test_a_whole_group_moves_with_one_sync_of_each_folder(spool: Spool) -> None:
    submit(spool, *[b"x"] * 20)
    hand = spool.take_hand("uploader")
    batch = hand.claim(20)
    with watching() as watched:
        deliver(spool, hand, *batch)
    assert watched.operations.count("move.fsync_folder") == 2
    assert watched.operations.count("admission.write") == 1
    assert watched.operations.count("journal.write") == 1


def test_if_one_of_a_group_is_refused_those_before_it_are_durable_and_in_the_history(spool: Spool) -> None:
    entries = [put(spool, State.FAILED, payload) for payload in (b"1", b"2", b"3")]
    with failing(errno.EIO, "retry.rename", after=1) as watched, pytest.raises(OSError, match=os.strerror(errno.EIO)):
        spool.move_all(entries, Event.RETRY)
    assert [states(spool, entry.id) for entry in entries] == [["pending"], ["failed"], ["failed"]]
    assert watched.operations.count("move.fsync_folder") == 2
    assert [line["event"] for line in spool.history(entries[0].id)][-1] == "retried"
    assert [os.path.lexists(reason_path(str(entry.path))) for entry in entries] == [False, True, True]


def test_those_of_a_group_that_are_gone_are_passed_over(spool: Spool) -> None:
    made = submit(spool, b"1", b"2", b"3")
    entries = list(spool.entries("pending"))
    entries[1].path.unlink()
    moved = spool.core.mover.move_all(entries, Event.HOLD)
    assert [entry.id for entry in moved] == [made[0], made[2]]


def test_a_spool_that_was_copied_knows_its_entries(spool: Spool, tmp_path: Path) -> None:
    """Names are not bound to inodes, nor to the place of the spool."""
    made = [put(spool, state, state.value.encode()).id for state in PLACES if state is not State.INFLIGHT]
    spool.close()
    shutil.copytree(spool.path, tmp_path / "stick" / "copy")
    with Spool(tmp_path / "stick" / "copy") as copy:
        assert sorted(entry.id for entry in copy.entries()) == sorted(made)
        assert copy.retry(ids(copy, State.FAILED)[0]).state is State.PENDING
        assert copy.receipt_of(ids(copy, State.SENT)[0]).status == 201


def test_a_reason_reads_as_what_was_written(spool: Spool) -> None:
    entry = put(spool, State.FAILED)
    reason = read_reason(reason_path(str(entry.path)))
    assert reason == spool.reason(entry)
    assert reason is not None
    assert (reason.kind, reason.status, reason.detail) == ("rejected", 422, "field x")


def test_of_two_files_with_one_id_the_one_that_is_on_its_way_is_meant(spool: Spool) -> None:
    """The other is a copy that was discarded on a clash."""
    entry = put(spool, State.HOLD)
    twin(spool, entry, State.PENDING, b"payload", entry.name.accepted.timestamp())
    spool.core.mover.move(entry, Event.UNHOLD)
    assert sorted(states(spool, entry.id)) == ["discarded", "pending"]
    assert spool.find(entry.id).state is State.PENDING
    assert spool.hold(entry.id).state is State.HOLD
