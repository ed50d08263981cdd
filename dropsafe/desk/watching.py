"""The drop folders of the configuration, with what the watcher says of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dropsafe.desk.desk import Value


def watched(tables: Sequence[Mapping[str, Any]], seen: Sequence[Mapping[str, Any]], *, paused: bool) -> Value:
    """The drop folders of the configuration, with what the watcher says of each."""
    known = {folder.get("path"): folder for folder in seen}
    folders = []
    for table in tables:
        folder = known.get(table["path"], {})
        folders.append(
            {
                "path": table["path"],
                "pattern": table["pattern"],
                "taken": folder.get("taken", 0),
                "waiting": folder.get("waiting", 0),
                "trouble": folder.get("trouble", ""),
                "remedy": folder.get("remedy", ""),
                "last_name": folder.get("last_name", ""),
                "last_at": folder.get("last_at"),
                "left_alone": folder.get("left_alone", 0),
                "waits": folder.get("waits", []),
            }
        )
    return {"folders": folders, "paused": paused}
