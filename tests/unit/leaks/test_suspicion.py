"""What samples alone tell: rest, doubt, growth, and what exact counters prove."""

from __future__ import annotations

from pytest_sentinel.leaks.suspicion import (
    growing_lately,
    is_plain_growth,
    is_unsure,
    keeps_pace,
    proven,
    suspects,
)
from pytest_sentinel.leaks.verdict import Sample


def series(**values: list[int]) -> list[Sample]:
    """Return samples at every 4 iterations; ``heap`` is in bytes, all else are counts."""
    length = len(next(iter(values.values())))
    return [
        Sample(
            iterations=4 * number,
            counts={name: row[number] for name, row in values.items() if name != "heap"},
            sizes={name: row[number] for name, row in values.items() if name == "heap"},
        )
        for number in range(length)
    ]


STILL = series(nodes=[10, 10, 10], heap=[900, 900, 900])
GROWING = series(nodes=[10, 14, 18], heap=[900, 1300, 1700])
SLOW = series(nodes=[10, 11, 12], heap=[900, 900, 900])


def test_a_still_page_raises_no_suspicion() -> None:
    """Flat counters and bytes are nothing to look into."""
    assert suspects(STILL, ()) == []
    assert not is_unsure(STILL, ())
    assert not is_plain_growth(STILL, ())
    assert growing_lately(STILL, ()) == []
    assert proven(STILL, ()) == []


def test_growth_of_an_exact_counter_is_plain_and_proves_a_leak() -> None:
    """One node more per iteration accuses by itself; bytes only raise the suspicion."""
    [leak] = proven(GROWING, ())

    assert [growth.name for growth in suspects(GROWING, ())] == ["nodes", "heap"]
    assert is_plain_growth(GROWING, ())
    assert (leak.kind, leak.owner, leak.constructor) == ("dom", "", "nodes")
    assert leak.per_iteration.count == 1.0
    assert leak.evidence == "1 per iteration in the weakest window"


def test_bytes_alone_prove_nothing() -> None:
    """A heap that grows is a suspect, and no leak before a snapshot has named one."""
    samples = series(nodes=[10, 10, 10], heap=[900, 1300, 1700])

    assert [growth.name for growth in growing_lately(samples, ())] == ["heap"]
    assert not is_plain_growth(samples, ())
    assert proven(samples, ()) == []


def test_slow_growth_needs_more_cycles() -> None:
    """Less than one per iteration is neither rest nor growth yet."""
    assert is_unsure(SLOW, ())
    assert proven(SLOW, ()) == []


def test_what_is_ignored_or_explained_is_not_held_against_the_page() -> None:
    """Ignored names are not judged, explained ones are not told twice."""
    assert [growth.name for growth in suspects(GROWING, ("nodes",))] == ["heap"]
    assert not is_plain_growth(GROWING, ("nodes",))
    assert not keeps_pace(GROWING, 4, ("nodes",))
    assert proven(GROWING, ("nodes",)) == []
    assert proven(GROWING, (), explained={"nodes"}) == []


def test_pace_is_one_per_iteration_in_the_last_window() -> None:
    """A counter keeps pace while it gains as much as the scenario ran."""
    assert keeps_pace(series(nodes=[10, 10, 14]), 4, ())
    assert not keeps_pace(series(nodes=[10, 14, 17]), 4, ())


def test_style_rules_are_their_own_owner() -> None:
    """Nothing in a heap holds a rule of a style sheet: the counter names it."""
    [leak] = proven(series(**{"css rules": [0, 4, 8]}), ())

    assert (leak.kind, leak.owner) == ("native", "css rules")
