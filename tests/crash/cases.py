"""Things that befall a spool and its machine: full disks, clocks that jump, backups, copies by hand, files that are torn.

Each case does it to a spool of its own and tells a witness, as the scenes do; then comes the next start, and the checker.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from dropsafe.cli.main import main
from dropsafe.config import Config
from dropsafe.errors import LockLost, TemporaryError
from dropsafe.spool import Event, Spool, State
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.recovery import LOST_LOCK_PATIENCE, recover, recover_orphans
from dropsafe.supervisor.service_lock import ServiceLock
from dropsafe.workers.janitor import Janitor
from dropsafe.workers.link import LocalLink
from tests.crash.checker import Promised, violations
from tests.crash.crashing import KILLED, Action, Life, Snapshot, Witness, opened
from tests.crash.disks import REFUSED, Disk, NoDisk, full_disk, mounted, no_inodes, waiting_at
from tests.crash.figures import Figures
from tests.crash.scenes import Scene
from tests.crash.stage import Stage, quick_folder
from tests.crash.work import DAY, PAYLOADS, delivers, does, nothing, waiting
from tests.support.forking import fork, in_child, wait
from tests.support.spools import ROOMY, die, receipt_for

YEARS = 10 * 365.25 * DAY
BACK = {State.HOLD: Event.UNHOLD, State.FAILED: Event.RETRY, State.QUARANTINE: Event.RETRY}


# Clocks.


def clock_jumps(years: float) -> Action:
    """While entries wait, are in hand, deferred and delivered; the janitor looks before and after."""

    def action(base: Path, witness: Witness) -> None:
        clock = ManualClock(1_790_000_000.0)
        with Spool(base / "spool", ROOMY, clock) as spool:
            waiting_at(spool, witness, 6)
            link = LocalLink()
            janitor = Janitor(spool, Config({"min_free_bytes": 0, "min_free_inodes": 0}), link)
            hand = spool.take_hand("uploader")
            first, second, third, *others = hand.claim(5)
            delivers(spool, hand, [first], witness)
            hand.defer(second, 600.0, "busy")
            janitor.do_what_is_due()
            clock.step(years)
            for _ in range(3):
                clock.advance(3700.0)
                janitor.do_what_is_due()
            delivers(spool, hand, [third], witness)
            hand.defer(others[0], 600.0, "busy")
            late = spool.submit(b"after the jump", name="late.xml")
            witness.accepted(late.id, b"after the jump")
            hand.give_back(others[1:])
            clock.step(-years)
            clock.advance(3700.0)
            janitor.do_what_is_due()
            assert len(hand.claim(64)) == 5, "nothing waits for years"
            hand.close()

    return action


# Copies, backups, merged spools.


def yesterdays_backup(base: Path, witness: Witness) -> None:
    """What was accepted before it is there again, also what the server has since: it goes again, under the same key."""
    waiting(base, witness)
    sent: dict[str, str] = {}
    shutil.copytree(base / "spool", base / "backup", symlinks=True)
    with opened(base, later=10.0) as spool:
        hand = spool.take_hand("uploader")
        (entry,) = hand.claim(1)
        hand.delivered([(entry, receipt := receipt_for(spool, hand, entry))])
        sent[receipt.id] = receipt.sha256
        spool.submit(b"accepted after the backup, so not in it", name="lost-with-the-disk.xml")
        hand.close()
    shutil.rmtree(base / "spool")
    shutil.move(base / "backup", base / "spool")
    with opened(base, later=DAY) as spool:
        recover(spool.core)
        hand = spool.take_hand("uploader")
        again = {entry.id: receipt_for(spool, hand, entry).sha256 for entry in hand.claim(64)}
        assert sent.items() <= again.items(), "the server knows the key"
        hand.close()


def merged(base: Path, witness: Witness) -> None:
    """Two machines' spools, folder by folder, with receipts, meta, history and reasons."""
    every_state(base, witness)
    other = base / "other"
    (other / "drop").mkdir(parents=True)
    Spool.create(other / "spool", group="", limits=ROOMY).close()
    every_state(other, witness)
    for path in sorted((other / "spool").rglob("*")):
        below = path.relative_to(other / "spool")
        target = base / "spool" / below
        if path.is_dir():
            target.mkdir(exist_ok=True)
        elif below.parts[0] not in ("locks", "spool.json"):
            with open(target, "ab") as file:  # journal and receipts of one name follow one another
                file.write(path.read_bytes())
    shutil.rmtree(other)


def every_state(base: Path, witness: Witness) -> None:
    """One entry in each, and one that waits."""
    with opened(base) as spool:
        for number in range(6):
            payload = b"%s %d" % (str(base).encode(), number)
            witness.accepted(spool.submit(payload, name="report.xml", attributes={"n": str(number)}).id, payload)
        hand = spool.take_hand("uploader")
        sent, refused, damaged = hand.claim(3)
        delivers(spool, hand, [sent], witness)
        hand.reject(refused, REFUSED)
        hand.damaged(damaged, "it differs.")
        hand.close()
        held, unwanted, _ = spool.entries(State.PENDING)
        spool.hold(held.id)
        spool.discard(unwanted.id)


def copied_to(first: str, second: str) -> Action:
    """A person has copied an entry from one state's folder to another's; then all is delivered that can be."""
    steps = {"pending": (), "sent": ("deliver",), "failed": ("reject",), "quarantine": ("damage",), "hold": ("hold",)}

    def action(base: Path, witness: Witness) -> None:
        waiting(base, witness, 1)
        for step in steps[first]:
            does(step)(base, witness)
        with opened(base, later=20.0) as spool:
            (entry,) = spool.entries()
            witness.about_to(entry.id)
            bucket = base / "spool" / second / entry.path.parent.name
            bucket.mkdir(exist_ok=True)
            shutil.copy2(entry.path, bucket)
            if second in ("failed", "quarantine", "discarded"):
                (bucket / f"{entry.path.name}.reason.json").write_text(
                    json.dumps(
                        {"kind": "by hand", "id": entry.id, "summary": "Copied.", "remedy": "None.", "at": "now"}
                    )
                )
            missing: dict[str, float] = {}
            recover_orphans(spool.core, missing)
            assert isinstance(spool.core.clock, ManualClock)
            spool.core.clock.advance(LOST_LOCK_PATIENCE + 1)
            recover_orphans(spool.core, missing)
            for copy in list(spool.entries()):
                if copy.state in BACK:
                    spool.core.mover.move(copy, BACK[copy.state])
            hand = spool.take_hand("uploader")
            digests = set()
            for _ in range(4):
                for claimed in hand.claim(1):
                    digests.add((claimed.id, receipt_for(spool, hand, claimed).sha256))
                    hand.delivered([(claimed, receipt_for(spool, hand, claimed))])
            hand.close()
            assert len({entry_id for entry_id, _ in digests}) <= 1, "a copy is no second report"

    return action


def reasons_moved_along(base: Path, witness: Witness) -> None:
    """`mv failed/BUCKET/* pending/` and the like."""
    every_state(base, witness)
    spool_dir = base / "spool"
    for state, target in (("failed", "pending"), ("quarantine", "pending"), ("discarded", "pending/by hand")):
        (spool_dir / target).mkdir(exist_ok=True)
        for path in sorted((spool_dir / state).rglob("*")):
            if path.is_file():
                path.rename(spool_dir / target / path.name)


def reasons_are_gone(base: Path) -> list[str]:
    left = list((base / "spool" / "pending").rglob("*.reason.json"))
    return [f"{path} is left" for path in left]


# Locks.


def two_services(base: Path, witness: Witness) -> None:
    """The second refuses, and says who holds it; the first one's death frees it."""
    waiting(base, witness, 2)
    config = base / "dropsafe.toml"
    config.write_text(f'spool_dir = "{base}/spool"\n[destination]\nurl = "http://127.0.0.1:9/"\n')
    reading, writing = os.pipe()

    def first() -> None:
        with opened(base) as spool:
            lock = ServiceLock(spool.core.layout)
            spool.take_hand("uploader").claim(1)
            os.write(writing, b"x")
            os.close(writing)
            os.read(ending, 1)
            lock.check()
            os._exit(KILLED)

    ending, end = os.pipe()
    child = fork(first)
    assert os.read(reading, 1) == b"x"
    said = base / "said"

    def second() -> None:
        with open(said, "w") as file, redirect_stderr(file), redirect_stdout(file):
            code = main(["run", "--config", str(config)])
        assert code == 75

    try:
        assert in_child(second) == 0
        assert f"process {child}" in said.read_text(), "it says who holds the spool"
        with opened(base) as spool:
            try:
                ServiceLock(spool.core.layout)
            except TemporaryError:
                pass
            else:
                raise AssertionError("two services on one spool")
            assert recover(spool.core).returned == 0, "what a living worker holds is taken from it"
    finally:
        os.write(end, b"x")
        assert wait(child) == KILLED
        for descriptor in (reading, writing, ending, end):
            os.close(descriptor)
    with opened(base) as spool:
        lock = ServiceLock(spool.core.layout)
        assert recover(spool.core).returned == 1, "its owner is dead"
        lock.release()


def lock_removed_while_held(base: Path, witness: Witness) -> None:
    """Of a worker, of a producer, of the counter, of the service: all of them notice, and nothing is taken from anybody."""
    waiting(base, witness)
    locks = base / "spool" / "locks"
    with opened(base, later=10.0) as spool, opened(base, later=10.0) as other:
        service = ServiceLock(spool.core.layout)
        hand = spool.take_hand("uploader")
        hand.claim(2)
        spool.core.producer.start()
        with spool.core.admission.locked():
            for lock in list(locks.glob("*.lock")):
                lock.unlink()
            accepted = other.submit(b"meanwhile", name="meanwhile.xml")
            witness.accepted(accepted.id, b"meanwhile")
        for check in (hand.check, service.check, spool.core.producer.check):
            try:
                check()
            except LockLost:
                continue
            raise AssertionError("it does not notice that its lock is gone")
        missing: dict[str, float] = {}
        assert recover_orphans(other.core, missing).returned == 0, "unknown is not dead"
        accepted = spool.submit(b"after that", name="after.xml")
        witness.accepted(accepted.id, b"after that")
        die(hand)
        service.release()
        clock = other.core.clock
        assert isinstance(clock, ManualClock)
        clock.advance(LOST_LOCK_PATIENCE + 1)
        assert recover_orphans(other.core, missing).returned == 2


# Torn files.


def torn_counter(base: Path, witness: Witness) -> None:
    path = base / "spool" / "locks" / "admission"
    waiting(base, witness)
    tears: list[Callable[[bytes], bytes]] = [
        lambda _: b"",
        lambda whole: whole[:200],
        lambda whole: bytes(len(whole)),
        lambda whole: whole[:100] + bytes(len(whole) - 100),
        lambda whole: whole[:100] + whole,
        lambda whole: whole.replace(b'"entries":', b'"entries":1'),
        lambda whole: whole + whole,
        lambda _: b"{}",
        lambda _: b"[" * 100_000,
        lambda _: os.urandom(600),
    ]
    for number, tear in enumerate(tears):
        path.write_bytes(content := tear(path.read_bytes()))
        with opened(base, later=10.0) as spool:
            payload = b"after torn counter %d" % number
            witness.accepted(spool.submit(payload, name="report.xml").id, payload)
            counted = spool.core.admission.peek()
            assert counted is not None
            assert counted.entries == len(list(spool.entries(State.PENDING))), content[:80]


def torn_receipts(base: Path, witness: Witness) -> None:
    """The last line of a worker that died in the middle of it, cut after each so many bytes."""
    with opened(base) as spool:
        for number in range(12):
            payload = b"torn receipt %d" % number
            witness.accepted(spool.submit(payload, name="report.xml").id, payload)
            hand = spool.take_hand("uploader")
            entry = next(entry for entry in hand.claim(64) if entry.path.read_bytes() == payload)
            hand.give_back([other for other in list(hand._held.values()) if other.id != entry.id])
            hand._receipts.write([receipt_for(spool, hand, entry)])
            (path,) = (base / "spool" / "receipts").glob(f"*.{hand.name}.jsonl")
            line = path.read_bytes()
            path.write_bytes(line[: len(line) - 1 - number * (len(line) - 2) // 11])
            die(hand)
        done = recover(spool.core)
        assert (done.cut, done.finished, done.returned) == (12, 0, 12)


@dataclass(frozen=True)
class Case:
    """What befalls the spool, on which disk, and what else must hold at the end."""

    action: Action
    promised: Promised = field(default_factory=Promised)
    disk: Disk | None = None
    at_the_end: Callable[[Path], list[str]] = lambda _: []


COPIES = Promised(copies=PAYLOADS[:1])
CASES: dict[str, Case] = {
    "a full disk gets room": Case(full_disk, disk=Disk()),
    "no inodes are left": Case(no_inodes, disk=Disk(inodes=120)),
    "the clock jumps 10 years ahead": Case(clock_jumps(YEARS)),
    "the clock jumps 10 years back": Case(clock_jumps(-YEARS)),
    "yesterday's backup": Case(yesterdays_backup),
    "two spools are merged": Case(merged),
    **{
        f"copied from {first} to {second}": Case(copied_to(first, second), COPIES)
        for first in ("pending", "sent", "failed", "quarantine", "hold")
        for second in ("pending", "inflight", "failed", "quarantine", "hold", "discarded", "sent")
        if first != second
    },
    "reasons are moved along": Case(reasons_moved_along, at_the_end=reasons_are_gone),
    "two services": Case(two_services),
    "locks are removed while held": Case(lock_removed_while_held),
    "a torn counter": Case(torn_counter),
    "torn receipts": Case(torn_receipts),
}


def sweep_cases(seed: int, full: bool) -> Figures:
    """All of them, always: they are few."""
    figures = Figures()
    for name in CASES:
        figures.add(again(name))
    return figures


def again(name: str) -> Figures:
    """One case, by its name."""
    figures = Figures()
    case = CASES[name]
    told: list[str] = []
    logging.disable()
    try:
        with quick_folder() as folder:
            base = folder / "work"
            base.mkdir()
            with mounted(case.disk, base):
                (base / "drop").mkdir()
                Spool.create(base / "spool", group="", limits=ROOMY).close()
                stage = Stage(name, Scene(nothing, case.action, 0, case.promised), Snapshot(base, folder), [])
                case.action(base, Witness(told.append))
                promised = stage.promised(Life(0, told, []))
                figures.check(name, violations(base, promised))
                stage.settle(promised, name, figures)
                figures.check(name, case.at_the_end(base))
    except NoDisk as error:
        figures.skipped[name] = str(error)
        return figures
    except AssertionError as error:
        figures.check(name, [f"it does not go as it must: {error}"])
    finally:
        logging.disable(logging.NOTSET)
    figures.tried["cases"] += 1
    return figures
