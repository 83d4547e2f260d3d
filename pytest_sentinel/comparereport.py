"""A comparison of two runs as text: rows for a terminal, JSON, Markdown. Writes nothing itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from pytest_sentinel.comparing import BETTER, NEW, SAME, WORSE, Change
from pytest_sentinel.gates import format_value

_ORDER = (WORSE, BETTER, NEW, "gone", SAME)


def as_rows(lines: Sequence[Change]) -> list[tuple[str, str, str, str, str]]:
    """Return (verdict, name, before, after, change) for each, what is news first."""
    return [
        (
            line.verdict,
            line.name,
            _shown(line.before, line.unit),
            _shown(line.after, line.unit),
            _told(line),
        )
        for line in sorted(lines, key=lambda line: _ORDER.index(line.verdict))
    ]


def as_text(lines: Sequence[Change], doubts: Sequence[str] = ()) -> str:
    """Return a table for a terminal or a log."""
    rows = [("", "", "before", "after", ""), *as_rows(lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    told = [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}  {e}".rstrip()
        for a, b, c, d, e in rows
    ]
    return "\n".join([*told, *_closing(lines, doubts)]) + "\n"


def as_json(lines: Sequence[Change], doubts: Sequence[str] = ()) -> str:
    """Return an object with all lines; values in base units."""
    told = {
        "verdict": _overall(lines),
        "doubts": list(doubts),
        "lines": [
            {
                "name": line.name,
                "unit": line.unit,
                "before": line.before,
                "after": line.after,
                "change": line.share,
                "by_chance": line.by_chance,
                "verdict": line.verdict,
            }
            for line in lines
        ],
    }
    return json.dumps(told, indent=2) + "\n"


def as_markdown(lines: Sequence[Change], doubts: Sequence[str] = ()) -> str:
    """Return a table for the summary of a CI run."""
    rows = ["| | | before | after | |", "|---|---|---:|---:|---|"]
    for verdict, name, before, after, told in as_rows(lines):
        word = f"**{verdict}**" if verdict == WORSE else verdict
        rows.append(
            f"| {word} | `{name.replace('|', chr(92) + '|')}` | {before} | {after} | {told} |"
        )
    return "\n".join([*rows, "", *_closing(lines, doubts)]) + "\n"


FORMATS = {"table": as_text, "json": as_json, "markdown": as_markdown}


def _overall(lines: Sequence[Change]) -> str:
    verdicts = {line.verdict for line in lines}
    return next((word for word in (WORSE, BETTER) if word in verdicts), SAME)


def _closing(lines: Sequence[Change], doubts: Sequence[str]) -> list[str]:
    counts = Counter(line.verdict for line in lines)
    told = ", ".join(f"{counts[word]} {word}" for word in _ORDER if counts[word])
    return [f"Doubt: {doubt}" for doubt in doubts] + [f"{_overall(lines)}: {told or 'nothing'}"]


def _shown(value: float | None, unit: str) -> str:
    return "-" if value is None else format_value(value, unit)


def _told(line: Change) -> str:
    if line.share is None:
        return "within noise" if line.by_chance and line.before != line.after else ""
    told = f"{line.share * 100:+.1f} %"
    return told + (", within noise" if line.by_chance and line.share else "")
