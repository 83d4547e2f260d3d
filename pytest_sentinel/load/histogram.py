"""Durations, counted so that any percentile is known to 1 %. Pure.

Buckets grow by a constant factor, so the error is a share of the value, whatever its size
(Masson, Rim and Lee, "DDSketch", VLDB 2019). Histograms of many processes add up to the histogram
that one process would have had.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

import msgspec

ACCURACY: Final = 0.008  # half a bucket, as a share of the value; below 1 % with room for rounding
_GROWTH: Final = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GROWTH: Final = math.log(_GROWTH)
_LEAST: Final = 1e-6  # what is smaller counts as zero: a microsecond, or a millionth of a shift


class Histogram(msgspec.Struct, array_like=True):
    """Counts by bucket, with what is known exactly beside them.

    Attributes:
        buckets: by number, how many values are in a bucket that ends at growth ** number.
        zeros: values too small for a bucket.
    """

    buckets: dict[int, int] = msgspec.field(default_factory=dict)
    zeros: int = 0
    count: int = 0
    total: float = 0.0
    lowest: float = math.inf
    highest: float = -math.inf

    def add(self, value: float) -> None:
        """Count one more value; one below zero counts as zero."""
        value = max(0.0, value)
        self.count += 1
        self.total += value
        self.lowest = min(self.lowest, value)
        self.highest = max(self.highest, value)
        if value < _LEAST:
            self.zeros += 1
            return
        number = math.ceil(math.log(value) / _LOG_GROWTH)
        self.buckets[number] = self.buckets.get(number, 0) + 1

    def merge(self, other: Histogram) -> None:
        """Count all that ``other`` counted."""
        for number, count in other.buckets.items():
            self.buckets[number] = self.buckets.get(number, 0) + count
        self.zeros += other.zeros
        self.count += other.count
        self.total += other.total
        self.lowest = min(self.lowest, other.lowest)
        self.highest = max(self.highest, other.highest)

    def quantile(self, share: float) -> float | None:
        """Return the value that ``share`` (0 to 1) of all values do not exceed; None if empty."""
        if not self.count:
            return None
        rank = math.ceil(share * self.count) or 1
        if rank >= self.count:
            return self.highest
        values, counts = zip(*self.values(), strict=True)
        ranks = enumerate(accumulate(counts))
        return float(values[next(place for place, seen in ranks if seen >= rank)])

    def mean(self) -> float | None:
        """Return the mean, which is exact; None if empty."""
        return self.total / self.count if self.count else None

    def deviation(self) -> float | None:
        """Return the standard deviation, known to 1 %; None if empty."""
        mean = self.mean()
        if mean is None:
            return None
        squares = sum(count * (value - mean) ** 2 for value, count in self.values())
        return math.sqrt(squares / self.count)

    def values(self) -> Iterator[tuple[float, int]]:
        """Yield each bucket's value, from the least, with how many values it stands for."""
        if self.zeros:
            yield 0.0, self.zeros
        for number in sorted(self.buckets):
            middle = 2 * math.exp(number * _LOG_GROWTH) / (_GROWTH + 1)
            yield min(max(middle, self.lowest), self.highest), self.buckets[number]
