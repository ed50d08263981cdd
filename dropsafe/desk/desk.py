"""What people ask of a spool, as one interface: on its folder, or of the service that runs on it.

Values are plain, as JSON has them, in the shapes of `schemas/ipc.schema.json`; a method is named there with a dot where
it has its first underscore here. Whatever goes wrong is a DropsafeError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Value = dict[str, Any]


class Desk(Protocol):
    """`SpoolDesk` and `RemoteDesk`. A `choice` is `states`, `matching`, `older_than`."""

    def status_get(self) -> Value: ...

    def spool_stats(self) -> Value: ...

    def spool_verify(self, states: Sequence[str] = (), sample: int = 0, *, everything: bool = False) -> Value: ...

    def repair_plan(self) -> Value: ...

    def repair_act(self) -> Value: ...

    def diagnose_make(self, *, names: bool = False) -> Value: ...

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
    ) -> Value: ...

    def entries_page(
        self,
        states: Sequence[str],
        *,
        matching: str = "",
        older_than: float | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Value: ...

    def entries_sort(
        self,
        states: Sequence[str],
        sort: str,
        *,
        matching: str = "",
        older_than: float | None = None,
        descending: bool = False,
        limit: int = 100,
    ) -> Value: ...

    def entries_tries(self, ids: Sequence[str]) -> Value: ...

    def entries_survey(
        self, states: Sequence[str], *, matching: str = "", older_than: float | None = None
    ) -> Value: ...

    def entries_count(self, states: Sequence[str], *, matching: str = "", older_than: float | None = None) -> Value: ...

    def entries_get(self, entry: str) -> Value: ...

    def entries_history(self, entry: str) -> Value: ...

    def entries_explain(self, entry: str) -> Value: ...

    def entries_move(self, action: str, ids: Sequence[str]) -> Value: ...

    def entries_move_all(
        self, action: str, count: int, states: Sequence[str], *, matching: str = "", older_than: float | None = None
    ) -> Value: ...

    def pauses_list(self) -> Value: ...

    def pauses_begin(self, work: str, why: str = "", seconds: float | None = None) -> Value: ...

    def pauses_end(self, work: str | None = None) -> Value: ...

    def destination_test(self) -> Value: ...

    def watch_list(self) -> Value: ...

    def jobs_export(self, dest: str, states: Sequence[str] = (), ids: Sequence[str] = ()) -> Value: ...

    def jobs_import(self, source: str) -> Value: ...

    def jobs_import_receipts(self, source: str) -> Value: ...

    def jobs_list(self) -> Value: ...

    def jobs_get(self, job: str, *, heard: bool = False) -> Value: ...

    def jobs_cancel(self, job: str) -> Value: ...

    def config_get(self) -> Value: ...

    def config_validate(self, values: Mapping[str, Any]) -> Value: ...

    def config_set(self, values: Mapping[str, Any]) -> Value: ...
