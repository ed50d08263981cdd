"""Claims an entry from the real spool, says so, and is killed from outside; or leaves as it should."""

from __future__ import annotations

import threading
from typing import Any

from dropsafe.spool import Spool


def run(config: dict[str, Any], link: Any) -> None:
    asked = threading.Event()
    link.on_stop(asked.set)
    with Spool(config["spool_dir"]) as spool:
        hand = spool.take_hand("claims")
        link.beat({"hand": hand.name, "in_hand": 0})
        link.ready()
        held = hand.claim(2)
        link.beat({"hand": hand.name, "in_hand": len(held)})
        asked.wait()
        hand.close()
