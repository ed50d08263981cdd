"""`dropsafe deliver`: deliver what is due, once, and end. Works without a service, and beside one."""

from __future__ import annotations

import json
import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from dropsafe.cli.arguments import seconds
from dropsafe.errors import DiskFullError, DropsafeError, ExitCode, TemporaryError

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.cli.progress import Sign
    from dropsafe.desk.standstill import Standstill
    from dropsafe.spool import Spool
    from dropsafe.workers.link import LocalLink

HELP = """Deliver what is due, once, and end: for cron, for tests, for a technician's laptop. Needs no service. With --from,
what waits in a carried copy (a whole spool, or the folder of an export) goes to this machine's server, each report under its
own key and its station's name; the receipts are left in the copy, where dropsafe import-receipts on the first machine finds
them. Nothing else in the copy is changed, and it may lie on a stick."""
EXAMPLES = ("dropsafe deliver", "dropsafe deliver --patience 0 --json", "dropsafe deliver --from /mnt/stick/reports")
EXITS = {
    1: "done, but some were refused by the server or are damaged: they are in failed/ or quarantine/; or some of what should "
    "be there (a folder, with --from also an entry that manifest.json names) cannot be read, or is not there: it is named",
    69: "the server is unavailable; the entries wait",
    75: "delivery is paused, or some did not go through now, or could not be recorded (a full disk), and are sent again",
    130: "interrupted: what was under way was finished or put back, and what waits is told",
}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--patience", type=seconds, default=20.0, metavar="SECONDS", help="how long to wait for an unavailable server"
    )
    parser.add_argument(
        "--from", dest="source", metavar="SRC", help="deliver from that carried copy instead of the spool"
    )


def run(args: Namespace, context: Context) -> int:
    from dropsafe import log
    from dropsafe.cli.progress import Sign
    from dropsafe.cli.trouble import INTERRUPTED
    from dropsafe.spool.buckets import waiting_for_their_time
    from dropsafe.spool.clock import iso
    from dropsafe.spool.foreign import adopt_settled
    from dropsafe.spool.pausing import Work
    from dropsafe.spool.recovery import recover_orphans
    from dropsafe.spool.states import State
    from dropsafe.spool.stations import place_of
    from dropsafe.workers.deliver import deliver_once
    from dropsafe.workers.http import HttpTransport
    from dropsafe.workers.settings import Settings

    if args.source is not None:
        from dropsafe.cli.deliver_from import run_from

        return run_from(args.source, args.patience, context)
    config, spool = context.config, context.spool
    config.require("destination.url")
    if not sys.stderr.isatty():
        # From cron, standard error is the log; a person at a terminal is told in words.
        log.set_up("warning" if config.origin("log.level") == "default" else config["log.level"])
    _refuse_if_paused(spool)
    if carried := spool.core.stations.visit(place_of(config.path), config["station_name"]):
        print(f"dropsafe: note: {carried}", file=sys.stderr)
    recover_orphans(spool.core, {})
    if Work.INTAKE not in spool.pauses():
        adopt_settled(spool.core)
    sign = Sign()
    link = link_to_a_person(sign, told=not context.options.json)
    with closing(HttpTransport.from_config(config)) as transport:
        report = deliver_once(spool, transport, Settings.from_config(config), link, args.patience)
    stopped = link.stopping()
    sign.close()
    here = _still_here(spool)
    code, stands = INTERRUPTED if stopped else report.exit_code, None
    if code is ExitCode.OK and not report.delivered and any(spool.entries(State.INFLIGHT)):
        stands = _stands_still(context)
        code = ExitCode.DESTINATION_UNAVAILABLE if stands else code
    later, first = waiting_for_their_time(spool.core.layout.pending, time.time(), spool.core.limits.longest_backoff)
    if context.options.json:
        due = iso(first) if later else None
        counts = {"here": here, "not_due": later, "next_due": due}
        print(json.dumps({**asdict(report), **counts, "exit_code": int(code)}))
    else:
        _tell(asdict(report), stopped=stopped)
        _tell_later(later, first - time.time())
        _tell_here(here)
        if stands:
            _tell_standstill(stands)
        if Work.DELIVERY in spool.pauses():
            print("! Delivery was paused meanwhile; what waits goes on waiting. To go on: dropsafe resume delivery")
    return int(code)


def link_to_a_person(sign: Sign, *, told: bool) -> LocalLink:
    """Shows the progress if it is to be told; Ctrl-C and SIGTERM end the delivery in good order."""
    from dropsafe.workers.link import LocalLink

    link = LocalLink((lambda figures: sign.show(lambda: _progress(figures))) if told else None)
    signal.signal(signal.SIGINT, lambda *_: link.stop())
    signal.signal(signal.SIGTERM, lambda *_: link.stop())
    return link


def _refuse_if_paused(spool: Spool) -> None:
    from dropsafe.spool.health import told
    from dropsafe.spool.pausing import Work

    if pause := spool.pauses().get(Work.DELIVERY):
        raise TemporaryError(
            f"Delivery is paused {told(pause)}. Nothing was sent or changed; what is accepted waits in the spool.",
            remedy="To go on: dropsafe resume delivery",
        )


def _still_here(spool: Spool) -> dict[str, int] | None:
    """How many entries are in the spool undelivered, by state; None where they cannot be counted."""
    try:
        stats = spool.stats()
    except (OSError, DropsafeError):
        return None
    states = ("waiting", "inflight", "hold", "failed", "quarantine")
    return {state: count for state in states if (count := getattr(stats, state))}


def _stands_still(context: Context) -> Standstill | None:
    """Why a service that runs beside this, and has entries in hand, delivers nothing."""
    from dropsafe.cli.running import heard
    from dropsafe.desk.standstill import at_destination

    status = heard(context).status
    return at_destination(status) if status is not None else None


def _tell_standstill(stands: Standstill) -> None:
    from dropsafe.cli.words import span
    from dropsafe.printable import printable

    when = f" in {span(stands.next_probe)}" if stands.next_probe and stands.next_probe >= 1 else " now"
    print(f"! The service has those in hand, and tries the server again{when}: {printable(stands.text)}")
    if stands.remedy:
        print(f"    {stands.remedy}")
    print("    To have it tried at once: dropsafe retry --state pending --all")


def _tell_here(here: dict[str, int] | None) -> None:
    from dropsafe.cli.words import number

    if here is None:
        print("What is still in the spool cannot be counted now: dropsafe status")
    elif here:
        words = {"inflight": "in hand", "hold": "on hold", "quarantine": "in quarantine"}
        counts = ", ".join(f"{number(count)} {words.get(state, state)}" for state, count in here.items())
        print(f"Not delivered, and still in the spool: {counts}")


def _tell_later(count: int, seconds: float) -> None:
    from dropsafe.cli.words import several, span

    if count:
        print(
            f"{several(count, 'entry is', 'entries are')} not due yet, the first in {span(max(1.0, seconds))}. "
            "To send them now: dropsafe retry --state pending --all && dropsafe deliver"
        )


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


_SERVER = {"closed": "server available", "open": "server unavailable", "probing": "server being tried"}


def _progress(told: dict[str, object]) -> str:
    server = _SERVER.get(str(told["breaker"]), "")
    return f"delivered {told['delivered']}   in hand {told['in_hand']}   {server}".rstrip()


def _tell(report: dict[str, object], *, stopped: bool) -> None:
    from dropsafe.cli.words import number, several, size
    from dropsafe.printable import printable

    delivered, amount = int(str(report["delivered"])), int(str(report["bytes"]))
    begin = "Interrupted: " if stopped else ""
    print(f"{begin}{several(delivered, 'entry', 'entries')} delivered ({size(amount)})")
    if report["rejected"]:
        print(
            f"! {number(int(str(report['rejected'])))} refused by the server; nothing is lost: dropsafe list --state failed"
        )
    if report["damaged"]:
        print(f"! {number(int(str(report['damaged'])))} damaged; nothing was deleted: dropsafe list --state quarantine")
    if report["waiting_again"]:
        print(f"{number(int(str(report['waiting_again'])))} did not go through now; each waits for its next try")
    if report["unproven"]:
        print(
            f"! {several(int(str(report['unproven'])), 'entry is', 'entries are')} on the server, but that could not be "
            f"recorded here: {report['unproven_why']}.\n"
            "    Nothing is lost: they stay in the spool, and what has no receipt is sent again with the same key, by which "
            "the server knows it.\n"
            f"    See that the disk of the spool can be written to. If it is full: {_lower(DiskFullError.remedy)}"
        )
    if report["unavailable"]:
        print(f"! The server is unavailable: {printable(str(report['why']))}. The entries wait in pending/.")
        if report["remedy"]:
            print(f"    {report['remedy']}")
