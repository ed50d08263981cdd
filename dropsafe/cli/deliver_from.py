"""`dropsafe deliver --from SRC`: what waits in a carried copy goes to this machine's server; the receipts go into the copy."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from dropsafe.errors import ExitCode

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.spool.carried import Carried
    from dropsafe.spool.carried_hand import CarriedHand
    from dropsafe.workers.deliver import DeliveryReport

_NAMED = 10


def run_from(source: str, patience: float, context: Context) -> int:
    """The exit code; those of `dropsafe deliver`."""
    from dropsafe import log
    from dropsafe.cli.deliver import link_to_a_person
    from dropsafe.cli.export import Teller
    from dropsafe.cli.progress import Sign
    from dropsafe.cli.trouble import INTERRUPTED
    from dropsafe.cli.words import quoted, several
    from dropsafe.spool.carried import Carried, refuse_empty
    from dropsafe.spool.carried_hand import CarriedHand
    from dropsafe.spool.states import State
    from dropsafe.workers.deliver import deliver_carried
    from dropsafe.workers.http import HttpTransport
    from dropsafe.workers.settings import Settings

    config = context.config
    config.require("destination.url")
    if not sys.stderr.isatty():
        log.set_up("warning" if config.origin("log.level") == "default" else config["log.level"])
    with Carried(source) as carried:
        refuse_empty(carried)
        sign = Sign()
        link = link_to_a_person(sign, told=not context.options.json)
        with closing(CarriedHand(carried)) as hand, closing(HttpTransport.from_config(config)) as transport:
            report = deliver_carried(hand, transport, Settings.from_config(config), link, patience)
        stopped = link.stopping()
        sign.close()
        states = _others(carried)
        due = {entry.id for entry in carried.entries if entry.state in (State.PENDING, State.INFLIGHT)}
        unproven = len(carried.unproven() - due)  # what waits, too, is told as such
        absent = list(carried.not_there())
        code = int(report.exit_code)
        if code == ExitCode.OK and (hand.waiting or hand.left.deferred):
            code = ExitCode.TEMPORARY
        if (absent or unproven) and code in (ExitCode.OK, ExitCode.TEMPORARY):
            code = ExitCode.NEEDS_A_PERSON
        code = INTERRUPTED if stopped else code
        if context.options.json:
            for each in absent:
                print(json.dumps(asdict(each)))
            told = {"waiting": hand.waiting, "delivered_before": hand.before, "others": states, "no_receipt": unproven}
            print(json.dumps({**asdict(report), **told, "left_there": asdict(hand.left), "exit_code": int(code)}))
        else:
            teller = Teller()
            for each in absent:
                teller.tell(each.id, each.file, each.why, each.remedy)
            teller.end()
            _tell(report, hand, states, source, stopped=stopped)
            if unproven:
                print(
                    f"! {several(unproven, 'entry counts', 'entries count')} as delivered there, and no receipt there says so. "
                    "Nothing of that was sent.\n    To have them sent again under their keys: move them to a folder called "
                    f"pending, and give the same command. Which they are: dropsafe import {quoted(source)}"
                )
    return int(code)


def _others(carried: Carried) -> dict[str, int]:
    """Those that are a person's to decide, by state: they are not sent from there."""
    states = [entry.state.value for entry in carried.entries]
    return {state: states.count(state) for state in ("failed", "quarantine", "hold") if state in states}


def _tell(report: DeliveryReport, hand: CarriedHand, states: dict[str, int], source: str, *, stopped: bool) -> None:
    from dropsafe.cli.words import number, quoted, several, size
    from dropsafe.printable import printable

    done = f"{several(report.delivered, 'entry', 'entries')} delivered ({size(report.bytes)})"
    print(f"{'Interrupted: ' if stopped else ''}{done}; their receipts are there, too")
    if hand.before:
        print(f"{several(hand.before, 'was', 'were')} delivered from there before, and were passed over")
    for count, what, left in (
        (report.rejected, "refused by the server", hand.left.refused),
        (report.damaged, "damaged, and not sent", hand.left.damaged),
        (len(hand.left.deferred), "did not go through now", hand.left.deferred),
    ):
        if count:
            print(f"! {number(count)} {what}; nothing is lost, they lie there as before")
        for entry_id, why in list(left.items())[:_NAMED]:
            print(f"    {entry_id}  {printable(why)}")
    if report.unproven:
        print(
            f"! {several(report.unproven, 'entry is', 'entries are')} on the server, but no receipt could be written there: "
            f"{report.unproven_why}\n    Nothing is lost: sent again they have the same key, by which the server knows them."
        )
    if report.unavailable:
        print(f"! The server is unavailable: {printable(report.why)}. What waits lies there as before.")
        if report.remedy:
            print(f"    {report.remedy}")
    if hand.waiting:
        print(f"{several(hand.waiting, 'is', 'are')} not sent yet. The same command again goes on.")
    if states:
        counts = ", ".join(f"{number(count)} in {state}/" for state, count in states.items())
        print(f"A person decides about {counts}: they were not sent. To work on them: dropsafe import {quoted(source)}")
    if report.delivered or hand.before:
        command = f"dropsafe --spool SPOOL import-receipts {quoted(source)}"
        print(f"On the machine from which it comes, with the places of its spool and of this copy there: {command}")
