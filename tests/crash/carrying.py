"""What was carried from another spool, for the sweeps: an export with an entry in each state, and the proof of its delivery."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

from dropsafe.spool import Reason, Spool
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.recovery import return_claims
from tests.crash.crashing import Witness, opened
from tests.support.carrying import exported, imported, receipts_imported
from tests.support.spools import ROOMY, die, receipt_for

CARRIED = {
    "quarantine": b"killed the uploader",
    "pending": b"waits",
    "failed": b"refused",
    "hold": b"parked",
    "discarded": b"not wanted",
}
"""The payload in each state."""


def fill(spool: Spool, clock: ManualClock, states: tuple[str, ...]) -> dict[str, str]:
    """One entry in each of these states; their ids."""
    made: dict[str, str] = {}
    for state in states:
        made[state] = spool.submit(CARRIED[state], name=f"{state}.xml", attributes={"line": "7"}).id
        clock.advance(0.001)
        for _ in range(3 if state == "quarantine" else 0):
            hand = spool.take_hand("uploader")
            hand.claim(9)
            die(hand)
            return_claims(spool.core, hand.name, died=True)
    hand = spool.take_hand("uploader")
    for entry in hand.claim(9):
        if entry.id == made.get("failed"):
            hand.reject(entry, Reason("rejected", "The server said 422.", "Mend it."))
    hand.close()
    for state, move in (("hold", spool.hold), ("discarded", spool.discard)):
        if state in made:
            move(made[state])
    return made


def carried(base: Path, *, home: bool, states: tuple[str, ...] = tuple(CARRIED)) -> dict[str, str]:
    """An export in `base/carried`; with `home` its entries are in the spool too, and were delivered from the export."""
    clock = ManualClock(1_790_000_000.0)
    place = base / "spool" if home else base / "elsewhere"
    if not place.exists():
        Spool.create(place, group="", limits=ROOMY).close()
    with Spool(place, ROOMY, clock) as spool:
        made = fill(spool, clock, states)
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


def an_export(base: Path, witness: Witness) -> None:
    carried(base, home=False)


def delivered_elsewhere(base: Path, witness: Witness) -> None:
    for state, entry_id in carried(base, home=True).items():
        witness.accepted(entry_id, CARRIED[state])


def take_in(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        imported(spool, base / "carried")


def finish(base: Path, witness: Witness) -> None:
    with opened(base, later=10.0) as spool:
        receipts_imported(spool, base / "carried")
