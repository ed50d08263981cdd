"""The janitor: audits, retention, the disk guard, old history, and what dead workers left behind."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from dropsafe.config import Config
from dropsafe.errors import TemporaryError
from dropsafe.log import log_place
from dropsafe.plural import several
from dropsafe.spool import Spool, State, limits_from
from dropsafe.spool.audit import AuditFigures
from dropsafe.spool.facts import Access, Room
from dropsafe.spool.foreign import absorb_left_reasons
from dropsafe.spool.health import Problem, Vitals, access_problems, disk_is_low, problems
from dropsafe.spool.listing import access
from dropsafe.spool.platform import system
from dropsafe.spool.recovery import recover_orphans
from dropsafe.spool.retention import expire, expire_journal, expire_receipts, load_guard, policy_from, save_guard
from dropsafe.workers.link import BEAT, LEASE, Link, Pulse
from dropsafe.workers.making_room import removed_words

log = logging.getLogger(__name__)

DISK_EVERY = 10.0
ORPHANS_EVERY = 30.0
GUARD_EVERY = 60.0
EXPIRE_EVERY = 3600.0
TROUBLE_AGAIN = 10.0
"""A chore that failed is repeated so soon at the latest: what a person has mended must not be complained of for an hour."""
AUDIT_SHARE = 20
"""An audit that took t seconds is not repeated before 20 t."""


def run(config: dict[str, Any], link: Link) -> None:
    """Work until a stop is asked. Raises what makes the spool unusable."""
    settings = Config.from_dict(config)
    with Spool(settings["spool_dir"], limits_from(settings)) as spool:
        Janitor(spool, settings, link).run()


@dataclass(slots=True)
class Chore:
    """Something done regularly; `wait` returns the seconds until the next time."""

    name: str
    action: Callable[[], None]
    wait: Callable[[], float]
    due: float = 0.0
    trouble: str = ""


class Janitor:
    """Runs the chores that are due, one after another. A chore that fails is logged, shown, and tried again."""

    def __init__(self, spool: Spool, config: Config, link: Link) -> None:
        self._core = spool.core
        self._clock = spool.core.clock
        self._config = config
        self._limits = limits_from(config)
        self._link = link
        self._policy = policy_from(config)
        self._guard = load_guard(self._core, self._policy.retention_days)
        self._figures: AuditFigures | None = None
        self._audit_took = 0.0
        self._unproven = 0
        self._missing_locks: dict[str, float] = {}
        self._left_behind: list[str] = []
        self._low: Room | None = None
        self._free: dict[str, int | None] = {}
        self._access = Access()
        self._pulse = Pulse(self._clock, lambda lease: link.beat(self.progress(), lease=lease))
        self._chores = [
            Chore("look at the disk", self._watch_disk, lambda: DISK_EVERY),
            Chore("audit", self._audit, lambda: max(config["audit_interval"], AUDIT_SHARE * self._audit_took)),
            Chore("care for what the dead left", self._orphans, lambda: ORPHANS_EVERY),
            Chore("note of the time", self._note_clock, lambda: GUARD_EVERY),
            Chore("expiry", self._expire, lambda: EXPIRE_EVERY),
        ]

    def run(self) -> None:
        wake = threading.Event()
        self._link.on_stop(wake.set)
        self._link.ready()
        while not self._link.stopping():
            self.do_what_is_due()
            self._pulse.beat()
            wake.wait(BEAT)

    def do_what_is_due(self) -> None:
        for chore in self._chores:
            if self._clock.monotonic() < chore.due or self._link.stopping():
                continue
            try:
                chore.action()
                chore.trouble = ""
            except (OSError, TemporaryError) as error:
                if str(error) != chore.trouble:  # a disk may be broken for days: once is enough
                    log.exception("The janitor's %s failed; it is tried again", chore.name)
                chore.trouble = str(error)
            wait = min(chore.wait(), TROUBLE_AGAIN) if chore.trouble else chore.wait()
            chore.due = self._clock.monotonic() + wait

    def progress(self) -> dict[str, object]:
        """The figures of the last audit, what is free on the disk, and what needs a person."""
        figures = asdict(self._figures) if self._figures else None
        return {"figures": figures, **self._free, "problems": [asdict(problem) for problem in self.problems()]}

    def problems(self) -> Iterator[Problem]:
        """Everything in the spool that is not well, the most urgent first."""
        yield from access_problems(self._access)
        for chore in self._chores:
            if chore.trouble:
                text = f"The janitor's {chore.name} failed. It is tried again; nothing is lost."
                yield Problem(
                    "janitor-chore", text, f"See {log_place()}; if it stays, look at the disk.", chore.trouble
                )
        if self._guard.is_suspended:
            yield Problem(
                "clock",
                "The clock of this machine was set by more than an hour, or the machine was off for long: for a day nothing "
                "that was delivered is removed. Nothing is lost; deliveries go on.",
                "See that date and time of this machine are right. Else nothing: it ends by itself.",
            )
        yield from problems(self._vitals(), self._low, self._limits, self._config["warn_age"], self._clock.now())
        if self._left_behind:
            text = "What processes that died left in the spool cannot all be put right. Nothing is lost; it is tried again."
            yield Problem(
                "left-behind", text, f"See what the system complains of in {log_place()}.", self._left_behind[0]
            )
        if self._unproven:
            entries = several(self._unproven, "entry in sent/ has", "entries in sent/ have")
            yield Problem(
                "unproven",
                f"{entries} no receipt: whether the server has it is not known. Nothing is deleted.",
                "To have it sent again: move it to pending/. Which and where: dropsafe verify --state sent",
            )
        if self._core.journal.lost:
            lines = several(self._core.journal.lost, "line", "lines")
            text = f"{lines} of history could not be written. No report is touched by that."
            yield Problem("history", text, "See that the spool's disk is writable and not full.")

    def _vitals(self) -> Vitals:
        figures, pauses = self._figures, self._core.pauses.current()
        if figures is None:
            return Vitals(0, 0, 0, "", (), pauses)
        counts = figures.counts
        return Vitals(
            figures.waiting,
            counts[State.FAILED],
            counts[State.QUARANTINE],
            figures.oldest,
            figures.strangers,
            pauses,
        )

    def _watch_disk(self) -> None:
        layout = self._core.layout
        self._access = access(layout)
        room = system.room(layout.root)
        self._free = {"free_bytes": room.bytes, "free_inodes": room.inodes}
        self._low = disk_is_low(room, self._limits)
        if self._low:
            self._expire()
        self._core.reserve.refill(self._policy.min_free_bytes)

    def _audit(self) -> None:
        start = self._clock.monotonic()
        self._figures = self._core.audit(self._pulse.tick)
        if absorbed := absorb_left_reasons(self._core, self._pulse.tick):
            log.info("%d reason files of entries moved by hand became history", absorbed)
        self._audit_took = self._clock.monotonic() - start

    def _orphans(self) -> None:
        self._pulse.beat(LEASE)
        done = recover_orphans(self._core, self._missing_locks)
        self._left_behind = done.trouble
        if done.words():
            log.info("left behind by dead workers: %s", done.words())

    def _note_clock(self) -> None:
        self._guard.may_expire(self._clock.now(), self._clock.monotonic())
        save_guard(self._core, self._guard)

    def _expire(self) -> None:
        if not self._guard.may_expire(self._clock.now(), self._clock.monotonic()):
            log.warning("the clock has jumped: nothing is expired for a day")
            return
        self._pulse.beat(LEASE)  # where receipts are missing, all that there are may be read for one bucket
        done = expire(self._core, self._policy, lambda: self._pulse.tick(LEASE))
        self._unproven = done.unproven
        if done.entries:
            why = f"past retention {done.entries - done.early:,}, early because the disk is low {done.early:,}"
            log.info("removed: %s: %s", removed_words(done), why)
        expire_receipts(self._core, self._policy)
        expire_journal(self._core, self._config["journal_days"])
