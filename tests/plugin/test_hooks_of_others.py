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


def lay_hooks(directory: Path, hooks: dict[str, str]) -> Path:
    """Lay each hook into a directory of its own, whose conftest is loaded after all plugins."""
    files = {}
    for number, hook in enumerate(hooks.values()):
        files[f"hook{number}/conftest.py"] = "import pytest\n" + hook
        files[f"hook{number}/test_{number}.py"] = SUITE
    return lay(directory / "suite", files)


def outcomes(suite: Path, hooks: dict[str, str]) -> dict[str, list[str]]:
    """Return how each attempt ended, by hook."""
    found: dict[str, list[str]] = {name: [] for name in hooks}
    for line in read_record(suite / ".sentinel" / "runs" / "latest"):
        if isinstance(line, Attempt):
            number = int(line.nodeid.partition("/")[0].removeprefix("hook"))
            found[list(hooks)[number]].append(line.outcome)
    return found


def test_the_test_runs_again(tmp_path: Path) -> None:
    """Whatever a hook or a fixture does with the dead page: three passed, one attempt more."""
    suite = lay_hooks(tmp_path, HOOKS)

    ran = run(suite)

    assert "INTERNALERROR" not in ran.stdout
    assert ran.status == 0, ran.stdout
    assert outcomes(suite, HOOKS) == {
        hook: ["passed", "crashed", "passed", "passed"] for hook in HOOKS
    }


def test_a_test_that_is_not_run_again_fails(tmp_path: Path) -> None:
    """Its failure is reported to all, the hook's is not, and the next test runs."""
    suite = lay_hooks(tmp_path, LAST)

    ran = run(suite, "--sentinel-crash-retries=0")

    assert "INTERNALERROR" not in ran.stdout
    assert (ran.status, ran.outcomes()) == (1, {"passed": 4, "failed": 2})
    assert outcomes(suite, LAST) == {hook: ["passed", "failed", "passed"] for hook in LAST}


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
