"""The fixtures that the plugin adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

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
