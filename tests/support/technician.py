"""Somebody who does what a page of the documentation says, block by block, on a station of their own with a real server."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import time
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dropsafe.cli.main import main
from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Entry, Spool, State
from dropsafe.spool.claims import Hand
from tests.support.page import DOCS, with_ours
from tests.support.spools import ROOMY

BY_HAND = ("ls", "cat", "cp", "mv", "rm")
TELLS_BY_EXIT = ("status", "deliver", "verify", "repair")
"""Commands that end with 1 where something needs a person."""
_PART = re.compile(r"^\*\*By (command|hand)\b|^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXIT = re.compile(r"exit code (\d+)")


def ways(page: str) -> dict[tuple[str, str], str]:
    """(section, `command` or `hand`) → the block that stands there. AssertionError if a block belongs to neither."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found: dict[tuple[str, str], str] = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        way = "introduction"
        for part in _PART.finditer(body):
            if part[1]:
                way = part[1]
                continue
            assert (title, way) not in found, f"{title}: two blocks {way}"
            found[title, way] = part[2]
    assert len(found) == text.count("```sh\n") == text.count("```") / 2, (
        "a block that the pattern misses is never tried"
    )
    return found


@dataclass
class Station:
    """`spool` and its surroundings lie in `place`; the working folder is the spool's."""

    place: Path
    server: ReceiverProcess
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    delivered: Counter[str] = field(default_factory=Counter)
    """By digest: what must be at the server, so many times, in the end."""
    stands: set[tuple[str, str]] = field(default_factory=set)
    """(state, digest) of what must lie in the spool in the end."""
    told: dict[str, str] = field(default_factory=dict)
    """By digest: the attribute that must be at the server with it."""
    word: str = "no entry was named"
    said: str = ""
    """What the commands of the last block printed."""

    def __post_init__(self) -> None:
        for name in ("etc", "home", "new", "other", "tools"):
            (self.place / name).mkdir()
        for tool in BY_HAND:
            found = shutil.which(tool)
            assert found is not None
            (self.place / "tools" / tool).symlink_to(found)
        self.config.write_text(
            f'spool_dir = "{self.spool_dir}"\nmin_free_bytes = 0\nmin_free_inodes = 0\n'
            f'[destination]\nurl = "{self.url}"\nrequire_receipt = "digest"\n'
        )
        self.monkeypatch.setenv("DROPSAFE_CONFIG", str(self.config))
        Spool.create(self.spool_dir, group="").close()
        self.monkeypatch.chdir(self.spool_dir)

    @property
    def spool_dir(self) -> Path:
        return self.place / "dropsafe"

    @property
    def config(self) -> Path:
        return self.place / "etc" / "dropsafe.toml"

    @property
    def url(self) -> str:
        return f"{self.server.url}/ingest"

    def opened(self, path: Path | None = None) -> Spool:
        return Spool(path or self.spool_dir, ROOMY)

    def expect(self, content: bytes, stands_in: str = "") -> bytes:
        """It must arrive once, or lie in that state in the end; returns it."""
        digest = hashlib.sha256(content).hexdigest()
        if stands_in:
            self.stands.add((stands_in, digest))
        else:
            self.delivered[digest] += 1
        return content

    def new_content(self, what: str) -> bytes:
        return b"<report>%s %s</report>" % (what.encode(), os.urandom(8).hex().encode())

    def submit(self, what: str, stands_in: str = "", name: str = "report.xml", spool: Path | None = None) -> str:
        """One that is expected; returns its id, by which the page's 4k7q is meant from now on."""
        with self.opened(spool) as opened:
            content = self.expect(self.new_content(what), stands_in)
            self.told[hashlib.sha256(content).hexdigest()] = what
            entry_id = opened.submit(content, name=name, attributes={"what": what}).id
        self.word = entry_id.partition("_")[2]
        return entry_id

    def claimed(self, spool: Spool, entry_id: str) -> tuple[Hand, Entry]:
        """That entry in hand; all others go back."""
        hand = spool.take_hand("test")
        for entry in hand.claim(100):
            if entry.id == entry_id:
                found = entry
            else:
                hand.give_back([entry])
        return hand, found

    def lose_what_the_server_has(self) -> None:
        """It is set back to the day on which it was set up."""
        self.server.kill()
        shutil.rmtree(self.server.data)
        self.server.start()

    def follows(self, block: str) -> None:
        """Do what stands there, line by line. AssertionError if it does not end as the page lets one expect."""
        self.said = ""
        aged(self.spool_dir)
        for line in statements(self.translated(block)):
            if not line.startswith("dropsafe "):
                self.types(line)
                continue
            words = shlex.split(line, comments=True)
            told = _EXIT.search(line)
            usual = {0, 1} if words[1] in TELLS_BY_EXIT else {0}
            code = main(words[1:])
            said = self.capsys.readouterr()
            assert code in ({int(told[1])} if told else usual), (line, code, said)
            assert "Traceback" not in said.err
            self.said += said.out + said.err

    def types(self, script: str) -> None:
        """At a prompt that has these few tools alone."""
        done = subprocess.run(
            ["/bin/sh", "-euc", script],
            env={"PATH": str(self.place / "tools")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (script, done.stderr)
        self.said += done.stdout

    def translated(self, block: str) -> str:
        """The places and ids of the page are ours."""
        ours = {
            "/var/lib/dropsafe": str(self.spool_dir),
            "/etc/dropsafe": str(self.place / "etc"),
            "/mnt/new": str(self.place / "new"),
            "/mnt/other": str(self.place / "other"),
            "/data": str(self.place),
            "https://reports.example.com/ingest": self.url,
            "4k7q2m5x": self.word,
            "4k7q": self.word[:7],
        }
        return with_ours(block, ours)

    def delivers(self, *spools: Path) -> None:
        """Everything that is due, from each of them."""
        for path in spools or (self.spool_dir,):
            aged(path)
            main(["deliver", "--spool", str(path), "--patience", "0"])
        self.capsys.readouterr()

    def ends_well(self, *spools: Path) -> None:
        """All is at the server once, or stands where it must."""
        keys = {key: sha256 for key, sha256, _ in self.server.set()}
        arrived = Counter(keys.values())
        there = Counter({digest: arrived[digest] for digest in self.delivered})
        assert there == self.delivered
        name = tomllib.loads(self.config.read_text()).get("station_name")
        for report in [self.server.report(key) for key, digest in keys.items() if digest in self.told]:
            assert report["attributes"] == {"what": self.told[report["sha256"]]}
            assert name in (None, report["station"]), "it is sent with the name that was set when it was sent"
        standing = set()
        for path in spools or (self.spool_dir,):
            assert list(path.glob("pending/**/*.reason.json")) == []
            with self.opened(path) as spool:
                for entry in spool.entries():
                    if entry.state is not State.SENT:
                        standing.add((entry.state.value, hashlib.sha256(entry.path.read_bytes()).hexdigest()))
        assert standing == self.stands
        assert not {digest for _, digest in self.stands} & arrived.keys()


def statements(block: str) -> list[str]:
    """Its lines; a here-document with all of its own is one."""
    return [found[0] for found in re.finditer(r"^.*<<'END'\n(?:.*\n)*?END$|^.+$", block, re.MULTILINE)]


def aged(spool: Path) -> None:
    """An hour passes for the files that lie there: they have settled."""
    then = time.time() - 3600
    for path in [*spool.rglob("*.xml"), *spool.rglob("*.reason.json")]:
        os.utime(path, (then, then), follow_symlinks=False)
