"""The pytest edge of ``limit_browser_memory``, ``limit_page_heap`` and ``limit_worker_memory``.

Calls ``memorybudgets`` for tests that have one. A run without such a marker pays for a look at the
markers and nothing else: not even for an import. Refusing markers is for ``markers``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

from pytest_sentinel.errors import SentinelFailure
from pytest_sentinel.running import Running
from pytest_sentinel.verdicts import Guard

if TYPE_CHECKING:
    from pytest_sentinel.memorybudgets import MemoryBudgets

_PREFIX = "limit_"


class MemoryMarkers(Guard):
    """The guard of the memory markers."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._budgets: MemoryBudgets | None = None

    def begin(self, item: pytest.Item, *, marked: bool) -> None:
        """Have the test's budgets read, if it has any."""
        if self._budgets is None:
            if not marked or not any(mark.name.startswith(_PREFIX) for mark in item.iter_markers()):
                return
            from pytest_sentinel.memorybudgets import MemoryBudgets

            self._budgets = MemoryBudgets(self._running)
            item.config.pluginmanager.register(self._budgets, "sentinel-memory-budgets")
        self._budgets.begin(item)

    def end(self, item: pytest.Item) -> Iterable[SentinelFailure]:
        """Have the test forgotten: it was judged when its body had passed."""
        if self._budgets is not None:
            self._budgets.end()
        return ()
