"""What can be done about each reason in the status: pure. Each step is a page to look at or a request to the service.

Everything that a button does here, the command line does too; the words of the remedy name that way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dropsafe.gui.theme import Tone
from dropsafe.gui.words import QT_TRANSLATE_NOOP, translated


@dataclass(frozen=True, slots=True)
class Step:
    """One button. It leads to `page` (with `view` for it), or asks `method` of the service, or both; or it is to `start`
    the service."""

    label: str
    page: str = ""
    view: Mapping[str, Any] = field(default_factory=dict)
    method: str = ""
    args: tuple[Any, ...] = ()
    start: bool = False


_SHOW_FAILED = Step(QT_TRANSLATE_NOOP("Words", "Show them"), page="entries", view={"state": "failed"})
_SHOW_QUARANTINE = Step(QT_TRANSLATE_NOOP("Words", "Show them"), page="entries", view={"state": "quarantine"})
_SHOW_WAITING = Step(QT_TRANSLATE_NOOP("Words", "Show them"), page="entries", view={"state": "pending"})
_DESTINATION = Step(QT_TRANSLATE_NOOP("Words", "Destination"), page="destination")
_TRY_NOW = Step(QT_TRANSLATE_NOOP("Words", "Try now"), method="delivery_probe")
_SETTINGS = Step(QT_TRANSLATE_NOOP("Words", "Settings"), page="settings")
_LOG = Step(QT_TRANSLATE_NOOP("Words", "Log"), page="log")
_WORKERS = Step(QT_TRANSLATE_NOOP("Words", "Workers"), page="workers")
_FOLDERS = Step(QT_TRANSLATE_NOOP("Words", "Watch folders"), page="folders")


def _help(topic: str) -> Step:
    return Step(QT_TRANSLATE_NOOP("Words", "How to"), page="help", view={"page": "recover.md", "topic": topic})


_STEPS: Mapping[str, tuple[Step, ...]] = {
    "failed": (_SHOW_FAILED,),
    "quarantine": (_SHOW_QUARANTINE,),
    "old": (_SHOW_WAITING,),
    "queue-full": (
        _SHOW_WAITING,
        Step(QT_TRANSLATE_NOOP("Words", "Settings"), page="settings", view={"key": "max_queue_size"}),
    ),
    "disk-low": (_help("the-disk-is-full"),),
    "read-only": (_help("the-disk-is-dying-or-can-only-be-read"),),
    "not-writable": (_help("the-disk-is-dying-or-can-only-be-read"),),
    "stranger": (_help("a-file-in-the-spool-that-is-no-entry"),),
    "paused-delivery": (Step(QT_TRANSLATE_NOOP("Words", "Resume delivery"), method="pauses_end", args=("delivery",)),),
    "paused-intake": (Step(QT_TRANSLATE_NOOP("Words", "Resume intake"), method="pauses_end", args=("intake",)),),
    "destination-down": (_TRY_NOW, _DESTINATION),
    "destination-refuses": (
        _DESTINATION,
        Step(QT_TRANSLATE_NOOP("Words", "Settings"), page="settings", view={"key": "destination.url"}),
        _TRY_NOW,
    ),
    "spool-trouble": (_LOG,),
    "claims-kept": (_LOG,),
    "configuration-kept": (_SETTINGS,),
    "configuration-restart": (_SETTINGS,),
    "configuration-unread": (_SETTINGS,),
    "ipc-down": (Step(QT_TRANSLATE_NOOP("Words", "Settings"), page="settings", view={"key": "ipc.address"}), _LOG),
    "health-down": (Step(QT_TRANSLATE_NOOP("Words", "Settings"), page="settings", view={"key": "health.port"}), _LOG),
    "ipc-errors": (_LOG,),
    "service-error": (_LOG,),
    "service-failed": (_LOG,),
    "no-answer": (_LOG,),
    "janitor-chore": (_LOG,),
    "left-behind": (_LOG,),
    "history": (_LOG,),
    "clock": (_LOG,),
    "unproven": (Step(QT_TRANSLATE_NOOP("Words", "Show them"), page="entries", view={"state": "sent"}),),
    "cannot-be-taken": (_FOLDERS,),
    "drop-folder": (_FOLDERS,),
    "intake-waits": (_FOLDERS,),
    "intake-full": (_FOLDERS, _SHOW_WAITING),
    "intake-refused": (_FOLDERS,),
    "too-large": (
        _FOLDERS,
        Step(QT_TRANSLATE_NOOP("Words", "Settings"), page="settings", view={"key": "max_entry_bytes"}),
    ),
}
_BY_END = {"-parked": (_SETTINGS, _WORKERS), "-failing": (_WORKERS, _LOG), "-hung": (_WORKERS,), "-silent": (_WORKERS,)}
_BY_END["-died"] = (_WORKERS, _LOG)

_NEEDS_A_PERSON = frozenset(
    {"failed", "quarantine", "disk-low", "read-only", "not-writable", "destination-refuses", "configuration-kept"}
    | {"queue-full", "service-failed"}
)


def steps(code: str) -> tuple[Step, ...]:
    """What to offer for the reason of that code. One that a newer service tells leads to the log."""
    return known_steps(code) or (_LOG,)


def known_steps(code: str) -> tuple[Step, ...]:
    """The same; none for a code that is not known here."""
    for end, found in _BY_END.items():
        if code.endswith(end):
            return found
    return _STEPS.get(code, ())


def tone_of(code: str) -> Tone:
    """How grave that reason is."""
    if code in _NEEDS_A_PERSON or code.endswith("-parked"):
        return Tone.PERSON
    return Tone.QUIET if code.startswith("paused-") else Tone.SOON


def stands_still(code: str) -> bool:
    """Whether that reason is one for which nothing at all is delivered."""
    return code == "paused-delivery" or code.startswith("destination-")


_BY_GRAVITY = (Tone.PERSON, Tone.SOON, Tone.QUIET)


def gravest_first(reasons: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Those that need a person before the others; else as they were told."""
    return sorted(reasons, key=lambda reason: _BY_GRAVITY.index(tone_of(reason["code"])))


CONDITION_TONES: Mapping[str, Tone] = {
    "RUNNING": Tone.WELL,
    "STARTING": Tone.BUSY,
    "STOPPING": Tone.BUSY,
    "DEGRADED": Tone.SOON,
    "ERROR": Tone.PERSON,
    "NO SERVICE": Tone.QUIET,
}


def tone_of_status(status: Mapping[str, Any]) -> Tone:
    """Of all together: the gravest reason decides."""
    tones = [tone_of(reason["code"]) for reason in status.get("reasons", ())]
    if status.get("condition") == "DEGRADED":
        return next((tone for tone in _BY_GRAVITY if tone in tones), Tone.SOON)
    return CONDITION_TONES.get(status.get("condition", ""), Tone.QUIET)


_WORKER_STATES: Mapping[str, tuple[Tone, str]] = {
    "ready": (Tone.WELL, QT_TRANSLATE_NOOP("Words", "ready")),
    "starting": (Tone.BUSY, QT_TRANSLATE_NOOP("Words", "starting")),
    "stopping": (Tone.BUSY, QT_TRANSLATE_NOOP("Words", "stopping")),
    "dumping": (Tone.SOON, QT_TRANSLATE_NOOP("Words", "dumping")),
    "killed": (Tone.SOON, QT_TRANSLATE_NOOP("Words", "killed")),
    "waiting": (Tone.PERSON, QT_TRANSLATE_NOOP("Words", "waiting")),
    "left": (Tone.QUIET, QT_TRANSLATE_NOOP("Words", "left")),
}


def worker_state(state: str) -> tuple[Tone, str]:
    """How grave it is, and its word; one that a newer service tells keeps its own."""
    tone, word = _WORKER_STATES.get(state, (Tone.SOON, state))
    return tone, translated(word)
