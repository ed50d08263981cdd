"""`dropsafe deliver`: deliver what is due, once, and end. Works without a service, and beside one."""

from __future__ import annotations

import json
import signal
import sys
from argparse import ArgumentParser, Namespace
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from dropsafe.cli.arguments import seconds

if TYPE_CHECKING:
    from dropsafe.cli.context import Context

HELP = "Deliver what is due, once, and end: for cron, for tests, for a technician's laptop. Needs no service."


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--patience", type=seconds, default=20.0, metavar="SECONDS", help="how long to wait for an unavailable server"
    )


def run(args: Namespace, context: Context) -> int:
    from dropsafe import log
    from dropsafe.spool.foreign import adopt_settled
    from dropsafe.spool.recovery import recover_orphans
    from dropsafe.workers.deliver import deliver_once
    from dropsafe.workers.http import HttpTransport
    from dropsafe.workers.link import LocalLink
    from dropsafe.workers.settings import Settings

    config, spool = context.config, context.spool
    config.require("destination.url")
    if not sys.stderr.isatty():
        # From cron, standard error is the log; a person at a terminal is told in words.
        log.set_up("warning" if config.origin("log.level") == "default" else config["log.level"])
    recover_orphans(spool.core, {})
    adopt_settled(spool.core)
    show = sys.stderr.isatty() and not context.options.json
    link = LocalLink(_show if show else None)
    signal.signal(signal.SIGINT, lambda *_: link.stop())
    signal.signal(signal.SIGTERM, lambda *_: link.stop())
    with closing(HttpTransport.from_config(config)) as transport:
        report = deliver_once(spool, transport, Settings.from_config(config), link, args.patience)
    if show:
        print("\r\x1b[K", end="", file=sys.stderr)
    if context.options.json:
        print(json.dumps({**asdict(report), "exit_code": int(report.exit_code)}))
    else:
        _tell(asdict(report))
    return int(report.exit_code)


def _show(progress: dict[str, object]) -> None:
    words = f"delivered {progress['delivered']}   in hand {progress['in_hand']}   server {progress['breaker']}"
    print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


def _tell(report: dict[str, object]) -> None:
    from dropsafe.cli.words import number, printable, several, size

    delivered, amount = int(str(report["delivered"])), int(str(report["bytes"]))
    print(f"{several(delivered, 'entry', 'entries')} delivered ({size(amount)})")
    if report["rejected"]:
        print(
            f"! {number(int(str(report['rejected'])))} refused by the server; nothing is lost: dropsafe list --state failed"
        )
    if report["damaged"]:
        print(f"! {number(int(str(report['damaged'])))} damaged; nothing was deleted: dropsafe list --state quarantine")
    if report["waiting_again"]:
        print(f"{number(int(str(report['waiting_again'])))} did not go through now and wait for their next try")
    if report["unavailable"]:
        print(f"! The server is unavailable: {printable(str(report['why']))}. The entries wait in pending/.")
        if report["remedy"]:
            print(f"    {report['remedy']}")
