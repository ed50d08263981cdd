"""The service on one spool: takes the service lock, puts the parts together, and runs until it is stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from dropsafe import log
from dropsafe.config import Config
from dropsafe.desk.settings import Settings
from dropsafe.desk.spool_desk import Checkup
from dropsafe.errors import ConfigError, ExitCode
from dropsafe.spool import Spool
from dropsafe.spool.locks import await_the_dying
from dropsafe.spool.recovery import recover, return_claims
from dropsafe.spool.stations import place_of
from dropsafe.supervisor.beside import Beside
from dropsafe.supervisor.health import Health
from dropsafe.supervisor.ipc.office import Office, Service
from dropsafe.supervisor.ipc.platform import system
from dropsafe.supervisor.reporter import Reporter
from dropsafe.supervisor.service_lock import ServiceLock
from dropsafe.supervisor.status import InForce, Status, StatusFile, details_path, plain_address
from dropsafe.supervisor.supervisor import Ports, Supervisor

# A worker is gone 2 s after its supervisor (DESIGN 5); a little more, as nothing is lost by waiting.
FORMER_LEAVE_WITHIN: Final = 3.0
# Sections of the configuration that a reload does not put in force: who is connected would be cut off.
AT_START_ALONE: Final = ("health", "ipc")

_log = logging.getLogger(__name__)


def serve(
    spool: Spool,
    config: Config,
    read_config: Callable[[], Config],
    status_path: Path,
    on_change: Callable[[Status], None],
    checkup: Checkup | None = None,
) -> ExitCode:
    """Be the service, in the main thread, which gets the signal handlers.

    `read_config` is asked at SIGHUP, `checkup` when somebody wants the destination tried. Raises TemporaryError if
    another service has the spool, SpoolError if it cannot be put in order.
    """
    if spool.caution:
        _log.warning("%s", spool.caution)
    lock = ServiceLock(spool.core.layout)
    running = [config]
    layout = spool.core.layout
    details = StatusFile(details_path(layout.locks), layout.file_mode)
    office = _office(spool, config, Settings(Path(config.path or ""), lambda: running[0], read_config), checkup)
    reporter = Reporter(status_path, spool.spool_id, _both(office, on_change), details)
    reporter.in_force = _in_force(config)
    health = _health(config, lambda: reporter.status)

    def reload() -> dict[str, Any]:
        read = _reload(config, read_config)
        _arrive(spool, read)
        started, now = config.to_dict(), read.to_dict()
        waits = ", ".join(f"[{name}]" for name in AT_START_ALONE if now.get(name) != started.get(name))
        if waits:
            _log.warning("%s was changed, which takes effect at the next restart of the service", waits)
        if read["log"] != running[0]["log"]:
            log.set_up_service(read["log"])  # our own; the workers do it as they are started anew
        reporter.in_force = replace(_in_force(read), restart=waits)
        running[0] = read
        return read.to_dict()

    try:
        _arrive(spool, config)
        ports = Ports(
            recover=lambda: _recover(spool),
            return_claims=lambda hand, died: return_claims(spool.core, hand, died=died),
            reload=reload,
            check=lock.check,
        )
        supervisor = Supervisor(
            config.to_dict(), ports, reporter, config_error=config.fallback_reason or "", beside=Beside(office, *health)
        )
        if office is not None:
            office.attach(Service(supervisor.note, lambda: reporter.status, supervisor.progress))
        supervisor.catch_signals()
        supervisor.catch_errors()
        return supervisor.run()
    finally:
        lock.release()


def _recover(spool: Spool) -> None:
    # The service lock is ours, so such an uploader is one whose supervisor was killed, and on its way out.
    if living := await_the_dying(spool.core.layout, "uploader", FORMER_LEAVE_WITHIN):
        _log.warning(
            "An uploader of the service before this one still lives (%s); what it holds stays with it", living[0]
        )
    if done := recover(spool.core).words():
        _log.info("Recovered at the start: %s", done)


def _office(spool: Spool, config: Config, settings: Settings, checkup: Checkup | None) -> Office | None:
    if not config["ipc.enabled"]:
        return None
    return Office(spool, settings, checkup, lambda: system.Listening(config["ipc.address"], config["ipc.group"]))


def _health(config: Config, status: Callable[[], Status | None]) -> tuple[Health, ...]:
    port = config["health.port"]
    return (Health(config["health.address"], port, status),) if port else ()


def _both(office: Office | None, on_change: Callable[[Status], None]) -> Callable[[Status], None]:
    """Who hears of each change of the status."""
    if office is None:
        return on_change
    heard = office.changed

    def tell(status: Status) -> None:
        on_change(status)
        heard(status)

    return tell


def _in_force(config: Config) -> InForce:
    return InForce(config["station_name"], plain_address(config), str(config.path or ""), config.file_digest)


def _reload(running: Config, read_config: Callable[[], Config]) -> Config:
    config = read_config()
    if config["spool_dir"] != running["spool_dir"]:
        raise ConfigError(
            "spool_dir was changed, which a running service cannot follow. The configuration in force stays.",
            remedy="Restart the service for that.",
        )
    return config


def _arrive(spool: Spool, config: Config) -> None:
    if carried := spool.core.stations.arrive(place_of(config.path), config["station_name"]):
        _log.warning("%s", carried)
