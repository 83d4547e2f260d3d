"""What the samples of a page alone tell: is it at rest, must it be watched longer, what is proven?

Exact counters may accuse; bytes only ask for a heap snapshot. ``ignored`` names counters that the
caller does not want judged. No page and no clock here; that is repeat.py's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pytest_sentinel.leaks.growth import Growth, Trend, judge
from pytest_sentinel.leaks.verdict import Leak, Rate, Sample

KIND_OF_COUNT = {
    "nodes": "dom",
    "listeners": "listeners",
    "documents": "document",
    "frames": "document",
    "contexts": "document",
    "workers": "worker",
    "array buffers": "array-buffer",
    "css rules": "native",
}
_LATELY = 3  # samples: the two windows that an accusation rests on


def suspects(samples: Sequence[Sample], ignored: Sequence[str]) -> list[Growth]:
    """Return every counter that is not flat."""
    return [growth for growth in judge(samples, ignored) if growth.trend is not Trend.FLAT]


def is_unsure(samples: Sequence[Sample], ignored: Sequence[str]) -> bool:
    """Tell whether a counter needs more cycles before anything can be said of it."""
    return any(growth.trend is Trend.UNSURE for growth in judge(samples, ignored))


def is_plain_growth(samples: Sequence[Sample], ignored: Sequence[str]) -> bool:
    """Tell whether an exact counter rises so clearly that sampling on tells nothing new."""
    return any(
        growth.trend is Trend.GROWING and growth.name in KIND_OF_COUNT
        for growth in judge(samples, ignored)
    )


def keeps_pace(samples: Sequence[Sample], iterations: int, ignored: Sequence[str]) -> bool:
    """Tell whether an exact counter rose by one per iteration and more in the last window."""
    now, before = samples[-1].counts, samples[-2].counts
    return any(
        now[name] - before[name] >= iterations
        for name in now
        if name in KIND_OF_COUNT and name not in ignored
    )


def growing_lately(samples: Sequence[Sample], ignored: Sequence[str]) -> list[Growth]:
    """Return the counters, and the bytes, that rose in both of the last windows."""
    judged = judge(samples[-_LATELY:], ignored)
    return [growth for growth in judged if growth.trend is Trend.GROWING]


def proven(
    samples: Sequence[Sample], ignored: Sequence[str], explained: Collection[str] = ()
) -> list[Leak]:
    """Return the leaks that exact counters prove by themselves; their owners are not known.

    ``explained`` names counters whose growth has an owner already.
    """
    return [
        Leak(
            kind=KIND_OF_COUNT[growth.name],
            owner=growth.name if growth.name == "css rules" else "",
            constructor=growth.name,
            per_iteration=Rate(growth.per_iteration, 0),
            evidence=f"{growth.weakest:g} per iteration in the weakest window",
        )
        for growth in growing_lately(samples, ignored)
        if growth.name in KIND_OF_COUNT and growth.name not in explained
    ]
