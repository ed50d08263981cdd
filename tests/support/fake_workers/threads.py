"""One of its threads dies; its loop would never notice."""

from __future__ import annotations

import threading
from typing import Any


def run(config: dict[str, Any], link: Any) -> None:
    asked = threading.Event()
    link.on_stop(asked.set)
    link.beat({"hand": "threads-1"})
    link.ready()
    threading.Thread(target=die, name="helper").start()
    asked.wait()


def die() -> None:
    raise RuntimeError("the helper fell over entry 4k7q")
