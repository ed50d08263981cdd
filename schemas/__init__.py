"""The JSON schemas of everything Dropsafe writes for others or reads from them, and their loader.

A schema is the only place where a key's type, range, default, unit and description stand. A loaded one is shared:
whoever needs to change something takes a copy.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def load_schema(name: str) -> dict[str, Any]:
    """The schema `NAME.schema.json` of this folder."""
    schema: dict[str, Any] = json.loads(files(__name__).joinpath(f"{name}.schema.json").read_bytes())
    return schema
