"""The receiver as a running server: opens the store, listens, and stops in order.

Stopping lets requests in hand finish (for `GRACE` seconds at most), then closes the store, which commits what was
handed in. A kill at any moment loses nothing that was acknowledged.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from aiohttp import web

from dropsafe.errors import NoPermission, TemporaryError, UsageError
from dropsafe.receiver.app import App
from dropsafe.receiver.faults import Faults
from dropsafe.receiver.options import Settings
from dropsafe.receiver.store import Store

GRACE = 5.0
LONGEST_HEADER = 64 * 1024
LONGEST_LINE = 16 * 1024


class Receiver:
    """A server in the running event loop. `url` is known once it has started."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store: Store | None = None
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> str:
        """Listen; returns the address. Raises a DropsafeError that says what is in the way."""
        settings = self._settings
        self._store = _open_store(settings)
        try:
            app = App(self._store, Faults(settings.faults))
            self._runner = web.AppRunner(
                app.make(),
                access_log=None,
                handler_cancellation=True,
                shutdown_timeout=GRACE,
                auto_decompress=False,
                max_line_size=LONGEST_LINE,
                max_field_size=LONGEST_HEADER,
            )
            await self._runner.setup()
            await _listen(self._runner, settings)
        except BaseException:
            await self.stop()
            raise
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        return self.url

    async def stop(self) -> None:
        """Let requests in hand finish, and close the store."""
        runner, self._runner = self._runner, None
        store, self._store = self._store, None
        if runner is not None:
            await runner.cleanup()
        if store is not None:
            await store.close()


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM, SIGINT or, if so set, the end of standard input. `ready` is told the address."""
    asyncio.run(_serve(settings, ready))


async def _serve(settings: Settings, ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    with _stopping_on_signals(stop):
        if settings.until_input_ends:
            _stop_at_end_of_input(stop)
        receiver = Receiver(settings)
        ready(await receiver.start())
        try:
            await stop.wait()
        finally:
            await receiver.stop()


def _open_store(settings: Settings) -> Store:
    folder = settings.data
    try:
        return Store(folder)
    except PermissionError as error:
        raise NoPermission(
            f"{folder} cannot be written by this user. Nothing was changed.",
            remedy="Give another folder with --data, or ask its owner for the right to write there.",
        ) from error
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be used to store reports: {error.strerror}. Nothing was changed.",
            remedy="Give another folder with --data.",
        ) from error


async def _listen(runner: web.AppRunner, settings: Settings) -> None:
    where = f"{settings.host}:{settings.port}"
    try:
        await web.TCPSite(runner, settings.host, settings.port, backlog=1024).start()
    except (socket.gaierror, UnicodeError) as error:
        raise UsageError(f"{settings.host!r} is no host that this machine knows.") from error
    except PermissionError as error:
        raise NoPermission(
            f"This user may not listen on {where}.", remedy="Take a port of 1024 or above with --listen."
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise TemporaryError(
                f"{where} is in use by another program.",
                remedy="Stop it, or take another port with --listen; port 0 takes a free one.",
            ) from error
        raise UsageError(f"{where} is no address of this machine: {os.strerror(error.errno or 0)}.") from error


@contextmanager
def _stopping_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """`loop.add_signal_handler` does not exist on Windows; this works on both."""
    loop = asyncio.get_running_loop()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop.set)

    numbers = [signal.SIGTERM, signal.SIGINT]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)
    former = {number: signal.signal(number, ask_to_stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _stop_at_end_of_input(stop: asyncio.Event) -> None:
    """A thread, because pipes cannot be polled everywhere; a daemon, because a read cannot be called off."""
    loop = asyncio.get_running_loop()

    def wait_for_end() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait_for_end, name="receiver-input", daemon=True).start()
