"""Faults on order: what the receiver does wrong on purpose, and to which requests.

Pure: it decides, the application carries out. A fault strikes by chance (`rate`, repeatable by `seed`) or by count
(`every_nth`). A request is asked about at the stage where the fault would act, and only there is it counted: of every
ten acknowledgements that would have gone out, `cut_after` with `every_nth` 10 swallows exactly one.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dropsafe.errors import UsageError


class Fault(StrEnum):
    """In the order in which a request meets them."""

    LATENCY = "latency"
    """Waits before it reads the body."""
    CUT_BEFORE = "cut_before"
    """Drops the connection without reading the body."""
    ERROR = "error"
    """Answers with a status of 400 to 599 and stores nothing."""
    CUT_DURING = "cut_during"
    """Drops the connection when half of the body is read."""
    CUT_AFTER = "cut_after"
    """Stores the report, then drops the connection instead of answering: the lost acknowledgement."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One figure of a rule: its bounds, and whether it is a whole number."""

    least: float
    most: float
    whole: bool = False

    def __str__(self) -> str:
        return f"a {'whole ' if self.whole else ''}number from {self.least:g} to {self.most:g}"


_RATE = _Member(0, 1)
_EVERY_NTH = _Member(1, 1_000_000_000, whole=True)
_SEED = _Member(0, 2**63 - 1, whole=True)
_OWN: Mapping[Fault, tuple[str, _Member]] = {
    Fault.LATENCY: ("seconds", _Member(0, 3600)),
    Fault.ERROR: ("status", _Member(400, 599, whole=True)),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """When a fault strikes, and the figure it needs (seconds, status)."""

    rate: float = 1.0
    every_nth: int = 0
    seconds: float = 0.0
    status: int = 0


class FaultsRefused(UsageError):
    """The order makes no sense. The faults in force stay as they were."""

    title = "These faults cannot be set"


class Faults:
    """The faults in force. `struck` counts what they did since the start."""

    def __init__(self, document: Mapping[str, Any] | None = None) -> None:
        self._seed = 0
        self._active: dict[Fault, _Active] = {}
        self.struck: dict[Fault, int] = {}
        if document:
            self.replace(document)

    def __bool__(self) -> bool:
        return bool(self._active)

    def replace(self, document: Any) -> None:
        """Put these faults in force and no others; `{}` ends them all. Raises FaultsRefused."""
        rules, seed = _read(document)
        self._seed = seed or 0
        self._active = {fault: _Active(rule, fault, self._seed) for fault, rule in rules.items() if rule is not None}

    def patch(self, document: Any) -> None:
        """Put these faults in force and keep the others; null ends one. Raises FaultsRefused."""
        rules, seed = _read(document)
        self._seed = self._seed if seed is None else seed
        for fault, rule in rules.items():
            if rule is None:
                self._active.pop(fault, None)
            else:
                self._active[fault] = _Active(rule, fault, self._seed)

    def to_dict(self) -> dict[str, Any]:
        """What is in force, in the form that `replace` takes."""
        rules: dict[str, Any] = {
            fault.value: _document(fault, active.rule) for fault, active in sorted(self._active.items())
        }
        return rules | ({"seed": self._seed} if self._seed else {})

    def strikes(self, fault: Fault) -> Rule | None:
        """The rule, if this request is to suffer the fault. Counts the request."""
        active = self._active.get(fault)
        if active is None or not active.strikes():
            return None
        self.struck[fault] = self.struck.get(fault, 0) + 1
        return active.rule


class _Active:
    """A rule with its own count and its own chance, so that faults do not disturb each other's sequence."""

    __slots__ = ("_met", "_random", "rule")

    def __init__(self, rule: Rule, fault: Fault, seed: int) -> None:
        self.rule = rule
        self._met = 0
        self._random = random.Random(f"{seed} {fault}")  # noqa: S311 - it has to be repeatable, not secret

    def strikes(self) -> bool:
        self._met += 1
        if self.rule.every_nth:
            return self._met % self.rule.every_nth == 0
        return self._random.random() < self.rule.rate


def _document(fault: Fault, rule: Rule) -> dict[str, Any]:
    """The rule as in the JSON of `/faults`."""
    own = {_OWN[fault][0]: getattr(rule, _OWN[fault][0])} if fault in _OWN else {}
    return own | ({"every_nth": rule.every_nth} if rule.every_nth else {"rate": rule.rate})


def _read(document: Any) -> tuple[dict[Fault, Rule | None], int | None]:
    """The rules (None: to be ended) and the seed, if one is given."""
    if not isinstance(document, Mapping):
        raise FaultsRefused(f"Expected a JSON object of faults, not {_kind(document)}.")
    rules: dict[Fault, Rule | None] = {}
    seed: int | None = None
    for name, value in document.items():
        if name == "seed":
            seed = int(_figure("seed", value, _SEED))
        else:
            rules[_fault(name)] = None if value is None else _rule(_fault(name), value)
    return rules, seed


def _fault(name: str) -> Fault:
    try:
        return Fault(name)
    except ValueError:
        pass
    near = difflib.get_close_matches(name, [*Fault], 1)
    hint = f"; did you mean {near[0]}?" if near else "."
    raise FaultsRefused(f"There is no fault {name!r}{hint} The faults are {', '.join(Fault)}.")


def _rule(fault: Fault, value: Any) -> Rule:
    if not isinstance(value, Mapping):
        raise FaultsRefused(f"{fault} must be an object or null, not {_kind(value)}.")
    members = {"rate": _RATE, "every_nth": _EVERY_NTH}
    own = _OWN.get(fault)
    if own is not None:
        members[own[0]] = own[1]
        if own[0] not in value:
            raise FaultsRefused(f"{fault} needs {own[0]}: {own[1]}.")
    unknown = sorted(set(value) - set(members))
    if unknown:
        raise FaultsRefused(f"{fault} has no {unknown[0]!r}; it takes {', '.join(sorted(members))}.")
    if "rate" in value and "every_nth" in value:
        raise FaultsRefused(f"{fault} takes either rate (by chance) or every_nth (by count), not both.")
    return Rule(**{name: _figure(f"{fault}.{name}", figure, members[name]) for name, figure in value.items()})


def _figure(what: str, value: Any, member: _Member) -> Any:
    is_number = isinstance(value, int if member.whole else int | float) and not isinstance(value, bool)
    if not is_number or not member.least <= value <= member.most:
        raise FaultsRefused(f"{what} must be {member}, not {_kind(value)}.")
    return value


def _kind(value: Any) -> str:
    names = {list: "a list", dict: "an object", type(None): "null", bool: str(value).lower()}
    return names.get(type(value)) or repr(value)
