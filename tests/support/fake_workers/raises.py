"""Meets an error that it did not expect."""

from __future__ import annotations

from typing import Any


def run(config: dict[str, Any], link: Any) -> None:
    link.ready()
    raise RuntimeError("the disk fell out")
