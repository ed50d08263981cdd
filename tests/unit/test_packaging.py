"""What is installed is what stands in the tree: packages, links, schemas, version, and the page made from them."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

import dropsafe
from dropsafe.cli.main import COMMANDS
from dropsafe.cli.man import page as manual_page
from dropsafe.schemas import load_schema
from dropsafe.schemas.reference import configuration_page
from dropsafe.supervisor.ipc.reference import page as ipc_page

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["setuptools"]["packages"]
FOLDERS: dict[str, str] = PROJECT["tool"]["setuptools"]["package-dir"]
MANUAL = "docs/dropsafe.1"
DATA: dict[str, list[str]] = PROJECT["tool"]["setuptools"]["data-files"]
LINKED = sorted(set(FOLDERS) - {"dropsafe"})


def packages_in(root: Path) -> set[str]:
    found = {"dropsafe"}
    for name, folder in FOLDERS.items():
        for init in (root / folder).rglob("__init__.py"):
            inner = init.parent.relative_to(root / folder)
            if not any((root / folder / part).is_symlink() for part in [inner, *inner.parents]):
                found.add(".".join([name, *inner.parts]))
    return found


def data_in(root: Path) -> dict[str, Path]:
    """Every other file that is installed, by its place below the prefix."""
    return {f"{place}/{path.name}": path for place, names in DATA.items() for name in names for path in root.glob(name)}


def files_in(root: Path) -> set[str]:
    """Every Python file, schema and template, by its place in an installation."""
    found = set()
    for package in packages_in(root):
        base = max((name for name in FOLDERS if f"{package}.".startswith(f"{name}.")), key=len)
        folder = root / FOLDERS[base] / Path(*package.removeprefix(base).strip(".").split("."))
        for file in [*folder.iterdir(), *folder.glob("icons/*"), *folder.glob("translations/*")]:
            if (
                file.suffix in {".py", ".json", ".service", ".conf", ".desktop", ".svg", ".qm"}
                or file.name == "py.typed"
            ):
                found.add(f"{package.replace('.', '/')}/{file.relative_to(folder).as_posix()}")
    return found


def test_every_package_in_the_tree_is_listed_and_no_other() -> None:
    assert set(PACKAGES) == packages_in(ROOT)
    assert len(PACKAGES) == len(set(PACKAGES))


@pytest.mark.parametrize("package", LINKED)
def test_each_top_level_folder_has_its_relative_link_in_the_import_package(package: str) -> None:
    link = ROOT / package.replace(".", "/")
    assert link.is_symlink()
    assert os.readlink(link) == f"../{FOLDERS[package]}"
    assert link.resolve() == ROOT / FOLDERS[package]


def test_there_is_no_link_that_is_not_a_package() -> None:
    links = {f"dropsafe.{path.name}" for path in (ROOT / "dropsafe").iterdir() if path.is_symlink()}
    assert links == set(LINKED)


def test_the_linter_looks_at_each_file_once() -> None:
    assert set(PROJECT["tool"]["ruff"]["extend-exclude"]) == {name.replace(".", "/") for name in LINKED}


def test_the_version_is_the_same_everywhere() -> None:
    assert dropsafe.__version__ == PROJECT["project"]["version"]


def test_every_schema_can_be_loaded_and_is_a_schema() -> None:
    from jsonschema import Draft202012Validator

    names = [path.name.removesuffix(".schema.json") for path in (ROOT / "schemas").glob("*.json")]
    assert "config" in names
    for name in names:
        schema = load_schema(name)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        Draft202012Validator.check_schema(schema)
        assert load_schema(name) is schema


def test_every_key_of_the_configuration_is_described() -> None:
    def walk(schema: dict[str, object], place: str) -> None:
        assert schema.get("description"), place
        properties = schema.get("properties") or (schema.get("items") or {}).get("properties", {})  # type: ignore[union-attr,attr-defined]
        assert isinstance(properties, dict)
        if not properties:
            assert {"default", "x-default", "x-example"} & schema.keys(), f"{place} has neither default nor example"
            assert ("minimum" not in schema) or "x-unit" in schema, f"{place} has no unit"
        for name, part in properties.items():
            walk(part, f"{place}.{name}")

    walk(load_schema("config"), "config")


def test_the_page_about_the_configuration_is_current() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == configuration_page(), "run: python3 dev.py docs"
    for name in load_schema("config")["properties"]:
        assert name in page


def test_the_page_about_the_line_is_current() -> None:
    assert (ROOT / "docs" / "ipc.md").read_text(encoding="utf-8") == ipc_page(), "run: python3 dev.py docs"


def test_the_manual_page_is_current() -> None:
    assert (ROOT / MANUAL).read_text(encoding="utf-8") == manual_page(), "run: python3 dev.py docs"


def test_the_wheel_holds_every_file(tmp_path: Path) -> None:
    # From a copy: building leaves files beside the sources, and other tests run meanwhile.
    source = tmp_path / "source"
    wanted = ["pyproject.toml", "README.md", "LICENSE", "docs", *set(FOLDERS.values())]
    for name in wanted:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns(
                "__pycache__", *(link.rpartition(".")[2] for link in LINKED if name == "dropsafe")
            )
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            str(tmp_path),
            str(source),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    base = f"dropsafe-{dropsafe.__version__}"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith(f"{base}.dist-info")}
        archive.extractall(tmp_path / "site")
    data = f"{base}.data/data"
    assert names == {*files_in(source), *(f"{data}/{name}" for name in data_in(source))}
    assert_the_pages_are_found(tmp_path / "site", tmp_path / "site" / data)


def assert_the_pages_are_found(site: Path, prefix: Path) -> None:
    """As the window looks for them, in what the wheel held."""
    code = """if True:
        import sys, sysconfig
        sys.path[:0] = [sys.argv[1]]
        get_path = sysconfig.get_path
        sysconfig.get_path = lambda name, *more: sys.argv[2] if name == "data" else get_path(name, *more)
        from dropsafe.gui import manual
        print(manual.folder(), *(page.name for page in manual.pages()))
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, str(site), str(prefix)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    folder, *pages = done.stdout.split()
    assert Path(folder) == prefix / "share/doc/dropsafe"
    assert set(pages) == {path.name for path in (ROOT / "docs").glob("*.md")}


def test_the_desktop_entry_starts_commands_that_there_are() -> None:
    path = ROOT / "deploy" / "dropsafe.desktop"
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str  # type: ignore[method-assign,assignment]
    entry.read_string(path.read_text(encoding="utf-8"))
    main = entry["Desktop Entry"]
    assert {"Type", "Name", "Exec", "Icon", "Categories"} <= main.keys()
    assert main["Type"] == "Application"
    assert main["Categories"].endswith(";")
    assert main["Actions"].split(";")[:-1] == [
        section.removeprefix("Desktop Action ") for section in entry.sections() if section.startswith("Desktop Action ")
    ]
    for section in entry.sections():
        program, command = entry[section]["Exec"].split()
        assert program == "dropsafe"
        assert command in COMMANDS
    assert f"share/icons/hicolor/scalable/apps/{main['Icon']}.svg" in data_in(ROOT)
    assert "share/applications/dropsafe.desktop" in data_in(ROOT)
    if checker := shutil.which("desktop-file-validate"):
        assert subprocess.run([checker, path], check=False).returncode == 0


def test_the_icon_of_the_program_is_a_square_drawing() -> None:
    icon = ElementTree.parse(ROOT / "gui" / "icons" / "dropsafe.svg").getroot()
    assert icon.tag == "{http://www.w3.org/2000/svg}svg"
    _, _, width, height = icon.attrib["viewBox"].split()
    assert width == height
