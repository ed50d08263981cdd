"""`dropsafe repair`: says what it would mend and why; with --yes it mends it, and writes how to undo each step."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from contextlib import closing
from typing import TYPE_CHECKING

from dropsafe.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.spool.plan import Planning
    from dropsafe.spool.steps import Left, Step

HELP = """Look for what is out of order in the spool and can be mended without a person's decision: entries where nobody
sends them, second copies, damaged entries outside of quarantine/, torn receipts, what dead programs left behind, missing
folders, wrong rights, a lost counter. Without --yes it only says what it would do to each, and why. No report is ever
deleted: entries are moved, and what is removed besides is kept, word for word, in an undo list. It may run beside the
service, be interrupted, and be run again. What it leaves to a person is told with what to do."""
EXAMPLES = (
    "dropsafe repair",
    "dropsafe repair --yes",
    "dropsafe repair --yes --undo /mnt/stick/undo.jsonl",
    "dropsafe repair --show-undo /mnt/stick/undo.jsonl",
)
EXITS = {
    1: "there is something to do (without --yes), or something was not done or is left to a person",
    130: "interrupted; what was done by then stands, and is in the undo list",
}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do it")
    parser.add_argument(
        "--undo", metavar="FILE", default="", help="where to write the undo list (default: a new file in journal/)"
    )
    parser.add_argument(
        "--show-undo",
        metavar="FILE",
        default="",
        help="only print the commands of that undo list, as they are typed, the newest first",
    )


def run(args: Namespace, context: Context) -> int:
    from dropsafe.cli.progress import Progress, interruptible
    from dropsafe.cli.trouble import INTERRUPTED
    from dropsafe.spool.plan import Planning, plan
    from dropsafe.spool.repair import UndoList, carry_out
    from dropsafe.spool.steps import Step

    if args.show_undo:
        return _show(args.show_undo)
    core, done = context.spool.core, Planning()
    undo = UndoList(core, args.undo)
    teller = _Teller(context.options.json, args.yes)
    with interruptible() as asked, closing(Progress("read", None)) as progress, closing(undo):

        def watch(figures: Planning) -> bool:
            progress.update(figures.entries)
            return asked()

        for found in plan(core, done, watch):
            progress.close()
            if isinstance(found, Step):
                teller.step(found, carry_out(core, found, undo) if args.yes else "")
            else:
                teller.left(found)
            if asked():
                done.stopped = True
                break
    teller.end(done, undo.path)
    if done.stopped:
        return INTERRUPTED
    return ExitCode.NEEDS_A_PERSON if teller.needs_a_person else ExitCode.OK


def _show(path: str) -> int:
    from dropsafe.printable import printable
    from dropsafe.spool.repair import commands_in

    with open(path, encoding="utf-8", errors="replace") as file:
        commands = commands_in(file)
    if commands is None:
        raise UsageError(
            f"{path} is no undo list. Nothing was changed.",
            remedy="A repair says in its last line how its list is called: journal/repair-….jsonl in the spool.",
        )
    for did, undo in commands:
        print(f"# {printable(did)}\n{undo}")
    return ExitCode.OK


class _Teller:
    """To a person in words, to a program a line of JSON for each step and one at the end."""

    def __init__(self, as_json: bool, acts: bool) -> None:
        self._json = as_json
        self._acts = acts
        self._steps = 0
        self._refused = 0
        self._left = 0

    @property
    def needs_a_person(self) -> bool:
        return bool(self._left or self._refused or (self._steps and not self._acts))

    def step(self, step: Step, refused: str) -> None:
        from dropsafe.printable import printable

        self._steps += 1
        self._refused += bool(refused)
        if self._json:
            told = {"kind": step.kind, "id": step.id, "path": step.path, "why": step.why, "does": step.does}
            print(json.dumps({**told, "done": self._acts and not refused, "not_done": refused}))
            return
        print(f"! {step.kind}: {printable(step.path)}\n    {step.why}")
        if refused:
            print(f"    Not done: {printable(refused)}.")
        else:
            print(f"    To do: {step.does}.{' Done.' if self._acts else ''}")

    def left(self, left: Left) -> None:
        from dropsafe.printable import printable

        self._left += 1
        if self._json:
            print(json.dumps({"kind": "left", "path": left.path, "why": left.why, "remedy": left.remedy}))
            return
        print(f"? left to you: {printable(left.path)}\n    {printable(left.why)}\n    {printable(left.remedy)}")

    def end(self, done: Planning, undo: str) -> None:
        from dropsafe.cli.words import quoted
        from dropsafe.plural import several

        mended = self._steps - self._refused if self._acts else 0
        if self._json:
            told = {"steps": self._steps, "done": mended, "not_done": self._refused, "left": self._left}
            summary = {**told, "read": done.entries, "undo": undo if mended else "", "interrupted": done.stopped}
            print(json.dumps({"summary": summary}))
            return
        stopped = ", as far as it came: it was interrupted" if done.stopped else ""
        read = f"{several(done.entries, 'entry was', 'entries were')} looked at{stopped}"
        if self._acts and self._steps:
            print(f"{read}: {several(mended, 'step', 'steps')} done, {self._refused} not. No report was deleted.")
            print(f"How to take each step back by hand: dropsafe repair --show-undo {quoted(undo)}")
        elif self._steps:
            print(f"{read}: {several(self._steps, 'step', 'steps')} to do. Nothing was changed.")
            print("To have that done: dropsafe repair --yes", file=sys.stdout)
        else:
            print(f"{read}: nothing to mend. Nothing was changed.")
