"""The watcher: takes files from drop folders, and adopts foreign ones from `pending/`, by the rule of intake.

File-system events are hints; a rescan always follows. A file that is being copied never stops the heartbeat: taking
is done by a few threads, looking by the one loop.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

from dropsafe.config import Config
from dropsafe.log import log_place
from dropsafe.plural import several
from dropsafe.printable import MAX_SHOWN, in_lines
from dropsafe.spool import Spool, limits_from
from dropsafe.spool.attempt import Attempt, Taken
from dropsafe.spool.clock import iso
from dropsafe.spool.dropfolder import Candidate, DropFolder, Settling, scan
from dropsafe.spool.foreign import ForeignFiles, adoption_folder
from dropsafe.spool.health import Problem
from dropsafe.spool.intake import Intake
from dropsafe.spool.intake_records import Record
from dropsafe.spool.listing import Stranger
from dropsafe.spool.pausing import Work
from dropsafe.spool.retention import Policy, policy_from
from dropsafe.workers import waits
from dropsafe.workers.link import BEAT, LEASE, Link, Pulse
from dropsafe.workers.making_room import RoomMaker
from dropsafe.workers.obstacles import drop_folder, obstacle, unreadable

log = logging.getLogger(__name__)

THREADS = 8
SHORTEST_LOOK = 0.05
LONGEST_SETTLE_LOOK = 1.0
LOOK_SHARE = 10
"""A look that took t seconds is not repeated before 10 t: 20,000 files that wait must not keep a core busy."""
ADOPT_RESCAN = 10.0
TROUBLE_RESCAN = 10.0
"""At most, for a folder that cannot be used: nothing hints that it can be again."""
# Not that something was opened or read: each of our own looks into a folder would be a hint, too.
HINTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileMovedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,  # the folder itself, perhaps
]

WAITS_TOLD = 5
"""Files in a heartbeat, which has room for a few."""
MOST_SHOWN = 160
"""Characters of each."""

T = TypeVar("T")
Look = Callable[[], Iterable[Candidate | Stranger]]


def run(config: dict[str, Any], link: Link) -> None:
    """Work until a stop is asked. Raises what makes the spool unusable."""
    settings = Config.from_dict(config)
    with Spool(settings["spool_dir"], limits_from(settings)) as spool:
        watcher = Watcher(spool, settings["watch"], link, policy_from(settings))
        watcher.run()


@dataclass(slots=True)
class Watched:
    """One folder under watch. `trouble` is why nothing can be taken from it; None if all is well."""

    folder: DropFolder
    look: Look
    rescan_seconds: float
    sources: Settling
    parked: Settling
    next_look: float = 0.0
    rest_until: float = 0.0
    ready: deque[tuple[Candidate, Record | None]] = field(default_factory=deque)
    trouble: Problem | None = None
    hints: ObservedWatch | None = None
    hinted: tuple[int, int] | None = None
    """Which folder (device and inode) the hints are about."""
    waiting: dict[str, waits.Wait] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    taken: int = 0
    last_name: str = ""
    last_at: str = ""


@dataclass(frozen=True, slots=True)
class Busy:
    """A file that a thread is taking."""

    watched: Watched
    candidate: Candidate
    future: Future[Attempt]


class Watcher:
    """The loop over all folders. For one thread; taking runs in a pool."""

    def __init__(self, spool: Spool, watch: list[dict[str, Any]], link: Link, policy: Policy) -> None:
        self._spool = spool
        self._clock = spool.core.clock
        self._link = link
        self._pulse = Pulse(self._clock, lambda lease: link.beat(self.progress(), lease=lease))
        self._intake = Intake(spool.core, link.abandon)
        self._room = RoomMaker(spool.core, policy, self._pulse)
        self._wake = threading.Event()
        self._hinted = threading.Event()
        self._observer = Observer()
        logging.getLogger("watchdog.observers.inotify").addFilter(_is_worth_telling)
        self._busy: dict[str, Busy] = {}
        foreign = ForeignFiles(spool.core)
        adoption = adoption_folder(spool.core)
        self._watched = [_watched(adoption, foreign.scan, ADOPT_RESCAN)]
        for table in watch:
            folder = drop_folder(table)
            self._watched.append(_watched(folder, _scanner(folder), table["rescan_seconds"]))
        self._handler = _Handler(self._hinted, self._wake, {watched.folder.path for watched in self._watched})

    def run(self) -> None:
        self._pulse.beat(LEASE)  # the entries of interrupted intakes are looked for in the whole spool
        settled = self._intake.finish_interrupted(lambda: self._pulse.tick(LEASE))
        if settled:
            log.info("%d interrupted intakes were finished", settled)
        self._link.on_stop(self._wake.set)
        self._spool.core.producer.start()
        with self._observer, ThreadPoolExecutor(THREADS, "dropsafe-intake") as pool:
            self._link.ready()
            while not self._link.stopping():
                self._collect()
                paused = self._spool.core.pauses.is_paused(Work.INTAKE)
                if not paused:
                    self._look_at_all()
                    self._start_ready(pool)
                self._pulse.beat()
                self._spool.core.producer.check()
                self._wait(BEAT if paused else self._rest())
            self._finish_busy()

    def progress(self) -> dict[str, object]:
        """For the status: what was taken, what waits and why, and what cannot be taken."""
        room = WAITS_TOLD
        folders = []
        for watched in self._watched[1:]:
            told = list(islice(_obstacles(watched), room))
            room -= len(told)
            folders.append(
                {
                    "path": watched.folder.path,
                    "taken": watched.taken,
                    "waiting": watched.sources.waiting + watched.parked.waiting,
                    "trouble": watched.trouble.detail if watched.trouble else "",
                    "remedy": watched.trouble.remedy if watched.trouble else "",
                    "last_name": watched.last_name[:MOST_SHOWN],
                    "last_at": watched.last_at or None,
                    "left_alone": len(watched.strangers),
                    "waits": [{"why": why[:MOST_SHOWN], "remedy": remedy} for why, remedy in told],
                }
            )
        return {
            "folders": folders,
            "taken": sum(w.taken for w in self._watched),
            "problems": [asdict(problem) for problem in self._problems()],
        }

    def _problems(self) -> Iterator[Problem]:
        """Reasons for the status. Names of files and folders stand in `detail`, which not everybody may read."""
        now = self._clock.monotonic()
        for watched in self._watched:
            if watched.trouble:
                yield watched.trouble if watched.folder.adopts else _named_in_log(watched.trouble)
        if strangers := [line for watched in self._watched for line in watched.strangers]:
            things = several(len(strangers), "thing", "things")
            text = f"{things} in a drop folder or in pending/ cannot be taken. Nothing there is touched."
            remedy = f"Replace each by a regular file, or move it away; {log_place()} names them."
            yield Problem("cannot-be-taken", text, remedy, in_lines(strangers))
        for problem in waits.problems((wait for watched in self._watched for wait in self._waits(watched)), now):
            yield _named_in_log(problem) if problem.code == "intake-refused" else problem

    def _waits(self, watched: Watched) -> Iterator[waits.Wait]:
        yield from watched.waiting.values()
        for path, first in {**watched.sources.unsettled, **watched.parked.unsettled}.items():
            start = first + watched.folder.settle_seconds
            if path not in watched.waiting:
                yield waits.Wait(waits.growing(path), start, 0.0, 0.0)

    def _look_at_all(self) -> None:
        now = self._clock.monotonic()
        if self._hinted.is_set():
            self._hinted.clear()
            for watched in self._watched:
                # Our own renames are hints too: a folder is not listed again while there is enough to take.
                watched.next_look = min(watched.next_look, now + SHORTEST_LOOK)
        for watched in self._watched:
            if now >= max(watched.next_look, watched.rest_until) and not watched.ready:
                self._look_at(watched, now)
                done = self._clock.monotonic()
                watched.rest_until = done + LOOK_SHARE * (done - now)
                now = done

    def _look_at(self, watched: Watched, now: float) -> None:
        watched.next_look = now + watched.rescan_seconds
        trouble = obstacle(watched.folder, self._spool.core.layout.root)
        found: list[Candidate | Stranger] = []
        parked: list[tuple[Record, Candidate]] = []
        if not trouble:
            try:
                found = list(self._ticking(watched.look()))
                parked = list(self._ticking(self._intake.parked(watched.folder)))
            except OSError as error:
                trouble = unreadable(watched.folder, error)
        if trouble and trouble != watched.trouble:
            log.warning("%s %s", trouble.detail, trouble.remedy)
        elif watched.trouble and not trouble:
            log.info("The drop folder %s can be used again", watched.folder.path)
        if trouble:
            watched.next_look = min(watched.next_look, now + TROUBLE_RESCAN)
        watched.trouble = trouble
        self._observe(watched)
        known = set(watched.strangers)
        watched.strangers = [str(item) for item in found if isinstance(item, Stranger)]
        for stranger in [line for line in watched.strangers if line not in known][:MAX_SHOWN]:
            log.warning("It cannot be taken and is left alone: %s", stranger)
        candidates = [item for item in found if isinstance(item, Candidate) and item.path not in self._busy]
        records = {candidate.path: record for record, candidate in parked if candidate.path not in self._busy}
        present = {*self._busy, *records, *(candidate.path for candidate in candidates)}
        watched.waiting = {path: wait for path, wait in watched.waiting.items() if path in present}
        waiting = [candidate for _, candidate in parked if candidate.path in records]
        settled = watched.sources.settled(candidates, now) + watched.parked.settled(waiting, now)
        for candidate in settled:
            wait = watched.waiting.get(candidate.path)
            if wait is None or wait.next_try <= now:
                watched.ready.append((candidate, records.get(candidate.path)))
        if watched.sources.unsettled or watched.parked.unsettled:
            settle = min(max(watched.folder.settle_seconds, SHORTEST_LOOK), LONGEST_SETTLE_LOOK)
            watched.next_look = min(watched.next_look, now + settle)
        for wait in watched.waiting.values():
            watched.next_look = min(watched.next_look, max(wait.next_try, now + SHORTEST_LOOK))

    def _ticking(self, items: Iterable[T]) -> Iterator[T]:
        """A share may take minutes to list."""
        for item in items:
            self._pulse.tick()
            yield item

    def _start_ready(self, pool: ThreadPoolExecutor) -> None:
        for watched in self._watched:
            while watched.ready and len(self._busy) < 2 * THREADS:
                candidate, record = watched.ready.popleft()
                if candidate.path in self._busy:  # two tables for one folder
                    continue
                if record is None:
                    future = pool.submit(self._intake.take, watched.folder, candidate)
                else:
                    future = pool.submit(self._intake.take_parked, record, candidate.seen)
                self._busy[candidate.path] = Busy(watched, candidate, future)
                future.add_done_callback(lambda _: self._wake.set())

    def _collect(self) -> None:
        """Take note of the attempts that have ended. An unexpected error ends the watcher: its supervisor restarts it."""
        for path in [path for path, busy in self._busy.items() if busy.future.done()]:
            busy = self._busy.pop(path)
            watched, attempt = busy.watched, busy.future.result()
            before = watched.waiting.pop(path, None)
            match attempt.taken:
                case Taken.ACCEPTED:
                    watched.taken += 1
                    watched.last_name = os.path.basename(path)
                    watched.last_at = iso(self._clock.now())
                case Taken.GONE:
                    pass
                case Taken.FULL if self._room.make(busy.candidate.seen.size):
                    watched.next_look = self._clock.monotonic()
                case _:
                    self._note(watched, path, attempt, before)
                    if attempt.taken is Taken.FULL:
                        self._put_off(watched, busy.candidate.seen.size, attempt)

    def _note(self, watched: Watched, path: str, attempt: Attempt, before: waits.Wait | None) -> None:
        wait = watched.waiting[path] = waits.wait(attempt, before, self._clock.monotonic())
        watched.next_look = min(watched.next_look, wait.next_try)
        if before is None or before.attempt.why != attempt.why:
            needs_a_person = attempt.taken in (Taken.REFUSED, Taken.TOO_LARGE)
            log.log(logging.WARNING if needs_a_person else logging.DEBUG, "%s. %s", attempt.why, attempt.remedy)

    def _put_off(self, watched: Watched, size: int, full: Attempt) -> None:
        """Where there was no room for one file there is none for a larger one: 20,000 are not all tried in vain."""
        ready = list(watched.ready)
        watched.ready.clear()
        for candidate, record in ready:
            if candidate.seen.size < size:
                watched.ready.append((candidate, record))
            else:
                attempt = replace(full, why=f"{candidate.path} waits for the same room")
                self._note(watched, candidate.path, attempt, watched.waiting.get(candidate.path))

    def _finish_busy(self) -> None:
        """What is being taken is finished; the rest stays where it is."""
        while self._busy and not self._link.abandon():
            self._collect()
            self._pulse.beat()
            self._wake.wait(BEAT)
            self._wake.clear()

    def _rest(self) -> float:
        """Seconds until it is time to look or to beat again."""
        next_look = min(max(watched.next_look, watched.rest_until) for watched in self._watched)
        return min(BEAT, max(SHORTEST_LOOK, next_look - self._clock.monotonic()))

    def _wait(self, seconds: float) -> None:
        """So long, or until an attempt ends, or a hint or a stop comes."""
        self._wake.wait(seconds)
        self._wake.clear()

    def _observe(self, watched: Watched) -> None:
        """Have hints for a folder that can be used: for the one that is there now, which may be another one."""
        path, recursive = watched.folder.path, watched.folder.recursive
        found = None if watched.trouble else _identity(path)
        if watched.hints is not None and (found != watched.hinted or path in self._handler.gone):
            self._observer.unschedule(watched.hints)
            watched.hints = None
        if watched.hints is None and found is not None:
            watched.hinted = found
            self._handler.gone.discard(path)
            self._pulse.beat(LEASE)  # a watch for each folder of a deep tree, perhaps on a slow share
            try:
                watched.hints = self._observer.schedule(self._handler, path, recursive=recursive, event_filter=HINTS)
            except OSError as error:
                # The rescans alone must do.
                log.debug("no hints for %s (%s); it is looked at every %g s", path, error, watched.rescan_seconds)


class _Handler(FileSystemEventHandler):
    def __init__(self, hinted: threading.Event, wake: threading.Event, folders: set[str]) -> None:
        self._hinted = hinted
        self._wake = wake
        self._folders = folders
        self.gone: set[str] = set()
        """Folders that were removed: nothing more is heard of one that was made again since, perhaps as the same inode."""

    def on_any_event(self, event: FileSystemEvent) -> None:
        if isinstance(event, DirDeletedEvent):
            path = os.fsdecode(event.src_path)
            if path not in self._folders:
                return
            self.gone.add(path)
        self._hinted.set()
        self._wake.set()


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """watchdog calls it an error when an event is left as it stops: for half a second after any file is moved away."""
    return "called when the thread is inactive" not in record.getMessage()


def _named_in_log(problem: Problem) -> Problem:
    """Also for whoever may not see its `detail`, or cannot, for the spool that keeps it can only be read."""
    return replace(problem, remedy=f"{problem.remedy} What is meant is named in {log_place()}.")


def _obstacles(watched: Watched) -> Iterator[tuple[str, str]]:
    """Why each thing that is not taken is not, and what to do."""
    for stranger in watched.strangers:
        yield stranger, "Replace it by a regular file, or move it away."
    for wait in watched.waiting.values():
        yield wait.attempt.why, wait.attempt.remedy


def _identity(path: str) -> tuple[int, int] | None:
    """None if it is not there."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _scanner(folder: DropFolder) -> Look:
    return lambda: scan(folder)


def _watched(folder: DropFolder, look: Look, rescan_seconds: float) -> Watched:
    return Watched(folder, look, rescan_seconds, Settling(folder.settle_seconds), Settling(folder.settle_seconds))
