"""Compare two runs: better, same or worse, line by line, with the noise considered. Pure.

Law: chance alone is never ``worse``. A figure has changed when chance does not explain it, and it
moved by more than a threshold, since a machine is never twice the same. Chance explains it where
the ranges of the two runs meet: those of 95 % confidence, half again as wide, as there are many
lines. They are by ranks for quantiles (open at the end that a run is too short for), by Student's t
for means, by Wilson for shares, by Poisson for counts. Tests that both runs have are compared each
with itself: how long a test takes differs less from run to run than from the next test.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_sentinel.gates import quantile
from pytest_sentinel.telemetry.record import Attempt, Line, Run
from pytest_sentinel.telemetry.samples import MEASURED, Column, Samples
from pytest_sentinel.telemetry.unfinished import Unfinished

THRESHOLD: Final = 0.1
BETTER, SAME, WORSE, NEW, GONE = "better", "same", "worse", "new", "gone"
SCHEMA: Final = 1
_SURE: Final = 1.96
_SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
# Of equal runs three lines in 100,000 are so far apart; at 95 % it would be three in a comparison.
_WIDER: Final = 1.5
_FEWEST: Final = 10
# What is too small to be told, whatever its share is.
_FLOORS: Final = {"seconds": 0.001, "bytes": 1024.0 * 1024.0, "ratio": 0.001}
_OPEN: Final = math.inf


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a run, and the range in which chance within the run puts it."""

    value: float
    low: float
    high: float
    unit: str = ""
    more_is_better: bool = False


@dataclass(slots=True)
class Told:
    """What a run tells.

    Attributes:
        figures: by name, such as ``GET /meals p95``.
        seconds: how long each test took, by its node id, where it passed.
        memory: what its worker and browsers held at most.
        doubts: why the figures cannot be trusted.
    """

    figures: dict[str, Figure] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a comparison; None where a run has no such figure.

    Attributes:
        verdict: ``better``, ``same``, ``worse``, ``new`` or ``gone``.
        by_chance: whether chance within the runs explains the difference.
    """

    name: str
    unit: str
    before: float | None
    after: float | None
    verdict: str
    by_chance: bool = False

    @property
    def share(self) -> float | None:
        """By how much of itself it changed; None where that says nothing."""
        if not self.before or self.after is None:
            return None
        return self.after / self.before - 1


# What runs tell


def read_summary(summary: Mapping[str, Any]) -> Told:
    """Return what the summary of a load run tells, as ``--sentinel-summary`` writes it.

    Raises:
        ValueError: it is no such summary; says why.
    """
    if summary.get("schema") != SCHEMA:
        raise ValueError(f"is no summary of schema {SCHEMA} (--sentinel-summary)")
    told = Told(doubts=[str(doubt) for doubt in summary.get("doubts", ())])
    try:
        for name in ("iterations", "requests"):
            told.figures[f"{name} per second"] = _per_second(summary[name], summary["seconds"])
        for name, row in summary["endpoints"].items():
            _add_endpoint(told, name.removeprefix("STEP "), row)
        _add_endpoint(told, "all requests", summary["total"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"is a damaged summary: {error!r}") from None
    return told


def read_lines(lines: Iterable[Line]) -> Told:
    """Return what the lines of a record tell."""
    told, unfinished, samples = Told(), Unfinished(), Samples()
    for line in unfinished.follow(lines):
        if isinstance(line, Run):
            samples.settle()
        samples.add(line)
        if isinstance(line, Attempt) and line.outcome == "passed":
            told.seconds[line.nodeid] = line.seconds
            if peak := sum(memory.peak or 0 for memory in line.memory.values()):
                told.memory[line.nodeid] = float(peak)
    samples.settle()
    told.doubts += unfinished.notes()
    for metric, values in samples.values.items():
        _add_metric(told, metric, values)
    return told


def _add_endpoint(told: Told, name: str, row: Mapping[str, Any]) -> None:
    requests, errors = int(row["requests"]), int(row["errors"])
    told.figures[f"{name} errors"] = share_of(errors, requests)
    for word in ("mean", *_SHARES) if requests else ():
        low, high = row["ranges"][word]
        if word in _SHARES:
            low, high = _opened(low, high, _SHARES[word], requests)
        told.figures[f"{name} {word}"] = Figure(row[word], low, high, "seconds")


def _add_metric(told: Told, metric: str, values: Column) -> None:
    measured = MEASURED[metric]
    for task, numbers in values.split("task").items():
        name = task or metric
        if measured.shape == "rate":
            good = metric == "uptime"
            word = f"{task} errors" if task else metric
            told.figures[word] = share_of(int(sum(numbers)), len(numbers), more_is_better=good)
        elif measured.shape == "count":
            told.figures[f"{metric} per attempt"] = _per_attempt(sum(numbers), len(numbers))
        elif measured.shape == "trend" and metric not in ("tests", "browser_tests"):
            ordered = array("d", sorted(numbers))  # and sorting again costs next to nothing
            told.figures[f"{name} mean"] = mean_of(ordered, measured.unit)
            for word, share in _SHARES.items():
                told.figures[f"{name} {word}"] = quantile_of(ordered, share, measured.unit)


# The ranges of chance


def quantile_of(numbers: Sequence[float], share: float, unit: str = "") -> Figure:
    """Return a quantile; between what it lies is told by ranks, and assumes no shape."""
    margin = _SURE * math.sqrt(share * (1 - share) / len(numbers))
    low = quantile(numbers, max(0.0, share - margin))
    high = quantile(numbers, min(1.0, share + margin))
    return Figure(quantile(numbers, share), *_opened(low, high, share, len(numbers)), unit)


def mean_of(numbers: Sequence[float], unit: str = "") -> Figure:
    """Return a mean; of one number alone nobody knows how far it may be off."""
    mean = sum(numbers) / len(numbers)
    margin = _margin(numbers)
    return Figure(mean, mean - margin, mean + margin, unit)


def share_of(number: int, total: int, *, more_is_better: bool = False) -> Figure:
    """Return ``number`` of ``total`` as a share, with Wilson's range."""
    if not total:
        return Figure(0.0, 0.0, 1.0, "ratio", more_is_better)
    share, square = number / total, _SURE * _SURE
    middle = (share + square / (2 * total)) / (1 + square / total)
    inner = share * (1 - share) / total + square / (4 * total * total)
    margin = _SURE * math.sqrt(inner) / (1 + square / total)
    return Figure(share, middle - margin, middle + margin, "ratio", more_is_better)


def _per_second(number: float, seconds: float) -> Figure:
    return _scaled(number, 1 / seconds if seconds else 0.0, more_is_better=True)


def _per_attempt(number: float, attempts: int) -> Figure:
    return _scaled(number, 1 / attempts)


def _scaled(number: float, by: float, *, more_is_better: bool = False) -> Figure:
    low = (math.sqrt(number) - _SURE / 2) ** 2 if number >= 1 else 0.0
    high = (math.sqrt(number + 1) + _SURE / 2) ** 2
    return Figure(number * by, low * by, high * by, "", more_is_better)


def _opened(low: float, high: float, share: float, count: int) -> tuple[float, float]:
    """Return a range whose end is open where ``count`` numbers do not reach to it."""
    margin = _SURE * math.sqrt(share * (1 - share) / count)
    return (0.0 if share - margin <= 0 else low), (_OPEN if share + margin >= 1 else high)


def _margin(numbers: Sequence[float]) -> float:
    """Return how far a mean may be off: Student's t, from above for few numbers."""
    count = len(numbers)
    if count < 2:
        return _OPEN
    mean = sum(numbers) / count
    deviation = math.sqrt(sum((number - mean) ** 2 for number in numbers) / (count - 1))
    free = count - 1
    student = _SURE + 2.4 / free + 8.4 / (free * free * math.sqrt(free))
    return student * deviation / math.sqrt(count)


# The judge


def compare(before: Told, after: Told, threshold: float = THRESHOLD) -> list[Change]:
    """Return a line for each figure that one of the runs has."""
    lines = []
    for name, what, unit in (
        ("tests, each with itself", "seconds", "seconds"),
        ("memory, each test with itself", "memory", "bytes"),
    ):
        pairs = _pairs(getattr(before, what), getattr(after, what))
        if pairs:
            lines.append(_paired(name, pairs, unit, threshold))
    for name in {**before.figures, **after.figures}:
        if name not in before.figures:
            figure = after.figures[name]
            lines.append(Change(name, figure.unit, None, figure.value, NEW))
        elif name not in after.figures:
            figure = before.figures[name]
            lines.append(Change(name, figure.unit, figure.value, None, GONE))
        else:
            lines.append(_judge(name, before.figures[name], after.figures[name], threshold))
    return lines


def _judge(name: str, before: Figure, after: Figure, threshold: float) -> Change:
    moved = after.value - before.value
    if moved > 0:
        by_chance = _ends(after)[0] <= _ends(before)[1]
    else:
        by_chance = _ends(before)[0] <= _ends(after)[1]
    floor = _FLOORS.get(before.unit, 0.0)
    is_small = abs(moved) <= max(threshold * abs(before.value), floor)
    verdict = SAME
    if not (by_chance or is_small):
        verdict = BETTER if (moved > 0) == before.more_is_better else WORSE
    return Change(name, before.unit, before.value, after.value, verdict, by_chance)


def _ends(figure: Figure) -> tuple[float, float]:
    """Return the ends of the range, half again as far away."""
    value = figure.value
    return value - _WIDER * (value - figure.low), value + _WIDER * (figure.high - value)


def _pairs(before: Mapping[str, float], after: Mapping[str, float]) -> list[tuple[float, float]]:
    both = [(one, after[name]) for name, one in before.items() if name in after]
    return [(one, two) for one, two in both if one > 0 and two > 0]


def _paired(name: str, pairs: Sequence[tuple[float, float]], unit: str, threshold: float) -> Change:
    """Judge by the quotients of tests that are in both runs; their logarithms scatter evenly."""
    changes = [math.log(two / one) for one, two in pairs]
    middle, margin = sum(changes) / len(changes), _margin(changes)
    # As sure as two ranges that do not meet.
    by_chance = len(pairs) < _FEWEST or abs(middle) <= math.sqrt(2) * _WIDER * margin
    quotient = math.exp(middle)
    verdict = SAME
    if not by_chance and abs(quotient - 1) > threshold:
        verdict = WORSE if middle > 0 else BETTER
    before = sum(one for one, _ in pairs) / len(pairs)
    return Change(name, unit, before, before * quotient, verdict, by_chance)


def is_worse(lines: Iterable[Change]) -> bool:
    """Tell whether anything is worse."""
    return any(line.verdict == WORSE for line in lines)
