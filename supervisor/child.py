"""The worker's side of supervision: what runs in a spawned process around a worker module's `run(config, link)`.

It guarantees that the worker hears of a stop, and that it is gone soon after its supervisor is: the kernel tells us of
that death through the pipe and the sentinel, so no process outlives the service to work unseen.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from dropsafe import log, stacks
from dropsafe.errors import ConfigError, DropsafeError, ExitCode
from dropsafe.supervisor import messages, unexpected
from dropsafe.supervisor.log_pipe import LogPipe

# Workers have to be gone 2 s after their supervisor (DESIGN 5: "leaves when that pipe or its parent is gone"), and the
# uploader gives its claims back before (its ABANDON_GRACE, twice).
ORPHAN_GRACE: Final = 1.5

_log = logging.getLogger(__name__)


def main(name: str, module: str, config: dict[str, Any], conn: Connection) -> None:
    """The target of the spawned process. Leaves by SystemExit where the work failed."""
    _leave_signals_to_the_supervisor()
    stacks.enable()
    link = ChildLink(conn)
    unexpected.catch(link.thread_died, link.unexpected)
    link.alive()
    threading.Thread(target=link.listen, name="supervisor", daemon=True).start()
    try:
        log.set_up_service(config["log"], name)
        logging.getLogger().addHandler(LogPipe(link.send))
        importlib.import_module(module).run(config, link)
        if link.is_broken:
            sys.exit(ExitCode.WORKER_FAILED)
    except ConfigError as error:
        _log.error("%s refuses its configuration: %s %s", name, error, error.remedy)
        link.failed(f"{error} {error.remedy}".strip())
        sys.exit(ExitCode.CONFIGURATION)
    except DropsafeError as error:
        _log.error("%s cannot go on: %s %s", name, error, error.remedy)
        link.failed(f"{error} {error.remedy}".strip())
        sys.exit(ExitCode.WORKER_FAILED)
    except Exception as error:  # noqa: BLE001 - the boundary: nothing above would log it or tell the supervisor
        log.log_unexpected(_log, f"{name} ends because of an error that it did not expect", error)
        link.failed(unexpected.in_words(error))
        sys.exit(ExitCode.WORKER_FAILED)


class ChildLink:
    """The Link that a worker is given. The worker's threads may share it."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._sending = threading.Lock()
        self._stopping = threading.Event()
        self._abandon = threading.Event()
        self._probe = threading.Event()
        self._wakes: list[Callable[[], None]] = []
        self._hand: object = None
        self.is_broken = False
        """One of its threads has died, so that nothing that it does can be relied on."""

    # For the worker

    def ready(self) -> None:
        """The worker can do its work. Its hand, if it has one, must have been in a beat before, or be in the next."""
        self.send(messages.encode(messages.READY, hand=self._hand))

    def beat(self, progress: dict[str, object], *, lease: float = 0.0) -> None:
        """A sign of life from the work loop, with figures; `hand` among them names what to return after a death."""
        self._hand = progress.get("hand")
        try:
            message = messages.encode(messages.BEAT, progress=progress, lease=lease)
        except ValueError as error:
            _log.warning("A heartbeat goes without its figures: %s", error)
            message = messages.encode(messages.BEAT, progress={"hand": self._hand}, lease=lease)
        self.send(message)

    def unexpected(self, text: str) -> None:
        """An error that nobody expected, after which the work goes on."""
        self.send(messages.encode(messages.UNEXPECTED, text=messages.shorten(text)))

    def stopping(self) -> bool:
        """A stop was asked for, or the supervisor is gone."""
        return self._stopping.is_set()

    def abandon(self) -> bool:
        """Phase two: abandon uploads at the next checkpoint and return the entries."""
        return self._abandon.is_set()

    def probe_asked(self) -> bool:
        """Whether somebody asks, since the last call, to have the destination tried at once."""
        if not self._probe.is_set():
            return False
        self._probe.clear()
        return True

    def on_stop(self, wake: Callable[[], None]) -> None:
        """`wake` is called, from another thread, when anything is asked for; at once if a stop already was."""
        self._wakes.append(wake)
        if self.stopping():
            wake()

    # For `main`

    def alive(self) -> None:
        """The process runs, and is about to load its worker."""
        self.send(messages.encode(messages.ALIVE))

    def failed(self, text: str) -> None:
        """The last words."""
        self.send(messages.encode(messages.ERROR, text=messages.shorten(text)))

    def thread_died(self, text: str) -> None:
        """Called by the thread that dies. Whatever the others wait for may never come now: leave, and be started anew."""
        self.is_broken = True
        self.failed(text)
        # In a thread that nobody waits for: the process may leave before the grace is over.
        threading.Thread(target=self._leave, name="leaving", daemon=True).start()

    def listen(self) -> None:
        """The control thread: hear what the supervisor asks, until it is gone."""
        parent = multiprocessing.parent_process()
        sources: list[Any] = [self._conn] if parent is None else [self._conn, parent.sentinel]
        while self._conn in wait(sources):
            try:
                message = messages.decode(self._conn.recv_bytes(messages.MAX_MESSAGE))
            except (EOFError, OSError, ValueError):
                break
            match message["type"]:
                case messages.PROBE:
                    self._probe.set()
                    self._wake()
                case messages.ABANDON:
                    self._abandon.set()
                    self._stop()
                case _:
                    self._stop()
        _log.warning("The supervisor is gone; leaving. What is in hand stays in the spool")
        self._leave()

    def _stop(self) -> None:
        self._stopping.set()
        self._wake()

    def _wake(self) -> None:
        for wake in tuple(self._wakes):
            try:
                wake()
            except Exception:  # noqa: BLE001 - the worker's code in our thread, which must live to hear more
                _log.exception("The worker could not be woken for what was asked of it")

    def _leave(self) -> None:
        """As fast as can be without a loss, and by force if the work loop takes no notice."""
        self._abandon.set()
        self._stop()
        time.sleep(ORPHAN_GRACE)
        stacks.write()
        os._exit(ExitCode.WORKER_FAILED)

    def send(self, message: bytes) -> bool:
        """Send unless the supervisor is not reading, or is gone: the work must never wait for its supervision."""
        with self._sending:
            if not has_room(self._conn):
                return False
            try:
                self._conn.send_bytes(message)
            except OSError:
                return False  # `listen` meets the same end of the pipe, and acts
            return True


def has_room(conn: Connection) -> bool:
    """Whether a message can be written without waiting.

    A stream socket of Linux counts as writable while at most a quarter of its buffer (200 KB) is taken, so that a
    whole message fits: a stopped worker never leaves half of one behind, in which its supervisor would wait for ever.
    """
    if sys.platform == "win32":
        return True
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLOUT)
    return bool(poll.poll(0))


def _leave_signals_to_the_supervisor() -> None:
    """A terminal's Ctrl-C or hang-up, and a careless `kill` of the group, reach us too; but our stop is a message."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if sys.platform != "win32":
        # The supervisor started us with these blocked, so that none could strike before the lines above.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
