"""The product's own workers, with faults on order: `FAULTS/NAME` holds what is to go wrong, and is looked at in each beat."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dropsafe.errors import BadValue

BEAT = 0.1
_KEPT: list[bytearray] = []


def run(name: str, config: dict[str, Any], link: Any) -> None:
    """Be that worker, with a link that obeys orders. The environment says where they lie."""
    module = importlib.import_module(f"dropsafe.workers.{name}")
    for place in (
        module,
        importlib.import_module("dropsafe.workers.delivery"),
        importlib.import_module("dropsafe.workers.link"),
    ):
        if hasattr(place, "BEAT") and "FAULTS_QUICK" in os.environ:
            place.BEAT = BEAT  # type: ignore[attr-defined]
    module.run(config, FaultyLink(link, Path(os.environ["FAULTS"], name)))


class FaultyLink:
    """The link that it is given, and the orders."""

    def __init__(self, link: Any, order: Path) -> None:
        self._link = link
        self._order = order

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def beat(self, progress: dict[str, Any], *, lease: float = 0.0) -> None:
        self._link.beat(progress, lease=lease)
        if not lease:  # a hang would count as the long step that it announces
            self._obey(progress)

    def _obey(self, progress: dict[str, Any]) -> None:
        try:
            words = self._order.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return
        if "holding" in words and not progress.get("in_progress"):
            return
        self._order.unlink()
        FAULTS[words[0]]()


def _raise() -> None:
    raise RuntimeError("the loop broke")


def _thread() -> None:
    threading.Thread(target=_raise, name="helper").start()


def _deadlock() -> None:
    lock = threading.Lock()
    with lock, lock:
        pass


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _memory() -> None:
    _KEPT.append(bytearray(os.urandom(1) * (600 << 20)))


def _leave() -> None:
    os._exit(0)


def _refuse() -> None:
    raise BadValue("destination.ca: no such file")


def _fail() -> None:
    sys.exit(3)


FAULTS: dict[str, Callable[[], None]] = {
    "exception": _raise,
    "thread": _thread,
    "deadlock": _deadlock,
    "SIGSTOP": _stop,
    "memory": _memory,
    "exit-0": _leave,
    "exit-78": _refuse,
    "exit-3": _fail,
}
