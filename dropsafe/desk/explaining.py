"""What to tell about one entry, in plain words: pure, from facts. At most five sentences, then the commands.

First what happened and where it is, then why, what it means for the data, and what comes next or can be done.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dropsafe.desk.words import ago, shorten, size, span
from dropsafe.plural import several
from dropsafe.spool.pausing import Pause
from dropsafe.spool.reasons import Reason
from dropsafe.spool.receipts import Grade, Receipt
from dropsafe.spool.states import State

MOST_LINES = 5
_THERE = "(in the folder of the spool)"
_DETAIL = 120
"""Characters of a server's own words; `dropsafe show` has all of them."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known. `state` is None for an entry of which only the history is left. `age` and `due_in` in seconds;
    `due_in` 0: due. `destination` is what the running service says against it, empty if nothing, `next_probe` the seconds
    until it tries that again, if they are known. `word` names the entry
    on a command line; `successor` is the id that a readmitted one has now, `predecessor` that which it had. `has_lock`:
    whether the lock file of the worker that holds it is there. `was_changed`: whether its bytes are known not to be those that
    were accepted. `was_accepted`: whether the history says so. `path` is its
    file's, which a person may have to look at and mend; `place` is the same from the spool's folder on; `renamed` that under
    which it waits to be given its name back. `all_read`: whether it
    was looked for in all folders."""

    id: str
    word: str
    name: str
    state: State | None
    size: int = 0
    age: float = 0.0
    due_in: float = 0.0
    tries: int = 0
    last_error: str = ""
    reason: Reason | None = None
    receipt: Receipt | None = None
    delivered_ago: float = 0.0
    has_service: bool = True
    destination: str = ""
    destination_remedy: str = ""
    next_probe: float | None = None
    pause: Pause | None = None
    paused_words: str = ""
    holder: str = ""
    has_lock: bool = True
    strikes: int = 0
    successor: str = ""
    predecessor: str = ""
    was_changed: bool = False
    was_accepted: bool = True
    path: str = ""
    place: str = ""
    renamed: str = ""
    all_read: bool = True
    last: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Sentences, and (what for, command)."""

    lines: Sequence[str]
    commands: Sequence[tuple[str, str]]


def explain(facts: Facts) -> Explanation:
    """The words for that state. The first line names the entry."""
    lines, commands = _WORDS[facts.state](facts)
    if facts.was_changed and facts.state is not State.FAILED:
        changed = (
            "Its file was changed since it was accepted: when its turn to be sent comes it goes to quarantine/ instead, and is "
            f"kept there. If the change is meant, then: dropsafe readmit {facts.word}"
        )
        lines = [lines[0], changed, *lines[1:]]
    if facts.predecessor:
        commands = [*commands, ("before it was readmitted", f"dropsafe history {facts.predecessor}")]
    return Explanation([line for line in lines if line][:MOST_LINES], commands)


Words = tuple[list[str], list[tuple[str, str]]]


def _subject(facts: Facts) -> str:
    return f"{shorten(facts.name, 40)} ({size(facts.size)}), accepted {ago(facts.age)}"


def _back(facts: Facts) -> str:
    return f"mv {shlex.quote(facts.place)} pending/   {_THERE}"


def _tried(facts: Facts) -> str:
    if not facts.tries:
        return ""
    why = f"; the last time: {facts.last_error.rstrip('.')}" if facts.last_error else ""
    return f"It was tried {several(facts.tries, 'time', 'times')} so far{why}."


def _pending(facts: Facts) -> Words:
    first = f"{_subject(facts)}, waits in pending/ to be sent."
    tried = _tried(facts)
    safe = "Nothing is lost: it is in the spool until the server has it, however long that takes."
    hold = ("to keep it from being sent", f"dropsafe hold {facts.word}")
    if facts.pause is not None:
        return (
            [first, f"Delivery is paused {facts.paused_words}.".replace(" .", "."), tried, safe],
            [("to go on delivering", "dropsafe resume delivery"), hold],
        )
    if facts.due_in > 0:
        later = (
            f"Its next try is in {span(max(1.0, facts.due_in))}; the wait grows with its age, to 15 minutes at most."
        )
        server = "" if facts.has_service else "No service runs here, so somebody must deliver it then."
        commands = [("to send it now", f"dropsafe retry {facts.word}")]
        if not facts.has_service:
            commands = [("to send it now", f"dropsafe retry {facts.word} && dropsafe deliver")]
        return [first, tried, later, server, safe], [*commands, hold]
    if not facts.has_service:
        return (
            [first, "It is due, but no service runs here.", tried, safe],
            [("to send what is due, once", "dropsafe deliver"), ("or to run the service", "dropsafe run"), hold],
        )
    if facts.destination:
        remedy = facts.destination_remedy
        return [first, facts.destination, f"What to do: {remedy}" if remedy else ""], [
            ("to see all", "dropsafe status")
        ]
    suspect = (
        f"It was in hand when an uploader died ({facts.strikes} of 3 counted against it), so it is sent alone."
        if facts.strikes
        else ""
    )
    return [first, "It is due, and waits for nothing but its turn.", suspect, tried, safe], [
        ("to see how many wait", "dropsafe status"),
        hold,
    ]


def _inflight(facts: Facts) -> Words:
    if facts.has_service and facts.destination and facts.next_probe is not None:
        return _kept(facts, facts.next_probe)
    first = f"{_subject(facts)}, is in hand: {facts.holder or 'a worker'} has claimed it and is sending it."
    if facts.has_service:
        then = "If that does not succeed it goes back to pending/ by itself; nothing is to be done."
        return [first, _tried(facts), then, facts.destination], [("to see the workers", "dropsafe status")]
    then = "No service runs here. Unless `dropsafe deliver` is at work just now, that worker has died with it in hand."
    if not facts.has_lock:
        unknown = (
            "Its lock file is gone, so nobody can tell whether it is dead: a service takes the entry back once it has "
            "run for a minute; `dropsafe deliver` does not wait for that."
        )
        safe = "Nothing is lost: it is sent under the same key then. By hand, only while neither of the two runs:"
        return [first, unknown, safe], [
            ("to have it taken back", "dropsafe run"),
            ("by hand", _back(facts)),
        ]
    safe = "Nothing is lost: the next start, or the next `dropsafe deliver`, finds it and sends it under the same key."
    return [first, then, safe], [("to find it and send it", "dropsafe deliver")]


def _kept(facts: Facts, next_probe: float) -> Words:
    when = f"in {span(next_probe)}" if next_probe >= 1 else "now"
    return [
        f"{_subject(facts)}, is in hand: the service has claimed it, and tries the server again {when}.",
        facts.destination,
        f"What to do: {facts.destination_remedy}" if facts.destination_remedy else "",
        _tried(facts),
        "Nothing is lost: it stays in hand, or goes back to pending/, until the server has it.",
    ], [
        ("to have the server tried now", f"dropsafe retry {facts.word}"),
        ("to hold it, first", "dropsafe pause delivery"),
        ("then, once it is in pending/", f"dropsafe hold {facts.word} && dropsafe resume delivery"),
    ]


_GRADES: Mapping[Grade, Callable[[Receipt], str]] = {
    Grade.DIGEST: lambda _: "The server returned the SHA-256 of what it has, and it is ours: it has every byte.",
    Grade.ID: lambda receipt: (
        f"The server gave an id of its own, {receipt.server_id}, but no digest: it says that it has it."
    ),
    Grade.STATUS_ONLY: lambda receipt: (
        f"The server answered {receipt.status} and nothing more: that is all the proof there is."
    ),
    Grade.CALLBACK: lambda _: "A program delivered it by a function of its own, which said that it was done.",
}


def _proof(facts: Facts) -> str:
    return _GRADES[facts.receipt.grade](facts.receipt) if facts.receipt is not None else ""


def _sent(facts: Facts) -> Words:
    if facts.receipt is None:
        return (
            [
                f"{_subject(facts)}, lies in sent/, but this spool has no receipt for it.",
                "Perhaps somebody moved it there, or its receipts file is gone. Whether the server has it is not known here.",
                "It is kept: without a receipt nothing is ever removed from sent/.",
            ],
            [("to send it again, under the same key", _back(facts))],
        )
    first = f"{_subject(facts)}, was delivered {ago(facts.delivered_ago)} to {facts.receipt.address}."
    kept = "It stays in sent/ for retention_days; its receipt is kept longer. Nothing is to be done."
    return [first, _proof(facts), kept], [("to see the receipt", f"dropsafe show {facts.word}")]


def _expired(facts: Facts) -> Words:
    receipt = facts.receipt
    first = f"{facts.name} ({size(facts.size)}) was delivered {ago(facts.delivered_ago)}" + (
        f" to {receipt.address}." if receipt else "."
    )
    gone = "Its file has left sent/ since, as retention_days says; the receipt is kept. Nothing is lost and nothing to be done."
    if facts.successor:
        gone = f"Somebody readmitted its file since: as {facts.successor} it is an entry of its own."
    return [first, _proof(facts), gone], [("to see the receipt", f"dropsafe show {facts.id}")]


def _failed(facts: Facts) -> Words:
    first = f"{_subject(facts)}, was refused by the server and lies in failed/: {facts.path}"
    unwanted = ("if it is not wanted", f"dropsafe discard {facts.word}")
    if facts.was_changed:
        edited = "Its file was edited since: it can be sent only as it is now, under a new id."
        then = f"It is not sent by itself. If the report is right now: dropsafe readmit {facts.word}"
        return [first, *_why(facts)[:1], edited, then], [
            ("to send it as it is now", f"dropsafe readmit {facts.word}"),
            unwanted,
        ]
    then = "It is not sent again by itself. Mend the cause, then retry; or mend the report itself, then readmit."
    return (
        [first, *_why(facts), then],
        [
            ("if the report is as it was", f"dropsafe retry {facts.word}"),
            ("if the report was edited", f"dropsafe readmit {facts.word}"),
            unwanted,
        ],
    )


def _why(facts: Facts) -> list[str]:
    if facts.reason is None:
        return ["Why is not known: no reason lies beside it; perhaps somebody moved it there. Nothing is lost."]
    detail = " ".join(facts.reason.detail.split())
    return [facts.reason.summary, f"In detail: {shorten(detail, _DETAIL)}" if detail else ""]


def _quarantine(facts: Facts) -> Words:
    first = f"{_subject(facts)}, lies in quarantine/: {facts.path}"
    kind = facts.reason.kind if facts.reason else ""
    if kind == "strikes":
        return (
            [first, *_why(facts), "Perhaps it is harmless and only the place at which the uploader met a fault."],
            [
                ("to try it again", f"dropsafe retry {facts.word}"),
                ("if it is not wanted", f"dropsafe discard {facts.word}"),
            ],
        )
    if kind == "damaged" and not facts.was_accepted:
        return (
            [
                first,
                "Nobody has accepted an entry of that name here, as far as the history goes back: somebody put the file into "
                "the spool by hand, under a name that was made up or comes from elsewhere.",
                "Its bytes do not fit the digest in that name, so it is not sent. Nothing was deleted.",
                "Readmit it, and it is sent as it is, under a new id; or discard it.",
            ],
            [
                ("to have it sent", f"dropsafe readmit {facts.word}"),
                ("if it is not wanted", f"dropsafe discard {facts.word}"),
            ],
        )
    then = "Readmit it if it is right as it is; if there is a better copy, hand that in and discard this one."
    why = [*_why(facts), "It is not sent."]
    if kind == "damaged" and facts.reason:
        plain = "Its bytes are not those that were accepted (edited, or damaged): not sent. Nothing was deleted."
        why = [plain, f"In detail: {shorten(facts.reason.summary, _DETAIL)}"]
    return (
        [first, *why, then],
        [
            ("if it is right as it is now", f"dropsafe readmit {facts.word}"),
            ("if it is not wanted", f"dropsafe discard {facts.word}"),
        ],
    )


def _hold(facts: Facts) -> Words:
    return (
        [
            f"{_subject(facts)}, is on hold: a person parked it.",
            _tried(facts),
            "Nothing is lost. It is not sent, and stays in hold/ until somebody takes it off hold.",
        ],
        [
            ("to have it sent", f"dropsafe unhold {facts.word}"),
            ("if it is not wanted", f"dropsafe discard {facts.word}"),
        ],
    )


def _discarded(facts: Facts) -> Words:
    if facts.reason is not None and facts.reason.kind == "duplicate":
        return (
            [f"{_subject(facts)}, is a second copy: {facts.reason.summary}", "It lies in discarded/ and is not sent."],
            [("to remove it", f"rm {shlex.quote(facts.place)}   {_THERE}")],
        )
    return (
        [
            f"{_subject(facts)}, was discarded: a person said that it is not wanted.",
            "It is not sent. Nothing was deleted: it stays in discarded/ until somebody removes the file by hand.",
        ],
        [("to have it sent after all", f"dropsafe restore {facts.word}")],
    )


def _gone(facts: Facts) -> Words:
    if facts.successor:
        return (
            [f"{facts.id} was readmitted, and is {facts.successor} since then."],
            [("to see that one", f"dropsafe explain {facts.successor}")],
        )
    if facts.renamed:
        return (
            [
                f"{facts.id} waits in pending/ under a longer name, as file managers give it to copies: {facts.renamed}",
                "A service gives it its name back, and sends it, once; so does `dropsafe deliver`. Nothing is lost.",
            ],
            [("to send what is due, once", "dropsafe deliver")],
        )
    event, at = facts.last.get("event", "nothing"), facts.last.get("at", "")
    if not facts.all_read:
        return (
            [
                f"{facts.id} is not in the folders that can be read. Some cannot be read, and it may well lie there.",
                f"The last that the journal has of it: {event}, {at}.",
            ],
            [("to see which cannot be read, and what to do", "dropsafe status")],
        )
    return (
        [
            f"{facts.id} is not in this spool, and there is no receipt for it; only its history is left.",
            f"The last that the journal has of it: {event}, {at}.",
            "If it was delivered, its receipt has passed receipt_retention_days; if not, somebody has moved or removed its "
            "file by hand. Dropsafe itself deletes nothing that was not delivered.",
        ],
        [("to see all of it", f"dropsafe history {facts.id}")],
    )


_WORDS: Mapping[State | None, Callable[[Facts], Words]] = {
    State.PENDING: _pending,
    State.INFLIGHT: _inflight,
    State.SENT: _sent,
    State.EXPIRED: _expired,
    State.FAILED: _failed,
    State.QUARANTINE: _quarantine,
    State.HOLD: _hold,
    State.DISCARDED: _discarded,
    None: _gone,
}
