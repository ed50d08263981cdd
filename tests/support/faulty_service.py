"""The product's service with its own workers, which take orders for faults: `faulty_service.py ORDER.json`.

The order has `config`, `status` (where it is published), `budget` (of a stop, seconds), and `figures` of supervision
that are to be other than the product's, such as {"machine.SILENCE_KILL": 1.0}. They are read again at SIGUSR1.
"""

from __future__ import annotations

import functools
import importlib
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from dropsafe import log
from dropsafe.cli.trouble import guarded
from dropsafe.config import Config
from dropsafe.spool import Spool, limits_from
from dropsafe.supervisor import machine, service
from dropsafe.supervisor.supervisor import Supervisor


def heed(path: Path) -> dict[str, Any]:
    """Put the figures in force; the whole order."""
    order: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name, value in order["figures"].items():
        module, _, figure = name.partition(".")
        setattr(importlib.import_module(f"dropsafe.supervisor.{module}"), figure, value)
    return order


def main() -> int:
    order = heed(Path(sys.argv[1]))
    signal.signal(signal.SIGUSR1, lambda *_: heed(Path(sys.argv[1])))
    roles = tuple(replace(role, module=f"fake_workers.faulty_{role.name}") for role in machine.ROLES)
    service.Supervisor = functools.partial(Supervisor, roles=roles, budget=order["budget"])  # type: ignore[misc, assignment]
    config = Config.from_dict(order["config"])
    log.set_up(config["log.level"])
    with Spool(config["spool_dir"], limits_from(config)) as spool:
        return service.serve(spool, config, lambda: config, Path(order["status"]), lambda _status: None)


if __name__ == "__main__":
    sys.exit(guarded(main))
