"""A `[[watch]]` table as a drop folder, and what keeps such a folder from being used, in words. Changes nothing."""

from __future__ import annotations

import os
from typing import Any

from dropsafe.config_rules import moved_to, within
from dropsafe.spool.dropfolder import DropFolder
from dropsafe.spool.health import Problem
from dropsafe.spool.platform import system

_GRANT = (
    "Grant the service's user read, write and search permission on that folder. Under systemd, `dropsafe service install` "
    "lets the service write there, and tells what else is missing."
)
_MOUNT = (
    "Mount it for writing; a system that finds a fault on a disk makes it read-only by itself. Under systemd, "
    "`dropsafe service install` lets the service write there."
)


def drop_folder(table: dict[str, Any]) -> DropFolder:
    """A `[[watch]]` table as a drop folder."""
    target = moved_to(table)
    return DropFolder(
        path=os.path.normpath(table["path"]),
        pattern=table["pattern"],
        recursive=table["recursive"],
        settle_seconds=table["settle_seconds"],
        move_to=os.path.normpath(target) if target else "",
    )


def obstacle(folder: DropFolder, spool: str) -> Problem | None:
    """Why nothing can be taken from that folder, with what to do; None if something can. `spool` is the spool's root."""
    try:
        facts = os.stat(folder.path)
    except FileNotFoundError:
        remedy = "Make the folder, connect its disk or share, or take it out of the configuration."
        return _of_folder(folder, f"The drop folder {folder.path} does not exist.", remedy)
    except OSError as error:
        return _of_folder(folder, f"The drop folder {folder.path} cannot be used ({error.strerror}).", _GRANT)
    if not os.path.isdir(folder.path):
        remedy = "Put a folder in its place, or take it out of the configuration."
        return _of_folder(folder, f"The drop folder {folder.path} is not a folder.", remedy)
    if not folder.adopts and _overlaps(folder, spool):
        remedy = "Let the two not hold one another, also not by way of links."
        return _of_folder(folder, f"The drop folder {folder.path} and the spool {spool} hold one another.", remedy)
    if os.path.lexists(folder.parking) and (os.path.islink(folder.parking) or not os.path.isdir(folder.parking)):
        remedy = "Remove it: the service keeps what it is taking in a folder of that name, and follows no link there."
        return _of_folder(folder, f"{folder.parking} is not a folder.", remedy)
    for path in (folder.path, folder.parking):
        if os.path.lexists(path) and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            if system.is_read_only(path):
                return _of_folder(folder, f"The file system of {path} can only be read, so nothing is taken.", _MOUNT)
            return _of_folder(
                folder, f"The service may not read, write and rename in {path}, so nothing is taken.", _GRANT
            )
    return _target_trouble(folder, facts.st_dev) if folder.move_to else None


def _target_trouble(folder: DropFolder, device: int) -> Problem | None:
    if not os.path.isdir(folder.move_to) or not os.access(folder.move_to, os.W_OK | os.X_OK):
        remedy = "Make that folder and let the service's user write to it, or correct `after`."
        why = f"The folder {folder.move_to}, to which taken files should go, does not exist or may not be written to."
        return _of_folder(folder, why, remedy)
    if os.stat(folder.move_to).st_dev != device:
        remedy = "Give `after` a folder on the same file system."
        why = f"{folder.move_to} is on another file system than {folder.path}: taken files cannot be moved there."
        return _of_folder(folder, why, remedy)
    return None


def unreadable(folder: DropFolder, error: OSError) -> Problem:
    """The trouble of a folder that failed while it was looked through."""
    return _of_folder(
        folder, f"{error.filename or folder.path} cannot be read ({error.strerror}). Nothing is lost.", _GRANT
    )


def _of_folder(folder: DropFolder, why: str, remedy: str) -> Problem:
    text = "A drop folder cannot be used; what is in it stays there."
    if folder.adopts:
        text = "What people put into the spool's own pending/ cannot be taken; it stays there. No entry is touched by that."
    return Problem("drop-folder", text, remedy, why)


def _overlaps(folder: DropFolder, spool: str) -> bool:
    path, root = os.path.realpath(folder.path), os.path.realpath(spool)
    return within(path, root) or (folder.recursive and within(root, path))
