"""What is built can be installed: the wheel has every file and names its entry points."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from contextlib import suppress
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def needed(extra: str) -> set[str]:
    """Return the distributions that an extra of ours installs, with all that they need."""
    found: set[tuple[str, str]] = set()
    pending = [("pytest-sentinel", extra)]
    while pending:
        name, chosen = pending.pop()
        if (name, chosen) in found:
            continue
        found.add((name, chosen))
        try:
            required = distribution(name).requires or []
        except PackageNotFoundError:
            continue  # needed elsewhere: a marker of another platform that packaging let pass
        for requirement in map(Requirement, required):
            if requirement.marker is None or requirement.marker.evaluate({"extra": chosen}):
                wanted = canonicalize_name(requirement.name)
                pending += [(wanted, "")] + [(wanted, one) for one in requirement.extras]
    return {name for name, _ in found}


PLUGINS = {
    "pytest-sentinel": {"sentinel"},
    "pytest-playwright": {"playwright"},
    "pytest-xdist": {"xdist", "xdist.looponfail"},
}


@pytest.mark.parametrize("extra", ["", "xdist", "heap", "serve", "metrics", "report", "all"])
def test_an_extra_brings_no_pytest_plugin_that_nobody_asked_for(extra: str) -> None:
    """Each plugin adds options and fixtures to every run: only those of the trade may come."""
    found: dict[str, set[str]] = {}
    for name in needed(extra):
        with suppress(PackageNotFoundError):
            points = distribution(name).entry_points.select(group="pytest11")
            if points:
                found[name] = {point.name for point in points}

    xdist = {"pytest-xdist"} if extra in ("xdist", "all") else set()
    assert found == {
        name: PLUGINS[name] for name in {"pytest-sentinel", "pytest-playwright"} | xdist
    }


def test_all_is_all_but_load(wheel: Path) -> None:
    """What is installed for tests does not install Locust; the extra for load does."""
    extras = set(metadata(wheel).get_all("Provides-Extra") or []) - {"all", "load"}
    everything = needed("all")

    assert [extra for extra in extras if not needed(extra) <= everything] == []
    assert "locust" not in everything
    assert "locust" in needed("load")


def test_a_suite_with_an_option_of_locusts_runs_beside_it(pytester: pytest.Pytester) -> None:
    """With Locust in the environment and its plugin off, as the documentation says."""
    pytester.makeconftest('def pytest_addoption(parser): parser.addoption("--host", default="x")')
    pytester.makeini("[pytest]\naddopts = -p no:locust\n")
    pytester.makepyfile("def test_host(pytestconfig): assert pytestconfig.option.host == 'x'")

    pytester.runpytest_subprocess().assert_outcomes(passed=1)
