"""What the folders of a spool themselves tell of what needs a person."""

from __future__ import annotations

import time
from collections.abc import Iterator

from dropsafe.config import Config
from dropsafe.spool import Spool
from dropsafe.spool.health import Problem, Vitals, access_problems, disk_is_low, problems
from dropsafe.spool.limits import limits_from
from dropsafe.spool.listing import access
from dropsafe.spool.platform import system
from dropsafe.spool.spool import Stats


def problems_of(spool: Spool, config: Config, stats: Stats) -> Iterator[Problem]:
    """The most urgent first."""
    limits = limits_from(config)
    vitals = Vitals(
        stats.waiting + stats.inflight,
        stats.failed,
        stats.quarantine,
        stats.oldest,
        stats.strangers,
        spool.pauses(),
    )
    return problems(vitals, disk_is_low(system.room(str(spool.path)), limits), limits, config["warn_age"], time.time())


def access_problems_of(spool: Spool) -> Iterator[Problem]:
    """What this process may not do in it; another user's process may be told something else."""
    return access_problems(access(spool.core.layout))
