"""What was carried here: an export, a whole spool, or a folder of entries' files. Read as it lies; never changed.

Whose name says that it is an entry is one, in the state for which a folder above it is named. An export's manifest adds
what the names do not say: the whole digest, and what was known to be damaged when it was made.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from dropsafe.errors import DropsafeError, UsageError
from dropsafe.schemas import load_schema
from dropsafe.schemas.methods import wrong
from dropsafe.spool.layout import MARK, STATIONS_FILE
from dropsafe.spool.listing import ENTRY_STATES
from dropsafe.spool.names import REASON_SUFFIX, EntryName, NotAName, parse_entry_name
from dropsafe.spool.reasons import Reason, reason_in
from dropsafe.spool.receipts import SUFFIX, Receipt, receipts_in
from dropsafe.spool.states import State
from dropsafe.spool.stations import Stay, station_at, stays_in
from dropsafe.spool.trees import MANIFEST, Bounded, FolderTree, Tree, Unreadable, open_tree, read_small
from dropsafe.spool.written import parse_json

CARRIER = "carried"
"""How the names of workers begin that have delivered from a carried copy."""
README = "README.txt"
INCOMPLETE = ".incomplete"
"""How the name of an export ends until all of it is there."""
_MOST_SMALL, _MOST_LARGE = 1 << 20, 1 << 28
"""Bytes of a reason or of what was submitted with an entry; of a manifest or of a file of receipts."""
_NO_ENTRIES = ("tmp", "receipts", "meta", "intake", "journal", "locks", ".dropsafe")
_KNOWN = (README, MANIFEST, MARK)
_STATES = {state.value: state for state in ENTRY_STATES}


@dataclass(frozen=True, slots=True)
class CarriedEntry:
    """An entry as it lies there. `sha256` and `intact` by the manifest; without one empty, and true."""

    name: EntryName
    state: State
    file: str
    size: int
    sha256: str = ""
    intact: bool = True

    @property
    def id(self) -> str:
        return self.name.id


@dataclass(frozen=True, slots=True)
class NotTaken:
    """An entry, or a file, that stays where it is, and needs a person. `id` is empty for what is no entry."""

    id: str
    file: str
    why: str
    remedy: str


class Carried:
    """An opened source. `entries` by id; `lost` are files that the manifest names and that are not there; `others`
    lie where entries lie, and are none."""

    def __init__(self, path: str) -> None:
        """Raises UsageError for what is none of the three, OSError."""
        self._tree: Tree = open_tree(path)
        self.others: list[str] = []
        self._torn: set[str] = set()
        try:
            self._look()
        except BaseException:
            self._tree.close()
            raise

    def _look(self) -> None:
        self._sizes = self._tree.sizes()
        self.is_folder = isinstance(self._tree, FolderTree)
        self.is_spool = self.is_folder and MARK in self._sizes
        self._manifest = self._read_manifest()
        listed = {entry["file"]: entry for entry in self._manifest.get("entries", ())}
        self._stations: Mapping[str, str] = {entry["id"]: entry.get("station", "") for entry in listed.values()}
        # Of two under one id, that which was set aside as damaged comes last.
        self.entries = sorted(self._find(listed), key=lambda entry: (entry.id, entry.state is State.QUARANTINE))
        self.lost = [entry for file, entry in listed.items() if file not in self._sizes]
        self._stays = self._read_stays()[::-1]
        self.spool_id = self._read_spool_id()

    @property
    def path(self) -> str:
        return self._tree.path

    @property
    def closed(self) -> list[str]:
        """Folders that could not be looked into."""
        return self._tree.closed

    @property
    def is_empty(self) -> bool:
        """Whether nothing in it is ours: somebody meant another folder."""
        return not (self.entries or self.is_spool or self._manifest or self.closed or any(self._receipt_files()))

    @property
    def is_unfinished(self) -> bool:
        """Whether an interrupted export has left it, so that nothing says which stations its entries are from."""
        is_export = not (self.is_spool or self._manifest or self._stays)
        return is_export and self.is_folder and self.path.endswith(INCOMPLETE)

    def not_there(self) -> Iterator[NotTaken]:
        """What should be there, and is not, or cannot be seen; not what was delivered from there and is gone since."""
        delivered = self.delivered()
        for lost in self.lost:
            if delivered.get(lost["id"]) != lost["sha256"]:
                yield NotTaken(
                    lost["id"],
                    lost["file"],
                    "The manifest names it, and it is not there. Nothing here was changed for it.",
                    "Copy the export again from where it was made.",
                )
        for missing in self._manifest.get("missing", ()):
            yield NotTaken(
                missing["id"],
                missing["name"],
                f"It is not in this export, or not all of it, as its manifest says: {missing['why']}",
                "Where it comes from: export it again, or have it sent there.",
            )
        for folder in self._manifest.get("unlisted", ()):
            yield NotTaken(
                "",
                folder,
                "Nothing of this folder of the spool is in this export, as its manifest says: it was left out there.",
                "Where it comes from: see what dropsafe status says of that folder, and export it again.",
            )
        for folder in self.closed:
            yield NotTaken(
                "",
                folder,
                "This folder cannot be read. Nobody knows what is in it, and nothing of it was taken.",
                "Look at the disk and at the rights, then try again.",
            )

    def reading(self, entry: CarriedEntry) -> Bounded:
        """Its payload. Raises Unreadable."""
        return Bounded(self._tree, entry.file, entry.size)

    def meta(self, entry_id: str) -> bytes | None:
        """What stands in its file in `meta/`; None if it has none. Raises Unreadable."""
        name = f"meta/{entry_id[:11]}/{entry_id}.json"
        return read_small(self._tree, name, _MOST_SMALL) if name in self._sizes else None

    def reason(self, entry: CarriedEntry) -> Reason | None:
        """Why it is where it is, if that can be read."""
        name = entry.file + REASON_SUFFIX
        return reason_in(self._json(name, _MOST_SMALL), entry.id) if name in self._sizes else None

    def station_of(self, entry_id: str) -> str:
        """The station that accepted it; empty if that is not known."""
        return self._stations.get(entry_id) or station_at(self._stays, entry_id)

    @property
    def unread_receipts(self) -> list[str]:
        """What could not be read of `receipts/`, once all was gone through."""
        return [*(name for name in self.closed if name.startswith("receipts/")), *sorted(self._torn)]

    def receipts(self) -> Iterator[Receipt]:
        """All that can be read."""
        for name in self._receipt_files():
            try:
                content = read_small(self._tree, name, _MOST_LARGE)
            except Unreadable:
                self._torn.add(name)
                continue
            yield from receipts_in(io.StringIO(content.decode("utf-8", "replace"), newline="\n"))

    def delivered(self) -> dict[str, str]:
        """The digests, by id, of those that `deliver --from` has delivered from here."""
        return {each.id: each.sha256 for each in self.receipts() if each.worker.startswith(f"{CARRIER}-")}

    def unproven(self) -> set[str]:
        """Ids that count as delivered there, though no receipt there says so."""
        sent = {entry.id for entry in self.entries if entry.state is State.SENT}
        return sent - {receipt.id for receipt in self.receipts()} if sent else sent

    def close(self) -> None:
        """Close what is open."""
        self._tree.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receipt_files(self) -> Iterator[str]:
        return (name for name in sorted(self._sizes) if name.startswith("receipts/") and name.endswith(SUFFIX))

    def _read_manifest(self) -> dict[str, Any]:
        if MANIFEST not in self._sizes:
            return {}
        content = self._json(MANIFEST, _MOST_LARGE)
        if not (mistake := wrong(load_schema("manifest"), content)):
            return dict(content)
        raise UsageError(
            f"{self._tree.path}: its {MANIFEST} is damaged, or of another version ({mistake}). Nothing was changed.",
            remedy="Copy the export again; or move that file away: then each entry is taken by its name.",
        )

    def _find(self, listed: Mapping[str, Mapping[str, Any]]) -> Iterator[CarriedEntry]:
        for file, size in self._sizes.items():
            *folders, name = file.split("/")
            if any(folder in _NO_ENTRIES for folder in folders):
                continue
            try:
                told = listed.get(file)
                parsed = parse_entry_name(name if told is None else told["name"])
                if told is not None and parsed.id != told["id"]:
                    raise NotAName(name)
            except NotAName:
                if not name.endswith(REASON_SUFFIX) and not name.startswith(".") and file not in _KNOWN:
                    self.others.append(file)
                continue
            if told is None:
                yield CarriedEntry(parsed, self._state(folders), file, size)
            else:
                yield CarriedEntry(parsed, State(told["state"]), file, size, told["sha256"], told["intact"])

    def _state(self, folders: list[str]) -> State:
        above = [*([os.path.basename(self._tree.path)] if self.is_folder else []), *folders]
        return next((_STATES[folder] for folder in reversed(above) if folder in _STATES), State.PENDING)

    def _read_stays(self) -> list[Stay]:
        try:
            return stays_in(self._json(f"locks/{STATIONS_FILE}", _MOST_SMALL) or [])
        except ValueError:
            return []

    def _read_spool_id(self) -> str:
        content = self._manifest or self._json(MARK, _MOST_SMALL)
        found = content.get("spool_id") if isinstance(content, dict) else None
        return found if isinstance(found, str) else ""

    def _json(self, name: str, limit: int) -> Any:
        """What stands there; None if that cannot be told."""
        if name not in self._sizes:
            return None
        try:
            return parse_json(read_small(self._tree, name, limit))
        except (Unreadable, ValueError):
            return None


def with_station(meta: bytes | None, station: str) -> bytes | None:
    """What was submitted with an entry, and who accepted it. What is damaged stays as it is."""
    try:
        content = parse_json(meta) if meta is not None else {"content_type": "", "original_name": "", "attributes": {}}
    except ValueError:
        return meta
    if not station or not isinstance(content, dict) or content.get("station"):
        return meta
    return json.dumps({**content, "station": station}, indent=1).encode("ascii") + b"\n"


def refuse_unfinished(carried: Carried) -> None:
    """Raises DropsafeError for an export that was interrupted, and does not say whose entries it has."""
    if carried.is_unfinished:
        raise DropsafeError(
            f"{carried.path} is an export that was not finished, so nothing in it says which station its reports are from. "
            "Nothing was changed.",
            remedy="Finish it where it was begun, with the same command. If that is no longer possible: give the folder a name "
            "that does not end in .incomplete; what is there then counts as this machine's station's.",
        )


def refuse_empty(carried: Carried) -> None:
    """Raises UsageError for a source in which nothing is ours."""
    if carried.is_empty:
        raise UsageError(
            f"In {carried.path} there is neither an export, nor a spool, nor a file with an entry's name. Nothing was changed.",
            remedy="Name the folder or the .zip itself. To have other files sent: dropsafe submit FILE",
        )
