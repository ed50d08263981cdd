"""`docs/ipc.md`: every method with its parameters and its result, made from the table and the schema."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from dropsafe.schemas.methods import shapes
from dropsafe.supervisor.ipc.frames import MAX_FRAME
from dropsafe.supervisor.ipc.guests import A_PROCESS, CLIENTS, IDLE_TIME, REQUEST_TIME
from dropsafe.supervisor.ipc.methods import METHODS, Who
from dropsafe.supervisor.ipc.rpc import PROTOCOL, Code

_INTRODUCTION = f"""\
# The service's IPC

For people who write programs that speak to a running service. The command line and the window use the same methods,
and whatever they can do without a service works on the spool's folder alone: see [the API](api.md).

The service listens at `ipc.address`: a stream socket, on Windows a named pipe. A frame is a signed 4-byte length in
network order and as many bytes (as Python's `multiprocessing.connection` has it; on Windows a message of the pipe,
without the length), at most {MAX_FRAME:,} of them. Each holds a request or an answer of JSON-RPC 2.0, in UTF-8. One
request at a time on a connection; {CLIENTS} connections at once, of one process {A_PROCESS}; one that is idle for
{IDLE_TIME:.0f} s is closed, and no answer takes longer than {REQUEST_TIME:.0f} s.

The first request is `hello`, with `{{"protocol": {{"from": {PROTOCOL}, "to": {PROTOCOL}}}, "client": "NAME
VERSION"}}`. Its answer has `protocol`, `features` (the methods), `boot_id` (another one after each start of the
service), `version`, `pid` and `spool_id`.

From Python:

```python
from dropsafe.supervisor.ipc.client import Client
from dropsafe.supervisor.ipc.remote import RemoteDesk

with Client("/run/dropsafe/default.sock") as client:
    print(RemoteDesk(client).status_get()["condition"])
```

Who may connect: the members of `ipc.group`, and the user that the service runs as. Methods marked *administrators*
are for root and that user alone, on Windows for members of the administrators with elevated rights.

## Errors

| code | means |
| --- | --- |
"""

_CODES = {
    Code.PARSE: "the frame is not JSON",
    Code.INVALID_REQUEST: "it is no request",
    Code.UNKNOWN_METHOD: "there is no such method",
    Code.INVALID_PARAMS: "the parameters are not as this page says",
    Code.INTERNAL: "the service met an unexpected error, which is in its log",
    Code.BUSY: "there is no room for another connection or request, or for another job (of this user), or the service stops; "
    "`data` as below",
    Code.TOO_LATE: "no answer was found in time; what was begun goes on; `data` as below",
    Code.NOT_ALLOWED: "the method is for administrators; `data` as below",
    Code.FAILED: "it could not be done; `data` has `title`, `text`, `remedy` and `exit_code` (as of the command line)",
}


def page() -> str:
    """The whole page."""
    codes = "\n".join(f"| {code.value} | {_CODES[code]} |" for code in Code)
    parts = [f"{_INTRODUCTION}{codes}\n\n## Methods\n"]
    for name, method in METHODS.items():
        shape = shapes()[name]
        who = "" if method.who is Who.ANYBODY else f" *For {method.who.value}.*"
        given = "\n".join(_fields(shape.params))
        parts += [
            f"### `{name}`\n",
            f"{shape.description}{who}\n",
            f"Parameters:\n\n{given}\n" if given else "Parameters: none.\n",
            f"Result:{_result(shape.result, whole=name == 'jobs.get')}\n",
        ]
    return "\n".join(parts)


def _fields(schema: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        optional = "" if name in required else ", may be left out"
        text = f": {part['description']}" if part.get("description") else ""
        yield f"{indent}- `{name}` ({_kind(part)}{optional}){text}"
        inner = part.get("items", part)
        if not indent and inner.get("properties") and not _is_job(inner):
            yield from _fields(inner, "  ")


def _result(schema: Mapping[str, Any], *, whole: bool) -> str:
    """The fields of a job stand once on the page."""
    if _is_job(schema) and not whole:
        return " a job, as `jobs.get` gives it."
    if not schema.get("properties"):
        return f" {_kind(schema)}. {schema.get('description', '')}".rstrip()
    return "\n\n" + "\n".join(_fields(schema))


def _is_job(schema: Mapping[str, Any]) -> bool:
    return {"kind", "state", "done"} <= set(schema.get("properties", {}))


def _kind(schema: Mapping[str, Any]) -> str:
    kinds = schema.get("type", "any")
    if isinstance(kinds, list):
        return "any value" if len(kinds) > 2 else f"{kinds[0]} or null"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if kinds == "array":
        return f"list of {_kind(schema['items'])}"
    if "minimum" in schema and "maximum" in schema:
        return f"{kinds}, {schema['minimum']:,} to {schema['maximum']:,.0f}"
    return str(kinds)


if __name__ == "__main__":
    sys.stdout.write(page())
