"""Terms that make sense, users that begin apart, and starts that are taken or dropped once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sentinel.errors import SettingError
from pytest_sentinel.load.plan import (
    SLOT_MEMORY,
    Arrivals,
    Terms,
    browsers_for,
    check_pool,
    default_slots,
    first_start,
    steps_in,
    terms_of,
)


def test_terms_are_the_attributes_of_a_class() -> None:
    """What a class does not say is as in the defaults."""

    class Shopper:
        isolation = "user"
        lease_timeout = 5
        other = "of no interest"

    assert terms_of(Shopper) == Terms(isolation="user", lease_timeout=5)


@pytest.mark.parametrize(
    "bad",
    [
        {"browser": "netscape"},
        {"isolation": "none"},
        {"artifacts": "all"},
        {"lease_timeout": 0},
        {"step_timeout": -1.0},
        {"iteration_timeout": "soon"},
    ],
    ids=lambda bad: next(iter(bad)),
)
def test_bad_terms_are_refused(bad: dict[str, Any]) -> None:
    """The error names the attribute."""
    with pytest.raises(SettingError, match=next(iter(bad))):
        Terms(**bad)


def test_a_pool_is_auto_or_an_address() -> None:
    """Anything else is refused before the first user begins."""
    assert check_pool("auto") == "auto"
    assert check_pool("ws://127.0.0.1:9323") == "ws://127.0.0.1:9323"
    with pytest.raises(SettingError, match="pool"):
        check_pool("http://127.0.0.1")


@pytest.mark.parametrize(
    ("cores", "memory", "share", "slots"),
    [
        (2, 100 * SLOT_MEMORY, 1, 4),
        (2, 100 * SLOT_MEMORY, 2, 2),
        (8, 3 * SLOT_MEMORY, 1, 3),
        (1, 0, 1, 1),
        (1, 100 * SLOT_MEMORY, 9, 1),
    ],
)
def test_slots_go_by_cores_and_memory(cores: int, memory: int, share: int, slots: int) -> None:
    """Two for each core, as far as memory reaches, divided among sidecars; never none."""
    assert default_slots(cores, memory, share) == slots


@given(st.integers(min_value=1, max_value=200))
def test_browsers_hold_all_slots(slots: int) -> None:
    """Four contexts for each at most, and hardly more places than slots."""
    browsers, contexts = browsers_for(slots)

    assert contexts <= 4
    assert slots <= browsers * contexts < slots + browsers


def test_first_iterations_lie_apart() -> None:
    """Of eight users within eight seconds, no two begin within half a second."""
    starts = sorted(first_start(number, 8.0) for number in range(8))

    assert starts[0] == 0.0
    assert all(later - earlier > 0.5 for earlier, later in pairwise(starts))
    assert first_start(3, -1.0) == 0.0
    assert max(first_start(number, 900.0) for number in range(50)) < 30.0


def taken(arrivals: Arrivals, now: float) -> list[float]:
    """Take all that is due."""
    found = []
    while (start := arrivals.due(now)) is not None:
        found.append(start)
    return found


def test_starts_are_due_at_their_rate_whoever_is_late() -> None:
    """What was intended is not moved by a server that stalls."""
    arrivals = Arrivals(2.0, 60.0, 10.0)

    assert taken(arrivals, 10.0) == [10.0]
    assert arrivals.wait(10.2) == pytest.approx(0.3)
    assert taken(arrivals, 12.0) == [10.5, 11.0, 11.5, 12.0]
    assert arrivals.overdue(12.1) == 0


def test_starts_that_nobody_took_in_time_are_dropped_once() -> None:
    """Those within the patience stay."""
    arrivals = Arrivals(1.0, 5.0, 0.0)

    assert arrivals.overdue(9.5) == 5  # 0 to 4
    assert arrivals.overdue(9.5) == 0
    assert taken(arrivals, 9.5) == [5.0, 6.0, 7.0, 8.0, 9.0]
    assert arrivals.overdue(12.5, 0.0) == 3
    assert taken(arrivals, 12.5) == []


@given(
    st.floats(min_value=0.1, max_value=50),
    st.lists(st.tuples(st.floats(min_value=0, max_value=5), st.booleans()), max_size=30),
)
def test_every_intended_start_is_taken_or_dropped(
    rate: float, turns: list[tuple[float, bool]]
) -> None:
    """Whatever the order of takers and of the clock, the sum is what was intended."""
    arrivals, now, seen = Arrivals(rate, 2.0, 0.0), 0.0, 0
    for passed, takes in turns:
        now += passed
        seen += arrivals.overdue(now)
        if takes:
            seen += arrivals.due(now) is not None
    seen += arrivals.overdue(now, 0.0)

    assert seen == pytest.approx(int(now * rate) + 1, abs=1)


def test_no_rate_means_no_starts_until_there_is_one() -> None:
    """A worker that has no share yet begins when it is told of one."""
    arrivals = Arrivals(0.0, 60.0, 0.0)
    assert arrivals.due(100.0) is None
    assert arrivals.overdue(1000.0) == 0
    assert arrivals.wait(100.0) > 0

    arrivals.change(1.0, 100.0)
    arrivals.change(1.0, 100.5)
    assert taken(arrivals, 101.0) == [100.0, 101.0]
    arrivals.change(2.0, 103.0)  # 102 and 103 stay due
    assert taken(arrivals, 103.0) == [102.0, 102.5, 103.0]
    arrivals.change(0.5, 103.1)  # the next was due at 103.5
    assert taken(arrivals, 105.0) == [103.1]


async def _scenario(page: Any, step: Any, name: str = "") -> None:
    async with step("home"):
        pass
    for number in range(2):
        async with step(f"page {number}"):
            pass
    async with step(), page.expect_popup():
        pass
    async with step("home"), other("not a step"):
        pass


def other(_: str) -> Any:
    """Stand for something else that is entered."""


def test_steps_are_read_from_the_source() -> None:
    """In their order, each name once; what is made up as it runs is told apart."""
    assert steps_in(_scenario) == ["home", "(computed)"]
    assert steps_in(len) == []
