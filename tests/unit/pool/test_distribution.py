"""Durations by upper bound."""

from __future__ import annotations

from pytest_sentinel.pool.distribution import Distribution


def test_counts_are_cumulative() -> None:
    """A bound counts all that took no longer; the last counts everything."""
    found = Distribution((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        found.add(seconds)

    assert found.buckets() == [("0.1", 2), ("1.0", 3), ("+Inf", 4)]
    assert (found.count, round(found.total, 3)) == (4, 7.65)
