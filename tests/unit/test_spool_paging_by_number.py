"""A page by number: it has what the plain order of the folders has there, also after they have changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dropsafe.spool import State
from dropsafe.spool.listing import is_entry_name, page
from dropsafe.spool.walking import PARKING
from tests.support.spools import make_spool, submit

COUNT = 24


def test_a_page_by_number_has_what_lies_there_though_folders_are_only_counted(tmp_path: Path) -> None:
    with make_spool(tmp_path) as spool:
        submit(spool, *(str(number).encode() for number in range(COUNT)))
        pending = spool.core.layout.state(State.PENDING)
        flat = sorted(entry.path for entry in spool.entries(State.PENDING))
        for number, path in enumerate(flat):  # in four folders and beside them, with what is no entry
            folder = Path(pending, f"20260101T0{number // 5}0000-000") if number < 20 else Path(pending)
            folder.mkdir(exist_ok=True)
            shutil.move(path, folder / path.name)
        Path(pending, PARKING).mkdir(exist_ok=True)
        (Path(pending, PARKING) / flat[0].name).write_bytes(b"being taken")
        (Path(pending, "20260101T010000-000") / "a stranger").write_bytes(b"x")
        for _ in range(2):
            files = [path for path in sorted(Path(pending).rglob("*")) if path.is_file() and PARKING not in path.parts]
            wanted = [path.name for path in files if is_entry_name(path.name)]
            for skip in range(len(wanted) + 2):
                found = [entry.path.name for entry in page(spool.core.layout, [State.PENDING, State.HOLD], skip, 7)]
                assert found == wanted[skip : skip + 7]
            (Path(pending, "20260101T000000-000") / flat[0].name).unlink(missing_ok=True)
            (Path(pending, "20260101T020000-000") / flat[11].name).unlink(missing_ok=True)


@pytest.mark.parametrize("states", [(State.FAILED, State.PENDING), (State.PENDING,)])
def test_a_page_by_number_goes_through_the_states_in_their_order(tmp_path: Path, states: tuple[State, ...]) -> None:
    with make_spool(tmp_path) as spool:
        made = submit(spool, b"a", b"b", b"c")
        assert [entry.id for entry in page(spool.core.layout, states, 1, 5)] == sorted(made)[1:]
