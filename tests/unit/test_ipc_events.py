"""What has happened lately: numbered, bounded, and a gap is never silent."""

from __future__ import annotations

from dropsafe.supervisor.ipc import rpc
from dropsafe.supervisor.ipc.events import KEPT, Events, Kind, Ring
from dropsafe.supervisor.ipc.frames import MAX_FRAME
from dropsafe.supervisor.ipc.series import STEP, STEPS, Counters, Series


def test_who_asks_again_gets_what_came_since_and_nothing_twice() -> None:
    events = Events(wall=lambda: 100.0)
    start = events.since(0).next
    events.tell(Kind.JOB, id="a")
    events.tell(Kind.JOB, id="b")
    first = events.since(start)
    assert [item["id"] for item in first.items] == ["a", "b"]
    assert not first.gap
    assert events.since(first.next).items == []


def test_what_was_forgotten_or_belongs_to_another_run_of_the_service_is_a_gap() -> None:
    events = Events(wall=lambda: 100.0)
    start = events.since(0).next
    for _ in range(KEPT + 1):
        events.tell(Kind.STATUS)
    assert events.since(start).gap
    assert events.since(start).items == [], "a snapshot is taken instead"
    assert not events.since(start + 1).gap
    later_run = Events(wall=lambda: 200.0)
    later_run.tell(Kind.STATUS)
    assert later_run.since(events.since(start).next).gap


def test_a_page_of_a_ring_goes_on_where_it_ended_and_shows_what_is_wanted() -> None:
    ring = Ring(10, wall=lambda: 0.0)
    for number in range(6):
        ring.add({"odd": number % 2})
    page = ring.since(0, 2, lambda item: bool(item["odd"]))
    assert [item["number"] for item in page.items] == [2, 4]
    assert [item["number"] for item in ring.since(page.next, 2, lambda item: bool(item["odd"])).items] == [6]


def test_a_tail_fits_into_a_frame_and_the_rest_is_had_next() -> None:
    events = Events(wall=lambda: 0.0)
    start = events.since(0).next
    for _ in range(KEPT):
        events.tell(Kind.LOG, text="\N{GRINNING FACE}" * 200)
    seen = 0
    while items := (tail := events.since(start)).items:
        assert not tail.gap
        assert len(rpc.answer(1, {"events": items})) < MAX_FRAME
        assert "error" not in rpc.answer(1, {"events": items}).decode()
        seen, start = seen + len(items), tail.next
    assert seen == KEPT


def test_the_last_hour_counts_what_grew_also_over_the_death_of_a_worker() -> None:
    series = Series()
    assert not series.sample(Counters(1_000, 0, 0), 0.0), "accepted before this run"
    assert series.sample(Counters(1_004, 3, 0), STEP)
    assert series.sample(Counters(1_004, None, None), 2 * STEP) is False, "no worker runs"
    assert series.sample(Counters(1_005, 2, 1), 3 * STEP), "a new worker counts from 0"
    assert series.told(3 * STEP)["points"][-4:] == [[0, 0, 0], [4, 3, 0], [0, 0, 0], [1, 2, 1]]
    told = series.told(3 * STEP + STEPS * STEP)
    assert len(told["points"]) == STEPS
    assert not any(map(any, told["points"])), "an hour later"
