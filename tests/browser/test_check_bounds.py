"""Nothing that a page or a scenario does keeps a leak check from ending, with what it has read."""

from __future__ import annotations

import asyncio
import os
import re

import pytest
from playwright.sync_api import Error, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from pytest_sentinel.errors import SettingError
from pytest_sentinel.leaks.repeat import check_leaks
from tests.browser.leakpages import chromium, page

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser

LEAKY = (
    """<button onclick="window.kept = window.kept || []; kept.push({n: kept.length})">go</button>"""
)
ROWS = """<button onclick="document.body.append(document.createElement('p'))">go</button>"""
CLEAN = """<button onclick="this.title = 'x'">go</button>"""
# Busy for a minute at the tenth click, one script for each of many listeners.
STUCK = """<button>go</button><script>
  let clicks = 0;
  const busy = () => { const end = Date.now() + 1000; while (Date.now() < end); };
  document.querySelector('button').onclick = event => {
    if (++clicks === 10)
      for (let n = 0; n < 60; n++) event.target.addEventListener('click', () => busy(n));
  };
</script>"""
MANY = os.environ.get("CHECK_BOUNDS") == "all"


@pytest.mark.parametrize("most", [1, 2, 7, 14, 39] if MANY else [1, 14])
def test_iterations_is_the_most_that_is_run(page: Page, most: int) -> None:
    """What cannot be judged in so few is INCONCLUSIVE, and the report says how many would do."""
    page.set_content(LEAKY)
    calls: list[int] = []

    report = check_leaks(page, lambda: (calls.append(1), page.click("button")), iterations=most)

    assert report.verdict == "INCONCLUSIVE", str(report)
    assert len(calls) == report.iterations == most
    assert "iterations=40 would do" in report.reason or "or 40 if something" in report.reason


def test_so_many_as_the_report_asks_for_do(page: Page) -> None:
    """A plain leak is found in forty iterations, and not one more is run."""
    page.set_content(LEAKY)
    calls: list[int] = []

    report = check_leaks(page, lambda: (calls.append(1), page.click("button")), iterations=40)

    assert (report.verdict, report.leaks[0].owner) == ("LEAK", "window.kept"), str(report)
    assert len(calls) == report.iterations <= 40


def test_few_iterations_do_for_a_page_that_stands_still(page: Page) -> None:
    """Ten are enough to see that nothing moves."""
    page.set_content(CLEAN)
    report = check_leaks(page, lambda: None, iterations=10)
    assert (report.verdict, report.iterations) == ("CLEAN", 10), str(report)


def test_a_page_that_hangs_is_cut_off(page: Page) -> None:
    """The scripts are ended, the verdict says why, and the page answers again."""
    page.set_content(STUCK)

    report = check_leaks(page, lambda: page.click("button"), budget=5)

    assert report.verdict == "INCONCLUSIVE", str(report)
    assert "budget of 5.0 s was used up after" in report.reason
    assert "would do" in report.reason
    assert report.seconds < 20
    assert page.evaluate("1 + 1") == 2


def test_a_call_that_waits_by_itself_is_left_to_its_own_limit(page: Page) -> None:
    """Its error is the test's, whatever the budget; what was seen until then is noted on it."""
    page.set_content(ROWS)
    calls: list[int] = []

    def scenario() -> None:
        calls.append(1)
        if len(calls) == 14:
            page.wait_for_selector("#never", timeout=4000)
        page.click("button")

    with pytest.raises(PlaywrightTimeout) as caught:
        check_leaks(page, scenario, budget="2.5 s" if MANY else 30)

    [note] = caught.value.__notes__
    assert "until then" in note
    assert "too little was seen" in note or "grew until then" in note


@pytest.mark.parametrize("end", ["fail", "assert", "crash", "close"])
def test_a_scenario_that_ends_badly_reports_what_was_seen(page: Page, end: str) -> None:
    """The error stays as it is, also that of a page which crashed or was closed."""
    page.set_content(ROWS)
    calls: list[int] = []

    def scenario() -> None:
        calls.append(1)
        if len(calls) < 14:
            page.click("button")
        elif end == "fail":
            pytest.fail("enough")
        elif end == "assert":
            assert len(calls) < 14
        elif end == "crash":
            page.goto("chrome://crash", timeout=5000)
        else:
            page.close()
            page.click("button")

    errors = {"fail": pytest.fail.Exception, "assert": AssertionError}
    with pytest.raises(errors.get(end, Error)) as caught:
        check_leaks(page, scenario)

    [note] = caught.value.__notes__
    assert re.search(r"failed; nodes.* grew until then", note), note
    assert "13 iterations" in note


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, pytest.skip.Exception])
def test_whoever_stops_a_run_stops_the_check(page: Page, end: type[BaseException]) -> None:
    """A skip is a skip, Ctrl-C is Ctrl-C, and the page has its own functions back."""
    page.set_content(CLEAN)
    before = page.evaluate("String(URL.createObjectURL)")
    calls: list[int] = []

    def scenario() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise end

    with pytest.raises(end):
        check_leaks(page, scenario)
    assert page.evaluate("String(URL.createObjectURL)") == before


def test_a_coroutine_function_is_no_scenario(page: Page) -> None:
    """Its body would never run, and a page that nobody touches is clean."""

    async def scenario() -> None:
        await asyncio.sleep(0)

    with pytest.raises(TypeError, match="coroutine function"):
        check_leaks(page, scenario)


@pytest.mark.parametrize(
    "wrong",
    [{"iterations": 0}, {"iterations": 2.5}, {"budget": 0}, {"budget": "soon"}, {"clock": "x"}],
)
def test_arguments_without_sense_are_refused(page: Page, wrong: dict[str, object]) -> None:
    """The error names the argument, the value and a good one."""
    with pytest.raises(SettingError, match=rf"{next(iter(wrong))}: .* a good value is"):
        check_leaks(page, lambda: None, **wrong)  # type: ignore[arg-type]
