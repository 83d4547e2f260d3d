"""What a pool can be told."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_sentinel.errors import SettingError
from pytest_sentinel.pool.options import PoolOptions


def test_the_defaults_are_good() -> None:
    """Options that nobody changed are accepted."""
    assert PoolOptions().engines == ("chromium",)


def test_everything_can_be_switched_off() -> None:
    """Limits that may be absent may be absent."""
    options = PoolOptions(
        memory_budget=None,
        recycle_after=None,
        max_browser_age=None,
        max_browser_memory=None,
        upstream=("ws://127.0.0.1:3000/", "wss://grid.example/x"),
    )
    assert options.memory_budget is None


@pytest.mark.parametrize(
    ("bad", "flag"),
    [
        ({"engines": ()}, "--browser"),
        ({"engines": ("lynx",)}, "--browser"),
        ({"engines": ("chromium", "chromium")}, "--browser"),
        ({"minimum": -1}, "--min"),
        ({"maximum": 0}, "--max"),
        ({"minimum": 3}, "--min"),
        ({"engines": ("chromium", "firefox"), "minimum": 2, "maximum": 3}, "--min"),
        ({"contexts_per_browser": 0}, "--contexts-per-browser"),
        ({"max_waiting": -1}, "--max-waiting"),
        ({"acquire_timeout": -0.1}, "--acquire-timeout"),
        ({"max_lease": 0.0}, "--max-lease"),
        ({"per_owner": 0}, "--per-owner"),
        ({"memory_budget": 0}, "--memory-budget"),
        ({"recycle_after": 0}, "--recycle-after"),
        ({"max_browser_age": 0.0}, "--max-browser-age"),
        ({"max_browser_memory": 0}, "--max-browser-memory"),
        ({"probe_interval": 0.0}, "--probe-interval"),
        ({"probe_timeout": 0.0}, "--probe-timeout"),
        ({"close_timeout": 0.0}, "--close-timeout"),
        ({"launch_timeout": 0.0}, "--launch-timeout"),
        ({"grace": 0.0}, "--grace"),
        ({"launches_at_once": 0}, "--launches-at-once"),
        ({"upstream": ("http://127.0.0.1/",)}, "--upstream"),
    ],
)
def test_a_bad_value_is_named_and_a_good_one_shown(bad: dict[str, Any], flag: str) -> None:
    """A bad value raises under the name that its user wrote, with a value that works."""
    with pytest.raises(SettingError) as caught:
        PoolOptions(**bad)
    assert caught.value.name == flag
    assert f"a good value is {caught.value.good}" in str(caught.value)
