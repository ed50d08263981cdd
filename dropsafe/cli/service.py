"""`dropsafe service`: have the operating system run the service, and look after it there."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from dropsafe.errors import ExitCode, UsageError
from dropsafe.printable import printable

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.deploy.manager import Manager

HELP = """\
install      make it, enable it, start it; again, after a change of folders or of version
uninstall    stop and remove it; spool, configuration and user stay
start        start it now
stop         stop it now; what is in hand is finished, for at most three minutes
restart      both
status       what the service manager knows of it (how the work goes: dropsafe status)
logs         the end of its log
"""
EXAMPLES = (
    "dropsafe service install --url https://reports.example.com/ingest --technicians ana",
    "dropsafe --instance lab service install --dry-run",
    "dropsafe service install --user",
    "dropsafe service logs --follow",
)
EXITS = {1: "done, but the service lacks a right, or does not run"}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=list(_ACTIONS), help="what to do; see above")
    parser.add_argument("--user", action="store_true", help="this user's own service, not the machine's")
    parser.add_argument("--url", help="install: destination.url, if there is no configuration yet")
    parser.add_argument(
        "--technicians", nargs="+", metavar="USER", default=[], help="install: who may look and recover"
    )
    parser.add_argument("--replace", action="store_true", help="install: take the place of another installation's unit")
    parser.add_argument(
        "--dry-run", action="store_true", help="install, uninstall: show what would be done, and do nothing"
    )
    parser.add_argument("--lines", type=int, metavar="N", help="logs: how many (default 100)")
    parser.add_argument("--follow", action="store_true", help="logs: go on until Ctrl-C")


def run(args: Namespace, context: Context) -> int:
    from dropsafe.deploy.manager import manager

    options = context.options
    if options.config or options.spool or options.settings:
        raise UsageError(
            "A service reads its own configuration file, not --config, --spool or --set. Nothing was changed.",
            remedy="Set it in that file:  dropsafe config set KEY VALUE",
        )
    action, own = _ACTIONS[args.action]
    for option in ("url", "technicians", "replace", "dry_run", "lines", "follow"):
        if getattr(args, option) and option not in own:
            raise UsageError(
                f"`dropsafe service {args.action}` has no --{option.replace('_', '-')}. Nothing was changed.",
                remedy="See: dropsafe service --help",
            )
    if args.user and args.technicians:
        raise UsageError(
            "A user's own service is shared with nobody, so it has no --technicians. Nothing was changed.",
            remedy="Leave out one of the two.",
        )
    return action(args, manager(context.instance, user=args.user), context)


def _install(args: Namespace, manager: Manager, _: Context) -> int:
    from dropsafe.config import Config
    from dropsafe.deploy.manager import Wish

    if args.url:
        Config.from_dict({"destination": {"url": args.url}})  # refuse a malformed one before anything is made
    findings = manager.install(Wish(args.url, args.technicians, args.replace, args.dry_run), print)
    if args.dry_run:
        print("Nothing was changed.")
        return ExitCode.OK
    if args.technicians:
        print("A technician's rights count from the next log-in.")
    if args.user:
        print(
            "It runs while you are logged in. To have it run always, ask an administrator for:  loginctl enable-linger USER"
        )
    for finding in findings:
        print(f"! {printable(finding.text)}\n    {printable(finding.remedy)}")
    if findings:
        print(f"Then: dropsafe service install{' --user' if args.user else ''}")
    else:
        print("The service runs, and can use all that its configuration names.  Next:  dropsafe status")
    return ExitCode.NEEDS_A_PERSON if findings else ExitCode.OK


def _uninstall(args: Namespace, manager: Manager, _: Context) -> int:
    manager.uninstall(args.dry_run, print)
    return ExitCode.OK


def _act(args: Namespace, manager: Manager, _: Context) -> int:
    manager.act(args.action)
    print(f"{_PAST[args.action]}.")
    return ExitCode.OK


def _status(_args: Namespace, manager: Manager, context: Context) -> int:
    facts = manager.status()
    if context.options.json:
        print(json.dumps(facts, ensure_ascii=False, indent=2))
    elif facts["LoadState"] == "not-found":
        print(f"{facts['Id']} is not installed.  To install it:  dropsafe service install")
    else:
        since = f" since {facts['ActiveEnterTimestamp']}" if facts["ActiveEnterTimestamp"] else ""
        print(f"{facts['Id']}  {facts['ActiveState']} ({facts['SubState']}){since}, {facts['UnitFileState']}")
        if facts["MainPID"] != "0":
            print(f"process {facts['MainPID']}   {facts['StatusText']}")
        print(facts["FragmentPath"])
    return ExitCode.OK if facts["ActiveState"] == "active" else ExitCode.NEEDS_A_PERSON


def _logs(args: Namespace, manager: Manager, _: Context) -> int:
    return manager.logs(args.lines or 100, args.follow)


_PAST = {"start": "Started", "stop": "Stopped", "restart": "Restarted"}
# What does it, and which options it has.
_ACTIONS = {
    "install": (_install, ("url", "technicians", "replace", "dry_run")),
    "uninstall": (_uninstall, ("dry_run",)),
    "start": (_act, ()),
    "stop": (_act, ()),
    "restart": (_act, ()),
    "status": (_status, ()),
    "logs": (_logs, ("lines", "follow")),
}
