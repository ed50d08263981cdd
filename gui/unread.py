"""The line that says that not all is shown: which folders of the spool could not be read, and what to do."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from dropsafe.desk.desk import Value

MOST_NAMED: Final = 3


class UnreadNotice(QLabel):
    """Hears the answers of the service. Not seen while all could be read."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setProperty("kind", "wrong")
        self._folders: dict[str, Value] = {}
        self._is_old = False
        self.hide()

    @property
    def has_any(self) -> bool:
        """Whether there is a folder that could not be read."""
        return bool(self._folders)

    def renew(self) -> None:
        """All is asked anew: with the next answer what was told before is over."""
        self._is_old = True

    def note(self, answer: Value) -> None:
        """An answer, or a job with one as its result."""
        told = answer.get("unread", (answer.get("result") or {}).get("unread"))
        if told is None:
            return
        if self._is_old:
            self._folders.clear()
            self._is_old = False
        self._folders |= {each["folder"]: each for each in told}
        shown = list(self._folders.values())[:MOST_NAMED]
        lines = [each["text"] for each in shown]
        if len(self._folders) > len(shown):
            lines.append(self.tr("So it is with {0} more.").format(len(self._folders) - len(shown)))
        lines += dict.fromkeys(each["remedy"] for each in shown)
        self.setText("\n".join(lines))
        self.setVisible(self.has_any)
