"""The window on 1,000,000 entries: how soon it can be used, what a frame costs, and whether it is ever blocked.

A spool of small files on a RAM disk, a service that runs as ever with nowhere to deliver to, and the window in this
process without a screen. Frames are in CPU time of the window's thread, gaps in the time by a clock.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import psutil
from PySide6.QtCore import QEventLoop, QSettings, Qt, QTimer

from bench._measure import scratch, told
from bench.waiting import UNLIMITED, fill, write_entry
from dropsafe.config import Config
from dropsafe.gui.app import application
from dropsafe.gui.bridge import Bridge
from dropsafe.gui.error_centre import ErrorCentre
from dropsafe.gui.pages.entries import EntriesPage
from dropsafe.gui.sources import Station
from dropsafe.gui.starting import Starter
from dropsafe.gui.theme import Scheme, apply
from dropsafe.gui.window import Window
from dropsafe.spool import Spool
from dropsafe.spool.names import BUCKET_SIZE, bucket_name, day_name, hour_start
from dropsafe.supervisor.ipc.client import Client

RAM = "/dev/shm"
TICK = 5
PATIENCE = 120.0
FRAMES = 60
AN_HOUR = 10 * BUCKET_SIZE
"""So many entries are made for each hour, the newest first."""
EVENTS = (900, 1_500)
"""A second, that the service is made to tell: all of them reach the window, or more than it keeps between two looks."""
DAYS = 30
"""Of history."""
DETAILS = 5
"""A second."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench window", description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each disturbance")
    parser.add_argument("--history", type=int, default=1_000_000, help="lines of the journal, over 30 days")
    parser.add_argument("--spool", type=Path, help="one that is filled already, and is left as it is")
    options = parser.parse_args(arguments)
    with scratch(RAM if os.path.isdir(RAM) else None) as folder:
        path = options.spool or folder / "spool"
        old: list[str] = []
        if options.spool is None:
            begun = time.perf_counter()
            with Spool.create(path, group="", limits=UNLIMITED) as spool:
                fill(spool, options.entries)
                spool.audit()
                old = write_history(spool, options.history)
            print(f"filled and audited in {time.perf_counter() - begun:.0f} s", flush=True)
        config = folder / "dropsafe.toml"
        config.write_text(
            f'spool_dir = "{path}"\nmax_queue_size = 100000000\nmin_free_bytes = 0\n[ipc]\naddress = "{folder}/s.sock"\n'
            '[destination]\nurl = "http://127.0.0.1:9/nowhere"\n',
            encoding="utf-8",
        )
        with a_service(config, folder) as service, a_bench(config, folder) as bench:
            measure(bench, service, f"{folder}/s.sock", options)
            open_details(bench, old)
    return 0


class Gap(NamedTuple):
    """Milliseconds: by how much it came late, and for how long the thread worked meanwhile. The rest it waited, for Python's
    other threads or for a processor."""

    late: float
    worked: float


class Bench:
    """The window, and what is measured of it."""

    def __init__(self, config: Path, folder: Path) -> None:
        application()
        apply(Scheme.LIGHT)
        station = Station(lambda: Config.in_force(config, environ={}, settings=()), config)
        self.station = station
        self.errors = ErrorCentre()
        self.bridge = Bridge(station)
        self.bridge.failed.connect(self.errors.report)
        self.settings = QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat)
        self.window = Window(station.read(), self.bridge, self.errors, Starter([], self.errors, station), self.settings)

    def open(self) -> float:
        """Seconds until the first rows are there."""
        begun = time.perf_counter()
        self.bridge.start()
        self.window.show()
        self.window.go("entries")
        self.until(lambda: self.page._model.row(0) is not None, 1)
        self.window.grab()
        return time.perf_counter() - begun

    @property
    def page(self) -> EntriesPage:
        page = self.window.page("entries")
        assert isinstance(page, EntriesPage)
        return page

    def until(self, condition: Callable[[], Any], pause: int = 5) -> float:
        """Seconds until it is so."""
        begun = time.perf_counter()
        while not condition():
            if time.perf_counter() - begun > PATIENCE:
                raise TimeoutError("what is measured did not come")
            self.rest(pause / 1000)
        return time.perf_counter() - begun

    def rest(self, seconds: float) -> None:
        """Let Qt and the other threads work."""
        loop = QEventLoop()
        QTimer.singleShot(round(seconds * 1000), loop.quit)
        loop.exec()

    def frame(self, action: Callable[[], object]) -> float:
        """Milliseconds of this thread's CPU for it and for painting what it leads to at once."""
        begun = time.thread_time()
        action()
        self.page._table.viewport().grab()
        return (time.thread_time() - begun) * 1000

    def gaps(self, seconds: float, during: Callable[[], object] = lambda: None) -> list[Gap]:
        """By how much a timer of 5 ms came late, longest first."""
        late: list[Gap] = []
        last, worked = time.perf_counter(), time.thread_time()

        def beat() -> None:
            nonlocal last, worked
            now, work = time.perf_counter(), time.thread_time()
            late.append(Gap((now - last) * 1000 - TICK, (work - worked) * 1000))
            last, worked = now, work

        timer = QTimer()
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(beat)
        timer.start(TICK)
        during()
        self.rest(seconds)
        timer.stop()
        return sorted(late, reverse=True)


def measure(bench: Bench, service: subprocess.Popen[bytes], address: str, options: argparse.Namespace) -> None:
    me, rows = psutil.Process(), bench.page._model.rowCount
    application().processEvents()
    before = me.memory_info().rss
    usable = bench.open()
    page, table, bar = bench.page, bench.page._table, bench.page._table.verticalScrollBar()
    chance = random.Random(1)
    frames = [bench.frame(lambda: bar.setValue(bar.value() + 3)) for _ in range(FRAMES)]
    jumps, came = [], []
    for _ in range(12):
        place = chance.randrange(rows())
        jumps.append(bench.frame(lambda place=place: bar.setValue(place)))  # type: ignore[misc]
        came.append(bench.until(lambda place=place: page._model.row(min(place, rows() - 1))))  # type: ignore[misc]
    select = bench.frame(table.selectAll)
    whole = page._chosen.whole
    table.clearSelection()
    bar.setValue(0)
    print(
        told(
            {
                "usable after": f"{usable * 1000:.0f} ms, {rows():,} rows",
                "a frame of scrolling": spread(frames),
                "a frame of a jump": spread(jumps),
                "rows after a jump": spread([each * 1000 for each in came]),
                "Ctrl+A": f"{select:.1f} ms CPU, all by the filter: {whole}",
            }
        ),
        flush=True,
    )
    oldest = (options.entries - 1) // AN_HOUR * AN_HOUR
    for name, text in (
        ("all", "report"),
        ("few, early", f"report{oldest // 100 + 1}"),
        ("one, the last", f"report{min(AN_HOUR, options.entries) - 1}."),
    ):
        page._text.setText(text)
        begun = time.perf_counter()
        page._anew()
        bench.until(lambda: rows() > 0 or not page._finder.is_under_way, 1)
        first = time.perf_counter() - begun
        bench.until(lambda: not page._finder.is_under_way, 20)
        print(
            told(
                {
                    f"filter: {name}": f"first after {first * 1000:.0f} ms, {rows():,} after "
                    f"{time.perf_counter() - begun:.1f} s, {page._finder.looked:,} looked at"
                }
            ),
            flush=True,
        )
    page._text.setText("")
    page._anew()
    begun = time.perf_counter()
    table.horizontalHeader().setSortIndicator(0, Qt.SortOrder.AscendingOrder)
    bench.until(lambda: not page._finder.is_under_way and rows(), 20)
    print(told({"sorted by name": f"{time.perf_counter() - begun:.1f} s"}), flush=True)
    table.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
    print(
        told({"memory": f"{(me.memory_info().rss - before) / 1e6:.1f} MB more than before the window was shown"}),
        flush=True,
    )
    idle = bench.gaps(options.seconds)
    stopped = bench.gaps(options.seconds, lambda: service.send_signal(signal.SIGSTOP))
    back = bench.gaps(options.seconds, lambda: service.send_signal(signal.SIGCONT))
    bench.until(lambda: bench.bridge.latest.runs)
    floods = [flooded(bench, address, rate, options.seconds) for rate in EVENTS]
    again = bench.gaps(options.seconds)
    print(f"\n{'the window is blocked for, ms':<32} {'longest':>8} {'at work':>8} {'2nd':>8} {'p99':>8} {'median':>8}")
    for name, late in (
        ("nothing happens", idle),
        ("the service hangs", stopped),
        ("it comes back", back),
        *floods,
        ("nothing happens, again", again),
    ):
        longest, second, p99, median = (late[place] for place in (0, 1, len(late) // 100, len(late) // 2))
        print(
            f"{name:<32} {longest.late:>8.1f} {longest.worked:>8.1f} {second.late:>8.1f} {p99.late:>8.1f} {median.late:>8.2f}"
        )


def write_history(spool: Spool, lines: int) -> list[str]:
    """As of other reports, in as many days as a journal commonly has; the ids of some reports that are as old."""
    today = time.time()
    for day in range(DAYS):
        name = day_name(today - day * 86_400)
        with open(f"{spool.core.layout.journal}/{name}.jsonl", "a", encoding="utf-8") as file:
            for number in range(lines // DAYS):
                file.write(
                    f'{{"at": "2026-11-24T10:00:00.000Z", "event": "deferred", "id": "{name}T100000.000Z_{number:08d}", '
                    '"worker": "uploader-1", "why": "the server answered 503", "until": "2026-11-24T10:00:10.000Z"}\n'
                )
    hour = hour_start(today - (DAYS - 1) * 86_400)
    bucket = spool.path / "hold" / bucket_name(hour, 0)
    bucket.mkdir(mode=0o700)
    return [write_entry(bucket, hour, -number % (1 << 40)) for number in range(1, DETAILS + 1)]


def open_details(bench: Bench, old: Sequence[str]) -> None:
    """Of reports whose history may lie in any file of the journal."""
    inspector, came, late = bench.page._inspector, [], [0.0]
    for entry_id in old:
        inspector.show_nothing()
        bench.rest(0.3)

        def show(entry_id: str = entry_id) -> None:
            inspector.show(entry_id)
            came.append(bench.until(lambda: inspector.state, 1) * 1000)

        late += bench.gaps(0.05, show)
    if old:
        blocked = f"{max(late):.1f} ms at most"
        print(told({"details shown after": spread(came), "the window blocked meanwhile": blocked}), flush=True)


def spread(values: Sequence[float]) -> str:
    return f"median {statistics.median(values):.1f} ms, highest {max(values):.1f} ms"


def flooded(bench: Bench, address: str, rate: int, seconds: float) -> tuple[str, list[Gap]]:
    """The service tells so many events a second, asked for by another process; what came of it, and the gaps."""
    heard: list[dict[str, Any]] = []
    command = [sys.executable, "-m", "bench._flood", address, str(rate)]
    with Client(address) as client, subprocess.Popen(command, stdout=subprocess.PIPE) as asking:
        assert asking.stdout is not None
        asking.stdout.readline()
        bench.rest(2.0)
        bench.bridge.events.connect(heard.extend)
        first, begun = newest_event(client), time.monotonic()
        gaps = bench.gaps(seconds)
        told_a_second = (newest_event(client) - first) / (time.monotonic() - begun)
        bench.bridge.events.disconnect(heard.extend)
        asking.terminate()
    missed = sum(event["kind"] == "gap" for event in heard)
    print(
        told(
            {
                f"asked for {rate:,} events a second": f"the service told {told_a_second:,.0f} a second; "
                f"the window heard {len(heard) - missed:,}, and {missed} times that it had missed some"
            }
        ),
        flush=True,
    )
    return f"{told_a_second:,.0f} events a second", gaps


def newest_event(client: Client) -> int:
    """Its number: they rise by one."""
    return int(client.call("events.since", {"since": 0})["next"])


@contextmanager
def a_service(config: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    log = (folder / "service.log").open("wb")
    command = [sys.executable, "-m", "dropsafe", "--config", str(config), "run"]
    with log, subprocess.Popen(command, stdout=log, stderr=log) as service:
        try:
            deadline = time.monotonic() + PATIENCE
            while not ready(str(folder / "s.sock")):
                if service.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "service.log").read_text())
                time.sleep(0.2)
            yield service
        finally:
            service.send_signal(signal.SIGCONT)
            service.terminate()
            try:
                service.wait(30)
            except subprocess.TimeoutExpired:
                service.kill()


def ready(address: str) -> bool:
    try:
        with Client(address, connect_time=1.0) as client:
            return client.call("status.get")["condition"] in ("RUNNING", "DEGRADED")
    except Exception:  # noqa: BLE001 - it is not there yet
        return False


@contextmanager
def a_bench(config: Path, folder: Path) -> Iterator[Bench]:
    bench = Bench(config, folder)
    try:
        yield bench
    finally:
        bench.window.close()
        bench.bridge.close()
        bench.settings.sync()  # or it is written when the folder is gone


if __name__ == "__main__":
    sys.exit(main())
