"""Hooks of a conftest that touch a page whose browser has died: they cost the run nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sentinel.telemetry.journal import read_record
from pytest_sentinel.telemetry.record import Attempt
from tests.plugin.compat import lay, run

pytestmark = pytest.mark.browser

# Each hook takes a screenshot of the page of a test that has failed, as recipes do.
HOOKS = {
    "makereport": """
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        item.funcargs["page"].screenshot()
""",
    "makereport, outermost": """
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and call.excinfo is not None:
        try:
            item.funcargs["page"].screenshot()
        except Exception as error:
            raise RuntimeError("no screenshot") from error
    return report
""",
    "teardown": """
def pytest_runtest_teardown(item):
    item.funcargs["page"].screenshot()
""",
    "teardown, wrapper": """
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    item.funcargs["page"].screenshot()
    yield
""",
    "post finalizer": """
def pytest_fixture_post_finalizer(fixturedef, request):
    if fixturedef.argname == "page" and fixturedef.cached_result:
        fixturedef.cached_result[0].screenshot()
""",
    "fixture": """
@pytest.fixture(autouse=True)
def screenshot(request, page):
    yield
    page.screenshot()
""",
}
# Those that are called when a test is not run again.
LAST = {
    "interact": """
def pytest_exception_interact(node):
    node.funcargs["page"].screenshot()
""",
    "logreport": """
pages = []

@pytest.fixture(autouse=True)
def keep(page):
    pages.append(page)

def pytest_runtest_logreport(report):
    if report.when == "call" and report.failed:
        pages[-1].screenshot()
""",
}
SUITE = """
import pathlib
import psutil

def test_before(page):
    page.goto("about:blank")

def test_crash(page):
    once = pathlib.Path(__file__).with_name("once")
    if not once.exists():
        once.touch()
        for process in psutil.Process().children(recursive=True):
            if "chromium" in process.name() and "--type=" not in " ".join(process.cmdline()):
                process.kill()
    page.goto("about:blank")

def test_after(page):
    page.goto("about:blank")
"""


def outcomes(suite: Path) -> list[str]:
    lines = read_record(suite / ".sentinel" / "runs" / "latest")
    return [line.outcome for line in lines if isinstance(line, Attempt)]


def layout(directory: Path, hook: str) -> Path:
    """Lay the hook below, where its conftest is loaded later than all plugins are."""
    directory.mkdir(exist_ok=True)
    files = {"below/conftest.py": "import pytest\n" + hook, "below/test_it.py": SUITE}
    return lay(directory / "suite", files)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_test_runs_again(tmp_path: Path, hook: str) -> None:
    """Whatever a hook or a fixture does with the dead page: three passed, one attempt more."""
    suite = layout(tmp_path, HOOKS[hook])

    ran = run(suite, "-p", "no:html", ".")

    assert (ran.status, outcomes(suite)) == (0, ["passed", "crashed", "passed", "passed"])
    assert "INTERNALERROR" not in ran.stdout


@pytest.mark.parametrize("hook", LAST)
def test_a_test_that_is_not_run_again_fails(tmp_path: Path, hook: str) -> None:
    """Its failure is reported to all, the hook's is not, and the next test runs."""
    suite = layout(tmp_path, LAST[hook])

    ran = run(suite, "--sentinel-crash-retries=0", ".")

    assert (ran.status, outcomes(suite)) == (1, ["passed", "failed", "passed"])
    assert ran.outcomes() == {"passed": 2, "failed": 1}
    assert "INTERNALERROR" not in ran.stdout


OWN_FAULTS = {
    "another error": "raise KeyError('a fault of the hook')",
    "a living browser": "item.funcargs['page'].click('#nowhere', timeout=1)",
}


@pytest.mark.parametrize("fault", OWN_FAULTS)
def test_a_hook_s_own_fault_stays_one(tmp_path: Path, fault: str) -> None:
    """Where no browser died, or the error is not of Playwright, pytest ends the run as ever."""
    failing = "def test_it(page):\n    assert 0\n"
    hook = f"""
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        {OWN_FAULTS[fault]}
    return report
"""
    test = SUITE if fault == "another error" else failing
    suite = lay(tmp_path / "suite", {"conftest.py": hook, "test_it.py": test})

    ran = run(suite, "-k", "test_crash or test_it")

    assert ran.status == pytest.ExitCode.INTERNAL_ERROR
    assert "INTERNALERROR" in ran.stdout
