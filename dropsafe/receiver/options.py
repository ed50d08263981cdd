"""The receiver's settings, and how they are written on a command line. Imports nothing that the extra brings."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropsafe.errors import UsageError
from dropsafe.receiver.faults import Fault, Faults

_LISTEN = re.compile(r"(?:(?P<host>\[[^\]]+\]|[^:\[\]]+):)?(?P<port>\d{1,5})")
_ONE_IN = re.compile(r"1/(\d{1,10})")
_SHARE = re.compile(r"\d*\.?\d+")


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
        "faults", "WHEN is a share of the requests (0.1) or every Nth of them (1/10). They can be changed at /faults."
    )
    group.add_argument("--latency", metavar="SECONDS", help="wait before reading each report")
    group.add_argument("--error", metavar="WHEN", help="answer with an error, store nothing")
    group.add_argument("--error-status", metavar="STATUS", default="503", help="which error (default: %(default)s)")
    group.add_argument("--cut-before", metavar="WHEN", help="drop the connection before reading the body")
    group.add_argument("--cut-during", metavar="WHEN", help="drop the connection when half of the body is read")
    group.add_argument("--cut-after", metavar="WHEN", help="store, then drop the connection: a lost acknowledgement")
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
    if args.latency is not None:
        faults[Fault.LATENCY] = {"seconds": _number("--latency", args.latency)}
    if args.error is not None:
        faults[Fault.ERROR] = {"status": _number("--error-status", args.error_status)} | _when("--error", args.error)
    for fault, when in (
        (Fault.CUT_BEFORE, args.cut_before),
        (Fault.CUT_DURING, args.cut_during),
        (Fault.CUT_AFTER, args.cut_after),
    ):
        if when is not None:
            faults[fault] = _when(f"--{fault.replace('_', '-')}", when)
    if args.seed is not None:
        faults["seed"] = _number("--seed", args.seed)
    return faults


def _when(option: str, text: str) -> dict[str, Any]:
    if one_in := _ONE_IN.fullmatch(text):
        return {"every_nth": int(one_in[1])}
    if _SHARE.fullmatch(text):
        return {"rate": float(text)}
    raise UsageError(f"{option} takes a share like 0.1, or 1/10 for every tenth, not {text!r}.")


def _number(option: str, text: str) -> int | float:
    if not _SHARE.fullmatch(text):
        raise UsageError(f"{option} takes a number, not {text!r}.")
    return int(text) if text.isdigit() else float(text)
