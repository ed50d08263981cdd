"""The two ends of the line, as everybody but the operating system's halves sees them. `_posix` and `_windows` have both."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from dropsafe.supervisor.ipc.frames import MAX_FRAME


class Gone(Exception):
    """The other end has left, or the line to it is broken. Nothing more can be said to it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as the operating system says. `uid` is a number on POSIX, a SID on Windows, empty
    if the other end does not tell it (which Windows permits).

    `administrator`: it may change the configuration. That is root or the service's own user; on Windows a member of
    the administrators with elevated rights, or again the service's own user.
    """

    pid: int
    uid: int | str
    administrator: bool


def name_of(peer: Peer) -> str:
    """The guest's user name, or the number or SID if it has none here."""
    if not isinstance(peer.uid, int):
        return peer.uid or "somebody"
    import pwd

    try:
        return pwd.getpwuid(peer.uid).pw_name
    except KeyError:
        return str(peer.uid)


class Watch(Enum):
    """What of a line is to be noticed."""

    NOTHING = "nothing"
    READING = "that something has come, or that the other end is gone"
    WRITING = "that more of the answer can be sent"


class Line(Protocol):
    """The service's end of one connection. No call waits."""

    @property
    def pid(self) -> int:
        """The process at the other end."""

    def peer(self) -> Peer:
        """Who it is. Only after the first frame has come: before it Windows cannot tell. Gone if it has left."""

    @property
    def begun(self) -> bool:
        """Whether a part of a frame has come, and the rest has not."""

    def receive(self, limit: int = MAX_FRAME) -> bytes | None:
        """The next frame, if it is here whole. Gone; FrameError if it is longer than `limit` or no frame at all."""

    def left(self) -> bool:
        """Whether the other end is gone, reading nothing of what may have come."""

    def send(self, payload: bytes) -> None:
        """Begin to send a frame, when the one before is sent. Gone."""

    def flush(self) -> bool:
        """Whether all is sent, after a further attempt. Gone."""

    def close(self) -> None:
        """End it, and what is still unsent."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What can be done: these lines as they are watched, and whether somebody wants in."""

    lines: list[Line]
    newcomers: bool


class Endpoint(Protocol):
    """Where the service listens, with everything that its one loop waits for. For one thread, but for `wake`."""

    address: str

    def open(self) -> None:
        """Begin to listen. A DropsafeError if the address cannot be had."""

    def wait(self, seconds: float | None) -> Ready:
        """Until something can be done, `wake` is called, or the time is over."""

    def wake(self) -> None:
        """From any thread: end the wait, now or as soon as it begins."""

    def listen(self, on: bool) -> None:
        """Whether newcomers are noticed; they queue up meanwhile."""

    def accept(self) -> Line | None:
        """The next newcomer, watched for reading. None if there is none; OSError if the system has no room for it."""

    def watch(self, line: Line, what: Watch) -> None:
        """What of that line ends a wait."""

    def retire(self) -> None:
        """Take the address back, so that nobody comes any more. The lines stay."""

    def close(self) -> None:
        """`retire`, and give everything back. The lines are closed before."""


class ClientLine(Protocol):
    """A client's end. Times are of `time.monotonic`; a call that is not done by then raises TimeoutError."""

    def send(self, payload: bytes, until: float) -> None:
        """Send a frame. Gone."""

    def receive(self, until: float) -> bytes:
        """The next frame. Gone; FrameError."""

    def close(self) -> None:
        """End it."""
