"""Values that stand above the file for one run: the environment's and those of `--set`.

A value is read as TOML; what is no TOML is text. A key that holds text takes any single value as it was typed, so
that `station_name=3` needs no quotes. Nothing here is ever written into a file, but by `init` into the one that it makes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dropsafe.config_keys import keys, nearest, sections, unknown_key
from dropsafe.errors import DropsafeError, UsageError
from dropsafe.paths import RUN_VARIABLE

PREFIX = "DROPSAFE_"
FILE_VARIABLE = "DROPSAFE_CONFIG"
SPOOL_VARIABLE = "DROPSAFE_SPOOL"


@dataclass(frozen=True, slots=True)
class Given:
    """A value and, in words, where it came from."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Environment:
    """What the environment sets, by key, and variables that look like ours but are not."""

    values: dict[str, Given]
    warnings: list[str]


def from_environment(environ: Mapping[str, str]) -> Environment:
    """Read DROPSAFE_SPOOL and DROPSAFE_<KEY>. An empty variable counts as not set."""
    import os

    by_variable = {variable_of(key): key for key in keys()}
    values: dict[str, Given] = {}
    warnings: list[str] = []
    for variable in sorted(environ):
        text = environ[variable]
        if not variable.startswith(PREFIX) or not text or variable in (FILE_VARIABLE, RUN_VARIABLE):
            continue
        if variable == SPOOL_VARIABLE:
            values.setdefault("spool_dir", Given(os.path.abspath(text), f"environment variable {variable}"))
        elif key := by_variable.get(variable):
            values[key] = Given(parse(key, text), f"environment variable {variable}")
        else:
            warnings.append(_unknown_variable(variable))
    return Environment(values, warnings)


def variable_of(key: str) -> str:
    """`destination.url` is set by DROPSAFE_DESTINATION__URL."""
    return PREFIX + key.upper().replace(".", "__")


def _unknown_variable(variable: str) -> str:
    close = nearest(variable.removeprefix(PREFIX).lower().replace("__", "."))
    hint = f"; did you mean {variable_of(close)}?" if close in keys() else ""
    return f"the environment variable {variable} is not known and was ignored{hint}"


def from_settings(settings: Iterable[str]) -> dict[str, Given]:
    """Read the arguments of `--set`, each `key=value`; a later one wins."""
    values: dict[str, Given] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            raise UsageError(f"--set needs key=value, not {setting!r}", remedy="For example: --set max_queue_size=5000")
        values[key] = Given(parse(key, text), "command line")
    return values


def parse(key: str, text: str) -> Any:
    """The value that `text` means for that key. UnknownKey where there is no such key."""
    if key not in keys():
        if key in sections():
            raise UsageError(f"{key} is a table; set its keys one by one", remedy=f"For example: {_first_key(key)}=…")
        raise unknown_key(key)
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = document.pop("value")
    if document:  # more lines than one: not a value, whatever it is
        return text
    if keys()[key].schema["type"] == "string" and not isinstance(value, str | list | dict):
        return text.strip()
    return value


def _first_key(section: str) -> str:
    return next(name for name in keys() if name.startswith(section + "."))


def blamed(error: DropsafeError, origin: str) -> DropsafeError:
    """The same error, saying where the value came from."""
    return type(error)(f"{error.message} (from the {origin})", remedy=error.remedy or None)
