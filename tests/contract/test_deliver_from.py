"""Delivering from a carried copy: receipts into it, nothing else changed in it, and no report twice or under a wrong name."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dropsafe.cli.main import main
from dropsafe.errors import NoPermission, SpoolError, TemporaryError, UsageError
from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Spool, State
from dropsafe.spool.carried import Carried
from dropsafe.spool.carried_hand import CarriedHand
from dropsafe.spool.clock import SYSTEM_CLOCK
from dropsafe.spool.locks import Lock
from dropsafe.spool.pausing import Work
from dropsafe.workers.deliver import DeliveryReport, deliver_carried
from dropsafe.workers.outcome import Answer
from dropsafe.workers.settings import Settings
from dropsafe.workers.transport import Parcel
from tests.support.carrying import exported, one_in_each_state, receipts_imported
from tests.support.scripted import DOWN, FAILED, REFUSED, Scripted, delivered
from tests.support.spools import files, make_spool, submit
from tests.support.waiting import eventually


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with make_spool(tmp_path, SYSTEM_CLOCK) as made:
        yield made


class Seen(Scripted):
    """A good server, which remembers all that it was sent."""

    def __init__(self) -> None:
        super().__init__(self._take)
        self.parcels: list[Parcel] = []

    def _take(self, parcel: Parcel, _: threading.Event) -> Answer:
        self.parcels.append(parcel)
        return delivered(parcel)


def delivered_from(source: Path, transport: Scripted, patience: float = 0.1) -> tuple[DeliveryReport, CarriedHand]:
    with Carried(str(source)) as carried:
        hand = CarriedHand(carried)
        try:
            return deliver_carried(hand, transport, Settings(connections=2), patience=patience), hand
        finally:
            hand.close()


def forms(spool: Spool, tmp_path: Path) -> dict[str, Path]:
    exported(spool, tmp_path / "out")
    shutil.copytree(spool.path, tmp_path / "copy")
    return {"export": tmp_path / "out", "spool": tmp_path / "copy"}


@pytest.mark.parametrize("form", ["export", "spool"])
def test_what_waits_is_delivered_and_nothing_but_receipts_is_written(spool: Spool, tmp_path: Path, form: str) -> None:
    spool.core.stations.arrive("one", "line-3")
    ids = one_in_each_state(spool)
    told = spool.submit(b"told", name="told.xml", attributes={"line": "7"}, content_type="text/csv").id
    source = forms(spool, tmp_path)[form]
    before = files(source)
    transport = Seen()
    report, hand = delivered_from(source, transport)
    assert (report.delivered, report.exit_code, hand.waiting) == (3, 0, 0)
    sent = {parcel.id: parcel for parcel in transport.parcels}
    assert set(sent) == {ids["pending"], ids["inflight"], told}
    assert {parcel.station for parcel in sent.values()} == {"line-3"}
    assert (sent[told].attributes, sent[told].content_type) == ({"line": "7"}, "text/csv")
    new = {name: content for name, content in files(source).items() if before.get(name) != content}
    assert [name.split("/")[0] for name in new] == ["receipts"]
    lines = [json.loads(line) for content in new.values() for line in content.splitlines()]
    assert {(line["id"], line["worker"]) for line in lines} == {(each, hand.name) for each in sent}
    again = Seen()
    report, hand = delivered_from(source, again)
    assert (report.delivered, hand.before, again.parcels) == (0, 3, [])
    shutil.rmtree(spool.path / "locks" / "strikes")
    done, _ = receipts_imported(spool, source)
    assert (done.finished, done.in_hand) == (2, 1)


@pytest.mark.parametrize(("answer", "field"), [(REFUSED, "refused"), (FAILED, "deferred")])
def test_what_the_server_will_not_have_is_told_and_lies_there_as_before(
    spool: Spool, tmp_path: Path, answer: Any, field: str
) -> None:
    (made,) = submit(spool, b"content")
    source = forms(spool, tmp_path)["export"]
    before = files(source)
    report, hand = delivered_from(source, Scripted(lambda *_: answer))
    assert (report.delivered, list(getattr(hand.left, field))) == (0, [made])
    assert files(source) == before


def test_one_that_is_damaged_is_not_sent(spool: Spool, tmp_path: Path) -> None:
    (made,) = submit(spool, b"content")
    source = forms(spool, tmp_path)["export"]
    with Carried(str(source)) as carried:
        hand = CarriedHand(carried)
        (entry,) = hand.claim(9)
        hand.damaged(entry, "it differs.")
        assert hand.left.damaged == {made: "it differs."}


def test_a_server_that_is_down_costs_nothing_and_all_waits_there(spool: Spool, tmp_path: Path) -> None:
    submit(spool, *(b"%d" % number for number in range(5)))
    source = forms(spool, tmp_path)["export"]
    before = files(source)
    report, hand = delivered_from(source, Scripted(lambda *_: DOWN))
    assert (report.unavailable, report.exit_code, report.delivered, hand.waiting) == (True, 69, 0, 5)
    assert files(source) == before


def test_two_entries_whose_delay_was_the_destinations_fault_go_out_after_all(spool: Spool, tmp_path: Path) -> None:
    first, _ = submit(spool, b"first", b"second")
    with Carried(str(forms(spool, tmp_path)["export"])) as carried:
        hand = CarriedHand(carried)
        entries = hand.claim(9)
        path = hand.defer(entries[0], 10.0, "busy")
        assert (list(hand.left.deferred), hand.waiting) == ([first], 0)
        hand.make_due([path])
        assert (list(hand.left.deferred), [entry.id for entry in hand.claim(9)]) == ([], [first])


def test_two_files_under_one_id_are_never_sent_under_one_key(spool: Spool, tmp_path: Path) -> None:
    (made,) = submit(spool, b"content")
    path = spool.find(made).path
    shutil.copy(path, spool.path / "pending")
    other = path.with_name(path.name.replace(path.name[30:46], hashlib.sha256(b"others").hexdigest()[:16]))
    other.write_bytes(b"others")
    transport = Seen()
    report, hand = delivered_from(spool.path, transport)
    assert (report.delivered, len(transport.parcels), list(hand.left.deferred)) == (1, 1, [made])


def test_meta_that_is_damaged_is_not_sent_without(spool: Spool, tmp_path: Path) -> None:
    made = spool.submit(b"told", name="told.xml", attributes={"line": "7"}).id
    source = forms(spool, tmp_path)["export"]
    next((source / "meta").rglob("*.json")).write_text("{")
    with Carried(str(source)) as carried:
        hand = CarriedHand(carried)
        (entry,) = hand.claim(1)
        with pytest.raises(SpoolError, match=f"entry {made} is damaged"):
            hand.meta(entry)
    transport = Seen()
    report, hand = delivered_from(source, transport)
    assert (report.delivered, transport.parcels, list(hand.left.deferred)) == (0, [], [made])


def test_what_cannot_take_receipts_is_refused_before_anything_is_sent(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(spool, b"content")
    exported(spool, tmp_path / "out.zip")
    with Carried(str(tmp_path / "out.zip")) as carried, pytest.raises(UsageError, match=r"is a \.zip"):
        CarriedHand(carried)
    lock = Lock(str(spool.path / "locks" / "service.lock"), 0o600)
    lock.acquire(1.0)
    with Carried(str(spool.path)) as carried, pytest.raises(TemporaryError, match="A service is at work"):
        CarriedHand(carried)
    lock.close()
    spool.pause([Work.DELIVERY], "ana", "the server moves")
    with Carried(str(spool.path)) as carried, pytest.raises(TemporaryError, match="is paused by ana"):
        CarriedHand(carried)
    spool.resume()
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with Carried(str(spool.path)) as carried, pytest.raises(NoPermission, match="No receipts can be written"):
        CarriedHand(carried)


def test_a_folder_of_entries_alone_can_be_delivered(spool: Spool, tmp_path: Path) -> None:
    ids = submit(spool, b"one", b"two")
    (tmp_path / "some").mkdir()
    for entry in spool.entries():
        shutil.copy(entry.path, tmp_path / "some")
    report, _ = delivered_from(tmp_path / "some", Scripted())
    assert report.delivered == 2
    assert receipts_imported(spool, tmp_path / "some")[0].finished == len(ids)


# By command, and killed


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReceiverProcess]:
    with ReceiverProcess(tmp_path / "received", options=["--latency", "1,seconds=0.01"]) as process:
        yield process


def command(tmp_path: Path, spool: Path, server: ReceiverProcess) -> list[str]:
    config = tmp_path / "dropsafe.toml"
    config.write_text(
        f'spool_dir = "{spool}"\nmin_free_bytes = 0\nmin_free_inodes = 0\n'
        f'[destination]\nurl = "{server.url}/ingest"\nconnections = 2\n'
    )
    return ["--config", str(config)]


def test_killed_in_the_middle_it_goes_on_and_the_first_machine_finishes_all_without_sending(
    spool: Spool, tmp_path: Path, server: ReceiverProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = submit(spool, *(b"report %d" % number for number in range(120)))
    options = command(tmp_path, spool.path, server)
    assert main(["export", str(tmp_path / "stick"), *options]) == 0
    work = [sys.executable, "-m", "dropsafe", "deliver", "--from", str(tmp_path / "stick"), *options]
    child = subprocess.Popen(work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: any(path.stat().st_size for path in (tmp_path / "stick").glob("receipts/*")), "a receipt")
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert len(server.set()) < 120
    capsys.readouterr()
    assert main(["deliver", "--from", str(tmp_path / "stick"), "--json", *options]) == 0
    assert json.loads(capsys.readouterr().out)["delivered_before"] > 0
    assert {key for key, _, _ in server.set()} == set(ids)
    assert len(server.set()) == 120
    server.kill()
    assert main(["import-receipts", str(tmp_path / "stick"), *options]) == 0
    assert {entry.id for entry in spool.entries(State.SENT)} == set(ids)
    assert main(["import-receipts", str(tmp_path / "stick"), *options]) == 0
