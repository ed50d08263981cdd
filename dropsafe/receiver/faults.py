"""Faults on order: what the receiver does wrong on purpose, to which requests, and when.

`TABLE` is the whole of it. Pure: this decides, `torment` carries out. A request is asked about at the stage where a
fault would act, and only there is it counted: of every ten acknowledgements that would have gone out, `cut_after` with
`every_nth` 10 swallows exactly one.
"""

from __future__ import annotations

import difflib
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from dropsafe.errors import UsageError


class Fault(StrEnum):
    """In the order in which a request meets them."""

    LATENCY = "latency"
    CUT_BEFORE = "cut_before"
    ERROR = "error"
    HTML = "html"
    CUT_DURING = "cut_during"
    SLOW = "slow"
    CUT_AFTER = "cut_after"
    HALF_ANSWER = "half_answer"
    WRONG_DIGEST = "wrong_digest"


@dataclass(frozen=True, slots=True)
class Member:
    """What a member of a rule may be, and how that is said."""

    words: str
    fits: Callable[[Any], bool]


def _number(least: float, most: float, *, whole: bool = False) -> Member:
    def fits(value: Any) -> bool:
        return isinstance(value, int if whole else int | float) and type(value) is not bool and least <= value <= most

    return Member(f"a {'whole ' if whole else ''}number from {least:g} to {most:g}", fits)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_SECONDS = _number(0, 86_400)
_PATTERNS = Member(
    "a pattern like A1-*, or a list of them",
    lambda value: _is_text(value) or (isinstance(value, list) and all(map(_is_text, value))),
)
_SEED = _number(0, 2**63 - 1, whole=True)

WHEN: Mapping[str, Member] = {
    "rate": _number(0, 1),
    "every_nth": _number(1, 1_000_000_000, whole=True),
    "key": _PATTERNS,
    "name": _PATTERNS,
    "from": _SECONDS,
    "for": _SECONDS,
}
"""Whom any fault strikes: by chance or by count, only some keys and names, from some time after the order, for a time."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault does, and the members that it must or may have of its own."""

    does: str
    needs: Mapping[str, Member] = field(default_factory=dict)
    may: Mapping[str, Member] = field(default_factory=dict)


TABLE: Mapping[Fault, Kind] = {
    Fault.LATENCY: Kind("waits before it reads the body", {"seconds": _number(0, 3600)}),
    Fault.CUT_BEFORE: Kind("drops the connection without reading the body"),
    Fault.ERROR: Kind(
        "answers with that status and problem details, stores nothing",
        {"status": _number(400, 599, whole=True)},
        {
            "detail": Member("text", _is_text),
            "retry_after": _number(0, 86_400, whole=True),
            "retry_at": _number(0, 86_400, whole=True),
        },
    ),
    Fault.HTML: Kind("answers 200 with a log-in page, as the portal of a network does; stores nothing"),
    Fault.CUT_DURING: Kind("drops the connection when half of the body is read"),
    Fault.SLOW: Kind("reads the body slowly", {"bytes_per_second": _number(1, 1_000_000_000)}),
    Fault.CUT_AFTER: Kind("stores the report, then drops the connection instead of answering"),
    Fault.HALF_ANSWER: Kind(
        "stores the report, then answers half: of the head or of the body",
        {"part": Member('"head" or "body"', lambda value: value in ("head", "body"))},
    ),
    Fault.WRONG_DIGEST: Kind("stores the report, and answers with the digest of something else"),
}
"""`retry_after` sends Retry-After in seconds; `retry_at` the same moment as a date."""


class FaultsRefused(UsageError):
    """The order makes no sense. The faults in force stay as they were."""

    title = "These faults cannot be set"


class Faults:
    """The faults in force. `struck` counts what they did since the start. `clock` counts the seconds of `from`, `for`."""

    def __init__(self, document: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seed = 0
        self._active: dict[Fault, _Active] = {}
        self.struck: dict[Fault, int] = {}
        self.patch({} if document is None else document)

    def __bool__(self) -> bool:
        return bool(self._active)

    def replace(self, document: Any) -> None:
        """Put these faults in force and no others; `{}` ends them all. Raises FaultsRefused."""
        _read(document)
        self._seed = 0
        self._active = {}
        self.patch(document)

    def patch(self, document: Any) -> None:
        """Put these faults in force and keep the others; null ends one. Raises FaultsRefused."""
        rules, seed = _read(document)
        self._seed = self._seed if seed is None else seed
        for fault, rule in rules.items():
            self._active.pop(fault, None)
            if rule is not None:
                self._active[fault] = _Active(fault, rule, self._seed, self._clock())

    def to_dict(self) -> dict[str, Any]:
        """What is in force, in the form that `replace` takes."""
        rules: dict[str, Any] = {fault.value: self._active[fault].rule for fault in Fault if fault in self._active}
        return rules | ({"seed": self._seed} if self._seed else {})

    def strikes(self, fault: Fault, key: str = "", name: str = "") -> Mapping[str, Any] | None:
        """The rule, if this request is to suffer the fault. Counts the request."""
        active = self._active.get(fault)
        if active is None or not active.strikes(key, name, self._clock()):
            return None
        self.struck[fault] = self.struck.get(fault, 0) + 1
        return active.rule


class _Active:
    """A rule with its own count and its own chance, so that faults do not disturb each other's sequence."""

    def __init__(self, fault: Fault, rule: Mapping[str, Any], seed: int, ordered_at: float) -> None:
        self.rule = rule
        self._met = 0
        self._random = random.Random(f"{seed} {fault}")  # noqa: S311 - it has to be repeatable, not secret
        self._begin = ordered_at + rule.get("from", 0)
        self._end = self._begin + rule.get("for", float("inf"))

    def strikes(self, key: str, name: str, now: float) -> bool:
        rule = self.rule
        concerns = _matches(rule.get("key", "*"), key) and _matches(rule.get("name", "*"), name)
        if not concerns or not self._begin <= now < self._end:
            return False
        self._met += 1
        if "every_nth" in rule:
            return bool(self._met % rule["every_nth"] == 0)
        return self._random.random() < float(rule.get("rate", 1))


def _matches(patterns: str | list[str], text: str) -> bool:
    return any(fnmatchcase(text, one) for one in ([patterns] if isinstance(patterns, str) else patterns))


def _read(document: Any) -> tuple[dict[Fault, dict[str, Any] | None], int | None]:
    """The rules (None: to be ended) and the seed, if one is given."""
    if not isinstance(document, Mapping):
        raise FaultsRefused(f"Expected a JSON object of faults, not {_kind(document)}.")
    rules: dict[Fault, dict[str, Any] | None] = {}
    seed: int | None = None
    for name, value in document.items():
        if name == "seed":
            seed = _checked("seed", value, _SEED)
        else:
            fault = _fault(name)
            rules[fault] = None if value is None else _rule(fault, value)
    return rules, seed


def _fault(name: str) -> Fault:
    if name in TABLE:
        return Fault(name)
    near = difflib.get_close_matches(name, TABLE, 1)
    hint = f"; did you mean {near[0]}?" if near else "."
    raise FaultsRefused(f"There is no fault {name!r}{hint} The faults are {', '.join(TABLE)}.")


def _rule(fault: Fault, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise FaultsRefused(f"{fault} must be an object or null, not {_kind(value)}.")
    kind = TABLE[fault]
    members = {**kind.needs, **kind.may, **WHEN}
    for name in kind.needs:
        if name not in value:
            raise FaultsRefused(f"{fault} needs {name}: {kind.needs[name].words}.")
    for name in value:
        if name not in members:
            raise FaultsRefused(f"{fault} has no {name!r}; it takes {', '.join(members)}.")
    for one, other in (("rate", "every_nth"), ("retry_after", "retry_at")):
        if one in value and other in value:
            raise FaultsRefused(f"{fault} takes either {one} or {other}, not both.")
    return {name: _checked(f"{fault}.{name}", figure, members[name]) for name, figure in value.items()}


def _checked(what: str, value: Any, member: Member) -> Any:
    if not member.fits(value):
        raise FaultsRefused(f"{what} must be {member.words}, not {_kind(value)}.")
    return value


def _kind(value: Any) -> str:
    names = {list: "a list", dict: "an object", type(None): "null", bool: str(value).lower()}
    return names.get(type(value)) or repr(value)
