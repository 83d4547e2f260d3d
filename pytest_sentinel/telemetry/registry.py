"""Metrics as prometheus-client has them: what is scraped, pushed and written as OpenMetrics.

A registry of our own, never the default one; nothing here decides what a metric is called.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import Exemplar, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Timestamp

from pytest_sentinel.telemetry.catalogue import Series
from pytest_sentinel.telemetry.measures import Key, Measures, Spread, Table, hash_test
from pytest_sentinel.telemetry.record import Line

RUN = ("run",)
LAST = ("last",)


class LiveMeasures:
    """Measures that one thread adds to while others read them."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures
        self._lock = threading.Lock()

    def add(self, line: Line) -> None:
        """Take one line of the record."""
        with self._lock:
            self._measures.add(line)

    def count(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Add to a counter."""
        with self._lock:
            self._measures.count(name, *labels, by=by)

    def table(self) -> Table:
        """Return all values as they are now."""
        with self._lock:
            return self._measures.table.copy()


class RunFigures(Collector):
    """Reads the measures of a run whenever somebody scrapes."""

    def __init__(self, table: Callable[[], Table], sources: Sequence[str] = RUN) -> None:
        self._table = table
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yield every family that has a value."""
        table = self._table()
        for series in table.series():
            if series.source in self._sources:
                yield _family(series, [(None, table)])


def registry_of(figures: Collector) -> CollectorRegistry:
    """Return a registry with these figures alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(figures)
    return registry


class _Past(Collector):
    def __init__(self, moments: Sequence[tuple[float, Table]]) -> None:
        self._moments = moments

    def collect(self) -> Iterator[Metric]:
        for series in self._moments[-1][1].series() if self._moments else ():
            yield _family(series, self._moments)


def as_openmetrics(moments: Sequence[tuple[float, Table]]) -> bytes:
    """Return tables with their moments (oldest first) as one OpenMetrics text with timestamps."""
    text: bytes = generate_openmetrics(registry_of(_Past(moments)))  # type: ignore[no-untyped-call]
    return text


def _family(series: Series, moments: Iterable[tuple[float | None, Table]]) -> Metric:
    family = Metric(series.family, series.help, series.kind)
    # All moments of one series come together, as the format wants it.
    told = list(moments)
    keys: dict[Key, None] = {}
    for _, table in told:
        keys.update(dict.fromkeys(table.numbers.get(series.name, ())))
        keys.update(dict.fromkeys(table.spreads.get(series.name, ())))
    for key in keys:
        labels = dict(zip(series.labels, key, strict=True))
        for at, table in told:
            moment = Timestamp(int(at), int(at % 1 * 1e9)) if at is not None else None
            number = table.numbers.get(series.name, {}).get(key)
            spread = table.spreads.get(series.name, {}).get(key)
            if number is not None:
                family.add_sample(series.name, labels, number, moment)
            if spread is not None:
                _add_spread(family, series, labels, spread, moment)
    return family


def _add_spread(
    family: Metric, series: Series, labels: dict[str, str], spread: Spread, at: Timestamp | None
) -> None:
    below = 0
    bounds = [*map(str, series.buckets), "+Inf"]
    for index, (bound, count) in enumerate(zip(bounds, spread.counts, strict=True)):
        below += count
        example = spread.examples.get(index)
        exemplar = None
        if example is not None:
            test, value, moment = example
            exemplar = Exemplar({"test": hash_test(test)}, value, moment or None)
        family.add_sample(f"{series.name}_bucket", {**labels, "le": bound}, below, at, exemplar)
    family.add_sample(f"{series.name}_count", labels, below, at)
    family.add_sample(f"{series.name}_sum", labels, spread.total, at)
