"""A browser is killed in the middle of a run: one test notices, and is run again."""

from __future__ import annotations

import pytest

from pytest_sentinel.telemetry.record import Attempt
from tests.runs import Scratch, properties

FORTY = """
@pytest.mark.parametrize("number", range(1, 41))
def test_number(page, number, kill, once):
    page.set_content(f"<title>{number}</title>")
    if number == 17 and once():
        kill()
    assert page.title() == str(number)
"""
SEVENTEEN = "test_number[chromium-17]"
GLOB = "test_it.py::test_number[[]chromium-17[]]"  # as fnmatch wants it


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_killed_browser_costs_one_attempt(pytester: pytest.Pytester, workers: str) -> None:
    """All 40 pass; record, JUnit and summary show the lost attempt of test 17, and the second."""
    scratch = Scratch(pytester, FORTY)
    result = scratch.run("-n", workers, "--junitxml=junit.xml")
    result.assert_outcomes(passed=40)
    assert result.ret == 0

    attempts = scratch.attempts()
    assert len(attempts) == 41
    assert {line.nodeid for line in attempts if line.attempt > 1} == {f"test_it.py::{SEVENTEEN}"}
    lost, second = scratch.attempts("[chromium-17]")
    assert (lost.outcome, lost.attempt, lost.failure) == ("crashed", 1, "infrastructure")
    assert lost.crash is not None
    assert lost.crash.what == "the browser died (SIGKILL)"
    assert lost.crash.ended == "SIGKILL"
    assert lost.crash.memory is not None
    assert lost.crash.memory > 10 * 1024**2
    assert (second.outcome, second.attempt, second.crash) == ("passed", 2, None)
    assert lost.browsers != second.browsers
    assert [event.detail for event in scratch.events("crashed")] == ["the browser died (SIGKILL)"]
    assert [event.detail for event in scratch.events("replaced")] == ["crash"]

    cases = scratch.testcases()
    assert len(cases) == 40
    assert {len(found) for found in cases.values()} == {1}
    [case] = cases[SEVENTEEN]
    assert [child.tag for child in case] == ["properties"]
    assert properties(case)["sentinel_attempts"] == "2"
    assert properties(case)["sentinel_crash"] == "the browser died (SIGKILL)"
    assert all(
        "sentinel_crash" not in properties(found[0])
        for name, found in cases.items()
        if name != SEVENTEEN
    )

    launched = max(1, int(workers))
    result.stdout.fnmatch_lines(
        [
            f"crashed    {GLOB}: the browser died (SIGKILL), * MiB [[]attempt 1: run again[]]",
            f"browsers   {launched} launched, 1 replaced after a crash, 1 crashed, 1 survived",
            "*40 passed*1 rerun*",
        ]
    )


def test_without_retries_it_costs_one_test(pytester: pytest.Pytester) -> None:
    """With --sentinel-crash-retries=0 test 17 fails, says why, and the other 39 pass."""
    scratch = Scratch(pytester, FORTY)
    result = scratch.run("--sentinel-crash-retries=0", "--junitxml=junit.xml")
    result.assert_outcomes(passed=39, failed=1)
    [failed] = [line for line in scratch.attempts() if line.outcome != "passed"]
    assert isinstance(failed, Attempt)
    assert (failed.outcome, failed.failure) == ("failed", "infrastructure")
    assert SEVENTEEN in failed.nodeid
    assert properties(scratch.testcases()[SEVENTEEN][0])["sentinel_crash"] == (
        "the browser died (SIGKILL)"
    )
    result.stdout.fnmatch_lines(
        [
            "*sentinel: browser crash*",
            "the browser died (SIGKILL) during call",
            f"crashed    {GLOB}: the browser died (SIGKILL)* [[]attempt 1: failed[]]",
        ]
    )
