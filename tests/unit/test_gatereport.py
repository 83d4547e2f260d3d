"""Verdicts of gates, for people and for machines."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from pytest_sentinel.gatereport import FORMATS, as_json, as_junit, as_markdown, as_rows, as_text
from pytest_sentinel.gates import Verdict, evaluate, parse_all
from pytest_sentinel.telemetry.samples import Samples

GATES = """
    leaks: count == 0
    crashes: count == 0 [severity=warn]
    tests: max < 1s [name=a | b]
    uptime: rate > 99%
    cls: p(75) < 0.1 [on_no_data=pass]
    lcp: p(75) < 2s [on_no_data=fail]
    inp: p(75) < 2s [severity=warn]
"""


def verdicts() -> list[Verdict]:
    """A gate in each state, and of each weight."""
    samples = Samples()
    samples.take("leaks", 2.0)
    samples.take("crashes", 1.0)
    samples.take("tests", 0.5)
    return evaluate(parse_all(GATES), samples)


def test_each_gate_has_a_row() -> None:
    """Its state, its name, and the numbers."""
    assert as_rows(verdicts())[:4] == [
        ("FAIL", "leaks: count == 0", "2 (1 sample)"),
        ("FAIL (warns)", "crashes: count == 0", "1 (1 sample)"),
        ("pass", "a | b", "500 ms (1 sample)"),
        ("no data", "uptime: rate > 99%", "nothing was measured"),
    ]


def test_the_table_has_columns() -> None:
    """Names begin below each other."""
    lines = as_text(verdicts()).splitlines()

    assert len(lines) == 7
    assert {
        line.find(name) for line, name in zip(lines[:2], ("leaks", "crashes"), strict=True)
    } == {17}


def test_json_tells_everything() -> None:
    """States, values and limits in base units, and the exit status."""
    told = json.loads(as_json(verdicts()))

    assert told["exit_status"] == 99
    assert told["gates"][2] == {
        "name": "a | b", "gate": "tests: max < 1s", "state": "pass", "value": 0.5, "limit": 1.0,
        "operator": "<", "samples": 1, "severity": "error", "on_no_data": "report",
        "reason": "500 ms (1 sample)",
    }  # fmt: skip


def test_junit_has_a_case_for_each_gate() -> None:
    """A breach is a failure, missing data an error, what does not count is skipped."""
    suite = ET.fromstring(as_junit(verdicts()))

    assert suite.attrib == {"name": "sentinel gates", "tests": "7", "failures": "2", "errors": "1"}
    found = {case.attrib["name"]: [child.tag for child in case] for case in suite}
    assert found == {
        "leaks: count == 0": ["failure"],
        "crashes: count == 0": ["skipped"],
        "a | b": [],
        "uptime: rate > 99%": ["error"],
        "cls: p(75) < 0.1": ["skipped"],
        "lcp: p(75) < 2s": ["failure"],
        "inp: p(75) < 2s": ["skipped"],
    }


def test_markdown_is_a_table() -> None:
    """A row for each gate; a bar in a name does not end its cell."""
    lines = as_markdown(verdicts()).splitlines()

    assert lines[2] == "| **FAIL** | `leaks: count == 0` | 2 (1 sample) |"
    assert lines[4] == "| **pass** | `a \\| b` | 500 ms (1 sample) |"


def test_every_format_has_a_name() -> None:
    """The names that the command takes."""
    assert list(FORMATS) == ["table", "json", "junit", "markdown"]


@pytest.mark.parametrize("form", FORMATS)
def test_doubts_about_a_run_are_in_every_format(form: str) -> None:
    """A verdict on half a run looks like one on a whole run otherwise."""
    told = FORMATS[form](verdicts(), ["the record of run x has no end"])

    assert "the record of run x has no end" in told
    assert "the record of run x" not in FORMATS[form](verdicts())
