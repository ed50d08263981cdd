"""The JSON schemas of everything Dropsafe writes for others or reads from them, and their loader.

A schema is the only place where a key's type, range, default, unit and description stand. A loaded one is shared:
whoever needs to change something takes a copy.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def load_schema(name: str) -> dict[str, Any]:
    """The schema `NAME.schema.json` of this folder."""
    # Not importlib.resources: it loads tempfile and zipfile, in every command.
    schema: dict[str, Any] = json.loads(Path(__file__).with_name(f"{name}.schema.json").read_bytes())
    return schema
