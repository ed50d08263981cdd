"""In which orders entries are listed, other than that of the folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dropsafe.spool import Entry

SORTS: Mapping[str, Callable[[Entry], Any]] = {
    "age": lambda entry: entry.id,
    "size": lambda entry: -entry.size,
    "name": lambda entry: entry.name.original.casefold(),
}
"""Oldest, largest or alphabetically first."""
