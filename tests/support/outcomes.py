"""What became of an entry that was delivered once, told from its spool."""

from __future__ import annotations

from dropsafe.spool import Spool, State
from dropsafe.workers.deliver import DeliveryReport

SENT = "sent/, a little later"
LATER = "deferred: pending/, tried again later"
WAIT = "wait: pending/, until a probe goes through"
ALARM = "wait, alarm: pending/, and a person is told"
REJECTED = "rejected: failed/, a person decides"


def outcome(spool: Spool, entry_id: str, report: DeliveryReport) -> tuple[str, str]:
    """(what became of it, in which words), as a person could find out."""
    entry = spool.find(entry_id)
    if entry.state is State.SENT:
        return SENT, spool.receipt_of(entry_id).grade.value
    if entry.state is State.FAILED:
        reason = spool.reason(entry)
        assert reason is not None
        return REJECTED, f"{reason.summary.partition('(')[2].partition(')')[0]}. {reason.detail}"
    assert entry.state is State.PENDING
    if report.unavailable:
        return ALARM if report.alarm else WAIT, report.why
    last = spool.history(entry_id)[-1]
    assert last["event"] == "deferred"
    return LATER, last["why"]
