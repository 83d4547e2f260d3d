"""What is built can be installed: the wheel has every file and names its entry points."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

import pytest

from pytest_sentinel import __version__

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(directory)]
    if importlib.util.find_spec("hatchling") is not None:
        command.append("--no-build-isolation")  # else pip fetches it
    subprocess.run([*command, str(ROOT)], check=True, timeout=120)
    return next(directory.glob("*.whl"))


def content(wheel: Path, name: str) -> str:
    """Return a file of the wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        path = next(path for path in archive.namelist() if path.endswith(f".dist-info/{name}"))
        return archive.read(path).decode()


def metadata(wheel: Path) -> Message:
    """Return what the wheel says about itself."""
    return HeaderParser().parsestr(content(wheel, "METADATA"))


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    """Nothing is left out, the reaper's script and the mark of typed packages least of all."""
    package = ROOT / "pytest_sentinel"
    files = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())

    assert {"pytest_sentinel/pool/reaper.sh", "pytest_sentinel/py.typed"} <= files
    assert files - packed == set()


def test_nothing_but_the_package_is_in_the_wheel(wheel: Path) -> None:
    """No test and no document ends up in site-packages."""
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}

    assert tops == {"pytest_sentinel", f"pytest_sentinel-{__version__}.dist-info"}


def test_the_entry_points_are_those_of_pytest_and_the_shell(wheel: Path) -> None:
    """pytest finds the plugin as ``sentinel``, the shell the command of that name."""
    points = ConfigParser(delimiters=("=",))
    points.read_string(content(wheel, "entry_points.txt"))

    assert dict(points["pytest11"]) == {"sentinel": "pytest_sentinel.plugin"}
    assert dict(points["console_scripts"]) == {"sentinel": "pytest_sentinel.cli:main"}


def test_the_version_is_told_once(wheel: Path) -> None:
    """The wheel and the module agree."""
    assert metadata(wheel)["Version"] == __version__


def test_the_extras_are_those_of_the_documentation(wheel: Path) -> None:
    """``pip install 'pytest-sentinel[xdist]'`` and its like get something."""
    extras = set(metadata(wheel).get_all("Provides-Extra") or [])

    assert {"xdist", "heap", "all"} <= extras


def test_the_licence_is_in_the_wheel(wheel: Path) -> None:
    """The text travels with the code."""
    assert "Permission is hereby granted" in content(wheel, "licenses/LICENSE")
