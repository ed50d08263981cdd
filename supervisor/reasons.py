"""Why the service is DEGRADED, in words for people: pure, from what the machine and the heartbeats say.

The texts name no entry, file or address (see `status`); what might goes into `detail`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any, Final

from dropsafe.log import log_place
from dropsafe.plural import several
from dropsafe.spool.health import Problem
from dropsafe.supervisor.lifecycle import State
from dropsafe.supervisor.machine import Worker
from dropsafe.supervisor.policy import DEATHS_TOLERATED, DEATHS_WINDOW, HEALTH_AFTER, Mode

_MEANS: Final = {
    "uploader": "nothing is delivered meanwhile",
    "watcher": "nothing is taken from the drop folders meanwhile",
    "janitor": "nothing is counted or tidied meanwhile",
}
_UNTIL = f"This is shown until it has run for {HEALTH_AFTER:.0f} s."


def _see_log() -> str:
    return f"See why in {log_place()}. If this comes again, show it to whoever looks after Dropsafe."


def _told_how(remedy: str) -> str:
    """The remedy, with how to reload the service if it asks for that. Of the process that asks: the supervisor's."""
    how = f" (kill -HUP {os.getpid()})" if hasattr(signal, "SIGHUP") else " (on this system: restart it)"
    return remedy.replace("reload the service", f"reload the service{how}")


def of_worker(worker: Worker, last_death: str, condemned: str = "") -> list[Problem]:
    """What is wrong with the worker itself, if anything. `last_death` says how it died last, `condemned` why it is killed."""
    name = worker.name
    means = _MEANS.get(name, "its work waits meanwhile")
    if worker.standing.mode is Mode.PARKED:
        return [
            Problem(
                f"{name}-parked",
                f"The {name} refuses its configuration and does not run. Nothing is lost; {means}.",
                _told_how("Correct the configuration (dropsafe config check), then restart or reload the service."),
                last_death,
            )
        ]
    if worker.standing.mode is Mode.OPEN:
        return [
            Problem(
                f"{name}-failing",
                f"The {name} died more than {DEATHS_TOLERATED} times in {DEATHS_WINDOW / 60:.0f} minutes "
                f"and is only tried every few minutes. Nothing is lost; {means}. {_UNTIL}",
                _see_log(),
                last_death,
            )
        ]
    if worker.state in (State.DUMPING, State.KILLED):
        return [
            Problem(
                f"{name}-hung",
                f"The {name} hangs, or uses too much memory, and is being replaced. Nothing is lost; {means}.",
                _see_log(),
                condemned,
            )
        ]
    if worker.warned:
        return [
            Problem(
                f"{name}-silent",
                f"The {name} gives no sign of life. It is replaced if that lasts. Nothing is lost.",
                "Nothing to do yet. A machine under heavy load can be the cause.",
            )
        ]
    if worker.standing.failures:
        deaths = len(worker.standing.deaths)
        times = "once" if deaths == 1 else f"{deaths} times in {DEATHS_WINDOW / 60:.0f} minutes"
        return [
            Problem(
                f"{name}-died",
                f"The {name} died {times} and {'runs again' if worker.state is State.READY else 'is started again'}. "
                f"Nothing is lost. {_UNTIL}",
                _see_log(),
                last_death,
            )
        ]
    return []


def is_over(reason: Problem) -> bool:
    """Whether it tells of what has been mended already, so that it comes after all that has not."""
    return reason.code.endswith("-died")


def of_progress(progress: Mapping[str, Any]) -> list[Problem]:
    """What a worker reports in its heartbeat: the destination's breaker, steps it owes to the spool, and `problems`."""
    found = []
    if progress.get("breaker") in ("open", "probing"):
        found.append(_destination(progress))
    if trouble := progress.get("trouble"):
        found.append(
            Problem(
                "spool-trouble",
                "What was delivered cannot be put away in the spool just now. Nothing is lost; it is tried again.",
                "See that the spool's disk is writable and not full.",
                str(trouble),
            )
        )
    problems = progress.get("problems")
    for problem in problems if isinstance(problems, list) else []:
        if isinstance(problem, Mapping):
            code, text, remedy, detail = (str(problem.get(key, "")) for key in ("code", "text", "remedy", "detail"))
            found.append(Problem(code, text, remedy, detail))
    return found


def _destination(progress: Mapping[str, Any]) -> Problem:
    why, meaning, remedy = (str(progress.get(f"breaker_{key}", "")) for key in ("why", "meaning", "remedy"))
    because = f" ({meaning})" if meaning else ""
    if progress.get("alarm"):
        return Problem(
            "destination-refuses",
            f"Nothing can be delivered{because}. Nothing is lost; entries wait until that is mended.",
            _told_how(
                remedy or "Correct destination.url or the credentials (dropsafe config), then reload the service."
            ),
            why,
        )
    return Problem(
        "destination-down",
        f"Nothing can be delivered now{because}. Nothing is lost; entries wait and go out when the server is back.",
        _told_how(remedy)
        or "Nothing to do if the server or the network is known to be down: it is tried again by itself. Else see "
        "whether destination.url is right.",
        why,
    )


def config_kept(error: str) -> Problem:
    """A reload met a bad file."""
    return Problem(
        "configuration-kept",
        "The configuration file has an error. The service goes on with the configuration it had.",
        _told_how("Correct the file (dropsafe config check), then reload the service."),
        error,
    )


def claims_kept(error: str) -> Problem:
    """What dead workers held could not be returned."""
    return Problem(
        "claims-kept",
        "What a worker had in hand when it died could not be moved back to pending/. Nothing is lost; it is tried again.",
        "See that the spool's disk is writable and not full.",
        error,
    )


def line_down(trouble: str) -> Problem:
    """Nobody can ask the service anything."""
    return Problem(
        "ipc-down",
        "The command line and the window cannot reach the service. Deliveries go on; it is tried again.",
        "See in the details what is in the way, or set ipc.address to another place.",
        trouble,
    )


def health_down(trouble: str) -> Problem:
    """Other programs cannot ask how the service is."""
    return Problem(
        "health-down",
        "Other programs cannot ask the service for its health and figures. Deliveries go on; it is tried again.",
        "See in the details what is in the way. If another program has the port: set health.port to one that is free, "
        "and restart the service.",
        trouble,
    )


def requests_failed(count: int, error: str) -> Problem:
    """Answers to guests met errors that nobody expected."""
    return Problem(
        "ipc-errors",
        f"{several(count, 'request', 'requests')} to the service met an unexpected error. Nothing is lost; deliveries go on.",
        _see_log(),
        error,
    )


def own_errors(count: int, last: str) -> Problem:
    """The supervisor's own process met errors, or lost a thread."""
    return Problem(
        "service-error",
        f"{several(count, 'error', 'errors')} of its own that the service did not expect; it goes on. Nothing is lost.",
        _see_log(),
        last,
    )


def ended(text: str, remedy: str) -> Problem:
    """The service could not start, or could not go on."""
    return Problem(
        "service-failed", "The service had to end. Nothing is lost; entries wait in the spool.", remedy, text
    )
