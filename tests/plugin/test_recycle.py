"""Worn browsers: renewed at a boundary, successor first, and never under somebody's context."""

from __future__ import annotations

import math
import threading
import time

import psutil
import pytest

from pytest_sentinel.telemetry.digest import growth
from pytest_sentinel.units import MIB
from tests.runs import Scratch, Started, slack

SHORT = """
@pytest.mark.parametrize("number", range(%d))
def test_number(page, number):
    page.set_content(f"<title>{number}</title>")
    assert page.title() == str(number)
"""


class Census:
    """How many browsers lived at once while a run went on, counted in a thread."""

    def __init__(self, started: Started) -> None:
        self._started = started
        self._over = threading.Event()
        self.most = 0
        self.longest_overlap = 0.0
        self._thread = threading.Thread(target=self._count)

    def __enter__(self) -> Census:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _count(self) -> None:
        began: float | None = None
        while not self._over.wait(0.02):
            count = self._browsers()
            self.most = max(self.most, count)
            if count < 2:
                began = None
            elif began is None:
                began = time.monotonic()
            else:
                self.longest_overlap = max(self.longest_overlap, time.monotonic() - began)

    def _browsers(self) -> int:
        """Count the living children of the driver, which has no others."""
        try:
            drivers = [
                child for child in self._started.root.children() if "run-driver" in child.cmdline()
            ]
            return sum(
                grandchild.status() != psutil.STATUS_ZOMBIE
                for driver in drivers
                for grandchild in driver.children()
            )
        except psutil.Error:
            return 0


def test_fifty_tests_wear_out_ten_browsers(pytester: pytest.Pytester) -> None:
    """Each serves five tests and nobody fails; two live at once for a hand-over, never three."""
    scratch = Scratch(pytester, SHORT % 50)
    with scratch.start("--sentinel-recycle-after=5") as started, Census(started) as census:
        assert started.wait() == pytest.ExitCode.OK
        output = started.output()
    assert {line.outcome for line in scratch.attempts()} == {"passed"}
    served = [line.browsers for line in scratch.attempts()]
    assert served == [(f"main/browser-{1 + number // 5}",) for number in range(50)]
    replaced = scratch.events("replaced")
    assert [event.detail for event in replaced] == ["tests"] * 9
    assert len(scratch.events("handed-over")) == 9
    assert census.most == 2
    slowest = max(event.seconds or 0.0 for event in replaced)
    assert census.longest_overlap < slowest + 1.0 * slack()
    assert "browsers   1 launched, 9 recycled (tests 9)" in output


def test_each_worker_counts_its_own(pytester: pytest.Pytester) -> None:
    """Under xdist every worker renews its browser after five of its own tests."""
    scratch = Scratch(pytester, SHORT % 30)
    result = scratch.run("-n", "2", "--sentinel-recycle-after=5")
    result.assert_outcomes(passed=30)
    for worker in ("gw0", "gw1"):
        tests = [line for line in scratch.attempts() if line.worker == worker]
        started = [line for line in scratch.events("launched", "replaced") if line.worker == worker]
        assert len(started) == math.ceil(len(tests) / 5)


DEFERRED = """
@pytest.fixture(scope="session")
def signed_in(browser):
    context = browser.new_context()
    page = context.new_page()
    page.set_content("<title>signed in</title>")
    page.evaluate("window.visits = 0")
    yield page
    context.close()

@pytest.mark.parametrize("number", range(6))
def test_session(signed_in, page, number):
    page.set_content("<p>of its own")
    assert signed_in.evaluate("++window.visits") == number + 1
"""


def test_a_session_wide_context_keeps_its_browser(pytester: pytest.Pytester) -> None:
    """The browser is worn after two tests, and stays to the end: the context is never closed."""
    scratch = Scratch(pytester, DEFERRED)
    result = scratch.run("--sentinel-recycle-after=2")
    result.assert_outcomes(passed=6)
    assert scratch.events("replaced") == []
    assert [event.detail for event in scratch.events("deferred")] == ["tests"]
    result.stdout.fnmatch_lines(["browsers   1 launched, 1 kept although worn*"])


UNTIL_RELEASED = """
class TestHeld:
    @pytest.fixture(scope="class")
    def held(self, browser):
        context = browser.new_context()
        yield context.new_page()
        context.close()

    @pytest.mark.parametrize("number", range(3))
    def test_held(self, held, number):
        held.set_content("<p>held")

def test_free(page):
    page.set_content("<p>free")
"""


def test_a_worn_browser_is_renewed_when_it_is_free(pytester: pytest.Pytester) -> None:
    """The boundary after the class that held it is the first that may."""
    scratch = Scratch(pytester, UNTIL_RELEASED)
    scratch.run("--sentinel-recycle-after=2").assert_outcomes(passed=4)
    assert [line.browsers for line in scratch.attempts()] == [
        ("main/browser-1",),
        ("main/browser-1",),
        ("main/browser-1",),
        ("main/browser-2",),
    ]


HUNGRY = """
ALLOCATE = '''async () => {
    window.held = [];
    for (let i = 0; i < 6; i++) window.held.push(new Uint8Array(100 * 2 ** 20).fill(i + 1));
}'''

def test_small(page):
    page.set_content("<p>small")

def test_hungry(page):
    page.set_content("<p>hungry")
    page.evaluate(ALLOCATE)

def test_after(page):
    page.set_content("<p>after")
"""


def test_a_hungry_page_wears_its_browser_out(pytester: pytest.Pytester) -> None:
    """600 MB against a limit of 400 MB: renewed at the boundary, and booked on that test."""
    scratch = Scratch(pytester, HUNGRY)
    result = scratch.run("--sentinel-max-browser-memory=400MB", "--junitxml=junit.xml")
    result.assert_outcomes(passed=3)
    assert [event.detail for event in scratch.events("replaced")] == ["memory"]
    small, hungry, after = scratch.attempts()
    assert hungry.browsers == small.browsers
    assert after.browsers != hungry.browsers
    memory = hungry.memory["browser-1"]
    assert memory.peak is not None
    assert memory.peak > 600 * MIB
    assert growth(hungry) > 500 * MIB
    assert growth(small) < 200 * MIB
    assert growth(after) < 200 * MIB
    result.stdout.fnmatch_lines(
        [
            "browsers   1 launched, 1 recycled (memory 1)",
            "hungriest   +* MiB  test_it.py::test_hungry*",
        ]
    )


AGED = """
def test_young(page):
    page.set_content("<p>young")

def test_old(page):
    page.wait_for_timeout(1100)

def test_renewed(page):
    page.set_content("<p>renewed")
"""


def test_an_old_browser_is_renewed(pytester: pytest.Pytester) -> None:
    """Age is counted from the moment it answered, and looked at at boundaries."""
    scratch = Scratch(pytester, AGED)
    scratch.run("--sentinel-max-browser-age=1s", "--sentinel-recycle-after=off")
    assert [event.detail for event in scratch.events("replaced")] in (["age"], ["age", "age"])
    assert scratch.attempts("test_old")[0].browsers != scratch.attempts("test_renewed")[0].browsers


FRESH = """
import dataclasses

@pytest.mark.fresh_browser
def test_first_is_fresh(page, browser_pool):
    assert browser_pool.statistics().launches == {"start": 1}

def test_used(page, browser_pool):
    assert browser_pool.statistics().launches == {"start": 1}

@pytest.mark.fresh_browser
def test_fresh(page, browser_pool):
    statistics = browser_pool.statistics()
    assert statistics.launches == {"start": 1, "fresh": 1}
    assert statistics.browsers == {"ready": 1}
    assert (statistics.launch_failures, statistics.crashes, statistics.deferred) == (0, 0, 0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        statistics.crashes = 1

def test_used_again(page, browser_pool, launch_browser):
    other = launch_browser()
    assert browser_pool.statistics().browsers == {"ready": 2}
    other.close()
    assert browser_pool.statistics().browsers == {"ready": 1}
    assert browser_pool.statistics().launches == {"start": 2, "fresh": 1}

def test_without_a_browser(browser_pool):
    assert browser_pool.statistics().launches == {"start": 2, "fresh": 1}
"""


def test_a_marked_test_gets_a_browser_that_nobody_used(pytester: pytest.Pytester) -> None:
    """The marker renews a used browser and leaves a new one; statistics() tells of both."""
    scratch = Scratch(pytester, FRESH)
    scratch.run().assert_outcomes(passed=5)
    assert [line.browsers for line in scratch.attempts()] == [
        ("main/browser-1",),
        ("main/browser-1",),
        ("main/browser-2",),
        ("main/browser-2", "main/browser-3"),
        (),
    ]
