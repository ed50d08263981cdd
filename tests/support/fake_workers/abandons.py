"""Goes on through phase one and leaves in phase two."""

from __future__ import annotations

import threading
from typing import Any


def run(config: dict[str, Any], link: Any) -> None:
    asked = threading.Event()
    link.on_stop(asked.set)
    link.ready()
    while not link.abandon():
        asked.clear()
        link.beat({"uploading": 1})
        asked.wait(0.1)
