"""Which of several services is tried first."""

from __future__ import annotations

from pytest_sentinel.addresses import Address
from pytest_sentinel.pool.remote import Standing, in_order

A, B, C, D = (Address(name, 1) for name in "abcd")


def test_the_least_pressed_comes_first() -> None:
    """Then those with nothing free, then those that are not ready; the silent are left out."""
    standings = [
        Standing(A, ready=False, reason="memory", free=9),
        Standing(B, ready=True, pressure=1.5, free=0),
        Standing(C, ready=True, pressure=0.5, free=2),
        Standing(D, ready=True, pressure=0.1, free=3),
        Standing(Address("e", 1), problem="nobody there"),
    ]

    assert [found.address for found in in_order(standings, "me")] == [D, C, B, A]


def test_equals_are_shared_out_among_owners() -> None:
    """Workers that start together do not all go to one service."""
    standings = [Standing(address, ready=True, free=4) for address in (A, B, C, D)]

    first = {in_order(standings, f"run/gw{number}")[0].address for number in range(40)}

    assert first == {A, B, C, D}
