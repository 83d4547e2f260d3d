"""What formats of others make of a record with an outcome that another plugin made up."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from pytest_sentinel.reportdata import as_ctrf, as_junit, tell
from pytest_sentinel.telemetry.measures import Measures
from pytest_sentinel.telemetry.record import Attempt, End, Line, Run

RECORD: list[Line] = [
    Run("run", 1.0, suite="s", branch_class="local"),
    Attempt("a.py::test_a", "known-bug", finished=2.0),
    Attempt("a.py::test_b", "odd", finished=3.0),
    Attempt("a.py::test_c", "failed", finished=4.0, failure="product"),
    Attempt("a.py::test_d", "passed", finished=5.0),
    End(6.0, 1),
]


def test_ctrf_has_a_status_for_it() -> None:
    """It is neither passed nor failed, and the summary adds up."""
    results = json.loads(as_ctrf(tell(RECORD)))["results"]
    assert [row["status"] for row in results["tests"]] == ["other", "other", "failed", "passed"]
    summary = results["summary"]
    assert (summary["tests"], summary["passed"], summary["failed"], summary["other"]) == (
        4,
        1,
        1,
        2,
    )


def test_junit_keeps_the_word() -> None:
    """JUnit has no such result, so the case has a property with the word."""
    cases = ET.fromstring(as_junit(tell(RECORD))).iter("testcase")
    words = {
        case.attrib["name"]: [row.attrib["value"] for row in case.iter("property")]
        for case in cases
    }
    assert words == {"test_a": ["known-bug"], "test_b": ["odd"], "test_c": [], "test_d": []}


def test_a_metric_has_one_label_for_all_of_them() -> None:
    """Labels are bounded: made-up outcomes add up under ``other``."""
    measures = Measures()
    for line in RECORD:
        measures.add(line)
    numbers = measures.table.numbers
    tests = {key[-1]: value for key, value in numbers["sentinel_run_tests"].items()}
    assert tests == {"passed": 1, "failed": 1, "error": 0, "skipped": 0, "other": 2}
    assert sum(numbers["sentinel_tests_total"].values()) == 4
