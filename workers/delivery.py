"""The delivery engine: one conductor loop that owns all work on the spool, and connection threads that own none.

Everything reaches the loop through one inbox (answers, hints, a stop), so that it never spins and always wakes at
once. Each entry in hand is in exactly one place: ready, out with a thread, with the finisher, kept for the breaker.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

from dropsafe.spool.clock import SYSTEM_CLOCK, Clock, iso
from dropsafe.spool.entry import Entry
from dropsafe.workers.aside import Aside
from dropsafe.workers.breaker import Breaker, BreakerState, Disposal, Sign, Verdict, sign_of
from dropsafe.workers.classify import for_one_delivery
from dropsafe.workers.concurrency import Concurrency
from dropsafe.workers.crew import Answered, Crew, Died
from dropsafe.workers.finisher import Finisher, Hand, receipt_for
from dropsafe.workers.link import BEAT, Link
from dropsafe.workers.origin import Origin
from dropsafe.workers.outage import tell_outage
from dropsafe.workers.outcome import Abandoned, Answer, Damaged, Deferred, Delivered, Rejected
from dropsafe.workers.refusals import Burst, refused
from dropsafe.workers.settings import Settings
from dropsafe.workers.supply import MOST_IN_HAND, Supply
from dropsafe.workers.tally import Tally
from dropsafe.workers.transport import Parcel, Transport

log = logging.getLogger(__name__)

CLAIM = 64
"""Claimed at once, when fewer than that are ready."""
AHEAD = 32
"""Given to the threads beyond their number at full rate, so that none waits while the loop is at the disk."""
ABANDON_GRACE = 0.6
"""For abandoned uploads, and once more for their threads: both must fit into the supervisor's ORPHAN_GRACE."""
_TURN = 256
"""Answers taken in before the loop looks at the clock again."""
_NEVER = float("inf")


class Engine:
    """Delivers what is due from one hand. `run` and `run_once` are for one thread; `wake` may be called from any."""

    def __init__(
        self,
        origin: Origin,
        hand: Hand,
        transport: Transport,
        link: Link,
        settings: Settings | None = None,
        clock: Clock = SYSTEM_CLOCK,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._origin = origin
        self._hand = hand
        self._transport = transport
        self._link = link
        self._settings = settings or Settings()
        self._clock = clock
        self._chance = chance
        self._inbox: SimpleQueue[Answered | Died | None] = SimpleQueue()
        self._woken = False
        self._crew = Crew(self._settings.connections, transport, self._parcel_of, self._inbox.put)
        self._finisher = Finisher(hand, clock)
        self._supply = Supply(hand)
        self._breaker = Breaker(self._settings.probes)
        self._limit = Concurrency.at_first(self._settings.connections)
        self._pace = self._settings.pace
        self._claim = CLAIM if self._pace is None else min(CLAIM, max(1, int(self._pace.per_second)))
        self.tally = Tally()
        self._ready: deque[Entry] = deque()
        self._out: dict[str, Entry] = {}
        self._aside = Aside()
        self._refusals: Burst | None = None
        self._run_paths: dict[str, Path] = {}
        self._beat_at = 0.0
        self._told_rest = False
        self._outage_told = False
        self._draining = False
        self._paused = False
        self._is_once = False
        self._abandon_at = _NEVER

    @property
    def breaker(self) -> Breaker:
        """As it stands."""
        return self._breaker

    @property
    def in_hand(self) -> int:
        """Claimed entries that have not left the hand."""
        return len(self._ready) + len(self._out) + self._finisher.held + len(self._aside)

    @property
    def remedy(self) -> str:
        """What a person can do about the destination, as far as it is known."""
        return for_one_delivery(self._breaker.remedy) if self._is_once else self._breaker.remedy

    @property
    def finisher(self) -> Finisher:
        """It knows what the spool has refused so far."""
        return self._finisher

    def wake(self) -> None:
        """Something may have arrived, or a stop is asked for. From any thread; costs nothing when said twice."""
        if not self._woken:
            self._woken = True
            self._inbox.put(None)

    def run(self) -> None:
        """Until the link says stop. Raises LockLost, SpoolError; then the hand still holds what was in it."""
        self._loop(lambda _now: False)

    def run_once(self, patience: float) -> None:
        """Until nothing is due, or the destination has been unavailable for `patience` seconds."""
        self._is_once = True
        self._loop(lambda now: self._is_done(now, patience))

    def progress(self) -> dict[str, object]:
        """Figures and words for the heartbeat."""
        return {
            "hand": self._hand.name,
            **self.tally.progress(),
            "in_hand": self.in_hand,
            "in_progress": len(self._out),
            "concurrency": self._limit.limit,
            **self._breaker.progress(self._clock.monotonic()),
            "owed": self._finisher.owed,
            "trouble": self._finisher.trouble,
        }

    def _loop(self, is_done: Callable[[float], bool]) -> None:
        self._crew.start()
        try:
            while True:
                now = self._clock.monotonic()
                self._tend(now)
                self._fill(now)
                self._tell_rest(now)
                if not self._draining and is_done(now):
                    self._drain()
                if self._draining and self._is_drained(now):
                    return
                self._collect(self._rest(now))
        finally:
            self._end()

    def _tend(self, now: float) -> None:
        """What is due by time: a heartbeat, a stop, commits."""
        if now >= self._beat_at:
            self._hand.check()
            self._heed_pause()
            if self._refusals is not None and self._refusals.is_over(now):
                self._tell_refusals()
            self._beat(now)
        if self._link.probe_asked():
            self._breaker = self._breaker.hurried(now)
        if not self._draining and self._link.stopping():
            self._drain()
        if self._draining and self._abandon_at == _NEVER and self._link.abandon():
            self._crew.cancel.set()
            self._abandon_at = now + ABANDON_GRACE
        if self._finisher.uncommitted and not self._out and not self._ready:
            self._finisher.commit()
        self._finisher.tend(now)

    def _beat(self, now: float) -> None:
        self._told_rest = bool(self.in_hand) and not self._out
        self._link.beat(self.progress())
        self._beat_at = now + BEAT

    def _tell_rest(self, now: float) -> None:
        """An entry alone in hand that is not being sent, but kept, is not to blame should we die: so say so at once."""
        if self.in_hand == 1 and not self._out and not self._told_rest:
            self._beat(now)

    def _rest(self, now: float) -> float:
        """How long the loop may sleep if nothing arrives."""
        due = min(self._beat_at, self._finisher.due(), self._abandon_at)
        if not self._draining and not self._paused:
            wait = self._until_next(now)
            if self._wants_more():
                due = min(due, self._supply.look_at)
            elif self._breaker.state is BreakerState.OPEN:
                due = min(due, max(self._breaker.probe_at, self._supply.look_at, now + wait))
            if wait and self._ready:
                due = min(due, now + wait)
        return max(0.0, due - now)

    def _is_done(self, now: float, patience: float) -> bool:
        """For `run_once`."""
        if self._out:
            return False
        nothing_left = (self._supply.is_dry or self._paused) and self.in_hand == self._finisher.owed
        closed = self._breaker.state is BreakerState.CLOSED
        return nothing_left or (not closed and now - self._breaker.since >= patience)

    # From the spool to the threads

    def _fill(self, now: float) -> None:
        if self._draining or self._paused:
            return
        if not self.in_hand:
            self._supply.hand_is_empty()
        if self._wants_more():
            self._ready.extend(self._supply.claim(now, self._claim, self.in_hand))
        if self._breaker.state is BreakerState.CLOSED:
            while self._ready and len(self._out) < self._room() and not self._until_next(now):
                self._send(self._ready.popleft(), now)
        elif (
            self._breaker.probe_due(now)
            and not self._until_next(now)
            and (probe := self._choose_probe(now)) is not None
        ):
            self._breaker = self._breaker.probing(probe.id)
            self._send(probe, now)

    def _wants_more(self) -> bool:
        closed = self._breaker.state is BreakerState.CLOSED
        return closed and len(self._ready) < self._claim and self.in_hand < MOST_IN_HAND

    def _until_next(self, now: float) -> float:
        """Seconds until the next request may be sent, by max_requests_per_minute. Waited for here, never in a thread."""
        return 0.0 if self._pace is None else self._pace.wait(now)

    def _room(self) -> int:
        limit = self._limit.limit
        return limit + AHEAD if limit == self._limit.ceiling else limit

    def _choose_probe(self, now: float) -> Entry | None:
        """Another entry than the suspect, if there is one, and one that has not failed as a probe before that."""
        for entry in self._supply.claim(now, 1, self.in_hand):
            return entry
        return self._aside.probe()

    def _send(self, entry: Entry, now: float) -> None:
        if self._pace is not None:
            self._pace = self._pace.taken(1, now)
        self._out[entry.id] = entry
        if self._told_rest:
            self._beat(now)
        self._crew.put(entry)

    # From the threads to the spool

    def _collect(self, rest: float) -> None:
        """Sleep until something arrives, then take in what has."""
        try:
            self._take_in(self._inbox.get(timeout=rest) if rest else self._inbox.get_nowait())
            for _ in range(_TURN):
                self._take_in(self._inbox.get_nowait())
        except Empty:
            return

    def _take_in(self, message: Answered | Died | None) -> None:
        if message is None:
            self._woken = False
            self._supply.hint()
            return
        entry = self._out.pop(message.entry.id, None)
        if entry is None:
            return  # it was given back when its upload was abandoned
        if isinstance(message, Died):
            self._thread_died(entry, message.error)
        else:
            self.tally.count_latency(message.answer, message.seconds)
            self._answered(entry, message.answer)

    def _answered(self, entry: Entry, answer: Answer) -> None:
        now = self._clock.monotonic()
        before = self._breaker.state
        self._breaker, verdict = self._breaker.answered(entry.id, answer, now)
        self._adapt(sign_of(answer), before)
        if verdict.disposal is Disposal.FINISH:
            self._finish(entry, answer)
        elif verdict.disposal is Disposal.GIVE_BACK or self._draining or self._paused:
            self._finisher.give_back([entry])
        else:
            self._keep(entry, verdict.disposal)
        if verdict.closed:
            self._closed(verdict)
        elif before is BreakerState.CLOSED and self._breaker.state is BreakerState.OPEN:
            self._opened()
        self._tell_outage()

    def _keep(self, entry: Entry, disposal: Disposal) -> None:
        """Keep it in hand while the breaker is open."""
        if entry.id in self._origin.suspects():
            # It may be in hand only alone, so while it is kept nothing else could be the probe.
            self._defer(entry, Deferred(self._breaker.why))
        elif disposal is Disposal.SUSPECT:
            self._aside.suspect(entry)
        else:
            self._aside.keep(entry)

    def _adapt(self, sign: Sign, state: BreakerState) -> None:
        if sign is Sign.SUCCESS:
            self._limit = self._limit.success()
        elif state is BreakerState.CLOSED and sign in (Sign.TROUBLE, Sign.DOWN):
            self._limit = self._limit.trouble()

    def _opened(self) -> None:
        log.debug("the destination breaker opens: %s", self._breaker.why)
        self._finisher.give_back([*self._recalled(), *self._ready])
        self._ready.clear()
        self._supply.hint()

    def _closed(self, verdict: Verdict) -> None:
        self._ready.extend(self._aside.take_kept())
        suspect = self._aside.take_suspect()
        if suspect is not None and verdict.blamed is not None:
            self._finish(suspect, verdict.blamed[1])
        elif suspect is not None:
            self._ready.append(suspect)
        self._finisher.make_due([self._run_paths[key] for key in verdict.due_again if key in self._run_paths])
        self._run_paths.clear()
        self._supply.hint()

    def _tell_outage(self) -> None:
        told = tell_outage(self._breaker, self._outage_told, self.remedy)
        if told is not self._outage_told:
            self._outage_told = told
            self._beat_at = 0.0

    def _tell_refusals(self) -> None:
        if self._refusals is not None:
            log.warning("%s", self._refusals.told())
            self._refusals = None

    def _finish(self, entry: Entry, answer: Answer) -> None:
        """Apply an answer that stands."""
        if isinstance(answer, Delivered):
            self._delivered(entry, answer)
        elif isinstance(answer, Deferred):
            self._defer(entry, answer)
        elif isinstance(answer, Rejected):
            self.tally.count_rejected(entry.id)
            self._refusals = refused(self._refusals, entry.id, answer, self._clock.monotonic())
            self._finisher.reject(entry, answer)
        elif isinstance(answer, Damaged):
            self.tally.count_damaged(entry.id)
            self._finisher.damaged(entry, answer.why)
        else:
            assert isinstance(answer, Abandoned), answer
            self._finisher.give_back([entry])
            self._supply.hint()

    def _delivered(self, entry: Entry, answer: Delivered) -> None:
        attempt = self.tally.attempt(entry.id)
        receipt = receipt_for(entry, answer, self._hand.name, attempt, iso(self._clock.now()))
        self.tally.count_delivered(entry.id, entry.size, receipt.at)
        self._finisher.deliver(entry, receipt)

    def _defer(self, entry: Entry, answer: Deferred) -> None:
        age = self._clock.now() - entry.name.accepted.timestamp()
        path = self._finisher.defer(entry, self._settings.backoff.wait(age, self._chance()), answer.why)
        self.tally.failed_attempt(entry.id, answer)
        if entry.id not in self._breaker.run:
            return
        if len(self._breaker.run) == 1:
            self._run_paths.clear()  # a new run
        if path is not None:
            self._run_paths[entry.id] = path

    def _thread_died(self, entry: Entry, error: BaseException) -> None:
        """Give the entry back, but do not let one that kills threads do so again and again without a pause."""
        self._link.unexpected(f"A connection thread died while it sent {entry.id}: {type(error).__name__}: {error}")
        again = self.tally.thread_died(entry.id) > 1
        self._crew.replace_one()
        self._answered(entry, Deferred("a connection thread died of it", ours=True) if again else Abandoned())

    def _parcel_of(self, entry: Entry) -> Parcel:
        return Parcel.of(entry, self._origin.meta(entry), self._origin.station_of(entry.id))

    # The end

    def _recalled(self) -> list[Entry]:
        """What no thread has begun."""
        entries = self._crew.recall()
        for entry in entries:
            del self._out[entry.id]
            # It may have been the probe: then another one is wanted.
            self._breaker, _ = self._breaker.answered(entry.id, Abandoned(), self._clock.monotonic())
        return entries

    def _drain(self) -> None:
        """No new work; what no thread has begun goes back."""
        self._draining = True
        self._let_go()

    def _heed_pause(self) -> None:
        """The same for as long as a person has paused delivery."""
        paused = self._origin.delivery_is_paused()
        if paused and not self._draining:
            self._let_go()
        elif self._paused:
            self._supply.hint()
        self._paused = paused

    def _let_go(self) -> None:
        self._finisher.give_back([*self._recalled(), *self._ready, *self._aside.take_all()])
        self._ready.clear()

    def _is_drained(self, now: float) -> bool:
        if now >= self._abandon_at and self._out:
            self._transport.close()
            self._finisher.give_back(self._out.values())
            self._out.clear()
        return not self._out and not self._finisher.uncommitted

    def _end(self) -> None:
        self._tell_refusals()
        if self._out:  # an error ended the loop: whoever owns the hand gives everything back
            self._crew.cancel.set()
            self._crew.recall()
            self._transport.close()
        self._crew.stop(ABANDON_GRACE)
