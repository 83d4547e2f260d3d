"""How descriptors are shared out."""

from __future__ import annotations

import pytest

from pytest_sentinel.pool.descriptors import share


@pytest.mark.parametrize("limit", [200, 1024, 65_536])
def test_all_together_stay_below_the_limit(limit: int) -> None:
    """Both ports, browsers, leases, and what the process needs for itself."""
    found = share(limit, used=10, browsers=6, slots=16)

    assert 10 + found.leases + found.control + 6 * 8 + 16 * 2 + 40 <= limit
    assert found.leases >= 16
    assert found.control >= 16
    assert found.needed <= limit


def test_a_low_limit_leaves_room_for_every_lease() -> None:
    """It may not be enough then, and how much would be is told."""
    found = share(64, used=10, browsers=6, slots=16)

    assert found.leases == 16 + 8
    assert found.needed > 64
