"""Meets trouble that has a name."""

from __future__ import annotations

from typing import Any

from dropsafe.errors import LockLost


def run(config: dict[str, Any], link: Any) -> None:
    link.ready()
    raise LockLost("The lock file was removed.", remedy="Leave it alone.")
