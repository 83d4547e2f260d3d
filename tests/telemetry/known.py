"""A day of metrics of which everything is known: every metric of the catalogue, in a few series.

Counters rise evenly, gauges stand still, and histograms keep their shape, so that what a panel
must show can be worked out by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TextIO

from pytest_sentinel.telemetry.catalogue import BY_NAME, CATALOGUE, Series

STEP: Final = 120
DAY: Final = 86_400
VALUES: Final = {
    "suite": ("desk", "shop"),
    "browser": ("chromium", "firefox"),
    "branch_class": ("main",),
    "outcome": ("passed", "failed", "skipped"),
    "failure": ("product", "infrastructure", "harness"),
    "phase": ("setup", "call", "teardown"),
    "worker": ("gw0", "gw1"),
    "leftover": ("context", "page"),
    "reason": ("start", "tests", "crash"),
    "vital": ("ttfb", "fcp", "lcp", "inp"),
    "level": ("error", "warning"),
    "resource": ("document", "image"),
    "result": ("ok", "http_4xx"),
    "transport": ("file", "push"),
    "metric": ("sentinel_tests_total",),
    "slo": ("error_ratio",),
    "gate": ("leaks", "waits"),
    "version": ("0.1.0",),
    "python": ("3.13.1",),
    "playwright": ("1.56.0",),
    "engine": ("chromium",),
    "state": ("ready", "leased", "open"),
    "kind": ("used", "budget"),
    "cause": ("chromium", "timeout", "ok"),
    "status": ("503",),
    "task": ("browse", "buy"),
    "verdict": ("ok", "failed"),
}
JOBS: Final = {
    "run": "sentinel-run", "last": "sentinel", "service": "sentinel-serve", "load": "sentinel-load",
}  # fmt: skip
FIXED: Final = {
    "sentinel_pool_utilisation_ratio": 0.5,
    "sentinel_pool_ready": 1.0,
    "sentinel_run_quality_gate_passed": 1.0,
    "sentinel_build_info": 1.0,
    "sentinel_page_layout_shift_score": 0.0,
}
FOREIGN: Final = (
    ('up{job="sentinel-serve",instance="a:1"}', 1.0),
    ('up{job="sentinel-run",instance="b:1"}', 1.0),
    ('scrape_samples_scraped{job="sentinel-serve",instance="a:1"}', 321.0),
    ('ALERTS{alertname="SentinelWatchdog",alertstate="firing",severity="none"}', 1.0),
)


@dataclass(frozen=True)
class Known:
    """One labelled member of a metric; ``weight`` sets its value or its rate."""

    series: Series
    labels: dict[str, str]
    weight: int

    def number(self, elapsed: float, at: float) -> float:
        """Return the value of a counter or gauge at a moment."""
        if self.series.kind == "counter":
            return rate(self.weight) * elapsed
        if self.series.name.endswith("_timestamp_seconds"):
            return at - at % 3600  # on the hour
        return FIXED.get(self.series.name, 10.0 * self.weight)

    def buckets(self, elapsed: float) -> Iterator[tuple[str, float]]:
        """Yield each bound of a histogram with how many are below it."""
        below = 0.0
        bounds = [*map(str, self.series.buckets), "+Inf"]
        for bound, share in zip(bounds, shares(self.series), strict=True):
            below += share
            yield bound, below * rate(self.weight) * elapsed


def rate(weight: int) -> float:
    """Return by how much a counter of this weight rises in a second."""
    return 0.01 * weight


def shares(series: Series) -> list[float]:
    """Return which share of a histogram's values is in which of its buckets."""
    weights = [index % 3 + 1 for index in range(len(series.buckets))] + [0]
    return [weight / sum(weights) for weight in weights]


def quantile(q: float, series: Series) -> float:
    """Return a quantile of a histogram by hand: linear within its bucket."""
    below, low = 0.0, 0.0
    for bound, share in zip(series.buckets, shares(series), strict=False):
        if below + share >= q:
            return low + (bound - low) * (q - below) / share
        below, low = below + share, bound
    raise AssertionError("unreachable: the last bucket is empty")


def members(series: Series) -> list[Known]:
    """Return the labelled members of a metric."""
    combinations = itertools.product(*(VALUES[label] for label in series.labels))
    return [
        Known(series, dict(zip(series.labels, values, strict=True)), weight)
        for weight, values in enumerate(combinations, start=1)
    ]


def named(name: str, **labels: str) -> list[Known]:
    """Return the members of a metric that have these labels."""
    found = members(BY_NAME[f"sentinel_{name}"])
    return [one for one in found if labels.items() <= one.labels.items()]


def write(file: TextIO, start: int) -> None:
    """Write a day from ``start`` on as OpenMetrics."""
    for series in CATALOGUE:
        for one in members(series):
            given = {"job": JOBS[series.source], "instance": "b:1", **one.labels}
            for at in range(start, start + DAY + 1, STEP):
                for name, more, value in _samples(one, at - start, at):
                    words = ",".join(f'{k}="{v}"' for k, v in {**given, **more}.items())
                    file.write(f"{name}{{{words}}} {value} {at}\n")
    for name, value in FOREIGN:
        for at in range(start, start + DAY + 1, STEP):
            file.write(f"{name} {value} {at}\n")
    file.write("# EOF\n")


def _samples(one: Known, elapsed: int, at: int) -> Iterator[tuple[str, dict[str, str], float]]:
    if one.series.kind != "histogram":
        yield one.series.name, {}, one.number(elapsed, at)
        return
    total = 0.0
    for bound, total in one.buckets(elapsed):
        yield f"{one.series.name}_bucket", {"le": bound}, total
    yield f"{one.series.name}_count", {}, total
    yield f"{one.series.name}_sum", {}, total
