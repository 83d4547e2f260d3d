"""Verdicts of gates as text: rows for a terminal, JSON, JUnit, Markdown. Writes nothing itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from pytest_sentinel.gates import State, Verdict, exit_status, is_breach

_MARKS = {State.PASS: "pass", State.FAIL: "FAIL", State.NO_DATA: "no data"}


def as_rows(verdicts: Sequence[Verdict]) -> list[tuple[str, str, str]]:
    """Return (state, gate, reason) for each; a gate that only warns says so."""
    return [
        (
            _MARKS[verdict.state] + (" (warns)" if verdict.gate.severity == "warn" else ""),
            verdict.gate.name,
            verdict.reason,
        )
        for verdict in verdicts
    ]


def as_text(verdicts: Sequence[Verdict], doubts: Sequence[str] = ()) -> str:
    """Return a table for a terminal or a log; ``doubts`` say why the runs are not whole."""
    rows = as_rows(verdicts)
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows]
    lines += [f"Doubt: {doubt}" for doubt in doubts]
    return "\n".join(lines) + "\n"


def as_json(verdicts: Sequence[Verdict], doubts: Sequence[str] = ()) -> str:
    """Return an object with all verdicts and the exit status; values in base units."""
    told = {
        "exit_status": exit_status(verdicts),
        "doubts": list(doubts),
        "gates": [
            {
                "name": verdict.gate.name,
                "gate": verdict.gate.text,
                "state": verdict.state.value,
                "value": verdict.value,
                "limit": verdict.gate.limit,
                "operator": verdict.gate.operator,
                "samples": verdict.samples,
                "severity": verdict.gate.severity,
                "on_no_data": verdict.gate.on_no_data,
                "reason": verdict.reason,
            }
            for verdict in verdicts
        ],
    }
    return json.dumps(told, indent=2) + "\n"


def as_junit(verdicts: Sequence[Verdict], doubts: Sequence[str] = ()) -> str:
    """Return a JUnit file with one case for each gate; without data it is skipped, or an error."""
    failures = sum(is_breach(verdict) and _counts(verdict) for verdict in verdicts)
    errors = sum(_is_missing(verdict) for verdict in verdicts)
    total = {"name": "sentinel gates", "tests": str(len(verdicts)), "failures": str(failures)}
    suite = ET.Element("testsuite", {**total, "errors": str(errors)})
    for verdict in verdicts:
        case = ET.SubElement(suite, "testcase", classname="gates", name=verdict.gate.name)
        if is_breach(verdict) and _counts(verdict):
            failure = ET.SubElement(case, "failure", message=verdict.reason)
            failure.text = f"{verdict.gate.text}: {verdict.reason}"
        elif _is_missing(verdict):
            ET.SubElement(case, "error", message=f"no data: {verdict.reason}")
        elif verdict.state is not State.PASS:
            ET.SubElement(case, "skipped", message=f"{verdict.state.value}: {verdict.reason}")
    if doubts:
        ET.SubElement(suite, "system-err").text = "\n".join(doubts)
    ET.indent(suite)
    head = "<?xml version='1.0' encoding='utf-8'?>\n"
    return head + ET.tostring(suite, encoding="unicode") + "\n"


def as_markdown(verdicts: Sequence[Verdict], doubts: Sequence[str] = ()) -> str:
    """Return a table for the summary of a CI run."""
    head = "| | gate | found |\n|---|---|---|\n"
    rows = [
        f"| **{state}** | `{gate.replace('|', chr(92) + '|')}` | {reason} |\n"
        for state, gate, reason in as_rows(verdicts)
    ]
    told = "".join(f"\nDoubt: {doubt}\n" for doubt in doubts)
    return head + "".join(rows) + told


FORMATS = {"table": as_text, "json": as_json, "junit": as_junit, "markdown": as_markdown}


def _counts(verdict: Verdict) -> bool:
    return verdict.gate.severity == "error"


def _is_missing(verdict: Verdict) -> bool:
    missing = verdict.state is State.NO_DATA and verdict.gate.on_no_data == "report"
    return missing and _counts(verdict)
