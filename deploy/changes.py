"""Changes of the machine, each told as it is made; in a dry run told only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import join

from dropsafe.deploy.manager import Say
from dropsafe.errors import TemporaryError


class Changes:
    """What is as it should be already is not touched, and not told."""

    def __init__(self, say: Say, dry_run: bool) -> None:
        self._say = say
        self._dry_run = dry_run

    def write(self, path: Path, text: str) -> None:
        """Put that text into the file, with its folder, readable for all."""
        if path.exists() and path.read_text("utf-8") == text:
            return
        shown = "".join(f"\n    {line}".rstrip(" ") for line in text.splitlines()) if self._dry_run else ""
        self.make(f"{path} is written{shown}", lambda: _write(path, text))

    def remove(self, path: Path) -> None:
        """Remove that file, if it is there."""
        if path.exists():
            self.make(f"{path} is removed", path.unlink)

    def run(self, command: Sequence[str]) -> None:
        """Run it. TemporaryError, with its own words, if it fails."""
        self.make(join(command), lambda: done(command))

    def make(self, words: str, action: Callable[[], object]) -> None:
        """Any other change."""
        if self._dry_run:
            self._say(f"would be done: {words}")
            return
        action()
        self._say(words)


def done(command: Sequence[str]) -> str:
    """What the command printed. TemporaryError, with its own words, if it failed or is not there."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise TemporaryError(
            f"{command[0]} could not be started ({error.strerror}); what was done before stays done.",
            remedy="Install what is missing, then give the same command again.",
        ) from error
    if result.returncode:
        said = " ".join(result.stderr.split()) or f"exit code {result.returncode}"
        raise TemporaryError(
            f"`{join(command)}` failed: {said}. What was done before stays done; no report is touched by that.",
            remedy="See the log (dropsafe service logs), mend it, and give the same command again.",
        )
    return result.stdout


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    # Anew, so never through a link: the configuration's folder is the service's, and this may be root.
    with open(scratch, "x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())
    scratch.replace(path)
