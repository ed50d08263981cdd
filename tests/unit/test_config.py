"""`Config` as a dictionary: reading, setting, where values come from, and what goes together."""

from __future__ import annotations

import copy
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsafe.config import Config
from dropsafe.config_keys import keys, nearest
from dropsafe.config_rules import check
from dropsafe.errors import BadValue, ConfigError, UnknownKey, UsageError, WrongType

ROOT = os.path.abspath(os.sep)


NAMED_PLACES = (
    "ca",
    "client_cert",
    "client_key",
    "client_key_password_file",
    "token_file",
    "username",
    "password_file",
    "proxy_username",
    "proxy_password_file",
)


def folder(*names: str) -> str:
    return os.path.join(ROOT, *names)


def test_an_empty_configuration_has_every_default_and_no_address() -> None:
    config = Config()
    assert config.validate() == []
    no_default = {f"destination.{name}" for name in ("url", "proxy", *NAMED_PLACES)} | {"log.file"}
    assert set(keys()) - set(config) == no_default
    assert len(config) == len(list(config)) == len(keys()) - len(no_default)
    assert config["max_queue_size"] == 10_000
    assert config["min_free_bytes"] == 256 * 2**20
    assert config["destination"]["success_status"] == [200, 201, 202, 204]
    assert os.path.isabs(config["spool_dir"])
    assert config["station_name"]


def test_it_reads_like_a_dictionary() -> None:
    config = Config({"destination.url": "https://a.example/x"})
    assert config["destination.url"] == "https://a.example/x"
    assert config.get("destination.url") == "https://a.example/x"
    assert config.get("destination.ca") is None
    assert config.get("no.such", 5) == 5
    assert "destination.url" in config
    assert "destination" in config
    assert "destination.ca" not in config
    assert "no.such" not in config
    assert 5 not in config
    assert dict(config.items())["destination.timeout"] == 60


def test_a_field_of_a_watched_folder_cannot_be_set_alone_and_the_error_says_how_to() -> None:
    for key in ("watch.path", "watch.settle_seconds"):
        with pytest.raises(UnknownKey, match="field of a") as refused:
            Config().set(key, "/data")
        assert '[[watch]]\n    path = "/data/reports"' in refused.value.remedy
    with pytest.raises(TypeError, match="each watched folder has a table of its own") as wrong:
        Config().set("watch", "/data")
    assert "[[watch]]" in wrong.value.remedy  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("max_queue_sise", "max_queue_size"),
        ("timeout", "destination.timeout"),
        ("destination.urls", "destination.url"),
        ("DESTINATION.URL", "destination.url"),
        ("settle_seconds", "watch.settle_seconds"),
    ],
)
def test_an_unknown_key_is_a_key_error_that_names_the_nearest(key: str, meant: str) -> None:
    config = Config()
    assert nearest(key) == meant
    for attempt in (
        lambda: config[key],
        lambda: config.set(key, 1),
        lambda: config.origin(key),
        lambda: config.__delitem__(key),
    ):
        with pytest.raises(KeyError) as caught:
            attempt()
        assert isinstance(caught.value, UnknownKey)
        assert key in str(caught.value)
        assert meant in caught.value.remedy


def test_a_key_that_is_not_set_says_how_to_set_it() -> None:
    with pytest.raises(KeyError, match="not set"):
        Config()["destination.url"]
    with pytest.raises(ConfigError) as caught:
        Config().require("destination.url")
    assert "dropsafe config set destination.url https://" in caught.value.remedy
    assert Config({"destination.url": "http://h/"}).require("destination.url") == "http://h/"


def test_values_are_copies_so_nothing_goes_in_unchecked() -> None:
    mine = [200]
    config = Config({"destination.success_status": mine, "watch": [{"path": folder("data")}]})
    mine.append(999)
    config["destination.success_status"].append(999)
    config["destination"]["success_status"].append(999)
    config["destination.headers"]["Host"] = "x"
    config["watch"][0]["path"] = "relative"
    config["watch"].clear()
    assert config["destination.success_status"] == [200]
    assert config["destination.headers"] == {}
    assert config["watch"][0]["path"] == folder("data")
    assert Config()["destination.headers"] == {}


def test_watched_folders_come_with_all_their_defaults() -> None:
    config = Config({"watch": [{"path": folder("data"), "pattern": "*.xml"}]})
    assert config["watch"] == [
        {
            "path": folder("data"),
            "pattern": "*.xml",
            "recursive": False,
            "settle_seconds": 2.0,
            "after": "delete",
            "rescan_seconds": 10,
        }
    ]


def test_update_takes_nested_and_dotted_keys_pairs_and_keywords() -> None:
    config = Config()
    config.update({"destination": {"timeout": 3}, "log.level": "debug"}, max_queue_size=5)
    config.update([("retention_days", 1)])
    config["destination"] = {"connections": 2}
    assert [config[key] for key in ("destination.timeout", "log.level", "max_queue_size", "retention_days")] == [
        3,
        "debug",
        5,
        1,
    ]
    assert config["destination.connections"] == 2
    assert config["destination.timeout"] == 3


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"max_queue_size": 5, "no_such": 1}, UnknownKey),
        ({"max_queue_size": 5, "destination": {"no_such": 1}}, UnknownKey),
        ({"max_queue_size": 5, "destination": 5}, WrongType),
        ({"max_queue_size": 5, 7: 5}, WrongType),
        ({"max_queue_size": 5, "watch": [{"path": folder("a"), "colour": "blue"}]}, UnknownKey),
        ({"max_queue_size": 5, "retention_days": 366}, BadValue),
    ],
)
def test_a_failed_update_changes_nothing(values: dict[Any, Any], error: type[ConfigError]) -> None:
    config = Config({"max_queue_size": 4})
    before = config.to_dict()
    with pytest.raises(error):
        config.update(values)
    assert config.to_dict() == before


@pytest.mark.parametrize(
    "values",
    [
        {"retention_days": 40, "receipt_retention_days": 39},
        {"destination": {"backoff_min": 20, "backoff_max": 19.9}},
        {"destination": {"breaker_min": 20, "breaker_max": 19.9}},
        {"destination": {"method": "PUT", "url": "https://a.example/reports/{day}"}},
        {"spool_dir": folder("data", "spool"), "watch": [{"path": folder("data", "spool", "pending")}]},
        {"spool_dir": folder("data", "spool"), "watch": [{"path": folder("data", "spool", "..", "spool")}]},
        {"spool_dir": folder("data", "spool"), "watch": [{"path": folder("data"), "recursive": True}]},
        {"watch": [{"path": folder("data"), "after": f"move:{folder('data')}"}]},
        {"watch": [{"path": folder("data"), "after": "move:."}]},
        {"watch": [{"path": folder("data"), "after": "move:done", "recursive": True}]},
        {"watch": [{"path": folder("a"), "after": f"move:{folder('b')}"}, {"path": folder("b")}]},
    ],
)
def test_values_that_do_not_go_together_are_refused_in_any_order(values: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        Config(values)
    with pytest.raises(BadValue):
        Config(dict(reversed(values.items())))
    config = Config()

    def one_by_one() -> None:
        for key, value in values.items():
            config[key] = value

    with pytest.raises(BadValue):
        one_by_one()
    assert config.validate() == []


def test_values_that_do_go_together_are_taken() -> None:
    config = Config(
        {
            "spool_dir": folder("data", "spool"),
            "destination": {"method": "PUT", "url": "https://a.example/reports/{id}"},
            "watch": [
                {"path": folder("data"), "after": "move:done"},
                {"path": folder("data-2"), "recursive": True, "after": f"move:{folder('kept')}"},
            ],
        }
    )
    assert config.validate() == []


@pytest.mark.parametrize("name", ["line-3", "Prüfstand 3", "工場", "a" * 64])
def test_station_names_that_are_right(name: str) -> None:
    assert Config({"station_name": name})["station_name"] == name


@pytest.mark.parametrize("host", ["line-3", "Prüf stand\n", "", "x" * 300, "a\udc80"])
def test_every_host_has_a_name_that_is_a_valid_station_name(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert check("station_name", Config()["station_name"]) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://reports.example.com/ingest",
        "http://localhost:8080",
        "http://127.0.0.1:1/x?key=a&b=%20c",
        "https://[2001:db8::1]:65535/{day}/{id}_{name}",
        "https://h/a@b:c",
    ],
)
def test_addresses_that_are_right(url: str) -> None:
    assert Config({"destination.url": url})["destination.url"] == url


@pytest.mark.parametrize(
    "url",
    [
        "reports.example.com",
        "ftp://h/",
        "https://",
        "https:///path",
        "https://user:secret@h/",
        "https://h:0/",
        "https://h:65536/",
        "https://h:/",
        "https://h/a b",
        "https://h/#part",
        "https://h/{serial}",
        "https://h/{",
        "https://h/\r\nX-Injected: 1",
        "https://h/x\n",
        "https://hö/",
        "https://{name}/",
    ],
)
def test_addresses_that_are_wrong(url: str) -> None:
    with pytest.raises(BadValue):
        Config({"destination.url": url})


def test_a_bool_is_not_a_number_and_a_whole_float_is_not_a_whole_number() -> None:
    for value in (True, 5.0, "5", None):
        with pytest.raises(TypeError):
            Config()["max_queue_size"] = value
    Config()["destination.timeout"] = 5


def test_to_dict_is_plain_complete_and_makes_an_equal_configuration() -> None:
    config = Config({"destination.url": "http://h/", "watch": [{"path": folder("data")}], "station_name": "line-3"})
    values = config.to_dict()
    assert json.loads(json.dumps(values)) == values
    assert values["destination"]["timeout"] == 60
    assert values["spool_dir"] == config["spool_dir"]
    again = Config.from_dict(values)
    assert again == config
    assert again.to_dict() == values
    assert copy.deepcopy(config) == config


def test_from_dict_refuses_unknown_keys() -> None:
    with pytest.raises(UnknownKey):
        Config.from_dict({"destination": {"no_such": 1}})


class TestLayers:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "dropsafe.toml"
        path.write_text("max_queue_size = 1\nretention_days = 1\nwarn_age = 1\n", encoding="utf-8")
        return path

    def test_file_below_environment_below_command_line_below_program(self, file: Path) -> None:
        environ = {"DROPSAFE_RETENTION_DAYS": "2", "DROPSAFE_WARN_AGE": "2"}
        config = Config.in_force(file, environ=environ, settings=["warn_age=3", "audit_interval=3"])
        assert [config[key] for key in ("max_queue_size", "retention_days", "warn_age", "audit_interval")] == [
            1,
            2,
            3,
            3,
        ]
        assert config.origin("max_queue_size") == f"file {file}"
        assert config.origin("retention_days") == "environment variable DROPSAFE_RETENTION_DAYS"
        assert config.origin("warn_age") == "command line"
        assert config.origin("journal_days") == "default"
        assert config.origin("spool_dir").startswith("default (")
        assert config.origin("destination.ca") == "not set"
        config["warn_age"] = 4
        assert config["warn_age"] == 4
        assert config.origin("warn_age") == "set by this program"

    def test_values_of_environment_and_command_line_are_never_saved(self, file: Path) -> None:
        config = Config.in_force(file, environ={"DROPSAFE_RETENTION_DAYS": "2"}, settings=["warn_age=3"])
        config["max_queue_size"] = 9
        config.save()
        assert file.read_text(encoding="utf-8") == "max_queue_size = 9\nretention_days = 1\nwarn_age = 1\n"
        assert (config["max_queue_size"], config["retention_days"], config["warn_age"]) == (9, 2, 3)

    @pytest.mark.parametrize(
        ("key", "text", "value"),
        [
            ("station_name", "line-3", "line-3"),
            ("station_name", '"line 3"', "line 3"),
            ("station_name", "3", "3"),
            ("station_name", "true", "true"),
            ("station_name", "2026-01-01", "2026-01-01"),
            ("station_name", "#3", "#3"),
            ("max_queue_size", " 1_000 ", 1000),
            ("destination.url", "https://h/?a=b", "https://h/?a=b"),
            ("destination.timeout", "2.5", 2.5),
            ("destination.allow_html", "true", True),
            ("destination.success_status", "[200, 201]", [200, 201]),
            ("destination.headers", '{ X-Site = "Hall 2" }', {"X-Site": "Hall 2"}),
        ],
    )
    def test_what_a_text_means(self, tmp_path: Path, key: str, text: str, value: Any) -> None:
        variable = "DROPSAFE_" + key.upper().replace(".", "__")
        assert Config.in_force(tmp_path / "none", environ={variable: text})[key] == value
        assert Config.in_force(tmp_path / "none", environ={}, settings=[f"{key}={text}"])[key] == value

    @pytest.mark.parametrize("text", ["1\nmax_queue_bytes = 5", "5 5", "yes", "True", ""])
    def test_a_text_never_sets_more_than_its_key(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(WrongType):
            Config.in_force(tmp_path / "none", environ={}, settings=[f"max_queue_size={text}"])

    @pytest.mark.parametrize("setting", ["max_queue_size", "=5", "", "destination=5"])
    def test_a_setting_that_cannot_be_one_is_a_usage_error(self, tmp_path: Path, setting: str) -> None:
        with pytest.raises(UsageError):
            Config.in_force(tmp_path / "none", environ={}, settings=[setting])

    def test_the_spool_may_be_named_alone_and_relative(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        config = Config.in_force("none.toml", environ={"DROPSAFE_SPOOL": "my spool"})
        assert config["spool_dir"] == os.path.join(os.getcwd(), "my spool")
        assert config.origin("spool_dir") == "environment variable DROPSAFE_SPOOL"

    def test_unknown_variables_warn_and_empty_or_foreign_ones_do_not(self, tmp_path: Path) -> None:
        environ = {"DROPSAFE_MAX_QUEUE_SISE": "5", "DROPSAFE_CONFIG": "x", "DROPSAFE_LOG__LEVEL": "", "PATH": "x"}
        config = Config.in_force(tmp_path / "none", environ=environ)
        assert len(config.warnings) == 1
        assert "DROPSAFE_MAX_QUEUE_SISE" in config.warnings[0]
        assert "did you mean DROPSAFE_MAX_QUEUE_SIZE?" in config.warnings[0]

    def test_a_conflict_between_layers_names_where_it_came_from(self, file: Path) -> None:
        with pytest.raises(BadValue, match="DROPSAFE_RECEIPT_RETENTION_DAYS"):
            Config.in_force(file, environ={"DROPSAFE_RECEIPT_RETENTION_DAYS": "1", "DROPSAFE_RETENTION_DAYS": "2"})

    def test_the_command_line_can_settle_what_the_environment_alone_could_not_say(self, file: Path) -> None:
        environ = {"DROPSAFE_RECEIPT_RETENTION_DAYS": "1", "DROPSAFE_RETENTION_DAYS": "2"}
        assert Config.in_force(file, environ=environ, settings=["retention_days=1"])["receipt_retention_days"] == 1

    @settings(deadline=None)
    @given(text=st.text())
    def test_any_text_is_a_value_or_a_plain_refusal(self, text: str) -> None:
        for key in keys():
            try:
                config = Config.in_force(Path(ROOT, "no", "such.toml"), environ={}, settings=[f"{key}={text}"])
            except ConfigError as error:
                assert key in error.message  # noqa: PT017 - either outcome is right
            else:
                assert Config.from_dict(config.to_dict()) == config
