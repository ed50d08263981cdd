"""All that can be told of a spool by reading: every entry, and how the books stand. Changes nothing at all.

What a service moves meanwhile is looked for again before it counts as a difference.
"""

from __future__ import annotations

from collections.abc import Iterator

from dropsafe.spool.conservation import balance, last_seen, read_books
from dropsafe.spool.copies import renamed_in_pending
from dropsafe.spool.core import Core
from dropsafe.spool.layout import PAUSE_FILE, STATIONS_FILE
from dropsafe.spool.listing import ENTRY_STATES
from dropsafe.spool.plan import Planning, control_steps, in_view, without_entry
from dropsafe.spool.proofs import contradicting, proves
from dropsafe.spool.spool import Spool
from dropsafe.spool.states import State
from dropsafe.spool.steps import Kind, Left, Step
from dropsafe.spool.verify import Difference, Verified, Watch, verify
from dropsafe.spool.walking import all_read


def verify_all(spool: Spool, done: Verified, stop: Watch = lambda _: False) -> Iterator[Difference]:
    """What `verify` finds of every entry, the ids by which the conservation equation differs, receipts that contradict entries,
    and what is wrong with the spool's own files. `done` has the equation in the end."""
    yield from verify(spool, ENTRY_STATES, 0, done, stop)
    if done.stopped:
        return
    core = spool.core
    done.equation = balance(core, done.ids, read_books(core))
    back = renamed_in_pending(core.layout) if done.equation.missing else {}
    for entry_id, where in last_seen(core, done.equation.missing):
        if entry_id in back:
            meaning = "It waits in pending/ under a longer name, as file managers give it to copies. Nothing is lost."
            remedy = "Nothing to do: a service, or dropsafe deliver, gives it its name back and sends it, once."
            yield Difference("renamed", entry_id, back[entry_id], meaning, remedy)
            continue
        if not all_read():
            meaning = f"It may well lie in a folder that cannot be read. Last seen: {where}. Nobody knows of it now."
            remedy = (
                "Have the folders read again (they are named here, and by dropsafe status), then dropsafe verify --all"
            )
            yield Difference("unseen", entry_id, "", meaning, remedy)
            continue
        meaning = f"It came in, is not here, and no receipt says that the server has it. Last seen: {where}."
        remedy = (
            "A crash or somebody's own hand: look for it where it was last, in backups, and on the server. The program "
            "that made it may have it still: hand that copy in with dropsafe submit."
        )
        yield Difference("missing", entry_id, "", meaning, remedy)
    for entry_id in done.equation.unannounced:
        meaning = (
            "It is here, and the history does not say that it came: a crash took that line, or it was put here by hand."
        )
        remedy = f"Nothing to do: it is treated as any other. To see it: dropsafe explain {entry_id}"
        yield Difference("unannounced", entry_id, "", meaning, remedy)
    yield from _contradictions(core, done)
    if core.pauses.is_damaged():
        meaning = "What is paused cannot be read, and that counts as a pause of everything. Nothing is lost."
        path = f"{core.layout.locks}/{PAUSE_FILE}"
        yield Difference("paused", "", path, meaning, "To go on delivering: dropsafe resume")
    if core.stations.is_damaged():
        meaning = "Which station's spool this was cannot be read: all is sent under the name that is set now."
        path = f"{core.layout.locks}/{STATIONS_FILE}"
        yield Difference("stations", "", path, meaning, "Restore that file from a backup, or remove it.")
    alone = without_entry(core, Planning(ids=done.ids))
    strikes = [step for step in alone if isinstance(step, Step) and step.kind is Kind.STRIKE]
    for found in (*control_steps(core), *in_view(core), *strikes):
        remedy = found.remedy if isinstance(found, Left) else f"dropsafe repair mends it: {found.does}."
        yield Difference(_kind(found), found.id if isinstance(found, Step) else "", found.path, found.why, remedy)


def _kind(found: Step | Left) -> str:
    return "left" if isinstance(found, Left) else found.kind.value


def _contradictions(core: Core, done: Verified) -> Iterator[Difference]:
    """Receipts that speak of an entry which is here otherwise: not sent, or with other bytes."""
    for entry, receipt in contradicting(core.layout, done.ids):
        if proves(receipt, entry):
            if entry.id in done.copied:
                continue
            meaning = (
                f"A receipt says that the server has it since {receipt.at}; all the same it lies in {entry.state}/."
            )
            remedy = "Somebody sent it back, or restored a copy. It goes again under the same key, known to the server."
            yield Difference("delivered", entry.id, str(entry.path), meaning, remedy)
        elif entry.state is not State.SENT:  # of which the missing proof is told already
            meaning = (
                "A receipt proves the delivery of other bytes under this id. This one is not delivered, and is kept."
            )
            remedy = f"If it is right as it is, and should be sent too: dropsafe readmit {entry.id}"
            yield Difference("other-bytes", entry.id, str(entry.path), meaning, remedy)
