"""`locks/strikes/ID`: entries that a worker was sending when it died (DESIGN 5).

A file means *suspect*: the entry is claimed alone from now on. If a worker dies with nothing but it in hand, it gets a
strike; the third one puts it into quarantine. Any outcome clears it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from dropsafe.log import log_place
from dropsafe.spool import durable
from dropsafe.spool.layout import Layout
from dropsafe.spool.names import is_id
from dropsafe.spool.producer import Producer
from dropsafe.spool.reasons import Reason
from dropsafe.spool.reserve import Reserve
from dropsafe.spool.written import read_json

STRIKES_OUT = 3


class Strikes:
    """Reads and writes the files; keeps nothing in memory."""

    def __init__(self, layout: Layout, producer: Producer, reserve: Reserve) -> None:
        self._folder = layout.strikes
        self._mode = layout.file_mode
        self._producer = producer
        self._reserve = reserve

    def suspects(self) -> set[str]:
        """The ids that must be tried alone."""
        with suppress(FileNotFoundError):
            return {name for name in os.listdir(self._folder) if is_id(name)}
        return set()

    def count(self, entry_id: str) -> int:
        """Deaths counted against the entry. A damaged file counts as none: the entry stays a suspect."""
        try:
            return int(read_json(f"{self._folder}/{entry_id}")["strikes"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def suspect(self, entry_id: str) -> None:
        """The entry was one of several in hand at a death. Its strikes stay as they are."""
        self._write(entry_id, self.count(entry_id))

    def strike(self, entry_id: str) -> int:
        """The entry was alone in hand at a death. Returns its strikes, durable."""
        strikes = self.count(entry_id) + 1
        self._write(entry_id, strikes)
        return strikes

    def clear(self, entry_id: str) -> None:
        """The entry had an outcome, or is in quarantine."""
        with suppress(FileNotFoundError):
            durable.unlink("strike.unlink", f"{self._folder}/{entry_id}")

    def _write(self, entry_id: str, strikes: int) -> None:
        path = f"{self._folder}/{entry_id}"
        data = json.dumps({"strikes": strikes}).encode()

        def write() -> None:
            scratch = f"{self._producer.folder}/{entry_id}.strike"
            durable.write_file("strike", scratch, path, data, self._mode)

        # On a full disk too: without its strike, what the dead worker held would not return.
        self._reserve.lend(write)


def struck_out(strikes: int) -> Reason:
    """Why such an entry is in quarantine."""
    return Reason(
        kind="strikes",
        summary=f"The uploader died {strikes} times while it held nothing but this entry. "
        "Nothing is lost; the file is unchanged.",
        remedy=f"Look at {log_place()} for what went wrong; then: dropsafe retry ID, or dropsafe discard ID",
    )
