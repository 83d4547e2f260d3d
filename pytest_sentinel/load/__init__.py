"""Real-browser users for Locust, on the same pool as everybody: what a locustfile imports.

Nothing of Locust is imported before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_sentinel.load.steps import run_scenario
    from pytest_sentinel.load.user import BrowserUser, require, task

__all__ = ["BrowserUser", "require", "run_scenario", "task"]

_LATER = {
    "BrowserUser": "pytest_sentinel.load.user",
    "require": "pytest_sentinel.load.user",
    "run_scenario": "pytest_sentinel.load.steps",
    "task": "pytest_sentinel.load.user",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
