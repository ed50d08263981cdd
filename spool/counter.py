"""The admission counter: one small record in `locks/admission`, so that a limit costs the same at 0 and at 1,000,000.

It is written in place under the admission lock, without a sync: after a power cut the boot id tells that it is not to
be believed, and a check sum tells a torn one. Either way it counts as missing, and the next submitter audits first.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass

from dropsafe.spool import durable
from dropsafe.spool.platform import regular
from dropsafe.spool.written import parse_json

RECORD_SIZE = 512


@dataclass(slots=True)
class Count:
    """What is in `pending/` and `inflight/`, never too low.

    `arrived` counts accepts and whatever else went into `pending/` since the boot; an audit adds what arrived while it
    listed. `epoch` changes when an audit begins and when it ends: a departure that saw another epoch is not given
    back, since the audit may not have counted the entry. `accepted` and `expired` are totals for the conservation
    equation. `bucket_due`, `serial` and `placed` describe the bucket that accepting uses now.
    """

    boot: str
    entries: int = 0
    bytes: int = 0
    arrived: int = 0
    arrived_bytes: int = 0
    epoch: int = 0
    audited: float = 0.0
    accepted: int = 0
    expired: int = 0
    bucket_due: float = 0.0
    serial: int = 0
    placed: int = 0


class CounterFile:
    """Reads and writes the record. Writing is for the holder of the admission lock."""

    def __init__(self, path: str, mode: int) -> None:
        self.path = path
        self._mode = mode
        self._descriptor = -1

    def read(self, boot: str) -> Count | None:
        """The record; None if it is missing, torn, malformed or of another boot."""
        count = self.read_of_any_boot()
        return count if count is not None and count.boot == boot else None

    def read_of_any_boot(self) -> Count | None:
        """The same, whatever its boot. Only its totals mean something then, and they are for people."""
        self._open()
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return parse_record(os.read(self._descriptor, RECORD_SIZE))

    def glance(self, boot: str) -> Count | None:
        """As `read`, where the file may not be written: for people on a disk that has become read-only."""
        with open(self.path, "rb", opener=regular) as file:
            count = parse_record(file.read(RECORD_SIZE))
        return count if count is not None and count.boot == boot else None

    def _open(self) -> None:
        # Somebody may have removed the file: then all must count in the same new one.
        if self._descriptor >= 0 and not durable.is_open_as(self._descriptor, self.path):
            self.close()
        if self._descriptor < 0:
            self._descriptor = durable.open_shared("admission.open", self.path, self._mode)

    def write(self, count: Count) -> None:
        text = json.dumps({name: getattr(count, name) for name in Count.__slots__}, separators=(",", ":")).encode()
        record = text + b" %08x" % zlib.crc32(text)
        durable.overwrite("admission.write", self._descriptor, record.ljust(RECORD_SIZE - 1) + b"\n", self.path)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def parse_record(data: bytes) -> Count | None:
    """The record in the first bytes of the file; None if it is torn or malformed."""
    text, _, check = data.rstrip().rpartition(b" ")
    if not text or check != b"%08x" % zlib.crc32(text):
        return None
    try:
        return Count(**parse_json(text))
    except (ValueError, TypeError):
        return None
