"""When to look into the spool for more. A hint brings the next look forward; without any there is one a second."""

from __future__ import annotations

import logging

from dropsafe.errors import LockLost, SpoolError, TemporaryError
from dropsafe.spool.entry import Entry
from dropsafe.workers.finisher import Hand

log = logging.getLogger(__name__)

MOST_IN_HAND = 256
RESCAN = 1.0
SOON_AFTER_A_HINT = (0.2, 0.02)
"""Seconds, last first. A submitter's place is counted, which is the hint, a moment before its rename: a fruitless look
is repeated, or the entry would wait for the rescan."""
CLAIM_FAILURES = 3
"""Claims that may fail one after the other, a second apart, before the spool counts as unusable."""


class Supply:
    """Claims for the conductor, and remembers when that was fruitless. Times are monotonic seconds."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self._failures = 0
        self._wants_empty_hand = False
        self._again: list[float] = []
        self.look_at = 0.0
        """Not worth looking before."""
        self.is_dry = False
        """The last look found nothing due, and there was no hint since."""

    def hint(self) -> None:
        """Something may be due now."""
        self.look_at = 0.0
        self.is_dry = False
        self._again = list(SOON_AFTER_A_HINT)

    def hand_is_empty(self) -> None:
        """An entry that must be alone in hand can be had from now on."""
        if self._wants_empty_hand:
            self._wants_empty_hand = False
            self.hint()

    def claim(self, now: float, limit: int, in_hand: int) -> list[Entry]:
        """Up to `limit` entries, as the hand has room; none if it is not worth looking. Raises LockLost, SpoolError."""
        room = min(limit, MOST_IN_HAND - in_hand)
        if now < self.look_at or room <= 0:
            return []
        try:
            entries = self._hand.claim(room)
            due = None if entries else self._hand.next_due()
        except LockLost:
            raise
        except (OSError, TemporaryError) as error:
            self._failed(error)
            self.look_at = now + RESCAN
            return []
        self._failures = 0
        self.is_dry = not entries
        if self.is_dry:
            self._wants_empty_hand = in_hand > 0
            wait = self._again.pop() if self._again else RESCAN
            self.look_at = now + (min(due, wait) if due else wait)
        return entries

    def _failed(self, error: OSError | TemporaryError) -> None:
        log.warning("no entries could be claimed (%s)", error)
        if isinstance(error, TemporaryError):
            return
        self._failures += 1
        if self._failures >= CLAIM_FAILURES:
            raise SpoolError(
                f"The spool's pending/ cannot be read or changed ({error}). Nothing is lost; nothing can be delivered.",
                remedy="See whether the disk is mounted, healthy and writable for the service's user.",
            ) from error
