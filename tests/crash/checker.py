"""Whether a spool keeps its promise, told from its folders alone.

Written from the description of the format, and knows nothing of the program: it imports nothing from it, so that a
mistake there cannot excuse itself here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

STATES = ("pending", "inflight", "sent", "failed", "quarantine", "hold", "discarded")
EXPLAINED = ("failed", "quarantine", "discarded")
NAME = re.compile(r"(\d{8}T\d{6}\.\d{3}Z_[a-z2-7]{8})_([0-9a-f]{16})_(.+)")
REASON = ".reason.json"
UNSYNCED = ("audit.json", "service.json", "status.json")
"""What says how things were, and is written again: docs/spool-format.md."""


@dataclass(frozen=True)
class Found:
    """An entry as it lies there."""

    id: str
    digest16: str
    state: str
    path: Path
    content: bytes


@dataclass(frozen=True)
class Promised:
    """What must hold of a spool and of a drop folder beside it."""

    accepted: dict[str, bytes] = field(default_factory=dict)
    """By id: acceptance was reported. In exactly one place, its bytes intact."""
    offered: list[bytes] = field(default_factory=list)
    """Payloads that may be there besides, whole, each once."""
    sources: list[bytes] = field(default_factory=list)
    """Files that were in the drop folder, or foreign in pending/: as a file, as an entry, or (until settled) both."""
    copies: list[bytes] = field(default_factory=list)
    """Payloads of which there are two entries: a person made a copy. Neither may be lost."""
    altered: list[bytes] = field(default_factory=list)
    """Payloads that were altered on the disk, keeping their names."""
    renamed: bool = False
    """Whether an entry may have got a new id."""
    expires: bool = False
    """Whether what is delivered may be gone."""
    forgets: bool = False
    """Whether its receipt may be gone, too."""
    stands: dict[str, str] = field(default_factory=dict)
    """By id: the state in which somebody was told that it is."""
    power_was_cut: bool = False
    """Small files that were not synced may be torn then."""
    paused: dict[str, bool] = field(default_factory=dict)
    """By work: whether somebody was told that it is paused."""


def entries(root: Path) -> list[Found]:
    found = []
    for state in STATES:
        for path in sorted((root / state).rglob("*")):
            name = NAME.fullmatch(path.name)
            if name and path.is_file() and not path.name.endswith(REASON):
                found.append(Found(name[1], name[2], state, path, path.read_bytes()))
    return found


def foreign(root: Path) -> list[bytes]:
    """Files in pending/ that are no entries yet."""
    paths = sorted((root / "pending").rglob("*"))
    return [path.read_bytes() for path in paths if path.is_file() and not NAME.fullmatch(path.name)]


def receipts(root: Path) -> dict[str, set[str]]:
    """The digests that are proven, by id. A line that is torn proves nothing."""
    proven: dict[str, set[str]] = {}
    for path in sorted((root / "receipts").glob("*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                try:
                    receipt = json.loads(line)
                    proven.setdefault(receipt["id"], set()).add(receipt["sha256"])
                except (ValueError, KeyError, TypeError):
                    continue
    return proven


def files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()] if folder.exists() else []


def violations(base: Path, promised: Promised) -> list[str]:
    """What is wrong with `base/spool` and `base/drop` at any moment, also in the middle of things."""
    root = base / "spool"
    found = entries(root)
    proven = receipts(root)
    wrong = []
    for entry in found:
        where = f"{entry.id} in {entry.state}/"
        sha256 = hashlib.sha256(entry.content).hexdigest()
        if not sha256.startswith(entry.digest16) and entry.content not in promised.altered:
            wrong.append(f"{where} has other bytes than its name says")
        if entry.state == "sent" and sha256 not in proven.get(entry.id, ()):
            wrong.append(f"{where} has no receipt")
        if entry.state in EXPLAINED and not explained(entry):
            wrong.append(f"{where} has no reason")
    wrong += missing_or_doubled(found, proven, promised)
    wrong += lost_sources(base, found, promised)
    wrong += elsewhere(found, promised)
    wrong += untrue_controls(root, promised)
    return wrong


def elsewhere(found: list[Found], promised: Promised) -> list[str]:
    """A person, or a worker, was told of a move that has not happened."""
    states = {entry.id: entry.state for entry in found}
    told = promised.stands.items()
    return [
        f"{entry_id} is said to be in {state}/ and is in {states.get(entry_id)}/"
        for entry_id, state in told
        if states.get(entry_id) != state and not (promised.expires and entry_id not in states)
    ]


def untrue_controls(root: Path, promised: Promised) -> list[str]:
    """Small files that are replaced whole are whole, and say what somebody was told."""
    locks = root / "locks"
    wrong = []
    controls = [*locks.glob("*.json"), *(locks / "strikes").glob("*"), *(root / "intake").glob("*.json")]
    content: dict[str, object] = {}
    for path in controls:
        try:
            content[path.name] = json.loads(path.read_text("utf-8"))
        except ValueError:
            if not promised.power_was_cut or path.name not in UNSYNCED:
                wrong.append(f"{path} is torn")
    paused = content.get("paused.json", {})
    assert isinstance(paused, dict)
    for work, is_paused in promised.paused.items():
        if (work in paused) != is_paused:
            wrong.append(f"{work} is said to be {'paused' if is_paused else 'resumed'}, and is not")
    return wrong


def explained(entry: Found) -> bool:
    try:
        reason = json.loads(entry.path.with_name(entry.path.name + REASON).read_text("utf-8"))
        return bool(reason["id"] == entry.id and reason["summary"] and reason["remedy"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def missing_or_doubled(found: list[Found], proven: dict[str, set[str]], promised: Promised) -> list[str]:
    wrong = []
    expected = Counter([*promised.accepted.values(), *promised.copies])
    allowed = Counter([*promised.offered, *promised.sources])
    there = Counter(entry.content for entry in found)
    for entry_id, payload in promised.accepted.items():
        gone = not any(entry.content == payload for entry in found)
        sha256 = hashlib.sha256(payload).hexdigest()
        over = promised.expires and (promised.forgets or sha256 in proven.get(entry_id, ()))
        if gone and not over:
            wrong.append(f"{entry_id} was accepted and is lost")
        if not gone and not promised.renamed and not any(entry.id == entry_id for entry in found):
            wrong.append(f"{entry_id} was accepted and has another id")
    for payload, count in there.items():
        if count > expected[payload] + allowed[payload]:
            wrong.append(f"{payload[:30]!r} is there {count} times")
        if not expected[payload] and not allowed[payload]:
            wrong.append(f"{payload[:30]!r} is no whole payload of anybody's")
    for payload in promised.copies:
        if there[payload] < expected[payload]:
            wrong.append(f"a copy of {payload[:30]!r} is lost")
    return wrong


def lost_sources(base: Path, found: list[Found], promised: Promised) -> list[str]:
    lying = [*files(base / "drop"), *foreign(base / "spool")]
    there = [entry.content for entry in found]
    return [f"source {payload[:30]!r} is lost" for payload in promised.sources if payload not in [*lying, *there]]


def unsettled(base: Path, promised: Promised) -> list[str]:
    """What is wrong besides, after recovery has done all that it has to do."""
    root = base / "spool"
    wrong = [f"{path} is left in tmp/" for path in (root / "tmp").rglob("*") if path.is_file()]
    wrong += [f"{path} is left in inflight/" for path in (root / "inflight").iterdir()]
    wrong += [f"{path} is left in intake/" for path in (root / "intake").iterdir()]
    wrong += [f"{path} is left in locks/" for path in (root / "locks").glob("*-*.lock")]
    wrong += [f"{path} is torn" for path in (root / "receipts").iterdir() if not ends_whole(path)]
    wrong += [f"source {payload[:30]!r} was not taken" for payload in [*files(base / "drop"), *foreign(root)]]
    there = Counter(entry.content for entry in entries(root))
    wrong += [
        f"source {payload[:30]!r} is there {there[payload]} times"
        for payload in promised.sources
        if there[payload] != 1
    ]
    return wrong


def ends_whole(path: Path) -> bool:
    content = path.read_bytes()
    return not content or content.endswith(b"\n")
