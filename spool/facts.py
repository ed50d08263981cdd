"""What a system half tells about files and file systems: the types that `_posix` and `_windows` share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Writers(Enum):
    """Whether anybody has a file open for writing. UNKNOWN where the system gives us no way to tell."""

    NONE = "none"
    SOME = "some"
    UNKNOWN = "unknown"


class Suitability(Enum):
    """Whether a file system can keep the promise (DESIGN 3.6)."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Room:
    """Free bytes and inodes for an unprivileged writer, and the bytes of the whole file system.

    `inodes` is None where the file system does not count them.
    """

    bytes: int
    inodes: int | None
    total: int

    def is_below(self, min_bytes: int, min_inodes: int, size: int = 0) -> bool:
        """Whether less than that is free, or would be with `size` bytes more."""
        return self.bytes - size < min_bytes or (self.inodes is not None and self.inodes < min_inodes)


JOURNALLING = frozenset({"ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "bcachefs", "NTFS", "ReFS"})
REFUSED = frozenset(
    {
        "nfs",
        "nfs3",
        "nfs4",
        "cifs",
        "smb2",
        "smb3",
        "smbfs",
        "vfat",
        "msdos",
        "exfat",
        "FAT",
        "FAT32",
        "exFAT",
        "9p",
        "afs",
    }
    | {"fuse.sshfs", "fuse.rclone", "fuseblk.exfat", "remote"}
)


def suitability(file_system: str) -> Suitability:
    """Of a file system by its name. Unknown ones are taken with a warning, like tmpfs and overlays."""
    if file_system in REFUSED:
        return Suitability.REFUSED
    return Suitability.GOOD if file_system in JOURNALLING else Suitability.DOUBTFUL


@dataclass(frozen=True, slots=True)
class Access:
    """What a process may not change of a spool: `read_only` its whole disk can only be read, `mounted` that of these
    folders, `closed` are those that its rights keep it from."""

    read_only: bool = False
    mounted: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
