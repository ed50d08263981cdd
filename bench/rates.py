"""How exactly max_requests_per_minute and max_bytes_per_second are kept, and how soon a stop is heard meanwhile.

An engine and a server on real sockets; rates are measured after the first second's worth, which may go at once.
`python -m bench rates`.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench._measure import scratch, told
from dropsafe.config import Config
from dropsafe.spool import Limits, Spool
from dropsafe.workers.delivery import Engine
from dropsafe.workers.http import HttpTransport
from dropsafe.workers.link import LocalLink
from dropsafe.workers.settings import Settings
from tests.support.raw_server import Line, RawServer, answering
from tests.support.waiting import eventually

MIB = 1 << 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="bench rates", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each")
    options = parser.parse_args(arguments)
    facts: dict[str, object] = {}
    with scratch() as folder:
        for per_minute in (60, 1200):
            key, clock = "max_requests_per_minute", Counter()
            payloads = [b"report %d" % number for number in range(int(per_minute / 60 * options.seconds) + 100)]
            stop = measure(folder / f"{per_minute}", {key: per_minute}, payloads, clock, options.seconds)
            facts[f"{key} = {per_minute}"] = f"{clock.rate() * 60:,.1f} a minute; a stop took {stop * 1000:.0f} ms"
        for per_second in (MIB // 4, 8 * MIB):
            key, clock = "max_bytes_per_second", Counter()
            size = max(MIB // 2, per_second)
            payloads = [os.urandom(size) for _ in range(int(per_second * (options.seconds + 2) / size) + 8)]
            stop = measure(folder / f"{per_second}", {key: per_second}, payloads, clock, options.seconds)
            rate, ratio = clock.rate(), clock.rate() / per_second
            facts[f"{key} = {per_second:,}"] = (
                f"{rate:,.0f} a second ({ratio:.3f}), most in any second {clock.most():,.0f}; a stop took {stop * 1000:.0f} ms"
            )
    print(told(facts))
    return 0


class Counter:
    """What arrived, and when."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []
        self._lock = threading.Lock()

    def count(self, amount: float) -> None:
        with self._lock:
            self._seen.append((time.monotonic(), amount))

    def rate(self) -> float:
        """A second, from the end of the first second on."""
        begin = self._seen[0][0]
        late = [(at, amount) for at, amount in self._seen if at - begin > 1.0]
        return sum(amount for _, amount in late[1:]) / (late[-1][0] - late[0][0])

    def most(self) -> float:
        """In any second."""
        first, now, most = 0, 0.0, 0.0
        for at, amount in self._seen:
            now += amount
            while self._seen[first][0] < at - 1.0:
                now -= self._seen[first][1]
                first += 1
            most = max(most, now)
        return most


def measure(folder: Path, settings: dict[str, Any], payloads: list[bytes], counter: Counter, seconds: float) -> float:
    """Let it deliver for so long, with a server that counts; then the seconds that a stop took (both phases at once)."""
    by_bytes = "max_bytes_per_second" in settings
    with (
        Spool.create(folder, group="", limits=Limits(max_queue_size=0, min_free_bytes=0)) as spool,
        RawServer(counting(counter.count) if by_bytes else arriving(counter.count)) as server,
    ):
        for payload in payloads:
            spool.submit(payload, name="report.bin")
        config = Config.from_dict({"destination": {"url": server.url, **settings}})
        transport = HttpTransport.from_config(config)
        hand, link = spool.take_hand("uploader"), LocalLink()
        engine = Engine(spool, hand, transport, link, Settings.from_config(config))
        link.on_stop(engine.wake)
        thread = threading.Thread(target=engine.run)
        begun = time.monotonic()
        thread.start()
        eventually(lambda: time.monotonic() - begun > seconds, "", seconds + 5)
        begun = time.monotonic()
        link.abandon_now()
        thread.join()
        stopped = time.monotonic() - begun
        transport.close()
        hand.close()
        return stopped


def arriving(count: Callable[[float], None]) -> Callable[[Line, str, str, dict[str, str]], None]:
    """Counts requests."""
    good = answering(204)

    def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        count(1)
        good(line, method, target, headers)

    return behave


def counting(count: Callable[[float], None]) -> Callable[[Line, str, str, dict[str, str]], None]:
    """Counts the bytes of bodies as they come."""

    def behave(line: Line, _method: str, _target: str, headers: dict[str, str]) -> None:
        left = int(headers["content-length"])
        while left and (part := line.read_body(min(left, 16384))):
            left -= len(part)
            count(len(part))
        line.answer(204)

    return behave


if __name__ == "__main__":
    sys.exit(main())
