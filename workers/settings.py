"""How an engine delivers: the figures of its machines, from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dropsafe.workers.backoff import Backoff
from dropsafe.workers.breaker import ProbeBounds


@dataclass(frozen=True, slots=True)
class Settings:
    """At most `connections` requests at once, and the bounds of back-off and probes."""

    connections: int = 8
    backoff: Backoff = field(default_factory=Backoff)
    probes: ProbeBounds = field(default_factory=ProbeBounds)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """By the keys under `destination`."""
        return cls(
            config["destination.connections"],
            Backoff(config["destination.backoff_min"], config["destination.backoff_max"]),
            ProbeBounds(config["destination.breaker_min"], config["destination.breaker_max"]),
        )
