"""The judge of admission: memory used, against a budget, with hysteresis."""

from __future__ import annotations

from pytest_sentinel.memory.admission import Admission
from pytest_sentinel.units import MIB


def test_without_a_budget_everything_is_admitted() -> None:
    """No budget, no pause, and one that was in force ends."""
    admission = Admission(reason="it was short")
    assert admission.judge(10**12, None) == ""
    assert admission.reason == ""


def test_it_closes_when_one_more_would_not_fit() -> None:
    """It closes before the budget is reached, and says with numbers why."""
    admission = Admission(cost=50 * MIB)
    assert admission.judge(900 * MIB, 1000 * MIB) == ""
    assert admission.judge(901 * MIB, 1000 * MIB) == (
        "browsers use 901 MiB of 1000 MiB, and one more lease takes about 50 MiB"
    )


def test_it_opens_again_only_with_room_to_spare() -> None:
    """What closed at 95 % opens at 85 %, so that it does not flap."""
    admission = Admission(cost=50 * MIB)
    admission.judge(950 * MIB, 1000 * MIB)
    assert admission.judge(850 * MIB, 1000 * MIB) != ""
    assert admission.judge(800 * MIB, 1000 * MIB) == ""
    assert admission.judge(850 * MIB, 1000 * MIB) == ""


def test_it_learns_what_a_lease_costs() -> None:
    """The expected cost moves towards what leases have really taken."""
    admission = Admission(cost=50.0)
    admission.learn(pss=1200, idle=1000, leases=2)
    assert admission.cost == 60.0
    admission.learn(pss=900, idle=1000, leases=1)
    assert admission.cost == 48.0


def test_an_idle_browser_teaches_nothing() -> None:
    """Without a lease there is nothing to learn from."""
    admission = Admission(cost=50.0)
    admission.learn(pss=9999, idle=1000, leases=0)
    assert admission.cost == 50.0
