"""Entries and receipts that do not go together: unproven in `sent/`, or proven and elsewhere. Reads alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import suppress

from dropsafe.spool.entry import Entry
from dropsafe.spool.finding import find_all
from dropsafe.spool.layout import Layout
from dropsafe.spool.moves import is_settled
from dropsafe.spool.receipts import Receipt, find_receipts, read_receipts, receipt_files
from dropsafe.spool.states import State


def unproven(layout: Layout, sent: Mapping[str, str]) -> Iterator[Entry]:
    """Those in `sent/` whose delivery no receipt proves. `sent`: id → the digest in its name, listed before, so that a
    receipt written meanwhile is found."""
    left = dict(sent)
    for path in receipt_files(layout):
        with suppress(OSError):  # which is told of the file itself
            for receipt in read_receipts(path):
                if receipt.sha256.startswith(left.get(receipt.id, "-")):
                    del left[receipt.id]
    found = find_all(layout, left.keys()) if left else {}
    yield from (entry for entry in found.values() if entry.state is State.SENT)


def contradicting(layout: Layout, ids: Set[str]) -> Iterator[tuple[Entry, Receipt]]:
    """Those that are here otherwise than their receipts say: with other bytes, or neither sent nor in hand."""
    proven = find_receipts(layout, ids) if ids else {}
    here = find_all(layout, proven.keys()) if proven else {}
    for entry_id, entry in here.items():
        receipt = proven[entry_id]
        elsewhere = entry.state not in (State.SENT, State.INFLIGHT) and not is_settled(str(entry.path))
        if elsewhere or not proves(receipt, entry):
            yield entry, receipt


def proves(receipt: Receipt, entry: Entry) -> bool:
    """Whether it is of these bytes."""
    return receipt.sha256.startswith(entry.name.digest16)
