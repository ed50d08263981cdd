"""The receiver's settings, and how they are written on a command line. Imports nothing that the extra brings."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropsafe.errors import UsageError
from dropsafe.receiver.faults import TABLE, WHEN, Fault, Faults

_LISTEN = re.compile(r"(?:(?P<host>\[[^\]]+\]|[^:\[\]]+):)?(?P<port>\d{1,5})")
_ONE_IN = re.compile(r"1/(\d{1,10})")
_NUMBER = re.compile(r"\d*\.?\d+")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to listen (port 0: any free one), where to store, and the faults to begin with."""

    host: str
    port: int
    data: Path
    faults: dict[str, Any] = field(default_factory=dict)
    until_input_ends: bool = False


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:8080",
        help="where to listen; port 0 takes a free one (default: %(default)s). Whoever can connect can store and look",
    )
    parser.add_argument(
        "--data", metavar="DIR", default="received", help="where to keep what arrives (default: ./%(default)s)"
    )
    parser.add_argument(
        "--until-input-ends", action="store_true", help="stop when standard input ends: for programs that start this"
    )
    group = parser.add_argument_group(
        "faults",
        f"WHEN is a share of the requests (0.1) or every Nth of them (1/10), and NAME=VALUE, joined by commas:"
        f" 1/10,status=422,for=60. Each takes {', '.join(WHEN)}. They can be changed at /faults.",
    )
    for fault, kind in TABLE.items():
        own = [*kind.needs, *(f"[{name}]" for name in kind.may)]
        group.add_argument(
            _flag(fault),
            metavar=",".join(["WHEN", *(f"{name}={name[0].upper()}" for name in kind.needs)]),
            help=kind.does + (f" ({', '.join(own)})" if own else ""),
        )
    group.add_argument(
        "--seed", metavar="NUMBER", help="another sequence of chances; the same number, the same sequence"
    )


def settings_from(args: Namespace) -> Settings:
    """The settings that the arguments mean. Raises UsageError."""
    host, port = parse_listen(args.listen)
    faults = _faults(args)
    Faults(faults)
    return Settings(host, port, Path(args.data), faults, args.until_input_ends)


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, `[IPV6]:PORT` or `PORT`. Raises UsageError."""
    found = _LISTEN.fullmatch(text)
    if not found or int(found["port"]) > 65535:
        raise UsageError(f"--listen takes HOST:PORT, like 127.0.0.1:8080 or [::1]:8080, not {text!r}.")
    return (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])


def _faults(args: Namespace) -> dict[str, Any]:
    faults: dict[str, Any] = {}
    for fault in TABLE:
        text = getattr(args, fault.value)
        if text is not None:
            faults[fault.value] = dict(_member(_flag(fault), part) for part in text.split(","))
    if args.seed is not None:
        faults["seed"] = _value(args.seed)
    return faults


def _flag(fault: Fault) -> str:
    return f"--{fault.replace('_', '-')}"


def _member(flag: str, text: str) -> tuple[str, Any]:
    """One of the parts between the commas."""
    name, equals, value = text.partition("=")
    if equals:
        return name.strip(), _value(value)
    if one_in := _ONE_IN.fullmatch(text):
        return "every_nth", int(one_in[1])
    if _NUMBER.fullmatch(text):
        return "rate", float(text)
    raise UsageError(f"{flag} takes a share like 0.1, 1/10 for every tenth, or NAME=VALUE, not {text!r}.")


def _value(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return text
    return int(text) if text.isdigit() else float(text)
