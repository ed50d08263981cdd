"""The command line's frame: shared options, lazy imports, exit codes, and words instead of tracebacks."""

from __future__ import annotations

import errno
import importlib
import json
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

import dropsafe
from dropsafe import errors, log
from dropsafe.cli import main as main_module
from dropsafe.cli.context import Context, Options
from dropsafe.cli.escaping import ERASE, escaped
from dropsafe.cli.main import COMMANDS, load, main, split
from dropsafe.cli.parsers import parsed, parser_of
from dropsafe.cli.trouble import ONLY_READ, guarded
from dropsafe.config_file import put_back

HEAVY = {
    "jsonschema",
    "tomlkit",
    "platformdirs",
    "psutil",
    "urllib3",
    "watchdog",
    "aiohttp",
    "filelock",
    "asyncio",
    "json",
}


Action = Callable[[Namespace, Context], int]
RunAs = Callable[[Action], None]


@pytest.fixture
def run_as(monkeypatch: pytest.MonkeyPatch) -> RunAs:
    """Make `dropsafe show [WORDS]` do this."""

    def install(action: Action) -> None:
        def arguments(parser: ArgumentParser) -> None:
            parser.add_argument("words", nargs="*")

        command = SimpleNamespace(HELP="A command for tests.", EXAMPLES=(), arguments=arguments, run=action)
        real = importlib.import_module
        monkeypatch.setattr(
            main_module, "import_module", lambda name: command if name == "dropsafe.cli.show" else real(name)
        )

    return install


@pytest.fixture(autouse=True)
def own_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Log files of this test in a folder of its own."""
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.setenv("LOCALAPPDATA", str(folder))
    return folder


def raises(error: BaseException) -> Action:
    def action(args: Namespace, context: Context) -> int:
        raise error

    return action


def test_version_is_that_of_the_package() -> None:
    done = subprocess.run([sys.executable, "-m", "dropsafe", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"dropsafe {dropsafe.__version__}\n"


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_no_command_and_no_library_is_imported_for(option: str) -> None:
    code = (
        "import sys; from dropsafe.cli.main import main; main([sys.argv[1]]); "
        "print(*(n for n in sys.modules if n.startswith('dropsafe.') or n in sys.argv[2:]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, option, *HEAVY], capture_output=True, text=True, check=True)
    assert set(done.stderr.split()) == {
        "dropsafe.cli",
        "dropsafe.cli.main",
        "dropsafe.cli.escaping",
        "dropsafe.printable",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_the_table_is_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert "--set KEY=VALUE" in capsys.readouterr().out
    assert load(name).HELP


def test_options_may_stand_between_the_other_words() -> None:
    named = {"config": ["set", "KEY", "VALUE"], "pause": ["intake"], "resume": ["intake"], "service": ["install"]}
    named |= {"export": ["DEST", "ID"], "submit": ["FILE", "FILE"], "retry": ["ID", "ID"]}
    for name in COMMANDS.keys() - {"completion"}:  # what stands behind that is another command's line
        parser = parser_of(name)
        needed = sum(not action.option_strings and action.nargs not in ("*", "?") for action in parser._actions)
        words = named.get(name, ["WORD"] * needed)
        among = [*words[:1], "--config", "FILE", *words[1:], "--json"]
        marked = ["--", *words] if words else []
        assert vars(parsed(parser, among)) == vars(parsed(parser, ["--json", "--config", "FILE", *marked])), name


def test_only_what_must_be_there_is_said_to_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export"]) == 2
    assert "what is missing: DEST. Nothing was changed. More: dropsafe export --help" in capsys.readouterr().err


def test_a_file_that_begins_like_an_option_is_told_as_one_can_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-dash.xml").touch()
    assert main(["submit", "-dash.xml"]) == 2
    assert "write ./-dash.xml. Nothing was changed." in capsys.readouterr().err


def test_help_lists_every_command_and_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in COMMANDS)
    assert main([]) == 2
    assert main(["--json"]) == 2
    assert "usage: dropsafe" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [["no-such"], ["--no-such"], ["config", "--no-such"], ["config", "no-such"], ["--config"]]
)
def test_what_cannot_be_understood_exits_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert "usage:" in capsys.readouterr().err


def test_a_mistyped_command_names_the_nearest_and_where_all_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sumbit"]) == 2
    assert "there is no command 'sumbit'; did you mean submit? All of them: dropsafe --help" in capsys.readouterr().err
    assert main(["xyzzy"]) == 2
    assert "there is no command 'xyzzy'. All of them: dropsafe --help" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["status"], ([], "status", [])),
        (["--json", "status", "--config", "x"], (["--json"], "status", ["--config", "x"])),
        (["--config", "list", "status"], (["--config", "list"], "status", [])),
        (["--config=x", "--set", "a=b", "status", "show"], (["--config=x", "--set", "a=b"], "status", ["show"])),
        (["--set"], (["--set"], None, [])),
        (["--help"], (["--help"], None, [])),
    ],
)
def test_where_the_command_stands(argv: list[str], parts: tuple[list[str], str | None, list[str]]) -> None:
    assert split(argv) == parts


def test_shared_options_may_stand_before_and_after_the_command(
    run_as: RunAs,
) -> None:
    seen: list[Options] = []

    def action(args: Namespace, context: Context) -> int:
        seen.append(context.options)
        return 0

    run_as(action)
    assert (
        main(["--config", "f", "--instance", "i", "--spool", "s", "--set", "a=1", "--json", "show", "--set", "b=2"])
        == 0
    )
    assert main(["show", "--set=a=1", "--config=f", "--set", "b=2", "--instance", "i", "--spool", "s", "--json"]) == 0
    assert (
        main(
            [
                "--config",
                "g",
                "--spool",
                "s",
                "--set",
                "a=1",
                "show",
                "w",
                "--config",
                "f",
                "--set",
                "b=2",
                "--instance=i",
                "--json",
            ]
        )
        == 0
    )
    assert seen == [Options("f", "i", "s", ("a=1", "b=2"), json=True)] * 3


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (errors.UsageError("that is not one", remedy="Try this."), 2, ["That command", "that is not one", "Try this."]),
        (errors.SpoolError("no spool.json"), 73, ["The spool cannot be used: no spool.json"]),
        (errors.QueueFullError("1000 of 1000", {"max_queue_size": 1000}), 75, ["The queue is full", "raise the limit"]),
        (errors.ConfigError("line 3"), 78, ["line 3"]),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 77, ["No permission", "/x/y", "administrator"]),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 75, ["The disk is full", "/x", "Make room"]),
        (OSError(errno.EDQUOT, "Quota exceeded"), 75, ["The disk is full"]),
        (OSError(errno.EROFS, "Read-only file system", "/x"), 73, ["only be read"]),
        (OSError(errno.EIO, "Input/output error", "/x"), 73, ["reported an error"]),
        (OSError(errno.EMFILE, "Too many open files"), 75, ["Try again"]),
        (FileNotFoundError(errno.ENOENT, "No such file", "report.xml"), 2, ["report.xml"]),
        (KeyboardInterrupt(), 130, ["interrupted"]),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, []),
    ],
)
def test_each_error_has_its_words_and_exit_code(
    run_as: RunAs,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    words: list[str],
) -> None:
    run_as(raises(error))
    assert main(["show"]) == code
    told = capsys.readouterr().err
    assert all(word in told for word in words), told
    assert bool(told) == bool(words)
    assert "Traceback" not in told
    assert "Errno" not in told


def test_what_nobody_expected_is_calm_for_the_person_and_whole_in_the_log(
    run_as: RunAs,
    capsys: pytest.CaptureFixture[str],
    own_logs: Path,
) -> None:
    run_as(raises(RuntimeError("the moon is out")))
    assert main(["show"]) == 70
    told = capsys.readouterr().err
    assert "RuntimeError: the moon is out" in told
    assert "Nothing was changed." in told
    assert "Traceback" not in told
    (file,) = own_logs.rglob("dropsafe.log")
    assert str(file) in told
    text = file.read_text(encoding="utf-8")
    assert text.count("Traceback") == 1
    assert "raise error" in text


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("list", "Nothing was changed."),
        ("submit", "the files themselves are untouched"),
        ("hold", "still in the spool"),
    ],
)
def test_an_error_of_the_system_says_what_it_means_for_the_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, words: str
) -> None:
    assert guarded(partial(raises(OSError(errno.EIO, "Input/output error")), Namespace(), None), command) == 73
    assert words in capsys.readouterr().err


def test_commands_that_are_told_to_change_nothing_exist() -> None:
    assert set(COMMANDS) >= ONLY_READ


def test_a_disk_that_cannot_be_written_is_told_by_the_spool_not_by_one_of_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dropsafe.Spool.create(tmp_path / "spool", group="").close()
    lock = tmp_path / "spool" / "locks" / "admission.lock"
    guarded(partial(raises(OSError(errno.EROFS, "Read-only file system", str(lock))), Namespace(), None))
    assert f"Read-only file system: the spool {tmp_path / 'spool'}." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["locks", "journal", "sent"])
def test_a_folder_of_the_spool_that_is_missing_is_named_with_what_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    dropsafe.Spool.create(tmp_path / "spool", group="").close()
    (tmp_path / "spool" / name).rename(tmp_path / "away")
    gone = FileNotFoundError(errno.ENOENT, "No such file", str(tmp_path / "spool" / name / "x" / "y"))
    assert guarded(partial(raises(gone), Namespace(), None)) == 73
    told = capsys.readouterr().err
    assert (f"The folder {name}/ of the spool {tmp_path / 'spool'} is missing." in told, "repair --yes" in told) == (
        True,
        True,
    )


def test_no_name_from_outside_writes_on_the_terminal(run_as: RunAs, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "a\x1b[2Jb\ndropsafe: all is well"
    for error in (
        OSError(errno.EIO, "Input/output error", evil),
        errors.UsageError(evil, remedy=evil),
        ValueError(evil),
    ):
        run_as(raises(error))
        main(["show"])
        told = capsys.readouterr().err
        assert "a\\x1b[2Jb" in told
        assert "\x1b" not in told
        assert "\ndropsafe: all" not in told
    assert main(["list", "\x1b[2J"]) == 2
    assert "\\x1b[2J" in capsys.readouterr().err


def test_progress_still_writes_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    print(f"{ERASE}1 of 2\x1b[2J\t\n", end="", file=escaped(sys.stderr))
    assert capsys.readouterr().err == f"{ERASE}1 of 2\\x1b[2J\t\n"


def test_what_nobody_expected_where_the_log_is_standard_error_is_said_to_be_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.set_up("warning")
    assert guarded(partial(raises(RuntimeError("x")), Namespace(), None)) == 70
    assert "The details are in the log (this command's standard error)" in capsys.readouterr().err


def test_without_a_writable_log_folder_the_details_go_to_a_temporary_file(
    run_as: RunAs,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    own_logs: Path,
) -> None:
    own_logs.touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run_as(raises(RuntimeError("x")))
    assert main(["show"]) == 70
    (file,) = tmp_path.glob("dropsafe-*.log")
    assert str(file) in capsys.readouterr().err
    assert "Traceback" in file.read_text(encoding="utf-8")


@pytest.mark.skipif(os.name != "posix", reason="a pipe without a reader ends the writer on POSIX only")
def test_output_that_nobody_reads_to_its_end_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "dropsafe", "config", "schema"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 141


def test_ctrl_c_in_a_real_process_has_no_traceback() -> None:
    code = (
        "import sys, types, dropsafe.cli.main as m\n"
        "def stop(*_): raise KeyboardInterrupt\n"
        "m.import_module = lambda _: types.SimpleNamespace(HELP='', EXAMPLES=(), arguments=lambda parser: None, run=stop)\n"
        "sys.exit(m.main(['show']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "dropsafe: interrupted\n")


class TestContext:
    def test_the_configuration_file_is_named_by_option_then_environment_then_default(self, tmp_path: Path) -> None:
        one, two = tmp_path / "one.toml", tmp_path / "two.toml"
        one.write_text("max_queue_size = 1\n")
        two.write_text("max_queue_size = 2\n")
        by_option = Context(Options(config=str(one)), {"DROPSAFE_CONFIG": str(two)})
        assert (by_option.config["max_queue_size"], by_option.config_path_origin) == (1, "command line")
        by_variable = Context(Options(), {"DROPSAFE_CONFIG": str(two)})
        assert by_variable.config["max_queue_size"] == 2
        assert by_variable.config_path_origin == "environment variable DROPSAFE_CONFIG"
        assert Context(Options(), {}).config_path_origin.startswith("default (")

    def test_a_named_file_that_is_missing_is_an_error_except_for_who_makes_it(self, tmp_path: Path) -> None:
        context = Context(Options(config=str(tmp_path / "none.toml"), settings=("max_queue_size=5",)), {})
        with pytest.raises(errors.ConfigError, match="there is no configuration file"):
            _ = context.config
        with pytest.raises(errors.ConfigError, match="there is no configuration file"):
            context.config_for_start()
        assert context.config_or_new["max_queue_size"] == 5

    def test_spool_option_goes_before_everything(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        file = tmp_path / "dropsafe.toml"
        file.touch()
        options = Options(config=str(file), spool="here", settings=(f"spool_dir={tmp_path / 'there'}",))
        config = Context(options, {"DROPSAFE_SPOOL": str(tmp_path / "nowhere")}).config
        assert config["spool_dir"] == os.path.join(os.getcwd(), "here")

    def test_warnings_and_the_fallback_are_told_once(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "dropsafe.toml"
        file.write_text("colour = 1\n")
        environ = {"DROPSAFE_COLOUR": "1"}
        context = Context(Options(config=str(file)), environ)
        context.config_for_start()
        assert capsys.readouterr().err.count("dropsafe: note:") == 2
        file.write_text("")
        Context(Options(config=str(file)), {}).config_for_start()
        file.write_text("broken")
        context = Context(Options(config=str(file)), environ)
        assert context.config is context.config
        told = capsys.readouterr().err
        assert told.count("dropsafe: ! The configuration file is not in force") == 1
        assert f"{file}, line 1: " in told
        assert "In force instead: the last good copy, of 20" in told
        assert f"cp -p {file}.last-good {file}" in told or os.name == "nt"

    def test_the_spool_is_opened_with_the_limits_of_the_configuration(self, tmp_path: Path) -> None:
        dropsafe.Spool.create(tmp_path / "spool").close()
        (tmp_path / "dropsafe.toml").touch()
        settings = ("max_entry_bytes=4", "min_free_bytes=0", "min_free_inodes=0")
        options = Options(config=str(tmp_path / "dropsafe.toml"), spool=str(tmp_path / "spool"), settings=settings)
        with Context(options, {}) as context:
            assert context.spool is context.spool
            context.spool.submit(b"1234", name="fits")
            with pytest.raises(errors.DropsafeError):
                context.spool.submit(b"12345", name="does not")

    def test_an_impossible_instance_is_refused(self) -> None:
        with pytest.raises(errors.UsageError):
            Context(Options(instance="../x"), {})


def test_the_public_names_are_there_and_imported_only_when_used() -> None:
    code = "import sys, dropsafe; print(*(n for n in sys.modules if n.startswith('dropsafe')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["dropsafe"]
    for name in dropsafe.__all__:
        assert getattr(dropsafe, name) is not None
        assert name in dir(dropsafe)
    assert dropsafe.QueueFullError is errors.QueueFullError
    with pytest.raises(AttributeError):
        _ = dropsafe.no_such_name


def test_every_error_class_is_public() -> None:
    found = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert found <= set(dropsafe.__all__)


class TestConfigCommand:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "dropsafe.toml"
        path.write_text('# mine\nmax_queue_size = 5\n[destination]\nurl = "https://a.example/"\n', encoding="utf-8")
        return path

    def run(self, file: Path, *argv: str) -> int:
        return main(["--config", str(file), "config", *argv])

    def test_check_of_a_right_file(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run(file, "check") == 0
        assert capsys.readouterr().out == f"{file} is right\n"

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (
                "max_queue_size = 0\n[destination]\ntimeout = true",
                ["max_queue_size must be", "destination.timeout must be"],
            ),
            ("max_queue_sise = 5", ["max_queue_sise", "max_queue_size"]),
            ("max_queue_size = ", ["line 1"]),
            ("retention_days = 900", ["receipt_retention_days"]),
        ],
    )
    def test_check_is_strict_and_says_everything(
        self, file: Path, text: str, words: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(file, "check") == 0
        file.with_name(file.name + ".last-good").write_text(file.read_text())
        file.write_text(text)
        assert self.run(file, "check") == 78
        told = capsys.readouterr().out
        assert all(word in told for word in words)
        assert self.run(file, "check", "--json") == 78
        assert json.loads(capsys.readouterr().out)["problems"]

    def test_where_the_file_is_gone_its_last_good_copy_is_named_and_not_replaced(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        copy = file.with_name(file.name + ".last-good")
        file.rename(copy)
        before = copy.read_bytes()
        for command in (("check",), ("set", "max_queue_size", "7")):
            assert self.run(file, *command) == 78
            told = "".join(capsys.readouterr())
            assert "is gone" in told
            assert put_back(file) in told
        assert main(["init", "--config", str(file), "--private", "--spool", str(file.parent / "new")]) == 78
        assert (copy.read_bytes(), file.exists()) == (before, False)

    def test_check_looks_at_environment_and_command_line_too(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(file, "check", "--set", "retention_days=900") == 78
        monkeypatch.setenv("DROPSAFE_COLOUR", "1")
        assert self.run(file, "check") == 78
        assert "DROPSAFE_COLOUR" in capsys.readouterr().out

    def test_get_one_and_all(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run(file, "get", "destination.url") == 0
        assert capsys.readouterr().out == "https://a.example/\n"
        assert self.run(file, "get", "destination", "--json") == 0
        assert json.loads(capsys.readouterr().out)["timeout"] == 60
        assert self.run(file, "get") == 0
        told = capsys.readouterr().out
        assert f"max_queue_size = 5  # file {file}\n" in told
        assert "# destination.ca is not set\n" in told
        assert self.run(file, "get", "--json") == 0
        assert json.loads(capsys.readouterr().out)["log.level"] == {"value": "info", "origin": "default"}
        assert self.run(file, "get", "no.such") == 78

    def test_set_keeps_comments_and_says_where(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run(file, "set", "max_queue_size", "7") == 0
        assert capsys.readouterr().out == f"max_queue_size = 7 now stands in {file}\n"
        assert file.read_text().startswith("# mine\nmax_queue_size = 7\n")

    def test_set_says_when_another_value_goes_first(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("DROPSAFE_MAX_QUEUE_SIZE", "9")
        assert self.run(file, "set", "max_queue_size", "7") == 0
        assert "DROPSAFE_MAX_QUEUE_SIZE says 9" in capsys.readouterr().out

    def test_set_refuses_without_touching_or_making_a_file(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = file.read_text()
        assert self.run(file, "set", "max_queue_size", "0") == 78
        assert self.run(file, "set", "no.such", "0") == 78
        assert self.run(file, "set", "max_queue_size") == 2
        assert file.read_text() == before
        new = file.with_name("new.toml")
        assert self.run(new, "set", "max_queue_size", "0") == 78
        assert not new.exists()
        assert "Traceback" not in capsys.readouterr().err

    def test_set_makes_the_file_and_can_mend_one(self, file: Path) -> None:
        new = file.with_name("new.toml")
        assert self.run(new, "set", "destination.url", "https://b.example/") == 0
        assert 'url = "https://b.example/"' in new.read_text()
        new.write_text("max_queue_size = 0\n")
        assert self.run(new, "set", "max_queue_size", "3") == 0
        assert self.run(new, "check") == 0

    def test_path_says_what_is_in_force_and_why(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run(file, "path", "--spool", str(file.parent / "spool"), "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told["configuration"] == {"path": str(file), "origin": "command line"}
        assert told["spool"] == {"path": str(file.parent / "spool"), "origin": "command line"}
        assert self.run(file, "path") == 0
        assert len(capsys.readouterr().out.splitlines()) == 4

    def test_schema_is_a_page_or_the_schema(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run(file, "schema") == 0
        assert capsys.readouterr().out.startswith("# Configuration")
        assert self.run(file, "schema", "--json") == 0
        assert json.loads(capsys.readouterr().out)["title"] == "Dropsafe configuration"


def test_the_log_is_where_the_service_put_it(run_as: RunAs, capsys: pytest.CaptureFixture[str]) -> None:
    def action(args: Namespace, context: Context) -> int:
        log.set_up("info")
        raise RuntimeError("x")

    run_as(action)
    assert main(["show"]) == 70
    told = capsys.readouterr().err
    assert told.count("Traceback") == 1
    assert "The details are in the log" in told


def test_a_warning_meant_for_a_log_is_not_printed_on_a_screen_that_has_none() -> None:
    code = (
        "import logging; from dropsafe.cli.trouble import guarded\n"
        "guarded(lambda: logging.getLogger('dropsafe.spool').warning('[Errno 28]') or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
