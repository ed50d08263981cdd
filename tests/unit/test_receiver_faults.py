"""Faults on order: which are understood, and whom they strike."""

from __future__ import annotations

from typing import Any

import pytest

from dropsafe.receiver.faults import Fault, Faults, FaultsRefused

EVERYTHING: dict[str, Any] = {
    "latency": {"seconds": 0.5, "rate": 0.25},
    "cut_before": {"rate": 0.1},
    "error": {"status": 503, "detail": "too busy", "retry_after": 7, "every_nth": 3},
    "html": {"key": ["A1-*", "B2"]},
    "cut_during": {"every_nth": 7},
    "slow": {"bytes_per_second": 1000, "name": "*.xml"},
    "cut_after": {"every_nth": 10},
    "half_answer": {"part": "body", "from": 5, "for": 60},
    "wrong_digest": {},
    "seed": 42,
}


def struck(faults: Faults, fault: Fault, requests: int) -> list[int]:
    """The numbers, from 1, of the requests that were struck."""
    return [number for number in range(1, requests + 1) if faults.strikes(fault) is not None]


def test_what_is_in_force_can_be_ordered_again() -> None:
    faults = Faults(EVERYTHING)
    assert faults.to_dict() == EVERYTHING
    assert Faults(faults.to_dict()).to_dict() == EVERYTHING


def test_a_latency_of_nothing_is_still_a_latency() -> None:
    assert Faults({"latency": {"seconds": 0}}).to_dict() == {"latency": {"seconds": 0}}


def test_without_faults_nothing_is_struck() -> None:
    faults = Faults()
    assert not faults
    assert not any(struck(faults, fault, 100) for fault in Fault)


def test_every_nth_strikes_exactly_the_nth() -> None:
    assert struck(Faults({"cut_after": {"every_nth": 10}}), Fault.CUT_AFTER, 35) == [10, 20, 30]


def test_a_rate_strikes_about_that_share() -> None:
    assert 60 < len(struck(Faults({"cut_before": {"rate": 0.1}}), Fault.CUT_BEFORE, 1000)) < 140


@pytest.mark.parametrize(("rate", "expected"), [(0, 0), (1, 50)])
def test_the_extreme_rates_are_never_and_always(rate: float, expected: int) -> None:
    assert len(struck(Faults({"cut_before": {"rate": rate}}), Fault.CUT_BEFORE, 50)) == expected


def test_a_fault_without_a_when_always_strikes() -> None:
    assert struck(Faults({"cut_after": {}}), Fault.CUT_AFTER, 3) == [1, 2, 3]


def test_the_same_seed_gives_the_same_sequence_and_another_seed_another() -> None:
    def sequence(seed: int) -> list[int]:
        return struck(Faults({"cut_before": {"rate": 0.5}, "seed": seed}), Fault.CUT_BEFORE, 64)

    assert sequence(1) == sequence(1)
    assert sequence(1) != sequence(2)


def test_faults_do_not_disturb_each_others_sequence() -> None:
    alone = Faults({"cut_before": {"rate": 0.5}})
    together = Faults({"cut_before": {"rate": 0.5}, "cut_after": {"rate": 0.5}})
    expected = struck(alone, Fault.CUT_BEFORE, 32)
    seen = []
    for number in range(1, 33):
        together.strikes(Fault.CUT_AFTER)
        if together.strikes(Fault.CUT_BEFORE):
            seen.append(number)
    assert seen == expected


def test_two_faults_of_the_same_rate_do_not_strike_together() -> None:
    faults = Faults({"cut_before": {"rate": 0.5}, "cut_after": {"rate": 0.5}})
    assert struck(faults, Fault.CUT_BEFORE, 64) != struck(faults, Fault.CUT_AFTER, 64)


def test_the_rule_has_the_figure_that_the_fault_needs() -> None:
    faults = Faults({"error": {"status": 418}, "latency": {"seconds": 2}})
    error, latency = faults.strikes(Fault.ERROR), faults.strikes(Fault.LATENCY)
    assert error is not None
    assert error["status"] == 418
    assert latency is not None
    assert latency["seconds"] == 2


def test_what_was_struck_is_counted_across_orders() -> None:
    faults = Faults({"cut_after": {"every_nth": 2}})
    struck(faults, Fault.CUT_AFTER, 5)
    faults.replace({"cut_after": {}})
    struck(faults, Fault.CUT_AFTER, 3)
    assert faults.struck == {Fault.CUT_AFTER: 5}


def test_replacing_ends_the_others() -> None:
    faults = Faults(EVERYTHING)
    faults.replace({"cut_after": {"every_nth": 2}})
    assert faults.to_dict() == {"cut_after": {"every_nth": 2}}
    faults.replace({})
    assert faults.to_dict() == {}
    assert not faults


def test_patching_keeps_the_others_and_null_ends_one() -> None:
    faults = Faults({"cut_after": {"every_nth": 2}, "latency": {"seconds": 1}, "seed": 5})
    faults.patch({"latency": None, "error": {"status": 500}})
    assert faults.to_dict() == {"cut_after": {"every_nth": 2}, "error": {"status": 500}, "seed": 5}


def test_patching_one_does_not_restart_the_count_of_another() -> None:
    faults = Faults({"cut_after": {"every_nth": 3}})
    struck(faults, Fault.CUT_AFTER, 2)
    faults.patch({"latency": {"seconds": 1}})
    assert struck(faults, Fault.CUT_AFTER, 1) == [1]


def test_only_the_named_keys_and_names_are_struck_and_counted() -> None:
    faults = Faults({"error": {"status": 500, "key": ["A1-*", "B2"], "name": "*.xml", "every_nth": 2}})

    def strikes(key: str, name: str = "r.xml") -> bool:
        return faults.strikes(Fault.ERROR, key, name) is not None

    assert [strikes("A1-7"), strikes("B3"), strikes("B2", "r.csv"), strikes("B2")] == [False, False, False, True]
    assert [strikes("a1-7"), strikes("A1-8"), strikes("A1-")] == [False, False, True]


def test_a_timed_fault_strikes_from_then_for_so_long() -> None:
    now = 1000.0
    faults = Faults({"cut_before": {"from": 10, "for": 5}, "cut_after": {"for": 3}, "html": {"from": 12}}, lambda: now)
    seen = {}
    for now in (1000.0, 1002.9, 1003.0, 1009.9, 1010.0, 1014.9, 1015.0):
        seen[now - 1000] = "".join(fault[-1] for fault in Fault if faults.strikes(fault) is not None)
    assert [*seen.values()] == ["r", "r", "", "", "e", "el", "l"]


def test_patching_another_fault_does_not_restart_the_time() -> None:
    now = 0.0
    faults = Faults({"cut_after": {"for": 3}}, lambda: now)
    now = 2.0
    faults.patch({"latency": {"seconds": 1}})
    now = 3.0
    assert faults.strikes(Fault.CUT_AFTER) is None
    faults.patch({"cut_after": {"for": 3}})
    assert faults.strikes(Fault.CUT_AFTER) is not None


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "a JSON object of faults, not a list"),
        (None, "not null"),
        ("x", "not 'x'"),
        ({"cut_afer": {}}, "did you mean cut_after?"),
        ({"nonsense": {}}, "The faults are latency, cut_before, error, html,"),
        ({"cut_after": 0.1}, "cut_after must be an object or null, not 0.1"),
        ({"cut_after": {"rate": 1.5}}, "cut_after.rate must be a number from 0 to 1, not 1.5"),
        ({"cut_after": {"rate": -0.1}}, "cut_after.rate must be"),
        ({"cut_after": {"rate": True}}, "not true"),
        ({"cut_after": {"rate": "0.1"}}, "not '0.1'"),
        ({"cut_after": {"rate": float("nan")}}, "not nan"),
        ({"cut_after": {"every_nth": 0}}, "cut_after.every_nth must be a whole number from 1"),
        ({"cut_after": {"every_nth": 2.5}}, "a whole number"),
        ({"cut_after": {"rate": 0.1, "every_nth": 2}}, "not both"),
        ({"cut_after": {"status": 500}}, "cut_after has no 'status'; it takes rate, every_nth, key, name, from, for."),
        ({"error": {"rate": 0.5}}, "error needs status: a whole number from 400 to 599"),
        ({"error": {"status": 200}}, "error.status must be a whole number from 400 to 599, not 200"),
        ({"latency": {}}, "latency needs seconds"),
        ({"latency": {"seconds": -1}}, "latency.seconds must be a number from 0 to 3600"),
        ({"half_answer": {"part": "tail"}}, 'half_answer.part must be "head" or "body", not \'tail\''),
        ({"html": {"key": 7}}, "html.key must be a pattern like A1-*, or a list of them, not 7"),
        ({"html": {"name": [7]}}, "html.name must be a pattern"),
        ({"html": {"for": -1}}, "html.for must be a number from 0 to 86400"),
        ({"error": {"status": 429, "retry_after": 1, "retry_at": 1}}, "either retry_after or retry_at, not both"),
        ({"error": {"status": 429, "retry_after": 1.5}}, "error.retry_after must be a whole number"),
        ({"seed": -1}, "seed must be"),
        ({"seed": None}, "seed must be"),
    ],
)
@pytest.mark.parametrize("method", ["replace", "patch"])
def test_a_senseless_order_is_refused_and_changes_nothing(method: str, document: Any, words: str) -> None:
    faults = Faults(EVERYTHING)
    with pytest.raises(FaultsRefused) as refusal:
        getattr(faults, method)(document)
    assert words in str(refusal.value)
    assert faults.to_dict() == EVERYTHING
