"""The bytes on their way out."""

from __future__ import annotations

import hashlib
import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from dropsafe.workers.payload import BLOCK, SMALL, CalledOff, Payload, PayloadDamaged, PayloadUnreadable
from dropsafe.workers.transport import Parcel

SIZES = [0, 1, 4096, SMALL - 1, SMALL, SMALL + 1, 3 * BLOCK, 3 * BLOCK + 17]


def parcel_of(path: Path, content: bytes) -> Parcel:
    digest = hashlib.sha256(content).hexdigest()
    return Parcel("20261123T143001.123Z_4k7q2m5x", "r", digest[:16], len(content), "text/plain", {}, path)


def written(path: Path, content: bytes) -> Parcel:
    path.write_bytes(content)
    return parcel_of(path, content)


@pytest.mark.parametrize("size", SIZES)
def test_an_intact_payload_is_given_out_whole_as_often_as_asked(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    with Payload(written(tmp_path / "p", content), threading.Event()) as payload:
        assert payload.size == size
        assert payload.sha256 == hashlib.sha256(content).hexdigest()
        assert b"".join(payload.blocks()) == content
        assert b"".join(payload.blocks()) == content


@pytest.mark.parametrize("size", [10, 2 * BLOCK])
@pytest.mark.parametrize("change", ["edited", "shorter", "longer"])
def test_other_bytes_than_accepted_are_damage(tmp_path: Path, size: int, change: str) -> None:
    content = os.urandom(size - 1) + b"."
    parcel = parcel_of(tmp_path / "p", content)
    (tmp_path / "p").write_bytes(
        {"edited": content[:-1] + b"#", "shorter": content[:-1], "longer": content + b"#"}[change]
    )
    with pytest.raises(PayloadDamaged, match=parcel.digest16):
        Payload(parcel, threading.Event())


def test_the_last_block_of_a_file_that_changed_underneath_is_never_given_out(tmp_path: Path) -> None:
    content = os.urandom(3 * BLOCK)
    got: list[bytes] = []
    with Payload(written(tmp_path / "p", content), threading.Event()) as payload:
        blocks = payload.blocks()
        got.append(next(blocks))
        with (tmp_path / "p").open("r+b") as file:
            file.seek(2 * BLOCK + 5)
            file.write(b"changed")
        with pytest.raises(PayloadDamaged):
            got.extend(blocks)
    assert got == [content[:BLOCK], content[BLOCK : 2 * BLOCK]]


@pytest.mark.parametrize("size", [10, 2 * BLOCK])
def test_a_file_that_somebody_is_still_writing_gets_no_verdict(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    with (tmp_path / "p").open("wb", buffering=0) as writer:
        writer.write(content[:-3])
        with pytest.raises(PayloadUnreadable, match="still writing"):
            Payload(parcel_of(tmp_path / "p", content), threading.Event())


def test_what_cannot_be_read_gets_no_verdict(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "folder").mkdir()
    for name in ("missing", "fifo", "link", "folder"):
        with pytest.raises(PayloadUnreadable):
            Payload(parcel_of(tmp_path / name, b""), threading.Event())


def test_cancel_ends_the_reading_of_a_large_file(tmp_path: Path) -> None:
    cancel = threading.Event()
    parcel = written(tmp_path / "p", os.urandom(3 * BLOCK))
    with Payload(parcel, cancel) as payload:
        blocks = payload.blocks()
        next(blocks)
        cancel.set()
        with pytest.raises(CalledOff):
            next(blocks)
    with pytest.raises(CalledOff):
        Payload(parcel, cancel)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "p"
    with path.open("wb") as file:
        file.truncate(64 * BLOCK)
    digest = hashlib.sha256(bytes(64 * BLOCK)).hexdigest()
    parcel = Parcel("20261123T143001.123Z_4k7q2m5x", "r", digest[:16], 64 * BLOCK, "text/plain", {}, path)
    tracemalloc.start()
    try:
        with Payload(parcel, threading.Event()) as payload:
            assert sum(len(block) for block in payload.blocks()) == 64 * BLOCK
        assert tracemalloc.get_traced_memory()[1] < 6 * BLOCK
    finally:
        tracemalloc.stop()
