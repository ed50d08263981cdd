"""The HTTP transport as a test uses it, and something to send."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dropsafe.config import Config
from dropsafe.workers.http import HttpTransport
from dropsafe.workers.transport import Parcel


@contextmanager
def transport_to(url: str, **settings: Any) -> Iterator[HttpTransport]:
    config = Config.from_dict({"destination": {"url": url, "timeout": 10, "connect_timeout": 5, **settings}})
    transport = HttpTransport.from_config(config)
    try:
        yield transport
    finally:
        transport.close()


def parcel_in(folder: Path, content: bytes = b"<report/>", **facts: Any) -> Parcel:
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"payload-{digest[:8]}"
    path.write_bytes(content)
    usual: dict[str, Any] = {
        "id": "20261123T143001.123Z_4k7q2m5x",
        "name": "report.xml",
        "digest16": digest[:16],
        "size": len(content),
        "content_type": "text/xml",
        "attributes": {},
        "path": path,
    }
    return Parcel(**{**usual, **facts})
