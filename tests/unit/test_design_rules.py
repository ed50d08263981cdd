"""The numbered rules of durability and admission: that the code keeps the first, and that each has a test named for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("spool", "workers", "supervisor", "schemas", "deploy", "dropsafe", "gui")

THE_PLACE = {"spool/durable.py", "spool/_posix.py", "spool/_windows.py"}
"""The only modules that change files of a spool, or the sources of intake."""

ELSEWHERE: dict[str, str] = {
    "dropsafe/config_file.py": "the configuration file",
    "dropsafe/cli/files.py": "files that a command makes for its user",
    "dropsafe/desk/bundle_file.py": "the bundle, where its user says",
    "dropsafe/cli/demo.py": "the demonstration's own folder",
    "dropsafe/cli/run.py": "the run folder",
    "dropsafe/cli/trouble.py": "the report of an error, and a standard output that nobody reads",
    "deploy/changes.py": "units and other files of the system",
    "deploy/errand.py": "the trial of a drop folder, in files of its own",
    "deploy/systemd.py": "the folder of a new spool, for the service's user",
    "dropsafe/desk/outside.py": "an export, which lies outside of every spool",
    "dropsafe/log.py": "the log file",
    "dropsafe/log_file.py": "the service's log files",
    "dropsafe/stacks.py": "the device that is nowhere, for stacks where there is no standard error",
    "dropsafe/demo/": "the demonstration's own folder, drop folder and log",
    "dropsafe/receiver/": "what the example server stores",
    "gui/app.py": "the folder of what a user's window remembers",
    "gui/preview.py": "nothing: it reads a payload, and opens a file of Qt's own in memory",
    "gui/starting.py": "the folder of the log of a service that it starts, and what that says at its start",
    "supervisor/ipc/_posix.py": "the service's socket, in the run folder",
    "supervisor/status.py": "the status that any user may read, in the run folder",
}
"""Modules and folders of modules that may change files, none of them in a spool."""

OS_CALLS = {
    "chmod",
    "chown",
    "copy_file_range",
    "fchmod",
    "fchown",
    "fdatasync",
    "fsync",
    "ftruncate",
    "lchown",
    "link",
    "makedirs",
    "mkdir",
    "mkfifo",
    "mknod",
    "open",
    "pwrite",
    "remove",
    "removedirs",
    "rename",
    "renames",
    "replace",
    "rmdir",
    "sendfile",
    "symlink",
    "truncate",
    "unlink",
    "utime",
    "write",
    "writev",
}
PATH_CALLS = {
    "chmod",
    "hardlink_to",
    "lchmod",
    "mkdir",
    "rename",
    "rmdir",
    "symlink_to",
    "touch",
    "unlink",
    "write_bytes",
    "write_text",
}
SYSTEM_CALLS = {"rename_noreplace", "replace", "make_directory", "set_mode", "give_to_group", "sync_directory"}
WHOLE_MODULES = {"shutil": {"move", "rmtree", "copy", "copy2", "copyfile", "copytree", "copyfileobj"}, "tempfile": None}


@dataclass(frozen=True)
class Change:
    """A call that changes files, in the source."""

    module: str
    line: int
    call: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.call}"


def modules() -> Iterator[Path]:
    for part in PARTS:
        for path in sorted((ROOT / part).rglob("*.py")):
            # The links in dropsafe/ show each part a second time.
            if not any(parent.is_symlink() for parent in path.parents):
                yield path


@cache
def calls() -> list[tuple[str, ast.Call]]:
    """(module, call) of every call in the sources."""
    found = []
    for path in modules():
        module = path.relative_to(ROOT).as_posix()
        found += [(module, node) for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    return found


def changes() -> Iterator[Change]:
    for module, node in calls():
        if call := changing(node):
            yield Change(module, node.lineno, call)


def changing(node: ast.Call) -> str:
    """What changes files, if this call does."""
    match node.func:
        case ast.Name("open"):
            return "open for writing" if writes(node, 1) else ""
        case ast.Attribute(ast.Name("os"), "fdopen"):
            return "os.fdopen for writing" if writes(node, 1) else ""
        case ast.Attribute(ast.Name("os"), name):
            return f"os.{name}" if name in OS_CALLS else ""
        case ast.Attribute(ast.Name("system"), name):
            return f"system.{name}" if name in SYSTEM_CALLS else ""
        case ast.Attribute(ast.Name(("shutil" | "tempfile") as base), name):
            known = WHOLE_MODULES[base]
            return f"{base}.{name}" if known is None or name in known else ""
        case ast.Attribute(ast.Name("durable"), _):
            return ""
        case ast.Attribute(_, "open"):
            return ".open for writing" if writes(node, 0) else ""
        case ast.Attribute(_, "replace"):
            # A Path's takes one thing; a text's two, a date's names.
            return ".replace" if len(node.args) == 1 and not node.keywords else ""
        case ast.Attribute(_, name):
            return f".{name}" if name in PATH_CALLS else ""
    return ""


def writes(node: ast.Call, position: int) -> bool:
    """Whether the mode of an `open` says anything but reading."""
    given = [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
    mode = given[0] if given else node.args[position] if len(node.args) > position else None
    if mode is None:
        return False
    return not (isinstance(mode, ast.Constant) and isinstance(mode.value, str) and not set(mode.value) & set("wax+"))


def test_rule_3_1_nothing_but_durable_changes_files_of_a_spool() -> None:
    found = list(changes())
    allowed = (*THE_PLACE, *ELSEWHERE)
    astray = [str(change) for change in found if not change.module.startswith(allowed)]
    assert astray == [], "\n".join(astray)
    assert len([change for change in found if change.module == "spool/durable.py"]) > 10, "the search finds something"


def test_rule_3_1_no_exception_is_left_over() -> None:
    used = {change.module for change in changes()}
    assert [place for place in ELSEWHERE if not any(module.startswith(place) for module in used)] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("os.rename(a, b)", "os.rename"),
        ("os.unlink(a)", "os.unlink"),
        ("os.open(a, os.O_WRONLY)", "os.open"),
        ("open(a, 'wb')", "open for writing"),
        ("open(a, mode='r+')", "open for writing"),
        ("open(a, mode)", "open for writing"),
        ("os.fdopen(a, 'w')", "os.fdopen for writing"),
        ("path.open('a')", ".open for writing"),
        ("path.unlink()", ".unlink"),
        ("path.replace(other)", ".replace"),
        ("Path(a).write_text('x')", ".write_text"),
        ("shutil.rmtree(a)", "shutil.rmtree"),
        ("tempfile.mkdtemp()", "tempfile.mkdtemp"),
        ("system.rename_noreplace(a, b)", "system.rename_noreplace"),
        ("open(a)", ""),
        ("open(a, 'rb')", ""),
        ("os.fdopen(a, 'rb')", ""),
        ("os.listdir(a)", ""),
        ("text.replace('a', 'b')", ""),
        ("moment.replace(tzinfo=UTC)", ""),
        ("durable.rename('x', a, b)", ""),
        ("system.room(a)", ""),
    ],
)
def test_the_search_knows_what_changes_files(source: str, expected: str) -> None:
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    assert changing(call) == expected


def test_rule_3_1_every_operation_carries_a_name_of_its_own() -> None:
    """Else a test could not stop the program at each of them."""
    unnamed = []
    for module, node in calls():
        match node:
            case ast.Call(ast.Attribute(ast.Name("durable"), name), [first, *_]) if name not in (
                "observed",
                "is_open_as",
            ):
                text = first.value if isinstance(first, ast.Constant) else None
                named = isinstance(text, str) and re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", text)
                if not (named or isinstance(first, ast.JoinedStr)):
                    unnamed.append(f"{module}:{node.lineno}")
    assert unnamed == []


RULES = [*(f"rule_3_{number}" for number in range(1, 12)), "rule_4"]


@pytest.mark.parametrize("rule", RULES)
def test_each_numbered_rule_has_a_test_named_for_it(rule: str) -> None:
    named = re.compile(rf"^\s*(?:async )?def test_{rule}_\w+", re.MULTILINE)
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if named.search(path.read_text("utf-8"))]
    assert files, f"no test is named test_{rule}_…"
