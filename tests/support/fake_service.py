"""A service of fake workers in a process of its own: `fake_service.py SPOOL STATUS_FILE WORKER...`."""

from __future__ import annotations

import sys
from pathlib import Path

from dropsafe.cli.trouble import guarded
from dropsafe.spool import Spool
from dropsafe.spool.recovery import recover, return_claims
from dropsafe.supervisor.machine import Role
from dropsafe.supervisor.reporter import Reporter
from dropsafe.supervisor.service_lock import ServiceLock
from dropsafe.supervisor.supervisor import Ports, Supervisor


def main() -> int:
    spool_dir, status_file, *workers = sys.argv[1:]
    config = {"log": {"level": "info"}, "spool_dir": spool_dir, "supervisor": {"worker_memory_bytes": 0}}
    with Spool(spool_dir) as spool:
        lock = ServiceLock(spool.core.layout)
        ports = Ports(
            recover=lambda: recover(spool.core),
            return_claims=lambda hand, died: return_claims(spool.core, hand, died=died),
            reload=lambda: config,
            check=lock.check,
        )
        roles = tuple(Role(name, f"fake_workers.{name}") for name in workers)
        reporter = Reporter(Path(status_file), spool.spool_id, lambda _status: None)
        supervisor = Supervisor(config, ports, reporter, roles=roles)
        supervisor.catch_signals()
        try:
            return supervisor.run()
        finally:
            lock.release()


if __name__ == "__main__":
    sys.exit(guarded(main))
