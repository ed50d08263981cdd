"""What the folders of a spool themselves tell of what needs a person."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Final

from dropsafe.config import Config
from dropsafe.spool import Spool
from dropsafe.spool.health import CODES, Problem, Vitals, access_problems, disk_is_low, problems
from dropsafe.spool.limits import limits_from
from dropsafe.spool.listing import access
from dropsafe.spool.platform import system
from dropsafe.spool.spool import Stats
from dropsafe.spool.states import State

_REASONS_READ: Final = 100


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


def reasons_of(spool: Spool, config: Config, stats: Stats) -> list[dict[str, str]]:
    """The same as plain values. Of a state that needs a person `detail` tells why its entries are there."""
    found = problems_of(spool, config, stats)
    return [{**asdict(problem), **_why_there(spool, problem.code)} for problem in found]


def counted_now(told: Sequence[Mapping[str, str]], counted: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """The reasons that a service told, those of the counts replaced by what was `counted` since: its last audit may be a
    minute old."""
    return [dict(reason) for reason in told if reason["code"] not in CODES] + [dict(reason) for reason in counted]


def _why_there(spool: Spool, code: str) -> dict[str, str]:
    """Why the entries of that state are there, the commonest reason first, from the first of them."""
    if code not in (State.FAILED, State.QUARANTINE):
        return {}
    entries = spool.entries(code)
    reasons = [spool.reason(entry) for entry in islice(entries, _REASONS_READ)]
    counts = Counter(reason.brief for reason in reasons if reason)
    lines = [f"{count:,} × {brief}" for brief, count in counts.most_common()]
    if lines and next(entries, None) is not None:
        lines[0] = f"{lines[0]} (of the first {_REASONS_READ} looked at)"
    return {"detail": "\n".join(lines)}
