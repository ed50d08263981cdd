"""What a command works on: the configuration in force and the spool, each made when it is first asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dropsafe.errors import NoPermission
from dropsafe.paths import Places, checked_instance, default_places

if TYPE_CHECKING:
    from dropsafe.config import Config
    from dropsafe.spool import Spool
    from dropsafe.supervisor.ipc.remote import RemoteDesk

FILE_VARIABLE = "DROPSAFE_CONFIG"
_CONNECT_TIME = 1.0
"""Seconds for a service to say hello: a command that can do without does not wait for one that hangs."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options that all commands share."""

    config: str | None = None
    instance: str | None = None
    spool: str | None = None
    settings: tuple[str, ...] = ()
    json: bool = False


class Context:
    """Lazily `config`, `spool`, `service` and `places`; closes what it opened."""

    def __init__(self, options: Options, environ: Mapping[str, str] = os.environ) -> None:
        self.options = options
        self.environ = environ
        self.instance = checked_instance(options.instance)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if spool := self.__dict__.get("spool"):
            spool.close()
        if client := self.__dict__.get("_client"):
            client.close()

    @cached_property
    def places(self) -> Places:
        """The default places of this instance for this user."""
        return default_places(self.instance)

    @cached_property
    def config_path(self) -> Path:
        """The configuration file in force; it need not exist."""
        return Path(os.path.abspath(self._named_config or self.places.config_file))

    @property
    def run_name(self) -> str | None:
        """What the service of this command line is called in the run folder."""
        try:
            return self.config.run_name
        except NoPermission:  # who may not read the configuration may still see what the service publishes
            return self.instance

    @property
    def config_path_origin(self) -> str:
        if self.options.config:
            return "command line"
        return f"environment variable {FILE_VARIABLE}" if self._named_config else f"default ({self.places.reason})"

    @property
    def _named_config(self) -> str | None:
        return self.options.config or self.environ.get(FILE_VARIABLE)

    @property
    def settings(self) -> tuple[str, ...]:
        """What `--set` and `--spool` set; the latter wins."""
        spool = self.options.spool
        return self.options.settings + ((f"spool_dir={os.path.abspath(spool)}",) if spool else ())

    @cached_property
    def config(self) -> Config:
        """File, environment and command line together. What there is to say about them is told on standard error."""
        from dropsafe.config import Config

        return self._told(self._read(Config.in_force))

    @cached_property
    def config_or_new(self) -> Config:
        """The same for the command that makes the file: one that was named need not be there yet."""
        from dropsafe import config_file
        from dropsafe.config import Config

        if self.config_file_exists():
            return self.config
        config_file.refuse_if_gone(self.config_path)
        return self._told(self._load(Config.in_force))

    def config_for_start(self) -> Config:
        """The same for a service that starts: a good file is kept as the last good copy."""
        from dropsafe.config import Config

        return self._told(self._read(Config.load_for_start))

    def read_strictly(self) -> Config:
        """The same, where a broken file is an error and nothing is told."""
        from dropsafe.config import Config

        config = self._read(Config.in_force)
        if config.fallback_reason:
            Config.load(self.config_path)  # raises what was wrong
        return config

    def go_without_file(self) -> None:
        """For what has to work beside a file that cannot be used: environment and command line alone, and of the file only
        which spool it names, as far as that can be read."""
        from dropsafe.config import Config
        from dropsafe.errors import DropsafeError

        named: tuple[str, ...] = ()
        with suppress(DropsafeError):
            spool_dir = Config.inspect(self.config_path)["spool_dir"]
            named = (f"spool_dir={spool_dir}",) if isinstance(spool_dir, str) else ()
        settings = (*named, *self.settings)
        self.config = Config.in_force(os.devnull, environ=self.environ, settings=settings, instance=self.instance)

    def config_file_exists(self) -> bool:
        return os.path.lexists(self.config_path)

    @cached_property
    def spool(self) -> Spool:
        """The spool of the configuration, with its limits."""
        from dropsafe.spool import Spool
        from dropsafe.spool.limits import limits_from

        return Spool(self.config["spool_dir"], limits_from(self.config))

    @cached_property
    def service(self) -> RemoteDesk | None:
        """The service that listens at `ipc.address`; None if none does. NoPermission, TemporaryError, WorkerFailed."""
        address = self.config["ipc.address"]
        if os.name == "posix" and not os.path.lexists(address):
            return None  # what speaks to a service is not even loaded
        from dropsafe.supervisor.ipc.client import Client
        from dropsafe.supervisor.ipc.remote import RemoteDesk

        self._client = Client(address, program="dropsafe", connect_time=_CONNECT_TIME)
        self._client.connect()
        return RemoteDesk(self._client)

    def _read(self, load: Callable[..., Config]) -> Config:
        from dropsafe import config_file

        # A file that somebody named must be there; the default one need not.
        if self._named_config and not config_file.last_good_path(self.config_path).exists():
            config_file.read(self.config_path)
        return self._load(load)

    def _load(self, load: Callable[..., Config]) -> Config:
        return load(self.config_path, environ=self.environ, settings=self.settings, instance=self.instance)

    def _told(self, config: Config) -> Config:
        from dropsafe.printable import printable

        if config.fallback_reason:
            print(
                "dropsafe: ! The configuration file is not in force, for it cannot be used. No report is touched by that.\n"
                f"    {printable(config.fallback_reason)} What was changed since then does not count.\n"
                f"    {printable(config.fallback_remedy)}",
                file=sys.stderr,
            )
        for note in config.warnings:
            print(f"dropsafe: note: {printable(note)}", file=sys.stderr)
        return config
