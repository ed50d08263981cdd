"""`dropsafe receive`: the example server, in the foreground, until it is stopped."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from dropsafe.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dropsafe.cli.context import Context

HELP = """Receive reports over HTTP and store them: an example of a server, and one to try things with, as it can be told
to fail. Its page at / lists what has arrived. A report is known by its Idempotency-Key, one that came without by its
bytes and name: sent again, it is recognised and stored once. Anyone who can connect may store, look and order faults:
it listens on this machine alone unless told otherwise. Try it: curl -T FILE http://127.0.0.1:8080/ingest/"""
EXAMPLES = (
    "dropsafe receive",
    "dropsafe receive --listen 127.0.0.1:9000 --error 0.1,status=503 --latency 1/10,seconds=3",
)


def arguments(parser: ArgumentParser) -> None:
    from dropsafe.receiver.options import add_arguments

    add_arguments(parser)


def run(args: Namespace, context: Context) -> int:
    from dropsafe.receiver.options import settings_from

    settings = settings_from(args)
    try:
        from dropsafe.receiver.server import serve
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        raise UsageError(
            "The receiver needs aiohttp, which is not installed. Nothing was changed.",
            remedy="Install it: pip install 'dropsafe[receiver]'",
        ) from error

    def tell(url: str) -> None:
        data = os.path.abspath(settings.data)
        if context.options.json:
            print(json.dumps({"event": "listening", "url": url, "data": data, "pid": os.getpid()}), flush=True)
        else:
            print(f"listening on {url}", f"reports are kept in {data}", sep="\n", flush=True)

    serve(settings, tell)
    return ExitCode.OK
