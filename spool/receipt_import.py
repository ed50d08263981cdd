"""Receipts of a carried copy, imported: what was delivered from there is finished here, and not sent again.

A receipt counts where it names an entry of this spool by its id and the whole digest of its bytes, and is news: one of
this spool's own uploader is not, for then a person has had the entry sent again since. The receipt is durable here before
its entry moves to `sent/`; killed between the two, the next import finds the receipt, and finishes the entry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from dropsafe.spool.carried import CARRIER, Carried
from dropsafe.spool.clock import from_iso
from dropsafe.spool.core import Core
from dropsafe.spool.entry import Entry
from dropsafe.spool.finding import find_every
from dropsafe.spool.importing import import_lock
from dropsafe.spool.locks import Holder
from dropsafe.spool.moves import digest_of
from dropsafe.spool.names import hour_start, is_id
from dropsafe.spool.receipts import Receipt, ReceiptWriter, read_receipts, receipt_files
from dropsafe.spool.states import Event, State, sources_of

KIND = "import"
"""How the names of workers begin under which imported receipts stand here."""
_GROUP = 64


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A receipt that finishes nothing here, and needs a person; without an id some that could not be read."""

    id: str
    why: str
    remedy: str


@dataclass(slots=True)
class Finished:
    """Figures. `known`: their entries are in `sent/`, or have expired. `in_hand`: a worker has them just now. `unread`: files
    and folders of receipts."""

    finished: int = 0
    known: int = 0
    in_hand: int = 0
    unmatched: int = 0
    unread: int = 0
    stopped: bool = False

    @property
    def seen(self) -> int:
        return self.finished + self.known + self.in_hand + self.unmatched


def import_receipts(
    core: Core, carried: Carried, done: Finished, watch: Callable[[Finished], bool] = lambda _: False
) -> Iterator[Unmatched]:
    """What matches nothing, as it is found; the figures go to `done`. Raises LockTimeout, OSError."""
    with closing(import_lock(core)):
        brought = {receipt.id: receipt for receipt in carried.receipts() if is_id(receipt.id)}
        own = _known(core, brought)
        here = find_every(core.layout, brought.keys())
        news: dict[tuple[State, float], list[tuple[Entry, Receipt]]] = defaultdict(list)
        for receipt in sorted(brought.values(), key=lambda each: each.at):
            found = _judge(receipt, here.get(receipt.id, []), own.get(receipt.id, []), done)
            if isinstance(found, Unmatched):
                done.unmatched += 1
                yield found
            elif found is not None:
                group = news[found.state, hour_start(from_iso(receipt.at))]
                group.append((found, receipt))
                if len(group) == _GROUP:
                    _finish(core, group, done)
                    group.clear()
            if watch(done):
                done.stopped = True
                break
        for group in news.values():
            _finish(core, group, done)
    for name in carried.unread_receipts:
        done.unread += 1
        yield Unmatched(
            "",
            f"{carried.path}/{name} cannot be read: what was delivered, by the receipts in it, is not finished here.",
            "Look at the disk and at the rights, then try again. What is sent again meanwhile, the server knows by its key.",
        )


def _known(core: Core, brought: dict[str, Receipt]) -> dict[str, list[Receipt]]:
    """The receipts that are here of those entries."""
    own: dict[str, list[Receipt]] = defaultdict(list)
    for path in receipt_files(core.layout):
        for receipt in read_receipts(path):
            if receipt.id in brought:
                own[receipt.id].append(receipt)
    return own


def _judge(receipt: Receipt, here: list[Entry], own: list[Receipt], done: Finished) -> Entry | Unmatched | None:
    """The entry that it finishes; None if there is nothing to do."""
    same = [known for known in own if known.sha256 == receipt.sha256]
    if any(entry.state is State.SENT for entry in here) or (same and not here):
        done.known += 1
        return None
    if not here:
        return Unmatched(
            receipt.id,
            "There is no such entry here, and none was delivered from here. Nothing was changed for it.",
            "If it is another spool's, import its receipts there.",
        )
    if any(not known.worker.startswith((f"{KIND}-", f"{CARRIER}-")) for known in same):
        return Unmatched(
            receipt.id,
            "It was delivered from here before, and somebody has had it sent again since. It is left as it is.",
            f"If it need not be sent again: dropsafe discard {receipt.id}",
        )
    movable = [entry for entry in here if entry.state in sources_of(Event.RECEIPT)]
    if not movable:
        done.in_hand += 1  # it is being sent; the server knows it by its key
        return None
    return next((entry for entry in movable if _has_digest(entry, receipt.sha256)), None) or Unmatched(
        receipt.id,
        "The entry with that id has other bytes here than those delivered, or cannot be read. It is left as it is.",
        f"See what it is: dropsafe explain {receipt.id}",
    )


def _has_digest(entry: Entry, sha256: str) -> bool:
    try:
        return digest_of(entry.path) == sha256
    except OSError:
        return False


@contextmanager
def _named(core: Core) -> Iterator[str]:
    """A worker's name, held while its file is written, so that nobody cuts that."""
    holder = Holder(core.layout, KIND)
    try:
        yield holder.name
    finally:
        holder.release()


def _finish(core: Core, group: list[tuple[Entry, Receipt]], done: Finished) -> None:
    """All of one state and one hour. The receipts, then the moves."""
    if not group:
        return
    with _named(core) as name:
        writer = ReceiptWriter(core.layout, name, core.reserve)
        try:
            writer.write([replace(receipt, worker=name) for _, receipt in group])
        finally:
            writer.close()
    hour = hour_start(from_iso(group[0][1].at))
    moved = core.mover.move_all([entry for entry, _ in group], Event.RECEIPT, due=hour)
    done.finished += len(moved)
    done.in_hand += len(group) - len(moved)
