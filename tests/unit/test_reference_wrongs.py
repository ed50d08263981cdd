"""What the client that present users know was seen to do wrong: each is a test here, and this says which.

It fails if one of the tests is gone, renamed or skipped everywhere.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

WRONGS: dict[str, list[str]] = {
    "acknowledged before anything was synced": [
        "unit/test_queue_manager.py::test_the_id_is_returned_after_everything_is_durable_and_not_before",
        "unit/test_queue_manager.py::test_a_program_killed_right_after_it_had_the_id_has_lost_nothing",
    ],
    "the only copy of an entry rewritten in place while sending": [
        "unit/test_queue_delivery.py::test_the_only_copy_is_never_written_to_while_it_is_sent",
        "unit/test_queue_crash.py::test_fifty_kills_lose_nothing_and_leave_each_operation_in_one_place",
    ],
    "an entry in two folders after a kill": [
        "unit/test_queue_crash.py::test_fifty_kills_lose_nothing_and_leave_each_operation_in_one_place",
        "crash/test_sweeps.py::test_nothing_is_lost_or_doubled",
    ],
    "in-flight entries stuck for 30 minutes, then all duplicated": [
        "unit/test_queue_endurance.py::test_what_a_killed_program_had_in_hand_is_sent_at_once_by_the_next",
        "service/test_supervisor_process.py::test_what_a_killed_service_held_is_recovered_by_the_next",
    ],
    "completed entries pending again after a reopen": [
        "unit/test_queue_delivery.py::test_what_was_sent_is_not_sent_again_after_reopening",
        "unit/test_spool_recovery.py::test_rule_3_9_one_with_a_receipt_is_finished_not_sent_again",
    ],
    "attempts reset to 1": ["unit/test_queue_delivery.py::test_attempts_are_counted_over_restarts_of_the_program"],
    "a fixed retry for ever": [
        "unit/test_queue_delivery.py::test_the_waits_between_attempts_grow_from_the_interval_to_a_quarter_of_an_hour",
    ],
    "Retry-After ignored": [
        "contract/test_receiver_outcomes.py::test_retry_after_is_heard_as_seconds_and_as_a_date",
        "unit/test_workers_breaker.py::test_retry_after_is_heard_within_the_bounds",
    ],
    "a 400 retried for ever": [
        "contract/test_receiver_outcomes.py::test_the_fault_has_the_outcome",
        "unit/test_queue_delivery.py::test_an_operation_that_the_server_refuses_for_good_is_not_tried_for_ever",
    ],
    "a background task killed by a dangling link": [
        "unit/test_queue_endurance.py::test_garbage_in_the_folder_does_not_end_the_delivering",
        "unit/test_spool_claims.py::test_what_has_an_entrys_name_and_is_no_file_is_left_alone_and_stops_nobody",
    ],
    "and never restarted, with nobody told": [
        "unit/test_queue_endurance.py::test_a_background_thread_that_dies_is_logged_counted_told_and_begun_again",
        "unit/test_queue_async_loop.py::test_a_background_thread_that_dies_is_counted_told_and_begun_again",
    ],
    "272 of 400 entries silently gone on a full disk though add() returned": [
        "unit/test_queue_manager.py::test_every_id_that_was_returned_on_a_failing_disk_is_found",
        "unit/test_queue_manager.py::test_a_full_or_broken_disk_is_an_error_for_the_caller_and_disturbs_nothing",
    ],
    "enqueue cost growing with what waits": [
        "unit/test_queue_manager.py::test_the_cost_of_queueing_does_not_grow_with_what_waits",
        "unit/test_spool_admission.py::test_the_cost_does_not_depend_on_how_many_wait",
    ],
    "a rate limiter that froze the whole loop": [
        "unit/test_queue_async.py::test_a_plain_function_that_blocks_does_not_block_the_loop",
        "unit/test_queue_async_loop.py::test_a_slow_disk_does_not_stop_the_loop",
        "unit/test_queue_async_loop.py::test_waiting_for_room_holds_up_nobody",
    ],
    "the health page still green": [
        "unit/test_health.py::test_who_is_alive_and_who_is_ready",
        "unit/test_health.py::test_a_loop_that_no_longer_turns_is_not_alive",
        "unit/test_health.py::test_the_death_of_its_thread_is_told_and_it_is_started_again",
    ],
    "each IPC answer written twice, a request split over two writes dropped": [
        "contract/test_ipc.py::test_a_request_in_two_writes_is_answered_and_no_request_twice",
        "contract/test_ipc.py::test_is_answered_from_any_thread_and_once",
        "unit/test_ipc_parts.py::test_come_out_as_they_went_in_however_they_were_cut",
    ],
    "units whose start command exits 2": [
        "service/test_systemd.py::test_it_is_installed_delivers_is_looked_after_by_a_technician_and_leaves_the_spool",
        "unit/test_deploy.py::test_a_unit_says_which_program_it_runs",
        "unit/test_deploy.py::test_an_installation_that_the_service_could_not_start_is_refused",
    ],
    "a limit that nobody enforced": [
        "unit/test_queue_manager.py::test_the_limit_is_kept_whoever_comes_at_once",
        "unit/test_queue_async_loop.py::test_the_limit_is_kept_and_can_be_asked_for",
        "chaos/test_many_producers.py::test_the_limit_is_reached_and_never_exceeded_and_each_refusal_has_its_figures",
    ],
    "SIGTERM hanging over 100 s": [
        "service/test_supervisor_process.py::test_a_signal_stops_it_in_order_with_exit_code_0",
        "unit/test_queue_endurance.py::test_cleanup_does_not_wait_for_ever_for_a_call_that_hangs",
        "unit/test_queue_async.py::test_stop_cancels_a_call_that_hangs_and_gives_the_operation_back",
    ],
    "bool accepted for int": [
        "unit/test_config.py::test_a_bool_is_not_a_number_and_a_whole_float_is_not_a_whole_number",
    ],
    "set() and load() unvalidated": [
        "unit/test_config_every_key.py::test_item_assignment_and_set_and_update_refuse_it",
        "unit/test_config_every_key.py::test_load_refuses_it",
    ],
    "queue tests green against a mocked API whose method does not exist": [
        "unit/test_queue_async.py::test_an_api_without_a_method_that_sends_is_refused_at_once",
        "contract/test_queue_server.py::test_what_is_queued_is_on_a_real_server_byte_for_byte",
    ],
}

LATER = {
    "pages alive after 100 closes": "there is no window yet",
}
"""What is not tried yet, and why."""


@cache
def functions_of(path: Path) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name: function for function in functions}


@pytest.mark.parametrize(("wrong", "tests"), WRONGS.items(), ids=WRONGS)
def test_it_has_its_tests(wrong: str, tests: list[str]) -> None:
    for test in tests:
        path, _, name = test.partition("::")
        function = functions_of(TESTS / path).get(name)
        assert function is not None, f"{wrong!r} is no longer tried: {test} is gone"
        marks = " ".join(ast.unparse(decorator) for decorator in function.decorator_list)
        assert not any(word in marks for word in ("mark.skip(", "xfail")), f"{wrong!r} is no longer tried by {test}"


def test_what_is_not_tried_yet_says_why() -> None:
    assert not WRONGS.keys() & LATER.keys()
    assert all(LATER.values())
