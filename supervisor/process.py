"""The supervisor's side of one worker process: start it, hear it, signal it, bury it.

Spawned, never forked: a forked sibling would hold copies of the other pipes' ends, and the death of one end would stay
unnoticed. Nothing here decides or waits, except for a process that has been killed.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from dropsafe.errors import ExitCode
from dropsafe.supervisor import child, messages

# A worker beats every 2 s; more than a few messages are there only when the supervisor was not scheduled for long.
MOST_AT_ONCE: Final = 1000

_SPAWN: Final = multiprocessing.get_context("spawn")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Account:
    """What is known of a worker's present life, and of those before it.

    `memory` is what it uses (bytes, 0: not known yet), `condemned` why it is being killed, `error` its last words.
    """

    hand: str | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)
    memory: int = 0
    condemned: str = ""
    error: str = ""
    last_death: str = ""
    errors: int = 0
    last_error: str = ""

    @property
    def may_blame(self) -> bool:
        """Whether what is in its hand may be why it dies: not if it said that nothing of it is being sent."""
        return not self.progress.get("in_hand") or self.progress.get("in_progress") != 0

    def note_error(self, text: str) -> None:
        """One that the worker did not expect: counted over all its lives."""
        self.errors += 1
        self.last_error = text

    def successor(self) -> Account:
        """That of its next life."""
        return Account(last_death=self.last_death, errors=self.errors, last_error=self.last_error)


class WorkerProcess:
    """A running worker, until `reap`."""

    def __init__(self, name: str, module: str, config: dict[str, Any]) -> None:
        """Start it. OSError if the system has no room for another process."""
        self.name = name
        self.connection, theirs = _SPAWN.Pipe()
        try:
            self._process = _SPAWN.Process(target=child.main, args=(name, module, config, theirs), name=name)
            with _signals_blocked():
                self._process.start()
        except BaseException:
            self.connection.close()
            raise
        finally:
            # Ours must be the only other end, or the worker's death would not end the pipe.
            theirs.close()
        self.sentinel = self._process.sentinel
        self.pid = self._process.pid
        self.is_open = True

    def messages(self) -> Iterator[dict[str, Any]]:
        """What has arrived, without waiting for more, and not so much at once that others wait.

        At the end of the pipe `is_open` turns false; a worker that lives on without it falls silent and is replaced.
        """
        try:
            for _ in range(MOST_AT_ONCE):
                if not self.connection.poll():
                    return
                data = self.connection.recv_bytes(messages.MAX_MESSAGE)
                try:
                    yield messages.decode(data)
                except ValueError:
                    _log.warning("%s sent something that is no message: %r", self.name, data[:80])
        except (EOFError, OSError):
            self.is_open = False

    def send(self, message_type: str) -> None:
        """Say it, if there is anybody to hear it: a dead one's sentinel tells the rest."""
        with suppress(OSError):
            self.connection.send_bytes(messages.encode(message_type))

    def hint(self, message_type: str) -> bool:
        """The same for what people may ask for as often as they like: not sent, and False, while what was said before lies
        there unread. Else 300 of them would have the supervisor wait for a worker that hangs, which it is to kill."""
        if not child.has_room(self.connection):
            return False
        self.send(message_type)
        return True

    def dump_stack(self) -> None:
        """Let it write the stack of each of its threads to where it logs to, where the system has a way."""
        if sys.platform != "win32" and self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGUSR2)

    def memory(self) -> int:
        """What it uses of the machine's memory (resident set), in bytes; 0 if it has just ended."""
        import psutil  # here, for it takes a while to load, and the first look has time

        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()

    def leave_alone(self) -> None:
        """Close the pipe, which tells the worker to leave with its supervisor."""
        self.connection.close()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, after waiting that long at most."""
        self._process.join(seconds)
        return self._process.exitcode is not None

    def reap(self) -> int:
        """Bury it, once its sentinel says it is dead: its exit code, or minus the signal's number."""
        self._process.join()
        exit_code = self._process.exitcode
        self.connection.close()
        self._process.close()
        return exit_code if exit_code is not None else -signal.SIGTERM


def describe_exit(exit_code: int) -> str:
    """An exit code in words."""
    if exit_code < 0:
        try:
            name = signal.Signals(-exit_code).name
        except ValueError:
            name = "a signal"
        return f"it was killed by {name} (signal {-exit_code})"
    match exit_code:
        case ExitCode.OK:
            return "it left without being asked (exit code 0)"
        case ExitCode.WORKER_FAILED:
            return f"it ended by an error (exit code {exit_code})"
        case ExitCode.CONFIGURATION:
            return f"it refused its configuration (exit code {exit_code})"
        case _:
            return f"it ended with exit code {exit_code}"


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """A process inherits what its parent's thread blocks: so no Ctrl-C, and no wish for its stacks, can kill it before it
    is prepared for that."""
    if sys.platform == "win32":
        yield
        return
    _ensure_tracker()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ensure_tracker() -> None:
    """Start Python's resource tracker, which a spawn would start: that would unblock the signals again (bpo-33613).

    It is a child of ours like the workers, and as easily killed with them. What it tracks, named semaphores and shared
    memory, we have none of: so its warning that some might leak is not true of us, and is told in our own words.
    """
    from multiprocessing import resource_tracker

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        resource_tracker.ensure_running()
    if said:
        _log.info("A helper process of Python's (resource_tracker) had been killed; it runs again. No data is touched")


def end_tracker(patience: float = 1.0) -> None:
    """Python's resource tracker leaves before us: else a service manager finds it left behind, kills it, and logs that.

    When no worker lives: it waits for the end of a pipe of which each has a copy. There is no public way to end it.
    """
    if sys.platform == "win32":
        return
    from multiprocessing import resource_tracker

    tracker: Any = resource_tracker._resource_tracker
    descriptor, pid = tracker._fd, tracker._pid
    if descriptor is None or pid is None:
        return
    tracker._fd = tracker._pid = None
    os.close(descriptor)
    deadline = time.monotonic() + patience
    with suppress(ChildProcessError):  # somebody has killed it, and it was reaped
        while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.005)
