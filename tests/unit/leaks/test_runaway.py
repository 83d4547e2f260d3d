"""Growth that speeds up, told from all that levels off."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_sentinel.leaks.runaway import Point, has_jumped, is_due, is_rising, speeding


def points(values: Sequence[int], name: str = "nodes", seconds: float = 0.01) -> list[Point]:
    """Return a point for each value."""
    return [Point({name: value}, seconds) for value in values]


def test_doubling_is_certain_after_five_increments() -> None:
    """Three ask for a closer look, five that end large enough are certain."""
    values = [0, 100, 300, 700, 1500, 3100]
    assert [bool(speeding(points(values[:n]))) for n in range(7)] == [False] * 4 + [True] * 3
    [found] = speeding(points(values))
    assert (found.factor, found.steps, found.last, found.is_certain) == (2, 4, 1600, True)
    assert not speeding(points(values[:5]))[0].is_certain


def test_what_grows_evenly_or_levels_off_is_not() -> None:
    """Linear and quadratic growth, a filled cache, noise, and what is too small to say."""
    for values in (
        range(0, 1000, 100),
        [n * n for n in range(20)],
        [0, 100, 300, 700, 700],
        [0, 100, 50, 400, 380],
        [0, 0, 1, 2, 4],
    ):
        assert not speeding(points(list(values))), values
    assert not speeding(points([0, 100, 300, 700]), ignored=["nodes"])
    assert not speeding([])


def test_two_more_iterations_must_be_affordable() -> None:
    """By what they will add, or by what they will take."""
    few, many = points([0, 100, 300, 700]), points([0, 1000, 3000, 7000])
    assert not is_due(few, speeding(few))
    assert is_due(many, speeding(many))
    slow = [*few[:-1], Point(few[-1].values, 1.0)]
    assert is_due(slow, speeding(slow))


def test_one_iteration_that_adds_much_is_rising() -> None:
    """Of what is not ignored."""
    assert is_rising(points([0, 3000], "heap"))
    assert not is_rising(points([0, 3000], "heap"), ignored=["heap"])
    assert not is_rising(points([0, 10], "heap"))
    assert not is_rising(points([0]))


def test_a_cycle_that_adds_a_multiple_has_jumped() -> None:
    """Once there is a cycle before to compare it with."""
    assert has_jumped([{"nodes": 0}, {"nodes": 100}, {"nodes": 900}])
    assert not has_jumped([{"nodes": 0}, {"nodes": 100}, {"nodes": 300}])
    assert not has_jumped([{"nodes": 0}, {"nodes": 0}, {"nodes": 900}])
    assert not has_jumped([{"nodes": 0}, {"nodes": 100}, {"nodes": 900}], ignored=["nodes"])
    assert not has_jumped([{"nodes": 0}, {"nodes": 900}])
