"""`locks/stations.json`: whose this spool was, since when, and how the server knew each of them.

A report bears the name of the station that accepted it, also where another one delivers it. To write that down for each
report would cost a file each; the time of its acceptance stands in its id, so one line for each station is enough.
A station is a configuration file on a machine: its name can be mended, and two instances on one machine are two.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dropsafe.printable import printable
from dropsafe.spool.clock import Clock, iso
from dropsafe.spool.locked_file import LockedFile
from dropsafe.spool.names import stamp_time
from dropsafe.spool.platform import system

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stay:
    """One station's time with the spool. `since` is ISO 8601 UTC; empty for the first, whose time has no beginning."""

    place: str
    station: str
    since: str


def place_of(config_path: Path | None) -> str:
    """What tells stations apart. A digest, for machine-id(5) asks that the number itself be shown to nobody."""
    return hashlib.sha256(f"dropsafe {system.machine_id()} {config_path}".encode()).hexdigest()[:16]


Change = Callable[[list[Stay], str, str, str], list[Stay]]


class Stations:
    """Knows nothing until it is told where it is: then what another station has accepted has that one's name.

    A file that cannot be read or written is logged, and delivery goes on: a report under a wrong name is better than none.
    """

    def __init__(self, clock: Clock, file: LockedFile) -> None:
        self._clock = clock
        self._file = file
        self._others: list[Stay] = []
        """Newest first; this station's own without a name."""

    def arrive(self, place: str, station: str) -> str:
        """The spool is this station's from now on: a service starts, or is set up. LockTimeout.

        Returns words for people if it was another's until now.
        """
        before = self._change(place, station, _arrived)
        if not before or before[-1].place == place or before[-1].station == station:
            return ""
        other = printable(before[-1].station)
        return (
            f"This spool was that of station {other}. What was accepted there is sent under that name, what is accepted "
            f"from now on as {station}. To have all sent as {station}: remove {self._file.path}, and start again."
        )

    def visit(self, place: str, station: str) -> str:
        """A command of this station uses a spool that need not be its own. LockTimeout.

        Returns words for people if it is another's.
        """
        stays = self._change(place, station, _mended)
        if not stays or stays[-1].place == place or stays[-1].station == station:
            return ""
        other = printable(stays[-1].station)
        return (
            f"This spool is that of station {other}: what was accepted there is sent under that name. "
            f"Only if it is to be that of {station} from now on: dropsafe init"
        )

    def stay(self) -> None:
        """This process is one of those of the station that arrived last."""
        try:
            stays = self.read()
        except (OSError, ValueError) as error:
            self._log(error)
        else:
            self._know(stays, stays[-1].place if stays else "")

    def of(self, entry_id: str) -> str:
        """The name under which that entry is sent; empty for this station's own."""
        if not self._others:
            return ""
        return station_at(self._others, entry_id)

    def read(self) -> list[Stay]:
        """All there were, the oldest first. OSError; ValueError if the file is damaged."""
        try:
            return stays_in(self._file.read())
        except FileNotFoundError:
            return []

    def is_damaged(self) -> bool:
        """Whether it cannot be told whose spool this was."""
        try:
            self.read()
        except (OSError, ValueError):
            return True
        return False

    def _change(self, place: str, station: str, change: Change) -> list[Stay]:
        """Write it down if there is something to change. What there was before; nothing if that cannot be read."""
        before: list[Stay] = []
        try:
            before = self.read()
            now = iso(self._clock.now())
            self._know(change(before, place, station, now), place)
            if change(before, place, station, now) != before:
                with self._file.locked():
                    # On a full disk too: that is no reason to forget whose reports these are.
                    stays = change(self.read(), place, station, now)
                    self._file.write([asdict(stay) for stay in stays])
        except (OSError, ValueError) as error:
            self._log(error)
        return before

    def _know(self, stays: list[Stay], place: str) -> None:
        named = [replace(stay, station="") if stay.place == place else stay for stay in stays]
        self._others = named[::-1] if any(stay.station for stay in named) else []

    def _log(self, error: OSError | ValueError) -> None:
        log.warning(
            "%s cannot be used (%s): what another station accepted may be sent under this one's name",
            self._file.path,
            error,
        )


def stays_in(content: Any) -> list[Stay]:
    """The stays in what was read from such a file. ValueError if it is not what we write there."""
    try:
        stays = [Stay(**stay) for stay in content]
    except TypeError as error:
        raise ValueError("it is not what Dropsafe writes there") from error
    values = [text for stay in stays for text in (stay.place, stay.station, stay.since)]
    if not isinstance(content, list) or not all(isinstance(text, str) for text in values):
        raise ValueError("it is not what Dropsafe writes there")
    return stays


def station_at(newest_first: Iterable[Stay], entry_id: str) -> str:
    """Whose the spool was when that entry was accepted; empty if that is not known."""
    accepted = iso(stamp_time(entry_id))
    return next((stay.station for stay in newest_first if stay.since <= accepted), "")


def _mended(stays: list[Stay], place: str, station: str, _now: str) -> list[Stay]:
    """A new name at the same place mends the old one."""
    if not stays or stays[-1].place != place:
        return stays
    return [*stays[:-1], replace(stays[-1], station=station)]


def _arrived(stays: list[Stay], place: str, station: str, now: str) -> list[Stay]:
    """The same, and a new machine under the old name has replaced the old one; else one more station."""
    if not stays:
        return [Stay(place, station, "")]
    if station == stays[-1].station:
        return [*stays[:-1], replace(stays[-1], place=place)]
    return _mended(stays, place, station, now) if place == stays[-1].place else [*stays, Stay(place, station, now)]
