"""What two load runs are compared by: counts and times of each endpoint, in a few lines. Pure.

Beside each figure stands the range in which it lies as far as chance within the run goes, so that
whoever compares need not have the single times.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from pytest_sentinel.load.histogram import Histogram
from pytest_sentinel.load.outcome import doubts
from pytest_sentinel.load.tally import Outcome, Tally

SCHEMA: Final = 1
STEP: Final = "STEP"
_QUANTILES: Final = (0.5, 0.95, 0.99)
_SURE: Final = 1.96  # standard deviations of 95 % confidence
_ENDED: Final = (Outcome.PASSED.value, Outcome.FAILED.value)


def summary_of(tally: Tally, seconds: float) -> dict[str, Any]:
    """Return the summary of a run that took so many ``seconds``; durations are seconds, too."""
    tasks = dict(tally.tasks)
    for task, counts in tally.outcomes.items():
        if ended := sum(counts.get(outcome, 0) for outcome in _ENDED):
            tasks[task] = ended
    endpoints, total = {}, Histogram()
    errors = 0
    for name, histogram, failed in _measured(tally):
        endpoints[name] = _figures(histogram, failed)
        total.merge(histogram)
        errors += failed
    return {
        "schema": SCHEMA,
        "seconds": round(seconds, 3),
        "begun": tally.begun,
        "ended": tally.ended(),
        "iterations": sum(tasks.values()),
        "tasks": dict(sorted(tasks.items())),
        "requests": total.count,
        "errors": errors,
        "endpoints": dict(sorted(endpoints.items())),
        "total": _figures(total, errors),
        "doubts": doubts(tally),
    }


def range_of(histogram: Histogram, share: float) -> tuple[float, float]:
    """Return between what a quantile lies with 95 % confidence (by ranks; it assumes no shape)."""
    margin = _SURE * math.sqrt(share * (1 - share) / histogram.count)
    low, high = histogram.quantile(max(0.0, share - margin)), histogram.quantile(share + margin)
    assert low is not None, "bug: a range of nothing"
    assert high is not None, "bug: a range of nothing"
    return low, high


def _measured(tally: Tally) -> list[tuple[str, Histogram, int]]:
    def rows(
        kept: Mapping[str, Histogram], failures: Mapping[str, int], prefix: str = ""
    ) -> list[tuple[str, Histogram, int]]:
        return [(prefix + name, times, failures.get(name, 0)) for name, times in kept.items()]

    requests = rows(tally.requests, tally.request_failures)
    return requests + rows(tally.steps, tally.step_failures, f"{STEP} ")


def _figures(histogram: Histogram, errors: int) -> dict[str, Any]:
    mean, deviation = histogram.mean(), histogram.deviation()
    if mean is None or deviation is None:
        return {"requests": 0, "errors": errors}
    margin = _SURE * deviation / math.sqrt(histogram.count)
    quantiles = {f"p{share * 100:g}": histogram.quantile(share) for share in _QUANTILES}
    ranges = {f"p{share * 100:g}": range_of(histogram, share) for share in _QUANTILES}
    ranges["mean"] = (max(0.0, mean - margin), mean + margin)
    return {
        "requests": histogram.count,
        "errors": errors,
        **{name: _rounded(value) for name, value in {"mean": mean, "deviation": deviation}.items()},
        **{name: _rounded(value) for name, value in quantiles.items()},
        "ranges": {name: [_rounded(end) for end in ends] for name, ends in ranges.items()},
    }


def _rounded(seconds: float | None) -> float | None:
    # To a microsecond: what follows is noise, and fills the eye of who reads a difference.
    return None if seconds is None else round(seconds, 6)
