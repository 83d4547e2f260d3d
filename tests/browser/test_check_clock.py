"""A scenario with a virtual clock: what an app does after half a minute is within reach."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from pytest_sentinel.errors import SettingError
from pytest_sentinel.leaks.repeat import check_leaks
from tests.browser.leakpages import chromium, page

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser

LEAKY = """<button>go</button><script>
  const log = window.log = [];
  let poll = 0;
  document.querySelector('button').onclick = () => {
    poll ||= setInterval(() => { for (let n = 0; n < 6; n++) log.push({at: Date.now()}); }, 30000);
  };
</script>"""
CLEAN = LEAKY.replace("log.push({at: Date.now()})", "log[0] = {at: Date.now()}")
EARLY = "<button>go</button><script>setInterval(() => {}, 30000)</script>"


def test_an_interval_of_half_a_minute_is_found_out(page: Page) -> None:
    """Five seconds with each iteration: it fires every sixth time, and what it keeps is named."""
    page.clock.install()
    page.set_content(LEAKY)
    report = check_leaks(page, lambda: page.click("button"), clock="5s")
    assert (report.verdict, report.leaks[0].owner) == ("LEAK", "window.log"), str(report)


def test_a_clock_that_comes_late_serves_a_page_without_timers(page: Page) -> None:
    """It is installed for the check, and moving it is no growth."""
    page.set_content(CLEAN)
    report = check_leaks(page, lambda: page.click("button"), clock=5)
    assert report.verdict == "CLEAN", str(report)


def test_timers_that_the_clock_cannot_move_are_refused(page: Page) -> None:
    """A page that set one before its clock was installed would pass for clean."""
    page.set_content(EARLY)
    with pytest.raises(SettingError, match=r"page\.clock\.install"):
        check_leaks(page, lambda: page.click("button"), clock="5s")
