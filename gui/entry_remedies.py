"""From what `entries.explain` says to do to the buttons that do it: one table.

A command that stands in no line of it is shown as words, to be given by hand (`mv`, `rm`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dropsafe.gui.actions import ACTIONS, verb
from dropsafe.gui.remedies import Step, steps
from dropsafe.gui.words import QT_TRANSLATE_NOOP


@dataclass(frozen=True, slots=True)
class Offer:
    """One button, or, without a label, words alone. It does `action`, shows the `tab` of the details or another `entry`, or
    has the window take the `step`."""

    purpose: str
    command: str
    label: str = ""
    action: str = ""
    tab: str = ""
    entry: str = ""
    step: Step | None = None


_STEPS: Mapping[str, Step] = {
    "resume delivery": Step(QT_TRANSLATE_NOOP("Words", "Resume delivery"), method="pauses_end", args=("delivery",)),
    "pause delivery": Step(QT_TRANSLATE_NOOP("Words", "Pause delivery"), method="pauses_begin", args=("delivery",)),
    "status": Step(QT_TRANSLATE_NOOP("Words", "Overview"), page="overview"),
    "run": Step(QT_TRANSLATE_NOOP("Words", "Start the service"), start=True),
    "deliver": Step(QT_TRANSLATE_NOOP("Words", "Start the service"), start=True),
}
_TRY_NOW = Step(QT_TRANSLATE_NOOP("Words", "Try now"), method="delivery_probe")
_KEEP_WAITING = frozenset({"paused-delivery", "disk-low", "read-only", "not-writable", "service-failed"})
_TABS: Mapping[str, tuple[str, str]] = {
    "show": ("receipt", QT_TRANSLATE_NOOP("Words", "Receipt")),
    "history": ("history", QT_TRANSLATE_NOOP("Words", "History")),
}


def offer(purpose: str, command: str, entry_id: str, state: str) -> Offer:
    """For one command of an explanation."""
    program, _, rest = command.partition(" ")
    word, _, about = rest.partition(" ")
    plain = Offer(purpose, command)
    if program != "dropsafe":
        return plain
    if "&&" in rest and state == "inflight":  # its button can be pressed once that is so
        return Offer(purpose, command, verb(word, state), action=word)
    if "&&" in rest:  # to have it due, and a service that sends it: the first half is of no use without the other
        return (
            Offer(purpose, command, _STEPS["run"].label, step=_STEPS["run"])
            if rest.endswith("&& dropsafe deliver")
            else plain
        )
    if rest in _STEPS:
        return Offer(purpose, command, _STEPS[rest].label, step=_STEPS[rest])
    if word in ACTIONS:
        if state == "inflight":  # what is in hand is not moved: a retry of it has the server tried
            return Offer(purpose, command, _TRY_NOW.label, step=_TRY_NOW) if word == "retry" else plain
        return Offer(purpose, command, verb(word, state), action=word)
    if word in _TABS and _is_of(about, entry_id):
        tab, label = _TABS[word]
        return Offer(purpose, command, label, tab=tab)
    if word in ("explain", "history") and about:
        return Offer(purpose, command, QT_TRANSLATE_NOOP("Words", "Show that one"), entry=about)
    return plain


def offers(said: Mapping[str, Any], reasons: Iterable[Mapping[str, Any]]) -> list[Offer]:
    """All of an explanation; for one that waits also what the reasons of the status that keep it waiting call for."""
    made = [offer(each["for"], each["command"], said["id"], said["state"]) for each in said["commands"]]
    if said["state"] in ("pending", "inflight"):
        known = {each.label for each in made}
        for reason in reasons:
            if _keeps_waiting(reason["code"]):
                made[:0] = [
                    Offer("", "", step.label, step=step) for step in steps(reason["code"]) if step.label not in known
                ]
                known |= {step.label for step in steps(reason["code"])}
    return made


def _keeps_waiting(code: str) -> bool:
    """Whether that reason of the status keeps reports from being delivered."""
    return code in _KEEP_WAITING or code.startswith(("destination-", "uploader-"))


def _is_of(word: str, entry_id: str) -> bool:
    return bool(word) and word in entry_id
