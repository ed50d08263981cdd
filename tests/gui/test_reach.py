"""What the pages say of the server: no rate that is not one, and no "up" that nobody has seen."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import pytest

from dropsafe.desk.desk import Value
from dropsafe.gui.chart import HourChart
from dropsafe.gui.pages.destination import DestinationPage
from dropsafe.gui.probe import PATIENCE, Probe
from dropsafe.gui.reach import destination_sign, rate_in_words, rate_of
from dropsafe.gui.sources import Snapshot, Source
from dropsafe.gui.theme import Tone
from dropsafe.gui.words import clock
from dropsafe.spool.clock import iso


def snapshot(*codes: str, waiting: int = 0, inflight: int = 0, runs: bool = True, **figures: int) -> Snapshot:
    status: Value = {
        "reasons": [{"code": code} for code in codes],
        "workers": [{"name": "janitor", "figures": {}}, {"name": "uploader", "figures": figures}],
    }
    stats = {"counts": {"waiting": waiting, "inflight": inflight}}
    return Snapshot(Source.SERVICE if runs else Source.FOLDER, status, stats)


def steps(*delivered: int) -> Sequence[Sequence[int]]:
    return [(0, count, 0) for count in (*(0 for _ in range(360 - len(delivered))), *delivered)]


def test_of_a_try_that_was_asked_for_its_outcome_is_told_once() -> None:
    probe, down = Probe(), snapshot("destination-down", failed_probes=2)
    assert probe.outcome(down, 0.0) == ""
    assert "is tried now" in probe.asked(down, 0.0)
    assert probe.outcome(down, 1.0) == ""
    failed = snapshot("destination-down", failed_probes=3, next_probe_seconds=40)
    assert probe.outcome(failed, 2.0) == "It was tried just now, in vain; again by itself in 40 s."
    assert probe.outcome(failed, 3.0) == ""
    probe.asked(failed, 4.0)
    assert "takes reports again" in probe.outcome(snapshot(), 5.0)
    probe.asked(failed, 6.0)
    assert "not answered yet" in probe.outcome(failed, 6.1 + PATIENCE)


@pytest.mark.parametrize(
    ("delivered", "a_second"),
    [
        ((), 0.0),
        ((7,), 0.7),  # it has just begun
        ((10, 16, 2), 1.3),  # the running step is not over
        ((20, *(10,) * 12, 3), 1.0),  # older than the minutes that count
        ((30, *(0,) * 11), 30 / 110),  # it came to a halt
        ((500, *(0,) * 40), 0.0),
    ],
)
def test_the_rate_is_of_now_and_not_of_a_time_in_which_nothing_was_sent(
    delivered: tuple[int, ...], a_second: float
) -> None:
    assert rate_of(10.0, steps(*delivered)) == pytest.approx(a_second)


@pytest.mark.parametrize(
    ("shown", "rate", "words"),
    [
        (snapshot(), 0.5, "30 delivered a minute; nothing waits"),
        (snapshot(waiting=40, inflight=20), 1.0, "60 delivered a minute; at this rate empty in 1 min"),
        (snapshot(inflight=98), 0.0, "0 delivered a minute"),
        (snapshot("destination-down", waiting=40), 1.0, "nothing is delivered at present"),
        (snapshot("paused-delivery", waiting=40), 1.0, "nothing is delivered at present"),
        (snapshot(waiting=40, runs=False), 1.0, "–"),
        (snapshot(waiting=40), None, "–"),
    ],
)
def test_what_is_being_sent_is_not_yet_delivered(shown: Snapshot, rate: float | None, words: str) -> None:
    assert rate_in_words(shown, rate) == words


@pytest.mark.parametrize(
    ("shown", "tone", "begins"),
    [
        (snapshot(delivered=1), Tone.WELL, "up"),
        (snapshot(rejected=1), Tone.WELL, "up"),
        (snapshot(delivered=0, rejected=0), Tone.QUIET, "not known yet"),
        (snapshot("destination-down", delivered=9), Tone.SOON, "down"),
        (snapshot("destination-refuses", delivered=9), Tone.PERSON, "refuses us"),
        (snapshot("paused-delivery", delivered=9), Tone.QUIET, "delivery is paused"),
        (snapshot(delivered=9, runs=False), Tone.QUIET, "not tried"),
    ],
)
def test_a_server_is_up_only_once_it_has_answered(shown: Snapshot, tone: Tone, begins: str) -> None:
    sign, words = destination_sign(shown)
    assert sign is tone
    assert words.startswith(begins)


def test_a_test_of_the_connection_has_its_time_and_address_and_goes_with_that_address() -> None:
    page = DestinationPage({"destination.url": "http://a/?key=secret"})
    page.show_snapshot(snapshot())
    page._tested = page._in_force
    page._heard({"id": "1", "state": "done", "error": None, "result": {"steps": []}})
    assert re.search(r"Tested at \d\d:\d\d:\d\d: http://a/$", page._test_state.text())
    page.show_snapshot(snapshot())
    assert page._test_state.text()
    page.config = {"destination.url": "http://b/"}
    page.show_snapshot(snapshot())
    assert page._test_state.text() == ""
    page.close()


def test_a_chart_of_a_service_younger_than_the_hour_says_since_when_it_counts() -> None:
    chart, began = HourChart(), iso(time.time() - 60)
    for since, said in ((began, clock(began)[11:16]), ("2026-01-01T00:00:00.000Z", ""), ("", "")):
        chart.show_series(10.0, steps(), since)
        assert chart._since == said
    chart.deleteLater()
