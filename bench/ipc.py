"""A good client of the line, without and under attack: 200 hostile clients of 25 processes. Then 1,000 slow ones.

The hostile ones are silent, send a part of a header, a byte a second, never read, announce huge frames, send garbage, or
come again and again; each comes again when it is put out. The server is a process of its own; all share this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from bench._measure import scratch, told
from dropsafe.errors import DropsafeError
from dropsafe.supervisor.ipc import rpc
from dropsafe.supervisor.ipc.client import Client
from dropsafe.supervisor.ipc.frames import encode
from dropsafe.supervisor.ipc.guests import A_PROCESS, CLIENTS, FRAME_TIME, HELLO_TIME
from dropsafe.supervisor.ipc.platform import system
from dropsafe.supervisor.ipc.rpc import Code, RpcError
from dropsafe.supervisor.ipc.server import Call, Server

PROCESSES = 25
LARGE = 400_000
BETWEEN = 0.01
"""Seconds between two requests of the good client."""
FRESH_EVERY = 1.0
PATIENCE = 30.0
HELLO = encode(rpc.request(0, rpc.HELLO, {"protocol": {"from": 1, "to": 1}, "client": "bench"}))
MAX_ERROR = 0.5
"""Seconds by which a deadline may be missed, as seen from the other end of a busy machine."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench ipc", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of attack")
    parser.add_argument("--calm", type=float, default=10.0, help="seconds without, before and after")
    parser.add_argument("--processes", type=int, default=PROCESSES, help=f"hostile ones, {A_PROCESS} clients each")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds before a hostile client comes again")
    parser.add_argument("--slow", type=int, default=1000, help=f"clients that time out, {CLIENTS} at a time")
    parser.add_argument("--as", dest="role", choices=["server", "hostile", "slow"], help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.role == "server":
        return serve(options.address)
    if options.role == "hostile":
        return attack(options.address, options.seconds, options.pause)
    if options.role == "slow":
        return be_slow(options.address, options.slow)
    with scratch() as folder, part("server", str(folder / "s.sock")) as server:
        wait_for_word(server)
        measure(str(folder / "s.sock"), server, options)
    return 0


def measure(address: str, server: subprocess.Popen[str], options: argparse.Namespace) -> None:
    memory = psutil.Process(server.pid)
    good = Good(address, memory)
    good.work(1.0, Phase())  # what is loaded once, is loaded now
    before = memory.memory_info().rss
    calm, stormy, after = Phase(), Phase(), Phase()
    good.work(options.calm, calm)
    with contextlib.ExitStack() as stack:
        hostile = [
            stack.enter_context(part("hostile", address, f"--seconds={options.seconds}", f"--pause={options.pause}"))
            for _ in range(options.processes)
        ]
        for process in hostile:
            wait_for_word(process)
        for process in hostile:
            begin(process)
        good.work(options.seconds, stormy)
        held: dict[str, list[float]] = defaultdict(list)
        for process in hostile:
            for kind, seconds in json.loads(process.communicate(timeout=PATIENCE)[0]).items():
                held[kind] += seconds
    time.sleep(HELLO_TIME + MAX_ERROR)
    good.work(options.calm, after)
    print(
        f"{options.processes * A_PROCESS} hostile clients of {options.processes} processes, {options.seconds:g} s; "
        "milliseconds; at the end of a line the same for new connections: p50, highest, errors"
    )
    print(f"{'a good client':<16} {'requests':>8} {'p50':>8} {'p99':>8} {'highest':>8} {'errors':>7}")
    for name, phase in {"before": calm, "under attack": stormy, "after": after}.items():
        print(f"{name:<16} {phase}")
    print(f"\n{'hostile':<16} {'came':>8} {'median':>8} {'longest':>8}  seconds until it was put out")
    for kind, seconds in sorted(held.items()):
        print(f"{kind:<16} {len(seconds):>8,} {statistics.median(seconds):>8.2f} {max(seconds):>8.2f}")
    slow = slow_ones(address, options.slow) if options.slow else []
    inside = [seconds for seconds in slow if abs(seconds - FRAME_TIME) <= MAX_ERROR]
    with Client(address) as client:
        server_says = client.call("figures")
    print()
    print(
        told(
            {
                "slow clients": f"{len(inside):,} of {options.slow:,} were put out after {FRAME_TIME:g} s"
                + (f" ({min(slow):.2f} to {max(slow):.2f} s)" if slow else ""),
                "server's memory": f"{mega(before)} before, {mega(max(stormy.memory))} highest under attack, "
                f"{mega(memory.memory_info().rss)} after all",
                "server's errors": server_says["errors"],
                "refused as busy": f"{server_says['refused']:,}",
            }
        )
    )


def mega(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


@dataclass
class Phase:
    """What the good client saw."""

    requests: list[float] = field(default_factory=list)
    fresh: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        p99 = statistics.quantiles(self.requests, n=100)[98]
        figures = (statistics.median(self.requests), p99, max(self.requests))
        shown = " ".join(f"{1000 * figure:>8.2f}" for figure in figures)
        fresh = f"{1000 * statistics.median(self.fresh):.2f}, {1000 * max(self.fresh):.2f}" if self.fresh else "-"
        return (
            f"{len(self.requests):>8,} {shown} {self.errors['request']:>7}   {fresh}, {self.errors['connection']} of "
            f"{len(self.fresh) + self.errors['connection']}"
        )


class Good:
    """A client that asks, and once a second a new one that asks once."""

    def __init__(self, address: str, server: psutil.Process) -> None:
        self._address = address
        self._server = server
        self._client = Client(address)

    def work(self, seconds: float, phase: Phase) -> None:
        end = time.monotonic() + seconds
        next_fresh = time.monotonic()
        while time.monotonic() < end:
            with counted(phase, "request"):
                begun = time.perf_counter()
                self._client.call("status")
                phase.requests.append(time.perf_counter() - begun)
            if time.monotonic() >= next_fresh:
                next_fresh += FRESH_EVERY
                phase.memory.append(self._server.memory_info().rss)
                with counted(phase, "connection"), Client(self._address) as fresh:
                    begun = time.perf_counter()
                    fresh.call("status")
                    phase.fresh.append(time.perf_counter() - begun)
            time.sleep(BETWEEN)


@contextmanager
def counted(phase: Phase, what: str) -> Iterator[None]:
    try:
        yield
    except DropsafeError as error:
        phase.errors[what] += 1
        print(f"{what}: {error}", file=sys.stderr)


def wait_for_word(process: subprocess.Popen[str]) -> None:
    """Its start is not to be measured."""
    assert process.stdout is not None
    process.stdout.readline()


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("begin\n")
    process.stdin.flush()


def serve(address: str) -> int:
    """Until standard input ends."""

    def accept(call: Call) -> None:
        match call.method:
            case "status":
                call.answer({"state": "RUNNING", "reasons": [], "workers": {"uploader": "RUNNING"}})
            case "large":
                call.answer("x" * LARGE)
            case "figures":
                call.answer({"errors": server.errors, "refused": server.refused})
            case _:
                call.fail(RpcError(Code.UNKNOWN_METHOD, "unknown"))

    server = Server(system.Listening(address), accept, greeting=dict, on_death=lambda _: os._exit(70))
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
    server.stop()
    return 0


@contextmanager
def part(role: str, address: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A process that plays it, ended with its standard input or killed."""
    command = [sys.executable, "-m", "bench.ipc", "--as", role, "--address", address, *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()


def slow_ones(address: str, count: int) -> list[float]:
    """How long each was let wait with a part of a header."""
    processes = CLIENTS // A_PROCESS
    shares = [count // processes + (number < count % processes) for number in range(processes)]
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(part("slow", address, f"--slow={share}")) for share in shares]
        return [
            seconds for process in started for seconds in json.loads(process.communicate(timeout=PATIENCE + count)[0])
        ]


def be_slow(address: str, count: int) -> int:
    held: list[float] = []
    left = iter(range(count))
    lock = threading.Lock()

    def slow() -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(PATIENCE)
                line.connect(address)
                begun = time.monotonic()
                line.sendall(b"\0")
                line.recv(1 << 16)
                held.append(time.monotonic() - begun)

    together([slow] * A_PROCESS)
    print(json.dumps(held))
    return 0


def attack(address: str, seconds: float, pause: float) -> int:
    """As A_PROCESS hostile clients, until the time is over. Prints how long each was let in, by kind."""
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.monotonic() + seconds
    held: dict[str, list[float]] = defaultdict(list)
    kinds = list(HOSTILE)
    offset = os.getpid()

    def hostile(number: int) -> None:
        kind = kinds[(offset + number) % len(kinds)]
        while time.monotonic() < end:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(PATIENCE)
                begun = None
                try:
                    line.connect(address)
                    begun = time.monotonic()
                    HOSTILE[kind](line)
                except OSError:  # put out while it sent
                    pass
                if begun is not None:
                    held[kind].append(time.monotonic() - begun)
            time.sleep(pause)

    together([lambda number=number: hostile(number) for number in range(A_PROCESS)])
    print(json.dumps(held))
    return 0


def together(actions: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def until_put_out(line: socket.socket) -> None:
    while line.recv(1 << 16):
        pass


def partial_header(line: socket.socket) -> None:
    line.sendall(b"\0\0")
    until_put_out(line)


def byte_a_second(line: socket.socket) -> None:
    for byte in HELLO:
        line.sendall(bytes([byte]))
        time.sleep(1.0)


def never_reading(line: socket.socket) -> None:
    line.sendall(HELLO)
    while True:
        line.sendall(encode(rpc.request(1, "large", {})))


def huge_length(line: socket.socket) -> None:
    line.sendall(struct.pack("!i", (1 << 31) - 1))
    until_put_out(line)


def garbage(line: socket.socket) -> None:
    line.sendall(HELLO)
    chance = random.Random()
    for _ in range(100):
        line.sendall(encode(chance.randbytes(chance.randrange(4096))))
        line.recv(1 << 16)
    line.sendall(chance.randbytes(4096))
    until_put_out(line)


def reconnecting(line: socket.socket) -> None:
    line.sendall(HELLO)


HOSTILE: dict[str, Callable[[socket.socket], None]] = {
    "silent": until_put_out,
    "partial header": partial_header,
    "a byte a second": byte_a_second,
    "never reading": never_reading,
    "huge length": huge_length,
    "garbage": garbage,
    "reconnecting": reconnecting,
}


if __name__ == "__main__":
    sys.exit(main())
