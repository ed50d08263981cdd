"""What the engine must know of entries besides the entries themselves: of a `Spool`, or of a carried copy."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from dropsafe.spool.entry import Entry, Meta


class Origin(Protocol):
    """`dropsafe.spool.Spool` says what each is; `CarriedHand` has the same for a copy."""

    def meta(self, entry: Entry) -> Meta: ...
    def station_of(self, entry_id: str) -> str: ...
    def suspects(self) -> Collection[str]: ...
    def delivery_is_paused(self) -> bool: ...
