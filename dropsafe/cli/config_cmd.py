"""`dropsafe config`: check the file strictly, read what is in force, change the file, and say where things lie."""

from __future__ import annotations

import json
import os
import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dropsafe.errors import DropsafeError, ExitCode, UsageError
from dropsafe.paths import RUN_VARIABLE
from dropsafe.plural import several

if TYPE_CHECKING:
    from dropsafe.cli.context import Context

HELP = """\
check             is the configuration right? Strict: unknown keys count
get [KEY]         the value in force, or all of them with where each came from
set KEY VALUE     change the file, keeping its comments
path              the files and folders in force, and where each came from
schema            every key with its type, range, default and meaning
"""

EXAMPLES = (
    "dropsafe config check",
    "dropsafe config get destination.url",
    "dropsafe config set destination.url https://reports.example.com/ingest",
)


_SECRETS = ("destination.token_file", "destination.password_file", "destination.secret_headers")


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=list(_ACTIONS), help="what to do; see above")
    parser.add_argument("key", nargs="?", metavar="KEY", help="a key, with dots: destination.url")
    parser.add_argument("value", nargs="?", metavar="VALUE", help="its new value, as TOML or plain text")


def run(args: Namespace, context: Context) -> int:
    wanted, action = _ACTIONS[args.action]
    given = [part for part in (args.key, args.value) if part is not None]
    if len(given) not in wanted:
        raise UsageError(
            f"`dropsafe config {args.action}` does not take {several(len(given), 'argument', 'arguments')}",
            remedy="See: dropsafe config --help",
        )
    return action(given, context)


def _check(_: list[str], context: Context) -> int:
    from dropsafe.config import Config
    from dropsafe.errors import ConfigError

    problems: list[str] = []
    remedy = ""
    try:
        if context.config_file_exists():
            config = Config.inspect(context.config_path)
            problems += [*config.validate(), *config.warnings]
        if not problems:
            config = context.read_strictly()
            problems += config.warnings
    except ConfigError as error:
        problems.append(error.message)
        remedy = error.remedy
    notes = [] if problems else list(_notes(config))
    if context.options.json:
        _print_json({"file": str(context.config_path), "problems": problems, "remedy": remedy, "notes": notes})
    else:
        for line in problems:
            print(f"! {line}")
        if remedy:
            print(f"    {remedy}")
        if not problems:
            print(
                f"{context.config_path} is right"
                if context.config_file_exists()
                else "there is no file; the defaults apply"
            )
        for line in notes:
            print(f"  {line}")
    return ExitCode.CONFIGURATION if problems else ExitCode.OK


def _notes(config: Mapping[str, Any]) -> Iterator[str]:
    """What is right, and yet perhaps not meant."""
    if "destination.url" not in config:
        yield "destination.url is not set: nothing is delivered yet"
    elif config["destination.url"].startswith("http:") and any(map(config.get, _SECRETS)):
        yield "destination.url is http, not https: reports and credentials travel in the clear"
    for prefix in ("", "proxy_"):
        if f"destination.{prefix}password_file" in config and f"destination.{prefix}username" not in config:
            yield f"destination.{prefix}username is not set, but its password is: nothing is delivered"


def _get(given: list[str], context: Context) -> int:
    from dropsafe.config_keys import keys

    config = context.config
    if given:
        value = config[given[0]]
        print(json.dumps(value, ensure_ascii=False) if context.options.json else _shown(value))
        return ExitCode.OK
    if context.options.json:
        _print_json({key: {"value": value, "origin": config.origin(key)} for key, value in config.items()})
        return ExitCode.OK
    for key in keys():
        value = json.dumps(config[key], ensure_ascii=False) if key in config else None
        print(f"{key} = {value}  # {config.origin(key)}" if value else f"# {key} is not set")
    return ExitCode.OK


def _set(given: list[str], context: Context) -> int:
    from dropsafe.config import Config
    from dropsafe.config_layers import parse

    key, text = given
    value = parse(key, text)
    if not context.config_file_exists():
        Config(instance=context.instance).set(key, value)  # a refused value must not leave a new file behind
        Config.load_or_create(context.config_path)
    config = Config.inspect(context.config_path)
    config.set(key, value)
    config.save()
    in_force = context.config
    outvoted = None if in_force.origin(key).startswith("file") else in_force.origin(key)
    if context.options.json:
        _print_json({"file": str(config.path), "key": key, "value": config[key], "outvoted_by": outvoted})
        return ExitCode.OK
    print(f"{key} = {json.dumps(config[key], ensure_ascii=False)} now stands in {config.path}")
    if outvoted:
        print(f"  but the {outvoted} says {json.dumps(in_force[key], ensure_ascii=False)}, which goes first")
    elif (pid := _running(context)) is not None:
        how = f"kill -HUP {pid}" if hasattr(signal, "SIGHUP") else "start it afresh"
        print(f"  the service that runs goes on with the old value until it reads the file: {how}")
    return ExitCode.OK


def _running(context: Context) -> int | None:
    """The process of the service that runs for this spool, as far as it is told; None if none does."""
    from dropsafe.cli.running import heard

    with suppress(DropsafeError, OSError):
        service = heard(context).status
        return service["pid"] if service else None
    return None


def _path(_: list[str], context: Context) -> int:
    config, places = context.config, context.places
    run_origin = (
        f"environment variable {RUN_VARIABLE}" if os.environ.get(RUN_VARIABLE) else f"default ({places.reason})"
    )
    rows = {
        "configuration": (str(context.config_path), context.config_path_origin),
        "spool": (config["spool_dir"], config.origin("spool_dir")),
        "run folder": (str(places.run_dir), run_origin),
        "log folder": (str(places.log_dir), f"default ({places.reason})"),
    }
    if context.options.json:
        _print_json({name: {"path": path, "origin": origin} for name, (path, origin) in rows.items()})
        return ExitCode.OK
    width = max(len(path) for path, _ in rows.values())
    for name, (path, origin) in rows.items():
        print(f"{name:<13}  {path:<{width}}  {origin}")
    return ExitCode.OK


def _schema(_: list[str], context: Context) -> int:
    if context.options.json:
        from dropsafe.schemas import load_schema

        _print_json(load_schema("config"))
    else:
        from dropsafe.schemas.reference import configuration_page

        print(configuration_page(), end="")
    return ExitCode.OK


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


# How many arguments each takes, and what does it.
_ACTIONS = {
    "check": ((0,), _check),
    "get": ((0, 1), _get),
    "set": ((2,), _set),
    "path": ((0,), _path),
    "schema": ((0,), _schema),
}
