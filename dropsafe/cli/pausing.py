"""`dropsafe pause` and `dropsafe resume`: of delivery, of intake, or of both. With or without a service."""

from __future__ import annotations

import getpass
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from dropsafe.cli.arguments import duration

if TYPE_CHECKING:
    from dropsafe.cli.context import Context

_BOTH = ("delivery", "intake")


class _Pause:
    HELP = """Pause delivery, or intake, until somebody resumes it; it outlives restarts. A pause of delivery: what is being
sent is finished, nothing more is begun, and reports are accepted as ever. A pause of intake: files stay in their drop folders;
`dropsafe submit` goes on. The status is DEGRADED meanwhile, and says who paused it and why."""
    EXAMPLES: Sequence[str] = (
        "dropsafe pause",
        "dropsafe pause delivery --for 2h --reason 'the server moves house'",
        "dropsafe pause intake",
    )

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", nargs="?", choices=_BOTH, default="delivery", help="delivery (default) or intake")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why, for whoever looks at the status")
        parser.add_argument(
            "--for", dest="time", type=duration, metavar="TIME", help="resume by itself after 30s, 15min, 2h or 3d"
        )

    def run(self, args: Namespace, context: Context) -> int:
        from dropsafe.spool.health import told
        from dropsafe.spool.pausing import Work

        spool, work = context.spool, Work(args.what)
        spool.pause([work], _who(), args.reason, args.time)
        pause = spool.pauses().get(work)
        if context.options.json:
            print(json.dumps({"paused": {work.value: asdict(pause)} if pause else {}}))
            return 0
        if pause is None:
            print(f"{work.capitalize()} was paused, and goes on already: its time is over, or somebody resumed it.")
            return 0
        what = {
            Work.DELIVERY: "Delivery is paused; what is being sent is finished. Reports are accepted and wait in the spool.",
            Work.INTAKE: "Intake is paused. Files stay in their drop folders; `dropsafe submit` goes on.",
        }
        print(what[work])
        print(f"  {told(pause)}")
        print(f"To go on: dropsafe resume {work}")
        return 0


class _Resume:
    HELP = "Go on after a pause: with delivery, with intake, or with whatever is paused."
    EXAMPLES: Sequence[str] = ("dropsafe resume", "dropsafe resume delivery")

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", nargs="?", choices=_BOTH, help="delivery or intake (default: all that is paused)")

    def run(self, args: Namespace, context: Context) -> int:
        from dropsafe.cli.running import TRIES_NOW, try_now
        from dropsafe.spool.health import told
        from dropsafe.spool.pausing import Work

        ended = context.spool.resume([Work(args.what)] if args.what else tuple(Work))
        tries = Work.DELIVERY in ended and try_now(context).tries
        if context.options.json:
            resumed = {work.value: asdict(pause) for work, pause in ended.items()}
            print(json.dumps({"resumed": resumed, "service_tries_now": tries}))
            return 0
        for work, pause in ended.items():
            print(f"{work.capitalize()} goes on; it was paused {told(pause)}")
        if tries:
            print(TRIES_NOW)
        if not ended:
            print(
                f"{(args.what or 'nothing').capitalize()} was {'not ' if args.what else ''}paused. Nothing was changed."
            )
        return 0


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user who exists as a number only
        return "somebody"


PAUSE = _Pause()
RESUME = _Resume()
