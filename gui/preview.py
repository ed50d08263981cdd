"""A look into a payload: text, JSON, XML or an image. At most 1 MiB is read, and nothing in it is ever carried out."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QSize, Qt
from PySide6.QtGui import QImage, QImageReader

from dropsafe.gui.words import number, translate

MOST: Final = 1 << 20
IMAGE_SIDE: Final = 480
_TEXT_SHARE: Final = 0.95
"""So much of it must be printable for it to be shown as text."""


@dataclass(frozen=True, slots=True)
class Preview:
    """`kind` in a word; `text` or `image`; `note` says what is not shown."""

    kind: str
    text: str = ""
    image: QImage | None = None
    note: str = ""


def look_into(path: str) -> Preview:
    """Of the file. OSError if it cannot be read; one that is no regular file is not opened."""
    # A link put in the place of an entry must not show what only this user may read.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    with open(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(f"{path} is no regular file")
        data = file.read(MOST)
    return of_bytes(data, facts.st_size)


def of_bytes(data: bytes, whole_size: int) -> Preview:
    """Of the first bytes of a payload of that size."""
    note = (
        translate("Words", "The first {0} of {1} bytes.").format(number(len(data)), number(whole_size))
        if whole_size > len(data)
        else ""
    )
    if not data:
        return Preview(translate("Words", "empty"), note=translate("Words", "The payload has no bytes."))
    image = None if note else _image(data)
    if image is not None:
        return Preview(translate("Words", "image"), image=image)
    text = _decoded(data)
    if text is None:
        return Preview(
            translate("Words", "binary"),
            _hex(data[:512]),
            note=note or translate("Words", "This is no text; its first bytes:"),
        )
    return Preview(*_laid_out(text, cut=bool(note)), note=note)


def _image(data: bytes) -> QImage | None:
    buffer = QBuffer()
    buffer.setData(QByteArray(data))
    buffer.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer)
    if not reader.canRead() or bytes(reader.format().data()) in (b"svg", b"svgz", b"pdf"):
        return None
    size = reader.size()
    if size.isValid():  # a small file may hold a picture that would need gigabytes
        reader.setScaledSize(size.scaled(QSize(IMAGE_SIDE, IMAGE_SIDE), Qt.AspectRatioMode.KeepAspectRatio))
    image = reader.read()
    return None if image.isNull() else image


def _decoded(data: bytes) -> str | None:
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding, "strict" if len(data) < MOST else "replace")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    shown = sum(character.isprintable() or character in "\n\r\t" for character in text[:4096])
    return text if shown >= _TEXT_SHARE * min(len(text), 4096) else None


def _laid_out(text: str, *, cut: bool) -> tuple[str, str]:
    """Its kind, and the text as it is read best. XML is left as it is: parsing what comes from outside is not for a look."""
    start = text.lstrip()[:1]
    if start in ("{", "[") and not cut:
        try:
            return "JSON", json.dumps(json.loads(text), ensure_ascii=False, indent=2)
        except (ValueError, RecursionError):
            return translate("Words", "text"), text
    return ("XML" if start == "<" else translate("Words", "text")), text


def _hex(data: bytes) -> str:
    lines = []
    for place in range(0, len(data), 16):
        part = data[place : place + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{place:08x}  {part.hex(' '):<47}  {shown}")
    return "\n".join(lines)
