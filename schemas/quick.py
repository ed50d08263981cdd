"""A quick yes to what is plainly right by a schema, without jsonschema, which takes longer to load than most commands.

Only the yes counts: anything else, also a keyword that is not known here, is for jsonschema to judge and to word.
"""

from __future__ import annotations

import math
import os.path
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_SAYS_NOTHING: Final = frozenset(
    {"default", "description", "x-default", "x-example", "x-hidden", "x-refused", "x-shape", "x-unit"}
)

_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: _TYPES["integer"](value) or (isinstance(value, float) and math.isfinite(value)),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}

# (what the schema says, the value, which is of the schema's type) → whether that is kept
_RULES: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "minimum": lambda low, value: value >= low,
    "maximum": lambda high, value: value <= high,
    "enum": lambda choices, value: value in choices,
    "minLength": lambda least, value: len(value) >= least,
    "maxLength": lambda most, value: len(value) <= most,
    "pattern": lambda pattern, value: re.search(pattern, value) is not None,
    "format": lambda name, value: name == "absolute-path" and os.path.isabs(value),
    "minItems": lambda least, value: len(value) >= least,
    "maxItems": lambda most, value: len(value) <= most,
    "uniqueItems": lambda _, value: all(item not in value[:index] for index, item in enumerate(value)),
    "minProperties": lambda least, value: len(value) >= least,
    "maxProperties": lambda most, value: len(value) <= most,
    "propertyNames": lambda _, value: not value,
    "items": lambda schema, value: all(is_plainly_right(schema, item) for item in value),
    "required": lambda names, value: all(name in value for name in names),
}


def is_plainly_right(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether the value is certainly right. False says nothing."""
    kind = schema.get("type")
    if isinstance(kind, list):
        return any(is_plainly_right({**schema, "type": one}, value) for one in kind)
    if not isinstance(kind, str) or kind not in _TYPES or not _TYPES[kind](value):
        return False
    if value is None:
        return "enum" not in schema
    rules = {name: rule for name, rule in schema.items() if name not in _SAYS_NOTHING}
    del rules["type"]
    if kind == "object" and "additionalProperties" in rules and not _are_plainly_right(rules, value):
        return False
    return all(name in _RULES and _RULES[name](rule, value) for name, rule in rules.items())


def _are_plainly_right(rules: dict[str, Any], value: Mapping[str, Any]) -> bool:
    """Whether each part of a table is; takes the rules about them out of `rules`."""
    others, fields = rules.pop("additionalProperties"), rules.pop("properties", {})
    return all(
        is_plainly_right(fields[name], item)
        if name in fields
        else others is True or (isinstance(others, dict) and is_plainly_right(others, item))
        for name, item in value.items()
    )
