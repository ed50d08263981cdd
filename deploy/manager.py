"""The one interface behind which the service managers of the two systems stand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dropsafe.deploy.finding import Finding
from dropsafe.errors import UsageError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """How a service is to be installed. `url`: for a configuration file that is not there yet."""

    url: str | None = None
    technicians: Sequence[str] = ()
    replace: bool = False
    dry_run: bool = False


class Manager(Protocol):
    """The service of one instance. Each method may raise UsageError, NoPermission or TemporaryError.

    `say` is told each change, one line at a time, when it is made; with `dry_run`, instead of its being made.
    """

    def install(self, wish: Wish, say: Say) -> list[Finding]:
        """Make and start it; again, to bring it in line with configuration and program. What it cannot do is returned."""

    def uninstall(self, dry_run: bool, say: Say) -> None:
        """Stop and remove it. Spool, configuration and user stay."""

    def act(self, verb: str) -> None:
        """`start`, `stop` or `restart` it, and wait until that is done."""

    def status(self) -> dict[str, str]:
        """What the service manager knows of it."""

    def logs(self, lines: int, follow: bool) -> int:
        """Show the end of its log on standard output; the exit code of whatever shows it."""


def manager(instance: str | None, *, user: bool) -> Manager:
    """That of this system. UsageError where there is none."""
    if sys.platform == "win32":
        raise UsageError(
            "Windows services are not installed by this version of Dropsafe. Nothing was changed.",
            remedy="Have the Task Scheduler start `dropsafe run` with the machine.",
        )
    from dropsafe.deploy.systemd import Systemd

    return Systemd(instance, user=user)
