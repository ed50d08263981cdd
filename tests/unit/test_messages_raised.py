"""Every message is raised by some test: by one that `tests/support/raised.py` names, or here, by what it takes."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from dropsafe.cli.main import main
from dropsafe.config import Config
from dropsafe.demo.stage import Stage
from dropsafe.errors import DropsafeError
from dropsafe.gui.sources import Desks, Station
from dropsafe.receiver import server
from dropsafe.receiver.options import Settings
from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Spool
from dropsafe.spool.dropfolder import DropFolder, look
from dropsafe.spool.layout import no_permission
from dropsafe.spool.listing import strangers
from dropsafe.spool.locks import Holder, Lock
from dropsafe.spool.plan import Planning, plan
from dropsafe.spool.platform import system
from dropsafe.spool.sources import open_source, rewindable
from dropsafe.spool.states import State
from dropsafe.spool.steps import Left, Step
from dropsafe.spool.verify import Verified, verify
from dropsafe.supervisor import service
from dropsafe.supervisor.recovering import Recovering
from dropsafe.supervisor.service_lock import ServiceLock
from dropsafe.workers.janitor import Janitor
from dropsafe.workers.link import LocalLink
from dropsafe.workers.obstacles import obstacle, unreadable
from dropsafe.workers.secret import SecretUnusable
from tests.support.hearing import hearing, named, unsaid
from tests.support.messages import normal, sentences
from tests.support.raised import RAISED
from tests.support.spools import a_file, delivered, failing, make_spool

ROOM_FOR_ALL = {"DROPSAFE_MIN_FREE_BYTES": "0", "DROPSAFE_MIN_FREE_INODES": "0"}


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with make_spool(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name, value in ROOM_FOR_ALL.items():
        monkeypatch.setenv(name, value)


COMMANDS: dict[str, list[str]] = {
    "… is not a number of seconds, 0 or more": ["submit", "--wait", "soon", "FILE"],
    "… is not a whole number, 0 or more": ["list", "--limit", "some"],
    "… is not a length of time such as 30s, 15min, 2h or 3d": ["pause", "delivery", "--for", "long"],
    "The demonstration needs at least 20 reports. Nothing was changed.": ["demo", "--reports", "3"],
    "--all reads every entry; with --state or --sample it means nothing. Nothing was changed.": [
        *["verify", "--all", "--sample", "3"]
    ],
    "--preview writes no file, so none can be named. Nothing was written.": ["diagnose", "FILE", "--preview"],
    "… exists already, and is not written over. Nothing was written.": ["diagnose", "FILE", "--json"],
    "The undo list … exists already, and is not written over. Nothing was changed.": ["repair", "--undo", "FILE"],
    "Name the entries, or choose them with --all, --state, --matching or --older-than. Nothing was changed.": ["retry"],
    "--name and --id are for one file. Nothing was accepted.": ["submit", "--name", "a.xml", "FILE", "FILE"],
    "What comes from standard input needs a name: --name. Nothing was accepted.": ["submit", "-"],
    "--attribute … is not NAME=VALUE. Nothing was accepted.": ["submit", "--attribute", "line", "FILE"],
    "--attribute … was given twice, and has one value. Nothing was accepted.": [
        *["submit", "--attribute", "line=1", "--attribute", "line=2", "FILE"]
    ],
    "A report needs a name of 1 to … characters, not …. It was not accepted.": ["submit", "--name", "", "FILE"],
    "… is not a content type. It was not accepted.": ["submit", "--type", "xml", "FILE"],
    "All attributes travel in one header, in which there is room for … bytes; these take …. It was not accepted.": [
        *["submit", "--attribute", f"line={'x' * 9000}", "FILE"]
    ],
    "There is no file …; nothing was accepted.": ["submit", "FILE.not-there"],
}
"""Whole commands. Each changes nothing, and has the exit code of its message."""


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_says_it_with_its_remedy_and_exit_code_and_accepts_nothing(
    text: str, spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = a_file(tmp_path)
    command = [word.replace("FILE", str(file)) for word in COMMANDS[text]]
    with hearing() as said:
        exit_code = main(["--spool", str(spool.path), *command])
    assert unsaid((text,), said) == []
    (sentence,) = named(text)
    assert exit_code == sentence.exit_code
    output = capsys.readouterr()
    assert not output.out
    shown = normal(output.err).replace(f"dropsafe --spool {spool.path} ", "dropsafe ")
    for part in text.split("…"):
        assert part.strip() in shown
    for part in sentence.remedy.split("…"):
        assert part.strip() in shown
    assert not list(spool.entries())


class Scene:
    """A spool, a folder, and what may go wrong there."""

    def __init__(self, spool: Spool, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.spool = spool
        self.folder = folder
        self.patch = patch

    def denied(self, place: Any, name: str, number: int = errno.EACCES) -> None:
        """From now on the system refuses that call."""

        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(number, os.strerror(number), str(self.folder / "x"))

        self.patch.setattr(place, name, refuse)

    def drop_folder(self, **more: Any) -> DropFolder:
        (self.folder / "drop").mkdir(exist_ok=True)
        return DropFolder(path=str(self.folder / "drop"), **more)

    def config(self, **keys: Any) -> Config:
        return Config.from_dict({"spool_dir": str(self.spool.path), **keys})


def _submitted_again_with_other_bytes(scene: Scene) -> None:
    first = scene.spool.submit(b"one", name="a.xml")
    scene.spool.submit(b"other", name="a.xml", entry_id=first.id)


def _paused(scene: Scene) -> None:
    scene.patch.setenv("DROPSAFE_DESTINATION__URL", "http://127.0.0.1:1/")
    main(["--spool", str(scene.spool.path), "pause", "delivery"])
    assert main(["--spool", str(scene.spool.path), "deliver"]) == 75


def _without_a_display(scene: Scene) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        scene.patch.delenv(name, raising=False)
    assert main(["gui"]) == 2


def _without_qt(scene: Scene) -> None:
    scene.patch.setenv("QT_QPA_PLATFORM", "offscreen")
    scene.patch.setitem(sys.modules, "dropsafe.gui.app", None)
    assert main(["gui"]) == 2


def _window_without_a_service(scene: Scene) -> None:
    config = scene.config(**{"ipc.address": str(scene.folder / "none.sock")})
    Desks(Station(lambda: config, scene.folder / "d.toml")).service()


def _without_the_example_server(scene: Scene) -> None:
    scene.patch.setitem(sys.modules, "dropsafe.demo.stage", None)
    assert main(["demo"]) == 2


def _without_aiohttp(scene: Scene) -> None:
    scene.patch.delitem(sys.modules, "dropsafe.receiver.server")
    scene.patch.setitem(sys.modules, "aiohttp", None)
    assert main(["receive", "--data", str(scene.folder)]) == 2


def _the_editing_library_errs(scene: Scene) -> None:
    file = a_file(scene.folder, b'[destination]\nurl = "http://a.example/"\n', "d.toml")
    scene.patch.setattr("tomlkit.dumps", lambda _: "other = 1")
    assert main(["--config", str(file), "config", "set", "log.level", "debug"]) == 78


def _stage(scene: Scene) -> Stage:
    stage = object.__new__(Stage)  # without the processes that it starts
    stage.instance, stage.log, stage._service = "not-there", scene.folder / "none.log", None
    return stage


def _listen(scene: Scene, host: str, port: int) -> None:
    async def listen() -> None:
        runner = web.AppRunner(web.Application())
        await runner.setup()
        try:
            await server._listen(runner, Settings(host, port, scene.folder))
        finally:
            await runner.cleanup()

    asyncio.run(listen())


def _listening_where_only_root_may(scene: Scene) -> None:
    scene.denied(web.TCPSite, "start")
    _listen(scene, "127.0.0.1", 80)


def _listening_where_another_listens(scene: Scene) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        _listen(scene, "127.0.0.1", taken.getsockname()[1])


def _asking_for_what_is_not_there(scene: Scene) -> None:
    receiver = ReceiverProcess(scene.folder / "data")
    receiver.start()
    try:
        receiver.report("unknown")
    finally:
        receiver.kill()


def _started_with_a_wrong_option(scene: Scene) -> None:
    ReceiverProcess(scene.folder / "data", options=["--error", "often"]).start()


def _storing(scene: Scene) -> None:
    scene.denied(server, "Store")
    server._open_store(Settings("127.0.0.1", 0, scene.folder))


def _made_where_it_may_not(scene: Scene) -> None:
    with failing(errno.EACCES, "mark.fsync_folder"):
        Spool.create(scene.spool.path, group="")


def _whole_pending_copied(scene: Scene) -> None:
    below = scene.spool.path / "pending" / "copied" / "more"
    below.mkdir(parents=True)
    (below / "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_report.xml").write_bytes(b"x")
    scene.denied(type(scene.spool.core.mover), "bring_up")
    from dropsafe.spool.foreign import ForeignFiles

    list(ForeignFiles(scene.spool.core).scan())


def _folder_that_nobody_may_read(scene: Scene) -> None:
    from dropsafe.spool import listing

    scene.denied(listing.os, "scandir")
    list(listing.strangers(scene.spool.core.layout))


def _folder_in_sent(scene: Scene) -> None:
    (scene.spool.path / "sent" / "mine").mkdir()
    list(strangers(scene.spool.core.layout))


def _no_lock(scene: Scene) -> None:
    scene.patch.setattr(Lock, "try_acquire", lambda _: False)
    Holder(scene.spool.core.layout, "uploader")


def _read_twice(scene: Scene) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        opener = rewindable(pipe)
        with opener():
            pass
        opener()


def _may_not_read(scene: Scene) -> None:
    file = a_file(scene.folder)
    scene.denied(os, "stat")
    open_source(str(file))


def _receipts_unreadable(scene: Scene) -> None:
    from dropsafe.spool import verify as module

    delivered(scene.spool, b"one")
    scene.denied(module, "_broken_lines")
    list(verify(scene.spool, (State.SENT,), 0, Verified()))


def _planned(scene: Scene) -> list[Step | Left]:
    return list(plan(scene.spool.core, Planning()))


def _copied(scene: Scene, folder: str, content: bytes) -> Path:
    """A file with the name of an entry on hold, in that folder of the spool."""
    entry = scene.spool.hold(scene.spool.submit(b"one", name="a.xml").id)
    (scene.spool.path / folder).mkdir(parents=True, exist_ok=True)
    path = scene.spool.path / folder / entry.path.name
    if folder == "hold/deep/er":
        entry.path.rename(scene.spool.path / "hold" / entry.path.name)
    path.write_bytes(content)
    return path


def _in_view_already(scene: Scene) -> None:
    _copied(scene, "hold/deep/er", b"one")
    _planned(scene)


def _other_bytes_outside(scene: Scene) -> None:
    path = _copied(scene, "mine", b"other")
    digest = hashlib.sha256(b"other").hexdigest()[:16]
    path.rename(path.with_name(f"{path.name[:30]}{digest}_a.xml"))
    _planned(scene)


def _another_users(scene: Scene) -> None:
    (scene.spool.path / "hold").chmod(0o500)
    scene.patch.setattr(os, "geteuid", lambda: 4711)
    remedies = [found.remedy for found in _planned(scene) if isinstance(found, Left)]
    assert any(f"chown {os.getuid()} of" in remedy for remedy in remedies), "of a private spool the group cannot help"


def _unreadable_in_pending(scene: Scene) -> None:
    from dropsafe.spool import plan as module

    scene.spool.submit(b"one", name="a.xml")
    scene.denied(module, "is_intact", errno.EIO)
    _planned(scene)


def _lock_gone(scene: Scene) -> None:
    scene.spool.submit(b"one", name="a.xml")
    hand = scene.spool.take_hand("uploader")
    hand.claim(1)
    (scene.spool.path / "locks" / f"{hand.name}.lock").unlink()
    _planned(scene)


def _other_spool(scene: Scene) -> None:
    service._reload(scene.config(), lambda: Config.from_dict({"spool_dir": str(scene.folder / "other")}))


def _lock_file_removed(scene: Scene) -> None:
    lock = ServiceLock(scene.spool.core.layout)
    try:
        os.unlink(lock._lock.path)
        lock.check()
    finally:
        lock.release()


def _recovery_failed(scene: Scene) -> None:
    recovering = Recovering(lambda: None, lambda: None)
    recovering._error = OSError(errno.EIO, os.strerror(errno.EIO))
    recovering.check()


def _janitor(scene: Scene, **facts: Any) -> None:
    janitor = Janitor(scene.spool, scene.config(), LocalLink())
    for name, value in facts.items():
        scene.patch.setattr(janitor, name, value)
    list(janitor.problems())


def _history_lost(scene: Scene) -> None:
    scene.patch.setattr(scene.spool.core.journal, "lost", 3)
    _janitor(scene)


def _no_folder(scene: Scene) -> None:
    obstacle(DropFolder(path=str(a_file(scene.folder))), str(scene.spool.path))


def _no_target(scene: Scene) -> None:
    obstacle(scene.drop_folder(move_to=str(scene.folder / "none")), str(scene.spool.path))


def _target_elsewhere(scene: Scene) -> None:
    folder = scene.drop_folder(move_to=str(scene.folder))
    real = os.stat
    elsewhere = SimpleNamespace(st_dev=-1, st_mode=real(scene.folder).st_mode)
    scene.patch.setattr(os, "stat", lambda path, **more: elsewhere if path == str(scene.folder) else real(path, **more))
    obstacle(folder, str(scene.spool.path))


def _folder_denied(scene: Scene) -> None:
    folder = scene.drop_folder()
    scene.denied(os, "stat")
    obstacle(folder, str(scene.spool.path))


def _item_denied(scene: Scene) -> None:
    file = a_file(scene.folder)
    scene.denied(os, "lstat", errno.EIO)
    list(look(str(file)))


def _destination(**keys: Any) -> Callable[[Scene], None]:
    def provoke(scene: Scene) -> None:
        scene.config(destination=keys)

    return provoke


def _secret_in_utf_16(scene: Scene) -> None:
    from dropsafe.workers.secret import Secret

    file = a_file(scene.folder, "secret".encode("utf-16"), "token")
    with pytest.raises(SecretUnusable):
        Secret("destination.token_file", str(file)).value()


WAYS: dict[str, Callable[[Scene], object]] = {
    "There is no display to open a window on. Nothing was changed.": _without_a_display,
    "The window cannot be opened: …. The service and the command line work without it.": _without_qt,
    "The service does not run. Nothing is lost: what was accepted is in the spool.": _window_without_a_service,
    "Delivery is paused …. Nothing was sent or changed; what is accepted waits in the spool.": _paused,
    "The demonstration needs the example server, and … is not installed. Nothing was changed.": (
        _without_the_example_server
    ),
    "The receiver needs aiohttp, which is not installed. Nothing was changed.": _without_aiohttp,
    "… cannot be changed by a program: …. Nothing was written.": _the_editing_library_errs,
    "The attribute …=… is not text with a name. It was not accepted.": (
        lambda scene: scene.spool.submit(b"x", name="a.xml", attributes={"": "3"})
    ),
    "… must have at most … items, not …": _destination(headers={f"X-{number}": "a" for number in range(999)}),
    "… must be at most … characters long, not …": lambda scene: scene.config(station_name="x" * 9999),
    "destination.token_file and destination.username cannot both be sent: a request has one Authorization": (
        _destination(token_file="/a", username="ana", password_file="/b")
    ),
    "destination.secret_headers.Authorization cannot be sent beside a token_file or username": (
        _destination(token_file="/a", secret_headers={"Authorization": "/b"})
    ),
    "destination.… means nothing without destination.…": _destination(username="ana"),
    "destination.secret_headers.… stands in destination.headers as well": (
        _destination(headers={"X-Line": "3"}, secret_headers={"X-Line": "/b"})
    ),
    "The … of the demonstration's service does not run.": lambda scene: _stage(scene).worker_pid("uploader"),
    "The demonstration could not go on: ….": lambda scene: _stage(scene).wait(lambda: False, -1, "nothing"),
    "The receiver is not running.": lambda scene: ReceiverProcess(scene.folder / "data").stop(),
    "… cannot be written by this user. Nothing was changed.": _storing,
    "… cannot be used to store reports: …. Nothing was changed.": (
        lambda scene: server._open_store(Settings("127.0.0.1", 0, a_file(scene.folder)))
    ),
    "This user may not listen on ….": _listening_where_only_root_may,
    "… is in use by another program.": _listening_where_another_listens,
    "… is no host that this machine knows.": lambda scene: _listen(scene, "a..b", 0),
    "… is no address of this machine: ….": lambda scene: _listen(scene, "192.0.2.1", 0),
    "The receiver did not start. …": _started_with_a_wrong_option,
    "The receiver answered … with …: …": _asking_for_what_is_not_there,
    "… is not what was accepted before under the id …: its bytes are others. It was not accepted; nothing was changed.": (
        _submitted_again_with_other_bytes
    ),
    "The spool … could not be made: … (…).": _made_where_it_may_not,
    "cannot be looked at (…)": _item_denied,
    "an entry deeper in this folder than anybody looks, and one of that name is in view already": _in_view_already,
    "an entry with the id of …, but with other bytes": _other_bytes_outside,
    "it belongs to another user, and the service or the spool's group may not use it as they must": _another_users,
    "it cannot be read (…); that is not damage, and it stays where it is": _unreadable_in_pending,
    "its lock file is gone, so nobody knows whether its owner lives; it holds …": _lock_gone,
    "cannot be moved up to pending/ (…)": _whole_pending_copied,
    "The spool at … belongs to group …, and you are not in it. Nothing was changed.": (
        lambda scene: no_permission(str(scene.folder / "away"))
    ),
    "cannot be read (…)": _folder_that_nobody_may_read,
    "not a bucket: entries in it are seen, but are not served or expired": _folder_in_sent,
    "No lock file could be held in …. Nothing was changed.": _no_lock,
    "You may not read …; nothing was accepted.": _may_not_read,
    "A stream that cannot be rewound was read once already; the queue was full. Nothing was accepted.": _read_twice,
    "This file of receipts cannot be read (…): what it proves looks unproven.": _receipts_unreadable,
    "spool_dir was changed, which a running service cannot follow. The configuration in force stays.": _other_spool,
    "The spool could not be put in order at the start (…). Nothing is lost; entries wait in it.": _recovery_failed,
    "… no receipt: whether the server has it is not known. Nothing is deleted.": lambda scene: _janitor(
        scene, _unproven=2
    ),
    "… of history could not be written. No report is touched by that.": _history_lost,
    "… cannot be read (…). Nothing is lost.": (
        lambda scene: unreadable(scene.drop_folder(), OSError(errno.EIO, os.strerror(errno.EIO)))
    ),
    "The drop folder … is not a folder.": _no_folder,
    "The folder …, to which taken files should go, does not exist or may not be written to.": _no_target,
    "… is on another file system than …: taken files cannot be moved there.": _target_elsewhere,
    "The drop folder … cannot be used (…).": _folder_denied,
    "… is no UTF-8 text": _secret_in_utf_16,
}
"""The others that no other test raises."""

LOCK_REMOVED = "The lock file … was removed or replaced while the service ran, so it ends. …"
if system.REMOVES_OPEN_FILES:
    WAYS[LOCK_REMOVED] = _lock_file_removed


@pytest.mark.parametrize("text", WAYS)
def test_it_is_said_when_that_goes_wrong(
    text: str, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hearing() as said, monkeypatch.context() as patch, suppress(DropsafeError):
        WAYS[text](Scene(spool, tmp_path, patch))
    assert unsaid((text,), said) == []


def test_every_sentence_of_the_code_is_raised_by_a_test() -> None:
    raised = {sentence for texts in RAISED.values() for text in texts for sentence in named(text)}
    raised |= {sentence for text in (*COMMANDS, *WAYS) for sentence in named(text)}
    assert [sentence.text for sentence in sentences() if sentence not in {*raised, *named(LOCK_REMOVED)}] == []


def test_the_index_names_nothing_that_the_code_does_not_say() -> None:
    assert [text for texts in RAISED.values() for text in texts if not named(text)] == []
