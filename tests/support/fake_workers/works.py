"""Beats, and leaves when asked."""

from __future__ import annotations

import threading
from typing import Any


def run(config: dict[str, Any], link: Any) -> None:
    asked = threading.Event()
    link.on_stop(asked.set)
    link.beat({"hand": "works-1", "in_hand": 3, "generation": config.get("generation", 0), "entry": "secret name.xml"})
    link.ready()
    while not link.stopping():
        asked.wait(0.1)
        link.beat({"hand": "works-1", "in_hand": 3, "generation": config.get("generation", 0)})
