"""`intake/ID.json`: what is being taken from where, so that whatever interrupts an intake, the next start can finish it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from dropsafe.spool import durable
from dropsafe.spool.dropfolder import Fingerprint
from dropsafe.spool.layout import Layout
from dropsafe.spool.names import is_id
from dropsafe.spool.producer import Producer
from dropsafe.spool.written import read_json

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """`intake/ID.json`: what is being taken from where."""

    id: str
    source: str
    parked: str
    seen: Fingerprint
    move_to: str
    adopts: bool


class Records:
    """The folder of them."""

    def __init__(self, layout: Layout, producer: Producer) -> None:
        self._layout = layout
        self._producer = producer

    def all(self) -> Iterator[Record]:
        """Those that can be read; of the others it is logged."""
        for name in sorted(os.listdir(self._layout.intake)):
            entry_id = name.removesuffix(".json")
            try:
                record = self.read(entry_id) if is_id(entry_id) else None
            except OSError as error:
                log.warning("%s/%s cannot be read (%s); it is left alone", self._layout.intake, name, error)
                continue
            if record is not None:
                yield record

    def write(self, record: Record) -> None:
        """Durable when it returns. OSError."""
        # ASCII escapes carry names that are not valid UTF-8 (surrogate escapes) unharmed.
        data = json.dumps(asdict(record)).encode("ascii")
        scratch = f"{self._producer.folder}/{record.id}.intake"
        durable.write_file("intake.record", scratch, self._path(record.id), data, self._layout.file_mode)

    def read(self, entry_id: str) -> Record | None:
        """The record of that id; None if there is none, or if it is damaged: then the file is taken anew."""
        return read_record(self._path(entry_id))

    def drop(self, record: Record) -> None:
        """It is over. One that cannot be removed is logged: the next start does it."""
        try:
            durable.unlink("intake.forget", self._path(record.id))
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("the record of intake %s could not be removed (%s); the next start does it", record.id, error)

    def _path(self, entry_id: str) -> str:
        return f"{self._layout.intake}/{entry_id}.json"


def read_record(path: str) -> Record | None:
    """The record in a file; None if there is none, or if it is damaged. OSError if it cannot be read."""
    try:
        content = read_json(path)
        return Record(**{**content, "seen": Fingerprint(**content["seen"])})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def is_left(record: Record) -> bool:
    """Whether its file is neither parked nor where it came from, though the drop folder is there: all was done but this."""
    there = os.path.lexists(record.parked) or os.path.lexists(record.source)
    return not there and os.path.isdir(os.path.dirname(record.parked))
