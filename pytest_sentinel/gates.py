"""Thresholds on a run: parse, evaluate; pass, fail or no data. Pure.

An expression reads ``browser_tests{suite="e2e"}: p(95) < 2s [min_samples=20]``. Law: a gate never
guesses. What nobody measured is ``no data``, never a pass; a name, a word or a unit that is not
known is refused before anything runs.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pytest_sentinel.errors import GateError
from pytest_sentinel.telemetry.samples import MEASURED, Column, Samples, Value
from pytest_sentinel.units import format_duration, format_size, parse_duration, parse_size

PASSED, BREACHED, WITHOUT_DATA = 0, 99, 98

_GATE = re.compile(
    r"""(?P<metric>\w+)\s*(?:\{(?P<labels>[^}]*)\})?\s*:\s*
        (?P<aggregation>\w+(?:\(\s*[\d.]+\s*\))?)\s*(?P<operator><=|>=|==|!=|<|>)\s*
        (?P<limit>[^\[\]]+?)\s*(?:\[(?P<options>[^\]]*)\])?""",
    re.VERBOSE,
)
_LABEL = re.compile(r"\s*(\w+)\s*=\s*\"([^\"]*)\"\s*")
_QUANTILE = re.compile(r"p\(\s*(\d+(?:\.\d+)?)\s*\)")
_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_AGGREGATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "trend": ("p(N)", "avg", "med", "min", "max", "count"),
    "rate": ("rate", "count"),
    "count": ("count",),
    "gauge": ("value", "avg", "min", "max"),
}
# What iterations of load measure says nothing where most of them never ended.
_ENDED: Final = "iterations_ended"
_OF_ITERATIONS: Final = (
    *("load_iterations", "load_requests", "error_rate", "pool_wait"),
    *("ttfb", "fcp", "lcp", "inp", "cls"),
)
_FIXES: Final = "browser_tests: p(95) < 2s"

PRESETS: Final[Mapping[str, str]] = {
    "slo": """
        pool_wait: p(95) < 200ms
        error_rate: rate < 0.1%
        worker_memory: max < 512MiB
        pool_utilization: avg < 80%
        uptime: rate > 99.9%
        leaks: count == 0
        coverage: value >= 80%
    """,
    "run": """
        infrastructure_rate: rate == 0%
        harness_rate: rate == 0%
        worker_memory: max < 512MiB
        leaks: count == 0
    """,
}


class State(Enum):
    """What a gate says."""

    PASS = "pass"  # noqa: S105 # nosec B105
    FAIL = "fail"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class Gate:
    """One threshold.

    Attributes:
        text: the expression, without its options.
        limit: in base units: seconds, bytes, a ratio.
        min_samples: fewer observations than these are no data.
        on_no_data: what no data means for the run: ``report`` (exit status 98), ``fail``
            (as a breach) or ``pass``. It is shown as no data whatever it means.
        severity: ``error``, or ``warn``: shown, and changes no exit status.
    """

    text: str
    metric: str
    labels: Mapping[str, str]
    aggregation: str
    operator: str
    limit: float
    min_samples: int = 1
    on_no_data: str = "report"
    severity: str = "error"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says of a run; ``value`` is None without data.

    Attributes:
        why: why there are no data although there are samples; may be empty.
    """

    gate: Gate
    state: State
    value: float | None
    samples: int
    why: str = ""

    @property
    def reason(self) -> str:
        """Say it in a sentence, with the numbers."""
        if self.why:
            return self.why
        unit = MEASURED[self.gate.metric].unit if self.gate.aggregation != "count" else ""
        if self.value is None:
            few = f"{self.samples} of at least {self.gate.min_samples} samples"
            return "nothing was measured" if not self.samples else few
        shown = format_value(self.value, unit)
        return f"{shown} ({self.samples} {'sample' if self.samples == 1 else 'samples'})"


@dataclass(slots=True)
class _Options:
    min_samples: int = 1
    on_no_data: str = "report"
    severity: str = "error"
    name: str = ""


def parse(text: str) -> Gate:
    """Return the gate that ``text`` writes.

    Raises:
        GateError: it is no gate, or names a metric, label, aggregation, unit or option that is
            not known; says which are.
    """
    match = _GATE.fullmatch(text.strip())
    if match is None:
        raise GateError(text, "is not METRIC: AGGREGATION OPERATOR LIMIT", _FIXES)
    metric = match["metric"]
    measured = MEASURED.get(metric)
    if measured is None:
        raise GateError(text, f"has no known metric; {metric!r} is none of {_words(MEASURED)}")
    labels = _labels(text, match["labels"] or "", measured.labels)
    aggregation = re.sub(r"\s", "", match["aggregation"])
    _check_aggregation(text, aggregation, measured.shape)
    unit = "" if aggregation == "count" else measured.unit
    limit = _limit(text, match["limit"].strip(), unit)
    options = _options(text, match["options"] or "")
    shown = text.strip().partition("[")[0].strip()
    return Gate(
        shown, metric, labels, aggregation, match["operator"], limit,
        options.min_samples, options.on_no_data, options.severity, options.name or shown,
    )  # fmt: skip


def parse_all(text: str) -> tuple[Gate, ...]:
    """Return the gates in ``text``, one in a line; ``#`` begins a comment.

    Raises:
        GateError: a line is no gate, or there is none.
    """
    rows = [re.sub(r"(^|\s)#.*", "", row).strip() for row in text.splitlines()]
    gates = tuple(parse(row) for row in rows if row)
    if not gates:
        raise GateError(text.strip(), "has no gate", _FIXES)
    return gates


def evaluate(gates: Iterable[Gate], samples: Samples) -> list[Verdict]:
    """Return what each gate says of what was measured."""
    ends = samples.values.get(_ENDED, ())
    return [_judge(gate, samples.values.get(gate.metric) or Column(), ends) for gate in gates]


def needed(gates: Iterable[Gate]) -> frozenset[str]:
    """Return the metrics that it takes to judge gates."""
    metrics = {gate.metric for gate in gates}
    return frozenset(metrics | {_ENDED} if metrics & set(_OF_ITERATIONS) else metrics)


def exit_status(verdicts: Iterable[Verdict]) -> int:
    """Return 99 for a breach, else 98 where data are missing, else 0."""
    found = [verdict for verdict in verdicts if verdict.gate.severity == "error"]
    if any(is_breach(verdict) for verdict in found):
        return BREACHED
    missing = [verdict for verdict in found if verdict.state is State.NO_DATA]
    if any(verdict.gate.on_no_data == "report" for verdict in missing):
        return WITHOUT_DATA
    return PASSED


def is_breach(verdict: Verdict) -> bool:
    """Tell whether the gate failed, or has no data where that counts as much."""
    if verdict.state is State.NO_DATA:
        return verdict.gate.on_no_data == "fail"
    return verdict.state is State.FAIL


def quantile(values: Sequence[float], q: float) -> float:
    """Return the ``q``-quantile of ``values``, between neighbours by linear interpolation."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * q
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def format_value(value: float, unit: str) -> str:
    """Return a value of a gate as people write it."""
    if unit == "seconds":
        return format_duration(value)
    if unit == "bytes":
        return format_size(value)
    if unit == "ratio":
        return f"{value * 100:.4g} %"
    return f"{value:.6g}"


def _judge(gate: Gate, values: Column, ends: Iterable[Value] = ()) -> Verdict:
    found = values.narrowed(gate.labels)
    if len(found) < max(1, gate.min_samples):
        return Verdict(gate, State.NO_DATA, None, len(found))
    if gate.metric in _OF_ITERATIONS and (why := _unended(gate, ends)):
        return Verdict(gate, State.NO_DATA, None, len(found), why)
    value = _aggregate(gate, found)
    holds = _OPERATORS[gate.operator](value, gate.limit)
    return Verdict(gate, State.PASS if holds else State.FAIL, value, len(found))


def _unended(gate: Gate, ends: Iterable[Value]) -> str:
    """Say that most of the iterations that a gate is about never ended; empty if they did."""
    task = gate.labels.get("task")
    scenario = None if task is None else task.partition("/")[0]
    found = [
        value.value for value in ends if scenario is None or value.labels.get("task") == scenario
    ]
    ended = sum(found)
    return f"only {ended:.0f} of {len(found)} iterations ended" if 2 * ended < len(found) else ""


def _aggregate(gate: Gate, found: Column) -> float:
    numbers = found.numbers
    quantiles = _QUANTILE.fullmatch(gate.aggregation)
    if quantiles is not None:
        return quantile(numbers, float(quantiles[1]) / 100)
    if gate.aggregation == "count":
        return float(len(numbers)) if MEASURED[gate.metric].shape == "trend" else sum(numbers)
    if gate.aggregation == "med":
        return quantile(numbers, 0.5)
    if gate.aggregation in ("min", "max"):
        return (min if gate.aggregation == "min" else max)(numbers)
    if gate.aggregation == "value":
        return found.latest()
    return sum(numbers) / len(numbers)


def _labels(text: str, written: str, known: Sequence[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for part in filter(str.strip, written.split(",")):
        match = _LABEL.fullmatch(part)
        if match is None:
            raise GateError(text, f'{part.strip()!r} is not LABEL="VALUE"')
        if match[1] not in known:
            choice = _words(known) or "nothing"
            raise GateError(text, f"cannot be narrowed down by {match[1]!r}, only by {choice}")
        labels[match[1]] = match[2]
    return labels


def _check_aggregation(text: str, aggregation: str, shape: str) -> None:
    match = _QUANTILE.fullmatch(aggregation)
    if match is not None and float(match[1]) > 100:
        raise GateError(text, "asks for a quantile above p(100)")
    if ("p(N)" if match is not None else aggregation) not in _AGGREGATIONS[shape]:
        raise GateError(
            text, f"{aggregation!r} is none of {_words(_AGGREGATIONS[shape])} of a {shape}"
        )


def _limit(text: str, written: str, unit: str) -> float:
    try:
        if unit == "seconds":
            return parse_duration(written)
        if unit == "bytes":
            return float(parse_size(written))
        if unit == "ratio" and written.endswith("%"):
            return float(written[:-1]) / 100
        return float(written)
    except ValueError:
        kinds = {"seconds": "a duration", "bytes": "a size", "ratio": "a share such as 0.1%"}
        raise GateError(text, f"{written!r} is not {kinds.get(unit, 'a number')}") from None


def _options(text: str, written: str) -> _Options:
    options = _Options()
    for part in filter(None, map(str.strip, written.split(","))):
        name, _, value = (word.strip() for word in part.partition("="))
        if name == "min_samples" and value.isdecimal() and int(value):
            options.min_samples = int(value)
        elif name == "on_no_data" and value in ("report", "fail", "pass"):
            options.on_no_data = value
        elif name == "severity" and value in ("error", "warn"):
            options.severity = value
        elif name == "name" and value:
            options.name = value
        else:
            raise GateError(
                text,
                f"{part!r} is none of min_samples=N, on_no_data=report|fail|pass,"
                " severity=error|warn, name=TEXT",
            )
    return options


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
