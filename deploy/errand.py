"""What is tried, and made, as the service's user, in a process of that user: `python -I -m dropsafe.deploy.errand`.

It reads what to look at from standard input and prints what the service could not do there, each with the command that
mends it. Only a trial tells: rights, groups, access lists, sticky folders and read-only disks all have a say.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Final

from dropsafe.config import Config
from dropsafe.config_rules import within
from dropsafe.deploy.finding import Finding
from dropsafe.deploy.units import GROUP, HIDDEN, USER
from dropsafe.errors import DropsafeError, NoPermission
from dropsafe.spool import Spool
from dropsafe.spool.dropfolder import Candidate, DropFolder, scan
from dropsafe.spool.layout import FOLDERS
from dropsafe.workers.obstacles import drop_folder, obstacle

# Of a folder with a million files, some are enough to see that they cannot be read.
_LOOKED_AT: Final = 1000
_FILES: Final = (
    *("ca", "client_cert", "client_key", "client_key_password_file"),
    *("token_file", "password_file", "proxy_password_file"),
)


@dataclass(frozen=True, slots=True)
class Order:
    """For whom to look. `shared`: the machine's service, not a plain user's own; `make`: the spool, if its folder is empty."""

    config: str
    instance: str | None
    shared: bool
    make: bool


def main() -> None:
    """An order, and then findings, as JSON."""
    print(json.dumps([asdict(finding) for finding in look(Order(**json.load(sys.stdin)))]))


def look(order: Order) -> Iterator[Finding]:
    """What is in the way of a service with that configuration, for this user."""
    try:
        config = Config.in_force(order.config, environ={}, instance=order.instance)
    except DropsafeError as error:
        yield Finding(error.message, error.remedy)
        return
    yield from _of_spool(config["spool_dir"], order)
    for table in config["watch"]:
        yield from _of_drop_folder(drop_folder(table), config["spool_dir"])
    if "log.file" in config:
        yield from _of_log(os.path.dirname(config["log.file"]))
    yield from _of_files_named(config, order)


def _of_spool(root: str, order: Order) -> Iterator[Finding]:
    give = f"chown --recursive {USER}:{GROUP} {quote(root)}"
    try:
        with Spool.create(root, group=GROUP if order.shared else "") if order.make else Spool(root):
            closed = [name for name in FOLDERS if not _all_access(os.path.join(root, name))]
    except DropsafeError as error:
        if closed_on_the_way := _closed_parent(root):
            text = f"The service cannot reach the spool {root}: {closed_on_the_way} is closed to it."
            yield Finding(text, f"setfacl --modify=u:{_me()}:x {quote(closed_on_the_way)}")
            return
        yield Finding(error.message, give if order.shared and isinstance(error, NoPermission) else error.remedy)
        return
    if closed:
        yield Finding(f"The service cannot read and write in {os.path.join(root, closed[0])}.", give)


def _of_drop_folder(folder: DropFolder, spool: str) -> Iterator[Finding]:
    path, me = folder.path, _me()
    if not os.path.lexists(path):
        if closed := _closed_parent(path):
            yield Finding(
                f"The service cannot reach the drop folder {path}: {closed} is closed to it.",
                f"setfacl --modify=u:{me}:x {quote(closed)}",
            )
        else:
            yield Finding(
                f"There is no drop folder {path}.",
                f"install --directory --owner={me} --group=users --mode=3775 {quote(path)}",
            )
        return
    for place in filter(os.path.isdir, (path, folder.move_to)):
        if why := _cannot_rename_in(place):
            how = "--recursive --modify" if folder.recursive else "--modify"
            yield Finding(
                f"The service cannot {why} in {place}.", f"setfacl {how}=u:{me}:rwX,d:u:{me}:rwX {quote(place)}"
            )
            return
    facts = os.stat(path)
    if facts.st_mode & stat.S_ISVTX and facts.st_uid != os.geteuid():
        yield Finding(
            f"The service cannot remove other users' files from {path}: it is a sticky folder that is not its own.",
            f"chown {me} {quote(path)} && chmod u+rwx {quote(path)}",
        )
    elif problem := obstacle(folder, spool):
        yield Finding(problem.detail, problem.remedy)
    else:
        yield from _of_files(folder)


def _of_files(folder: DropFolder) -> Iterator[Finding]:
    found = [item.path for item in islice(scan(folder), _LOOKED_AT) if isinstance(item, Candidate)]
    closed = [os.path.basename(path) for path in found if not os.access(path, os.R_OK)]
    if closed:
        yield Finding(
            f"The service cannot read {len(closed)} of the files in {folder.path}, {closed[0]} for one.",
            f"setfacl --recursive --modify=u:{_me()}:rwX {quote(folder.path)}",
        )


def _of_log(folder: str) -> Iterator[Finding]:
    if why := _cannot_rename_in(folder):
        yield Finding(
            f"The service cannot {why} in {folder}, where log.file is.",
            f"install --directory --owner={_me()} --group={GROUP} --mode=2750 {quote(folder)}",
        )


def _of_files_named(config: Config, order: Order) -> Iterator[Finding]:
    """Certificates and secrets; `credential:` and `env:` are the service manager's to give."""
    places = {key: config[key] for key in (f"destination.{name}" for name in _FILES) if key in config}
    headers = config["destination.secret_headers"]
    places |= {f"destination.secret_headers.{name}": place for name, place in headers.items()}
    for key, place in places.items():
        if not place.startswith("/"):
            continue
        if order.shared and any(within(os.path.realpath(place), hidden) for hidden in HIDDEN):
            yield Finding(
                f"The service does not see {place}, which {key} names: homes and temporary files are kept from it.",
                f"Move it to /etc/dropsafe, and set {key}.",
            )
        elif not os.access(place, os.R_OK):
            yield Finding(
                f"The service cannot read {place}, which {key} names.", f"setfacl --modify=u:{_me()}:r {quote(place)}"
            )


def _cannot_rename_in(folder: str) -> str:
    """What does not work there, in words, of all that taking a file needs; nothing if all does."""
    if not os.access(folder, os.R_OK | os.X_OK):
        return "look for files"
    first, second = (os.path.join(folder, f".dropsafe-trial-{os.getpid()}-{number}") for number in (1, 2))
    try:
        os.close(os.open(first, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.rename(first, second)
    except OSError as error:
        return f"make, rename and remove files ({error.strerror})"
    finally:
        for path in (first, second):
            with suppress(OSError):
                os.unlink(path)
    return ""


def _closed_parent(path: str) -> str:
    """The first folder on the way there that this user may not pass, or nothing."""
    found = (str(parent) for parent in reversed(Path(path).parents))
    return next((parent for parent in found if os.path.isdir(parent) and not os.access(parent, os.X_OK)), "")


def _all_access(folder: str) -> bool:
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK)


def _me() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


if __name__ == "__main__":
    main()
