"""`dropsafe status`: one screen that says whether all is well, and if not, what to do."""

from __future__ import annotations

import json
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
    from dropsafe.spool import Stats
    from dropsafe.spool.health import Problem

HELP = "What waits, what was delivered, and what needs a person. Exit code 1 if something does."
EXAMPLES = ("dropsafe status", "dropsafe status --json")
EXITS = {1: "something needs a person, or the service is not well: each reason is told with its remedy"}

_OLD_COUNT = 5.0
_LINES_SHOWN = 5


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--utc", action="store_true", help="show times in UTC instead of how long ago")


def run(args: Namespace, context: Context) -> int:
    from dropsafe.cli.running import answering, heard

    try:
        told = heard(context)
        fact = facts(context, told)
    except NoPermission:
        # Not in the spool's group: then only what the service says to everybody.
        told = answering(context)
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


def facts(context: Context, told: Heard) -> dict[str, Any]:
    from dropsafe.cli.published import with_details
    from dropsafe.cli.running import Source
    from dropsafe.spool.platform import system
    from dropsafe.supervisor.status import plain_address

    spool = context.spool
    config = context.config
    service = told.status
    stats = spool.stats()
    last = spool.last_receipt()
    needs = stats.failed + stats.quarantine
    room = system.room(str(spool.path))
    whole = service or {"reasons": []}
    if service and told.source is Source.FILE:
        whole = with_details(spool, service)
    in_force = whole.get("in_force", {})
    reasons = _reasons(context, stats, whole["reasons"])
    reasons += [asdict(problem) for problem in _unread(context, in_force, whole)]
    return {
        "condition": _condition(service, reasons),
        "service": told.silent,
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


def _reasons(context: Context, stats: Stats, told: list[dict[str, str]]) -> list[dict[str, str]]:
    """What the service told, but of the spool what the folders themselves tell now: its last audit may be a minute old."""
    from dropsafe.desk.vitals import access_problems_of, counted_now, reasons_of

    # The service may be refused what this user is not, and the other way round.
    codes = {reason["code"] for reason in told}
    refused = [asdict(problem) for problem in access_problems_of(context.spool) if problem.code not in codes]
    return refused + counted_now(told, reasons_of(context.spool, context.config, stats))


def _unread(context: Context, in_force: dict[str, str], service: dict[str, Any]) -> Iterator[Problem]:
    """Whether the file says something else than the service has read of it, or goes by of what it has read."""
    from dropsafe.spool.health import Problem
    from dropsafe.supervisor.status import plain_address

    config = context.config
    if waits := in_force.get("restart"):
        yield Problem(
            "configuration-restart",
            "A part of the configuration was changed that counts from the next start of the service. Nothing is lost.",
            "Restart the service (as a unit of systemd: dropsafe service restart).",
            f"changed: {waits}",
        )
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


def _condition(service: dict[str, Any] | None, reasons: list[dict[str, str]]) -> str:
    if service is None:
        return "NO SERVICE"
    if service["condition"] in ("RUNNING", "DEGRADED"):
        return "DEGRADED" if reasons else "RUNNING"
    return str(service["condition"])


def _print(fact: dict[str, Any], utc: bool) -> None:
    from dropsafe.cli.words import coloured, number, several, size
    from dropsafe.desk.silent import silence
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
            f"on hold {number(counts['hold'])}    kept in sent/ {number(counts['sent'])}    "
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
            told = silence(fact["service"])
            print(f"{told.text}\n    → {told.remedy}")


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
