"""The supervisor: one loop that hears workers, clocks and signals, asks the machine, and carries out its answers.

It owns the worker processes and the status; it touches no entry but through the two functions in `Ports`, and if it
dies nothing is lost: workers leave with it, and the next start recovers. Nothing in the loop waits for anything else.
"""

from __future__ import annotations

import logging
import random
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from multiprocessing import Pipe
from multiprocessing.connection import wait
from types import FrameType
from typing import Any, Final

from dropsafe.errors import DropsafeError, ExitCode, UsageError, WorkerFailed
from dropsafe.log import log_place
from dropsafe.supervisor import messages, reasons, unexpected
from dropsafe.supervisor.asked import Asked, Wish
from dropsafe.supervisor.beside import Beside
from dropsafe.supervisor.lifecycle import Do
from dropsafe.supervisor.machine import ESCALATE_AFTER, ROLES, STOP_BUDGET, Action, Machine, Phase, Role
from dropsafe.supervisor.notify import STOPPING, sd_notify
from dropsafe.supervisor.process import Account, WorkerProcess, describe_exit, end_tracker
from dropsafe.supervisor.recovering import Recovering
from dropsafe.supervisor.reporter import Reporter
from dropsafe.supervisor.returns import Returns

# How often the workers' memory is looked at.
MEMORY_EVERY: Final = 10.0
# Children of a supervisor that ends by an error leave by themselves within 2 s; those that have not are killed.
LEAVE_GRACE: Final = 3.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ports:
    """What the supervisor asks of others. `recover` runs in a thread, beside which the service may be stopped, and so
    does `return_claims`."""

    recover: Callable[[], object]
    return_claims: Callable[[str, bool], object]  # (the hand's name, whether what it held is blamed)
    reload: Callable[[], dict[str, Any]]  # the configuration anew; DropsafeError if it cannot be used
    check: Callable[[], object]  # DropsafeError if this is not the one service of the spool any more


class Note(Enum):
    """What signals and other threads leave for the loop."""

    STOP = "stop"
    RELOAD = "reload"
    RECOVERED = "recovered"
    LOOK = "look"


_SIGNALS: Final = {"SIGTERM": Note.STOP, "SIGINT": Note.STOP, "SIGBREAK": Note.STOP, "SIGHUP": Note.RELOAD}


class Supervisor:
    """One run of the service: construct, `catch_signals`, `run`."""

    def __init__(
        self,
        config: dict[str, Any],
        ports: Ports,
        reporter: Reporter,
        *,
        config_error: str = "",
        roles: tuple[Role, ...] = ROLES,
        budget: float = STOP_BUDGET,
        beside: Beside | None = None,
    ) -> None:
        """`config` is what workers are given; `config_error` says why it is not that of the file, if it is not."""
        self._beside = beside or Beside()
        self._config = config
        self._ports = ports
        self._machine = Machine(roles, time.monotonic(), random.random, budget)
        self._accounts = {role.name: Account() for role in roles}
        self._processes: dict[str, WorkerProcess] = {}
        self._returns = Returns(ports.return_claims, lambda: self.note(Note.LOOK))
        self._config_error = config_error
        self._recovering = Recovering(ports.recover, lambda: self.note(Note.RECOVERED))
        self._own_errors: deque[str] = deque(maxlen=1)
        self._own_error_count = 0
        self._weigh_at = time.monotonic() + MEMORY_EVERY
        self._reporter = reporter
        self._notes: deque[Note | Asked] = deque()
        self._woken, self._waker = Pipe(duplex=False)

    def catch_signals(self) -> None:
        """From now on SIGTERM, SIGINT and Windows' SIGBREAK stop, and SIGHUP reloads. In the main thread only."""

        def note(signal_number: int, _frame: FrameType | None) -> None:
            self.note(_SIGNALS[signal.Signals(signal_number).name])

        for name in _SIGNALS:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), note)

    def catch_errors(self) -> None:
        """From now on an error that nobody catches, in any thread of this process, is a reason in the status."""
        unexpected.catch(self.met, self.met)

    def met(self, text: str) -> None:
        """Something went wrong in this process that nobody expected, perhaps in a thread that is dead now. From any thread."""
        self._own_errors.append(text)
        self._own_error_count += 1
        self.note(Note.LOOK)

    def progress(self, name: str) -> Mapping[str, Any]:
        """The figures of that worker's last heartbeat. From any thread."""
        return self._accounts[name].progress if name in self._accounts else {}

    def note(self, note: Note | Asked) -> None:
        """Leave a note for the loop and wake it: all that a signal handler or another thread may do."""
        self._notes.append(note)
        if len(self._notes) == 1:
            self._waker.send_bytes(b"!")

    def run(self) -> ExitCode:
        """Recover, start the workers, and keep them until asked to stop.

        Raises DropsafeError if recovery fails, WorkerFailed after a stop because a critical worker would not stay up.
        """
        self._report()
        self._recovering.begin()
        try:
            self._beside.begin()
            while not self._machine.finished or (self._returns.under_way and self._machine.phase is not Phase.OVER):
                self._turn()
            if self._machine.given_up:
                raise _gave_up(self._machine.given_up, self._accounts[self._machine.given_up].last_death)
        except BaseException as error:
            self._reporter.failed(error)
            raise
        finally:
            self._leave()
        if self._machine.exit_code is not ExitCode.OK:
            _log.warning("Stopped, but not every worker left by itself. Nothing is lost; entries wait in the spool")
        self._reporter.close()
        return self._machine.exit_code

    # One turn of the loop

    def _turn(self) -> None:
        sources: dict[Any, WorkerProcess] = {}
        for process in self._processes.values():
            sources[process.sentinel] = process
            if process.is_open:
                sources[process.connection] = process
        ready = wait([self._woken, *sources], self._machine.next_due(time.monotonic()))
        now = time.monotonic()
        if gap := self._machine.wake(now):
            _log.warning("The machine did not let the supervisor run for %.0f s; all deadlines were shifted", gap)
        if self._woken in ready:
            self._woken.recv_bytes()
        while self._notes:
            self._follow(self._notes.popleft(), now)
        for process in dict.fromkeys(sources[source] for source in ready if source is not self._woken):
            self._hear(process, now)
            if process.sentinel in ready:
                self._bury(process, now)
        self._carry_out(self._machine.due(now), now)
        self._weigh(now)
        self._returns.turn(now)
        self._ports.check()
        self._beside.turn(now)
        self._report()

    def _follow(self, note: Note | Asked, now: float) -> None:
        match note:
            case Asked():
                self._grant(note, now)
            case Note.STOP:
                self._carry_out(self._machine.stop(now), now)
                _log.info("Asked to stop: %s", self._machine.phase.name.lower())
                sd_notify(STOPPING)
            case Note.RELOAD:
                self._reload(now)
            case Note.RECOVERED:
                self._recovering.check()
                self._machine.begin(now)
            case Note.LOOK:
                pass  # the turn itself is all that is wanted

    def _grant(self, asked: Asked, now: float) -> None:
        """Do what another thread asks, and answer it."""
        heard = True
        try:
            match asked.wish:
                case Wish.STOP:
                    self._follow(Note.STOP, now)
                case Wish.RELOAD:
                    self._read_config(now)
                case Wish.PROBE:
                    process = self._processes.get(asked.worker)
                    heard = process is not None and process.hint(messages.PROBE)
                case Wish.RESTART:
                    self._restart(asked.worker, now)
        except DropsafeError as error:
            asked.answer.set_exception(error)
        else:
            asked.answer.set_result(heard)

    def _restart(self, name: str, now: float) -> None:
        if name not in self._machine.workers:
            known = ", ".join(self._machine.workers)
            raise UsageError(f"There is no worker {name!r}. Nothing was changed.", remedy=f"There are: {known}.")
        _log.info("%s is restarted because a person asks for it", name)
        self._carry_out(self._machine.restart(name, now), now)

    def _hear(self, process: WorkerProcess, now: float) -> None:
        name, account = process.name, self._accounts[process.name]
        for message in process.messages():
            match message["type"]:
                case messages.ALIVE:
                    self._machine.seen(name, now)
                case messages.READY:
                    self._note_hand(account, message)
                    self._machine.ready(name, now)
                    _log.info("%s is ready", name)
                case messages.BEAT:
                    lease = message.get("lease")
                    self._machine.seen(name, now, lease if isinstance(lease, (int, float)) else 0.0)
                    progress = message.get("progress")
                    account.progress = progress if isinstance(progress, dict) else {}
                    self._note_hand(account, account.progress)
                case messages.ERROR:
                    account.error = str(message.get("text", ""))
                    account.note_error(account.error)
                case messages.UNEXPECTED:
                    account.note_error(str(message.get("text", "")))
                case messages.LOG:
                    self._beside.log(name, message)

    @staticmethod
    def _note_hand(account: Account, content: Mapping[str, Any]) -> None:
        if isinstance(hand := content.get("hand"), str):
            account.hand = hand

    def _bury(self, process: WorkerProcess, now: float) -> None:
        name, account = process.name, self._accounts[process.name]
        exit_code = process.reap()
        del self._processes[name]
        actions = self._machine.exited(name, exit_code, now)
        self._log_exit(name, process.pid, exit_code, now)
        self._carry_out(actions, now)
        self._accounts[name] = account.successor()

    def _log_exit(self, name: str, pid: int | None, exit_code: int, now: float) -> None:
        worker, account, words = self._machine.workers[name], self._accounts[name], describe_exit(exit_code)
        if worker.stop_began is not None and exit_code == 0:
            _log.info("%s has stopped", name)
            return
        account.last_death = " ".join(
            filter(None, (f"{words[0].upper()}{words[1:]}.", account.condemned, account.error))
        )
        if worker.start_at is not None:
            then = f"it starts again in {worker.start_at - now:.1f} s"
        else:
            then = "it is not started again" + ("" if self._machine.phase else " until the configuration changes")
        _log.error("%s (process %s) is gone: %s; %s (death %d)", name, pid, words, then, worker.deaths)

    # Carrying out

    def _carry_out(self, actions: list[Action], now: float) -> None:
        for action in actions:
            self._carry_out_one(action.do, action.worker, now)

    def _carry_out_one(self, do: Do, name: str, now: float) -> None:
        process = self._processes.get(name)
        match do:
            case Do.SPAWN:
                self._spawn(self._machine.workers[name].role, now)
            case Do.RETURN_AFTER_DEATH | Do.RETURN_AFTER_STOP:
                account = self._accounts[name]
                if account.hand is not None:
                    blamed = do is Do.RETURN_AFTER_DEATH and account.may_blame
                    self._returns.owe(account.hand, blamed=blamed, now=now)
            case Do.WARN:
                _log.warning("%s has given no sign of life for %.0f s", name, self._silence_of(name, now))
            case Do.ASK_STOP if process is not None:
                process.send(messages.STOP)
            case Do.ASK_ABANDON if process is not None:
                _log.warning("%s is still at work: asked to abandon it and to return what it holds", name)
                process.send(messages.ABANDON)
            case Do.DUMP_STACK if process is not None:
                why = self._condemn(name, now)
                _log.error("%s is killed, and its stacks go to its log before: %s", name, why)
                process.dump_stack()
            case Do.KILL if process is not None:
                process.kill()
            case Do.GIVE_UP:
                _log.critical(
                    "%s would not stay up: the service stops, for its service manager to start it afresh", name
                )
                sd_notify(STOPPING)
            case _:
                pass

    def _condemn(self, name: str, now: float) -> str:
        """Why it is killed, for its account."""
        account = self._accounts[name]
        if not account.condemned and self._machine.workers[name].stop_began is None:
            account.condemned = f"It gave no sign of life for {self._silence_of(name, now):.0f} s."
        return account.condemned or "It did not leave in the time that it had."

    def _silence_of(self, name: str, now: float) -> float:
        return now - self._machine.workers[name].last_seen

    def _weigh(self, now: float) -> None:
        """Look at what memory the workers use, and replace one that uses more than it may."""
        if now < self._weigh_at:
            return
        self._weigh_at = now + MEMORY_EVERY
        limit = self._config["supervisor"]["worker_memory_bytes"]
        for name, process in self._processes.items():
            account = self._accounts[name]
            account.memory = process.memory()
            if limit and account.memory > limit and not account.condemned:
                account.condemned = (
                    f"It used {account.memory:,} bytes of memory; supervisor.worker_memory_bytes allows {limit:,}."
                )
                self._carry_out(self._machine.too_large(name, now), now)

    def _spawn(self, role: Role, now: float) -> None:
        try:
            process = WorkerProcess(role.name, role.module, self._config)
        except OSError as error:
            self._accounts[role.name].last_death = f"It could not be started: {error}"
            actions = self._machine.exited(role.name, ExitCode.TEMPORARY, now)
            _log.exception("%s could not be started; it is tried again", role.name)
            self._carry_out(actions, now)
            return
        self._processes[role.name] = process
        _log.info("%s started (process %s)", role.name, process.pid)

    def _reload(self, now: float) -> None:
        try:
            self._read_config(now)
        except DropsafeError as error:
            _log.error("The new configuration has an error, the one in force stays: %s", error)
            self._config_error = str(error)
            self._beside.reloaded(str(error))

    def _read_config(self, now: float) -> None:
        """DropsafeError if it cannot be used; the one in force stays then."""
        self._config = self._ports.reload()
        _log.info("The configuration was read again; the workers are restarted in order")
        self._config_error = ""
        self._machine.config_changed(now)
        self._beside.reloaded("")

    # Telling, and leaving

    def _report(self) -> None:
        others = []
        if self._config_error:
            others.append(reasons.config_kept(self._config_error))
        others += self._returns.problems()
        if self._own_errors:
            others.append(reasons.own_errors(self._own_error_count, self._own_errors[-1]))
        others += self._beside.problems()
        self._reporter.report(self._machine, self._processes, self._accounts, others)

    def _leave(self) -> None:
        """Let no worker outlive us. After a stop in time there is none left."""
        self._beside.end()
        for process in self._processes.values():
            process.leave_alone()
        deadline = time.monotonic() + (0.0 if self._machine.phase is Phase.OVER else LEAVE_GRACE)
        for process in self._processes.values():
            if not process.wait(max(0.0, deadline - time.monotonic())):
                process.kill()
        if not [process for process in self._processes.values() if not process.wait(LEAVE_GRACE)]:
            end_tracker()


def _gave_up(name: str, last_death: str) -> WorkerFailed:
    return WorkerFailed(
        f"The {name} would not stay up for {ESCALATE_AFTER / 60:.0f} minutes, so the service has stopped, in order. "
        f"Nothing is lost; entries wait in the spool. How it died last: {last_death}",
        remedy=f"The service manager starts it afresh. If this comes again, see why in {log_place()}.",
    )
