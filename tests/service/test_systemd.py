"""The service under a real systemd, on a machine of its own: installed with pip, by its own command, and gone again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import plain_server
from tests.support.own_machine import OwnMachine, installed, why_not
from tests.support.page import fenced, with_ours

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

UNIT = "/etc/systemd/system/dropsafe.service"
URL = "http://127.0.0.1:8000/ingest"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shared")
    installed(place)
    return place


@pytest.fixture
def machine(shared: Path) -> Iterator[OwnMachine]:
    (shared / "server.py").write_text(Path(plain_server.__file__).read_text("utf-8"), "utf-8")
    with OwnMachine(shared) as machine:
        yield machine


def serve(machine: OwnMachine, seconds_a_megabyte: float = 0.0) -> None:
    command = f"/usr/bin/python3 /mnt/shared/server.py 8000 {seconds_a_megabyte}"
    machine.sh(f"systemd-run --quiet --unit=server --property=StandardOutput=append:/root/got {command}")


def remedies(said: str) -> list[str]:
    return re.findall(r"^! .*\n    (.*)$", said, re.MULTILINE)


def test_it_is_installed_delivers_is_looked_after_by_a_technician_and_leaves_the_spool(machine: OwnMachine) -> None:
    serve(machine)
    machine.sh("useradd ana; install --directory --mode=1777 /data")
    said = machine.sh(f"dropsafe service install --url {URL} --technicians ana")
    assert "The service runs, and can use all" in said
    assert machine.sh("id --groups --name ana").split() == ["ana", "dropsafe"]
    assert machine.sh("stat --format=%A:%U:%G /var/lib/dropsafe").strip() == "drwxrws---:dropsafe:dropsafe"

    machine.run("dropsafe", "submit", "--name", "report.xml", "-", user="ana", text="<report/>")
    machine.until("test $(wc --lines < /root/got) = 1")
    assert json.loads(machine.run("dropsafe", "status", "--json", user="ana").stdout)["condition"] == "RUNNING"
    assert machine.sh("stat --format=%A:%U:%G /run/dropsafe/default.sock").strip() == "srw-rw----:dropsafe:dropsafe"
    facts = json.loads(machine.sh("dropsafe service status --json"))
    assert (facts["ActiveState"], facts["UnitFileState"], facts["StatusText"]) == ("active", "enabled", "RUNNING")

    exposure = re.search(
        r"exposure level for dropsafe.service: ([0-9.]+)", machine.sh("systemd-analyze security dropsafe")
    )
    assert exposure is not None
    assert float(exposure[1]) <= 2.0
    entry = machine.sh("journalctl --unit=dropsafe --output=json --lines=1 DROPSAFE_PART=supervisor").splitlines()[-1]
    assert json.loads(entry)["DROPSAFE_LOGGER"].startswith("dropsafe.supervisor")
    assert "uploader is ready" in machine.sh("dropsafe service logs --lines 50")

    before = machine.sh(f"cat {UNIT}; systemctl show dropsafe --property=MainPID")
    machine.sh("systemctl reload dropsafe")
    machine.sh("echo 'max_queue_size = \"many\"' > /tmp/broken; cp /etc/dropsafe/dropsafe.toml /tmp/good")
    machine.sh("cat /tmp/broken /tmp/good > /etc/dropsafe/dropsafe.toml; ! systemctl reload dropsafe")
    machine.sh("cp /tmp/good /etc/dropsafe/dropsafe.toml; systemctl is-active dropsafe")
    assert machine.sh(f"cat {UNIT}; systemctl show dropsafe --property=MainPID") == before
    machine.sh(
        "dropsafe service stop; ! systemctl is-active dropsafe; dropsafe service start; systemctl is-active dropsafe"
    )
    assert "Killing process" not in machine.sh("journalctl --unit=dropsafe"), "a stop leaves no process behind"

    kept = machine.sh(
        "find /var/lib/dropsafe -name '*.xml' -o -name spool.json; cat /etc/dropsafe/dropsafe.toml; id dropsafe"
    )
    said = machine.sh("dropsafe service uninstall")
    assert "Left in place: the spool /var/lib/dropsafe" in said
    assert (
        machine.sh("find /etc -name '*dropsafe*' -not -name '*.last-good'")
        == "/etc/dropsafe\n/etc/dropsafe/dropsafe.toml\n"
    )
    assert machine.sh("systemctl list-units --all --no-legend 'dropsafe*'") == ""
    assert kept == machine.sh(
        "find /var/lib/dropsafe -name '*.xml' -o -name spool.json; cat /etc/dropsafe/dropsafe.toml; id dropsafe"
    )
    assert "report.xml" in machine.run("dropsafe", "list", "--state", "sent", user="ana").stdout
    assert "is not installed" in machine.sh("dropsafe service uninstall")


def test_it_says_what_it_cannot_use_and_the_commands_that_it_names_mend_that(machine: OwnMachine) -> None:
    serve(machine)
    folders = {
        "/data/plain": "mkdir {}",
        '/data/an "odd" 100%: name $x': "mkdir {}",
        "/data/sticky": "mkdir --mode=1777 {}",
        "/data/closed/in": "mkdir --mode=700 --parents /data/closed {}; chmod 700 /data/closed",
        "/data/missing": "true",
        "/home/ana/reports": "mkdir {}; chown ana {}",
        "/var/tmp/reports": "mkdir {}",
        "/data/with-secrets": "mkdir --mode=777 {}; touch {}/secret; chmod 600 {}/secret",
    }
    machine.sh("useradd --create-home ana; mkdir /data /data/taken")
    for path, made in folders.items():
        machine.sh(made.replace("{}", f"'{path}'"))
    machine.sh(f"dropsafe service install --url {URL}")
    tables = "".join(f"[[watch]]\npath = '{path}'\n" for path in folders)
    tables = tables.replace("path = '/data/plain'", "path = '/data/plain'\nafter = 'move:/data/taken'")
    machine.run("tee", "--append", "/etc/dropsafe/dropsafe.toml", text=tables)

    said = machine.run("dropsafe", "service", "install", check=False)
    assert said.returncode == 1
    assert len(remedies(said.stdout)) == len(folders)
    for _ in range(3):
        for line in remedies(machine.run("dropsafe", "service", "install", check=False).stdout):
            machine.sh(line)
    assert "can use all" in machine.sh("dropsafe service install")

    for path in folders:
        machine.run("tee", f"{path}/report.xml", text=path)
    machine.until(f"test $(sort --unique /root/got | wc --lines) = {len(folders) + 1}")
    machine.until("test -f /data/taken/report.xml")
    assert json.loads(machine.sh("dropsafe status --json"))["condition"] == "RUNNING"
    left = [path for path in folders if machine.run("test", "-e", f"{path}/report.xml", check=False).returncode == 0]
    assert left == []


def test_a_stop_that_takes_longer_than_the_unit_allows_finishes_the_upload(machine: OwnMachine) -> None:
    serve(machine, seconds_a_megabyte=0.7)
    machine.sh(f"dropsafe service install --url {URL}")
    machine.sh("mkdir /etc/systemd/system/dropsafe.service.d")
    machine.run("tee", "/etc/systemd/system/dropsafe.service.d/fast.conf", text="[Service]\nTimeoutStopSec=2\n")
    machine.sh("systemctl daemon-reload; dropsafe service restart")
    machine.sh("head --bytes=10000000 /dev/zero > /tmp/large; dropsafe submit /tmp/large")
    machine.until("ls /var/lib/dropsafe/inflight/*/*large")
    seconds = machine.sh("date +%s; dropsafe service stop; date +%s").split()
    assert int(seconds[-1]) - int(seconds[0]) > 2
    assert machine.sh("wc --lines < /root/got").strip() == "1"
    assert machine.sh("systemctl show dropsafe --property=Result").strip() == "Result=success"
    assert machine.sh("find /var/lib/dropsafe/sent -name '*large'").count("\n") == 1


def test_a_service_that_hangs_is_started_anew_by_the_watchdog(machine: OwnMachine) -> None:
    machine.sh(f"dropsafe service install --url {URL}; mkdir /etc/systemd/system/dropsafe.service.d")
    fast = "[Service]\nWatchdogSec=3\nRestartSec=0\n"
    machine.run("tee", "/etc/systemd/system/dropsafe.service.d/fast.conf", text=fast)
    machine.sh("systemctl daemon-reload; dropsafe service restart")
    pid = machine.sh("systemctl show dropsafe --property=MainPID --value").strip()
    machine.sh(f"kill -STOP {pid}")
    machine.until("systemctl show dropsafe --property=NRestarts | grep --quiet '=1'; systemctl is-active dropsafe")


def test_instances_stand_side_by_side(machine: OwnMachine) -> None:
    serve(machine)
    for name in ("lab", "line-3"):
        machine.sh(f"dropsafe --instance {name} service install --url {URL}")
        machine.sh(f"echo {name} | dropsafe --instance {name} submit --name report.xml -")
    machine.until("test $(wc --lines < /root/got) = 2")
    machine.sh("cp /etc/dropsafe/lab.dropsafe.toml /tmp; echo broken > /etc/dropsafe/lab.dropsafe.toml")
    machine.sh("rm --force /etc/dropsafe/lab*.last-good; dropsafe --instance lab service uninstall")
    machine.sh("cp /tmp/lab.dropsafe.toml /etc/dropsafe; systemctl is-active dropsafe@line-3")
    assert machine.sh("dropsafe --instance lab list --state sent").count("report.xml") == 1
    machine.sh("test -e /etc/tmpfiles.d/dropsafe.conf; echo 'log.file = \"/var/log/dropsafe/line-3.log\"' > /tmp/log")
    machine.sh("cat /etc/dropsafe/line-3.dropsafe.toml >> /tmp/log; cp /tmp/log /etc/dropsafe/line-3.dropsafe.toml")
    (line,) = remedies(machine.run("dropsafe", "--instance", "line-3", "service", "install", check=False).stdout)
    machine.sh(f"{line}; dropsafe --instance line-3 service install")
    assert "uploader is ready" in machine.sh("dropsafe --instance line-3 service logs")
    assert machine.sh("stat --format=%A:%G /var/log/dropsafe/line-3.log").strip() == "-rw-r-----:dropsafe"
    machine.sh(f"dropsafe service install --url {URL}; systemctl is-active dropsafe dropsafe@line-3")


def test_a_user_has_a_service_of_their_own(machine: OwnMachine) -> None:
    serve(machine)
    machine.sh("useradd --create-home ana; systemctl start dbus systemd-logind; systemctl start user@$(id --user ana)")
    number = machine.sh("id --user ana").strip()
    own = ("env", "HOME=/home/ana", f"XDG_RUNTIME_DIR=/run/user/{number}", "dropsafe")
    said = machine.run(*own, "service", "install", "--user", "--url", URL, user="ana").stdout
    assert "/home/ana/.config/systemd/user/dropsafe.service is written" in said
    machine.run(*own, "submit", "--name", "report.xml", "-", user="ana", text="<report/>")
    machine.until("test $(wc --lines < /root/got) = 1")
    assert "active (running)" in machine.run(*own, "service", "status", "--user", user="ana").stdout
    machine.run(*own, "service", "uninstall", "--user", user="ana")
    assert "report.xml" in machine.run(*own, "list", "--state", "sent", user="ana").stdout


def test_nothing_is_changed_where_it_could_not_run(machine: OwnMachine) -> None:
    def refused(*command: str, user: str = "") -> str:
        done = machine.run(*command, user=user, check=False)
        assert done.returncode in (2, 77)
        assert "Nothing was changed." in done.stderr
        return done.stderr

    machine.sh("useradd ana; cp --recursive /mnt/shared/dropsafe /root/dropsafe")
    assert "a service does not see /root" in refused(
        "/root/dropsafe/bin/python", "-m", "dropsafe", "service", "install"
    )
    machine.sh("cp --recursive /mnt/shared/dropsafe /opt/dropsafe; chmod 700 /opt/dropsafe")
    assert "No other user can start" in refused("/opt/dropsafe/bin/python", "-m", "dropsafe", "service", "install")
    assert "an administrator's to install" in refused("dropsafe", "service", "install", user="ana")
    assert "There is no user ben" in refused("dropsafe", "service", "install", "--technicians", "ben")
    assert machine.sh("find /etc /var/lib -name '*dropsafe*'") == ""

    machine.sh("dropsafe service install")
    machine.sh("chmod 755 /opt/dropsafe")
    said = refused("/opt/dropsafe/bin/python", "-m", "dropsafe", "service", "install")
    assert "runs another Dropsafe, that of /mnt/shared/dropsafe/bin/python" in said
    machine.sh("/opt/dropsafe/bin/python -m dropsafe service install --replace; systemctl is-active dropsafe")
    assert "/opt/dropsafe/bin/python" in machine.sh("systemctl show dropsafe --property=ExecStart")
    machine.sh(f"echo '# by hand' > {UNIT}")
    assert "was not written by this command" in refused("dropsafe", "service", "install")
    assert "was not written by" in refused("dropsafe", "service", "uninstall")
    assert machine.sh(f"cat {UNIT}") == "# by hand\n"


def test_the_page_is_right_line_by_line(machine: OwnMachine) -> None:
    serve(machine)
    number = machine.sh("useradd --create-home ana; id --user ana").strip()
    machine.sh(f"systemctl start dbus systemd-logind; systemctl start user@{number}; mkdir /data")
    blocks = fenced("install.md", "sh")
    of_a_user = next(block for block in blocks if "--user" in block)
    (table,) = fenced("install.md", "toml")
    into = "/opt/dropsafe/lib/python3*/site-packages/"
    copied = f"cp --recursive /mnt/shared/dropsafe/lib/python3*/site-packages/. {into}"
    script = "sed '1s|.*|#!/opt/dropsafe/bin/python|' /mnt/shared/dropsafe/bin/dropsafe > /opt/dropsafe/bin/dropsafe"
    ours = {
        "/opt/dropsafe/bin/pip install .": f"{copied}; {script}; chmod 755 /opt/dropsafe/bin/dropsafe",
        "/opt/dropsafe/bin/pip install --upgrade .": "true",  # no network
        "apt-get install --yes python3-venv acl": "true",
        "https://reports.example.com/ingest": URL,
        "https://lab.example.com/ingest": URL,
        "dropsafe status": "dropsafe status || test $? = 1",
    }
    for block in blocks:
        if block is of_a_user:
            continue
        for line in block.splitlines():
            machine.sh(f"PATH=/usr/local/bin:/usr/sbin:/usr/bin; {with_ours(line, ours)}")
            if line.startswith("install "):
                machine.run("tee", "--append", "/etc/dropsafe/dropsafe.toml", text=table)
            if line == "dropsafe service restart":
                machine.sh("echo '<a/>' > /data/reports/a.xml")
                machine.until("test $(wc --lines < /root/got) = 1")
    own = f"export HOME=/home/ana XDG_RUNTIME_DIR=/run/user/{number}\n"
    for line in of_a_user.splitlines():
        machine.run("sh", "-euc", own + with_ours(line, ours), user="ana")
    assert machine.sh("find /etc/systemd /home/ana/.config/systemd -name '*dropsafe*'") == ""
