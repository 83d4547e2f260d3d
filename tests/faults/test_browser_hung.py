"""A browser that is stopped answers nothing and ends nothing: it is killed and replaced."""

from __future__ import annotations

import psutil
import pytest

from tests.runs import Scratch, slack

STOPPED_DURING = """
def test_before(page):
    page.set_content("<title>before</title>")

def test_stopped(page, kill, once):
    if once():
        kill(signal.SIGSTOP)
    page.set_content("<title>here</title>")
    assert page.title() == "here"

def test_after(page):
    page.set_content("<title>after</title>")
"""

STOPPED_BETWEEN = """
def test_before(page, pid_of, browser):
    page.set_content("<title>before</title>")
    os.environ["IDLE_BROWSER"] = str(pid_of(browser))

def test_after(page):
    page.set_content("<title>after</title>")
    assert page.title() == "after"
"""
STOP_WHEN_IDLE = """
from pathlib import Path

def pytest_runtest_logfinish(nodeid):
    if "test_before" in nodeid:
        pid = int(os.environ["IDLE_BROWSER"])
        os.kill(pid, signal.SIGSTOP)
        # It has stopped when its threads have been told, one by one.
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            os.sched_yield()
"""

HUNG_CLOSE = """
import time

def test_slow_to_close(browser, kill, once):
    context = browser.new_context()
    context.new_page().set_content("<p>hello")
    first = once()
    if first:
        kill(signal.SIGSTOP)
    began = time.monotonic()
    try:
        context.close()
    finally:
        if first:
            (HERE / "took.txt").write_text(str(time.monotonic() - began))

def test_after(page):
    page.set_content("<title>after</title>")
    assert page.title() == "after"
"""


def killed_group(scratch: Scratch) -> list[str]:
    """Return the processes that are left of the browsers that crashed in the last run."""
    pids = {
        row.split("pid=")[1] for row in scratch.browser_log().splitlines() if "<launched>" in row
    }
    return [pid for pid in pids if psutil.pid_exists(int(pid))]


def test_a_browser_that_stops_during_a_test_is_replaced(pytester: pytest.Pytester) -> None:
    """The test's call ends within the deadline, the group is killed, the second attempt passes."""
    scratch = Scratch(pytester, STOPPED_DURING)
    result = scratch.run("--sentinel-probe-timeout=2s")
    result.assert_outcomes(passed=3)
    lost, second = scratch.attempts("test_stopped")
    assert (lost.outcome, second.outcome) == ("crashed", "passed")
    assert lost.crash is not None
    assert lost.crash.how == "hung"
    assert lost.crash.what == "the browser stopped answering and was killed"
    # 3 s between two pings, 2 s of silence, and some ticks.
    assert lost.finished - lost.started < 8.0 * slack()
    assert lost.browsers != second.browsers
    assert killed_group(scratch) == []
    result.stdout.fnmatch_lines(["*1 launched, 1 replaced after a crash, 1 crashed, 1 survived"])


def test_a_browser_that_stops_between_tests_is_replaced_before_the_next(
    pytester: pytest.Pytester,
) -> None:
    """Nobody loses an attempt: the boundary looks, asks once, and replaces what does not answer."""
    scratch = Scratch(pytester, STOPPED_BETWEEN, kit=STOP_WHEN_IDLE)
    result = scratch.run("--sentinel-probe-timeout=2s")
    result.assert_outcomes(passed=2)
    assert [line.attempt for line in scratch.attempts()] == [1, 1]
    [crashed] = scratch.events("crashed")
    assert crashed.detail == "the browser stopped answering and was killed"
    assert [event.detail for event in scratch.events("replaced")] == ["crash"]
    [after] = scratch.attempts("test_after")
    assert after.started <= crashed.at <= after.started + 3.0 * slack()
    assert killed_group(scratch) == []


def test_a_close_that_hangs_is_bounded(pytester: pytest.Pytester) -> None:
    """With nobody watching the pulse, a context's close ends by its own deadline."""
    scratch = Scratch(pytester, HUNG_CLOSE)
    result = scratch.run("--sentinel-close-timeout=1s", "--sentinel-probe-timeout=60s")
    result.assert_outcomes(passed=2)
    # 1 s until it is asked by CDP, 2 s each until SIGTERM and SIGKILL.
    assert float((scratch.path / "took.txt").read_text()) < 6.0 * slack()
    assert [line.outcome for line in scratch.attempts("test_slow_to_close")][-1] == "passed"
    assert killed_group(scratch) == []
