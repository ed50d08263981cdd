"""What became of "Try now": said at once, and again when the server has answered or has not."""

from __future__ import annotations

from typing import Final

from dropsafe.gui.reach import uploader_figures, why_down
from dropsafe.gui.sources import Snapshot
from dropsafe.gui.words import span, translate

PATIENCE: Final = 60.0
"""Seconds for which an outcome is waited for; a request may take so long."""


class Probe:
    """One attempt at a time. Pure but for what it remembers; times are monotonic seconds."""

    def __init__(self) -> None:
        self._until: float | None = None
        self._failed = 0

    def asked(self, latest: Snapshot, now: float) -> str:
        """The service was asked to try. What to tell."""
        self._until = now + PATIENCE
        self._failed = _failed(latest)
        return translate("Probe", "Asked for: the server is tried now.")

    def outcome(self, snapshot: Snapshot, now: float) -> str:
        """What to tell, once; empty while nothing has come of it, or nothing was asked."""
        if self._until is None:
            return ""
        told = ""
        if snapshot.runs and why_down(snapshot) is None:
            told = translate("Probe", "It was tried, and takes reports again.")
        elif _failed(snapshot) > self._failed:
            wait = float(uploader_figures(snapshot).get("next_probe_seconds", 0))
            told = translate("Probe", "It was tried just now, in vain; again by itself in {0}.").format(span(wait))
        elif now > self._until:
            told = translate("Probe", "It has not answered yet.")
        if told:
            self._until = None
        return told


def _failed(snapshot: Snapshot) -> int:
    return int(uploader_figures(snapshot).get("failed_probes", 0))
