"""The life of one worker process, as a table: (state, event) → (state, what to do).

Dates and figures are the machine's; here stands only what follows from what.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class State(Enum):
    """What a worker's process is at. WAITING and LEFT have none."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    DUMPING = "writing its stack"
    KILLED = "killed"
    LEFT = "left"


class Event(Enum):
    """What can happen to a worker. ENDED is an exit that a stop explains, DIED any other."""

    START_DUE = "its start is due"
    READY = "it says it is ready"
    SILENT = "no heartbeat for 10 s"
    HUNG = "no heartbeat for 30 s, or for its lease"
    TOO_LARGE = "it uses more memory than it may"
    HEALTHY = "ready for 60 s"
    STOP = "finish and leave"
    ABANDON = "return what is held and leave"
    FORCE = "it has had its time"
    DUMP_OVER = "its stack is written"
    ENDED = "it left as asked"
    DIED = "it died"


class Do(Enum):
    """What the supervisor has to do for a worker. The two RETURNs differ in whether entries may be blamed.

    GIVE_UP is the machine's own, outside the table: the service stops because of that worker.
    """

    SPAWN = "spawn"
    WARN = "warn"
    ASK_STOP = "ask to stop"
    ASK_ABANDON = "ask to abandon"
    DUMP_STACK = "dump the stack"
    KILL = "kill"
    RETURN_AFTER_DEATH = "return claims after a death"
    RETURN_AFTER_STOP = "return claims after a stop"
    GIVE_UP = "stop the service because of it"


_DIED = (State.WAITING, (Do.RETURN_AFTER_DEATH,))
_ENDED = (State.WAITING, (Do.RETURN_AFTER_STOP,))

# A pair that is not here changes nothing. STOPPING knows no HUNG: the stop has deadlines of its own.
TABLE: Final[Mapping[tuple[State, Event], tuple[State, tuple[Do, ...]]]] = {
    (State.WAITING, Event.START_DUE): (State.STARTING, (Do.SPAWN,)),
    (State.WAITING, Event.STOP): (State.LEFT, ()),
    (State.WAITING, Event.ABANDON): (State.LEFT, ()),
    (State.WAITING, Event.FORCE): (State.LEFT, ()),
    (State.STARTING, Event.READY): (State.READY, ()),
    (State.STARTING, Event.SILENT): (State.STARTING, (Do.WARN,)),
    (State.STARTING, Event.HUNG): (State.DUMPING, (Do.DUMP_STACK,)),
    (State.STARTING, Event.TOO_LARGE): (State.DUMPING, (Do.DUMP_STACK,)),
    (State.STARTING, Event.STOP): (State.STOPPING, (Do.ASK_STOP,)),
    (State.STARTING, Event.ABANDON): (State.STOPPING, (Do.ASK_ABANDON,)),
    (State.STARTING, Event.FORCE): (State.DUMPING, (Do.DUMP_STACK,)),
    (State.STARTING, Event.ENDED): _ENDED,
    (State.STARTING, Event.DIED): _DIED,
    (State.READY, Event.SILENT): (State.READY, (Do.WARN,)),
    (State.READY, Event.HUNG): (State.DUMPING, (Do.DUMP_STACK,)),
    (State.READY, Event.TOO_LARGE): (State.DUMPING, (Do.DUMP_STACK,)),
    (State.READY, Event.HEALTHY): (State.READY, ()),
    (State.READY, Event.STOP): (State.STOPPING, (Do.ASK_STOP,)),
    (State.READY, Event.ABANDON): (State.STOPPING, (Do.ASK_ABANDON,)),
    (State.READY, Event.FORCE): (State.DUMPING, (Do.DUMP_STACK,)),
    (State.READY, Event.ENDED): _ENDED,
    (State.READY, Event.DIED): _DIED,
    (State.STOPPING, Event.TOO_LARGE): (State.DUMPING, (Do.DUMP_STACK,)),
    (State.STOPPING, Event.ABANDON): (State.STOPPING, (Do.ASK_ABANDON,)),
    (State.STOPPING, Event.FORCE): (State.DUMPING, (Do.DUMP_STACK,)),
    (State.STOPPING, Event.ENDED): _ENDED,
    (State.STOPPING, Event.DIED): _DIED,
    (State.DUMPING, Event.DUMP_OVER): (State.KILLED, (Do.KILL,)),
    (State.DUMPING, Event.ENDED): _ENDED,
    (State.DUMPING, Event.DIED): _DIED,
    (State.KILLED, Event.ENDED): _ENDED,
    (State.KILLED, Event.DIED): _DIED,
}
