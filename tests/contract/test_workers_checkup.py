"""Trying the destination: the way is told as far as it goes, with what to do where it ends, and nothing is delivered."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dropsafe.config import Config
from dropsafe.workers.checkup import checkup
from tests.support.raw_server import Behaviour, RawServer
from tests.support.receiving import running_receiver

CERTIFICATE = Path(__file__).parents[1] / "support" / "localhost.pem"


def steps(url: str, *, cancelled: Callable[[], bool] = lambda: False, **settings: Any) -> list[dict[str, Any]]:
    config = Config.from_dict({"destination": {"url": url, "connect_timeout": 5, "timeout": 5, **settings}})
    return list(checkup(config, cancelled))


def results(found: list[dict[str, Any]]) -> Mapping[str, str]:
    return {step["name"]: step["result"] for step in found}


def first_failed(found: list[dict[str, Any]]) -> dict[str, Any]:
    failed = next(step for step in found if step["result"] == "failed")
    assert failed["remedy"]
    later = found[found.index(failed) + 1 :]
    assert {step["result"] for step in later} <= {"skipped"}
    return failed


def saying(status: int, asked: list[tuple[str, str]] | None = None, **headers: str) -> Behaviour:
    def behave(line: Any, method: str, target: str, given: dict[str, str]) -> None:
        if asked is not None:
            asked.append((method, given.get("authorization", "")))
        line.answer(status, **headers)

    return behave


def tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def test_the_example_server_is_found_and_gets_no_report(tmp_path: Path) -> None:
    with running_receiver(tmp_path / "data") as server:
        found = steps(f"http://127.0.0.1:{server.port}/ingest")
        assert list(results(found).values()) == ["ok", "ok", "ok", "skipped", "ok", "ok"]
        assert server.set() == []


@pytest.mark.parametrize(
    ("status", "http", "credentials"),
    [
        (200, "ok", "ok"),
        (401, "ok", "failed"),
        (403, "ok", "failed"),
        (404, "unsure", "unsure"),
        (503, "failed", "skipped"),
    ],
)
def test_what_a_server_says_to_a_head_with_our_credentials(
    status: int, http: str, credentials: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("canary")
    asked: list[tuple[str, str]] = []
    with RawServer(saying(status, asked)) as server:
        found = steps(server.url, token_file=str(token))
    assert (results(found)["http"], results(found)["credentials"]) == (http, credentials)
    assert asked == [("HEAD", "Bearer canary")]
    assert "canary" not in str(found)


def test_a_page_that_wants_a_log_in_is_no_server() -> None:
    with RawServer(saying(200, Content_Type="text/html")) as server:
        assert results(steps(server.url))["http"] == "unsure"


def test_the_way_ends_at_a_name_a_port_or_a_certificate() -> None:
    assert first_failed(steps("http://no-such-host.invalid/"))["name"] == "name"
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert first_failed(steps(f"http://127.0.0.1:{unused.getsockname()[1]}/"))["name"] == "connection"
    with RawServer(saying(200), tls=tls_context()) as server:
        failed = first_failed(steps(server.url))
        assert failed["name"] == "tls"
        assert "issuer" in failed["words"]
        assert results(steps(server.url, ca=str(CERTIFICATE)))["http"] == "ok"


def test_what_is_configured_wrong_is_told_before_anything_is_tried(tmp_path: Path) -> None:
    failed = first_failed(steps("http://127.0.0.1:9/", token_file=str(tmp_path / "gone")))
    assert failed["name"] == "configuration"
    assert "token_file" in failed["words"]
    assert first_failed(list(checkup(Config(), lambda: False)))["name"] == "configuration"


def test_through_a_proxy_the_proxy_is_what_is_looked_for() -> None:
    asked: list[tuple[str, str]] = []
    with RawServer(saying(200, asked)) as proxy:
        found = steps("http://server.test/ingest", proxy=f"http://127.0.0.1:{proxy.port}")
    assert results(found)["http"] == "ok"
    assert [method for method, _ in asked] == ["HEAD"]


def test_it_ends_when_it_is_cancelled() -> None:
    answers = iter([False, True])
    assert len(steps("http://127.0.0.1:9/", cancelled=lambda: next(answers))) == 1
