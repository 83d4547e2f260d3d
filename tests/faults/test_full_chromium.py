"""A full build of Chromium leaves more than a headless shell when it is killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_sentinel.driver import CHROMIUM, Memory, expected_entries, find_driver
from tests.runs import Scratch, wait_until

# With an environment of its own a browser does not share its driver's temporary directory.
FULL = """
@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    return {**browser_type_launch_args, "channel": "chromium", "env": {**os.environ}}
"""

KILLED = """
def test_killed(page, pid_of, browser, once):
    page.set_content("<title>here</title>")
    if once():
        os.killpg(pid_of(browser), signal.SIGKILL)
    assert page.title() == "here"

def test_waiting(page):
    page.set_content("<title>here</title>")
    (HERE / "waiting").touch()
    if (HERE / "wait").exists():
        page.wait_for_timeout(600_000)
"""


@pytest.fixture
def scratch(pytester: pytest.Pytester) -> Iterator[Scratch]:
    """Runs on a full build, with a temporary directory whose name leaves room for a socket's."""
    driver = find_driver(os.environ)
    assert driver is not None
    if not expected_entries(driver, os.environ, Memory(None))[CHROMIUM].installed():
        pytest.skip("there is no full Chromium on this machine")
    made = Scratch(pytester, KILLED, FULL)
    short = tempfile.mkdtemp(prefix="t-", dir=tempfile.gettempdir())
    made.temporary = Path(short)
    os.environ["TMPDIR"] = short
    yield made
    shutil.rmtree(short)


def test_a_killed_full_chromium_leaves_nothing(scratch: Scratch) -> None:
    """The directory of its singleton socket goes with its profile."""
    with scratch.start() as started:
        assert started.wait() == pytest.ExitCode.OK, started.output()
        assert len(scratch.events("crashed")) == 1
        assert started.leftovers() == []


def test_a_killed_run_on_a_full_chromium_leaves_nothing(scratch: Scratch) -> None:
    """The reaper knows that directory, too."""
    (scratch.path / "wait").touch()
    with scratch.start("-k", "waiting") as started:
        wait_until((scratch.path / "waiting").exists, 120, "a test that waits")
        assert any(name.startswith("org.chromium") for name in os.listdir(scratch.temporary))
        started.process.kill()
        started.assert_all_gone()
