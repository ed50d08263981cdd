"""Leaves although nobody asked it to."""

from __future__ import annotations

from typing import Any


def run(config: dict[str, Any], link: Any) -> None:
    link.beat({"hand": "leaves-1"})
    link.ready()
