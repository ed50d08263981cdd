"""Fifteen complaints that people have of other spools, each as a test that would fail if it could happen here."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dropsafe.errors import DropsafeError, ExitCode, QueueFullError, SpoolError
from dropsafe.spool import Grade, Limits, Spool, State, durable
from dropsafe.spool.clock import ManualClock, SystemClock
from dropsafe.spool.facts import Room
from dropsafe.spool.health import disk_is_low
from dropsafe.spool.platform import system
from dropsafe.spool.recovery import recover, return_claims
from dropsafe.spool.retention import Policy, expire
from dropsafe.workers import watcher
from dropsafe.workers.breaker import ProbeBounds
from dropsafe.workers.deliver import DeliveryReport, deliver_once
from dropsafe.workers.delivery import Engine
from dropsafe.workers.link import LocalLink
from dropsafe.workers.outcome import Answer
from dropsafe.workers.settings import Settings
from dropsafe.workers.transport import Parcel, Transport
from tests.support.raw_server import Line, RawServer, answering, silent, vouching
from tests.support.scripted import DOWN, FAILED, REFUSED, Scripted, in_thread
from tests.support.scripted import delivered as taken
from tests.support.spools import (
    ROOMY,
    deliver,
    delivered,
    die,
    failing,
    files,
    ids,
    make_spool,
    rejected,
    reopened,
    states,
    submit,
    watching,
)
from tests.support.transports import transport_to
from tests.support.waiting import eventually
from tests.unit.test_workers_watcher import watching as watcher_at_work

QUICK = Settings(connections=2, probes=ProbeBounds(0.02, 0.05))
LONGEST_BACK_OFF = 960.0


def sent_by(spool: Spool, transport: Transport, patience: float = 0.0) -> DeliveryReport:
    return deliver_once(spool, transport, QUICK, patience=patience)


@contextmanager
def at_work(spool: Spool, transport: Transport, clock: SystemClock | None = None) -> Iterator[LocalLink]:
    """An engine on a thread, which has ended within seconds once it is asked to."""
    link, hand = LocalLink(), spool.take_hand("uploader")
    engine = Engine(spool, hand, transport, link, QUICK, clock or SystemClock())
    link.on_stop(engine.wake)
    with in_thread(engine.run, link.stop) as raised, closing(hand):
        yield link
    assert raised == []


def lost(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def zero_filled(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("ruin", [lost, emptied, zero_filled])
def test_complaint_1_after_a_power_cut_it_starts_whatever_is_lost_or_zero_filled(
    spool: Spool, ruin: Callable[[Path], None]
) -> None:
    """The agent would not start again: elastic/beats#25135, persist-queue#180 and #56, telegraf#18528,
    opentelemetry-collector-contrib#35899."""
    good, torn = submit(spool, b"<good/>", b"<torn/>")
    described = spool.submit(b"<described/>", name="d.xml", attributes={"serial": "A1"}).id
    sent, refused = delivered_one(spool), rejected(spool)
    spool.audit()
    spool.close()
    for path in files(spool.path):
        if path != "spool.json" and not path.endswith(("_report.xml", "_d.xml")):
            ruin(spool.path / path)
    zero_filled(next(entry.path for entry in spool.entries() if entry.id == torn))
    with reopened(spool) as fresh:
        recover(fresh.core)
        fresh.audit()
        for entry in fresh.entries(State.PENDING):
            fresh.retry(entry.id)
        sent_by(fresh, Scripted())
        assert states(fresh, good) == ["sent"]
        assert states(fresh, torn) == ["quarantine"]
        assert states(fresh, described) in (["sent"], ["pending"])
        assert (states(fresh, sent), states(fresh, refused)) == (["sent"], ["failed"])


def delivered_one(spool: Spool) -> str:
    (entry_id,) = submit(spool, b"<sent/>")
    hand = spool.take_hand("uploader")
    deliver(spool, hand, *(entry for entry in hand.claim(256) if entry.id == entry_id))
    hand.close()
    return entry_id


class CountingClock(SystemClock):
    """It knows how often the work loop has turned."""

    turns = 0

    def monotonic(self) -> float:
        type(self).turns += 1
        return super().monotonic()


def test_complaint_2_nothing_turns_for_ever_until_it_is_killed_and_the_spool_erased(tmp_path: Path) -> None:
    """An endless loop at a damaged buffer that only SIGKILL ended: vector#17644."""
    with make_spool(tmp_path) as spool:
        good, torn, empty = submit(spool, b"<good/>", b"<torn/>", b"<empty/>")
        zero_filled(spool.find(torn).path)
        emptied(spool.find(empty).path)
        (spool.find(good).path.parent / "20260101T000000.000Z_aaaaaaaa_0123456789abcdef_folder").mkdir()
        with transport_to("http://127.0.0.1:9/", connect_timeout=1) as transport:
            with at_work(spool, transport, CountingClock()):
                eventually(lambda: set(ids(spool, State.QUARANTINE)) == {torn, empty})
                CountingClock.turns, begun = 0, time.monotonic()
                threading.Event().wait(0.4)
                turns, asked = CountingClock.turns, time.monotonic()
            assert time.monotonic() - asked < 5, "it ends when it is asked to"
        assert turns / (asked - begun) < 500, "it sleeps between probes"
        assert sent_by(spool, Scripted()).delivered == 1
        assert states(spool, good) == ["sent"]


def test_complaint_3_what_is_dropped_is_taken_though_no_event_tells_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alive, but collecting nothing: fluent-bit#11847."""
    monkeypatch.setattr(watcher._Handler, "on_any_event", lambda *_: None)
    monkeypatch.setattr(watcher, "BEAT", 0.1)
    with watcher_at_work(tmp_path) as bench:
        (bench.drop / "first.xml").write_bytes(b"first")
        eventually(lambda: bench.contents() == [b"first"])
        shutil.rmtree(bench.drop)
        eventually(lambda: [each["code"] for each in bench.problems()] != [])  # and it says that it collects nothing
        bench.drop.mkdir()
        (bench.drop / "second.xml").write_bytes(b"second")
        eventually(lambda: sorted(bench.contents()) == [b"first", b"second"])


@pytest.mark.parametrize(("answer", "tries", "ends_in"), [(FAILED, 6, "pending"), (REFUSED, 1, "failed")])
def test_complaint_4_a_bad_entry_blocks_no_other_is_tried_seldom_and_fills_no_disk(
    spool: Spool, clock: ManualClock, answer: Answer, tries: int, ends_in: str
) -> None:
    """One bad entry blocked all, a poison entry ran hundreds of times a minute, an oversized one was retried while it
    filled the disk: systemd#21407, fluent-bit#3495."""

    def script(parcel: Parcel, _: threading.Event) -> Answer:
        return answer if parcel.name == "bad" else taken(parcel)

    bad = spool.submit(b"x" * 10_000, name="bad").id
    transport, sizes = Scripted(script), []
    for number in range(6):
        submit(spool, b"good %d" % number)
        sent_by(spool, transport)
        assert len(ids(spool, State.SENT)) == number + 1
        sizes.append(sum(len(content) for path, content in files(spool.path).items() if bad in path))
        clock.advance(LONGEST_BACK_OFF)
    assert transport.sent.count("bad") == tries
    assert states(spool, bad) == [ends_in]
    assert max(sizes) < 11_000, "it is there once, with its reason"


def test_complaint_5_without_its_index_nothing_new_is_made_over_the_old(spool: Spool) -> None:
    """A missing index made a new queue, which overwrote the old segments: rsyslog#5771."""
    kept = submit(spool, b"one", b"two")
    held = spool.hold(kept[1])
    before = {path: content for path, content in files(spool.path).items() if path.endswith("_report.xml")}
    spool.close()
    for folder in ("locks", "journal", "receipts", "tmp"):
        shutil.rmtree(spool.path / folder)
    mark = (spool.path / "spool.json").read_bytes()
    (spool.path / "spool.json").unlink()
    for attempt in (lambda: Spool(spool.path, ROOMY), lambda: Spool.create(spool.path, group="", limits=ROOMY)):
        with pytest.raises(SpoolError):
            attempt()
    (spool.path / "spool.json").write_bytes(mark)
    with reopened(spool) as fresh:
        recover(fresh.core)
        submit(fresh, b"three")
        with pytest.raises(FileExistsError):
            durable.rename("test", os.fspath(fresh.find(kept[0]).path), os.fspath(held.path))
        assert fresh.stats().waiting == 2
        assert before.items() <= files(fresh.path).items()


def test_complaint_6_nothing_is_given_up_for_its_tries_its_age_or_want_of_room(
    spool: Spool, clock: ManualClock
) -> None:
    """Quarantined with no way to replay: syslog-ng#2674. Discarded after a retry limit: fluent-bit#2412; after a time to
    live: IoT Edge; because the buffer was full: Fluent Bit drops the oldest."""
    (old,) = submit(spool, b"old")
    for _ in range(30):
        sent_by(spool, Scripted(lambda parcel, _: FAILED))
        clock.advance(120 * 86_400.0)
        expire(
            spool.core, Policy(retention_days=1, retention_bytes=1, receipt_retention_days=1, min_free_bytes=1 << 60)
        )
    with reopened(spool, max_queue_size=1) as full, pytest.raises(QueueFullError):
        full.submit(b"new", name="new")
    assert states(spool, old) == ["pending"]
    edited = spool.submit(b"to be edited", name="edited").id
    spool.find(edited).path.write_bytes(b"edited by a person")
    recover(spool.core)
    assert states(spool, edited) == ["quarantine"]
    again = spool.readmit(edited).id
    assert sent_by(spool, Scripted()).delivered == 2
    assert (states(spool, old), states(spool, again)) == (["sent"], ["sent"])


def test_complaint_7_a_report_that_the_socket_took_is_not_delivered_yet(tmp_path: Path) -> None:
    """A "reliable" queue was lost in a graceful reboot: entries were removed once the socket took them: syslog-ng#5714."""
    with make_spool(tmp_path) as spool:
        (entry_id,) = submit(spool, b"<report/>")
        arrived = threading.Event()

        def take_all(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
            arrived.set()
            silent(line, method, target, headers)

        with RawServer(take_all) as server, transport_to(server.url) as transport:
            with at_work(spool, transport) as link:
                assert arrived.wait(20)
                eventually(server.keys)
                link.abandon_now()
            assert server.keys() == [entry_id]
        assert states(spool, entry_id) == ["pending"]
        assert not any((spool.path / "receipts").iterdir())
        with RawServer(vouching) as server, transport_to(server.url) as transport:
            assert sent_by(spool, transport).delivered == 1
            assert server.keys() == [entry_id]


def test_complaint_8_of_a_long_outage_the_first_hours_are_there_and_go_first(spool: Spool, clock: ManualClock) -> None:
    """A long outage lost its first hours: opentelemetry-collector#15324."""
    order = []
    for number in range(48):
        order.append(spool.submit(b"report %d" % number, name=f"{number}").id)
        clock.advance(1800.0)
        if number % 8 == 0:
            sent_by(spool, Scripted(lambda parcel, _: DOWN))
            expire(spool.core, Policy(retention_days=0.1, retention_bytes=1, min_free_bytes=1 << 60))
    clock.advance(90 * 86_400.0)
    transport = Scripted()
    assert deliver_once(spool, transport, replace(QUICK, connections=1), patience=1.0).delivered == 48
    assert transport.sent == [f"{number}" for number in range(48)]
    assert ids(spool, State.SENT) == order


def test_complaint_9_on_a_full_disk_what_makes_room_still_works(spool: Spool, clock: ManualClock) -> None:
    """A full disk blocked the very deletes that would free it: opentelemetry-collector#7198, iotedge#835."""
    old = delivered(spool, b"1", b"2", b"3")
    spool.core.reserve.refill(0)
    (waiting,) = submit(spool, b"waits")
    hand = spool.take_hand("uploader")
    held = hand.claim(10)
    clock.advance(40 * 86_400.0)
    room = 0

    def disk(operation: str, moment: str, path: str) -> None:
        """No room for anything, but for what a file of ballast has set free."""
        nonlocal room
        if moment == "after" and operation == "ballast.unlink":
            room = 20
        elif moment == "before" and operation.rpartition(".")[2] in ("create", "write", "fsync", "open", "mkdir"):
            if not room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            room -= 1

    with durable.observed(disk):
        with pytest.raises((OSError, DropsafeError)):
            spool.submit(b"more", name="more")
        assert expire(spool.core, Policy(min_free_bytes=0)).entries == 3
        assert not any(states(spool, entry_id) for entry_id in old)
        deliver(spool, hand, *held)
    hand.close()
    assert states(spool, waiting) == ["sent"]
    assert spool.receipt_of(waiting).grade is Grade.DIGEST


def test_complaint_10_want_of_inodes_is_seen_while_half_the_disk_is_free(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inodes ran out with half the disk free: Greyhole#123."""
    assert Limits().min_free_inodes > 0
    few = Room(bytes=1 << 40, inodes=Limits().min_free_inodes - 1, total=1 << 41)
    (there,) = submit(spool, b"there")
    monkeypatch.setattr(system, "room", lambda _: few)
    with reopened(spool, min_free_inodes=Limits().min_free_inodes) as fresh:
        with pytest.raises(DropsafeError) as refused:
            fresh.submit(b"more", name="more")
        assert refused.value.exit_code is ExitCode.TEMPORARY
        assert "inodes" in str(refused.value)
        assert disk_is_low(few, Limits()) == few, "which the janitor tells"
        assert sent_by(fresh, Scripted()).delivered == 1, "what is there goes out, which makes room"
    assert states(spool, there) == ["sent"]


def test_complaint_11_a_restart_sends_nothing_again(spool: Spool) -> None:
    """Duplicates on restart: beats#32560, telegraf#17247."""
    submit(spool, *(b"%d" % number for number in range(5)))
    hand = spool.take_hand("uploader")
    with failing(errno.EIO, "delivered.rename"), pytest.raises(OSError, match="Input/output"):
        deliver(spool, hand, *hand.claim(10))
    die(hand)  # between the receipts and the moves
    server = Scripted()
    for _ in range(2):
        with reopened(spool) as fresh:
            recover(fresh.core)
            sent_by(fresh, server)
    assert server.sent == []
    assert len(ids(spool, State.SENT)) == 5


@pytest.mark.parametrize("status", [400, 403, 413, 429, 500, 503])
def test_complaint_11_what_the_server_refuses_never_counts_as_delivered(tmp_path: Path, status: int) -> None:
    """Refused by the server, yet counted as delivered: vector#12145."""
    with make_spool(tmp_path) as spool:
        (entry_id,) = submit(spool, b"x")
        with RawServer(answering(status, b'{"id": "a"}')) as server, transport_to(server.url) as transport:
            report = sent_by(spool, transport)
        assert len(server.requests) >= 1
        assert report.delivered == 0
        assert states(spool, entry_id) in (["pending"], ["failed"])
        assert spool.stats().sent == 0
        assert not any((spool.path / "receipts").iterdir())


def test_complaint_12_an_uploader_outlives_a_network_error_and_needs_no_next_entry_to_go_on(tmp_path: Path) -> None:
    """The uploader ended at the first network error: systemd#2877, open since 2016. An entry waited until the next one
    arrived: vector#22946."""
    with make_spool(tmp_path) as spool:
        with RawServer(vouching) as taken_for_now:
            port, url = taken_for_now.port, taken_for_now.url
        (entry_id,) = submit(spool, b"x")
        with transport_to(url) as transport, at_work(spool, transport) as link:
            eventually(lambda: link.progress.get("breaker") == "open")
            with RawServer(vouching, port=port) as server:
                eventually(lambda: states(spool, entry_id) == ["sent"])
                assert server.keys() == [entry_id]


def test_complaint_13_a_quarantined_file_moved_back_by_hand_begins_anew(spool: Spool) -> None:
    """It failed again at once, because its retry count travelled inside it: Mailman."""
    (entry_id,) = submit(spool, b"x")

    def death() -> None:
        hand = spool.take_hand("uploader")
        assert hand.claim(1)
        die(hand)
        return_claims(spool.core, hand.name, died=True)

    for _ in range(3):
        death()
    assert states(spool, entry_id) == ["quarantine"]
    for path in spool.find(entry_id).path.parent.iterdir():  # the entry, and its reason
        path.rename(spool.path / "pending" / path.name)
    for _ in range(2):
        death()
        assert states(spool, entry_id) == ["pending"]
    assert sent_by(spool, Scripted()).delivered == 1


def test_complaint_14_a_copied_or_restored_spool_is_the_same_spool(tmp_path: Path) -> None:
    """Moved or restored files were not recognised, because names were bound to inodes: qmail."""
    with make_spool(tmp_path) as spool:
        described = spool.submit(b"1", name="1.xml", attributes={"serial": "A1"}).id
        held, away = submit(spool, b"2", b"3")
        spool.hold(held)
        sent, refused = delivered_one(spool), rejected(spool)
        before = {entry.id: entry.state for entry in spool.entries()}
        path = spool.find(away).path
        shutil.copyfile(path, tmp_path / path.name)
        path.unlink()
        shutil.copyfile(tmp_path / path.name, path)
    shutil.copytree(tmp_path / "spool", tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "spool")
    with Spool(tmp_path / "elsewhere", ROOMY) as copy:
        recover(copy.core)
        assert {entry.id: entry.state for entry in copy.entries()} == before
        assert copy.receipt_of(sent).sha256
        assert copy.reason(copy.find(refused)) is not None
        with RawServer(vouching) as server, transport_to(server.url) as transport:
            assert sent_by(copy, transport).delivered == 2
        assert sorted(server.keys()) == sorted([described, away])
        assert {"serial=A1"} == {request.headers.get("dropsafe-attributes", "serial=A1") for request in server.requests}


def test_complaint_15_a_failed_fsync_is_never_followed_by_an_acknowledgement(spool: Spool) -> None:
    """It was logged and ignored, and the entry acknowledged: rsyslog, Filebeat."""
    with watching() as usual:
        delivered(spool, b"first")
    syncs = {name for name in usual.operations if "fsync" in name}
    assert {"accept.fsync", "accept.fsync_bucket", "receipt.fsync"} <= syncs
    for operation in sorted(name for name in syncs if name.startswith("accept.")):
        with failing(errno.EIO, operation) as watched, pytest.raises((OSError, DropsafeError)):
            spool.submit(b"x" + operation.encode(), name="x")
        retried = [told.path for told in watched.told if told.operation == operation and told.moment == "before"]
        assert len(retried) == len(set(retried)) == 1, "the same file synced again would lie"
    (entry_id,) = submit(spool, b"to be proven")
    hand = spool.take_hand("uploader")
    (entry,) = (each for each in hand.claim(10) if each.id == entry_id)
    with failing(errno.EIO, "receipt.fsync", times=99), pytest.raises((OSError, DropsafeError)):
        deliver(spool, hand, entry)
    assert states(spool, entry_id) == ["inflight"], "without a durable receipt it is not delivered"
    with failing(errno.EIO, "receipt.fsync") as watched:
        deliver(spool, hand, entry)
    synced = [told.path for told in watched.told if told.operation == "receipt.fsync" and told.moment == "before"]
    assert len(synced) == len(set(synced)) == 2, "written anew under another name"
    assert states(spool, entry_id) == ["sent"]
    hand.close()
