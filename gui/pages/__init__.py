"""The pages of the window, one noun each, in the order in which the navigation shows them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dropsafe.gui.page import Page
from dropsafe.gui.words import QT_TRANSLATE_NOOP


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the navigation. Its page is imported when it is first shown."""

    key: str
    title: str
    kind: str

    def make(self, *args: Any, **params: Any) -> Page:
        """A page of it."""
        page: Page = getattr(import_module(f"dropsafe.gui.pages.{self.key}"), self.kind)(*args, **params)
        return page


PAGES = (
    Place("overview", QT_TRANSLATE_NOOP("Words", "Overview"), "OverviewPage"),
    Place("entries", QT_TRANSLATE_NOOP("Words", "Entries"), "EntriesPage"),
    Place("workers", QT_TRANSLATE_NOOP("Words", "Workers"), "WorkersPage"),
    Place("destination", QT_TRANSLATE_NOOP("Words", "Destination"), "DestinationPage"),
    Place("folders", QT_TRANSLATE_NOOP("Words", "Watch folders"), "FoldersPage"),
    Place("settings", QT_TRANSLATE_NOOP("Words", "Settings"), "SettingsPage"),
    Place("log", QT_TRANSLATE_NOOP("Words", "Log"), "LogPage"),
    Place("help", QT_TRANSLATE_NOOP("Words", "Help"), "HelpPage"),
)
