"""A bundle for whoever helps from afar: how it stands with a station, without a payload, a secret or a header's value."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any, Final

from dropsafe import __version__
from dropsafe.config import Config
from dropsafe.desk.redaction import LEAST, Redaction, Redactor
from dropsafe.printable import printable
from dropsafe.spool import Spool
from dropsafe.spool.audit import read_audit
from dropsafe.spool.clock import iso
from dropsafe.spool.layout import FOLDERS, LOCK_FOLDERS
from dropsafe.spool.listing import access, is_bucket, is_entry_name, strangers
from dropsafe.spool.platform import system
from dropsafe.spool.walking import PARKING

MOST_CHARACTERS: Final = 100_000
"""Of each file, the newest; so that all of them fit into one answer of the service."""
MOST_ENTRIES: Final = 300
_TAIL_BYTES = 200_000
_LIBRARIES = ("filelock", "jsonschema", "tomlkit", "platformdirs", "urllib3", "psutil", "watchdog")
_NO_LOG = "Left out: without the configuration nobody knows which secrets to look for in it.\n"
_PATIENCE = 5.0
"""Seconds for a command of the system."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """`files`: name → text. `redacted` is among them as `redacted.json`, too."""

    files: Mapping[str, str]
    redacted: tuple[Redaction, ...]


def diagnose(
    spool: Spool,
    config: Config,
    status: Mapping[str, Any],
    *,
    names: bool = False,
    log: str = "",
    unit: str = "",
    broken: str = "",
) -> Bundle:
    """Gather it. `log`: lines that the caller has; without them those of the log file. `unit`: that of the service.
    `broken`: what is wrong with the configuration, if `config` is only what goes without its file."""
    values = dict(config.items())
    redactor = Redactor(
        secrets=_held_secrets(values),
        names=None if names else frozenset(_names(spool, values, status)),
        folders=[table["path"] for table in values.get("watch", [])],
    )
    bare = redactor.config("config.json", values)
    files = {"config.json": _json({key: {"value": bare[key], "origin": config.origin(key)} for key in bare})}
    if broken:
        files = {"config.json": redactor.text("config.json", _json({"error": broken}))}
    parts: dict[str, Callable[[], str]] = {
        "status.json": lambda: _json(status),
        "counts.json": lambda: _json({"stats": asdict(spool.stats()), "audit": _audit(spool)}),
        "entries.jsonl": lambda: _entries(spool, names),
        "journal.jsonl": lambda: _journal(spool),
        "log.txt": lambda: _NO_LOG if broken else log or _log(config),
        "system.json": lambda: _json(_system(spool)),
        "units.txt": lambda: _unit(unit) if unit else "",
    }
    for name, gather in parts.items():
        try:
            text = gather()
        except Exception as error:  # noqa: BLE001 - a bundle about what is broken must come even so
            text = f"could not be had: {type(error).__name__}: {error}\n"
        files[name] = _tail(redactor.text(name, text))
    return _bundle(files, redactor)


def without_spool(broken: str, why: str) -> Bundle:
    """What is left to tell where the configuration cannot be used, and the spool cannot be opened without it."""
    redactor = Redactor()
    told = {
        "config.json": _json({"error": broken}),
        "status.json": f"could not be had: {why}",
        "system.json": _json({"versions": _versions()}),
    }
    return _bundle({name: redactor.text(name, text) for name, text in told.items()}, redactor)


def _bundle(files: dict[str, str], redactor: Redactor) -> Bundle:
    redacted = tuple(sorted(redactor.found))
    files["redacted.json"] = _json([asdict(each) for each in redacted])
    return Bundle({"README.txt": _readme(files, redacted), **files}, redacted)


def _readme(files: Mapping[str, str], redacted: tuple[Redaction, ...]) -> str:
    lines = [
        f"What Dropsafe {__version__} tells of this station, {iso(time.time())}.",
        "No report is in it, no password or token, and no value of a header.",
        "",
        "Files: " + ", ".join(sorted(files)),
        "",
        "What was taken out, of which file, and why:",
        *(f"  {each.file}: {each.key} ({each.why})" for each in redacted),
    ]
    return "\n".join(lines) + "\n"


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, default=str) + "\n"


def _tail(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else "(what is older was left out)\n" + text[-MOST_CHARACTERS:]


def _held_secrets(values: Mapping[str, Any]) -> set[str]:
    """What the places of secrets hold, as far as this user may read it, so that it can be looked for in what is told."""
    places = [value for key, value in values.items() if key.endswith("_file") and isinstance(value, str)]
    places += [str(value) for value in dict(values.get("destination.secret_headers") or {}).values()]
    found: set[str] = set()
    for place in places:
        kind, _, name = place.partition(":")
        if kind == "env":
            found.add(os.environ.get(name, ""))
        else:
            folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
            with suppress(OSError, ValueError):
                found.add(
                    Path(folder, name).read_text("utf-8") if kind == "credential" else Path(place).read_text("utf-8")
                )
    return {secret.strip() for secret in found if len(secret.strip()) >= 4}


def _names(spool: Spool, values: Mapping[str, Any], status: Mapping[str, Any]) -> set[str]:
    """Of reports, as they may be quoted: of those that are listed, of those in the newest history, and of files that lie
    in the spool or in a drop folder and may be some."""
    names = {entry.name.original for entry in islice(spool.entries(), MOST_ENTRIES * 10)}
    for line in _journal(spool).splitlines():
        with suppress(ValueError):
            names.add(str(json.loads(line).get("name", "")))
    layout = spool.core.layout
    strange = [stranger.path for stranger in islice(strangers(layout), MOST_ENTRIES * 10)]
    for folder in (layout.pending, *(table["path"] for table in values.get("watch", []))):
        strange += islice(_files_below(folder), MOST_ENTRIES * 10)
    # What lay there when it was told may have gone since.
    figures = read_audit(layout)
    told = [*(figures.strangers if figures else ()), *(str(each.get("detail", "")) for each in _reasons(status))]
    within = re.compile(rf"(?m){re.escape(layout.root)}/(.*?)(?:: |$)")
    strange += [found for text in told for found in within.findall(text)]
    for path in strange:
        names |= set(_own_names(path.removeprefix(f"{layout.root}/")))
    return {form for name in names if name for form in (name, printable(name))}


def _reasons(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in status.get("reasons", []) if isinstance(each, Mapping)]


def _files_below(folder: str) -> Iterator[str]:
    for inner, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each != PARKING]  # what is in it is called by its id
        yield from (f"{inner}/{name}" for name in names if not is_entry_name(name))


def _own_names(path: str) -> Iterator[str]:
    """The last part of a path, and those of folders above it, unless Dropsafe gave them; a word too short to be looked for
    goes with what stands before it."""
    parts = path.split("/") if not path.startswith("/") else [path.rpartition("/")[2]]
    for number, part in enumerate(parts):
        if part not in (*FOLDERS, *LOCK_FOLDERS) and not is_bucket(part) and not is_entry_name(part):
            yield part if len(part) >= LEAST else "/".join(parts[max(0, number - 1) : number + 1])


def _audit(spool: Spool) -> dict[str, Any] | None:
    figures = read_audit(spool.core.layout)
    return asdict(figures) if figures else None


def _entries(spool: Spool, names: bool) -> str:
    lines = []
    for entry in islice(spool.entries(), MOST_ENTRIES):
        told = {"id": entry.id, "state": entry.state.value, "folder": entry.path.parent.name, "size": entry.size}
        lines.append(json.dumps(told | ({"name": entry.name.original} if names else {})))
    return "\n".join(lines) + "\n"


def _journal(spool: Spool) -> str:
    days = spool.core.journal.days()
    days = [day for day in days if day.isdecimal()]
    return _end_of(Path(spool.core.layout.journal, f"{days[-1]}.jsonl")) if days else ""


def _end_of(path: Path) -> str:
    with open(path, "rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
        file.seek(start)
        text = file.read().decode("utf-8", "replace")
    return text.partition("\n")[2] if start else text


def _log(config: Config) -> str:
    if "log.file" not in config:
        return "The log goes to the journal of the system, or to standard error.\n"
    path = Path(config["log.file"])
    found = [path, *sorted(path.parent.glob(f"{path.stem}.*{path.suffix}"))]
    return "".join(f"== {each.name}\n{_end_of(each)}" for each in found if each.is_file())


def _system(spool: Spool) -> dict[str, Any]:
    root = str(spool.path)
    folders = {name: oct(os.stat(f"{root}/{name}").st_mode) for name in FOLDERS if os.path.isdir(f"{root}/{name}")}
    may = access(spool.core.layout)
    return {
        "versions": _versions(),
        "disk": {
            "file_system": system.file_system(root),
            "room": asdict(system.room(root)),
            "read_only": may.read_only,
            "caution": spool.caution,
        },
        "spool": {
            "path": root,
            "id": spool.spool_id,
            "folders": folders,
            "closed": list(may.closed),
            "read_only": list(may.mounted),
        },
    }


def _versions() -> dict[str, str]:
    ours = {"dropsafe": __version__, "python": sys.version, "system": platform.platform()}
    return ours | {name: _version(name) for name in _LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _unit(unit: str) -> str:
    """As systemd has it, and the end of its journal; nothing where there is no systemd."""
    if not re.fullmatch(r"[\w@.-]+", unit):
        return ""
    said = []
    journal = ["journalctl", "-u", unit, "-n", "300", "--no-pager"]
    for words in (["systemctl", "cat", unit], ["systemctl", "show", unit], journal):
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE, check=False)
            said.append(f"== {' '.join(words)}\n{done.stdout}{done.stderr}")
    return "\n".join(said)
