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
    "maxProperties": lambda most, value: len(value) <= most,
    "propertyNames": lambda _, value: not value,
    "additionalProperties": lambda _, value: not value,
    "items": lambda schema, value: all(is_plainly_right(schema, item) for item in value),
    "required": lambda names, value: all(name in value for name in names),
}


def is_plainly_right(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether the value is certainly right. False says nothing."""
    rules = {name: rule for name, rule in schema.items() if name not in _SAYS_NOTHING}
    kind = rules.pop("type", None)
    if kind not in _TYPES or not _TYPES[kind](value):
        return False
    if rules.get("additionalProperties") is False:
        del rules["additionalProperties"]
        fields = rules.pop("properties", {})
        if not all(name in fields and is_plainly_right(fields[name], item) for name, item in value.items()):
            return False
    return all(name in _RULES and _RULES[name](rule, value) for name, rule in rules.items())
