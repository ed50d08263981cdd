"""The transition table, row by row as the design states it."""

from __future__ import annotations

import itertools

import pytest

from dropsafe.errors import ExitCode, WrongState
from dropsafe.spool.states import COUNTED_STATES, TRANSITIONS, WITH_REASON, Event, State, transition

TABLE = """
    tmp                               accepted     pending      durable
    tmp                               adopted      pending      durable
    tmp                               imported     pending      durable
    tmp                               imported-as-failed       failed      durable
    tmp                               imported-as-quarantined  quarantine  durable
    tmp                               imported-as-held         hold        durable
    tmp                               imported-as-discarded    discarded   durable
    pending                           claimed      inflight     no
    inflight                          delivered    sent         durable
    inflight                          deferred     pending      no
    inflight                          rejected     failed       durable
    inflight                          returned     pending      no
    pending inflight failed quarantine hold discarded  damaged  quarantine  durable
    inflight                          struck-out   quarantine   durable
    pending failed                    held         hold         durable
    hold                              unheld       pending      durable
    pending failed quarantine         retried      pending      durable
    failed quarantine                 readmitted   pending      durable
    pending failed quarantine hold    discarded    discarded    durable
    discarded                         restored     pending      durable
    pending failed quarantine hold discarded  receipt-imported  sent  durable
    pending inflight failed quarantine hold discarded  merged   discarded   durable
    sent                              expired      expired      no
"""


def rows() -> dict[tuple[State, Event], tuple[State, bool]]:
    table = {}
    for line in TABLE.strip().splitlines():
        *sources, event, target, durable = line.split()
        for source in sources:
            table[State(source), Event(event.replace("-", " "))] = (State(target), durable == "durable")
    return table


def test_the_table_is_the_one_of_the_design() -> None:
    assert {key: (row.target, row.durable) for key, row in TRANSITIONS.items()} == rows()


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_has_a_row_or_is_refused(state: State, event: Event) -> None:
    expected = rows().get((state, event))
    if expected is not None:
        assert transition(state, event).target is expected[0]
        return
    with pytest.raises(WrongState) as refused:
        transition(state, event)
    assert "nothing was changed" in str(refused.value)
    possible = {source.value for source, known in rows() if known is event}
    assert all(source in refused.value.remedy for source in possible)
    assert refused.value.exit_code is ExitCode.USAGE


def test_nothing_leaves_sent_but_by_expiry() -> None:
    """The only deletion of a payload."""
    assert [event for state, event in TRANSITIONS if state is State.SENT] == [Event.EXPIRE]
    assert [state for (state, _), row in TRANSITIONS.items() if row.target is State.EXPIRED] == [State.SENT]


def test_the_groups_of_states() -> None:
    assert set(COUNTED_STATES) == {State.PENDING, State.INFLIGHT}
    assert set(WITH_REASON) == {State.FAILED, State.QUARANTINE, State.DISCARDED}
