"""The page Settings on a real line: what cannot be is said beside the field, and what was saved is said to be."""

from __future__ import annotations

from pathlib import Path

from dropsafe.gui.pages.settings import Review, SettingsPage
from tests.support.lots import a_spool
from tests.support.window import a_desktop, until


def test_a_wrong_value_is_not_saved_and_a_right_one_is_said_to_be(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool, a_desktop(tmp_path, spool) as desktop:
        desktop.open()
        desktop.window.go("settings")
        page = desktop.window.page("settings")
        assert isinstance(page, SettingsPage)
        until(page._area.isEnabled, "the values")
        page._lines["destination.url"].field.set_value("htp:/nowhere")
        page._changed("destination.url")
        until(lambda: "1 setting cannot be saved" in page._state.text(), "what is wrong")
        assert not page._save.isEnabled()
        page._undo.click()
        until(lambda: not page._wrong, "the values as they were")
        page._lines["warn_age"].field.set_value(7200)
        page._changed("warn_age")
        assert "1 setting changed, not saved yet" in page._state.text()
        page._review()
        page.findChild(Review).accept()
        until(lambda: page._state.text().startswith("Saved: 1 setting."), "the word of the saving")
        assert page._before["warn_age"] == 7200
        page.show_view({"key": "watch"})
        until(lambda: page._area.verticalScrollBar().value() > 0, "that it is brought to the top")
        assert page._lines["watch"].isAncestorOf(desktop.window.focusWidget())
        page._lines["warn_age"].field.set_value(7300)
        page._changed("warn_age")
        assert "Saved" not in page._state.text()
