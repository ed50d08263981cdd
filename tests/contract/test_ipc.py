"""Both ends of the line between the service and its clients: one suite for both halves, `_posix` and `_windows`."""

from __future__ import annotations

import json
import logging
import os
import random
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Client as StockClient
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropsafe.errors import DropsafeError, EntryNotFound, TemporaryError, UsageError, WorkerFailed
from dropsafe.supervisor.ipc import rpc
from dropsafe.supervisor.ipc.client import Client
from dropsafe.supervisor.ipc.endpoint import ClientLine, Gone
from dropsafe.supervisor.ipc.frames import MAX_FRAME
from dropsafe.supervisor.ipc.guests import A_PROCESS, HELLO_TIME, IDLE_TIME, REQUEST_TIME, Stage
from dropsafe.supervisor.ipc.rpc import Code, RpcError
from dropsafe.supervisor.ipc.server import ACCEPT_PAUSE, MAX_HELLO, Call
from tests.support.line import GREETING, Scene, a_scene, an_address, hello, soon
from tests.support.waiting import eventually

needs_sockets = pytest.mark.skipif(sys.platform == "win32", reason="a Windows pipe carries whole messages")


@pytest.fixture
def address() -> Iterator[str]:
    with an_address() as address:
        yield address


@pytest.fixture
def scene(address: str) -> Iterator[Scene]:
    with a_scene(address) as scene:
        yield scene
        assert scene.deaths == []


@pytest.fixture
def client(scene: Scene) -> Iterator[Client]:
    with scene.client() as client:
        yield client


def is_closed(line: ClientLine) -> bool:
    """Nothing more comes, and that is told at once."""
    try:
        line.receive(soon())
    except Gone:
        return True
    return False


def error_on(line: ClientLine, request_id: int = 0) -> RpcError:
    with pytest.raises(RpcError) as caught:
        rpc.parse_answer(line.receive(soon()), request_id)
    return caught.value


def broken(*_: object) -> NoReturn:
    raise OSError("the system is broken")


class TestARequest:
    def test_is_answered_and_the_service_says_who_it_is(self, client: Client) -> None:
        assert client.call("echo", {"word": "grüß \udcff"}) == {"word": "grüß \udcff"}
        assert client.greeting == {"protocol": 1, **GREETING}

    def test_knows_who_asks(self, scene: Scene, client: Client) -> None:
        client.call("echo")
        peer = scene.calls[0].peer
        assert (peer.pid, peer.administrator) == (os.getpid(), True)
        assert peer.uid == os.getuid() if sys.platform != "win32" else str(peer.uid).startswith("S-1-")

    def test_may_fill_a_frame_and_so_may_its_answer(self, client: Client) -> None:
        word = "x" * (MAX_FRAME - 200)
        assert client.call("echo", {"word": word}) == {"word": word}

    def test_that_fills_more_is_refused_before_it_is_sent(self, client: Client) -> None:
        with pytest.raises(UsageError, match="can be sent at once"):
            client.call("echo", {"word": "x" * MAX_FRAME})

    def test_with_an_answer_that_fills_more_is_told_so(self, scene: Scene, client: Client) -> None:
        scene.answering["much"] = lambda call: call.answer("x" * MAX_FRAME)
        with pytest.raises(UsageError, match=r"The answer has 1,048,\d+ bytes"):
            client.call("much")
        assert client.call("echo") == {}

    def test_is_answered_from_any_thread_and_once(self, scene: Scene, client: Client) -> None:
        def twice(call: Call) -> None:
            call.answer("first")
            call.answer("second")

        scene.answering["slow"] = lambda call: threading.Thread(target=twice, args=[call]).start()
        assert [client.call("slow"), client.call("echo")] == ["first", {}]

    def test_that_failed_is_the_same_error_here_with_title_and_remedy(self, scene: Scene, client: Client) -> None:
        there = EntryNotFound("There is no entry abc.", remedy="List them.")
        scene.answering["show"] = lambda call: call.fail(RpcError.of(there))
        with pytest.raises(UsageError, match="no entry abc") as caught:
            client.call("show")
        here = caught.value
        assert (here.title, here.remedy, here.exit_code) == (there.title, there.remedy, there.exit_code)

    def test_of_an_unknown_method_names_both_versions(self, client: Client) -> None:
        with pytest.raises(UsageError, match=r"version 9\.9\.9"):
            client.call("new")

    def test_that_broke_its_handler_says_so_without_a_traceback(
        self, scene: Scene, client: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        def divide(_: Call) -> None:
            raise ZeroDivisionError("a secret of ours")

        scene.answering["broken"] = divide
        scene.answering["no JSON"] = lambda call: call.answer(object())
        with caplog.at_level(logging.ERROR):
            for method in ("broken", "no JSON"):
                with pytest.raises(WorkerFailed) as caught:
                    client.call(method)
                assert "Traceback" not in str(caught.value)
                assert "secret" not in str(caught.value)
        assert scene.server.errors == 2
        assert "a secret of ours" in caplog.text
        assert client.call("echo") == {}

    def test_that_is_sent_before_the_last_one_was_answered_waits_for_its_turn(self, scene: Scene) -> None:
        line = scene.greeted()
        line.send(rpc.request(1, "wait", {}), soon())
        call = scene.wait_for_call("wait")
        line.send(rpc.request(2, "echo", {}), soon())
        scene.client().call("echo", {"from": "another"})  # so that the server has seen that there is more
        assert [call.params for call in scene.calls] == [{}, {"from": "another"}]
        call.answer("first")
        assert rpc.parse_answer(line.receive(soon()), 1) == "first"
        assert rpc.parse_answer(line.receive(soon()), 2) == {}

    def test_that_is_no_request_is_refused_and_the_next_one_served(self, scene: Scene) -> None:
        line = scene.greeted()
        for payload, code in [
            (b"\xff\x00", Code.PARSE),
            (b"[" * 100_000, Code.PARSE),
            (b"[]", Code.INVALID_REQUEST),
            (hello(), Code.INVALID_REQUEST),
        ]:
            line.send(payload, soon())
            assert error_on(line).code is code
        line.send(rpc.request(7, "echo", {}), soon())
        assert rpc.parse_answer(line.receive(soon()), 7) == {}

    def test_after_the_service_was_restarted_finds_the_new_one(self, address: str) -> None:
        with Client(address) as client:
            for _ in range(2):
                with a_scene(address):
                    assert client.call("echo") == {}

    def test_that_gets_no_answer_in_time_may_have_been_done(self, scene: Scene, client: Client) -> None:
        with pytest.raises(TemporaryError, match="gave no answer to wait"):
            client.call("wait", timeout=0.05)
        assert client.call("echo") == {}

    def test_that_the_end_of_the_service_cuts_off_may_have_been_done(
        self, address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with a_scene(address) as scene, Client(address) as client:
            scene.answering["die"] = lambda _: monkeypatch.setattr(scene.endpoint, "wait", broken)
            with pytest.raises(TemporaryError, match="broke"):
                client.call("die")
            assert eventually(lambda: scene.deaths)


class TestAServiceThatIsNotThere:
    def test_is_told_as_temporary(self, address: str) -> None:
        with pytest.raises(TemporaryError, match="does not answer"):
            Client(address, connect_time=0.2).call("echo")

    def test_is_not_confused_with_one_that_speaks_another_protocol(self, scene: Scene) -> None:
        line = scene.raw()
        line.send(rpc.request(0, "hello", {"protocol": {"from": 2, "to": 3}}), soon())
        revived = rpc.revive(error_on(line))
        assert isinstance(revived, UsageError)
        assert "versions 2 to 3" in revived.message
        assert is_closed(line)


class TestDeadlines:
    def test_who_is_silent_is_closed_after_2_s(self, scene: Scene) -> None:
        line = scene.raw()
        scene.greeted().close()  # so that it was let in
        scene.pass_time(HELLO_TIME - 0.5)
        other = scene.greeted()
        scene.pass_time(0.5)
        assert is_closed(line)
        other.send(rpc.request(1, "echo", {}), soon())
        assert rpc.parse_answer(other.receive(soon()), 1) == {}

    def test_who_is_idle_is_closed_after_60_s_and_comes_again(self, scene: Scene, client: Client) -> None:
        client.call("echo")
        eventually(lambda: scene.stages() == [Stage.IDLE])
        scene.pass_time(IDLE_TIME)
        eventually(lambda: not scene.stages())
        assert client.call("echo") == {}

    def test_an_answer_that_is_not_found_in_60_s_is_too_late_and_ignored(self, scene: Scene) -> None:
        line = scene.greeted()
        line.send(rpc.request(1, "wait", {}), soon())
        call = scene.wait_for_call("wait")
        scene.pass_time(REQUEST_TIME)
        error = error_on(line, 1)
        assert (error.code, isinstance(rpc.revive(error), TemporaryError)) == (Code.TOO_LATE, True)
        call.answer("late")
        line.send(rpc.request(2, "echo", {}), soon())
        assert rpc.parse_answer(line.receive(soon()), 2) == {}

    def test_who_does_not_take_the_answer_is_closed_after_2_s(self, scene: Scene) -> None:
        line = scene.greeted()
        line.send(rpc.request(1, "echo", {"word": "x" * (MAX_FRAME - 200)}), soon())
        scene.wait_for_call("echo")
        eventually(lambda: scene.stages() == [Stage.ANSWERING])
        scene.pass_time(2.0)
        eventually(lambda: not scene.stages())

    @needs_sockets
    @pytest.mark.parametrize("greeted", [False, True])
    def test_a_byte_a_second_buys_no_time(self, scene: Scene, greeted: bool) -> None:
        with socket.socket(socket.AF_UNIX) as drip:
            drip.connect(scene.address)
            drip.settimeout(20)
            if greeted:
                drip.sendall(struct.pack("!i", len(hello())) + hello())
                assert drip.recv(1 << 16)
            drip.sendall(b"\0")
            eventually(lambda: scene.stages() == [Stage.READING if greeted else Stage.GREETING])
            scene.pass_time(1.0)
            drip.sendall(b"\0")
            scene.pass_time(1.0)
            assert drip.recv(1) == b""


class TestRefused:
    @pytest.mark.parametrize(
        ("first", "code"),
        [
            (rpc.request(0, "echo", {}), Code.INVALID_REQUEST),
            (b"GET / HTTP/1.1", Code.PARSE),
            (b"", Code.PARSE),
            (b" " * (MAX_HELLO + 1), Code.INVALID_REQUEST),
            (rpc.request(0, "hello", {"protocol": 1}), Code.INVALID_PARAMS),
        ],
    )
    def test_is_who_does_not_begin_with_hello(self, scene: Scene, first: bytes, code: Code) -> None:
        line = scene.raw()
        line.send(first, soon())
        assert error_on(line).code is code
        assert is_closed(line)
        assert scene.calls == []

    @needs_sockets
    @pytest.mark.parametrize("length", [-1, -(1 << 31), (1 << 31) - 1, MAX_FRAME + 1])
    def test_is_a_length_out_of_bounds(self, scene: Scene, length: int) -> None:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(scene.address)
            line.settimeout(20)
            line.sendall(struct.pack("!i", len(hello())) + hello())
            line.recv(1 << 16)
            line.sendall(struct.pack("!i", length))
            assert str(length).encode() in line.recv(1 << 16)
            assert line.recv(1) == b""

    def test_is_the_ninth_connection_of_a_process_and_none_is_put_out_for_it(self, scene: Scene) -> None:
        lines = [scene.greeted() for _ in range(A_PROCESS)]
        with pytest.raises(TemporaryError, match="as many connections as it serves") as caught:
            scene.client(connect_time=0.2).connect()
        assert caught.value.remedy
        assert scene.server.refused >= 1
        for line in lines:
            line.send(rpc.request(1, "echo", {}), soon())
            assert rpc.parse_answer(line.receive(soon()), 1) == {}
        lines.pop().close()
        scene.client().connect()

    def test_for_a_second_is_who_comes_when_the_system_has_no_room_and_guests_are_served(
        self, scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.call("echo")
        monkeypatch.setattr(scene.endpoint, "accept", broken)  # too many open files, for example
        line = scene.raw()
        eventually(lambda: scene.server.errors)
        monkeypatch.undo()
        assert client.call("echo") == {}
        scene.pass_time(ACCEPT_PAUSE)
        line.send(hello(), soon())
        assert rpc.parse_answer(line.receive(soon()), 0)["protocol"] == 1

    def test_who_leaves_while_its_answer_is_sought_gives_its_place_back(self, scene: Scene) -> None:
        line = scene.greeted()
        line.send(rpc.request(1, "wait", {}), soon())
        call = scene.wait_for_call("wait")
        line.close()
        eventually(lambda: not scene.stages())
        call.answer("to nobody")
        assert scene.client().call("echo") == {}
        assert scene.server.errors == 0


class TestStopping:
    def test_answers_under_way_are_finished_and_then_nobody_is_there(self, address: str) -> None:
        with a_scene(address) as scene, Client(address) as client:
            scene.answering["stop"] = lambda call: threading.Thread(target=stop_and_answer, args=[call]).start()
            stopper = threading.Thread(target=scene.server.stop)

            def stop_and_answer(call: Call) -> None:
                stopper.start()
                eventually(scene.server._stopping.is_set)
                call.answer("stopping")

            assert client.call("stop") == "stopping"
            stopper.join()
            with pytest.raises(TemporaryError):
                Client(address, connect_time=0.2).connect()

    def test_who_waits_longer_than_a_stop_is_told(self, address: str) -> None:
        with a_scene(address) as scene:
            line = scene.greeted()
            line.send(rpc.request(1, "wait", {}), soon())
            scene.wait_for_call("wait")
            scene.stop()
            assert "stopped before" in error_on(line, 1).message

    def test_an_error_of_the_loop_is_heard_of(
        self, address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        with a_scene(address) as scene:
            monkeypatch.setattr(scene.endpoint, "wait", broken)
            scene.endpoint.wake()
            assert eventually(lambda: [str(death) for death in scene.deaths]) == ["the system is broken"]
            assert "the loop that serves" in caplog.text
            with pytest.raises(TemporaryError):
                Client(address, connect_time=0.2).connect()


FRAMES = int(os.environ.get("FRAMES", "300"))
"""How many are thrown at the server; 100,000 take some minutes."""


def test_whatever_frames_come_the_server_answers_or_closes_and_serves_the_others(scene: Scene, client: Client) -> None:
    chance = random.Random(FRAMES)
    request = rpc.request(1, "echo", {"list": [1, "two", None], "deep": {"er": 1.5}})
    line = scene.greeted()
    answered = 0
    for number in range(FRAMES):
        match chance.randrange(4):
            case 0:
                payload = chance.randbytes(chance.randrange(200))
            case 1:  # a bit of a good one turned
                damaged = bytearray(request)
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
                payload = bytes(damaged)
            case 2:
                payload = request[: chance.randrange(len(request))] * chance.randrange(1, 4)
            case _:
                pieces = [
                    b"[",
                    b"]",
                    b"{",
                    b"}",
                    b'"id"',
                    b":",
                    b",",
                    b"1e9",
                    b'"jsonrpc"',
                    b'"2.0"',
                    b"\\ud800",
                    b"null",
                ]
                payload = b"".join(chance.choices(pieces, k=chance.randrange(30)))
        line.send(payload, soon())
        answered += json.loads(line.receive(soon()))["jsonrpc"] == "2.0"
        if number % 100 == 0:
            assert client.call("echo") == {}
        if number % 50 == 0:  # a length that is none, or a first frame that is no hello, is the end of a line
            line.close()
            other = scene.raw()
            other.send(payload, soon())
            answered += json.loads(other.receive(soon()))["jsonrpc"] == "2.0"
            assert is_closed(other)
            other.close()
            scene.opened.clear()
            line = scene.greeted()
    assert answered == FRAMES + -(-FRAMES // 50)
    assert scene.server.errors == 0


@needs_sockets
@settings(max_examples=FRAMES // 10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100), st.booleans())
def test_whatever_bytes_come_on_a_stream_nobody_else_notices(scene: Scene, data: bytes, greeted: bool) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(scene.address)
        line.settimeout(20)
        with suppress(BrokenPipeError, ConnectionResetError):
            line.sendall((struct.pack("!i", len(hello())) + hello()) * greeted + data)
            line.shutdown(socket.SHUT_WR)
            while line.recv(1 << 16):
                pass
    assert scene.server.errors == 0
    assert scene.deaths == []


@needs_sockets
def test_the_stock_client_of_multiprocessing_is_understood(scene: Scene) -> None:
    with StockClient(scene.address, family="AF_UNIX") as stock:
        stock.send_bytes(hello())
        assert json.loads(stock.recv_bytes())["result"]["protocol"] == 1
        word = "x" * 100_000  # written in two calls
        stock.send_bytes(rpc.request(1, "echo", {"word": word}))
        assert json.loads(stock.recv_bytes())["result"] == {"word": word}


@needs_sockets
@pytest.mark.parametrize("cut", [2, 4, 20])
def test_a_request_in_two_writes_is_answered_and_no_request_twice(scene: Scene, cut: int) -> None:
    def framed(payload: bytes) -> bytes:
        return struct.pack("!i", len(payload)) + payload

    with socket.socket(socket.AF_UNIX) as line:
        line.connect(scene.address)
        line.settimeout(20)
        line.sendall(framed(hello()))
        assert line.recv(1 << 16)
        request = framed(rpc.request(1, "echo", {"word": "x"}))
        line.sendall(request[:cut])
        eventually(lambda: scene.stages() == [Stage.READING])
        line.sendall(request[cut:] + framed(rpc.request(2, "echo", {"word": "y"})))
        line.shutdown(socket.SHUT_WR)
        answers = b""
        while data := line.recv(1 << 16):
            answers += data
    assert answers.count(b'"result"') == 2
    assert [call.params for call in scene.calls] == [{"word": "x"}, {"word": "y"}]


@needs_sockets
def test_the_stock_listener_s_frames_are_understood_by_the_client_which_believes_no_nonsense(address: str) -> None:
    from multiprocessing.connection import Listener

    with Listener(address, family="AF_UNIX") as listener:

        def serve() -> None:
            for answers in [b'{"jsonrpc": "2.0", "id": 1, "result": {}}', b"!"], [b"!"]:
                with listener.accept() as connection:
                    for answer in answers if isinstance(answers, list) else [answers]:
                        connection.recv_bytes()
                        connection.send_bytes(answer)

        server = threading.Thread(target=serve)
        server.start()
        for _ in range(2):
            with Client(address) as client, pytest.raises(DropsafeError, match="does not speak as Dropsafe does"):
                client.call("echo")
        server.join()
