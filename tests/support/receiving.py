"""The receiver in a thread of the test's own process, and a client that says plainly what came back."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropsafe.receiver.options import Settings
from dropsafe.receiver.server import Receiver
from tests.support.waiting import PATIENCE


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection for each request."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Answer:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method, target, body, dict(headers or {}), **options)
            response = connection.getresponse()
            content = response.read()
            return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, content)

    def get(self, target: str) -> Answer:
        return self.ask("GET", target)

    def post(self, body: bytes, key: str = "", **headers: str) -> Answer:
        """A report as our own service sends it."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        usual = {"Content-Digest": digest_of(body), **({"Idempotency-Key": key} if key else {})}
        return self.ask("POST", "/ingest", body, usual | given)

    def order(self, method: str = "POST", **faults: Any) -> Answer:
        return self.ask(method, "/faults", json.dumps(faults).encode())

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self.get("/stats").json
        return stats

    def set(self) -> list[list[str]]:
        return [line.split(" ") for line in self.get("/set").body.decode().splitlines()]


def digest_of(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


@contextmanager
def running_receiver(data: Path) -> Iterator[Client]:
    """A server on a free port, stopped in order at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="test-receiver")
    thread.start()
    receiver = Receiver(Settings("127.0.0.1", 0, data))
    try:
        url = asyncio.run_coroutine_threadsafe(receiver.start(), loop).result(PATIENCE)
        yield Client(int(url.rpartition(":")[2]))
    finally:
        asyncio.run_coroutine_threadsafe(receiver.stop(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        assert not asyncio.all_tasks(loop)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
