"""What a service publishes of itself: for everybody in the run folder, and in the spool for those who may use that.

Others may write in the spool: what stands there is believed only as far as it has the shape of a status.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.spool import Spool

Status = dict[str, Any]

_STALE = 10.0
"""A status older than this (seconds) is that of a service that has died without a word."""
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError)


def published(context: Context) -> Status | None:
    """What the service of this command line published; None if none runs here, or if it cannot be told."""
    from datetime import datetime

    from dropsafe.supervisor.status import status_path

    try:
        content: Status = json.loads(status_path(context.places.run_dir, context.run_name).read_text(encoding="utf-8"))
        age = time.time() - datetime.fromisoformat(content["as_of"]).timestamp()
    except (OSError, ValueError, KeyError):
        return None
    return content if age < _STALE and not _is_gone(content.get("pid")) else None


def in_spool(spool: Spool) -> Status | None:
    """What the service that holds the spool told last, wherever else it publishes. None if it told nothing."""
    from dropsafe.spool.clock import from_iso

    try:
        content = _details(spool)
        for worker in content["workers"]:
            if not all(isinstance(worker[key], str) for key in ("name", "state")):
                return None
            worker["figures"].items()
        from_iso(content["as_of"])
        is_ours = content["spool_id"] == spool.spool_id and isinstance(content["condition"], str) and _is_text(content)
        return content if is_ours and not _is_gone(content["pid"]) else None
    except _DAMAGED:
        return None


def with_details(spool: Spool, service: Status) -> Status:
    """The same status with the names of files, which only those who may use the spool can read."""
    try:
        content = _details(spool)
        return content if _public(content) == _public(service) and _is_text(content) else service
    except _DAMAGED:
        return service


def _details(spool: Spool) -> Status:
    from dropsafe.spool.written import read_json
    from dropsafe.supervisor.status import details_path

    content: Status = read_json(str(details_path(f"{spool.path}/locks")))
    return content


def _public(content: Status) -> object:
    """What both have to say alike. Others may write in the spool; and where nobody can, its status is an earlier one."""
    reasons = [(reason["code"], reason["text"], reason["remedy"]) for reason in content["reasons"]]
    return content["pid"], content["in_force"]["station"], reasons


def _is_text(content: Status) -> bool:
    texts = [reason[key] for reason in content["reasons"] for key in ("code", "text", "remedy", "detail")]
    return all(isinstance(text, str) for text in (*content["in_force"].values(), *texts))


def _is_gone(pid: object) -> bool:
    """Whether the process that wrote it has ended without a word: else its last one would stand for 10 s.

    Only a word less for people: nothing is done to the spool by a process id, which may be another's by now.
    """
    if os.name != "posix" or not isinstance(pid, int) or pid <= 0:
        return False  # on Windows os.kill would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # another user's
    return False
