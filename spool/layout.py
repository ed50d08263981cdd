"""Where everything in a spool lies, and the file `spool.json` that says a folder is one.

Without `spool.json` nothing starts: an unmounted disk is not an empty spool.
"""

from __future__ import annotations

import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from dropsafe.errors import NoPermission, SpoolError
from dropsafe.spool.platform import system
from dropsafe.spool.states import State
from dropsafe.spool.written import read_json

FORMAT = 1
MARK = "spool.json"
DEFAULT_GROUP = "dropsafe"

STATE_FOLDERS = tuple(state.value for state in State if state is not State.EXPIRED)
FOLDERS = (*STATE_FOLDERS, "receipts", "meta", "intake", "journal", "locks")
LOCK_FOLDERS = ("strikes", "ballast")
_IN_LOCKS = tuple(f"locks/{name}" for name in LOCK_FOLDERS)
PAUSE_FILE = "paused.json"
STATIONS_FILE = "stations.json"
OF_THE_SYSTEM = "lost+found"
"""What a file system keeps at its root, which may be the spool's too."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths as strings (they are used thousands of times a second) and the modes of what is made in them."""

    root: str
    spool_id: str
    folder_mode: int
    file_mode: int

    def state(self, state: State) -> str:
        return f"{self.root}/{state.value}"

    @property
    def tmp(self) -> str:
        return f"{self.root}/tmp"

    @property
    def pending(self) -> str:
        return f"{self.root}/pending"

    @property
    def inflight(self) -> str:
        return f"{self.root}/inflight"

    @property
    def sent(self) -> str:
        return f"{self.root}/sent"

    @property
    def receipts(self) -> str:
        return f"{self.root}/receipts"

    @property
    def meta(self) -> str:
        return f"{self.root}/meta"

    @property
    def intake(self) -> str:
        return f"{self.root}/intake"

    @property
    def journal(self) -> str:
        return f"{self.root}/journal"

    @property
    def locks(self) -> str:
        return f"{self.root}/locks"

    @property
    def strikes(self) -> str:
        return f"{self.root}/locks/strikes"

    @property
    def ballast(self) -> str:
        return f"{self.root}/locks/ballast"


def modes_of(shared: bool) -> tuple[int, int]:
    """(folder mode, file mode): of a spool that a group shares, or of one that is its owner's alone."""
    return (0o2770, 0o660) if shared else (0o700, 0o600)


def is_spool(folder: str) -> bool:
    """Whether it has the mark. The spool of an instance lies in that of the unnamed one, and is no part of it."""
    return os.path.lexists(os.path.join(folder, MARK))


def spool_of(path: str) -> Path | None:
    """The spool in which it lies, if it does."""
    return next((folder for folder in Path(path).parents if is_spool(str(folder))), None)


def _without_mark(root: str) -> str:
    """`init` refuses a folder that holds entries, so it is not named there."""
    mount = "If its disk is not mounted, mount it."
    if os.path.isdir(os.path.join(root, "pending")):
        return (
            f"{mount} If all its other folders are there: put {MARK} back from a backup, or copy there that of a new "
            f"spool (dropsafe init {_elsewhere(root)}). See docs/recover.md.\n{_without_it(root)}"
        )
    return f"{mount} To make a new spool: dropsafe init --spool {root} --url https://… (the address of your server)"


def _elsewhere(root: str) -> str:
    """With a configuration of its own: where there is none, that of a throw-away spool would be the default one ever after."""
    return f"--spool {shlex.quote(f'{root}-new')} --config {shlex.quote(f'{root}-new.toml')}"


def _without_it(root: str) -> str:
    return (
        f"To send what waits without it: dropsafe deliver --from {shlex.quote(root)}\n"
        f"To take all into another spool: dropsafe import {shlex.quote(root)} --spool DIR"
    )


def not_a_folder(root: str) -> SpoolError:
    """The error for a path that is a file, or leads through one."""
    return SpoolError(
        f"{root} is not a folder, so it is no spool. Nothing was changed.",
        remedy="Name the folder of the spool: --spool DIR, or spool_dir in the configuration.",
    )


def folder_missing(path: str, data: str) -> SpoolError | None:
    """The error for a path that is not there because a folder of the spool itself is gone; None if that is not why. `data`:
    what it means for the reports."""
    root = spool_of(path)
    parts = Path(path).relative_to(root).parts if root else ()
    for own, name in ((FOLDERS, "/".join(parts[:1])), (_IN_LOCKS, "/".join(parts[:2]))):
        if name in own and not os.path.lexists(f"{root}/{name}"):
            return SpoolError(
                f"The folder {name}/ of the spool {root} is missing. {data}",
                remedy="If somebody moved it away, put it back. Else have it made anew: dropsafe repair --yes",
            )
    return None


def open_layout(path: str) -> Layout:
    """Read `spool.json` and find the modes. Raises SpoolError or NoPermission."""
    root = os.path.abspath(path)
    mark = os.path.join(root, MARK)
    try:
        content = read_json(mark)
        shared = bool(os.stat(root).st_mode & stat.S_ISGID)
    except FileNotFoundError:
        raise SpoolError(
            f"{root} is not a spool: it has no {MARK}. Nothing was changed.",
            remedy=_without_mark(root),
        ) from None
    except PermissionError:
        raise no_permission(root) from None
    except NotADirectoryError:
        raise not_a_folder(root) from None
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is damaged: this is no JSON"
        raise SpoolError(
            f"{mark} cannot be read ({why}). Nothing was changed; the entries are untouched.",
            remedy="Restore that file from a backup, or copy it from docs/spool-format.md; it holds no entries.\n"
            + _without_it(root),
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("spool_id"), str) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else content
        raise SpoolError(
            f"{mark} is not of a format that this version knows ({found!r}; known: {FORMAT}). Nothing was changed.",
            remedy="Use the version of Dropsafe that made this spool, or a newer one.",
        )
    folder_mode, file_mode = modes_of(shared)
    return Layout(root, content["spool_id"], folder_mode, file_mode)


def no_permission(path: str) -> NoPermission:
    """The error for a spool that this user may not use, with what to ask an administrator for."""
    try:
        group, shared = system.group_name(path), bool(os.stat(path).st_mode & stat.S_ISGID)
    except OSError:
        group, shared = DEFAULT_GROUP, True
    if not shared:
        return NoPermission(
            f"The spool at {path} is another user's own, shared with nobody. Nothing was changed.",
            remedy="Work as that user, or hand reports over by a drop folder that the service watches.",
        )
    return NoPermission(
        f"The spool at {path} belongs to group {group}, and you are not in it. Nothing was changed.",
        remedy=f"Ask an administrator for: usermod -aG {group} USER",
    )
