"""`locks/paused.json`: what a person has paused, for every process on this spool, until somebody resumes it.

Works without a service and outlives restarts. A file that cannot be read counts as a pause of everything: to wait
can be made good, to send what somebody held back cannot. `resume` removes it, whatever it holds.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from dropsafe.spool.clock import Clock, from_iso, iso
from dropsafe.spool.locked_file import LockedFile
from dropsafe.spool.written import read_json


class Work(StrEnum):
    """What can be paused: sending entries, or taking files from folders."""

    DELIVERY = "delivery"
    INTAKE = "intake"


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause. `at` and `until` are ISO 8601 UTC; an empty `until` means until it is resumed."""

    at: str
    by: str
    why: str
    until: str = ""


class Pauses:
    """Reads and writes the file; keeps nothing in memory."""

    def __init__(self, clock: Clock, file: LockedFile) -> None:
        self._clock = clock
        self._file = file

    def current(self) -> dict[Work, Pause]:
        """What is paused now."""
        return pauses_in(self._file.path, self._clock.now())

    def is_damaged(self) -> bool:
        """Whether nobody can tell what the file means, which counts as a pause of everything."""
        try:
            for name, content in read_json(self._file.path).items():
                Work(name), _pause(content)
        except FileNotFoundError:
            return False
        except (OSError, ValueError, TypeError, AttributeError):
            return True
        return False

    def is_paused(self, work: Work) -> bool:
        return work in self.current()

    def pause(self, works: Collection[Work], by: str, why: str = "", seconds: float | None = None) -> None:
        """Durable when it returns; an earlier pause of the same is replaced. LockTimeout, OSError."""
        now = self._clock.now()
        made = Pause(iso(now), by, why, "" if seconds is None else iso(now + seconds))
        with self._file.locked():
            self._write({**self.current(), **dict.fromkeys(works, made)})

    def resume(self, works: Collection[Work]) -> dict[Work, Pause]:
        """End these pauses, durably; returns those that there were. LockTimeout, OSError."""
        with self._file.locked():
            paused = self.current()
            left = {work: pause for work, pause in paused.items() if work not in works}
            if left:
                self._write(left)
            else:
                self._file.remove()
        return {work: pause for work, pause in paused.items() if work in works}

    def _write(self, pauses: dict[Work, Pause]) -> None:
        # On a full disk too: a pause may be what somebody needs then.
        self._file.write({work.value: asdict(pause) for work, pause in pauses.items()})


def pauses_in(path: str, now: float) -> dict[Work, Pause]:
    """What that file says is paused at that time."""
    try:
        found = {Work(name): _pause(content) for name, content in read_json(path).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        why = f"the file {path} cannot be read ({error}), which counts as a pause of everything"
        return dict.fromkeys(Work, Pause("", "", why))
    return {work: pause for work, pause in found.items() if not pause.until or from_iso(pause.until) > now}


def _pause(content: dict[str, Any]) -> Pause:
    pause = Pause(**content)
    if not all(isinstance(text, str) for text in (pause.at, pause.by, pause.why, pause.until)):
        raise ValueError("its values are not text")
    if pause.until:
        from_iso(pause.until)
    return pause
