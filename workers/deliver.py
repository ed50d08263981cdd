"""Delivering without a service: what is due now, once, in this process."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from dropsafe.errors import ExitCode
from dropsafe.spool import Spool
from dropsafe.spool.carried_hand import CarriedHand
from dropsafe.workers.breaker import BreakerState
from dropsafe.workers.delivery import Engine
from dropsafe.workers.finisher import Hand
from dropsafe.workers.link import Link, LocalLink
from dropsafe.workers.origin import Origin
from dropsafe.workers.settings import Settings
from dropsafe.workers.transport import Transport

PATIENCE = 20.0
"""Seconds to wait for a destination that is unavailable: room for two probes with the usual bounds."""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What came of it. `waiting_again` counts entries that were deferred and are still in the spool for later.

    `unproven` counts those that the server has, but that could not be recorded here, for the reason `unproven_why`: they
    are in the spool as well, and what has no receipt is sent again, with the same key.
    """

    delivered: int
    bytes: int
    rejected: int
    damaged: int
    waiting_again: int
    unproven: int
    unproven_why: str
    unavailable: bool
    alarm: bool
    why: str
    remedy: str

    @property
    def exit_code(self) -> ExitCode:
        """The gravest of what happened: first what concerns all entries, then what needs a person."""
        if self.unavailable:
            return ExitCode.DESTINATION_UNAVAILABLE
        if self.rejected or self.damaged:
            return ExitCode.NEEDS_A_PERSON
        return ExitCode.TEMPORARY if self.waiting_again or self.unproven else ExitCode.OK


def deliver_once(
    spool: Spool,
    transport: Transport,
    settings: Settings | None = None,
    link: Link | None = None,
    patience: float = PATIENCE,
) -> DeliveryReport:
    """Deliver what is due, beside a service or without one, and end.

    `link` hears the progress once a second and may ask for a stop (`LocalLink`). Raises SpoolError, LockLost; nothing
    in hand is lost by either.
    """
    with closing(spool.take_hand("deliver")) as hand:
        return _deliver(spool, hand, transport, settings, link, patience)


def deliver_carried(
    hand: CarriedHand,
    transport: Transport,
    settings: Settings | None = None,
    link: Link | None = None,
    patience: float = PATIENCE,
) -> DeliveryReport:
    """The same for what waits in a carried copy."""
    return _deliver(hand, hand, transport, settings, link, patience)


def _deliver(
    origin: Origin, hand: Hand, transport: Transport, settings: Settings | None, link: Link | None, patience: float
) -> DeliveryReport:
    told = link or LocalLink()
    engine = Engine(origin, hand, transport, told, settings)
    told.on_stop(engine.wake)
    engine.run_once(patience)
    told.beat(engine.progress())
    tally, breaker = engine.tally, engine.breaker
    unproven = engine.finisher.unproven
    return DeliveryReport(
        tally.delivered - len(unproven),
        tally.bytes - sum(entry.size for entry in unproven),
        tally.rejected,
        tally.damaged,
        tally.waiting_again + engine.finisher.owed - len(unproven),
        len(unproven),
        engine.finisher.trouble if unproven else "",
        breaker.state is not BreakerState.CLOSED,
        breaker.alarm,
        breaker.why,
        engine.remedy,
    )
