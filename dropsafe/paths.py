"""Where things lie when nothing else is said: configuration, spool, run folder and logs, for each instance.

There are two sets of places: the machine's, for the service, and a plain user's own. Which of them applies, and why,
is said with each place. Nothing here makes a folder.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from dropsafe.errors import UsageError

INSTANCE_NAME = re.compile(r"[a-z0-9-]{1,32}")
# The spool of an instance lies inside that of the unnamed one, so it must not be called like one of its folders.
TAKEN = frozenset(
    {"tmp", "pending", "inflight", "sent", "receipts", "failed", "quarantine"}
    | {"hold", "discarded", "meta", "intake", "journal", "locks"}
)
CONFIG_NAME = "dropsafe.toml"
RUN_VARIABLE = "DROPSAFE_RUN_DIR"
"""Names the run folder instead of the default one: for a container, say, or to keep a trial apart."""
SERVICE_USER = "dropsafe"


@dataclass(frozen=True, slots=True)
class Places:
    """The default places of one instance. `reason` says why these and not the others."""

    config_file: Path
    spool_dir: Path
    run_dir: Path
    log_dir: Path
    reason: str


def checked_instance(name: str | None) -> str | None:
    """The instance's name if it can be one; None for the unnamed instance, which `default` means too."""
    if name is None or name == "default":
        return None
    if not INSTANCE_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of an instance",
            remedy="Use 1 to 32 small letters, digits and hyphens.",
        )
    if name in TAKEN:
        raise UsageError(
            f"an instance cannot be called {name}: the spool has a folder of that name",
            remedy="Choose another name.",
        )
    return name


def default_places(instance: str | None = None) -> Places:
    """The places in force for this user.

    An administrator means the service, and so does the service's own user, also where the configuration is gone. Anyone
    else means their own instance if they have configured one, else the service if one is configured here, else their own.
    """
    places = _default_places(checked_instance(instance))
    run_dir = os.environ.get(RUN_VARIABLE)
    return replace(places, run_dir=Path(os.path.abspath(run_dir))) if run_dir else places


def _default_places(name: str | None) -> Places:
    if is_administrator():
        return system_places(name, reason="the service's, because an administrator asks")
    if _is_the_service():
        return system_places(name, reason="the service's, because its user asks")
    own = user_places(name, reason="this user's own")
    service = system_places(name, reason="the service's, because it is configured on this machine")
    # os.path.exists: a folder that this user may not look into counts as not there
    configured = os.path.exists(service.config_file) and not os.path.exists(own.config_file)
    return service if configured else own


def is_administrator() -> bool:
    """Whether this process may act for the whole machine."""
    if os.name == "posix":
        return os.geteuid() == 0
    import ctypes

    return bool(ctypes.windll.shell32.IsUserAnAdmin())  # type: ignore[attr-defined,unused-ignore]


def _is_the_service() -> bool:
    if os.name != "posix":
        return False
    import pwd

    try:
        return os.geteuid() == pwd.getpwnam(SERVICE_USER).pw_uid
    except KeyError:
        return False


def system_places(instance: str | None, *, reason: str) -> Places:
    """The service's places."""
    file_name = f"{instance}.{CONFIG_NAME}" if instance else CONFIG_NAME
    if os.name == "posix":
        return Places(
            config_file=Path("/etc/dropsafe", file_name),
            spool_dir=Path("/var/lib/dropsafe", instance or ""),
            run_dir=Path("/run/dropsafe"),
            log_dir=Path("/var/log/dropsafe"),
            reason=reason,
        )
    base = Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData"), "Dropsafe")
    return Places(
        config_file=base / file_name,
        spool_dir=base / "spool" / (instance or ""),
        run_dir=base / "run",
        log_dir=base / "log",
        reason=reason,
    )


def user_places(instance: str | None, *, reason: str) -> Places:
    """A plain user's own places: XDG's on Linux, %LOCALAPPDATA% on Windows."""
    from platformdirs import PlatformDirs

    folders = PlatformDirs("dropsafe", appauthor=False)
    # Where there is none, platformdirs would take a name in /tmp that any other user could take first.
    session = os.environ.get("XDG_RUNTIME_DIR") if os.name == "posix" else None
    return Places(
        config_file=Path(folders.user_config_path, f"{instance}.{CONFIG_NAME}" if instance else CONFIG_NAME),
        spool_dir=Path(folders.user_data_path, "spool", instance or ""),
        run_dir=Path(session, "dropsafe") if session else Path(folders.user_state_path, "run"),
        log_dir=Path(folders.user_log_path),
        reason=reason,
    )


def run_name(instance: str | None, config_file: Path | None, spool_dir: str | None) -> str | None:
    """What a service is called among its files in the run folder; None for that of the machine, or of the user.

    `config_file` and `spool_dir` are those that a person has named for it. Where these are not the instance's own, it
    has a name made of them: a trial must not publish its status, or listen, in the place of the service.
    """
    if instance or not (config_file or spool_dir):
        return instance
    if not spool_dir and os.path.realpath(str(config_file)) == os.path.realpath(default_places().config_file):
        return None
    named = "\0".join(os.path.realpath(path) if path else "" for path in (config_file, spool_dir))
    return f"at-{hashlib.sha256(named.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"


def ipc_address(places: Places, name: str | None) -> str:
    """Where the service of that `run_name` listens: a socket in its run folder, on Windows a pipe."""
    name = name or "default"
    if os.name == "posix":
        return str(places.run_dir / f"{name}.sock")
    whose = "" if is_administrator() else f"{os.environ.get('USERNAME', 'user')}-"
    return rf"\\.\pipe\dropsafe-{whose}{name}"
