"""The configuration reference as a page of Markdown, made from the schema alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dropsafe.schemas import load_schema

_INTRODUCTION = """\
# Configuration

One TOML file; `dropsafe config path` shows which. Every key may be left out: an empty file is valid, only delivery
needs `destination.url`. The file counts less than the environment (`DROPSAFE_` and the key in capitals, a dot as two
underscores: `DROPSAFE_DESTINATION__URL`), and the environment less than `--set key=value` on the command line.

`dropsafe config check` tells what is wrong, `dropsafe config get` shows every value in force and where it came from,
and `dropsafe config set KEY VALUE` changes the file and keeps its comments.

**The last good copy.** Beside the file lies `dropsafe.toml.last-good`: the file as it was when a service last started
with it and it was right, or when `dropsafe config set` wrote it; never with a key that Dropsafe does not know. If the
file is broken or gone, every command, and a service that starts, works with that copy, and says so first: what is wrong,
in which line, of when the copy is, what to do. What was changed since does not count until the file is right. A service
that runs keeps the configuration that it has. Without a copy, nothing starts (exit code 78). To mend it:

- `dropsafe config check` names the line, and says when all is right; then reload the service, if one runs.
- Or take the copy: `cp -p dropsafe.toml.last-good dropsafe.toml`. While the copy of a file that is gone lies there,
  `dropsafe config set` and `dropsafe init` make no new one; to begin anew, move the copy away.
"""

_KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "table",
}


def configuration_page() -> str:
    """The whole page."""
    schema = load_schema("config")
    top: dict[str, Any] = schema["properties"]
    parts = [_INTRODUCTION, "## At the top of the file\n"]
    parts += [_key(name, part) for name, part in top.items() if "properties" not in part and name != "watch"]
    for name, part in top.items():
        fields = part.get("properties") or part.get("items", {}).get("properties")
        if fields:
            heading = f"[[{name}]]" if part["type"] == "array" else f"[{name}]"
            parts.append(f"## {heading}\n\n{part['description']}\n")
            parts += [_key(key, field) for key, field in fields.items()]
    return "\n".join(parts)


def _key(name: str, schema: Mapping[str, Any]) -> str:
    facts = "; ".join(_facts(schema))
    example = f" Example: `{_toml(schema['x-example'])}`." if "x-example" in schema else ""
    refused = "".join(f" `{_toml(value)}` is refused: {why}" for value, why in schema.get("x-refused", {}).items())
    return f"**`{name}`** — {facts}.\n{schema['description']}{refused}{example}\n"


def _facts(schema: Mapping[str, Any]) -> Iterator[str]:
    unit = f" {schema['x-unit']}" if schema.get("x-unit") else ""
    if "enum" in schema:
        yield "one of " + ", ".join(f"`{_toml(value)}`" for value in schema["enum"])
    elif "minimum" in schema:
        yield f"{_KINDS[schema['type']]}, {schema['minimum']:,} to {schema['maximum']:,}{unit}"
    elif "items" in schema and "minimum" in schema["items"]:
        yield f"list of whole numbers, {schema['items']['minimum']} to {schema['items']['maximum']}"
    else:
        yield schema.get("x-shape") or _KINDS[schema["type"]]
    if "default" in schema:
        yield f"default `{_toml(schema['default'])}`{unit}"
    else:
        yield f"default: {schema['x-default']}" if "x-default" in schema else "no default"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{name} = {_toml(part)}" for name, part in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return json.dumps(value, ensure_ascii=False)
