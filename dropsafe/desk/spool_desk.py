"""`SpoolDesk`: what people ask, answered from the folder and the configuration file, with a service or without.

The service gives its guests a desk of this kind, each in the guest's name.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from heapq import nlargest, nsmallest
from itertools import islice
from typing import Any

from dropsafe import __version__
from dropsafe.config import Config
from dropsafe.desk import carrying, mending, moving
from dropsafe.desk.counted import Counted
from dropsafe.desk.desk import Desk, Value
from dropsafe.desk.explaining import explain
from dropsafe.desk.found import id_of, look_up
from dropsafe.desk.gathering import gathered
from dropsafe.desk.jobs import Job, Jobs
from dropsafe.desk.paging import fitting
from dropsafe.desk.paging import page as page_of
from dropsafe.desk.rows import bare_row, detail, rows
from dropsafe.desk.settings import Settings
from dropsafe.desk.sorting import SORTS
from dropsafe.desk.standstill import standstill
from dropsafe.desk.trouble import told, unexpected
from dropsafe.desk.unread import telling_unread
from dropsafe.desk.vitals import access_problems_of, problems_of, reasons_of
from dropsafe.desk.watching import watched
from dropsafe.errors import TemporaryError, UsageError
from dropsafe.log import log_unexpected
from dropsafe.spool import Entry, Spool
from dropsafe.spool.choosing import Choice, Survey
from dropsafe.spool.clock import iso
from dropsafe.spool.journal import tries_in
from dropsafe.spool.listing import ENTRY_STATES, page
from dropsafe.spool.names import is_id, stamp_time
from dropsafe.spool.pausing import Work
from dropsafe.spool.platform import system
from dropsafe.spool.states import Event, State, transition
from dropsafe.spool.walking import Place

MOST_REFUSALS = 100
"""Told in one result, so that it fits into a frame."""
MOST_SORTED = 10_000
"""A sorted list reaches so far: whatever it may show is in memory while it is made."""

_log = logging.getLogger(__name__)

Checkup = Callable[[Config, Callable[[], bool]], Iterator[Value]]
"""Tries the destination step by step, and ends early when asked to. The workers know how; the desk does not know them."""


def _nobody_hears(_kind: str, _content: Value) -> None:
    pass


@dataclass(frozen=True, slots=True)
class SpoolDesk(Desk):
    """`by` is the name of the person, `trusted` whether it may see all of the configuration. `service` gives the status
    of the service that runs on this spool, `tell` hears what was done (kind, content). `patience`: seconds for looking
    through entries, but in a job. `log`: the newest lines of the service, empty if there is none."""

    spool: Spool
    settings: Settings
    by: str
    jobs: Jobs = field(default_factory=Jobs)
    checkup: Checkup | None = None
    service: Callable[[], Mapping[str, Any] | None] = lambda: None
    tell: Callable[[str, Value], None] = _nobody_hears
    trusted: bool = True
    patience: float = math.inf
    log: Callable[[], str] = str

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
            "reasons": reasons_of(self.spool, self.settings.in_force(), stats),
        }

    def watch_list(self) -> Value:
        """Without a service nobody looks at the folders."""
        tables = self.settings.in_force()["watch"]
        return watched(tables, [], paused=Work.INTAKE in self.spool.pauses())

    # Entries

    @telling_unread
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
        choice, in_time = _choice(states, matching, older_than), self._in_time()
        if sort is not None:
            _check_reach(offset + limit)
            counted = Counted(choice.entries(self.spool), in_time)
            shown = _best(counted, sort, descending, offset + limit)[offset:]
            total = counted.count
        elif choice.is_narrowed:
            counted = Counted(choice.entries(self.spool), in_time)
            shown = list(islice(counted, offset, offset + limit))
            total = counted.rest()
        else:
            shown = page(self.spool.core.layout, choice.states, offset, limit)
            counts = asdict(self.spool.stats())
            total = sum(counts["waiting" if state is State.PENDING else state.value] for state in choice.states)
        stands = standstill(self.spool, self.service(), shown)
        listed = list(rows(self.spool, shown, stands, in_time))
        return {
            "entries": listed[: fitting(listed)],
            "waits": stands.told() if stands else None,
            "offset": offset,
            "total": max(total, offset + len(shown)),
        }

    @telling_unread
    def entries_page(
        self,
        states: Sequence[str],
        *,
        matching: str = "",
        older_than: float | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Value:
        choice = _choice(states, matching, older_than)
        found = page_of(self.spool, choice, Place.parse(after) if after else None, limit)
        stands = standstill(self.spool, self.service(), found.entries)
        listed = [bare_row(self.spool, entry, stands) for entry in found.entries]
        fit = fitting(listed)
        end = found.end if fit == len(listed) else found.places[fit - 1]
        return {
            "entries": listed[:fit],
            "waits": stands.told() if stands else None,
            "looked": found.looked,
            "next": str(end) if end else None,
        }

    def entries_sort(
        self,
        states: Sequence[str],
        sort: str,
        *,
        matching: str = "",
        older_than: float | None = None,
        descending: bool = False,
        limit: int = 100,
    ) -> Value:
        choice = _choice(states, matching, older_than)

        @telling_unread
        def put_in_order(job: Job) -> Value:
            counted = Counted(choice.entries(self.spool), job.step)
            shown = _best(counted, sort, descending, limit)
            stands = standstill(self.spool, self.service(), shown)
            listed = [bare_row(self.spool, entry, stands) for entry in shown]
            waits = stands.told() if stands else None
            return {"entries": listed[: fitting(listed)], "waits": waits, "total": counted.count}

        return self.jobs.start("entries.sort", self.by, put_in_order)

    def entries_tries(self, ids: Sequence[str]) -> Value:
        tries = self.spool.tries([word for word in ids if is_id(word)], self._in_time())
        return {"tries": {entry: {"attempts": count, "error": error} for entry, (count, error) in tries.items()}}

    @telling_unread
    def entries_survey(self, states: Sequence[str], *, matching: str = "", older_than: float | None = None) -> Value:
        entries = _choice(states, matching, older_than).entries(self.spool)
        return _surveyed(Survey.of(Counted(entries, self._in_time())))

    def entries_count(self, states: Sequence[str], *, matching: str = "", older_than: float | None = None) -> Value:
        choice = _choice(states, matching, older_than)

        @telling_unread
        def count(job: Job) -> Value:
            counted = Counted(choice.entries(self.spool), job.step)
            return _surveyed(Survey.of(counted))

        return self.jobs.start("entries.count", self.by, count)

    @telling_unread
    def entries_get(self, entry: str) -> Value:
        service = self.service()
        found = detail(self.spool, service, entry)
        tries = tries_in(found["history"])
        found |= _newest("history", found["history"])
        if found["path"] is None:
            return found
        here = [self.spool.find(found["id"])]
        lines = list(rows(self.spool, here, standstill(self.spool, service, here), tries=tries))
        return {**found, **{key: lines[0][key] for key in ("attempts", "next_try", "error")}}

    @telling_unread
    def entries_history(self, entry: str) -> Value:
        found = id_of(look_up(self.spool, entry))
        return {"id": found, **_newest("lines", self.spool.history(found))}

    @telling_unread
    def entries_explain(self, entry: str) -> Value:
        facts = gathered(self.spool, self.service(), entry)
        said = explain(facts)
        return {
            "id": facts.id,
            "state": facts.state.value if facts.state else "gone",
            "lines": list(said.lines),
            "commands": [{"for": purpose, "command": command} for purpose, command in said.commands],
        }

    @telling_unread
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
        for state in choice.states:
            transition(state, event)  # else each of a million would be refused one by one, and every refusal kept

        @telling_unread
        def move(job: Job) -> Value:
            chosen = islice(choice.entries(self.spool), count)
            result = moving.move(self.spool, event, chosen, count, step=lambda seen: job.step(seen, count))
            self._tell_moved(event, result)
            return {"moved": result.moved, **_told(result, count, [])}

        about = {"action": action, "count": count, "states": list(states)}
        return self.jobs.start("entries.move_all", self.by, move, about)

    # Work

    def spool_verify(self, states: Sequence[str] = (), sample: int = 0, *, everything: bool = False) -> Value:
        chosen = [State(name) for name in states] or list(ENTRY_STATES)
        if everything and (states or sample):
            raise UsageError(
                "Everything is meant, or some of it: not both. Nothing was changed.", remedy="Leave one out."
            )
        return self.jobs.start(
            "spool.verify",
            self.by,
            telling_unread(lambda job: mending.verified(self.spool, chosen, sample, everything, job)),
        )

    def repair_plan(self) -> Value:
        return self.jobs.start("repair.plan", self.by, lambda job: mending.repaired(self.spool, job, acts=False))

    def repair_act(self) -> Value:
        def mend(job: Job) -> Value:
            result = mending.repaired(self.spool, job, acts=True)
            if result["done"]:
                self.tell("entries", {"action": "repair", "count": result["done"], "by": self.by})
            return result

        return self.jobs.start("repair.act", self.by, mend)

    def diagnose_make(self, *, names: bool = False) -> Value:
        def gather(_: Job) -> Value:
            status = self.service() or self.status_get()
            return mending.diagnosed(self.spool, self.settings.in_force(), status, self.log(), names=names)

        return self.jobs.start("diagnose.make", self.by, gather)

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

    def jobs_get(self, job: str, *, heard: bool = False) -> Value:
        return self.jobs.get(job, heard=heard)

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


def _choice(states: Sequence[str], matching: str, older_than: float | None) -> Choice:
    before = None if older_than is None else time.time() - older_than
    return Choice(tuple(State(name) for name in states), matching, before)


def _check_reach(reach: int) -> None:
    if reach > MOST_SORTED:
        raise UsageError(
            f"A sorted list has its first {MOST_SORTED:,} entries at most. Nothing was changed.",
            remedy="Choose fewer entries, or list them in the order of the folders.",
        )


def _best(entries: Iterator[Entry], sort: str, descending: bool, count: int) -> list[Entry]:
    return (nlargest if descending else nsmallest)(count, entries, SORTS[sort])


def _newest(key: str, lines: Sequence[Value]) -> Value:
    """As many as an answer has room for: what has waited for a year was tried 30,000 times."""
    left_out = len(lines) - fitting(lines[::-1])
    return {key: lines[left_out:], "left_out": left_out}


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
        "refused": [told(error) or _unexpected(error) for error in refused[:MOST_REFUSALS]],
        "more_refused": max(0, len(refused) - MOST_REFUSALS) + result.more_refused,
        "gave_up": result.gave_up,
    }


def _unexpected(error: Exception) -> Value:
    log_unexpected(_log, "A move met an error that was not expected", error)
    return unexpected("The move")
