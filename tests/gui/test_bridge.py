"""The thread that asks the service survives whatever it meets, tells it, and never holds up the window."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject

from dropsafe.cli.spelling import speller
from dropsafe.config import Config
from dropsafe.errors import DropsafeError
from dropsafe.gui import bridge as bridge_module
from dropsafe.gui import sources
from dropsafe.gui.bridge import Bridge
from dropsafe.gui.by_button import by_button
from dropsafe.gui.sources import Desks, Snapshot, Source, Station
from dropsafe.gui.trouble import Trouble
from dropsafe.spool import Spool
from dropsafe.supervisor.ipc.office import Service
from tests.support.leaks import settle
from tests.support.spools import ROOMY, rejected
from tests.support.window import Heard, a_desktop, pause, until


@pytest.fixture
def bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bridge]:
    """Whose configuration cannot even be read, in a way that nobody expected."""
    monkeypatch.setattr(bridge_module, "PACE", 0.01)

    def read() -> Any:
        raise ZeroDivisionError

    made = Bridge(Station(read, tmp_path / "dropsafe.toml"))
    yield made
    made.close()


def titles(heard: Heard) -> set[str]:
    return {trouble.title for trouble in heard.values if isinstance(trouble, Trouble)}


def test_an_error_while_it_looks_is_told_and_it_looks_again(bridge: Bridge) -> None:
    told = Heard(bridge.failed)
    bridge.start()
    until(lambda: len(told.values) >= 3, "three of them")
    assert titles(told) == {"Something unexpected went wrong"}
    assert bridge._thread.is_alive()


@pytest.mark.parametrize("error", [ValueError, SystemExit, MemoryError])
def test_an_error_that_a_request_meets_is_its_answer(bridge: Bridge, error: type[BaseException]) -> None:
    def ask(*_: object) -> Any:
        raise error

    bridge._desks.ask = ask  # type: ignore[method-assign, assignment]
    bridge._desks.snapshot = lambda: Snapshot(Source.NOTHING)  # type: ignore[method-assign]
    owner = QObject()
    told = Heard(bridge.ask(owner, "status_get").failed)
    bridge.start()
    until(lambda: told.values, "the answer")
    assert bridge._thread.is_alive()


def test_an_error_of_the_thread_itself_is_told_and_it_goes_on(bridge: Bridge) -> None:
    looks: list[int] = []

    def look() -> float:
        looks.append(1)
        if len(looks) == 1:
            raise SystemExit
        return 0.01

    bridge._look = look  # type: ignore[method-assign]
    told = Heard(bridge.failed)
    bridge.start()
    until(lambda: len(looks) > 2, "the next look")
    assert len(told.values) == 1


def test_a_service_that_hangs_is_left_for_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ANSWER_TIME", 0.2)
    monkeypatch.setattr(bridge_module, "SLOW_PACE", 0.1)
    hangs, goes_on = threading.Event(), threading.Event()
    Spool.create(tmp_path / "spool", group="").close()
    with Spool(tmp_path / "spool", ROOMY) as spool, a_desktop(tmp_path, spool) as desktop:
        assert desktop.office is not None
        service = desktop.office.service

        def status() -> Any:
            if hangs.is_set():
                goes_on.wait(5.0)
            return service.status

        desktop.office.office.attach(Service(service.ask, status, service.told.__getitem__))
        desktop.open()
        assert desktop.bridge.latest.runs
        hangs.set()
        until(lambda: desktop.bridge.latest.source is Source.FOLDER, "the folder")
        assert "gave no answer" in desktop.bridge.latest.why
        hangs.clear()
        goes_on.set()
        until(lambda: desktop.bridge.latest.runs, "the service again")
        assert desktop.told() == []


def test_the_window_closes_while_a_request_hangs(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_module, "CLOSING_TIME", 0.05)
    asked, goes_on = threading.Event(), threading.Event()

    def ask(*_: object) -> str:
        asked.set()
        goes_on.wait()
        return "late"

    bridge._desks.ask = ask  # type: ignore[method-assign, assignment]
    bridge._desks.snapshot = lambda: Snapshot(Source.NOTHING)  # type: ignore[method-assign]
    owner = QObject()
    reply = bridge.ask(owner, "status_get")
    told = Heard(reply.answered, reply.failed)
    bridge.start()
    until(asked.is_set, "the request")
    began = time.monotonic()
    bridge.close()
    assert time.monotonic() - began < 2.0
    goes_on.set()
    bridge._thread.join(5.0)
    pause(5)
    assert told.values == []


def test_an_owner_that_is_gone_hears_nothing_and_what_it_asked_is_left(bridge: Bridge) -> None:
    asked: list[str] = []
    bridge._desks.ask = lambda method, *_: asked.append(method)  # type: ignore[method-assign, assignment]
    bridge._desks.snapshot = lambda: Snapshot(Source.NOTHING)  # type: ignore[method-assign]
    owner, other = QObject(), QObject()
    reply = bridge.ask(owner, "jobs_list")
    reply.cancel()
    bridge.ask(owner, "watch_list")
    owner.deleteLater()
    settle()
    last = Heard(bridge.ask(other, "status_get", patient=True).answered)
    bridge.start()
    until(lambda: last.values, "the answer")
    assert asked == ["watch_list", "status_get"]
    assert (bridge._replies, bridge._dropped) == ({}, set())


def test_it_can_be_closed_twice_and_before_it_began(bridge: Bridge) -> None:
    bridge.close()
    bridge.close()
    bridge.start()
    bridge._thread.join(5.0)
    assert not bridge._thread.is_alive()
    bridge.close()


def test_commands_of_remedies_mean_the_spool_that_the_window_shows(tmp_path: Path) -> None:
    Spool.create(tmp_path / "spool", group="").close()
    settings = Config({"spool_dir": str(tmp_path / "spool"), "ipc.address": str(tmp_path / "none.sock")})
    with Spool(tmp_path / "spool", ROOMY) as spool:
        entry = rejected(spool)
    spell = speller(["list", "retry", "explain", "run"], {"--config": "/etc/line 3.toml"})
    desks = Desks(Station(lambda: settings, tmp_path / "dropsafe.toml", spell=spell))
    named = "dropsafe --config '/etc/line 3.toml' "
    told = [reason["remedy"] for reason in desks.snapshot().status["reasons"]]
    assert any(f"{named}list" in remedy for remedy in told)
    assert desks.ask("entries_explain", entry)["state"] == "failed"
    with pytest.raises(DropsafeError) as refused:
        desks.ask("entries_get", "4k7q")
    assert named in refused.value.remedy
    desks.close()
    assert by_button(f"see {named}list --state failed") == 'see "Show them"', "a button knows which spool is meant"
