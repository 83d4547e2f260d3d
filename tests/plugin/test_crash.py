"""Where a browser can die, and what it costs: set-up, call, teardown, between tests."""

from __future__ import annotations

import pytest

from tests.runs import Scratch, properties


def outcomes(scratch: Scratch) -> list[tuple[str, int, str]]:
    """Return name, attempt and outcome of each attempt of the last run, without the engine."""
    return [
        (line.nodeid.split("::", 1)[1].replace("[chromium]", ""), line.attempt, line.outcome)
        for line in scratch.attempts()
    ]


PHASES = """
@pytest.fixture
def dies_in_setup(kill, once):
    if once("setup"):
        kill(wait=True)
    yield

@pytest.fixture
def dies_in_teardown(page, kill, once):
    yield
    if once("teardown"):
        kill(wait=True)

@pytest.fixture
def fails_after_the_browser(kill, once):
    yield
    if once("both"):
        kill(wait=True)
        raise AssertionError("the fixture's own fault")

def test_setup(dies_in_setup, page):
    page.set_content("<p>setup")

def test_teardown(dies_in_teardown, page):
    page.set_content("<p>teardown")

def test_own_fault(page, fails_after_the_browser):
    page.set_content("<p>own fault")

@pytest.mark.xfail(reason="it kills its browser", strict=True)
def test_xfail(page, kill):
    kill(wait=True)
    page.goto("about:blank")

def test_good(page):
    page.set_content("<p>good")

def test_skip(page, kill, once):
    if once("skip"):
        kill(wait=True)
    pytest.skip("for another reason")

def test_passes_all_the_same(browser, kill, once):
    if once("passes"):
        kill(wait=True)

def test_fails_by_itself(page):
    page.set_content("<p>fails")
    assert page.title() == "another"

def test_last(page, kill, once):
    page.set_content("<title>last</title>")
    assert page.title() == "last"
    if once("last"):
        kill(wait=True)
"""


def test_a_browser_may_die_in_any_phase(pytester: pytest.Pytester) -> None:
    """Only what the death spoilt is run again: a set-up or a call, never a teardown."""
    scratch = Scratch(pytester, PHASES)
    result = scratch.run("--junitxml=junit.xml")
    result.assert_outcomes(passed=6, failed=1, errors=1, skipped=1, xfailed=1)
    assert outcomes(scratch) == [
        ("test_setup", 1, "crashed"),
        ("test_setup", 2, "passed"),
        ("test_teardown", 1, "passed"),
        ("test_own_fault", 1, "error"),
        ("test_xfail", 1, "xfailed"),
        ("test_good", 1, "passed"),
        ("test_skip", 1, "skipped"),
        ("test_passes_all_the_same", 1, "passed"),
        ("test_fails_by_itself", 1, "failed"),
        ("test_last", 1, "passed"),
    ]
    died = {line.nodeid.split("::")[1] for line in scratch.attempts() if line.crash is not None}
    assert died == {
        f"{name}[chromium]"
        for name in (
            "test_setup",
            "test_teardown",
            "test_own_fault",
            "test_xfail",
            "test_skip",
            "test_passes_all_the_same",
            "test_last",
        )
    }
    assert len(scratch.events("crashed")) == 7
    own = scratch.attempts("test_fails_by_itself")[0]
    assert (own.failure, own.crash) == ("product", None)
    cases = scratch.testcases()
    assert {len(found) for found in cases.values()} == {1}
    assert properties(cases["test_xfail[chromium]"][0])["sentinel_crash"] == (
        "the browser died (SIGKILL)"
    )
    assert "sentinel_crash" not in properties(cases["test_fails_by_itself[chromium]"][0])


CLASSES = """
import unittest

class TestFresh:
    def test_state(self, page, kill, once):
        assert not hasattr(self, "seen")
        self.seen = True
        if once("class"):
            kill()
        page.set_content("<p>hello")
        page.evaluate("1")

class TestOldStyle(unittest.TestCase):
    def setUp(self):
        assert not hasattr(self, "seen")
        self.seen = True

    @pytest.fixture(autouse=True)
    def give_page(self, page, kill, once):
        self.page, self.kill, self.once = page, kill, once

    def test_state(self):
        if self.once("unittest"):
            self.kill()
        self.page.set_content("<p>hello")
        self.page.evaluate("1")

    def test_next(self):
        self.page.set_content("<p>hello")
"""


def test_a_repeated_method_gets_a_new_instance(pytester: pytest.Pytester) -> None:
    """What the lost attempt left on self is gone, in plain classes and in unittest's."""
    scratch = Scratch(pytester, CLASSES)
    result = scratch.run()
    result.assert_outcomes(passed=3)
    assert [outcome for _, _, outcome in outcomes(scratch)].count("crashed") == 2


HELD = """
@pytest.fixture(scope="session")
def context(browser):
    context = browser.new_context()
    yield context
    context.close()

@pytest.fixture(scope="session")
def page(context):
    return context.new_page()

@pytest.mark.parametrize("number", range(4))
def test_number(page, number, kill, once):
    page.set_content(f"<title>{number}</title>")
    if number == 1 and once():
        kill()
    assert page.title() == str(number)
"""


@pytest.mark.parametrize("retries", [1, 0])
def test_a_session_wide_context_is_built_again(pytester: pytest.Pytester, retries: int) -> None:
    """The fixture that opened it, and those built on it, serve the next attempt and test anew."""
    scratch = Scratch(pytester, HELD)
    result = scratch.run(f"--sentinel-crash-retries={retries}")
    if retries:
        result.assert_outcomes(passed=4)
    else:
        result.assert_outcomes(passed=3, failed=1)
    assert len(scratch.events("crashed")) == 1


HELD_IDLE = """
@pytest.fixture(scope="module")
def page(browser):
    context = browser.new_context()
    yield context.new_page()
    context.close()

def test_before(page, pid_of, browser):
    os.environ["IDLE_BROWSER"] = str(pid_of(browser))

def test_after(page):
    page.set_content("<title>after</title>")
    assert page.title() == "after"
"""
# Until it is dead, not only told to die: a busy kernel takes its time, and the next test may begin.
KILL_WHEN_IDLE = """
def pytest_runtest_logfinish(nodeid):
    if "test_before" in nodeid:
        browser = psutil.Process(int(os.environ["IDLE_BROWSER"]))
        browser.kill()
        while browser.is_running() and browser.status() != psutil.STATUS_ZOMBIE:
            os.sched_yield()
"""


def test_a_wider_context_survives_a_crash_between_tests(pytester: pytest.Pytester) -> None:
    """Nobody loses an attempt: the boundary sees the death and has the fixture built again."""
    scratch = Scratch(pytester, HELD_IDLE, KILL_WHEN_IDLE)
    scratch.run().assert_outcomes(passed=2)
    assert outcomes(scratch) == [("test_before", 1, "passed"), ("test_after", 1, "passed")]
    assert [event.detail for event in scratch.events("replaced")] == ["crash"]


DIES_IN_WIDE_SETUP = """
@pytest.fixture(scope="session")
def signed_in(browser, pid_of, once):
    if once():
        os.kill(pid_of(browser), signal.SIGKILL)
    page = browser.new_page()
    page.set_content("<title>in</title>")
    yield page
    page.close()

def test_first(signed_in):
    assert signed_in.title() == "in"

def test_second(signed_in):
    assert signed_in.title() == "in"
"""


@pytest.mark.parametrize("retries", [1, 0])
def test_a_crash_in_a_session_wide_set_up_is_not_kept(
    pytester: pytest.Pytester, retries: int
) -> None:
    """A fixture keeps what it raised; one that lost its browser is given another chance."""
    scratch = Scratch(pytester, DIES_IN_WIDE_SETUP)
    result = scratch.run(f"--sentinel-crash-retries={retries}")
    result.assert_outcomes(passed=1 + retries, errors=1 - retries)


ALWAYS = """
@pytest.mark.parametrize("number", range(3))
def test_number(page, number, kill, once):
    if number == 0 and (once("1") or once("2") or once("3")):
        kill()
    page.goto("about:blank")
    page.evaluate("1")
"""


def test_retries_are_counted(pytester: pytest.Pytester) -> None:
    """With two retries a test that kills three browsers fails on its third attempt."""
    scratch = Scratch(pytester, ALWAYS)
    result = scratch.run("--sentinel-crash-retries=2")
    result.assert_outcomes(passed=2, failed=1)
    assert [(number, outcome) for _, number, outcome in outcomes(scratch)][:3] == [
        (1, "crashed"),
        (2, "crashed"),
        (3, "failed"),
    ]


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_a_lost_attempt_is_no_failure_for_maxfail(pytester: pytest.Pytester, option: str) -> None:
    """The run goes on after a crash that was survived, and stops after one that was not."""
    scratch = Scratch(pytester, ALWAYS)
    result = scratch.run(option, "--sentinel-crash-retries=3")
    result.assert_outcomes(passed=3)
    for name in "123":
        (scratch.path / f"{name}.once").unlink()
    result = scratch.run(option, "--sentinel-crash-retries=1")
    result.assert_outcomes(failed=1)
    assert [outcome for _, _, outcome in outcomes(scratch)] == ["crashed", "failed"]


PERSISTENT = """
def test_other_browser(launch_browser, page, pid_of, once):
    other = launch_browser()
    try:
        if once():
            os.kill(pid_of(other), signal.SIGKILL)
        other.new_page().set_content("<p>hello")
        page.set_content("<p>hello")
    finally:
        other.close()

def test_after(page):
    page.set_content("<p>hello")
"""


def test_a_browser_of_the_tests_own_may_die_too(pytester: pytest.Pytester) -> None:
    """One launched by launch_browser() is watched like any other, and closed by its owner."""
    scratch = Scratch(pytester, PERSISTENT)
    scratch.run().assert_outcomes(passed=2)
    assert outcomes(scratch) == [
        ("test_other_browser", 1, "crashed"),
        ("test_other_browser", 2, "passed"),
        ("test_after", 1, "passed"),
    ]


IN_PARTS = """
import unittest

def test_parts(page, subtests, kill, once):
    for number in range(3):
        with subtests.test(number=number):
            if number == 1 and once("parts"):
                kill(wait=True)
            page.set_content("<p>part")

class TestParts(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def give_page(self, page, kill, once):
        self.page, self.kill, self.once = page, kill, once

    def test_parts(self):
        for number in range(2):
            with self.subTest(number=number):
                if number == 1 and self.once("unittest"):
                    self.kill(wait=True)
                self.page.set_content("<p>part")
"""


def test_a_subtest_may_lose_its_browser(pytester: pytest.Pytester) -> None:
    """The test that it is part of runs again, and counts once; so does the lost attempt."""
    if not hasattr(pytest, "Subtests"):
        pytest.skip("pytest has subtests of its own from 9.0 on")
    scratch = Scratch(pytester, IN_PARTS)
    result = scratch.run()
    assert result.ret == 0
    counts = result.parseoutcomes()
    assert (counts["passed"], counts["rerun"]) == (2, 2)
    assert [outcome for _, _, outcome in outcomes(scratch)] == ["crashed", "passed"] * 2
