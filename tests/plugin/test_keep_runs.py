"""The oldest records are removed beyond the number that is kept, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sentinel.telemetry.journal import FILE_NAME, Journal
from pytest_sentinel.telemetry.record import Run
from pytest_sentinel.telemetry.retention import prune
from tests.runs import Scratch

OLD = [f"2020010{day}-120000-{day:08x}" for day in range(1, 7)]


def lay(runs: Path) -> Path:
    """Make six runs of the past."""
    for name in OLD:
        (runs / name / "leaks").mkdir(parents=True)
        (runs / name / FILE_NAME).write_text("{}\n")
    return runs


def named(runs: Path) -> list[str]:
    """Return what is in a directory."""
    return sorted(path.name for path in runs.iterdir())


def test_a_run_keeps_as_many_as_it_is_asked_to(pytester: pytest.Pytester) -> None:
    """Its own is one of them, and the newest; 0 and off keep all, 50 are kept by default."""
    scratch = Scratch(pytester, "def test_quick():\n    pass\n")
    runs = lay(scratch.path / ".sentinel" / "runs")

    for option in ("", "--sentinel-keep-runs=0", "--sentinel-keep-runs=off"):
        assert scratch.run_here(*option.split()).ret == 0
    assert len(named(runs)) == len(OLD) + 3 + 1
    assert scratch.run_here("--sentinel-keep-runs=6").ret == 0

    assert named(runs)[:2] == OLD[-2:]
    assert len(named(runs)) == 6 + 1
    first = scratch.record()[0]
    assert isinstance(first, Run)
    assert (runs / "latest").resolve().name.endswith(first.id)
    assert scratch.run_here("--sentinel-keep-runs=1").ret == 0
    assert len(named(runs)) == 1 + 1
    assert (runs / "latest" / FILE_NAME).is_file()


@pytest.mark.parametrize("text", ["-1", "many", "1.5"])
def test_a_number_that_is_none_is_refused(pytester: pytest.Pytester, text: str) -> None:
    """Exit status 4, and nothing is removed."""
    scratch = Scratch(pytester, "def test_quick():\n    pass\n")
    runs = lay(scratch.path / ".sentinel" / "runs")

    result = scratch.run_here(f"--sentinel-keep-runs={text}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --sentinel-keep-runs: '{text}' *; a good value is 50"])
    assert named(runs) == OLD


def test_a_run_that_is_written_stays(tmp_path: Path) -> None:
    """However old it is, as long as its writer lives."""
    runs = lay(tmp_path / "runs")
    with Journal(tmp_path, "live", print) as journal:
        journal.directory.rename(runs / "20190101-120000-live")

        assert prune(runs, 1, FILE_NAME) == OLD[:-1]
        assert named(runs) == ["20190101-120000-live", OLD[-1], "latest"]
    assert prune(runs, 1, FILE_NAME) == ["20190101-120000-live"]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    """Other names, files, links, and directories without a record are not touched."""
    runs = lay(tmp_path / "runs")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / FILE_NAME).write_text("{}\n")
    (runs / "20180101-120000-link").symlink_to(tmp_path / "kept")
    (runs / "20180101-120000-file").write_text("")
    (runs / "20180101-120000-empty").mkdir()
    (runs / "mine").mkdir()
    (runs / "mine" / FILE_NAME).write_text("{}\n")
    (runs / ".mine.removed").mkdir()
    others = set(named(runs)) - set(OLD)

    prune(runs, 1, FILE_NAME)

    assert set(named(runs)) == {*others, OLD[-1]}
    assert (tmp_path / "kept" / FILE_NAME).exists()


def test_what_cannot_be_removed_fails_nothing(tmp_path: Path) -> None:
    """The others go all the same, and so does what an interrupted removal has left."""
    runs = lay(tmp_path / "runs")
    (runs / f".{OLD[0]}.removed").write_text("in the way")
    (runs / f".{OLD[1]}.removed" / "left").mkdir(parents=True)

    assert prune(runs, 3, FILE_NAME) == [OLD[2]]
    assert prune(tmp_path / "nowhere", 3, FILE_NAME) == []
    assert set(OLD[3:]) < set(named(runs))
    assert f".{OLD[1]}.removed" not in named(runs)
