"""What another thread asks of the supervisor's loop, with a place for the answer."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum


class Wish(Enum):
    """What can be asked. RELOAD is answered when the new configuration is in force, or with why it is not."""

    STOP = "stop"
    RELOAD = "read the configuration again"
    PROBE = "try the destination at once"
    RESTART = "restart a worker"


@dataclass(frozen=True, slots=True)
class Asked:
    """One wish. The answer is whether there was anybody to hear it; a DropsafeError if it was refused."""

    wish: Wish
    worker: str = ""
    answer: Future[bool] = field(default_factory=Future)
