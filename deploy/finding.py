"""What is in the way of a service that is otherwise installed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the service cannot do, and the command, or the words, by which a person mends it."""

    text: str
    remedy: str
