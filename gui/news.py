"""What the tray tells of: each problem that needs a person once, and once more when it is solved. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dropsafe.gui.remedies import tone_of
from dropsafe.gui.sources import Snapshot, Source
from dropsafe.gui.theme import Tone
from dropsafe.gui.words import QT_TRANSLATE_NOOP, translated

NO_SERVICE = "no-service"
PATIENCE = 3
"""Looks in a row at which no service must answer before that is told: one that is restarted is no news."""


@dataclass(frozen=True, slots=True)
class Word:
    """One notification. `is_solved`: it tells of an end."""

    code: str
    text: str
    is_solved: bool = False


@dataclass(slots=True)
class News:
    """Remembers what was told."""

    _told: dict[str, str] = field(default_factory=dict)
    _looks_without: int = 0

    def of(self, snapshot: Snapshot) -> Iterator[Word]:
        """What is new since the last look."""
        problems = {
            reason["code"]: reason["text"]
            for reason in snapshot.status.get("reasons", ())
            if tone_of(reason["code"]) is Tone.PERSON
        }
        self._looks_without = 0 if snapshot.runs else self._looks_without + 1
        if not snapshot.runs:
            if self._looks_without < PATIENCE:
                return
            silent = _SILENT if snapshot.is_silent else _NO_SERVICE
            problems[NO_SERVICE] = translated(silent if snapshot.source is Source.FOLDER else _NOTHING)
        for code, text in problems.items():
            if code not in self._told:
                yield Word(code, text)
        for code in self._told.keys() - problems.keys():
            yield Word(code, self._told[code], is_solved=True)
        self._told = problems


_NO_SERVICE = QT_TRANSLATE_NOOP("Words", "The service does not run: reports are accepted and kept, but not delivered.")
_SILENT = QT_TRANSLATE_NOOP(
    "Words", "The service does not answer: reports are accepted and kept; whether they are delivered is not known."
)
_NOTHING = QT_TRANSLATE_NOOP("Words", "The spool cannot be read, and no service answers.")
