"""The pieces of work that are recorded: what is there before, what is done, and what the world outside learns of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dropsafe.errors import DropsafeError
from dropsafe.spool import Entry, Event, Reason, Spool, State
from dropsafe.spool.claims import Hand
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.dropfolder import Candidate, DropFolder, scan
from dropsafe.spool.intake import Intake
from dropsafe.spool.names import hour_start, new_id
from dropsafe.spool.pausing import Work as Paused
from dropsafe.spool.recovery import recover, return_claims
from dropsafe.spool.retention import Policy, expire, expire_receipts
from tests.crash.checker import Promised
from tests.crash.crashing import opened
from tests.support.spools import ROOMY, die, receipt_for

START = 1_790_000_000.0
PAYLOADS = [b"first payload", b"second payload " * 100, b"third payload", b"fourth, " * 200]
EDITED = b"edited by a person"
CHANGED = PAYLOADS[0] + b" and more"
DAY = 86_400.0
ATTRIBUTES = {"serial": "A1"}


class Witness:
    """Is told what the world outside knows, so that it can be held against what is left after a cut."""

    def __init__(
        self,
        tell: Callable[[str, str, object], None],
        outside: Callable[[], AbstractContextManager[None]] = nullcontext,
        bears_failures: bool = False,
    ) -> None:
        self.tell = tell
        self.outside = outside
        self._bears_failures = bears_failures

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Where the disk fails on purpose, an error is a legal answer."""
        with suppress(DropsafeError, OSError) if self._bears_failures else nullcontext():
            yield

    def accepted(self, entry_id: str, payload: bytes, attributes: dict[str, str] | None = None) -> None:
        """An acceptance was returned."""
        self.tell("accepted", entry_id, payload)
        if attributes:
            self.tell("attributes", entry_id, attributes)

    def edited(self, entry_id: str, payload: bytes) -> None:
        """A person has altered that entry since, on the disk."""
        self.tell("accepted", entry_id, payload)

    def wrote(self, payload: bytes) -> None:
        """A program has this in its file in the drop folder, or put it into pending/."""
        self.tell("wrote", "", payload)

    def stored(self, entry: Entry) -> None:
        """The server has it, and has said so."""
        self.tell("stored", entry.id, hashlib.sha256(entry.path.read_bytes()).hexdigest())

    def moving(self, *entries: Entry) -> None:
        """From now until `lies`, where they are is open."""
        for entry in entries:
            self.tell("moving", entry.id, None)

    def lies(self, state: State, *entries: Entry) -> None:
        """A person, or a worker, was told that they are there now, whatever comes."""
        for entry in entries:
            self.tell("lies", entry.id, state.value)


Action = Callable[[Path, Witness], None]


def outside_file(path: Path, payload: bytes, witness: Witness) -> None:
    """A program or a person writes a file, and has it synced."""
    with witness.outside():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(descriptor, payload)
        os.fsync(descriptor)
        os.close(descriptor)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


# What is there before.


def no_spool(base: Path, witness: Witness) -> None:
    """Not even that."""


def waiting(base: Path, witness: Witness, count: int = 3) -> None:
    clock = ManualClock(START)
    with Spool(base / "spool", ROOMY, clock) as spool:
        for payload in PAYLOADS[:count]:
            accepted = spool.submit(payload, name="report.xml", attributes=ATTRIBUTES)
            witness.accepted(accepted.id, payload, ATTRIBUTES)
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
        outside_file(Path(bucket, entry.path.name), entry.path.read_bytes(), witness)


def files_outside(base: Path, witness: Witness) -> None:
    (base / "outside").mkdir()
    for number, payload in enumerate(PAYLOADS):
        outside_file(base / "outside" / f"{number}.xml", payload, witness)


def dropped(*payloads: bytes) -> Action:
    def prepare(base: Path, witness: Witness) -> None:
        for number, payload in enumerate(payloads):
            outside_file(base / "drop" / f"report {number}: a name that needs meta.xml", payload, witness)
            witness.wrote(payload)

    return prepare


def dropped_with_a_place_for_it(base: Path, witness: Witness) -> None:
    (base / "done").mkdir()
    dropped(*PAYLOADS[:2])(base, witness)


def put_into_pending(base: Path, witness: Witness) -> None:
    waiting(base, witness, 1)
    (base / "spool" / "pending" / "Tom's").mkdir()
    for name, payload in (("report.xml", PAYLOADS[1]), ("Tom's/report.xml", PAYLOADS[2])):
        outside_file(base / "spool" / "pending" / name, payload, witness)
        witness.wrote(payload)


def delivered(base: Path, witness: Witness) -> None:
    waiting(base, witness)
    deliver_in_groups(base, witness)


def a_bad_end(base: Path, witness: Witness) -> None:
    """What dead workers and producers leave: a receipt without its move, a claim, half a receipt, half a payload."""
    waiting(base, witness)
    spool = opened(base)
    first, second = spool.take_hand("uploader"), spool.take_hand("uploader")
    (entry,) = first.claim(1)
    witness.stored(entry)
    first._receipts.write([receipt_for(spool, first, entry)])
    second.claim(1)
    (base / "spool" / "receipts" / f"20260921T14.{second.name}.jsonl").write_bytes(b'{"id": "2026')
    Path(spool.core.producer.folder, "20260921T141320.000Z_aaaaaaaa").write_bytes(b"half a payl")
    die(first)
    die(second)
    abandon(spool)


def abandon(spool: Spool) -> None:
    """The process is gone: its locks are free, its files stay."""
    holder = spool.core.producer._holder
    if holder is not None:
        holder.abandon()
        spool.core.producer._holder = None
    spool.close()


# What is done.


def create(base: Path, witness: Witness) -> None:
    Spool.create(base / "spool", group="", limits=ROOMY, clock=ManualClock(START)).close()
    witness.tell("made", "", None)
    submit(base, witness)


def submit(base: Path, witness: Witness) -> None:
    with opened(base) as spool:
        for payload in PAYLOADS[:3]:
            with witness.trying():
                accepted = spool.submit(payload, name="report.xml")
                witness.accepted(accepted.id, payload)


def submit_with_meta(base: Path, witness: Witness) -> None:
    with opened(base) as spool:
        for payload in PAYLOADS[:2]:
            with witness.trying():
                accepted = spool.submit(payload, name="a" * 200, attributes=ATTRIBUTES)
                witness.accepted(accepted.id, payload, ATTRIBUTES)


def submit_many(base: Path, witness: Witness) -> None:
    with opened(base) as spool:
        paths = sorted((base / "outside").iterdir())
        with witness.trying():
            for accepted, path in zip(spool.submit_many(paths), paths, strict=True):
                witness.accepted(accepted.id, path.read_bytes())


def submit_again(base: Path, witness: Witness) -> None:
    """The same under the same id, as after an answer that was lost."""
    with opened(base) as spool:
        entry_id = new_id(START)
        for _ in range(2):
            accepted = spool.submit(PAYLOADS[0], name="report.xml", entry_id=entry_id)
            witness.accepted(accepted.id, PAYLOADS[0])


def in_hand(spool: Spool, step: str, witness: Witness) -> None:
    hand = spool.take_hand("uploader")
    batch = hand.claim(64)
    witness.moving(*batch)
    with witness.trying():
        match step:
            case "reject":
                hand.reject(batch[0], Reason("rejected", "The server said 422.", "Mend it."))
                witness.lies(State.FAILED, batch[0])
            case "damage":
                hand.damaged(batch[0], "it differs.")
                witness.lies(State.QUARANTINE, batch[0])
            case "defer":
                hand.make_due([hand.defer(entry, 60.0, "busy") for entry in batch])
            case "give back":
                hand.give_back(batch[:1])
    with witness.trying():
        hand.close()


PERSONS: dict[str, State] = {
    "hold": State.HOLD,
    "unhold": State.PENDING,
    "retry": State.PENDING,
    "readmit": State.PENDING,
    "discard": State.DISCARDED,
    "restore": State.PENDING,
}
"""What a person does, and where the entry must be once they are told."""


def does(*steps: str) -> Action:
    """Moves of the only entry, one after another."""

    def action(base: Path, witness: Witness) -> None:
        for number, step in enumerate(steps):
            with opened(base, later=10.0 + number) as spool:
                entry = next(iter(spool.entries()))
                if step == "edit":
                    outside_file(entry.path, EDITED, witness)
                    witness.edited(entry.id, EDITED)
                elif step in PERSONS:
                    by_hand(spool, step, entry, witness)
                else:
                    in_hand(spool, step, witness)

    return action


def by_hand(spool: Spool, step: str, entry: Entry, witness: Witness) -> None:
    witness.moving(entry)
    with witness.trying():
        now = getattr(spool, step)(entry.id)
        witness.lies(PERSONS[step], now)


def deliver(spool: Spool, hand: Hand, batch: Sequence[Entry], witness: Witness) -> None:
    """As the uploader does: the server has them, then the receipts, then the moves."""
    witness.moving(*batch)
    for entry in batch:
        witness.stored(entry)
    with witness.trying():
        hand.delivered([(entry, receipt_for(spool, hand, entry)) for entry in batch])
        witness.lies(State.SENT, *batch)


def deliver_in_groups(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        hand = spool.take_hand("uploader")
        for _ in range(4):
            if batch := hand.claim(2):
                deliver(spool, hand, batch, witness)
        hand.close()


def die_three_times(base: Path, witness: Witness) -> None:
    """A worker dies over one entry again and again, and its supervisor returns what it held."""
    with opened(base, later=10.0) as spool:
        for death in range(1, 4):
            hand = spool.take_hand("uploader")
            (entry,) = hand.claim(64)
            witness.moving(entry)
            die(hand)
            witness.tell("moving", f"strikes of {entry.id}", None)
            return_claims(spool.core, hand.name, died=True)
            if death < 3:
                witness.tell("lies", f"strikes of {entry.id}", death)
            else:
                witness.lies(State.QUARANTINE, entry)


def pause_and_resume(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        for works in ((Paused.DELIVERY,), (Paused.DELIVERY, Paused.INTAKE)):
            witness.tell("moving", "paused", None)
            spool.pause(works, by="tom", why="the server moves")
            witness.tell("lies", "paused", sorted(works))
        witness.tell("moving", "paused", None)
        spool.resume()
        witness.tell("lies", "paused", [])


def change_stations(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        for place, name in (("a", "line-1"), ("b", "line-2")):
            witness.tell("moving", "stations", None)
            spool.core.stations.arrive(place, name)
            witness.tell("lies", "stations", [stay.station for stay in spool.core.stations.read()])


def clash(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        (entry,) = spool.entries(State.HOLD)
        witness.moving(entry)
        spool.core.mover.move(entry, Event.UNHOLD)


def take_what_changed(base: Path, witness: Witness) -> None:
    """A program writes on after it was parked: what was accepted stands, and it is taken again."""
    with opened(base, later=10.0) as spool:
        folder = DropFolder(str(base / "drop"))
        intake = Intake(spool.core)
        (found,) = scan(folder)
        assert isinstance(found, Candidate)
        accept = intake._accept

        def accept_and_change(record: object, descriptor: int) -> None:
            accept(record, descriptor)  # type: ignore[arg-type]
            (parked,) = (base / "drop" / ".dropsafe").iterdir()
            if parked.read_bytes() != CHANGED:
                outside_file(parked, CHANGED, witness)
                witness.wrote(CHANGED)

        intake._accept = accept_and_change  # type: ignore[method-assign]
        intake.take(folder, found)
        for record, parked in list(intake.parked(folder)):
            intake.take_parked(record, parked.seen)


def recover_all(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        recover(spool.core)


def expire_all(base: Path, witness: Witness) -> None:
    policy = Policy(retention_days=30, receipt_retention_days=30, min_free_bytes=0)
    for later in (40 * DAY, 80 * DAY):
        with opened(base, later) as spool:
            witness.moving(*spool.entries(State.SENT))
            expire(spool.core, policy)
            if not list(spool.entries()):
                witness.tell("over", "", None)  # and so is the time of their receipts
            expire_receipts(spool.core, policy)


@dataclass(frozen=True)
class Work:
    """What is there, what is done, what may be there besides the accepted, and whether the disk may fail in it."""

    prepare: Action
    action: Action
    promised: Promised = field(default_factory=Promised)
    may_fail: bool = False
