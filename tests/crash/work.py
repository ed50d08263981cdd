"""Pieces of work that change a spool, and those that prepare what they find there.

Each tells a witness what the world outside was told: the checker holds that against the folders.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from dropsafe.errors import AcceptanceUnknown, DropsafeError
from dropsafe.spool import Acceptance, Entry, Event, Reason, Spool, State, durable
from dropsafe.spool.claims import Hand
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.dropfolder import Candidate, DropFolder, scan
from dropsafe.spool.foreign import ForeignFiles, adoption_folder
from dropsafe.spool.intake import Intake
from dropsafe.spool.names import hour_start
from dropsafe.spool.pausing import Work
from dropsafe.spool.recovery import return_claims
from dropsafe.spool.retention import (
    ExpiryGuard,
    Policy,
    expire,
    expire_journal,
    expire_receipts,
    save_guard,
)
from dropsafe.supervisor.service_lock import ServiceLock
from tests.crash.crashing import KILLED, Action, Witness, killing, live, opened, put_right
from tests.support.spools import ROOMY, deliver, die, receipt_for

PAYLOADS = [b"first payload", b"second payload " * 100, b"third payload"]
EDITED = b"edited by a person"
CHANGED = PAYLOADS[0] + b" and more"
ACCEPTED_NOT_REMOVED, NOT_TAKEN = b"dropped and accepted, not removed", b"dropped and not taken"
DAY = 86_400.0
MAKERS_SCRATCH = "spool.json.0badf00d"


# What may be there before.


def nothing(base: Path, _: object) -> None:
    pass


def waiting(base: Path, witness: Witness, count: int = 3) -> None:
    clock = ManualClock(1_790_000_000.0)
    with Spool(base / "spool", ROOMY, clock) as spool:
        for payload in PAYLOADS[:count]:
            witness.accepted(spool.submit(payload, name="report.xml", attributes={"serial": "A1"}).id, payload)
            clock.advance(0.001)


def moved(*steps: str) -> Action:
    """One entry that went through these moves."""

    def prepare(base: Path, witness: Witness) -> None:
        waiting(base, witness, 1)
        for step in steps:
            does(step)(base, witness)

    return prepare


def two_copies(base: Path, witness: Witness) -> None:
    """An entry on hold, and a copy that a person has put where it would go."""
    moved("hold")(base, witness)
    with opened(base) as spool:
        (entry,) = spool.entries(State.HOLD)
        bucket = spool.core.placer.place(State.PENDING, hour_start(entry.name.accepted.timestamp()))
        Path(bucket, entry.path.name).write_bytes(entry.path.read_bytes())


def outside(base: Path, witness: Witness) -> None:
    (base / "outside").mkdir()
    for number, payload in enumerate(PAYLOADS):
        (base / "outside" / f"{number}.xml").write_bytes(payload)


def dropped(*payloads: bytes) -> Action:
    def prepare(base: Path, witness: Witness) -> None:
        for number, payload in enumerate(payloads):
            (base / "drop" / f"report {number}: a name that needs meta.xml").write_bytes(payload)
            witness.wrote(payload)

    return prepare


def put_into_pending(base: Path, witness: Witness) -> None:
    waiting(base, witness, 1)
    (base / "spool" / "pending" / "Tom's").mkdir()
    for name, payload in (("report.xml", PAYLOADS[1]), ("Tom's/report.xml", PAYLOADS[2])):
        (base / "spool" / "pending" / name).write_bytes(payload)
        witness.wrote(payload)


def renamed_by_hand(base: Path, witness: Witness) -> None:
    waiting(base, witness, 0)
    with opened(base) as spool:
        path = spool.find(spool.submit(PAYLOADS[0], name="report.xml").id).path
    witness.wrote(PAYLOADS[0])
    path.rename(path.with_name(f"Copy of {path.name}"))


def delivered(base: Path, witness: Witness) -> None:
    waiting(base, witness)
    with opened(base) as spool:
        in_hand(spool, "deliver", witness)


def a_bad_end(base: Path, witness: Witness) -> None:
    """All that a power cut may leave behind, at once."""
    waiting(base, witness)
    spool = opened(base)
    first, second = spool.take_hand("uploader"), spool.take_hand("uploader")
    (entry,) = first.claim(1)
    first._receipts.write([receipt_for(spool, first, entry)])  # delivered, but not moved
    second.claim(1)
    torn = base / "spool" / "receipts" / f"20260921T14.{second.name}.jsonl"
    torn.write_bytes(b'{"id": "2026')
    Path(spool.core.producer.folder, "20260921T141320.000Z_aaaaaaaa").write_bytes(b"half a payl")
    die(first)
    die(second)
    dropped(ACCEPTED_NOT_REMOVED)(base, witness)
    life = live(base, take)
    stopped = next(number for number, point in enumerate(life.points) if point == "before intake.unlink")
    shutil.rmtree(base / "drop")
    (base / "drop").mkdir()
    for entry in spool.entries(State.PENDING):
        if entry.path.read_bytes() == ACCEPTED_NOT_REMOVED:
            entry.path.unlink()
    dropped(ACCEPTED_NOT_REMOVED)(base, Witness(lambda line: None))
    assert live(base, take, killing(stopped)).status == KILLED
    (base / "drop" / "another.xml").write_bytes(NOT_TAKEN)
    witness.wrote(NOT_TAKEN)
    (base / "spool" / "quarantine").rmdir()
    (base / "spool" / "tmp" / MAKERS_SCRATCH).write_text("{")
    holder = spool.core.producer._holder
    assert holder is not None
    holder.abandon()


# What is done.


def does(step: str) -> Action:
    """One move of the only entry."""

    def action(base: Path, witness: Witness) -> None:
        with opened(base, later=10.0) as spool:
            entry = next(iter(spool.entries()))
            witness.about_to(entry.id)
            if step == "edit":
                entry.path.write_bytes(EDITED)
                witness.accepted(entry.id, EDITED)
            elif step in ("reject", "damage", "defer", "put off", "give back", "deliver"):
                in_hand(spool, step, witness)
            else:
                moved = getattr(spool, step)(entry.id)
                witness.stands(moved.id, moved.state.value)

    return action


def in_hand(spool: Spool, step: str, witness: Witness) -> None:
    hand = spool.take_hand("uploader")
    batch = hand.claim(64)
    if not batch:  # a fault has kept it from us
        hand.close()
        return
    match step:
        case "reject":
            hand.reject(batch[0], Reason("rejected", "The server said 422.", "Mend it."))
            witness.stands(batch[0].id, "failed")
        case "damage":
            hand.damaged(batch[0], "it differs.")
            witness.stands(batch[0].id, "quarantine")
        case "defer":
            hand.make_due([hand.defer(entry, 60.0, "busy") for entry in batch])
        case "put off":
            hand.defer(batch[0], 60.0, "busy")
        case "give back":
            hand.give_back(batch[:1])
        case "deliver":
            delivers(spool, hand, batch, witness)
    hand.close()


def delivers(spool: Spool, hand: Hand, batch: list[Entry], witness: Witness) -> None:
    deliver(spool, hand, *batch)
    for entry in batch:
        witness.stands(entry.id, "sent")


def hand_in(witness: Witness, payloads: list[bytes], work: Callable[[], list[Acceptance]]) -> None:
    """What the caller is told of each payload. Of those in doubt (AcceptanceUnknown): nothing that could be held against us."""
    try:
        accepted = work()
    except AcceptanceUnknown as error:
        settle_up(witness, payloads, error.accepted, len(error.ids))
        witness.unknown(len(error.ids))
        raise
    except (OSError, DropsafeError) as error:
        settle_up(witness, payloads, getattr(error, "accepted", []), 0)
        raise
    settle_up(witness, payloads, accepted, 0)


def settle_up(witness: Witness, payloads: list[bytes], accepted: Sequence[Acceptance], in_doubt: int) -> None:
    for acceptance, payload in zip(accepted, payloads, strict=False):
        witness.accepted(acceptance.id, payload)
    for payload in payloads[len(accepted) + in_doubt :]:
        witness.refused(payload)


def submit(base: Path, witness: Witness) -> None:
    """As its caller should: what is unknown is submitted again, under its id."""
    with opened(base) as spool:
        for payload in PAYLOADS[:2]:

            def hand(payload: bytes = payload, entry_id: str | None = None) -> list[Acceptance]:
                return [spool.submit(payload, name="a" * 200, attributes={"serial": "A1"}, entry_id=entry_id)]

            try:
                hand_in(witness, [payload], hand)
            except AcceptanceUnknown as error:
                (again,) = hand(entry_id=error.id)
                witness.accepted(again.id, payload)


def submit_many(base: Path, witness: Witness) -> None:
    with opened(base) as spool:
        paths = sorted((base / "outside").iterdir())
        hand_in(witness, [path.read_bytes() for path in paths], lambda: spool.submit_many(paths))


def submit_again(base: Path, witness: Witness) -> None:
    """Under its id, as somebody does who was not told whether it was accepted; and once more as a new one."""
    with opened(base, later=10.0) as spool:
        entry = next(iter(spool.entries()))
        spool.submit(PAYLOADS[0], name="report.xml", entry_id=entry.id)
        hand_in(witness, PAYLOADS[1:2], lambda: [spool.submit(PAYLOADS[1], name="other.xml")])


def deliver_in_groups(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        hand = spool.take_hand("uploader")
        while batch := hand.claim(2):
            delivers(spool, hand, batch, witness)
        hand.close()


def die_three_times(base: Path, witness: Witness) -> None:
    """A worker dies over one entry again and again, and its supervisor returns what it held."""
    with opened(base, later=10.0) as spool:
        for _ in range(3):
            hand = spool.take_hand("uploader")
            hand.claim(64)
            die(hand)
            return_claims(spool.core, hand.name, died=True)


def unhold_onto_the_copy(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        (entry,) = spool.entries(State.HOLD)
        witness.about_to(entry.id)
        spool.core.mover.move(entry, Event.UNHOLD)


def take(base: Path, _: object, move_to: str = "") -> None:
    with opened(base, later=10.0) as spool:
        folder = DropFolder(str(base / "drop"), move_to=move_to)
        intake = Intake(spool.core)
        for found in list(scan(folder)):
            assert isinstance(found, Candidate)
            intake.take(folder, found)


def take_and_keep(base: Path, _: object) -> None:
    take(base, None, move_to=str(base / "done"))


def with_a_place_for_it(base: Path, witness: Witness) -> None:
    (base / "done").mkdir()
    dropped(*PAYLOADS[:2])(base, witness)


def take_what_changes(base: Path, witness: Witness) -> None:
    """After its acceptance the file is written to: the accepted copy stands, and it is taken again."""
    counting = durable._observer
    assert counting is not None

    def observer(operation: str, moment: durable.Moment, path: str) -> None:
        counting(operation, moment, path)
        sources = [found for found in (base / "drop").rglob("*") if found.is_file() and found.read_bytes() != CHANGED]
        if (operation, moment) == ("accept.fsync_bucket", "after") and sources:
            sources[0].write_bytes(CHANGED)
            witness.wrote(CHANGED)

    with durable.observed(observer):
        take(base, witness)


def adopt(base: Path, _: object) -> None:
    with opened(base, later=10.0) as spool:
        folder = adoption_folder(spool.core)
        intake = Intake(spool.core)
        for found in list(ForeignFiles(spool.core).scan()):
            assert isinstance(found, Candidate)
            intake.take(folder, found)


def recover(base: Path, witness: Witness) -> None:
    put_right(base)


def expire_all(base: Path, witness: Witness) -> None:
    with opened(base, later=40 * DAY) as spool:
        expire(spool.core, Policy(retention_days=30, min_free_bytes=0))
        expire_receipts(spool.core, Policy(retention_days=30, min_free_bytes=0))


def audit(base: Path, _: object) -> None:
    with opened(base, later=10.0) as spool:
        spool.audit()
        spool.core.reserve.refill(0)
        spool.core.reserve.release()


def pause_and_resume(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        for work in Work:
            spool.pause([work], "a test")
            witness.paused(work.value, True)
        for work in Work:
            witness.about_to(work.value)
            spool.resume([work])
            witness.paused(work.value, False)


def other_stations(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        for place, name in (("one", "line-1"), ("two", "line-2"), ("two", "line-3")):
            spool.core.stations.arrive(place, name)


def serve(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        lock = ServiceLock(spool.core.layout)
        lock.check()
        lock.release()


def after_a_killed_service(base: Path, witness: Witness) -> None:
    """Its note lies there, and the one that it was about to write."""
    waiting(base, witness, 1)
    (base / "spool" / "locks" / "service.json.new").write_text("{}")


def tidy_up(base: Path, witness: Witness) -> None:
    with opened(base, later=400 * DAY) as spool:
        expire(spool.core, Policy(min_free_bytes=0))
        expire_receipts(spool.core, Policy(min_free_bytes=0))
        expire_journal(spool.core, 30)
        guard = ExpiryGuard(30, {})
        guard.may_expire(spool.core.clock.now(), 1.0)
        save_guard(spool.core, guard)


def begun(base: Path, witness: Witness) -> None:
    """No spool yet, but for what another program had made of one when it was killed."""
    shutil.rmtree(base / "spool")
    (base / "spool" / "tmp").mkdir(parents=True)
    (base / "spool" / "tmp" / MAKERS_SCRATCH).write_text("{")


def create(base: Path, witness: Witness) -> None:
    """For a group, which is ours."""
    import grp

    Spool.create(base / "spool", group=grp.getgrgid(os.getegid()).gr_name, limits=ROOMY).close()


def two_of_one_id(base: Path, witness: Witness) -> None:
    """A person has given another file the beginning of an entry's name."""
    waiting(base, witness, 1)
    with opened(base) as spool:
        (entry,) = spool.entries()
        digest = hashlib.sha256(PAYLOADS[1]).hexdigest()[:16]
        entry.path.with_name(f"{entry.id}_{digest}_report.xml").write_bytes(PAYLOADS[1])
    witness.wrote(PAYLOADS[1])


def claim_all(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        hand = spool.take_hand("uploader")
        hand.claim(64)
        hand.close()


def parked_without_record(base: Path, witness: Witness) -> None:
    (base / "drop" / ".dropsafe").mkdir()
    (base / "drop" / ".dropsafe" / "report.xml").write_bytes(PAYLOADS[0])
    witness.wrote(PAYLOADS[0])


def take_anew(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        intake = Intake(spool.core)
        for record, found in list(intake.parked(DropFolder(str(base / "drop")))):
            intake.take_parked(record, found.seen)
