"""A repair that is killed at any of its durable operations loses nothing and doubles nothing, and the next one finishes it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropsafe.spool import Spool, State
from dropsafe.spool.plan import Planning, plan
from dropsafe.spool.repair import UndoList, carry_out
from dropsafe.spool.steps import Kind, Step
from tests.crash.checker import Promised, entries, unsettled, violations
from tests.crash.crashing import KILLED, Snapshot, Witness, killing, live, opened, put_right
from tests.support.spools import ROOMY, deliver, die_producing, rejected, submit
from tests.support.wrecks import orphan_meta

LEAST_POINTS = 225
EDITED = b"edited by a person"


def wrecked(base: Path) -> tuple[Promised, list[bytes]]:
    """One of everything that a repair mends. What must hold of it, and all payloads, wherever they lie."""
    payloads = {
        name: f"payload of {name}".encode() for name in ("sent", "held", "deep", "edited", "twice", "astray", "waits")
    }
    with opened(base) as spool:
        ids = {"sent": submit(spool, payloads["sent"])[0]}
        hand = spool.take_hand("uploader")
        deliver(spool, hand, *hand.claim(1))
        hand.close()
        for name in ("held", "deep", "edited", "twice", "astray", "waits"):
            (ids[name],) = submit(spool, payloads[name])
        ids["refused"] = rejected(spool, b"refused")
        payloads["refused"] = b"refused"
        for name in ("held", "deep", "twice"):
            spool.hold(ids[name])
        paths = {name: spool.find(entry_id).path for name, entry_id in ids.items()}
        root = spool.path
        paths["edited"].write_bytes(EDITED)
        shutil.copy2(paths["twice"], root / "pending" / paths["twice"].name)
        shutil.copy2(paths["sent"], root / "pending" / paths["sent"].name)
        (root / "hold" / "a" / "b").mkdir(parents=True)
        paths["deep"].rename(root / "hold" / "a" / "b" / paths["deep"].name)
        reason = paths["refused"].with_name(paths["refused"].name + ".reason.json")
        (root / "failed" / "a" / "b").mkdir(parents=True)
        for path in (paths["refused"], reason):
            path.rename(root / "failed" / "a" / "b" / path.name)
        paths["astray"].rename(root / paths["astray"].name)
        orphan_meta(spool)
        (receipts,) = (root / "receipts").iterdir()
        receipts.write_bytes(receipts.read_bytes() + b'{"id": "torn')
        Path(spool.core.producer.folder, "ab.meta").write_bytes(b"{")
        die_producing(spool)
        (root / "locks" / "strikes" / "20260101T000000.000Z_aaaaaaaa").write_text('{"strikes": 1}')
        (root / "failed" / "20260101T000000-000").mkdir()
        (root / "intake").rmdir()
        (root / "locks" / "admission").unlink()
        paths["waits"].chmod(0o400)
    then = time.time() - 3600
    for folder, folders, names in os.walk(base):
        for name in (*folders, *names):
            os.utime(f"{folder}/{name}", (then, then))
    payloads["edited"] = EDITED
    accepted = {ids[name]: payload for name, payload in payloads.items()}
    copies = [payloads["twice"], payloads["sent"]]
    copies.append(b"readmitted")
    return Promised(accepted, copies=copies, altered=[EDITED]), [*payloads.values(), *copies]


def repair(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        undo = UndoList(spool.core)
        for found in plan(spool.core, Planning()):
            if isinstance(found, Step):
                assert carry_out(spool.core, found, undo) == "", found
        undo.close()


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    """Where syncs cost nothing, if there is such a place: no power is cut here, only processes are."""
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="dropsafe-repair-", dir=memory if os.access(memory, os.W_OK) else tmp_path))
    (place / "work" / "drop").mkdir(parents=True)
    Spool.create(place / "work" / "spool", group="", limits=ROOMY).close()
    yield place / "work"
    shutil.rmtree(place)


def everywhere(root: Path) -> list[bytes]:
    """The payloads of all entries, also of those where nobody looks for them."""
    outside = [path.read_bytes() for path in sorted(root.glob("*_report.xml"))]
    return sorted([entry.content for entry in entries(root)] + outside)


def test_killed_at_any_point_a_repair_loses_nothing_and_the_next_one_finishes_it(base: Path) -> None:
    promised, payloads = wrecked(base)
    prepared = Snapshot.of(base, "prepared")
    life = live(base, repair)
    assert life.status == 0
    done = {point.split()[-1].partition(".")[0] for point in life.points}
    assert {"undo", "unhold", "damaged", "clashed", "view", "receipt", "repair", "admission", "bucket"} <= done
    print(f"{len(life.points)} points")
    assert len(life.points) >= LEAST_POINTS
    for number, point in list(enumerate(life.points))[:: 1 if os.environ.get("FULL_CAMPAIGN") else 4]:
        where = f"killed {point} (point {number})"
        prepared.restore()
        assert live(base, repair, killing(number)).status == KILLED, f"{where} was never reached"
        assert everywhere(base / "spool") == sorted(payloads), where
        assert live(base, repair).status == 0, where
        assert everywhere(base / "spool") == sorted(payloads), where
        put_right(base)
        assert violations(base, promised) + unsettled(base, promised) == [], where
        with opened(base, later=200.0) as spool:
            left = {found.kind for found in plan(spool.core, Planning()) if isinstance(found, Step)}
            assert left <= {Kind.BUCKET, Kind.REASON}, where
            assert len(list(spool.entries(State.QUARANTINE))) == 1, where
