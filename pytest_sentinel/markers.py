"""The pytest edge of markers: each mistake in one of ours ends the run before it begins.

All mistakes at once, each with its test, the place of its marker, and a good one. What a worker
refuses, its controller repeats: what a worker raises is not shown.
"""

from __future__ import annotations

import inspect
import os
import re
import unittest
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from pytest_sentinel.attempts import is_marked
from pytest_sentinel.errors import SettingError

_OURS: Final = frozenset(
    {
        *("allow_leak", "fresh_browser", "leak_check"),
        *("limit_browser_memory", "limit_page_heap", "limit_worker_memory"),
    }
)
_MOST = 50  # lines; a terminal's worth
_REFUSED: Final = "sentinel_refused_markers"


class MarkerChecks:
    """Refuses what makes no sense."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Refuse markers that make no sense, each with the first test that has it."""
        bad: dict[tuple[str, str], str] = {}
        for item in filter(is_marked, items):
            for node, mark in item.iter_markers_with_node():
                if mark.name in _OURS:
                    fault = _fault_of(item, node, mark)
                    if fault:
                        place = _place_of(node, item)
                        bad.setdefault((place, fault), f"{item.nodeid}: {fault} ({place})")
        rows = list(bad.values())
        if rows:
            hidden = [f"and {len(rows) - _MOST} more"] if len(rows) > _MOST else []
            _refuse(config, "\n".join(rows[:_MOST] + hidden))

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Say in the controller what a worker refused."""
        refused = (getattr(node, "workeroutput", None) or {}).get(_REFUSED)
        if refused is not None:
            raise pytest.UsageError(refused)


def _fault_of(item: pytest.Item, node: Any, mark: pytest.Mark) -> str:
    from pytest_sentinel.leaks import marks

    name, args, kwargs = mark.name, mark.args, mark.kwargs
    if name == "allow_leak":
        return marks.fault_of_allow_leak(args, kwargs)
    if name == "fresh_browser":
        return marks.fault_of_fresh_browser(args, kwargs)
    if node is item and [one.name for one in item.own_markers].count(name) > 1:
        return f"{name} is given more than once, and only one would count; keep one of them"
    if name == "leak_check":
        from pytest_sentinel.pageleaks import CheckOptions

        known = CheckOptions.__annotations__
        return marks.fault_of_leak_check(args, kwargs, known) or _why_no_check(item)
    return _fault_of_limit(name, args, kwargs)


def _fault_of_limit(name: str, args: tuple[Any, ...], kwargs: Any) -> str:
    from pytest_sentinel.memory import limits

    try:
        limits.check_marker(name, args, kwargs)
    except SettingError as error:
        return str(error)
    return ""


def _why_no_check(item: pytest.Item) -> str:
    """Return why the body of a test cannot be run again and again; empty if it can."""
    good = "write def test_it(page) with @pytest.mark.leak_check"
    kind = getattr(item, "cls", None)
    if not isinstance(item, pytest.Function) or (kind and issubclass(kind, unittest.TestCase)):
        return f"leak_check needs a test function, and this is none of pytest's own; {good}"
    if "page" not in item.fixturenames:
        return f"leak_check needs the fixture page; {good}"
    if inspect.iscoroutinefunction(item.obj) or inspect.isasyncgenfunction(item.obj):
        return f"leak_check needs Playwright's sync API, and the test is async; {good}"
    return ""


def _place_of(node: Any, item: pytest.Item) -> str:
    """Return ``file:line`` of what carries a marker."""
    if node is item:
        file, line, _ = item.location
        return f"{file}:{line + 1}" if line is not None else file
    try:
        path, line, _ = node.reportinfo()
    except Exception:  # a directory, or a collector of another plugin
        path, line = getattr(node, "path", item.path), None
    what = "class" if isinstance(node, pytest.Class) else "module"
    if what == "module":
        line = _line_of_marks(Path(path))
    place = os.path.relpath(path, item.config.rootpath)
    return f"of the {what}, {place}" + (f":{line + 1}" if line is not None else "")


def _line_of_marks(path: Path) -> int | None:
    """Return the line, from 0, at which a module sets its marks."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, ValueError):
        return None
    return next((n for n, line in enumerate(lines) if re.match(r"pytestmark\b", line)), None)


def _refuse(config: pytest.Config, message: str) -> NoReturn:
    """End the run over markers that make no sense, in a worker too.

    Raises:
        pytest.UsageError: always. What a worker raises is not shown: its controller repeats it.
    """
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output[_REFUSED] = message
    raise pytest.UsageError(message)
