"""Jobs: bounded, cancelled at their next step, their ends kept for ten minutes, their errors in words."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dropsafe.cli.trouble import in_words
from dropsafe.desk.jobs import KEPT_FOR, KEPT_UNHEARD, MOST_KEPT, MOST_RUNNING, SHARE, Job, Jobs
from dropsafe.desk.trouble import STANDS
from dropsafe.errors import Busy, SpoolError, TemporaryError, UsageError
from dropsafe.spool.clock import ManualClock
from tests.support.waiting import PATIENCE


@pytest.fixture
def jobs(clock: ManualClock) -> Iterator[Jobs]:
    jobs = Jobs(clock)
    yield jobs
    jobs.close(PATIENCE)


def ended(jobs: Jobs, started: dict[str, Any]) -> dict[str, Any]:
    return jobs.wait(started["id"], PATIENCE)


def test_the_end_of_a_job_is_told_for_ten_minutes(jobs: Jobs, clock: ManualClock) -> None:
    job = ended(jobs, jobs.start("count", "ana", lambda job: {"found": 3}))
    assert (job["state"], job["result"], job["by"]) == ("done", {"found": 3}, "ana")
    clock.advance(KEPT_FOR - 1)
    assert [known["id"] for known in jobs.list()] == [job["id"]]
    clock.advance(1)
    with pytest.raises(UsageError, match="no job"):
        jobs.get(job["id"])


def test_the_end_of_what_a_person_wanted_done_is_kept_for_a_day_until_it_is_heard(
    jobs: Jobs, clock: ManualClock
) -> None:
    one, other = (ended(jobs, jobs.start("move", "ana", lambda job: 1, {"action": "hold"})) for _ in range(2))
    for _ in range(MOST_KEPT):
        ended(jobs, jobs.start("sort", "ana", lambda job: None))
    assert [job["heard"] for job in jobs.list() if job["about"]] == [False, False], "looks make room first"
    jobs.get(other["id"], heard=True)
    clock.advance(KEPT_FOR)
    assert [job["id"] for job in jobs.list()] == [one["id"]]
    clock.advance(KEPT_UNHEARD)
    assert jobs.list() == []


def test_a_cancelled_job_ends_at_its_next_step_with_what_it_has_done(jobs: Jobs) -> None:
    stepped = threading.Event()

    def work(job: Job) -> int:
        done = 0
        while not job.step(done, 10):
            done += 1
            stepped.set()
            job.cancel.wait(PATIENCE)
        return done

    started = jobs.start("count", "ana", work)
    assert stepped.wait(PATIENCE)
    jobs.cancel(started["id"])
    job = ended(jobs, started)
    assert (job["state"], job["result"], job["done"], job["total"]) == ("cancelled", 1, 1, 10)


def test_no_more_run_at_once_than_may(jobs: Jobs) -> None:
    for number in range(MOST_RUNNING):
        jobs.start("wait", f"user {number}", lambda job: job.cancel.wait(PATIENCE))
    with pytest.raises(Busy, match="no more may at once"):
        jobs.start("wait", "ana", lambda job: None)


def test_one_user_leaves_places_to_others_and_what_he_cancelled_does_not_count(jobs: Jobs) -> None:
    released = threading.Event()
    began = [jobs.start("wait", "ana", lambda job: released.wait(PATIENCE)) for _ in range(SHARE)]
    with pytest.raises(Busy, match="jobs of ana run already"):
        jobs.start("wait", "ana", lambda job: None)
    assert ended(jobs, jobs.start("wait", "ben", lambda job: 3))["result"] == 3
    jobs.cancel(began[0]["id"])
    assert ended(jobs, jobs.start("wait", "ana", lambda job: 4))["result"] == 4
    released.set()


def test_the_ends_of_many_jobs_do_not_grow_without_bound(jobs: Jobs) -> None:
    for _ in range(MOST_KEPT + 3):
        ended(jobs, jobs.start("count", "ana", lambda job: None))
    assert len(jobs.list()) <= MOST_KEPT


def test_an_error_is_told_in_words_and_one_that_nobody_expected_goes_to_the_log(
    jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(job: Job) -> None:
        raise SpoolError("It is gone.", remedy="Look for it.")

    def odd(job: Job) -> None:
        raise ValueError("canary")

    told = ended(jobs, jobs.start("count", "ana", broken))["error"]
    assert (told["text"], told["remedy"], told["exit_code"]) == ("It is gone.", "Look for it.", 73)
    with caplog.at_level(logging.ERROR):
        job = ended(jobs, jobs.start("count", "ana", odd))
    assert job["state"] == "failed"
    assert "canary" not in job["error"]["text"]
    assert "canary" in caplog.text


@pytest.mark.parametrize(
    ("number", "title", "code"),
    [(errno.EACCES, "No permission", 77), (errno.EIO, "The disk reported an error", 73), (errno.ENOTEMPTY, "", 70)],
)
def test_an_error_of_the_system_is_told_in_the_words_of_the_command_line_and_says_what_stands(
    jobs: Jobs, number: int, title: str, code: int
) -> None:
    def refused(job: Job) -> None:
        raise OSError(number, os.strerror(number), "/spool/pending")

    error = ended(jobs, jobs.start("count", "ana", refused))["error"]
    assert error["exit_code"] == code
    assert error["remedy"]
    if not title:
        assert "unexpected" in error["title"]
        return
    assert error["title"] == title
    assert error["text"] == f"{os.strerror(number)}: /spool/pending. {STANDS}"
    told = in_words(OSError(number, os.strerror(number), "/spool/pending"))
    assert told is not None
    assert told.message == f"{title}: {os.strerror(number)}: /spool/pending."


def test_a_thread_that_cannot_be_had_takes_no_place(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_room_for_a_thread)
        for _ in range(MOST_RUNNING):
            with pytest.raises(TemporaryError, match="no room for another thread"):
                jobs.start("count", "ana", lambda job: None)
    assert ended(jobs, jobs.start("count", "ana", lambda job: 3))["result"] == 3


def no_room_for_a_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_nothing_is_begun_while_the_service_stops(jobs: Jobs) -> None:
    jobs.close()
    with pytest.raises(TemporaryError, match="The service stops"):
        jobs.start("count", "ana", lambda job: None)
