"""Who is connected, who may come in, and how long each may take: pure, (guest, event, time) → action.

Deadlines are absolute: a guest that sends or takes one byte a second gains nothing by it. Who comes when all places
are taken is refused; nobody who is in is put out for him, else a flood of newcomers would put out everybody.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

# The figures of DESIGN 7. Seconds:
HELLO_TIME: Final = 2.0
FRAME_TIME: Final = 2.0
DRAIN_TIME: Final = 2.0
REQUEST_TIME: Final = 60.0
IDLE_TIME: Final = 60.0
# Connections that have said hello, those of one process (greeted or not), and those places among the first that only a
# process gets which has one already: the window that is open gets its second connection also when all others are taken.
CLIENTS: Final = 64
A_PROCESS: Final = 8
KEPT: Final = 8
# Before their hello connections are counted apart. So many that 25 processes with all that one may have do not fill them,
# and each costs little: its first frame is small, and due within 2 s.
NEWCOMERS: Final = 256


class Stage(Enum):
    """What is waited for."""

    GREETING = "for its hello"
    IDLE = "for its next request"
    READING = "for the rest of a request"
    WORKING = "for the answer to be found"
    ANSWERING = "for the answer to be taken"
    LEAVING = "for the last words to be taken"
    GONE = "for nothing"


class Event(Enum):
    """What happened."""

    BEGUN = "a part of a frame has come"
    REQUEST = "a whole frame has come"
    ANSWERED = "there is an answer"
    FAREWELL = "there is an answer, and nothing will follow it"
    DRAINED = "the answer is taken"
    DEADLINE = "its time is over"
    LEFT = "the other end is gone"


class Action(Enum):
    """What follows."""

    NOTHING = "nothing"
    GREET = "look at its hello"
    HAND_OVER = "give the request to whom it concerns"
    SEND = "send the answer"
    TELL_TOO_LATE = "answer that it took too long"
    CLOSE = "close the connection"


# The new stage, the seconds it may last (None: as long as was left before), and what follows.
TABLE: Final[Mapping[tuple[Stage, Event], tuple[Stage, float | None, Action]]] = {
    # The time for a hello runs from the connection on, not from its first byte.
    (Stage.GREETING, Event.BEGUN): (Stage.GREETING, None, Action.NOTHING),
    (Stage.GREETING, Event.REQUEST): (Stage.GREETING, None, Action.GREET),
    (Stage.GREETING, Event.ANSWERED): (Stage.ANSWERING, DRAIN_TIME, Action.SEND),
    (Stage.GREETING, Event.FAREWELL): (Stage.LEAVING, DRAIN_TIME, Action.SEND),
    (Stage.GREETING, Event.DEADLINE): (Stage.GONE, None, Action.CLOSE),
    (Stage.IDLE, Event.BEGUN): (Stage.READING, FRAME_TIME, Action.NOTHING),
    (Stage.IDLE, Event.REQUEST): (Stage.WORKING, REQUEST_TIME, Action.HAND_OVER),
    (Stage.IDLE, Event.FAREWELL): (Stage.LEAVING, DRAIN_TIME, Action.SEND),
    (Stage.IDLE, Event.DEADLINE): (Stage.GONE, None, Action.CLOSE),
    (Stage.READING, Event.BEGUN): (Stage.READING, None, Action.NOTHING),
    (Stage.READING, Event.REQUEST): (Stage.WORKING, REQUEST_TIME, Action.HAND_OVER),
    (Stage.READING, Event.FAREWELL): (Stage.LEAVING, DRAIN_TIME, Action.SEND),
    (Stage.READING, Event.DEADLINE): (Stage.GONE, None, Action.CLOSE),
    (Stage.WORKING, Event.ANSWERED): (Stage.ANSWERING, DRAIN_TIME, Action.SEND),
    (Stage.WORKING, Event.FAREWELL): (Stage.LEAVING, DRAIN_TIME, Action.SEND),
    (Stage.WORKING, Event.DEADLINE): (Stage.WORKING, None, Action.TELL_TOO_LATE),
    (Stage.ANSWERING, Event.DRAINED): (Stage.IDLE, IDLE_TIME, Action.NOTHING),
    (Stage.ANSWERING, Event.DEADLINE): (Stage.GONE, None, Action.CLOSE),
    (Stage.LEAVING, Event.DRAINED): (Stage.GONE, None, Action.CLOSE),
    (Stage.LEAVING, Event.DEADLINE): (Stage.GONE, None, Action.CLOSE),
}


@dataclass(slots=True, eq=False)
class Guest:
    """One connection. `deadline` is of the clock whose times `Guests` is given."""

    pid: int
    stage: Stage
    deadline: float
    greeted: bool = False


class Guests:
    """All of them. What is asked in every turn of the loop costs the same however many they are."""

    def __init__(self) -> None:
        self._all: set[Guest] = set()
        self._of_process: Counter[int] = Counter()
        self._greeted_of_process: Counter[int] = Counter()
        self._greeted = 0
        self._earliest = math.inf
        """No deadline is before it."""

    def __iter__(self) -> Iterator[Guest]:
        return iter(tuple(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, pid: int, now: float) -> Guest | None:
        """A new connection of that process; None if it is to be refused."""
        if len(self._all) - self._greeted >= NEWCOMERS or self._of_process[pid] >= A_PROCESS:
            return None
        guest = Guest(pid, Stage.GREETING, now + HELLO_TIME)
        self._all.add(guest)
        self._of_process[pid] += 1
        self._earliest = min(self._earliest, guest.deadline)
        return guest

    def greet(self, guest: Guest) -> bool:
        """It has said hello. False if it is to be refused now."""
        if self._greeted >= (CLIENTS if self._greeted_of_process[guest.pid] else CLIENTS - KEPT):
            return False
        guest.greeted = True
        self._greeted += 1
        self._greeted_of_process[guest.pid] += 1
        return True

    def step(self, guest: Guest, event: Event, now: float) -> Action:
        """Apply one event. KeyError if it cannot happen in that stage."""
        if event is Event.LEFT:
            guest.stage, seconds, action = Stage.GONE, None, Action.CLOSE
        else:
            guest.stage, seconds, action = TABLE[guest.stage, event]
        if seconds is not None:
            guest.deadline = now + seconds
            self._earliest = min(self._earliest, guest.deadline)
        if guest.stage is Stage.GONE and guest in self._all:
            self._forget(guest)
        return action

    def late(self, now: float) -> list[Guest]:
        """Those whose time is over."""
        if now < self._earliest:
            return []
        late = [guest for guest in self._all if guest.deadline <= now]
        self._earliest = min((guest.deadline for guest in self._all), default=math.inf)
        return late

    def next_look(self) -> float:
        """When `late` is to be asked again at the latest; infinity if nobody is there."""
        return self._earliest

    def _forget(self, guest: Guest) -> None:
        self._all.discard(guest)
        self._greeted -= guest.greeted
        for counter, number in [(self._of_process, 1), (self._greeted_of_process, int(guest.greeted))]:
            counter[guest.pid] -= number
            if not counter[guest.pid]:
                del counter[guest.pid]
