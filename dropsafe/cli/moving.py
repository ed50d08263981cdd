"""`retry`, `hold`, `unhold`, `readmit`, `discard`, `restore`: what a person does to entries. One table, one way of doing it.

From which states each is possible is the spool's table of transitions. More than one entry: first the count is shown,
and never more than that are moved. What others move meanwhile is counted and told; nothing is aborted for it.
They are moved in the folder itself; a service that runs is then asked to try the server at once, if that counts as down.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from dropsafe.cli.selection import (
    ID_HELP,
    add_filters,
    choice_from,
    described,
    is_filtered,
    may_go_on,
)
from dropsafe.errors import DropsafeError, ExitCode, UsageError
from dropsafe.plural import several
from dropsafe.spool.states import Event, State, sources_of, transition

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.cli.running import Asked
    from dropsafe.desk.moving import Result
    from dropsafe.spool import Entry, Spool

_TOLD = 10
_SENDING = frozenset({Event.RETRY, Event.UNHOLD, Event.READMIT, Event.RESTORE})
"""After these, somebody waits for the delivery."""


@dataclass(frozen=True, slots=True)
class Command:
    """One of the six. `usual` is the state that `--all` means where none is named; `must_say` asks for --yes in scripts."""

    event: Event
    usual: State | None
    HELP: str
    done: tuple[str, str]
    """After the number, of one and of several."""
    EXAMPLES: Sequence[str]
    must_say: bool = False
    undo: str = ""
    """What for, and which command, to which the ids are added."""

    EXITS = {  # noqa: RUF012 - a constant of the class, not a field
        1: "some were done, others not (moved by another program, or refused by the system), or the answer was no",
        130: "interrupted; what was done by then is told, the rest is where it was",
    }

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help=ID_HELP)
        in_scripts = (
            "needed for several where nobody can be asked"
            if self.must_say
            else "where nobody can be asked (a script, a pipe) it goes on without"
        )
        every = f"all that the other options choose; of {self.usual}/ if none does" if self.usual else "all of --state"
        parser.add_argument("--all", action="store_true", help=every)
        add_filters(parser, [state.value for state in sources_of(self.event)])
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
        parser.add_argument("--yes", action="store_true", help=f"do not ask; {in_scripts}")

    def run(self, args: Namespace, context: Context) -> int:
        filtered = args.all or is_filtered(args)
        if bool(args.ids) == filtered:
            raise UsageError(
                "Name the entries, or choose them with --all, --state, --matching or --older-than. Nothing was changed.",
                remedy=f"See what there is: dropsafe list{f' --state {self.usual}' if self.usual else ''}",
            )
        return self._chosen(args, context) if filtered else self._named(args, context)

    def _named(self, args: Namespace, context: Context) -> int:
        from dropsafe.desk.moving import named

        possible, errors = named(context.spool, args.ids, self.event)
        held = _in_hand(context, args.ids) if errors and self.event is Event.RETRY else set()
        if held:
            possible, errors = named(context.spool, [word for word in args.ids if word not in held], self.event)
        if len(args.ids) == 1 and errors:
            raise errors[0]
        return self._do(possible, errors, args, context, held=lambda: len(held))

    def _chosen(self, args: Namespace, context: Context) -> int:
        if self.usual is None and not args.state:
            raise UsageError(
                f"`dropsafe {self.name}` needs --state to choose more than one entry. Nothing was changed.",
                remedy=f"For example: dropsafe {self.name} --state failed --matching TEXT",
            )
        choice = choice_from(args, [self.usual] if self.usual else [])

        def held() -> int:
            if self.event is not Event.RETRY or State.PENDING not in choice.states:
                return 0
            return sum(1 for _ in replace(choice, states=(State.INFLIGHT,)).entries(context.spool))

        return self._do(lambda: choice.entries(context.spool), [], args, context, held)

    @property
    def name(self) -> str:
        """Of the command."""
        return self.event.name.lower()

    def _do(
        self,
        chosen: Sequence[Entry] | _Listing,
        errors: Sequence[UsageError],
        args: Namespace,
        context: Context,
        held: Callable[[], int],
    ) -> int:
        from dropsafe.cli.progress import Progress
        from dropsafe.cli.running import NO_SERVICE, Asked, try_now
        from dropsafe.desk.moving import Result
        from dropsafe.spool.choosing import Survey

        def entries() -> Iterable[Entry]:
            return chosen() if callable(chosen) else chosen

        teller = _Teller(self, context.options.json)
        with closing(Progress("counted", None)) as progress:
            survey = Survey.of(progress.over(entries()))
        if not survey.count:
            in_hand = 0 if args.dry_run else held()
            asked = try_now(context) if in_hand else Asked(runs=False)
            if asked.runs:
                return teller.end(Result(refused=list(errors)), len(errors), asked, in_hand)
            teller.nothing(errors)
            return int(errors[0].exit_code) if errors else ExitCode.OK
        if survey.count > 1 or args.dry_run:
            teller.say(f"{described(survey)}: {self.name}")
        if args.dry_run:
            due = sum(map(context.spool.is_due, entries())) if self.event is Event.RETRY else 0
            if due:
                teller.say(_due_already(due))
            teller.say("Nothing was changed: this was a dry run.")
            return ExitCode.OK
        if callable(chosen) and survey.count > 1 and not args.yes and not self._agreed(survey.count):
            teller.say("Nothing was changed.")
            return ExitCode.NEEDS_A_PERSON
        result = self._carry_out(context.spool, islice(entries(), survey.count), survey.count, teller)
        result.refused[:0] = errors
        in_hand = 0 if callable(chosen) else held()
        is_sent = self.event in _SENDING and (result.moved or result.due or in_hand)
        asked = try_now(context) if is_sent else Asked(runs=False)
        code = teller.end(result, survey.count + len(errors), asked, in_hand)
        if is_sent and not asked.runs:
            teller.say(NO_SERVICE)
        return code

    def _agreed(self, count: int) -> bool:
        answer = may_go_on(f"{self.name} {count:,} entries?")
        if answer is None and self.must_say:
            raise UsageError(
                f"{self.name} of {count:,} entries was not confirmed. Nothing was changed.",
                remedy="Where nobody can be asked, say --yes; what it would do: --dry-run",
            )
        return answer is not False

    def _carry_out(self, spool: Spool, entries: Iterator[Entry], count: int, teller: _Teller) -> Result:
        from dropsafe.cli.progress import Progress, interruptible
        from dropsafe.desk.moving import move

        with interruptible() as asked, closing(Progress(self.event.value, count)) as progress:

            def step(seen: int) -> bool:
                progress.update(seen)
                return asked()

            return move(spool, self.event, entries, count, step=step, on_moved=teller.moved)


class _Teller:
    """What is said: to a person in words, to a program one line of JSON for each entry and one at the end."""

    def __init__(self, command: Command, as_json: bool) -> None:
        self._command = command
        self._json = as_json

    def say(self, text: str) -> None:
        print(text, file=sys.stderr if self._json else sys.stdout)

    def nothing(self, errors: Sequence[UsageError]) -> None:
        if self._json:
            from dropsafe.desk.moving import Result

            self._summary(Result(refused=list(errors)), 0, tries=False, in_hand=0)
            return
        print("No entry was meant. Nothing was changed." if not errors else "Nothing was changed.")
        self._tell_refused(errors)

    def moved(self, before: Sequence[Entry], after: Sequence[Entry]) -> None:
        if self._json:
            for entry in after:
                print(json.dumps({"id": entry.id, "state": entry.state.value, "path": str(entry.path)}))
        elif self._command.event is Event.READMIT:
            for old, new in zip(before, after, strict=False):  # one may be gone
                print(f"{old.id} is {new.id} now")

    def end(self, result: Result, chosen: int, asked: Asked, in_hand: int) -> int:
        """The last words, and the exit code. `in_hand`: so many that are meant are the service's already."""
        gone = result.gone(chosen)
        if self._json:
            self._summary(result, gone, asked.tries, in_hand)
        else:
            self._tell_end(result, chosen, gone)
            self._tell_service(asked, in_hand)
        if result.interrupted:
            from dropsafe.cli.trouble import INTERRUPTED

            return INTERRUPTED
        if not result.refused and not gone:
            return ExitCode.OK
        if not result.moved and result.refused:
            from dropsafe.cli.trouble import in_words

            told = in_words(result.refused[0])
            return told.exit_code if told else ExitCode.NEEDS_A_PERSON
        return ExitCode.NEEDS_A_PERSON

    def _summary(self, result: Result, gone: int, tries: bool, in_hand: int) -> None:
        told = {
            "command": self._command.name,
            "done": result.moved,
            "due_already": result.due,
            "moved_by_others": gone,
            "refused": [str(error) for error in result.refused],
            "more_refused": result.more_refused,
            "interrupted": result.interrupted,
            "in_hand": in_hand,
            "service_tries_now": tries,
        }
        print(json.dumps({"summary": told}))

    def _tell_end(self, result: Result, chosen: int, gone: int) -> None:
        from dropsafe.plural import number

        print(
            several(result.moved, *self._command.done) + self._undo(result) if result.moved else "Nothing was changed."
        )
        if result.due:
            print(_due_already(result.due))
        if gone > 0:
            print(
                f"{number(gone)} had been moved meanwhile by the service, another program or a person. Nothing is lost."
            )
        self._tell_refused(result.refused, result.more_refused)
        if result.gave_up:
            print(
                "! Given up there: the system refused one after the other. The rest is where it was; nothing is lost."
            )
        if result.interrupted:
            left = chosen - result.moved - result.due - result.refusals
            rest = several(left, "is where it was", "are where they were")
            print(f"Interrupted: the other {rest}. The same command goes on from there.")

    @staticmethod
    def _tell_service(asked: Asked, in_hand: int) -> None:
        from dropsafe.cli.running import TRIES_NOW

        if in_hand:
            what = "kept until the server can be reached" if asked.tries else "and sent as soon as it can be"
            print(f"{several(in_hand, 'entry is', 'entries are')} in hand already: claimed by the service, {what}.")
        if asked.tries:
            print(TRIES_NOW)

    def _undo(self, result: Result) -> str:
        if not self._command.undo:
            return ""
        if result.moved > len(result.words):
            target = transition(sources_of(self._command.event)[0], self._command.event).target
            return f" {self._command.undo} ID; see them: dropsafe list --state {target}"
        return f" {self._command.undo} {' '.join(result.words)}"

    @staticmethod
    def _tell_refused(errors: Sequence[DropsafeError | OSError], more: int = 0) -> None:
        from dropsafe.cli.trouble import in_words

        for error in errors[:_TOLD]:
            told = in_words(error)
            print(f"! {told.message} {told.remedy}".rstrip() if told else f"! {error}")
        if len(errors) > _TOLD:
            print(f"! … and {len(errors) - _TOLD + more:,} more")


def _due_already(count: int) -> str:
    return f"{several(count, 'was', 'were')} due already: only its turn keeps an entry like that from being sent."


def _in_hand(context: Context, ids: Sequence[str]) -> set[str]:
    """Those of these words that name an entry in inflight/, where a service runs: only then it is sent by itself."""
    from dropsafe.cli.running import heard

    if heard(context).status is None:
        return set()
    held = set()
    for word in ids:
        with suppress(UsageError):  # told by whoever looks it up to move it
            if context.spool.find(word).state is State.INFLIGHT:
                held.add(word)
    return held


if TYPE_CHECKING:
    from collections.abc import Callable

    _Listing = Callable[[], Iterator[Entry]]


RETRY = Command(
    Event.RETRY,
    State.FAILED,
    "Send entries again: refused ones from failed/, those in quarantine/, and, with --state pending or by id, those that "
    "wait for their next try: they become due now.",
    (
        "entry will be sent again, first among those that wait.",
        "entries will be sent again, first among those that wait.",
    ),
    ("dropsafe retry 4k7q", "dropsafe retry --state failed --all", "dropsafe retry --matching 'unknown station'"),
)
HOLD = Command(
    Event.HOLD,
    State.PENDING,
    "Park entries: they are not sent until they are taken off hold.",
    ("entry is on hold.", "entries are on hold."),
    ("dropsafe hold 4k7q", "dropsafe hold --matching '*.csv' --state pending"),
    undo="To have that sent after all: dropsafe unhold",
)
UNHOLD = Command(
    Event.UNHOLD,
    State.HOLD,
    "Take entries off hold: they are sent, first among those that wait.",
    ("entry is off hold and due now.", "entries are off hold and due now."),
    ("dropsafe unhold 4k7q", "dropsafe unhold --all"),
)
READMIT = Command(
    Event.READMIT,
    State.QUARANTINE,
    "Vouch for the bytes of entries as they are now, after an edit or damage: each gets a new id, and is sent.",
    ("entry will be sent as it is now, under a new id.", "entries will be sent as they are now, under new ids."),
    ("dropsafe readmit 4k7q",),
    must_say=True,
)
DISCARD = Command(
    Event.DISCARD,
    None,
    "Say that entries are not wanted: they go to discarded/, and are never sent and never deleted by Dropsafe.",
    ("entry is in discarded/ now. Nothing was deleted.", "entries are in discarded/ now. Nothing was deleted."),
    ("dropsafe discard 4k7q", "dropsafe discard --state failed --older-than 30d"),
    must_say=True,
    undo="To undo it: dropsafe restore",
)
RESTORE = Command(
    Event.RESTORE,
    State.DISCARDED,
    "Take discarded entries back: they are sent, first among those that wait.",
    ("entry is restored, and due now.", "entries are restored, and due now."),
    ("dropsafe restore 4k7q", "dropsafe restore --all --matching line-3"),
)
