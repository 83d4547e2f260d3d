"""Judge series of samples: does a counter grow with every iteration, or not?

Integer counters are exact after garbage collection and are judged by their weakest cycle. Bytes
carry the noise of a virtual machine that compiles as it goes; they never accuse, they only raise
the suspicion that a heap snapshot must confirm.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_sentinel.leaks.verdict import Sample

# A freshly created object takes at least 12 bytes; less than this in a window is nothing.
QUIET_BYTES = 8
# Backing stores of strings and buffers move by some bytes with every script that is evaluated.
QUIET_BUFFERS = 128
# Native bytes include caches of styles and glyphs; only a landslide is a suspicion.
QUIET_NATIVE = 16 * 1024
# Steady growth adds about the same in each window; code that is compiled late adds once.
STEADY = 8


class Trend(enum.Enum):
    """What a series does."""

    FLAT = "flat"
    UNSURE = "unsure"
    GROWING = "growing"


@dataclass(frozen=True, slots=True)
class Growth:
    """How one counter moved: its trend, its mean and its weakest growth per iteration."""

    name: str
    trend: Trend
    per_iteration: float
    weakest: float


def judge_count(name: str, points: Sequence[tuple[int, int]]) -> Growth:
    """Judge an exact counter from ``(iterations, value)`` points, oldest first.

    GROWING: every cycle adds at least one per iteration; or, over four cycles and more, every
    third of the series rises and what was given back is at most a tenth of the net growth.
    FLAT: no net growth, or nothing rose in the last third.
    """
    cycles = [
        (after[1] - before[1], after[0] - before[0])
        for before, after in itertools.pairwise(points)
        if after[0] > before[0]
    ]
    if not cycles:
        return Growth(name, Trend.UNSURE, 0.0, 0.0)
    net = sum(delta for delta, _ in cycles)
    span = sum(length for _, length in cycles)
    weakest = min(delta / length for delta, length in cycles)
    third = -(-len(cycles) // 3)
    if net <= 0 or all(delta <= 0 for delta, _ in cycles[-third:]):
        trend = Trend.FLAT
    elif weakest >= 1 or _rises_throughout(cycles, net):
        trend = Trend.GROWING
    else:
        trend = Trend.UNSURE
    return Growth(name, trend, net / span, weakest)


def judge_bytes(name: str, points: Sequence[tuple[int, int]], quiet: int) -> Growth:
    """Judge a byte counter: FLAT once a window stood still, GROWING if the last two grew alike."""
    cycles = [
        (after[1] - before[1], after[0] - before[0])
        for before, after in itertools.pairwise(points)
        if after[0] > before[0]
    ]
    if not cycles:
        return Growth(name, Trend.UNSURE, 0.0, 0.0)
    deltas = [delta for delta, _ in cycles]
    weakest = min(delta / length for delta, length in cycles)
    net, span = sum(deltas), sum(length for _, length in cycles)
    if abs(deltas[-1]) <= quiet or (len(deltas) > 1 and abs(deltas[-1] + deltas[-2]) <= quiet):
        trend = Trend.FLAT
    elif len(deltas) > 1 and quiet < max(deltas[-2:]) <= STEADY * min(deltas[-2:]):
        trend = Trend.GROWING
    elif len(deltas) > 3 and sum(deltas[-3:]) <= quiet:
        trend = Trend.FLAT
    else:
        trend = Trend.UNSURE
    return Growth(name, trend, net / span, weakest)


def judge(samples: Sequence[Sample], ignored: Sequence[str] = ()) -> list[Growth]:
    """Judge every counter of a series of samples, leaving out the ``ignored`` names."""
    last = samples[-1]
    found = [
        judge_count(name, [(s.iterations, s.counts.get(name, 0)) for s in samples])
        for name in last.counts
        if name not in ignored
    ]
    quiet = {"heap": QUIET_BYTES, "buffers": QUIET_BUFFERS, "native": QUIET_NATIVE}
    for name in last.sizes:
        if name in ignored:
            continue
        points = [(s.iterations, s.sizes.get(name, 0)) for s in samples]
        growth = judge_bytes(name, points, quiet.get(name, 0))
        if name == "native" and growth.weakest < QUIET_NATIVE:
            # It swings by 100 KiB either way with the garbage collector's mood.
            growth = Growth(name, Trend.FLAT, growth.per_iteration, growth.weakest)
        found.append(growth)
    return found


def _rises_throughout(cycles: Sequence[tuple[int, int]], net: int) -> bool:
    rising = sum(delta > 0 for delta, _ in cycles)
    if len(cycles) < 4 or rising < 3:
        return False
    size = -(-len(cycles) // 3)
    thirds = [cycles[start : start + size] for start in range(0, len(cycles), size)]
    given_back = -sum(min(delta, 0) for delta, _ in cycles)
    return all(sum(d for d, _ in part) > 0 for part in thirds) and given_back * 10 <= net
