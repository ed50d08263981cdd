"""A process that is killed at any durable operation of anything that it does loses nothing and doubles nothing.

Each piece of work is done in a child that ends on the spot, at one point after another; then the next start of the
service puts things right. After both, a checker that knows only the format looks at the folders.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from dropsafe.spool import Event, Reason, Spool, State, durable
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.dropfolder import Candidate, DropFolder, scan
from dropsafe.spool.foreign import ForeignFiles, adoption_folder
from dropsafe.spool.intake import Intake
from dropsafe.spool.names import hour_start
from dropsafe.spool.recovery import return_claims
from dropsafe.spool.retention import Policy, expire, expire_receipts
from tests.crash.checker import Promised, unsettled, violations
from tests.crash.crashing import KILLED, Action, Snapshot, Witness, go_on, live, lying, opened, put_right, silent
from tests.support.spools import ROOMY, deliver, die, receipt_for

PAYLOADS = [b"first payload", b"second payload " * 100, b"third payload"]
EDITED = b"edited by a person"
CHANGED = PAYLOADS[0] + b" and more"
ACCEPTED_NOT_REMOVED, NOT_TAKEN = b"dropped and accepted, not removed", b"dropped and not taken"
DAY = 86_400.0


# What may be there before.


def nothing(base: Path, witness: Witness) -> None:
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


def delivered(base: Path, witness: Witness) -> None:
    waiting(base, witness)
    with opened(base) as spool:
        in_hand(spool, "deliver")


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
    assert live(base, take, stopped).status == KILLED
    (base / "drop" / "another.xml").write_bytes(NOT_TAKEN)
    witness.wrote(NOT_TAKEN)
    holder = spool.core.producer._holder
    assert holder is not None
    holder.abandon()


# What is done.


def does(step: str) -> Action:
    """One move of the only entry."""

    def action(base: Path, witness: Witness) -> None:
        with opened(base, later=10.0) as spool:
            entry = next(iter(spool.entries()))
            if step == "edit":
                entry.path.write_bytes(EDITED)
                witness.accepted(entry.id, EDITED)
            elif step in ("reject", "damage", "defer", "give back", "deliver"):
                in_hand(spool, step)
            else:
                getattr(spool, step)(entry.id)

    return action


def in_hand(spool: Spool, step: str) -> None:
    hand = spool.take_hand("uploader")
    batch = hand.claim(64)
    match step:
        case "reject":
            hand.reject(batch[0], Reason("rejected", "The server said 422.", "Mend it."))
        case "damage":
            hand.damaged(batch[0], "it differs.")
        case "defer":
            hand.make_due([hand.defer(entry, 60.0, "busy") for entry in batch])
        case "give back":
            hand.give_back(batch[:1])
        case "deliver":
            deliver(spool, hand, *batch)
    hand.close()


def submit(base: Path, witness: Witness) -> None:
    with opened(base) as spool:
        for payload in PAYLOADS[:2]:
            witness.accepted(spool.submit(payload, name="a" * 200, attributes={"serial": "A1"}).id, payload)


def submit_many(base: Path, witness: Witness) -> None:
    with opened(base) as spool:
        paths = sorted((base / "outside").iterdir())
        for accepted, path in zip(spool.submit_many(paths), paths, strict=True):
            witness.accepted(accepted.id, path.read_bytes())


def deliver_in_groups(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        hand = spool.take_hand("uploader")
        while batch := hand.claim(2):
            deliver(spool, hand, *batch)
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
        spool.core.mover.move(entry, Event.UNHOLD)


def take(base: Path, witness: Witness, move_to: str = "") -> None:
    with opened(base, later=10.0) as spool:
        folder = DropFolder(str(base / "drop"), move_to=move_to)
        intake = Intake(spool.core)
        for found in list(scan(folder)):
            assert isinstance(found, Candidate)
            intake.take(folder, found)


def take_and_keep(base: Path, witness: Witness) -> None:
    take(base, witness, move_to=str(base / "done"))


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


def adopt(base: Path, witness: Witness) -> None:
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


def audit(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        spool.audit()
        spool.core.reserve.refill(0)
        spool.core.reserve.release()


@dataclass(frozen=True)
class Scenario:
    """What is there, what is done, the least number of points that it has, and what may be besides the accepted."""

    prepare: Action
    action: Action
    least: int
    promised: Promised = field(default_factory=Promised)


SCENARIOS: dict[str, Scenario] = {
    "submit": Scenario(nothing, submit, 80, Promised(offered=PAYLOADS[:2])),
    "submit many": Scenario(outside, submit_many, 60, Promised(offered=PAYLOADS)),
    "claim and deliver": Scenario(waiting, deliver_in_groups, 60),
    "defer and make due": Scenario(waiting, does("defer"), 50),
    "reject": Scenario(moved(), does("reject"), 48),
    "damaged": Scenario(moved(), does("damage"), 48),
    "give back": Scenario(waiting, does("give back"), 38),
    "retry": Scenario(moved("reject"), does("retry"), 22),
    "retry from quarantine": Scenario(moved("damage"), does("retry"), 22),
    "readmit": Scenario(moved("damage", "edit"), does("readmit"), 35, Promised(altered=[EDITED], renamed=True)),
    "hold": Scenario(moved(), does("hold"), 20),
    "hold a failed one": Scenario(moved("reject"), does("hold"), 20),
    "unhold": Scenario(moved("hold"), does("unhold"), 18),
    "discard": Scenario(moved(), does("discard"), 36),
    "discard a failed one": Scenario(moved("reject"), does("discard"), 38),
    "restore": Scenario(moved("discard"), does("restore"), 22),
    "a clash": Scenario(two_copies, unhold_onto_the_copy, 42, Promised(copies=PAYLOADS[:1])),
    "three deaths": Scenario(moved(), die_three_times, 120),
    "intake": Scenario(dropped(*PAYLOADS[:2]), take, 120),
    "intake that moves": Scenario(with_a_place_for_it, take_and_keep, 120),
    "intake of what changes": Scenario(dropped(PAYLOADS[0]), take_what_changes, 80),
    "adopt": Scenario(put_into_pending, adopt, 80),
    "recover": Scenario(a_bad_end, recover, 110),
    "expire": Scenario(delivered, expire_all, 22, Promised(expires=True)),
    "audit and reserve": Scenario(waiting, audit, 45),
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where syncs cost nothing, if there is such a place: no power is cut here, only processes are."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    made = Path(tempfile.mkdtemp(prefix="dropsafe-crash-", dir=memory))
    yield made
    shutil.rmtree(made)


@dataclass(frozen=True)
class Stage:
    """A prepared spool, and what is known of it."""

    prepared: Snapshot
    told: list[str]
    scenario: Scenario

    def promised(self, told: list[str]) -> Promised:
        """What must hold after an action that told this."""
        accepted: dict[str, bytes] = {}
        sources: list[bytes] = []
        for kind, *words in map(str.split, [*self.told, *told]):
            if kind == "accepted":
                accepted[words[0]] = bytes.fromhex(words[1])
            else:
                sources.append(bytes.fromhex(words[0]))
        offered = [payload for payload in self.scenario.promised.offered if payload not in accepted.values()]
        if CHANGED in sources:  # what its program has overwritten may stand as an entry, or may never have been taken
            sources = [CHANGED]
            offered = PAYLOADS[:1]
        return replace(self.scenario.promised, accepted=accepted, sources=sources, offered=offered)

    def points(self) -> list[str]:
        """Those of the action, when nobody is killed."""
        life = live(self.prepared.restore(), self.scenario.action)
        assert life.status == 0
        return life.points

    def kill(self, number: int, where: str) -> Promised:
        """Do the work as far as that point. What must hold then, and does."""
        base = self.prepared.restore()
        life = live(base, self.scenario.action, number)
        assert life.status == KILLED, f"{where} was never reached"
        promised = self.promised(life.told)
        assert violations(base, promised) == [], where
        return promised


@pytest.fixture
def stage(folder: Path, request: pytest.FixtureRequest) -> Stage:
    scenario = SCENARIOS[request.param]
    base = folder / "work"
    (base / "drop").mkdir(parents=True)
    Spool.create(base / "spool", group="", limits=ROOMY).close()
    told = silent(base, scenario.prepare)
    return Stage(Snapshot.of(base, "prepared"), told, scenario)


def settle(base: Path, promised: Promised, where: str) -> None:
    """The next start, the one after it, and what must hold after each. Nothing is left of the killed child in us."""
    put_right(base)
    assert violations(base, promised) + unsettled(base, promised) == [], where
    before = lying(base)
    go_on(base)
    assert lying(base) == before, f"{where}: a second start has found something to do"


@pytest.mark.parametrize("stage", SCENARIOS, indirect=True)
def test_killed_at_any_point_nothing_is_lost_or_doubled(stage: Stage) -> None:
    points = stage.points()
    print(f"{len(points)} points")
    assert len(points) >= stage.scenario.least
    for number, point in enumerate(points):
        where = f"killed {point} (point {number})"
        promised = stage.kill(number, where)
        settle(stage.prepared.base, promised, where)


@pytest.mark.parametrize("stage", ["claim and deliver", "three deaths", "intake", "reject"], indirect=True)
def test_rule_3_9_killed_while_putting_right_what_a_kill_has_left(stage: Stage) -> None:
    """At every point of the recovery, of some points of the work."""
    points = stage.points()
    tried = 0
    for number in range(7, len(points), max(23, len(points) // 3)):
        promised = stage.kill(number, points[number])
        crashed = Snapshot.of(stage.prepared.base, "crashed")
        recovery = live(crashed.base, recover).points
        for again, point in enumerate(recovery):
            where = f"killed {points[number]}, then {point}"
            base = crashed.restore()
            assert live(base, recover, again).status == KILLED, f"{where} was never reached"
            assert violations(base, promised) == [], where
            settle(base, promised, where)
            tried += 1
    print(f"{tried} points")
    assert tried >= 50


def test_there_are_many_points_in_all() -> None:
    assert sum(scenario.least for scenario in SCENARIOS.values()) >= 1300
