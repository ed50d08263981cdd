"""`system` is the half of the operating-system calls that is meant for this machine."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from dropsafe.spool import _windows as system
else:
    from dropsafe.spool import _posix as system

__all__ = ["system"]
