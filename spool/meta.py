"""`meta/HOUR/ID.json`: for entries submitted with more than the defaults. Durable before the payload appears."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from typing import Any

from dropsafe.errors import SpoolError
from dropsafe.spool import durable
from dropsafe.spool.entry import Meta, content_type_of
from dropsafe.spool.layout import Layout
from dropsafe.spool.names import EntryName
from dropsafe.spool.platform import regular
from dropsafe.spool.written import parse_json, read_json


class MetaFolder:
    """Reads and writes the files of `meta/`. They are never moved."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def path(self, entry_id: str) -> str:
        """Where that entry's file is, if it has one: the hour is that of its acceptance."""
        return f"{self._layout.meta}/{entry_id[:11]}/{entry_id}.json"

    def read(self, name: EntryName) -> Meta:
        """The entry's meta, defaults filled in. Raises SpoolError for a file that is damaged or cannot be read."""
        path = self.path(name.id)
        try:
            return _meta_of(read_json(path), name)
        except FileNotFoundError:
            return Meta(content_type_of(name.original), name.original)
        except OSError as error:
            raise SpoolError(
                f"{path} cannot be read ({error.strerror}). The payload of entry {name.id} is untouched and stays where it is.",
                remedy="Make it a file that the service may read, or move it away: the entry is then sent with the defaults.",
            ) from error
        except (ValueError, AttributeError, TypeError) as error:
            raise SpoolError(
                f"{path} is damaged ({error}). The payload of entry {name.id} is untouched and stays where it is.",
                remedy="Mend the JSON, or move the file away: the entry is then sent with the defaults.",
            ) from error

    def write(self, entry_id: str, meta: Meta, scratch_folder: str) -> None:
        """Durable when it returns. An older file of the same id is replaced."""
        content = {
            "content_type": meta.content_type,
            "original_name": meta.original_name,
            "attributes": meta.attributes,
        }
        # ASCII escapes carry names that are not valid UTF-8 (surrogate escapes) unharmed.
        self.put(entry_id, json.dumps(content, indent=1).encode("ascii") + b"\n", scratch_folder)

    def put(self, entry_id: str, data: bytes, scratch_folder: str) -> None:
        """What another spool has of it, as it stands: damaged or not, whoever reads it says so. Durable when it returns."""
        path = self.path(entry_id)
        with suppress(FileExistsError):
            durable.mkdir("meta.mkdir", os.path.dirname(path), self._layout.folder_mode)
        # Also when it existed: whoever made it may have been killed before this.
        durable.fsync_directory("meta.fsync_parent", self._layout.meta)
        scratch = f"{scratch_folder}/{secrets.token_hex(8)}.meta"
        durable.write_file("meta", scratch, path, data, self._layout.file_mode)

    def copy(self, old_id: str, new_id: str, scratch_folder: str) -> None:
        """Give an entry's new id its own copy, if the old one had a file."""
        try:
            with open(self.path(old_id), "rb", opener=regular) as file:
                data = file.read()
        except FileNotFoundError:
            return
        self.put(new_id, data, scratch_folder)

    def remove(self, entry_id: str) -> None:
        """After the entry has expired."""
        with suppress(FileNotFoundError):
            durable.unlink("meta.unlink", self.path(entry_id))


def meta_in(data: bytes | None, name: EntryName) -> Meta:
    """What such a file says of the entry of that name, defaults filled in. ValueError, AttributeError, TypeError."""
    return Meta(content_type_of(name.original), name.original) if data is None else _meta_of(parse_json(data), name)


def _meta_of(content: Any, name: EntryName) -> Meta:
    meta = Meta(
        content.get("content_type") or content_type_of(name.original),
        content.get("original_name") or name.original,
        dict(content.get("attributes") or {}),
        content.get("station") or "",
    )
    texts = (meta.content_type, meta.original_name, meta.station, *meta.attributes.keys(), *meta.attributes.values())
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("its values are not text")
    return meta
