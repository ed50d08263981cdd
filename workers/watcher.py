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
from dataclasses import dataclass, field
from typing import Any

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
from dropsafe.spool import Spool, limits_from
from dropsafe.spool.dropfolder import Candidate, DropFolder, Settling, scan
from dropsafe.spool.foreign import ForeignFiles, adoption_folder
from dropsafe.spool.intake import Attempt, Intake, Record, Taken
from dropsafe.spool.listing import Stranger
from dropsafe.spool.pausing import Work
from dropsafe.workers.link import BEAT, Link

log = logging.getLogger(__name__)

THREADS = 8
SHORTEST_LOOK = 0.05
LOOK_AGAIN = 1.0
ADOPT_RESCAN = 10.0
TROUBLE_RESCAN = 10.0
"""At most, for a folder that cannot be used: nothing hints that it can be again."""
MAX_SHOWN = 20
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

Look = Callable[[], Iterable[Candidate | Stranger]]


def run(config: dict[str, Any], link: Link) -> None:
    """Work until a stop is asked. Raises what makes the spool unusable."""
    settings = Config.from_dict(config)
    with Spool(settings["spool_dir"], limits_from(settings)) as spool:
        watcher = Watcher(spool, settings["watch"], link)
        watcher.run()


@dataclass(slots=True)
class Watched:
    """One folder under watch. `trouble` is why nothing can be taken from it, for people; empty if all is well."""

    folder: DropFolder
    look: Look
    rescan_seconds: float
    sources: Settling
    parked: Settling
    next_look: float = 0.0
    ready: deque[tuple[Candidate, Record | None]] = field(default_factory=deque)
    trouble: str = ""
    hints: ObservedWatch | None = None
    hinted: tuple[int, int] | None = None
    """Which folder (device and inode) the hints are about."""
    waiting: dict[str, str] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    taken: int = 0


class Watcher:
    """The loop over all folders. For one thread; taking runs in a pool."""

    def __init__(self, spool: Spool, watch: list[dict[str, Any]], link: Link) -> None:
        self._spool = spool
        self._clock = spool.core.clock
        self._link = link
        self._intake = Intake(spool.core)
        self._wake = threading.Event()
        self._hinted = threading.Event()
        self._observer = Observer()
        logging.getLogger("watchdog.observers.inotify").addFilter(_is_worth_telling)
        self._busy: dict[str, Future[Attempt]] = {}
        self._owner: dict[str, Watched] = {}
        foreign = ForeignFiles(spool.core)
        adoption = adoption_folder(spool.core)
        self._watched = [_watched(adoption, foreign.scan, ADOPT_RESCAN)]
        for table in watch:
            folder = drop_folder(table)
            self._watched.append(_watched(folder, _scanner(folder), table["rescan_seconds"]))
        self._handler = _Handler(self._hinted, self._wake, {watched.folder.path for watched in self._watched})

    def run(self) -> None:
        settled = self._intake.finish_interrupted(lambda: self._link.beat(self.progress()))
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
                self._link.beat(self.progress())
                self._spool.core.producer.check()
                self._wait(BEAT if paused else self._rest())
            self._finish_busy()

    def progress(self) -> dict[str, object]:
        """For the status: what was taken, what waits and why, and what cannot be taken."""
        folders = [
            {
                "path": watched.folder.path,
                "taken": watched.taken,
                "waiting": watched.sources.waiting + watched.parked.waiting,
                "trouble": watched.trouble,
            }
            for watched in self._watched[1:]
        ]
        return {"folders": folders, "taken": sum(w.taken for w in self._watched), "problems": list(self._problems())}

    def _problems(self) -> Iterator[dict[str, str]]:
        """Reasons for the status. Names of files and folders stand in `detail`, which not everybody may read."""
        for watched in self._watched:
            if watched.trouble:
                yield {
                    "code": "drop-folder",
                    "text": "A drop folder cannot be used; what is in it stays there.",
                    "remedy": f"Give the service's user what it lacks; {log_place()} says which folder, and what.",
                    "detail": watched.trouble,
                }
            if watched.strangers:
                yield {
                    "code": "cannot-be-taken",
                    "text": f"{len(watched.strangers)} thing(s) in a drop folder or in pending/ cannot be taken.",
                    "remedy": f"Replace each by a regular file, or move it away; {log_place()} names them.",
                    "detail": watched.strangers[0],
                }
            blocked = [why for why in watched.waiting.values() if why]
            if blocked:
                yield {
                    "code": "intake-waits",
                    "text": f"{len(blocked)} file(s) in a drop folder wait to be taken.",
                    "remedy": "Nothing, if their program is still writing; else see which program has them open.",
                    "detail": blocked[0],
                }

    def _look_at_all(self) -> None:
        now = self._clock.monotonic()
        if self._hinted.is_set():
            self._hinted.clear()
            for watched in self._watched:
                # Our own renames are hints too: a folder is not listed again while there is enough to take.
                watched.next_look = min(watched.next_look, now + SHORTEST_LOOK)
        for watched in self._watched:
            if now >= watched.next_look and not watched.ready:
                self._look_at(watched, now)

    def _look_at(self, watched: Watched, now: float) -> None:
        watched.next_look = now + watched.rescan_seconds
        trouble = obstacle(watched.folder)
        found: list[Candidate | Stranger] = []
        parked: list[tuple[Record, Candidate]] = []
        if not trouble:
            try:
                found = list(watched.look())
                parked = list(self._intake.parked(watched.folder))
            except OSError as error:
                trouble = f"{error.filename or watched.folder.path} cannot be read ({error.strerror}). Nothing is lost."
        if trouble and trouble != watched.trouble:
            log.warning("%s", trouble)
        if trouble:
            watched.next_look = min(watched.next_look, now + TROUBLE_RESCAN)
        watched.trouble = trouble
        self._observe(watched)
        strangers = [f"{item.path}: {item.why}" for item in found if isinstance(item, Stranger)][:MAX_SHOWN]
        for stranger in strangers:
            if stranger not in watched.strangers:
                log.warning("It cannot be taken and is left alone: %s", stranger)
        watched.strangers = strangers
        candidates = [item for item in found if isinstance(item, Candidate) and item.path not in self._busy]
        watched.ready.extend((candidate, None) for candidate in watched.sources.settled(candidates, now))
        records = {candidate.path: record for record, candidate in parked if candidate.path not in self._busy}
        waiting = [candidate for _, candidate in parked if candidate.path in records]
        watched.ready.extend((candidate, records[candidate.path]) for candidate in watched.parked.settled(waiting, now))
        if watched.sources.waiting + watched.parked.waiting > len(watched.ready):
            settle = min(max(watched.folder.settle_seconds, SHORTEST_LOOK), LOOK_AGAIN)
            watched.next_look = now + min(settle, watched.rescan_seconds)

    def _start_ready(self, pool: ThreadPoolExecutor) -> None:
        for watched in self._watched:
            while watched.ready and len(self._busy) < 2 * THREADS:
                candidate, record = watched.ready.popleft()
                if record is None:
                    future = pool.submit(self._intake.take, watched.folder, candidate)
                else:
                    future = pool.submit(self._intake.take_parked, record, candidate.seen)
                self._busy[candidate.path] = future
                self._owner[candidate.path] = watched
                future.add_done_callback(lambda _: self._wake.set())

    def _collect(self) -> None:
        """Take note of the attempts that have ended. An unexpected error ends the watcher: its supervisor restarts it."""
        for path in [path for path, future in self._busy.items() if future.done()]:
            attempt = self._busy.pop(path).result()
            watched = self._owner.pop(path)
            watched.waiting.pop(path, None)
            match attempt.taken:
                case Taken.ACCEPTED:
                    watched.taken += 1
                case Taken.WAITS | Taken.FULL | Taken.REFUSED:
                    watched.waiting[path] = attempt.why
                    watched.next_look = self._clock.monotonic() + LOOK_AGAIN
                    log.log(logging.WARNING if attempt.taken is Taken.REFUSED else logging.DEBUG, "%s", attempt.why)
                case Taken.GONE:
                    pass
        for watched in self._watched:
            if watched.waiting:
                watched.waiting = {path: why for path, why in watched.waiting.items() if os.path.lexists(path)}

    def _finish_busy(self) -> None:
        """What is being taken is finished; the rest stays where it is."""
        while self._busy and not self._link.abandon():
            self._collect()
            self._link.beat(self.progress())
            self._wake.wait(BEAT)
            self._wake.clear()

    def _rest(self) -> float:
        """Seconds until it is time to look or to beat again."""
        next_look = min(watched.next_look for watched in self._watched)
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


def _identity(path: str) -> tuple[int, int] | None:
    """None if it is not there."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def drop_folder(table: dict[str, Any]) -> DropFolder:
    """A `[[watch]]` table as a drop folder."""
    return DropFolder(
        path=os.path.normpath(table["path"]),
        pattern=table["pattern"],
        recursive=table["recursive"],
        settle_seconds=table["settle_seconds"],
        move_to=table["after"].removeprefix("move:") if table["after"].startswith("move:") else "",
    )


def obstacle(folder: DropFolder) -> str:
    """Why nothing can be taken from that folder, with what to grant; empty if something can."""
    if not os.path.isdir(folder.path):
        return f"The drop folder {folder.path} does not exist. Make it, or take it out of the configuration."
    if not os.access(folder.path, os.R_OK | os.W_OK | os.X_OK):
        return (
            f"The service may not read, write and rename in {folder.path}, so it is not watched; the files in it stay "
            "where they are. Grant its user read, write and search permission on that folder."
        )
    if folder.move_to:
        if not os.path.isdir(folder.move_to) or not os.access(folder.move_to, os.W_OK | os.X_OK):
            return (
                f"The folder {folder.move_to}, to which taken files should go, does not exist or may not be written to."
            )
        if os.stat(folder.move_to).st_dev != os.stat(folder.path).st_dev:
            return f"{folder.move_to} is on another file system than {folder.path}: taken files cannot be moved there."
    return ""


def _scanner(folder: DropFolder) -> Look:
    return lambda: scan(folder)


def _watched(folder: DropFolder, look: Look, rescan_seconds: float) -> Watched:
    return Watched(folder, look, rescan_seconds, Settling(folder.settle_seconds), Settling(folder.settle_seconds))
