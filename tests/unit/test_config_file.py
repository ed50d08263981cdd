"""The configuration file: what is read, what is kept when it is changed, and what a broken one leads to."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropsafe import config_file
from dropsafe.config import Config
from dropsafe.config_keys import keys
from dropsafe.errors import BadValue, ConfigError, NoPermission, WrongType

FOLDER = os.path.abspath(os.path.join(os.sep, "data"))

COMMENTED = """\
# Station 3, put up in May
max_queue_size = 10_000   # as agreed with Anna
future_key = "of a newer version"

# where it goes
[destination]
url = "https://a.example/ingest"  # the old server
timeout = 30

[[watch]]
# the press
path = "{folder}/press"
pattern = "*.xml"
colour = "blue"

[[watch]]
# the oven
path = "{folder}/oven"
""".replace("{folder}", FOLDER.replace("\\", "\\\\"))

GOOD = COMMENTED.replace('future_key = "of a newer version"\n', "").replace('colour = "blue"\n', "")
"""The same without what this version does not know, so that it may become the last good copy."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dropsafe.toml"
    path.write_text(COMMENTED, encoding="utf-8")
    return path


def test_saving_changes_the_one_value_and_nothing_else(file: Path) -> None:
    config = Config.load(file)
    config["destination.timeout"] = 45
    config.save()
    assert file.read_text(encoding="utf-8") == COMMENTED.replace("timeout = 30", "timeout = 45")
    assert Config.load(file)["destination.timeout"] == 45


def test_saving_without_a_change_does_not_touch_a_byte(file: Path) -> None:
    config = Config.load(file)
    config["max_queue_size"] = 10000
    config.save()
    assert file.read_text(encoding="utf-8") == COMMENTED


def test_new_keys_and_sections_are_added_and_comments_stay(file: Path) -> None:
    config = Config.load(file)
    config.update({"station_name": "line-3", "log.level": "debug", "destination.headers": {"X-Site": "Hall 2"}})
    config["destination.allow_html"] = True
    config.save()
    text = file.read_text(encoding="utf-8")
    assert all(line in text.splitlines() for line in COMMENTED.splitlines())
    again = Config.load(file)
    assert again["station_name"] == "line-3"
    assert again["log.level"] == "debug"
    assert again["destination"]["headers"] == {"X-Site": "Hall 2"}
    assert again["destination.allow_html"] is True


def test_watched_folders_keep_their_comments_and_unknown_fields_when_others_change(file: Path) -> None:
    config = Config.load(file)
    press, oven = config["watch"]
    config["watch"] = [oven, {**press, "recursive": True}, {"path": f"{FOLDER}/new"}]
    config.save()
    text = file.read_text(encoding="utf-8")
    assert text.index("# the oven") < text.index("# the press") < text.index(f"{FOLDER}/new")
    assert "settle_seconds" not in text, "a default that nobody wrote"
    assert tomllib.loads(text)["watch"][1]["colour"] == "blue"
    assert [watch["recursive"] for watch in Config.load(file)["watch"]] == [False, True, False]


def test_unknown_keys_warn_with_the_nearest_known_one_and_are_kept(file: Path) -> None:
    file.write_text('max_queue_sise = 5\n"destination.url" = "x"\n[destination]\ntimeuot = 1\n', encoding="utf-8")
    config = Config.load(file)
    assert len(config.warnings) == 3
    assert "max_queue_size" in config.warnings[1] + config.warnings[0]
    assert "destination.timeout" in config.warnings[2]
    assert config["max_queue_size"] == 10_000
    config["max_queue_size"] = 6
    config.save()
    assert tomllib.loads(file.read_text(encoding="utf-8")) == {
        "max_queue_sise": 5,
        "destination.url": "x",
        "max_queue_size": 6,
        "destination": {"timeuot": 1},
    }


def test_a_deleted_key_leaves_the_file(file: Path) -> None:
    config = Config.load(file)
    del config["destination.timeout"]
    assert config["destination.timeout"] == 60
    config.save()
    assert "timeout" not in file.read_text(encoding="utf-8")
    assert Config.load(file)["destination.timeout"] == 60


def test_what_somebody_changed_on_the_disk_meanwhile_is_kept(file: Path) -> None:
    config = Config.load(file)
    file.write_text(COMMENTED.replace("timeout = 30", "timeout = 31"), encoding="utf-8")
    config["max_queue_size"] = 7
    config.save()
    assert Config.load(file)["destination.timeout"] == 31
    assert config["destination.timeout"] == 31


def test_a_file_that_somebody_broke_meanwhile_is_not_overwritten(file: Path) -> None:
    config = Config.load(file)
    config["max_queue_size"] = 7
    file.write_text("broken = ", encoding="utf-8")
    with pytest.raises(ConfigError):
        config.save()
    assert file.read_text(encoding="utf-8") == "broken = "


def test_saving_elsewhere_takes_the_comments_along(file: Path, tmp_path: Path) -> None:
    config = Config.load(file)
    config["destination.timeout"] = 45
    other = tmp_path / "other.toml"
    config.save(other)
    assert other.read_text(encoding="utf-8") == COMMENTED.replace("timeout = 30", "timeout = 45")
    assert file.read_text(encoding="utf-8") == COMMENTED
    assert config.path == other


def test_a_configuration_from_a_program_can_be_saved(tmp_path: Path) -> None:
    config = Config.from_dict({"destination": {"url": "http://localhost:8080/x"}, "watch": [{"path": FOLDER}]})
    with pytest.raises(ConfigError, match="no file"):
        config.save()
    config.save(tmp_path / "new.toml")
    assert Config.load(tmp_path / "new.toml")["destination.url"] == "http://localhost:8080/x"


def test_a_crash_while_writing_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.load(file)
    config["max_queue_size"] = 7

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(ConfigError, match="No space left"):
        config.save()
    assert file.read_text(encoding="utf-8") == COMMENTED
    assert os.listdir(file.parent) == ["dropsafe.toml"]
    assert config["max_queue_size"] == 7


def test_the_content_is_on_the_disk_before_the_name_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def fsync_seen(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def replace_seen(source: Any, target: Any) -> None:
        done.append(f"replace {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync_seen)
    monkeypatch.setattr(os, "replace", replace_seen)
    file.write_text(GOOD, encoding="utf-8")
    config = Config.load(file)
    config["max_queue_size"] = 7
    config.save()
    folder = ["folder"] if os.name == "posix" else []
    assert done == [
        *("file", "replace dropsafe.toml.last-good", *folder),
        *("file", "replace dropsafe.toml", *folder),
    ]


@pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX's")
def test_mode_and_link_stay(tmp_path: Path, file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8")
    file.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    config = Config.load(link)
    config["max_queue_size"] = 7
    config.save()
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "dropsafe.toml.last-good").stat().st_mode) == 0o640
    assert Config.load(file)["max_queue_size"] == 7


def test_a_folder_that_cannot_be_made_or_written_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="could not be written"):
        Config.load_or_create(tmp_path / "file" / "dropsafe.toml")
    with pytest.raises(ConfigError, match="could not be written"):
        Config().save(tmp_path / "none" / "dropsafe.toml")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a = 1\nb = \n", 2),
        (b"a = 1\n\n[destination\n", 3),
        (b"a = 1\na = 2\n", 2),
        (b'a = """\nnever closed\n', 3),
        (b"# caf\xe9\n", 1),
        (b"a = 1\nb = '\xff'\n", 2),
    ],
)
def test_a_broken_file_is_told_with_its_line(tmp_path: Path, content: bytes, line: int) -> None:
    file = tmp_path / "dropsafe.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Config.load(file)
    assert str(file) in caught.value.message
    assert f"line {line}:" in caught.value.message


def test_a_windows_editors_mark_and_line_ends_are_fine(tmp_path: Path) -> None:
    file = tmp_path / "dropsafe.toml"
    file.write_bytes(b"\xef\xbb\xbfmax_queue_size = 5\r\n[destination]\r\ntimeout = 3\r\n")
    config = Config.load(file)
    assert config["max_queue_size"] == 5
    config["destination.timeout"] = 4
    config.save()
    assert Config.load(file)["destination.timeout"] == 4


def test_every_problem_of_a_file_is_told_at_once(file: Path) -> None:
    file.write_text("max_queue_size = 0\n[destination]\ntimeout = true\nconnections = 129\n", encoding="utf-8")
    with pytest.raises(BadValue) as caught:
        Config.load(file)
    for key in ("max_queue_size", "destination.timeout", "destination.connections"):
        assert key in caught.value.message


def test_a_section_that_is_no_table_is_of_the_wrong_type(file: Path) -> None:
    file.write_text("destination = 5\n", encoding="utf-8")
    with pytest.raises(WrongType, match="must be a table"):
        Config.load(file)


def test_a_missing_file_is_an_error_for_load_and_empty_for_a_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no configuration file"):
        Config.load(tmp_path / "none.toml")
    assert Config.load_for_start(tmp_path / "none.toml", environ={})["max_queue_size"] == 10_000
    assert os.listdir(tmp_path) == []


def test_load_or_create_makes_a_file_with_hints_and_no_settings(tmp_path: Path) -> None:
    file = tmp_path / "new" / "dropsafe.toml"
    config = Config.load_or_create(file)
    assert config == Config.load(file)
    assert {key for key in config if config[key] != Config()[key]} == {"ipc.address"}  # each file has one of its own
    assert "# url" in file.read_text(encoding="utf-8")
    config["destination.url"] = "https://a.example/"
    config.save()
    assert Config.load_or_create(file)["destination.url"] == "https://a.example/"


class TestStart:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "dropsafe.toml"
        path.write_text(GOOD, encoding="utf-8")
        return path

    def test_a_good_file_is_kept_as_the_last_good_copy(self, file: Path) -> None:
        config = Config.load_for_start(file, environ={})
        assert config.fallback_reason is None
        assert config_file.last_good_path(file).read_text(encoding="utf-8") == GOOD

    def test_a_file_with_a_mistyped_key_never_becomes_the_last_good_copy(self, file: Path) -> None:
        Config.load_for_start(file, environ={})
        file.write_text('station_nmae = "x"\n', encoding="utf-8")
        config = Config.load_for_start(file, environ={})
        assert config.warnings
        assert config.fallback_reason is None
        config["max_queue_size"] = 7
        config.save()
        assert Config.load(file)["max_queue_size"] == 7
        assert config_file.last_good_path(file).read_text(encoding="utf-8") == GOOD

    @pytest.mark.parametrize("broken", ["max_queue_size = ", "max_queue_size = 0", "destination = 1", None])
    def test_a_broken_or_missing_file_is_replaced_by_the_last_good_copy(self, file: Path, broken: str | None) -> None:
        Config.load_for_start(file, environ={})
        file.unlink() if broken is None else file.write_text(broken, encoding="utf-8")
        config = Config.load_for_start(file, environ={})
        assert config["destination.timeout"] == 30
        assert config.fallback_reason is not None
        assert str(file) in config.fallback_reason
        assert config_file.last_good_path(file).read_text(encoding="utf-8") == GOOD

    @pytest.mark.skipif(os.name != "posix", reason="making links takes rights on Windows")
    def test_the_last_good_copy_is_found_through_a_link(self, file: Path, tmp_path: Path) -> None:
        link = tmp_path / "elsewhere" / "link.toml"
        link.parent.mkdir()
        link.symlink_to(file)
        Config.load_for_start(link, environ={})
        file.write_text("broken", encoding="utf-8")
        assert Config.load_for_start(link, environ={})["destination.timeout"] == 30

    def test_a_file_that_is_gone_is_not_made_anew_over_its_last_good_copy(self, file: Path) -> None:
        Config.load_for_start(file, environ={})
        file.unlink()
        for load in (Config.load_or_create, Config.load, Config.inspect):
            with pytest.raises(ConfigError, match="is gone") as caught:
                load(file)
            assert config_file.put_back(file) in caught.value.remedy
        assert config_file.last_good_path(file).read_text(encoding="utf-8") == GOOD

    def test_without_a_last_good_copy_a_broken_file_is_an_error(self, file: Path) -> None:
        file.write_text("max_queue_size = \n", encoding="utf-8")
        with pytest.raises(ConfigError, match="line 1"):
            Config.load_for_start(file, environ={})

    def test_a_broken_last_good_copy_does_not_hide_the_error(self, file: Path) -> None:
        file.write_text("max_queue_size = \n", encoding="utf-8")
        config_file.last_good_path(file).write_text("also broken", encoding="utf-8")
        with pytest.raises(ConfigError, match="line 1") as caught:
            Config.load_for_start(file, environ={})
        assert "last-good" not in caught.value.message

    def test_a_fallback_does_not_excuse_the_environment(self, file: Path) -> None:
        Config.load_for_start(file, environ={})
        file.write_text("broken", encoding="utf-8")
        with pytest.raises(BadValue, match="DROPSAFE_MAX_QUEUE_SIZE"):
            Config.load_for_start(file, environ={"DROPSAFE_MAX_QUEUE_SIZE": "0"})

    def test_a_file_that_may_not_be_read_is_one_more_reason_for_the_last_good_copy(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read_bytes = Path.read_bytes

        def refuse(path: Path) -> bytes:
            if path == file:
                raise PermissionError(13, "Permission denied", str(path))
            return read_bytes(path)

        copy = config_file.last_good_path(file)
        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(NoPermission, match="Permission denied"):
            Config.load_for_start(file, environ={})
        copy.write_text(GOOD, encoding="utf-8")
        config = Config.load_for_start(file, environ={})
        assert config["destination.timeout"] == 30
        assert "Permission denied" in str(config.fallback_reason)

    def test_reading_alone_writes_nothing(self, file: Path) -> None:
        Config.in_force(file, environ={})
        assert os.listdir(file.parent) == ["dropsafe.toml"]

    def test_a_folder_that_cannot_be_written_does_not_stop_a_start(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(path: Path, text: str) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(config_file, "keep_last_good", refuse)
        assert Config.load_for_start(file, environ={})["destination.timeout"] == 30
        assert "no last good copy" in caplog.text


class TestRepair:
    def test_what_is_wrong_is_set_back_and_said_and_the_rest_stays(self, file: Path) -> None:
        bad = COMMENTED.replace("10_000", "0").replace("timeout = 30", 'timeout = "soon"')
        file.write_text(bad.replace('"*.xml"', "7"), encoding="utf-8")
        config = Config.inspect(file)
        assert len(config.validate()) == 3
        said = config.repair()
        assert len(said) == 3
        assert config.validate() == []
        assert config["max_queue_size"] == 10_000
        assert config["watch"][0]["pattern"] == "*"
        config.save()
        text = file.read_text(encoding="utf-8")
        assert "# the press" in text
        assert "# where it goes" in text
        assert Config.load(file)["destination.url"] == "https://a.example/ingest"

    @pytest.mark.parametrize(
        "text",
        [
            "destination = 5",
            "retention_days = 900",
            "retention_days = 30000\nreceipt_retention_days = 2",
            '[destination]\nmethod = "PUT"\nurl = "https://a.example/x"',
            "[destination]\nbackoff_min = 100\nbackoff_max = 50",
            "[destination]\nbackoff_min = 3600\nbreaker_min = 3600",
            "watch = 5",
            "watch = [5, {}, {path = 'x'}]",
            f"spool_dir = '{FOLDER}'\n[[watch]]\npath = '{FOLDER}'",
            f"[[watch]]\npath = '{FOLDER}'\nrecursive = true\nafter = 'move:done'",
            "[destination.headers]\nHost = 'x'\nX-Site = 'kept'\n'a b' = 'x'",
        ],
    )
    def test_whatever_is_wrong_can_be_repaired_and_saved(self, file: Path, text: str) -> None:
        file.write_text(text, encoding="utf-8")
        config = Config.inspect(file)
        assert config.validate()
        with pytest.raises(ConfigError):
            config.save()
        assert config.repair()
        assert config.validate() == []
        config.save()
        assert Config.load(file) == config
        assert ("kept" in text) == ("X-Site" in config["destination.headers"])

    def test_nothing_wrong_means_nothing_said(self, file: Path) -> None:
        assert Config.inspect(file).repair() == []


PATHS = st.sampled_from(["a", "b b", "ü€", "c'q", 'd"q', "e#e", "f=f", "[g]"]).map(
    lambda name: os.path.join(FOLDER, name)
)
TEXTS = {
    "spool_dir": PATHS,
    "station_name": st.sampled_from(["line-3", 'a "b"', "#1", "x = y", "it's", "\\n", "[a]", "true", "5"]),
    "destination.url": st.sampled_from(["http://h/{id}", "https://[::1]:8443/{name}?a=b&c='", "http://h"]),
    "destination.ca": PATHS,
    "ipc.address": PATHS,
    "ipc.group": st.sampled_from(["", "dropsafe", "staff"]),
    "destination.client_cert": PATHS,
    "log.file": PATHS,
    "destination.proxy": st.sampled_from(["http://proxy:3128", "http://[::1]:8080/"]),
}
HEADERS = st.dictionaries(
    st.sampled_from(["X-A", "a.b", "x_y", "~"]), st.sampled_from(["", "v", '"', "# c", "'''"]), max_size=4
)
PLACES = st.sampled_from([FOLDER, "credential:token", "env:SECRET"])
WATCH = st.fixed_dictionaries(
    {"path": PATHS},
    optional={
        "pattern": st.sampled_from(["*", "*.xml", "[ab]?", '"']),
        "recursive": st.booleans(),
        "settle_seconds": st.floats(0, 3600) | st.integers(0, 3600),
        "after": st.sampled_from(["delete", "move:" + os.path.join(FOLDER, "done elsewhere")]),
    },
)


def values_of(key: str) -> st.SearchStrategy[Any]:
    schema = keys()[key].schema
    if key in TEXTS:
        return TEXTS[key]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if key == "watch":
        return st.lists(WATCH, max_size=4, unique_by=lambda watch: watch["path"])
    if key == "destination.headers":
        return HEADERS
    if key == "destination.secret_headers":
        return st.dictionaries(st.sampled_from(["X-One", "X-Two"]), PLACES, max_size=2)
    if key.endswith("_file"):
        return PLACES
    if key == "destination.success_status":
        return st.lists(st.integers(200, 299), min_size=1, unique=True, max_size=5)
    match schema["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case _:
            return st.floats(schema["minimum"], schema["maximum"]) | st.just(schema["minimum"])


NEED_ANOTHER = {
    f"destination.{name}" for name in ("username", "client_key", "client_key_password_file", "proxy_username")
}
"""Alone they are refused; at random they nearly always would be."""
SETTINGS = st.fixed_dictionaries({}, optional={key: values_of(key) for key in keys() if key not in NEED_ANOTHER})
STARTS = st.sampled_from(
    [
        "",
        COMMENTED,
        config_file.TEMPLATE,
        "# only a comment",
        "destination.timeout = 5 # dotted\ndestination.url = 'http://x'\nlog.level = 'info'\n",
        "destination = { timeout = 5, headers = { X-A = 'b' } }\nlog = {}\n",
        "watch = []\nmax_queue_size = 5 # five\n[log]\n",
        f"max_queue_size = 5\nwatch = [ {{ path = '{FOLDER}/a', colour = 1 }} ] # inline\n[destination]\n# end",
        "[destination.headers] # mine\nX-A = 'b' # c\n\n[destination]\ntimeout = 5\n",
        f"[[watch]]\npath = '{FOLDER}/a'\n[future]\nx = 1\n[[watch]]\npath = '{FOLDER}/b b' # two\n[[future2]]\n",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=STARTS, first=SETTINGS, second=SETTINGS, removed=st.sets(st.sampled_from(list(keys())), max_size=5))
def test_whatever_is_saved_reads_back_as_it_was(
    tmp_path: Path, text: str, first: dict[str, Any], second: dict[str, Any], removed: set[str]
) -> None:
    file = tmp_path / "dropsafe.toml"
    file.write_text(text, encoding="utf-8")
    config = Config.load(file)
    warnings = list(config.warnings)
    for values in (first, second):
        try:
            config.update(values)
        except BadValue:  # two values that do not go together
            continue
        config.save()
        assert Config.load(file) == config
    for key in removed:
        try:
            del config[key]
        except BadValue:
            continue
    config.save()
    again = Config.load(file)
    assert again == config
    assert {w for w in warnings if "watch" not in w} <= set(again.warnings)
    if "watch" not in {*first, *second, *removed}:
        comments = [line for line in text.splitlines() if line.startswith("#")]
        assert all(comment in file.read_text(encoding="utf-8") for comment in comments)
