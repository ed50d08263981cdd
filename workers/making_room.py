"""Room for a file that waits: the oldest delivered entries go before their time. Nothing that is undelivered ever does."""

from __future__ import annotations

import logging

from dropsafe.errors import TemporaryError
from dropsafe.plural import several
from dropsafe.spool.core import Core
from dropsafe.spool.retention import Expired, Policy, load_guard, make_room
from dropsafe.workers.link import LEASE, Pulse

log = logging.getLogger(__name__)

REST_SHARE = 10
"""A search that took t seconds is not repeated before 10 t: a file that waits for days must not keep a core busy."""


class RoomMaker:
    """Has a guard of its own over the clocks, begun as the janitor saved it: a clock that jumps suspends this, too."""

    def __init__(self, core: Core, policy: Policy, pulse: Pulse) -> None:
        self._core = core
        self._policy = policy
        self._pulse = pulse
        self._clock = core.clock
        self._guard = load_guard(core, policy.retention_days)
        self._guard.may_expire(self._clock.now(), self._clock.monotonic())
        self._rest_until = 0.0
        self._trouble = ""

    def make(self, size: int) -> bool:
        """Whether room was made for `size` bytes more, on a disk that had too little."""
        start = self._clock.monotonic()
        if start < self._rest_until:
            return False
        if not self._guard.may_expire(self._clock.now(), start):
            self._tell(
                "the clock has jumped: no delivered entry is removed early for a day, and what waits for room waits"
            )
            return False
        self._pulse.beat(LEASE)
        done = Expired()
        try:
            done = make_room(self._core, self._policy, size, lambda: self._pulse.tick(LEASE))
            self._trouble = ""
        except (OSError, TemporaryError) as error:
            self._tell(f"no room could be made for what waits ({error}); it is tried again")
        now = self._clock.monotonic()
        self._rest_until = now + REST_SHARE * (now - start)
        if done.entries:
            log.info("removed early, to make room for a file that waits: %s", removed_words(done))
        return done.entries > 0

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("%s", trouble)
        self._trouble = trouble


def removed_words(done: Expired) -> str:
    """How much, for the log."""
    return f"{several(done.entries, 'delivered entry', 'delivered entries')} ({done.bytes:,} bytes)"
