"""The field for a text that names or reasons hold."""

from __future__ import annotations

from PySide6.QtWidgets import QLineEdit, QWidget


class FilterField(QLineEdit):
    """Says what it takes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setPlaceholderText(self.tr("Name or reason holds…"))
        self.setToolTip(self.tr("With *, ? or [ it is a pattern for the whole name (Ctrl+F)."))
        self.setClearButtonEnabled(True)
        self.setAccessibleName(self.tr("Filter"))
