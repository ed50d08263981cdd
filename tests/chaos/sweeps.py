"""The sweeps there are: name → what runs it. Each takes a seed, and whether it is to go to its full length."""

from __future__ import annotations

from collections.abc import Callable

from tests.chaos import network_service, network_sweep
from tests.chaos.figures import Figures

SWEEPS: dict[str, Callable[[int, bool], Figures]] = {
    "network": network_sweep.sweep,
    "network, a whole service": network_service.sweep,
}
