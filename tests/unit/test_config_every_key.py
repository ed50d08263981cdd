"""Every key of the schema refuses every kind of bad value, on every way a value can come in.

The cases are derived from the schema; a key for which none can be derived fails.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from dropsafe.cli.main import main
from dropsafe.config import Config
from dropsafe.config_keys import keys, watch_fields
from dropsafe.config_rules import check
from dropsafe.errors import BadValue, ConfigError, WrongType

ROOT = os.path.abspath(os.sep)
FOLDER = os.path.join(ROOT, "data")
OF_EACH_TYPE: dict[str, list[Any]] = {
    "string": ["text", ""],
    "integer": [5, -1],
    "number": [0.5],
    "boolean": [True, False],
    "array": [["a"], []],
    "object": [{"a": 1}],
}
ALSO_WRONG: dict[str, list[Any]] = {"integer": [5.0, "5", math.nan], "number": [math.nan, math.inf, -math.inf, "5"]}
STRANGE_TEXTS = [
    "",
    " ",
    "a\nb",
    "a\r\nX: y",
    "nul\x00",
    "trailing\n",
    "relative/path",
    "ftp://host/",
    "x" * 5000,
    "é\udc80",
]


@dataclass(frozen=True)
class Case:
    """A bad value as it is given for a top-level key, and the error it must meet."""

    kind: str
    key: str
    value: Any
    error: type[ConfigError]

    def __str__(self) -> str:
        return f"{self.key}-{self.kind}-{self.value!r:.40}"


def wrong_types(schema: dict[str, Any]) -> list[Any]:
    own = schema["type"]
    accepted = {own} | ({"integer"} if own == "number" else set())
    return [
        v
        for kind, values in OF_EACH_TYPE.items()
        if kind not in accepted
        for v in values
        if kind != "number" or own != "number"
    ] + [
        *ALSO_WRONG.get(own, []),
        None,
    ]


def out_of_range(schema: dict[str, Any]) -> list[Any]:
    values: list[Any] = []
    if "minimum" in schema:
        values.append(schema["minimum"] - 1)
    if "maximum" in schema:
        values += [schema["maximum"] + 1, 10**400]
    if "enum" in schema:
        values += ["no such choice", schema["enum"][0].upper() + " ", ""]
    if "maxLength" in schema:
        values.append("x" * (schema["maxLength"] + 1))
    if "items" in schema and "minimum" in schema["items"]:
        values += [[bad] for bad in out_of_range(schema["items"])]
        values.append([])
        values.append([schema["items"]["minimum"]] * 2)
    return values


def malformed(schema: dict[str, Any]) -> list[Any]:
    if "pattern" not in schema:
        return []
    bad = [text for text in STRANGE_TEXTS if not re.search(schema["pattern"], text)]
    if schema.get("format") == "absolute-path":
        bad += ["relative/path", "./x"]
    return bad


def cases_of(key: str, schema: dict[str, Any], wrap: Any = lambda value: value) -> list[Case]:
    found = [Case("type", key, wrap(value), WrongType) for value in wrong_types(schema)]
    ranged = [Case("range", key, wrap(value), BadValue) for value in out_of_range(schema)]
    shaped = [Case("shape", key, wrap(value), BadValue) for value in malformed(schema)]
    assert found, f"no wrong type for {key}"
    if schema["type"] != "boolean":
        assert ranged or shaped, f"nothing out of range or malformed could be derived for {key}"
    return found + ranged + shaped


def all_cases() -> list[Case]:
    cases: list[Case] = []
    for name, key in keys().items():
        if name == "watch":
            cases += [Case("type", name, value, WrongType) for value in wrong_types(key.schema) if value != ["a"]]
            cases += [Case("type", name, [value], WrongType) for value in ("text", 5, True, [], None)]
            cases += [Case("shape", name, [{}], BadValue), Case("range", name, [{"path": FOLDER}] * 257, BadValue)]
            for field, schema in watch_fields().items():
                cases += cases_of(name, schema, lambda value, field=field: [{"path": FOLDER, field: value}])
        elif name in ("destination.headers", "destination.secret_headers"):
            cases += [Case("type", name, value, WrongType) for value in wrong_types(key.schema)]
            cases += cases_of(name, key.schema["additionalProperties"], lambda value: {"X-Site": value})
            names = [
                *malformed(key.schema["propertyNames"]),
                "Host",
                "IDEMPOTENCY-KEY",
                "Proxy-Authorization",
                "x-dropsafe-id",
            ]
            if name == "destination.headers":
                names += ["Authorization", "X-Api-Key", "x-auth-TOKEN"]
            cases += [Case("shape", name, {header: "/x"}, BadValue) for header in names]
            cases.append(Case("range", name, {f"X-{number}": "/x" for number in range(33)}, BadValue))
        else:
            cases += cases_of(name, key.schema)
    return cases


def literal(value: Any) -> str:
    """The value as TOML on one line."""
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        inline.update(value)
        return inline.as_string()
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return str(tomlkit.item(value).as_string())


def can_be_toml(value: Any) -> bool:
    """TOML has no null and no lone surrogates."""
    if isinstance(value, dict):
        return all(can_be_toml(part) for part in [*value, *value.values()])
    if isinstance(value, list):
        return all(map(can_be_toml, value))
    return value is not None and not (isinstance(value, str) and "\udc80" in value)


def can_be_typed(case: Case) -> bool:
    """A key that holds text takes any single value as it was typed; only a list or a table is of another type."""
    holds_text = keys()[case.key].schema["type"] == "string"
    return not (case.kind == "type" and holds_text) or isinstance(case.value, list | dict)


CASES = all_cases()
TOML_CASES = [case for case in CASES if can_be_toml(case.value)]
TYPED_CASES = [case for case in TOML_CASES if can_be_typed(case)]


def refused(case: Case, config: Config, action: Any) -> None:
    before = config.to_dict()
    with pytest.raises(case.error) as caught:
        action()
    assert case.key in caught.value.message
    assert isinstance(caught.value, TypeError if case.error is WrongType else ValueError)
    assert config.to_dict() == before


@pytest.mark.parametrize("cases", [CASES, TOML_CASES, TYPED_CASES], ids=["program", "file", "command line"])
def test_every_key_of_the_schema_has_cases_of_every_kind_that_applies(cases: list[Case]) -> None:
    kinds: dict[str, set[str]] = {}
    for case in cases:
        kinds.setdefault(case.key, set()).add(case.kind)
    assert kinds.keys() == keys().keys()
    for key, found in kinds.items():
        assert "type" in found
        assert keys()[key].schema["type"] == "boolean" or found > {"type"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_item_assignment_and_set_and_update_refuse_it(case: Case) -> None:
    config = Config()
    section, _, name = case.key.rpartition(".")
    refused(case, config, lambda: config.__setitem__(case.key, case.value))
    refused(case, config, lambda: config.set(case.key, case.value))
    refused(case, config, lambda: config.update({"max_queue_bytes": 7, case.key: case.value}))
    if section:
        refused(case, config, lambda: config.update({"max_queue_bytes": 7, section: {name: case.value}}))
    with pytest.raises(case.error):
        Config.from_dict({case.key: case.value})


@pytest.mark.parametrize("case", TOML_CASES, ids=str)
def test_load_refuses_it(case: Case, tmp_path: Path) -> None:
    text = literal(case.value)
    section, _, name = case.key.rpartition(".")
    file = tmp_path / "dropsafe.toml"
    file.write_text(f"[{section}]\n{name} = {text}\n" if section else f"{name} = {text}\n", encoding="utf-8")
    with pytest.raises(case.error) as caught:
        Config.load(file)
    assert str(file) in caught.value.message
    assert case.key in caught.value.message
    assert Config.inspect(file).validate()


@pytest.mark.parametrize("case", TYPED_CASES, ids=str)
def test_the_command_line_and_the_environment_refuse_it(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = literal(case.value)
    file = tmp_path / "dropsafe.toml"
    file.touch()
    assert main(["--config", str(file), "--set", f"{case.key}={text}", "config", "get"]) == 78
    error = capsys.readouterr().err
    assert case.key in error
    assert "Traceback" not in error
    variable = "DROPSAFE_" + case.key.upper().replace(".", "__")
    with pytest.raises(case.error, match=variable):
        Config.in_force(file, environ={variable: text})


@pytest.mark.parametrize("key", keys())
def test_the_default_the_example_and_both_ends_of_the_range_are_allowed(key: str) -> None:
    schema = keys()[key].schema
    good = [schema[word] for word in ("default", "x-example", "minimum", "maximum") if word in schema]
    for value in [*good, *schema.get("enum", [])]:
        assert check(key, value) == []


def test_oldest_first_is_refused_with_the_reason() -> None:
    with pytest.raises(BadValue) as caught:
        Config()["queue_full_action"] = "oldest_first"
    assert "deletes nothing" in caught.value.remedy


def test_a_secret_in_a_header_is_refused_and_the_message_says_where_it_belongs() -> None:
    with pytest.raises(BadValue, match="token_file"):
        Config()["destination.headers"] = {"Authorization": "Bearer abc"}
