"""The bytes of one parcel on their way out: read in constant memory, and never sent whole unless they are intact.

A payload of up to 1 MiB is read once, checked against the digest in the entry's name, and sent from memory. A larger
one is read twice: first for the digest that the request announces, then while it is sent, its last block held back
until the second reading has given the same.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from types import TracebackType

from dropsafe.spool.facts import Writers
from dropsafe.spool.platform import system
from dropsafe.workers.transport import Parcel

BLOCK = 1 << 20
SMALL = BLOCK
"""Up to this size a payload is held in memory."""


class PayloadDamaged(Exception):
    """A complete read gave other bytes than those accepted."""


class PayloadUnreadable(Exception):
    """The system would not read it, or somebody is still writing it. No verdict on the bytes."""


class CalledOff(Exception):
    """`cancel` was set."""


class Payload:
    """An open payload that was found intact. `digest` is its SHA-256 (32 bytes), `size` what will be sent."""

    def __init__(self, parcel: Parcel, cancel: threading.Event) -> None:
        self._parcel = parcel
        self._cancel = cancel
        with _reading(parcel):
            self._descriptor = system.open_regular(os.fspath(parcel.path))
        try:
            self.size = os.fstat(self._descriptor).st_size
            self._content = self._read_small() if self.size <= SMALL else None
            self.digest = self._hash_blocks() if self._content is None else hashlib.sha256(self._content).digest()
            if not self.digest.hex().startswith(parcel.digest16):
                raise self._mismatch(self.digest)
        except BaseException:
            self.close()
            raise
        if self._content is not None:
            self.close()

    def __enter__(self) -> Payload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if it is still open."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def sha256(self) -> str:
        """The digest as 64 hex digits."""
        return self.digest.hex()

    def blocks(self) -> Iterator[bytes]:
        """The bytes, from the start each time. Raises PayloadDamaged before the last block of a file that changed."""
        if self._content is not None:
            yield self._content
            return
        digest = hashlib.sha256()
        held = b""
        for block in self._read():
            digest.update(block)
            if held:
                yield held
            held = block
        if digest.digest() != self.digest:
            raise self._mismatch(digest.digest())
        yield held

    def _read_small(self) -> bytes:
        with _reading(self._parcel):
            content = os.read(self._descriptor, self.size + 1)
            while len(content) < self.size and (more := os.read(self._descriptor, SMALL + 1)):
                content += more
        self.size = len(content)
        return content

    def _hash_blocks(self) -> bytes:
        digest = hashlib.sha256()
        for block in self._read():
            digest.update(block)
        return digest.digest()

    def _read(self) -> Iterator[bytes]:
        """The file's blocks up to `size`; more than that is a mismatch."""
        left = self.size
        with _reading(self._parcel):
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        while True:
            if self._cancel.is_set():
                raise CalledOff
            with _reading(self._parcel):
                block = os.read(self._descriptor, BLOCK)
            if not block:
                return
            left -= len(block)
            if left < 0:
                raise PayloadUnreadable(f"{self._parcel.path} is growing")
            yield block

    def _mismatch(self, digest: bytes) -> Exception:
        if system.writers(self._descriptor) is Writers.SOME:
            return PayloadUnreadable(f"somebody is still writing {self._parcel.path}")
        return PayloadDamaged(
            f"its SHA-256 begins with {digest.hex()[:16]}, that in the name is {self._parcel.digest16}."
        )


class _reading:  # noqa: N801 - used like a function
    """Turn the system's refusal into PayloadUnreadable. A class: it stands in the path of every small entry."""

    __slots__ = ("_parcel",)

    def __init__(self, parcel: Parcel) -> None:
        self._parcel = parcel

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise PayloadUnreadable(f"{self._parcel.path} cannot be read: {error.strerror or error}") from error
