"""The status as Prometheus has it. Pure, but for prometheus-client, which is loaded when somebody asks for the first time.

What a worker has not told yet has no sample: a 0 would say that it was counted. Totals of a worker begin anew with it,
as counters of Prometheus may; those of the spool are as of the last count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from dropsafe.errors import UsageError
from dropsafe.supervisor.status import Condition, Status, WorkerStatus

if TYPE_CHECKING:
    from prometheus_client import Metric

Figure = int | float | str


@dataclass(frozen=True, slots=True)
class _Row:
    """A figure of one worker's heartbeat, by its name in the status. A name ending in _total is a counter's."""

    name: str
    worker: str
    figure: str
    help: str
    scale: float = 1.0


_ROWS: Final = (
    _Row("accepted_total", "janitor", "figures.accepted", "Entries accepted in the spool's whole life."),
    _Row("delivered_total", "uploader", "delivered", "Entries delivered, with a receipt."),
    _Row("delivered_bytes_total", "uploader", "bytes", "Bytes of the entries delivered."),
    _Row("deferred_total", "uploader", "deferred", "Tries after which the entry waits for another one."),
    _Row("rejected_total", "uploader", "rejected", "Entries that the server refused for good."),
    _Row("request_duration_seconds", "uploader", "latency_ms", "How long a request takes, a running mean.", 0.001),
    _Row(
        "breaker_open_seconds", "uploader", "breaker_seconds", "For how long the destination has been down; 0: is not."
    ),
    _Row("waiting_bytes", "janitor", "figures.waiting_bytes", "Bytes of the entries that wait or are in hand."),
    _Row("free_bytes", "janitor", "free_bytes", "What is free on the spool's disk."),
    _Row("free_inodes", "janitor", "free_inodes", "Inodes free on the spool's disk, where they are counted."),
    _Row("counted_timestamp_seconds", "janitor", "figures.at", "When the entries were counted last."),
    _Row("last_success_timestamp_seconds", "uploader", "last_success", "When an entry was delivered last."),
)
_COUNTS: Final = "figures.counts."
_DOWN: Final = frozenset({"destination-down", "destination-refuses"})


def exposition(status: Status | None, *, healthy: bool, ready: bool, now: float) -> tuple[str, bytes]:
    """The content type and the text, at the wall time `now`. UsageError if prometheus-client is not installed."""
    try:
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.registry import Collector
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        raise UsageError(
            "Metrics need prometheus-client, which is not installed. /healthz and /readyz work without it.",
            remedy="Install it: pip install 'dropsafe[metrics]', then restart the service.",
        ) from error

    class Once(Collector):
        def collect(self) -> Iterable[Metric]:
            yield from _of_health(healthy, ready)
            if status is not None:
                yield from _families(status, now)

    registry = CollectorRegistry()  # not the library's own, which would add figures of the supervisor's Python
    registry.register(Once())
    return CONTENT_TYPE_LATEST, generate_latest(registry)


def _of_health(healthy: bool, ready: bool) -> Iterator[Metric]:
    yield _family("healthy", "Whether /healthz says 200.", [((), healthy)])
    yield _family("ready", "Whether /readyz says 200.", [((), ready)])


def _families(status: Status, now: float) -> Iterator[Metric]:
    figures = {worker.name: worker.figures for worker in status.workers}
    yield _family("build_info", "The version that runs.", [((status.version,), 1)], "version")
    conditions = [((each.value,), each is status.condition) for each in Condition]
    yield _family("condition", "1 for the one that the service is in.", conditions, "condition")
    codes = dict.fromkeys(reason.code for reason in status.reasons)
    yield _family("reason", "1 for each reason that the status gives.", [((code,), 1) for code in codes], "code")
    if figures.get("uploader"):
        is_open = bool(_DOWN.intersection(codes))
        yield _family("breaker_open", "Whether the destination is down or refuses everything.", [((), is_open)])
    janitor = figures.get("janitor", {})
    counts = [
        ((key.removeprefix(_COUNTS),), _number(value)) for key, value in janitor.items() if key.startswith(_COUNTS)
    ]
    yield _family("entries", "Entries by state, as of the last count.", counts, "state")
    if "figures.at" in janitor:
        oldest = janitor.get("figures.oldest")
        age = max(0.0, now - _number(oldest)) if oldest is not None else 0.0
        yield _family("oldest_waiting_age_seconds", "Age of the oldest entry that waits; 0: none does.", [((), age)])
    for row in _ROWS:
        if (value := figures.get(row.worker, {}).get(row.figure)) is not None:
            yield _family(row.name, row.help, [((), _number(value) * row.scale)])
    yield from _of_workers(status.workers)


def _of_workers(workers: Iterable[WorkerStatus]) -> Iterator[Metric]:
    deaths = [((worker.name,), worker.deaths) for worker in workers]
    yield _family("worker_deaths_total", "Deaths of the worker that nobody asked for.", deaths, "worker")
    errors = [((worker.name,), worker.errors) for worker in workers]
    yield _family("worker_errors_total", "Errors that the worker did not expect.", errors, "worker")
    memory = [((worker.name,), worker.memory_bytes) for worker in workers if worker.memory_bytes is not None]
    yield _family("worker_memory_bytes", "Memory of the worker (its resident set).", memory, "worker")


def _family(name: str, text: str, samples: Iterable[tuple[tuple[str, ...], float]], *labels: str) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    family = kind(f"dropsafe_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _number(value: Figure) -> float:
    """A moment as seconds since 1970."""
    return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else value
