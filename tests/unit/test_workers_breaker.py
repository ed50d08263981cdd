"""The destination breaker, as a machine without a network."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropsafe.spool.receipts import Grade
from dropsafe.workers.breaker import (
    RUN_THAT_OPENS,
    TABLE,
    Breaker,
    BreakerState,
    Disposal,
    ProbeBounds,
    Role,
    Sign,
    Verdict,
    sign_of,
)
from dropsafe.workers.outcome import Abandoned, Answer, Damaged, Deferred, Delivered, Rejected, Unavailable
from dropsafe.workers.tally import Tally

GOOD = Delivered(201, Grade.ID, "x", "http://server/", "0" * 64)
BAD = Rejected("400: the server refuses it", "no serial", 400)
SOFT = Deferred("500: the server failed on it", 500)
DOWN = Unavailable("503: the server is not available", Deferred("503", 503), status=503)
REFUSED = Unavailable("no connection (refused)", None, meaning="no connection")
DENIED = Unavailable("401: the credentials are refused", Rejected("401", "bad token", 401), alarm=True, status=401)
REFUSED_CONNECTION = Unavailable("nobody listens", None)
UNREADABLE = Deferred("it cannot be read", ours=True)


class Story:
    """A breaker that is told one thing after the other."""

    def __init__(self, bounds: ProbeBounds | None = None) -> None:
        self.breaker = Breaker(bounds or ProbeBounds())
        self.now = 1000.0

    @property
    def state(self) -> BreakerState:
        return self.breaker.state

    def hear(self, key: str, answer: Answer) -> Verdict:
        self.breaker, verdict = self.breaker.answered(key, answer, self.now)
        return verdict

    def probe(self, key: str, answer: Answer) -> Verdict:
        self.now = max(self.now, self.breaker.probe_at)
        assert self.breaker.probe_due(self.now)
        self.breaker = self.breaker.probing(key)
        return self.hear(key, answer)

    def wait_for_probe(self) -> float:
        return self.breaker.probe_at - self.now


def test_every_state_and_sign_has_a_row() -> None:
    possible = {
        (state, role, sign)
        for state, role, sign in product(BreakerState, Role, Sign)
        if role is Role.OTHER or state is BreakerState.PROBING
    }
    assert set(TABLE) == possible


@pytest.mark.parametrize(
    ("answer", "sign"),
    [
        (GOOD, Sign.SUCCESS),
        (BAD, Sign.ALIVE),
        (SOFT, Sign.TROUBLE),
        (DOWN, Sign.DOWN),
        (DENIED, Sign.DOWN),
        (UNREADABLE, Sign.NOTHING),
        (Damaged("other bytes"), Sign.NOTHING),
        (Abandoned(), Sign.NOTHING),
    ],
)
def test_what_an_answer_says_about_the_destination(answer: Answer, sign: Sign) -> None:
    assert sign_of(answer) is sign


@pytest.mark.parametrize("answer", [GOOD, BAD, SOFT, UNREADABLE, Damaged("x"), Abandoned()])
def test_while_all_is_well_each_answer_stands(answer: Answer) -> None:
    story = Story()
    assert story.hear("a", answer) == Verdict(Disposal.FINISH)
    assert story.state is BreakerState.CLOSED


def test_success_while_all_is_well_makes_no_new_breaker() -> None:
    breaker = Breaker()
    assert breaker.answered("a", GOOD, 1.0)[0] is breaker


def test_an_unavailable_answer_opens_it_and_makes_the_entry_the_suspect() -> None:
    story = Story()
    assert story.hear("a", DOWN).disposal is Disposal.SUSPECT
    assert story.state is BreakerState.OPEN
    assert story.breaker.why == DOWN.why
    assert not story.breaker.alarm


def test_an_alarm_is_carried_and_ends_with_the_trouble() -> None:
    story = Story()
    story.hear("a", DOWN)
    story.probe("b", DENIED)
    assert (story.breaker.alarm, story.breaker.why) == (True, DENIED.why)
    story.probe("c", DOWN)
    assert (story.breaker.alarm, story.breaker.why) == (False, DOWN.why)
    story.probe("d", GOOD)
    assert (story.breaker.alarm, story.breaker.why) == (False, "")


def test_probes_go_from_5_to_60_seconds_doubling() -> None:
    story = Story()
    story.hear("a", DOWN)
    waits = []
    for number in range(6):
        waits.append(story.wait_for_probe())
        story.probe(f"p{number}", DOWN)
    assert waits == [5, 10, 20, 40, 60, 60]


SLOW = Unavailable("the server did not answer in time", SOFT)


@pytest.mark.parametrize("answer", [DENIED, SLOW])
def test_where_it_may_be_the_entry_the_first_probe_does_not_wait_and_the_next_ones_do(answer: Unavailable) -> None:
    story = Story()
    story.hear("a", answer)
    assert story.wait_for_probe() == 0
    waits = []
    for key in "bcdefg":
        story.probe(key, answer)
        waits.append(story.wait_for_probe())
    assert waits == [5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize("answer", [DOWN, REFUSED, Unavailable("429", SOFT, status=429, retry_after=7)])
def test_a_server_that_is_down_or_asks_for_a_pause_gets_one(answer: Unavailable) -> None:
    story = Story()
    story.hear("a", answer)
    assert story.wait_for_probe() >= 5


def test_no_probe_before_its_time_and_only_one_at_a_time() -> None:
    story = Story()
    story.hear("a", DOWN)
    assert not story.breaker.probe_due(story.now + 4.9)
    assert story.breaker.probe_due(story.now + 5)
    probing = story.breaker.probing("b")
    assert not probing.probe_due(story.now + 1000)
    with pytest.raises(ValueError, match="no probe is wanted"):
        probing.probing("c")


@pytest.mark.parametrize(("wish", "wait"), [(0.0, 5), (17.0, 17), (86400.0, 60)])
def test_retry_after_is_heard_within_the_bounds(wish: float, wait: float) -> None:
    story = Story()
    story.hear("a", Unavailable("503", Deferred("503"), retry_after=wish))
    assert story.wait_for_probe() == wait
    story.probe("b", Unavailable("503", Deferred("503"), retry_after=wish))
    assert story.wait_for_probe() == wait


def test_a_probe_that_succeeds_closes_it_and_blames_the_suspect() -> None:
    story = Story()
    story.hear("a", DENIED)
    verdict = story.probe("b", GOOD)
    assert story.state is BreakerState.CLOSED
    assert verdict == Verdict(Disposal.FINISH, closed=True, blamed=("a", DENIED.blame))


def test_a_success_of_a_request_begun_before_closes_it_too() -> None:
    story = Story()
    story.hear("a", DOWN)
    assert story.hear("z", GOOD).blamed == ("a", DOWN.blame)
    assert story.state is BreakerState.CLOSED


def test_that_success_closes_it_while_a_probe_is_under_way_and_the_probe_s_own_answer_then_counts_as_any() -> None:
    story = Story()
    story.hear("a", DOWN)
    story.now = story.breaker.probe_at
    story.breaker = story.breaker.probing("b")
    assert story.hear("z", GOOD).closed
    assert story.hear("b", DOWN).disposal is Disposal.SUSPECT
    assert story.breaker.suspect == "b"


def test_a_suspect_that_never_reached_the_server_goes_again_at_once_but_only_once() -> None:
    story = Story()
    story.hear("a", REFUSED)
    verdict = story.probe("b", GOOD)
    assert verdict == Verdict(Disposal.FINISH, closed=True)
    story.hear("a", REFUSED)
    assert story.probe("b", GOOD).blamed == ("a", Deferred(REFUSED.why, meaning=REFUSED.meaning))


def test_a_suspect_that_went_through_is_believed_again() -> None:
    story = Story()
    story.hear("a", REFUSED)
    story.probe("b", GOOD)
    story.hear("a", GOOD)
    story.hear("a", REFUSED)
    assert story.probe("b", GOOD).blamed is None


def test_a_rejected_probe_shows_that_the_server_is_alive() -> None:
    story = Story()
    story.hear("a", DOWN)
    verdict = story.probe("b", BAD)
    assert verdict == Verdict(Disposal.FINISH, closed=True, blamed=("a", DOWN.blame))
    assert story.state is BreakerState.CLOSED


@pytest.mark.parametrize("answer", [DOWN, SOFT, DENIED])
def test_requests_begun_before_that_fail_meanwhile_go_back_unblamed(answer: Answer) -> None:
    story = Story()
    story.hear("a", DOWN)
    assert story.hear("z", answer) == Verdict(Disposal.GIVE_BACK)
    assert story.breaker.suspect == "a"
    story.now = story.breaker.probe_at
    story.breaker = story.breaker.probing("b")
    assert story.hear("y", answer) == Verdict(Disposal.GIVE_BACK)
    assert story.state is BreakerState.PROBING


@pytest.mark.parametrize("answer", [BAD, UNREADABLE, Damaged("x")])
def test_other_answers_stand_while_it_is_open_and_do_not_close_it(answer: Answer) -> None:
    story = Story()
    story.hear("a", DOWN)
    assert story.hear("z", answer) == Verdict(Disposal.FINISH)
    assert story.state is BreakerState.OPEN


def test_a_failed_probe_is_kept_so_that_the_next_is_another() -> None:
    story = Story()
    story.hear("a", DOWN)
    assert story.probe("b", SOFT) == Verdict(Disposal.KEEP)
    assert story.state is BreakerState.OPEN
    assert story.breaker.suspect == "a"


def test_a_probe_that_says_nothing_about_the_destination_is_replaced_at_once() -> None:
    story = Story()
    story.hear("a", DOWN)
    assert story.probe("b", UNREADABLE) == Verdict(Disposal.FINISH)
    assert story.breaker.probe_due(story.now)


def test_the_suspect_may_be_its_own_probe_and_success_delivers_it() -> None:
    story = Story()
    story.hear("a", DOWN)
    assert story.probe("a", DENIED).disposal is Disposal.SUSPECT
    assert story.state is BreakerState.OPEN
    assert story.breaker.blame == DENIED.blame
    assert story.probe("a", GOOD) == Verdict(Disposal.FINISH, closed=True)


def test_a_suspect_that_turns_out_damaged_is_suspect_no_more() -> None:
    story = Story()
    story.hear("a", DOWN)
    assert story.probe("a", Damaged("x")) == Verdict(Disposal.FINISH)
    assert story.breaker.suspect is None
    assert story.probe("b", GOOD).blamed is None


def test_when_the_destination_was_mended_the_suspect_is_deferred_once_instead_of_rejected() -> None:
    story = Story()
    story.hear("a", DENIED)
    story.probe("b", DENIED)
    blamed = story.probe("c", GOOD).blamed
    assert blamed is not None
    assert blamed[0] == "a"
    assert isinstance(blamed[1], Deferred)

    story.hear("a", DENIED)
    story.probe("b", DENIED)
    assert story.probe("c", GOOD).blamed == ("a", DENIED.blame)


def test_eight_deferrals_in_a_row_open_it_and_are_due_again_when_it_closes() -> None:
    story = Story()
    keys = tuple(f"e{number}" for number in range(RUN_THAT_OPENS))
    for key in keys:
        assert story.state is BreakerState.CLOSED
        assert story.hear(key, SOFT) == Verdict(Disposal.FINISH)
    assert story.state is BreakerState.OPEN
    assert story.breaker.suspect is None
    verdict = story.probe("p", GOOD)
    assert verdict.due_again == keys
    assert verdict.blamed is None


def test_a_success_between_ends_the_run() -> None:
    story = Story()
    for number in range(RUN_THAT_OPENS - 1):
        story.hear(f"e{number}", SOFT)
    story.hear("good", GOOD)
    for number in range(RUN_THAT_OPENS - 1):
        story.hear(f"f{number}", SOFT)
    assert story.state is BreakerState.CLOSED


def test_unreadable_files_never_open_it() -> None:
    story = Story()
    for number in range(5 * RUN_THAT_OPENS):
        story.hear(f"e{number}", UNREADABLE)
    assert story.state is BreakerState.CLOSED


def test_eight_bad_entries_do_not_open_it_again_and_again() -> None:
    story = Story()
    bad = [f"e{number}" for number in range(RUN_THAT_OPENS)]
    for key in bad:
        story.hear(key, SOFT)
    story.probe("p", GOOD)
    for key in bad:
        story.hear(key, SOFT)
    assert story.state is BreakerState.CLOSED


signs: list[Answer] = [GOOD, BAD, SOFT, DOWN, DENIED, UNREADABLE, Damaged("x"), Abandoned()]


@given(st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from(signs), st.booleans()), max_size=200))
def test_whatever_comes_a_success_leaves_it_closed_and_nothing_kept(steps: list[tuple[str, Answer, bool]]) -> None:
    story = Story()
    kept: set[str] = set()
    for key, answer, as_probe in steps:
        tell = story.probe if as_probe and story.state is BreakerState.OPEN else story.hear
        verdict = tell(key, answer)
        kept.discard(key)
        if verdict.disposal in (Disposal.SUSPECT, Disposal.KEEP):
            kept.add(key)
        if verdict.closed:
            kept.clear()
        assert (story.state is BreakerState.PROBING) == (story.breaker.probe is not None)
        assert story.breaker.suspect is None or story.state is not BreakerState.CLOSED
        assert not kept or story.state is not BreakerState.CLOSED
    story.hear("last", GOOD)
    assert story.state is BreakerState.CLOSED
    assert story.breaker.run == ()


def test_only_what_the_server_answered_says_how_long_it_takes() -> None:
    tally = Tally()
    for answer, seconds in ((REFUSED_CONNECTION, 0.003), (GOOD, 3.0), (UNREADABLE, 0.001), (REFUSED_CONNECTION, 0.003)):
        tally.count_latency(answer, seconds)
    assert tally.latency == 3.0
