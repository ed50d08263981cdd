"""Whether the machine's service could start the interpreter of this program: it is another user, and sees no homes."""

from __future__ import annotations

import os
import subprocess
import sys

import dropsafe
from dropsafe.config_rules import within
from dropsafe.deploy.units import HIDDEN
from dropsafe.errors import NoPermission, UsageError

_NOBODY = 65534
_REMEDY = "Install Dropsafe for the whole machine, in /opt/dropsafe for one: see docs/install.md."


def check_interpreter(*, try_out: bool) -> None:
    """UsageError or NoPermission if it could not. `try_out`: also start it as nobody, which takes root."""
    for path in (sys.executable, sys.prefix, sys.base_prefix, os.path.dirname(dropsafe.__file__)):
        real = os.path.realpath(path)
        for place in HIDDEN:
            if within(real, place):
                raise UsageError(
                    f"This Dropsafe lies in {real}, and a service does not see {place}. Nothing was changed.",
                    remedy=_REMEDY,
                )
    if try_out and (why := _as_nobody()):
        raise NoPermission(
            f"No other user can start this Dropsafe ({sys.executable}: {why}). Nothing was changed.",
            remedy="Let all users read and enter its folders, or install it in others: see docs/install.md.",
        )


def _as_nobody() -> str:
    """What came of the try, in words; nothing if it went well."""
    command = [sys.executable, "-I", "-c", "import dropsafe.supervisor.service"]
    try:
        tried = subprocess.run(
            command, user=_NOBODY, group=_NOBODY, extra_groups=[], cwd="/", capture_output=True, text=True, check=False
        )
    except OSError as error:
        return str(error.strerror)
    return (tried.stderr.strip().splitlines() or ["it failed"])[-1] if tried.returncode else ""
