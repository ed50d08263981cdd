"""`dropsafe status`: one screen that says whether all is well, and if not, what to do."""

from __future__ import annotations

import json
import os
import signal
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dropsafe.errors import ExitCode, NoPermission

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.cli.running import Heard
    from dropsafe.spool import Spool, Stats
    from dropsafe.spool.health import Problem

HELP = "What waits, what was delivered, and what needs a person. Exit code 1 if something does."
EXAMPLES = ("dropsafe status", "dropsafe status --json")
EXITS = {1: "something needs a person, or the service is not well: each reason is told with its remedy"}

_OLD_COUNT = 5.0
_LINES_SHOWN = 5
_REASONS_READ = 100
_STALE = 10.0
"""A status older than this (seconds) is that of a service that has died without a word."""


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--utc", action="store_true", help="show times in UTC instead of how long ago")


def run(args: Namespace, context: Context) -> int:
    from dropsafe.cli.running import heard

    told = heard(context)
    try:
        fact = facts(context, told)
    except NoPermission:
        # Not in the spool's group: then only what the service says to everybody.
        if told.status is None:
            raise
        fact = {key: told.status[key] for key in ("condition", "reasons", "workers", "pid")}
        fact |= {"station": told.status.get("in_force", {}).get("station", ""), "source": told.source}
    if context.options.json:
        print(json.dumps(fact, indent=1))
    else:
        _print(fact, args.utc)
        print(_whence(fact["source"], fact["pid"], told.why))
    return int(ExitCode.NEEDS_A_PERSON if fact.get("needs_a_person") or fact["reasons"] else ExitCode.OK)


def published(context: Context) -> dict[str, Any] | None:
    """What the running service published; None if none runs here, or if it cannot be told."""
    from datetime import datetime

    from dropsafe.supervisor.status import status_path

    try:
        content = json.loads(status_path(context.places.run_dir, context.run_name).read_text(encoding="utf-8"))
        age = time.time() - datetime.fromisoformat(content["as_of"]).timestamp()
    except (OSError, ValueError, KeyError):
        return None
    return content if age < _STALE and not _is_gone(content.get("pid")) else None


def _is_gone(pid: object) -> bool:
    """Whether the process that wrote it has ended without a word: else its last one would stand for 10 s.

    Only a word less for people: nothing is done to the spool by a process id, which may be another's by now.
    """
    if os.name != "posix" or not isinstance(pid, int) or pid <= 0:
        return False  # on Windows os.kill would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # another user's
    return False


def facts(context: Context, told: Heard) -> dict[str, Any]:
    from dropsafe.cli.running import Heard, Source
    from dropsafe.spool.platform import system
    from dropsafe.supervisor.service_lock import holder
    from dropsafe.supervisor.status import plain_address

    spool = context.spool
    config = context.config
    told = told.about(spool)
    who = None if told.status else holder(spool.core.layout)
    if who is not None and (found := _told_in_the_spool(spool)):
        told = Heard(found, Source.FILE)
    service = told.status
    stats = spool.stats()
    last = spool.last_receipt()
    needs = stats.failed + stats.quarantine
    room = system.room(str(spool.path))
    whole = service or {"reasons": []}
    if service and told.source is Source.FILE:
        whole = _whole(spool, service)
    in_force = whole.get("in_force", {})
    reasons = _reasons(context, stats, whole["reasons"])
    reasons += [asdict(problem) for problem in _unread(context, in_force, whole)]
    return {
        "condition": "UNKNOWN" if service is None and who is not None else _condition(service, reasons),
        "service": who,
        "station": in_force.get("station") or config["station_name"],
        "destination": in_force.get("destination", plain_address(config)),
        "spool": str(spool.path),
        "config": str(context.config_path),
        "counts": asdict(stats),
        "needs_a_person": needs,
        "last_delivered": last.at if last else None,
        "grade": str(last.grade) if last else None,
        "reasons": reasons,
        "workers": service["workers"] if service else [],
        "free_bytes": room.bytes,
        "source": told.source,
        "pid": service["pid"] if service else None,
    }


def _told_in_the_spool(spool: Spool) -> dict[str, Any] | None:
    """What a service told last that publishes elsewhere: it was started with other options. None if it told nothing."""
    from dropsafe.spool.written import read_json
    from dropsafe.supervisor.status import details_path

    try:
        content = read_json(str(details_path(f"{spool.path}/locks")))
        _public(content)
        return None if _is_gone(content["pid"]) else content
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _whole(spool: Spool, service: dict[str, Any]) -> dict[str, Any]:
    """The same status with the names of files, which only those who may use the spool can read."""
    from dropsafe.spool.written import read_json
    from dropsafe.supervisor.status import details_path

    try:
        content = read_json(str(details_path(f"{spool.path}/locks")))
        texts = [*content["in_force"].values(), *(reason["detail"] for reason in content["reasons"])]
        is_whole = _public(content) == _public(service) and all(isinstance(text, str) for text in texts)
        return content if is_whole else service
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return service


def _public(content: dict[str, Any]) -> object:
    """What both have to say alike. Others may write in the spool; and where nobody can, its status is an earlier one."""
    reasons = [(reason["code"], reason["text"], reason["remedy"]) for reason in content["reasons"]]
    return content["pid"], content["in_force"]["station"], reasons


def _reasons(context: Context, stats: Stats, told: list[dict[str, str]]) -> list[dict[str, str]]:
    """What the service told, but of the spool what the folders themselves tell now: its last audit may be a minute old."""
    from dropsafe.desk.vitals import access_problems_of, problems_of
    from dropsafe.spool.health import CODES

    found = problems_of(context.spool, context.config, stats)
    own = [{**asdict(problem), **_why_there(context.spool, problem.code)} for problem in found]
    # The service may be refused what this user is not, and the other way round.
    codes = {reason["code"] for reason in told}
    refused = [asdict(problem) for problem in access_problems_of(context.spool) if problem.code not in codes]
    return refused + [reason for reason in told if reason["code"] not in CODES] + own


def _unread(context: Context, in_force: dict[str, str], service: dict[str, Any]) -> Iterator[Problem]:
    """Whether the file says something else than the service has read of it."""
    from dropsafe.spool.health import Problem
    from dropsafe.supervisor.status import plain_address

    config = context.config
    if in_force.get("file") != str(config.path) or in_force.get("digest") == config.file_digest:
        return
    text = "The configuration file was changed; the service goes on with what it read before. Nothing is lost."
    remedy = (
        f"Have it read the file: kill -HUP {service['pid']} (as a unit of systemd: systemctl reload dropsafe)"
        if hasattr(signal, "SIGHUP")
        else "Have it read the file: restart the service."
    )
    pairs = {
        "station_name": (in_force["station"], config["station_name"]),
        "destination.url": (in_force.get("destination", ""), plain_address(config)),
    }
    lines = [f"{key} is {old!r} in the service, {new!r} in the file" for key, (old, new) in pairs.items() if old != new]
    yield Problem("configuration-unread", text, remedy, "\n".join(lines))


def _why_there(spool: Spool, code: str) -> dict[str, str]:
    """For a state that needs a person: why its entries are there, the commonest first, from the first of them."""
    from collections import Counter
    from itertools import islice

    from dropsafe.spool.states import State

    if code not in (State.FAILED, State.QUARANTINE):
        return {}
    reasons = (spool.reason(entry) for entry in islice(spool.entries(code), _REASONS_READ))
    counts = Counter(reason.brief for reason in reasons if reason)
    return {"detail": "\n".join(f"{count:,} × {brief}" for brief, count in counts.most_common())}


def _condition(service: dict[str, Any] | None, reasons: list[dict[str, str]]) -> str:
    if service is None:
        return "NO SERVICE"
    if service["condition"] in ("RUNNING", "DEGRADED"):
        return "DEGRADED" if reasons else "RUNNING"
    return str(service["condition"])


def _print(fact: dict[str, Any], utc: bool) -> None:
    from dropsafe.cli.words import coloured, number, several, size
    from dropsafe.printable import printable

    colours = {"RUNNING": "green", "DEGRADED": "amber", "STARTING": "blue", "STOPPING": "blue", "ERROR": "red"}
    condition = coloured(fact["condition"], colours.get(fact["condition"], "grey"))
    where = f" → {printable(fact['destination']) or '(no destination set)'}" if "destination" in fact else ""
    print(f"Dropsafe  {condition}   {printable(fact['station'])}{where}".rstrip())
    if "counts" in fact:
        counts = fact["counts"]
        oldest = f" (oldest {_when(counts['oldest'], utc)})" if counts["waiting"] and counts["oldest"] else ""
        print(
            f"waiting {number(counts['waiting'])}{oldest}    in hand {number(counts['inflight'])}    "
            f"on hold {number(counts['hold'])}    delivered and kept {number(counts['sent'])}    "
            f"needs a person {number(fact['needs_a_person'])}"
        )
        if _age(counts["as_of"]) > _OLD_COUNT:
            print(f"(all but those waiting were counted {_when(counts['as_of'], utc)})")
        last = _when(fact["last_delivered"], utc) if fact["last_delivered"] else "never"
        print(f"last delivered {last}{'    proof: ' + fact['grade'] if fact['grade'] else ''}")
    for reason in fact["reasons"]:
        print(f"\n! {printable(reason['text'])}")
        lines = reason.get("detail", "").splitlines()
        for line in lines[:_LINES_SHOWN]:
            print(f"    {printable(line)}")
        if len(lines) > _LINES_SHOWN:
            print(f"    … and {number(len(lines) - _LINES_SHOWN)} more")
        if reason["remedy"]:
            print(f"    → {reason['remedy']}")
    if fact["workers"]:
        print("\n" + "    ".join(map(_of_worker, fact["workers"])))
    if "counts" in fact:
        print(f"\nspool {fact['spool']}    {size(fact['free_bytes'])} free    configuration {fact['config']}")
        if fact["condition"] == "NO SERVICE":
            waiting = fact["counts"]["waiting"]
            if waiting:
                waits = several(waiting, "entry waits", "entries wait")
                print(f"No service runs here: {waits} for `dropsafe run` or `dropsafe deliver`.")
            else:
                print("No service runs here.")
        elif fact["condition"] == "UNKNOWN":
            print(f"A service works on this spool{fact['service']}, and has not told how it fares.")


def _whence(source: str, pid: int | None, why: str) -> str:
    """Who tells all this."""
    from dropsafe.printable import printable

    if source == "service":
        return f"told by the service, process {pid}"
    if source == "folder":
        return "read from the spool's folder: no service answers"
    return f"read from what the service publishes, process {pid}{f': {printable(why)}' if why else ''}"


def _of_worker(worker: dict[str, Any]) -> str:
    from dropsafe.cli.words import several, size

    memory = size(worker["memory_bytes"]) if worker.get("memory_bytes") else ""
    deaths = several(worker["deaths"], "death", "deaths") if worker.get("deaths") else ""
    more = ", ".join(filter(None, (memory, deaths)))
    return f"{worker['name']}  {worker['state']}{f' ({more})' if more else ''}"


def _when(moment: str, utc: bool) -> str:
    from dropsafe.cli.words import ago

    return moment if utc else ago(_age(moment))


def _age(moment: str) -> float:
    from datetime import datetime

    return time.time() - datetime.fromisoformat(moment).timestamp()
