"""The table of network faults as people read it, in docs/destination.md."""

from __future__ import annotations

from dropsafe.workers import classify
from tests.chaos.network_faults import FAULTS, GROUPS, Fault
from tests.support.outcomes import ALARM, LATER, REJECTED, SENT, WAIT
from tests.support.page import row

BECOMES = {SENT: "delivered", LATER: "tried again later", WAIT: "waits", ALARM: "waits, alarm", REJECTED: "`failed/`"}


def meaning_of(fault: Fault) -> str:
    """What it says, without the status."""
    return fault.says.partition(": ")[2] if fault.says[:3].isdigit() else fault.says


def remedy_of(fault: Fault) -> str:
    """What a person is told to do, by a service; empty if nothing."""
    rows = [*classify.STATUS.values(), *classify.STATUS_CLASS.values(), *classify.TROUBLE.values(), classify.HTML]
    return next((each.remedy for each in rows if each.meaning == meaning_of(fault)), "")


def fault_rows() -> list[str]:
    """A line for each fault, by groups."""
    rows = []
    for group, faults in GROUPS.items():
        rows.append(row(f"**{group}**", "", ""))
        for fault in faults:
            says = f"proof: {fault.says}" if fault.becomes == SENT else fault.says
            rows.append(row(fault.happens, BECOMES[fault.becomes], says))
    return rows


def remedy_rows() -> list[str]:
    """A line for each thing said that comes with a remedy."""
    said = {meaning_of(fault): remedy_of(fault) for fault in FAULTS if fault.becomes in (WAIT, ALARM)}
    return [row(meaning, remedy) for meaning, remedy in said.items() if remedy]
