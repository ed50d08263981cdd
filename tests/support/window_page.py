"""The table of docs/window.md: each reason, as the window tells it."""

from __future__ import annotations

import re

from dropsafe.gui.by_button import by_button
from dropsafe.gui.remedies import steps, tone_of
from dropsafe.gui.theme import Tone
from dropsafe.log import log_place
from tests.support.page import row
from tests.support.reasons import every_reason

_TONES = {Tone.PERSON: "red", Tone.SOON: "amber", Tone.QUIET: "grey"}


def reason_rows() -> list[str]:
    """By code; those of the three workers, which say the same, once."""
    rows: dict[str, str] = {}
    for reason in every_reason():
        name, dash, end = reason.code.partition("-")
        of_worker = bool(dash) and name in ("uploader", "watcher", "janitor") and end != "chore"
        if of_worker and name != "uploader":
            continue
        code = f"uploader-{end}, watcher-{end}, janitor-{end}" if of_worker else reason.code
        said = f"{reason.text} → {by_button(reason.remedy)}".replace(log_place(), "the log")
        text = re.sub(r"kill -HUP \d+", "kill -HUP PID", said).replace("|", "\\|")
        offered = ", ".join(step.label for step in steps(reason.code))
        rows.setdefault(code, row(f"`{code}`", _TONES[tone_of(reason.code)], text, offered))
    return [rows[code] for code in sorted(rows)]
