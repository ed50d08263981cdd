"""Refuses its configuration, unless that says that it is mended."""

from __future__ import annotations

import threading
from typing import Any

from dropsafe.errors import BadValue


def run(config: dict[str, Any], link: Any) -> None:
    if not config.get("mended"):
        raise BadValue("destination.ca: no such file")
    asked = threading.Event()
    link.on_stop(asked.set)
    link.ready()
    asked.wait()
