"""The janitor, with faults on order."""

from __future__ import annotations

from typing import Any

from fake_workers import faulty


def run(config: dict[str, Any], link: Any) -> None:
    faulty.run("janitor", config, link)
