"""The shapes that present users know: every name, order of arguments, kind and result, as one table.

What stands in it may not change; more arguments may be added, by keyword only. `BasePage` comes with the window.
"""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import pytest

from dropsafe import AsyncPendingQueue, Config, QueuedOperation, QueueManager, QueueStatus

METHOD, ASYNC, PROPERTY, MADE_BY = "method", "async method", "property", "class method"

SHAPES: dict[type, list[tuple[str, str, str, str]]] = {
    QueueManager: [
        (
            METHOD,
            "__init__",
            "queue_dir, send_callback=None, retry_interval_ms=30000, max_retries=10,"
            " *, max_queue_size=10000, queue_full_action='reject',"
            " on_changed=None, on_queued=None, on_sent=None, on_failed=None",
            "None",
        ),
        (METHOD, "enqueue", "operation_type, data", "str"),
        (METHOD, "queue_operation", "operation_type, data", "str"),
        (METHOD, "get_pending_count", "", "int"),
        (METHOD, "get_failed_count", "", "int"),
        (METHOD, "get_pending_operations", "", "list[QueuedOperation]"),
        (METHOD, "get_failed_operations", "", "list[QueuedOperation]"),
        (METHOD, "retry_failed", "operation_id", "bool"),
        (METHOD, "delete_failed", "operation_id", "bool"),
        (METHOD, "cleanup", "", "None"),
    ],
    AsyncPendingQueue: [
        (
            METHOD,
            "__init__",
            "api, reports_dir, max_concurrent=5, max_queue_size=10000, *, queue_full_action='reject'",
            "None",
        ),
        (ASYNC, "run", "", "None"),
        (ASYNC, "stop", "", "None"),
        (ASYNC, "pause", "", "None"),
        (ASYNC, "resume", "", "None"),
        (ASYNC, "submit_all_pending", "", "None"),
        (ASYNC, "queue_operation", "operation_type, data", "str"),
        (METHOD, "get_active_count", "", "Count"),
        (METHOD, "get_pending_count", "", "Count"),
        (METHOD, "can_accept_report", "", "tuple[bool, str]"),
        (PROPERTY, "stats", "", "dict[str, Any]"),
        (PROPERTY, "is_running", "", "bool"),
        (PROPERTY, "queue_size", "", "int"),
        (PROPERTY, "is_queue_full", "", "bool"),
    ],
    Config: [
        (METHOD, "get", "key, default=None", ""),
        (METHOD, "set", "key, value", "None"),
        (METHOD, "__getitem__", "key", "Any"),
        (METHOD, "__setitem__", "key, value", "None"),
        (METHOD, "__contains__", "key", "bool"),
        (METHOD, "__iter__", "", "Iterator[str]"),
        (METHOD, "__len__", "", "int"),
        (METHOD, "update", "values=()", "None"),
        (METHOD, "save", "path=None", "None"),
        (MADE_BY, "load", "path", "Config"),
        (MADE_BY, "load_or_create", "path", "Config"),
        (METHOD, "validate", "", "list[str]"),
        (METHOD, "repair", "", "list[str]"),
        (METHOD, "to_dict", "", "dict[str, Any]"),
        (MADE_BY, "from_dict", "values", "Config"),
    ],
}
"""(kind, name, arguments, result) of each. A `Count` is an int that may be awaited, as some users do."""

FIELDS = ["id", "operation_type", "data", "created", "attempts", "last_attempt", "error", "status"]
STATUSES = ["pending", "sending", "sent", "failed"]


def kind_of(owner: type, name: str) -> str:
    found = inspect.getattr_static(owner, name)
    if isinstance(found, property):
        return PROPERTY
    if isinstance(found, classmethod):
        return MADE_BY
    return ASYNC if inspect.iscoroutinefunction(found) else METHOD


def known_part(signature: inspect.Signature, arguments: str) -> str:
    """The positional parameters, and those by keyword that are in `arguments`, as they are written there."""
    shown, seen_star = [], False
    for name, one in signature.parameters.items():
        if name in ("self", "cls") or one.kind is one.VAR_KEYWORD:
            continue
        if one.kind is one.KEYWORD_ONLY:
            assert one.default is not one.empty, f"{name} has to be given: programs that know the old shape do not"
            if f"{name}=" not in arguments:
                continue
            shown += [] if seen_star else ["*"]
            seen_star = True
        shown.append(name if one.default is one.empty else f"{name}={one.default!r}")
    return ", ".join(shown)


@pytest.mark.parametrize(
    ("owner", "kind", "name", "arguments", "result"),
    [pytest.param(owner, *row, id=f"{owner.__name__}.{row[1]}") for owner, rows in SHAPES.items() for row in rows],
)
def test_the_shape_is_the_one_that_users_know(owner: type, kind: str, name: str, arguments: str, result: str) -> None:
    assert kind_of(owner, name) == kind
    found: Any = getattr(owner, name)
    signature = inspect.signature(found.fget if kind == PROPERTY else found)
    assert known_part(signature, arguments) == arguments
    said = signature.return_annotation
    assert said == result or (said is signature.empty and not result)


def test_an_operation_has_the_fields_in_the_order_that_users_know() -> None:
    assert [field.name for field in fields(QueuedOperation)] == FIELDS
    assert [status.value for status in QueueStatus] == STATUSES


def test_figures_are_numbers_whether_awaited_or_not() -> None:
    queue = AsyncPendingQueue(None, "never-made")
    assert queue.get_active_count() == 0
    assert isinstance(queue.get_active_count(), int)


def test_a_configuration_is_a_mapping() -> None:
    config = Config()
    assert len(config) == len([*config]) > 10
    assert "max_queue_size" in config
    assert config.get("no_such_key", 5) == 5
