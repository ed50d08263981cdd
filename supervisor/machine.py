"""The supervision machine: pure, (state, event, time) → (state, actions).

It owns what is known about each worker and about the stop, and decides; it starts, signals and kills nothing, and reads
no clock: `Supervisor` tells it what happened and carries out what it answers. *Wanted* (`Machine.phase`), *actual*
(`Worker.state`) and *ready* (a message from the worker, never a guess) are three things.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from dropsafe.errors import ExitCode
from dropsafe.supervisor import policy
from dropsafe.supervisor.lifecycle import TABLE, Do, Event, State
from dropsafe.supervisor.policy import Mode, Standing

# The figures of DESIGN 5, "Supervision figures" and "Stopping", in seconds.
SILENCE_WARNING: Final = 10.0
SILENCE_KILL: Final = 30.0
LATENESS_TOLERATED: Final = 2.0
# The longest time that a worker may ask for by a lease. More would only hide that it hangs.
LEASE_LONGEST: Final = 900.0
# A critical worker whose breaker has been open for so long: perhaps the OS can do better with a fresh service.
ESCALATE_AFTER: Final = 900.0
STOP_BUDGET: Final = 180.0
ABANDON_AT: Final = 1 / 3
FORCE_AT: Final = 2 / 3
# How often at least the machine is asked what is due; a tick is late relative to this.
TICK: Final = 1.0
# A process that can still run writes its stack within milliseconds; one that cannot is not worth waiting for.
DUMP_GRACE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Role:
    """One worker that the service consists of.

    `patience`: how long a stop waits for it before asking the next. `critical`: without it the service is of no use.
    """

    name: str
    module: str
    patience: float = math.inf
    critical: bool = False


# In the order in which they stop (and restart with a new configuration). The watcher first: it alone makes new
# entries, so from then on the work only shrinks; but taking one huge file must not leave the uploader claiming all
# the while, hence its patience. The janitor last: it keeps the room that receipts for the last uploads need.
ROLES: Final = (
    Role("watcher", "dropsafe.workers.watcher", patience=5.0, critical=True),
    Role("uploader", "dropsafe.workers.uploader", critical=True),
    Role("janitor", "dropsafe.workers.janitor"),
)


_RUNNING: Final = frozenset({State.STARTING, State.READY})
# What is asked of a worker by a stop or a restart; an exit after it is explained.
_ASKED: Final = frozenset({Event.STOP, Event.ABANDON, Event.FORCE})
_GOING: Final = frozenset({State.STOPPING, State.DUMPING, State.KILLED})


class Phase(IntEnum):
    """How far the stop of the whole service has come."""

    SERVING = 0
    DRAINING = 1
    ABANDONING = 2
    FORCING = 3
    OVER = 4


# As parts of the budget.
PHASE_BEGINS: Final = {Phase.ABANDONING: ABANDON_AT, Phase.FORCING: FORCE_AT, Phase.OVER: 1.0}
_PHASE_EVENT: Final = {Phase.ABANDONING: Event.ABANDON, Phase.FORCING: Event.FORCE}


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do, for the worker of that name."""

    do: Do
    worker: str


@dataclass(slots=True)
class Worker:
    """What is known about one worker. Dates are of the monotonic clock; those of things not under way are stale."""

    role: Role
    state: State = State.WAITING
    standing: Standing = field(default_factory=Standing)
    start_at: float | None = None
    generation: int = 0
    last_seen: float = 0.0
    lease: float = 0.0
    open_since: float | None = None
    ready_at: float = 0.0
    dumped_at: float = 0.0
    stop_began: float | None = None
    abandon_asked: bool = False
    warned: bool = False
    healthy: bool = False
    ever_ready: bool = False
    killed: bool = False
    deaths: int = 0

    @property
    def name(self) -> str:
        return self.role.name

    @property
    def has_process(self) -> bool:
        return self.state not in (State.WAITING, State.LEFT)


class Machine:
    """All workers and the stop. Every method that takes `now` must be given times that do not go back."""

    def __init__(
        self, roles: tuple[Role, ...], now: float, random: Callable[[], float], budget: float = STOP_BUDGET
    ) -> None:
        self.workers = {role.name: Worker(role) for role in roles}
        self.phase = Phase.SERVING
        self.budget = budget
        self.stop_began = 0.0
        self.given_up = ""
        """The critical worker because of which the service ends, if one would not stay up."""
        self._generation = 0
        self._random = random
        self._woken = now
        self._by_force = False

    # What happened

    def wake(self, now: float) -> float:
        """To be called first after each wait: shifts every deadline if we ourselves were not scheduled; by how much."""
        gap = now - self._woken - TICK
        self._woken = now
        if gap <= LATENESS_TOLERATED:
            return 0.0
        self.stop_began += gap
        for worker in self.workers.values():
            worker.last_seen += gap
            worker.ready_at += gap
            worker.dumped_at += gap
            worker.start_at = None if worker.start_at is None else worker.start_at + gap
            worker.stop_began = None if worker.stop_began is None else worker.stop_began + gap
            worker.open_since = None if worker.open_since is None else worker.open_since + gap
        return gap

    def begin(self, now: float) -> None:
        """Recovery is done: the workers may start."""
        for worker in self.workers.values():
            worker.start_at = now

    def seen(self, name: str, now: float, lease: float = 0.0) -> None:
        """A sign of life from the work loop. `lease`: the seconds that its next step may take before the next one."""
        worker = self.workers[name]
        worker.last_seen = now
        worker.lease = min(lease, LEASE_LONGEST)
        worker.warned = False

    def ready(self, name: str, now: float) -> None:
        """The worker says that it can do its work."""
        self.seen(name, now)
        worker = self.workers[name]
        if worker.state is State.STARTING:
            worker.ready_at = now
            worker.ever_ready = True
        self._apply(worker, Event.READY, now)

    def exited(self, name: str, exit_code: int, now: float) -> list[Action]:
        """The worker's process is gone and reaped. Its claims come first, then whether and when it starts again.

        While the service stops no entry is blamed: a system that is going down kills in whatever order it likes.
        """
        worker = self.workers[name]
        asked = worker.stop_began is not None
        if self.phase is not Phase.SERVING and (worker.killed or exit_code != 0):
            self._by_force = True
        explained = asked and (worker.killed or exit_code == 0)
        refused = exit_code == ExitCode.CONFIGURATION
        blameless = explained or refused or self.phase is not Phase.SERVING
        actions = self._apply(worker, Event.ENDED if blameless else Event.DIED, now)
        if not explained:
            worker.deaths += 1
        if self.phase is not Phase.SERVING:
            return actions + self._apply(worker, Event.STOP, now)
        if asked:
            self._judge(worker, policy.Event.CONFIG_CHANGED, now)
        else:
            self._judge(worker, policy.Event.REFUSED_CONFIG if refused else policy.Event.DIED, now)
        return actions

    def too_large(self, name: str, now: float) -> list[Action]:
        """The worker uses more memory than it may."""
        return self._apply(self.workers[name], Event.TOO_LARGE, now)

    def stop(self, now: float) -> list[Action]:
        """Somebody asks the service to stop; asked again, the stop advances by a phase."""
        if self.phase is Phase.SERVING:
            self.stop_began = now
        return [] if self.phase is Phase.OVER else self._enter(Phase(self.phase + 1), now)

    def config_changed(self, now: float) -> None:
        """There is a new configuration: those that wait start now, the others are restarted one after another."""
        if self.phase is not Phase.SERVING:
            return
        self._generation += 1
        for worker in self.workers.values():
            if worker.state is State.WAITING:
                self._judge(worker, policy.Event.CONFIG_CHANGED, now)

    def restart(self, name: str, now: float) -> list[Action]:
        """Somebody asks for a fresh start of that worker: at once, if it has no process."""
        worker = self.workers[name]
        if self.phase is not Phase.SERVING:
            return []
        if worker.state is State.WAITING:
            self._judge(worker, policy.Event.CONFIG_CHANGED, now)
            return []
        return self._apply(worker, Event.STOP, now)

    def due(self, now: float) -> list[Action]:
        """Everything whose time has come."""
        actions = self._give_up(now)
        while self.phase in (Phase.DRAINING, Phase.ABANDONING, Phase.FORCING) and self._phase_end() <= now:
            actions += self._enter(Phase(self.phase + 1), now)
        for worker in self.workers.values():
            for event in [event for date, event in self._dates(worker) if date <= now]:
                actions += self._apply(worker, event, now)
        return actions + (self._roll(now) if self.phase is Phase.SERVING else self._ask_in_order(now))

    # What can be asked

    def next_due(self, now: float) -> float:
        """Seconds after which `due` must be called again; at most a tick."""
        dates = [date for worker in self.workers.values() for date, _ in self._dates(worker)]
        if Phase.SERVING < self.phase < Phase.OVER:
            dates.append(self._phase_end())
            dates += [w.stop_began + w.role.patience for w in self.workers.values() if w.stop_began is not None]
        return max(0.0, min([TICK, *(date - now for date in dates if date > now)]))

    @property
    def finished(self) -> bool:
        """Nothing is left to wait for."""
        return self.phase is Phase.OVER or all(worker.state is State.LEFT for worker in self.workers.values())

    @property
    def settled(self) -> bool:
        """Each worker has become ready once, or its trouble is known and shown. (A service that can say what is wrong
        is more use than one that the service manager kills because one worker never became ready.)"""
        return all(w.ever_ready or w.standing.mode is not Mode.CLOSED for w in self.workers.values())

    @property
    def exit_code(self) -> ExitCode:
        """Of a finished machine: OK only if each worker left by itself."""
        if self.given_up:
            return ExitCode.WORKER_FAILED
        all_left = all(worker.state is State.LEFT for worker in self.workers.values())
        return ExitCode.OK if all_left and not self._by_force else ExitCode.TEMPORARY

    # How it decides

    def _apply(self, worker: Worker, event: Event, now: float) -> list[Action]:
        before = worker.state
        worker.state, todo = TABLE.get((before, event), (before, ()))
        if before in _RUNNING and worker.state in _GOING and event in _ASKED:
            worker.stop_began = now
        match event:
            case Event.START_DUE:
                self._reset(worker, now)
            case Event.SILENT:
                worker.warned = True
            case Event.HEALTHY:
                worker.healthy = True
                self._judge(worker, policy.Event.HEALTHY, now)
            case Event.ABANDON:
                worker.abandon_asked = True
            case Event.DUMP_OVER:
                worker.killed = True
            case _:
                pass
        if worker.state is State.DUMPING and before is not State.DUMPING:
            worker.dumped_at = now
        return [Action(do, worker.name) for do in todo]

    def _reset(self, worker: Worker, now: float) -> None:
        """A new process: nothing of its predecessor counts but the standing."""
        worker.start_at = worker.stop_began = None
        worker.last_seen, worker.lease = now, 0.0
        worker.generation = self._generation
        worker.abandon_asked = worker.warned = worker.healthy = worker.killed = False

    def _judge(self, worker: Worker, event: policy.Event, now: float) -> None:
        verdict = policy.decide(worker.standing, event, now, self._random)
        worker.standing = verdict.standing
        worker.start_at = verdict.start_at
        if worker.standing.mode is not Mode.OPEN:
            worker.open_since = None
        elif worker.open_since is None:
            worker.open_since = now

    def _give_up(self, now: float) -> list[Action]:
        """The service stops, in order, if a critical worker would not stay up. One that is up just now has its chance."""
        for worker in self.workers.values() if self.phase is Phase.SERVING else ():
            too_long = worker.open_since is not None and now - worker.open_since >= ESCALATE_AFTER
            if worker.role.critical and worker.state is State.WAITING and too_long:
                self.given_up = worker.name
                return [Action(Do.GIVE_UP, worker.name), *self.stop(now)]
        return []

    def _dates(self, worker: Worker) -> Iterator[tuple[float, Event]]:
        """What will happen to the worker by the mere passing of time, and when."""
        match worker.state:
            case State.WAITING:
                if worker.start_at is not None and self.phase is Phase.SERVING:
                    yield worker.start_at, Event.START_DUE
            case State.STARTING | State.READY:
                if not worker.warned:
                    yield worker.last_seen + max(SILENCE_WARNING, worker.lease), Event.SILENT
                yield worker.last_seen + max(SILENCE_KILL, worker.lease), Event.HUNG
                if worker.state is State.READY and not worker.healthy:
                    yield worker.ready_at + policy.HEALTH_AFTER, Event.HEALTHY
            case State.STOPPING:
                # In a stop of the service its phases say when; here a restart with a new configuration.
                if self.phase is Phase.SERVING and worker.stop_began is not None:
                    if not worker.abandon_asked:
                        yield worker.stop_began + ABANDON_AT * self.budget, Event.ABANDON
                    yield worker.stop_began + FORCE_AT * self.budget, Event.FORCE
            case State.DUMPING:
                yield worker.dumped_at + DUMP_GRACE, Event.DUMP_OVER
            case State.KILLED | State.LEFT:
                pass

    def _phase_end(self) -> float:
        return self.stop_began + PHASE_BEGINS[Phase(self.phase + 1)] * self.budget

    def _enter(self, phase: Phase, now: float) -> list[Action]:
        self.phase = phase
        if phase is Phase.DRAINING:
            return self._ask_in_order(now)
        if phase is Phase.OVER:
            return []
        event = _PHASE_EVENT[phase]
        return [action for worker in self.workers.values() for action in self._apply(worker, event, now)]

    def _ask_in_order(self, now: float) -> list[Action]:
        """Each worker is asked to stop when those before it have left or have used up its patience."""
        actions: list[Action] = []
        for worker in self.workers.values():
            actions += self._apply(worker, Event.STOP, now)
            if worker.state is State.LEFT:
                continue
            if worker.stop_began is None or now - worker.stop_began < worker.role.patience:
                break
        return actions

    def _roll(self, now: float) -> list[Action]:
        """Restart the next worker that still has an older configuration, once the one before it is up again."""
        for worker in self.workers.values():
            outdated = worker.generation < self._generation
            if worker.state in _GOING or (worker.state is State.STARTING and not outdated):
                return []
        for worker in self.workers.values():
            if worker.state in _RUNNING and worker.generation < self._generation:
                return self._apply(worker, Event.STOP, now)
        return []
