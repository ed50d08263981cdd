"""Killed at any durable operation, an import and an import of receipts lose nothing and double nothing; repeated, they
end as if nobody had been killed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from dropsafe.spool import Reason, Spool, State
from dropsafe.spool.clock import ManualClock
from tests.crash.checker import Promised, unsettled, violations
from tests.crash.crashing import KILLED, Action, Snapshot, Witness, live, opened, put_right
from tests.support.carrying import exported, imported, receipts_imported
from tests.support.spools import ROOMY, receipt_for

FULL = bool(os.environ.get("FULL_CAMPAIGN"))
PAYLOADS = {"pending": b"waits", "failed": b"refused", "hold": b"parked"}
OTHERS = b"other bytes under the id of the one that waits"


def fill(spool: Spool, clock: ManualClock) -> dict[str, str]:
    """One that waits, with something told of it; one that was refused; one on hold."""
    made: dict[str, str] = {}
    for state, payload in PAYLOADS.items():
        made[state] = spool.submit(payload, name=f"{state}.xml", attributes={"line": "7"}).id
        clock.advance(0.001)
    hand = spool.take_hand("uploader")
    for entry in hand.claim(9):
        if entry.id == made["failed"]:
            hand.reject(entry, Reason("rejected", "The server said 422.", "Mend it."))
    hand.close()
    spool.hold(made["hold"])
    return made


def carried(base: Path, *, home: bool) -> dict[str, str]:
    """An export in `base/carried`; with `home` its entries are in the spool, too."""
    clock = ManualClock(1_790_000_000.0)
    place = base / "spool" if home else base / "elsewhere"
    with Spool.create(place, group="", limits=ROOMY, clock=clock) as spool:
        made = fill(spool, clock)
        exported(spool, base / "carried")
        if home:
            hand = spool.take_hand("aside")
            receipts = [
                replace(receipt_for(spool, hand, spool.find(entry_id)), worker="carried-aaaaaaaa")
                for entry_id in made.values()
            ]
            hand.close()
            (base / "carried" / "receipts").mkdir()
            lines = "".join(json.dumps(asdict(receipt)) + "\n" for receipt in receipts)
            (base / "carried" / "receipts" / "20260921T14.carried-aaaaaaaa.jsonl").write_text(lines)
    if not home:
        shutil.rmtree(place)
    return made


def take_in(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        imported(spool, base / "carried")


def finish(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        receipts_imported(spool, base / "carried")


def states(base: Path) -> dict[bytes, str]:
    with opened(base) as spool:
        return {entry.path.read_bytes(): entry.state.value for entry in spool.entries()}


def after_each_kill(base: Path, action: Action, between: Promised, least: int, after: Promised) -> None:
    prepared = Snapshot.of(base, "prepared")
    whole = live(base, action)
    assert whole.status == 0
    expected = states(base)
    assert violations(base, after) == []
    assert len(whole.points) >= least
    last = len(whole.points) - 1
    for number, point in enumerate(whole.points):
        if not (FULL or number == last or point.startswith("before")):
            continue  # nothing is changed between here and the next
        where = f"killed {point} (point {number})"
        prepared.restore()
        assert live(base, action, number).status == KILLED, f"{where} was never reached"
        assert violations(base, between) == [], where
        put_right(base)
        assert violations(base, between) + unsettled(base, between) == [], where
        action(base, Witness(lambda _: None))
        assert states(base) == expected, where
        assert violations(base, after) == [], where
        with opened(base, later=20.0) as spool:
            figures = spool.audit()
            count = spool.core.admission.peek()
            assert count is not None
            assert count.entries == figures.waiting, where


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    """Where syncs cost nothing, if there is such a place: no power is cut here, only processes are."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="dropsafe-crash-", dir=memory if os.access(memory, os.W_OK) else tmp_path))
    (folder / "work" / "drop").mkdir(parents=True)
    yield folder / "work"
    shutil.rmtree(folder)


def test_an_import_that_was_killed_anywhere_is_finished_by_the_next(base: Path) -> None:
    made = carried(base, home=False)
    Spool.create(base / "spool", group="", limits=ROOMY).close()
    ours = {made[state]: payload for state, payload in PAYLOADS.items()}
    between = Promised(offered=list(PAYLOADS.values()))
    after_each_kill(base, take_in, between, 120, Promised(accepted=ours))
    assert states(base) == {payload: state for state, payload in PAYLOADS.items()}


def test_other_bytes_under_a_known_id_come_in_once_wherever_the_import_was_killed(base: Path) -> None:
    made = carried(base, home=False)
    for state in ("failed", "hold"):
        shutil.rmtree(base / "carried" / state)
    clock = ManualClock(1_790_000_000.0)
    with Spool.create(base / "spool", group="", limits=ROOMY, clock=clock) as spool:
        spool.submit(OTHERS, name="ours.xml", entry_id=made["pending"])
    between = Promised(accepted={made["pending"]: OTHERS}, offered=[PAYLOADS["pending"]])
    after = Promised(accepted={made["pending"]: OTHERS}, copies=[PAYLOADS["pending"]])
    after_each_kill(base, take_in, between, 45, after)


def test_receipts_that_were_imported_halfway_are_finished_by_the_next_import(base: Path) -> None:
    made = carried(base, home=True)
    ours = Promised(accepted={made[state]: payload for state, payload in PAYLOADS.items()})
    after_each_kill(base, finish, ours, 70, ours)
    assert set(states(base).values()) == {State.SENT.value}
