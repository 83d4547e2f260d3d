"""How many iterations each phase gets, and which arguments make sense."""

from __future__ import annotations

import pytest

from pytest_sentinel.errors import SettingError
from pytest_sentinel.leaks.plan import CYCLES, FEWEST_LEAK, checked, plan_for


@pytest.mark.parametrize("most", range(1, 120))
def test_a_plan_never_takes_more_than_it_may(most: int) -> None:
    """Warm-up and the fewest cycles fit, and where leaks can be told, so does what proves them."""
    plan = plan_for(most)
    first = plan.warm_up + plan.cycle * (CYCLES if most > 2 else 1)
    assert first + plan.kept_back <= most
    assert plan.finds_leaks == (most >= FEWEST_LEAK)
    assert plan.finds_clean == (most >= 8)
    assert plan.left(most + 1) == 0
    assert plan.allows(1, most - 1)
    assert not plan.allows(1, most)


def test_without_a_limit_everything_is_allowed() -> None:
    """The usual plan counts nothing down."""
    plan = plan_for(None)
    assert plan.left(10_000) is None
    assert plan.allows(1000, 10_000)
    assert (plan.finds_leaks, plan.finds_clean) == (True, True)


def test_sensible_arguments_are_read() -> None:
    """Numbers are seconds, texts have units, and settle may be 0."""
    plan, budget, clock = checked(iterations=50, budget="2 m", clock="5s", settle=0, allow=["a*"])
    assert (plan.most, budget, clock) == (50, 120.0, 5.0)
    assert checked(settle=1.5)[1:] == (30.0, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iterations", 0),
        ("iterations", True),
        ("iterations", "many"),
        ("budget", 0),
        ("budget", "soon"),
        ("budget", float("nan")),
        ("clock", True),
        ("clock", [1]),
        ("settle", "2 s"),
        ("settle", -1),
        ("allow", "window.*"),
        ("allow", 3),
        ("allow", [3]),
    ],
)
def test_arguments_without_sense_are_named(name: str, value: object) -> None:
    """The error has the name, the value and a good one."""
    with pytest.raises(SettingError, match=rf"{name}: .*; a good value is"):
        checked(**{name: value})
