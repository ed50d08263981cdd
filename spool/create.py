"""Making a spool, durably, and refusing the places that cannot keep its promise.

Whatever point a creation was killed at, the next one finishes it: modes, syncs and the mark.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from contextlib import nullcontext, suppress
from pathlib import Path

from dropsafe.errors import NoPermission, SpoolError
from dropsafe.spool import durable
from dropsafe.spool.clock import Clock, iso
from dropsafe.spool.facts import Suitability, suitability
from dropsafe.spool.layout import (
    DEFAULT_GROUP,
    FOLDERS,
    FORMAT,
    LOCK_FOLDERS,
    MARK,
    OF_THE_SYSTEM,
    is_spool,
    modes_of,
    not_a_folder,
)
from dropsafe.spool.platform import system

_NO_SAFE_RENAME = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def make(root: str, group: str | None, clock: Clock) -> None:
    """Make a spool of that folder, unless it is one. Raises SpoolError, NoPermission."""
    try:
        if os.path.lexists(root) and not os.path.isdir(root):
            raise NotADirectoryError
        if not os.path.exists(os.path.join(root, MARK)):
            _make(root, _chosen_group(group), clock)
        # Also when it was there: whoever wrote the mark may have been killed before this.
        durable.fsync_directory("mark.fsync_folder", root)
    except NotADirectoryError as error:
        raise not_a_folder(root) from error
    except PermissionError as error:
        raise NoPermission(
            f"The spool {root} could not be made: {error.strerror} ({error.filename}).",
            remedy="Choose a folder that you may write to, or ask an administrator to make this one for you.",
        ) from error


def check_file_system(root: str) -> str:
    """Refuse file systems that cannot keep the promise (DESIGN 3.6); words of caution for doubtful ones, else nothing.

    Raises SpoolError.
    """
    kind = system.file_system(root)
    match suitability(kind):
        case Suitability.REFUSED:
            raise SpoolError(
                f"The spool at {root} would be on a {kind} file system, which cannot promise that a renamed file "
                "survives a power cut. Nothing was changed.",
                remedy="Put the spool on a local disk (ext4, xfs, btrfs, NTFS). Drop folders may stay on the share.",
            )
        case Suitability.DOUBTFUL:
            return f"The spool at {root} is on {kind}: entries may not survive a power cut there."
        case Suitability.GOOD:
            return ""


def _chosen_group(group: str | None) -> str:
    if group is None:
        return DEFAULT_GROUP if system.is_our_group(DEFAULT_GROUP) else ""
    if group and not system.is_our_group(group):
        raise NoPermission(
            f"The spool cannot be shared with group {group}: there is no such group, or you are not in it. "
            "Nothing was changed.",
            remedy=f"Ask an administrator for: groupadd --system {group}; usermod -aG {group} USER",
        )
    return group


def _make(root: str, group: str, clock: Clock) -> None:
    """Every folder and its parent are synced: otherwise the first reports could vanish with `pending/` itself."""
    if os.path.isdir(root) and not _is_unfinished(root):
        if os.path.exists(os.path.join(root, MARK)):
            return  # another program was faster
        raise SpoolError(
            f"{root} holds files and is not a spool. Nothing was changed.",
            remedy="Choose a new or empty folder for the spool.",
        )
    check_file_system(root)
    folder_mode, file_mode = modes_of(bool(group))
    for parent in reversed(Path(root).parents):
        if not parent.exists():
            with suppress(FileExistsError):
                durable.mkdir("create.mkdir", str(parent), 0o755)
    folders = [root, *(os.path.join(root, name) for name in (*FOLDERS, *(f"locks/{name}" for name in LOCK_FOLDERS)))]
    for folder in folders:
        with suppress(FileExistsError):
            durable.mkdir("create.mkdir", folder, folder_mode)
        if folder == root and group:
            durable.give_to_group("create.group", root, group)
        # Also when it existed: whoever made it may have been killed before this.
        durable.set_folder_mode("create.mode", folder, folder_mode)
    for folder in [*map(str, Path(root).parents), *folders]:
        with suppress(PermissionError) if folder not in folders else nullcontext():
            durable.fsync_directory("create.fsync", folder)
    mark = {"format": FORMAT, "spool_id": secrets.token_hex(16), "created": iso(clock.now())}
    _write_mark(root, json.dumps(mark, indent=1).encode() + b"\n", file_mode)


def _is_unfinished(root: str) -> bool:
    """Whether a folder is empty but for what an interrupted `create` leaves. Anything else may hold entries."""
    for folder, folders, files in os.walk(root):
        if folder == root:
            folders[:] = [name for name in folders if not is_spool(os.path.join(root, name))]  # an instance's
            if not set(folders) <= {OF_THE_SYSTEM, *FOLDERS}:
                return False
            folders[:] = [name for name in folders if name != OF_THE_SYSTEM]
        if any(folder != os.path.join(root, "tmp") or not name.startswith(MARK) for name in files):
            return False
    return True


def _write_mark(root: str, data: bytes, mode: int) -> None:
    """Last: a folder with the mark is whole. Of several programs that make one spool, the first one's mark stays."""
    tmp = os.path.join(root, "tmp")
    scratch = f"{tmp}/{MARK}.{secrets.token_hex(4)}"
    descriptor = durable.create("create.mark.create", scratch, mode)
    try:
        durable.write("create.mark.write", descriptor, data, scratch)
        durable.fsync("create.mark.fsync", descriptor, scratch)
    finally:
        os.close(descriptor)
    try:
        durable.rename("create.mark.rename", scratch, os.path.join(root, MARK))
    except (FileExistsError, FileNotFoundError):
        pass  # another program was faster, and may have swept already
    except OSError as error:
        if error.errno in _NO_SAFE_RENAME:
            raise SpoolError(
                f"The file system of {root} cannot rename without overwriting ({error.strerror}): no spool was made.",
                remedy="Put the spool on a local disk (ext4, xfs, btrfs, NTFS).",
            ) from error
        raise
    for name in os.listdir(tmp):
        if name.startswith(MARK):
            with suppress(FileNotFoundError):
                durable.unlink("create.mark.sweep", f"{tmp}/{name}")
