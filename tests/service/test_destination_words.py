"""What a person is told while nothing can be delivered: what happened, what it means for the data, what to do."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dropsafe.spool import Spool
from tests.support.raw_server import Behaviour, RawServer, answering
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

Ask = Callable[..., str]

LOG_IN = b"<html><title>Hotel: please log in</title></html>"


@contextmanager
def serving(behaviour: Behaviour | None) -> Iterator[str]:
    """The address of such a server, or of none."""
    if behaviour is None:
        yield "http://127.0.0.1:1/in"
        return
    with RawServer(behaviour) as server:
        yield server.url


@contextmanager
def service_for(url: str, place: Path) -> Iterator[tuple[Ask, subprocess.Popen[str]]]:
    """A service that delivers there, and a way to give other commands on its spool."""
    settings = [f"destination.url={url}", "destination.breaker_min=0.1", "destination.breaker_max=0.2"]
    options = ["--instance", f"test-{secrets.token_hex(4)}", "--spool", str(place / "spool")]
    command = [sys.executable, "-m", "dropsafe", *options, *[part for text in settings for part in ("--set", text)]]

    def ask(*arguments: str) -> str:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.stderr == ""
        return done.stdout

    with subprocess.Popen([*command, "run"], text=True, stderr=subprocess.PIPE) as service:
        watchdog = threading.Timer(2 * PATIENCE, service.kill)
        watchdog.start()
        try:
            yield ask, service
        finally:
            watchdog.cancel()
            service.kill()


@pytest.mark.parametrize(
    ("behaviour", "what", "todo", "secret"),
    [
        (None, "no connection to the server", "tried again by itself", "refused"),
        (answering(401, b'{"detail": "token expired"}'), "401: the credentials are refused", "token_file", "expired"),
        (answering(503, b"maintenance"), "503: the server is not available", "tried again by itself", "maintenance"),
        (answering(404), "404: there is nothing at that address", "Correct destination.url", ""),
        (answering(200, LOG_IN, Content_Type="text/html"), "log-in page", "Log this machine in", "Hotel"),
    ],
    ids=["nobody there", "401", "503", "404", "captive portal"],
)
def test_status_show_and_log_say_what_happened_that_nothing_is_lost_and_what_to_do(
    tmp_path: Path, behaviour: Behaviour | None, what: str, todo: str, secret: str
) -> None:
    with Spool.create(tmp_path / "spool", group="") as spool:
        entry_id = spool.submit(b"<report/>", name="report.xml").id
    with serving(behaviour) as url, service_for(url, tmp_path) as (ask, service):
        assert service.stderr is not None
        log = next(line for line in service.stderr if "unavailable" in line)
        fact: dict[str, Any] = {}
        eventually(
            lambda: fact.update(json.loads(ask("status", "--json"))) or fact["condition"] == "DEGRADED", "DEGRADED"
        )
        screen, shown = ask("status"), ask("show", entry_id)
        service.send_signal(signal.SIGTERM)
        assert service.wait(PATIENCE) == 0
    (reason,) = fact["reasons"]
    assert what in reason["text"]
    assert "Nothing is lost" in reason["text"]
    assert todo in reason["remedy"]
    for told in (screen, shown):
        assert reason["text"] in told
        assert reason["remedy"].partition("dropsafe ")[0] in told
    assert secret in screen, "who may use the spool is told the server's own words"
    assert not secret or secret not in reason["text"] + reason["remedy"] + shown, "anybody may read the rest"
    assert what in log
    assert secret in log
    assert "Everything waits in the spool." in log
