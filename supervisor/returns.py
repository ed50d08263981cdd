"""What dead workers held and what is not back yet: a debt to the spool, which is tried until it is paid.

Each try is in a thread of its own, for it may read a huge entry and all receipts of a long life. Nothing is lost
meanwhile: what cannot be returned stays in `inflight/`, and the next start would return it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from dropsafe.log import log_unexpected
from dropsafe.spool.health import Problem
from dropsafe.supervisor import reasons

# Claims that could not be returned, for want of a working disk, are tried again that often, in seconds.
RETURN_AGAIN: Final = 10.0

_log = logging.getLogger(__name__)


class Returns:
    """`return_claims` gets a hand's name, and whether its worker's death may be the fault of what it held.

    `done` is called, from the thread of the try, when one is over: then `turn` wants to be called.
    """

    def __init__(self, return_claims: Callable[[str, bool], object], done: Callable[[], None]) -> None:
        self._return_claims = return_claims
        self._done = done
        self._owed: dict[str, bool] = {}
        self._outcomes: deque[tuple[str, Exception | None]] = deque()
        self._trying = False
        self._again_at = 0.0
        self._error = ""

    @property
    def under_way(self) -> bool:
        """Whether something is being returned, or about to be; not what waits for a disk to work again."""
        return self._trying or (bool(self._owed) and not self._error)

    def owe(self, hand: str, *, blamed: bool, now: float) -> None:
        """That hand's worker is gone. What it held is returned as soon as that can be done."""
        self._owed[hand] = blamed
        self._again_at = now
        self.turn(now)

    def turn(self, now: float) -> None:
        """Take note of what came of the last try, and begin another one if it is time."""
        trying = self._trying  # before its outcomes: all of a try that is over are there
        while self._outcomes:
            self._note(*self._outcomes.popleft(), now)
        if trying or not self._owed or now < self._again_at:
            return
        self._trying = True
        try:
            threading.Thread(target=self._try, args=(dict(self._owed),), name="returns", daemon=True).start()
        except RuntimeError as error:  # the system has no room for another thread
            self._trying = False
            for hand in tuple(self._owed):
                self._note(hand, error, now)

    def problems(self) -> list[Problem]:
        """Why not all is well here."""
        return [reasons.claims_kept(self._error)] if self._error else []

    def _try(self, owed: Mapping[str, bool]) -> None:
        try:
            for hand, blamed in owed.items():
                try:
                    self._return_claims(hand, blamed)
                except Exception as error:  # noqa: BLE001 - one hand must not keep the others from it
                    self._outcomes.append((hand, error))
                else:
                    self._outcomes.append((hand, None))
        finally:
            self._trying = False
            self._done()

    def _note(self, hand: str, error: Exception | None, now: float) -> None:
        if error is None:
            del self._owed[hand]
            self._error = self._error if self._owed else ""
            return
        if (str(error) or type(error).__name__) != self._error:  # a disk may be broken for days: once is enough
            log_unexpected(_log, f"What {hand} held could not be returned; it is tried again", error)
        self._error = str(error) or type(error).__name__
        self._again_at = now + RETURN_AGAIN
        # The death may have been counted against an entry already: better not at all than twice.
        self._owed[hand] = False
