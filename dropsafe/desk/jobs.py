"""What takes longer than an answer may: each a thread, with progress that can be asked for and an end that is kept a while.

A job that is cancelled ends at its next step; what it has done by then stands, and is told.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from dropsafe.desk.trouble import told, unexpected
from dropsafe.errors import Busy, TemporaryError, UsageError
from dropsafe.log import log_unexpected
from dropsafe.spool.clock import SYSTEM_CLOCK, Clock, iso

MOST_RUNNING: Final = 4
SHARE: Final = 2
"""So many of the jobs, and of the threads that answer guests, one user has at most, so that others get theirs."""
MOST_KEPT: Final = 50
KEPT_FOR: Final = 600.0
"""Seconds for which the end of a job can be asked for."""
KEPT_UNHEARD: Final = 86_400.0
"""The same of one that a person wanted done, as long as nobody has said that he heard of its end."""

_log = logging.getLogger(__name__)


class JobState(StrEnum):
    """How it stands with a job."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Job:
    """One. Its work calls `step`, and ends when that says so."""

    kind: str
    by: str
    began: float
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    state: JobState = JobState.RUNNING
    done: int = 0
    total: int | None = None
    result: Any = None
    error: dict[str, Any] | None = None
    ended: float | None = None
    ended_monotonic: float = 0.0
    cancel: threading.Event = field(default_factory=threading.Event)
    about: Mapping[str, Any] | None = None
    """What a person wanted done, so that whoever comes back to it can be told; None: it only looks."""
    heard: bool = False

    @property
    def is_awaited(self) -> bool:
        """Whether somebody may still come to hear of its end."""
        return self.about is not None and not self.heard

    def step(self, done: int, total: int | None = None) -> bool:
        """So much is done; whether to end now."""
        self.done, self.total = done, total
        return self.cancel.is_set()

    def told(self, *, whole: bool) -> dict[str, Any]:
        """As a plain value, with the result if it is wanted whole."""
        content: dict[str, Any] = {
            "id": self.id,
            "kind": self.kind,
            "by": self.by,
            "state": self.state.value,
            "began": iso(self.began),
            "ended": None if self.ended is None else iso(self.ended),
            "done": self.done,
            "total": self.total,
            "error": self.error,
            "about": self.about,
            "heard": self.heard,
        }
        return {**content, "result": self.result} if whole else content


Work = Callable[[Job], Any]
"""Does the work and returns its result, a plain value. Raises DropsafeError, OSError."""


class Jobs:
    """All of them. Safe for threads. `on_change` is called when one begins or ends, on whatever thread."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK, on_change: Callable[[Job], None] = lambda _: None) -> None:
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._closed = False

    def start(self, kind: str, by: str, work: Work, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Begin it. Busy if as many run as may, of all or of that user."""
        job = Job(kind, by, self._clock.now(), about=about)
        thread = threading.Thread(target=self._run, args=(job, work), name=f"job-{kind}", daemon=True)
        with self._lock:
            self._forget()
            if self._closed:
                raise TemporaryError(
                    "The service stops, so nothing long is begun any more. Nothing was changed.",
                    remedy="Ask again when the service runs.",
                )
            if len(self._threads) >= MOST_RUNNING:
                raise Busy(
                    f"{MOST_RUNNING} jobs run already, and no more may at once. Nothing was changed.",
                    remedy="Wait until one has ended, or cancel one.",
                )
            if self._running_of(by) >= SHARE:
                raise Busy(
                    f"{SHARE} jobs of {by} run already, and one user may have no more at once. Nothing was changed.",
                    remedy="Wait until one of them has ended, or cancel one.",
                )
            try:
                thread.start()
            except RuntimeError as error:
                raise TemporaryError(
                    f"The system has no room for another thread ({error}). Nothing was changed.",
                    remedy="Try again in a moment, and see what else runs on this machine.",
                ) from error
            self._jobs[job.id] = job
            self._threads[job.id] = thread
        self._on_change(job)
        return job.told(whole=True)

    def get(self, job_id: str, *, heard: bool = False) -> dict[str, Any]:
        """UsageError if there is none of that id. `heard`: a person has been told of its end."""
        job = self._find(job_id)
        job.heard = job.heard or (heard and job.ended is not None)
        return job.told(whole=True)

    def list(self) -> list[dict[str, Any]]:
        """All that are known, without their results, in the order in which they began."""
        with self._lock:
            self._forget()
            return [job.told(whole=False) for job in self._jobs.values()]

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Ask it to end. Nothing is changed if it has ended."""
        job = self._find(job_id)
        job.cancel.set()
        return job.told(whole=True)

    def close(self, patience: float = 2.0) -> None:
        """Cancel all, give them that many seconds together, and begin none any more."""
        until = self._clock.monotonic() + patience
        with self._lock:
            self._closed = True
            threads = list(self._threads.items())
            for job_id, _ in threads:
                self._jobs[job_id].cancel.set()
        for _, thread in threads:
            thread.join(max(0.0, until - self._clock.monotonic()))

    def wait(self, job_id: str, seconds: float) -> dict[str, Any]:
        """The job, once it has ended or the time is over."""
        thread = self._threads.get(job_id)
        if thread is not None:
            thread.join(seconds)
        return self.get(job_id)

    def _run(self, job: Job, work: Work) -> None:
        state, result, error = JobState.DONE, None, None
        try:
            result = work(job)
            if job.cancel.is_set():
                state = JobState.CANCELLED
        except Exception as trouble:  # noqa: BLE001 - the boundary of the thread; whoever asks for the job is told
            state, error = JobState.FAILED, told(trouble)
            if error is None:
                log_unexpected(_log, f"The job {job.kind} met an error that was not expected", trouble)
                error = unexpected(job.kind)
        with self._lock:
            job.result, job.error, job.state = result, error, state
            job.ended, job.ended_monotonic = self._clock.now(), self._clock.monotonic()
            del self._threads[job.id]
        self._on_change(job)

    def _running_of(self, by: str) -> int:
        """One that was cancelled and is on its way out does not count: whoever sorts anew has another one at once."""
        return sum(job.by == by and not job.cancel.is_set() for job in map(self._jobs.__getitem__, self._threads))

    def _find(self, job_id: str) -> Job:
        with self._lock:
            self._forget()
            job = self._jobs.get(job_id)
        if job is None:
            raise UsageError(
                f"There is no job {job_id!r}; one that has ended is known for {KEPT_FOR / 60:.0f} minutes.",
                remedy="See which there are, or start it again.",
            )
        return job

    def _forget(self) -> None:
        now = self._clock.monotonic()
        ended = sorted((job for job in self._jobs.values() if job.ended is not None), key=lambda job: job.is_awaited)
        for job in ended:
            if now - job.ended_monotonic >= (KEPT_UNHEARD if job.is_awaited else KEPT_FOR):
                del self._jobs[job.id]
        for job in ended[: max(0, len(self._jobs) - MOST_KEPT)]:
            self._jobs.pop(job.id, None)
