"""What the spool may hold. The figures come from the configuration; nothing here deletes anything."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dropsafe.config import Config


class WhenFull(StrEnum):
    """What a submitter meets when the queue is full. No choice deletes."""

    REJECT = "reject"
    BLOCK = "block"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Limits:
    """Entries, bytes and inodes; 0 means no limit. Times in seconds."""

    max_queue_size: int = 10_000
    max_queue_bytes: int = 0
    max_entry_bytes: int = 0
    min_free_bytes: int = 256 << 20
    min_free_inodes: int = 1000
    when_full: WhenFull = WhenFull.REJECT
    block_timeout: float = 60.0
    longest_backoff: float = 900.0

    def smaller_reserve(self, total: int) -> int | None:
        """What `min_free_bytes` could be on a disk of `total` bytes, where it keeps half of that free or more; else None."""
        return total // 10 if total < 2 * self.min_free_bytes else None


def limits_from(config: Config) -> Limits:
    """The limits that a configuration sets."""
    return Limits(
        max_queue_size=config["max_queue_size"],
        max_queue_bytes=config["max_queue_bytes"],
        max_entry_bytes=config["max_entry_bytes"],
        min_free_bytes=config["min_free_bytes"],
        min_free_inodes=config["min_free_inodes"],
        when_full=WhenFull(config["queue_full_action"]),
        block_timeout=config["block_timeout"],
        longest_backoff=config["destination.backoff_max"],
    )
