"""The configuration file on disk: reading it with the line of an error, changing it without losing a comment.

A file is replaced as a whole or not at all, and only by a text that reads back as what was meant. Beside it lies
`NAME.last-good`, the last text that was found valid.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import tomllib
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dropsafe.config_keys import plain, watch_fields
from dropsafe.config_line import meant, shown
from dropsafe.errors import ConfigError, NoPermission

if TYPE_CHECKING:
    from tomlkit import TOMLDocument
    from tomlkit.items import Table

TEMPLATE = """\
# Dropsafe. Every key may be left out; `dropsafe config schema` lists them all with their defaults.

[destination]
# url = "https://reports.example.com/ingest"

# [[watch]]
# path = "/data/reports"
"""

_STARTER = """\
# Dropsafe. Every key is optional but destination.url; `dropsafe config schema` explains them all.
spool_dir = {spool}

[destination]
{url}
# Folders whose files are taken, one table for each:
# [[watch]]
# path = "/data/reports"
# pattern = "*.xml"
"""


class Mark(Enum):
    """Instead of a value: the key is to be removed, so that its default applies."""

    REMOVED = "removed"


REMOVED: Final = Mark.REMOVED


@dataclass(frozen=True, slots=True)
class Text:
    """What a file says, as text and as plain values."""

    path: Path
    text: str
    document: dict[str, Any]


def starter(spool_dir: str, url: str | None) -> str:
    """The text of a new file, for that spool and, if it is known, that address."""
    told = f"url = {json.dumps(url)}" if url else '# url = "https://reports.example.com/ingest"'
    return _STARTER.format(spool=json.dumps(spool_dir), url=told)


def last_good_path(path: Path) -> Path:
    """Beside the file itself, also where `path` is a link to it."""
    place = Path(os.path.realpath(path))
    return place.with_name(place.name + ".last-good")


def read(path: Path) -> Text:
    """Read and parse. ConfigError with the file and line if it cannot be; NoPermission if we may not."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        refuse_if_gone(path)
        raise ConfigError(
            f"there is no configuration file {path}",
            remedy="Name another with --config, or make one: dropsafe init",
        ) from None
    except OSError as error:
        raise _error_for(error)(
            f"the configuration file {path} cannot be read: {error.strerror}",
            remedy="Name the file in it: --config FILE"
            if isinstance(error, IsADirectoryError)
            else "Make it readable for this user, or name another with --config.",
        ) from error
    try:
        text = content.decode("utf-8-sig")  # Windows editors put a mark in front
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _broken(path, line, "this is not UTF-8 text; save the file as UTF-8") from None
    return parse(path, text)


def refuse_if_gone(path: Path) -> None:
    """ConfigError if the last good copy shows that there was a file where there is none."""
    if last_good_path(path).exists() and not os.path.lexists(path):
        raise ConfigError(
            f"the configuration file {path} is gone",
            remedy=f"Put it back as it was when it was last right: {put_back(path)} (to begin anew, move that copy away)",
        )


def put_back(path: Path) -> str:
    """The command that makes the last good copy the file again."""
    copy = str(last_good_path(path))
    return f'copy "{copy}" "{path}"' if os.name == "nt" else shlex.join(["cp", "-p", copy, str(path)])


def kept_since(path: Path) -> str:
    """Since when the last good copy is as it is, in UTC. OSError."""
    kept = datetime.fromtimestamp(last_good_path(path).stat().st_mtime, UTC)
    return f"{kept:%Y-%m-%d %H:%M:%S} UTC"


def read_if_there(path: Path) -> Text:
    """The same, but a file that is not there counts as empty, unless its last good copy shows that there was one."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        refuse_if_gone(path)
        return Text(path, "", {})
    except OSError:  # read() says it in words
        pass
    return read(path)


def parse(path: Path, text: str) -> Text:
    """Parse what is, or is to be, in that file."""
    try:
        return Text(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        why = re.sub(r" \(at .*\)$", "", str(error))
        broken = text.split("\n")[line - 1]
        quoted = f", in {shown(broken)}" if found else ", up to the end of the file"
        raise _broken(path, line, f"{meant(why)}{quoted}") from None


def _error_for(error: OSError) -> type[ConfigError | NoPermission]:
    return NoPermission if isinstance(error, PermissionError) else ConfigError


def _broken(path: Path, line: int, why: str) -> ConfigError:
    return ConfigError(
        f"{path}, line {line}: {why}", remedy="Mend that line; `dropsafe config check` tells when it is right."
    )


def changed(text: Text, changes: Mapping[str, Any]) -> Text:
    """The text with these dotted keys set or removed, everything else as it was."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    named = {key: REMOVED if value == [] else value for key, value in changes.items()}  # no [[watch]] tables
    ordered = sorted(named.items(), key=lambda change: change[1] is not REMOVED)
    meant = plain(text.document)
    for key, value in ordered:
        _put_plain(meant, key, value)
    if _same(meant, text.document):
        return text
    try:
        document = tomlkit.parse(text.text)
        for key, value in ordered:
            _put(document, key, value)
        new = parse(text.path, tomlkit.dumps(document))
    except (TOMLKitError, ConfigError) as error:
        raise _not_editable(text.path, str(error)) from error
    if not _same(_without_empty_sections(new.document), _without_empty_sections(meant)):
        raise _not_editable(text.path, "the result would not say what was meant")
    return new


def _without_empty_sections(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value != {}}


def _same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: 1, 1.0 and true are three values."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _not_editable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} cannot be changed by a program: {why}. Nothing was written.",
        remedy="Change it with an editor; plain [section] tables make it editable again.",
    )


def _put_plain(document: dict[str, Any], key: str, value: Any) -> None:
    section, _, name = key.rpartition(".")
    if value is REMOVED:
        table = document.get(section, {}) if section else document
        if isinstance(table, dict):
            table.pop(name, None)
        return
    table = document.setdefault(section, {}) if section else document
    if name == "watch":
        value = _with_unknown_fields(document.get("watch"), value)
    table[name] = value


def _with_unknown_fields(old: Any, new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fields of a newer version, in watched folders that are still there, are not ours to remove."""
    kept = {item["path"]: item for item in reversed(_tables(old)) if "path" in item}
    result = []
    for item in new:
        before = kept.pop(item["path"], {})
        unknown = {name: part for name, part in before.items() if name not in watch_fields()}
        result.append(unknown | _worth_writing(before, item))
    return result


def _worth_writing(before: Mapping[str, Any], watch: Mapping[str, Any]) -> dict[str, Any]:
    """Without defaults that nobody wrote: `config["watch"]` has them all."""
    fields = watch_fields()
    return {name: value for name, value in watch.items() if name in before or value != fields[name].get("default")}


def _tables(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _put(document: TOMLDocument, key: str, value: Any) -> None:
    import tomlkit

    section, _, name = key.rpartition(".")
    if section and section not in document:
        if value is REMOVED:
            return
        document[section] = tomlkit.table()
    table: Any = document[section] if section else document
    if value is REMOVED:
        if isinstance(table, MutableMapping):
            table.pop(name, None)
    elif name == "watch":
        _put_watches(document, value)
    else:
        _put_value(table, name, value)


def _put_value(table: MutableMapping[str, Any], name: str, value: Any) -> None:
    import tomlkit

    old = table.get(name)
    if old is not None and _same(plain(old), value):
        return
    if not isinstance(value, dict):
        table[name] = value
    elif isinstance(old, MutableMapping):
        for gone in old.keys() - value.keys():
            old.pop(gone)
        for inner, part in value.items():
            _put_value(old, inner, part)
    else:
        inline = tomlkit.inline_table()
        inline.update(value)
        table[name] = inline


def _put_watches(document: TOMLDocument, watches: list[dict[str, Any]]) -> None:
    """Change the tables of folders that stay, so that their comments stay with them."""
    import tomlkit
    from tomlkit.items import AoT

    old = document.get("watch")
    before = list(old) if isinstance(old, AoT) else [_table(item) for item in _tables(plain(old))]
    kept = {str(table["path"]): table for table in reversed(before) if "path" in table}
    tables = [kept.pop(watch["path"], None) or _table({}) for watch in watches]
    for table, watch in zip(tables, watches, strict=True):
        for name in [name for name in table if name in watch_fields() and name not in watch]:
            table.pop(name)
        for name, value in _worth_writing(table, watch).items():
            _put_value(table, name, value)
    if isinstance(old, AoT) and list(map(id, tables)) == list(map(id, before)):
        return
    if old is not None:
        document.pop("watch")
    fresh = tomlkit.aot()
    for table in tables:
        fresh.append(table)
    document["watch"] = fresh


def _table(values: Mapping[str, Any]) -> Table:
    import tomlkit

    table = tomlkit.table()
    table.update(values)
    return table


def make(path: Path) -> None:
    """A file with hints and no settings, and the folder it lies in. ConfigError if there was one that is gone."""
    refuse_if_gone(path)
    with suppress(OSError):  # write() says it in words
        path.parent.mkdir(parents=True, exist_ok=True)
    write(path, TEMPLATE)


def write(path: Path, text: str, *, is_good: bool = True) -> None:
    """Replace the file and, if the text is good, its last good copy, each atomically and durably.

    The file's mode and owner stay.
    """
    try:
        path = Path(os.path.realpath(path))  # a link stays a link
        if is_good:
            _replace(last_good_path(path), text, like=path)
        _replace(path, text, like=path)
    except OSError as error:
        raise _error_for(error)(
            f"{path} could not be written: {error.strerror}. The configuration is as it was before.",
            remedy=f"Give this user the right to write in {path.parent}, or see whether its disk is full.",
        ) from error


def keep_last_good(path: Path, text: str) -> None:
    """Put a text that was found valid beside the file, if it is not there already. OSError if it cannot be."""
    path = Path(os.path.realpath(path))
    copy = last_good_path(path)
    with suppress(OSError):
        if copy.read_bytes() == text.encode():
            return
    _replace(copy, text, like=path)


def _replace(path: Path, text: str, *, like: Path) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
    try:
        with open(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            _take_over_rights(file.fileno(), like)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def _take_over_rights(descriptor: int, like: Path) -> None:
    if os.name != "posix":  # there a file inherits its rights from the folder
        return
    with suppress(FileNotFoundError):
        facts = os.stat(like)
        try:
            os.fchown(descriptor, facts.st_uid, facts.st_gid)
        except PermissionError:  # only root may give a file away; its group may still be ours
            with suppress(PermissionError):
                os.fchown(descriptor, -1, facts.st_gid)
        os.fchmod(descriptor, facts.st_mode & 0o777)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder for this; NTFS journals the rename
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
