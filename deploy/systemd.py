"""The service under systemd: the machine's own, with a user of its own, or a plain user's.

What is installed is files that this program can write anew at any time; the spool, the configuration and the user are
made once and never taken away. Everything that could be in the way is looked at before the first file is written.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from dropsafe.config import Config
from dropsafe.config_file import starter
from dropsafe.deploy import units
from dropsafe.deploy.changes import Changes, done
from dropsafe.deploy.errand import Order
from dropsafe.deploy.finding import Finding
from dropsafe.deploy.interpreter import check_interpreter
from dropsafe.deploy.manager import Say, Wish
from dropsafe.errors import DropsafeError, NoPermission, TemporaryError, UsageError
from dropsafe.paths import Places, system_places, user_places

_PROPERTIES: Final = (
    *("Id", "LoadState", "UnitFileState", "ActiveState", "SubState", "ActiveEnterTimestamp"),
    *("MainPID", "StatusText", "Result", "FragmentPath"),
)


class Systemd:
    """A `Manager`. `root` is where the machine's files are written, and `booted` what is there where systemd runs."""

    def __init__(
        self, instance: str | None, *, user: bool, root: str = "/", booted: str = "/run/systemd/system"
    ) -> None:
        self._instance = instance
        self._user = user
        self._root = Path(root)
        self._booted = booted
        self._unit = units.unit_name(instance)

    # The interface

    def install(self, wish: Wish, say: Say) -> list[Finding]:
        """See Manager."""
        if not wish.dry_run:
            self._check_rights()
        self._check_technicians(wish.technicians)
        before = self._unit_there()
        if not wish.replace:
            self._check_unit(before)
        if not self._user:
            self._check_user()
            check_interpreter(try_out=not wish.dry_run)
        text = self._unit_text()
        change = Changes(say, wish.dry_run)
        if not self._user:
            self._make_user(change)
        if not self._places.config_file.exists():
            change.write(self._places.config_file, starter(self._config["spool_dir"], wish.url))
        elif wish.url and self._config.get("destination.url") != wish.url:
            say(f"{self._places.config_file} was there already, and says another address: it was not changed.")
        if not before:
            self._make_spool_folder(change)
        self._add_technicians(wish.technicians, change)
        change.write(self._unit_file, text)
        if before != text:
            change.run(self._systemctl("daemon-reload"))
        change.run(self._systemctl("enable", self._unit))
        findings = [] if wish.dry_run else self._try_out(make=not before)
        # One that runs already sees neither a new version nor folders that were made since its start.
        try:
            change.run(self._systemctl("restart", self._unit))
        except TemporaryError as error:
            findings.append(Finding(error.message, error.remedy))
        return findings

    def uninstall(self, dry_run: bool, say: Say) -> None:
        """See Manager."""
        if not self._unit_file.exists():
            say(f"{self._unit} is not installed. Nothing was changed.")
            return
        if not self._unit_there().startswith(units.MARK):
            raise UsageError(
                f"{self._unit_file} was not written by `dropsafe service install`. Nothing was changed.",
                remedy=f"Remove it by hand:  systemctl disable --now {self._unit} && rm {self._unit_file}",
            )
        if not dry_run:
            self._check_rights()
        change = Changes(say, dry_run)
        change.run(self._systemctl("disable", "--now", self._unit))
        change.remove(self._unit_file)
        others = [unit for unit in self._unit_file.parent.glob("dropsafe[@.]*service") if unit != self._unit_file]
        if not self._user and not others:
            change.remove(self._etc("sysusers.d/dropsafe.conf"))
            change.remove(self._etc("tmpfiles.d/dropsafe.conf"))
        change.run(self._systemctl("daemon-reload"))
        kept = [str(self._places.config_file), *([] if self._user else [f"the user and the group {units.USER}"])]
        with suppress(DropsafeError):  # a broken configuration must keep nobody from this
            kept.insert(0, f"the spool {self._config['spool_dir']}")
        say(f"Left in place: {', '.join(kept)}.")

    def act(self, verb: str) -> None:
        """See Manager."""
        self._check_runs()
        if not self._unit_file.exists():
            raise UsageError(
                f"{self._unit} is not installed. Nothing was changed.",
                remedy=f"Install it first:  dropsafe service install{' --user' if self._user else ''}",
            )
        done(self._systemctl(verb, self._unit))

    def status(self) -> dict[str, str]:
        """See Manager."""
        self._check_runs()
        shown = done(self._systemctl("show", self._unit, f"--property={','.join(_PROPERTIES)}"))
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def logs(self, lines: int, follow: bool) -> int:
        """See Manager."""
        if file := self._log_file():
            files = [file, *sorted(file.parent.glob(f"{file.stem}.*{file.suffix}"))]
            of_files = ["tail", f"--lines={lines}", *(["--follow=name", "--retry"] if follow else []), *map(str, files)]
            return subprocess.run(of_files, check=False).returncode
        of_unit = "--user-unit" if self._user else "--unit"
        more = ["--follow"] if follow else ["--no-pager"]
        command = ["journalctl", of_unit, self._unit, f"--lines={lines}", *more]
        return subprocess.run(command, check=False).returncode

    # Where things are

    def _log_file(self) -> Path | None:
        with suppress(DropsafeError):  # with a broken configuration the log is wanted all the more
            return Path(self._config["log.file"]) if "log.file" in self._config else None
        return None

    @cached_property
    def _places(self) -> Places:
        places_of = user_places if self._user else system_places
        return places_of(self._instance, reason="the service's")

    @property
    def _unit_file(self) -> Path:
        if self._user:
            home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
            return Path(home, "systemd", "user", self._unit)
        return self._etc(f"systemd/system/{self._unit}")

    def _unit_there(self) -> str:
        """The unit's text as it is now; whatever somebody else has put there can be read."""
        return self._unit_file.read_text("utf-8", "replace") if self._unit_file.exists() else ""

    def _etc(self, path: str) -> Path:
        return self._root / "etc" / path

    @cached_property
    def _config(self) -> Config:
        """As the service will read it: no variable of this user's environment counts."""
        file, spool = self._places.config_file, f"spool_dir={self._places.spool_dir}"
        return Config.in_force(file, environ={}, settings=() if file.exists() else (spool,), instance=self._instance)

    def _unit_text(self) -> str:
        if self._user:
            return units.user_unit(self._instance, sys.executable)
        folders = units.writable(self._config, str(self._places.config_file.parent))
        return units.service_unit(self._instance, sys.executable, self._config["spool_dir"], folders)

    def _systemctl(self, *words: str) -> list[str]:
        return ["systemctl", *(["--user"] if self._user else []), *words]

    # What must be so before anything is changed

    def _check_runs(self) -> None:
        if not os.path.isdir(self._booted):
            raise UsageError(
                "systemd does not run this machine, so it has no services for it. Nothing was changed.",
                remedy="Have the service manager that you use start `dropsafe run`, as a user of its own.",
            )

    def _check_rights(self) -> None:
        self._check_runs()
        if self._user and os.geteuid() == 0:
            raise UsageError(
                "root's service is the machine's. Nothing was changed.",
                remedy="Leave out --user, or give the command as the user whose service it is to be.",
            )
        if not self._user and os.geteuid() != 0:
            raise NoPermission(
                "A service of the machine is an administrator's to install. Nothing was changed.",
                remedy="Ask an administrator to give this command, or have a service of your own with --user.",
            )

    @staticmethod
    def _check_technicians(names: Sequence[str]) -> None:
        for name in names:
            try:
                pwd.getpwnam(name)
            except KeyError:
                raise UsageError(
                    f"There is no user {name} on this machine. Nothing was changed.",
                    remedy=f"Make the user first:  adduser {name}",
                ) from None

    @staticmethod
    def _check_user() -> None:
        """One that is there already is used as it is."""
        with suppress(KeyError):
            if pwd.getpwnam(units.USER).pw_uid == 0:
                raise UsageError(
                    f"The user {units.USER} of this machine is root by another name, which the service must not be. "
                    "Nothing was changed.",
                    remedy=f"See who made that user, and why; then:  userdel {units.USER}",
                )

    def _check_unit(self, text: str) -> None:
        program = units.program_of(text)
        # A link, of which nothing may be read: so systemd masks a unit that an administrator wants to be none.
        if (text or self._unit_file.is_symlink()) and not text.startswith(units.MARK):
            raise UsageError(
                f"{self._unit_file} is there, and was not written by this command. Nothing was changed.",
                remedy="To have it replaced, give the same command with --replace.",
            )
        if program and program != sys.executable:
            raise UsageError(
                f"{self._unit} runs another Dropsafe, that of {program}; this one is {sys.executable}. Nothing was changed.",
                remedy="To have this one take its place, give the same command with --replace.",
            )

    # What is made

    def _make_user(self, change: Changes) -> None:
        """Their files let systemd make user and folders anew where they are gone; both commands change nothing else."""
        for name in ("sysusers", "tmpfiles"):
            change.write(self._etc(f"{name}.d/dropsafe.conf"), units.template(f"dropsafe.{name}.conf"))
        change.run(["systemd-sysusers", str(self._etc("sysusers.d/dropsafe.conf"))])
        change.run(["systemd-tmpfiles", "--create", str(self._etc("tmpfiles.d/dropsafe.conf"))])

    def _make_spool_folder(self, change: Changes) -> None:
        """The spool itself is made by the service's user, in a folder that is its own."""
        spool = Path(self._config["spool_dir"])
        if self._user or os.path.lexists(spool):
            return

        def make() -> None:
            spool.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            spool.mkdir()
            user = pwd.getpwnam(units.USER)
            # Of what was opened: the folder above may be the service's, and something else be in its place by then.
            opened = os.open(spool, os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                os.fchown(opened, user.pw_uid, user.pw_gid)
                os.fchmod(opened, 0o2770)
            finally:
                os.close(opened)

        change.make(f"{spool} is made, for {units.USER} alone and its group", make)

    @staticmethod
    def _add_technicians(names: Sequence[str], change: Changes) -> None:
        with suppress(KeyError):  # in a dry run there may be no such group yet
            there = grp.getgrnam(units.GROUP).gr_mem
            names = [name for name in names if name not in there]
        for name in names:
            change.run(["usermod", "--append", "--groups", units.GROUP, name])

    def _try_out(self, *, make: bool) -> list[Finding]:
        """See `errand`. `make`: a spool that is missing. Not for a service that was there: its disk may not be mounted."""
        order = Order(str(self._places.config_file), self._instance, not self._user, make)
        # Of that user, and nothing more: as systemd would start it.
        as_service: dict[str, Any] = (
            {} if self._user else {"user": units.USER, "group": units.GROUP, "extra_groups": []}
        )
        command = [sys.executable, "-I", "-m", "dropsafe.deploy.errand"]
        told = subprocess.run(
            command, input=json.dumps(asdict(order)), capture_output=True, text=True, cwd="/", check=False, **as_service
        )
        if told.returncode:
            why = (told.stderr.strip().splitlines() or ["it said nothing"])[-1]
            return [Finding(f"Whether the service can do its work could not be tried: {why}", "See whether it runs.")]
        return [Finding(**finding) for finding in json.loads(told.stdout)]
