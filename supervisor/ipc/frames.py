"""Frames: how requests and answers are told apart on a stream of bytes. Pure.

The wire format is that of `multiprocessing.connection`: a signed length of four bytes, then that many bytes. Its form
for more than 2 GiB (the length -1, then eight bytes) is refused like any other length out of bounds, and nothing is
ever reserved for what a header only promises.
"""

from __future__ import annotations

import struct
from typing import Final

MAX_FRAME: Final = 1 << 20
"""Bytes of a frame, both ways, its header not counted (DESIGN 7)."""

_LENGTH = struct.Struct("!i")


class FrameError(Exception):
    """What came is no frame, so nothing that follows can be told apart either: the connection is over."""


def encode(payload: bytes) -> bytes:
    """The frame of `payload`. ValueError if it is longer than MAX_FRAME."""
    if len(payload) > MAX_FRAME:
        raise ValueError(f"{len(payload)} bytes are more than fit into a frame")
    return _LENGTH.pack(len(payload)) + payload


class FrameReader:
    """Bytes of one connection as they come, at most `wanted` at a time → frames, one at a time."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._length = 0
        self._body = bytearray()

    @property
    def begun(self) -> bool:
        """Whether a part of a frame has come, and the rest has not."""
        return bool(self._header)

    @property
    def wanted(self) -> int:
        """How many bytes complete what is under way, header or body: who reads no more never holds two frames."""
        if len(self._header) < _LENGTH.size:
            return _LENGTH.size - len(self._header)
        return self._length - len(self._body)

    def feed(self, data: bytes, limit: int = MAX_FRAME) -> bytes | None:
        """Take some bytes. The payload, if they complete one; FrameError if it would be longer than `limit`."""
        if len(data) > self.wanted:
            raise ValueError("more bytes than were wanted")
        if len(self._header) < _LENGTH.size:
            self._header += data
            if len(self._header) < _LENGTH.size:
                return None
            (self._length,) = _LENGTH.unpack(self._header)
            if not 0 <= self._length <= limit:
                raise FrameError(f"a frame of {self._length} bytes was announced, and {limit} are allowed")
        else:
            self._body += data
        if len(self._body) < self._length:
            return None
        payload = bytes(self._body)
        self._header.clear()
        self._body = bytearray()  # a large one is not kept for the small ones that follow
        return payload
