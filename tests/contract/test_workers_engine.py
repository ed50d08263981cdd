"""The delivery engine on a real spool: what it promises whatever the destination does."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dropsafe.errors import ExitCode, LockLost, SpoolError
from dropsafe.spool import Entry, Grade, Limits, Spool, State, durable
from dropsafe.spool.claims import Hand
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.pausing import Work
from dropsafe.workers import delivery, refusals, supply
from dropsafe.workers.backoff import Backoff
from dropsafe.workers.breaker import BreakerState, ProbeBounds
from dropsafe.workers.deliver import deliver_once
from dropsafe.workers.delivery import Engine
from dropsafe.workers.link import LocalLink
from dropsafe.workers.outcome import Abandoned, Answer, Damaged, Deferred
from dropsafe.workers.pace import Bucket
from dropsafe.workers.settings import Settings
from dropsafe.workers.supply import MOST_IN_HAND, Supply
from dropsafe.workers.transport import Parcel
from tests.support.scripted import (
    DENIED,
    DOWN,
    FAILED,
    REFUSED,
    UNREACHED,
    Scripted,
    delivered,
    held_until,
    in_thread,
)
from tests.support.waiting import eventually

QUICK = ProbeBounds(0.05, 0.2)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.create(tmp_path / "spool", group="", limits=Limits(max_queue_size=0, min_free_bytes=0)) as made:
        yield made


def submit(spool: Spool, count: int, prefix: str = "e") -> list[str]:
    names = [f"{prefix}{number:04d}" for number in range(count)]
    for name in names:
        spool.submit(f"content of {name}".encode(), name=name)
    return names


def names_in(spool: Spool, state: State) -> set[str]:
    return {entry.name.original for entry in spool.entries(state)}


class Running:
    """An engine at work on a thread."""

    def __init__(self, spool: Spool, transport: Scripted, settings: Settings) -> None:
        self.spool = spool
        self.transport = transport
        self.link = LocalLink()
        self.hand = spool.take_hand("uploader")
        self.engine = Engine(spool, self.hand, transport, self.link, settings)
        self.link.on_stop(self.engine.wake)
        self.raised: list[BaseException] = []

    def run(self) -> None:
        try:
            self.engine.run()
        finally:
            self.hand.close()


@contextmanager
def running(spool: Spool, transport: Scripted, **settings: Any) -> Iterator[Running]:
    chosen = Settings(**{"connections": 4, "probes": QUICK, **settings})
    work = Running(spool, transport, chosen)
    with in_thread(work.run, work.link.stop) as work.raised:
        yield work


def run_once(spool: Spool, transport: Scripted, patience: float = 1.0, **settings: Any) -> Engine:
    hand = spool.take_hand("deliver")
    try:
        engine = Engine(
            spool, hand, transport, LocalLink(), Settings(**{"connections": 4, "probes": QUICK, **settings})
        )
        engine.run_once(patience)
        return engine
    finally:
        hand.close()


def failing(operation: str, times: int, error: int = errno.EIO) -> Callable[[str, str, str], None]:
    """An observer that makes an operation fail so often."""
    left = [times]

    def observe(name: str, moment: str, path: str) -> None:
        if name == operation and moment == "before" and left[0]:
            left[0] -= 1
            raise OSError(error, "injected", path)

    return observe


def test_everything_due_is_delivered_with_a_receipt(spool: Spool) -> None:
    names = submit(spool, 300)
    transport = Scripted()
    engine = run_once(spool, transport)
    assert transport.delivered == dict.fromkeys(names, 1)
    assert names_in(spool, State.SENT) == set(names)
    assert spool.stats().inflight == spool.stats().waiting == 0
    entry = next(spool.entries(State.SENT))
    receipt = spool.receipt_of(entry.id)
    assert (receipt.grade, receipt.server_id, receipt.attempt) == (Grade.DIGEST, f"srv-{entry.id}", 1)
    assert receipt.sha256.startswith(entry.name.digest16)
    assert receipt.accepted.replace("-", "").replace(":", "") == entry.name.stamp
    assert engine.progress()["delivered"] == 300
    assert engine.progress()["bytes"] == sum(len(f"content of {name}") for name in names)


def test_the_oldest_go_first(spool: Spool) -> None:
    submit(spool, 50)
    by_age = [name.original for name in sorted((entry.name for entry in spool.entries(State.PENDING)), key=str)]
    transport = Scripted()
    run_once(spool, transport, connections=1)
    assert transport.sent == by_age


def test_receipts_are_committed_in_groups(spool: Spool) -> None:
    submit(spool, 300)
    syncs: list[str] = []
    with durable.observed(lambda name, moment, _: syncs.append(name) if moment == "after" else None):
        run_once(spool, Scripted())
    assert 300 / 64 <= syncs.count("receipt.fsync") < 60


def test_never_more_at_once_than_connections(spool: Spool) -> None:
    submit(spool, 100)

    def slow(parcel: Parcel, cancel: threading.Event) -> Answer:
        cancel.wait(0.002)
        return delivered(parcel)

    transport = Scripted(slow)
    run_once(spool, transport, connections=3)
    assert transport.most_at_once == 3


def test_no_more_than_256_are_in_hand(spool: Spool) -> None:
    submit(spool, MOST_IN_HAND + 60)
    gate = threading.Event()
    with running(spool, Scripted(held_until(gate)), connections=64) as work:
        eventually(lambda: work.engine.in_hand > 64)
        most = 0
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:
            most = max(most, work.hand.in_hand)
        gate.set()
        eventually(lambda: len(work.transport.delivered) == MOST_IN_HAND + 60)
    assert most <= MOST_IN_HAND


def test_a_refused_entry_goes_to_failed_with_the_server_s_words(spool: Spool) -> None:
    submit(spool, 5)
    run_once(spool, Scripted(lambda parcel, _: REFUSED if parcel.name == "e0002" else delivered(parcel)))
    (entry,) = spool.entries(State.FAILED)
    reason = spool.reason(entry)
    assert reason is not None
    assert (reason.kind, reason.detail, reason.status) == ("rejected", "no serial", 422)
    assert entry.id in reason.remedy
    assert len(names_in(spool, State.SENT)) == 4


def test_refusals_that_follow_one_another_are_one_line_in_the_log(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    submit(spool, 200)
    run_once(spool, Scripted(lambda parcel, _: REFUSED))
    (line,) = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert line.startswith("The server refused 200 reports (the first: 2")
    assert " with status 422. " in line


def test_a_refused_burst_is_told_while_the_work_goes_on(
    spool: Spool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "QUIET", 0.0)
    monkeypatch.setattr(delivery, "BEAT", 0.05)
    submit(spool, 1)
    with running(spool, Scripted(lambda parcel, _: REFUSED)):
        eventually(lambda: "The server refused 2" in caplog.text, "the line")


def test_a_damaged_entry_goes_to_quarantine(spool: Spool) -> None:
    submit(spool, 5)
    run_once(
        spool, Scripted(lambda parcel, _: Damaged("other bytes.") if parcel.name == "e0002" else delivered(parcel))
    )
    assert names_in(spool, State.QUARANTINE) == {"e0002"}
    assert len(names_in(spool, State.SENT)) == 4


@pytest.mark.parametrize(
    ("answer", "goes_to"), [(DOWN, State.PENDING), (DENIED, State.FAILED), (FAILED, State.PENDING)]
)
def test_one_bad_entry_never_delays_the_others(spool: Spool, answer: Answer, goes_to: State) -> None:
    names = submit(spool, 60)
    transport = Scripted(lambda parcel, _: answer if parcel.name == "e0000" else delivered(parcel))
    # One connection: of several, the slowest could bring the bad answer last, when nothing is left to probe with.
    engine = run_once(spool, transport, patience=5.0, connections=1)
    assert names_in(spool, State.SENT) == set(names[1:])
    assert names_in(spool, goes_to) == {"e0000"}
    assert transport.sent.count("e0000") == 1
    assert engine.breaker.state is BreakerState.CLOSED


def test_two_entries_that_hang_the_server_delay_the_others_by_two_probes_only(spool: Spool) -> None:
    names = submit(spool, 40)
    bad = set(names[:3])
    transport = Scripted(lambda parcel, _: DOWN if parcel.name in bad else delivered(parcel))
    run_once(spool, transport, patience=2.0, connections=1)
    assert names_in(spool, State.SENT) == set(names) - bad
    assert names_in(spool, State.PENDING) == bad


def test_a_dead_destination_costs_one_probe_at_a_time_and_nothing_is_blamed(spool: Spool) -> None:
    names = submit(spool, 100)
    transport = Scripted(lambda parcel, _: DOWN)
    engine = run_once(spool, transport, patience=1.0, probes=ProbeBounds(0.1, 0.4))
    assert engine.breaker.state is BreakerState.OPEN
    assert len(transport.sent) <= 1 + 32 + 4 + 6  # those begun before it opened, then probes at 0.1, 0.3, 0.7 s
    assert names_in(spool, State.PENDING) == set(names)
    assert engine.progress()["breaker_why"] == DOWN.why


def test_entries_flow_again_the_moment_a_probe_succeeds(spool: Spool) -> None:
    names = submit(spool, 100)
    transport = Scripted(lambda parcel, _: DOWN)
    with running(spool, transport) as work:
        eventually(lambda: work.engine.breaker.failed_probes >= 2)
        assert spool.stats().inflight <= 5
        transport.script = lambda parcel, _: delivered(parcel)
        eventually(lambda: len(transport.delivered) >= 99)
        assert work.engine.breaker.state is BreakerState.CLOSED
    sent, waiting = names_in(spool, State.SENT), names_in(spool, State.PENDING)
    assert sent | waiting == set(names)
    assert len(waiting) <= 1  # the one that was blamed waits for its back-off


def test_after_an_outage_in_which_nothing_reached_the_server_nobody_waits_for_a_back_off(spool: Spool) -> None:
    names = submit(spool, 30)
    transport = Scripted(lambda parcel, _: UNREACHED)
    with running(spool, transport) as work:
        eventually(lambda: work.engine.breaker.failed_probes >= 1)
        transport.script = lambda parcel, _: delivered(parcel)
        eventually(lambda: names_in(spool, State.SENT) == set(names))


def test_a_new_token_sends_nobody_to_failed(spool: Spool) -> None:
    names = submit(spool, 30)
    transport = Scripted(lambda parcel, _: DENIED)
    with running(spool, transport, backoff=Backoff(0.1, 0.2)) as work:
        eventually(lambda: work.engine.breaker.failed_probes >= 2)
        assert work.engine.progress()["alarm"] is True
        transport.script = lambda parcel, _: delivered(parcel)
        eventually(lambda: len(transport.delivered) >= 29)
    assert names_in(spool, State.FAILED) == set()
    assert names_in(spool, State.SENT) | names_in(spool, State.PENDING) == set(names)


def test_a_lone_entry_is_its_own_probe(spool: Spool) -> None:
    submit(spool, 1)
    transport = Scripted(lambda parcel, _: DOWN)
    with running(spool, transport) as work:
        eventually(lambda: len(transport.sent) >= 3)
        assert work.engine.breaker.suspect is not None
        transport.script = lambda parcel, _: delivered(parcel)
        eventually(lambda: len(transport.delivered) == 1)
    assert names_in(spool, State.SENT) == {"e0000"}


def test_a_wholly_failing_server_is_no_hot_loop_and_all_are_due_when_it_recovers(spool: Spool) -> None:
    names = submit(spool, 50)
    transport = Scripted(lambda parcel, _: FAILED)
    with running(spool, transport, backoff=Backoff(600, 900), connections=1) as work:
        eventually(lambda: work.engine.breaker.failed_probes >= 2)
        assert len(transport.sent) < 8 + 32 + 10
        transport.script = lambda parcel, _: delivered(parcel)
        eventually(lambda: len(transport.delivered) == 50)
    assert names_in(spool, State.SENT) == set(names)


def test_eight_bad_entries_do_not_hold_up_the_rest(spool: Spool) -> None:
    names = submit(spool, 300)
    bad = set(names[:8])
    transport = Scripted(lambda parcel, _: FAILED if parcel.name in bad else delivered(parcel))
    run_once(spool, transport, patience=5.0, connections=1, backoff=Backoff(600, 900))
    assert names_in(spool, State.SENT) == set(names) - bad
    assert all(transport.sent.count(name) <= 2 for name in bad)


def test_a_deferred_entry_is_tried_again_after_its_back_off(tmp_path: Path) -> None:
    clock = ManualClock(time.time())
    limits = Limits(max_queue_size=0, min_free_bytes=0)
    failed = threading.Event()

    def script(parcel: Parcel, _: threading.Event) -> Answer:
        if parcel.name == "e0000" and not failed.is_set():
            failed.set()
            return FAILED
        return delivered(parcel)

    transport = Scripted(script)
    with Spool.create(tmp_path / "spool", group="", limits=limits, clock=clock) as spool:
        submit(spool, 2)
        with running(spool, transport, backoff=Backoff(60, 60)) as work:
            eventually(lambda: work.engine.tally.deferred == 1 and len(transport.delivered) == 1)
            clock.step(75)
            eventually(lambda: len(transport.delivered) == 2)
        entry = next(entry for entry in spool.entries(State.SENT) if entry.name.original == "e0000")
        assert spool.receipt_of(entry.id).attempt == 2


def test_a_stop_finishes_what_is_under_way_and_returns_the_rest(spool: Spool) -> None:
    names = submit(spool, 100)
    gate = threading.Event()
    transport = Scripted(held_until(gate))
    with running(spool, transport, connections=1) as work:
        eventually(lambda: len(transport.sent) == 1)
        work.link.stop()
        eventually(lambda: len(names_in(spool, State.PENDING)) == 99)
        gate.set()
    assert names_in(spool, State.SENT) == set(transport.delivered) == {transport.sent[0]}
    assert names_in(spool, State.PENDING) == set(names) - set(transport.delivered)
    assert names_in(spool, State.INFLIGHT) == set()


def test_phase_two_of_a_stop_abandons_uploads(spool: Spool) -> None:
    names = submit(spool, 20)
    transport = Scripted(held_until(threading.Event()))
    with running(spool, transport) as work:
        eventually(lambda: len(transport.sent) == 2)
        work.link.abandon_now()
    assert names_in(spool, State.PENDING) == set(names)
    assert not transport.delivered


def test_an_upload_that_hears_nothing_does_not_hold_up_phase_two(spool: Spool) -> None:
    names = submit(spool, 5)
    gate = threading.Event()

    def deaf(parcel: Parcel, _: threading.Event) -> Answer:
        gate.wait(30)
        return delivered(parcel)

    transport = Scripted(deaf)
    begun = time.monotonic()
    with running(spool, transport) as work:
        eventually(lambda: len(transport.sent) == 2)
        work.link.abandon_now()
        assert transport.closed.wait(10)
        eventually(lambda: names_in(spool, State.PENDING) == set(names))
        gate.set()
    assert time.monotonic() - begun < 10


def test_a_thread_that_dies_is_replaced_and_its_entry_is_not_lost(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    names = submit(spool, 30)
    died: list[str] = []

    def script(parcel: Parcel, _: threading.Event) -> Answer:
        if parcel.name in ("e0003", "e0007") and parcel.name not in died:
            died.append(parcel.name)
            raise RuntimeError("a fault of ours")
        return delivered(parcel)

    transport = Scripted(script)
    engine = run_once(spool, transport, connections=1)
    assert names_in(spool, State.SENT) == set(names)
    assert engine.progress()["thread_deaths"] == 2
    assert "a fault of ours" in caplog.text


def test_an_entry_that_kills_threads_again_and_again_has_to_wait(spool: Spool) -> None:
    submit(spool, 3)

    def script(parcel: Parcel, _: threading.Event) -> Answer:
        if parcel.name == "e0001":
            raise RuntimeError("a fault of ours")
        return delivered(parcel)

    engine = run_once(spool, Scripted(script))
    assert engine.progress()["thread_deaths"] == 2
    assert names_in(spool, State.PENDING) == {"e0001"}
    assert engine.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("operation", ["receipt.write", "receipt.fsync", "delivered.rename"])
def test_a_receipt_that_cannot_be_stored_loses_nothing(spool: Spool, operation: str) -> None:
    names = submit(spool, 40)
    transport = Scripted()
    with durable.observed(failing(operation, 3)), running(spool, transport):
        eventually(lambda: names_in(spool, State.SENT) == set(names), patience=20)
    assert transport.delivered == dict.fromkeys(names, 1)


def test_what_has_no_receipt_yet_is_not_reported_as_delivered(spool: Spool) -> None:
    submit(spool, 4)
    with durable.observed(failing("receipt.write", 10_000, errno.ENOSPC)):
        report = deliver_once(spool, Scripted(), patience=0.5)
    assert (report.delivered, report.bytes, report.waiting_again, report.unproven) == (0, 0, 0, 4)
    assert (report.unproven_why, report.exit_code) == ("injected", ExitCode.TEMPORARY)
    assert len(names_in(spool, State.PENDING)) == 4


def test_a_move_that_fails_for_one_entry_neither_loses_it_nor_stops_the_others(spool: Spool) -> None:
    names = submit(spool, 40)
    transport = Scripted(lambda parcel, _: REFUSED if parcel.name == "e0005" else delivered(parcel))
    with durable.observed(failing("rejected.rename", 2)), running(spool, transport) as work:
        eventually(lambda: len(names_in(spool, State.SENT)) == 39)
        assert work.engine.progress()["owed"] == 1
        assert "injected" in str(work.engine.progress()["trouble"])
        eventually(lambda: names_in(spool, State.FAILED) == {"e0005"}, patience=20)
        eventually(lambda: work.engine.progress()["owed"] == 0)
    assert names_in(spool, State.SENT) == set(names) - {"e0005"}


def test_an_entry_taken_out_of_our_folder_by_hand_stops_nobody(spool: Spool, tmp_path: Path) -> None:
    names = submit(spool, 40)

    def script(parcel: Parcel, _: threading.Event) -> Answer:
        answer = delivered(parcel)
        if parcel.name == "e0010":
            parcel.path.rename(tmp_path / "taken")
        return answer

    with running(spool, Scripted(script)):
        eventually(lambda: len(names_in(spool, State.SENT)) == 39, patience=20)
    assert names_in(spool, State.SENT) == set(names) - {"e0010"}
    assert (tmp_path / "taken").read_bytes() == b"content of e0010"


def test_damaged_meta_defers_the_entry_by_our_own_fault(spool: Spool) -> None:
    for number in range(12):
        accepted = spool.submit(b"x", name=f"e{number}", attributes={"a": "b"})
        Path(spool.core.meta.path(accepted.id)).write_text("{")
    engine = run_once(spool, Scripted())
    assert engine.breaker.state is BreakerState.CLOSED
    assert len(names_in(spool, State.PENDING)) == 12


def test_a_lost_lock_ends_the_work_and_loses_nothing(spool: Spool) -> None:
    names = submit(spool, 5)
    gate = threading.Event()
    with running(spool, Scripted(held_until(gate))) as work:
        eventually(lambda: work.engine.in_hand > 0)
        (spool.path / "locks" / f"{work.hand.name}.lock").unlink()
        eventually(lambda: bool(work.raised))
        gate.set()
    assert isinstance(work.raised[0], LockLost)
    inflight_or_pending = names_in(spool, State.PENDING) | names_in(spool, State.INFLIGHT)
    assert inflight_or_pending == set(names)


def test_a_spool_that_cannot_be_used_ends_the_work(spool: Spool) -> None:
    pending = spool.path / "pending"
    with running(spool, Scripted()) as work:
        pending.rename(spool.path / "away")
        eventually(lambda: bool(work.raised))
    (spool.path / "away").rename(pending)
    assert isinstance(work.raised[0], SpoolError)
    assert work.raised[0].remedy


def test_a_suspect_of_a_dead_worker_is_delivered_alone(spool: Spool) -> None:
    names = submit(spool, 40)
    suspect = next(entry for entry in spool.entries(State.PENDING) if entry.name.original == "e0010")
    spool.core.strikes.suspect(suspect.id)
    company: list[int] = []
    hand: list[Hand] = []

    def script(parcel: Parcel, _: threading.Event) -> Answer:
        if parcel.name == "e0010":
            company.append(hand[0].in_hand)
        return delivered(parcel)

    with running(spool, Scripted(script)) as work:
        hand.append(work.hand)
        eventually(lambda: names_in(spool, State.SENT) == set(names))
    assert company == [1]
    assert spool.core.strikes.suspects() == set()


def test_the_work_loop_beats_while_uploads_take_long(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "BEAT", 0.05)
    submit(spool, 10)
    gate = threading.Event()
    beats: list[dict[str, object]] = []
    with running(spool, Scripted(held_until(gate))) as work:
        beat = work.link.beat

        def record(progress: dict[str, object]) -> None:
            beats.append(progress)
            beat(progress)

        work.link.beat = record  # type: ignore[method-assign]
        eventually(lambda: len(beats) >= 3)
        gate.set()
    assert work.link.progress["hand"] == work.hand.name


def test_a_suspect_of_a_dead_worker_that_hangs_the_server_does_not_block_the_rest(spool: Spool) -> None:
    names = submit(spool, 20)
    suspect = next(spool.entries(State.PENDING))
    spool.core.strikes.suspect(suspect.id)
    transport = Scripted(lambda parcel, _: DOWN if parcel.name == suspect.name.original else delivered(parcel))
    run_once(spool, transport, patience=2.0)
    assert names_in(spool, State.SENT) == set(names) - {suspect.name.original}
    assert names_in(spool, State.PENDING) == {suspect.name.original}


def test_many_suspects_of_a_dead_worker_are_through_soon(spool: Spool) -> None:
    names = submit(spool, 60)
    for entry in list(spool.entries(State.PENDING)):
        spool.core.strikes.suspect(entry.id)
    begun = time.monotonic()
    run_once(spool, Scripted())
    assert names_in(spool, State.SENT) == set(names)
    assert time.monotonic() - begun < 10


class CountingHand:
    """Counts the looks into the spool."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self.claims = 0

    def claim(self, limit: int) -> list[Entry]:
        self.claims += 1
        return self._hand.claim(limit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hand, name)


def test_an_idle_engine_looks_once_a_second_and_a_hint_wakes_it_at_once(spool: Spool) -> None:
    transport = Scripted()
    link = LocalLink()
    with ExitStack() as stack:
        hand = spool.take_hand("uploader")
        stack.callback(hand.close)
        counting = CountingHand(hand)
        engine = Engine(spool, counting, transport, link, Settings(probes=QUICK))  # type: ignore[arg-type]
        link.on_stop(engine.wake)
        stack.enter_context(in_thread(engine.run, link.stop))
        eventually(lambda: counting.claims == 1)
        time.sleep(1.5)  # the promise is about what does not happen in a while
        assert counting.claims <= 3
        spool.submit(b"x", name="hinted")
        engine.wake()
        eventually(lambda: len(transport.delivered) == 1)


def test_a_hint_that_comes_a_moment_before_its_entry_is_not_wasted(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supply, "RESCAN", 3600.0)
    hand = spool.take_hand("uploader")
    looks = Supply(hand)
    looks.hint()
    assert looks.claim(100.0, 64, 0) == []
    spool.submit(b"x", name="late")
    assert looks.look_at < 101.0
    assert len(looks.claim(looks.look_at, 64, 0)) == 1
    assert looks.claim(101.0, 64, 0) == []
    assert looks.claim(looks.look_at, 64, 0) == []
    assert looks.look_at > 3000.0, "then the rescan must do"
    hand.close()


def test_unreadable_files_do_not_make_the_destination_look_down(spool: Spool) -> None:
    submit(spool, 30)
    engine = run_once(spool, Scripted(lambda parcel, _: Deferred("cannot be read", ours=True)))
    assert engine.breaker.state is BreakerState.CLOSED
    assert engine.tally.waiting_again == engine.progress()["unreadable"] == 30
    assert "cannot be read" in str(engine.progress()["unreadable_why"])


@pytest.mark.parametrize("place", [0, 500], ids=["the oldest", "amidst"])
@pytest.mark.parametrize("manner", ["403", "no answer"])
def test_one_bad_entry_holds_up_none_of_a_thousand_good_ones(spool: Spool, place: int, manner: str) -> None:
    good = submit(spool, place, "before")
    spool.submit(b"bad", name="bad")
    good += submit(spool, 1000 - place, "after")

    def script(parcel: Parcel, cancel: threading.Event) -> Answer:
        if parcel.name != "bad":
            return delivered(parcel)
        if manner == "no answer":
            cancel.wait()
            return Abandoned()
        return DENIED

    transport = Scripted(script)
    never = ProbeBounds(3600, 3600)  # whoever waits for a probe's time waits for ever
    with running(spool, transport, probes=never) as work:
        eventually(lambda: work.engine.tally.delivered == 1000, "all good ones are delivered")
        work.link.abandon_now()
    assert transport.delivered == dict.fromkeys(good, 1)
    assert names_in(spool, State.FAILED if manner == "403" else State.PENDING) == {"bad"}


class TestPace:
    """max_requests_per_minute."""

    def test_requests_keep_to_the_rate_and_the_loop_stays_free(self, spool: Spool) -> None:
        submit(spool, 40)
        transport = Scripted()
        begun = time.monotonic()
        engine = run_once(spool, transport, pace=Bucket(20))
        assert len(transport.delivered) == 40
        assert time.monotonic() - begun >= 1.6, "5 or 6 may go at once, the others at 20 a second"
        assert engine.in_hand == 0

    def test_a_stop_need_not_wait_for_the_next_request(self, spool: Spool) -> None:
        submit(spool, 5)
        transport = Scripted()
        with running(spool, transport, pace=Bucket(1 / 3600)) as work:
            eventually(lambda: work.engine.progress()["delivered"], "the first is sent at once")
            assert work.engine.in_hand <= 2, "what has to wait stays in the spool, where a person can hold it"
        assert work.raised == []
        assert len(transport.sent) == 1
        assert len(names_in(spool, State.PENDING)) == 4

    def test_probes_keep_to_the_rate_too(self, spool: Spool) -> None:
        submit(spool, 5)
        transport = Scripted(lambda parcel, _: DOWN)
        with running(spool, transport, pace=Bucket(1 / 3600)) as work:
            eventually(lambda: work.engine.breaker.state is BreakerState.OPEN, "the breaker is open")
            eventually(lambda: work.engine.progress()["next_probe_seconds"] == 0, "a probe would be due")
            assert len(transport.sent) == 1


def test_a_pause_finishes_what_is_being_sent_gives_back_the_rest_and_resuming_goes_on(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "BEAT", 0.05)
    gate = threading.Event()
    transport = Scripted(held_until(gate))
    submit(spool, 40)
    with running(spool, transport, connections=2) as work:
        eventually(lambda: len(transport.sent) >= 1)
        spool.pause([Work.DELIVERY], "ana")
        eventually(lambda: work.engine._paused, "the pause is heeded")
        eventually(lambda: work.engine.in_hand == work.engine.progress()["in_progress"])
        begun = len(transport.sent)
        assert begun < 40
        gate.set()
        eventually(lambda: work.engine.in_hand == 0)
        eventually(lambda: len(names_in(spool, State.SENT)) == len(transport.delivered) == len(transport.sent))
        sent = len(transport.sent)
        submit(spool, 1, "late")
        work.engine.wake()
        beaten = work.link.progress
        eventually(lambda: work.link.progress is not beaten)
        assert len(transport.sent) == sent, "not even a new one"
        spool.resume()
        eventually(lambda: len(names_in(spool, State.SENT)) == 41)
    assert work.raised == []
    assert set(transport.delivered.values()) == {1}


def test_while_paused_a_destination_that_is_down_is_not_probed(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "BEAT", 0.05)
    transport = Scripted(lambda _parcel, _: UNREACHED)
    submit(spool, 3)
    with running(spool, transport) as work:
        eventually(lambda: work.engine.breaker.failed_probes >= 1)
        spool.pause([Work.DELIVERY], "ana")
        eventually(lambda: work.engine.in_hand == 0)
        probes = len(transport.sent)
        for _ in range(6):  # each beat is as long as the shortest wait between two probes
            beaten = work.link.progress
            eventually(lambda: work.link.progress is not beaten)  # noqa: B023 - asked at once
        assert len(transport.sent) == probes
        assert len(names_in(spool, State.PENDING)) == 3
        transport.script = lambda parcel, _: delivered(parcel)
        spool.resume()
        eventually(lambda: len(names_in(spool, State.SENT)) == 3)


def test_a_pause_ends_a_delivery_without_a_service(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "BEAT", 0.0)

    def pause_at_the_first(parcel: Parcel, _: threading.Event) -> Answer:
        spool.pause([Work.DELIVERY], "ana")
        return delivered(parcel)

    submit(spool, 200)
    report = deliver_once(spool, Scripted(pause_at_the_first), Settings(connections=1))
    assert 1 <= report.delivered < 200
    assert spool.stats().inflight == 0
    assert spool.stats().waiting == 200 - report.delivered


def test_a_probe_that_a_pause_calls_back_before_it_began_is_followed_by_another(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing would be sent any more, and the status would speak of a probe for ever."""
    monkeypatch.setattr(delivery, "BEAT", 0.01)
    transport = Scripted(lambda *_: DENIED)
    waiting: list[Entry] = []
    with running(spool, transport, connections=1) as work:
        crew = work.engine._crew
        put, recall = crew.put, crew.recall

        def put_late(entry: Entry) -> None:  # as if no thread were free yet
            if work.engine.breaker.state is BreakerState.PROBING and not spool.pauses():
                waiting.append(entry)
                spool.pause([Work.DELIVERY], "ana")
            else:
                put(entry)

        monkeypatch.setattr(crew, "put", put_late)
        monkeypatch.setattr(crew, "recall", lambda: [*recall(), *(waiting.pop() for _ in list(waiting))])
        submit(spool, 3)
        work.engine.wake()
        eventually(lambda: spool.pauses() and work.engine.in_hand == 0)
        monkeypatch.setattr(crew, "put", put)
        transport.script = lambda parcel, _: delivered(parcel)
        spool.resume()
        eventually(lambda: len(names_in(spool, State.SENT)) == 3, patience=8)


@pytest.mark.parametrize("content", [b"first", b"second"], ids=["the same bytes", "other bytes"])
def test_two_entries_under_one_id_are_never_taken_for_one_another(spool: Spool, content: bytes) -> None:
    """Two programs that submit under one id at once, or a copy by hand: each has an answer of its own, or is a duplicate."""
    made = spool.submit(b"first", name="a")
    spool.submit_under(made.id, content, name="b")
    transport = Scripted(lambda parcel, _: REFUSED if parcel.path.read_bytes() == b"second" else delivered(parcel))
    run_once(spool, transport, connections=2)
    assert [entry.path.read_bytes() for entry in spool.entries(State.SENT)] == [b"first"]
    other = State.DISCARDED if content == b"first" else State.FAILED
    assert [(entry.state, entry.path.read_bytes()) for entry in spool.entries() if entry.state is not State.SENT] == [
        (other, content)
    ]
    assert len({entry.id for entry in spool.entries()}) == (1 if other is State.DISCARDED else 2)
