"""What all pages of this window have above `BasePage`: steps that they ask the window for, and a view they can be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices

from dropsafe.gui.base_page import BasePage
from dropsafe.gui.remedies import Step
from dropsafe.gui.trouble import Trouble
from dropsafe.printable import printable


class Page(BasePage):
    """`step` is emitted to have the window do something: another page, or a request to the service."""

    step = Signal(object)

    def show_view(self, view: Mapping[str, Any]) -> None:
        """Show that part of it: what it means is the page's own."""

    def go(self, page: str, **view: Any) -> None:
        """Have the window show another page."""
        self.step.emit(Step("", page=page, view=view))

    def open_outside(self, url: QUrl) -> None:
        """Have the system's own program show it: the file manager, the browser. A person is told where there is none."""
        if not QDesktopServices.openUrl(url):
            shown = url.toLocalFile() or url.toString()
            self.report(
                Trouble(
                    self.tr("It could not be opened"),
                    self.tr("This system names no program for it: {0}. Nothing was changed.").format(printable(shown)),
                    self.tr("Open it by hand, in a file manager or a browser."),
                )
            )
