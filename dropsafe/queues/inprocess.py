"""Delivery in the user's own process, where no service runs: the same engine, janitor and promises, on threads.

It holds the service lock. Where somebody else does, that one delivers, and this only waits; when the lock has been
free for a minute, it takes over.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any, Final

from dropsafe.config import Config
from dropsafe.desk.silent import LOCK as SERVICE
from dropsafe.errors import TemporaryError
from dropsafe.plural import several
from dropsafe.queues.background import Condition, Keeper
from dropsafe.queues.callback import Callback, CallbackTransport
from dropsafe.queues.manner import Manner
from dropsafe.queues.notices import Notices
from dropsafe.queues.operation_spool import OperationSpool
from dropsafe.queues.watched_hand import Attempts, Done, WatchedHand
from dropsafe.spool.hints import Hints
from dropsafe.spool.locks import Lock, lock_path
from dropsafe.spool.recovery import recover
from dropsafe.supervisor.service_lock import ServiceLock
from dropsafe.workers.backoff import Backoff
from dropsafe.workers.breaker import BreakerState, ProbeBounds
from dropsafe.workers.delivery import ABANDON_GRACE, Engine
from dropsafe.workers.janitor import Janitor
from dropsafe.workers.link import LocalLink
from dropsafe.workers.settings import Settings

log = logging.getLogger(__name__)

LOCK_POLL = 15.0
TAKE_OVER_AFTER = 60.0
"""Seconds for which the lock must have been free: a service that restarts must find it so."""
_LONGEST_PROBE = 60.0
_FORCE: Final = 2 * ABANDON_GRACE + 10.0
"""Seconds that phase two of a stop may take before the thread is left to itself."""
_LOOKS_FOR_COUNT = 20
_JANITOR_PATIENCE = 5.0
_MOST_ENTRIES = 100_000_000


class InProcess:
    """Delivers the operations of one spool by `callback`, from `start` to `stop`. It may be started again."""

    def __init__(
        self,
        operations: OperationSpool,
        callback: Callback,
        loop_of: Callable[[], asyncio.AbstractEventLoop],
        notices: Notices,
        manner: Manner,
    ) -> None:
        self._operations = operations
        self._callback = callback
        self._loop_of = loop_of
        self._notices = notices
        self._settings = Settings(
            manner.max_concurrent,
            Backoff(manner.retry_interval, manner.longest_backoff),
            ProbeBounds(manner.retry_interval, max(_LONGEST_PROBE, manner.retry_interval)),
        )
        self._stop_timeout = manner.stop_timeout
        self._attempts = Attempts(manner.max_retries)
        self._done = Done()
        self._delivery = Keeper("dropsafe-delivery", self._deliver, self._delivery_died, self._correct_count)
        self._janitor = Keeper("dropsafe-janitor", self._keep_house, lambda _why: None, self._correct_count_of_resting)
        self._lock: ServiceLock | None = None
        self._starting = threading.Lock()
        self._recovered = False
        self._engine: Engine | None = None
        self._transport: CallbackTransport | None = None
        self._process = os.getpid()

    @property
    def delivers(self) -> bool:
        """Whether this process holds the service lock, and so delivers."""
        return self._lock is not None

    @property
    def is_working(self) -> bool:
        """Begun, and neither paused nor stopped."""
        return self._delivery.condition in (Condition.WORKING, Condition.RESTARTING)

    @property
    def active(self) -> int:
        """Calls of the callback under way."""
        transport = self._transport
        return 0 if transport is None else transport.active

    def start(self) -> None:
        """Begin to deliver, or to wait for the lock. Returns at once. Raises OSError if the spool is unusable."""
        with self._starting:
            if self._delivery.condition not in (Condition.IDLE, Condition.STOPPED):
                return
            try:
                self._own(ServiceLock(self._operations.spool.core.layout))
            except TemporaryError as error:
                log.info("operations are only queued here, and delivered by another process: %s", error)
            atexit.register(self._at_exit)
            self._delivery.start()

    def pause(self) -> None:
        """Finish the calls under way and begin no others."""
        self._delivery.pause()

    def resume(self) -> None:
        """Go on."""
        self._delivery.resume()

    def ask_to_stop(self) -> None:
        """Phase one of `stop`. Returns at once."""
        self._delivery.ask_to_stop()
        self._janitor.ask_to_stop()

    def abandon(self) -> None:
        """Phase two of `stop`. Returns at once."""
        self._delivery.abandon()
        self._janitor.ask_to_stop()

    def stop(self) -> None:
        """Finish the calls under way for up to `stop_timeout`; then abandon them and give the entries back."""
        if os.getpid() != self._process:
            return  # the child of a fork: threads and lock are the parent's
        self.ask_to_stop()
        if not self._delivery.join(self._stop_timeout):
            calls = several(self.active, "call is", "calls are")
            log.warning("%s abandoned after %g s; what was in hand goes back", calls, self._stop_timeout)
            self.abandon()
            if not self._delivery.join(_FORCE):
                log.error("the delivery thread hangs; what it holds is returned to pending/ by the next start")
                return
        self._janitor.join(_JANITOR_PATIENCE)
        atexit.unregister(self._at_exit)
        with self._starting:
            lock, self._lock = self._lock, None
            if lock is not None:
                lock.release()

    def looks(self) -> int:
        """A count of the looks into the spool that found nothing due while nothing was in hand."""
        return self._done.fruitless_looks

    def is_through(self, looks: int) -> bool:
        """Whether everything due has been tried since `looks()` was that. True as well if that cannot come about."""
        engine = self._engine
        if not self.delivers or not self.is_working:
            return True
        if engine is None:
            return self._delivery.condition is Condition.RESTARTING
        if engine.breaker.state is not BreakerState.CLOSED:
            return True
        engine.wake()
        more = self._done.fruitless_looks - looks
        # The first may have begun before; and the count should be right when somebody asks for it now.
        return more >= 2 and (self._operations.is_count_right() or more >= _LOOKS_FOR_COUNT)

    def figures(self) -> dict[str, Any]:
        """What has come of it so far. Costs nothing."""
        done, engine, keeper = self._done, self._engine, self._delivery
        closed = engine is None or engine.breaker.state is BreakerState.CLOSED
        return {
            "condition": keeper.condition.value,
            "delivers": self.delivers,
            "active": self.active,
            "delivered": done.delivered,
            "deferred": done.deferred,
            "rejected": done.rejected,
            "damaged": done.damaged,
            "last_sent": done.last_sent,
            "unavailable": "" if closed or engine is None else engine.breaker.why,
            "deaths": keeper.deaths,
            "last_death": keeper.last_death,
            "janitor_deaths": self._janitor.deaths,
        }

    def _own(self, lock: ServiceLock) -> None:
        self._lock = lock
        self._recovered = False
        self._janitor.start()

    def _at_exit(self) -> None:
        """A program that ends without `stop`: what is in hand is finished or given back, as far as time allows."""
        self.stop()

    def _deliver(self, link: LocalLink) -> None:
        """One life of the engine."""
        if not self._wait_for_lock(link):
            return
        transport = CallbackTransport(self._callback, self._loop_of, self._failed)
        with (
            self._operations.another() as spool,
            closing(transport),
            closing(spool.take_hand("queue")) as hand,
        ):
            if not self._recovered:
                self._attempts.recall(spool)
                done = recover(spool.core)
                if done.words():
                    log.info("put right at the start: %s", done.words())
                self._recovered = True
            watched = WatchedHand(hand, self._done, self._attempts, self._notices, self._correct_count)
            engine = Engine(spool, watched, transport, link, self._settings, spool.core.clock)
            link.on_stop(engine.wake)
            self._transport, self._engine = transport, engine
            try:
                with closing(Hints(spool.core.layout, engine.wake)):
                    engine.run()
            finally:
                self._engine = None

    def _keep_house(self, link: LocalLink) -> None:
        """Audits, retention, orphans, the disk: what the service's janitor does, with its defaults."""
        limits = self._operations.limits
        settings = Config({"min_free_bytes": limits.min_free_bytes})
        if limits.max_queue_size:
            settings["max_queue_size"] = min(limits.max_queue_size, _MOST_ENTRIES)
        with self._operations.another() as spool:
            Janitor(spool, settings, link).run()

    def _wait_for_lock(self, link: LocalLink) -> bool:
        """Whether the service lock is ours; False if a stop was asked for before it was."""
        asked = threading.Event()
        link.on_stop(asked.set)
        layout = self._operations.spool.core.layout
        free_for = 0.0
        while self._lock is None:
            if link.stopping():
                return False
            asked.wait(LOCK_POLL)
            free_for = free_for + LOCK_POLL if _is_free(Lock(lock_path(layout, SERVICE), layout.file_mode)) else 0.0
            if free_for >= TAKE_OVER_AFTER:
                with self._starting:
                    try:
                        self._own(ServiceLock(layout))
                    except TemporaryError:
                        free_for = 0.0
                        continue
                log.info("nobody has delivered for a minute: operations are delivered by this process from now on")
        return True

    def _failed(self, entry_id: str, why: str) -> None:
        """The callback did not deliver it."""
        if count := self._attempts.failed(entry_id):
            told = f"It was not delivered in {count} attempts ({why}). It stays in the queue and is tried again."
            log.warning("operation %s: %s", entry_id, told)
            self._notices.failed(entry_id, told)

    def _correct_count_of_resting(self, _progress: object) -> None:
        """On the janitor's thread, while the other one is paused or waits for its restart."""
        if self._engine is None:
            self._correct_count()

    def _correct_count(self, _progress: object = None) -> None:
        with suppress(OSError):  # it is for people; what is wrong with the disk, the delivering finds out itself
            self._operations.correct_count()

    def _delivery_died(self, why: str) -> None:
        self._notices.failed("", f"Delivering was interrupted ({why}) and begins again by itself; nothing is lost.")


def _is_free(lock: Lock) -> bool:
    """Whether nobody holds it. It is held for the moment of looking."""
    try:
        return lock.try_acquire()
    finally:
        lock.close()
