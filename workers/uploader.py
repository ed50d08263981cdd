"""The uploader: the worker that delivers, for as long as the service runs."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from dropsafe.config import Config
from dropsafe.spool import Spool, limits_from
from dropsafe.spool.hints import Hints
from dropsafe.workers.delivery import Engine
from dropsafe.workers.http import HttpTransport
from dropsafe.workers.link import Link
from dropsafe.workers.settings import Settings


def run(config: dict[str, Any], link: Link) -> None:
    """Deliver until the link says stop. Raises ConfigError, SpoolError, LockLost; nothing in hand is lost by either."""
    settings = Config.from_dict(config)
    with (
        Spool(settings["spool_dir"], limits_from(settings)) as spool,
        closing(HttpTransport.from_config(settings)) as transport,
        closing(spool.take_hand("uploader")) as hand,
    ):
        spool.core.stations.stay()
        engine = Engine(spool, hand, transport, link, Settings.from_config(settings))
        link.on_stop(engine.wake)
        # The first beat names the hand: from then on the supervisor can return what is in it.
        link.beat(engine.progress())
        with closing(Hints(spool.core.layout, engine.wake)):
            link.ready()
            engine.run()
