#!/usr/bin/env python3
"""Everything a developer runs, with nothing installed but Python: `python3 dev.py demo`, `python3 dev.py test`.

It makes `.venv` beside this file, installs the project into it when pyproject.toml has changed, and runs the tools
there. It needs only the standard library, on Python 3.11 or later, on Linux and Windows.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "dropsafe.stamp"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
SUFFIX = ".exe" if os.name == "nt" else ""
PYTHON = str(BIN / f"python{SUFFIX}")
OLDEST = (3, 11)
DEBIAN_STAMP = VENV / "debian.stamp"
POLICY = Path("/usr/sbin/policy-rc.d")
PACKAGING = "tests/unit/test_packaging.py"

DEBIAN_PACKAGES = {
    "real servers in tests": ["nginx-light", "libnginx-mod-http-dav-ext", "tinyproxy", "openssl"],
    "tools in tests": ["rsync", "strace"],
    "a machine with systemd in tests": ["systemd", "libpam-systemd", "dbus", "acl", "python3-venv", "util-linux"],
    "the window": ["libglib2.0-0", "libegl1", "libgl1", "libxkbcommon0", "libdbus-1-3", "libfontconfig1"],
}
"""What `test` needs of the system, by what for. `demo` needs none of it."""
SERVICES = {"nginx-light": "nginx", "tinyproxy": "tinyproxy"}
"""Of those packages, which bring a service: it must not run, nor start with the machine."""


class Unable(Exception):
    """This cannot be done here; the text says what a person can do."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "command", choices=list(COMMANDS), help="\n".join(f"{n}: {c.__doc__}" for n, c in COMMANDS.items())
    )
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="ARGUMENTS", help="passed on")
    args = parser.parse_args(argv)
    try:
        prepare()
        return COMMANDS[args.command](args.rest)
    except Unable as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def prepare() -> None:
    """Make `.venv` and install the project, unless both were done for this pyproject.toml and this Python."""
    if sys.version_info < OLDEST:
        raise Unable(f"Python {'.'.join(map(str, OLDEST))} or later is needed; this is {sys.version.split()[0]}.")
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted and works():
        return
    if not works():
        make_venv()
    say("installing what pyproject.toml asks for (the first time this takes a minute)")
    command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", ".[dev]"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise Unable(f"pip failed; see above. To try it alone:  {' '.join(command)}")
    STAMP.write_text(wanted, encoding="utf-8")


def fingerprint() -> str:
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes())
    digest.update(f"{sys.version} {ROOT}".encode())
    return digest.hexdigest()


def works() -> bool:
    """Whether `.venv` is there with its pip, and was not left behind by a Python that is gone or a folder that moved."""
    try:
        return subprocess.run([PYTHON, "-c", "import pip"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_venv() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        if shutil.which("apt-get") is None:
            raise Unable(f"this Python comes without venv. Install what your system calls {package}.")
        if not is_root():
            raise Unable(f"this Python comes without venv. Run:  sudo {' '.join(apt_get([package]))}")
        if not installed([package]):
            raise Unable(f"apt-get failed; see above. To try it alone:  {' '.join(apt_get([package]))}")
    say("making .venv")
    shutil.rmtree(VENV, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False).returncode:
        raise Unable("the virtual environment could not be made; see above.")


def provide_debian_packages() -> None:
    """Install what tests need of the system, if this is root on Debian; else say what to run."""
    names = [name for group in DEBIAN_PACKAGES.values() for name in group]
    wanted = " ".join(names)
    if shutil.which("apt-get") is None or (DEBIAN_STAMP.exists() and DEBIAN_STAMP.read_text("utf-8") == wanted):
        return
    missing = missing_of(names)
    if missing and not is_root():
        say(f"some tests will be skipped. To run them too:  sudo {' '.join(apt_get(missing))}")
        return
    if missing and not installed_without_services(missing):
        say(f"apt-get failed; see above. To try it alone:  {' '.join(apt_get(missing))}")
        return
    DEBIAN_STAMP.write_text(wanted, encoding="utf-8")


def missing_of(names: list[str]) -> list[str]:
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\n", *names]
    known = subprocess.run(command, capture_output=True, check=False).stdout.decode()
    return [name for name in names if f"installed {name}" not in known.splitlines()]


def installed_without_services(names: list[str]) -> bool:
    """Debian starts a service when its package is installed, unless a policy forbids it; and enables it in any case."""
    forbid = not POLICY.exists()
    if forbid:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        done = installed(names)
    finally:
        if forbid:
            POLICY.unlink()
    services = [SERVICES[name] for name in names if name in SERVICES]
    if services and shutil.which("systemctl"):
        for action in ("disable", "stop"):
            subprocess.run(["systemctl", action, *services], capture_output=True, check=False)
    return done


def installed(names: list[str]) -> bool:
    say(f"installing {' '.join(names)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "--quiet"], env=environment, check=False)  # an old list may do
    command = [*apt_get(names), "-o", "DPkg::Lock::Timeout=120"]  # somebody else may be installing something
    return subprocess.run(command, env=environment, check=False).returncode == 0


def apt_get(names: list[str]) -> list[str]:
    return ["apt-get", "install", "--yes", "--no-install-recommends", *names]


def is_root() -> bool:
    return os.name == "posix" and os.geteuid() == 0


def setup(_: list[str]) -> int:
    """make .venv and install everything into it"""
    say(f"ready: {PYTHON}")
    return 0


def demo(rest: list[str]) -> int:
    """see the product work, from a drop folder to a server and back with proof"""
    return run([PYTHON, "-m", "dropsafe", "demo", *rest])


def test(rest: list[str]) -> int:
    """all checks and the tests; ARGUMENTS go to pytest"""
    provide_debian_packages()
    # One more than the cores of a small machine: the slow tests wait for processes and clocks, not for a core.
    workers = [] if any(part.startswith(("-n", "--numprocesses")) for part in rest) else ["-n", "3"]
    # By default all slow tests, which stand together, would go to one of them.
    workers += ["--dist", "worksteal"]
    pytest = [PYTHON, "-m", "pytest", "-q", *workers, f"--ignore={PACKAGING}", *rest]
    steps: list[tuple[str, Callable[[], int]]] = [
        ("format", lambda: quiet([PYTHON, "-m", "ruff", "format", "--check", "."])),
        ("lint", lambda: quiet([PYTHON, "-m", "ruff", "check", "."])),
        (
            "types",
            lambda: quiet([PYTHON, "-m", "mypy"]) or quiet([PYTHON, "-m", "mypy", "dev.py", "deploy/check_server.py"]),
        ),
        ("imports", lambda: quiet([str(BIN / f"lint-imports{SUFFIX}")])),
        ("packaging", lambda: quiet([PYTHON, "-m", "pytest", "-q", PACKAGING])),
        ("tests", lambda: run(pytest)),
    ]
    return report(steps)


def report(steps: list[tuple[str, Callable[[], int]]]) -> int:
    """Run each step, whatever became of those before it, and end with one line for each."""
    lines = []
    failed = 0
    for name, step in steps:
        say(name)
        start = time.monotonic()
        code = step()
        failed += code != 0
        lines.append(f"  {name:<10} {'FAILED' if code else 'ok':<7} {time.monotonic() - start:6.1f} s")
    print("\n" + "\n".join(lines), flush=True)
    return 1 if failed else 0


def lint(rest: list[str]) -> int:
    """put the code in order: ruff format, ruff check --fix, import rules"""
    return (
        run([PYTHON, "-m", "ruff", "format", "."])
        or run([PYTHON, "-m", "ruff", "check", "--fix", *rest, "."])
        or quiet([str(BIN / f"lint-imports{SUFFIX}")])
    )


def types(rest: list[str]) -> int:
    """mypy --strict"""
    return run([PYTHON, "-m", "mypy", *rest])


def docs(_: list[str]) -> int:
    """write the pages, and parts of pages, that are made from the code"""
    for page, made_by in {
        "configuration.md": ["dropsafe", "config", "schema"],
        "dropsafe.1": ["dropsafe.cli.man"],
        "ipc.md": ["dropsafe.supervisor.ipc.reference"],
    }.items():
        done = subprocess.run([PYTHON, "-m", *made_by], cwd=ROOT, capture_output=True, check=True)
        (ROOT / "docs" / page).write_bytes(done.stdout.replace(b"\r\n", b"\n"))
    return counts() or run([PYTHON, "-m", "tests.support.made_parts"])


def counts() -> int:
    """The forms of the window's counts: what the code asks for, and from that what the program reads."""
    if missing := [tool for tool in ("lupdate", "lrelease") if not (BIN / f"pyside6-{tool}{SUFFIX}").exists()]:
        say(f"the forms of the counts are left as they are: no pyside6-{missing[0]} here")
        return 0
    forms = str(ROOT / "gui" / "translations" / "dropsafe_en")
    english = ["-source-language", "en", "-target-language", "en", "-pluralonly", "-no-obsolete", "-locations", "none"]
    update = [str(BIN / f"pyside6-lupdate{SUFFIX}"), *english, str(ROOT / "gui" / "counts.py"), "-ts", f"{forms}.ts"]
    release = [str(BIN / f"pyside6-lrelease{SUFFIX}"), f"{forms}.ts", "-qm", f"{forms}.qm"]
    return quiet(update) or quiet(release)


def bench(rest: list[str]) -> int:
    """measure: bench NAME ARGUMENTS; without a name, list them"""
    names = sorted(path.stem for path in (ROOT / "bench").glob("[a-z]*.py"))
    if not rest:
        print("\n".join(names) or "nothing to measure yet")
        return 0
    if rest[0] not in names:
        raise Unable(f"there is no bench/{rest[0]}.py. There are: {', '.join(names) or 'none'}.")
    return run([PYTHON, "-m", "bench", *rest])


def campaign(rest: list[str]) -> int:
    """try everything against the promise, and print what came of it: campaign --minutes N, --full"""
    return run([PYTHON, "-m", "tests.campaign", *rest])


def screenshots(rest: list[str]) -> int:
    """make the pictures in docs/images anew: screenshots NAME...; without a name, all. Needs Xvfb"""
    return run([PYTHON, "-m", "tests.screenshots", *rest])


def tasks(rest: list[str]) -> int:
    """drive a real window by mouse and keys through what people do with it. Needs Xvfb and xdotool"""
    return run([PYTHON, "-m", "tests.window_tasks", *rest])


def run(command: list[str]) -> int:
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def quiet(command: list[str]) -> int:
    """Run, and show the output only where it failed."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.stdout.buffer.write(done.stdout)
        sys.stdout.flush()
    return done.returncode


def say(text: str) -> None:
    print(f"== {text}", flush=True)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    command.__name__: command for command in (setup, demo, test, lint, types, docs, bench, campaign, screenshots, tasks)
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
