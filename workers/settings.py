"""How an engine delivers: the figures of its machines, from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dropsafe.workers.backoff import Backoff
from dropsafe.workers.breaker import ProbeBounds
from dropsafe.workers.pace import Bucket


@dataclass(frozen=True, slots=True)
class Settings:
    """At most `connections` requests at once, the bounds of back-off and probes, and how fast requests may follow."""

    connections: int = 8
    backoff: Backoff = field(default_factory=Backoff)
    probes: ProbeBounds = field(default_factory=ProbeBounds)
    pace: Bucket | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """By the keys under `destination`."""
        most = config["destination.max_requests_per_minute"]
        return cls(
            config["destination.connections"],
            Backoff(config["destination.backoff_min"], config["destination.backoff_max"]),
            ProbeBounds(config["destination.breaker_min"], config["destination.breaker_max"]),
            Bucket(most / 60) if most else None,
        )
