"""Killed at any durable operation, an import and an import of receipts lose nothing and double nothing; repeated, they
end as if nobody had been killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropsafe.spool import Spool, State
from dropsafe.spool.clock import ManualClock
from tests.crash.carrying import CARRIED, carried, finish, take_in
from tests.crash.checker import Promised, unsettled, violations
from tests.crash.crashing import KILLED, Action, Snapshot, Witness, killing, live, opened, put_right
from tests.support.spools import ROOMY

FULL = bool(os.environ.get("FULL_CAMPAIGN"))
OTHERS = b"other bytes under the id of the one that waits"


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
        assert live(base, action, killing(number)).status == KILLED, f"{where} was never reached"
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
    ours = {made[state]: payload for state, payload in CARRIED.items()}
    between = Promised(offered=list(CARRIED.values()))
    after_each_kill(base, take_in, between, 120, Promised(accepted=ours))
    assert states(base) == {payload: state for state, payload in CARRIED.items()}


def test_other_bytes_under_a_known_id_come_in_once_wherever_the_import_was_killed(base: Path) -> None:
    made = carried(base, home=False, states=("pending",))
    clock = ManualClock(1_790_000_000.0)
    with Spool.create(base / "spool", group="", limits=ROOMY, clock=clock) as spool:
        spool.submit(OTHERS, name="ours.xml", entry_id=made["pending"])
    between = Promised(accepted={made["pending"]: OTHERS}, offered=[CARRIED["pending"]])
    after = Promised(accepted={made["pending"]: OTHERS}, copies=[CARRIED["pending"]])
    after_each_kill(base, take_in, between, 45, after)


def test_receipts_that_were_imported_halfway_are_finished_by_the_next_import(base: Path) -> None:
    made = carried(base, home=True)
    ours = Promised(accepted={made[state]: payload for state, payload in CARRIED.items()})
    after_each_kill(base, finish, ours, 70, ours)
    here = states(base)
    assert {here[CARRIED[state]] for state in ("pending", "failed", "hold")} == {State.SENT.value}
