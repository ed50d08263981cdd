"""An error as a plain value for people, as it travels in an answer: title, text, remedy, exit code."""

from __future__ import annotations

from typing import Any

from dropsafe.errors import DropsafeError, ExitCode, NoPermission, TemporaryError


def for_people(error: Exception) -> DropsafeError | None:
    """An error that can be expected: one of ours, or the system's in our words. None for any other."""
    if isinstance(error, DropsafeError):
        return error
    if not isinstance(error, OSError) or error.errno is None:
        return None
    what = f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    if isinstance(error, PermissionError):
        return NoPermission(
            f"The system refuses it ({what}). What was done by then stands; nothing is lost.",
            remedy="Ask an administrator for the right to it.",
        )
    return TemporaryError(
        f"The system reports an error ({what}). What was done by then stands; nothing is lost.",
        remedy="See that the disk is there, writable and not full, then try again.",
    )


def told(error: Exception) -> dict[str, Any] | None:
    """The same as a plain value."""
    found = for_people(error)
    if found is None:
        return None
    return {"title": found.title, "text": found.message, "remedy": found.remedy, "exit_code": int(found.exit_code)}


def unexpected(what: str) -> dict[str, Any]:
    """What is told of one that nobody expected: what it was stands in the log."""
    return {
        "title": "Something unexpected went wrong",
        "text": f"{what} met an unexpected error. Every report that was accepted is still in the spool or delivered.",
        "remedy": "The details are in the log; please report them.",
        "exit_code": int(ExitCode.WORKER_FAILED),
    }
