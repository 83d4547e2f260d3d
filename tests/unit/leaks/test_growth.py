"""The judge of series: weakest cycles for exact counters, stillness for bytes."""

from __future__ import annotations

import pytest

from pytest_sentinel.leaks.growth import QUIET_BYTES, Trend, judge, judge_bytes, judge_count
from pytest_sentinel.leaks.verdict import Sample


def points(values: list[int], step: int = 4) -> list[tuple[int, int]]:
    """Return the values at every ``step`` iterations."""
    return [(number * step, value) for number, value in enumerate(values)]


def test_a_counter_that_adds_one_each_time_grows() -> None:
    """One node per iteration in every cycle is growth, and the rate is exact."""
    growth = judge_count("nodes", points([10, 14, 18]))
    assert (growth.trend, growth.per_iteration, growth.weakest) == (Trend.GROWING, 1.0, 1.0)


@pytest.mark.parametrize(
    "values",
    [
        [10, 10, 10],
        [10, 9, 9],
        [10, 14, 14],  # a cache that filled
        [10, 14, 12],  # given back at the end
        [10, 20, 20, 20, 20, 20],
    ],
)
def test_a_counter_that_stopped_is_flat(values: list[int]) -> None:
    """What does not rise in the last third is no leak, whatever it did before."""
    assert judge_count("nodes", points(values)).trend is Trend.FLAT


def test_growth_in_steps_is_unsure_at_first() -> None:
    """A rise of less than one per iteration cannot be told from a cache after two cycles."""
    assert judge_count("nodes", points([10, 11, 12])).trend is Trend.UNSURE


def test_growth_in_steps_is_growth_when_every_third_rises() -> None:
    """A leak of every third iteration shows over a longer series."""
    assert judge_count("nodes", points([0, 1, 2, 4, 5, 6])).trend is Trend.GROWING


def test_a_series_that_gives_back_a_lot_stays_unsure() -> None:
    """More than a tenth given back is no steady leak."""
    assert judge_count("nodes", points([0, 3, 1, 4, 2, 5])).trend is Trend.UNSURE


def test_one_rise_at_the_end_of_a_long_series_stays_unsure() -> None:
    """Fewer than three rising cycles prove nothing."""
    assert judge_count("nodes", points([0, 0, 0, 0, 1, 2])).trend is Trend.UNSURE


def test_cycles_of_different_length_are_judged_per_iteration() -> None:
    """Windows of 5 and 7 iterations with one object each time are steady growth."""
    growth = judge_count("listeners", [(40, 100), (45, 105), (52, 112)])
    assert (growth.trend, growth.weakest) == (Trend.GROWING, 1.0)


@pytest.mark.parametrize("judgement", [judge_count("n", [(8, 1)]), judge_bytes("b", [(8, 1)], 8)])
def test_one_sample_says_nothing(judgement: object) -> None:
    """Without a cycle there is no trend."""
    assert judgement.trend is Trend.UNSURE  # type: ignore[attr-defined]


def test_samples_without_iterations_between_them_count_for_nothing() -> None:
    """An idle control sample is no cycle."""
    assert judge_count("nodes", [(8, 10), (8, 12), (12, 12)]).trend is Trend.FLAT


@pytest.mark.parametrize(
    ("values", "trend"),
    [
        ([0, 25_000, 25_000], Trend.FLAT),  # compiled once, then still
        ([0, 25_000, 25_000 + QUIET_BYTES], Trend.FLAT),
        ([0, 52, 0], Trend.FLAT),  # up and down again
        ([0, 25_000, 25_064], Trend.UNSURE),
        ([0, 25_000, 25_064, 25_128], Trend.GROWING),
        ([0, 900, 840], Trend.UNSURE),
        ([0, 900, 840, 904], Trend.FLAT),
        ([0, 3_000, 4_000, 2_000, 3_500, 3_900], Trend.GROWING),
        ([0, 64], Trend.UNSURE),
        ([0, 500, 1_500, 200, 300], Trend.FLAT),
    ],
)
def test_bytes_are_flat_once_they_stand_still(values: list[int], trend: Trend) -> None:
    """A still window ends the doubt; two windows that grow alike raise it."""
    assert judge_bytes("heap", points(values), QUIET_BYTES).trend is trend


def test_all_counters_of_the_samples_are_judged() -> None:
    """Every counter and size is judged but the ignored ones; native noise is none."""
    samples = [
        Sample(
            8 + 4 * n,
            {"nodes": n * 4, "listeners": 3, "frames": n * 8},
            {"heap": 100, "native": n * 20_000, "buffers": 1000 * n, "other": 5},
        )
        for n in range(3)
    ]
    trends = {g.name: g.trend for g in judge(samples, ignored=("frames", "other"))}
    assert trends == {
        "nodes": Trend.GROWING,
        "listeners": Trend.FLAT,
        "heap": Trend.FLAT,
        "native": Trend.FLAT,
        "buffers": Trend.GROWING,
    }


def test_a_landslide_of_native_bytes_is_growth() -> None:
    """16 KiB and more in every iteration is beyond the collector's mood."""
    samples = [Sample(4 * n, {}, {"native": n * 4 * 20_000}) for n in range(3)]
    assert [g.trend for g in judge(samples)] == [Trend.GROWING]
