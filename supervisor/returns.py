"""What dead workers held and what is not back yet: a debt to the spool, which is tried until it is paid.

Nothing is lost meanwhile: what cannot be returned stays in `inflight/`, and the next start would return it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from dropsafe.log import log_unexpected
from dropsafe.spool.health import Problem
from dropsafe.supervisor import reasons

# Claims that could not be returned, for want of a working disk, are tried again that often, in seconds.
RETURN_AGAIN: Final = 10.0

_log = logging.getLogger(__name__)


class Returns:
    """`return_claims` gets a hand's name, and whether its worker's death may be the fault of what it held."""

    def __init__(self, return_claims: Callable[[str, bool], object]) -> None:
        self._return_claims = return_claims
        self._owed: dict[str, bool] = {}
        self._again_at = 0.0
        self._error = ""

    def owe(self, hand: str, *, blamed: bool, now: float) -> None:
        """That hand's worker is gone. What it held is returned at once if that can be done."""
        self._owed[hand] = blamed
        self._again_at = now
        self.turn(now)

    def turn(self, now: float) -> None:
        """Return what is owed, if it is time for another try."""
        if not self._owed or now < self._again_at:
            return
        for hand, blamed in tuple(self._owed.items()):
            try:
                self._return_claims(hand, blamed)
            except Exception as error:  # noqa: BLE001 - one hand must not end the service for all others
                log_unexpected(_log, f"What {hand} held could not be returned; it is tried again", error)
                self._error = str(error)
                self._again_at = now + RETURN_AGAIN
                # The death may have been counted against an entry already: better not at all than twice.
                self._owed[hand] = False
            else:
                del self._owed[hand]

    def problems(self) -> list[Problem]:
        """Why not all is well here."""
        return [reasons.claims_kept(self._error)] if self._owed else []
