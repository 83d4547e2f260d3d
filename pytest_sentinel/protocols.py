"""Who runs a test: another plugin if one wants to, pytest, or this plugin where it has a reason.

The reasons are that a browser may die under the test, or that its leaks fail it. Whatever pytest
calls before its own runner comes first; hooks that only listen answer None and change nothing.
The parts of pytest's fixtures that have no public name are looked at, and never changed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pluggy import HookImpl

# Fixtures of these ask for ``request`` for reasons of their own.
_PLUGINS = ("_pytest", "pytest_", "xdist")


def is_shown(config: pytest.Config) -> bool:
    """Tell whether pytest itself shows set-up: only its own runner can."""
    option = config.option
    return bool(getattr(option, "setupshow", False) or getattr(option, "setuponly", False))


class Needs:
    """Knows which tests need a browser or its driver, or can ask for one while they run."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], bool] = {}

    def browser(self, item: pytest.Item) -> bool:
        """Tell whether a test may use a browser."""
        names, info = getattr(item, "fixturenames", ()), getattr(item, "_fixtureinfo", None)
        if info is None:
            return "browser" in names or "playwright" in names
        if "request" in info.argnames:
            return True
        if hasattr(item, "callspec"):
            return _need(names, info)  # parameters may stand in for fixtures of the same names
        # Two tests of a module that want fixtures of the same names get the same ones.
        key = (item.parent, *names)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _need(names, info)
        return known


def _need(names: Collection[str], info: Any) -> bool:
    return (
        "browser" in names
        or "playwright" in names
        or any(
            _may_ask(fixturedef) for found in info.name2fixturedefs.values() for fixturedef in found
        )
    )


def _may_ask(fixturedef: Any) -> bool:
    """Tell whether a fixture of the user's can ask for any other while it is set up."""
    module = str(getattr(fixturedef.func, "__module__", ""))
    return "request" in fixturedef.argnames and not module.startswith(_PLUGINS)


def run_by_another(item: pytest.Item, nextitem: pytest.Item | None, ours: object) -> bool:
    """Call the implementations that pytest would call after ours; tell whether one ran the test.

    Plugins are called in the reverse order of their registration, and ``trylast`` comes after
    pytest's own runner. So there is no place for an implementation that gives way to all others
    but the runner: ours, wherever it stands, asks them first.
    """
    given = {"item": item, "nextitem": nextitem}
    for implementation in _after(item, ours):
        answer = implementation.function(*[given[name] for name in implementation.argnames])
        if answer is not None:
            return True
    return False


def may_run(implementation: HookImpl) -> bool:
    """Tell whether one of the protocol's implementations runs tests, or only wraps who does."""
    return not (implementation.wrapper or implementation.hookwrapper)


def _after(item: pytest.Item, ours: object) -> list[HookImpl]:
    runner = item.config.pluginmanager.getplugin("runner")
    found: list[HookImpl] = []
    is_behind = False
    for implementation in reversed(item.ihook.pytest_runtest_protocol.get_hookimpls()):
        if implementation.plugin is runner:
            break
        if is_behind and may_run(implementation):
            found.append(implementation)
        is_behind = is_behind or implementation.plugin is ours
    return found
