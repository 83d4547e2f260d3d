"""Others run tests as they do without the plugin, and what it measures goes on being measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sentinel.telemetry.journal import read_record
from pytest_sentinel.telemetry.record import Attempt
from tests.plugin.compat import lay, neighbours, run
from tests.plugin.test_reporters import CRASHES

pytestmark = pytest.mark.browser

FLAKY = """
import pytest
from flaky import flaky

runs = []

@flaky(max_runs=3, min_passes=1)
def test_second_time(page):
    runs.append("browser")
    page.goto("about:blank")
    assert runs.count("browser") == 2

@flaky(max_runs=3)
def test_no_browser_at_all():
    runs.append("none")
    assert runs.count("none") == 2
"""
RETRY = """
import pytest

runs = []

@pytest.mark.flaky(retries=2)
def test_second_time(page):
    runs.append("browser")
    page.goto("about:blank")
    assert runs.count("browser") == 2

@pytest.mark.flaky(retries=1)
def test_never():
    assert 0
"""
FORKED = """
import os
import pytest

@pytest.mark.forked
def test_leaves():
    os._exit(7)

def test_page(page):
    page.goto("about:blank")
"""


def attempts(suite: Path) -> list[tuple[str, int, str, str | None]]:
    """Return name, number, outcome and fault of each attempt in the record."""
    lines = read_record(suite / ".sentinel" / "runs" / "latest")
    return [
        (row.nodeid.rpartition("::")[2].partition("[")[0], row.attempt, row.outcome, row.failure)
        for row in lines
        if isinstance(row, Attempt)
    ]


def test_flaky_repeats_its_tests(tmp_path: Path) -> None:
    """flaky reports only the last of its attempts; the record has them all."""
    suite = lay(tmp_path / "suite", {"test_it.py": FLAKY, "test_crash.py": CRASHES})

    ran = run(suite, "-p", "no:rerunfailures", "test_it.py", PYTHONPATH=neighbours("flaky"))

    assert (ran.status, ran.outcomes()) == (0, {"passed": 2})
    assert attempts(suite) == [
        ("test_second_time", 1, "failed", "product"),
        ("test_second_time", 2, "passed", None),
        ("test_no_browser_at_all", 1, "failed", "product"),
        ("test_no_browser_at_all", 2, "passed", None),
    ]

    ran = run(suite, "-p", "no:rerunfailures", "test_crash.py", PYTHONPATH=neighbours("flaky"))

    assert ran.outcomes() == {"passed": 1, "failed": 1, "error": 1}
    assert [row[2:] for row in attempts(suite)] == [
        ("passed", None),
        ("failed", "infrastructure"),
        ("error", "infrastructure"),
    ]


def test_retry_says_retried(tmp_path: Path) -> None:
    """pytest-retry's own outcome is an attempt of a class of its own."""
    suite = lay(tmp_path / "suite", {"test_it.py": RETRY})

    ran = run(suite, "-p", "no:rerunfailures", PYTHONPATH=neighbours("pytest-retry"))

    assert (ran.status, ran.outcomes()) == (1, {"retried": 2, "passed": 1, "failed": 1})
    assert attempts(suite) == [
        ("test_second_time", 1, "retried", None),
        ("test_second_time", 2, "passed", None),
        ("test_never", 1, "retried", None),
        ("test_never", 2, "failed", "product"),
    ]


def test_a_forked_test_that_dies_is_no_dead_worker(tmp_path: Path) -> None:
    """pytest-forked reports it in a phase of its own, and it is recorded as it was reported."""
    suite = lay(tmp_path / "suite", {"test_it.py": FORKED})

    ran = run(suite, "-n", "1", PYTHONPATH=neighbours("pytest-forked"))

    assert "EXITED with status 7" in ran.stdout
    assert "died while running" not in ran.stdout
    assert attempts(suite) == [
        ("test_leaves", 1, "failed", "product"),
        ("test_page", 1, "passed", None),
    ]


OWN = """
import pytest
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    if item.name.startswith("test_mine"):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for _ in range(2):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True
    print("asked about", item.name)
"""
MINE = """
runs = []

def test_mine(page):
    runs.append(1)
    page.goto("about:blank")
    assert len(runs) == 2

def test_theirs():
    pass
"""


@pytest.mark.parametrize("where", [".", "below"])
def test_a_conftest_runs_tests(tmp_path: Path, where: str) -> None:
    """Its protocol comes first wherever it lies; one that answers None is asked once, and no more.

    A test for which it answers None is still run again when its browser dies.
    """
    files = {
        f"{where}/conftest.py": OWN,
        f"{where}/test_mine.py": MINE,
        f"{where}/test_crash.py": CRASHES,
    }
    suite = lay(tmp_path / "suite", files)

    ran = run(suite, "-s", where)

    assert (ran.status, ran.outcomes()["passed"]) == (0, 5)
    assert ran.stdout.count("asked about test_theirs") == 1
    assert ran.stdout.count("asked about test_crash[chromium]") == 1
    assert len(attempts(suite)) == 7  # of test_mine the one that was reported


PATCHED = """
import _pytest.runner

original = _pytest.runner.runtestprotocol

def runtestprotocol(item, log=True, nextitem=None):
    print("run by pytest:", item.name)
    return original(item, log=log, nextitem=nextitem)

_pytest.runner.runtestprotocol = runtestprotocol
"""
BOTH = """
import pytest

def test_plain():
    pass

def test_page(page):
    pass

def test_asks(request):
    request.getfixturevalue("page")

@pytest.fixture
def asks(request):
    return request.getfixturevalue("page")

@pytest.mark.parametrize("asks", ["a value of the fixture's name"])
def test_value(asks):
    pass

def test_asks_by_fixture(asks):
    pass
"""


@pytest.mark.parametrize("retries", ["1", "0"])
def test_pytest_runs_what_no_browser_can_die_under(tmp_path: Path, retries: str) -> None:
    """So it does with all tests where crash retries are switched off."""
    suite = lay(tmp_path / "suite", {"conftest.py": PATCHED, "test_it.py": BOTH})

    ran = run(suite, "-s", f"--sentinel-crash-retries={retries}")

    assert ran.outcomes() == {"passed": 5}
    assert ran.stdout.count("run by pytest:") == (2 if retries == "1" else 5)
    assert "run by pytest: test_plain" in ran.stdout
    assert "run by pytest: test_value[a value of the fixture's name]" in ran.stdout
    assert len(attempts(suite)) == 5
