"""The running service as a command finds it: over its line, or else by what it publishes.

What a person asks for is done in the spool's folder, with a service or without. So whatever is wrong with the line is
only told: no command fails for it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dropsafe.errors import DropsafeError, NoPermission

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.desk.desk import Value


class Source(StrEnum):
    """Whence a status is; the value is the word for programs."""

    SERVICE = "service"
    FILE = "status file"
    FOLDER = "folder"


STARTED_OTHERWISE = "it was started with other options than this command"


@dataclass(frozen=True, slots=True)
class Heard:
    """The status of a service, None if none runs; `why`: what is wrong with its line, if it is there.

    `silent` is who holds the spool without a word of how he fares, as far as that is known.
    """

    status: dict[str, Any] | None
    source: Source
    why: str = ""
    silent: str | None = None


def heard(context: Context) -> Heard:
    """The service of the spool that the command is about, whatever options either was started with."""
    from dropsafe.cli.published import in_spool
    from dropsafe.desk.silent import holder, silent
    from dropsafe.desk.standstill import serves

    spool = context.spool
    told = answering(context)
    if serves(spool, told.status):
        return told
    who = holder(spool.core.layout)
    if who is None:
        return Heard(None, Source.FOLDER)
    if found := in_spool(spool):
        return Heard(found, Source.FILE, told.why or STARTED_OTHERWISE)
    unknown = silent(spool)
    return Heard(None if unknown is None else {**unknown, "reasons": []}, Source.FOLDER, silent=who)


def answering(context: Context) -> Heard:
    """What the service of this command line says of itself: to those who may not connect to it, what it publishes."""
    from dropsafe.cli.published import published

    why = ""
    try:
        if context.service is not None:
            return Heard(context.service.status_get(), Source.SERVICE)
    except NoPermission:
        why = "you may not connect to it"
    except DropsafeError as error:
        why = error.message
    found = published(context)
    return Heard(found, Source.FILE if found else Source.FOLDER, why)


@dataclass(frozen=True, slots=True)
class Asked:
    """Whether the service `tries` the server now because it was asked to. `runs`: whether there is one for this spool."""

    runs: bool
    tries: bool = False


def try_now(context: Context) -> Asked:
    """Have the service try the server at once, if it does not serve. Why that cannot be asked is told on standard error."""
    from dropsafe.desk.standstill import at_destination

    told = heard(context)
    if told.status is None:
        return Asked(runs=False)
    if at_destination(told.status) is None:
        return Asked(runs=True)
    why = told.why
    if told.source is Source.SERVICE:
        try:
            return Asked(runs=True, tries=_probe(context)["asked"])
        except DropsafeError as error:
            why = error.message
    print(f"dropsafe: note: the service was not asked to try the server at once: {why}", file=sys.stderr)
    return Asked(runs=True)


def _probe(context: Context) -> Value:
    assert context.service is not None
    return context.service.delivery_probe()


NO_SERVICE = "No service runs here, so nothing is sent until one does. To send it now: dropsafe deliver"
TRIES_NOW = "The service tries the server now."
