"""`RemoteDesk`: the same as a `SpoolDesk`, asked of the service that runs; and what only a service can be asked.

What the service sends is checked against the schema before anybody sees it. For one thread at a time, as its client is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dropsafe.desk.desk import Desk, Value
from dropsafe.errors import WorkerFailed
from dropsafe.schemas.methods import shapes, wrong
from dropsafe.supervisor.ipc.client import CALL_TIME, Client

CONFIG_TIME: Final = 30.0
"""Seconds for a change of the configuration, which the service has to read before it answers."""


class RemoteDesk(Desk):
    """Over one client, which whoever made it closes. `answer_time`: seconds for what is answered at once."""

    def __init__(self, client: Client, answer_time: float = CALL_TIME) -> None:
        self._client = client
        self._answer_time = answer_time

    # What only a service can be asked

    def delivery_probe(self) -> Value:
        """Have the destination tried at once."""
        return self._ask("delivery.probe")

    def worker_restart(self, worker: str) -> Value:
        """Have a worker finish what it holds and start afresh."""
        return self._ask("worker.restart", worker=worker)

    def series_hour(self) -> Value:
        """The last hour in steps."""
        return self._ask("series.hour")

    def log_tail(self, since: int = 0, level: str = "info", text: str = "", limit: int = 500) -> Value:
        """Lines of the log after that number."""
        return self._ask("log.tail", since=since, level=level, text=text, limit=limit)

    def events_since(self, since: int, timeout: float = 0.0) -> Value:
        """What happened after that number, waiting for it up to `timeout` seconds (at most 50)."""
        return self._ask("events.since", since=since, timeout=timeout, _within=timeout + self._answer_time)

    def service_stop(self) -> Value:
        """Have the service stop."""
        return self._ask("service.stop")

    # What a folder can be asked, too

    def status_get(self) -> Value:
        return self._ask("status.get")

    def spool_stats(self) -> Value:
        return self._ask("spool.stats")

    def spool_verify(self, states: Sequence[str] = (), sample: int = 0, *, everything: bool = False) -> Value:
        return self._ask("spool.verify", states=list(states) or None, sample=sample, everything=everything)

    def repair_plan(self) -> Value:
        return self._ask("repair.plan")

    def repair_act(self) -> Value:
        return self._ask("repair.act")

    def diagnose_make(self, *, names: bool = False) -> Value:
        return self._ask("diagnose.make", names=names)

    def entries_list(
        self,
        states: Sequence[str],
        *,
        matching: str = "",
        older_than: float | None = None,
        sort: str | None = None,
        descending: bool = False,
        offset: int = 0,
        limit: int = 100,
    ) -> Value:
        choice = _choice(states, matching, older_than)
        return self._ask("entries.list", **choice, sort=sort, descending=descending, offset=offset, limit=limit)

    def entries_page(
        self,
        states: Sequence[str],
        *,
        matching: str = "",
        older_than: float | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Value:
        return self._ask("entries.page", **_choice(states, matching, older_than), after=after, limit=limit)

    def entries_sort(
        self,
        states: Sequence[str],
        sort: str,
        *,
        matching: str = "",
        older_than: float | None = None,
        descending: bool = False,
        limit: int = 100,
    ) -> Value:
        choice = _choice(states, matching, older_than)
        return self._ask("entries.sort", **choice, sort=sort, descending=descending, limit=limit)

    def entries_tries(self, ids: Sequence[str]) -> Value:
        return self._ask("entries.tries", ids=list(ids))

    def entries_survey(self, states: Sequence[str], *, matching: str = "", older_than: float | None = None) -> Value:
        return self._ask("entries.survey", **_choice(states, matching, older_than))

    def entries_count(self, states: Sequence[str], *, matching: str = "", older_than: float | None = None) -> Value:
        return self._ask("entries.count", **_choice(states, matching, older_than))

    def entries_get(self, entry: str) -> Value:
        return self._ask("entries.get", entry=entry)

    def entries_history(self, entry: str) -> Value:
        return self._ask("entries.history", entry=entry)

    def entries_explain(self, entry: str) -> Value:
        return self._ask("entries.explain", entry=entry)

    def entries_move(self, action: str, ids: Sequence[str]) -> Value:
        return self._ask("entries.move", action=action, ids=list(ids))

    def entries_move_all(
        self, action: str, count: int, states: Sequence[str], *, matching: str = "", older_than: float | None = None
    ) -> Value:
        choice = _choice(states, matching, older_than)
        return self._ask("entries.move_all", action=action, count=count, **choice)

    def pauses_list(self) -> Value:
        return self._ask("pauses.list")

    def pauses_begin(self, work: str, why: str = "", seconds: float | None = None) -> Value:
        return self._ask("pauses.begin", work=work, why=why, seconds=seconds)

    def pauses_end(self, work: str | None = None) -> Value:
        return self._ask("pauses.end", work=work)

    def destination_test(self) -> Value:
        return self._ask("destination.test")

    def watch_list(self) -> Value:
        return self._ask("watch.list")

    def jobs_export(self, dest: str, states: Sequence[str] = (), ids: Sequence[str] = ()) -> Value:
        return self._ask("jobs.export", dest=dest, states=list(states) or None, ids=list(ids) or None)

    def jobs_import(self, source: str) -> Value:
        return self._ask("jobs.import", source=source)

    def jobs_import_receipts(self, source: str) -> Value:
        return self._ask("jobs.import_receipts", source=source)

    def jobs_list(self) -> Value:
        return self._ask("jobs.list")

    def jobs_get(self, job: str, *, heard: bool = False) -> Value:
        return self._ask("jobs.get", job=job, heard=heard or None)

    def jobs_cancel(self, job: str) -> Value:
        return self._ask("jobs.cancel", job=job)

    def config_get(self) -> Value:
        return self._ask("config.get")

    def config_validate(self, values: Mapping[str, Any]) -> Value:
        return self._ask("config.validate", values=dict(values))

    def config_set(self, values: Mapping[str, Any]) -> Value:
        return self._ask("config.set", values=dict(values), _within=CONFIG_TIME)

    def _ask(self, method: str, *, _within: float | None = None, **params: Any) -> Value:
        """The result. Parameters that are None are left out."""
        given = {name: value for name, value in params.items() if value is not None}
        result = self._client.call(method, given, timeout=self._answer_time if _within is None else _within)
        if mistake := wrong(shapes()[method].result, result):
            raise WorkerFailed(
                f"What the service answers to {method} is not what this program expects: {mistake}. Nothing was lost.",
                remedy="Restart the service, so that it is the version that is installed.",
            )
        answer: Value = result
        return answer


def _choice(states: Sequence[str], matching: str, older_than: float | None) -> dict[str, Any]:
    return {"states": list(states), "matching": matching, "older_than": older_than}
