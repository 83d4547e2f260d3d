"""Percentiles to 1 %, whatever the size of the values and however many histograms they came by."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sentinel.load.histogram import Histogram

DURATIONS = st.lists(st.floats(min_value=1e-6, max_value=1e5), min_size=1, max_size=200)


def of(*values: float) -> Histogram:
    """Return a histogram of ``values``."""
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def exact(values: list[float], share: float) -> float:
    """Return the quantile of all values, by the same rank."""
    return sorted(values)[(math.ceil(share * len(values)) or 1) - 1]


@given(DURATIONS, st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0]))
def test_a_quantile_is_off_by_no_more_than_one_percent(values: list[float], share: float) -> None:
    """The error is relative to the value."""
    found = of(*values).quantile(share)

    assert found is not None
    assert abs(found - exact(values, share)) <= 0.01 * exact(values, share)


@given(DURATIONS, DURATIONS)
def test_merging_loses_nothing(one: list[float], two: list[float]) -> None:
    """Two merged histograms say what one of all values says."""
    merged = of(*one)
    merged.merge(of(*two))

    both = of(*one, *two)
    assert merged.buckets == both.buckets
    assert (merged.count, merged.lowest, merged.highest) == (both.count, both.lowest, both.highest)
    assert merged.total == pytest.approx(both.total)


def test_nothing_has_no_quantile_and_no_mean() -> None:
    """Without values there is no answer, rather than a zero."""
    assert of().quantile(0.5) is None
    assert of().mean() is None


def test_ends_and_mean_are_exact() -> None:
    """What can be kept exactly is."""
    histogram = of(0.2, 0.4, 1.2)

    assert (histogram.lowest, histogram.highest) == (0.2, 1.2)
    assert histogram.mean() == pytest.approx(0.6)
    assert histogram.quantile(1.0) == 1.2


def test_values_too_small_for_a_bucket_count_as_zero() -> None:
    """A shift of nothing, and a clock that went back, are zero."""
    histogram = of(0.0, -3.0, 1e-9, 5.0)

    assert histogram.quantile(0.75) == 0.0
    assert histogram.quantile(1.0) == 5.0
    assert (histogram.zeros, histogram.count, histogram.lowest) == (3, 4, 0.0)


def test_a_share_above_one_is_the_highest() -> None:
    """Rounding above the last rank falls on the last value."""
    assert of(1.0, 2.0).quantile(1.000001) == 2.0


def test_values_stand_for_buckets_in_order() -> None:
    """Each value comes with how many it stands for."""
    told = list(of(0.0, 1.0, 1.0, 9.0).values())

    assert [count for _, count in told] == [1, 2, 1]
    assert [value for value, _ in told] == sorted(value for value, _ in told)


def test_it_travels() -> None:
    """Empty or not, a histogram survives the wire."""
    for histogram in (of(), of(0.0, 3.0, 0.01)):
        data = msgspec.msgpack.encode(histogram)

        assert msgspec.msgpack.decode(data, type=Histogram) == histogram
