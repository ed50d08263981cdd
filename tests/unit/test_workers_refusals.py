"""One line in the log for a burst of refusals: what it says, and when it ends."""

from __future__ import annotations

from dropsafe.workers.outcome import Rejected
from dropsafe.workers.refusals import LONGEST, QUIET, Burst, refused

NO = Rejected("422: the server refuses it", "no serial", 422)


def burst(*moments: float) -> Burst:
    found = None
    for number, moment in enumerate(moments):
        found = refused(found, f"e{number}", NO, moment)
    assert found is not None
    return found


def test_it_names_the_first_the_status_and_how_many() -> None:
    assert (
        burst(0.0).told() == "The server refused e0 with status 422. Nothing is lost; it is in failed/, with the reason"
    )
    assert burst(*[0.0] * 1200).told() == (
        "The server refused 1,200 reports (the first: e0) with status 422. Nothing is lost; they are in failed/, each with "
        "the reason"
    )


def test_several_statuses_are_each_counted() -> None:
    mixed = burst(*[0.0] * 4)
    for status in (400, None, 400):
        mixed = refused(mixed, "later", Rejected("refused", "no", status), 1.0)
    assert "7 reports (the first: e0), by status: 4 with 422, 2 with 400, 1 with none. Nothing" in mixed.told()


def test_it_is_over_when_none_came_for_a_while_or_when_it_has_lasted_long() -> None:
    assert not burst(0.0, 5.0).is_over(5.0 + QUIET - 0.1)
    assert burst(0.0, 5.0).is_over(5.0 + QUIET)
    for_ever = burst(*[float(second) for second in range(int(LONGEST))])
    assert not for_ever.is_over(LONGEST - 0.1)
    assert for_ever.is_over(LONGEST)
