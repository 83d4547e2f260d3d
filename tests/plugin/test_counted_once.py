"""A test that leaks under ``error`` counts once, whatever else happened to it."""

from __future__ import annotations

import pytest

from tests.runs import Scratch, properties

LEAKS = """
def leave():
    descriptor = os.open(os.devnull, os.O_RDONLY)
    left.append(descriptor)

left = []

def test_clean():
    pass

def test_leaks():
    leave()

def test_leaks_and_fails():
    leave()
    raise ValueError("its own fault")

def test_leaks_and_skips():
    leave()
    pytest.skip("for a reason")

@pytest.mark.xfail
def test_leaks_and_fails_as_expected():
    leave()
    assert 0

@pytest.mark.xfail(strict=True)
def test_leak_is_expected():
    leave()

@pytest.fixture
def broken():
    leave()
    raise ValueError("in setup")

def test_leaks_in_setup(broken):
    pass

@pytest.fixture(scope="class")
def wide():
    yield
    leave()

class TestWide:
    def test_fixture_leaks(self, wide):
        pass

@pytest.fixture
def breaks_at_end():
    yield
    raise ValueError("in teardown")

def test_leaks_and_breaks_at_end(breaks_at_end):
    leave()
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_test_has_one_result(pytester: pytest.Pytester, workers: str) -> None:
    """Terminal, JUnit, record and exit status agree; a leak beside a failure is shown beside it."""
    scratch = Scratch(pytester, LEAKS)

    result = scratch.run("-n", workers, "-v", "--sentinel-leaks=error", "--junitxml=junit.xml")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    # A teardown with a fault of its own is a second result, as without the plugin.
    result.assert_outcomes(passed=2, failed=4, errors=2, xfailed=2)
    cases = scratch.testcases()
    results = {
        name: [child.tag for child in found[0] if child.tag != "properties"]
        for name, found in cases.items()
    }
    assert {len(found) for found in cases.values()} == {1}
    assert results == {
        "test_clean": [],
        "test_leaks": ["failure"],
        "test_leaks_and_fails": ["failure"],
        "test_leaks_and_skips": ["failure"],
        "test_leaks_and_fails_as_expected": ["skipped"],
        "test_leak_is_expected": ["skipped"],
        "test_leaks_in_setup": ["error"],
        "test_fixture_leaks": ["failure"],
        "test_leaks_and_breaks_at_end": ["error"],
    }
    both = cases["test_leaks_and_fails"][0]
    assert "its own fault" in str(both.find("failure").text)  # type: ignore[union-attr]
    assert "descriptor" in properties(both)["sentinel_leaks"]
    result.stdout.fnmatch_lines(["*found at teardown*", "*the test left 1 open:*"])
    result.stdout.fnmatch_lines(["LEAKED test_it.py::test_leaks - descriptor*"])
    assert {
        line.nodeid.rpartition("::")[2]: (line.outcome, line.failure) for line in scratch.attempts()
    } == {
        "test_clean": ("passed", None),
        "test_leaks": ("failed", "product"),
        "test_leaks_and_fails": ("failed", "product"),
        "test_leaks_and_skips": ("failed", "product"),
        "test_leaks_and_fails_as_expected": ("xfailed", None),
        "test_leak_is_expected": ("xfailed", None),
        "test_leaks_in_setup": ("error", "product"),
        "test_fixture_leaks": ("failed", "product"),
        "test_leaks_and_breaks_at_end": ("error", "product"),
    }


@pytest.mark.parametrize(("option", "failed"), [("-x", 1), ("--maxfail=2", 2)])
def test_stopping_counts_tests(pytester: pytest.Pytester, option: str, failed: int) -> None:
    """-x stops at the first test that leaks, and a test that leaks and fails is one failure."""
    scratch = Scratch(pytester, LEAKS)
    result = scratch.run(option, "--sentinel-leaks=error")
    result.assert_outcomes(passed=1, failed=failed)


def test_under_reruns_too(pytester: pytest.Pytester) -> None:
    """pytest-rerunfailures holds its reports back, so that a leak can still be told in time."""
    scratch = Scratch(pytester, LEAKS)
    result = pytester.runpytest_subprocess(
        *("-p", "no:html", "-p", "no:django", "-p", "no:locust", "--reruns=1"),
        *("--sentinel-leaks=error", "-k", "test_clean or test_leaks_and_fails or test_leaks"),
        *("--deselect", "test_it.py::test_leaks_in_setup"),
        *("--deselect", "test_it.py::test_leaks_and_breaks_at_end"),
    )
    result.assert_outcomes(passed=1, failed=3, xfailed=1)
    assert result.parseoutcomes()["rerun"] == 3
    assert [line.outcome for line in scratch.attempts("test_leaks_and_skips")] == ["failed"] * 2
