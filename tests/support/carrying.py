"""Exports and imports for tests: done whole, with what they told."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from dropsafe.desk.outside import writer_for
from dropsafe.spool import Reason, Spool, State
from dropsafe.spool.carried import Carried
from dropsafe.spool.export import Chosen, Export, Exported, NotExported
from dropsafe.spool.importing import Import, Imported, NotTaken
from dropsafe.spool.receipt_import import Finished, Unmatched, import_receipts
from tests.support.spools import deliver


def exported(spool: Spool, dest: Path, *states: State, **chosen: Any) -> tuple[Exported, list[NotExported]]:
    choice = Chosen(states, **chosen) if states else Chosen(**chosen)
    done = Exported()
    with closing(writer_for(str(dest), spool)) as writer:
        return done, list(Export(spool, choice, writer).run(done))


def imported(spool: Spool, source: Path) -> tuple[Imported, list[NotTaken]]:
    done = Imported()
    with Carried(str(source)) as carried:
        return done, list(Import(spool.core, carried).run(done))


def receipts_imported(spool: Spool, source: Path) -> tuple[Finished, list[Unmatched]]:
    done = Finished()
    with Carried(str(source)) as carried:
        return done, list(import_receipts(spool.core, carried, done))


def manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def one_in_each_state(spool: Spool) -> dict[str, str]:
    """Their ids, by state; of the one in hand nobody knows any more."""
    made = {state: spool.submit(f"it is {state}".encode(), name=f"{state}.xml").id for state in _STATES}
    hand = spool.take_hand("uploader")
    entries = {entry.id: entry for entry in hand.claim(100)}
    hand.reject(
        entries[made["failed"]], Reason("rejected", "The server said 422.", "Mend it.", detail="no", status=422)
    )
    deliver(spool, hand, entries[made["sent"]])
    path = entries[made["quarantine"]].path
    path.write_bytes(path.read_bytes() + b" no more")
    hand.damaged(entries[made["quarantine"]], "it differs.")
    hand.give_back([entries[made[state]] for state in ("pending", "hold", "discarded")])
    spool.hold(made["hold"])
    spool.discard(made["discarded"])
    hand._receipts.close()
    hand._holder.abandon()
    return made


_STATES = ("pending", "inflight", "failed", "quarantine", "hold", "discarded", "sent")
