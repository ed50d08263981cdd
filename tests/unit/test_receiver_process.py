"""The receiver as a process: ready when it says so, killed without loss, stopped in order."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from dropsafe.errors import TemporaryError
from dropsafe.receiver.process import ReceiverProcess
from tests.support.receiving import Client
from tests.support.waiting import eventually

MIB = 1 << 20


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[ReceiverProcess]:
    with ReceiverProcess(tmp_path / "data") as receiver:
        yield receiver


def client_of(receiver: ReceiverProcess) -> Client:
    return Client(int(receiver.url.rpartition(":")[2]))


def run_receive(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One that is expected to end by itself."""
    command = [sys.executable, "-m", "dropsafe", "receive", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_nothing_acknowledged_is_lost_by_kill_9(receiver: ReceiverProcess) -> None:
    acknowledged: dict[str, tuple[str, int]] = {}
    count = 400

    def send(worker: int) -> None:
        client = client_of(receiver)
        for number in range(count):
            size = 70_000 if number % 10 == 9 else 500
            body = (f"{worker} {number} ".encode() * size)[:size]
            key = f"w{worker}-{number}"
            try:
                answer = client.post(body, key)
            except (OSError, http.client.HTTPException):
                return
            if answer.status == 201:
                acknowledged[key] = hashlib.sha256(body).hexdigest(), len(body)

    senders = [threading.Thread(target=send, args=(worker,)) for worker in range(4)]
    for sender in senders:
        sender.start()
    eventually(lambda: len(acknowledged) > 100)
    receiver.kill()
    for sender in senders:
        sender.join()
    assert len(acknowledged) < 4 * count, "the kill came too late to mean anything"

    receiver.start()
    stored = receiver.set()
    assert {(key, *facts) for key, facts in acknowledged.items()} <= stored
    for key, sha256, size in stored:
        body = receiver.body(key)
        assert (hashlib.sha256(body).hexdigest(), len(body)) == (sha256, size)
    assert receiver.stats()["stored"] == len(stored)


def test_a_repeat_after_a_kill_gets_the_first_receipt(receiver: ReceiverProcess) -> None:
    receiver.faults(cut_after={})
    with pytest.raises(ConnectionError):
        client_of(receiver).post(b"x", "k1")
    receiver.kill()
    receiver.start()
    first = receiver.report("k1")
    again = client_of(receiver).post(b"x", "k1")
    assert again.status == 200
    assert again.json == {name: first[name] for name in ("id", "key", "sha256", "size", "received_at")}


def test_a_large_body_is_taken_in_constant_memory(receiver: ReceiverProcess) -> None:
    process = psutil.Process(receiver.pid)
    size = 96 * MIB
    block = os.urandom(MIB)
    digest = hashlib.sha256()
    peak = before = process.memory_info().rss
    with closing(http.client.HTTPConnection("127.0.0.1", client_of(receiver).port, timeout=60)) as connection:
        connection.putrequest("PUT", "/ingest/large.bin")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        for _ in range(size // MIB):
            connection.send(block)
            digest.update(block)
            peak = max(peak, process.memory_info().rss)
        answer = json.load(connection.getresponse())
    assert (answer["sha256"], answer["size"]) == (digest.hexdigest(), size)
    assert peak - before < 24 * MIB

    digest = hashlib.sha256()
    with closing(http.client.HTTPConnection("127.0.0.1", client_of(receiver).port, timeout=60)) as connection:
        connection.request("GET", f"/reports/{answer['key']}/body")
        response = connection.getresponse()
        while part := response.read(MIB):
            digest.update(part)
            peak = max(peak, process.memory_info().rss)
    assert digest.hexdigest() == answer["sha256"]
    assert peak - before < 24 * MIB


@pytest.mark.skipif(os.name == "nt", reason="a Windows process cannot be asked by a signal")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_clean_and_lets_requests_in_hand_finish(receiver: ReceiverProcess, number: signal.Signals) -> None:
    port = client_of(receiver).port
    process = psutil.Process(receiver.pid)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        receiver.faults(latency={"seconds": 0.5})
        line.sendall(b"PUT /ingest/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
        eventually(lambda: receiver.stats()["faults"] == {"latency": 1})
        process.send_signal(number)
        assert line.recv(1000).startswith(b"HTTP/1.1 201")
    # A second signal, while the interpreter ends, would kill it.
    eventually(lambda: process.status() == psutil.STATUS_ZOMBIE, "it has left by itself")
    assert receiver.stop() == 0
    assert receiver.said == ""
    assert not (receiver.data / "receiver.db-wal").exists(), "the database was not closed"
    receiver.start()
    assert len(receiver.set()) == 1


def test_it_comes_back_on_the_same_port_with_all_it_had(receiver: ReceiverProcess) -> None:
    url = receiver.url
    client_of(receiver).post(b"x", "k1")
    before = receiver.set()
    assert receiver.stop() in (0, 1 if os.name == "nt" else 0)
    assert not receiver.is_running()
    with pytest.raises(ConnectionError):
        client_of(receiver).get("/stats")
    assert receiver.start() == url
    assert receiver.set() == before == {("k1", hashlib.sha256(b"x").hexdigest(), 1)}


def test_it_ends_with_the_program_that_started_it(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time\n"
        "from dropsafe.receiver.process import ReceiverProcess\n"
        "receiver = ReceiverProcess(pathlib.Path(sys.argv[1]))\n"
        "receiver.start()\n"
        "print(receiver.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "data")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout is not None
        child = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    eventually(lambda: has_ended(child))


def test_faults_by_flags_are_in_force_from_the_start(tmp_path: Path) -> None:
    with ReceiverProcess(tmp_path / "data", options=["--error", "1/2,status=500"]) as receiver:
        assert [client_of(receiver).post(b"x", f"k{number}").status for number in range(4)] == [201, 500, 201, 500]
        assert receiver.faults() == {}
        assert client_of(receiver).post(b"x", "k9").status == 201


def test_a_receiver_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, no folder")
    with pytest.raises(TemporaryError, match="cannot be used to store reports"):
        ReceiverProcess(tmp_path / "data").start()


def test_the_ready_line_says_where(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "dropsafe", "receive", "--listen", "127.0.0.1:0", "--until-input-ends"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:")
        assert Client(int(line.rpartition(":")[2])).stats()["stored"] == 0
        process.stdin.close()
        assert process.wait(20) == 0
        assert str(tmp_path / "received") in process.stdout.read()


def test_a_port_in_use_is_a_temporary_error(tmp_path: Path, receiver: ReceiverProcess) -> None:
    where = receiver.url.removeprefix("http://")
    ended = run_receive("--listen", where, "--data", str(tmp_path / "other"))
    assert ended.returncode == 75
    assert f"{where} is in use by another program" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_in_use_is_a_temporary_error(receiver: ReceiverProcess) -> None:
    ended = run_receive("--listen", "127.0.0.1:0", "--data", str(receiver.data))
    assert ended.returncode == 75
    assert "Another receiver is using" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("listen", ["192.0.2.1:0", "[::nowhere]:0", "a..b:0"])
def test_an_address_that_is_not_here_is_a_usage_error(tmp_path: Path, listen: str) -> None:
    ended = run_receive("--listen", listen, "--data", str(tmp_path / "data"))
    assert ended.returncode == 2
    assert listen.rpartition(":")[0].strip("[]") in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_that_cannot_be_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run_receive("--listen", "127.0.0.1:0", "--data", str(tmp_path / "file" / "data"))
    assert ended.returncode == 2
    assert "cannot be used to store reports" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs to become another user")
def test_a_folder_that_may_not_be_written_is_a_matter_of_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    code = (
        "import os, pathlib, sys\n"
        "from dropsafe.receiver.server import _open_store\n"
        "from dropsafe.receiver.options import Settings\n"
        "from dropsafe.cli.trouble import guarded\n"
        # Once as root, so that all modules are loaded: the interpreter may lie where only root may read.
        "guarded(lambda: _open_store(Settings('', 0, pathlib.Path('/dev/null/rehearsal'))))\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "sys.exit(guarded(lambda: _open_store(Settings('', 0, pathlib.Path(sys.argv[1])))))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 77
    assert "cannot be written by this user" in ended.stderr


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['aiohttp'] = None; from dropsafe.cli.main import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", code, "receive", "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "pip install 'dropsafe[receiver]'" in ended.stderr
    assert "Traceback" not in ended.stderr
