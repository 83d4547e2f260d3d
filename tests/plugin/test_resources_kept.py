"""What somebody can still reach is not closed: whatever looks for leaks, suites end as without."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.plugin.leftovers import Ran, blamed, lay, run

pytestmark = pytest.mark.browser

MODES = ("--no-sentinel", "--sentinel-leaks=off", "--sentinel-leaks=warn", "--sentinel-leaks=error")

_LEFT = re.compile(r"(the test|fixtures that ended with the test) left \d+ open:")

CONTEXT = """
import pytest


@pytest.fixture(scope={scope!r})
def context(browser, browser_context_args):
    opened = browser.new_context(**browser_context_args)
    yield opened
    {end}
"""
STEPS = """
class TestSteps:
    def test_1_opens(self, page):
        page.set_content("<h1>step one</h1>")

    def test_2_goes_on(self, context):
        assert context.pages[0].inner_text("h1") == "step one"

    def test_3_own(self, page, context):
        assert len(context.pages) == 2
"""
LISTED = """
def test_1(browser):
    browser.new_context().new_page().set_content("<h1>one</h1>")

def test_2(browser):
    [context] = browser.contexts
    assert context.pages[0].inner_text("h1") == "one"
"""


def outcomes(ran: Ran) -> dict[str, str]:
    """Return how the body of each test ended: what it left may have failed it, too."""
    found = {}
    for case in ET.parse(ran.directory / "junit.xml").iter("testcase"):
        ends = [child for child in case if child.tag in ("failure", "error", "skipped")]
        ended = {child.tag for child in ends if not _LEFT.match(child.text or "")}
        found[case.attrib["name"]] = ended.pop() if ended else "passed"
    return found


@pytest.fixture(scope="module")
def stepwise(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """The stepwise suite in each mode, two at a time: most of it is waiting for things to go."""
    files = {"conftest": "stepwise_conftest.py", "test_stepwise": "stepwise.py"}
    slowest_first = MODES[::-1]
    suites = [lay(tmp_path_factory.mktemp("suite"), **files) for _ in slowest_first]
    with ThreadPoolExecutor(2) as executor:
        return dict(zip(slowest_first, executor.map(run, suites, slowest_first), strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_what_a_suite_goes_on_with_stays_open(stepwise: dict[str, Ran], mode: str) -> None:
    """Kept in any place, and of any kind, it is there for the next test, as without the plugin."""
    ran = stepwise[mode]

    found = outcomes(ran)
    assert set(found.values()) == {"passed"}, ran.stdout
    assert len(found) >= 75
    if mode.endswith("=error"):
        assert "LEAKED test_stepwise.py::test_kept[chromium-1-global] - context " in ran.stdout
        assert "-2-" not in ran.stdout.partition("short test summary info")[2]
    else:
        assert ran.status == 0, ran.stdout


@pytest.mark.parametrize("scope", ["class", "module", "package", "session"])
def test_pages_in_a_wider_context_are_that_fixtures(tmp_path: Path, scope: str) -> None:
    """They stay open, are told once with the fixture's line, and fail no test."""
    conftest = CONTEXT.format(scope=scope, end="opened.close()")
    suite = lay(tmp_path / "suite", conftest=conftest, test_steps=STEPS)

    ran = run(suite, "--sentinel-leaks=error")

    line = conftest.splitlines().index("    opened = browser.new_context(**browser_context_args)")
    assert ran.status == 0, ran.stdout
    assert {name: blamed(left) for name, left in ran.left().items()} == {
        "test_1_opens": [("page", line + 1)],
        "test_2_goes_on": [],
        "test_3_own": [],
    }
    assert "in what fixture 'context' opened" in ran.left()["test_1_opens"][0].what
    assert f"page opened at conftest.py:{line + 1} in context" in ran.stdout
    assert "unknown" not in ran.stdout


def test_a_wider_context_that_its_fixture_leaves_open_is_a_leak(tmp_path: Path) -> None:
    """The fixture is LEAKED with the test after which it ended, once, by its context's line."""
    suite = lay(
        tmp_path / "suite", conftest=CONTEXT.format(scope="module", end="pass"), test_steps=STEPS
    )

    ran = run(suite, "--sentinel-leaks=error")

    assert ran.status == 1
    assert set(outcomes(ran).values()) == {"passed"}
    assert [kind for kind, _ in blamed(ran.left()["test_3_own"])] == ["context"]
    assert "fixtures that ended with the test left 1 open:\n  context " in ran.stdout


@pytest.mark.parametrize("mode", MODES)
def test_a_suite_that_lists_contexts_finds_them(tmp_path: Path, mode: str) -> None:
    """What ``browser.contexts`` leads to is not lost, when there is code that looks there."""
    ran = run(lay(tmp_path / "suite", test_listed=LISTED), mode)

    assert outcomes(ran) == {"test_1[chromium]": "passed", "test_2[chromium]": "passed"}


HELD = """
import pytest


@pytest.fixture(scope="module")
def form(browser):
    page = browser.new_page()
    page.set_content("<body onmousemove='seen = 1'><input id=name onblur='seen = 2'>")
    yield page
    page.close()


@pytest.mark.limit_page_heap("40 MB")
def test_1(form, page):
    form.focus("#name")


def test_2(form, page):
    assert form.evaluate("document.activeElement.id") == "name"
    assert form.evaluate("window.seen") is None
"""


@pytest.mark.parametrize("metrics", ["off", "on", "heap"])
def test_a_page_of_a_wider_context_is_read_as_it_stands(tmp_path: Path, metrics: str) -> None:
    """Neither figures of pages nor a limit on their heap take the focus or the mouse away."""
    suite = lay(tmp_path / "suite", test_held=HELD)

    ran = run(suite, f"--sentinel-page-metrics={metrics}", "--sentinel-leaks=error")

    assert ran.status == 0, ran.stdout
    assert "could not be checked" not in ran.stdout
