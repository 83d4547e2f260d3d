"""The run record on disk: complete, in order, readable at any moment, never the run's trouble."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pytest_sentinel.telemetry.record import Attempt, Begun, BrowserEvent, End, Run
from tests.runs import Scratch

MIXED = """
def test_passes(page):
    page.set_content("<p>hello")

def test_fails(page):
    assert page.title() == "another"

def test_without_a_browser():
    pass

@pytest.fixture
def broken():
    raise RuntimeError("broken")

def test_error(broken):
    pass

def test_skipped():
    pytest.skip("today")

@pytest.mark.xfail(strict=False)
def test_xpassed():
    pass

@pytest.mark.xfail
def test_xfailed():
    assert False

def test_reads_the_record_so_far():
    here = pathlib.Path(".sentinel/runs/latest/run.jsonl").read_text().splitlines()
    assert '"nodeid":"test_it.py::test_xfailed"' in here[-2]
    assert '"kind":"begun"' in here[-1]
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_every_attempt_is_recorded(pytester: pytest.Pytester, workers: int) -> None:
    """One first line, a line for each attempt as soon as it has ended, and one last line."""
    scratch = Scratch(pytester, MIXED)
    deselect = ["--deselect=test_it.py::test_reads_the_record_so_far"] if workers else []
    result = scratch.run("-n", str(workers), *deselect)
    assert result.ret == pytest.ExitCode.TESTS_FAILED

    first, *between, last = scratch.record()
    assert isinstance(first, Run)
    assert first.schema == 1
    assert first.workers == workers
    assert first.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"pytest", "playwright", "pytest-playwright", "pytest-sentinel"} <= set(first.versions)
    assert first.settings["crash_retries"] == 1
    assert first.settings["workers_by_memory"] is False
    assert first.browser
    assert isinstance(last, End)
    assert last.exit_status == 1
    assert last.finished > first.started
    assert last.sampler_seconds > 0
    assert {type(line) for line in between} == {Attempt, Begun, BrowserEvent}

    attempts = {line.nodeid.split("::")[1]: line for line in scratch.attempts()}
    attempts.pop("test_reads_the_record_so_far", None)
    assert {name: line.outcome for name, line in attempts.items()} == {
        "test_passes[chromium]": "passed",
        "test_fails[chromium]": "failed",
        "test_without_a_browser": "passed",
        "test_error": "error",
        "test_skipped": "skipped",
        "test_xpassed": "xpassed",
        "test_xfailed": "xfailed",
    }
    failures = {name: line.failure for name, line in attempts.items() if line.failure}
    assert failures == {"test_fails[chromium]": "product", "test_error": "product"}
    for line in attempts.values():
        assert line.attempt == 1
        assert first.started <= line.started <= line.finished <= last.finished
        assert line.worker in (("gw0", "gw1") if workers else ("main",))
        assert set(line.phases) <= {"setup", "call", "teardown"}
    passes = attempts["test_passes[chromium]"]
    assert passes.browsers == (f"{passes.worker}/browser-1",)
    assert set(passes.memory) == {"worker", "driver", "browser-1"}
    assert passes.memory["browser-1"].peak
    assert attempts["test_without_a_browser"].browsers == ()
    assert {event.event for event in scratch.events()} == {"launched"}


def test_the_last_test_keeps_its_browser(pytester: pytest.Pytester) -> None:
    """It ends with its browser closed already, and its record names it all the same."""
    scratch = Scratch(pytester, "def test_only(page):\n    page.set_content('<p>hello')\n")
    scratch.run().assert_outcomes(passed=1)
    [line] = scratch.attempts()
    assert line.browsers == ("main/browser-1",)
    assert line.memory["browser-1"].peak


QUICK = """
@pytest.mark.parametrize("number", range(3))
def test_number(number):
    pass
"""


def test_records_lie_side_by_side(pytester: pytest.Pytester) -> None:
    """Each run has a directory of its own, ``latest`` leads to the newest, and git sees none."""
    scratch = Scratch(pytester, QUICK)
    scratch.run().assert_outcomes(passed=3)
    scratch.run("--sentinel-record=elsewhere", "-k", "1").assert_outcomes(passed=1, deselected=2)
    scratch.run("-k", "1").assert_outcomes(passed=1, deselected=2)
    runs = scratch.path / ".sentinel" / "runs"
    assert len([path for path in runs.iterdir() if not path.is_symlink()]) == 2
    assert len(scratch.attempts()) == 1
    assert os.readlink(runs / "latest") in os.listdir(runs)
    assert (scratch.path / ".sentinel" / ".gitignore").read_text() == "*\n"
    assert len(list((scratch.path / "elsewhere" / "runs").glob("*/run.jsonl"))) == 2


def test_no_record_is_kept_when_it_is_off(pytester: pytest.Pytester) -> None:
    """Nothing is written, and a crash is survived as ever, if with fewer words."""
    scratch = Scratch(
        pytester,
        """
def test_crash(page, kill, once):
    if once():
        kill()
    page.goto("about:blank")
""",
    )
    result = scratch.run("--sentinel-record=off")
    result.assert_outcomes(passed=1)
    assert not (scratch.path / ".sentinel").exists()
    result.stdout.fnmatch_lines(["browsers   1 launched, 1 replaced after a crash*"])
    result.stdout.no_fnmatch_line("record *")


@pytest.mark.parametrize("warnings", ["default", "error"])
def test_a_directory_that_cannot_be_written_is_a_warning(
    pytester: pytest.Pytester, warnings: str
) -> None:
    """The run goes on without its record, even where warnings are errors."""
    scratch = Scratch(pytester, QUICK)
    (scratch.path / "taken").write_text("a file")
    result = scratch.run("--sentinel-record=taken", "-W", warnings)
    result.assert_outcomes(passed=3, warnings=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*sentinel: the run record * is not kept: *"])


DISK_FULL = """
def test_fills_the_disk():
    full = os.open("/dev/full", os.O_WRONLY)
    for name in os.listdir("/proc/self/fd"):
        target = pathlib.Path(f"/proc/self/fd/{name}")
        if target.is_symlink() and os.readlink(target).endswith("run.jsonl"):
            os.dup2(full, int(name))
    os.close(full)
"""


@pytest.mark.parametrize("warnings", ["default", "error"])
def test_a_full_disk_is_a_warning(pytester: pytest.Pytester, warnings: str) -> None:
    """A line that cannot be written ends the record, not the run."""
    scratch = Scratch(pytester, DISK_FULL + QUICK)
    result = scratch.run("-W", warnings)
    result.assert_outcomes(passed=4, warnings=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*sentinel: the run record * is not kept: *No space left*"])


def test_a_name_that_is_no_text_does_not_end_the_run(pytester: pytest.Pytester) -> None:
    """A directory of another age has bytes in its name that are no UTF-8."""
    scratch = Scratch(pytester, QUICK)
    directory = os.fsencode(scratch.path) + b"/caf\xe9"
    os.mkdir(directory)
    Path(os.fsdecode(directory), "test_old.py").write_text("def test_old():\n    pass\n")
    with scratch.start() as started:
        assert started.wait() == pytest.ExitCode.OK
    assert [line.nodeid for line in scratch.attempts("test_old")] == ["caf?/test_old.py::test_old"]


def test_repeats_of_another_plugin_are_attempts_too(pytester: pytest.Pytester) -> None:
    """What pytest-rerunfailures runs again is recorded each time."""
    scratch = Scratch(
        pytester,
        """
@pytest.mark.flaky(reruns=1)
def test_flaky(page, once):
    assert not once()
""",
    )
    scratch.run("-p", "rerunfailures").assert_outcomes(passed=1)
    assert [(line.attempt, line.outcome) for line in scratch.attempts()] == [
        (1, "failed"),
        (2, "passed"),
    ]
