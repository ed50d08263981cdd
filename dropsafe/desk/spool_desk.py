"""`SpoolDesk`: what people ask, answered from the folder and the configuration file, with a service or without.

The service gives its guests a desk of this kind, each in the guest's name.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from heapq import nlargest, nsmallest
from itertools import islice
from typing import Any

from dropsafe import __version__
from dropsafe.config import Config
from dropsafe.desk import carrying, moving
from dropsafe.desk.desk import Desk, Value
from dropsafe.desk.explaining import explain
from dropsafe.desk.found import id_of, look_up
from dropsafe.desk.gathering import gathered
from dropsafe.desk.jobs import Job, Jobs
from dropsafe.desk.rows import detail, rows
from dropsafe.desk.settings import Settings
from dropsafe.desk.sorting import SORTS
from dropsafe.desk.standstill import standstill
from dropsafe.desk.trouble import told, unexpected
from dropsafe.desk.vitals import access_problems_of, problems_of
from dropsafe.errors import TemporaryError, UsageError
from dropsafe.spool import Entry, Spool
from dropsafe.spool.choosing import Choice, Survey
from dropsafe.spool.clock import iso
from dropsafe.spool.listing import ENTRY_STATES, page
from dropsafe.spool.names import stamp_time
from dropsafe.spool.pausing import Work
from dropsafe.spool.platform import system
from dropsafe.spool.states import Event, State
from dropsafe.spool.verify import Verified, verify

MOST_DIFFERENCES = 500
MOST_REFUSALS = 100
"""Told in one result, so that it fits into a frame."""

Checkup = Callable[[Config, Callable[[], bool]], Iterator[Value]]
"""Tries the destination step by step, and ends early when asked to. The workers know how; the desk does not know them."""


def _nobody_hears(_kind: str, _content: Value) -> None:
    pass


@dataclass(frozen=True, slots=True)
class SpoolDesk(Desk):
    """`by` is the name of the person, `trusted` whether it may see all of the configuration. `service` gives the status
    of the service that runs on this spool, `tell` hears what was done (kind, content). `patience`: seconds for looking
    through entries, but in a job."""

    spool: Spool
    settings: Settings
    by: str
    jobs: Jobs = field(default_factory=Jobs)
    checkup: Checkup | None = None
    service: Callable[[], Mapping[str, Any] | None] = lambda: None
    tell: Callable[[str, Value], None] = _nobody_hears
    trusted: bool = True
    patience: float = math.inf

    # What there is

    def status_get(self) -> Value:
        now = iso(time.time())
        found = [
            *access_problems_of(self.spool),
            *problems_of(self.spool, self.settings.in_force(), self.spool.stats()),
        ]
        return {
            "condition": "NO SERVICE",
            "spool_id": self.spool.spool_id,
            "since": now,
            "as_of": now,
            "pid": None,
            "version": __version__,
            "reasons": [asdict(problem) for problem in found],
            "workers": [],
            "stop": None,
        }

    def spool_stats(self) -> Value:
        stats, last = self.spool.stats(), self.spool.last_receipt()
        return {
            "counts": asdict(stats),
            "needs_a_person": stats.failed + stats.quarantine,
            "last_delivered": last.at if last else None,
            "grade": str(last.grade) if last else None,
            "free_bytes": system.room(str(self.spool.path)).bytes,
            "path": str(self.spool.path),
        }

    def watch_list(self) -> Value:
        """Without a service nobody looks at the folders."""
        tables = self.settings.in_force()["watch"]
        return watched(tables, [], paused=Work.INTAKE in self.spool.pauses())

    # Entries

    def entries_list(
        self,
        states: Sequence[str],
        *,
        matching: str = "",
        older_than: float | None = None,
        sort: str | None = None,
        descending: bool = False,
        offset: int = 0,
        limit: int = 100,
    ) -> Value:
        choice = _choice(states, matching, older_than)
        if sort is not None:
            counted = Counted(choice.entries(self.spool), self._in_time())
            best = nlargest if descending else nsmallest
            shown = best(offset + limit, counted, SORTS[sort])[offset:]
            total = counted.count
        elif choice.is_narrowed:
            counted = Counted(choice.entries(self.spool), self._in_time())
            shown = list(islice(counted, offset, offset + limit))
            total = counted.rest()
        else:
            shown = page(self.spool.core.layout, choice.states, offset, limit)
            counts = asdict(self.spool.stats())
            total = sum(counts["waiting" if state is State.PENDING else state.value] for state in choice.states)
        stands = standstill(self.spool, self.service(), shown)
        return {
            "entries": list(rows(self.spool, shown, stands)),
            "waits": asdict(stands) if stands else None,
            "offset": offset,
            "total": max(total, offset + len(shown)),
        }

    def entries_survey(self, states: Sequence[str], *, matching: str = "", older_than: float | None = None) -> Value:
        entries = _choice(states, matching, older_than).entries(self.spool)
        return _surveyed(Survey.of(Counted(entries, self._in_time())))

    def entries_count(self, states: Sequence[str], *, matching: str = "", older_than: float | None = None) -> Value:
        choice = _choice(states, matching, older_than)

        def count(job: Job) -> Value:
            counted = Counted(choice.entries(self.spool), job.step)
            return _surveyed(Survey.of(counted))

        return self.jobs.start("entries.count", self.by, count)

    def entries_get(self, entry: str) -> Value:
        service = self.service()
        found = detail(self.spool, service, entry)
        if found["path"] is None:
            return found
        here = [self.spool.find(found["id"])]
        lines = list(rows(self.spool, here, standstill(self.spool, service, here)))
        return {**found, **{key: lines[0][key] for key in ("attempts", "next_try", "error")}}

    def entries_history(self, entry: str) -> Value:
        found = id_of(look_up(self.spool, entry))
        return {"id": found, "lines": self.spool.history(found)}

    def entries_explain(self, entry: str) -> Value:
        facts = gathered(self.spool, self.service(), entry)
        said = explain(facts)
        return {
            "id": facts.id,
            "state": facts.state.value if facts.state else "gone",
            "lines": list(said.lines),
            "commands": [{"for": purpose, "command": command} for purpose, command in said.commands],
        }

    def entries_move(self, action: str, ids: Sequence[str]) -> Value:
        event = Event[action.upper()]
        entries, errors = moving.named(self.spool, ids, event)
        moved: list[Value] = []

        def note(before: Sequence[Entry], after: Sequence[Entry]) -> None:
            # Of a readmission there is one at a time; else the id stays.
            was = [entry.id for entry in before] if event is Event.READMIT else [entry.id for entry in after]
            moved.extend({"id": a.id, "was": b, "state": a.state.value} for a, b in zip(after, was, strict=False))

        result = moving.move(self.spool, event, entries, len(entries), on_moved=note)
        self._tell_moved(event, result)
        return {"moved": moved, **_told(result, len(entries), errors)}

    def entries_move_all(
        self, action: str, count: int, states: Sequence[str], *, matching: str = "", older_than: float | None = None
    ) -> Value:
        event, choice = Event[action.upper()], _choice(states, matching, older_than)

        def move(job: Job) -> Value:
            chosen = islice(choice.entries(self.spool), count)
            result = moving.move(self.spool, event, chosen, count, step=lambda seen: job.step(seen, count))
            self._tell_moved(event, result)
            return {"moved": result.moved, **_told(result, count, [])}

        return self.jobs.start("entries.move_all", self.by, move)

    # Work

    def spool_verify(self, states: Sequence[str] = (), sample: int = 0) -> Value:
        chosen = [State(name) for name in states] or list(ENTRY_STATES)

        def read(job: Job) -> Value:
            done, found = Verified(), 0
            kept: list[Value] = []
            for difference in verify(self.spool, chosen, sample, done, lambda figures: job.step(figures.entries)):
                found += 1
                if len(kept) < MOST_DIFFERENCES:
                    kept.append(asdict(difference))
            figures = {"read": done.entries, "bytes": done.bytes, "moved_meanwhile": done.moved}
            return {**figures, "differences": kept, "found": found}

        return self.jobs.start("spool.verify", self.by, read)

    def destination_test(self) -> Value:
        checkup = self.checkup
        if checkup is None:
            raise TemporaryError(
                "The destination cannot be tried from here. Nothing was changed.", remedy="Ask the running service."
            )
        config = self.settings.in_force()

        def try_it(job: Job) -> Value:
            steps = []
            for step in checkup(config, job.cancel.is_set):
                steps.append(step)
                job.step(len(steps))
            return {"steps": steps}

        return self.jobs.start("destination.test", self.by, try_it)

    def pauses_list(self) -> Value:
        return {work.value: asdict(pause) for work, pause in self.spool.pauses().items()}

    def pauses_begin(self, work: str, why: str = "", seconds: float | None = None) -> Value:
        self.spool.pause([Work(work)], self.by, why, seconds)
        self.tell("pause", {"work": work, "paused": True, "by": self.by})
        return self.pauses_list()

    def pauses_end(self, work: str | None = None) -> Value:
        ended = self.spool.resume([Work(work)] if work else tuple(Work))
        for each in ended:
            self.tell("pause", {"work": each.value, "paused": False, "by": self.by})
        return {each.value: asdict(pause) for each, pause in ended.items()}

    def jobs_export(self, dest: str, states: Sequence[str] = (), ids: Sequence[str] = ()) -> Value:
        return self.jobs.start("jobs.export", self.by, carrying.exporting(self.spool, dest, states, ids))

    def jobs_import(self, source: str) -> Value:
        return self.jobs.start("jobs.import", self.by, carrying.importing(self.spool, source))

    def jobs_import_receipts(self, source: str) -> Value:
        return self.jobs.start("jobs.import_receipts", self.by, carrying.importing_receipts(self.spool, source))

    def jobs_list(self) -> Value:
        return {"jobs": self.jobs.list()}

    def jobs_get(self, job: str) -> Value:
        return self.jobs.get(job)

    def jobs_cancel(self, job: str) -> Value:
        return self.jobs.cancel(job)

    # Configuration

    def config_get(self) -> Value:
        return self.settings.values(whole=self.trusted)

    def config_validate(self, values: Mapping[str, Any]) -> Value:
        return {"problems": self.settings.problems(values)}

    def config_set(self, values: Mapping[str, Any]) -> Value:
        return self.settings.change(values).told

    def _in_time(self) -> Callable[[int], bool]:
        deadline = time.monotonic() + self.patience

        def check(seen: int) -> bool:
            if time.monotonic() > deadline:
                raise TemporaryError(
                    f"There are more entries than can be looked through in {self.patience:.0f} s; {seen:,} were. "
                    "Nothing was changed.",
                    remedy="Choose fewer, list them in the order of the folders, or have them counted as a job.",
                )
            return False

        return check

    def _tell_moved(self, event: Event, result: moving.Result) -> None:
        if result.moved:
            self.tell("entries", {"action": event.name.lower(), "count": result.moved, "by": self.by})


class Counted(Iterator[Entry]):
    """Passes entries on and counts them. `step` hears the count now and then, and says whether to end."""

    def __init__(self, entries: Iterator[Entry], step: Callable[[int], bool] = lambda _: False) -> None:
        self.count = 0
        self._entries = entries
        self._step = step

    def __next__(self) -> Entry:
        entry = next(self._entries)
        self.count += 1
        if self.count % 256 == 0 and self._step(self.count):
            raise StopIteration
        return entry

    def rest(self) -> int:
        """How many there were, once all have been passed over."""
        for _ in self:
            pass
        return self.count


def watched(tables: Sequence[Mapping[str, Any]], seen: Sequence[Mapping[str, Any]], *, paused: bool) -> Value:
    """The drop folders of the configuration, with what the watcher says of each."""
    known = {folder.get("path"): folder for folder in seen}
    folders = []
    for table in tables:
        folder = known.get(table["path"], {})
        folders.append(
            {
                "path": table["path"],
                "pattern": table["pattern"],
                "taken": folder.get("taken", 0),
                "waiting": folder.get("waiting", 0),
                "trouble": folder.get("trouble", ""),
                "remedy": folder.get("remedy", ""),
                "last_name": folder.get("last_name", ""),
                "last_at": folder.get("last_at"),
                "waits": folder.get("waits", []),
            }
        )
    return {"folders": folders, "paused": paused}


def _choice(states: Sequence[str], matching: str, older_than: float | None) -> Choice:
    before = None if older_than is None else time.time() - older_than
    return Choice(tuple(State(name) for name in states), matching, before)


def _surveyed(survey: Survey) -> Value:
    return {
        "count": survey.count,
        "bytes": survey.bytes,
        "oldest": iso(stamp_time(survey.oldest)) if survey.oldest else None,
        "states": {state.value: count for state, count in survey.states.items()},
    }


def _told(result: moving.Result, chosen: int, errors: Sequence[UsageError]) -> Value:
    refused = [*errors, *result.refused]
    return {
        "due": result.due,
        "gone": max(0, result.gone(chosen)),
        "refused": [told(error) or unexpected("The move") for error in refused[:MOST_REFUSALS]],
        "gave_up": result.gave_up,
    }
