"""The server as the pages tell of it: whether it takes reports, and how fast. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dropsafe.desk.desk import Value
from dropsafe.gui.sources import Snapshot
from dropsafe.gui.theme import Tone
from dropsafe.gui.words import number, span, translate

RATE_OVER: Final = 120.0
"""Seconds of the last hour from which the present rate is taken."""


def why_down(snapshot: Snapshot) -> Value | None:
    """The reason of the status for which nothing can be delivered."""
    return next((r for r in snapshot.status.get("reasons", ()) if r["code"].startswith("destination-")), None)


def no_answer(snapshot: Snapshot) -> str:
    """Why nothing can be asked of the service, for what needs one."""
    if snapshot.is_silent:
        return translate("Reach", "The service does not answer.")
    return translate("Reach", "The service does not run.")


def is_paused(snapshot: Snapshot) -> bool:
    """Whether somebody told delivery to rest."""
    return any(reason["code"] == "paused-delivery" for reason in snapshot.status.get("reasons", ()))


def uploader_figures(snapshot: Snapshot) -> Value:
    """What the uploader told at its last beat, counted since its start; empty while there is none."""
    workers = snapshot.status.get("workers", ())
    return next((worker["figures"] for worker in workers if worker["name"] == "uploader"), {})


def destination_sign(snapshot: Snapshot) -> tuple[Tone, str]:
    """How the destination stands, in words.

    The uploader starts afresh with each change of the configuration: what its figures count was answered by the address
    in force. Until it has an answer nobody knows whether that address takes anything.
    """
    down, figures = why_down(snapshot), uploader_figures(snapshot)
    if not snapshot.runs:
        if snapshot.is_silent:
            return Tone.QUIET, translate("Reach", "not known: the service does not answer")
        return Tone.QUIET, translate("Reach", "not tried: no service runs")
    if is_paused(snapshot):
        return Tone.QUIET, translate("Reach", "delivery is paused")
    if down is not None and down["code"] == "destination-refuses":
        return Tone.PERSON, translate("Reach", "refuses us: somebody has to mend that")
    if down is not None:
        return Tone.SOON, translate("Reach", "down: reports wait, and go out when it is back")
    if not figures.get("delivered") and not figures.get("rejected"):
        return Tone.QUIET, translate(
            "Reach", "not known yet: it has not answered since the service or its settings changed"
        )
    return Tone.WELL, translate("Reach", "up: reports are delivered as they come")


def rate_of(step_seconds: float, points: Sequence[Sequence[int]]) -> float:
    """Delivered a second just now, from `series.hour`: over the last minutes, or since deliveries began in them.

    The running step is not over, so it counts only where it is the first in which anything was delivered.
    """
    over = [point[1] for point in points[-1 - round(RATE_OVER / step_seconds) :]]
    while len(over) > 1 and not over[0]:
        over.pop(0)
    counted = over[:-1] or over
    return sum(counted) / (len(counted) * step_seconds) if counted else 0.0


def rate_in_words(snapshot: Snapshot, rate: float | None) -> str:
    """`rate`: as `rate_of` gives it; None: not known."""
    if not snapshot.runs or rate is None:
        return "–"
    counts = snapshot.stats["counts"]
    here = counts["waiting"] + counts["inflight"]
    if not here:
        return translate("Reach", "{0} delivered a minute; nothing waits").format(number(round(rate * 60)))
    if why_down(snapshot) is not None or is_paused(snapshot):
        return translate("Reach", "nothing is delivered at present")
    words = translate("Reach", "{0} delivered a minute").format(number(round(rate * 60)))
    return translate("Reach", "{0}; at this rate empty in {1}").format(words, span(here / rate)) if rate else words
