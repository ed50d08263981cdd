"""Dropsafe: drop a file in; it is safe until the server has it.

The names below are the public API. Each is imported when it is first used, so that a program which needs one of them
does not load the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dropsafe.config import Config
    from dropsafe.errors import (
        AcceptanceUnknown,
        AcceptError,
        BadValue,
        Busy,
        ConfigError,
        DestinationUnavailable,
        DiskFullError,
        DropsafeError,
        EntryNotFound,
        LockLost,
        LockTimeout,
        NoPermission,
        QueueFullError,
        SpoolError,
        TemporaryError,
        UnknownKey,
        UsageError,
        WorkerFailed,
        WrongState,
        WrongType,
    )
    from dropsafe.queues.async_queue import AsyncPendingQueue
    from dropsafe.queues.operations import NotSerialisable, OperationRefused, QueuedOperation, QueueStatus
    from dropsafe.queues.queue import QueueManager
    from dropsafe.spool import Spool

__version__ = "0.1.0"

__all__ = [
    "AcceptError",
    "AcceptanceUnknown",
    "AsyncPendingQueue",
    "BadValue",
    "Busy",
    "Config",
    "ConfigError",
    "DestinationUnavailable",
    "DiskFullError",
    "DropsafeError",
    "EntryNotFound",
    "LockLost",
    "LockTimeout",
    "NoPermission",
    "NotSerialisable",
    "OperationRefused",
    "QueueFullError",
    "QueueManager",
    "QueueStatus",
    "QueuedOperation",
    "Spool",
    "SpoolError",
    "TemporaryError",
    "UnknownKey",
    "UsageError",
    "WorkerFailed",
    "WrongState",
    "WrongType",
    "__version__",
]

_MODULES = {
    "AsyncPendingQueue": "dropsafe.queues.async_queue",
    "Config": "dropsafe.config",
    "NotSerialisable": "dropsafe.queues.operations",
    "OperationRefused": "dropsafe.queues.operations",
    "QueueManager": "dropsafe.queues.queue",
    "QueueStatus": "dropsafe.queues.operations",
    "QueuedOperation": "dropsafe.queues.operations",
    "Spool": "dropsafe.spool",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES.get(name, "dropsafe.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
