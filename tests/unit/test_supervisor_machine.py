"""The supervision machine, state by state, on a clock moved by hand."""

from __future__ import annotations

import pytest

from dropsafe.errors import ExitCode
from dropsafe.supervisor import machine as figures
from dropsafe.supervisor.lifecycle import TABLE, Do, Event, State
from dropsafe.supervisor.machine import ROLES, Action, Machine, Phase, Role, Worker
from dropsafe.supervisor.policy import Mode
from dropsafe.workers.link import LEASE

ONE = (Role("uploader", "none"),)
BUDGET = 180.0


class Bench:
    """A machine, and a clock that ticks as the supervisor's loop would."""

    def __init__(self, roles: tuple[Role, ...] = ONE) -> None:
        self.now = 1000.0
        self.machine = Machine(roles, self.now, random=lambda: 0.5, budget=BUDGET)
        self.machine.begin(self.now)

    def worker(self, name: str = "uploader") -> Worker:
        return self.machine.workers[name]

    def states(self) -> dict[str, State]:
        return {name: worker.state for name, worker in self.machine.workers.items()}

    def due(self) -> list[Action]:
        self.machine.wake(self.now)
        return self.machine.due(self.now)

    def advance(self, seconds: float, beating: tuple[str, ...] = ()) -> list[Action]:
        """Time passes in ticks; those named send heartbeats."""
        actions = []
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 1.0)
            self.machine.wake(self.now)
            for name in beating:
                self.machine.seen(name, self.now)
            actions += self.machine.due(self.now)
        return actions

    def ready(self, *names: str) -> None:
        for name in names or tuple(self.machine.workers):
            self.machine.ready(name, self.now)

    def exited(self, exit_code: int, name: str = "uploader") -> list[Action]:
        return self.machine.exited(name, exit_code, self.now)

    def stop(self) -> list[Action]:
        return self.machine.stop(self.now)


@pytest.fixture
def bench() -> Bench:
    """One worker, started and ready."""
    bench = Bench()
    assert bench.due() == [Action(Do.SPAWN, "uploader")]
    bench.ready()
    return bench


@pytest.fixture
def service() -> Bench:
    """All three, started and ready."""
    bench = Bench(ROLES)
    bench.due()
    bench.ready()
    return bench


# The table


def test_every_row_leads_somewhere_and_every_state_is_reached() -> None:
    assert {state for state, _ in TABLE.values()} == set(State)
    assert {state for state, _ in TABLE} == set(State) - {State.LEFT}


@pytest.mark.parametrize("state", [state for state in State if state not in (State.WAITING, State.LEFT)])
@pytest.mark.parametrize(("event", "do"), [(Event.DIED, Do.RETURN_AFTER_DEATH), (Event.ENDED, Do.RETURN_AFTER_STOP)])
def test_claims_are_returned_whatever_a_process_was_doing_when_it_went(state: State, event: Event, do: Do) -> None:
    assert TABLE[state, event] == (State.WAITING, (do,))


@pytest.mark.parametrize("event", [Event.HUNG, Event.SILENT, Event.STOP])
def test_a_stopping_worker_is_judged_by_the_stop_alone(event: Event) -> None:
    assert (State.STOPPING, event) not in TABLE


def test_nothing_starts_before_recovery_is_done() -> None:
    machine = Machine(ROLES, 0.0, lambda: 0.5)
    assert machine.due(5.0) == []
    assert not machine.settled
    machine.begin(6.0)
    assert machine.due(6.0) == [Action(Do.SPAWN, name) for name in ("watcher", "uploader", "janitor")]


# Deaths and restarts


def test_a_death_returns_claims_at_once_and_starts_again_after_the_back_off(bench: Bench) -> None:
    assert bench.exited(-9) == [Action(Do.RETURN_AFTER_DEATH, "uploader")]
    assert bench.advance(0.9) == []
    assert bench.advance(0.1) == [Action(Do.SPAWN, "uploader")]
    assert bench.worker().deaths == 1


def test_leaving_without_being_asked_is_a_death_even_with_exit_code_0(bench: Bench) -> None:
    assert bench.exited(0) == [Action(Do.RETURN_AFTER_DEATH, "uploader")]
    assert bench.worker().start_at == bench.now + 1.0


def test_a_crash_loop_backs_off_then_opens_then_probes(bench: Bench) -> None:
    delays = []
    for _ in range(7):
        bench.exited(1)
        died_at = bench.now
        assert bench.advance(2000.0 if bench.worker().standing.mode is Mode.OPEN else 40.0)[:1] == [
            Action(Do.SPAWN, "uploader")
        ]
        delays.append(bench.worker().last_seen - died_at)
        bench.worker().last_seen = bench.now
        bench.ready()
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 300.0, 600.0]


def test_sixty_seconds_of_health_forget_the_back_off(bench: Bench) -> None:
    bench.exited(1)
    bench.advance(1.0)
    bench.ready()
    bench.advance(59.0, beating=("uploader",))
    assert bench.worker().standing.failures == 1
    bench.advance(1.0, beating=("uploader",))
    assert bench.worker().standing.failures == 0


def test_time_before_ready_is_not_health() -> None:
    bench = Bench()
    bench.due()
    bench.exited(1)
    bench.advance(1.0)
    bench.advance(100.0, beating=("uploader",))
    assert bench.worker().standing.failures == 1


def test_a_worker_that_refuses_its_configuration_is_parked_and_blames_no_entry(bench: Bench) -> None:
    assert bench.exited(ExitCode.CONFIGURATION) == [Action(Do.RETURN_AFTER_STOP, "uploader")]
    assert bench.worker().standing.mode is Mode.PARKED
    assert bench.advance(2000.0) == []


# Heartbeats


def test_ten_silent_seconds_warn_once(bench: Bench) -> None:
    assert bench.advance(9.9) == []
    assert bench.advance(15.0) == [Action(Do.WARN, "uploader")]


def test_a_beat_takes_the_warning_back(bench: Bench) -> None:
    bench.advance(11.0)
    bench.machine.seen("uploader", bench.now)
    assert not bench.worker().warned
    assert bench.advance(10.0) == [Action(Do.WARN, "uploader")]


def test_thirty_silent_seconds_dump_the_stack_then_kill(bench: Bench) -> None:
    bench.advance(29.0)
    assert bench.advance(1.0) == [Action(Do.DUMP_STACK, "uploader")]
    assert bench.advance(figures.DUMP_GRACE) == [Action(Do.KILL, "uploader")]
    assert bench.exited(-9) == [Action(Do.RETURN_AFTER_DEATH, "uploader")]
    assert bench.worker().deaths == 1


def test_a_worker_that_never_becomes_ready_is_killed_too() -> None:
    bench = Bench()
    bench.due()
    assert Action(Do.KILL, "uploader") in bench.advance(31.0)


def test_a_lease_puts_off_warning_and_kill_to_its_end_and_the_next_beat_ends_it(bench: Bench) -> None:
    bench.machine.seen("uploader", bench.now, lease=100.0)
    assert bench.advance(99.0) == []
    assert bench.advance(1.0) == [Action(Do.WARN, "uploader"), Action(Do.DUMP_STACK, "uploader")]
    bench = Bench()
    bench.due()
    bench.machine.seen("uploader", bench.now, lease=100.0)
    bench.machine.seen("uploader", bench.now)
    assert bench.advance(10.0) == [Action(Do.WARN, "uploader")]


def test_a_lease_is_never_longer_than_a_quarter_of_an_hour_and_dies_with_its_worker(bench: Bench) -> None:
    bench.machine.seen("uploader", bench.now, lease=1e9)
    assert bench.worker().lease == figures.LEASE_LONGEST == 900.0
    bench.exited(1)
    bench.advance(1.0)
    assert bench.worker().lease == 0.0


@pytest.mark.parametrize("stopping", [False, True])
def test_one_that_uses_too_much_memory_is_dumped_and_killed(bench: Bench, stopping: bool) -> None:
    if stopping:
        bench.stop()
    assert bench.machine.too_large("uploader", bench.now) == [Action(Do.DUMP_STACK, "uploader")]
    assert bench.machine.too_large("uploader", bench.now) == [], "once is enough"
    assert bench.advance(figures.DUMP_GRACE) == [Action(Do.KILL, "uploader")]
    blamed = Do.RETURN_AFTER_STOP if stopping else Do.RETURN_AFTER_DEATH
    assert bench.exited(-9) == [Action(blamed, "uploader")]
    assert bench.worker().deaths == (0 if stopping else 1)


def test_a_beating_worker_is_left_alone(bench: Bench) -> None:
    assert bench.advance(500.0, beating=("uploader",)) == []


def test_a_gap_of_the_supervisor_itself_kills_nobody(bench: Bench) -> None:
    bench.now += 39.0
    assert bench.machine.wake(bench.now) == 38.0
    assert bench.machine.due(bench.now) == []
    bench.advance(20.0)
    assert bench.worker().state is State.READY


def test_a_tick_up_to_two_seconds_late_shifts_nothing(bench: Bench) -> None:
    bench.now += figures.TICK + figures.LATENESS_TOLERATED
    assert bench.machine.wake(bench.now) == 0.0


def test_a_gap_shifts_the_stop_too(bench: Bench) -> None:
    bench.stop()
    bench.now += 500.0
    assert bench.due() == []
    assert bench.machine.phase is Phase.DRAINING


# Giving up


def opened(bench: Bench, name: str = "uploader") -> float:
    """Let it die until its breaker opens; when that was."""
    for _ in range(6):
        bench.exited(1, name)
        if bench.worker(name).standing.mode is not Mode.OPEN:
            bench.advance(40.0, beating=tuple(other for other in bench.machine.workers if other != name))
    return bench.now


def test_a_critical_worker_that_is_open_for_a_quarter_of_an_hour_ends_the_service_in_order_with_70(
    service: Bench,
) -> None:
    since = opened(service)
    while service.now - since < figures.ESCALATE_AFTER - 1.0:
        if service.states()["uploader"] is State.STARTING:
            service.exited(1)
        assert Do.GIVE_UP not in [action.do for action in service.advance(1.0, beating=("watcher", "janitor"))]
    assert service.advance(1.0, beating=("watcher", "janitor"))[:2] == [
        Action(Do.GIVE_UP, "uploader"),
        Action(Do.ASK_STOP, "watcher"),
    ]
    for name in ("watcher", "janitor"):
        service.exited(0, name)
        service.due()
    assert service.machine.finished
    assert (service.machine.given_up, service.machine.exit_code) == ("uploader", ExitCode.WORKER_FAILED)


def test_a_probe_that_succeeds_ends_the_wait(service: Bench) -> None:
    since = opened(service)
    service.advance(figures.ESCALATE_AFTER - 1.0 - (service.now - since) - 30.0, beating=("watcher", "janitor"))
    service.worker().state, service.worker().last_seen = State.STARTING, service.now
    service.ready("uploader")
    everybody = ("watcher", "uploader", "janitor")
    assert service.advance(59.0, beating=everybody) == [], "one that is up has its chance"
    service.advance(1.0, beating=everybody)
    assert service.worker().open_since is None
    assert service.advance(1000.0, beating=everybody) == []


def test_neither_a_parked_worker_nor_the_janitor_ends_the_service(service: Bench) -> None:
    service.exited(ExitCode.CONFIGURATION, "watcher")
    opened(service, "janitor")
    for _ in range(2000):
        service.advance(1.0, beating=("uploader",))
        if service.states()["janitor"] is State.STARTING:
            service.exited(1, "janitor")
    assert service.machine.phase is Phase.SERVING
    assert service.worker("janitor").open_since is not None


# The stop


def test_the_watcher_is_asked_first_then_the_uploader_then_the_janitor(service: Bench) -> None:
    assert service.stop() == [Action(Do.ASK_STOP, "watcher")]
    assert service.exited(0, "watcher") == [Action(Do.RETURN_AFTER_STOP, "watcher")]
    assert service.due() == [Action(Do.ASK_STOP, "uploader")]
    assert service.advance(30.0, beating=("uploader", "janitor")) == []
    service.exited(0, "uploader")
    assert service.due() == [Action(Do.ASK_STOP, "janitor")]
    service.exited(0, "janitor")
    assert service.machine.finished
    assert service.machine.exit_code is ExitCode.OK


def test_a_watcher_that_takes_its_time_does_not_keep_the_uploader_claiming(service: Bench) -> None:
    service.stop()
    assert service.advance(4.0) == []
    assert service.advance(1.0) == [Action(Do.ASK_STOP, "uploader")]


def test_a_third_into_the_budget_everybody_is_asked_to_abandon(service: Bench) -> None:
    service.stop()
    actions = service.advance(BUDGET / 3, beating=("uploader", "janitor"))
    assert actions[-3:] == [Action(Do.ASK_ABANDON, name) for name in ("watcher", "uploader", "janitor")]
    assert service.machine.phase is Phase.ABANDONING


def test_two_thirds_into_the_budget_dump_and_kill(bench: Bench) -> None:
    bench.stop()
    bench.advance(BUDGET * 2 / 3 - 1)
    assert bench.advance(1.0) == [Action(Do.DUMP_STACK, "uploader")]
    assert bench.advance(1.0) == [Action(Do.KILL, "uploader")]
    assert bench.exited(-9) == [Action(Do.RETURN_AFTER_STOP, "uploader")], "a stop blames no entry"
    assert bench.machine.finished
    assert bench.machine.exit_code is ExitCode.TEMPORARY


def test_the_budget_ends_even_if_a_process_cannot_be_killed(bench: Bench) -> None:
    bench.stop()
    bench.advance(BUDGET)
    assert bench.machine.finished
    assert bench.machine.exit_code is ExitCode.TEMPORARY


def test_each_further_signal_advances_a_phase(bench: Bench) -> None:
    assert bench.stop() == [Action(Do.ASK_STOP, "uploader")]
    assert bench.stop() == [Action(Do.ASK_ABANDON, "uploader")]
    assert bench.stop() == [Action(Do.DUMP_STACK, "uploader")]
    assert bench.stop() == []
    assert bench.machine.finished
    assert bench.stop() == []


def test_a_worker_that_crashes_while_stopping_makes_the_stop_unclean_and_is_not_restarted(bench: Bench) -> None:
    bench.stop()
    assert bench.exited(70) == [Action(Do.RETURN_AFTER_STOP, "uploader")], "and blames no entry"
    assert bench.worker().deaths == 1
    assert bench.machine.finished
    assert bench.machine.exit_code is ExitCode.TEMPORARY


def test_a_stop_does_not_wait_for_one_that_is_down(bench: Bench) -> None:
    bench.exited(1)
    assert bench.stop() == []
    assert bench.machine.finished
    assert bench.machine.exit_code is ExitCode.OK


def test_one_that_is_down_is_not_started_while_a_stop_waits_for_another(service: Bench) -> None:
    service.exited(1, "uploader")
    service.stop()
    assert service.advance(4.0) == []


def test_a_stop_during_recovery_ends_at_once() -> None:
    machine = Machine(ROLES, 0.0, lambda: 0.5)
    assert machine.stop(1.0) == []
    assert machine.finished
    machine.begin(2.0)
    assert machine.due(2.0) == []


def test_a_hung_worker_does_not_delay_the_others_stop_for_ever(service: Bench) -> None:
    service.advance(30.0, beating=("uploader", "janitor"))
    assert service.states()["watcher"] is State.DUMPING
    service.stop()
    service.advance(1.0)
    service.exited(-9, "watcher")
    assert service.due() == [Action(Do.ASK_STOP, "uploader")]


# A new configuration


def test_a_new_configuration_restarts_one_worker_after_another(service: Bench) -> None:
    service.machine.config_changed(service.now)
    for name in ("watcher", "uploader", "janitor"):
        assert service.due() == [Action(Do.ASK_STOP, name)]
        assert service.exited(0, name) == [Action(Do.RETURN_AFTER_STOP, name)]
        assert service.due() == [Action(Do.SPAWN, name)]
        assert service.due() == [], "the next waits until this one is ready"
        service.ready(name)
    assert service.due() == []
    assert service.machine.settled
    assert [worker.deaths for worker in service.machine.workers.values()] == [0, 0, 0]


def test_a_new_configuration_that_one_worker_cannot_use_reaches_the_others(service: Bench) -> None:
    service.machine.config_changed(service.now)
    service.due()
    service.exited(0, "watcher")
    service.due()
    service.exited(ExitCode.CONFIGURATION, "watcher")
    assert service.due() == [Action(Do.ASK_STOP, "uploader")]


def test_a_new_configuration_frees_a_parked_worker(bench: Bench) -> None:
    bench.exited(ExitCode.CONFIGURATION)
    bench.machine.config_changed(bench.now)
    assert bench.due() == [Action(Do.SPAWN, "uploader")]


def test_a_worker_that_does_not_leave_for_its_restart_is_made_to(bench: Bench) -> None:
    bench.machine.config_changed(bench.now)
    assert bench.due() == [Action(Do.ASK_STOP, "uploader")]
    assert bench.advance(BUDGET / 3) == [Action(Do.ASK_ABANDON, "uploader")]
    assert bench.advance(BUDGET / 3 + 1.0) == [Action(Do.DUMP_STACK, "uploader"), Action(Do.KILL, "uploader")]
    assert bench.exited(-9) == [Action(Do.RETURN_AFTER_STOP, "uploader")]
    assert bench.due() == [Action(Do.SPAWN, "uploader")]


def test_a_stop_in_the_middle_of_a_restart_starts_nobody_again(bench: Bench) -> None:
    bench.machine.config_changed(bench.now)
    bench.due()
    bench.stop()
    bench.exited(0)
    assert bench.machine.finished
    assert bench.advance(100.0) == []


# What can be asked


def test_it_is_settled_once_each_worker_was_ready_or_is_known_to_be_in_trouble(service: Bench) -> None:
    fresh = Bench(ROLES)
    fresh.due()
    fresh.ready("watcher", "uploader")
    assert not fresh.machine.settled
    fresh.exited(ExitCode.CONFIGURATION, "janitor")
    assert fresh.machine.settled
    assert service.machine.settled


def test_the_next_date_is_never_more_than_a_tick_away_and_meets_the_earliest_deadline(bench: Bench) -> None:
    assert bench.machine.next_due(bench.now) == figures.TICK
    bench.exited(1)
    bench.advance(0.75)
    assert bench.machine.next_due(bench.now) == pytest.approx(0.25)


def test_the_figures_are_those_of_the_design() -> None:
    assert (figures.SILENCE_WARNING, figures.SILENCE_KILL, figures.LATENESS_TOLERATED) == (10.0, 30.0, 2.0)
    assert figures.LEASE_LONGEST == LEASE == figures.ESCALATE_AFTER == 900.0
    assert (figures.STOP_BUDGET, figures.ABANDON_AT, figures.FORCE_AT) == (180.0, 1 / 3, 2 / 3)
    assert [role.name for role in ROLES] == ["watcher", "uploader", "janitor"]
