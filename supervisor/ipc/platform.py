"""`system` is the half of the line that is meant for this machine: `Listening` and `connect`."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from dropsafe.supervisor.ipc import _windows as system
else:
    from dropsafe.supervisor.ipc import _posix as system

__all__ = ["system"]
