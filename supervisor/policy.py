"""When a worker that died is started again: pure, (standing, event, time) → (standing, start time).

It never gives up: a worker that dies too often is tried again, ever more seldom. Only a worker that refused its
configuration waits without a date, until that configuration changes. Whoever asks keeps the `Standing`, starts the
worker when the verdict says so, and shows people the mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

# The figures of DESIGN 5, "Supervision figures", in seconds.
BACK_OFF_LONGEST: Final = 60.0
HEALTH_AFTER: Final = 60.0
DEATHS_TOLERATED: Final = 5
DEATHS_WINDOW: Final = 600.0
PROBE_FIRST: Final = 300.0
PROBE_LONGEST: Final = 900.0
# The ± 20 % of the back-off of entries (DESIGN 6), so that there is one spread in the whole system.
JITTER: Final = 0.2


class Mode(Enum):
    """What is expected of the worker. OPEN is the breaker's: it died too often and is only probed."""

    CLOSED = "closed"
    OPEN = "open"
    PARKED = "parked"


class Event(Enum):
    """What happened to it. `decide` itself tells DIED from DIED_TOO_OFTEN."""

    DIED = "died"
    DIED_TOO_OFTEN = "died too often"
    REFUSED_CONFIG = "refused its configuration"
    HEALTHY = "healthy"
    CONFIG_CHANGED = "configuration changed"


class Action(Enum):
    """What follows."""

    BACK_OFF = "start after the back-off"
    PROBE = "start as a probe"
    PARK = "do not start"
    FORGET = "forget the deaths"
    FORGET_FAILURES = "forget the back-off"
    START_NOW = "start now"
    NOTHING = "nothing"


TABLE: Final[Mapping[tuple[Mode, Event], tuple[Mode, Action]]] = {
    (Mode.CLOSED, Event.DIED): (Mode.CLOSED, Action.BACK_OFF),
    (Mode.CLOSED, Event.DIED_TOO_OFTEN): (Mode.OPEN, Action.PROBE),
    (Mode.CLOSED, Event.REFUSED_CONFIG): (Mode.PARKED, Action.PARK),
    # The deaths stay counted: a worker that dies every two minutes is not well either.
    (Mode.CLOSED, Event.HEALTHY): (Mode.CLOSED, Action.FORGET_FAILURES),
    (Mode.CLOSED, Event.CONFIG_CHANGED): (Mode.CLOSED, Action.START_NOW),
    (Mode.OPEN, Event.DIED): (Mode.OPEN, Action.PROBE),
    (Mode.OPEN, Event.DIED_TOO_OFTEN): (Mode.OPEN, Action.PROBE),
    (Mode.OPEN, Event.REFUSED_CONFIG): (Mode.PARKED, Action.PARK),
    (Mode.OPEN, Event.HEALTHY): (Mode.CLOSED, Action.FORGET),
    (Mode.OPEN, Event.CONFIG_CHANGED): (Mode.CLOSED, Action.START_NOW),
    # A parked worker does not run, so only the last row can come about; the others keep the table total.
    (Mode.PARKED, Event.DIED): (Mode.PARKED, Action.NOTHING),
    (Mode.PARKED, Event.DIED_TOO_OFTEN): (Mode.PARKED, Action.NOTHING),
    (Mode.PARKED, Event.REFUSED_CONFIG): (Mode.PARKED, Action.NOTHING),
    (Mode.PARKED, Event.HEALTHY): (Mode.PARKED, Action.NOTHING),
    (Mode.PARKED, Event.CONFIG_CHANGED): (Mode.CLOSED, Action.START_NOW),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered about one worker. `failures` is the n of min(60, 2ⁿ); `deaths` are those in the window."""

    mode: Mode = Mode.CLOSED
    failures: int = 0
    probes: int = 0
    deaths: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The new standing, what follows, and when to start the worker (None: this event sets no date)."""

    standing: Standing
    action: Action
    start_at: float | None = None


def decide(standing: Standing, event: Event, now: float, random: Callable[[], float]) -> Verdict:
    """Apply one event. `random` gives numbers from 0 to 1; `now` and the dates given are of one monotonic clock."""
    if event is Event.DIED:
        deaths = (*(death for death in standing.deaths if now - death < DEATHS_WINDOW), now)
        standing = replace(standing, deaths=deaths)
        if len(deaths) > DEATHS_TOLERATED:
            event = Event.DIED_TOO_OFTEN
    mode, action = TABLE[standing.mode, event]
    standing = replace(standing, mode=mode)
    match action:
        case Action.BACK_OFF:
            delay = back_off(standing.failures, random())
            return Verdict(replace(standing, failures=standing.failures + 1), action, now + delay)
        case Action.PROBE:
            delay = probe_delay(standing.probes, random())
            return Verdict(replace(standing, probes=standing.probes + 1), action, now + delay)
        case Action.START_NOW:
            return Verdict(Standing(), action, now)
        case Action.FORGET:
            return Verdict(Standing(), action)
        case Action.FORGET_FAILURES:
            return Verdict(replace(standing, failures=0), action)
        case Action.PARK | Action.NOTHING:
            return Verdict(standing, action)


def back_off(failures: int, random: float) -> float:
    """Seconds to wait after one more death, with that many remembered before it: min(60, 2ⁿ), spread by the jitter."""
    return min(BACK_OFF_LONGEST, _spread(2.0 ** min(failures, 16), random))


def probe_delay(probes: int, random: float) -> float:
    """Seconds until the next probe of an open breaker: 5, 10, then 15 minutes, spread by the jitter."""
    return min(PROBE_LONGEST, _spread(PROBE_FIRST * (probes + 1), random))


def _spread(seconds: float, random: float) -> float:
    return seconds * (1.0 - JITTER + 2.0 * JITTER * random)
