"""The methods of the IPC as the schema has them: what each takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from dropsafe.schemas import load_schema
from dropsafe.schemas.quick import is_plainly_right

_BOUNDS = ("type", "maxItems", "maxProperties", "maxLength")
"""Checked first: what is too long is not looked through."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One method: the schemas of its parameters and of its result, whole, without references."""

    description: str
    params: Mapping[str, Any]
    result: Mapping[str, Any]


@cache
def shapes() -> Mapping[str, Shape]:
    """By the methods' names, in the schema's order."""
    schema = load_schema("ipc")
    whole = {name: _whole(method, schema["$defs"]) for name, method in schema["methods"].items()}
    return {name: Shape(method["description"], method["params"], method["result"]) for name, method in whole.items()}


def wrong(schema: Mapping[str, Any], value: object) -> str:
    """What is wrong with it, in the words of jsonschema; empty if nothing is."""
    if is_plainly_right(schema, value):
        return ""
    from jsonschema import Draft202012Validator

    # The first error alone. To find them all takes jsonschema an hour for a list of a megabyte that somebody made for it.
    error = next(Draft202012Validator(schema).iter_errors(value), None)
    if error is None:
        return ""
    place = ".".join(map(str, error.absolute_path))
    return f"{place}: {error.message[:200]}" if place else error.message[:200]


def _whole(part: Any, defs: Mapping[str, Any]) -> Any:
    if isinstance(part, list):
        return [_whole(item, defs) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _whole(defs[part["$ref"].rpartition("/")[2]], defs)
    return {name: _whole(part[name], defs) for name in sorted(part, key=lambda name: name not in _BOUNDS)}
