"""Series as they were before anything had happened: all zero. Pure.

Law: what begins at its first event has no increase there. ``increase()`` sees what was added
between two scrapes, so a run, a new process each time, must have been seen at zero first: every
series of its counters and histograms, not only those that will have a value.
"""

from __future__ import annotations

from itertools import product

from pytest_sentinel.telemetry.catalogue import BY_NAME, CATALOGUE, DOMAINS, OTHER, Series
from pytest_sentinel.telemetry.measures import Spread, Table

_GROWING = ("counter", "histogram")


def zeros(suite: str) -> Table:
    """Return all series that a run of ``suite`` may come to have and that only grow, at zero."""
    table = Table()
    for series in CATALOGUE:
        values = [_values(label, suite) for label in series.labels]
        if series.source != "run" or series.kind not in _GROWING or not all(values):
            continue
        for key in product(*values):
            if series.kind == "counter":
                table.numbers.setdefault(series.name, {})[key] = 0.0
            else:
                table.spreads.setdefault(series.name, {})[key] = _nothing(series)
    return table


def with_zeros(table: Table, zero: Table) -> Table:
    """Return ``table`` with the series of ``zero`` that it lacks."""
    return Table(
        {name: {**zero.numbers.get(name, {}), **table.numbers.get(name, {})}
         for name in {**zero.numbers, **table.numbers}},
        {name: {**zero.spreads.get(name, {}), **table.spreads.get(name, {})}
         for name in {**zero.spreads, **table.spreads}},
    )  # fmt: skip


def at_zero(table: Table, zero: Table) -> Table:
    """Return ``table`` with everything that only grows at zero; gauges are as they are."""
    whole = with_zeros(table, zero)
    for name, values in whole.numbers.items():
        if BY_NAME[name].kind in _GROWING:
            whole.numbers[name] = dict.fromkeys(values, 0.0)
    for name, spreads in whole.spreads.items():
        whole.spreads[name] = {key: _nothing(BY_NAME[name]) for key in spreads}
    return whole


def _values(label: str, suite: str) -> tuple[str, ...]:
    domain = DOMAINS[label]
    if label == "suite":
        return (suite,)
    if isinstance(domain, int):
        return ()  # nobody knows yet what it may be
    return (*domain, OTHER) if label == "outcome" else domain


def _nothing(series: Series) -> Spread:
    return Spread([0] * (len(series.buckets) + 1))
