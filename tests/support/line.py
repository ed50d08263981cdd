"""A server of the line for a test: its calls kept or answered, its clock moved by hand."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dropsafe.supervisor.ipc import rpc
from dropsafe.supervisor.ipc.client import Client
from dropsafe.supervisor.ipc.endpoint import ClientLine
from dropsafe.supervisor.ipc.guests import Stage
from dropsafe.supervisor.ipc.platform import system
from dropsafe.supervisor.ipc.rpc import HELLO, PROTOCOL, Code, RpcError
from dropsafe.supervisor.ipc.server import Call, Server
from tests.support.waiting import PATIENCE, eventually

GREETING = {"version": "9.9.9", "features": [], "boot_id": "b", "pid": 1, "spool_id": "s"}


@contextmanager
def an_address() -> Iterator[str]:
    """Free, and short: pytest's own folders have names too long for a socket."""
    if sys.platform == "win32":
        yield rf"\\.\pipe\dropsafe-test-{uuid.uuid4().hex}"
        return
    folder = tempfile.mkdtemp(prefix="line-")
    try:
        yield f"{folder}/s.sock"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Scene:
    """The server, and what has happened to it. `echo` is answered with its params, `wait` not at all."""

    def __init__(self, address: str, group: str = "") -> None:
        self.address = address
        self.calls: list[Call] = []
        self.deaths: list[Exception] = []
        self.answering: dict[str, Callable[[Call], None]] = {
            "echo": lambda call: call.answer(call.params),
            "wait": lambda _: None,
        }
        self.opened: list[ClientLine | Client] = []
        self._ahead = 0.0
        self.endpoint = system.Listening(address, group)
        self.server = Server(
            self.endpoint,
            self._accept,
            greeting=lambda: GREETING,
            on_death=self.deaths.append,
            clock=lambda: time.monotonic() + self._ahead,
        )

    def _accept(self, call: Call) -> None:
        self.calls.append(call)
        self.answering.get(call.method, _unknown)(call)

    def pass_time(self, seconds: float) -> None:
        """For the server, and have it look."""
        self._ahead += seconds
        self.endpoint.wake()

    def stages(self) -> list[Stage]:
        """Of those who are connected."""
        return [guest.stage for guest in self.server._guests]

    def wait_for_call(self, method: str) -> Call:
        return eventually(lambda: next((call for call in self.calls if call.method == method), None), method)

    def stop(self) -> None:
        """Without waiting for anybody."""
        stopper = threading.Thread(target=self.server.stop)
        stopper.start()
        while stopper.is_alive():
            self.pass_time(1.0)
            stopper.join(0.01)

    def raw(self) -> ClientLine:
        """A line on which nothing was said yet."""
        line = system.connect(self.address, time.monotonic() + PATIENCE)
        self.opened.append(line)
        return line

    def client(self, **options: Any) -> Client:
        client = Client(self.address, program="test", **options)
        self.opened.append(client)
        return client

    def greeted(self) -> ClientLine:
        """A line on which hello was said, and answered."""
        line = self.raw()
        line.send(hello(), soon())
        rpc.parse_answer(line.receive(soon()), 0)
        return line


def _unknown(call: Call) -> None:
    call.fail(RpcError(Code.UNKNOWN_METHOD, "unknown"))


@contextmanager
def a_scene(address: str, group: str = "") -> Iterator[Scene]:
    scene = Scene(address, group)
    scene.server.start()
    try:
        yield scene
    finally:
        for opened in scene.opened:
            opened.close()
        scene.stop()


def hello() -> bytes:
    return rpc.request(0, HELLO, {"protocol": {"from": PROTOCOL, "to": PROTOCOL}, "client": "test"})


def soon() -> float:
    return time.monotonic() + PATIENCE
