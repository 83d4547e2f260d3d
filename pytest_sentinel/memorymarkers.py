"""The pytest edge of ``limit_browser_memory``, ``limit_page_heap`` and ``limit_worker_memory``.

Refuses markers that make no sense, and calls ``memorybudgets`` for tests that have one. A run
without such a marker pays for a look at the markers and nothing else: not even for an import.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sentinel.errors import SentinelFailure, SettingError
from pytest_sentinel.running import REFUSED, Running, refuse

if TYPE_CHECKING:
    from pytest_sentinel.memorybudgets import MemoryBudgets

_MOST_BAD_MARKERS = 5
_PREFIX = "limit_"


class MemoryMarkers:
    """The guard of the memory markers; see ``Guard`` in running."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._budgets: MemoryBudgets | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Refuse markers that make no sense, each with the first test that has it."""
        bad: dict[str, str] = {}
        for item in items:
            for mark in item.iter_markers():
                if mark.name.startswith(_PREFIX):
                    problem = _problem_with(mark)
                    if problem:
                        bad.setdefault(problem, item.nodeid)
        if bad:
            rows = [f"{nodeid}: {error}" for error, nodeid in bad.items()]
            hidden = len(rows) - _MOST_BAD_MARKERS
            more = [f"and {hidden} more"] if hidden > 0 else []
            refuse(config, "\n".join([*rows[:_MOST_BAD_MARKERS], *more]))

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Say in the controller what a worker refused: what it raises there is not shown."""
        refused = (getattr(node, "workeroutput", None) or {}).get(REFUSED)
        if refused is not None:
            raise pytest.UsageError(refused)

    def begin(self, item: pytest.Item) -> None:
        """Have the test's budgets read, if it has any."""
        if self._budgets is None:
            if not any(mark.name.startswith(_PREFIX) for mark in item.iter_markers()):
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


def _problem_with(mark: pytest.Mark) -> str:
    from pytest_sentinel.memory import limits

    if mark.name in limits.GOOD_MARKERS:
        try:
            limits.parse_marker(mark.name, mark.args, mark.kwargs)
        except SettingError as error:
            return str(error)
    return ""
