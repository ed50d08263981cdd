"""Reports trouble in its heartbeats."""

from __future__ import annotations

import threading
from typing import Any

DISK_LOW = {"code": "disk-low", "text": "12 MB are free.", "remedy": "Make room.", "detail": "/data/spool"}


def run(config: dict[str, Any], link: Any) -> None:
    asked = threading.Event()
    link.on_stop(asked.set)
    link.ready()
    link.beat({"breaker": "open", "alarm": True, "breaker_why": "401 from https://example.com", "problems": [DISK_LOW]})
    asked.wait()
