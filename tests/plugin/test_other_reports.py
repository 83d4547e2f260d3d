"""Reports that are not pytest's own: recorded as they are, and never the end of a run."""

from __future__ import annotations

import pytest

from tests.runs import Scratch

MADE_UP = """
@pytest.mark.known
def test_known(page):
    assert 0

def test_after(page):
    page.set_content("<p>after")

def test_odd():
    pass

def test_reported_twice():
    pass
"""
HOOKS = """
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" and "test_known" in item.nodeid:
        report.outcome = "known-bug"
    if report.when == "call" and "test_odd" in item.nodeid:
        report.outcome, report.when, report.duration = "odd", "verify", None
        report.user_properties = ()
    if report.when == "teardown" and "twice" in item.nodeid:
        item.ihook.pytest_runtest_logreport(report=report)

def pytest_configure(config):
    config.addinivalue_line("markers", "known: known")

def pytest_report_teststatus(report):
    if report.outcome in ("known-bug", "odd"):
        return "made up", "K", report.outcome.upper()

def pytest_runtest_protocol(item):
    # A worker of xdist takes no such report.
    if "test_reported_twice" in item.nodeid and not hasattr(item.config, "workerinput"):
        # One for a test that never runs.
        for when in ("setup", "never"):
            report = pytest.TestReport(
                "elsewhere.py::test_ghost", ("elsewhere.py", 0, "test_ghost"), {}, "ghostly",
                None, when)
            report.node = item  # as xdist calls a worker
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_made_up_outcomes_and_phases(pytester: pytest.Pytester, workers: str) -> None:
    """The run ends as it does without the plugin, and the record has each word as it was."""
    scratch = Scratch(pytester, MADE_UP, HOOKS)
    result = scratch.run("-n", workers)
    assert result.ret == pytest.ExitCode.OK
    ghosts = {"test_ghost": "ghostly"} if workers == "0" else {}
    result.stdout.fnmatch_lines([f"*2 passed*2 made up*{'1 ghostly' if ghosts else ''}*"])
    found = {line.nodeid.rpartition("::")[2]: line for line in scratch.attempts()}
    assert len(scratch.attempts()) == len(found) == 4 + len(ghosts)
    assert {name: line.outcome for name, line in found.items()} == {
        "test_known[chromium]": "known-bug",
        "test_after[chromium]": "passed",
        "test_odd": "odd",
        "test_reported_twice": "passed",
        **ghosts,
    }
    assert {line.failure for line in found.values()} == {None}
    assert found["test_odd"].phases["verify"] == 0.0
    text = (scratch.path / ".sentinel" / "runs" / "latest" / "metrics.om").read_text()
    rows = [row for row in text.splitlines() if row.startswith("sentinel_run_tests{")]
    [others] = [row for row in rows if 'outcome="other"' in row]
    assert float(others.partition("} ")[2].split()[0]) == 2 + len(ghosts)


LAST_WORDS = """
def test_leaves(page):
    os._exit(3)

def test_is_killed(page):
    os.kill(os.getpid(), signal.SIGKILL)

def test_last(page):
    page.set_content("<p>last")
"""


def test_a_test_that_ends_its_worker_is_at_fault(pytester: pytest.Pytester) -> None:
    """os._exit is the test's own doing; a signal comes from elsewhere."""
    scratch = Scratch(pytester, LAST_WORDS)
    scratch.run("-n", "1").assert_outcomes(passed=1, failed=2)
    faults = {
        line.nodeid.rpartition("::")[2]: line.failure
        for line in scratch.attempts()
        if line.outcome == "worker-crashed"
    }
    assert faults == {
        "test_leaves[chromium]": "product",
        "test_is_killed[chromium]": "infrastructure",
    }
