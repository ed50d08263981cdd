"""Why the service is DEGRADED, in words for people: pure, from what the machine and the heartbeats say.

The texts name no entry, file or address (see `status`); what might goes into `detail`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any, Final

from dropsafe.log import log_place
from dropsafe.supervisor.lifecycle import State
from dropsafe.supervisor.machine import Worker
from dropsafe.supervisor.policy import DEATHS_TOLERATED, DEATHS_WINDOW, Mode
from dropsafe.supervisor.status import Reason

_MEANS: Final = {
    "uploader": "nothing is delivered meanwhile",
    "watcher": "nothing is taken from the drop folders meanwhile",
    "janitor": "nothing is counted or tidied meanwhile",
}


def _see_log() -> str:
    return f"See why in {log_place()}. If this comes again, show it to whoever looks after Dropsafe."


def _told_how(remedy: str) -> str:
    """The remedy, with how to reload the service if it asks for that. Of the process that asks: the supervisor's."""
    how = f" (kill -HUP {os.getpid()})" if hasattr(signal, "SIGHUP") else " (on this system: restart it)"
    return remedy.replace("reload the service", f"reload the service{how}")


def of_worker(worker: Worker, last_death: str) -> list[Reason]:
    """What is wrong with the worker itself, if anything. `last_death` says how it died last."""
    name = worker.name
    means = _MEANS.get(name, "its work waits meanwhile")
    if worker.standing.mode is Mode.PARKED:
        return [
            Reason(
                f"{name}-parked",
                f"The {name} refuses its configuration and does not run. Nothing is lost; {means}.",
                _told_how("Correct the configuration (dropsafe config check), then restart or reload the service."),
                last_death,
            )
        ]
    if worker.standing.mode is Mode.OPEN:
        return [
            Reason(
                f"{name}-failing",
                f"The {name} died more than {DEATHS_TOLERATED} times in {DEATHS_WINDOW / 60:.0f} minutes "
                f"and is only tried every few minutes. Nothing is lost; {means}.",
                _see_log(),
                last_death,
            )
        ]
    if worker.state in (State.DUMPING, State.KILLED):
        return [
            Reason(
                f"{name}-hung",
                f"The {name} hangs and is being replaced. Nothing is lost; {means}.",
                _see_log(),
            )
        ]
    if worker.warned:
        return [
            Reason(
                f"{name}-silent",
                f"The {name} gives no sign of life. It is replaced if that lasts. Nothing is lost.",
                "Nothing to do yet. A machine under heavy load can be the cause.",
            )
        ]
    if worker.standing.failures:
        return [
            Reason(
                f"{name}-died",
                f"The {name} died and {'runs again' if worker.state is State.READY else 'is started again'}. "
                "Nothing is lost.",
                _see_log(),
                last_death,
            )
        ]
    return []


def is_over(reason: Reason) -> bool:
    """Whether it tells of what has been mended already, so that it comes after all that has not."""
    return reason.code.endswith("-died")


def of_progress(progress: Mapping[str, Any]) -> list[Reason]:
    """What a worker reports in its heartbeat: the destination's breaker, steps it owes to the spool, and `problems`."""
    found = []
    if progress.get("breaker") in ("open", "probing"):
        found.append(_destination(progress))
    if trouble := progress.get("trouble"):
        found.append(
            Reason(
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
            found.append(Reason(code, text, remedy, detail))
    return found


def _destination(progress: Mapping[str, Any]) -> Reason:
    why, meaning, remedy = (str(progress.get(f"breaker_{key}", "")) for key in ("why", "meaning", "remedy"))
    because = f" ({meaning})" if meaning else ""
    if progress.get("alarm"):
        return Reason(
            "destination-refuses",
            f"Nothing can be delivered{because}. Nothing is lost; entries wait until that is mended.",
            _told_how(
                remedy or "Correct destination.url or the credentials (dropsafe config), then reload the service."
            ),
            why,
        )
    return Reason(
        "destination-down",
        f"Nothing can be delivered now{because}. Nothing is lost; entries wait and go out when the server is back.",
        _told_how(remedy)
        or "Nothing to do if the server or the network is known to be down: it is tried again by itself. Else see "
        "whether destination.url is right.",
        why,
    )


def config_kept(error: str) -> Reason:
    """A reload met a bad file."""
    return Reason(
        "configuration-kept",
        "The configuration file has an error. The service goes on with the configuration it had.",
        _told_how("Correct the file (dropsafe config check), then reload the service."),
        error,
    )


def claims_kept(hands: int, error: str) -> Reason:
    """The claims of dead workers could not be returned."""
    return Reason(
        "claims-kept",
        f"What {hands} dead worker(s) held could not be moved back to pending/. Nothing is lost; it is tried again.",
        "See that the spool's disk is writable and not full.",
        error,
    )


def line_down(trouble: str) -> Reason:
    """Nobody can ask the service anything."""
    return Reason(
        "ipc-down",
        "The command line and the window cannot reach the service. Deliveries go on; it is tried again.",
        "See in the details what is in the way, or set ipc.address to another place.",
        trouble,
    )


def requests_failed(count: int, error: str) -> Reason:
    """Answers to guests met errors that nobody expected."""
    return Reason(
        "ipc-errors",
        f"{count} request(s) to the service met an unexpected error. Nothing is lost; deliveries go on.",
        _see_log(),
        error,
    )


def ended(text: str, remedy: str) -> Reason:
    """The service could not start, or could not go on."""
    return Reason("service-failed", "The service had to end. Nothing is lost; entries wait in the spool.", remedy, text)
