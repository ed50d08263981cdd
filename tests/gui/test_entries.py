"""The page Entries on a real line: what it shows, what is selected, and that nothing moves below a selection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QItemSelection, QItemSelectionModel, Qt, QUrl
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QPushButton

from dropsafe.gui.bridge import Reply
from dropsafe.gui.models.entries import AGE, NAME, SIZE, STATE, TRIED, WHY
from dropsafe.gui.pages.entries import EntriesPage
from dropsafe.spool import Spool, State
from tests.support.lots import a_spool, the_page
from tests.support.spools import submit
from tests.support.unread import dying
from tests.support.window import Desktop, a_desktop, pause, until

FAILED, QUARANTINE, HOLD, DISCARDED = "failed", "quarantine", "hold", "discarded"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with a_spool(tmp_path) as made:
        yield made


@pytest.fixture
def desktop(tmp_path: Path, spool: Spool) -> Iterator[Desktop]:
    with a_desktop(tmp_path, spool) as made:
        yield made


def shown(page: EntriesPage) -> list[str]:
    rows = [page._model.row(place) for place in range(page._model.rowCount())]
    return [row["name"] if row else "…" for row in rows]


def select(page: EntriesPage, first: int, last: int) -> None:
    model = page._model
    rows = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
    page._table.selectionModel().select(QItemSelection(model.index(first, 0), model.index(last, 0)), rows)


def show(page: EntriesPage, state: str, count: int) -> None:
    page.show_view({"state": state})
    until(lambda: page._model.rowCount() == count and "…" not in shown(page), f"{count} rows of {state}")


def words(page: EntriesPage) -> str:
    return "\n".join(label.text() for label in page.findChildren(QLabel) if label.isVisible())


def buttons(page: EntriesPage) -> list[str]:
    return [each.text() for each in page.findChildren(QPushButton) if each.isVisible() and each.isEnabled()]


def press(page: EntriesPage, text: str) -> None:
    until(lambda: text in buttons(page), f"the button {text}")
    next(each for each in page.findChildren(QPushButton) if each.isVisible() and each.text() == text).click()


def answer(page: EntriesPage, text: str) -> str:
    """Of the question that is asked: its words; the button of that text is pressed."""
    box = until(lambda: next((each for each in page.findChildren(QMessageBox) if each.isVisible()), None), "a question")
    asked = box.text()
    next(each for each in box.buttons() if each.text() == text).click()
    return asked


def test_each_tab_has_its_reports_with_their_tries_and_reasons(desktop: Desktop) -> None:
    page = the_page(desktop)
    until(lambda: page._model.rowCount() == 14, "all of them")
    show(page, FAILED, 2)
    index = page._model.index
    until(lambda: page._model.data(index(0, TRIED)) == "1", "how often it was tried")
    assert page._model.data(index(0, WHY)) == '422 "unknown station "lin-3""'
    assert page._model.data(index(0, STATE)) == "refused"
    page._tabs.setCurrentIndex(2)
    # Those of one millisecond stand in any order.
    until(lambda: sorted(shown(page)) == [f"line-4-{number:04}.json" for number in range(6)], "those that wait")
    assert page._tabs.tabText(0) == "All 14"


def test_without_a_service_the_folder_is_paged_filtered_and_sorted_and_no_button_can_be_pressed(
    tmp_path: Path, spool: Spool
) -> None:
    with a_desktop(tmp_path, spool, runs=False) as desktop:
        page = the_page(desktop)
        page._text.setText("line-4")
        until(lambda: page._model.rowCount() == 6 and page._finder.is_complete, "what the filter finds")
        page._table.horizontalHeader().setSortIndicator(NAME, Qt.SortOrder.DescendingOrder)
        until(lambda: shown(page)[:1] == ["line-4-0005.json"], "the last name first")
        assert page._model.headerData(NAME, Qt.Orientation.Horizontal) == "Name ▾"
        select(page, 0, 1)
        assert not any(made.isEnabled() for made in page._buttons.values())
        assert "does not run" in page._buttons["hold"].toolTip()
        assert desktop.told() == []


def test_a_folder_that_cannot_be_read_is_named_until_it_can(desktop: Desktop, spool: Spool) -> None:
    page = the_page(desktop)
    bucket = next(spool.entries("failed")).path.parent
    for column in (-1, NAME):
        with pytest.MonkeyPatch.context() as patched:
            dying(patched, bucket)
            page._sort(column, Qt.SortOrder.AscendingOrder)
            until(lambda: f"The folder {bucket} cannot be read" in words(page), "which")
            assert "dropsafe export DEST" in words(page)
            assert (page._unread.height() > 0, page._table.isVisible(), len(shown(page)) > 2) == (True, True, True)
        page.refresh()
        until(lambda: "cannot be read" not in words(page), "that all is read")


def test_what_is_selected_stays_below_the_pointer_though_the_list_changes_and_the_page_says_so(
    desktop: Desktop, spool: Spool
) -> None:
    page = the_page(desktop)
    show(page, FAILED, 2)
    chosen = page._model.row(1)
    assert chosen is not None
    select(page, 1, 1)
    first = page._model.row(0)
    assert first is not None
    spool.retry(first["id"])
    until(lambda: "The list has changed." in words(page), "the word of the change")
    page._put(0, [chosen, first], 2)  # an answer that was on its way
    assert page._model.row(1) == chosen
    assert [row["id"] for row in page._chosen.rows] == [chosen["id"]]
    press(page, "Refresh")
    until(lambda: page._model.rowCount() == 1 and page._model.row(0) is not None, "the list as it is now")
    assert "The list has changed." not in words(page)
    assert page._chosen.count == 0


def test_with_nothing_selected_the_list_follows_the_spool(desktop: Desktop, spool: Spool) -> None:
    page = the_page(desktop)
    show(page, HOLD, 1)
    spool.hold(next(iter(spool.entries(State.PENDING))).id)
    until(lambda: page._model.rowCount() == 2 and page._model.row(1), "the second one")


def test_several_are_held_at_once_and_that_is_taken_back(desktop: Desktop, spool: Spool) -> None:
    page = the_page(desktop)
    page._tabs.setCurrentIndex(2)
    until(lambda: len(shown(page)) == 6 and "…" not in shown(page), "those that wait")
    select(page, 1, 3)
    press(page, "Hold")
    until(lambda: "3 reports on hold." in words(page), "what was done")
    assert spool.stats().hold == 4
    press(page, "Undo")
    assert page.focusWidget() is page._table  # another Undo would take that back
    until(lambda: spool.stats().hold == 1, "the way back")
    assert spool.stats().waiting == 6


def test_what_was_refused_and_discarded_can_be_restored_and_is_not_called_undone(
    desktop: Desktop, spool: Spool
) -> None:
    page = the_page(desktop)
    show(page, FAILED, 2)
    select(page, 0, 1)
    press(page, "Discard")
    assert answer(page, "Discard 2 reports") == "Discard 2 reports?"
    until(lambda: "2 reports discarded." in words(page), "what was done")
    assert spool.stats().discarded == 4
    assert "Undo" not in buttons(page)
    press(page, "Restore")
    until(lambda: spool.stats().discarded == 2, "the way back")
    assert spool.stats().waiting == 8


def test_the_delete_key_asks_before_it_discards_even_one(desktop: Desktop, spool: Spool) -> None:
    page = the_page(desktop)
    show(page, FAILED, 2)
    page._table.setFocus()
    page._table.selectRow(0)
    QTest.keyClick(page._table, Qt.Key.Key_Delete)
    assert answer(page, "Leave it") == "Discard 1 report?"
    pause(100)
    assert spool.stats().discarded == 2
    QTest.keyClick(page._table, Qt.Key.Key_Delete)
    answer(page, "Discard 1 report")
    until(lambda: spool.stats().discarded == 3, "the discard")


def test_all_that_a_filter_finds_is_counted_confirmed_and_moved_and_no_other(
    desktop: Desktop, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("choosing", "pages.entries"):
        monkeypatch.setattr(f"dropsafe.gui.{module}.MOST_BY_ID", 3)
    page = the_page(desktop)
    page._tabs.setCurrentIndex(2)
    page._text.setText("line-4")
    until(lambda: page._model.rowCount() == 6 and page._finder.is_complete, "what the filter finds")
    submit(spool, b"other", name="other.xml")
    page._table.selectAll()
    assert page._chosen.whole
    assert "All 6 reports:" in words(page)
    press(page, "Hold")
    assert answer(page, "Hold 6 reports") == "Hold 6 reports?"
    until(lambda: "6 reports on hold." in words(page), "what was done")
    assert [entry.name.original for entry in spool.entries(State.PENDING)] == ["other.xml"]
    assert "Undo" not in buttons(page)


def test_too_many_that_are_not_all_are_never_taken_for_all(desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("choosing", "pages.entries"):
        monkeypatch.setattr(f"dropsafe.gui.{module}.MOST_BY_ID", 3)
    page = the_page(desktop)
    page._tabs.setCurrentIndex(2)
    until(lambda: page._model.rowCount() == 6, "those that wait")
    select(page, 0, 4)
    assert page._chosen.is_too_many
    assert not page._buttons["discard"].isEnabled()
    assert "Ctrl+A" in page._buttons["discard"].toolTip()
    page.act("discard")
    pause(50)
    assert page.findChildren(QMessageBox) == []


def test_details_say_why_and_their_buttons_do_it(desktop: Desktop, spool: Spool) -> None:
    page = the_page(desktop)
    show(page, FAILED, 2)
    select(page, 0, 0)
    until(lambda: 'Mend the cause, then "Send again"' in words(page), "the explanation, in the words of the buttons")
    wanted = ["Send again", "Readmit as it is", "Hold", "Discard"]
    until(lambda: [text for text in buttons(page) if text in wanted] == wanted, "its buttons, the grave one last")
    press(page, "Copy path")
    assert QApplication.clipboard().text() == (page._chosen.rows[0]["path"])
    with pytest.MonkeyPatch.context() as patched:
        opened = list[QUrl]()
        patched.setattr(page, "open_outside", opened.append)
        press(page, "Show in folder")
        assert [Path(url.toLocalFile()) for url in opened] == [Path(page._chosen.rows[0]["path"]).parent]
    menu = page._menu()
    does = menu.actions()
    assert [each.text() for each in does if each.isEnabled()] == [*wanted[:2], "Hold", "Discard", "Export…"]
    does[0].trigger()
    menu.deleteLater()
    until(lambda: spool.stats().waiting == 7, "its being sent again")
    until(lambda: "waiting" in words(page).splitlines(), "its new state in the details")
    assert "1 report due now. Sent at its turn." in words(page)
    show(page, FAILED, 1)
    edited = next(spool.entries(State.FAILED))
    edited.path.write_bytes(b"edited")
    until(lambda: (page._model.row(0) or {}).get("id") == edited.id, "its row")
    select(page, 0, 0)
    until(lambda: "was edited since" in words(page), "that it was edited")
    until(lambda: "Readmit as it is" in buttons(page) and "Send again" not in buttons(page), "what can be done with it")


def test_a_key_that_is_held_down_asks_for_the_details_of_the_last_alone(
    desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = the_page(desktop)
    show(page, FAILED, 2)
    cancelled: list[Reply] = []

    def note(reply: Reply) -> None:
        cancelled.append(reply)

    monkeypatch.setattr(Reply, "cancel", note)
    for place in (0, 1, 0, 1):
        select(page, place, place)
    monkeypatch.undo()
    assert len(cancelled) == 3


def test_a_readmission_is_asked_about_and_the_details_follow_the_new_id(desktop: Desktop, spool: Spool) -> None:
    page = the_page(desktop)
    show(page, FAILED, 2)
    select(page, 0, 0)
    before = page._inspector.id
    press(page, "Readmit as it is")
    assert answer(page, "Readmit 1 report") == "Readmit 1 report?"
    until(lambda: page._inspector.id not in ("", before) and page._inspector.state == "pending", "the new id")
    assert spool.stats().failed == 1
    hand = spool.take_hand("uploader")
    taken = hand.claim(100)
    assert page._inspector.id in [entry.id for entry in taken]
    page._follow()
    until(lambda: page._inspector.state == "inflight" and "being sent" in words(page), "that it is being sent")
    offered = page._inspector.pane
    kept = until(lambda: [each for each in offered.findChildren(QPushButton) if not each.isEnabled()], "grey buttons")
    assert any(each.text() == "Discard" and "pause delivery first" in each.toolTip() for each in kept)
    held = next(spool.entries(State.HOLD)).id
    page._bulk.move("discard", {page._inspector.id: "pending", held: "hold"}, {page._inspector.id: "CAL-1"})
    answer(page, "Discard 2 reports")
    until(desktop.errors.notices, "that it cannot be discarded")
    trouble = desktop.errors.notices()[0].trouble
    assert trouble.title == "1 of 2 reports could not be moved"
    assert "1 report discarded. “CAL-1” cannot be discarded: it is being sent just now" in trouble.text
    assert "Pause delivery, discard it once" in trouble.remedy
    show(page, "pending", 7)
    place = shown(page).index("line-4-0005.json")
    select(page, place, place)
    until(lambda: page._inspector.state == "inflight", "its details")
    hand.give_back([entry for entry in taken if entry.id == page._inspector.id])
    page._follow()
    until(lambda: page._model.index(place, STATE).data() == "waiting", "the row, which stands still")
    assert page._chosen.count == 1
    hand.close()


def test_typing_over_the_table_filters(desktop: Desktop) -> None:
    page = the_page(desktop)
    page._table.setFocus()
    QTest.keyClick(page._table, Qt.Key.Key_Q)
    assert page._text.text() == "q"
    until(lambda: "No report under “All” has “q” in its name or reason." in words(page), "the empty list")
    press(page, "Clear the filter")
    until(lambda: page._model.row(0) is not None, "the rows")
    QTest.keyClick(page._text, Qt.Key.Key_Down)
    assert page._table.ranges() == [(0, 0)]


def test_keys_find_refresh_open_and_close(desktop: Desktop) -> None:
    page = the_page(desktop)
    desktop.window.activateWindow()
    show(page, FAILED, 2)
    page._table.setFocus()
    QTest.keyClick(page._table, Qt.Key.Key_Down)
    until(lambda: page._inspector.state == "failed", "the details of the first")
    QTest.keyClick(page._table, Qt.Key.Key_Escape)
    assert page._inspector.pane.isHidden()
    QTest.keyClick(page._table, Qt.Key.Key_Down)
    assert page._inspector.pane.isHidden()  # a person has closed it
    QTest.keyClick(page._table, Qt.Key.Key_Return)
    assert page._inspector.pane.isVisible()
    QTest.keyClick(page._table, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert page._text.hasFocus()
    QTest.keyClick(page._table, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert page._chosen.count == 2
    QTest.keyClick(page._table, Qt.Key.Key_F5)
    assert page._chosen.count == 0


@pytest.mark.parametrize("width", [180, 440, 900])
def test_columns_fit_at_any_width_and_ages_are_not_cut(desktop: Desktop, width: int) -> None:
    page = the_page(desktop)
    table, header = page._table, page._table.horizontalHeader()
    table.setMinimumWidth(width)
    table.setMaximumWidth(width)
    pause(20)
    assert header.length() <= table.viewport().width()
    assert not table.isColumnHidden(NAME)
    assert table.isColumnHidden(WHY) is (width < 500)
    if not table.isColumnHidden(AGE):
        assert table.fontMetrics().horizontalAdvance("59 min ago") + 16 <= table.columnWidth(AGE)
    assert page._model.sign_in == (NAME if table.isColumnHidden(STATE) else STATE)
    for column in (NAME, AGE, SIZE):
        sides = {page._model.headerData(column, Qt.Orientation.Horizontal, Qt.ItemDataRole.TextAlignmentRole)}
        assert sides == {page._model.data(page._model.index(0, column), Qt.ItemDataRole.TextAlignmentRole)}


def test_whatever_can_have_the_keyboard_has_a_name(desktop: Desktop) -> None:
    page = the_page(desktop)
    for each in (page._tabs, page._text, page._table, page._inspector.pane._tabs):
        assert each.accessibleName()
    for made in page.findChildren(QPushButton):
        assert made.text() or made.accessibleName()
