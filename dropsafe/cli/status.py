"""`dropsafe status`: one screen that says whether all is well, and if not, what to do."""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dropsafe.errors import ExitCode, NoPermission

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.spool import Spool, Stats

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
    service = published(context)
    try:
        fact = _facts(context, service)
    except NoPermission:
        # Not in the spool's group: then only what the service publishes for everybody.
        if service is None:
            raise
        fact = {"condition": service["condition"], "reasons": service["reasons"], "workers": service["workers"]}
    if context.options.json:
        print(json.dumps(fact, indent=1))
    else:
        _print(fact, args.utc)
    return int(ExitCode.NEEDS_A_PERSON if fact.get("needs_a_person") or fact["reasons"] else ExitCode.OK)


def published(context: Context) -> dict[str, Any] | None:
    """What the running service published; None if none runs for this instance."""
    from datetime import datetime

    from dropsafe.supervisor.status import status_path

    try:
        content = json.loads(status_path(context.places.run_dir, context.instance).read_text(encoding="utf-8"))
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


def _facts(context: Context, service: dict[str, Any] | None) -> dict[str, Any]:
    from dropsafe.spool.platform import system

    spool = context.spool
    config = context.config
    if service is not None and service.get("spool_id") != spool.spool_id:
        service = None
    stats = spool.stats()
    last = spool.last_receipt()
    needs = stats.failed + stats.quarantine
    room = system.room(str(spool.path))
    reasons = _reasons(context, stats, _whole(spool, service)["reasons"] if service else [])
    return {
        "condition": _condition(service, reasons),
        "station": config["station_name"],
        "destination": (config.get("destination.url") or "").partition("?")[0],
        "spool": str(spool.path),
        "config": str(context.config_path),
        "counts": asdict(stats),
        "needs_a_person": needs,
        "last_delivered": last.at if last else None,
        "grade": str(last.grade) if last else None,
        "reasons": reasons,
        "workers": service["workers"] if service else [],
        "free_bytes": room.bytes,
    }


def _whole(spool: Spool, service: dict[str, Any]) -> dict[str, Any]:
    """The same status with the names of files, which only those who may use the spool can read."""
    from dropsafe.spool.written import read_json
    from dropsafe.supervisor.status import details_path

    try:
        content = read_json(str(details_path(f"{spool.path}/locks")))
        return content if content["pid"] == service["pid"] else service
    except (OSError, ValueError, KeyError, TypeError):
        return service


def _reasons(context: Context, stats: Stats, told: list[dict[str, str]]) -> list[dict[str, str]]:
    """What the service told, but of the spool what the folders themselves tell now: its last audit may be a minute old."""
    from dropsafe.desk.vitals import problems_of
    from dropsafe.spool.health import CODES

    found = problems_of(context.spool, context.config, stats)
    own = [{**asdict(problem), **_why_there(context.spool, problem.code)} for problem in found]
    return [reason for reason in told if reason["code"] not in CODES] + own


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
    from dropsafe.spool.printable import printable

    colours = {"RUNNING": "green", "DEGRADED": "amber", "STARTING": "blue", "STOPPING": "blue", "ERROR": "red"}
    condition = coloured(fact["condition"], colours.get(fact["condition"], "grey"))
    where = f"   {fact['station']} → {fact['destination'] or '(no destination set)'}" if "station" in fact else ""
    print(f"Dropsafe  {condition}{where}")
    if "counts" in fact:
        counts = fact["counts"]
        oldest = f" (oldest {_when(counts['oldest'], utc)})" if counts["waiting"] and counts["oldest"] else ""
        print(
            f"waiting {number(counts['waiting'])}{oldest}    in hand {number(counts['inflight'])}    "
            f"delivered and kept {number(counts['sent'])}    needs a person {number(fact['needs_a_person'])}"
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
        print("\n" + "    ".join(f"{worker['name']}  {worker['state']}" for worker in fact["workers"]))
    if "counts" in fact:
        print(f"\nspool {fact['spool']}    {size(fact['free_bytes'])} free    configuration {fact['config']}")
        if fact["condition"] == "NO SERVICE":
            waiting = fact["counts"]["waiting"]
            if waiting:
                waits = several(waiting, "entry waits", "entries wait")
                print(f"No service runs here: {waits} for `dropsafe run` or `dropsafe deliver`.")
            else:
                print("No service runs here.")


def _when(moment: str, utc: bool) -> str:
    from dropsafe.cli.words import ago

    return moment if utc else ago(_age(moment))


def _age(moment: str) -> float:
    from datetime import datetime

    return time.time() - datetime.fromisoformat(moment).timestamp()
