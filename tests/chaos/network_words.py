"""The table of network faults as people read it, in docs/destination.md."""

from __future__ import annotations

from dropsafe.workers import classify
from tests.chaos.network_faults import GROUPS, Fault
from tests.support.outcomes import ALARM, LATER, REJECTED, SENT, WAIT
from tests.support.page import row

BECOMES = {SENT: "delivered", LATER: "tried again later", WAIT: "waits", ALARM: "waits, alarm", REJECTED: "`failed/`"}


def remedy_of(fault: Fault) -> str:
    """What a person who tries once is told to do; empty if nothing."""
    meaning = fault.says.partition(": ")[2] if fault.says[:3].isdigit() else fault.says
    rows = [*classify.STATUS.values(), *classify.STATUS_CLASS.values(), *classify.TROUBLE.values(), classify.HTML]
    return next((classify.for_one_delivery(each.remedy) for each in rows if each.meaning == meaning), "")


def fault_rows() -> list[str]:
    """A line for each fault, by groups."""
    rows = []
    for group, faults in GROUPS.items():
        rows.append(row(f"**{group}**", "", ""))
        for fault in faults:
            says = f"proof: {fault.says}" if fault.becomes == SENT else fault.says
            rows.append(row(fault.happens, BECOMES[fault.becomes], says))
    return rows
