"""The states of an entry and the only transitions there are (DESIGN 2, "Transitions"). A state is a folder."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dropsafe.errors import WrongState


class State(StrEnum):
    """Where an entry is. The value is the name of its folder, but for EXPIRED, which has none."""

    TMP = "tmp"
    PENDING = "pending"
    INFLIGHT = "inflight"
    SENT = "sent"
    FAILED = "failed"
    QUARANTINE = "quarantine"
    HOLD = "hold"
    DISCARDED = "discarded"
    EXPIRED = "expired"


class Event(StrEnum):
    """What moves an entry. The value is the word for it in the journal."""

    ACCEPT = "accepted"
    ADOPT = "adopted"
    IMPORT = "imported"
    IMPORT_FAILED = "imported as failed"
    IMPORT_QUARANTINE = "imported as quarantined"
    IMPORT_HOLD = "imported as held"
    IMPORT_DISCARDED = "imported as discarded"
    CLAIM = "claimed"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    REJECTED = "rejected"
    RETURNED = "returned"
    DAMAGED = "damaged"
    STRUCK = "struck out"
    HOLD = "held"
    UNHOLD = "unheld"
    RETRY = "retried"
    READMIT = "readmitted"
    DISCARD = "discarded"
    RESTORE = "restored"
    RECEIPT = "receipt imported"
    CLASHED = "merged"
    EXPIRE = "expired"


@dataclass(frozen=True, slots=True)
class Transition:
    """Where an event leads, and whether it must survive a power cut before it is reported."""

    target: State
    durable: bool


def _rows(
    sources: tuple[State, ...], event: Event, target: State, durable: bool
) -> dict[tuple[State, Event], Transition]:
    return {(source, event): Transition(target, durable) for source in sources}


_T, _P, _I, _S = State.TMP, State.PENDING, State.INFLIGHT, State.SENT
_F, _Q, _H, _D = State.FAILED, State.QUARANTINE, State.HOLD, State.DISCARDED

TRANSITIONS: dict[tuple[State, Event], Transition] = {
    **_rows((_T,), Event.ACCEPT, _P, durable=True),
    **_rows((_T,), Event.ADOPT, _P, durable=True),
    **_rows((_T,), Event.IMPORT, _P, durable=True),
    # What a person has still to decide stays so: through pending/ the uploader might take it on the way.
    **_rows((_T,), Event.IMPORT_FAILED, _F, durable=True),
    **_rows((_T,), Event.IMPORT_QUARANTINE, _Q, durable=True),
    **_rows((_T,), Event.IMPORT_HOLD, _H, durable=True),
    **_rows((_T,), Event.IMPORT_DISCARDED, _D, durable=True),
    **_rows((_P,), Event.CLAIM, _I, durable=False),
    **_rows((_I,), Event.DELIVERED, _S, durable=True),
    **_rows((_I,), Event.DEFERRED, _P, durable=False),
    **_rows((_I,), Event.REJECTED, _F, durable=True),
    **_rows((_I,), Event.RETURNED, _P, durable=False),
    **_rows((_P, _I, _F, _Q, _H, _D), Event.DAMAGED, _Q, durable=True),
    **_rows((_I,), Event.STRUCK, _Q, durable=True),
    **_rows((_P, _F), Event.HOLD, _H, durable=True),
    **_rows((_H,), Event.UNHOLD, _P, durable=True),
    # From pending/ itself: what was deferred becomes due.
    **_rows((_P, _F, _Q), Event.RETRY, _P, durable=True),
    **_rows((_F, _Q), Event.READMIT, _P, durable=True),
    **_rows((_P, _F, _Q, _H), Event.DISCARD, _D, durable=True),
    **_rows((_D,), Event.RESTORE, _P, durable=True),
    # Delivered from a carried copy, with a receipt: after that is durable here.
    **_rows((_P, _F, _Q, _H, _D), Event.RECEIPT, _S, durable=True),
    # Not in the hands of a person: two files of one name and the same bytes have met (DESIGN 2, "On a clash").
    **_rows((_P, _I, _F, _Q, _H, _D), Event.CLASHED, _D, durable=True),
    **_rows((_S,), Event.EXPIRE, State.EXPIRED, durable=False),
}

WITH_REASON = frozenset({State.FAILED, State.QUARANTINE, State.DISCARDED})
"""The states in which a file `NAME.reason.json` may lie beside an entry."""

COUNTED_STATES = (_P, _I)
"""The states that `max_queue_size` limits."""


def sources_of(event: Event) -> tuple[State, ...]:
    """The states from which an event is possible."""
    return tuple(source for source, known in TRANSITIONS if known is event)


def transition(state: State, event: Event) -> Transition:
    """The row for (state, event). Raises WrongState, with the states in which the event is possible."""
    row = TRANSITIONS.get((state, event))
    if row is None:
        possible = ", ".join(sorted(source.value for source in sources_of(event)))
        raise WrongState(
            f"An entry in {state.value}/ cannot be {event.value}; nothing was changed.",
            remedy=f"That is possible from: {possible}.",
        )
    return row
