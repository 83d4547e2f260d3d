"""Read gates and what they need from disk: gate files, coverage files; gather their samples.

It decides nothing: gates.py says what a gate means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from pytest_sentinel.errors import GateError
from pytest_sentinel.gates import PRESETS, Gate, Verdict, parse_all
from pytest_sentinel.telemetry.record import GateVerdict
from pytest_sentinel.telemetry.samples import Samples

_EXPRESSION = re.compile(r"[<>!=]=?\s*[\d.]")


def read_gates(text: str, directory: Path) -> tuple[Gate, ...]:
    """Return the gates that ``text`` means: a preset's name, a file's name, or expressions.

    Several are parted by line ends or semicolons. A file is looked for in ``directory``.

    Raises:
        GateError: there is no such thing, or a gate makes no sense.
    """
    found: list[Gate] = []
    for part in filter(None, map(str.strip, re.split(r"[\n;]", text))):
        if part in PRESETS:
            found += parse_all(PRESETS[part])
        elif _EXPRESSION.search(part):
            found += parse_all(part)
        else:
            found += parse_all(_content(part, directory))
    if not found:
        raise GateError(text, "has no gate")
    return tuple(found)


def read_coverage(path: Path) -> float:
    """Return the share of lines that are covered, from coverage.py's JSON or a Cobertura XML.

    Raises:
        GateError: it cannot be read, or is neither.
    """
    # Runs with gates come by here, and few have such a file.
    from xml.etree import ElementTree as ET

    try:
        content = path.read_bytes()
        if path.suffix == ".xml":
            return float(ET.fromstring(content).attrib["line-rate"])  # noqa: S314 # nosec B314
        share = json.loads(content)["totals"]["percent_covered"]
        return float(share) / 100
    except (OSError, ValueError, KeyError, TypeError, ET.ParseError) as error:
        problem = f"cannot be read as coverage.json or coverage.xml: {error!r}"
        raise GateError(str(path), problem) from None


def take_coverage(samples: Samples, path: Path | None) -> None:
    """Note what a coverage file says; one that is not there leaves the gate without data.

    Raises:
        GateError: there is a file, and it cannot be read.
    """
    if path is not None and path.exists():
        samples.take("coverage", read_coverage(path), at=path.stat().st_mtime)


def lines_of(verdicts: Iterable[Verdict]) -> list[GateVerdict]:
    """Return verdicts as lines of a record."""
    return [
        GateVerdict(
            name=verdict.gate.name,
            text=verdict.gate.text,
            state=verdict.state.value,
            value=verdict.value,
            samples=verdict.samples,
            severity=verdict.gate.severity,
        )
        for verdict in verdicts
    ]


def _content(name: str, directory: Path) -> str:
    try:
        return (directory / name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        choice = ", ".join(PRESETS)
        problem = f"is no gate, no preset ({choice}) and no file: {error}"
        raise GateError(name, problem) from None
