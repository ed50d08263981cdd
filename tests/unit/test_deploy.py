"""The service of the operating system, as far as it needs none: what is written, what is refused, what is tried."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from dropsafe import paths
from dropsafe.cli.main import main
from dropsafe.config import Config
from dropsafe.errors import DropsafeError, ExitCode, UsageError
from dropsafe.spool import Spool

if sys.platform == "win32":
    pytest.skip("systemd is Linux's", allow_module_level=True)

from dropsafe.deploy import changes, errand, interpreter, manager, units
from dropsafe.deploy.finding import Finding
from dropsafe.deploy.manager import Wish
from dropsafe.deploy.systemd import Systemd

PYTHON = "/opt/dropsafe/bin/python"


def config(**keys: object) -> Config:
    return Config.from_dict({"spool_dir": "/var/lib/dropsafe", **keys})


def grants(*watch: dict[str, object]) -> list[str]:
    folders = units.writable(config(watch=list(watch)), "/etc/dropsafe")
    text = units.service_unit(None, PYTHON, "/var/lib/dropsafe", folders)
    return [line for line in text.splitlines() if re.match("ProtectHome|BindPaths|ReadWritePaths", line)]


# What is written

OWN = [f"ReadWritePaths=-{path}" for path in ("/run/dropsafe", "/etc/dropsafe", "/var/lib/dropsafe")]


def test_the_service_may_write_to_its_own_places_and_the_watched_folders_alone() -> None:
    assert grants() == ["ProtectHome=yes", *OWN]
    assert grants({"path": "/data/reports"}) == ["ProtectHome=yes", *OWN, "ReadWritePaths=-/data/reports"]
    assert grants({"path": '/data/a "b" 5%\\c'})[-1] == 'ReadWritePaths="-/data/a \\"b\\" 5%%\\\\c"'


def test_a_folder_in_a_home_is_granted_and_the_rest_of_the_homes_stays_closed() -> None:
    folder = "-/home/ana/reports"
    assert grants({"path": "/home/ana/reports"}) == [
        "ProtectHome=tmpfs",
        *OWN,
        f"BindPaths={folder}",
        f"ReadWritePaths={folder}",
    ]


def test_where_files_move_to_another_folder_both_are_granted_as_one() -> None:
    moved = {"path": "/data/reports", "after": "move:/data/taken", "pattern": "*.csv"}
    # Were /data/reports granted by itself too, it would be a mount of its own, and no file could be renamed out of it.
    assert grants({"path": "/data/reports", "pattern": "*.xml"}, moved)[-1] == "ReadWritePaths=-/data"
    assert grants({"path": "/data/reports", "after": "move:taken"})[-1] == "ReadWritePaths=-/data/reports"
    with pytest.raises(UsageError, match="the right to write to /"):
        grants({"path": "/data/reports", "after": "move:/srv/taken"})


def test_a_link_for_a_watched_folder_writes_no_line_of_a_unit_and_grants_no_folder_of_the_system(
    tmp_path: Path,
) -> None:
    link = tmp_path / "reports"
    for target in ("/data/x\nExecStartPre=+/bin/sh", "/data/x\udcff"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        with pytest.raises(UsageError, match=r"/data/x\\.* cannot stand in a unit of systemd"):
            grants({"path": str(link)})
    link.unlink()
    link.symlink_to("/etc")
    with pytest.raises(UsageError, match="the right to write to all of /etc"):
        grants({"path": str(link)})


def test_what_is_filled_into_a_unit_is_not_looked_through_for_more_to_fill_in() -> None:
    assert 'RequiresMountsFor="/data/@PATHS@"\n' in units.service_unit(None, PYTHON, "/data/@PATHS@", ["/s"])


@pytest.mark.parametrize("python", [PYTHON, "/opt/a b/50%/$x/python"])
def test_a_unit_says_which_program_it_runs(python: str) -> None:
    for text in (units.service_unit("lab", python, "/s", ["/s"]), units.user_unit("lab", python)):
        assert units.program_of(text) == python
        assert "@" not in re.sub("dropsafe@lab.service|@system-service|@privileged|@resources|@chown", "", text)
    assert units.program_of("[Service]\n") == ""
    assert units.program_of("ExecStart=-/usr/bin/dropsafe run\n") == "/usr/bin/dropsafe"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="asks systemd")
def test_systemd_understands_the_units_and_finds_the_machines_not_exposed(tmp_path: Path) -> None:
    folders = units.writable(config(watch=[{"path": "/home/ana/my reports"}]), "/etc/dropsafe")
    python = os.path.realpath(sys.executable)
    for name, text in {
        "dropsafe@lab.service": units.service_unit("lab", python, "/var/lib/dropsafe", folders),
        "dropsafe.service": units.user_unit(None, python),
    }.items():
        file = tmp_path / name
        file.write_text(re.sub("(?m)^(User|Group)=.*$", r"\1=root", text), "utf-8")
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, check=False
        )
        assert [line for line in done.stderr.splitlines() if name in line] == []
    unit = tmp_path / "dropsafe@lab.service"
    unit.write_text(units.service_unit("lab", python, "/var/lib/dropsafe", folders), "utf-8")
    command = ["systemd-analyze", "security", "--offline=true", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert exposure is not None, done.stderr
    assert float(exposure[1]) <= 2.0


def test_a_dry_run_tells_everything_and_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "HIDDEN", ())
    said: list[str] = []
    assert Systemd("lab", user=False, root=str(tmp_path)).install(Wish(dry_run=True), said.append) == []
    told = "\n".join(said)
    for part in (
        "systemd/system/dropsafe@lab.service",
        "sysusers.d",
        "tmpfiles.d",
        "NoNewPrivileges=yes",
        "daemon-reload",
    ):
        assert part in told
    assert list(tmp_path.iterdir()) == []


def test_the_services_own_user_means_the_service_also_where_its_configuration_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paths, "is_administrator", lambda: False)
    monkeypatch.setattr("pwd.getpwnam", lambda _: SimpleNamespace(pw_uid=os.geteuid()))
    assert paths.default_places("lab").config_file == Path("/etc/dropsafe/lab.dropsafe.toml")


# What is refused


def told(action: Callable[[], object]) -> str:
    with pytest.raises(DropsafeError) as caught:
        action()
    return caught.value.message


def test_options_that_mean_nothing_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["start", "--lines", "3"],
        ["install", "--user", "--technicians", "ana"],
        ["install", "--spool", "/s"],
    ):
        assert main(["service", *words]) == ExitCode.USAGE
        assert "Nothing was changed." in capsys.readouterr().err


def test_an_installation_that_the_service_could_not_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/root/venv")
    assert "/root" in told(lambda: interpreter.check_interpreter(try_out=False))
    monkeypatch.setattr(interpreter, "HIDDEN", ())
    monkeypatch.setattr(interpreter, "_as_nobody", lambda: "Permission denied")
    assert "Permission denied" in told(lambda: interpreter.check_interpreter(try_out=True))


def test_where_there_is_no_service_manager_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "systemd does not run" in told(Systemd(None, user=False, booted=str(tmp_path / "none")).status)
    monkeypatch.setattr(manager, "sys", SimpleNamespace(platform="win32"))
    assert "Windows" in told(lambda: manager.manager(None, user=False))


def test_who_may_not_install_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for user, number, words in ((True, 0, "root's service"), (False, 1000, "an administrator's")):
        monkeypatch.setattr(os, "geteuid", lambda number=number: number)
        one = Systemd(None, user=user, root=str(tmp_path), booted=str(tmp_path))
        assert words in told(lambda one=one: one.install(Wish(), print))
    assert list(tmp_path.iterdir()) == []


def test_a_unit_of_somebody_else_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "HIDDEN", ())
    one = Systemd(None, user=False, root=str(tmp_path), booted=str(tmp_path))
    assert "is not installed" in told(lambda: one.act("start"))
    dry = Wish(dry_run=True)
    assert "no user" in told(lambda: one.install(Wish(dry_run=True, technicians=["no-such-user"]), print))
    unit = tmp_path / "etc/systemd/system/dropsafe.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(units.service_unit(None, PYTHON, "/s", []))
    assert f"that of {PYTHON}" in told(lambda: one.install(dry, print))
    unit.write_text("# by hand")
    assert "was not written by this command" in told(lambda: one.install(dry, print))
    assert "was not written by `dropsafe" in told(lambda: one.uninstall(True, print))
    assert unit.read_text() == "# by hand"
    unit.write_bytes(b"# \xff by hand")
    assert "was not written by this command" in told(lambda: one.install(dry, print))
    assert "was not written by `dropsafe" in told(lambda: one.uninstall(True, print))
    unit.unlink()
    unit.symlink_to("/dev/null")  # as systemctl mask does
    assert "was not written by this command" in told(lambda: one.install(dry, print))


def test_a_dry_run_of_the_removal_tells_of_the_files_that_all_instances_share(tmp_path: Path) -> None:
    one, lab = (Systemd(name, user=False, root=str(tmp_path), booted=str(tmp_path)) for name in (None, "lab"))
    for file in ("systemd/system/dropsafe.service", "sysusers.d/dropsafe.conf", "tmpfiles.d/dropsafe.conf"):
        (tmp_path / "etc" / file).parent.mkdir(parents=True)
        (tmp_path / "etc" / file).write_text(units.MARK)
    said: list[str] = []
    one.uninstall(True, said.append)
    assert "sysusers.d/dropsafe.conf is removed" in "\n".join(said)
    lab._unit_file.write_text(units.MARK)
    said.clear()
    one.uninstall(True, said.append)
    assert "sysusers.d" not in "\n".join(said), "the other instance needs it"


def test_a_user_of_that_name_who_is_root_is_not_made_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "HIDDEN", ())
    monkeypatch.setattr("pwd.getpwnam", lambda _: SimpleNamespace(pw_uid=0))
    one = Systemd(None, user=False, root=str(tmp_path), booted=str(tmp_path))
    assert "root by another name" in told(lambda: one.install(Wish(dry_run=True), print))


def test_what_a_trial_found_shows_no_control_characters_of_a_name_from_outside(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Finding("The service cannot read 1 of the files in /d, \x1b]0;evil\x07.xml for one.", "setfacl /d/\x1b")
    monkeypatch.setattr(Systemd, "install", lambda *_: [found])
    assert main(["service", "install"]) == ExitCode.NEEDS_A_PERSON
    assert "\x1b" not in capsys.readouterr().out


def test_a_command_of_the_system_that_fails_is_told_in_its_own_words() -> None:
    assert "it broke" in told(lambda: changes.done(["sh", "-c", "echo it broke >&2; false"]))
    assert "no-such-program" in told(lambda: changes.done(["no-such-program"]))


# What is tried


class Trial:
    """A configuration in a folder, and what the service's user is denied there."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.denied: set[Path] = set()
        Spool.create(place / "spool", group="").close()
        (place / "drop").mkdir()
        monkeypatch.setattr(os, "access", lambda path, _mode: os.path.exists(path) and Path(path) not in self.denied)
        monkeypatch.setattr(errand, "_me", lambda: "dropsafe")

    def findings(self, more: str = "", *, watch: str = "drop", shared: bool = False) -> list[tuple[str, str]]:
        file = self.place / "dropsafe.toml"
        drop = f'[[watch]]\npath = "{self.place / watch}"\n' if watch else ""
        file.write_text(f'spool_dir = "{self.place / "spool"}"\n{more}\n{drop}')
        found = errand.look(errand.Order(str(file), None, shared=shared, make=False))
        return [
            (finding.text.replace(str(self.place), "…"), finding.remedy.replace(str(self.place), "…"))
            for finding in found
        ]


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    return Trial(tmp_path, monkeypatch)


def test_where_all_is_right_nothing_is_found_and_nothing_left_behind(trial: Trial) -> None:
    assert trial.findings('[log]\nfile = "/tmp/dropsafe.log"') == []
    assert list((trial.place / "drop").iterdir()) == []


def test_a_spool_of_another_user_is_found_and_a_missing_one_is_not_made(trial: Trial) -> None:
    trial.denied.add(trial.place / "spool" / "pending")
    assert trial.findings() == [
        ("The service cannot read and write in …/spool/pending.", "chown --recursive dropsafe:dropsafe …/spool")
    ]
    shutil.rmtree(trial.place / "spool")
    ((text, _),) = trial.findings(watch="")
    assert "…/spool" in text
    assert not (trial.place / "spool").exists(), "its disk may not be mounted"
    trial.denied.add(trial.place)
    assert trial.findings(watch="") == [
        ("The service cannot reach the spool …/spool: … is closed to it.", "setfacl --modify=u:dropsafe:x …")
    ]


def test_each_trouble_with_a_drop_folder_has_the_command_that_mends_it(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop = trial.place / "drop"
    trial.denied = {drop}
    ((text, remedy),) = trial.findings()
    assert (text, remedy) == (
        "The service cannot look for files in …/drop.",
        "setfacl --modify=u:dropsafe:rwX,d:u:dropsafe:rwX …/drop",
    )
    assert trial.findings(watch="drop/none")[0][1] == "setfacl --modify=u:dropsafe:x …/drop"
    trial.denied = set()
    ((_, remedy),) = trial.findings(watch="drop/none")
    assert remedy == "install --directory --owner=dropsafe --group=users --mode=3775 …/drop/none"
    (drop / "a.xml").touch()
    trial.denied = {drop / "a.xml"}
    assert trial.findings() == [
        (
            "The service cannot read 1 of the files in …/drop, a.xml for one.",
            "setfacl --recursive --modify=u:dropsafe:rwX …/drop",
        )
    ]
    drop.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert trial.findings()[0][1] == "chown dropsafe …/drop && chmod u+rwx …/drop"


def test_a_log_or_a_secret_out_of_reach_is_found(trial: Trial) -> None:
    ((text, _),) = trial.findings(f'[log]\nfile = "{trial.place}/none/dropsafe.log"')
    assert text == "The service cannot look for files in …/none, where log.file is."
    token = '[destination]\nurl = "http://a.example/"\ntoken_file = "{}"'
    ((text, remedy),) = trial.findings(token.format(trial.place / "token"))
    assert (text, remedy) == (
        "The service cannot read …/token, which destination.token_file names.",
        "setfacl --modify=u:dropsafe:r …/token",
    )
    ((text, _),) = trial.findings(token.format("/home/ana/token"), shared=True)
    assert text.startswith("The service does not see /home/ana/token")


def test_a_trial_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    (finding,) = Systemd(None, user=True)._try_out(make=False)
    assert "could not be tried" in finding.text


def test_every_command_that_mends_something_is_one_line_for_a_shell(trial: Trial) -> None:
    strange = trial.place / "a 'b' $c"
    ((_, remedy),) = trial.findings(watch=strange.name)
    assert shlex.split(remedy)[-1] == "…/" + strange.name
