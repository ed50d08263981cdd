"""Meets an error that can be raised to nobody, and goes on."""

from __future__ import annotations

import threading
from typing import Any


class Careless:
    def __del__(self) -> None:
        raise RuntimeError("nobody hears this")


def run(config: dict[str, Any], link: Any) -> None:
    asked = threading.Event()
    link.on_stop(asked.set)
    link.ready()
    Careless()
    link.beat({"hand": "strays-1"})
    asked.wait()
