"""Browsers that do not start: told at once, with the cause, and tried again when that may help."""

from __future__ import annotations

import os
import re
import time

import pytest

from pytest_sentinel.browsers import prepare
from tests.runs import Scratch, properties, slack

OTHER_BROWSER = """
@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    return {**browser_type_launch_args, "executable_path": str(HERE / "other-browser")}
"""
TESTS = """
@pytest.mark.parametrize("number", range(%d))
def test_number(page, number):
    page.set_content("<p>hello")

def test_without_a_browser():
    pass
"""
WORDS = "other-browser: error while loading shared libraries: libnss3.so"


def scratch_with(
    pytester: pytest.Pytester, script: str, tests: int, kit: str = OTHER_BROWSER, more: str = ""
) -> Scratch:
    """Return a suite of so many tests whose browser is a shell script."""
    scratch = Scratch(pytester, TESTS % tests + more, kit)
    browser = scratch.path / "other-browser"
    browser.write_text(f"#!/bin/sh\n{script}\n")
    browser.chmod(0o755)
    return scratch


def real_browser() -> str:
    """Return the binary that Playwright would launch here."""
    executable = prepare(dict(os.environ)).executable
    assert executable is not None
    return str(executable)


def left_profiles(scratch: Scratch) -> list[str]:
    """Return what launches left in the temporary directory of the run."""
    return [path.name for path in scratch.temporary.glob("playwright*")]


def test_a_browser_that_exits_at_once_fails_a_hundred_tests_fast(pytester: pytest.Pytester) -> None:
    """Three launches are tried; all 100 errors name the cause and what the browser said."""
    scratch = scratch_with(pytester, f"echo '{WORDS}' >&2; exit 127", tests=100)
    began = time.monotonic()
    result = scratch.run("--junitxml=junit.xml", "-q")
    took = time.monotonic() - began
    result.assert_outcomes(errors=100, passed=1)
    assert took < 15.0 * slack()
    assert [event.event for event in scratch.events()] == ["launch-failed"] * 3
    cases = scratch.testcases()
    errors = [
        error.attrib["message"] + (error.text or "")
        for found in cases.values()
        for error in found[0].iter("error")
    ]
    assert len(errors) == 100
    for text in errors:
        assert WORDS in text
    refused = [text for text in errors if "is not launched" in text]
    assert len(refused) == 97
    for text in refused:
        assert "the browser process ended while starting (exit code 127)" in text
        assert re.search(r"the last 3 launches or browsers failed \(next trial in \d+ s\)", text)
    assert properties(cases["test_without_a_browser"][0]) == {}
    result.stdout.fnmatch_lines(["sentinel: 0 launched, 3 launches failed"])
    assert left_profiles(scratch) == []


def test_a_browser_that_never_answers_is_bounded(pytester: pytest.Pytester) -> None:
    """Each launch takes --sentinel-launch-timeout, says so, and leaves no process."""
    scratch = scratch_with(pytester, "exec sleep 600", tests=5)
    with scratch.start("--sentinel-launch-timeout=1s") as started:
        began = time.monotonic()
        assert started.wait() == pytest.ExitCode.TESTS_FAILED
        assert time.monotonic() - began < 15.0 * slack()
        started.assert_all_gone()
        output = started.output()
    assert "5 errors" in output
    assert "launch     failed 3 x: BrowserType.launch: Timeout 1000ms exceeded." in output
    failures = scratch.events("launch-failed")
    assert [event.detail for event in failures] == [
        "BrowserType.launch: Timeout 1000ms exceeded."
    ] * 3


def test_launch_arguments_may_set_their_own_time_limit(pytester: pytest.Pytester) -> None:
    """A timeout among the suite's launch arguments wins over the plugin's."""
    patient = OTHER_BROWSER.replace('"executable_path"', '"timeout": 700, "executable_path"')
    scratch = scratch_with(pytester, "exec sleep 600", tests=1, kit=patient)
    result = scratch.run()
    result.assert_outcomes(errors=1, passed=1)
    [failure] = scratch.events("launch-failed")
    assert failure.detail == "BrowserType.launch: Timeout 700ms exceeded."


def test_a_launch_that_fails_twice_and_then_works_costs_two_tests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure is not remembered beyond its test: the third test and all that follow pass."""
    monkeypatch.setenv("REAL_BROWSER", real_browser())
    script = f"""
        mkdir first 2>/dev/null && {{ echo '{WORDS}' >&2; exit 1; }}
        mkdir second 2>/dev/null && exit 1
        exec "$REAL_BROWSER" "$@"
    """
    scratch = scratch_with(pytester, script, tests=5)
    result = scratch.run()
    result.assert_outcomes(errors=2, passed=4)
    outcomes = [line.outcome for line in scratch.attempts("test_number")]
    assert outcomes == ["error", "error", "passed", "passed", "passed"]
    events = [(event.event, event.detail) for event in scratch.events()]
    assert [name for name, _ in events] == ["launch-failed", "launch-failed", "launched"]
    assert events[0][1] == "the browser process ended while starting (exit code 1)"


UNTIL_REPAIRED = """
def test_crash(page, kill):
    (HERE / "gone").touch()
    kill()
    page.goto("about:blank")

def test_after(page):
    pass

def test_repaired(page):
    page.set_content("<p>hello")
"""
REPAIR = """
def pytest_runtest_logfinish(nodeid):
    if "test_after" in nodeid:
        (HERE / "gone").unlink()
"""


def test_a_crashed_browser_that_cannot_be_replaced_says_so(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test is blamed for the crash; the next fail with the launch's cause, until it works."""
    monkeypatch.setenv("REAL_BROWSER", real_browser())
    script = f"""
        [ -e gone ] && {{ echo '{WORDS}' >&2; exit 1; }}
        exec "$REAL_BROWSER" "$@"
    """
    scratch = scratch_with(pytester, script, 1, OTHER_BROWSER + REPAIR, UNTIL_REPAIRED)
    result = scratch.run()
    result.assert_outcomes(passed=3, errors=2)
    found = [
        (line.nodeid.split("::")[1], line.attempt, line.outcome) for line in scratch.attempts()
    ]
    assert found == [
        ("test_number[chromium-0]", 1, "passed"),
        ("test_crash[chromium]", 1, "crashed"),
        ("test_crash[chromium]", 2, "error"),
        ("test_after[chromium]", 1, "error"),
        ("test_repaired[chromium]", 1, "passed"),
        ("test_without_a_browser", 1, "passed"),
    ]
    crashed, again, after = scratch.attempts()[1:4]
    assert crashed.crash is not None
    assert (again.crash, after.crash) == (None, None)
    assert {crashed.failure, again.failure, after.failure} == {"infrastructure"}
    assert [event.event for event in scratch.events()] == [
        "launched",
        "crashed",
        "launch-failed",
        "launch-failed",
        "replaced",
        "handed-over",
    ]
    result.stdout.fnmatch_lines([f"*{WORDS}*"])
