"""Work on a background thread that is begun again when it dies: logged, counted, told, with the back-off of all workers."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from enum import StrEnum

from dropsafe.queues.callback import told
from dropsafe.supervisor.policy import HEALTH_AFTER, Event, Standing, decide
from dropsafe.workers.link import LocalLink

log = logging.getLogger(__name__)


class Condition(StrEnum):
    """What the thread is doing."""

    IDLE = "not started"
    WORKING = "working"
    PAUSED = "paused"
    RESTARTING = "waiting for its restart"
    STOPPED = "stopped"


class Keeper:
    """Runs `work(link)` until the link says stop, again and again until `ask_to_stop`.

    `on_death(why)` and `on_beat(progress)` are called on its thread.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[LocalLink], None],
        on_death: Callable[[str], None],
        on_beat: Callable[[dict[str, object]], None] | None = None,
    ) -> None:
        self._name = name
        self._work = work
        self._on_death = on_death
        self._on_beat = on_beat
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._link: LocalLink | None = None
        self._paused = False
        self._stopping = False
        self._standing = Standing()
        self._start_at = 0.0
        self.deaths = 0
        self.last_death = ""
        self.condition = Condition.IDLE

    def start(self) -> None:
        """Begin, unless it has begun."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._stopping = False
                self.condition = Condition.PAUSED if self._paused else Condition.WORKING
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def pause(self) -> None:
        """Finish what is in hand and begin nothing. Returns at once."""
        with self._changed:
            self._paused = True
            link = self._link
        if link is not None:
            link.stop()

    def resume(self) -> None:
        """Go on."""
        with self._changed:
            self._paused = False
            if self.condition is Condition.PAUSED:
                self.condition = Condition.WORKING
            self._changed.notify_all()

    def ask_to_stop(self) -> None:
        """Phase one: finish what is in hand. Returns at once."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            link = self._link
        if link is not None:
            link.stop()

    def abandon(self) -> None:
        """Phase two: give up what is in hand. Returns at once."""
        self.ask_to_stop()
        link = self._link
        if link is not None:
            link.abandon_now()

    def join(self, patience: float) -> bool:
        """Whether it has ended within `patience` seconds."""
        thread = self._thread
        if thread is None:
            return True
        thread.join(patience)
        return not thread.is_alive()

    def _run(self) -> None:
        while (link := self._next_link()) is not None:
            begun = time.monotonic()
            try:
                self._work(link)
                if not link.stopping():
                    raise RuntimeError(f"{self._name} ended without having been asked to")
            except BaseException as error:  # noqa: BLE001 - the thread's outermost frame: it lives on, whatever it was
                self._died(error, begun)
        self.condition = Condition.STOPPED

    def _next_link(self) -> LocalLink | None:
        """The link for the next run, once there may be one; None if there is to be none."""
        with self._changed:
            while not self._stopping:
                wait = self._start_at - time.monotonic()
                if self._paused:
                    self.condition = Condition.PAUSED
                    self._changed.wait()
                elif wait > 0:
                    self.condition = Condition.RESTARTING
                    self._changed.wait(wait)
                else:
                    self.condition = Condition.WORKING
                    self._link = LocalLink(self._on_beat)
                    return self._link
            self._link = None
            return None

    def _died(self, error: BaseException, begun: float) -> None:
        now = time.monotonic()
        if now - begun >= HEALTH_AFTER:
            self._standing = decide(self._standing, Event.HEALTHY, now, random.random).standing
        verdict = decide(self._standing, Event.DIED, now, random.random)
        self._standing = verdict.standing
        self._start_at = now if verdict.start_at is None else verdict.start_at
        self.deaths += 1
        self.last_death = told(error)
        log.error(
            "%s died (%s) and is begun again in %.0f s; nothing in the spool is lost",
            self._name,
            self.last_death,
            self._start_at - now,
            exc_info=error,
        )
        self._on_death(self.last_death)
