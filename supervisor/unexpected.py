"""Errors that nobody caught: those that end a thread, and those for which Python has nobody to raise them to.

Each is logged with its traceback, and told to whoever asked for it, who counts and shows it.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable

from dropsafe.log import log_unexpected

_log = logging.getLogger(__name__)


def catch(thread_died: Callable[[str], None], stray: Callable[[str], None]) -> None:
    """From now on, in this process. Both are called with the error in words, the first one by the thread that dies."""

    def of_thread(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread is not None else "without a name"
        error = args.exc_value or args.exc_type()
        log_unexpected(_log, f"The thread {name} died of an error that it did not expect", error)
        thread_died(f"The thread {name} died: {in_words(error)}")

    def of_nobody(args: sys.UnraisableHookArgs) -> None:
        error = args.exc_value or args.exc_type()
        log_unexpected(_log, f"{args.err_msg or 'An error that could be raised to nobody'} ({args.object!r})", error)
        stray(in_words(error))

    threading.excepthook = of_thread
    sys.unraisablehook = of_nobody


def in_words(error: BaseException) -> str:
    """Its class and text, on one line or a few."""
    return "".join(traceback.format_exception_only(error)).strip()
