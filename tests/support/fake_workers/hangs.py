"""Becomes ready and is never heard of again; deaf to a stop, too."""

from __future__ import annotations

import threading
from typing import Any


def run(config: dict[str, Any], link: Any) -> None:
    link.beat({"hand": "hangs-1"})
    link.ready()
    stuck_for_ever_in_here()


def stuck_for_ever_in_here() -> None:
    threading.Event().wait()
