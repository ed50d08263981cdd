"""Default places: which set applies to whom, and that instances never meet."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dropsafe import paths
from dropsafe.errors import UsageError
from dropsafe.paths import Places, checked_instance, default_places, run_name, system_places, user_places
from dropsafe.spool.layout import FOLDERS


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    for name in ("CONFIG_HOME", "DATA_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.delenv(f"XDG_{name}", raising=False)
    return tmp_path


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's configuration folder that this test may fill."""
    folder = tmp_path / "etc"
    folder.mkdir()
    real = system_places

    def moved(instance: str | None, *, reason: str) -> Places:
        places = real(instance, reason=reason)
        return replace(places, config_file=folder / places.config_file.name)

    monkeypatch.setattr(paths, "system_places", moved)
    return folder


@pytest.mark.skipif(os.name != "posix", reason="Windows has its own places")
def test_the_services_places_are_the_documented_ones() -> None:
    assert system_places(None, reason="r") == Places(
        Path("/etc/dropsafe/dropsafe.toml"),
        Path("/var/lib/dropsafe"),
        Path("/run/dropsafe"),
        Path("/var/log/dropsafe"),
        "r",
    )
    assert system_places("line-3", reason="r") == Places(
        Path("/etc/dropsafe/line-3.dropsafe.toml"),
        Path("/var/lib/dropsafe/line-3"),
        Path("/run/dropsafe"),
        Path("/var/log/dropsafe"),
        "r",
    )


def test_a_plain_users_places_are_below_the_users_home(home: Path) -> None:
    for places in (user_places(None, reason=""), user_places("a", reason="")):
        for place in (places.config_file, places.spool_dir, places.run_dir, places.log_dir):
            assert place.is_relative_to(home)
            assert not place.exists()


def test_instances_have_their_own_configuration_and_spool(home: Path) -> None:
    for of in (system_places, user_places):
        unnamed, one, two = (of(name, reason="") for name in (None, "one", "two"))
        assert len({unnamed.config_file, one.config_file, two.config_file}) == 3
        assert len({unnamed.spool_dir, one.spool_dir, two.spool_dir}) == 3


@pytest.mark.skipif(os.name != "posix", reason="XDG is POSIX's")
def test_the_run_folder_is_the_sessions_and_never_in_tmp(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert user_places(None, reason="").run_dir == Path("/run/user/1000/dropsafe")


def test_an_administrator_means_the_service(home: Path, service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "is_administrator", lambda: True)
    assert default_places().config_file.parent == service


def test_a_user_means_their_own_unless_only_the_service_is_configured(
    home: Path, service: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "is_administrator", lambda: False)
    own = user_places(None, reason="").config_file
    assert default_places().config_file == own
    (service / "dropsafe.toml").touch()
    assert default_places().config_file.parent == service
    assert default_places("other").config_file.parent == own.parent
    own.parent.mkdir(parents=True)
    own.touch()
    assert default_places().config_file == own


@pytest.mark.parametrize("name", ["", "UPPER", "a/b", "..", "a b", "a" * 33, "ü", "a\n", "a.b", "sent", "pending"])
def test_names_that_cannot_be_an_instance(name: str) -> None:
    with pytest.raises(UsageError):
        default_places(name)


def test_default_means_the_unnamed_instance() -> None:
    assert checked_instance("default") is None
    assert checked_instance("line-3") == "line-3"


def test_no_instance_can_be_called_like_a_folder_of_the_spool() -> None:
    assert set(FOLDERS) == paths.TAKEN


def test_the_environment_may_name_another_run_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DROPSAFE_RUN_DIR", str(tmp_path))
    assert default_places("line-3").run_dir == tmp_path
    monkeypatch.setenv("DROPSAFE_RUN_DIR", "")
    assert default_places().run_dir != tmp_path


def test_only_a_service_of_its_own_place_has_the_plain_name_in_the_run_folder(tmp_path: Path) -> None:
    own = default_places().config_file
    assert run_name(None, None, None) is None
    assert run_name(None, own, None) is None
    assert run_name("line-3", tmp_path / "trial.toml", None) == "line-3"
    names = {
        run_name(None, tmp_path / "trial.toml", None),
        run_name(None, tmp_path / "other.toml", None),
        run_name(None, own, str(tmp_path / "spool")),
        run_name(None, None, str(tmp_path / "other spool")),
    }
    assert len(names) == 4
    assert all(name is not None and name.startswith("at-") for name in names)
