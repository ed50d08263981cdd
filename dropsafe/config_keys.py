"""The keys that a configuration may have, taken from the schema, and what to say of one that does not exist. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from dropsafe.errors import UnknownKey
from dropsafe.schemas import load_schema


@dataclass(frozen=True, slots=True)
class Key:
    """One key, by its dotted name, and what the schema says of it."""

    name: str
    schema: dict[str, Any]

    @property
    def has_default(self) -> bool:
        return "default" in self.schema

    @property
    def default(self) -> Any:
        """A copy, so that nobody changes the schema by changing a value."""
        return plain(self.schema["default"])


@cache
def keys() -> dict[str, Key]:
    """Every key by its dotted name, in the schema's order."""
    return dict(_walk(load_schema("config"), ""))


def _walk(schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Key]]:
    for name, part in schema["properties"].items():
        if "properties" in part:
            yield from _walk(part, f"{prefix}{name}.")
        else:
            yield prefix + name, Key(prefix + name, part)


@cache
def sections() -> frozenset[str]:
    """The tables that hold keys: `destination`, `log`."""
    return frozenset(name.rpartition(".")[0] for name in keys() if "." in name)


def watch_fields() -> dict[str, dict[str, Any]]:
    """The fields of a [[watch]] table, and what the schema says of each."""
    fields: dict[str, dict[str, Any]] = keys()["watch"].schema["items"]["properties"]
    return fields


def plain(value: Any) -> Any:
    """A deep copy made of nothing but built-in types, as far as the value allows it."""
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {plain(name): plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def filled(key: str, value: Any) -> Any:
    """The value as it is read: a copy, the tables of `watch` with every field that has a default."""
    if key != "watch" or not isinstance(value, list):
        return plain(value)
    defaults = {name: part["default"] for name, part in watch_fields().items() if "default" in part}
    return [plain({**defaults, **item}) if isinstance(item, dict) else plain(item) for item in value]


HOW_TO_WATCH = (
    "Write one table for each folder into the configuration file (`dropsafe config path` tells where it is):\n"
    '    [[watch]]\n    path = "/data/reports"'
)


def unknown_key(key: str) -> UnknownKey:
    """The error for a key that does not exist."""
    if key.startswith("watch.") and key.removeprefix("watch.") in watch_fields():
        return UnknownKey(
            f"{key} is a field of a [[watch]] table, of which there may be several: it cannot be set by itself",
            remedy=HOW_TO_WATCH,
        )
    close = nearest(key)
    remedy = f"Did you mean {close}?" if close else "`dropsafe config schema` lists every key."
    return UnknownKey(f"there is no configuration key {key}", remedy=remedy)


def nearest(key: str) -> str | None:
    """The known key that was most likely meant."""
    import difflib

    names = [*keys(), *sections(), *(f"watch.{name}" for name in watch_fields())]
    if same_leaf := [name for name in names if name.rpartition(".")[2] == key.rpartition(".")[2]]:
        return same_leaf[0]
    return next(iter(difflib.get_close_matches(key.lower(), names, n=1)), None)
