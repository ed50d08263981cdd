"""The queues against a real server: nothing between a program's call and the stored bytes is a stand-in."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dropsafe import AsyncPendingQueue, OperationRefused, QueueManager, Spool
from dropsafe.config import Config
from dropsafe.spool import Grade, State
from dropsafe.workers.deliver import deliver_once
from dropsafe.workers.http import HttpTransport
from tests.support.receiving import Client, running_receiver
from tests.support.waiting import PATIENCE, eventually

DATA = [{"serial": "A1", "ort": "Köln"}, {"serial": "A2", "values": [1, 2.5, None]}]
FREE = {"min_free_bytes": 0}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Client]:
    with running_receiver(tmp_path / "server") as client:
        yield client


class Api:
    """What a program has that talks to its server: HTTP by hand, on the standard library."""

    def __init__(self, port: int) -> None:
        self._port = port

    def submit(self, data: dict[str, Any]) -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)) as line:
            line.request("POST", "/ingest", json.dumps(data).encode(), {"Idempotency-Key": data["serial"]})
            answer = line.getresponse()
            content = json.loads(answer.read())
        if answer.status == 422:
            raise OperationRefused(content["detail"])
        if answer.status not in (200, 201):
            raise RuntimeError(f"{answer.status}: {content['detail']}")
        return str(content["id"])


def stored(server: Client) -> list[Any]:
    return [server.get(f"/reports/{key}/body").json for key, _, _ in server.set()]


def test_what_is_queued_is_on_a_real_server_byte_for_byte(tmp_path: Path, server: Client) -> None:
    """By the service's transport."""
    with QueueManager(tmp_path / "queue", **FREE) as queue:
        ids = [queue.queue_operation("report.submit", data) for data in DATA]
    config = Config.from_dict({"destination": {"url": f"http://127.0.0.1:{server.port}/ingest"}})
    with Spool(tmp_path / "queue") as spool, closing(HttpTransport.from_config(config)) as transport:
        sent = {entry.id: entry.path.read_bytes() for entry in spool.entries(state="pending")}
        assert deliver_once(spool, transport).delivered == 2
        assert [spool.receipt_of(one).grade for one in ids] == [Grade.DIGEST, Grade.DIGEST]
    assert {one: server.get(f"/reports/{one}/body").body for one in ids} == sent
    bodies = [server.get(f"/reports/{one}/body").json for one in ids]
    assert bodies == [{"operation_type": "report.submit", "data": data} for data in DATA]


def test_a_callback_that_posts_puts_it_on_a_real_server(tmp_path: Path, server: Client) -> None:
    with QueueManager(tmp_path / "queue", Api(server.port).submit, **FREE) as queue:
        ids = [queue.queue_operation("report.submit", data) for data in DATA]
        eventually(lambda: queue.get_pending_count() == 0)
    assert stored(server) == DATA
    with Spool(tmp_path / "queue") as spool:
        assert [(spool.receipt_of(one).grade, spool.receipt_of(one).server_id) for one in ids] == [
            (Grade.CALLBACK, "r00000001"),
            (Grade.CALLBACK, "r00000002"),
        ]


def test_an_api_object_puts_it_on_a_real_server_and_a_refusal_fails(tmp_path: Path, server: Client) -> None:
    server.order(error={"status": 500, "key": "A1", "every_nth": 1})

    async def program() -> None:
        async with AsyncPendingQueue(Api(server.port), tmp_path / "queue", **FREE) as queue:
            for data in DATA:
                await queue.queue_operation("report.submit", data)
            await queue.submit_all_pending()
            (waiting,) = await queue.get_pending_operations()
            assert waiting.data == DATA[0]
            assert "500" in str(waiting.error)
            server.order(error={"status": 422, "detail": "no station"})
            await queue.queue_operation("report.submit", {"serial": "A3"})
            await queue.submit_all_pending()
            (failed,) = await queue.get_failed_operations()
            assert "no station" in str(failed.error)

    asyncio.run(program())
    assert stored(server) == [DATA[1]]
    with Spool(tmp_path / "queue") as spool:
        assert sorted(entry.state for entry in spool.entries()) == sorted([State.SENT, State.PENDING, State.FAILED])
