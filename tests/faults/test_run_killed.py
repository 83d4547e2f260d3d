"""A run that is killed, whole or in part: the record stays readable, and nothing outlives it."""

from __future__ import annotations

import signal

import psutil
import pytest

from pytest_sentinel.telemetry.record import Attempt, End, Run
from tests.runs import Scratch, Started, wait_until

# Twelve short tests; then enough for each worker to wait in one until it is killed.
WAITING = """
@pytest.mark.parametrize("number", range(12))
def test_short(page, number):
    page.set_content(f"<title>{number}</title>")

@pytest.mark.parametrize("number", range(6))
def test_waiting(page, number, browser, pid_of):
    if os.environ.get("STOP_BROWSER"):
        os.killpg(pid_of(browser), signal.SIGSTOP)
    (HERE / f"waiting-{os.getpid()}").touch()
    page.wait_for_timeout(600_000)
"""

KILLED_WORKER = """
@pytest.mark.parametrize("number", range(8))
def test_number(page, number, once):
    page.set_content(f"<title>{number}</title>")
    if number == 3 and once():
        os.kill(os.getpid(), signal.SIGKILL)
"""


def start(scratch: Scratch, workers: int, *options: str) -> Started:
    """Start a run, and wait until each of its workers is in the middle of its long test."""
    started = scratch.start("-n", str(workers), *options)
    # The caller's "with" ends it; until then this function is answerable for it.

    def all_waiting() -> bool:
        if started.process.poll() is not None:
            pytest.fail(f"the run ended early:\n{started.output()}")
        return len(list(scratch.path.glob("waiting-*"))) == max(1, workers)

    try:
        wait_until(all_waiting, 120, f"a test that waits in each of {workers} workers")
        assert len(started.browsers()) == max(1, workers)
    except BaseException:
        started.__exit__()
        raise
    return started


def assert_record_is_whole_so_far(scratch: Scratch, least: int) -> None:
    """Assert that the record parses, begins, has its attempts, and has no end."""
    lines = scratch.record()
    assert isinstance(lines[0], Run)
    assert not any(isinstance(line, End) for line in lines)
    passed = [line for line in lines if isinstance(line, Attempt) and line.outcome == "passed"]
    assert len(passed) >= least


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_controller_leaves_nothing_but_its_record(
    pytester: pytest.Pytester, workers: int
) -> None:
    """kill -9 of the one process, or of xdist's controller: all is gone within 5 s."""
    scratch = Scratch(pytester, WAITING)
    with start(scratch, workers) as started:
        started.look()
        started.process.kill()
        started.assert_all_gone()
    # Without xdist each report is in the record; with it, a few may still have been on their way.
    assert_record_is_whole_so_far(scratch, least=12 if workers == 0 else 8)


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_leaves_nothing(pytester: pytest.Pytester, workers: int) -> None:
    """SIGINT to the group, as a terminal sends it, ends the run with its record closed.

    It ends Playwright's driver too, whose fixtures then fail to close: pytest's own exit status
    may be 1 for that, with and without the plugin.
    """
    scratch = Scratch(pytester, WAITING)
    with start(scratch, workers) as started:
        started.look()
        started.signal_all(signal.SIGINT)
        started.assert_all_gone()
    end = scratch.record()[-1]
    assert isinstance(end, End)
    assert end.exit_status == pytest.ExitCode.INTERRUPTED


def test_a_stopped_browser_is_ended_with_its_killed_process(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that does not listen, nor any of its group, is not left to its driver."""
    scratch = Scratch(pytester, WAITING)
    monkeypatch.setenv("STOP_BROWSER", "1")
    with start(scratch, 0, "--sentinel-probe-timeout=10m") as started:
        [browser] = started.browsers()
        wait_until(lambda: browser.status() == psutil.STATUS_STOPPED, 10, "a stopped browser")
        started.process.kill()
        started.assert_all_gone()


def test_a_killed_worker_costs_its_running_test(pytester: pytest.Pytester) -> None:
    """xdist replaces it; the record has what it had done, the lost test, and all that follows."""
    scratch = Scratch(pytester, KILLED_WORKER)
    with scratch.start("-n", "2") as started:
        status = started.wait()
        output = started.output()
        started.assert_all_gone()
    assert status == pytest.ExitCode.TESTS_FAILED
    lines = scratch.record()
    assert isinstance(lines[-1], End)
    outcomes = {line.nodeid: line.outcome for line in scratch.attempts()}
    assert outcomes.pop("test_it.py::test_number[chromium-3]") == "worker-crashed"
    assert set(outcomes.values()) == {"passed"}
    assert len(outcomes) == 7
    [lost] = scratch.attempts("chromium-3]")
    assert lost.failure == "infrastructure"
    assert (
        f"worker     {lost.worker} died while running test_it.py::test_number[chromium-3]" in output
    )
