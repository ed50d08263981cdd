"""Sends heartbeats that no message can hold, and far more of them than anybody wants."""

from __future__ import annotations

from typing import Any


def run(config: dict[str, Any], link: Any) -> None:
    link.ready()
    while not link.stopping():
        for _ in range(100):
            link.beat({"hand": "chatters-1"})
        link.beat({"hand": "chatters-1", "problems": ["x" * 50_000]})
