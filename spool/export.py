"""Exporting: a copy of entries, with all that is known of them, readable without us. The spool is only read.

Each payload is compared with its digest on the way. What cannot be read is listed, and the rest goes on; what others move
meanwhile is looked for again. Where the copy is written to is the writer's affair: it lies outside of the spool.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dropsafe import __version__
from dropsafe.spool.clock import iso
from dropsafe.spool.entry import Entry
from dropsafe.spool.finding import find_every
from dropsafe.spool.layout import STATIONS_FILE
from dropsafe.spool.listing import ENTRY_STATES, Stranger, is_entry_name, unlisted, unreadable
from dropsafe.spool.names import ID_LENGTH, REASON_SUFFIX, entry_name, parse_entry_name
from dropsafe.spool.platform import regular
from dropsafe.spool.reasons import reason_path
from dropsafe.spool.receipts import Receipt, find_receipts
from dropsafe.spool.sources import BLOCK
from dropsafe.spool.spool import Spool
from dropsafe.spool.states import WITH_REASON, State
from dropsafe.spool.stations import Stay, station_at
from dropsafe.spool.trees import MANIFEST
from dropsafe.spool.walking import unread
from dropsafe.spool.written import parse_json

FORMAT = 1
UNDELIVERED = tuple(state for state in ENTRY_STATES if state is not State.SENT)
_LOOKS = 3
README_TEXT = """What Dropsafe has exported from the spool {spool}.

If the name of this folder, or of the .zip in which you found this, ends in ".incomplete", the export was interrupted, and
not all is here. The same command again finishes it.

Each report is a file, byte for byte as it was handed in, in the folder of the state that it had:

  pending, inflight   waits to be sent
  failed              the server refused it
  quarantine          damaged, or it kept killing the program that sends
  hold                somebody parked it
  discarded           somebody said that it is not wanted
  sent                the server has it; receipts/ has the proof

The name of each file: when it was accepted (UTC), a random part (with the time, that is its id), the beginning of its
SHA-256, and the name under which it was handed in. NAME.reason.json beside it says why it is where it is, and
meta/HOUR/ID.json what else was handed in with it. manifest.json has all of that in one file, with whole digests, and lists
what could not be copied.

With Dropsafe, on any machine:

  dropsafe import THIS             takes all of it into a spool; what is known there already is passed over
  dropsafe deliver --from THIS     sends what waits, and leaves the receipts here (unpack a .zip before)
  dropsafe import-receipts THIS    on the machine from which this comes: finishes what was sent that way
"""


class Writer(Protocol):
    """What an export is written to."""

    def kept(self, name: str) -> str | None:
        """The SHA-256 of a file that an interrupted export has left under that name; None if there is none."""

    def write(self, name: str, blocks: Iterator[bytes], size: int, at: float) -> None:
        """A new file, dated `at` (seconds since the epoch), whole and durable or not at all. Raises TooLarge for what does not
        fit there; OSError."""

    def finish(self, written: Collection[str]) -> None:
        """All is written: make it durable and give it its name."""

    def close(self) -> None:
        """After it, or in its place: then what is there keeps the name that says that it is not all."""


def readme(spool: Spool) -> bytes:
    """In plain words, for whoever finds the export."""
    return README_TEXT.format(spool=spool.path).encode("utf-8", "replace")


class TooLarge(Exception):
    """A file that the place of the export cannot hold."""


class _Moved(Exception):
    """The entry is no longer where it was listed."""


class _SourceFailed(Exception):
    """Reading an entry failed: not the writer's fault. The OSError is its cause."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What to export: entries of these states, and if `ids` are given only those of them."""

    states: Sequence[State] = UNDELIVERED
    ids: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class NotExported:
    """An entry that is not in the export, or not as it was accepted; without an id a folder of them."""

    id: str
    path: str
    why: str
    remedy: str


@dataclass(slots=True)
class Exported:
    """Figures. `damaged` are in the export as they lie in the spool. `kept`: an interrupted export had them already."""

    exported: int = 0
    bytes: int = 0
    kept: int = 0
    damaged: int = 0
    missing: int = 0
    moved: int = 0
    states: dict[str, int] = field(default_factory=dict)
    stopped: bool = False

    @property
    def seen(self) -> int:
        return self.exported + self.missing + self.moved


Watch = Callable[[Exported], bool]
"""Called after each entry; true asks for an end."""


class Export:
    """One."""

    def __init__(self, spool: Spool, chosen: Chosen, writer: Writer, watch: Watch = lambda _: False) -> None:
        self._spool = spool
        self._chosen = chosen
        self._writer = writer
        self._watch = watch
        self._done = Exported()
        self._written: set[str] = set()
        self._entries: list[str] = []
        self._ids: set[str] = set()
        self._missing: list[dict[str, Any]] = []
        self._closed: dict[str, Stranger] = {}
        self._unlisted: list[str] = []
        self._stays: list[Stay] = []
        self._proofs: dict[str, Receipt] = {}
        self._wordless = ""
        """Why the reason of the entry that was copied last could not be read."""

    def run(self, done: Exported) -> Iterator[NotExported]:
        """What is missing or damaged, as it is found; the figures go to `done`. OSError from where it is written to."""
        self._done = done
        try:
            self._stays = self._spool.core.stations.read()[::-1]
        except (OSError, ValueError) as error:
            yield NotExported(
                "",
                f"{self._spool.core.layout.locks}/{STATIONS_FILE}",
                f"Whose reports these are cannot be read ({_told(error)}). They are in it, without their station's name.",
                "Look at the disk and at the rights, and try again later, to another place.",
            )
        entries = self._listed()
        self._proofs = self._proofs_of(entries)
        gone: set[str] = set()
        for _ in range(_LOOKS):
            moved: list[str] = []
            for entry in entries:
                yield from self._one(entry, moved)
                if self._watch(done):
                    done.stopped = True
                    return
            gone.update(moved)
            if not moved:
                break
            entries = self._found(moved)
        done.moved = len(gone - self._ids)
        for state in self._chosen.states:
            for folder in unlisted(self._spool.core.layout, state):
                self._closed.setdefault(folder.path, folder)
        for folder in self._closed.values():
            yield self._left_out(folder)
        self._write_receipts()
        self._write(MANIFEST, self._manifest())
        self._writer.finish(self._written)

    def _listed(self) -> list[Entry]:
        if self._chosen.ids:
            return self._found(self._chosen.ids)
        with unread() as folders:
            entries = [entry for state in self._chosen.states for entry in self._spool.entries(state)]
        self._closed |= {folder: unreadable(folder, error) for folder, error in folders.items()}
        return entries

    def _found(self, ids: Collection[str]) -> list[Entry]:
        with unread() as folders:
            found = find_every(self._spool.core.layout, ids)
        self._closed |= {folder: unreadable(folder, error) for folder, error in folders.items()}
        return [each for places in found.values() for each in places if each.state in self._chosen.states]

    def _proofs_of(self, entries: Sequence[Entry]) -> dict[str, Receipt]:
        sent = {entry.id for entry in entries if entry.state is State.SENT}
        return find_receipts(self._spool.core.layout, sent) if sent else {}

    def _one(self, entry: Entry, moved: list[str]) -> Iterator[NotExported]:
        file = self._file_of(entry)
        try:
            sha256 = self._copied(entry, file)
        except _Moved:
            moved.append(entry.id)
            return
        except _SourceFailed as error:
            yield self._not_copied(
                entry,
                f"It cannot be read ({_said(error)}). It is untouched, and not in the export; the rest goes on.",
                f"Try again later, to another place: dropsafe export DEST {entry.id}. Look at the disk and at the rights.",
            )
            return
        except TooLarge:
            yield self._not_copied(
                entry,
                "It has 4 GiB or more, which a FAT file system cannot hold. It is untouched, and not in the export.",
                "Export it to a disk or stick of another format: exFAT, NTFS or ext4.",
            )
            return
        intact = sha256.startswith(entry.name.digest16)
        try:
            self._note(entry, file, sha256, intact)
        except _SourceFailed as error:
            yield self._not_copied(
                entry,
                f"What was submitted with it cannot be read ({_said(error)}). Its payload alone is in the export.",
                f"Try again later, to another place: dropsafe export DEST {entry.id}. Look at the disk and at the rights.",
            )
            return
        if self._wordless:
            yield NotExported(
                entry.id,
                str(entry.path),
                f"The file that says why it is there cannot be read ({self._wordless}). It is in the export without that.",
                f"See what is known of it: dropsafe explain {entry.id}",
            )
        if not intact:
            self._done.damaged += 1
            if entry.state is not State.QUARANTINE:
                yield NotExported(
                    entry.id,
                    str(entry.path),
                    "Its bytes are not those that were accepted. It is in the export as it is, and listed as damaged.",
                    "Hand in a better copy, if there is one.",
                )

    def _file_of(self, entry: Entry) -> str:
        """Its path in the export; of a copy that somebody made in the same state, in a folder of its own."""
        name = entry_name(entry.id, entry.name.digest16, entry.name.original)
        file, number = f"{entry.state.value}/{name}", 2
        while file in self._written:
            file, number = f"{entry.state.value}/{number}/{name}", number + 1
        return file

    def _copied(self, entry: Entry, file: str) -> str:
        """The SHA-256 of what is in the export. Raises _Moved, _SourceFailed, TooLarge."""
        kept = self._writer.kept(file)
        if kept is not None and kept.startswith(entry.name.digest16):
            self._done.kept += 1
            self._written.add(file)
            return kept
        digest = hashlib.sha256()
        self._written.add(file)
        try:
            self._writer.write(file, self._blocks(entry, digest.update), entry.size, entry.name.accepted.timestamp())
        except BaseException:
            self._written.discard(file)
            raise
        return digest.hexdigest()

    def _blocks(self, entry: Entry, update: Callable[[bytes], None]) -> Iterator[bytes]:
        try:
            with open(entry.path, "rb", buffering=0, opener=regular) as file:
                while block := file.read(BLOCK):
                    update(block)
                    yield block
        except FileNotFoundError as error:
            raise _Moved from error
        except OSError as error:
            raise _SourceFailed from error

    def _note(self, entry: Entry, file: str, sha256: str, intact: bool) -> None:
        meta, reason = self._beside(entry, file)
        line = {
            "id": entry.id,
            "name": str(entry.name),
            "state": entry.state.value,
            "file": file,
            "sha256": sha256,
            "size": entry.size,
            "intact": intact,
            "accepted": iso(entry.name.accepted.timestamp()),
            "original_name": (meta or {}).get("original_name") or entry.name.original,
            "station": (meta or {}).get("station") or station_at(self._stays, entry.id),
            "meta": meta,
            "reason": reason,
        }
        self._entries.append(json.dumps(line))
        self._ids.add(entry.id)
        done = self._done
        done.exported += 1
        done.bytes += entry.size
        done.states[entry.state.value] = done.states.get(entry.state.value, 0) + 1

    def _beside(self, entry: Entry, file: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """What was submitted with it, and its reason: copied as they are, and read as far as they can be."""
        meta = _small(self._spool.core.meta.path(entry.id))
        if meta is not None:
            self._write(f"meta/{entry.id[:11]}/{entry.id}.json", meta, entry.name.accepted.timestamp())
        reason: bytes | None = None
        self._wordless = ""
        try:
            reason = _small(reason_path(str(entry.path)))
        except _SourceFailed as error:  # words, without which the entry is still whole
            self._wordless = _said(error) if entry.state in WITH_REASON else ""
        if reason is not None:
            self._write(file + REASON_SUFFIX, reason, entry.name.accepted.timestamp())
        return _object(meta), _object(reason)

    def _not_copied(self, entry: Entry, why: str, remedy: str) -> NotExported:
        self._done.missing += 1
        told = {"id": entry.id, "name": str(entry.name), "state": entry.state.value, "size": entry.size, "why": why}
        self._missing.append(told)
        return NotExported(entry.id, str(entry.path), why, remedy)

    def _left_out(self, folder: Stranger) -> NotExported:
        state, *_, name = os.path.relpath(folder.path, self._spool.core.layout.root).split("/")
        if is_entry_name(name) and name[:ID_LENGTH] not in self._ids:
            entry = Entry(parse_entry_name(name), State(state), Path(folder.path), 0)
            why = "A folder lies where its file should be, and its file is not in the export."
            return self._not_copied(entry, why, folder.remedy)
        self._unlisted.append(folder.path)
        return NotExported(
            "",
            folder.path,
            f"Left out: {folder.why}. Nobody knows what is in that folder, and nothing of it is in the export.",
            f"{folder.remedy} Then try again, to another place.",
        )

    def _write_receipts(self) -> None:
        if self._proofs:
            lines = "".join(json.dumps(asdict(receipt)) + "\n" for receipt in self._proofs.values())
            hour = min(receipt.at for receipt in self._proofs.values())[:13].replace("-", "")
            self._write(f"receipts/{hour}.export-aaaaaaaa.jsonl", lines.encode())

    def _manifest(self) -> bytes:
        chosen = self._chosen
        head = {
            "format": FORMAT,
            "dropsafe": __version__,
            "spool_id": self._spool.spool_id,
            "spool": str(self._spool.path),
            "exported": iso(self._spool.core.clock.now()),
            "states": [state.value for state in chosen.states],
            "ids": sorted(chosen.ids),
            "moved_meanwhile": self._done.moved,
            "missing": self._missing,
            "unlisted": self._unlisted,
        }
        entries = ",\n  ".join(self._entries)
        return f'{json.dumps(head, indent=1)[:-2]},\n "entries": [\n  {entries}\n ]\n}}\n'.encode()

    def _write(self, name: str, data: bytes, at: float | None = None) -> None:
        """Dated `at`, or now."""
        self._written.add(name)
        if self._writer.kept(name) != hashlib.sha256(data).hexdigest():
            self._writer.write(name, iter([data]), len(data), self._spool.core.clock.now() if at is None else at)


def _small(path: str) -> bytes | None:
    """What stands there; None if there is nothing."""
    try:
        with open(path, "rb", opener=regular) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _SourceFailed from error


def _said(error: BaseException) -> str:
    return _told(error.__cause__)


def _told(error: BaseException | None) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _object(data: bytes | None) -> dict[str, Any] | None:
    try:
        content = parse_json(data) if data is not None else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
