"""Every reason that the status can give: its codes as the source has them, and one of each as the real functions make it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dropsafe.cli.status import _unread
from dropsafe.desk.silent import silence
from dropsafe.errors import QueueFullError
from dropsafe.spool import attempt
from dropsafe.spool.dropfolder import DropFolder
from dropsafe.spool.facts import Access, Room
from dropsafe.spool.health import Problem, Vitals, access_problems, disk_problem, problems
from dropsafe.spool.limits import Limits
from dropsafe.spool.pausing import Pause, Work
from dropsafe.supervisor import reasons
from dropsafe.supervisor.lifecycle import State
from dropsafe.supervisor.machine import ROLES, Worker
from dropsafe.supervisor.policy import Mode, Standing
from dropsafe.workers import waits
from dropsafe.workers.janitor import Janitor
from dropsafe.workers.obstacles import unreadable
from dropsafe.workers.watcher import Watcher

ROOT = Path(__file__).parents[2]
PARTS = ("supervisor", "spool", "workers", "dropsafe/desk", "dropsafe/cli")
_RAISE = "Raise max_entry_bytes in the configuration, if reports of that size are meant to be sent."
_ENDLESS = SimpleNamespace(now=lambda: 1.8e9, monotonic=lambda: 1e6)


def codes_in_source() -> set[str]:
    """Of each `Problem(code, …)` that any module makes. AssertionError for one whose code cannot be read off."""
    found: set[str] = set()
    for part in PARTS:
        for path in sorted((ROOT / part).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "import Problem" in text or "Problem," in text or path.name == "health.py":
                for call in ast.walk(ast.parse(text)):
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Problem":
                        found |= _codes(call.args[0], f"{path.relative_to(ROOT)}:{call.lineno}")
    return found


def _codes(code: ast.expr, where: str) -> set[str]:
    names = {"name": [role.name for role in ROLES], "work": [work.value for work in Work]}
    match code:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.JoinedStr(values=[ast.FormattedValue(value=ast.Name(id=name)), ast.Constant(value=str(end))]):
            return {f"{value}{end}" for value in names[name]}
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), ast.FormattedValue(value=ast.Name(id=name))]):
            return {f"{start}{value}" for value in names[name]}
        case ast.Name(id="code") if where.startswith("workers/waits.py"):
            return {code for code, _ in waits._WORDS.values()}
        case ast.Name(id="code") if where.startswith("supervisor/reasons.py"):
            return set()  # what a worker reports, in its own words
    raise AssertionError(f"{where}: the code of this reason cannot be read off")


def every_reason() -> list[Problem]:
    """At least one of each code."""
    return [
        *_of_workers(),
        *reasons.of_progress(
            {"breaker": "open", "breaker_why": "connection refused", "breaker_meaning": "nobody listens"}
        ),
        *reasons.of_progress({"breaker": "open", "alarm": True, "breaker_why": "401", "trouble": "No space left"}),
        reasons.config_kept("line 3: max_queue_size"),
        reasons.claims_kept("Read-only file system"),
        reasons.line_down("another service has /run/dropsafe/default.sock"),
        reasons.health_down("Address already in use"),
        reasons.requests_failed(2, "ZeroDivisionError"),
        reasons.own_errors(1, "ZeroDivisionError"),
        reasons.ended("The spool has no spool.json.", "Mount the disk."),
        silence(" (process 7, since 2026-11-24 09:00)"),
        *_of_the_spool(),
        *_of_the_janitor(),
        *_of_the_watcher(),
        *_of_the_configuration(),
    ]


def _of_workers() -> Iterator[Problem]:
    for role in ROLES:
        for facts in (
            {"standing": Standing(mode=Mode.PARKED)},
            {"standing": Standing(mode=Mode.OPEN)},
            {"state": State.KILLED},
            {"state": State.READY, "warned": True},
            {"state": State.READY, "standing": Standing(failures=1, deaths=(1.0, 2.0))},
        ):
            yield from reasons.of_worker(Worker(role, **facts), "killed by SIGKILL", "no sign of life")  # type: ignore[arg-type]


def _of_the_spool() -> Iterator[Problem]:
    pauses = {work: Pause("2026-11-24T09:00:00Z", "ana", "the line is cleaned") for work in Work}
    vitals = Vitals(12_000, 3, 1, "2026-01-01T00:00:00.000Z", ("tmp/x: no file of ours",), pauses)
    yield from problems(vitals, Room(0, 0, 1 << 40), Limits(), 60.0, 1.8e9)
    yield disk_problem(Room(1, 9999, 1), Limits())
    yield from access_problems(Access(True, ("/spool/sent",), ("/spool/failed", "/spool/hold")))


def _of_the_janitor() -> Iterator[Problem]:
    its: Any = SimpleNamespace(
        _access=Access(),
        _chores=[SimpleNamespace(name="audit", trouble="Input/output error")],
        _vitals=lambda: Vitals(0, 0, 0, "", ()),
        _low=None,
        _limits=Limits(),
        _config={"warn_age": 60.0},
        _clock=_ENDLESS,
        _guard=SimpleNamespace(is_suspended=True),
        _left_behind=["tmp/old: Permission denied"],
        _unproven=2,
        _core=SimpleNamespace(journal=SimpleNamespace(lost=5)),
    )
    yield from Janitor.problems(its)


def _of_the_watcher() -> Iterator[Problem]:
    folder = DropFolder("/data/reports", "*.xml", False, 2.0, "")
    too_large = QueueFullError("It has 9 bytes.", {"max_entry_bytes": 1, "bytes": 9}, remedy=_RAISE)
    attempts = (
        waits.growing("/data/reports/log.xml"),
        attempt.full("/data/reports/a.xml", QueueFullError("The queue is full.", {"max_queue_size": 1, "entries": 1})),
        attempt.full("/data/reports/b.xml", too_large),
        attempt.refused("/data/reports/c.xml", PermissionError(13, "Permission denied")),
    )
    waiting = {found.why: waits.Wait(found, 0.0, 1.0, 1.0) for found in attempts}
    still: Any = SimpleNamespace(unsettled={})
    watched = SimpleNamespace(
        trouble=unreadable(folder, PermissionError(13, "Permission denied", folder.path)),
        folder=folder,
        strangers=["/data/reports/x is a folder"],
        waiting=waiting,
        sources=still,
        parked=still,
    )
    its: Any = SimpleNamespace(_clock=_ENDLESS, _watched=[watched], _waits=lambda watched: watched.waiting.values())
    yield from Watcher._problems(its)


def _of_the_configuration() -> Iterator[Problem]:
    class File(dict[str, Any]):
        path = Path("/etc/dropsafe/dropsafe.toml")
        file_digest = "new"

    config = File({"station_name": "line-4", "destination": {"url": ""}, "destination.url": "http://127.0.0.1/"})
    context: Any = SimpleNamespace(config=config)
    in_force = {
        "restart": "health",
        "file": str(File.path),
        "digest": "old",
        "station": "line-3",
        "destination": "http://x/",
    }
    yield from _unread(context, in_force, {"pid": 7})
