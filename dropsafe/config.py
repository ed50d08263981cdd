"""The configuration as a dictionary with dotted keys, every value of which is known to be valid.

`Config` owns the order of the layers (default < file < environment < command line) and refuses each value that the
schema does not allow, leaving everything as it was. What the program sets stands above all layers; only that is
written by `save()`.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dropsafe import config_file, config_rules
from dropsafe.config_file import REMOVED, Text, kept_since, last_good_path, put_back
from dropsafe.config_keys import filled, keys, sections, unknown_key
from dropsafe.config_layers import Given, blamed, from_environment, from_settings
from dropsafe.config_rules import Problem, flatten
from dropsafe.errors import ConfigError, DropsafeError, NoPermission, UnknownKey
from dropsafe.paths import default_places, ipc_address, run_name

_log = logging.getLogger(__name__)


class Config(Mapping[str, Any]):
    """Every key that has a value, by its dotted name: `config["destination.timeout"]`.

    `config["destination"]` reads a whole section and `config["watch"]` the list of watched folders, both as copies
    with all defaults filled in. Keys without value and default, such as `destination.ca`, are not in the mapping.
    """

    def __init__(self, values: Mapping[str, Any] | None = None, *, instance: str | None = None) -> None:
        self.path: Path | None = None
        self.instance = instance
        self.warnings: list[str] = []
        self.file_warnings: list[str] = []
        self.fallback_reason: str | None = None
        self.fallback_remedy = ""
        self._text = ""
        self._file: dict[str, Any] = {}
        self._shape: list[Problem] = []
        self._changes: dict[str, Any] = {}
        self._above: dict[str, Given] = {}
        self._at_run_time: dict[str, Any] = {}
        if values:
            self.update(values)

    # Reading

    def __getitem__(self, key: str) -> Any:
        given = self._find(key)
        if given is not None:
            return filled(key, given.value)
        if key in sections():
            prefix = key + "."
            return {name.removeprefix(prefix): self[name] for name in self if name.startswith(prefix)}
        if key in keys():
            raise UnknownKey(f"{key} is not set, and has no default", remedy=_how_to_set(key))
        raise unknown_key(key)

    def __iter__(self) -> Iterator[str]:
        return (key for key in keys() if self._find(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and (key in sections() or self._find(key) is not None)

    def __repr__(self) -> str:
        given = {key: value for key, value in self.items() if self._given(key)}
        return f"Config({str(self.path) if self.path else 'no file'}: {given!r})"

    def require(self, key: str) -> Any:
        """The value of a key that has no default. ConfigError with what to do where it is not set."""
        if key in self:
            return self[key]
        if key not in keys():
            raise unknown_key(key)
        if self.path and not self.path.exists():
            raise ConfigError(
                f"{key} is not set: there is no configuration file {self.path}. {keys()[key].schema['description']}",
                remedy=f"Name the file with --config FILE. {_how_to_set(key)}",
            )
        place = f" in {self.path}" if self.path else ""
        raise ConfigError(
            f"{key} is not set{place}. {keys()[key].schema['description']}",
            remedy=_how_to_set(key),
        )

    def origin(self, key: str) -> str:
        """Where the value in force came from, in words."""
        given = self._find(key)
        if given is None:
            if key not in keys():
                raise unknown_key(key)
            return "not set"
        return given.origin

    @property
    def file_digest(self) -> str:
        """Of what the file says, comments and order apart: whether two configurations were read from the same."""
        text = json.dumps(self._file, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Everything in force, defaults included, as nested plain tables; `from_dict` makes an equal one of it."""
        result: dict[str, Any] = {}
        for key, value in self.items():
            section, _, name = key.rpartition(".")
            table = result.setdefault(section, {}) if section else result
            table[name] = value
        return result

    # Changing

    def set(self, key: str, value: Any) -> None:
        """The same as `config[key] = value`. For a section: its given keys are set, the others stay."""
        self.update({key: value})

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        """Back to the default."""
        if key not in keys():
            raise unknown_key(key)
        self._apply({key: REMOVED})

    def update(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), /, **more: Any) -> None:
        """Set several keys, or, if any of them is refused, none. Values may be nested by section or dotted."""
        given = dict(values)
        given.update(more)
        flat = flatten(given)
        for problem in flat.problems:
            raise problem.exception()
        for key in flat.unknown:
            raise unknown_key(key)
        for key, value in flat.known.items():
            for problem in config_rules.check(key, value):
                raise problem.exception()
        self._apply(flat.known)

    def _apply(self, changes: Mapping[str, Any]) -> None:
        candidate = copy.copy(self)
        candidate._change(changes)
        known = self._problems()
        for problem in candidate._problems():
            if problem not in known:
                raise problem.exception()
        self._change(changes)

    def _change(self, changes: Mapping[str, Any]) -> None:
        self._changes = {**self._changes, **changes}
        self._above = {key: given for key, given in self._above.items() if key not in changes}

    # Checking

    def validate(self) -> list[str]:
        """What is wrong, in words; empty if nothing is. Only `inspect()` gives a configuration with problems."""
        return [problem.message for problem in self._problems()]

    def repair(self) -> list[str]:
        """Set back whatever is wrong to its default, and say so. Nothing is written before `save()`."""
        said: list[str] = []
        while problems := self._problems():
            said.append(self._mend(problems[0]))
        return said

    def _problems(self) -> list[Problem]:
        problems = list(self._shape)
        for key in keys():
            if given := self._given(key):
                problems += config_rules.check(key, given.value)
        return problems or config_rules.check_together(dict(self))

    def _mend(self, problem: Problem) -> str:
        self._shape = [other for other in self._shape if other != problem]
        given = self._given(problem.key)
        if problem.other and given is None:
            self._change({problem.other: REMOVED})
            return f"{problem.other} was set back to its default: {problem.message}"
        kept = config_rules.without(problem, given.value) if given else None
        if kept is None:
            self._change({problem.key: REMOVED})
            return f"{problem.key} was set back to its default: {problem.message}"
        self._change({problem.key: kept})
        return f"{problem.label} was left out: {problem.message}"

    # Files

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Config:
        """What the file says, and nothing else. ConfigError if it cannot be read or any value is refused."""
        config = cls.inspect(path)
        config._raise_problems()
        return config

    @classmethod
    def load_or_create(cls, path: str | os.PathLike[str]) -> Config:
        """The same; a file with hints and no settings is made where there is none."""
        place = _absolute(path)
        if not place.exists():
            config_file.make(place)
        return cls.load(place)

    @classmethod
    def inspect(cls, path: str | os.PathLike[str]) -> Config:
        """Like `load`, but with values that are refused: for `validate()` and `repair()`."""
        return cls._from_text(config_file.read(_absolute(path)), None)

    @classmethod
    def in_force(
        cls,
        path: str | os.PathLike[str],
        *,
        environ: Mapping[str, str] = os.environ,
        settings: Iterable[str] = (),
        instance: str | None = None,
    ) -> Config:
        """All layers together. A file that is not there counts as empty.

        One that is broken, or gone, is replaced by its last good copy if there is one; `fallback_reason` says why, and
        of when that is, `fallback_remedy` what to do.
        """
        place = _absolute(path)
        try:
            config = cls._from_text(config_file.read_if_there(place), instance)
            config._raise_problems()
        except (ConfigError, NoPermission) as error:
            config = cls._last_good(place, error, instance)
        environment = from_environment(environ)
        config.warnings += environment.warnings
        config._put_above({**environment.values, **from_settings(settings)})
        return config

    @classmethod
    def load_for_start(
        cls,
        path: str | os.PathLike[str],
        *,
        environ: Mapping[str, str] = os.environ,
        settings: Iterable[str] = (),
        instance: str | None = None,
    ) -> Config:
        """`in_force`, for the start of a service: a file that is good is kept as the last good copy.

        One with warnings is not: a mistyped key would be in the copy for good.
        """
        config = cls.in_force(path, environ=environ, settings=settings, instance=instance)
        place = _absolute(path)
        if config.fallback_reason is None and not config.file_warnings and place.exists():
            try:
                config_file.keep_last_good(place, config._text)
            except OSError as error:
                _log.warning("no last good copy of %s could be kept beside it: %s", path, error.strerror)
        return config

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, instance: str | None = None) -> Config:
        """From nested or dotted values. ConfigError if any is refused."""
        return cls(values, instance=instance)

    @property
    def run_name(self) -> str | None:
        """What a service with this configuration is called among its files in the run folder."""
        spool_dir = self._above.get("spool_dir")
        return run_name(self.instance, self.path, str(spool_dir.value) if spool_dir else None)

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write what was set here into the file, as it is now on the disk; comments and other keys stay.

        To another path, the file is copied there with the changes. Values of the environment and the command line
        are never written.
        """
        target = _absolute(path) if path is not None else self.path
        if target is None:
            raise ConfigError("this configuration came from no file", remedy="Say where: save(path)")
        self._raise_problems()
        in_place = target == self.path and target.exists()
        old = config_file.read(target) if in_place else config_file.parse(target, self._text)
        new = config_file.changed(old, self._changes)
        after = self._from_text(new, self.instance)
        after._raise_problems()
        config_file.write(target, new.text, is_good=not after.file_warnings)
        self.path, self.fallback_reason = target, None
        self.warnings, self.file_warnings = after.warnings, after.file_warnings
        self._text, self._file, self._changes = after._text, after._file, {}

    # Inside

    @classmethod
    def _from_text(cls, text: Text, instance: str | None) -> Config:
        config = cls(instance=instance)
        config.path, config._text = text.path, text.text
        dotted = [name for name in text.document if "." in name]  # "a.b" = 1 in quotes is not a.b = 1
        flat = flatten({name: value for name, value in text.document.items() if name not in dotted})
        config._file, config._shape = flat.known, flat.problems
        fields: list[str] = []
        if "watch" in config._file:
            config._file["watch"], fields = config_rules.split_watch(config._file["watch"])
        for key in [*dotted, *flat.unknown, *fields]:
            error = unknown_key(key)
            config.file_warnings.append(f"{text.path}: {error.message}; it was ignored. {error.remedy}")
        config.warnings += config.file_warnings
        return config

    @classmethod
    def _last_good(cls, path: Path, broken: DropsafeError, instance: str | None) -> Config:
        try:
            config = cls._from_text(config_file.read(last_good_path(path)), instance)
            config._raise_problems()
        except (ConfigError, NoPermission):
            raise broken from None
        config.path = path
        config.fallback_reason = f"{broken.message}. In force instead: the last good copy, of {kept_since(path)}."
        config.fallback_remedy = broken.remedy
        if path.exists():
            config.fallback_remedy += f" Or take the last good copy again: {put_back(path)}"
        return config

    def _put_above(self, values: Mapping[str, Given]) -> None:
        for key, given in values.items():
            for problem in config_rules.check(key, given.value):
                raise blamed(problem.exception(), given.origin)
        self._above = {**self._above, **values}
        for problem in self._problems():
            raise blamed(problem.exception(), " and ".join(dict.fromkeys(given.origin for given in values.values())))

    def _find(self, key: str) -> Given | None:
        return self._given(key) or self._default(key)

    def _given(self, key: str) -> Given | None:
        if given := self._above.get(key):
            return given
        if key in self._changes:
            value = self._changes[key]
            return None if value is REMOVED else Given(value, "set by this program")
        return Given(self._file[key], f"file {self.path}") if key in self._file else None

    def _default(self, key: str) -> Given | None:
        spec = keys().get(key)
        if spec is not None and spec.has_default:
            return Given(spec.default, "default")
        if key == "spool_dir":
            if key not in self._at_run_time:
                places = default_places(self.instance)
                self._at_run_time[key] = Given(str(places.spool_dir), f"default ({places.reason})")
        elif key == "ipc.address":
            if key not in self._at_run_time:
                places = default_places(self.instance)
                address = ipc_address(places, self.run_name)
                self._at_run_time[key] = Given(address, f"default ({places.reason})")
        elif key == "station_name":
            self._at_run_time.setdefault(key, Given(_host_name(), "default (the computer's name)"))
        return self._at_run_time.get(key)

    def _raise_problems(self) -> None:
        problems = self._problems()
        if not problems:
            return
        prefix = f"{self.path}: " if self.path else ""
        raise problems[0].error(
            prefix + "; ".join(problem.message for problem in problems),
            remedy=problems[0].remedy or "Mend it; `dropsafe config check` tells when all is right.",
        )


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(path))


def _host_name() -> str:
    """The host's name, as far as it can be a station's."""
    name = "".join(letter if letter.isprintable() and letter != " " else "-" for letter in socket.gethostname())
    return name[:64] or "unnamed"


def _how_to_set(key: str) -> str:
    example = keys()[key].schema.get("x-example", "…")
    return f"For example: dropsafe config set {key} {example}"
