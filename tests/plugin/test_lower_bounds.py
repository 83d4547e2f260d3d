"""What died or was interrupted is in the record, and numbers that are lower bounds say so."""

from __future__ import annotations

import os
import signal

import pytest
from click.testing import CliRunner

from pytest_sentinel.cli import main
from pytest_sentinel.telemetry.record import Begun, End, Run, WorkerDeath
from tests.runs import Scratch, wait_until

DIES_IN_ITS_SETUP = """
@pytest.fixture
def fatal(page, once):
    if once():
        os.kill(os.getpid(), 9)

def test_it(fatal):
    pass
"""
WAITS = """
def test_done():
    pass

def test_waits(browser):
    (HERE / "running").touch()
    threading.Event().wait(120)
"""


def test_launches_of_a_worker_that_died_count(pytester: pytest.Pytester) -> None:
    """Its browser had started, and no report of the test that killed it ever said so."""
    scratch = Scratch(pytester, DIES_IN_ITS_SETUP)
    result = scratch.run("-n", "1")

    [launched] = scratch.events("launched")
    assert launched.worker == "gw0"
    assert launched.what.startswith("chromium ")
    [death] = [line for line in scratch.record() if isinstance(line, WorkerDeath)]
    assert (death.worker, death.partial) == ("gw0", False)
    result.stdout.fnmatch_lines(
        ["worker     gw0 died while running test_it.py::test_it*", "browsers   1 launched"]
    )
    directory = scratch.path / ".sentinel" / "runs" / "latest"
    assert list(directory.glob("unsent-*")) == []


def test_without_a_record_the_launches_of_a_dead_worker_are_a_lower_bound(
    pytester: pytest.Pytester,
) -> None:
    """There is no place where the worker could have left a note."""
    scratch = Scratch(pytester, DIES_IN_ITS_SETUP)
    result = scratch.run("-n", "1", "--sentinel-record=off")

    result.stdout.fnmatch_lines(["browsers   at least 0 launched"])


def test_an_interrupted_test_is_in_the_record(pytester: pytest.Pytester) -> None:
    """On Ctrl-C the last line names the test that ran, and readers repeat it."""
    scratch = Scratch(pytester, WAITS)
    with scratch.start() as started:
        wait_until((scratch.path / "running").exists, 60, "a test that runs")
        started.signal_all(signal.SIGINT)
        assert started.wait() == pytest.ExitCode.INTERRUPTED
        output = started.output()

    end = scratch.record()[-1]
    assert isinstance(end, End)
    assert end.interrupted == ("test_it.py::test_waits[chromium]",)
    assert "unfinished 1 test was interrupted: test_it.py::test_waits[chromium]" in output
    assert len(scratch.events("launched")) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_killed_run_holds_what_was_running(pytester: pytest.Pytester, workers: int) -> None:
    """Gates and reports say that they count up to the last finished test, and what was running."""
    scratch = Scratch(pytester, WAITS)
    with scratch.start("-n", str(workers)) as started:
        wait_until((scratch.path / "running").exists, 60, "a test that runs")
        os.kill(started.process.pid, signal.SIGKILL)
        started.wait()
        wait_until(lambda: not started.alive(), 60, "its end")

    lines = scratch.record()
    assert isinstance(lines[0], Run)
    assert not isinstance(lines[-1], End)
    assert [line.nodeid for line in lines if isinstance(line, Begun)] == [
        "test_it.py::test_done",
        "test_it.py::test_waits[chromium]",
    ]
    record = str(scratch.path / ".sentinel")
    told = CliRunner().invoke(main, ["gate", "-g", "tests: count >= 1", record])
    assert told.exit_code == 0
    assert "it counts up to the last finished test; 1 test was interrupted: " in told.output
    junit = scratch.path / "junit.xml"
    CliRunner().invoke(main, ["report", record, "--junit", str(junit)])
    assert '<error message="interrupted"' in junit.read_text()
