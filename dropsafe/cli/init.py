"""`dropsafe init`: make a spool, and a configuration file if there is none."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dropsafe.cli.context import Context

HELP = "Make a spool, and a configuration file if there is none. Does no harm where both exist."
EXAMPLES = ("dropsafe init --url https://reports.example.com/ingest", "dropsafe init --private --spool ~/reports")


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--url", help="where reports are delivered to: destination.url in the new file")
    parser.add_argument("--group", help="share the spool with this group (default: dropsafe, if you are in it)")
    parser.add_argument("--private", action="store_true", help="share it with nobody")


def run(args: Namespace, context: Context) -> int:
    import json

    from dropsafe.cli.files import write_new
    from dropsafe.cli.words import quoted
    from dropsafe.config import Config
    from dropsafe.spool import Spool, limits_from
    from dropsafe.spool.health import disk_is_low, disk_problem
    from dropsafe.spool.platform import system
    from dropsafe.spool.stations import place_of

    config = context.config_or_new
    if args.url:
        Config.from_dict({"destination": {"url": args.url}})  # refuse a malformed one before anything is made
    spool_dir = config["spool_dir"]
    with Spool.create(spool_dir, group="" if args.private else args.group, limits=limits_from(config)) as spool:
        spool_id, caution = spool.spool_id, spool.caution
        carried = spool.core.stations.arrive(place_of(context.config_path), config["station_name"])
    made = not context.config_file_exists()
    if made:
        write_new(context.config_path, _first_text(context, spool_dir, args.url))
    if context.options.json:
        print(
            json.dumps(
                {"spool": spool_dir, "spool_id": spool_id, "config": str(context.config_path), "made_config": made}
            )
        )
        return 0
    print(f"The spool is at {spool_dir}")
    print(f"The configuration is {context.config_path}{'' if made else ' (it was there already, and is unchanged)'}")
    if context.config_path_origin.startswith("default"):
        print(f"Why there: it is {context.places.reason}. For other places: --config FILE, --spool DIR")
    low = disk_is_low(system.room(spool_dir), limits_from(config))
    full = disk_problem(low, limits_from(config)) if low else None
    for note in filter(None, (caution, f"{full.text} {full.remedy}" if full else "", carried)):
        print(f"! {note}")
    command = f"dropsafe --config {quoted(str(context.config_path))}" if context.options.config else "dropsafe"
    command += f" --instance {context.instance}" if context.instance else ""
    if args.url and not made and config.get("destination.url") != args.url:
        print(f"It does not have that address yet:  {command} config set destination.url {args.url}")
    elif not args.url and not config.get("destination.url"):
        print(f"Before anything is delivered, set the address:  {command} config set destination.url https://…")
    print(f"Next:  {command} submit FILE    {command} run    {command} status")
    return 0


def _first_text(context: Context, spool_dir: str, url: str | None) -> str:
    """Of the new file. What this command line sets is meant to last: no other is typed for the service."""
    from dropsafe.config_file import changed, parse, starter
    from dropsafe.config_layers import from_settings

    text = starter(spool_dir, url)
    given = {key: found.value for key, found in from_settings(context.options.settings).items()}
    for key in ("spool_dir", *(["destination.url"] if url else [])):
        given.pop(key, None)
    return changed(parse(context.config_path, text), given).text
