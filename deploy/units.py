"""What stands in systemd's files for one instance, as text. Pure: nothing is read but the templates of this package.

A service may write to the folders of its configuration alone, and each of them is a mount of its own for it. So no
file can be renamed from one to another: where that is wanted, both are granted by the folder that holds them.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any, Final

from dropsafe.config_rules import moved_to, within
from dropsafe.errors import UsageError
from dropsafe.printable import printable

MARK: Final = "# Written by `dropsafe service install"
USER: Final = "dropsafe"
GROUP: Final = "dropsafe"
RUN_DIR: Final = "/run/dropsafe"

# Where a service sees nothing, or something of its own, unless it is granted (ProtectHome, PrivateTmp).
HOMES: Final = ("/home", "/root", "/run/user")
HIDDEN: Final = (*HOMES, "/tmp", "/var/tmp")
# To write to these would be to write to nearly everything.
_TOO_WIDE: Final = frozenset(
    {"/", "/boot", "/dev", "/etc", "/home", "/opt", "/proc", "/root", "/run", "/run/user", "/sys", "/tmp", "/usr"}
    | {"/usr/local", "/var", "/var/lib", "/var/log", "/var/tmp"}
)


def unit_name(instance: str | None) -> str:
    """`dropsafe.service`, or `dropsafe@NAME.service` for an instance."""
    return f"dropsafe@{instance}.service" if instance else "dropsafe.service"


def command(python: str, instance: str | None) -> list[str]:
    """`dropsafe`, as that interpreter runs it for that instance, whatever its user's environment and files say."""
    return [python, "-I", "-m", "dropsafe", *(["--instance", instance] if instance else [])]


def service_unit(instance: str | None, python: str, spool: str, writable: Iterable[str]) -> str:
    """The text of the machine's unit. `writable`: the folders that the service writes to, absolute."""
    folders = _outermost(map(os.path.normpath, writable))
    at_home = any(within(path, home) for path in folders for home in HOMES)
    paths = [f"ProtectHome={'tmpfs' if at_home else 'yes'}"]
    for path in folders:
        if any(within(path, place) for place in HIDDEN):
            paths.append(f"BindPaths={_quoted(f'-{path}')}")
        paths.append(f"ReadWritePaths={_quoted(f'-{path}')}")
    words = {"SPOOL": _quoted(spool), "PATHS": "\n".join(paths)}
    return _filled("dropsafe.service", instance, python, words)


def user_unit(instance: str | None, python: str) -> str:
    """The text of a plain user's own unit."""
    return _filled("dropsafe-user.service", instance, python, {})


def template(name: str) -> str:
    """One of the files beside this one, as it is."""
    return files("dropsafe.deploy").joinpath(name).read_text(encoding="utf-8")


def writable(config: Mapping[str, Any], config_dir: str) -> list[str]:
    """The folders that the service has to write to. UsageError if one of them would be nearly everything."""
    found = [RUN_DIR, config_dir, config["spool_dir"]]
    if "log.file" in config:
        found.append(os.path.dirname(config["log.file"]))
    for table in config["watch"]:
        found.append(_with_target(os.path.realpath(table["path"]), moved_to(table)))
    for path in map(os.path.normpath, found):
        if path in _TOO_WIDE:
            raise UsageError(
                f"The service would need the right to write to all of {path}. Nothing was changed.",
                remedy="Choose a folder of its own within it, and see where links in the configuration's paths lead.",
            )
    return found


def program_of(unit: str) -> str:
    """The program that a unit starts: the first word of its first ExecStart, or nothing."""
    for line in unit.splitlines():
        if line.startswith("ExecStart="):
            words = shlex.split(line.removeprefix("ExecStart=").lstrip("@-:+!"))
            return words[0].replace("%%", "%").replace("$$", "$") if words else ""
    return ""


def _with_target(path: str, target: str | None) -> str:
    if target is None or within(os.path.realpath(target), path):
        return path
    both = os.path.commonpath([path, os.path.realpath(target)])
    if both in _TOO_WIDE:
        raise UsageError(
            f"Files cannot be moved from {path} to {target} by the service: it would need the right to write to {both}. "
            "Nothing was changed.",
            remedy=f"Choose a folder within {path}, or beside it, for `after`.",
        )
    return both


def _outermost(paths: Iterable[str]) -> list[str]:
    """Without those that lie in another one: that grants them, and between two of them nothing could be renamed."""
    all_paths = list(dict.fromkeys(paths))
    return [path for path in all_paths if not any(within(path, other) for other in all_paths if other != path)]


def _filled(name: str, instance: str | None, python: str, words: Mapping[str, str]) -> str:
    text = template(name)
    start = " ".join(_quoted(word).replace("$", "$$") for word in command(python, instance))
    title = f" ({instance})" if instance else ""
    values = {"UNIT": unit_name(instance), "TITLE": title, "COMMAND": start, **words}
    # In one pass: what is filled in may hold such a word itself.
    return re.sub("@([A-Z]+)@", lambda found: values[found[1]], text)


def _quoted(text: str) -> str:
    """As one word of a unit file, whatever stands in it. UsageError for what would be another line of it.

    The configuration allows no such name; but a watched folder may be a link that somebody else has made.
    """
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", text):
        raise UsageError(
            f"{printable(text.removeprefix('-'))} cannot stand in a unit of systemd, for it has characters that are not text. "
            "Nothing was changed.",
            remedy="See whether a folder in the configuration is a link that leads there, and who made it.",
        )
    if re.fullmatch(r"[A-Za-z0-9/._-]+", text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
