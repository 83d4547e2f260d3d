"""Ctrl-C in real runs of Locust: pressed once it ends them in order, whatever runs just then."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.larder.process import Larder
from tests.load.locustkit import FLOW, Run, booked, locust
from tests.runs import slack, wait_until

pytestmark = pytest.mark.browser

OPTIONS = ("--headless", "-r", "10", "-u", "2")
LOOKING = FLOW.replace("await page.goto", '(HERE / "looking").touch()\n            await page.goto')
BUSY = (
    FLOW
    + """
class Busy(FastHttpUser):
    fixed_count = 1

    from locust import task as _task

    @_task
    def spin(self):
        (HERE / "spinning").touch()
        while True:
            pass
"""
)
FORKS = (
    FLOW
    + """
from locust import events
import multiprocessing

def work():
    (HERE / "child").write_text(str(os.getpid()))
    try:
        while True:
            pass
    except KeyboardInterrupt:
        (HERE / "interrupted").touch()

@events.test_start.add_listener
def start(**_):
    multiprocessing.get_context("fork").Process(target=work, daemon=True).start()
"""
)


def assert_ended_well(run: Run) -> None:
    """Assert that it ended as after a Ctrl-C: with status 0, a report and no traceback."""
    assert run.wait() == 0, run.text()
    assert "Traceback" not in run.text()
    booked(run.report())


@pytest.mark.parametrize("processes", [(), ("--processes", "2")], ids=["alone", "master"])
def test_two_signals_are_one_press(
    tmp_path: Path, larder: Larder, processes: tuple[str, ...]
) -> None:
    """A terminal signals the group, and a parent passes the signal on: the report is there."""
    with locust(tmp_path, LOOKING, *OPTIONS, *processes, "--host", larder.url) as run:
        run.until_there("looking")
        os.killpg(run.process.pid, signal.SIGINT)
        first = time.monotonic()
        # The later ones meet the end of the run, and not what the first one met.
        wait_until(lambda: time.monotonic() > first + 0.05, 5, "a moment")
        os.killpg(run.process.pid, signal.SIGINT)
        assert_ended_well(run)


def test_who_runs_without_end_is_interrupted(tmp_path: Path, larder: Larder) -> None:
    """One press is enough, although the greenlet that runs never gives way; once is raised once."""
    with locust(tmp_path, BUSY, *OPTIONS, "--host", larder.url) as run:
        run.until_there("spinning")
        run.process.send_signal(signal.SIGINT)
        run.wait()
        booked(run.report())
        assert run.text().count("failed with KeyboardInterrupt") == 1


def test_a_forked_child_is_interrupted_as_by_python(tmp_path: Path, larder: Larder) -> None:
    """It never gives way to greenlets, and has none of the run's to end."""
    with locust(tmp_path, FORKS, *OPTIONS, "--host", larder.url) as run:
        run.until_there("child")
        wait_until(lambda: (tmp_path / "child").read_text(), 5, "a pid")
        os.kill(int((tmp_path / "child").read_text()), signal.SIGINT)
        run.until_there("interrupted", 20 * slack())
        assert run.process.poll() is None
        run.process.send_signal(signal.SIGINT)
        assert_ended_well(run)
