"""`dropsafe gui` and `dropsafe tray`: the window on the spool and its service, and the icon of the desktop."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dropsafe.errors import UsageError

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.config import Config

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


@dataclass(frozen=True)
class Opening:
    """A command that opens the program, with its window or as an icon."""

    HELP: str
    EXAMPLES: tuple[str, ...]
    in_tray: bool
    EXITS: Mapping[int, str] = field(
        default_factory=lambda: {
            75: "a window of this user on the same configuration is open already and does not answer"
        }
    )

    def arguments(self, parser: ArgumentParser) -> None:
        colours = parser.add_mutually_exclusive_group()
        colours.add_argument("--light", action="store_true", help="light colours (default: as the desktop has them)")
        colours.add_argument("--dark", action="store_true", help="dark colours")

    def run(self, args: Namespace, context: Context) -> int:
        check_display()
        try:
            from dropsafe.gui.app import Wanted, run
        except ImportError as error:
            raise missing(error) from error
        from dropsafe.cli.main import COMMANDS
        from dropsafe.cli.spelling import speller
        from dropsafe.gui.sources import Station
        from dropsafe.gui.theme import Scheme

        scheme = Scheme.DARK if args.dark else Scheme.LIGHT if args.light else None
        context.config  # noqa: B018 - what is wrong with it is told here, before a window opens
        spell = speller(COMMANDS, places_of(context))
        station = Station(lambda: read(context), context.config_path, context.instance, spell)
        return run(Wanted(station, options_of(context), scheme, self.in_tray))


WINDOW = Opening(
    """Open the window: see how it stands, why a report is stuck, and mend it. Needs no service: without one it shows the
    spool as it lies there, and offers to start the service.""",
    ("dropsafe gui", "dropsafe --instance lab gui", "dropsafe gui --dark"),
    in_tray=False,
)
TRAY = Opening(
    """Show how it stands as an icon of the desktop, with the window behind it, and tell of what needs a person. Where the
    desktop has no place for icons, the window opens instead.""",
    ("dropsafe tray",),
    in_tray=True,
)


def read(context: Context) -> Config:
    """The configuration as it stands now."""
    from dropsafe.config import Config

    return Config.in_force(
        context.config_path, environ=context.environ, settings=context.settings, instance=context.instance
    )


def options_of(context: Context) -> list[str]:
    """The shared options that this command was given, for those that are started from here."""
    words = [word for name, value in places_of(context).items() if value for word in (name, value)]
    return words + [word for setting in context.options.settings for word in ("--set", setting)]


def places_of(context: Context) -> dict[str, str | None]:
    """Those that say which service and spool are meant, from wherever they are typed."""
    options = context.options
    return {
        "--config": options.config and os.path.abspath(options.config),
        "--instance": options.instance,
        "--spool": options.spool and os.path.abspath(options.spool),
    }


def check_display() -> None:
    """UsageError where there is none."""
    if os.name == "posix" and not any(os.environ.get(name) for name in _DISPLAYS):
        raise UsageError(
            "There is no display to open a window on. Nothing was changed.",
            remedy="Run it in a desktop session, or use the command line: dropsafe status",
        )


def missing(error: ImportError) -> UsageError:
    """What to install."""
    return UsageError(
        f"The window cannot be opened: {error}. The service and the command line work without it.",
        remedy="Install it with: pip install 'dropsafe[gui]'. On Debian it needs besides: apt-get install libegl1 libgl1 "
        "libxkbcommon0 libdbus-1-3 libfontconfig1 libxcb-cursor0",
    )
