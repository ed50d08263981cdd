"""The uploader and `deliver_once`, from a real spool to a real HTTP server."""

from __future__ import annotations

import hashlib
import math
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dropsafe.config import Config
from dropsafe.errors import ConfigError, ExitCode
from dropsafe.spool import Grade, Limits, Spool, State
from dropsafe.spool.clock import ManualClock
from dropsafe.workers import supply, uploader
from dropsafe.workers.breaker import ProbeBounds
from dropsafe.workers.deliver import DeliveryReport, deliver_once
from dropsafe.workers.delivery import Engine
from dropsafe.workers.http import HttpTransport
from dropsafe.workers.link import LocalLink
from dropsafe.workers.settings import Settings
from tests.support.raw_server import (
    Behaviour,
    Line,
    RawServer,
    answering,
    cutting_after,
    cutting_before,
    cutting_the_answer,
    resetting,
    silent,
    vouching,
)
from tests.support.scripted import in_thread
from tests.support.waiting import eventually

LIMITS = Limits(max_queue_size=0, min_free_bytes=0)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.create(tmp_path / "spool", group="", limits=LIMITS) as made:
        yield made


def config_for(spool: Spool, url: str, **destination: Any) -> Config:
    return Config.from_dict({"spool_dir": str(spool.path), "destination": {"url": url, "timeout": 5, **destination}})


def once(spool: Spool, url: str, patience: float = 0.5, **destination: Any) -> DeliveryReport:
    settings = Settings(connections=2, probes=ProbeBounds(0.05, 0.2))
    with closing(HttpTransport.from_config(config_for(spool, url, **destination))) as transport:
        return deliver_once(spool, transport, settings, patience=patience)


def submit(spool: Spool, count: int) -> dict[str, str]:
    """Id to SHA-256 of `count` accepted entries."""
    accepted = [spool.submit(f"<report n='{n}'/>".encode(), name=f"r{n}.xml") for n in range(count)]
    return {acceptance.id: acceptance.sha256 for acceptance in accepted}


def on_server(server: RawServer) -> dict[str, str]:
    return {request.key: hashlib.sha256(request.body).hexdigest() for request in server.requests if request.whole}


class TestUploader:
    def test_it_delivers_what_waits_and_what_comes_and_stops_when_asked(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(supply, "RESCAN", 3600.0)  # so that what comes is found by the hint
        accepted = submit(spool, 20)
        link = LocalLink()
        with RawServer(vouching) as server:
            config = config_for(spool, server.url).to_dict()
            with in_thread(lambda: uploader.run(config, link), link.stop) as raised:
                eventually(lambda: len(server.requests) == 20)
                assert link.is_ready.is_set()
                accepted |= submit(spool, 1)
                eventually(lambda: len(server.requests) == 21)
            assert raised == []
            assert on_server(server) == accepted
        assert spool.stats().sent == 21
        assert spool.stats().inflight == 0
        assert {spool.receipt_of(entry_id).grade for entry_id in accepted} == {Grade.DIGEST}

    def test_the_first_beat_names_the_hand_before_it_is_ready(self, spool: Spool) -> None:
        heard: list[str] = []

        class Listening(LocalLink):
            def ready(self) -> None:
                heard.append("ready")
                super().ready()

            def beat(self, progress: dict[str, object], *, lease: float = 0.0) -> None:
                heard.append(str(progress["hand"]))
                super().beat(progress)

        link = Listening()
        with RawServer(vouching) as server:
            config = config_for(spool, server.url).to_dict()
            with in_thread(lambda: uploader.run(config, link), link.stop):
                eventually(lambda: len(heard) >= 2)
        assert heard[0].startswith("uploader-")
        assert heard[1] == "ready"

    def test_without_an_address_it_is_a_configuration_error_and_nothing_is_claimed(self, spool: Spool) -> None:
        submit(spool, 1)
        with pytest.raises(ConfigError):
            uploader.run(Config.from_dict({"spool_dir": str(spool.path)}).to_dict(), LocalLink())
        assert spool.stats().waiting == 1

    def test_phase_two_ends_uploads_to_a_silent_server(self, spool: Spool) -> None:
        accepted = submit(spool, 10)
        link = LocalLink()
        with RawServer(silent) as server:
            config = config_for(spool, server.url, timeout=60).to_dict()
            begun = time.monotonic()
            with in_thread(lambda: uploader.run(config, link), link.abandon_now):
                eventually(lambda: len(server.requests) >= 1)
        assert time.monotonic() - begun < 8
        assert {entry.id for entry in spool.entries(State.PENDING)} == set(accepted)


class TestDeliverOnce:
    def test_all_delivered_is_0(self, spool: Spool) -> None:
        accepted = submit(spool, 30)
        with RawServer(vouching) as server:
            report = once(spool, server.url)
            assert on_server(server) == accepted
        assert (report.delivered, report.exit_code) == (30, ExitCode.OK)

    def test_nothing_due_is_0_at_once(self, spool: Spool) -> None:
        assert once(spool, "http://127.0.0.1:1/", patience=math.inf).exit_code is ExitCode.OK

    def test_a_refused_entry_is_1(self, spool: Spool) -> None:
        submit(spool, 3)
        with RawServer(answering(422)) as server:
            report = once(spool, server.url)
        assert (report.rejected, report.exit_code) == (3, ExitCode.NEEDS_A_PERSON)

    def test_a_damaged_entry_is_1_and_goes_to_quarantine(self, spool: Spool) -> None:
        submit(spool, 1)
        next(spool.entries(State.PENDING)).path.write_bytes(b"edited")
        with RawServer(vouching) as server:
            report = once(spool, server.url)
            assert server.requests == []
        assert (report.damaged, report.exit_code) == (1, ExitCode.NEEDS_A_PERSON)
        (entry,) = spool.entries(State.QUARANTINE)
        reason = spool.reason(entry)
        assert reason is not None
        assert reason.kind == "damaged"

    def test_a_deferred_entry_is_75(self, spool: Spool) -> None:
        submit(spool, 1)
        with RawServer(answering(500)) as server:
            report = once(spool, server.url)
        assert (report.waiting_again, report.exit_code) == (1, ExitCode.TEMPORARY)

    def test_nobody_there_is_69_after_a_few_probes_and_all_still_wait(self, spool: Spool) -> None:
        accepted = submit(spool, 30)
        with RawServer(vouching) as server:
            url = server.url
        begun = time.monotonic()
        report = once(spool, url, patience=0.5)
        assert 0.4 < time.monotonic() - begun < 5
        assert (report.delivered, report.exit_code) == (0, ExitCode.DESTINATION_UNAVAILABLE)
        assert "refused" in report.why
        assert {entry.id for entry in spool.entries(State.PENDING)} == set(accepted)

    def test_a_refused_token_is_69_with_an_alarm(self, spool: Spool) -> None:
        submit(spool, 3)
        with RawServer(answering(401, b'{"detail": "token expired"}')) as server:
            report = once(spool, server.url)
        assert report.exit_code is ExitCode.DESTINATION_UNAVAILABLE
        assert report.alarm
        assert "token expired" in report.why
        assert spool.stats().waiting == 3

    def test_a_receipt_that_is_not_good_enough_is_75(self, spool: Spool) -> None:
        submit(spool, 1)
        with RawServer(answering(204)) as server:
            report = once(spool, server.url, require_receipt="digest")
        assert report.exit_code is ExitCode.TEMPORARY

    def test_progress_is_heard_and_a_stop_is_obeyed(self, spool: Spool) -> None:
        submit(spool, 5)
        heard: list[dict[str, object]] = []
        link = LocalLink(heard.append)
        link.stop()
        with RawServer(vouching) as server:
            with closing(HttpTransport.from_config(config_for(spool, server.url))) as transport:
                deliver_once(spool, transport, link=link)
            assert server.requests == []
        assert heard[-1]["delivered"] == 0
        assert spool.stats().waiting == 5


def losing(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
    """A server with every trouble there is, now and then."""
    line.server.chance = getattr(line.server, "chance", random.Random(7))
    choices: list[Behaviour] = [cutting_before, resetting, cutting_after, cutting_the_answer]
    choices += [answering(500), answering(503), answering(429), answering(201, b'{"sha256": "00"}')]
    behaviour = line.server.chance.choice([*choices, *[vouching] * 24])
    behaviour(line, method, target, headers)


def test_whatever_the_server_does_it_ends_up_with_exactly_what_was_accepted(tmp_path: Path) -> None:
    clock = ManualClock(time.time())
    link = LocalLink()
    with Spool.create(tmp_path / "spool", group="", limits=LIMITS, clock=clock) as spool, RawServer(losing) as server:
        accepted = submit(spool, 250)
        settings = Settings(connections=6, probes=ProbeBounds(0.02, 0.1))
        with closing(HttpTransport.from_config(config_for(spool, server.url))) as transport:
            hand = spool.take_hand("uploader")
            engine = Engine(spool, hand, transport, link, settings)
            link.on_stop(engine.wake)
            stepping = threading.Event()

            def time_passes() -> None:
                while not stepping.wait(0.2):
                    clock.step(20)
                    engine.wake()

            passing = threading.Thread(target=time_passes)
            passing.start()
            with in_thread(engine.run, link.stop) as raised:
                eventually(lambda: engine.tally.delivered == 250, patience=60)
            stepping.set()
            passing.join()
            hand.close()
        assert raised == []
        assert on_server(server) == accepted
        assert {entry.id for entry in spool.entries(State.SENT)} == set(accepted)
        assert {spool.receipt_of(entry_id).sha256 for entry_id in accepted} == set(accepted.values())
