"""What the log says of an outage of the destination: its beginning and its end, once each."""

from __future__ import annotations

import logging

from dropsafe.workers.breaker import Breaker, BreakerState

log = logging.getLogger(__name__)


def tell_outage(breaker: Breaker, told: bool, remedy: str) -> bool:
    """Whether an outage stands in the log now, of which the end is still to be told.

    It is told once a probe has confirmed it: single suspects come and go by the hundred.
    """
    if breaker.failed_probes and not told:
        words = f"The destination is unavailable: {breaker.why}. Everything waits in the spool. {remedy}"
        log.warning("%s", words.strip())
        return True
    if breaker.state is BreakerState.CLOSED and told:
        log.info("The destination is available again.")
        return False
    return told
