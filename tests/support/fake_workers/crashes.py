"""Dies by a signal as soon as it is ready, with claims in hand."""

from __future__ import annotations

import os
import signal
from typing import Any


def run(config: dict[str, Any], link: Any) -> None:
    link.beat({"hand": "crashes-1"})
    link.ready()
    os.kill(os.getpid(), signal.SIGKILL)
