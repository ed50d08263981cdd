"""A `dropsafe` command as another user: python -m tests.support.as_user UID GROUP[,GROUP…] UMASK ARGUMENTS…

It rehearses as root first, so that all modules are loaded: this also works where the interpreter or this repository lies
in a folder that only root may enter.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path

from dropsafe.cli.main import main as dropsafe


def main(arguments: list[str]) -> int:
    """Become that user, and run the command."""
    user, groups, umask, *words = arguments
    _rehearse()
    first, *others = map(int, groups.split(","))
    os.umask(int(umask, 8))
    os.setgroups(others)
    os.setresgid(first, first, first)
    os.setresuid(int(user), int(user), int(user))
    return dropsafe(words)


def _rehearse() -> None:
    """Every command once, in a spool of its own, and one that fails. The port is one at which nobody listens."""
    for needed in ("jsonschema", "platformdirs"):  # root's own commands need not load them
        import_module(needed)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        options = ["--config", f"{folder}/dropsafe.toml", "--spool", f"{folder}/spool"]
        report = Path(folder, "report.xml")
        report.write_bytes(b"rehearsal")
        dropsafe([*options, "init", "--url", "http://127.0.0.1:9/", "--group", "root"])
        dropsafe([*options, "submit", str(report), "--attribute", "a=b", "--set", "min_free_bytes=0"])
        dropsafe([*options, "deliver", "--patience", "0"])
        dropsafe([*options, "retry", "--all"])
        dropsafe([*options, "list"])
        dropsafe([*options, "pause"])
        dropsafe([*options, "verify"])
        dropsafe([*options, "status"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
