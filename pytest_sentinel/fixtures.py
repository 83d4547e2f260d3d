"""The fixtures that the plugin adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_sentinel.errors import SentinelFailures

if TYPE_CHECKING:
    from pytest_sentinel.pool.ledger import Statistics


class BrowserPool:
    """What tests may ask of the pool."""

    def __init__(self, statistics: Callable[[], Statistics]) -> None:
        self._statistics = statistics

    def statistics(self) -> Statistics:
        """Return an immutable snapshot: live browsers by state, launches by reason, crashes."""
        return self._statistics()


@pytest.fixture(scope="session")
def browser_pool(pytestconfig: pytest.Config) -> BrowserPool:
    """The browsers of this process, as numbers: ``browser_pool.statistics()``."""
    return BrowserPool(pytestconfig.pluginmanager.getplugin("sentinel-running").statistics)


@pytest.fixture(autouse=True)
def _sentinel_guard(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold the test to what was promised for it, when its own fixtures are gone.

    Function-scoped and without a browser fixture among its needs: it is set up before the test's
    own fixtures and torn down after them, still before those of a wider scope, and its failure
    is known in time for pytest-playwright to keep the test's artifacts.
    """
    guards = request.config.pluginmanager.getplugin("sentinel-running").guards
    for guard in guards:
        guard.begin(request.node)
    yield
    failures = [failure for guard in guards for failure in guard.end(request.node)]
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise SentinelFailures("the test broke its promises", failures)
