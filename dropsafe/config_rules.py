"""What a configuration may say: how values are sorted out by key, and the checks of one value and of several together.

Everything here is a pure function of its arguments; a finding is returned as a `Problem` in words, never raised.
"""

from __future__ import annotations

import datetime
import json
import math
import os.path
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from dropsafe.config_keys import HOW_TO_WATCH, keys, plain, sections, watch_fields
from dropsafe.errors import BadValue, ConfigError, UnknownKey, WrongType
from dropsafe.schemas.quick import is_plainly_right

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a table",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: with which key (and where within its value, or with which other), as which error, in words."""

    key: str
    error: type[ConfigError]
    message: str
    inner: tuple[str | int, ...] = ()
    remedy: str | None = None
    other: str = ""

    @property
    def label(self) -> str:
        return label(self.key, self.inner)

    def exception(self) -> ConfigError:
        return self.error(self.message, remedy=self.remedy)


@dataclass(slots=True)
class Flat:
    """A nested table by dotted keys: the known ones, the names of the others, and sections that are no tables."""

    known: dict[str, Any] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def flatten(values: Mapping[Any, Any], prefix: str = "") -> Flat:
    """Sort a table with nested sections out by dotted keys. Values are not looked at."""
    flat = Flat()
    for name, value in values.items():
        if not isinstance(name, str):
            flat.problems.append(Problem(prefix, WrongType, f"a key must be text, not {describe(name)}"))
            continue
        key = prefix + name
        if key in keys():
            flat.known[key] = plain(value)
        elif key not in sections():
            flat.unknown.append(key)
        elif not isinstance(value, Mapping):
            flat.problems.append(Problem(key, WrongType, f"{key} must be a table, not {describe(value)}"))
        else:
            inner = flatten(value, key + ".")
            flat.known |= inner.known
            flat.unknown += inner.unknown
            flat.problems += inner.problems
    return flat


def split_watch(value: Any) -> tuple[Any, list[str]]:
    """The value of `watch` without fields that the schema does not know, and the names of those."""
    unknown: list[str] = []
    if not isinstance(value, list):
        return value, unknown
    kept: list[Any] = []
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            kept.append(item)
            continue
        unknown += [f"watch[{index}].{name}" for name in item if name not in watch_fields()]
        kept.append({name: part for name, part in item.items() if name in watch_fields()})
    return kept, unknown


def check(key: str, value: Any) -> list[Problem]:
    """What is wrong with this value for that (known) key, taken alone: one finding for each place in it."""
    if is_plainly_right(keys()[key].schema, value):
        return []
    found: dict[str, Problem] = {}
    for error in _validator(key).iter_errors(value):
        problem = _problem(key, error)
        found.setdefault(problem.label, problem)
    return list(found.values())


def check_together(values: Mapping[str, Any]) -> list[Problem]:
    """What is wrong between values, each of which is right alone. `values` holds every key that has a value."""
    problems = [
        Problem(high, BadValue, f"{high} ({values[high]}) must not be less than {low} ({values[low]})", other=low)
        for low, high in (
            ("retention_days", "receipt_retention_days"),
            ("destination.backoff_min", "destination.backoff_max"),
            ("destination.breaker_min", "destination.breaker_max"),
        )
        if values[high] < values[low]
    ]
    url = values.get("destination.url")
    if values["destination.method"] == "PUT" and url is not None and "{id}" not in url and "{name}" not in url:
        message = "destination.url must hold {id} or {name} when the method is PUT; else each report replaces the last"
        problems.append(Problem("destination.method", BadValue, message))
    problems += _check_credentials(values)
    return problems + list(_check_watches(values["watch"], values["spool_dir"]))


_NEEDS = (
    ("username", "password_file"),
    ("client_key", "client_cert"),
    ("client_key_password_file", "client_cert"),
    ("proxy_username", "proxy_password_file"),
    ("proxy_username", "proxy"),
)
"""Of the destination's keys: the first means nothing without the second, which can be set before it."""


def _check_credentials(values: Mapping[str, Any]) -> Iterator[Problem]:
    def is_set(name: str) -> bool:
        return f"destination.{name}" in values

    for name, needed in _NEEDS:
        if is_set(name) and not is_set(needed):
            message = f"destination.{name} means nothing without destination.{needed}"
            yield Problem(f"destination.{name}", BadValue, message, remedy=f"Set destination.{needed} first.")
    if is_set("token_file") and is_set("username"):
        message = "destination.token_file and destination.username cannot both be sent: a request has one Authorization"
        yield Problem("destination.username", BadValue, message)
    plainly = {name.lower() for name in values["destination.headers"]}
    for name in values["destination.secret_headers"]:
        if name.lower() in plainly:
            message = f"destination.secret_headers.{name} stands in destination.headers as well"
        elif name.lower() == "authorization" and (is_set("token_file") or is_set("username")):
            message = "destination.secret_headers.Authorization cannot be sent beside a token_file or username"
        else:
            continue
        yield Problem("destination.secret_headers", BadValue, message, (name,))


def _check_watches(watches: list[dict[str, Any]], spool_dir: str) -> Iterator[Problem]:
    for index, watch in enumerate(watches):
        where = f"watch[{index}]"
        if within(watch["path"], spool_dir) or (watch["recursive"] and within(spool_dir, watch["path"])):
            message = f"{where}.path ({watch['path']}) and the spool ({spool_dir}) must not hold one another"
            yield Problem("watch", BadValue, message, (index,))
        target = moved_to(watch)
        if target is not None and any(_takes_from(other, target) for other in watches):
            message = f"{where}.after would move files to {target}, from where they would be taken again"
            yield Problem("watch", BadValue, message, (index, "after"))


def without(problem: Problem, value: Any) -> Any | None:
    """The value without its part that is wrong; None if all of it has to go."""
    rest = plain(value)
    match problem.inner:
        case (int() as index, str() as name) if problem.key == "watch" and "default" in watch_fields().get(name, {}):
            del rest[index][name]
        case (int() as index, *_) if problem.key == "watch":
            del rest[index]
        case (str() as name, *_) if problem.key in ("destination.headers", "destination.secret_headers"):
            rest = {header: text for header, text in rest.items() if str(header) != name}
        case _:
            return None
    return rest


def moved_to(watch: Mapping[str, Any]) -> str | None:
    """The folder that sources of this watched folder are moved to, if they are moved."""
    kind, _, folder = watch["after"].partition(":")
    return os.path.join(watch["path"], folder) if kind == "move" else None


def _takes_from(watch: Mapping[str, Any], folder: str) -> bool:
    if watch["recursive"]:
        return within(folder, watch["path"])
    return _normal(folder) == _normal(watch["path"])


def within(path: str, folder: str) -> bool:
    """Whether `path` is that folder or lies in it, by the names alone."""
    try:
        return os.path.commonpath([_normal(path), _normal(folder)]) == _normal(folder)
    except ValueError:  # two drives of Windows
        return False


def _normal(path: str) -> str:
    return os.path.normcase(os.path.normpath(path))


def label(key: str, inner: tuple[str | int, ...]) -> str:
    """`watch[0].path`, `destination.headers.X-Site`: a place within a value, for people."""
    return key + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in inner)


def describe(value: Any) -> str:
    """A value as a technician would write it, cut if it is long."""
    if value is None:
        return "nothing"
    if isinstance(value, datetime.date | datetime.time):
        return f"the date or time {value}"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return f"a value of the type {type(value).__name__}"
    return text if len(text) <= 80 else text[:79] + "…"


def _described(key: str, value: Any) -> str:
    """A refused value, unless it may be a secret that somebody put into the wrong place."""
    if "x-hidden" in keys()[key].schema or "@" in str(value):
        return "what you gave (not shown, for it may hold a secret)"
    return describe(value)


def _problem(key: str, error: ValidationError) -> Problem:
    inner = tuple(error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        inner = (*inner, str(error.instance))
    rule: Any = error.validator_value
    found: Any = error.instance
    where, value = label(key, inner), _described(key, found)
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    remedy = None
    match error.validator:
        case "type" if where == "watch":
            text = f"watch is not a single value ({value}): each watched folder has a table of its own in the file"
            return Problem(key, WrongType, text, inner, HOW_TO_WATCH)
        case "type":
            return Problem(key, WrongType, f"{where} must be {KINDS[str(rule)]}, not {value}", inner)
        case "additionalProperties":
            names = [name for name in found if name not in schema["properties"]]
            return Problem(key, UnknownKey, f"{where} has no key {names[0]}", inner, f"Known: {_listed(schema)}.")
        case "required":
            return Problem(key, BadValue, f"{where} has no {' or '.join(rule)}", inner)
        case "minimum" | "maximum":
            low, high, unit = schema["minimum"], schema["maximum"], schema.get("x-unit", "")
            text = f"{where} must be between {low} and {high} {unit}".rstrip() + f", not {value}"
        case "enum":
            text = f"{where} must be one of {', '.join(map(str, rule))}, not {value}"
            remedy = schema.get("x-refused", {}).get(str(found))
        case "pattern" | "format" | "minLength" if "x-shape" in schema:
            text = f"{where} must be {schema['x-shape']}; it is {value}"
        case "maxLength":
            text = f"{where} must be at most {rule} characters long, not {len(found)}"
        case "minItems":
            text = f"{where} must not be empty"
        case "maxItems" | "maxProperties":
            text = f"{where} must have at most {rule} items, not {len(found)}"
        case "uniqueItems":
            text = f"{where} must not say the same twice; it is {value}"
        case _:  # x-reserved says it in words of its own
            text = f"{where}: {error.message}"
    return Problem(key, BadValue, text, inner, remedy)


def _listed(schema: Mapping[str, Any]) -> str:
    return ", ".join(schema["properties"])


@cache
def _validator(key: str) -> Validator:
    validator: Validator = _validator_class()(keys()[key].schema, format_checker=_formats())
    return validator


@cache
def _validator_class() -> Any:
    # Imported when a value is first in doubt: it takes longer than everything else at a start.
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                not isinstance(value, bool)
                and (isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)))
            ),
        }
    )
    return extend(Draft202012Validator, {"x-reserved": _reserved}, type_checker=types)  # type: ignore[no-untyped-call]


@cache
def _formats() -> Any:
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())
    checker.checks("absolute-path")(lambda value: not isinstance(value, str) or os.path.isabs(value))
    return checker


def _reserved(_: Any, rule: Mapping[str, list[str]], name: Any, __: Any) -> Iterator[ValidationError]:
    """The schema's keyword x-reserved: header names that are not for the configuration, in any case."""
    from jsonschema.exceptions import ValidationError

    lower = str(name).lower()
    if lower in rule["names"] or lower.startswith(tuple(rule["prefixes"])):
        yield ValidationError("Dropsafe sets this header itself")
    elif lower in rule["secret"] or not set(rule["secret_words"]).isdisjoint(lower.split("-")):
        yield ValidationError(
            "a secret does not belong in the configuration; put it into a file, and name that in destination.token_file, "
            "password_file, secret_headers or proxy_password_file"
        )
