"""What all pages of this window have above `BasePage`: steps that they ask the window for, and a view they can be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Signal

from dropsafe.gui.base_page import BasePage
from dropsafe.gui.remedies import Step


class Page(BasePage):
    """`step` is emitted to have the window do something: another page, or a request to the service."""

    step = Signal(object)

    def show_view(self, view: Mapping[str, Any]) -> None:
        """Show that part of it: what it means is the page's own."""

    def go(self, page: str, **view: Any) -> None:
        """Have the window show another page."""
        self.step.emit(Step("", page=page, view=view))
