"""Says that its next step takes long, and is not heard of meanwhile."""

from __future__ import annotations

import threading
from typing import Any


def run(config: dict[str, Any], link: Any) -> None:
    asked = threading.Event()
    link.on_stop(asked.set)
    link.ready()
    link.beat({}, lease=600.0)
    asked.wait()
