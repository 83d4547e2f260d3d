"""Overlays under concurrency, damage and folders that cannot be written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_sentinel import browsers, overlay
from pytest_sentinel.driver import find_driver

PREPARE = """
import json, os, sys
from pytest_sentinel import browsers
choice = browsers.prepare(os.environ)
variable = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
print(json.dumps([choice.source, str(choice.overlay), variable, "; ".join(choice.notes)]))
"""
# No file may have a single byte, and no signal says so: as on a full disk.
FULL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A home without browsers, a PATH with a Chromium, and a temporary directory of its own."""
    for name in ("bin", "home", "tmp"):
        (tmp_path / name).mkdir()
    shutil.copy("/bin/true", tmp_path / "bin/chromium")
    return {
        "HOME": str(tmp_path / "home"),
        "PATH": str(tmp_path / "bin"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": os.pathsep.join(sys.path),
        **{name: value for name, value in os.environ.items() if name.startswith("COV")},
    }


def start(environ: dict[str, str], script: str = PREPARE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script], env=environ, stdout=subprocess.PIPE, text=True
    )


def prepare_elsewhere(environ: dict[str, str], script: str = PREPARE) -> list[str]:
    """Prepare in another process, where nothing of this one is remembered."""
    with start(environ, script) as process:
        out, _ = process.communicate(timeout=60)
    seen: list[str] = json.loads(out)
    return seen


def assert_whole(laid: Path) -> None:
    """Assert that each link of an overlay leads somewhere."""
    links = [path for path in laid.rglob("*") if path.is_symlink()]
    assert links
    assert [path for path in links if not path.exists()] == []


def test_concurrent_first_runs_lay_one_overlay(machine: dict[str, str], tmp_path: Path) -> None:
    """Runs that start at once use one overlay, and no half of one is left."""
    processes = [start(machine) for _ in range(5)]
    seen = []
    for process in processes:
        with process:
            seen.append(json.loads(process.communicate(timeout=60)[0]))

    assert len({tuple(one) for one in seen}) == 1
    source, laid, variable, _ = seen[0]
    assert (source, laid) == ("system", variable)
    assert_whole(Path(laid))
    left = sorted(path.name for path in Path(laid).parent.iterdir())
    assert left == ["playwright-paths.json", Path(laid).name]


@pytest.mark.parametrize("damage", ["link", "mark", "manifest", "all", "file"])
def test_a_damaged_overlay_is_laid_anew(machine: dict[str, str], damage: str) -> None:
    """A reused overlay is looked over: what is wrong with it is put right before it is used."""
    laid = browsers.prepare(machine).overlay
    assert laid is not None
    link = next(path for path in laid.rglob("*") if path.is_symlink())
    if damage == "link":
        link.unlink()
        link.symlink_to("/bin/false")
    elif damage == "mark":
        next(laid.rglob("INSTALLATION_COMPLETE")).unlink()
    elif damage == "manifest":
        (laid / "sentinel-overlay.json").write_text("{")
    else:
        shutil.rmtree(laid)
        if damage == "file":
            laid.touch()
    if damage in {"manifest", "all", "file"}:  # then the variable leads nowhere that is ours
        del machine[overlay.VARIABLE]

    assert browsers.prepare(machine).overlay == laid

    assert_whole(laid)
    assert link.readlink().name == "chromium"
    assert not list(laid.parent.glob(".unfinished-*"))


def test_a_vanished_browser_is_not_linked(machine: dict[str, str], tmp_path: Path) -> None:
    """An overlay whose browser was removed is not reused."""
    first = browsers.prepare(machine)
    (tmp_path / "bin/chromium").unlink()

    second = browsers.prepare(machine)

    assert (first.source, second.source) == ("system", "missing")
    assert overlay.VARIABLE not in machine


@pytest.mark.parametrize("content", ['{"format": 1, "pa', "[]", '{"format": 1, "paths": 3}'])
def test_a_spoilt_memory_is_asked_anew(machine: dict[str, str], content: str) -> None:
    """A memory cut off by a full disk or a kill costs a question, not a run."""
    first = browsers.prepare(machine)
    memory = Path(machine["HOME"], ".cache/pytest-sentinel/playwright-paths.json")
    memory.write_text(content)

    assert browsers.prepare(machine) == first
    assert json.loads(memory.read_text())["paths"]


def test_a_home_that_cannot_be_written(machine: dict[str, str], tmp_path: Path) -> None:
    """A home that is no folder sends the overlay to a private temporary folder."""
    machine["HOME"] = "/proc/nobody"

    source, laid, variable, _ = prepare_elsewhere(machine)

    private = tmp_path / f"tmp/pytest-sentinel-{os.getuid()}"
    assert (source, Path(laid).parent, variable) == ("system", private, laid)
    assert private.stat().st_mode & 0o777 == 0o700
    assert_whole(Path(laid))


@pytest.mark.parametrize("trap", ["writable", "link", "file"])
def test_a_temporary_folder_of_somebody_else_is_not_trusted(
    machine: dict[str, str], tmp_path: Path, trap: str
) -> None:
    """A folder that others could fill is never used: what lies in it would be run."""
    machine["HOME"] = "/proc/nobody"
    private = tmp_path / f"tmp/pytest-sentinel-{os.getuid()}"
    if trap == "writable":
        private.mkdir()
        private.chmod(0o777)
    elif trap == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        private.symlink_to(tmp_path / "theirs")
    else:
        private.touch()

    source, laid, variable, notes = prepare_elsewhere(machine)

    assert (source, laid, variable) == ("missing", "None", None)
    assert "no folder can be written" in notes
    assert not (tmp_path / "theirs").exists() or not list((tmp_path / "theirs").iterdir())


def test_a_full_disk(machine: dict[str, str], tmp_path: Path) -> None:
    """Where nothing can be written the choice says so, and nothing half-made is left."""
    # Coverage, too, would write half a file.
    unmeasured = {name: value for name, value in machine.items() if not name.startswith("COV")}

    source, laid, variable, notes = prepare_elsewhere(unmeasured, script=FULL_DISK + PREPARE)

    assert (source, laid, variable) == ("missing", "None", None)
    assert "no registry could be laid for the browsers of the system" in notes
    assert list((tmp_path / "home/.cache/pytest-sentinel").iterdir()) == []


def test_leftovers_of_killed_runs_are_swept(machine: dict[str, str]) -> None:
    """Overlays that no run has used for a month go when a new one is laid; fresh ones stay."""
    folder = Path(machine["HOME"], ".cache/pytest-sentinel")
    for name in (".unfinished-old", "registry-old", ".unfinished-new", "registry-new"):
        (folder / name / "inside").mkdir(parents=True)
        if name.endswith("old"):
            os.utime(folder / name, (0, 0))

    laid = browsers.prepare(machine).overlay

    assert laid is not None
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == sorted(
        [".unfinished-new", "registry-new", laid.name]
    )


def node(machine: dict[str, str], tmp_path: Path, script: str) -> None:
    """Put a script before the real Node, the way PLAYWRIGHT_NODEJS_PATH allows."""
    driver = find_driver({})
    assert driver is not None
    shim = tmp_path / "node"
    shim.write_text(f"#!/bin/sh\nnode={driver.node}\n{script}\n")
    shim.chmod(0o755)
    machine["PLAYWRIGHT_NODEJS_PATH"] = str(shim)


def test_a_playwright_that_only_knows_dry_run(machine: dict[str, str], tmp_path: Path) -> None:
    """A registry packed in a way nobody knows is asked through its own command."""
    node(machine, tmp_path, 'case "$1" in --input*) exit 1;; esac; exec $node "$@"')

    choice = browsers.prepare(machine)

    assert choice.source == "system"
    assert choice.overlay is not None
    told = browsers.prepare({**machine, "PLAYWRIGHT_NODEJS_PATH": ""}, tmp_path / "other")
    assert told.overlay is not None
    places = {path.relative_to(told.overlay) for path in told.overlay.rglob("*")}
    assert places <= {path.relative_to(choice.overlay) for path in choice.overlay.rglob("*")}


@pytest.mark.parametrize("script", ["exit 3", "echo nonsense", "echo '{}'"])
def test_a_playwright_that_tells_nothing_is_left_alone(
    machine: dict[str, str], tmp_path: Path, script: str
) -> None:
    """Without an answer nothing is changed, nothing is remembered and nothing raises."""
    node(machine, tmp_path, script)
    before = dict(machine)

    choice = browsers.prepare(machine)

    assert (choice.source, choice.executable, machine) == ("playwright", None, before)
    assert choice.reason.startswith("left to Playwright: it did not tell its paths")
    assert not list(Path(machine["HOME"]).rglob("*.json"))


def test_a_node_without_its_libraries(machine: dict[str, str], tmp_path: Path) -> None:
    """What the loader says is told, with the command that mends it."""
    says = "node: error while loading shared libraries: libatomic.so.1: cannot open"
    node(machine, tmp_path, f"echo '{says}' >&2; exit 127")

    choice = browsers.prepare(machine)

    assert (choice.source, choice.executable) == ("missing", None)
    assert choice.reason == (
        "Playwright's Node does not start: error while loading shared libraries: "
        "libatomic.so.1: cannot open (run `sentinel install-browser`)"
    )


def test_a_node_that_is_not_there(machine: dict[str, str]) -> None:
    """A PLAYWRIGHT_NODEJS_PATH that leads nowhere is left for Playwright to complain about."""
    machine["PLAYWRIGHT_NODEJS_PATH"] = "/nowhere/node"

    assert browsers.prepare(machine).source == "playwright"
