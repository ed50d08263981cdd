"""The window's own export: what is chosen, or all of a tab, to a place that was not there; the spool stays as it is."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QFileDialog, QLabel

from dropsafe.gui.choosing import Chosen, Filter
from dropsafe.gui.export import exportable
from dropsafe.gui.models.entries import EntriesModel
from dropsafe.gui.pages.entries import EntriesPage
from dropsafe.spool import Spool, State
from tests.support.lots import a_spool, the_page
from tests.support.window import Desktop, a_desktop, pause, until


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with a_spool(tmp_path) as made:
        yield made


@pytest.fixture
def desktop(tmp_path: Path, spool: Spool) -> Iterator[Desktop]:
    with a_desktop(tmp_path, spool, runs=False) as made:
        yield made


def words(page: EntriesPage) -> str:
    return "\n".join(label.text() for label in page.findChildren(QLabel) if label.isVisible())


def save_to(page: EntriesPage, place: Path) -> None:
    page._export.click()
    dialog = until(lambda: next(iter(page.findChildren(QFileDialog)), None), "the question where to")
    dialog.fileSelected.emit(str(place))
    dialog.reject()
    pause(0)


def payloads(place: Path) -> set[str]:
    with zipfile.ZipFile(place) as archive:
        names = [name for name in archive.namelist() if name.endswith((".xml", ".json")) and "line-" in name]
        return {name.rpartition("_")[2] for name in names if ".reason" not in name and ".meta" not in name}


def test_what_is_chosen_is_exported_without_a_service_and_nothing_else(
    desktop: Desktop, spool: Spool, tmp_path: Path
) -> None:
    page, place = the_page(desktop), tmp_path / "out.zip"
    before = sorted(entry.path for entry in spool.entries())
    page.show_view({"state": "failed"})
    until(lambda: page._model.rowCount() == 2 and page._model.row(1), "the refused")
    chosen = page._model.row(1)
    assert chosen is not None
    page._table.selectRow(1)
    save_to(page, place)
    until(lambda: "1 report (" in words(page) and "exported to" in words(page), "what was exported")
    assert payloads(place) == {chosen["name"]}
    assert sorted(entry.path for entry in spool.entries()) == before
    assert desktop.told() == []


def test_with_nothing_chosen_all_of_the_tab_is_exported_and_with_a_filter_what_it_finds(
    desktop: Desktop, spool: Spool, tmp_path: Path
) -> None:
    page = the_page(desktop)
    needs = {entry.name.original for state in (State.FAILED, State.QUARANTINE) for entry in spool.entries(state)}
    page._tabs.setCurrentIndex(1)
    until(lambda: page._model.rowCount() == 3, "those that need a person")
    save_to(page, tmp_path / "all.zip")
    until(lambda: (tmp_path / "all.zip").exists() and not page._exporter.is_at_work, "the export")
    assert payloads(tmp_path / "all.zip") == needs
    page._text.setText("0001")
    until(lambda: page._model.rowCount() == 1 and page._finder.is_complete, "what the filter finds")
    save_to(page, tmp_path / "one.zip")
    until(lambda: (tmp_path / "one.zip").exists() and not page._exporter.is_at_work, "the export")
    assert payloads(tmp_path / "one.zip") == {"line-3-0001.xml"}


def test_nothing_is_overwritten_and_a_person_is_told(desktop: Desktop, tmp_path: Path) -> None:
    page, place = the_page(desktop), tmp_path / "mine.zip"
    place.write_bytes(b"mine")
    save_to(page, place)
    until(desktop.told, "the word of it")
    assert "nothing is overwritten" in desktop.told()[0]
    assert place.read_bytes() == b"mine"
    assert not page._exporter.is_at_work


@pytest.mark.parametrize(
    ("chosen", "found_all", "wanted"),
    [
        ({"count": 5_000}, True, "Choose up to"),
        ({"count": 2, "missing": 1, "rows": [{"id": "a"}]}, True, "Choose up to"),
        ({"filter": Filter(("pending",), "x")}, False, "not all yet"),
        ({"count": 5_000, "whole": True}, True, ""),
        ({}, False, ""),
    ],
)
def test_what_cannot_be_named_is_not_exported(chosen: dict[str, Any], found_all: bool, wanted: str) -> None:
    model = EntriesModel(lambda _: None, lambda: 0.0)
    model.show_count(2_000)
    _, why_not = exportable(Chosen(**{"filter": Filter(("pending",)), **chosen}), model, found_all=found_all)
    assert wanted in why_not
    assert bool(wanted) is bool(why_not)
