"""`system` is the half of the operating-system calls that is meant for this machine."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from dropsafe.spool import _windows as system
else:
    from dropsafe.spool import _posix as system

__all__ = ["regular", "system"]


def regular(path: str, _flags: int) -> int:
    """For `open(path, opener=regular)`: reads regular files only, and follows no link that somebody put there."""
    return system.open_regular(path)
