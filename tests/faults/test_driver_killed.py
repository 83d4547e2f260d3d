"""Playwright's driver dies, which ends every browser: it is named once, and another is started."""

from __future__ import annotations

import pytest

from tests.runs import Scratch, slack

KIT = '''
def drivers():
    found = []
    for process in psutil.Process().children():
        try:
            if "run-driver" in process.cmdline():
                found.append(process)
        except psutil.Error:  # a zombie has no words
            continue
    return found


def end(process, number=signal.SIGKILL):
    process.send_signal(number)
    over = (psutil.STATUS_ZOMBIE, psutil.STATUS_STOPPED)
    while process.is_running() and process.status() not in over:
        threading.Event().wait(0.005)


@pytest.fixture(scope="session")
def driver():
    """Send a signal to Playwright's driver, and see to it that it is dead or stopped."""

    def send(number=signal.SIGKILL):
        for process in drivers():
            end(process, number)

    return send


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol():
    result = yield
    if os.environ.pop("KILL_DRIVER", None):
        for process in drivers():
            end(process)
    return result
'''

DIES = """
@pytest.fixture
def dies_in_setup(driver, once):
    if once("setup"):
        driver()
    yield

@pytest.fixture
def dies_in_teardown(page, driver, once):
    yield
    if once("teardown"):
        driver()

def test_before(page):
    page.goto("about:blank")

def test_call(page, driver, once):
    if once("call"):
        driver()
    page.goto("about:blank")

def test_after(page):
    page.goto("about:blank")

def test_setup(dies_in_setup, page):
    page.goto("about:blank")

def test_teardown(page, dies_in_teardown):
    page.goto("about:blank")

def test_passes_all_the_same(browser, driver, once):
    if once("passes"):
        driver()

def test_plain():
    pass

def test_another_plain():
    pass
"""
ENOUGH = ("-W", "error", "-W", "ignore::pytest.PytestRemovedIn10Warning")


def outcomes(scratch: Scratch) -> list[tuple[str, str]]:
    """Return name and outcome of each attempt of the last run."""
    return [
        (line.nodeid.split("::", 1)[1].replace("[chromium]", ""), line.outcome)
        for line in scratch.attempts()
    ]


def test_a_driver_may_die_in_any_phase(pytester: pytest.Pytester) -> None:
    """Only what its death spoilt is run again, no other test is hit, and nothing warns."""
    scratch = Scratch(pytester, DIES, KIT)
    result = scratch.run(*ENOUGH)
    result.assert_outcomes(passed=8)
    assert outcomes(scratch) == [
        ("test_before", "passed"),
        ("test_call", "crashed"),
        ("test_call", "passed"),
        ("test_after", "passed"),
        ("test_setup", "crashed"),
        ("test_setup", "passed"),
        ("test_teardown", "passed"),
        ("test_passes_all_the_same", "passed"),
        ("test_plain", "passed"),
        ("test_another_plain", "passed"),
    ]
    deaths = scratch.events("driver-died")
    assert [event.detail for event in deaths] == ["Playwright's driver died (SIGKILL)"] * 4
    assert scratch.events("crashed", "launch-failed") == []
    [lost, _] = scratch.attempts("test_call")
    assert lost.failure == "infrastructure"
    assert lost.crash is not None
    assert (lost.crash.how, lost.crash.ended) == ("driver", "SIGKILL")
    assert "never awaited" not in result.stdout.str() + result.stderr.str()
    result.stdout.fnmatch_lines(
        ["crashed    test_it.py::test_call*: Playwright's driver died (SIGKILL)*run again*"]
    )


BETWEEN = """
@pytest.fixture(scope="session")
def signed_in(browser):
    context = browser.new_context()
    yield context.new_page()
    context.close()

@pytest.mark.parametrize("number", range(6))
def test_number(page, signed_in, number, once):
    page.set_content(f"<title>{number}</title>")
    signed_in.set_content(f"<title>{number}</title>")
    assert (page.title(), signed_in.title()) == (str(number), str(number))
    if number == 2 and once():
        os.environ["KILL_DRIVER"] = "now"
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_driver_that_dies_between_tests_costs_no_attempt(
    pytester: pytest.Pytester, workers: str
) -> None:
    """The border of the next test sees it; wider fixtures, user's own too, are set up anew."""
    scratch = Scratch(pytester, BETWEEN, KIT)
    result = scratch.run("-n", workers, *ENOUGH)
    result.assert_outcomes(passed=6)
    assert len(scratch.attempts()) == 6
    assert len(scratch.events("driver-died")) == 1
    assert len(scratch.events("launched")) == max(1, int(workers)) + 1


HUNG = """
import subprocess

started = []

def children():
    return [p for p in psutil.Process().children() if "run-driver" in " ".join(words(p))]

def words(process):
    try:
        return process.cmdline()
    except psutil.Error:  # a zombie
        return []

def test_stopped(page, driver, once):
    if once():
        driver(signal.SIGSTOP)
    page.set_content("<title>here</title>")
    assert page.title() == "here"

def test_killed_while_a_ping_is_out(page, kill, once):
    if once("ping"):
        kill(signal.SIGSTOP)  # the browser: it will not answer
        [found] = children()
        later = ["/bin/sh", "-c", f"sleep 3; kill -9 {found.pid}"]
        started.append(subprocess.Popen(later))
    page.set_content("<title>here</title>")
    assert page.title() == "here"
    started.pop().wait()

def test_plain():
    pass

def test_stopped_at_the_end(page, driver):
    driver(signal.SIGSTOP)
"""


def test_a_driver_that_hangs_is_killed(pytester: pytest.Pytester) -> None:
    """A stopped driver ends none of its own time-outs: ours end the call, and the run."""
    scratch = Scratch(pytester, HUNG, KIT)
    result = scratch.run("--sentinel-probe-timeout=5s", *ENOUGH)
    result.assert_outcomes(passed=4)
    deaths = [event.detail for event in scratch.events("driver-died")]
    assert deaths[:2] == [
        "Playwright's driver stopped answering and was killed",
        "Playwright's driver died (SIGKILL)",
    ]
    [lost, _] = scratch.attempts("test_stopped[")
    assert lost.crash is not None
    assert lost.crash.how == "driver-hung"
    assert lost.finished - lost.started < 12.0 * slack()


OLD = """
held = []

def test_holds(browser):
    held.append(browser)

def test_dies(page, driver):
    driver()
    page.goto("about:blank")

def test_uses_what_it_held(page):
    held[0].new_page()

def test_after(page):
    page.goto("about:blank")

def test_stops_playwright(playwright, once):
    if once():
        playwright.stop()

def test_after_that(page):
    page.goto("about:blank")
"""


def test_an_object_from_before_fails_with_the_cause(pytester: pytest.Pytester) -> None:
    """Without retries too the next test has a new driver; what was kept elsewhere stays void."""
    scratch = Scratch(pytester, OLD, KIT)
    result = scratch.run("--sentinel-crash-retries=0")
    result.assert_outcomes(passed=4, failed=2)
    assert outcomes(scratch)[1:3] == [("test_dies", "failed"), ("test_uses_what_it_held", "failed")]
    assert {line.failure for line in scratch.attempts() if line.outcome == "failed"} == {
        "infrastructure"
    }
    result.stdout.fnmatch_lines(
        [
            "*sentinel: Playwright's driver*",
            "Playwright's driver died (SIGKILL) earlier in this run.*it is void.*",
        ]
    )


REQUESTS = """
def test_asks(playwright):
    playwright.request.new_context().dispose()

def test_dies(playwright, driver, once):
    if once():
        driver()
    playwright.request.new_context().dispose()

def test_asks_again(playwright):
    playwright.request.new_context().dispose()
"""


def test_a_suite_without_a_browser_has_a_driver_too(pytester: pytest.Pytester) -> None:
    """One that sends requests through Playwright loses an attempt to its death, and no test."""
    scratch = Scratch(pytester, REQUESTS, KIT)
    scratch.run().assert_outcomes(passed=3)
    assert outcomes(scratch)[1:3] == [("test_dies", "crashed"), ("test_dies", "passed")]
    assert len(scratch.events("driver-died")) == 1
