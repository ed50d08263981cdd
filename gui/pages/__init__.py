"""The pages of the window, one noun each, in the order in which the navigation shows them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dropsafe.gui.page import Page


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
    Place("overview", "Overview", "OverviewPage"),
    Place("entries", "Entries", "EntriesPage"),
    Place("workers", "Workers", "WorkersPage"),
    Place("destination", "Destination", "DestinationPage"),
    Place("folders", "Watch folders", "FoldersPage"),
    Place("settings", "Settings", "SettingsPage"),
    Place("log", "Log", "LogPage"),
    Place("help", "Help", "HelpPage"),
)
